"""Draws from a normal distribution with the data's mean and main directions."""

from __future__ import annotations

import math

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.errors import SelectionError
from rosetta.origins import PointBatch, Recipe, SenderData, check_enough, check_width, draw_points, origins
from rosetta.origins.covariance import normal_like


@origins.register("moments")
def moments(sender: SenderData, n_points: int, rng: np.random.Generator, taken: Array, recipe: Recipe) -> PointBatch:
    """Draw inputs from a normal distribution fitted to the sender's, clipped to the declared range of values.

    It has the items' mean and variances, and their covariance along as many directions as there are fifty items for;
    where there are ten items for each number in an item, along all; in either case along those only in which items that
    were kept out vary as much (`rosetta.origins.covariance`).

    Raises
    ------
    SelectionError
        If there are fewer than a hundred items, or they hardly differ; below ``open``, if there are fewer than twice as
        many as directions along which they vary; under ``strict``, if there are fewer items than numbers in an item.
    """
    check_enough(sender, "moments", recipe)
    check_width(sender, rng, recipe)
    n_features = math.prod(sender.inputs.shape[1:])
    if recipe.privacy == "strict" and sender.n_units < n_features:
        raise SelectionError(
            f"{sender.n_units:,} {sender.unit}, and {n_features:,} numbers in an item: the mean alone can tell who is "
            "among so few, so `privacy='strict'` does not draw from their moments. Take `origin='averaged'`, more "
            "items or coarser ones"
        )
    fitted = normal_like(sender.inputs, rng, groups=sender.groups)

    def draw(n_wanted: int) -> Floats:
        return fitted.draw(n_wanted, rng).reshape(n_wanted, *sender.inputs.shape[1:])

    return PointBatch(draw_points(sender, n_points, taken, draw, advice="the items hardly differ"))
