"""Inputs in 8 bits: 256 levels of a range, and the numbers that they stand for (spec §4.2)."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.bundle import layout


def from_levels(stored: Array, span: tuple[float, float]) -> Floats:
    """Return the inputs that `stored`, uint8, stands for: low + stored · (high − low) / 255, rounded to float32.

    Parameters
    ----------
    stored : uint8 array, any shape
    span : (low, high)
        What 0 and 255 stand for.
    """
    low, high = span
    table = low + np.arange(layout.LEVELS + 1, dtype=np.float64) * (high - low) / layout.LEVELS
    found: Floats = table.astype(np.float32)[stored]
    return found


def to_levels(inputs: Floats, span: tuple[float, float]) -> Array:
    """Return the nearest levels, uint8; what lies outside of `span` goes to its ends."""
    low, high = span
    levels = np.rint((inputs.astype(np.float64) - low) * (layout.LEVELS / (high - low)))
    return np.clip(levels, 0, layout.LEVELS).astype(np.uint8)


def lie_on_levels(inputs: Floats, span: tuple[float, float]) -> bool:
    """Whether every input, float32, is exactly one of the 256 numbers."""
    return bool((from_levels(to_levels(inputs, span), span) == inputs).all())
