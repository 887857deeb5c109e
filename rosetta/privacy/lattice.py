"""Items as whole numbers in a ball, so that sums of them are exact and a sensitivity is a proof, not an estimate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rosetta.arrays import Array, Floats, first_nonfinite_row
from rosetta.errors import SourceError, UsageError

EXACT_BITS = 53  # float64 holds every whole number up to 2 to this
MOST_BITS = 16  # the ball's radius is at most 2 to this, in steps of the grid
ROWS = 4096  # items at a time
SHRINK = 1 - 2.0**-32  # what a float64 norm of a row can be wrong by, and more


@dataclass(frozen=True)
class Ball:
    """Where items count; what lies outside is pulled to its edge."""

    centre: Floats  # float64, shape (n_features,)
    radius: float  # in the items' units
    bits: int  # the radius is 2 ** bits steps of the grid

    @property
    def step(self) -> float:
        """Width of the grid, in the items' units."""
        return float(self.radius / 2**self.bits)

    def blocks(self, items: Array, shares: Array | None = None) -> Iterator[tuple[slice, Floats]]:
        """Yield rows and their items, shape (n_rows, n_features): whole numbers, of norm 2 ** bits at most.

        Numbers are cut towards zero, so that no norm grows. With `shares`, shape (n_items,), from 0 to 1, each item is
        multiplied by its own once it is in the ball: its norm is at most 2 ** bits times that.
        """
        for start in range(0, len(items), ROWS):
            rows = slice(start, start + ROWS)
            steps = self.inside(items[rows])
            yield rows, np.trunc(steps if shares is None else steps * shares[rows, np.newaxis])

    def inside(self, items: Array) -> Floats:
        """Return items, shape (n_rows, n_features), from the centre and in steps of the grid, pulled into the ball."""
        return pulled_in((items.astype(np.float64) - self.centre) / self.step, 2.0**self.bits)


def pulled_in(vectors: Floats, radius: Floats | float) -> Floats:
    """Return vectors, shape (n_vectors, n_features), shortened to a radius, or each to its own, where longer.

    They end up a little shorter than it, so that rounding cannot make them longer.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    inside = np.broadcast_to(np.reshape(radius, (-1, 1)) * SHRINK, norms.shape)
    return np.asarray(vectors * np.divide(inside, norms, out=np.ones_like(norms), where=norms > inside))


def grid_bits(n_items: int, *, power: int, factor: int, most: int = MOST_BITS) -> int:
    """Return the bits of the radius at which factor · Σ (products of `power` numbers) over items is always exact."""
    room = EXACT_BITS - n_items.bit_length() - factor.bit_length()
    return min(room // power, most)


def half_diagonal(n_features: int, low: float, high: float) -> float:
    """Return the distance from the middle of a range to its corners: the radius of a ball that holds all of it."""
    return float((high - low) / 2 * np.sqrt(n_features))


def check_range(items: Array, *, low: float, high: float, norm_bound: float | None) -> None:
    """Refuse items that are not what a guarantee speaks of.

    Raises
    ------
    UsageError
        If the range is empty, or the bound on norms not positive.
    SourceError
        If the items are no table, hold NaN or infinity, or lie outside of the range.
    """
    if not (np.isfinite([low, high]).all() and low < high):
        raise UsageError(f"the range of values is {low:g} to {high:g}; expected two finite numbers, the smaller first")
    if norm_bound is not None and not (np.isfinite(norm_bound) and norm_bound > 0):
        raise UsageError(f"the bound on norms is {norm_bound:g}; expected a number above 0")
    if items.ndim != 2 or len(items) < 2 or not items.shape[1]:
        raise SourceError(f"items have shape {items.shape}; expected (n_items, n_features), two items at least")
    if (row := first_nonfinite_row(items)) is not None:
        raise SourceError(f"the items hold NaN or infinity, the first in row {row}: remove or fill such rows")
    kind = items.dtype if items.dtype.kind == "f" else np.dtype(np.float64)
    first, last = np.asarray([low, high], dtype=kind)  # a float32 item at the range's end is not outside of it
    for start in range(0, len(items), ROWS):
        block = items[start : start + ROWS]
        outside = ((block < first) | (block > last)).any(axis=1)
        if outside.any():
            row = int(outside.argmax())
            raise SourceError(
                f"row {start + row} ranges from {block[row].min():g} to {block[row].max():g}, outside of the declared "
                f"{low:g} to {high:g}: the guarantee is for that range alone. Declare one that is known without "
                "looking at the data and holds all of it"
            )
