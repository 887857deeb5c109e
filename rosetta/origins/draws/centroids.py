"""At the centres of clusters of latents."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rosetta.arrays import Floats, LazyArray, row_blocks
from rosetta.errors import SelectionError
from rosetta.origins.bounds import SHARED
from rosetta.origins.draws import draws
from rosetta.origins.microaggregation import clusters_of


@draws.register("centroids")
def centroids(latents: LazyArray, latents_sd: LazyArray | None, rng: np.random.Generator) -> Callable[[int], Floats]:
    """Take the means of clusters of latents, each of ten items at least, as many as there are to be points.

    Raises
    ------
    SelectionError
        If there are fewer than ten items for a centroid.
    """

    def draw(n_points: int) -> Floats:
        if SHARED * n_points > len(latents):
            raise SelectionError(
                f"{n_points} centroids of {len(latents)} items would be of fewer than {SHARED} items each: ask for at "
                f"most {len(latents) // SHARED} points, or take another `draw`"
            )
        labels = clusters_of(latents, n_points, SHARED, rng)
        total = np.zeros((n_points, latents.shape[1]))
        for start, block in row_blocks(latents):
            np.add.at(total, labels[start : start + len(block)], block)
        return np.asarray(total / np.bincount(labels, minlength=n_points)[:, np.newaxis])

    return draw
