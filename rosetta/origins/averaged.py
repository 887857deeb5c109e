"""Means of items that lie together in the space: every point stands for a crowd, and shows what it has in common."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import NearestNeighbors

from rosetta.arrays import Array, Floats
from rosetta.errors import SelectionError
from rosetta.origins import Made, Recipe, Sender, draw_points, origins

MANY_CLUSTERS = 512  # beyond, k-means goes over batches
GROWTH = 4  # a neighbourhood has at most so many times the members that were asked for


@origins.register("averaged")
def averaged(sender: Sender, n_points: int, rng: np.random.Generator, taken: Array, recipe: Recipe) -> Made:
    """Average the inputs of the items of a cluster, or of a neighbourhood, of latents.

    As long as every point can have `recipe.members` items of its own, the items are divided into clusters (k-means, the
    small ones filled up with the nearest items that others can spare), and no item is behind two points. Beyond that,
    a point is the mean of a neighbourhood: a random item with the nearest ones, `recipe.members` to four times as many.

    Raises
    ------
    SelectionError
        If there are fewer items than members, or than points.
    """
    n_items = len(sender.inputs)
    if n_items < recipe.members:
        raise SelectionError(f"an averaged point is to have {recipe.members} members, but there are {n_items} items")
    if n_points > n_items:
        raise SelectionError(
            f"{n_points} averaged points of {n_items} items would be the same crowds again: ask for at most {n_items}, "
            "or take --origin mixed"
        )
    if n_points * recipe.members <= n_items:
        labels = clusters_of(sender.latents, n_points, recipe.members, rng)
        sizes = np.bincount(labels, minlength=n_points)
        inputs = draw_points(
            sender, n_points, taken, lambda n: _cluster_means(sender.inputs, labels, sizes)[:n],
            advice="clusters of items have the same mean; ask for fewer points",
        )  # fmt: skip
        return Made(inputs, {"members": int(sizes.min()), "crowds": "clusters"})
    inputs = draw_points(
        sender, n_points, taken, lambda n: _neighbourhood_means(sender, n, recipe.members, rng),
        advice="neighbourhoods of items have the same mean; ask for fewer points",
    )  # fmt: skip
    return Made(inputs, {"members": recipe.members, "crowds": "neighbourhoods"})


def clusters_of(latents: Floats, n_clusters: int, least: int, rng: np.random.Generator) -> Array:
    """Divide items into clusters of at least `least` members.

    Parameters
    ----------
    latents : float array, shape (n_items, n_dims)
        n_clusters · least must not exceed n_items.

    Returns
    -------
    int array, shape (n_items,)
        The cluster of each item, 0 to n_clusters − 1.
    """
    latents = np.ascontiguousarray(latents, dtype=np.float64)
    make = KMeans if n_clusters <= MANY_CLUSTERS else MiniBatchKMeans
    found = make(n_clusters, n_init=1, random_state=int(rng.integers(2**31))).fit(latents)
    labels, centres = found.labels_.astype(np.intp), found.cluster_centers_
    sizes = np.bincount(labels, minlength=n_clusters)
    for cluster in np.argsort(sizes, kind="stable"):
        if sizes[cluster] >= least:
            continue
        nearest = np.argsort(euclidean_distances(centres[cluster][None], latents)[0], kind="stable")
        for item in nearest:
            if labels[item] != cluster and sizes[labels[item]] > least:
                sizes[labels[item]] -= 1
                sizes[cluster] += 1
                labels[item] = cluster
                if sizes[cluster] == least:
                    break
    return np.asarray(labels)


def _cluster_means(inputs: Array, labels: Array, sizes: Array) -> Floats:
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.cumsum(sizes)[:-1])
    return np.stack([inputs[part].mean(axis=0, dtype=np.float64) for part in parts]).astype(np.float32)


def _neighbourhood_means(sender: Sender, n_points: int, least: int, rng: np.random.Generator) -> Floats:
    n_items = len(sender.inputs)
    centres = rng.permutation(n_items)[:n_points]
    sizes = rng.integers(least, min(GROWTH * least, n_items) + 1, size=n_points)
    neighbours = NearestNeighbors(n_neighbors=int(sizes.max())).fit(sender.latents)
    near = neighbours.kneighbors(sender.latents[centres], return_distance=False)
    pairs = zip(near, sizes, strict=True)
    means = [sender.inputs[row[:size]].mean(axis=0, dtype=np.float64) for row, size in pairs]
    return np.stack(means).astype(np.float32)
