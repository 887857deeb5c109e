"""How many items are enough: as long as twice as many stand for the rest clearly better."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min

from rosetta.arrays import Array, Floats, LazyArray, total_sd
from rosetta.selection import check_n_pairs, select
from rosetta.selection.different import draw_different, keys_of, make_salt

GAIN = 0.02  # total standard deviations: what a doubling has to lower the error by
SEEN = 20_000  # items that the method chooses from
HELD_BACK = 20_000  # other items that it is measured on, at most
ENOUGH = 1000  # items, or none are held back


class Grown(NamedTuple):
    """A number of pairs, and why."""

    n_pairs: int
    errors: tuple[tuple[int, float], ...]  # numbers tried; RMS distance to the nearest chosen item, in total sd


def grow(
    latents: LazyArray,
    rng: np.random.Generator,
    *,
    method: str = "kmeans",
    strata: Array | None = None,
    exclude: Floats | None = None,
    smallest: int = 16,
    largest: int = 4096,
) -> Grown:
    """Double the number of pairs until that lowers the quantisation error by less than 0.02.

    Parameters
    ----------
    latents : rows of floats, shape (n_items, n_dims)
        Posterior means, of which a random sample of at most 20,000 is chosen from, and other 20,000 are measured: a
        fifth of the different items, if there are fewer. Below 1,000, those that are chosen from are measured.
    method, strata, exclude
        As in `rosetta.selection.select`.
    smallest, largest : int
        Between which the number lies, unless there are more strata, or fewer items.

    Returns
    -------
    Grown
        The number before the doubling that gained too little, and the error of every number tried.

    Raises
    ------
    SelectionError
        If there are no items left to choose from.
    """
    salt = make_salt(latents, rng)
    banned = np.empty(0, np.uint64)
    if exclude is not None and len(exclude):
        banned = np.unique(keys_of(exclude.astype(latents[:1].dtype), salt))
    rows, _, _ = draw_different(latents, SEEN + HELD_BACK, salt, banned=banned, strata=None, n_strata=1)
    check_n_pairs(1, len(rows))
    order = rng.permutation(len(rows))
    n_held = min(HELD_BACK, len(rows) // 5) if len(rows) >= ENOUGH else 0
    seen = np.sort(rows[order[n_held:][:SEEN]])
    items = latents[seen]
    measured = latents[np.sort(rows[order[:n_held]])] if n_held else items
    if strata is not None:
        strata = strata[seen]
        while smallest < len(np.unique(strata)):
            smallest *= 2
    return _doubled(items, measured, rng, method, strata, min(smallest, len(items)), min(largest, len(items)))


def _doubled(
    items: Floats,
    measured: Floats,
    rng: np.random.Generator,
    method: str,
    strata: Array | None,
    smallest: int,
    largest: int,
) -> Grown:
    scale = total_sd(items) or 1.0
    n_pairs = smallest
    errors: list[tuple[int, float]] = []
    while True:
        chosen = items[select(items, n_pairs, rng, method=method, strata=strata).rows]
        _, distances = pairwise_distances_argmin_min(measured, chosen)
        errors.append((n_pairs, float(np.sqrt((distances.astype(np.float64) ** 2).mean()) / scale)))
        if len(errors) > 1 and errors[-2][1] - errors[-1][1] < GAIN:
            return Grown(errors[-2][0], tuple(errors))
        if 2 * n_pairs > largest:
            return Grown(n_pairs, tuple(errors))
        n_pairs *= 2
