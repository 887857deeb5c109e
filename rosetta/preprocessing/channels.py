"""Move an image's channels in front of its height and width, or behind them."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import PreprocessingError
from rosetta.preprocessing import fixed, steps


def channels_first(inputs: Array) -> Array:
    """Return images of shape (n_items, height, width, n_channels) as (n_items, n_channels, height, width), float32."""
    _check(inputs, "channels_first takes images, as items of shape (height, width, channels)")
    return np.ascontiguousarray(np.moveaxis(inputs, 3, 1), dtype=np.float32)


def channels_last(inputs: Array) -> Array:
    """Return images of shape (n_items, n_channels, height, width) as (n_items, height, width, n_channels), float32."""
    _check(inputs, "channels_last takes images, as items of shape (channels, height, width)")
    return np.ascontiguousarray(np.moveaxis(inputs, 1, 3), dtype=np.float32)


def _check(inputs: Array, takes: str) -> None:
    """Refuse items that have not three axes."""
    shape = inputs.shape[1:]
    if len(shape) != 3:
        hint = "leave it out for images without channels" if len(shape) == 2 else "put it before flatten"
        raise PreprocessingError(f"{takes}, but these have shape {shape}: {hint}")


steps.register("channels_first")(fixed(channels_first, n_axes=3))
steps.register("channels_last")(fixed(channels_last, n_axes=3))
