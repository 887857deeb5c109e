"""Coverage and moments of items that are read block by block, against the whole at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import silhouette_score

from rosetta.arrays import LazyArray, row_blocks
from rosetta.metrics import coverage
from rosetta.metrics.coverage import cover, moments


@pytest.fixture
def in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 7 rows of 3 dimensions."""
    monkeypatch.setattr(coverage, "row_blocks", lambda array: row_blocks(array, 21))


def test_shares_are_those_of_the_items_nearest_to_each_point():
    points = np.array([[0.0], [10.0], [100.0]])
    latents = np.array([[1.0], [2.0], [9.0], [-5.0]])

    shares, _ = cover(points, latents, np.random.default_rng(0))

    assert shares.tolist() == [0.75, 0.25, 0]


def test_coverage_measures_distances_in_standard_deviations():
    latents = np.array([[0.0], [4.0], [10.0], [14.0]])
    sd = latents.std()

    _, figures = cover(np.array([[0.0], [10.0]]), latents, np.random.default_rng(0))

    assert figures["quantisation_error"] == pytest.approx(np.sqrt(8) / sd)
    assert figures["largest_gap"] == pytest.approx(4 / sd)
    assert figures["largest_share"] == 0.5
    assert figures["silhouette"] == pytest.approx(np.mean([8 / 12, 4 / 8, 4 / 8, 8 / 12]))


def test_coverage_has_no_silhouette_where_every_item_is_a_point():
    latents = np.arange(4.0)[:, None]

    assert cover(latents, latents, np.random.default_rng(0))[1]["silhouette"] is None


@pytest.mark.usefixtures("in_blocks")
def test_shares_are_of_all_points_and_figures_of_the_anchors_in_one_pass_over_blocks():
    rng = np.random.default_rng(0)
    latents: LazyArray = (5 + rng.normal(size=(100, 3))).astype(np.float32)
    points = latents[rng.permutation(100)[:12]]

    shares, figures = cover(points, latents, np.random.default_rng(1), n_anchors=8)

    gaps, scale = cdist(latents, points), np.sqrt(np.var(latents, axis=0, dtype=np.float64).sum())
    labels = gaps[:, :8].argmin(axis=1)
    assert shares == pytest.approx(np.bincount(gaps.argmin(axis=1), minlength=12) / 100)
    assert figures == pytest.approx(
        {
            "quantisation_error": np.sqrt((gaps[:, :8].min(axis=1) ** 2).mean()) / scale,
            "largest_gap": gaps[:, :8].min(axis=1).max() / scale,
            "largest_share": np.bincount(labels).max() / 100,
            "silhouette": silhouette_score(latents, labels),
        },
        rel=1e-5,
    )


@pytest.mark.usefixtures("in_blocks")
def test_moments_of_blocks_are_those_of_all_rows_even_far_from_the_origin():
    latents = (1000 + np.random.default_rng(0).normal(size=(50, 3)) @ np.diag([1, 5, 0.1])).astype(np.float32)

    mean, covariance = moments(latents)

    assert mean == pytest.approx(latents.mean(axis=0, dtype=np.float64), rel=1e-12)
    assert covariance == pytest.approx(np.cov(latents.T.astype(np.float64), ddof=0), rel=1e-8, abs=1e-10)
