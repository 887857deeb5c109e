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


def clusters_of(
    latents: LazyArray, n_clusters: int, least: int, rng: np.random.Generator, *, groups: Array | None = None
) -> Array:
    """Divide items into clusters of at least `least` members, or of members of at least `least` groups.

    With groups, each is in one cluster, with those of its items that lie there; its others are in none. So a person of
    whom there are items everywhere is behind one point only.

    Parameters
    ----------
    latents : float array, shape (n_items, n_dims)
        In memory or on disk. n_clusters · least must not exceed the number of items, or of groups.
    groups : int array, shape (n_items,), optional
        Whose each item is, from 0 without gaps.

    Returns
    -------
    int array, shape (n_items,)
        The cluster of each item, 0 to n_clusters − 1, and −1 for those that are in none.

    Notes
    -----
    The centres are those of k-means, of at most 100,000 items. A group belongs at first where most of its items are. A
    cluster that is too small takes the groups of the items nearest to its centre from clusters that have more than
    enough, the smallest cluster first. A group that has no item there comes with its nearest one.
    """
    found = clustered(latents, n_clusters, rng)
    if len(found.labels_) == len(latents):
        labels = found.labels_.astype(np.intp)
    else:
        parts = [found.predict(np.ascontiguousarray(part, dtype=np.float64)) for _, part in row_blocks(latents)]
        labels = np.concatenate(parts).astype(np.intp)
    owners = np.arange(len(labels)) if groups is None else groups
    seats = labels.copy() if groups is None else _most_common(labels, groups, n_clusters)
    _fill_up(labels, owners, seats, latents, found.cluster_centers_, least)
    return np.where(labels == seats[owners], labels, -1)


def _most_common(labels: Array, groups: Array, n_labels: int) -> Array:
    """Return the label that most of a group's items have, the smallest of several, shape (n_groups,)."""
    pairs, counts = np.unique(groups.astype(np.int64) * n_labels + labels, return_counts=True)
    order = np.lexsort((-counts, pairs // n_labels))  # stable: of equal counts, the smaller label stays first
    _, first = np.unique(pairs[order] // n_labels, return_index=True)
    return np.asarray(pairs[order][first] % n_labels, dtype=np.intp)


def _fill_up(labels: Array, owners: Array, seats: Array, latents: LazyArray, centres: Floats, least: int) -> None:
    """Give every cluster `least` groups, by changing `seats`, each group's cluster, and `labels`, each item's."""
    sizes = np.bincount(seats, minlength=len(centres))
    small = [cluster for cluster in np.argsort(sizes, kind="stable") if sizes[cluster] < least]
    n_candidates = max(FIRST_CANDIDATES, 2 * least)
    while small:
        candidates = _nearest_spare(seats[owners], sizes > least, latents, centres[small], n_candidates)
        for cluster, (nearest, are_all) in zip(list(small), candidates, strict=True):
            for item in nearest:
                if sizes[cluster] == least:
                    break
                group = owners[item]
                if sizes[seats[group]] > least:
                    sizes[seats[group]] -= 1
                    sizes[cluster] += 1
                    seats[group] = cluster
                    labels[item] = cluster  # with those of its items that are there already
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
