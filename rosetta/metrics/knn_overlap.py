"""Whether two spaces give an item the same neighbours."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from rosetta.arrays import Floats
from rosetta.errors import MetricError
from rosetta.metrics import Doubles, check_paired
from rosetta.metrics.engine import metric

N_NEIGHBOURS = 10


@metric(
    "knn_overlap",
    label="k-NN overlap (k = 10)",
    needs=("two latents",),
    direction="higher",
    range=(0.0, 1.0),
    citation="Huh et al. 2024, The Platonic Representation Hypothesis (mutual k-NN)",
    n_permutations=3,
    interval="items",
    has_ceiling=True,
    max_items=1000,
)
def knn_overlap(a: Floats, b: Floats) -> Doubles:
    """The share of an item's 10 nearest neighbours that it has in both spaces, mean over items.

    1 if all neighbourhoods are the same, which no rotation, scale or shift changes; k/(n − 1) on average if the
    pairing is random. Neighbours are those by Euclidean distance, the item itself left out. Where several items tie
    for the last places, each has an equal part of these, so that the overlap is the one to expect if ties were broken
    at random; equal latents therefore lower it. It falls as items are added, since neighbourhoods get smaller: compare
    values of equally many items.

    Parameters
    ----------
    a, b : float array, shape (n_items, n_dims_a) and (n_items, n_dims_b)
        Representations of the same items in the same order.

    Returns
    -------
    float array, shape (n_items,)
        The share of each item.

    Raises
    ------
    MetricError
        If there are fewer than 12 items, which are all neighbours of one another.
    """
    first, second = check_paired(a, b)
    if len(first) < N_NEIGHBOURS + 2:
        raise MetricError(
            f"knn_overlap looks at {N_NEIGHBOURS} neighbours of each item, so at least {N_NEIGHBOURS + 2} are needed; "
            f"there are {len(first)}"
        )
    shared: Doubles = np.einsum("ij,ij->i", _places(first), _places(second)) / N_NEIGHBOURS
    return shared


def _places(latents: Doubles) -> Doubles:
    """Return how much of a neighbour each item (column) is to each item (row); every row adds up to k."""
    distance = cdist(latents, latents, "sqeuclidean")
    np.fill_diagonal(distance, np.inf)
    last = np.partition(distance, N_NEIGHBOURS - 1, axis=1)[:, N_NEIGHBOURS - 1, None]
    nearer, tied = distance < last, distance == last
    left = N_NEIGHBOURS - nearer.sum(axis=1, keepdims=True)
    places: Doubles = nearer + tied * (left / tied.sum(axis=1, keepdims=True))
    return places
