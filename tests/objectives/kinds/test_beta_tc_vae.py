"""β-TC-VAE: the parts of the KL divergence, against sums written out one by one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rosetta.objectives.kinds import Posterior
from rosetta.objectives.kinds.beta_tc_vae import measure
from tests.objectives.kinds.cases import posterior, same_weights, side_by_side, trained


def _density(z: float, mean: float, log_variance: float) -> float:
    return math.exp(-0.5 * (z - mean) ** 2 / math.exp(log_variance)) / math.sqrt(2 * math.pi * math.exp(log_variance))


def _twin(batch: Posterior) -> dict[str, float]:
    mean, log_variance, z = (each.tolist() for each in (batch.mean, batch.log_variance, batch.latents))
    n, n_dims = len(z), len(z[0])
    parts = np.zeros(3)
    for i in range(n):
        own = prior = product = 1.0
        for d in range(n_dims):
            own *= _density(z[i][d], mean[i][d], log_variance[i][d])
            prior *= _density(z[i][d], 0.0, 0.0)
            product *= sum(_density(z[i][d], mean[j][d], log_variance[j][d]) for j in range(n)) / (n * batch.n_data)
        joint = sum(
            math.prod(_density(z[i][d], mean[j][d], log_variance[j][d]) for d in range(n_dims)) for j in range(n)
        ) / (n * batch.n_data)
        parts += [math.log(own / joint), math.log(joint / product), math.log(product / prior)]
    return dict(zip(("mutual_information", "total_correlation", "marginal_kl"), parts / n, strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_the_parts_are_those_of_sums_written_out(seed: int):
    batch = posterior(seed)

    found = measure(batch)

    for name, expected in _twin(batch).items():
        assert float(found[name]) == pytest.approx(expected, abs=1e-9)


def test_the_parts_add_up_to_a_sample_of_the_kl_divergence():
    batch = posterior()
    own = torch.distributions.Normal(batch.mean, (0.5 * batch.log_variance).exp()).log_prob(batch.latents).sum(-1)
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(batch.latents).sum(-1)

    assert float(sum(measure(batch).values())) == pytest.approx(float((own - prior).mean()), abs=1e-9)


def test_models_side_by_side_get_what_each_would_get_alone():
    first, second = posterior(0), posterior(1)

    found = measure(side_by_side(first, second))

    for name in found:
        expected = [float(measure(each)[name]) for each in (first, second)]
        assert found[name].tolist() == pytest.approx(expected, abs=1e-12)


def test_with_all_weights_at_one_it_is_the_vae_and_a_weight_has_an_effect(tmp_path: Path):
    vae = trained(tmp_path / "vae")
    neutral = trained(tmp_path / "neutral", objective="beta-tc-vae", tc_weight=1.0)
    usual = trained(tmp_path / "usual", objective="beta-tc-vae")

    assert same_weights(vae, neutral)
    assert not same_weights(vae, usual)
    assert usual.record.objective == "beta-tc-vae"
    assert neutral.config.settings.objective_settings == {"tc_weight": 1.0}
    for name in ("tc_weight", "mi_weight", "marginal_weight"):
        run = trained(tmp_path / name, objective="beta-tc-vae", **{"tc_weight": 1.0, name: 3.0})
        assert not same_weights(vae, run)


def test_a_large_weight_lowers_the_total_correlation(tmp_path: Path):
    rows = [
        (tmp_path / name / "metrics.csv").read_text().splitlines()
        for name, weight in (("low", 1.0), ("high", 200.0))
        if trained(tmp_path / name, objective="beta-tc-vae", tc_weight=weight, epochs=30, precision=100.0)
    ]
    column = rows[0][0].split(",").index("total_correlation")
    low, high = (float(each[-1].split(",")[column]) for each in rows)

    assert high < low
