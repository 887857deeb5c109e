"""Draws from a normal distribution with the data's mean and main directions."""

from __future__ import annotations

import math

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.errors import SelectionError
from rosetta.origins import Made, Recipe, Sender, check_enough, draw_points, origins
from rosetta.origins.covariance import UNITS_A_DIMENSION, effective_dimensions, normal_like
from rosetta.schemas.record import PrivacyLevel


@origins.register("moments")
def moments(sender: Sender, n_points: int, rng: np.random.Generator, taken: Array, recipe: Recipe) -> Made:
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
    if recipe.privacy != "open":
        _check_width(sender, rng, privacy=recipe.privacy)
    fitted = normal_like(sender.inputs, rng, groups=sender.groups)

    def draw(n_wanted: int) -> Floats:
        return fitted.draw(n_wanted, rng).reshape(n_wanted, *sender.inputs.shape[1:])

    return Made(draw_points(sender, n_points, taken, draw, advice="the items hardly differ"))


def _check_width(sender: Sender, rng: np.random.Generator, *, privacy: PrivacyLevel) -> None:
    """Refuse items that are so few, and vary in so many ways, that their mean alone tells who is among them."""
    n_features, n_units = math.prod(sender.inputs.shape[1:]), sender.n_units
    unit = "items" if sender.groups is None else "groups"
    advice = "Take --origin averaged, more items or coarser ones"
    if privacy == "strict" and n_units < n_features:
        raise SelectionError(
            f"{n_units:,} {unit}, and {n_features:,} numbers in an item: the mean alone can tell who is among so few, "
            f"so --privacy strict does not draw from their moments. {advice}"
        )
    needed = math.ceil(UNITS_A_DIMENSION * effective_dimensions(sender.inputs, rng))
    if n_units < needed:
        raise SelectionError(
            f"{n_units:,} {unit} that vary in so many ways at once that their mean alone tells who is among them: "
            f"about {needed:,} are needed. {advice}"
        )
