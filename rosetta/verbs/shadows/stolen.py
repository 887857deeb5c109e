"""An encoder and a decoder learned from pairs alone, as whoever has a bundle can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rosetta.arrays import Array, Floats, flat

N_STEPS, BATCH, RATE = 1500, 128, 2e-3
WIDTHS = (256, 256)


@dataclass(frozen=True)
class Stolen:
    """What was learned from the pairs."""

    encode: Callable[[Array], Floats]  # inputs, shape (n, …), to latents, shape (n, n_dims)
    decode: Callable[[Floats], Floats]  # latents to flat inputs, shape (n, n_numbers)


def steal(inputs: Array, latents: Floats, *, seed: int, n_steps: int = N_STEPS) -> Stolen:
    """Train an encoder from inputs to latents and a decoder back, each on the pairs alone.

    Parameters
    ----------
    inputs : float32 array, shape (n_pairs, …)
        Published.
    latents : float array, shape (n_pairs, n_dims)
        Published.
    seed : int
        Of weights and batches.
    n_steps : int
        Steps of Adam, of 128 pairs each, with a rate that falls to zero.
    """
    x, z = (torch.from_numpy(flat(np.array(each, dtype=np.float32))) for each in (inputs, latents))
    (x_mean, x_sd), (z_mean, z_sd) = (x.mean(0), x.std().clamp_min(1e-6)), (z.mean(0), z.std(0).clamp_min(1e-6))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder, decoder = _network(x.shape[1], z.shape[1]), _network(z.shape[1], x.shape[1])
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=RATE, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / n_steps)
    for _ in range(n_steps):
        rows = torch.randint(len(x), (BATCH,), generator=generator)
        seen, wanted = (x[rows] - x_mean) / x_sd, (z[rows] - z_mean) / z_sd
        loss = ((encoder(seen) - wanted) ** 2).mean() + ((decoder(wanted) - seen) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

    def encode(rows: Array) -> Floats:
        return _applied(lambda block: encoder((block - x_mean) / x_sd) * z_sd + z_mean, rows)

    def decode(codes: Floats) -> Floats:
        return _applied(lambda block: decoder((block - z_mean) / z_sd) * x_sd + x_mean, codes)

    return Stolen(encode, decode)


def _network(n_in: int, n_out: int) -> nn.Module:
    layers: list[nn.Module] = []
    for width in WIDTHS:
        layers += [nn.Linear(n_in, width), nn.ReLU()]
        n_in = width
    return nn.Sequential(*layers, nn.Linear(n_in, n_out))


def _applied(compute: Callable[[Tensor], Tensor], rows: Array) -> Floats:
    with torch.no_grad():
        return np.asarray(compute(torch.from_numpy(flat(np.array(rows, dtype=np.float32)))).numpy())
