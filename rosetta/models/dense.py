"""Fully connected layers, the decoder mirroring the encoder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from torch import nn

from rosetta.models import architectures
from rosetta.models.layers import LargestUnits, Transposed, activation_layer


@architectures.register("dense")
def dense(
    input_shape: tuple[int, ...],
    latent_dim: int,
    *,
    hidden: Sequence[int] = (512, 256),
    activation: str = "relu",
    tied: bool = False,
    sparse: float = 1.0,
) -> tuple[nn.Module, nn.Module]:
    """Build the encoder input → hidden → mean and log-variance, and the decoder latent → hidden mirrored → input.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one item; it is flattened on the way in and restored on the way out.
    latent_dim : int
        Number of latent dimensions.
    hidden : sequence of int
        Sizes of the encoder's hidden layers, from the input on.
    activation : str
        What follows each hidden layer: a name in `rosetta.models.layers.ACTIVATIONS`.
    tied : bool
        The decoder uses the encoder's weights, transposed: of its last layer those that give the means. It has
        biases of its own. Such a decoder computes with its encoder's parameters, and moves between devices with it.
    sparse : float
        Share of the units of each hidden layer, of both halves, that stay active for an item: those that are
        largest after the activation (Makhzani & Frey 2013, who do so in the one layer before the output).

    Raises
    ------
    UsageError
        If there is no such activation.
    """
    n_features = math.prod(input_shape)
    inward = [nn.Linear(n_in, n_out) for n_in, n_out in pairwise((n_features, *hidden, 2 * latent_dim))]
    outward: list[nn.Module]
    if tied:
        n_used = [latent_dim, *reversed(hidden)]  # of the last layer the means alone
        outward = [Transposed(layer, n_units) for layer, n_units in zip(reversed(inward), n_used, strict=True)]
    else:
        outward = [nn.Linear(n_in, n_out) for n_in, n_out in pairwise((latent_dim, *reversed(hidden), n_features))]
    encoder = nn.Sequential(nn.Flatten(), *_activated(inward, hidden, activation, sparse))
    decoder = nn.Sequential(*_activated(outward, hidden[::-1], activation, sparse), nn.Unflatten(1, tuple(input_shape)))
    return encoder, decoder


def _activated(
    layers: Sequence[nn.Module], hidden: Sequence[int], activation: str, sparse: float
) -> Iterator[nn.Module]:
    """Yield the layers, each but the last followed by its activation."""
    for layer, n_units in zip(layers[:-1], hidden, strict=True):
        yield layer
        yield activation_layer(activation)
        if sparse < 1:
            yield LargestUnits(sparse, n_units)
    yield layers[-1]
