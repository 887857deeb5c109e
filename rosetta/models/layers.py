"""Layers that several architectures use, and the two at which an encoder ends and a decoder begins."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from rosetta.errors import ModelError, UsageError

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


def activation_layer(name: str) -> nn.Module:
    """Return a new activation layer, or raise UsageError with the nearest known name."""
    if name not in ACTIVATIONS:
        near = difflib.get_close_matches(name, ACTIVATIONS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"no activation called {name!r}.{hint} Known: {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]()


class LargestUnits(nn.Module):
    """Keep each item's largest units and set the others to zero (Makhzani & Frey 2013, k-sparse autoencoders).

    Exactly k units are kept: of equal ones, whichever comes first in `torch.topk`. Gradients reach those alone.

    Parameters
    ----------
    share : float
        Share of the units that is kept, rounded to a whole number of at least one.
    n_units : int
        Size of the layer.
    """

    def __init__(self, share: float, n_units: int) -> None:
        super().__init__()
        self.n_kept = max(1, round(share * n_units))

    def forward(self, units: Tensor) -> Tensor:
        """Return `units`, shape (n_items, n_units), with all but each row's largest at zero."""
        largest = units.detach().topk(self.n_kept, dim=-1).indices
        return units * torch.zeros_like(units).scatter(-1, largest, 1.0)


class Transposed(nn.Module):
    """A linear layer with the transposed weights of another, and a bias of its own.

    The other layer is not a submodule of this one: its weights stand once among parameters and in the state
    dictionary, under the other's name. They are looked up at every call, so that `torch.func.functional_call` on a
    module that holds both layers gives both the same weights.

    Parameters
    ----------
    source : Linear
        The layer whose weights are used.
    n_units : int
        How many of its outputs are inputs here, counted from the first.
    """

    def __init__(self, source: nn.Linear, n_units: int) -> None:
        super().__init__()
        self._source = (source,)  # in a tuple, which hides it from registration
        self.n_units = n_units
        bound = 1 / math.sqrt(n_units)  # as nn.Linear draws its bias
        self.bias = nn.Parameter(torch.empty(source.in_features).uniform_(-bound, bound))

    def forward(self, units: Tensor) -> Tensor:
        """Return shape (n_items, source.in_features) for `units`, shape (n_items, n_units)."""
        return functional.linear(units, self._source[0].weight[: self.n_units].t(), self.bias)


def last_linear(encoder: nn.Module) -> nn.Linear:
    """Return the linear layer that an encoder ends in, which gives the 2 · n_dims means and log-variances.

    Only `torch.nn.Sequential` says in what order its parts are called, so only there is it looked for.

    Raises
    ------
    ModelError
        If the encoder does not end in a linear layer.
    """
    return _end(encoder, -1, "the encoder does not end")


def first_linear(decoder: nn.Module) -> nn.Linear:
    """Return the linear layer that a decoder begins with, which takes the latents.

    Raises
    ------
    ModelError
        If the decoder does not begin with a linear layer, or with one whose weights are the encoder's.
    """
    return _end(decoder, 0, "the decoder does not begin")


def _end(network: nn.Module, position: int, problem: str) -> nn.Linear:
    layer = network
    while isinstance(layer, nn.Sequential) and len(layer):
        layer = layer[position]
    if isinstance(layer, Transposed):
        raise ModelError(
            "the decoder's first layer is the encoder's last one, transposed (tied weights), so that the two "
            "cannot be changed apart: train without tied weights"
        )
    if not isinstance(layer, nn.Linear):
        raise ModelError(
            f"{problem} with torch.nn.Linear but with {type(layer).__name__}, so that no rotation of the latents can "
            "be folded into it: make it a torch.nn.Sequential with such a layer at that end"
        )
    return layer
