"""DIP-VAE II: the covariance of latents over items, against numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rosetta.objectives.kinds.dip_vae_ii import measure
from tests.objectives.kinds.cases import posterior, same_weights, side_by_side, trained


@pytest.mark.parametrize("seed", range(3))
def test_the_penalties_are_those_of_the_covariance(seed: int):
    batch = posterior(seed, n_items=40)
    mean, variance = batch.mean.numpy(), batch.log_variance.exp().numpy()
    covariance = np.cov(mean.T, bias=True) + np.diag(variance.mean(axis=0))
    off = covariance - np.diag(np.diag(covariance))

    found = measure(batch)

    assert float(found["covariances"]) == pytest.approx((off**2).sum(), abs=1e-9)
    assert float(found["variances"]) == pytest.approx(((np.diag(covariance) - 1) ** 2).sum(), abs=1e-9)


def test_models_side_by_side_get_what_each_would_get_alone():
    first, second = posterior(0), posterior(1)

    found = measure(side_by_side(first, second))

    for name in found:
        assert found[name].tolist() == pytest.approx([float(measure(each)[name]) for each in (first, second)])


def test_with_both_weights_at_zero_it_is_the_vae_and_each_has_an_effect(tmp_path: Path):
    none = {"objective": "dip-vae-ii", "off_diagonal_weight": 0.0, "diagonal_weight": 0.0}
    vae = trained(tmp_path / "vae")

    assert same_weights(vae, trained(tmp_path / "none", **none))
    for name in ("off_diagonal_weight", "diagonal_weight"):
        assert not same_weights(vae, trained(tmp_path / name, **(none | {name: 5.0})))
