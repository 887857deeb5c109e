"""SVCCA, against the textbook's canonical correlations, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from rosetta.errors import MetricError
from rosetta.metrics.engine import Evidence, measure
from rosetta.metrics.svcca import svcca


def _pair(seed: int = 0, n_items: int = 200, n_dims: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n_items, 4)) * [3, 2, 1, 0.5]
    return a, a @ rng.normal(size=(4, n_dims)) + 0.5 * rng.normal(size=(n_items, n_dims))


def _root(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a symmetric matrix's square root."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(values**-0.5) @ vectors.T


@pytest.mark.parametrize("n_dims", [2, 4, 9])
def test_it_is_the_mean_canonical_correlation_of_the_principal_components(n_dims: int):
    a, b = _pair(n_dims=n_dims)
    x, y = (PCA(n_components=0.99, svd_solver="full").fit_transform(z) for z in (a, b))
    covariance = np.cov(x.T, y.T)
    xx, xy, yy = (covariance[: x.shape[1], : x.shape[1]], covariance[: x.shape[1], x.shape[1] :],
                  covariance[x.shape[1] :, x.shape[1] :])  # fmt: skip

    correlations = np.linalg.svd(_root(np.atleast_2d(xx)) @ xy @ _root(np.atleast_2d(yy)), compute_uv=False)

    assert svcca(a, b) == pytest.approx(correlations.mean(), rel=1e-9)


def test_directions_that_correlate_by_half_have_a_half():
    rng = np.random.default_rng(0)
    a, noise = rng.normal(size=(2, 100_000, 3))

    assert svcca(a, 0.5 * a + np.sqrt(0.75) * noise) == pytest.approx(0.5, abs=0.01)


def test_directions_beyond_99_percent_of_the_variance_do_not_count():
    rng = np.random.default_rng(0)
    shared, mine, yours = rng.normal(size=(3, 500, 2))

    faint = svcca(np.hstack([shared, 0.05 * mine]), np.hstack([shared, 0.05 * yours]))
    strong = svcca(np.hstack([shared, 0.2 * mine]), np.hstack([shared, 0.2 * yours]))

    assert faint > 0.99
    assert strong < 0.6


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 100), shift=st.floats(-100, 100))
def test_no_rotation_scale_shift_or_order_of_the_items_changes_it(seed: int, scale: float, shift: float):
    rng = np.random.default_rng(seed)
    a, b = _pair(seed, n_items=40)
    rotation, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    order = rng.permutation(len(a))

    assert svcca(a, scale * a @ rotation + shift) == pytest.approx(1)
    assert svcca(a[order], scale * b[order] @ rotation + shift) == pytest.approx(svcca(a, b), rel=1e-6)
    assert svcca(b, a) == pytest.approx(svcca(a, b))


def test_a_random_pairing_gives_little_where_items_are_many_and_much_where_they_are_few():
    many, few = (measure(svcca, Evidence(*_pair(n_items=n)), np.random.default_rng(0)) for n in (2000, 12))

    assert many.null < 0.05
    assert few.null > 0.3
    assert many.value > 0.9


def test_a_dead_dimension_counts_for_nothing():
    a, b = _pair()

    assert svcca(np.column_stack([a, np.zeros(len(a))]), b) == pytest.approx(svcca(a, b))


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (np.ones((20, 2)), _pair(n_items=20)[1], "do not vary"),
        (
            *np.random.default_rng(0).normal(size=(2, 8, 6)),
            "directions, so at least 1[0-9] items are needed; there are 8",
        ),
        (_pair(n_items=20)[0], _pair(n_items=19)[1], "20 and 19 rows"),
    ],
)
def test_arrays_that_any_other_would_correlate_with_are_refused(a: np.ndarray, b: np.ndarray, words: str):
    with pytest.raises(MetricError, match=words):
        svcca(a, b)
