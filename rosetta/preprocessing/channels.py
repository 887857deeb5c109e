"""Move an image's channels in front of its height and width, or behind them; a grey one gets an axis for its one."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import PreprocessingError
from rosetta.preprocessing import fixed, steps

GREY = 3  # axes of grey images, that of the items included


def channels_first(inputs: Array) -> Array:
    """Return images of shape (n_items, height, width, n_channels) as (n_items, n_channels, height, width), float32.

    Grey ones of shape (n_items, height, width) become (n_items, 1, height, width).
    """
    _check(inputs, "channels_first takes images, as items of shape (height, width, channels) or (height, width)")
    if inputs.ndim == GREY:
        return np.ascontiguousarray(inputs[:, np.newaxis], dtype=np.float32)
    return np.ascontiguousarray(np.moveaxis(inputs, 3, 1), dtype=np.float32)


def channels_last(inputs: Array) -> Array:
    """Return images of shape (n_items, n_channels, height, width) as (n_items, height, width, n_channels), float32.

    Grey ones of shape (n_items, height, width) become (n_items, height, width, 1).
    """
    _check(inputs, "channels_last takes images, as items of shape (channels, height, width) or (height, width)")
    if inputs.ndim == GREY:
        return np.ascontiguousarray(inputs[..., np.newaxis], dtype=np.float32)
    return np.ascontiguousarray(np.moveaxis(inputs, 1, 3), dtype=np.float32)


def _check(inputs: Array, takes: str) -> None:
    """Refuse items that have neither three axes nor two."""
    if inputs.ndim not in (GREY, GREY + 1):
        raise PreprocessingError(f"{takes}, but these have shape {inputs.shape[1:]}: put it before flatten")


steps.register("channels_first")(fixed(channels_first, n_axes=3))
steps.register("channels_last")(fixed(channels_last, n_axes=3))
