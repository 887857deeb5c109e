"""Draws from a normal distribution with the data's mean and covariance: no item, and no crowd of items, is in them."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array, Floats, flat
from rosetta.errors import SelectionError
from rosetta.origins import Made, Recipe, Sender, draw_points, origins

LEAST_ITEMS = 10  # behind the moments
LARGEST_COVARIANCE = 4096  # features, whose covariance is formed and decomposed


@origins.register("moments")
def moments(sender: Sender, n_points: int, rng: np.random.Generator, taken: Array, recipe: Recipe) -> Made:
    """Draw inputs from N(mean, covariance) of the sender's inputs, clipped to the declared range of values.

    Raises
    ------
    SelectionError
        If there are fewer than ten items, or they hardly differ.
    """
    items = flat(sender.inputs)
    if len(items) < LEAST_ITEMS:
        raise SelectionError(
            f"the moments of {len(items)} items tell of each of them: at least {LEAST_ITEMS} are needed"
        )
    mean = items.mean(axis=0, dtype=np.float64).astype(np.float32)
    factor = factor_of(items - mean)

    def draw(n_wanted: int) -> Floats:
        drawn: Floats = mean + rng.standard_normal((n_wanted, len(factor)), dtype=np.float32) @ factor
        return drawn.reshape(n_wanted, *sender.inputs.shape[1:])

    inputs = draw_points(sender, n_points, taken, draw, advice="the items hardly differ")
    return Made(inputs)


def factor_of(centred: Floats) -> Floats:
    """Return F with FᵀF the covariance of `centred`, float32, shape (n_items, n_features).

    With fewer items than features, or too many features to form their covariance, it is the items, scaled.
    """
    n_items, n_features = centred.shape
    if n_items <= n_features or n_features > LARGEST_COVARIANCE:
        return np.asarray(centred / np.sqrt(n_items), dtype=np.float32)
    values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64) / n_items)
    return np.asarray(np.sqrt(np.maximum(values, 0))[:, None] * vectors.T, dtype=np.float32)
