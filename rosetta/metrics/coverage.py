"""How well a few latents stand for many, in one pass over these; and their moments."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array, Floats, LazyArray, row_blocks
from rosetta.metrics import Doubles

SILHOUETTE_ITEMS = 5000  # the silhouette of a sample of this size: its cost is quadratic


def cover(
    points: Floats, latents: LazyArray, rng: np.random.Generator, *, n_anchors: int | None = None
) -> tuple[Doubles, dict[str, float | None]]:
    """Return how well the first `n_anchors` points cover the items, and the share of items nearest to each point.

    Parameters
    ----------
    points : float array, shape (n_points, n_dims)
        Latents of the points.
    latents : rows of floats, shape (n_items, n_dims)
        Latents of the items, read once, block by block.
    n_anchors : int, optional
        Points whose coverage the figures tell of; all, if not given.

    Returns
    -------
    shares : float array, shape (n_points,)
        Of the items nearest to each point, summing to 1.
    figures : dict
        Quantisation error, largest gap, largest share, and silhouette of the items grouped by nearest anchor. Distances
        are shares of the latents' total standard deviation. The silhouette, of a sample of at most 5,000 items, is None
        where fewer than two groups have members, or every group has only one.
    """
    anchors, others = np.split(points, [len(points) if n_anchors is None else n_anchors])
    counts, anchor_counts = np.zeros(len(points), np.intp), np.zeros(len(anchors), np.intp)
    squared = largest = 0.0
    merged = _Moments(latents.shape[1])
    for _, block in row_blocks(latents):
        merged.add(block)
        nearest, distance = _nearest(block, anchors)
        anchor_counts += np.bincount(nearest, minlength=len(anchors))
        squared += float((distance**2).sum())
        largest = max(largest, float(distance.max()))
        if len(others):
            other, gap = _nearest(block, others)
            nearest = np.where(gap < distance, len(anchors) + other, nearest)
        counts += np.bincount(nearest, minlength=len(points))
    scale = float(np.sqrt(np.trace(merged.covariance))) or 1.0
    figures: dict[str, float | None] = {
        "quantisation_error": float(np.sqrt(squared / len(latents)) / scale),
        "largest_gap": largest / scale,
        "largest_share": float(anchor_counts.max() / len(latents)),
        "silhouette": _silhouette(anchors, latents, rng),
    }
    return counts / len(latents), figures


def moments(latents: LazyArray) -> tuple[Doubles, Doubles]:
    """Return the mean, shape (n_dims,), and the covariance, shape (n_dims, n_dims), of rows that are read once.

    Blocks are merged as Chan, Golub & LeVeque 1983 do, in float64; the covariance is divided by the number of rows.
    """
    merged = _Moments(latents.shape[1])
    for _, block in row_blocks(latents):
        merged.add(block)
    return merged.mean, merged.covariance


class _Moments:
    """Mean and sum of products of the deviations of the rows so far."""

    def __init__(self, n_dims: int) -> None:
        self.n_rows, self.mean, self.products = 0, np.zeros(n_dims), np.zeros((n_dims, n_dims))

    def add(self, block: Array) -> None:
        rows = block.astype(np.float64)
        mean, total = rows.mean(axis=0), self.n_rows + len(rows)
        rows -= mean
        apart = mean - self.mean
        self.products += rows.T @ rows + np.outer(apart, apart) * (self.n_rows * len(rows) / total)
        self.mean = self.mean + apart * (len(rows) / total)
        self.n_rows = total

    @property
    def covariance(self) -> Doubles:
        return self.products / self.n_rows


def _nearest(items: Array, points: Floats) -> tuple[Array, Doubles]:
    """Return the nearest point to each item, and its distance in float64."""
    from sklearn.metrics import pairwise_distances_argmin_min  # takes half a second to import

    nearest, distance = pairwise_distances_argmin_min(items, points)
    return nearest, distance.astype(np.float64)


def _silhouette(points: Floats, latents: LazyArray, rng: np.random.Generator) -> float | None:
    from sklearn.metrics import silhouette_score

    sample = latents[np.sort(rng.permutation(len(latents))[:SILHOUETTE_ITEMS])]
    nearest, _ = _nearest(sample, points)
    n_groups = len(np.unique(nearest))
    return float(silhouette_score(sample, nearest)) if 2 <= n_groups < len(sample) else None
