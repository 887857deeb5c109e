"""Make coloured images grey."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import PreprocessingError
from rosetta.preprocessing import fixed, steps

RED, GREEN, BLUE = 0.299, 0.587, 0.114  # luma of ITU-R BT.601-7, section 2.5.1


def grey(inputs: Array) -> Array:
    """Return the luma of images, float32, shape (n_items, height, width).

    Parameters
    ----------
    inputs : array, shape (n_items, height, width, 3) or (n_items, 3, height, width)
        Red, green and blue, in any unit.

    Raises
    ------
    PreprocessingError
        If items are of another shape, or of one that could be both.
    """
    axis = _channel_axis(inputs.shape[1:]) + 1
    red, green, blue = (inputs.take(channel, axis).astype(np.float64) for channel in range(3))
    luma: Array = (RED * red + GREEN * green + BLUE * blue).astype(np.float32)
    return luma


def _channel_axis(shape: tuple[int, ...]) -> int:
    """Return which of an item's axes holds red, green and blue."""
    takes = "grey takes red, green and blue, as items of shape (height, width, 3) or (3, height, width)"
    if len(shape) == 2:
        raise PreprocessingError(f"{takes}, but these have shape {shape}: leave grey out if they are grey already")
    if len(shape) != 3:
        raise PreprocessingError(f"{takes}, but these have shape {shape}: put grey before flatten, or reshape the data")
    places = [axis for axis in (0, 2) if shape[axis] == 3]
    if not places:
        raise PreprocessingError(f"{takes}, but these have shape {shape}: leave out channels such as opacity")
    if len(places) == 2:
        raise PreprocessingError(f"{takes}, and shape {shape} could be both: make the images grey before you pass them")
    return places[0]


steps.register("grey")(fixed(grey, n_axes=2))
