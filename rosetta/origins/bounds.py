"""Between which numbers a feature lies, as far as several items, or people, share it: what fewer have is cut off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rosetta.arrays import Array, Floats, LazyArray, flat, row_blocks

SHARED = 10  # items, or groups, that must reach a number before a point may: as many as `members` by default
LEAST_SHARED = 2  # of few groups, a quarter, but never a single one
SAMPLED = 20_000  # items that bounds are taken of, at most: those of some are never wider than those of all
NUMBERS_OF_GROUPS = 1 << 26  # extremes of all groups that are held at once; of more groups, some are drawn
NUMBERS_A_BLOCK = 1 << 22
STEPS = 64  # a bound is rounded inwards by a part of the feature's width, so that it is nobody's exact number


@dataclass(frozen=True)
class Bounds:
    """The lowest and the highest number of each feature that enough items or groups reach, float32, shape (…)."""

    low: Floats
    high: Floats

    def clip(self, inputs: Array) -> Array:
        """Return `inputs`, shape (n, …), with what lies beyond the bounds pulled in."""
        return np.clip(inputs, self.low, self.high)


@dataclass(frozen=True)
class Clipped:
    """Items within bounds: a LazyArray of the same shape as the items."""

    of: LazyArray
    bounds: Bounds

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all, (n_rows, …)."""
        return self.of.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.of.ndim

    def __len__(self) -> int:
        return len(self.of)

    def __getitem__(self, rows: Array | slice) -> Array:
        """Return the rows of a slice of step 1, or of row numbers in any order."""
        return self.bounds.clip(self.of[rows])


def n_sharing(n_units: int) -> int:
    """Return how many of `n_units` items or groups must reach a number: ten, of fewer than 40 a quarter."""
    return min(SHARED, max(n_units // 4, LEAST_SHARED))


def common_bounds(inputs: LazyArray, groups: Array | None, rng: np.random.Generator) -> Bounds:
    """Return the k-th smallest and k-th largest number of each feature, k being `n_sharing`, rounded inwards.

    A mark that fewer than k items carry, where other items are blank, is outside the bounds, and so is a gene that
    fewer than k cells express.

    Parameters
    ----------
    inputs : float32 array, shape (n_items, …)
        In memory or on disk, read once. Of more than 20,000 items, as many are drawn at random.
    groups : int array, shape (n_items,), optional
        Whose each item is, from 0: k then counts groups, each of which stands with its own largest and smallest number.
    rng : numpy.random.Generator
        Draws the sample.
    """
    if groups is None:
        lowest, highest = _extremes(inputs, _sample(len(inputs), SAMPLED, rng))
    else:
        lowest, highest = _extremes_of_groups(inputs, groups, rng)
    low, high = lowest.max(axis=0), highest.min(axis=0)
    low, high = _inwards(np.minimum(low, high), np.maximum(low, high))
    return Bounds(low.reshape(inputs.shape[1:]), high.reshape(inputs.shape[1:]))


def _sample(n_rows: int, n_most: int, rng: np.random.Generator) -> Array:
    return np.arange(n_rows) if n_rows <= n_most else np.sort(rng.choice(n_rows, n_most, replace=False))


def _extremes(inputs: LazyArray, rows: Array) -> tuple[Array, Array]:
    """Return the k smallest and the k largest numbers of each feature, both of shape (k, n_features)."""
    k = n_sharing(len(rows))
    lowest = highest = flat(inputs[rows[:0]])
    step = max(NUMBERS_A_BLOCK // max(lowest.shape[1], 1), k)
    for start in range(0, len(rows), step):
        block = flat(inputs[rows[start : start + step]])
        lowest, highest = np.concatenate([lowest, block]), np.concatenate([highest, block])
        if len(lowest) > k:
            lowest = np.partition(lowest, k - 1, axis=0)[:k]
            highest = np.partition(highest, len(highest) - k, axis=0)[-k:]
    return lowest, highest


def _extremes_of_groups(inputs: LazyArray, groups: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the k smallest and the k largest of the groups' own extremes, both of shape (k, n_features)."""
    n_features, n_groups = int(np.prod(inputs.shape[1:])), int(groups.max()) + 1
    chosen = _sample(n_groups, max(NUMBERS_OF_GROUPS // max(n_features, 1), 4 * SHARED), rng)
    place = np.full(n_groups, -1)
    place[chosen] = np.arange(len(chosen))
    lowest = np.full((len(chosen), n_features), np.inf, dtype=np.float32)
    highest = -lowest
    for start, block in row_blocks(inputs):
        at = place[groups[start : start + len(block)]]
        order = np.argsort(at, kind="stable")[np.count_nonzero(at < 0) :]
        if not len(order):
            continue
        here, first = np.unique(at[order], return_index=True)
        numbers = flat(block)[order]
        lowest[here] = np.minimum(lowest[here], np.minimum.reduceat(numbers, first, axis=0))
        highest[here] = np.maximum(highest[here], np.maximum.reduceat(numbers, first, axis=0))
    present = np.isfinite(lowest).all(axis=1)  # a number of a group that has no rows here stands for nobody
    lowest, highest = lowest[present], highest[present]
    k = n_sharing(len(lowest))
    return np.partition(lowest, k - 1, axis=0)[:k], np.partition(highest, len(highest) - k, axis=0)[-k:]


def _inwards(low: Array, high: Array) -> tuple[Floats, Floats]:
    """Round bounds to a grid of each feature's own width, the lower one up and the upper one down.

    The grid is a power of two, so that the width is no exact number either. A feature whose bounds meet keeps the
    number: nearly all items have it.
    """
    width = high.astype(np.float64) - low
    with np.errstate(divide="ignore"):
        grid = np.exp2(np.floor(np.log2(np.where(width > 0, width, 1.0) / STEPS)))
    up, down = np.ceil(low / grid) * grid, np.floor(high / grid) * grid
    return (
        np.where(width > 0, up, low).astype(np.float32),
        np.where(width > 0, down, high).astype(np.float32),
    )
