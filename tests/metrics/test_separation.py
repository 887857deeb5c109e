"""Members told from others by a score."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from rosetta.metrics.separation import separation


def test_the_auc_is_that_of_scikit_learn_and_ties_count_half():
    rng = np.random.default_rng(0)
    members, others = rng.integers(0, 20, 70).astype(float), rng.integers(0, 15, 40).astype(float)

    found = separation(members, others, rng)

    labels = np.repeat([1, 0], [70, 40])
    assert found.auc == pytest.approx(roc_auc_score(labels, np.concatenate([members, others])))
    assert separation(np.zeros(5), np.zeros(30), rng).auc == 0.5


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.5])
def test_intervals_hold_the_truth_with_few_of_one_side(shift: float):
    rng = np.random.default_rng(1)
    truth = norm.cdf(shift / np.sqrt(2))

    found = [separation(rng.normal(shift, 1, 270), rng.normal(0, 1, 30), rng) for _ in range(200)]

    assert np.mean([each.auc_low <= truth <= each.auc_high for each in found]) >= 0.92


def test_an_auc_of_one_has_an_interval_that_grows_with_fewer_items():
    rng = np.random.default_rng(0)
    few, many = (separation(np.ones(n), np.zeros(n), rng) for n in (5, 90))

    assert few.auc == many.auc == few.auc_high == 1
    assert few.auc_low < many.auc_low < 1


def test_members_are_caught_at_one_percent_of_the_others_only_where_there_are_a_hundred():
    rng = np.random.default_rng(0)
    members, others = rng.normal(2, 1, 2000), rng.normal(0, 1, 2000)

    found = separation(members, others, rng)

    assert found.caught == pytest.approx((members > np.sort(others)[-21]).mean())
    assert found.caught is not None
    assert found.caught_low is not None
    assert found.caught_high is not None
    assert found.caught_low < 1 - norm.cdf(norm.ppf(0.99) - 2) < found.caught_high
    assert separation(members, others[:99], rng).caught is None
