"""Small models, trained for a moment, as other people have them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from rosetta.adapters import Loading
from rosetta.arrays import Array

CPU = torch.device("cpu")
LOADING = Loading(CPU)
SHAPE = (1, 6, 6)


def images(n_items: int, seed: int = 0) -> Array:
    """Blobs at random places, float32, shape (n_items, 1, 6, 6)."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.uniform(1, 5, (2, n_items, 1, 1))
    across = np.arange(6.0)
    blobs = np.exp(-((across[:, None] - rows) ** 2 + (across - columns) ** 2) / 2)
    return (blobs[:, None] + 0.05 * rng.random((n_items, *SHAPE))).astype(np.float32)


class Encoder(nn.Module):
    """From images to means and log-variances."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        self.mean, self.log_variance = nn.Linear(144, 2), nn.Linear(144, 2)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(inputs)
        return self.mean(features), self.log_variance(features)


class Decoder(nn.Module):
    """From latents to images."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 36), nn.Unflatten(1, SHAPE))

    def forward(self, latents: Tensor) -> Tensor:
        result: Tensor = self.layers(latents)
        return result


class Means(nn.Module):
    """The means alone."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, inputs: Tensor) -> Tensor:
        result: Tensor = self.encoder(inputs)[0]
        return result


class Swapped(Means):
    """The log-variances first, as only the outputs' names tell."""

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        mean, log_variance = self.encoder(inputs)
        return log_variance, mean


class Samples(Means):
    """What many a model calls its latents."""

    def forward(self, inputs: Tensor) -> Tensor:
        mean, log_variance = self.encoder(inputs)
        return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)


def trained() -> tuple[Encoder, Decoder]:
    """A few steps of a VAE, left in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder, decoder = Encoder(), Decoder()
        optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
        batch = torch.from_numpy(images(128))
        for _ in range(10):
            mean, log_variance = encoder(batch)
            latents = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
            kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)
            loss = (((decoder(latents) - batch) ** 2).sum(dim=(1, 2, 3)) * 5 + kl).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return encoder.eval().requires_grad_(False), decoder.eval().requires_grad_(False)


def answer(module: nn.Module, inputs: Array) -> tuple[Array, ...]:
    """What a module itself gives."""
    with torch.inference_mode():
        result = module(torch.from_numpy(inputs))
    return tuple(each.numpy() for each in ([result] if isinstance(result, Tensor) else result))
