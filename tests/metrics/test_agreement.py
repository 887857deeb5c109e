"""Interval, null and retrieval, against slow twins."""

from __future__ import annotations

import numpy as np
import pytest

from rosetta.metrics import agreement
from rosetta.metrics.fvu import bootstrap_interval, fvu


def _pair(noise: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(32, 5))
    return a, a + noise * rng.normal(size=a.shape)


def test_the_bootstrap_interval_is_that_of_resampling_one_by_one():
    a, b = _pair(0.4)
    counts = np.random.default_rng(7).multinomial(len(a), np.full(len(a), 1 / len(a)), size=300)
    ratios = [fvu(np.repeat(a, c, axis=0), np.repeat(b, c, axis=0)) for c in counts]

    interval = bootstrap_interval(a, b, np.random.default_rng(7), n_samples=300)

    assert interval == pytest.approx(np.percentile(ratios, [2.5, 97.5]), rel=1e-9)


def test_the_interval_holds_the_estimate_and_widens_with_the_noise():
    (a, b), (_, c) = _pair(0.1), _pair(0.8)

    narrow, wide = (bootstrap_interval(a, z, np.random.default_rng(0)) for z in (b, c))

    assert narrow[0] <= fvu(a, b) <= narrow[1]
    assert wide[1] - wide[0] > narrow[1] - narrow[0]


def test_a_permuted_pairing_gives_about_two_and_a_true_one_is_significant():
    null, p_value = agreement.permutation_null(*_pair(0.1), np.random.default_rng(0))

    assert null == pytest.approx(2, abs=0.2)
    assert p_value == pytest.approx(1 / (1 + agreement.N_PERMUTATIONS))


def test_an_unrelated_pairing_is_not_significant():
    rng = np.random.default_rng(3)

    _, p_value = agreement.permutation_null(*rng.normal(size=(2, 40, 5)), rng)

    assert p_value > 0.05


def test_retrieval_counts_the_latents_that_are_nearest_to_their_own():
    a = np.array([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    b = np.array([[1.0, 0], [9, 1], [9, 9], [0, 9]])  # the last two are swapped

    assert agreement.retrieval_top1(a, b) == 0.5
