"""Dividing items into crowds that are large enough: k-means, and what small clusters get from large ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances

from rosetta.arrays import Array, Floats, LazyArray, row_blocks
from rosetta.origins.draws import clustered

FIRST_CANDIDATES = 1024  # nearest items that a small cluster is filled up from, before more are looked for
DISTANCES_A_BLOCK = 1 << 21


class _Candidates(NamedTuple):
    """The items nearest to a centre, the nearest first."""

    items: Array
    are_all: bool  # whether there are no more


def clusters_of(latents: LazyArray, n_clusters: int, least: int, rng: np.random.Generator) -> Array:
    """Divide items into clusters of at least `least` members.

    Parameters
    ----------
    latents : float array, shape (n_items, n_dims)
        In memory or on disk. n_clusters · least must not exceed n_items.

    Returns
    -------
    int array, shape (n_items,)
        The cluster of each item, 0 to n_clusters − 1.

    Notes
    -----
    The centres are those of k-means, of at most 100,000 items. A cluster that is too small takes the nearest items of
    clusters that have more than enough, the smallest cluster first.
    """
    found = clustered(latents, n_clusters, rng)
    if len(found.labels_) == len(latents):
        labels = found.labels_.astype(np.intp)
    else:
        parts = [found.predict(np.ascontiguousarray(part, dtype=np.float64)) for _, part in row_blocks(latents)]
        labels = np.concatenate(parts).astype(np.intp)
    _fill_up(labels, latents, found.cluster_centers_, least)
    return np.asarray(labels)


def _fill_up(labels: Array, latents: LazyArray, centres: Floats, least: int) -> None:
    """Give every cluster `least` members, by changing `labels`."""
    sizes = np.bincount(labels, minlength=len(centres))
    small = [cluster for cluster in np.argsort(sizes, kind="stable") if sizes[cluster] < least]
    n_candidates = max(FIRST_CANDIDATES, 2 * least)
    while small:
        candidates = _nearest_spare(labels, sizes > least, latents, centres[small], n_candidates)
        for cluster, (nearest, are_all) in zip(list(small), candidates, strict=True):
            for item in nearest:
                if sizes[cluster] == least:
                    break
                if sizes[labels[item]] > least:
                    sizes[labels[item]] -= 1
                    sizes[cluster] += 1
                    labels[item] = cluster
            if sizes[cluster] < least and not are_all:
                break  # others took what it would have got: look for more
            small.remove(cluster)
        n_candidates *= 4


def _nearest_spare(
    labels: Array, can_spare: Array, latents: LazyArray, centres: Floats, n_each: int
) -> list[_Candidates]:
    """Return the items nearest to each centre among those whose cluster can spare some, in one pass."""
    n_rows = max(DISTANCES_A_BLOCK // len(centres), 1)
    best_items = np.empty((len(centres), 0), dtype=np.intp)
    best = np.empty((len(centres), 0))
    n_seen = 0
    for start, block in row_blocks(latents, n_rows * latents.shape[1]):
        spare = np.flatnonzero(can_spare[labels[start : start + len(block)]])
        n_seen += len(spare)
        if not len(spare):
            continue
        gaps = euclidean_distances(centres, block[spare].astype(np.float64))
        here = np.broadcast_to(start + spare, gaps.shape)
        best, best_items = np.concatenate([best, gaps], axis=1), np.concatenate([best_items, here], axis=1)
        order = np.argsort(best, axis=1, kind="stable")[:, :n_each]
        best, best_items = np.take_along_axis(best, order, axis=1), np.take_along_axis(best_items, order, axis=1)
    return [_Candidates(row, n_seen <= n_each) for row in best_items]
