"""Means of items that lie together in the space: every point stands for a crowd, and shows what it has in common."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import norm
from sklearn.neighbors import NearestNeighbors

from rosetta.arrays import Array, Floats, LazyArray, flat, row_blocks
from rosetta.errors import SelectionError
from rosetta.origins import Figures, PointBatch, Recipe, SenderData, draw_points, origins
from rosetta.origins.covariance import effective_dimensions
from rosetta.origins.microaggregation import clusters_of

GROWTH = 4  # a neighbourhood has at most so many times the members that were asked for
NEIGHBOURS = 200_000  # items that neighbourhoods are made of, at most
NUMBERS_A_BLOCK = 1 << 22
FALSE_ALARMS, FOUND = 0.01, 0.05  # of others, and of members, where an item is held against all averages


@origins.register("averaged")
def averaged(sender: SenderData, n_points: int, rng: np.random.Generator, taken: Array, recipe: Recipe) -> PointBatch:
    """Average the inputs of the items of a cluster, or of a neighbourhood, of latents.

    As long as every point can have `recipe.members` items of its own, the items are divided into clusters (k-means, the
    small ones filled up with the nearest items that others can spare), and no item is behind two points. Beyond that,
    a point is the mean of a neighbourhood: a random item with the nearest ones, `recipe.members` to four times as many.
    Of more than 200,000 items, neighbourhoods are made of 200,000 drawn at random.

    Where the sender has groups, the members are groups: each is behind one point only, with those of its items that lie
    there, and counts the same however many these are. There are no neighbourhoods then, whose groups would overlap.

    Raises
    ------
    SelectionError
        If there are fewer items or groups than members, or than points; with groups, if not every point can have its
        own; below ``open``, if items vary in so many ways that the average of so few tells who is behind it.
    """
    n_items = len(sender.inputs)
    n_units, unit = (n_items, "items") if sender.groups is None else (int(sender.groups.max()) + 1, "groups (`groups`)")
    if n_units < recipe.members:
        raise SelectionError(f"an averaged point is to have {recipe.members} members, but there are {n_units} {unit}")
    if sender.groups is not None and n_points * recipe.members > n_units:
        raise SelectionError(
            f"{n_points} averaged points of {recipe.members} groups each need {n_points * recipe.members} groups, as "
            f"none is behind two points, and there are {n_units}: ask for at most {n_units // recipe.members}, or for "
            "fewer `members`"
        )
    if n_points > n_items:
        raise SelectionError(
            f"{n_points} averaged points of {n_items} items would be the same crowds again: ask for at most {n_items}"
        )
    if recipe.privacy != "open":
        _check_width(sender, n_points, recipe.n_points or n_points, rng)
    if n_points * recipe.members <= n_units:
        labels = clusters_of(sender.latents, n_points, recipe.members, rng, groups=sender.groups)
        shares, sizes = _shares(labels, sender.groups, n_points)
        means = _cluster_means(sender.inputs, labels, shares, n_points)
        inputs = draw_points(
            sender, n_points, taken, lambda n: means[:n],
            advice="clusters of items have the same mean; ask for fewer points",
        )  # fmt: skip
        figures: Figures = {"members": int(sizes.min()), "crowds": "clusters"}
        return PointBatch(inputs, figures if sender.groups is None else {**figures, "unit": "group"})
    if recipe.privacy != "open":
        most = n_items // recipe.members
        raise SelectionError(
            f"{n_points} averaged points of {recipe.members} items each need {n_points * recipe.members:,} items, and "
            f"there are {n_items:,}: ask for at most {most} points (`pairs` and `checks`, 32 if you do not say), or "
            "for fewer `members`. With `privacy='open'` an item may be behind several points, which can then be "
            "subtracted from one another"
        )
    inputs = draw_points(
        sender, n_points, taken, lambda n: _neighbourhood_means(sender, n, recipe.members, rng),
        advice="neighbourhoods of items have the same mean; ask for fewer points",
    )  # fmt: skip
    return PointBatch(inputs, {"members": recipe.members, "crowds": "neighbourhoods"})


def most_points(n_units: int, n_dims: float) -> int:
    """Return how many averages of `n_units` items or groups tell few of them from others.

    An item that is behind one of K averages of m items, which vary along d directions, has an inner product with it
    that is √(d / m) standard deviations larger than other items', so the largest of the K finds 5 % of the items at 1 %
    false alarms where √(d / m) = z(1 − 0.01 / K) − z(0.95), z being quantiles of the normal distribution.
    """
    n_points = np.arange(1, max(n_units, 1) + 1)
    allowed = norm.isf(FALSE_ALARMS / n_points) - norm.isf(FOUND)
    told = np.sqrt(n_dims * n_points / n_units) > allowed
    return int(np.argmax(told)) if told.any() else n_units


def _check_width(sender: SenderData, n_points: int, n_in_all: int, rng: np.random.Generator) -> None:
    """Refuse the share of all averages that is to be made, where anybody could tell who is behind one of them."""
    n_dims = effective_dimensions(sender.inputs, rng)
    n_units = sender.n_units * n_in_all // n_points
    most = most_points(n_units, n_dims)
    if n_in_all <= most:
        return
    points = "even one average" if not most else f"more than {most}"
    raise SelectionError(
        f"{n_in_all} averaged points of {n_units:,} {sender.unit}, which vary in about {n_dims:.0f} ways at once: "
        f"{points} would tell who is behind which. "
        + (f"Ask for {most} points at most (`pairs`, `checks`)" if most else "Take `origin='public'`")
        + f", give more {sender.unit} or coarser ones, or add differential privacy (`dp_epsilon`)"
    )


def _shares(labels: Array, groups: Array | None, n_clusters: int) -> tuple[Floats, Array]:
    """Return what each item counts in its cluster, shape (n_items,), and each cluster's number of members.

    Items of a cluster count the same; with groups, the groups do, and the items of each share what it counts.
    """
    used = np.flatnonzero(labels >= 0)
    shares = np.zeros(len(labels))
    if groups is None:
        sizes = np.bincount(labels[used], minlength=n_clusters)
        shares[used] = 1 / sizes[labels[used]]
        return shares, sizes
    n_each = np.bincount(groups[used])  # a group's items are all in the same cluster
    first = np.unique(groups[used], return_index=True)[1]
    sizes = np.bincount(labels[used][first], minlength=n_clusters)
    shares[used] = 1 / (sizes[labels[used]] * n_each[groups[used]])
    return shares, sizes


def _cluster_means(inputs: LazyArray, labels: Array, shares: Floats, n_clusters: int) -> Floats:
    """Return the sum of each cluster's inputs times their shares, shape (n_clusters, …), in one pass over all."""
    means = np.zeros((n_clusters, math.prod(inputs.shape[1:])))
    for start, block in row_blocks(inputs):
        rows = np.flatnonzero(labels[start : start + len(block)] >= 0)
        weights = (shares[start + rows], (labels[start + rows], rows))
        means += csr_array(weights, shape=(n_clusters, len(block))) @ flat(block).astype(np.float64)
    return means.astype(np.float32).reshape(n_clusters, *inputs.shape[1:])


def _neighbourhood_means(sender: SenderData, n_points: int, least: int, rng: np.random.Generator) -> Floats:
    n_items = len(sender.inputs)
    n_pool = min(max(NEIGHBOURS, n_points, GROWTH * least), n_items)
    pool = np.arange(n_items) if n_pool == n_items else np.sort(rng.permutation(n_items)[:n_pool])
    centres = rng.permutation(n_pool)[:n_points]
    sizes = rng.integers(least, min(GROWTH * least, n_items) + 1, size=n_points)
    latents = sender.latents[pool]
    neighbours = NearestNeighbors(n_neighbors=int(sizes.max())).fit(latents)
    near = neighbours.kneighbors(latents[centres], return_distance=False)
    means = [_mean_of(sender.inputs, pool[row[:size]]) for row, size in zip(near, sizes, strict=True)]
    return np.stack(means).astype(np.float32)


def _mean_of(inputs: LazyArray, rows: Array) -> Floats:
    """Return the mean of the inputs in some rows, float64, few rows at a time."""
    step = max(NUMBERS_A_BLOCK // max(math.prod(inputs.shape[1:]), 1), 1)
    parts = [rows[start : start + step] for start in range(0, len(rows), step)]
    return np.asarray(sum(inputs[part].sum(axis=0, dtype=np.float64) for part in parts) / len(rows))
