"""Rows of numbers that differ: copies count once. Each is known by a key, so that one pass over all is enough."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rosetta.arrays import Array, LazyArray, row_blocks

Keys = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.intp]

LARGEST = np.iinfo(np.uint64).max


def make_salt(latents: LazyArray, rng: np.random.Generator) -> Keys:
    """Draw what makes the keys of `latents` random, shape (n_words + 1,)."""
    salt = rng.integers(LARGEST, size=_words(latents[:1]).shape[1] + 1, dtype=np.uint64)
    return np.asarray(salt | np.uint64(1), dtype=np.uint64)


def keys_of(rows: Array, salt: Keys) -> Keys:
    """Return a key for each row: equal rows have equal keys, others different ones.

    Two of ten million rows share a key by chance with a probability below 10⁻⁴; one of them then counts as a copy.

    Parameters
    ----------
    rows : array, shape (n_rows, n_dims)
        Of one dtype with all that they are compared with. 0 and −0 are equal.
    salt : uint64 array, shape (n_words + 1,)
        As `make_salt` draws it.

    Returns
    -------
    uint64 array, shape (n_rows,)
        Spread evenly over all numbers of 64 bits, and independent for each salt: multilinear hashing, and then the
        finaliser of splitmix64 (Steele, Lea & Flood 2014).
    """
    words = _words(rows)
    words ^= words >> (4 * words.itemsize)  # round numbers differ in their first bits only, which products would lose
    keys: Keys = words.astype(np.uint64) @ salt[:-1] + salt[-1]
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        keys ^= keys >> np.uint64(shift)
        keys *= np.uint64(factor)
    return keys


def are_in(keys: Keys, wanted: Keys) -> npt.NDArray[np.bool_]:
    """Return whether each key stands in `wanted`, which is sorted."""
    if not len(wanted):
        return np.zeros(len(keys), dtype=bool)
    return np.asarray(wanted[np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)] == keys)


def draw_different(
    latents: LazyArray, most: int, salt: Keys, *, banned: Keys, strata: Array | None, n_strata: int
) -> tuple[Rows, Array, npt.NDArray[np.bool_]]:
    """Draw different rows at random, at most `most` of each stratum: those of the smallest keys, so a pass is enough.

    Parameters
    ----------
    banned : uint64 array, sorted
        Keys of rows that are left out.
    strata : int array, shape (n_items,), or None
        From 0 to n_strata − 1; None, where all are of one.

    Returns
    -------
    rows : int array, shape (n_drawn,)
        In ascending order; of copies the first.
    codes : int array, shape (n_drawn,)
        Their strata.
    is_whole : bool array, shape (n_strata,)
        Whether these are all different rows that a stratum has.
    """
    keys, rows = np.empty(0, np.uint64), np.empty(0, np.intp)
    codes = np.empty(0, np.intp)
    limits, is_whole = np.full(n_strata, LARGEST), np.ones(n_strata, dtype=bool)
    for start, block in row_blocks(latents):
        own = np.zeros(len(block), np.intp) if strata is None else strata[start : start + len(block)]
        fresh = keys_of(block, salt)
        is_free, is_beyond = ~are_in(fresh, banned), fresh > limits[own]
        is_whole[own[is_free & is_beyond]] = False
        at = np.flatnonzero(is_free & ~is_beyond)
        keys, rows = np.concatenate([keys, fresh[at]]), np.concatenate([rows, start + at])
        codes = np.concatenate([codes, own[at]])
        order = np.lexsort((rows, keys, codes))
        is_copy = (np.diff(keys[order], prepend=0) == 0) & (np.diff(codes[order], prepend=-1) == 0)
        order = order[~is_copy]
        sizes = np.bincount(codes[order], minlength=n_strata)
        ranks = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        last = order[ranks == most - 1]
        limits[codes[last]] = keys[last]
        is_whole &= sizes <= most
        kept = order[ranks < most]
        keys, rows, codes = keys[kept], rows[kept], codes[kept]
    order = np.argsort(rows)
    first = order[np.sort(np.unique(keys[order], return_index=True)[1])]  # of copies in several strata
    return rows[first], codes[first], is_whole


def first_rows(latents: LazyArray, wanted: Keys, salt: Keys, *, strata: Array | None, groups: Array) -> Rows:
    """Return the first row that has each key, within the stratum that `groups` names for it, shape (n_wanted,)."""
    found = np.full(len(wanted), -1, dtype=np.intp)
    order = np.argsort(wanted)
    for start, block in row_blocks(latents):
        keys = keys_of(block, salt)
        at = np.flatnonzero(are_in(keys, wanted[order]))
        which = order[np.searchsorted(wanted[order], keys[at])]
        if strata is not None:
            is_own = strata[start + at] == groups[which]
            at, which = at[is_own], which[is_own]
        which, first = np.unique(which, return_index=True)
        is_new = found[which] < 0
        found[which[is_new]] = start + at[first[is_new]]
        if (found >= 0).all():
            break
    return found


def _words(rows: Array) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Return the bits of each row as unsigned numbers of at most 32, shape (n_rows, n_words), in memory of its own."""
    same = np.ascontiguousarray(rows) + rows.dtype.type(0)  # −0 + 0 is 0
    words: npt.NDArray[np.unsignedinteger[Any]] = same.view(f"u{min(same.itemsize, 4)}")
    return words
