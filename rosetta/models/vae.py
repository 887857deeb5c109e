"""The variational autoencoder: an encoder, a decoder, and what the decoder's output means."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from rosetta.arrays import Array, Floats
from rosetta.errors import ModelError
from rosetta.models import OPTIONS, Architecture, architectures, options_of
from rosetta.models.factory import build_networks, load_factory, split_name
from rosetta.models.likelihoods import Likelihood, likelihood
from rosetta.schemas.run import RunConfig

EMBED_ROWS = 4096  # items encoded or decoded at a time

OnRows = Callable[[int, int], None]


def _ignore(n_done: int, n_rows: int) -> None:
    """Show no progress."""


class VAE(nn.Module):
    """q(z | x) = N(mean, exp(log_variance)) and p(x | z), with a standard normal prior.

    Parameters
    ----------
    encoder : module
        What the likelihood lets it see of inputs, shape (n_items, …), to shape (n_items, 2 · n_dims): means, then
        log-variances.
    decoder : module
        Latents, shape (n_items, n_dims), to the likelihood's output, shape (n_items, …).
    likelihood : Likelihood
        What that output means.
    latent_dim : int
        Number of latent dimensions.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood, *, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return posterior means and log-variances, each of shape (n_items, n_dims)."""
        mean, log_variance = self.encoder(self.likelihood.seen(inputs)).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, latents: Tensor) -> Tensor:
        """Return the expected inputs, shape (n_items, …)."""
        return self.likelihood.mean(self.decoder(latents))


def build_vae(config: RunConfig, *, code: str | None = None) -> VAE:
    """Build an untrained VAE; its initial weights follow from the settings' seed alone.

    Parameters
    ----------
    config : RunConfig
        The architecture, its options, the likelihood and the shapes.
    code : str, optional
        The one ``package.module:factory`` that may be imported. A run folder comes from anybody, so that a name in
        it is not reason enough.

    Raises
    ------
    ModelError
        If the architecture is code that may not be imported, or its networks are not what they must be.
    UsageError
        If there is no such architecture, activation or likelihood.
    """
    settings = config.settings
    architecture = _architecture(settings.architecture, code)
    known = options_of(architecture).keys() & set(OPTIONS)
    given = {name: value for name in sorted(known) if (value := getattr(settings, name)) is not None}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        encoder, decoder = build_networks(
            architecture, config.input_shape, config.latent_dim, name=settings.architecture, options=given
        )
    output = likelihood(
        settings.likelihood,
        precision=settings.precision,
        input_shape=config.input_shape,
        library_size=config.library_size,
    )
    return VAE(encoder, decoder, output, latent_dim=config.latent_dim)


def _architecture(name: str, code: str | None) -> Architecture:
    if ":" not in name:
        return architectures.get(name)
    split_name(name)  # what is shown below, to be pasted, is a plain name
    if code != name:
        raise ModelError(
            f"the model needs the code {name}, which is not imported unasked: "
            f"pass `allow_code={name!r}` if you trust it"
        )
    return load_factory(name)


def encode_array(
    model: VAE, inputs: Array, *, device: torch.device | None = None, on_rows: OnRows = _ignore
) -> tuple[Floats, Floats]:
    """Return posterior means and standard deviations, float32, each of shape (n_items, n_dims).

    Always the mean, never a sample. `on_rows` is called with the numbers of rows done and of all rows.
    """
    means = np.empty((len(inputs), model.latent_dim), dtype=np.float32)
    sds = np.empty_like(means)
    with torch.inference_mode():
        for rows, block in _blocks(model, inputs, device):
            mean, log_variance = model.encode(block)
            means[rows] = mean.cpu().numpy()
            sds[rows] = (0.5 * log_variance).exp().cpu().numpy()
            on_rows(min(rows.stop, len(inputs)), len(inputs))
    return means, sds


def decode_array(model: VAE, latents: Floats, *, device: torch.device | None = None) -> Floats:
    """Return the expected inputs of `latents`, float32, shape (n_items, …)."""
    with torch.inference_mode():
        return np.concatenate([model.decode(block).cpu().numpy() for _, block in _blocks(model, latents, device)])


def _blocks(model: VAE, array: Array, device: torch.device | None) -> Iterator[tuple[slice, Tensor]]:
    device = device or next(model.parameters()).device
    model.eval().to(device)
    for start in range(0, len(array), EMBED_ROWS):
        rows = slice(start, start + EMBED_ROWS)
        yield rows, torch.from_numpy(np.array(array[rows], dtype=np.float32)).to(device)
