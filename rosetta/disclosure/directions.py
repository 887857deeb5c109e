"""Which items lie in the direction in which a mixture has to move: one pass over all, in blocks."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import LazyArray, row_blocks
from rosetta.disclosure.search import Rows, Singles, as_rows

ITEMS_A_PIECE = 4096


def best_directions(points: Singles, mixed: Singles, items: LazyArray, n_each: int, forbidden: Rows) -> Rows:
    """Return the rows of the items that the rest points towards most, by cosine.

    Parameters
    ----------
    points, mixed : float32 array, shape (n_points, n_numbers)
        What is to be reached, and the mixtures so far: the rest is the difference.
    items : float32 array, shape (n_items, …)
        Where to go.
    n_each : int
        How many rows are wanted.
    forbidden : int array, shape (n_points,)
        The row of an item that may not be used; -1 for none.

    Returns
    -------
    int array, shape (n_points, n_each) or, of fewer items, (n_points, n_items)
        The best first. Where there are no more items than that, the best stands for a forbidden one.
    """
    scores = np.full((len(points), n_each), -np.inf, dtype=np.float32)
    rows = np.full((len(points), n_each), -1, dtype=np.intp)
    cosines = _Cosines(points, mixed)
    for first, block in row_blocks(items):
        numbers = as_rows(block)
        for start in range(first, first + len(numbers), ITEMS_A_PIECE):
            found = cosines.of(numbers[start - first : start - first + ITEMS_A_PIECE])
            columns = forbidden - start
            here = np.flatnonzero((columns >= 0) & (columns < found.shape[1]))
            found[here, columns[here]] = -np.inf
            better = np.flatnonzero(found.max(axis=1) > scores[:, -1])  # few, after the first of many pieces
            scores[better], rows[better] = _merged(scores[better], rows[better], found[better], start)
    rows = rows[:, : min(n_each, len(items))]
    is_none = (rows < 0) | (rows == forbidden[:, np.newaxis])
    return np.where(is_none, rows[:, :1], rows)


class _Cosines:
    """The cosine of the angle between what each point lacks and the way from its mixture to an item."""

    def __init__(self, points: Singles, mixed: Singles) -> None:
        rest = points - mixed
        squares = np.einsum("ij,ij->i", mixed, mixed)
        offset = -np.einsum("ij,ij->i", rest, mixed)
        self.along = np.column_stack([rest, offset, np.zeros_like(offset)])
        self.squared = np.column_stack([-2 * mixed, squares, np.ones_like(squares)])
        self.least = (1e-6 * squares + 1e-30)[:, np.newaxis]

    def of(self, items: Singles) -> Singles:
        """Return them for each point and item, shape (n_points, n_items), times the length of the rest."""
        columns = np.column_stack([items, np.ones(len(items), np.float32), np.einsum("ij,ij->i", items, items)]).T
        found: Singles = self.along @ columns
        lengths = self.squared @ columns
        np.maximum(lengths, self.least, out=lengths)
        np.sqrt(lengths, out=lengths)
        found /= lengths
        return found


def _merged(scores: Singles, rows: Rows, found: Singles, first: int) -> tuple[Singles, Rows]:
    """Return the best of `scores` and `found` with their rows, each of shape (n, n_each)."""
    n_each = scores.shape[1]
    columns = np.argpartition(-found, min(n_each, found.shape[1]) - 1, axis=1)[:, :n_each]
    all_scores = np.concatenate([scores, np.take_along_axis(found, columns, axis=1)], axis=1)
    all_rows = np.concatenate([rows, columns + first], axis=1)
    best = np.argsort(-all_scores, axis=1)[:, :n_each]
    return np.take_along_axis(all_scores, best, axis=1), np.take_along_axis(all_rows, best, axis=1)
