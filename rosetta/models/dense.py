"""Fully connected layers with ReLU, the decoder mirroring the encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from rosetta.models import architectures


@architectures.register("dense")
def dense(input_shape: tuple[int, ...], latent_dim: int, hidden: Sequence[int]) -> tuple[nn.Module, nn.Module]:
    """Build the encoder input → hidden → mean and log-variance, and the decoder latent → hidden mirrored → input.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one item; it is flattened on the way in and restored on the way out.
    latent_dim : int
        Number of latent dimensions.
    hidden : sequence of int
        Sizes of the encoder's hidden layers, from the input on.
    """
    n_features = math.prod(input_shape)
    inward = [n_features, *hidden]
    outward = [latent_dim, *reversed(hidden)]
    encoder = nn.Sequential(nn.Flatten(), *_layers(inward), nn.Linear(inward[-1], 2 * latent_dim))
    decoder = nn.Sequential(*_layers(outward), nn.Linear(outward[-1], n_features), nn.Unflatten(1, tuple(input_shape)))
    return encoder, decoder


def _layers(sizes: Sequence[int]) -> list[nn.Module]:
    return [layer for n_in, n_out in pairwise(sizes) for layer in (nn.Linear(n_in, n_out), nn.ReLU())]
