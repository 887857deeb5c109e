"""The attack finds mixtures of few items, and nothing where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from rosetta.disclosure.demixing import Demixing, demix, mixture_rests, rounding
from rosetta.disclosure.nearest import nearest_items
from rosetta.disclosure.spacing import spacing_of


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Private digits and others, 8 × 8, from 0 to 1."""
    from sklearn.datasets import load_digits

    images = (load_digits().images / 16).astype(np.float32)
    return images[:1200], images[1200:]


def attack(points: np.ndarray, items: np.ndarray) -> Demixing:
    rng = np.random.default_rng(5)
    return demix(points.astype(np.float32), nearest_items(points, items), items, spacing_of(items, rng), rng)


def mixtures(items: np.ndarray, k: int, n: int = 40, *, even: bool = False) -> np.ndarray:
    rng = np.random.default_rng(k)
    rows = np.stack([rng.choice(len(items), k, replace=False) for _ in range(n)])
    weights = np.full((n, k), 1 / k) if even else rng.dirichlet(np.ones(k), n)
    return np.einsum("nk,nkhw->nhw", weights, items[rows])


@pytest.mark.parametrize("k", [2, 3])
def test_mixtures_of_few_items_are_found_stored_in_256_levels_or_not(digits: tuple[np.ndarray, np.ndarray], k: int):
    points = mixtures(digits[0], k)

    assert attack(points, digits[0]).share > 0.9
    assert attack(np.round(points * 255) / 255, digits[0]).share > 0.9
    assert attack(mixtures(digits[0], k, even=True), digits[0]).share > 0.9


def test_points_that_are_no_mixtures_of_few_are_not_found(digits: tuple[np.ndarray, np.ndarray]):
    items, others = digits
    covariance = np.cov(items.reshape(len(items), -1), rowvar=False)
    drawn = np.random.default_rng(0).multivariate_normal(items.reshape(len(items), -1).mean(axis=0), covariance, 40)

    for points in (mixtures(items, 30, even=True), drawn.reshape(-1, 8, 8), others[:40]):
        found = attack(points, items)
        assert (found.n_tried, found.share, found.tells) == (40, 0, True)


def test_in_few_dimensions_everything_is_a_mixture_and_the_attack_says_that_it_cannot_tell():
    items = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)

    found = attack(np.random.default_rng(1).normal(size=(30, 2)) / 4, items)

    assert found.share == 1
    assert found.share_of_controls > 0.5
    assert not found.tells


def test_a_left_out_item_is_not_used(digits: tuple[np.ndarray, np.ndarray]):
    points = digits[0][:10].reshape(10, -1)
    start = np.arange(20, 30)

    with_itself = mixture_rests(points, digits[0].reshape(1200, -1), start)
    without = mixture_rests(points, digits[0].reshape(1200, -1), start, left_out=np.arange(10))

    assert with_itself.max() < 1e-6
    assert without.min() > 0.1


def test_of_few_items_a_mixture_is_found_too():
    items = np.eye(5, dtype=np.float32)
    points = np.array([[0.5, 0.3, 0.2, 0, 0], [0.2, 0.2, 0.2, 0.2, 0.2]], dtype=np.float32)

    assert mixture_rests(points, items, np.array([0, 0])).max() < 1e-6


def test_rounding_is_that_of_256_levels_only():
    rng = np.random.default_rng(0)
    values = rng.random((500, 100), dtype=np.float32)
    stored = (np.round(values * 255) / 255).astype(np.float32)

    assert rounding(stored) == pytest.approx(np.linalg.norm(stored - values, axis=1).mean(), rel=0.05)
    assert rounding(values) == 0
    assert rounding(rng.integers(0, 9, size=(50, 10)).astype(np.float32)) == 0  # counts
    assert rounding(np.zeros((4, 4), dtype=np.float32)) == 0
