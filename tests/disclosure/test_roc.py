"""AUC and true positives at few false ones are right, and so are their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from rosetta.disclosure.roc import auc, caught, separation


def test_the_auc_is_the_share_of_pairs_that_are_in_order_and_ties_count_half():
    rng = np.random.default_rng(0)
    members, others = rng.integers(6, size=40).astype(float), rng.integers(5, size=70).astype(float)
    pairs = (members[:, None] > others) + 0.5 * (members[:, None] == others)

    found = auc(members, others)

    assert found.value == pytest.approx(pairs.mean())
    assert found.low < found.value < found.high


def test_samples_that_do_not_overlap_have_an_interval_with_a_width():
    found = auc(np.arange(30) + 100.0, np.arange(30.0))

    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.8 < found.low < 0.99
    assert auc(np.arange(30.0), np.arange(30) + 100.0).low == 0


def test_caught_is_the_share_of_members_above_the_threshold_that_few_outsiders_pass():
    others = np.arange(1000.0)
    members = np.concatenate([np.full(30, 989.5), np.full(20, 990.5), np.full(50, 0.5)])

    found = caught(members, others, np.random.default_rng(0), false_positives=0.01)

    assert found.value == pytest.approx(0.2)  # nine outsiders lie above the threshold, which is 990
    assert found.low < 0.2 < found.high
    assert found.p_value < 1e-6


def test_scores_that_are_all_the_same_tell_nothing():
    found = [caught(np.zeros(400), np.zeros(400), np.random.default_rng(seed), false_positives=0.05).value
             for seed in range(40)]  # fmt: skip

    assert np.mean(found) == pytest.approx(0.05, abs=0.01)
    assert auc(np.zeros(400), np.zeros(400)).value == 0.5


def _coverage(n_members: int, n_others: int, shift: float, n_times: int) -> tuple[float, float]:
    """How often the intervals hold the true AUC, and the true share caught at 1 %."""
    area, few = norm.cdf(shift / 2**0.5), norm.sf(norm.isf(0.01) - shift)
    held = np.zeros(2)
    for seed in range(n_times):
        rng = np.random.default_rng([seed, n_members])
        members, others = rng.normal(shift, 1, n_members), rng.normal(size=n_others)
        one, two = auc(members, others), caught(members, others, rng, false_positives=0.01)
        held += one.low <= area <= one.high, two.low <= few <= two.high
    return float(held[0] / n_times), float(held[1] / n_times)


@pytest.mark.parametrize(("n_members", "n_others"), [(400, 400), (40, 300)])
def test_between_alike_items_intervals_hold_the_truth_as_often_as_they_say(n_members: int, n_others: int):
    of_auc, of_caught = _coverage(n_members, n_others, 0.0, 200)

    assert of_auc > 0.90  # of 200 at 95 %, less three standard deviations
    assert of_caught > 0.90


@pytest.mark.slow
@pytest.mark.parametrize(("n_members", "n_others"), [(25, 120), (400, 400), (1000, 3000)])
def test_between_alike_items_coverage_is_95_percent(n_members: int, n_others: int):
    of_auc, of_caught = _coverage(n_members, n_others, 0.0, 2000)

    assert of_auc == pytest.approx(0.95, abs=0.015)  # three standard deviations
    assert 0.935 < of_caught < 0.995  # few are caught, so that the interval cannot be exact


@pytest.mark.slow
def test_where_members_are_told_the_intervals_hold_the_truth_too():
    of_auc, of_caught = _coverage(500, 1000, 0.5, 1000)

    assert of_auc > 0.93
    assert of_caught > 0.93


def test_both_figures_of_a_score_are_those_of_each():
    rng = np.random.default_rng(0)
    members, others = rng.normal(1, 1, 300), rng.normal(0, 1, 200)

    found, few = (separation(members, rest, np.random.default_rng(1)) for rest in (others, others[:99]))

    area, rate = auc(members, others), caught(members, others, np.random.default_rng(1), false_positives=0.01)
    assert (found.auc, found.auc_low, found.auc_high) == (area.value, area.low, area.high)
    assert (found.caught, found.caught_low, found.caught_high) == (rate.value, rate.low, rate.high)
    assert (few.n_members, few.n_others, few.caught, few.caught_low) == (300, 99, None, None)
