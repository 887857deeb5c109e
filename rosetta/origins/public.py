"""Inputs that anybody may have, given by the sender and labelled by its encoder."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import SelectionError, UsageError
from rosetta.origins import PointBatch, Recipe, SenderData, new_rows, origins


@origins.register("public")
def public(sender: SenderData, n_points: int, rng: np.random.Generator, taken: Array, recipe: Recipe) -> PointBatch:
    """Choose among the public inputs by their latents, with the sender's selector.

    Raises
    ------
    UsageError
        If there are no public inputs.
    SelectionError
        If there are fewer different ones, those in `taken` left out, than points.
    """
    if sender.public is None:
        raise UsageError("public points come from a file that you may share: pass it with `points_from`")
    if sender.encode is None:
        raise UsageError("public points need a model that labels them, and there are latents only: give the model")
    inputs = sender.store(np.clip(sender.public, *sender.value_range).astype(np.float32))
    inputs = inputs[new_rows(inputs, taken)]
    if len(inputs) < n_points:
        raise SelectionError(
            f"{n_points} public points were asked for, but `points_from` has {len(inputs)} different ones left"
        )
    return PointBatch(inputs[sender.select(sender.encode(inputs), n_points, rng)])
