"""The evidence lower bound of a VAE with a normal posterior and a standard normal prior."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from rosetta.objectives.anchors import AnchorLoss, Drawn


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, exp(log_variance)) ‖ N(0, 1)) in nats, shape (n_items,), summed over dimensions."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def sample(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Return mean + sd · noise, a draw from the posterior that gradients pass through; all (n_items, n_dims)."""
    return torch.addcmul(mean, (0.5 * log_variance).exp(), noise)


class Decoding(Protocol):
    """What p(x | z) is for a decoder's output."""

    def log_prob(self, output: Tensor, inputs: Tensor) -> Tensor:
        """Return log p(x | z) in nats, shape (n_items,)."""


class LatentModel(Protocol):
    """A VAE, as far as an objective needs to know it."""

    @property
    def decoder(self) -> nn.Module:
        """From latents, shape (n_items, n_dims), to the likelihood's output."""

    @property
    def likelihood(self) -> Decoding:
        """What that output means."""

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return posterior means and log-variances, each of shape (n_items, n_dims)."""


class Terms(NamedTuple):
    """Means over a batch, each a tensor without axes, in nats an item (the anchor error in latent units, squared)."""

    loss: Tensor
    reconstruction: Tensor
    kl: Tensor
    anchor_error: Tensor


class AnchoredELBO(nn.Module):
    """reconstruction + β · KL, averaged over the batch, plus the anchor loss if there is one.

    The anchors go through the encoder in one pass with the batch, so the encoder must treat items one by one.

    Parameters
    ----------
    model : LatentModel
        The VAE that is trained.
    beta : float
        Weight of the KL divergence; 1 gives the evidence lower bound.
    anchors : AnchorLoss, optional
        Rosetta pairs (R-VAE paper, eq. 1).
    """

    def __init__(self, model: LatentModel, *, beta: float, anchors: AnchorLoss | None) -> None:
        super().__init__()
        self.model = model
        self.beta = beta
        self.anchors = anchors

    def forward(self, inputs: Tensor, noise: Tensor) -> Terms:
        """Return the terms for `inputs`, shape (n_items, …), with standard normal `noise`, shape (n_items, n_dims)."""
        if self.anchors is None:
            mean, log_variance = self.model.encode(inputs)
            reconstruction, kl = self._elbo_terms(inputs, mean, log_variance, noise)
            return Terms(reconstruction + self.beta * kl, reconstruction, kl, torch.zeros_like(kl))
        n_items = len(inputs)
        anchors = self.anchors.draw()
        mean, log_variance = self.model.encode(torch.cat([inputs, anchors.inputs]))
        reconstruction, kl = self._elbo_terms(inputs, mean[:n_items], log_variance[:n_items], noise)
        error = self.anchors.encoder_error(mean[n_items:], anchors)
        loss = reconstruction + self.beta * kl + self.anchors.weighted(error)
        if self.anchors.decoder_weight:
            loss = loss + self.anchors.decoder_weight * self._decoder_error(anchors)
        return Terms(loss, reconstruction, kl, error)

    def _elbo_terms(self, inputs: Tensor, mean: Tensor, log_variance: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model.decoder(sample(mean, log_variance, noise))
        reconstruction = -self.model.likelihood.log_prob(output, inputs).mean()
        return reconstruction, kl_divergence(mean, log_variance).mean()

    def _decoder_error(self, anchors: Drawn) -> Tensor:
        return -self.model.likelihood.log_prob(self.model.decoder(anchors.latents), anchors.inputs).mean()
