"""The natural logarithm of 1 + x."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array, flat
from rosetta.preprocessing import ItemError, fixed, steps


def log1p(inputs: Array) -> Array:
    """Return the natural logarithms of 1 + `inputs`, elementwise, float32.

    Raises
    ------
    ItemError
        If a number is −1 or below.
    """
    numbers = np.asarray(inputs).astype(np.float64)
    if numbers.size and numbers.min() <= -1:
        row = int((flat(numbers) <= -1).any(axis=1).argmax())
        raise ItemError(
            row,
            f"holds {numbers[row].min():g}, but log1p takes numbers above -1: pass raw counts, or put log1p before "
            "what makes numbers negative, such as standardize",
        )
    return np.log1p(numbers, out=numbers).astype(np.float32)


steps.register("log1p")(fixed(log1p))
