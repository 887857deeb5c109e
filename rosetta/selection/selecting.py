"""Choosing among any number of items: all of them, or a sample and then a pass over all."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from rosetta.arrays import Array, Floats, LazyArray
from rosetta.errors import SelectionError
from rosetta.selection import SAMPLE, Rows, Selected, Selector, check_n_pairs
from rosetta.selection.different import Keys, draw_different, keys_of, make_salt
from rosetta.selection.nearest import nearest_in_memory, nearest_rows
from rosetta.selection.strata import allocate

LEAST = 1000  # the same, of a stratum, however many strata there are


def choose(
    selector: Selector,
    latents: LazyArray,
    n_pairs: int,
    rng: np.random.Generator,
    *,
    strata: Array | None = None,
    exclude: Floats | None = None,
    sample: int = SAMPLE,
) -> Selected:
    """Choose items as `rosetta.selection.select` does, with a selector that need not be registered."""
    n_items = len(latents)
    check_n_pairs(n_pairs, n_items)
    _check_strata(strata, n_items)
    most = min(sample, selector.most or sample)
    if selector.most is not None and n_pairs > selector.most:
        raise SelectionError(
            f"{n_pairs} pairs were asked for, but this method can look at {selector.most:,} items at most: ask for "
            "fewer, or take kmeans"
        )
    salt = make_salt(latents, rng if n_items > most else np.random.default_rng(0))
    banned = np.empty(0, np.uint64)
    if exclude is not None and len(exclude):
        banned = np.unique(keys_of(exclude.astype(latents[:1].dtype), salt))
    pools, shares = _pools(latents, n_pairs, most, salt, banned=banned, strata=strata)
    n_sampled = sum(len(rows) for rows, _ in pools) if not all(is_whole for _, is_whole in pools) else None
    rows = _rows(selector, latents, pools, shares, rng, salt, banned=banned, strata=strata)
    return Selected(rows, n_sampled)


Pool = tuple[Rows, bool]  # different rows of a stratum, in ascending order, and whether these are all there are


def _pools(
    latents: LazyArray, n_pairs: int, most: int, salt: Keys, *, banned: Keys, strata: Array | None
) -> tuple[list[Pool], Array]:
    """Return what each stratum chooses from, and how many it is to choose, shape (n_strata,)."""
    n_items, n_strata = len(latents), 1 if strata is None else int(strata.max()) + 1
    members = np.array([n_items]) if strata is None else np.bincount(strata, minlength=n_strata)
    most = most if strata is None or n_items <= most else max(most // n_strata, LEAST)
    while True:
        rows, codes, is_whole = draw_different(latents, most, salt, banned=banned, strata=strata, n_strata=n_strata)
        sizes = np.bincount(codes, minlength=n_strata)
        shares = allocate(np.where(is_whole, sizes, members), n_pairs)
        if (shares <= sizes).all():
            parts = np.split(rows[np.argsort(codes, kind="stable")], np.cumsum(sizes)[:-1])
            return list(zip(parts, is_whole.tolist(), strict=True)), shares
        most = max(int(shares.max()), 2 * most)  # more pairs than the sample has different items: a larger one


def _rows(
    selector: Selector,
    latents: LazyArray,
    pools: list[Pool],
    shares: Array,
    rng: np.random.Generator,
    salt: Keys,
    *,
    banned: Keys,
    strata: Array | None,
) -> Rows:
    """Choose in every stratum, and return the first of each, then the second of each, and so on."""
    groups = np.repeat(np.arange(len(shares)), shares)
    chosen = np.full(len(groups), -1, dtype=np.intp)
    centroids = np.empty((len(groups), latents.shape[1]), dtype=np.float64)
    for stratum, ((rows, is_whole), n) in enumerate(zip(pools, shares.tolist(), strict=True)):
        if not n:
            continue
        items: Floats = np.ascontiguousarray(latents[rows], dtype=np.float64 if is_whole else np.float32)
        if selector.gives == "rows":
            chosen[groups == stratum] = rows[_found(selector, items, n, rng)]
        elif n == len(rows) and is_whole:
            chosen[groups == stratum] = rows
        else:
            places = items if n == len(rows) else _found(selector, items, n, rng)
            if is_whole:
                chosen[groups == stratum] = rows[nearest_in_memory(places, items)]
            centroids[groups == stratum] = places
    open_ = np.flatnonzero(chosen < 0)
    if len(open_):
        taken = np.concatenate([banned, keys_of(latents[np.sort(chosen[chosen >= 0])], salt)])
        chosen[open_] = nearest_rows(
            latents, centroids[open_], salt, banned=taken, strata=strata, groups=groups[open_]
        )  # fmt: skip
    ranks = np.arange(len(groups)) - np.repeat(np.cumsum(shares) - shares, shares)
    return chosen[np.lexsort((groups, ranks))]


def _found(selector: Selector, items: Floats, n_pairs: int, rng: np.random.Generator) -> Array:
    with warnings.catch_warnings():  # a method that stops early, or finds fewer clusters, still gives places
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(selector.find(items, n_pairs, rng))


def _check_strata(strata: Array | None, n_items: int) -> None:
    if strata is not None and (strata.shape != (n_items,) or strata.dtype.kind not in "iu" or strata.min() < 0):
        raise SelectionError(
            f"the strata have shape {strata.shape} and dtype {strata.dtype}, but one integer from 0 upwards is needed "
            f"for each of the {n_items} items"
        )
