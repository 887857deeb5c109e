"""Which rows of many are nearest to some: one pass over the many, in blocks, which may be on disk."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rosetta.arrays import Array, LazyArray, flat, row_blocks

QUERIES_A_PIECE = 512  # products of a piece, 8 MB, are looked through while they are near the processor
ITEMS_A_PIECE = 4096

Rows = npt.NDArray[np.intp]
Singles = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
OnDone = Callable[[int], None]


def as_rows(array: Array) -> Singles:
    """Return `array`, shape (n_rows, …), as float32 of shape (n_rows, n_numbers), without a copy where it can be."""
    return np.ascontiguousarray(flat(array), dtype=np.float32)


def nearest_rows(
    points: Array, items: LazyArray, n_each: int = 1, *, own: Rows | None = None, on_done: OnDone = lambda done: None
) -> Rows:
    """Return the numbers of the items nearest to each point, shape (n_points, n_each), the nearest first.

    Parameters
    ----------
    points : float32 array, shape (n_points, …)
        In memory.
    items : float32 array, shape (n_items, …)
        Read once; at least `n_each` of them, and one more with `own`.
    n_each : int
        How many are looked for; few.
    own : int array, shape (n_points,), optional
        For each point the row of an item that does not count, such as itself.
    on_done : callable
        Called with the number of items done.

    Notes
    -----
    Squares of distances are found by products of matrices of centred numbers. Products in float32 bound them from
    below, by the error of a sum of n_numbers + 8 terms; only where this bound is below the best so far, which is rare
    after the first blocks, are they computed in float64. Of equal ones, the first row is kept.
    """
    search = _Search(as_rows(points), n_each, own)
    for first, block in row_blocks(items):
        rows = as_rows(block)
        for start in range(0, len(rows), ITEMS_A_PIECE):
            search.look_at(rows[start : start + ITEMS_A_PIECE], first + start)
        on_done(first + len(rows))
    return search.rows


class _Search:
    """The best rows so far of each point."""

    def __init__(self, points: Singles, n_each: int, own: Rows | None) -> None:
        self.centre = points.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.points = points.astype(np.float64) - self.centre
        self.own = own
        self.scores = np.full((len(points), n_each), np.inf)  # squares of distances, less the point's own square
        self.rows = np.zeros((len(points), n_each), dtype=np.intp)
        self.slack = np.float32((points.shape[1] + 8) * np.finfo(np.float32).eps)
        lengths = np.linalg.norm(self.points, axis=1)
        with np.errstate(over="ignore"):
            self.bounds = np.column_stack([-2 * self.points, np.ones(len(points)), -lengths]).astype(np.float32)

    def look_at(self, items: Singles, first: int) -> None:
        """Take in items, shape (n_items, n_numbers), the first of which is in row `first`."""
        bounds = self._bounds_of(items)
        centred = squares = None
        for start in range(0, len(self.points), QUERIES_A_PIECE):
            piece = slice(start, start + QUERIES_A_PIECE)
            left = start + np.flatnonzero(self._may_be_nearer(piece, bounds, first))
            if not len(left):
                continue
            if centred is None:
                centred = items.astype(np.float64) - self.centre
                squares = np.einsum("ij,ij->i", centred, centred)
            scores = self.points[left] @ (-2 * centred.T) + squares
            self._leave_out(scores, left, first)
            self._merge(left, scores, first)

    def _bounds_of(self, items: Singles) -> Singles:
        """Return what makes a product with `self.bounds` the lower bounds of scores."""
        n_numbers = items.shape[1]
        bounds = np.empty((len(items), n_numbers + 2), dtype=np.float32)
        with np.errstate(over="ignore"):
            centred = np.subtract(items, self.centre, out=bounds[:, :n_numbers])
            squares = np.einsum("ij,ij->i", centred, centred)
            bounds[:, n_numbers] = squares * (1 - self.slack)
            bounds[:, n_numbers + 1] = 2 * self.slack * np.sqrt(squares)
        return bounds

    def _may_be_nearer(self, piece: slice, bounds: Singles, first: int) -> npt.NDArray[np.bool_]:
        worst = self.scores[piece, -1]
        if np.isinf(worst).all():
            return np.ones(len(worst), dtype=bool)
        with np.errstate(over="ignore", invalid="ignore"):
            least = self.bounds[piece] @ bounds.T
        self._leave_out(least, np.arange(piece.start, piece.start + len(worst)), first)
        return np.asarray(~(least.min(axis=1) > worst))  # so that NaN, of numbers too large, is looked at

    def _leave_out(self, scores: Array, points: Rows, first: int) -> None:
        if self.own is not None:
            columns = self.own[points] - first
            here = np.flatnonzero((columns >= 0) & (columns < scores.shape[1]))
            scores[here, columns[here]] = np.inf

    def _merge(self, points: Rows, scores: Doubles, first: int) -> None:
        """Keep the best of what was and of `scores`, shape (n, n_items), which is overwritten."""
        at = np.arange(len(points))
        all_scores, all_rows = [self.scores[points]], [self.rows[points]]
        for _ in range(min(self.scores.shape[1], scores.shape[1])):
            column = scores.argmin(axis=1)
            all_scores.append(scores[at, column][:, np.newaxis])
            all_rows.append(first + column[:, np.newaxis])
            scores[at, column] = np.inf
        candidates = np.concatenate(all_scores, axis=1)
        best = np.argsort(candidates, axis=1, kind="stable")[:, : self.scores.shape[1]]
        self.scores[points] = np.take_along_axis(candidates, best, axis=1)
        self.rows[points] = np.take_along_axis(np.concatenate(all_rows, axis=1), best, axis=1)
