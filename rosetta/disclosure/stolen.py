"""An encoder and a decoder trained from a bundle's pairs, as whoever receives the bundle can train them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from rosetta.arrays import Floats
from rosetta.disclosure.components import Components
from rosetta.disclosure.search import Singles

MOST_COMPONENTS = 256  # coordinates of an input that the networks see
BATCH = 256
RATE = 4e-3  # of Adam, falling to zero
BETAS = (0.9, 0.999)
ROUGHENED = 0.05  # noise on the encoder's inputs, in standard deviations: fewer pairs are enough then


@dataclass(frozen=True)
class Stolen:
    """What was learned from the pairs."""

    encode: Callable[[Singles], Singles]  # inputs, shape (n, n_numbers), to latents, shape (n, n_dims)
    decode: Callable[[Floats], Singles]  # latents to inputs


def steal(
    inputs: Singles, latents: Floats, components: Components, *, n_steps: int, n_hidden: int, seed: int
) -> Stolen:
    """Train an encoder and a decoder on pairs for a number of steps.

    Parameters
    ----------
    inputs : float32 array, shape (n_pairs, n_numbers)
        The published inputs.
    latents : float array, shape (n_pairs, n_dims)
        Their published latents.
    components : Components
        Of the inputs: the networks see at most 256 coordinates, scaled alike.
    n_steps : int
        Steps of Adam, of 256 pairs each. The same number gives the same networks on any machine's clock.
    n_hidden : int
        Units of each of two hidden layers.
    seed : int
        Of the networks' first weights and of the batches; no global state is touched.
    """
    n_seen = min(MOST_COMPONENTS, len(components.variances))
    vectors = components.vectors[:, :n_seen]
    scales = np.sqrt(components.variances[:n_seen]).astype(np.float32)
    middle = latents.mean(axis=0).astype(np.float32)
    spread = np.maximum(latents.std(axis=0), 1e-6).astype(np.float32)
    # coordinates of little variance stay small, so that the loss is of inputs and not of their noise
    weights = torch.from_numpy(scales / scales[0])
    seen = torch.from_numpy(np.asarray((inputs - components.mean) @ vectors, dtype=np.float32) / scales)
    wanted = torch.from_numpy((latents.astype(np.float32) - middle) / spread)
    generator = torch.Generator().manual_seed(seed)
    encoder, decoder = (
        _network(*ends, n_hidden, generator) for ends in ((n_seen, wanted.shape[1]), (wanted.shape[1], n_seen))
    )
    parameters = [*encoder.parameters(), *decoder.parameters()]
    first, second = ([torch.zeros_like(each) for each in parameters] for _ in range(2))
    for step in range(n_steps):
        rows = torch.randint(len(seen), (BATCH,), generator=generator)
        x, z = seen[rows], wanted[rows]
        rough = x + ROUGHENED * torch.randn(x.shape, generator=generator)
        loss = ((encoder(rough * weights) - z) ** 2).mean() + (((decoder(z) - x) * weights) ** 2).sum(dim=1).mean()
        gradients = torch.autograd.grad(loss, parameters)
        _adam(parameters, gradients, first, second, rate=RATE * (1 - step / n_steps), step=step + 1)

    def encode(rows: Singles) -> Singles:
        numbers = np.asarray((rows - components.mean) @ vectors, dtype=np.float32) / scales
        with torch.no_grad():
            found = encoder(torch.from_numpy(numbers) * weights).numpy()
        return np.asarray(middle + spread * found)

    def decode(codes: Floats) -> Singles:
        with torch.no_grad():
            found = decoder(torch.from_numpy((codes.astype(np.float32) - middle) / spread)).numpy()
        return np.asarray(components.mean + (found * scales) @ vectors.T)

    return Stolen(encode, decode)


def _adam(
    parameters: list[nn.Parameter], gradients: Sequence[torch.Tensor], first: list[torch.Tensor],
    second: list[torch.Tensor], *, rate: float, step: int,
) -> None:  # fmt: skip
    """Take a step of Adam (Kingma and Ba, 2015, algorithm 1), in place; torch's own takes seconds to import."""
    with torch.no_grad():
        for parameter, gradient, mean, square in zip(parameters, gradients, first, second, strict=True):
            mean.lerp_(gradient, 1 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
            scale = (square / (1 - BETAS[1] ** step)).sqrt_().add_(1e-8)
            parameter.addcdiv_(mean, scale, value=-rate / (1 - BETAS[0] ** step))


def _network(n_in: int, n_out: int, n_hidden: int, generator: torch.Generator) -> nn.Module:
    """Return a network with two hidden layers and a straight way past them, its weights drawn from the generator."""
    with torch.random.fork_rng(devices=[]):  # the layers' own first weights, which are replaced
        bent = nn.Sequential(
            nn.Linear(n_in, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_out)
        )
        network = _Past(bent, nn.Linear(n_in, n_out))
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                bound = layer.in_features**-0.5
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.uniform_(-bound, bound, generator=generator)
    return network


class _Past(nn.Module):
    """The sum of a network and a linear map."""

    def __init__(self, bent: nn.Module, straight: nn.Module) -> None:
        super().__init__()
        self.bent, self.straight = bent, straight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.bent(x) + self.straight(x)
        return found
