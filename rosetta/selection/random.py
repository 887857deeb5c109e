"""Items at random."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Floats
from rosetta.selection import Rows, check_n_pairs, selectors


@selectors.register("random")
def random(latents: Floats, n_pairs: int, rng: np.random.Generator) -> Rows:
    """Choose rows at random, without replacement: every prefix is a valid smaller selection.

    Parameters
    ----------
    latents : float array, shape (n_items, n_dims)
        Posterior means; only their number matters.

    Returns
    -------
    int array, shape (n_pairs,)
        Row numbers.

    Raises
    ------
    SelectionError
        If n_pairs is not between 1 and n_items.
    """
    check_n_pairs(n_pairs, len(latents))
    return rng.permutation(len(latents))[:n_pairs]
