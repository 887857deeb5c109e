"""Draws from a normal distribution with the data's mean and main directions."""

from __future__ import annotations

import math

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.errors import SelectionError
from rosetta.origins import Made, Recipe, Sender, check_enough, draw_points, origins
from rosetta.origins.covariance import normal_like


@origins.register("moments")
def moments(sender: Sender, n_points: int, rng: np.random.Generator, taken: Array, recipe: Recipe) -> Made:
    """Draw inputs from a normal distribution fitted to the sender's, clipped to the declared range of values.

    It has the items' mean and variances, and their covariance along as many directions as there are fifty items for;
    where there are ten items for each number in an item, their whole covariance (`rosetta.origins.covariance`).

    Raises
    ------
    SelectionError
        If there are fewer than a hundred items, or they hardly differ; under ``strict``, if there are fewer items than
        numbers in an item.
    """
    check_enough(sender, "moments", recipe)
    n_features = math.prod(sender.inputs.shape[1:])
    if recipe.privacy == "strict" and sender.n_units < n_features:
        raise SelectionError(
            f"{sender.n_units:,} items of {n_features:,} numbers each: the mean alone can tell who is among so few, so "
            "--privacy strict does not draw from their moments. Take --origin averaged, more items or coarser ones"
        )
    fitted = normal_like(sender.inputs, rng, n_units=sender.n_units)

    def draw(n_wanted: int) -> Floats:
        return fitted.draw(n_wanted, rng).reshape(n_wanted, *sender.inputs.shape[1:])

    return Made(draw_points(sender, n_points, taken, draw, advice="the items hardly differ"))
