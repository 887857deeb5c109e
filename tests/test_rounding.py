"""Rounded numbers say what receivers need, and hardly ever change when one item is withdrawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosetta.rounding import coarse_count, coarse_moments, grid_step, outward, to_digits, to_grid, to_octaves

Moments = tuple[np.ndarray, np.ndarray]
N_SETS, N_TRIED = 40, 5  # data sets, and items withdrawn from each: of some, a number lies at an edge of its grid


def _latents(n_items: int, n_dims: int, seed: int = 0) -> np.ndarray:
    """Correlated latents of unlike spread, as an encoder gives them."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(n_dims) + 0.15 * rng.normal(size=(n_dims, n_dims))
    return rng.normal(size=(n_items, n_dims)) @ mixing * rng.uniform(0.3, 1.1, n_dims) + 0.2 * rng.normal(size=n_dims)


def _exact(latents: np.ndarray) -> Moments:
    return latents.mean(axis=0), np.cov(latents, rowvar=False, ddof=0)


def _coarse(latents: np.ndarray) -> Moments:
    return coarse_moments(*_exact(latents), len(latents))


def _ranks(n_items: int, n_dims: int, tell: Callable[[np.ndarray], Moments]) -> np.ndarray:
    """Withdraw items in turn; mean share of items that fit the change of the mean, and the covariance, better."""
    return np.mean([_ranks_in(_latents(n_items, n_dims, seed), tell, seed) for seed in range(N_SETS)], axis=0)


def _ranks_in(latents: np.ndarray, tell: Callable[[np.ndarray], Moments], seed: int) -> np.ndarray:
    rng, known, ranks = np.random.default_rng(seed), _exact(latents), []
    with_all, apart = tell(latents), latents - latents.mean(axis=0)
    for row in rng.choice(len(latents), N_TRIED, replace=False):
        without = tell(np.delete(latents, row, axis=0))
        moved, turned = with_all[0] - without[0], with_all[1] - without[1]
        # an item x moves them by about x/n and x xᵀ/n
        first = apart @ moved * 2 / len(latents) - (apart**2).sum(axis=1) / len(latents) ** 2 * bool(moved.any())
        second = np.einsum("ni,ij,nj->n", apart, turned, apart) - (turned * known[1]).sum()
        ranks.append([_rank(scores, row, rng) for scores in (first, second)])
    found: np.ndarray = np.mean(ranks, axis=0)
    return found


def _rank(scores: np.ndarray, row: int, rng: np.random.Generator) -> float:
    order = np.lexsort((rng.random(len(scores)), scores))[::-1]
    return int(np.flatnonzero(order == row)[0]) / len(scores)


@pytest.mark.parametrize(("n_items", "n_dims"), [(300, 8), (700, 8), (700, 16), (5000, 8)])
def test_two_rounded_moments_do_not_give_a_withdrawn_items_latent(n_items: int, n_dims: int):
    ranks = _ranks(n_items, n_dims, _coarse)

    assert (np.abs(ranks - 0.5) < 4 * np.sqrt(1 / 12 / (N_SETS * N_TRIED))).all(), ranks


def test_two_exact_moments_give_it():
    latents = _latents(700, 16)

    found = 700 * latents.mean(axis=0) - 699 * np.delete(latents, 7, axis=0).mean(axis=0)

    assert found == pytest.approx(latents[7], abs=1e-9)
    assert (_ranks(700, 16, _exact) < 0.02).all()


@pytest.mark.parametrize(("n_items", "bound"), [(300, 0.1), (700, 0.04), (5000, 0.02), (60_000, 0.02)])
def test_the_scale_of_a_space_is_hardly_moved(n_items: int, bound: float):
    for seed in range(5):
        latents = _latents(n_items, 16, seed)
        (_, exact), (mean, covariance) = _exact(latents), _coarse(latents)

        assert np.sqrt(np.trace(covariance) / np.trace(exact)) == pytest.approx(1, abs=bound)
        away = np.abs(mean - latents.mean(axis=0)) / np.sqrt(np.diag(exact))
        assert away.max() <= grid_step(n_items, 16, finest=1 / 8) / 2 * np.sqrt(2)


@pytest.mark.parametrize("n_dims", [1, 2, 8, 40])
@pytest.mark.parametrize("n_items", [2, 30, 1000, 10**6])
def test_a_rounded_covariance_is_one(n_items: int, n_dims: int):
    rng = np.random.default_rng(n_dims)
    factor = rng.normal(size=(n_dims, max(n_dims // 2, 1))) * 10.0 ** rng.integers(-3, 3, n_dims)[:, None]

    mean, covariance = coarse_moments(rng.normal(size=n_dims), factor @ factor.T, n_items)

    assert (covariance == covariance.T).all()
    assert np.linalg.eigvalsh(covariance)[0] >= -1e-9 * np.abs(covariance).max()
    assert np.trace(covariance) > 0
    assert np.isfinite(mean).all()


def test_a_dimension_without_spread_stays_without():
    mean, covariance = coarse_moments(np.array([0.3, 2.0]), np.diag([0.0, 0.81]), 10_000)

    assert covariance.tolist() == [[0, 0], [0, pytest.approx(0.84089642, abs=1e-6)]]  # 2 ** (−2 / 8)
    assert mean.tolist() == [0.25, 2.0]


@pytest.mark.parametrize(
    ("n_items", "n_numbers", "step"),
    [(1000, 1, 1 / 8), (1000, 16, 1 / 4), (1000, 100, 1), (1001, 100, 1), (999, 100, 2)],
)
def test_a_grid_is_ten_times_the_numbers_over_the_items(n_items: int, n_numbers: int, step: float):
    assert grid_step(n_items, n_numbers, finest=1 / 8) == step
    assert grid_step(n_items, n_numbers, finest=1 / 8, coarsest=1 / 4) == min(step, 1 / 4)


def test_numbers_go_to_the_nearest_of_a_grid_and_of_powers():
    assert to_grid([0.12, -0.13, -0.1], 0.25).tolist() == [0, -0.25, 0]
    assert not np.signbit(to_grid([-0.1], 0.25)).any()
    assert to_octaves([0.8, 1.4, 3, 1000]).tolist() == [1, 1, 4, 1024]
    assert to_octaves([1.4], 0.5).tolist() == [pytest.approx(2**0.5)]
    assert [to_digits(x) for x in (0.123, -456.0, 0.0, 0.995)] == [0.12, -460, 0, 0.99]


@pytest.mark.parametrize(
    ("n", "told"), [(0, 10), (4, 10), (14, 10), (15, 20), (99, 100), (104, 100), (721, 720), (12_345, 12_000)]
)
def test_a_number_of_items_has_two_digits_or_is_in_tens(n: int, told: int):
    assert coarse_count(n) == told


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0, 16, (0, 16)), (0, 15.3, (0, 16)), (-0.9843, 1, (-1, 1)), (0, 250, (0, 255)), (0, 100, (0, 100)),
        (-3.21, 7.77, (-4, 8)), (0, 1234.5, (0, 1300)), (-1e-12, 1, (-0.1, 1)), (7.3, 7.3, (7.3, 7.3)),
        (-128, 127, (-130, 130)), (1e6, 1e6 + 1, (1e6, 1e6 + 1)),
    ],
)  # fmt: skip
def test_a_range_has_round_ends(low: float, high: float, told: tuple[float, float]):
    assert outward(low, high) == told


@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30))
def test_a_range_with_round_ends_holds_the_other_and_little_more(one: float, other: float):
    low, high = min(one, other), max(one, other)

    first, last = outward(low, high)

    assert first <= low <= high <= last
    if high > low:
        assert (last - first) <= 1.3 * (high - low) * (1 + 1e-9) or last == 255
    assert outward(first, last)[0] <= first
