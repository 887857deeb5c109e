"""From one normal distribution over the whole space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rosetta.arrays import Floats, LazyArray
from rosetta.origins.draws import draws, square_root


@draws.register("moments")
def moments(latents: LazyArray, latents_sd: LazyArray | None, rng: np.random.Generator) -> Callable[[int], Floats]:
    """Draw from N(mean, covariance) of the latents."""
    mean, root = square_root(latents)
    return lambda n_points: mean + rng.standard_normal((n_points, len(mean))) @ root
