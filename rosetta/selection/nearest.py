"""The item nearest to each centroid, all different: in memory, or block by block over as many as there are."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import pairwise_distances_argmin
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import NearestNeighbors

from rosetta.arrays import Array, Floats, LazyArray, row_blocks
from rosetta.errors import SelectionError
from rosetta.selection.different import Keys, Rows, are_in, first_rows, keys_of

CANDIDATES = 8  # nearest items that are remembered for each centroid, should others take the first
TOGETHER = 4096  # centroids whose candidates are read at once


def nearest_in_memory(centroids: Floats, latents: Floats) -> Rows:
    """Return the row of `latents`, all different, that is nearest to each centroid.

    A row that two centroids share is given to the first; the other takes the next nearest row that is free.
    """
    rows = np.asarray(pairwise_distances_argmin(centroids, latents), dtype=np.intp)
    taken: set[int] = set()
    for place, row in enumerate(rows):
        if int(row) in taken:
            nearest = np.argsort(euclidean_distances(centroids[place : place + 1], latents)[0], kind="stable")
            rows[place] = next(r for r in nearest if int(r) not in taken)
        taken.add(int(rows[place]))
    return rows


def nearest_rows(
    latents: LazyArray, centroids: Floats, salt: Keys, *, banned: Keys, strata: Array | None, groups: Array
) -> Rows:
    """Return the row nearest to each centroid among all, no two with the same latent; of copies the first.

    Parameters
    ----------
    latents : rows of floats, shape (n_items, n_dims)
        Read once, block by block; once more if all candidates of a centroid are taken, or they are copies.
    centroids : float array, shape (n_centroids, n_dims)
        In the order in which they may choose.
    banned : uint64 array
        Keys of latents that are not to be chosen.
    strata : int array, shape (n_items,), or None
        Where each item belongs; None, where all belong together.
    groups : int array, shape (n_centroids,)
        The stratum in which each centroid chooses.

    Returns
    -------
    int array, shape (n_centroids,)

    Raises
    ------
    SelectionError
        If there are fewer different items than centroids.
    """
    rows, keys = np.full(len(centroids), -1, np.intp), np.zeros(len(centroids), np.uint64)
    is_first = np.ones(len(centroids), dtype=bool)
    taken, waiting = {int(key) for key in banned}, np.arange(len(centroids))
    while len(waiting):
        barred = np.sort(np.fromiter(taken, np.uint64, len(taken)))
        near = _candidates(latents, centroids[waiting], salt, barred, strata, groups[waiting])
        for start in range(0, len(waiting), TOGETHER):
            part = waiting[start : start + TOGETHER]
            ranked = _ranked(latents, centroids[part], near[start : start + TOGETHER], salt)
            for place, own, marks in zip(part, *ranked, strict=True):
                at = next((i for i, mark in enumerate(marks) if own[i] >= 0 and int(mark) not in taken), None)
                if at is not None:
                    rows[place], keys[place] = own[at], marks[at]
                    is_first[place] = own[-1] < 0 or marks[at] != marks[-1]  # else copies may have been left out
                    taken.add(int(marks[at]))
        left = waiting[rows[waiting] < 0]
        if len(left) == len(waiting):
            raise SelectionError(
                f"there are no different items left for {len(left)} of {len(centroids)} pairs: ask for fewer"
            )
        waiting = left
    if not is_first.all():
        unsure = np.flatnonzero(~is_first)
        rows[unsure] = first_rows(latents, keys[unsure], salt, strata=strata, groups=groups[unsure])
    return rows


def _candidates(
    latents: LazyArray, centroids: Floats, salt: Keys, barred: Keys, strata: Array | None, groups: Array
) -> Rows:
    """Return the nearest rows to each centroid, shape (n_centroids, CANDIDATES), in no order; −1 for none."""
    rows = np.full((len(centroids), CANDIDATES), -1, dtype=np.intp)
    distances = np.full(rows.shape, np.inf)
    for start, block in row_blocks(latents):
        dtype = np.result_type(block.dtype, np.float32)
        is_free = ~are_in(keys_of(block, salt), barred) if len(barred) else None
        for group in np.unique(groups):
            mine = np.flatnonzero(groups == group)
            at = (
                np.arange(len(block)) if strata is None else np.flatnonzero(strata[start : start + len(block)] == group)
            )
            if is_free is not None:
                at = at[is_free[at]]
            if not len(at):
                continue
            items = np.asarray(block if len(at) == len(block) else block[at], dtype=dtype)
            found = NearestNeighbors(n_neighbors=min(CANDIDATES, len(at)), algorithm="brute").fit(items)
            gaps, near = found.kneighbors(centroids[mine].astype(dtype))
            gaps = np.concatenate([distances[mine], gaps], axis=1)
            near = np.concatenate([rows[mine], start + at[near]], axis=1)
            kept = np.argsort(gaps, axis=1, kind="stable")[:, :CANDIDATES]
            distances[mine], rows[mine] = (np.take_along_axis(each, kept, axis=1) for each in (gaps, near))
    return rows


def _ranked(latents: LazyArray, centroids: Floats, near: Rows, salt: Keys) -> tuple[Rows, Keys]:
    """Order candidates by exact distance, equal ones by row number; return them with their keys, both of that shape."""
    read, inverse = np.unique(near, return_inverse=True)
    inverse = inverse.reshape(near.shape)
    items = latents[np.maximum(read, 0)]
    gaps = items[inverse].astype(np.float64) - centroids[:, None].astype(np.float64)
    distances = np.where(near < 0, np.inf, np.einsum("ijk,ijk->ij", gaps, gaps))
    order = np.lexsort((near, distances))
    near, inverse = (np.take_along_axis(each, order, axis=1) for each in (near, inverse))
    return near, keys_of(items, salt)[inverse]
