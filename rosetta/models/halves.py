"""One half of a VAE as a module of its own, to be handed on without the other."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from rosetta.models.vae import VAE


class Encoder(nn.Module):
    """Inputs, shape (n_items, …), to posterior means and standard deviations, each of shape (n_items, n_dims).

    Parameters
    ----------
    model : VAE
        It is copied, onto the CPU and for evaluation, without its decoder.
    """

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = _without(model, "decoder")

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and standard deviations."""
        mean, log_variance = self.model.encode(inputs)
        return mean, (0.5 * log_variance).exp()


class Decoder(nn.Module):
    """Latents, shape (n_items, n_dims), to expected inputs, shape (n_items, …).

    Parameters
    ----------
    model : VAE
        It is copied, onto the CPU and for evaluation, without its encoder.
    """

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = _without(model, "encoder")

    def forward(self, latents: Tensor) -> Tensor:
        """Return expected inputs."""
        return self.model.decode(latents)


def _without(model: VAE, half: str) -> VAE:
    rest = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    setattr(rest, half, nn.Identity())
    return rest
