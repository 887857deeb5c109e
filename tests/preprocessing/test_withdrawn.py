"""Constants of two data sets that differ in one item do not give that item away."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.datasets import load_digits

from rosetta import preprocessing

Constants = tuple[np.ndarray, np.ndarray]

DIGITS = load_digits().data[:700]
FEW_FEATURES = np.random.default_rng(0).lognormal(size=(400, 6))
N_TRIED = 60


def _fitted(items: np.ndarray) -> Constants:
    step = preprocessing.fit_blocks("standardize", lambda: iter([items]))[0][1]
    return step.arrays["mean"], step.arrays["sd"]


def _exact(items: np.ndarray) -> Constants:
    sd = items.std(axis=0)
    return items.mean(axis=0), np.where(sd > 0, sd, 1.0)


def _ranks(items: np.ndarray, fit: Callable[[np.ndarray], Constants]) -> tuple[float, float]:
    """Withdraw items in turn, and return the mean share of items that fit the change of means and of sds better."""
    rng = np.random.default_rng(1)
    with_all, scale = fit(items), _exact(items)
    apart = (items - scale[0]) / scale[1]
    ranks = []
    for row in rng.choice(len(items), N_TRIED, replace=False):
        without = fit(np.delete(items, row, axis=0))
        by_mean = apart @ ((with_all[0] - without[0]) / scale[1])
        by_sd = (apart**2 - 1) @ np.log2(with_all[1] / without[1])
        ranks.append([_rank(by_mean, row, rng), _rank(by_sd, row, rng)])
    first, second = np.mean(ranks, axis=0)
    return float(first), float(second)


def _rank(scores: np.ndarray, row: int, rng: np.random.Generator) -> float:
    """Share of items with a higher score than one row; the same scores are put in a random order."""
    order = np.lexsort((rng.random(len(scores)), scores))[::-1]
    return int(np.flatnonzero(order == row)[0]) / len(scores)


@pytest.mark.parametrize("items", [DIGITS, FEW_FEATURES], ids=["digits", "few features"])
def test_a_withdrawn_item_is_found_no_better_than_by_guessing(items: np.ndarray):
    guessing = 4 * np.sqrt(1 / 12 / N_TRIED)  # standard errors of a mean of random ranks

    for rank in _ranks(items, _fitted):
        assert abs(rank - 0.5) < guessing


@pytest.mark.parametrize(("items", "worst"), [(DIGITS, 0.02), (FEW_FEATURES, 0.15)], ids=["digits", "few features"])
def test_exact_constants_would_give_it_away(items: np.ndarray, worst: float):
    """The attack works: it is the noise that it fails against."""
    for rank in _ranks(items, _exact):
        assert rank < worst
    mean, less = items.mean(axis=0), np.delete(items, 7, axis=0).mean(axis=0)
    assert len(items) * mean - (len(items) - 1) * less == pytest.approx(items[7], abs=1e-9)


@pytest.mark.parametrize("n_items", [20, 300, 2000])
def test_what_fewer_than_ten_items_have_does_not_show(n_items: int):
    rng = np.random.default_rng(2)
    items = rng.normal(size=(n_items, 3))
    items[:, 1] = 0.1
    odd = items.copy()
    odd[rng.choice(n_items, 9, replace=False), 1] = rng.normal(5, 2, size=9)

    usual, with_odd = _fitted(items), _fitted(odd)

    assert usual[0][1] == with_odd[0][1] == 0.1
    for _, sd in (usual, with_odd):  # nothing of its own
        assert sd[1] == max(sd[0], sd[2], 1.0)
    odd[:10, 1] = np.arange(10)
    assert _fitted(odd)[0][1] != 0.1


def test_the_value_that_most_have_is_found_in_blocks_too():
    items = np.full((400, 1), 2.5)
    items[:9, 0] = np.arange(9)  # all in the first blocks

    for n_rows in (1, 4, 100):
        fitted = preprocessing.fit_blocks("standardize", lambda n=n_rows: iter(np.split(items, len(items) // n)))
        assert fitted[0][1].arrays["mean"].tolist() == [2.5]


def test_what_fewer_than_ten_items_have_in_common_is_rounded():
    mean, sd = _fitted(np.full((9, 1), 7.1))

    assert mean.tolist() == [8.0]
    assert sd.tolist() == [1.0]
