"""How near points are to items, and items to one another: exact, in blocks, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rosetta.arrays import Array, Floats, LazyArray, Picked
from rosetta.disclosure.search import Doubles, OnDone, Rows, as_rows, nearest_rows

NUMBERS_A_BLOCK = 1 << 22  # float64 numbers of differences, and of what is looked for, at a time


@dataclass(frozen=True)
class Nearest:
    """The nearest item of each point."""

    rows: Rows  # of the items, shape (n_points,)
    distances: Doubles  # Euclidean, shape (n_points,)


def nearest_items(
    points: Array, items: LazyArray, *, on_rows: Callable[[int, int], None] = lambda done, of: None
) -> Nearest:
    """Return the item nearest to each point; of items that are equally near, the first.

    Parameters
    ----------
    points : float32 array, shape (n_points, …)
        What is published.
    items : float32 array, shape (n_items, …)
        The private items.
    on_rows : callable
        Called with the numbers of points done and of all points: all are looked for at once, so that it is their
        share of the items seen.

    Notes
    -----
    The distance to what was found is computed anew from the differences, so that tiny distances are right, and 0 is
    equality of numbers.
    """
    rows = np.empty(len(points), dtype=np.intp)
    for block in _parts(len(points), points):
        rows[block] = nearest_rows(
            points[block], items, on_done=_in_points(block, items, lambda done: on_rows(done, len(points)))
        )[:, 0]
    return Nearest(rows, distances(points, items, rows))


def distances(points: LazyArray, items: LazyArray, rows: Rows) -> Doubles:
    """Return the distance of each point to the item in the row that belongs to it, shape (n_points,)."""
    found = np.empty(len(points))
    for block in _parts(len(points), points):
        gaps = as_rows(points[block]).astype(np.float64) - as_rows(items[rows[block]])
        found[block] = np.sqrt(np.einsum("ij,ij->i", gaps, gaps))
    return found


def neighbours(items: LazyArray, rows: Rows, *, n_others: int = 1, on_done: OnDone = lambda done: None) -> Rows:
    """Return the other items nearest to those in `rows`, shape (n_rows, n_others): never the item itself.

    A duplicate of the item is another item, at distance 0. `on_done` is called with the number of rows done, as in
    `nearest_items`.
    """
    found = np.empty((len(rows), n_others), dtype=np.intp)
    for block in _parts(len(rows), items):
        here, tell = rows[block], _in_points(block, items, on_done)
        found[block] = nearest_rows(items[here], items, n_others, own=here, on_done=tell)
    return found


def own_distances(items: LazyArray, rows: Rows) -> Doubles:
    """Return the distances of the items in `rows` to their nearest other items, shape (n_rows,)."""
    if not len(rows):
        return np.empty(0)
    return distances(Picked(items, rows), items, neighbours(items, rows)[:, 0])


def least_distances(rows: Floats, points: Floats, *, among_themselves: bool = False) -> Doubles:
    """Return the distance of each row to the nearest point, shape (n_rows,), as float32 has it.

    In memory, and for scores: distances far below the points' own lengths are not exact, as those of `nearest_items`
    are. With `among_themselves`, rows and points are the same, and none is its own neighbour.
    """
    centre = points.mean(axis=0, dtype=np.float64).astype(np.float32)
    numbers, columns = as_rows(rows) - centre, (as_rows(points) - centre).T
    squares = np.einsum("ij,ij->j", columns, columns)
    found = np.empty(len(numbers))
    step = max(NUMBERS_A_BLOCK // max(len(points), 1), 1)
    for start in range(0, len(numbers), step):
        block = numbers[start : start + step]
        apart = squares - 2 * (block @ columns)
        if among_themselves:
            at = np.arange(len(block))
            apart[at, start + at] = np.inf
        found[start : start + step] = apart.min(axis=1) + np.einsum("ij,ij->i", block, block)
    return np.sqrt(np.maximum(found, 0.0))


def _parts(n_rows: int, like: LazyArray) -> list[slice]:
    """Return slices of n_rows rows of as many numbers as those of `like`, so that a part fits in memory."""
    step = max(NUMBERS_A_BLOCK // max(math.prod(like.shape[1:]), 1), 1)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def _in_points(block: slice, items: LazyArray, on_done: OnDone) -> OnDone:
    """Return what takes a number of items seen for a block of points, and tells it as a number of points."""
    return lambda n_seen: on_done(block.start + (block.stop - block.start) * n_seen // len(items))
