"""How well a few latents stand for many."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min, silhouette_score

from rosetta.arrays import Floats, total_sd
from rosetta.metrics import Doubles

SILHOUETTE_ITEMS = 5000  # the silhouette of a sample of this size: its cost is quadratic


def nearest_shares(points: Floats, latents: Floats) -> Doubles:
    """Return the share of items nearest to each point, shape (n_points,), summing to 1.

    Parameters
    ----------
    points : float array, shape (n_points, n_dims)
        Latents of the points.
    latents : float array, shape (n_items, n_dims)
        Latents of the items.
    """
    nearest, _ = pairwise_distances_argmin_min(latents, points)
    return np.bincount(nearest, minlength=len(points)) / len(latents)


def coverage(points: Floats, latents: Floats, rng: np.random.Generator) -> dict[str, float | None]:
    """Return quantisation error, largest gap, largest share and silhouette of `latents` grouped by nearest point.

    Distances are shares of the latents' total standard deviation; the silhouette (of a sample of at most
    5,000 items) is None where fewer than two groups have members, or every group has only one.
    """
    nearest, distance = pairwise_distances_argmin_min(latents, points)
    scale = total_sd(latents) or 1.0
    shares = np.bincount(nearest, minlength=len(points)) / len(latents)
    sample = rng.permutation(len(latents))[:SILHOUETTE_ITEMS]
    n_groups = len(np.unique(nearest[sample]))
    defined = 2 <= n_groups < len(sample)
    return {
        "quantisation_error": float(np.sqrt((distance**2).mean()) / scale),
        "largest_gap": float(distance.max() / scale),
        "largest_share": float(shares.max()),
        "silhouette": float(silhouette_score(latents[sample], nearest[sample])) if defined else None,
    }
