"""How near points are to items, and items to one another: exact, in blocks, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from rosetta.arrays import Array, flat

N_SAMPLED = 5000  # items whose own nearest neighbours are looked for: enough for a median and the farthest 5 %
ROWS_A_BLOCK = 1024  # rows held against all items at a time
NUMBERS_A_BLOCK = 1 << 22  # float64 numbers of differences at a time
RARE = 0.05  # the share of items, farthest from all others, that counts as rare

Rows = npt.NDArray[np.intp]
Doubles = npt.NDArray[np.float64]
OnDone = Callable[[int], None]


@dataclass(frozen=True)
class Nearest:
    """The nearest item of each point."""

    rows: Rows  # of the items, shape (n_points,)
    distances: Doubles  # Euclidean, shape (n_points,)


@dataclass(frozen=True)
class Spacing:
    """How far items are from their nearest other ones, known from a random sample of them."""

    sample: Rows  # the items looked at, shape (n_sampled,)
    own: Doubles  # their distances to their nearest other items, shape (n_sampled,)
    typical: float  # the median of these; of the positive ones, if it would be 0; 0 if none is positive
    rare_from: float  # beyond this distance, an item is rare
    has_many_duplicates: bool  # whether at least half of the items come up twice
    chance: float | None  # share of items that would be near copies of another, had they been left out


def nearest_items(
    points: Array, items: Array, *, on_rows: Callable[[int, int], None] = lambda done, of: None
) -> Nearest:
    """Return the item nearest to each point.

    Parameters
    ----------
    points : float32 array, shape (n_points, …)
        What is published.
    items : float32 array, shape (n_items, …)
        The private items.
    on_rows : callable
        Called with the numbers of points done and of all points.

    Notes
    -----
    Found by products of matrices in float64; the distance to what was found is computed anew from the differences, so
    that tiny distances are right, and 0 is equality of numbers.
    """
    queries, found = as_rows(points), as_rows(items)
    index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(found)
    rows = np.empty(len(queries), dtype=np.intp)
    for start in range(0, len(queries), ROWS_A_BLOCK):
        block = slice(start, start + ROWS_A_BLOCK)
        rows[block] = index.kneighbors(queries[block], return_distance=False)[:, 0]
        on_rows(min(start + ROWS_A_BLOCK, len(queries)), len(queries))
    return Nearest(rows, distances(queries, found, rows))


def as_rows(array: Array) -> npt.NDArray[np.float32]:
    """Return `array`, shape (n_rows, …), as float32 of shape (n_rows, n_numbers), without a copy where it can be."""
    return np.ascontiguousarray(flat(array), dtype=np.float32)


def distances(points: Array, items: Array, rows: Rows) -> Doubles:
    """Return the distance of each point to the item in the row that belongs to it, shape (n_points,)."""
    found = np.empty(len(points))
    step = max(NUMBERS_A_BLOCK // max(points.shape[1], 1), 1)
    for start in range(0, len(points), step):
        block = slice(start, start + step)
        gaps = points[block].astype(np.float64) - items[rows[block]]
        found[block] = np.sqrt(np.einsum("ij,ij->i", gaps, gaps))
    return found


def spacing_of(items: Array, rng: np.random.Generator, *, on_done: OnDone = lambda done: None) -> Spacing:
    """Return how far items are from one another, from at most 5,000 of them held against all.

    Parameters
    ----------
    items : float32 array, shape (n_items, …)
        At least two.
    rng : numpy.random.Generator
        Draws the sample.
    on_done : callable
        Called with the number of sampled items done.
    """
    known = as_rows(items)
    sample = np.sort(rng.permutation(len(known))[:N_SAMPLED])
    others = neighbours(known, sample, n_others=min(2, len(known) - 1), on_done=on_done)
    own = distances(known[sample], known, others[:, 0])
    positive = own[own > 0]
    typical = float(np.median(own))
    many = typical == 0
    if many:
        typical = float(np.median(positive)) if len(positive) else 0.0
    chance = _chance(known, sample, others, own) if len(known) > 2 else None
    return Spacing(sample, own, typical, float(np.quantile(own, 1 - RARE)), many, chance)


def neighbours(
    items: npt.NDArray[np.float32], rows: Rows, *, n_others: int = 1, on_done: OnDone = lambda done: None
) -> Rows:
    """Return the other items nearest to those in `rows`, shape (n_rows, n_others): never the item itself.

    A duplicate of the item is another item, at distance 0.
    """
    index = NearestNeighbors(n_neighbors=n_others + 1, algorithm="brute").fit(items)
    found = np.empty((len(rows), n_others), dtype=np.intp)
    for start in range(0, len(rows), ROWS_A_BLOCK):
        block = slice(start, start + ROWS_A_BLOCK)
        near = index.kneighbors(items[rows[block]], return_distance=False)
        is_itself = near == rows[block, np.newaxis]
        is_itself[~is_itself.any(axis=1), -1] = True  # hidden by its duplicates: the last is one too many
        found[block] = near[~is_itself].reshape(-1, n_others)
        on_done(min(start + ROWS_A_BLOCK, len(rows)))
    return found


def own_distances(items: Array, rows: Rows) -> Doubles:
    """Return the distances of the items in `rows` to their nearest other items, shape (n_rows,)."""
    known = as_rows(items)
    if not len(rows):
        return np.empty(0)
    return distances(known[rows], known, neighbours(known, rows)[:, 0])


def _chance(items: npt.NDArray[np.float32], sample: Rows, others: Rows, own: Doubles) -> float:
    """Return the share of sampled items nearer to another than half that one's distance to the rest.

    That is how often an honest new item, which nobody copied, looks like a near copy.
    """
    first, second = others[:, 0], others[:, 1]
    may_be = distances(items[first], items, second) > 2 * own  # else the second neighbour is near enough already
    if not may_be.any():
        return 0.0
    near = neighbours(items, first[may_be], n_others=2)
    rest = np.where(near[:, 0] == sample[may_be], near[:, 1], near[:, 0])
    apart = distances(items[first[may_be]], items, rest)
    return float((apart > 2 * own[may_be]).sum() / len(sample))
