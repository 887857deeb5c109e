"""Likelihood ratios of scores with and without an item."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from rosetta.disclosure.roc import separation
from rosetta.metrics.lira import each_as_target, offline, online
from rosetta.shadows.plan import ShadowPlan


def drawn(effect: float, n_shadows: int = 8, seed: int = 0, n_out: int = 400) -> tuple[np.ndarray, ...]:
    """Scores of 800 items that differ a lot, to which having an item adds a little."""
    plan = ShadowPlan(400, 400, n_out, seed)
    rng, is_in = np.random.default_rng(seed), plan.is_in(n_shadows)
    base = rng.normal(0, 3, plan.n_all)
    scores = base + rng.normal(size=is_in.shape) + effect * is_in
    return base + rng.normal(size=plan.n_all) + effect * (np.arange(plan.n_all) < 400), scores, is_in


def auc(scores: np.ndarray) -> float:
    return separation(scores[:400], scores[400:], np.random.default_rng(0)).auc


def test_the_ratio_is_that_of_two_normal_densities():
    scores = np.array([[0.0, 5.0], [1.0, 7.0], [4.0, 1.0], [6.0, 2.0]])
    is_in = np.array([[True, False], [True, False], [False, True], [False, True]])
    target = np.array([2.0, 3.0])

    variance_in, variance_out = (0.5 + 0.5) / 2, (2 + 2) / 2  # about the items' own means, a degree of freedom for each
    sds = [np.sqrt(variance * 1.5) for variance in (variance_in, variance_out)]
    means = np.array([[0.5, 1.5], [5.0, 6.0]])
    expected = norm.logpdf(target, means[0], sds[0]) - norm.logpdf(target, means[1], sds[1])

    assert online(target, scores, is_in) == pytest.approx(expected)
    assert offline(target, scores, is_in) == pytest.approx((target - means[1]) / sds[1])


def test_members_that_a_threshold_misses_are_found():
    target, scores, is_in = drawn(effect=2.0)

    members, others = each_as_target(scores, is_in)

    assert auc(target) < 0.7
    assert auc(online(target, scores, is_in)) > 0.85
    assert auc(offline(target, scores, is_in)) > 0.85
    assert separation(members, others, np.random.default_rng(0)).auc > 0.85


@pytest.mark.parametrize(("n_shadows", "n_out"), [(4, 400), (8, 400), (8, 200)])
def test_where_nothing_is_told_no_way_finds_anything(n_shadows: int, n_out: int):
    found = []
    for seed in range(10):
        target, scores, is_in = drawn(0.0, n_shadows, seed, n_out)
        pair = each_as_target(scores, is_in)
        by_shadows = separation(*pair, np.random.default_rng(0)).auc
        found.append([auc(online(target, scores, is_in)), auc(offline(target, scores, is_in)), by_shadows])

    assert np.mean(found, axis=0) == pytest.approx(0.5, abs=0.02)


def test_an_item_that_no_shadow_lacked_is_judged_by_what_lies_between_in_and_out():
    target, scores, is_in = drawn(2.0)
    is_in = is_in.copy()
    is_in[:, :5] = True

    assert np.isfinite(online(target, scores, is_in)).all()
    assert np.isfinite(offline(target, scores, is_in)).all()
