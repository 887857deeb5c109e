"""Items that are the middle of their cluster."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import kmeans_plusplus
from sklearn.metrics import pairwise_distances_argmin, pairwise_distances_chunked

from rosetta.arrays import Floats
from rosetta.selection import Rows, seed_from, selector, selectors

MOST = 10_000  # items: the cost of a round is quadratic in the size of a cluster
ROUNDS = 50
HELD_MB = 64  # of distances at once


@selectors.register("k-medoids")
@selector(gives="rows", most=MOST)
def kmedoids(latents: Floats, n_pairs: int, rng: np.random.Generator) -> Rows:
    """Divide items among medoids and move these to the middle of their own, until they stay (Park & Jun 2009).

    The middle is the item with the least sum of Euclidean distances to the others. The first medoids are those of
    k-means++.

    Parameters
    ----------
    latents : float array, shape (n_items, n_dims)
        Posterior means, of at most 10,000 items, all different.

    Returns
    -------
    int array, shape (n_pairs,)
        Row numbers, that of the largest cluster first.
    """
    _, seeds = kmeans_plusplus(latents, n_pairs, random_state=seed_from(rng))
    medoids = np.asarray(seeds, dtype=np.intp)
    labels = _labels(latents, medoids)
    for _ in range(ROUNDS):
        order = np.argsort(labels, kind="stable")
        clusters = np.split(order, np.cumsum(np.bincount(labels, minlength=n_pairs))[:-1])
        moved = np.array([_middle(latents, rows) for rows in clusters])
        if (moved == medoids).all():
            break
        medoids, labels = moved, _labels(latents, moved)
    return medoids[np.argsort(-np.bincount(labels, minlength=n_pairs), kind="stable")]


def _labels(latents: Floats, medoids: Rows) -> Rows:
    labels = np.asarray(pairwise_distances_argmin(latents, latents[medoids]), dtype=np.intp)
    labels[medoids] = np.arange(len(medoids))  # rounding must not leave a medoid without its own item
    return labels


def _middle(latents: Floats, rows: Rows) -> int:
    sums = pairwise_distances_chunked(
        latents[rows], reduce_func=lambda part, start: part.sum(axis=1), working_memory=HELD_MB
    )
    return int(rows[np.concatenate(list(sums)).argmin()])
