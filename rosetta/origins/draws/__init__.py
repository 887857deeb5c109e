"""How the latents of decoded points are drawn, one file for each way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rosetta.arrays import Floats
from rosetta.registry import Registry

# (latents and their standard deviations, both (n_items, n_dims), random numbers) → number of points → their latents
Draw = Callable[[Floats, Floats, np.random.Generator], Callable[[int], Floats]]

draws: Registry[Draw] = Registry("draw", "rosetta.origins.draws")


def square_root(latents: Floats) -> tuple[Floats, Floats]:
    """Return the mean, shape (n_dims,), and F with FᵀF the covariance, shape (n_dims, n_dims), float64."""
    centred = latents.astype(np.float64) - latents.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(latents))
    return latents.mean(axis=0, dtype=np.float64), np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
