"""Means of items that fall into the same cell, with differential privacy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from rosetta.arrays import Array, Floats
from rosetta.errors import UsageError
from rosetta.privacy.accounts import account_of
from rosetta.privacy.groups import MOST_BITS as GROUP_BITS
from rosetta.privacy.groups import check_groups, n_units, sums_by
from rosetta.privacy.lattice import MOST_BITS, Ball, check_range, grid_bits, half_diagonal, pulled_in
from rosetta.privacy.mechanism import add_noise, check_budget, noise_multiplier
from rosetta.schemas.audit import PrivacyAccount


@dataclass(frozen=True)
class PrivateMeans:
    """Noisy means of the cells that have enough items: whatever is made from them spends nothing more."""

    means: Floats  # float64, shape (n_kept, n_features), in the declared range
    counts: Floats  # noisy numbers of items, float64, shape (n_kept,)
    account: PrivacyAccount


def private_means(
    items: Array,
    cells: Array,
    *,
    n_cells: int,
    low: float,
    high: float,
    epsilon: float,
    delta: float,
    least: float,
    norm_bound: float | None = None,
    groups: Array | None = None,
) -> PrivateMeans:
    """Return the means of cells of items, (epsilon, delta)-differentially private for the replacing of one item.

    With groups, the guarantee is for the replacing of one group, with all its items. A group counts 1 in all, divided
    among the cells as its items are: a cell with a count of 10 has ten groups at least.

    Parameters
    ----------
    items : array, shape (n_items, n_features)
        Finite numbers from `low` to `high`.
    cells : int array, shape (n_items,)
        The cell of each item, 0 to n_cells − 1. What the cells are must not depend on the items: the nearest of
        latents that were drawn from the prior, for example.
    n_cells : int
        How many there are.
    low, high : float
        Range of values, known without looking at the data.
    epsilon, delta : float
        The guarantee.
    least : float
        Cells with a noisy count below this are left out: a mean of so few items would be noise.
    norm_bound : float, optional
        Distance from the middle of the range, in the items' units, chosen without looking at the data. Items farther
        out are pulled in. By default the distance to the range's corners, which holds all.
    groups : int array, shape (n_items,), optional
        Whose each item is, from 0 without gaps.

    Returns
    -------
    PrivateMeans
        In the order of the cells; none, if no cell has enough items.

    Raises
    ------
    UsageError
        For a range, bound, epsilon, delta, number of cells, least count or groups that cannot be.
    SourceError
        For items outside of the range.
    MissingExtraError
        If the library that makes the noise is not installed.
    """
    check_budget(epsilon, delta)
    check_range(items, low=low, high=high, norm_bound=norm_bound)
    _check_cells(cells, len(items), n_cells, least)
    check_groups(groups, len(items))
    middle = np.full(items.shape[1], (low + high) / 2)
    radius = half_diagonal(items.shape[1], low, high) if norm_bound is None else norm_bound
    most = MOST_BITS if groups is None else GROUP_BITS
    ball = Ball(middle, radius, grid_bits(n_units(groups, len(items)), power=1, factor=1, most=most))
    sd = noise_multiplier(epsilon, delta) * cell_sensitivity(ball.bits)
    noisy = add_noise(cell_sums(items, cells, ball, n_cells=n_cells, groups=groups), sd=sd)
    sums, counts = noisy[:, :-1] * ball.step, noisy[:, -1] / 2**ball.bits
    kept = counts >= least
    means = np.clip(middle + sums[kept] / counts[kept, None], low, high)
    noise_sds = {"sums": sd * ball.step, "counts": sd / 2**ball.bits}
    account = account_of(
        "averaged", epsilon=epsilon, delta=delta, norm_bound=radius, noise_sds=noise_sds, of_groups=groups is not None
    )
    return PrivateMeans(means, counts[kept], account)


def cell_sensitivity(bits: int) -> float:
    """Return how far one item in a ball of radius R = 2 ** bits moves all sums and counts together: 2 R.

    If the new item y is in the cell of the old one x, that cell's sum moves by ‖x − y‖ ≤ 2 R, and no count. Else two
    sums move by ‖x‖ and ‖y‖, and two counts by 1 each; counted in units of R, that is √(R² + R² + R² + R²) = 2 R.

    A group contributes to each cell c a count k(c) and a sum s(c) with ‖s(c)‖ ≤ k(c), where Σ k(c) ≤ R; another group
    l(c) and t(c). The squares of the first are Σ (‖s‖² + k²) ≤ 2 Σ k² ≤ 2 R², and so are those of the second. Their
    inner product Σ (s·t + k l) is not below 0, as s·t ≥ −k l. Hence replacing one by the other moves all by
    √(2 R² + 2 R²) = 2 R at most again.
    """
    return 2.0 ** (bits + 1)


def cell_sums(items: Array, cells: Array, ball: Ball, *, n_cells: int, groups: Array | None = None) -> Floats:
    """Return each cell's sum of items and, in the last column, its number of items times the ball's radius.

    With groups, an item of a group of n counts 1 / n.

    Returns
    -------
    float64 array, shape (n_cells, n_features + 1)
        Whole numbers, in steps of the grid.
    """
    if groups is not None:
        return _sums_of_groups(items, cells, ball, groups, n_cells=n_cells)
    sums = np.zeros((n_cells, items.shape[1]))
    for rows, block in ball.blocks(items):
        n_rows = len(block)
        membership = csr_array((np.ones(n_rows), (cells[rows], np.arange(n_rows))), shape=(n_cells, n_rows))
        sums += membership @ block
    counts = np.bincount(cells, minlength=n_cells) * 2.0**ball.bits
    return np.column_stack([sums, counts])


def _sums_of_groups(items: Array, cells: Array, ball: Ball, groups: Array, *, n_cells: int) -> Floats:
    """Return what groups contribute to cells: in each, a sum that is not longer than the count beside it."""
    sizes = np.bincount(groups)
    keys = groups.astype(np.int64) * n_cells + cells
    pairs, n_each = np.unique(keys, return_counts=True)
    counts = (n_each << ball.bits) // sizes[pairs // n_cells]  # in integers: those of a group never exceed the radius
    sums, n_done = np.zeros((n_cells, items.shape[1] + 1)), 0
    for found, block in sums_by(keys, items, 1 / sizes[groups], ball):
        count = counts[n_done : n_done + len(found)].astype(np.float64)
        n_done += len(found)
        whole = np.column_stack([np.trunc(pulled_in(block, count)), count])
        np.add.at(sums, found % n_cells, whole)
    return sums


def _check_cells(cells: Array, n_items: int, n_cells: int, least: float) -> None:
    if n_cells < 1:
        raise UsageError(f"n_cells is {n_cells}; expected at least 1")
    if not (np.isfinite(least) and least > 0):
        raise UsageError(f"the least count of a cell is {least:g}; expected a number above 0")
    if cells.shape != (n_items,) or cells.dtype.kind not in "iu":
        raise UsageError(
            f"cells are {cells.dtype} of shape {cells.shape}; expected integers, one for each of {n_items}"
        )
    if cells.min() < 0 or cells.max() >= n_cells:
        raise UsageError(f"cells range from {cells.min()} to {cells.max()}; expected 0 to {n_cells - 1}")
