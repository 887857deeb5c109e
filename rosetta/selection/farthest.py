"""Items as far from one another as can be: the edges of the data, and no gap larger than need be."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Floats
from rosetta.selection import Rows, selector, selectors


@selectors.register("farthest")
@selector(gives="rows")
def farthest(latents: Floats, n_pairs: int, rng: np.random.Generator) -> Rows:
    """Choose the item nearest to the mean, and then always the one farthest from those chosen (Gonzalez 1985).

    The largest distance of an item to the nearest chosen one is at most twice the smallest possible.

    Parameters
    ----------
    latents : float array, shape (n_items, n_dims)
        Posterior means.

    Returns
    -------
    int array, shape (n_pairs,)
        Row numbers in the order chosen: every prefix is a valid smaller selection.
    """
    centred = latents - latents.mean(axis=0)
    squares = np.einsum("ij,ij->i", centred, centred)
    rows = np.empty(n_pairs, dtype=np.intp)
    gaps = np.full(len(latents), np.inf, dtype=latents.dtype)
    rows[0] = squares.argmin()
    for place in range(1, n_pairs):
        last = rows[place - 1]
        np.minimum(gaps, squares + squares[last] - 2 * (centred @ centred[last]), out=gaps)
        gaps[last] = -np.inf  # chosen: rounding must not bring it back
        rows[place] = gaps.argmax()
    return rows
