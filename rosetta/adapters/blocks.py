"""A model is called block by block, with blocks of the size that it takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import ModelError, RosettaError
from rosetta.programs import reason

BLOCK_ROWS = 4096
BLOCK_NUMBERS = 1 << 22  # of a block's inputs: what a network makes of them on the way is many times as large


def in_blocks(
    call: Callable[[Array], Sequence[Array]], items: Array, *, kind: str, n_rows: int | None = None
) -> tuple[Array, ...]:
    """Call a model on all items.

    Parameters
    ----------
    call : callable
        From a block, shape (n_rows, …), to arrays of as many rows.
    items : array, shape (n_items, …)
        At least one. They are passed on as float32.
    kind : str
        What messages call the model.
    n_rows : int, optional
        How many items the model takes at a time, no more and no fewer; the last block is filled up with its last item.

    Returns
    -------
    tuple of array, shape (n_items, …) each

    Raises
    ------
    ModelError
        If the model raises, or returns another number of rows.
    """
    size = n_rows or max(min(BLOCK_ROWS, BLOCK_NUMBERS // max(math.prod(items.shape[1:]), 1)), 1)
    results = []
    for start in range(0, len(items), size):
        block = np.array(items[start : start + size], dtype=np.float32)
        n_items = len(block)
        if n_rows is not None:
            block = np.concatenate([block, np.repeat(block[-1:], n_rows - n_items, axis=0)])
        try:
            arrays = call(block)
        except (MemoryError, RosettaError):
            raise
        except Exception as error:  # models raise whatever they come across
            raise ModelError(f"{kind} does not run on items of shape {block.shape[1:]}: {reason(error)}") from error
        _check_rows(arrays, len(block), kind)
        results.append([array[:n_items] for array in arrays])
    return tuple(np.concatenate(parts) for parts in zip(*results, strict=True))


def _check_rows(arrays: Sequence[Array], n_rows: int, kind: str) -> None:
    for array in arrays:
        if array.ndim == 0 or len(array) != n_rows:
            raise ModelError(
                f"{kind} gives an array of shape {array.shape} for {n_rows} items: it must give one row for each item"
            )
