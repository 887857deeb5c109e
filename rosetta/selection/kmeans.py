"""The paper's choice: the item nearest to each centroid (R-VAE paper, §3)."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin
from sklearn.metrics.pairwise import euclidean_distances

from rosetta.arrays import Floats
from rosetta.selection import Rows, check_n_pairs, selectors


@selectors.register("kmeans")
def kmeans(latents: Floats, n_pairs: int, rng: np.random.Generator) -> Rows:
    """Cluster the latents with k-means++ and choose the row nearest to each centroid, the largest cluster's first.

    A row that two centroids share is chosen once; the next nearest row that is free takes the other place.

    Parameters
    ----------
    latents : float array, shape (n_items, n_dims)
        Posterior means.

    Returns
    -------
    int array, shape (n_pairs,)
        Row numbers, all different.

    Raises
    ------
    SelectionError
        If n_pairs is not between 1 and n_items.
    """
    check_n_pairs(n_pairs, len(latents))
    if n_pairs == len(latents):
        return np.arange(n_pairs)
    latents = np.ascontiguousarray(latents, dtype=np.float64)
    clusters = KMeans(n_pairs, n_init=1, random_state=int(rng.integers(2**31))).fit(latents)
    centroids = clusters.cluster_centers_[np.argsort(-np.bincount(clusters.labels_, minlength=n_pairs), kind="stable")]
    rows = pairwise_distances_argmin(centroids, latents)
    taken: set[int] = set()
    for place, row in enumerate(rows):
        if int(row) in taken:
            nearest = np.argsort(euclidean_distances(centroids[place : place + 1], latents)[0], kind="stable")
            rows[place] = next(r for r in nearest if int(r) not in taken)
        taken.add(int(rows[place]))
    return np.asarray(rows, dtype=np.intp)
