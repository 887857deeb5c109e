"""Several networks of one architecture as one, layer by layer: what takes ten steps takes one, of larger matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from rosetta.models.layers import ACTIVATIONS, LargestUnits
from rosetta.models.likelihoods import Likelihood
from rosetta.models.vae import VAE

SAME = (*(type(make()) for make in ACTIVATIONS.values()), LargestUnits)  # what works along the last axis as it is


class LinearSideBySide(nn.Module):
    """Linear layers of several networks: inputs, shape (n_models, n_items, n_in), to (n_models, n_items, n_out)."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        # transposed, unlike torch.nn.Linear's: the product with a batch is then one of rows with rows, twice as fast
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().T for layer in layers]).contiguous())
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]).unsqueeze(1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return each network's inputs times its own weights, plus its own bias."""
        return torch.baddbmm(self.bias, inputs, self.weight)


class VAEsSideBySide(nn.Module):
    """Several VAEs of one architecture; everything has a leading axis, n_models.

    `of` makes one, or says that a network has layers that it does not know.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood

    @classmethod
    def of(cls, models: Sequence[VAE]) -> VAEsSideBySide | None:
        """Return the models side by side, or None if one of their layers or their likelihood is not known here."""
        if any(True for _ in models[0].likelihood.state_dict()):
            return None  # a likelihood that learns takes its own numbers for each model
        encoder = _joined([model.encoder for model in models])
        decoder = _joined([model.decoder for model in models])
        return None if encoder is None or decoder is None else cls(encoder, decoder, models[0].likelihood)

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return posterior means and log-variances, each of shape (n_models, n_items, n_dims)."""
        mean, log_variance = self.encoder(self.likelihood.seen(inputs)).chunk(2, dim=-1)
        return mean, log_variance

    def weights(self, number: int) -> dict[str, Tensor]:
        """Return the weights of model `number` by the names that they have in a VAE of its own."""
        return {name: _own(name, tensor[number]) for name, tensor in self.state_dict().items()}

    @torch.no_grad()
    def take(self, weights: Sequence[Mapping[str, Tensor]]) -> None:
        """Take each model's weights."""
        for name, tensor in self.state_dict().items():
            for number, each in enumerate(weights):
                tensor[number].copy_(_own(name, each[name]).reshape(tensor[number].shape))


def _own(name: str, tensor: Tensor) -> Tensor:
    """Turn a weight of one model from the one form to the other; a matrix is stored transposed."""
    turned = tensor.T if name.endswith("weight") else tensor.reshape(-1)
    return turned.clone(memory_format=torch.contiguous_format)


def _joined(layers: Sequence[nn.Module]) -> nn.Module | None:
    """Return one layer in place of several, or None if it is not known how."""
    first = layers[0]
    if type(first) is nn.Linear and first.bias is not None:
        return LinearSideBySide([layer for layer in layers if isinstance(layer, nn.Linear)])
    if type(first) is nn.Sequential:
        parts = [_joined(each) for each in zip(*layers, strict=True)]
        known = [part for part in parts if part is not None]
        for number, (before, part) in enumerate(pairwise(known), start=1):
            if isinstance(before, LinearSideBySide) and type(part) is nn.ReLU:
                known[number] = nn.ReLU(inplace=True)  # nobody else needs what it is given: no new memory for it
        return nn.Sequential(*known) if len(known) == len(parts) else None
    if type(first) is nn.Flatten and (first.start_dim, first.end_dim) == (1, -1):
        return nn.Flatten(2)
    if type(first) is nn.Unflatten and first.dim == 1:
        return nn.Unflatten(2, first.unflattened_size)
    return first if isinstance(first, SAME) else None
