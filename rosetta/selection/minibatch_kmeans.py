"""k-means in a hurry: the centroids move after every batch of items."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from rosetta.arrays import Floats
from rosetta.selection import seed_from, selector, selectors

BATCH = 1024  # items


@selectors.register("minibatch-kmeans")
@selector(gives="centroids")
def minibatch_kmeans(latents: Floats, n_pairs: int, rng: np.random.Generator) -> Floats:
    """Cluster the latents with mini-batch k-means (Sculley 2010) and return the centroids, the largest cluster's first.

    Parameters
    ----------
    latents : float array, shape (n_items, n_dims)
        Posterior means.

    Returns
    -------
    float array, shape (n_pairs, n_dims)
    """
    batch = max(BATCH, 2 * n_pairs)
    clusters = MiniBatchKMeans(n_pairs, n_init=1, batch_size=batch, random_state=seed_from(rng)).fit(latents)
    sizes = np.bincount(clusters.labels_, minlength=n_pairs)
    return np.asarray(clusters.cluster_centers_[np.argsort(-sizes, kind="stable")])
