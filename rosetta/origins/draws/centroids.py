"""At the centres of clusters of latents."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rosetta.arrays import Floats, LazyArray
from rosetta.errors import SelectionError
from rosetta.origins.draws import clustered, draws


@draws.register("centroids")
def centroids(latents: LazyArray, latents_sd: LazyArray | None, rng: np.random.Generator) -> Callable[[int], Floats]:
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
        return np.asarray(clustered(latents, n_points, rng).cluster_centers_)

    return draw
