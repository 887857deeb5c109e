"""Which of some rows are among many others, number for number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rosetta.arrays import Array, LazyArray, row_blocks
from rosetta.disclosure.search import as_rows

Words = npt.NDArray[np.uint64]


def is_among(rows: LazyArray, items: LazyArray) -> npt.NDArray[np.bool_]:
    """Return whether each row equals an item, shape (n_rows,). Zeros are equal whatever their sign.

    Parameters
    ----------
    rows : float array, shape (n_rows, …)
        Those looked for.
    items : float array, shape (n_items, …)
        Those they are looked for among, read once.

    Notes
    -----
    Fingerprints of 64 bits are compared, and then the numbers of what has the same one. Equal rows have the same;
    that different ones of `rows` have it too, and only one of them is seen, is as good as impossible.
    """
    if not len(rows):
        return np.empty(0, dtype=bool)
    multipliers = _multipliers(rows)
    prints = np.concatenate([fingerprints(block, multipliers) for _, block in row_blocks(rows)])
    known, first, place = np.unique(prints, return_index=True, return_inverse=True)
    found = np.zeros(len(known), dtype=bool)
    for _, block in row_blocks(items):
        looked_at = fingerprints(block, multipliers)
        at = np.searchsorted(known, looked_at).clip(max=len(known) - 1)
        same = np.flatnonzero((known[at] == looked_at) & ~found[at])
        if len(same):
            equal = (as_rows(block[same]) == as_rows(rows[first[at[same]]])).all(axis=1)
            found[at[same[equal]]] = True
    return np.asarray(found[place])


def fingerprints(rows: Array, multipliers: Words) -> Words:
    """Return a number for each row, shape (n_rows,), as uint64: that of its numbers as float32, by their bits.

    Pairs of numbers are taken as one of 64 bits, times an odd number of its own, and added up. Round numbers have zeros
    at their ends, which would hide whatever is before; so their beginnings are laid over their ends first.
    """
    numbers = as_rows(rows)
    padded = np.zeros((len(numbers), 2 * len(multipliers)), dtype=np.float32)
    np.add(numbers, np.float32(0.0), out=padded[:, : numbers.shape[1]])  # no zero has a sign
    words = padded.view(np.uint64)
    words = words ^ (words >> np.uint64(23)) ^ (words >> np.uint64(46))
    return np.asarray(np.einsum("ij,j->i", words, multipliers))


def _multipliers(rows: LazyArray) -> Words:
    n_words = (int(np.prod(rows.shape[1:])) + 1) // 2
    return np.random.default_rng(0).integers(1 << 63, size=n_words, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
