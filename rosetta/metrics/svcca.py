"""Canonical correlations of two spaces' main directions."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Floats
from rosetta.errors import MetricError
from rosetta.metrics import Doubles, check_paired
from rosetta.metrics.engine import metric

KEPT = 0.99  # of the variance


@metric(
    "svcca",
    label="SVCCA",
    needs=("two latents",),
    direction="higher",
    range=(0.0, 1.0),
    citation="Raghu et al. 2017, SVCCA: Singular Vector Canonical Correlation Analysis",
    n_permutations=10,
    has_ceiling=True,
)
def svcca(a: Floats, b: Floats) -> float:
    """The mean canonical correlation of the directions that hold 99 % of each space's variance.

    A singular value decomposition keeps the fewest directions with at least 99 % of the variance of each space; their
    canonical correlations, as many as the smaller number of directions, are averaged. 1 if the directions kept span
    the same subspace of items. No rotation, one scale or shift changes it; every direction kept counts alike, however
    little of the variance is in it. Few items for many directions raise it, as the null shows.

    Parameters
    ----------
    a, b : float array, shape (n_items, n_dims_a) and (n_items, n_dims_b)
        Representations of the same items in the same order.

    Raises
    ------
    MetricError
        If there are no more items than directions kept in both together: some of the correlations are 1 then, whatever
        the latents are.
    """
    u, v = (_main_directions(z) for z in check_paired(a, b))
    n_items, n_kept = len(u), u.shape[1] + v.shape[1]
    if n_items <= n_kept:
        raise MetricError(
            f"svcca keeps {u.shape[1]} and {v.shape[1]} directions, so at least {n_kept + 1} items are needed; "
            f"there are {n_items}"
        )
    correlations = np.linalg.svd(u.T @ v, compute_uv=False)
    return float(np.minimum(correlations, 1).mean())


def _main_directions(latents: Doubles) -> Doubles:
    """Return orthonormal columns, shape (n_items, n_kept), that hold 99 % of the variance of the latents."""
    u, scale, _ = np.linalg.svd(latents - latents.mean(axis=0), full_matrices=False)
    share = np.cumsum(scale**2) / (scale**2).sum()
    return u[:, : int(np.searchsorted(share, KEPT - 1e-12)) + 1]
