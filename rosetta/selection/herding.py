"""Items whose mean is the data's, in every feature that a kernel knows."""

from __future__ import annotations

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances

from rosetta.arrays import Floats
from rosetta.selection import Rows, selector, selectors

MOST = 10_000  # items: the kernel of all pairs is summed up
MEDIAN_OF = 1000  # items whose distances give the kernel's width
TOGETHER = 1000  # rows of the kernel that are held at once


@selectors.register("herding")
@selector(gives="rows", most=MOST)
def herding(latents: Floats, n_pairs: int, rng: np.random.Generator) -> Rows:
    """Herd with a Gaussian kernel (Chen, Welling & Smola 2010, eq. 8), no item twice.

    Each item is the one that brings the mean embedding of those chosen nearest to that of all. The kernel's width is
    the median distance between items.

    Parameters
    ----------
    latents : float array, shape (n_items, n_dims)
        Posterior means, of at most 10,000 items.

    Returns
    -------
    int array, shape (n_pairs,)
        Row numbers in the order chosen: every prefix is a valid smaller selection.
    """
    some = latents[:: -(-len(latents) // MEDIAN_OF)]
    gaps = euclidean_distances(some, squared=True)[np.triu_indices(len(some), 1)]
    width = float(np.median(gaps)) if len(gaps) else 1.0
    scaled = latents / np.sqrt(2 * width or 1.0)

    def kernel(items: Floats) -> Floats:
        """Return exp(−d² / 2 width²) of `items` with all, shape (len(items), n_items)."""
        return np.asarray(np.exp(-euclidean_distances(items, scaled, squared=True)))

    means = np.concatenate(
        [kernel(scaled[start : start + TOGETHER]).mean(axis=1) for start in range(0, len(scaled), TOGETHER)]
    ).astype(np.float64)
    weights, rows = means.copy(), np.empty(n_pairs, dtype=np.intp)
    for place in range(n_pairs):
        rows[place] = row = weights.argmax()
        weights += means - kernel(scaled[row : row + 1])[0]
        weights[row] = -np.inf
    return rows
