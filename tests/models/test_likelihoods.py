"""Log-densities carry their constants and agree with torch's distributions."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from rosetta.errors import ModelError, UsageError
from rosetta.models.likelihoods import LIKELIHOODS, Likelihood, likelihood
from rosetta.objectives.elbo import kl_divergence, sample


def test_the_gaussian_is_torchs_normal():
    torch.manual_seed(0)
    output, inputs = torch.randn(2, 6, 3, 4)
    normal = torch.distributions.Normal(output, 10.0**-0.5)

    found = _likelihood("gaussian", precision=10.0).log_prob(output, inputs)

    torch.testing.assert_close(found, normal.log_prob(inputs).sum((1, 2)))


def test_the_bernoulli_is_torchs():
    torch.manual_seed(0)
    output, inputs = torch.randn(6, 3, 4), (torch.rand(6, 3, 4) > 0.5).float()
    coins = _likelihood("bernoulli")

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


def test_the_learned_precision_starts_at_one_and_is_torchs_normal_wherever_it_goes():
    torch.manual_seed(0)
    output, inputs = torch.randn(2, 6, 3, 4)
    learned = _likelihood("gaussian", precision="learned")

    assert learned.log_precision.item() == 0
    for log_precision in (0.0, 2.0, -3.0):
        nn.init.constant_(learned.log_precision, log_precision)
        normal = torch.distributions.Normal(output, math.exp(-0.5 * log_precision))
        torch.testing.assert_close(learned.log_prob(output, inputs), normal.log_prob(inputs).sum((1, 2)))


def test_the_precision_that_is_learned_is_that_of_the_errors():
    torch.manual_seed(0)
    learned, errors = _likelihood("gaussian", precision="learned"), 0.2 * torch.randn(500, 3, 4)
    optimizer = torch.optim.Adam(learned.parameters(), lr=0.1)

    for _ in range(300):
        optimizer.zero_grad()
        (-learned.log_prob(torch.zeros_like(errors), errors).mean()).backward()
        optimizer.step()

    assert learned.log_precision.exp().item() == pytest.approx(1 / errors.square().mean().item(), rel=1e-3)


def test_the_poisson_is_torchs():
    output, counts = _counts()

    found = _likelihood("poisson")

    poisson = torch.distributions.Poisson(output.exp())
    torch.testing.assert_close(found.log_prob(output, counts), poisson.log_prob(counts).sum((1, 2)))
    torch.testing.assert_close(found.mean(output), poisson.mean)


def test_the_poisson_is_finite_for_any_output():
    output = torch.tensor([[-1e30, 1e30, 90.0, -200.0]], requires_grad=True)
    poisson = _likelihood("poisson")

    log_prob = poisson.log_prob(output, torch.tensor([[0.0, 3.0, 0.0, 0.0]]))
    log_prob.sum().backward()

    assert torch.isfinite(log_prob).all()
    assert torch.isfinite(output.grad).all()
    assert torch.isfinite(poisson.mean(output)).all()


def test_the_negative_binomial_is_torchs_with_the_items_total_as_library():
    output, counts = _counts()
    found = _negative_binomial()

    theta = found.log_inverse_dispersion.detach().exp().reshape(3, 4)
    share = output.flatten(1).softmax(1).reshape(output.shape)
    mean = share * counts.sum((1, 2), keepdim=True)
    twin = torch.distributions.NegativeBinomial(theta, logits=mean.log() - theta.log())

    torch.testing.assert_close(twin.mean, mean)
    torch.testing.assert_close(found.log_prob(output, counts), twin.log_prob(counts).sum((1, 2)))
    torch.testing.assert_close(found.mean(output), 70 * share)


@pytest.mark.parametrize("log_theta", [-5.0, 0.0, 2.7, 2.8, 5.0, 9.0, 14.0])
def test_the_negative_binomial_and_its_gradient_are_as_good_in_single_precision_however_near_to_poissons(
    log_theta: float,
):
    torch.manual_seed(0)
    output = torch.randn(8, 300, dtype=torch.float64)
    counts = torch.poisson(2 * output.exp())
    totals = counts.sum(1, keepdim=True)

    def value_and_gradient(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        found = likelihood("negative-binomial", precision=1.0, input_shape=(300,), library_size=1.0).to(dtype)
        nn.init.constant_(found.log_inverse_dispersion, log_theta)
        log_prob = found.log_prob(output.to(dtype), counts.to(dtype))
        log_prob.sum().backward()
        return log_prob.double().detach(), found.log_inverse_dispersion.grad.double()

    value, gradient = value_and_gradient(torch.float32)
    exact, exact_gradient = value_and_gradient(torch.float64)

    mean = totals * output.softmax(1)
    theta = torch.full((), log_theta, dtype=torch.float64).exp()
    twin = torch.distributions.NegativeBinomial(theta, logits=mean.log() - log_theta).log_prob(counts).sum(1)
    torch.testing.assert_close(exact, twin, atol=1e-5 if log_theta > 10 else 1e-8, rtol=1e-9)
    torch.testing.assert_close(value, exact, atol=1e-2, rtol=1e-6)
    torch.testing.assert_close(gradient, exact_gradient, atol=2e-4, rtol=1e-4)


def test_the_negative_binomials_probabilities_sum_to_one_with_the_variance_that_it_promises():
    # the library size is the item's total, so that a second feature brings every item to the same one
    library, theta = 400, 2.5
    counts = torch.arange(library + 1, dtype=torch.float64)
    items = torch.stack([counts, library - counts], dim=1)
    output = torch.tensor([0.02, 0.98], dtype=torch.float64).log().expand(len(items), 2)
    found = likelihood("negative-binomial", precision=1.0, input_shape=(2,), library_size=1.0).double()
    with torch.no_grad():
        found.log_inverse_dispersion.copy_(torch.tensor([theta, 1.0], dtype=torch.float64).log())
        other = torch.distributions.NegativeBinomial(
            torch.tensor(1.0, dtype=torch.float64), logits=torch.tensor(0.98 * library, dtype=torch.float64).log()
        ).log_prob(items[:, 1])
        p = (found.log_prob(output, items) - other).exp()  # of the first feature alone

    mean = (p * counts).sum().item()
    assert p.sum().item() == pytest.approx(1, abs=1e-9)
    assert mean == pytest.approx(0.02 * library)
    assert (p * (counts - mean) ** 2).sum().item() == pytest.approx(mean + mean**2 / theta)


def test_the_poissons_probabilities_sum_to_one():
    counts = torch.arange(200.0).reshape(-1, 1)

    log_prob = _likelihood("poisson").log_prob(torch.full_like(counts, 3.0), counts)

    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_an_empty_item_has_a_library_of_one():
    found = _negative_binomial()

    log_prob = found.log_prob(torch.zeros(1, 3, 4), torch.zeros(1, 3, 4))

    theta = found.log_inverse_dispersion.detach().exp()
    torch.testing.assert_close(log_prob.detach(), (theta * (theta / (theta + 1 / 12)).log()).sum().reshape(1))


def test_the_dispersion_that_is_learned_is_that_of_the_counts():
    torch.manual_seed(0)
    theta, mean = torch.tensor([0.5, 8.0]), torch.tensor([20.0, 60.0])
    counts = torch.distributions.NegativeBinomial(theta, logits=(mean / theta).log()).sample((1_500,))
    # a third feature brings all totals to one number, so that the means are those above
    items = torch.cat([counts, 5_000 - counts.sum(1, keepdim=True)], dim=1)
    output = (torch.cat([mean, 5_000 - mean.sum().reshape(1)]) / 5_000).log().expand(items.shape)
    found = likelihood("negative-binomial", precision=1.0, input_shape=(3,), library_size=1.0)
    optimizer = torch.optim.Adam(found.parameters(), lr=0.1)

    for _ in range(60):
        optimizer.zero_grad()
        (-found.log_prob(output, items).mean()).backward()
        optimizer.step()

    assert found.log_inverse_dispersion.exp()[:2].tolist() == pytest.approx(theta.tolist(), rel=0.15)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_gradients_are_right_for_inputs_that_are_no_whole_numbers(name: str):
    torch.manual_seed(0)
    output = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    inputs = torch.rand(2, 3, 4, dtype=torch.float64, requires_grad=True)
    found = _likelihood(name, precision="learned").double()

    assert torch.autograd.gradcheck(found.log_prob, (output, inputs))


@pytest.mark.parametrize("name", [*LIKELIHOODS, "learned"])
def test_replicates_as_one_program_give_what_each_gives_alone(name: str):
    torch.manual_seed(0)
    options = {"precision": "learned"} if name == "learned" else {}
    replicates = [_likelihood("gaussian" if name == "learned" else name, **options) for _ in range(3)]
    for replicate in replicates:
        for parameter in replicate.parameters():
            nn.init.normal_(parameter)
    stacked, buffers = stack_module_state(replicates)
    output, inputs = torch.randn(3, 6, 3, 4), torch.rand(3, 6, 3, 4).round()

    def together(weights: dict[str, Tensor], state: dict[str, Tensor], out: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        return functional_call(_Whole(replicates[0]), ({f"inner.{k}": v for k, v in weights.items()}, state), (out, x))

    log_probs, means, seen = vmap(together)(stacked, buffers, output, inputs)

    for number, replicate in enumerate(replicates):
        torch.testing.assert_close(log_probs[number], replicate.log_prob(output[number], inputs[number]))
        torch.testing.assert_close(means[number], replicate.mean(output[number]))
        torch.testing.assert_close(seen[number], replicate.seen(inputs[number]))


class _Whole(nn.Module):
    """All that a likelihood computes, as one call."""

    def __init__(self, inner: Likelihood) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, output: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.inner.log_prob(output, inputs), self.inner.mean(output), self.inner.seen(inputs)


def test_counts_are_seen_by_their_logarithm_and_must_be_no_less_than_nothing():
    inputs = torch.tensor([[0.0, 1.0, 9.0]])

    for name in LIKELIHOODS:
        found = _likelihood(name)
        counted = name in ("poisson", "negative-binomial")
        assert found.is_counts == counted
        torch.testing.assert_close(found.seen(inputs), torch.log1p(inputs) if counted else inputs)
        assert found.bounds() == ((0, math.inf) if counted else {"bernoulli": (0, 1)}.get(name))


def test_a_negative_binomial_without_a_library_size_is_refused():
    with pytest.raises(ModelError, match="needs library_size"):
        likelihood("negative-binomial", precision=1.0, input_shape=(3,), library_size=None)


def test_an_unknown_likelihood_is_refused():
    with pytest.raises(UsageError, match=r"Did you mean 'poisson'\? Known: bernoulli, gaussian, negative-binomial"):
        _likelihood("poison")


def _likelihood(name: str, *, precision: float | Literal["learned"] = 1.0) -> Likelihood:
    return likelihood(name, precision=precision, input_shape=(3, 4), library_size=70.0)


def _negative_binomial() -> Likelihood:
    found = _likelihood("negative-binomial")
    nn.init.normal_(found.log_inverse_dispersion, generator=torch.Generator().manual_seed(2))
    return found


def _counts() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    output = torch.randn(6, 3, 4)
    return output, torch.poisson(4 * output.exp())
