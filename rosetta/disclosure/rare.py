"""Features that fewer than ten items have, such as a mark in a corner, and the points that show them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, binom

from rosetta.arrays import LazyArray, row_blocks
from rosetta.disclosure.attacks import Codes
from rosetta.disclosure.search import Rows, Singles, as_rows
from rosetta.schemas.audit import Finding
from rosetta.schemas.manifest import OriginName

NAME = "rare features"
FEWER = 10  # items, or groups: official statistics publish no cell with fewer people behind it
GAP = 0.25  # of a feature's range, by which the few must stand out from the others
LARGEST_P_VALUE = 0.01  # for all features together
MIN_CONFIDENCE = 0.999  # of the share of new items that would be as far out


@dataclass(frozen=True)
class RareFeatures:
    """Where fewer than ten items, or groups, lie apart from all others."""

    features: Rows  # numbers of the features, shape (n_rare,)
    signs: Singles  # 1 where the few lie above all others, -1 below; shape (n_rare,)
    from_: Singles  # value times sign beyond which a number shows the feature, shape (n_rare,)
    n_units: int  # items, or groups

    def shown(self, points: Singles) -> np.ndarray:
        """Return how many points, shape (n_points, n_numbers), show each feature: int, shape (n_rare,)."""
        return np.asarray((points[:, self.features] * self.signs > self.from_).sum(axis=0))


def rare_features(items: LazyArray, groups: Codes | None = None) -> RareFeatures:
    """Return the features in which fewer than ten items, or groups, stand out from all others.

    Parameters
    ----------
    items : float32 array, shape (n_items, …)
        Read once, block by block.
    groups : int array, shape (n_items,), optional
        Whose each item is.

    Notes
    -----
    The nine largest values of a feature stand out if the largest is above the tenth by a fourth of the feature's range;
    a number shows the feature if it lies nearer to the largest than to the tenth. The smallest likewise. Of groups, the
    largest value of each counts.
    """
    n_units = len(items) if groups is None else len(np.unique(groups))
    tops = [_largest(items, groups, sign) for sign in (1.0, -1.0)]
    if n_units <= FEWER:
        nothing = np.empty(0, dtype=np.intp)
        return RareFeatures(nothing, nothing.astype(np.float32), nothing.astype(np.float32), n_units)
    width = tops[0][0] + tops[1][0]  # the largest, less the smallest
    features, signs, limits = [], [], []
    for sign, top in zip((1.0, -1.0), tops, strict=True):
        stands_out = np.flatnonzero((top[0] - top[FEWER - 1] > GAP * width) & (width > 0))
        features.append(stands_out)
        signs.append(np.full(len(stands_out), sign, dtype=np.float32))
        limits.append((top[0] + top[FEWER - 1])[stands_out] / 2)
    return RareFeatures(np.concatenate(features), np.concatenate(signs), np.concatenate(limits), n_units)


def _largest(items: LazyArray, groups: Codes | None, sign: float) -> Singles:
    """Return the ten largest values of each feature times sign, the largest first, each of another unit.

    Shape (10, n_numbers); -inf where there are fewer units.
    """
    values: Singles = np.empty((0, int(np.prod(items.shape[1:]))), dtype=np.float32)
    owners = np.empty(values.shape, dtype=np.intp)
    for first, block in row_blocks(items):
        values = np.concatenate([values, np.float32(sign) * as_rows(block)])
        if groups is None:
            values = _of_items(values)
        else:
            here = np.broadcast_to(groups[first : first + len(block), np.newaxis], (len(block), values.shape[1]))
            values, owners = _of_groups(values, np.concatenate([owners, here]))
    missing = np.full((max(FEWER - len(values), 0), values.shape[1]), -np.inf, dtype=np.float32)
    return np.concatenate([values, missing])


def _of_items(values: Singles) -> Singles:
    if len(values) > FEWER:
        values = np.partition(values, len(values) - FEWER, axis=0)[-FEWER:]
    return np.asarray(np.sort(values, axis=0)[::-1])


def _of_groups(values: Singles, owners: Codes) -> tuple[Singles, Codes]:
    columns = np.arange(values.shape[1])
    left = values.copy()
    best, best_owners = [], []
    for _ in range(min(FEWER, len(np.unique(owners)))):
        at = left.argmax(axis=0)
        best.append(left[at, columns])
        best_owners.append(owners[at, columns])
        left[owners == best_owners[-1]] = -np.inf
    return np.stack(best), np.stack(best_owners)


def find_rare(origin: OriginName, points: Singles, rare: RareFeatures, *, unit: str) -> Finding:
    """Return whether points show rare features more often than new items of the same kind would.

    Parameters
    ----------
    points : float32 array, shape (n_points, n_numbers)
        Of one origin.
    unit : str
        What has the features, in words: "items" or "groups".

    Notes
    -----
    Of new items, whatever they are distributed like, fewer lie beyond the tenth largest of n than a share that has a
    beta distribution with 10 and n − 9; its 99.9 % point is what a feature's count is held against, by a binomial test,
    at 1 % for all features together.
    """
    shown = rare.shown(points)
    most = float(beta.ppf(MIN_CONFIDENCE, FEWER, rare.n_units - FEWER + 1)) if rare.n_units > FEWER else 1.0
    by_chance = binom.sf(shown - 1, len(points), most)
    betrayed = by_chance * max(len(shown), 1) < LARGEST_P_VALUE
    share = float(shown[betrayed].max() / len(points)) if betrayed.any() else 0.0
    what = f"features that fewer than {FEWER} {unit} have"
    reason = (
        f"{int(betrayed.sum()):,} of {len(shown):,} {what} are shown by more points than new items would show them, "
        f"one by {100 * share:.3g} % of the points"
        if betrayed.any()
        else f"none of {len(shown):,} {what} is shown by more points than new items would show it"
    )
    return Finding(
        attack=NAME, origin=origin, knows="bundle and like items", what=what, n_tried=len(shown),
        n_found=int(betrayed.sum()), verdict="close to items" if betrayed.any() else None, reason=reason,
    )  # fmt: skip
