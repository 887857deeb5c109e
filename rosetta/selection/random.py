"""Items at random."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Floats
from rosetta.selection import Rows, selector, selectors


@selectors.register("random")
@selector(gives="rows")
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
    """
    return rng.permutation(len(latents))[:n_pairs]
