"""Convolutions that halve an image at each level, then fully connected layers; the decoder mirrors them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from rosetta.errors import ModelError
from rosetta.models import architectures
from rosetta.models.images import image_shape
from rosetta.models.layers import activation_layer


@architectures.register("conv")
def conv(
    input_shape: tuple[int, ...],
    latent_dim: int,
    *,
    channels: Sequence[int] = (32, 64),
    hidden: Sequence[int] = (256,),
    activation: str = "relu",
) -> tuple[nn.Module, nn.Module]:
    """Build an encoder of convolutions (kernel 3, stride 2, padding 1) and dense layers, and its mirrored decoder.

    Parameters
    ----------
    input_shape : tuple of int
        (height, width), (height, width, channels) or (channels, height, width), in pixels, odd or even. Channels are
        last, unless the first axis is at most 4 long and the last one is longer than that.
    latent_dim : int
        Number of latent dimensions.
    channels : sequence of int
        Channels after each level; a level halves height and width, rounding up.
    hidden : sequence of int
        Sizes of the dense layers between the last level and the latents, none or more.
    activation : str
        What follows each layer: a name in `rosetta.models.layers.ACTIVATIONS`.

    Raises
    ------
    ModelError
        If items are no images, or a level would find only one pixel along an axis.
    UsageError
        If there is no such activation.
    """
    image = image_shape(input_shape, "conv")
    sizes = _sizes((image.height, image.width), len(channels))
    n_features = channels[-1] * sizes[-1][0] * sizes[-1][1]
    inward: list[nn.Module] = [
        nn.Conv2d(n_in, n_out, kernel_size=3, stride=2, padding=1)
        for n_in, n_out in pairwise((image.n_channels, *channels))
    ]
    dense_in = [nn.Linear(n_in, n_out) for n_in, n_out in pairwise((n_features, *hidden, 2 * latent_dim))]
    dense_out = [nn.Linear(n_in, n_out) for n_in, n_out in pairwise((latent_dim, *reversed(hidden), n_features))]
    outward: list[nn.Module] = [
        # the output_padding chooses between the two sizes that a level shrinks to this one
        nn.ConvTranspose2d(
            n_in, n_out, kernel_size=3, stride=2, padding=1, output_padding=((h + 1) % 2, (w + 1) % 2)
        )
        for (n_in, n_out), (h, w) in zip(
            pairwise((*reversed(channels), image.n_channels)), sizes[-2::-1], strict=True
        )
    ]  # fmt: skip
    encoder = nn.Sequential(
        image.to_channels(),
        *_activated(inward, activation),
        nn.Flatten(),
        *_activated(dense_in[:-1], activation),
        dense_in[-1],
    )
    decoder = nn.Sequential(
        *_activated(dense_out, activation),
        nn.Unflatten(1, (channels[-1], *sizes[-1])),
        *_activated(outward[:-1], activation),
        outward[-1],
        image.to_items(),
    )
    return encoder, decoder


def _activated(layers: Sequence[nn.Module], activation: str) -> list[nn.Module]:
    return [part for layer in layers for part in (layer, activation_layer(activation))]


def _sizes(size: tuple[int, int], n_levels: int) -> list[tuple[int, int]]:
    """Return height and width before the first level and after each."""
    sizes = [size]
    for level in range(n_levels):
        height, width = sizes[-1]
        if min(height, width) < 2:
            raise ModelError(
                f"the architecture conv would halve images of {size[0]} × {size[1]} pixels {n_levels} times, but they "
                f"are {height} × {width} before the {level + 1}. time, and one pixel cannot be halved: "
                + (f"ask for at most {level} `channels`" if level else "take dense")
            )
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes
