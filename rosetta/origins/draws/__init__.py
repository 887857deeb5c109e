"""How the latents of decoded points are drawn, one file for each way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans

from rosetta.arrays import Floats, LazyArray
from rosetta.origins.covariance import covariance_of, mean_of, root_of
from rosetta.registry import Registry

# (latents and, if there are any, their standard deviations, both (n_items, n_dims), random numbers) → number of points
# → their latents
Draw = Callable[[LazyArray, LazyArray | None, np.random.Generator], Callable[[int], Floats]]

MANY_CLUSTERS = 512  # beyond, k-means goes over batches
CLUSTERED = 100_000  # latents that clusters are found in, at most
LATENTS_A_CLUSTER = 20

draws: Registry[Draw] = Registry("draw", "rosetta.origins.draws")


def square_root(latents: LazyArray) -> tuple[Floats, Floats]:
    """Return the mean, shape (n_dims,), and F with FᵀF the covariance, shape (n_dims, n_dims), float64."""
    mean = mean_of(latents)
    return mean, root_of(covariance_of(latents, mean))


def clustered(latents: LazyArray, n_clusters: int, rng: np.random.Generator) -> KMeans | MiniBatchKMeans:
    """Return k-means fitted to latents, shape (n_items, n_dims): to 100,000 of them drawn at random, if there are more.

    Many clusters are of 20 latents each, if need be of more than 100,000.
    """
    n_fitted = max(CLUSTERED, LATENTS_A_CLUSTER * n_clusters)
    rows = slice(None) if len(latents) <= n_fitted else np.sort(rng.permutation(len(latents))[:n_fitted])
    make = KMeans if n_clusters <= MANY_CLUSTERS else MiniBatchKMeans
    fitted = np.ascontiguousarray(latents[rows], dtype=np.float64)
    return make(n_clusters, n_init=1, random_state=int(rng.integers(2**31))).fit(fitted)
