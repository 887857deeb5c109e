"""The paper's choice: the item nearest to each centroid (R-VAE paper, §3)."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans, kmeans_plusplus

from rosetta.arrays import Floats
from rosetta.selection import seed_from, selector, selectors

SEEDED_FROM = 20_000  # items of a sample, of which k-means++ takes the first centroids: its cost is most of all
PER_CLUSTER = 20  # the same, for each cluster
ROUNDS = 50  # of a sample; what further rounds gain is far below what another sample changes


@selectors.register("kmeans")
@selector(gives="centroids")
def kmeans(latents: Floats, n_pairs: int, rng: np.random.Generator) -> Floats:
    """Cluster the latents with k-means++ and return the centroids, the largest cluster's first.

    Parameters
    ----------
    latents : float array, shape (n_items, n_dims)
        Posterior means. In float32 they are a sample, which is clustered with less effort.

    Returns
    -------
    float array, shape (n_pairs, n_dims)
    """
    seed = seed_from(rng)
    if latents.dtype == np.float64:
        clusters = KMeans(n_pairs, n_init=1, random_state=seed).fit(latents)
    else:
        few = rng.permutation(len(latents))[: max(SEEDED_FROM, PER_CLUSTER * n_pairs)]
        first, _ = kmeans_plusplus(latents[few], n_pairs, random_state=seed)
        clusters = KMeans(n_pairs, init=first, n_init=1, max_iter=ROUNDS, random_state=seed).fit(latents)
    sizes = np.bincount(clusters.labels_, minlength=n_pairs)
    return np.asarray(clusters.cluster_centers_[np.argsort(-sizes, kind="stable")])
