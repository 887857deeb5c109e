"""Around items' latents."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rosetta.arrays import Floats
from rosetta.origins.draws import draws


@draws.register("jitter")
def jitter(latents: Floats, latents_sd: Floats, rng: np.random.Generator) -> Callable[[int], Floats]:
    """Draw from the posteriors of items chosen at random: each point is near the reconstruction of one item."""

    def draw(n_points: int) -> Floats:
        rows = rng.integers(len(latents), size=n_points)
        drawn: Floats = latents[rows] + latents_sd[rows] * rng.standard_normal((n_points, latents.shape[1]))
        return drawn

    return draw
