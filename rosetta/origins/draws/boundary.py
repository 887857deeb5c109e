"""Towards the boundary of the space, where a mean and covariance put few points."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rosetta.arrays import Floats, LazyArray, row_blocks
from rosetta.origins.draws import draws, square_root

INNER, OUTER = 50, 99  # percentiles of the items' own distances from the mean


@draws.register("boundary")
def boundary(latents: LazyArray, latents_sd: LazyArray | None, rng: np.random.Generator) -> Callable[[int], Floats]:
    """Draw directions from N(mean, covariance), and Mahalanobis distances evenly from the outer half of the items'."""
    mean, root = square_root(latents)
    unroot = np.linalg.pinv(root)
    own = np.concatenate([np.linalg.norm((block - mean) @ unroot, axis=1) for _, block in row_blocks(latents)])
    near, far = np.percentile(own, [INNER, OUTER], overwrite_input=True)

    def draw(n_points: int) -> Floats:
        normal = rng.standard_normal((n_points, len(mean)))
        directions = normal / np.linalg.norm(normal, axis=1, keepdims=True)
        drawn: Floats = mean + rng.uniform(near, far, size=(n_points, 1)) * directions @ root
        return drawn

    return draw
