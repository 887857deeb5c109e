"""The variational autoencoder: an encoder, a decoder, and what the decoder's output means."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from rosetta.arrays import Array, Floats
from rosetta.models import architectures
from rosetta.models.likelihoods import Likelihood, likelihood
from rosetta.schemas.run import RunConfig

EMBED_ROWS = 4096  # items encoded or decoded at a time


class VAE(nn.Module):
    """q(z | x) = N(mean, exp(log_variance)) and p(x | z), with a standard normal prior.

    Parameters
    ----------
    encoder : module
        Inputs, shape (n_items, …), to shape (n_items, 2 · n_dims): means, then log-variances.
    decoder : module
        Latents, shape (n_items, n_dims), to the likelihood's output, shape (n_items, …).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return posterior means and log-variances, each of shape (n_items, n_dims)."""
        mean, log_variance = self.encoder(inputs).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, latents: Tensor) -> Tensor:
        """Return the expected inputs, shape (n_items, …)."""
        return self.likelihood.mean(self.decoder(latents))


def build_vae(config: RunConfig) -> VAE:
    """Build an untrained VAE; its initial weights follow from the settings' seed alone."""
    settings = config.settings
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        encoder, decoder = architectures.get(settings.architecture)(
            config.input_shape, config.latent_dim, settings.hidden
        )
    return VAE(encoder, decoder, likelihood(settings.likelihood, precision=settings.precision))


@torch.inference_mode()
def encode_array(model: VAE, inputs: Array, *, device: torch.device | None = None) -> tuple[Floats, Floats]:
    """Return posterior means and standard deviations, float32, each of shape (n_items, n_dims).

    Always the mean, never a sample.
    """
    means, sds = [], []
    for block in _blocks(model, inputs, device):
        mean, log_variance = model.encode(block)
        means.append(mean.cpu().numpy())
        sds.append((0.5 * log_variance).exp().cpu().numpy())
    return np.concatenate(means), np.concatenate(sds)


@torch.inference_mode()
def decode_array(model: VAE, latents: Floats, *, device: torch.device | None = None) -> Floats:
    """Return the expected inputs of `latents`, float32, shape (n_items, …)."""
    return np.concatenate([model.decode(block).cpu().numpy() for block in _blocks(model, latents, device)])


def _blocks(model: VAE, array: Array, device: torch.device | None) -> list[Tensor]:
    device = device or next(model.parameters()).device
    model.eval().to(device)
    return [
        torch.from_numpy(np.array(array[start : start + EMBED_ROWS], dtype=np.float32)).to(device)
        for start in range(0, len(array), EMBED_ROWS)
    ]
