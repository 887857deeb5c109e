"""Latents that come without a model: computed elsewhere, one row an item."""

from __future__ import annotations

from typing import Any

import numpy as np

from rosetta.arrays import Floats
from rosetta.errors import IncompatibleError
from rosetta.sources import as_source, read_items


def given_latents(latents: Any, n_items: int) -> Floats:
    """Return given latents as float32, shape (n_items, n_dims).

    Raises
    ------
    IncompatibleError
        If there is not one for each item, or they are no vectors.
    """
    found = read_items(latents)
    where = str(as_source(latents))
    if found.ndim != 2:
        raise IncompatibleError(f"`latents={where!r}` has shape {found.shape}, but latents are (n_items, n_dims)")
    if len(found) != n_items and found.shape[1] == n_items:
        raise IncompatibleError(f"`latents={where!r}` has shape {found.shape}, and looks transposed: items come first")
    if len(found) != n_items:
        raise IncompatibleError(
            f"`latents={where!r}` has {len(found):,} rows, but the data has {n_items:,} items: one for each is "
            "needed, in the same order (`rows` and `where` choose among the data, not among the latents)"
        )
    with np.errstate(over="ignore"):  # what overflows becomes infinity, and is refused below
        single: Floats = found.astype(np.float32)
    if not np.isfinite(single).all():
        raise IncompatibleError(f"`latents={where!r}` holds numbers beyond 32-bit floats")
    return single
