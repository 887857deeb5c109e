"""Items as images: where their channels are, and the layers that bring them to torch's order and back."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from rosetta.errors import ModelError

MAX_CHANNELS_FIRST = 4  # grey, two channels, RGB, RGBA: more in front of a longer axis are rows


class ImageShape(NamedTuple):
    """An item's shape, read as an image."""

    n_channels: int
    height: int
    width: int
    channel_axis: int | None  # among an item's axes; None for (height, width)

    def to_channels(self) -> nn.Module:
        """Return the layer from items, shape (n_items, …), to shape (n_items, n_channels, height, width)."""
        return MoveChannels(self.channel_axis, is_inward=True)

    def to_items(self) -> nn.Module:
        """Return the layer from shape (n_items, n_channels, height, width) to items, shape (n_items, …)."""
        return MoveChannels(self.channel_axis, is_inward=False)


class MoveChannels(nn.Module):
    """Move the channels' axis behind that of the items, or from there to where an item has it."""

    def __init__(self, channel_axis: int | None, *, is_inward: bool) -> None:
        super().__init__()
        self.channel_axis = channel_axis
        self.is_inward = is_inward

    def forward(self, images: Tensor) -> Tensor:
        """Return `images` with their axes in the other order."""
        if self.channel_axis is None:
            return images.unsqueeze(1) if self.is_inward else images.squeeze(1)
        there, here = self.channel_axis + 1, 1
        return images.movedim(there, here) if self.is_inward else images.movedim(here, there)


def image_shape(input_shape: tuple[int, ...], architecture: str) -> ImageShape:
    """Read an item's shape as (height, width), (height, width, channels) or (channels, height, width).

    Channels are last, unless the first axis is at most `MAX_CHANNELS_FIRST` long and the last one is longer than
    that.

    Raises
    ------
    ModelError
        If the shape has neither two nor three axes; the message names `architecture`.
    """
    if len(input_shape) == 2:
        return ImageShape(1, *input_shape, channel_axis=None)
    if len(input_shape) != 3:
        raise ModelError(
            f"the architecture {architecture} takes images, of shape (height, width), (height, width, channels) or "
            f"(channels, height, width), but the items have shape {input_shape}: reshape them, or take dense"
        )
    first, _, last = input_shape
    if first <= MAX_CHANNELS_FIRST < last:
        return ImageShape(*input_shape, channel_axis=0)
    return ImageShape(last, input_shape[0], input_shape[1], channel_axis=2)


def image_of_size(
    input_shape: tuple[int, ...], architecture: str, *, size: int, n_channels: int | None = None
) -> ImageShape:
    """Read an item's shape as a square image of one size, its channels first or last.

    Parameters
    ----------
    size : int
        Height and width, in pixels.
    n_channels : int, optional
        Number of channels; None takes any.

    Raises
    ------
    ModelError
        If the items are of another shape; the message names `architecture`.
    """
    square = (size, size)
    if input_shape == square and n_channels in (None, 1):
        return ImageShape(1, *square, channel_axis=None)
    for axis in (2, 0) if len(input_shape) == 3 else ():
        rest, found = input_shape[:axis] + input_shape[axis + 1 :], input_shape[axis]
        if rest == square and n_channels in (None, found):
            return ImageShape(found, *square, channel_axis=axis)
    channels = "channels" if n_channels is None else n_channels
    raise ModelError(
        f"the architecture {architecture} takes items of shape ({size}, {size}), ({size}, {size}, {channels}) or "
        f"({channels}, {size}, {size}), but these have shape {input_shape}: crop or resize them, or take conv or "
        "dense, which take others"
    )
