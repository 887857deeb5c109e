"""Where the points of a bundle come from, one file for each origin. Their latents are always the sender's encoder's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rosetta.arrays import Array, Floats, flat
from rosetta.registry import Registry

Selector = Callable[[Floats, int, np.random.Generator], Array]


@dataclass(frozen=True)
class Sender:
    """What points can be made from."""

    inputs: Array  # float32, shape (n_items, …)
    latents: Floats  # posterior means of the inputs, shape (n_items, n_dims)
    mean: Floats  # of the latents, float64, shape (n_dims,)
    covariance: Floats  # of the latents, float64, shape (n_dims, n_dims)
    value_range: tuple[float, float]  # that inputs must lie in
    decode: Callable[[Floats], Floats]  # latents to expected inputs, float32
    select: Selector  # for origins that choose among the items


# (sender, number of points, random numbers, inputs that must not come up again) → float32 inputs, all different
Origin = Callable[[Sender, int, np.random.Generator, Array], Array]

origins: Registry[Origin] = Registry("origin", "rosetta.origins")


def new_rows(candidates: Array, taken: Array) -> Array:
    """Return the numbers of the rows of `candidates` that stand neither in `taken` nor earlier, in order.

    Rows are compared by their bytes; both arrays have shape (n_rows, …) and the same dtype.
    """
    seen = {row.tobytes() for row in flat(taken)}
    fresh = []
    for number, row in enumerate(flat(candidates)):
        key = row.tobytes()
        if key not in seen:
            seen.add(key)
            fresh.append(number)
    return np.array(fresh, dtype=np.intp)
