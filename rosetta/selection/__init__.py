"""Which items stand for all: latents in, row numbers out. One file for each method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rosetta.arrays import Floats
from rosetta.errors import SelectionError
from rosetta.registry import Registry

Rows = npt.NDArray[np.intp]
Selector = Callable[[Floats, int, np.random.Generator], Rows]

selectors: Registry[Selector] = Registry("selector", "rosetta.selection")


def check_n_pairs(n_pairs: int, n_items: int) -> None:
    """Raise SelectionError unless 1 ≤ `n_pairs` ≤ `n_items`."""
    if not 1 <= n_pairs <= n_items:
        raise SelectionError(f"{n_pairs} pairs were asked for, but there are {n_items} different items to choose from")
