"""Towards the boundary of the space, where a mean and covariance put few points."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rosetta.arrays import Floats
from rosetta.origins.draws import draws, square_root

INNER, OUTER = 50, 99  # percentiles of the items' own distances from the mean


@draws.register("boundary")
def boundary(latents: Floats, latents_sd: Floats, rng: np.random.Generator) -> Callable[[int], Floats]:
    """Draw directions from N(mean, covariance), and Mahalanobis distances evenly from the outer half of the items'."""
    mean, root = square_root(latents)
    whitened = (latents - mean) @ np.linalg.pinv(root)
    near, far = np.percentile(np.linalg.norm(whitened, axis=1), [INNER, OUTER])

    def draw(n_points: int) -> Floats:
        normal = rng.standard_normal((n_points, len(mean)))
        directions = normal / np.linalg.norm(normal, axis=1, keepdims=True)
        drawn: Floats = mean + rng.uniform(near, far, size=(n_points, 1)) * directions @ root
        return drawn

    return draw
