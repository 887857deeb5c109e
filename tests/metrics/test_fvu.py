"""Fraction of variance unexplained, against slow twins and against what it must be for known maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from rosetta.errors import MetricError
from rosetta.metrics.fvu import fvu, fvu_mapped
from rosetta.metrics.linear_map import distance_from_identity, effective_rank, fit_linear_map, singular_values


def _latents(seed: int, n_items: int = 60, n_dims: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_items, n_dims)) * np.arange(1, n_dims + 1)


def test_fvu_is_the_sum_over_items_that_the_definition_says():
    a, b = _latents(0), _latents(1)

    numerator = sum(float(np.linalg.norm(x - y)) ** 2 for x, y in zip(a, b, strict=True))
    denominator = sum(float(np.linalg.norm(x - a.mean(axis=0))) ** 2 for x in a)

    assert fvu(a, b) == pytest.approx(numerator / denominator, rel=1e-12)


def test_answering_with_the_mean_has_an_fvu_of_one():
    a = _latents(0)
    b = np.tile(a.mean(axis=0), (len(a), 1)) + 1e-9 * _latents(1)

    assert fvu(a, b) == pytest.approx(1, abs=1e-6)


def test_fvu_mapped_agrees_with_a_linear_regression():
    a, b = _latents(0), _latents(1, n_dims=3)
    regression = LinearRegression().fit(b, a)

    fit = fit_linear_map(a, b)

    residual = a - regression.predict(b)
    assert fit.fvu_mapped == pytest.approx((residual**2).sum() / ((a - a.mean(axis=0)) ** 2).sum(), rel=1e-10)
    assert fit.matrix == pytest.approx(regression.coef_, rel=1e-8)
    assert fit.offset == pytest.approx(regression.intercept_, rel=1e-8)


@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(-100, 100))
def test_an_invertible_affine_map_costs_nothing_once_it_is_fitted(seed: int, shift: float):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(40, 3))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    b = a @ (rotation * rng.uniform(0.5, 2, size=3)) + shift

    assert fvu_mapped(a, b) < 1e-18


def test_a_map_is_found_even_where_a_dimension_of_the_other_space_is_dead():
    a = _latents(0)
    b = np.column_stack([a, np.zeros(len(a))])

    fit = fit_linear_map(a, b)

    assert fit.fvu_mapped < 1e-20
    assert np.isfinite(fit.matrix).all()


def test_the_spectrum_is_that_of_the_polar_decompositions_symmetric_factor():
    matrix = _latents(3, 5, 5)

    values, vectors = np.linalg.eigh(matrix.T @ matrix)
    symmetric = vectors @ np.diag(np.sqrt(values)) @ vectors.T

    assert singular_values(matrix) == pytest.approx(np.linalg.eigvalsh(symmetric)[::-1], rel=1e-9)


@pytest.mark.parametrize(("spectrum", "rank"), [([1, 1, 1, 1], 4), ([5, 0, 0], 1), ([0, 0], 0), ([2, 2, 0], 2)])
def test_effective_rank_counts_equal_directions(spectrum: list[float], rank: float):
    assert effective_rank(np.array(spectrum, dtype=float)) == pytest.approx(rank)


def test_a_scaled_identity_is_no_distance_from_the_identity():
    assert distance_from_identity(3.5 * np.eye(4)) == pytest.approx(0)
    assert distance_from_identity(np.diag([1.0, 0.0])) == pytest.approx(np.sqrt(0.5))
    assert distance_from_identity(np.ones((2, 3))) is None


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (np.ones((3, 2)), _latents(0, 3, 2), "do not vary"),
        (_latents(0, 4, 2), _latents(0, 3, 2), "same items"),
        (_latents(0, 4, 2), _latents(0, 4, 3), "fvu compares coordinates"),
        (_latents(0, 4, 2)[0], _latents(0, 4, 2), "n_items, n_dims"),
        (_latents(0, 4, 2), np.full((4, 2), np.nan), "NaN"),
        (_latents(0, 4, 2) * 1e300, _latents(0, 4, 2), "beyond 1e"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(a: np.ndarray, b: np.ndarray, words: str):
    with pytest.raises(MetricError, match=words):
        fvu(a, b)
