"""Log-densities carry their constants and agree with torch's distributions."""

from __future__ import annotations

import pytest
import torch

from rosetta.errors import UsageError
from rosetta.models.likelihoods import likelihood
from rosetta.objectives.elbo import kl_divergence, sample


def test_the_gaussian_is_torchs_normal():
    torch.manual_seed(0)
    output, inputs = torch.randn(2, 6, 3, 4)
    normal = torch.distributions.Normal(output, 10.0**-0.5)

    found = likelihood("gaussian", precision=10.0).log_prob(output, inputs)

    torch.testing.assert_close(found, normal.log_prob(inputs).sum((1, 2)))


def test_the_bernoulli_is_torchs():
    torch.manual_seed(0)
    output, inputs = torch.randn(6, 3, 4), (torch.rand(6, 3, 4) > 0.5).float()
    coins = likelihood("bernoulli", precision=1.0)

    torch.testing.assert_close(
        coins.log_prob(output, inputs), torch.distributions.Bernoulli(logits=output).log_prob(inputs).sum((1, 2))
    )
    torch.testing.assert_close(coins.mean(output), torch.distributions.Bernoulli(logits=output).mean)


def test_the_kl_divergence_is_torchs():
    torch.manual_seed(0)
    mean, log_variance = torch.randn(2, 5, 3)
    normal = torch.distributions.Normal
    posterior, prior = normal(mean, (0.5 * log_variance).exp()), normal(torch.zeros(5, 3), torch.ones(5, 3))

    torch.testing.assert_close(
        kl_divergence(mean, log_variance), torch.distributions.kl_divergence(posterior, prior).sum(1)
    )


def test_a_sample_is_the_mean_where_the_noise_is_nothing_and_a_standard_deviation_off_where_it_is_one():
    mean, log_variance = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 2.0]])

    torch.testing.assert_close(sample(mean, log_variance, torch.zeros(1, 2)), mean)
    torch.testing.assert_close(sample(mean, log_variance, torch.ones(1, 2)), mean + torch.tensor([[1.0, torch.e]]))


def test_an_unknown_likelihood_is_refused():
    with pytest.raises(UsageError, match="Known: bernoulli, gaussian"):
        likelihood("cauchy", precision=1.0)
