"""Arrays in, numbers out, in float64. One file for each family of metrics."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rosetta.arrays import Floats
from rosetta.errors import MetricError

Doubles = npt.NDArray[np.float64]

LARGEST = 1e100


def check_paired(a: Floats, b: Floats) -> tuple[Doubles, Doubles]:
    """Return both as float64 if they are latents of the same items, at least two that differ.

    Raises
    ------
    MetricError
        If their numbers of rows differ, if one is not of shape (n_items, n_dims), or if one does not vary.
    """
    for name, array in (("first", a), ("second", b)):
        if array.ndim != 2:
            raise MetricError(f"the {name} latents have shape {array.shape}, expected (n_items, n_dims)")
    if len(a) != len(b):
        raise MetricError(f"{len(a)} and {len(b)} rows: both must hold latents of the same items in the same order")
    if len(a) < 2:
        raise MetricError("at least two items are needed")
    first, second = a.astype(np.float64), b.astype(np.float64)
    for name, array in (("first", first), ("second", second)):
        if not np.isfinite(array).all():
            raise MetricError(f"the {name} latents hold NaN or infinity")
        if np.abs(array).max() > LARGEST:
            raise MetricError(f"the {name} latents hold numbers beyond {LARGEST:g}, whose squares cannot be added up")
        if not np.ptp(array, axis=0).any():
            raise MetricError(f"the {name} latents do not vary: all rows are the same")
    return first, second
