"""The paper's points: items of the sender's data (R-VAE paper, §3)."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array
from rosetta.origins import Made, Recipe, Sender, new_rows, origins


@origins.register("observed")
def observed(sender: Sender, n_points: int, rng: np.random.Generator, taken: Array, recipe: Recipe) -> Made:
    """Choose items by their latents with the sender's selector; copies of an item count once.

    Raises
    ------
    SelectionError
        If there are fewer different items, those in `taken` left out, than points.
    """
    rows = new_rows(sender.inputs, taken)
    chosen = sender.select(sender.latents[rows], n_points, rng)
    return Made(sender.inputs[rows[chosen]], {"members": 1})
