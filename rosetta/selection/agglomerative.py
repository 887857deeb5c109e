"""Clusters that are joined from below, Ward's way."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import AgglomerativeClustering

from rosetta.arrays import Floats
from rosetta.selection import selector, selectors

MOST = 5000  # items: all pairs of them take 100 MB


@selectors.register("agglomerative")
@selector(gives="centroids", most=MOST)
def agglomerative(latents: Floats, n_pairs: int, rng: np.random.Generator) -> Floats:
    """Join the two clusters whose union adds least variance (Ward 1963), and return the means, the largest's first.

    Parameters
    ----------
    latents : float array, shape (n_items, n_dims)
        Posterior means, of at most 5,000 items.

    Returns
    -------
    float array, shape (n_pairs, n_dims)
    """
    if len(latents) == 1:
        return latents
    labels = AgglomerativeClustering(n_pairs, linkage="ward").fit(latents).labels_
    sizes = np.bincount(labels, minlength=n_pairs)
    sums = np.zeros((n_pairs, latents.shape[1]))
    np.add.at(sums, labels, latents)
    return np.asarray((sums / sizes[:, None])[np.argsort(-sizes, kind="stable")])
