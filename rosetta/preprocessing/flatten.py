"""Lay an item's numbers out along one axis."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array, flat
from rosetta.preprocessing import fixed, steps


def flatten(inputs: Array) -> Array:
    """Return all numbers of an item one after the other, the last axis fastest, float32, shape (n_items, n_numbers)."""
    return flat(np.asarray(inputs, dtype=np.float32))


steps.register("flatten")(fixed(flatten, n_axes=1))
