"""Around items' latents."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rosetta.arrays import Floats, LazyArray
from rosetta.errors import UsageError
from rosetta.origins.draws import draws


@draws.register("jitter")
def jitter(latents: LazyArray, latents_sd: LazyArray | None, rng: np.random.Generator) -> Callable[[int], Floats]:
    """Draw from the posteriors of items chosen at random: each point is near the reconstruction of one item.

    Raises
    ------
    UsageError
        If the model gives no standard deviations.
    """
    if latents_sd is None:
        raise UsageError(
            "`draw='jitter'` draws around items as far as the posterior's standard deviations go, and this model gives "
            "none: take another `draw`, such as moments"
        )

    def draw(n_points: int) -> Floats:
        rows = rng.integers(len(latents), size=n_points)
        drawn: Floats = latents[rows] + latents_sd[rows] * rng.standard_normal((n_points, latents.shape[1]))
        return drawn

    return draw
