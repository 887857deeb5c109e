"""What each group of items, such as a person's, contributes to a statistic: as much as one item may, whatever it has.

A group counts as the mean over its items. So a statistic is that of a random item of a random group, with what varies
within groups in it, and replacing a whole group moves it by no more than replacing one item where each is its own
group: the proofs stand with the sensitivities. The other way is to take at most m items of each group and count all of
those. That multiplies the noise by m, and the sum by m at most: relative to the sum, the noise is the same at best,
items beyond m are lost, and groups with fewer count less.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from rosetta.arrays import Array, Floats
from rosetta.errors import UsageError
from rosetta.privacy.lattice import ROWS, Ball

MOST_BITS = 30  # of the radius: a group's items share it, so the grid is finer than that of items


def check_groups(groups: Array | None, n_items: int) -> None:
    """Refuse groups that are not one integer from 0 for each item, none of them without items.

    Raises
    ------
    UsageError
        Says what they are.
    """
    if groups is None:
        return
    if groups.shape != (n_items,) or groups.dtype.kind not in "iu":
        raise UsageError(
            f"groups are {groups.dtype} of shape {groups.shape}; expected integers, one for each of {n_items} items"
        )
    if groups.min() < 0 or not np.bincount(groups).all():
        raise UsageError("groups are numbered from 0, each with items; found a number below 0, or one without items")
    if groups.max() < 1:
        raise UsageError("all items are of one group; at least two are needed, so that one can hide behind another")


def n_units(groups: Array | None, n_items: int) -> int:
    """Return the number of groups, or of items where each is its own."""
    return n_items if groups is None else int(groups.max()) + 1


def sums_by(keys: Array, items: Array, shares: Array, ball: Ball) -> Iterator[tuple[Array, Floats]]:
    """Yield the different keys, in order and some at a time, and of each the sum of its items in the ball times shares.

    Parameters
    ----------
    keys : int array, shape (n_items,)
        What is summed together.
    items : array, shape (n_items, n_features)
        Read about 4,096 rows at a time.
    shares : float array, shape (n_items,)
        What each counts.

    Yields
    ------
    int array, shape (n_keys,), and float64 array, shape (n_keys, n_features)
        In steps of the grid, not yet whole numbers.
    """
    order = np.argsort(keys, kind="stable")
    found, starts = np.unique(keys[order], return_index=True)
    ends = np.append(starts[1:], len(keys))
    first = 0
    while first < len(found):
        last = max(int(np.searchsorted(ends, starts[first] + ROWS, side="right")), first + 1)
        sums = np.zeros((last - first, items.shape[1]))
        for start in range(int(starts[first]), int(ends[last - 1]), ROWS):  # several, of one key that has many items
            rows = order[start : min(start + ROWS, int(ends[last - 1]))]
            place = np.searchsorted(found[first:last], keys[rows])
            weights = csr_array((shares[rows], (place, np.arange(len(rows)))), shape=(last - first, len(rows)))
            sums += weights @ ball.inside(items[rows])
        yield found[first:last], sums
        first = last
