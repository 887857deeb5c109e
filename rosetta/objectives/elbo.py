"""The evidence lower bound of a VAE with a normal posterior and a standard normal prior, and the anchors' terms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from rosetta.objectives.kinds import Posterior
from rosetta.objectives.pairs import AnchorBatch, completed, encoder_error


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, exp(log_variance)) ‖ N(0, 1)) in nats, shape (…, n_items), summed over dimensions."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)


def kl_between(mean: Tensor, sd: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, sd²) ‖ N(other_mean, exp(other_log_variance))) in nats, shape (…, n_items)."""
    ratio = (sd.square() + (mean - other_mean).square()) * (-other_log_variance).exp()
    return 0.5 * (ratio - 1 + other_log_variance - 2 * sd.log()).sum(-1)


def sample(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Return mean + sd · noise, a draw from the posterior that gradients pass through; all (…, n_items, n_dims)."""
    return torch.addcmul(mean, (0.5 * log_variance).exp(), noise)


class DecoderCall(Protocol):
    """What p(x | z) is for a decoder's output."""

    def log_prob(self, output: Tensor, inputs: Tensor) -> Tensor:
        """Return log p(x | z) in nats, shape (n_items,)."""


class LatentModel(Protocol):
    """A VAE, as far as an objective needs to know it."""

    @property
    def decoder(self) -> nn.Module:
        """From latents, shape (n_items, n_dims), to the likelihood's output."""

    @property
    def likelihood(self) -> DecoderCall:
        """What that output means."""

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return posterior means and log-variances, each of shape (n_items, n_dims)."""


class AnchoredELBO(nn.Module):
    """The terms of the loss: each a mean over the batch or over the step's anchors, in nats an item.

    ``reconstruction`` is the expected negative log-likelihood and ``kl`` the divergence from the prior. With anchors
    there is ``anchor_error``, mean_k ‖z_k − μ(x_k)‖² in latent units, squared (R-VAE paper, eq. 1), and what `also`
    names: ``anchor_decoder``, the negative log-likelihood of the inputs at the stored latents; ``anchor_spread``,
    KL(stored posterior ‖ new one); ``anchor_elbo``, the negative ELBO of the anchors' inputs. An objective adds what
    its `measure` gives (`rosetta.objectives.kinds`), of a batch out of `n_data` items.

    A model may have more dimensions than the stored latents. The first are theirs; before stored latents are decoded,
    they are completed with the model's own posterior means in the others, which no anchor holds.

    The anchors go through the encoder in one pass with the batch, so the encoder must treat items one by one. In
    evaluation there are the ``moments`` of the posterior means, shape (2, n_dims): their sum and that of their squares.

    Where the model is several side by side, everything has a leading axis, n_models; anchors that all of them see need
    not have it.
    """

    def __init__(
        self,
        model: LatentModel,
        *,
        also: Collection[str] = (),
        measure: Callable[[Posterior], Mapping[str, Tensor]] | None = None,
        n_data: int = 0,
    ) -> None:
        super().__init__()
        self.model = model
        self.also = frozenset(also)
        self.measure, self.n_data = measure, n_data

    def forward(self, inputs: Tensor, noise: Tensor, anchors: AnchorBatch | None = None) -> dict[str, Tensor]:
        """Return the terms for `inputs`, shape (n_items, …), with standard normal `noise`, shape (n_items, n_dims)."""
        n_items = noise.shape[-2]
        mean, log_variance = self.model.encode(inputs if anchors is None else _joined(inputs, anchors, noise.ndim - 2))
        mean, log_variance = mean.float(), log_variance.float()  # whatever precision the network computes in
        items = mean[..., :n_items, :], log_variance[..., :n_items, :]
        latents = sample(*items, noise)
        terms = {"reconstruction": self._misfit(latents, inputs), "kl": kl_divergence(*items).mean(-1)}
        if self.measure is not None:
            terms |= self.measure(Posterior(*items, latents, self.n_data))
        if anchors is not None:
            terms |= self._anchor_terms(mean[..., n_items:, :], log_variance[..., n_items:, :], anchors)
        if not self.training:
            means = items[0].detach()
            terms["moments"] = torch.stack([means.sum(-2), means.square().sum(-2)], dim=-2)
        return terms

    def _misfit(self, latents: Tensor, inputs: Tensor) -> Tensor:
        """Return the mean negative log-likelihood of `inputs` at `latents`."""
        output = self.model.decoder(latents).float()
        if latents.ndim == 2:
            return -self.model.likelihood.log_prob(output, inputs).mean()
        inputs = inputs.expand(output.shape)
        each = self.model.likelihood.log_prob(output.flatten(0, 1), inputs.flatten(0, 1))
        return -each.reshape(output.shape[:2]).mean(1)

    def _anchor_terms(self, mean: Tensor, log_variance: Tensor, anchors: AnchorBatch) -> dict[str, Tensor]:
        terms = {"anchor_error": encoder_error(mean, anchors)}
        if "anchor_decoder" in self.also:
            terms["anchor_decoder"] = self._misfit(completed(mean, anchors), anchors.inputs)
        if anchors.latents_sd is not None:
            n_dims = anchors.latents.shape[-1]
            posterior = mean[..., :n_dims], log_variance[..., :n_dims]
            terms["anchor_spread"] = kl_between(anchors.latents, anchors.latents_sd, *posterior).mean(-1)
        if anchors.noise is not None:
            misfit = self._misfit(sample(mean, log_variance, anchors.noise), anchors.inputs)
            terms["anchor_elbo"] = misfit + kl_divergence(mean, log_variance).mean(-1)
        return terms


def _joined(inputs: Tensor, anchors: AnchorBatch, axis: int) -> Tensor:
    """Return inputs with those of the anchors behind them, along the axis of the items."""
    if axis == 1 and anchors.inputs.ndim < inputs.ndim:
        return torch.cat([inputs, anchors.inputs.expand(len(inputs), *anchors.inputs.shape)], dim=1)
    return torch.cat([inputs, anchors.inputs], dim=axis)
