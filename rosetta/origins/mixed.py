"""Convex mixtures of a few items: data that nobody recorded, though a mixture of few can be taken apart again."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.errors import SelectionError
from rosetta.origins import Figures, PointBatch, Recipe, SenderData, draw_points, origins


@origins.register("mixed")
def mixed(sender: SenderData, n_points: int, rng: np.random.Generator, taken: Array, recipe: Recipe) -> PointBatch:
    """Mix `recipe.mix` different items, drawn at random, with weights from the flat Dirichlet distribution.

    Where the sender has groups, these are drawn, all different, and an item of each.

    Raises
    ------
    SelectionError
        If there are fewer items, or groups, than go into a mixture, or all mixtures are the same.
    """
    n_items = len(sender.inputs)
    n_units, unit = (n_items, "items") if sender.groups is None else (int(sender.groups.max()) + 1, "groups")
    if n_units < recipe.mix:
        raise SelectionError(f"`mix` is {recipe.mix}, but there are only {n_units} {unit} to mix")

    def draw(n_wanted: int) -> Floats:
        rows = _different(rng, n_units, n_wanted, recipe.mix)
        if sender.groups is not None:
            rows = _item_of_each(rng, rows, sender.groups)
        shares = rng.dirichlet(np.ones(recipe.mix), size=n_wanted).astype(np.float32)
        shares = shares.reshape(n_wanted, recipe.mix, *[1] * (sender.inputs.ndim - 1))
        points = np.zeros((n_wanted, *sender.inputs.shape[1:]), dtype=np.float32)
        for part in range(recipe.mix):  # one item of each mixture at a time: memory does not grow with their number
            points += shares[:, part] * sender.inputs[rows[:, part]]
        return points

    inputs = draw_points(sender, n_points, taken, draw, advice="the items hardly differ")
    figures: Figures = {"members": recipe.mix}
    return PointBatch(inputs, figures if sender.groups is None else {**figures, "unit": "group"})


def _item_of_each(rng: np.random.Generator, drawn: Array, groups: Array) -> Array:
    """Return the number of a random item of each of the groups that were drawn, in the shape of `drawn`."""
    items, sizes = np.argsort(groups, kind="stable"), np.bincount(groups)
    starts = np.cumsum(sizes) - sizes
    return np.asarray(items[starts[drawn] + rng.integers(sizes[drawn])])


def _different(rng: np.random.Generator, n_items: int, n_rows: int, n_each: int) -> Array:
    """Return item numbers, shape (n_rows, n_each), all different within a row."""
    rows = rng.integers(n_items, size=(n_rows, n_each))
    while len(again := np.flatnonzero((np.diff(np.sort(rows, axis=1), axis=1) == 0).any(axis=1))):
        if n_each > n_items // 2:
            rows[again] = [rng.permutation(n_items)[:n_each] for _ in again]
        else:
            rows[again] = rng.integers(n_items, size=(len(again), n_each))
    return rows
