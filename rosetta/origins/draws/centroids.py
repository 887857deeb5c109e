"""At the centres of clusters of latents."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans

from rosetta.arrays import Floats
from rosetta.errors import SelectionError
from rosetta.origins.draws import draws

MANY_CLUSTERS = 512  # beyond, k-means goes over batches


@draws.register("centroids")
def centroids(latents: Floats, latents_sd: Floats, rng: np.random.Generator) -> Callable[[int], Floats]:
    """Take the k-means centroids of the latents, as many as there are to be points.

    Raises
    ------
    SelectionError
        If there are fewer than two items for a centroid, which then is an item.
    """

    def draw(n_points: int) -> Floats:
        if 2 * n_points > len(latents):
            raise SelectionError(
                f"{n_points} centroids of {len(latents)} items would be the items themselves: ask for at most "
                f"{len(latents) // 2} points, or take another --draw"
            )
        make = KMeans if n_points <= MANY_CLUSTERS else MiniBatchKMeans
        found = make(n_points, n_init=1, random_state=int(rng.integers(2**31))).fit(latents.astype(np.float64))
        return np.asarray(found.cluster_centers_)

    return draw
