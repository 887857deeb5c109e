"""Two bundles of one data set: what their means, covariances and constants tell of the items that one of them lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from rosetta.arrays import Floats
from rosetta.disclosure.rare import FEWER
from rosetta.disclosure.search import Doubles
from rosetta.schemas.audit import Finding

NAME = "comparison with an earlier bundle"
PLAUSIBLE = 0.999  # of items lie nearer to the middle: an estimate beyond is rounding error
LARGEST_Z = 3.0  # standard deviations (RMS over features) within which a difference of constants can be an item
LEAST_MOVE = 1e-3  # standard deviations: an item lies farther from the mean, in most numbers
SHARE_OF_FIRST = 0.9  # of the difference of covariances, that one item alone explains


@dataclass(frozen=True)
class Statistics:
    """What a bundle tells beside its points."""

    name: str  # of the bundle, in messages
    n_items: int | None
    mean: Floats | None  # of the space, shape (n_dims,)
    covariance: Floats | None  # of the space, shape (n_dims, n_dims)
    constants: Mapping[str, tuple[Floats, Floats]]  # by step: means and scales of features, each shape (n_features,)


def compare_bundles(now: Statistics, before: Statistics) -> Finding:
    """Return whether the difference of two bundles gives items that only one of them was made from.

    Notes
    -----
    A mean times its number of items is a sum. If the bundles differ by few items, the difference of the sums is the sum
    of these; of one withdrawn item, it is the item. Whether it is one cannot be looked up, as the item may be gone: an
    estimate counts if it lies where items lie. With rounded numbers the difference is rounding error times the number
    of items, which lies far outside, or is nothing at all.
    """
    told = _told(now, before)
    return Finding(
        attack=NAME, knows="earlier bundles", what="estimates of items that only one of the bundles was made from",
        n_tried=3, n_found=len(told), verdict="close to items" if told else None,
        reason=(
            f"together with {before.name}, {' and '.join(told)} of the items that only one of them was made from"
            if told
            else f"together with {before.name}, no item could be computed: {_why(now, before)}"
        ),
    )  # fmt: skip


def _told(now: Statistics, before: Statistics) -> list[str]:
    if now.n_items is None or before.n_items is None or abs(before.n_items - now.n_items) >= FEWER:
        return []
    counts = before.n_items, now.n_items
    told = []
    if now.mean is not None and before.mean is not None and now.covariance is not None:
        estimate, n_behind = _difference(before.mean, now.mean, *counts)
        if _lies_among(estimate, n_behind, now.mean, now.covariance, is_change=counts[0] == counts[1]):
            told.append("the means of the spaces give the latent")
        if before.covariance is not None and abs(counts[0] - counts[1]) == 1:
            first, second = (
                n * _second_moment(mean, covariance)
                for n, mean, covariance in (
                    (counts[0], before.mean, before.covariance), (counts[1], now.mean, now.covariance),
                )
            )  # fmt: skip
            if _is_of_one((first - second) * (counts[0] - counts[1]), now.mean, now.covariance):
                told.append("the covariances of the spaces give the latent")
    for step, (means, scales) in now.constants.items():
        if step not in before.constants or before.constants[step][0].shape != means.shape:
            continue
        estimate, _ = _difference(before.constants[step][0], means, *counts)
        centred = estimate if counts[0] == counts[1] else estimate - means
        varies = scales > 0
        z = centred[varies] / scales[varies]
        if _moves(centred[varies], scales[varies]) and np.sqrt((z**2).mean()) < LARGEST_Z:
            told.append(f"the constants of the step {step} give the numbers")
    return told


def _difference(before: Floats, now: Floats, n_before: int, n_now: int) -> tuple[Doubles, int]:
    """Return the mean of the items that make the difference, or their sum where as many came as went, and how many."""
    total = n_before * before.astype(np.float64) - n_now * now.astype(np.float64)
    n_apart = n_before - n_now
    return (total / n_apart if n_apart else total), max(abs(n_apart), 1)


def _lies_among(estimate: Doubles, n_behind: int, mean: Floats, covariance: Floats, *, is_change: bool) -> bool:
    """Return whether an estimate lies where the mean of a few items, or the difference of two, can lie."""
    gap = estimate if is_change else estimate - mean
    if not _moves(gap, np.sqrt(np.diag(covariance))):
        return False
    spread = covariance.astype(np.float64) * (2.0 if is_change else 1.0 / n_behind)
    distance = float(gap @ np.linalg.pinv(spread, hermitian=True) @ gap)
    return distance < float(chi2.ppf(PLAUSIBLE, len(gap)))


def _moves(gap: Doubles, scales: Floats) -> bool:
    """Return whether an estimate is not just the mean again, as it is where both were rounded to the same numbers."""
    return len(gap) > 0 and bool((np.abs(gap) > LEAST_MOVE * scales).mean() > 0.5)


def _second_moment(mean: Floats, covariance: Floats) -> Doubles:
    return np.asarray(covariance.astype(np.float64) + np.outer(mean, mean))


def _is_of_one(moment: Doubles, mean: Floats, covariance: Floats) -> bool:
    """Return whether a difference of sums of squares is that of one item, up to its sign."""
    values, vectors = np.linalg.eigh(moment)
    if values[-1] <= 0 or values[-1] / np.abs(values).sum() < SHARE_OF_FIRST:
        return False
    found = np.sqrt(values[-1]) * vectors[:, -1]
    return any(_lies_among(sign * found, 1, mean, covariance, is_change=False) for sign in (1, -1))


def _why(now: Statistics, before: Statistics) -> str:
    if now.n_items is None or before.n_items is None:
        return "their numbers of items are not told"
    if abs(before.n_items - now.n_items) >= FEWER:
        return f"they tell of {before.n_items:,} and {now.n_items:,} items, too many apart"
    return "the differences of their means and constants lie where no items lie, or are not there"
