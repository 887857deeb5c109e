"""Draws from a normal distribution with the data's mean and covariance: no item, and no crowd of items, is in them."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array, Floats, LazyArray, flat, row_blocks
from rosetta.errors import SelectionError
from rosetta.origins import Made, Recipe, Sender, draw_points, origins

LEAST_ITEMS = 10  # behind the moments
LARGEST_COVARIANCE = 4096  # features, whose covariance is formed and decomposed; of more, as many items stand for it


@origins.register("moments")
def moments(sender: Sender, n_points: int, rng: np.random.Generator, taken: Array, recipe: Recipe) -> Made:
    """Draw inputs from N(mean, covariance) of the sender's inputs, clipped to the declared range of values.

    With more than 4,096 features, the covariance is that of a random sample of 4,096 items, where there are more.

    Raises
    ------
    SelectionError
        If there are fewer than ten items, or they hardly differ.
    """
    n_items = len(sender.inputs)
    if n_items < LEAST_ITEMS:
        raise SelectionError(f"the moments of {n_items} items tell of each of them: at least {LEAST_ITEMS} are needed")
    exact = mean_of(sender.inputs)
    mean, n_features = exact.astype(np.float32), len(exact)
    if n_features < n_items and n_features <= LARGEST_COVARIANCE:
        factor = np.asarray(root_of(covariance_of(sender.inputs, exact)), dtype=np.float32)
    else:
        rows = slice(None) if n_items <= LARGEST_COVARIANCE else np.sort(rng.permutation(n_items)[:LARGEST_COVARIANCE])
        factor = factor_of(flat(sender.inputs[rows]) - mean)

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
    return np.asarray(root_of((centred.T @ centred).astype(np.float64) / n_items), dtype=np.float32)


def root_of(covariance: Floats) -> Floats:
    """Return F with FᵀF the covariance, both float64, shape (n_features, n_features)."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(np.sqrt(np.maximum(values, 0))[:, None] * vectors.T)


def mean_of(array: LazyArray) -> Floats:
    """Return the mean of rows, shape (n_rows, …), in memory or on disk: float64, shape (n_features,)."""
    total = sum(flat(block).sum(axis=0, dtype=np.float64) for _, block in row_blocks(array))
    return np.asarray(total / len(array))


def covariance_of(array: LazyArray, mean: Floats) -> Floats:
    """Return the covariance of rows, shape (n_rows, …), around `mean`: float64, shape (n_features, n_features)."""
    total = np.zeros((len(mean), len(mean)))
    for _, block in row_blocks(array):
        centred = flat(block).astype(np.float64) - mean
        total += centred.T @ centred
    return total / len(array)
