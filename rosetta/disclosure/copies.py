"""Copies and near copies of items among points, and the rare items that they expose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rosetta.arrays import LazyArray, Picked
from rosetta.disclosure.nearest import Nearest, nearest_items, own_distances
from rosetta.disclosure.search import Doubles, Rows
from rosetta.disclosure.spacing import Spacing

COPY = 0.02  # typical distances: what storage in 256 levels leaves between an item and itself is well below
NEAR = 0.5  # of an item's own distance to its nearest other one

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Copies:
    """What each point is to its nearest item."""

    is_copy: Flags  # number for number, or as near as rounding leaves it; shape (n_points,)
    is_near: Flags  # no copy, but nearer than half the item's own distance; shape (n_points,)
    is_of_rare: Flags  # whether the nearest item is a rare one; told where one of the others is; shape (n_points,)


def find_copies(nearest: Nearest, spacing: Spacing, items: LazyArray) -> Copies:
    """Return which points are copies or near copies, and of rare items.

    Parameters
    ----------
    nearest : Nearest
        Of the points.
    spacing : Spacing
        Of the items.
    items : float32 array, shape (n_items, …)
        The private items.
    """
    is_copy = nearest.distances <= COPY * spacing.typical
    found, place = np.unique(nearest.rows, return_inverse=True)
    most = _most_own(found, spacing, items)[place]
    may_be_near = ~is_copy & (nearest.distances < NEAR * most)
    wanted = may_be_near | (is_copy & (most > spacing.rare_from))
    own = np.zeros(len(found))
    looked_at = np.unique(place[wanted])
    own[looked_at] = _own(found[looked_at], spacing, items)
    is_near = may_be_near & (nearest.distances < NEAR * own[place])
    return Copies(is_copy, is_near, (is_copy | is_near) & (own[place] > spacing.rare_from))


def _most_own(rows: Rows, spacing: Spacing, items: LazyArray) -> Doubles:
    """Return no less than the own distances of items, from the sample alone: few then need a look at all items."""
    at = np.searchsorted(spacing.sample, rows).clip(max=len(spacing.sample) - 1)
    in_sample = spacing.sample[at] == rows
    most = np.empty(len(rows))
    most[in_sample] = spacing.own[at[in_sample]]
    if not in_sample.all():
        most[~in_sample] = nearest_items(items[rows[~in_sample]], Picked(items, spacing.sample)).distances
    return most


def _own(rows: Rows, spacing: Spacing, items: LazyArray) -> Doubles:
    if len(spacing.sample) == len(items):  # the sample is sorted, and holds all
        return spacing.own[rows]
    return own_distances(items, rows)
