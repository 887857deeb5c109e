"""Likelihoods of counts, such as those of molecules, photons or words."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rosetta.models.likelihoods import Likelihood

LOG_RATE_LIMIT = 20.0  # a rate of 5e8; float32 overflows at e^88, and gradients lose all sense long before
LARGE_THETA = 16.0  # from here on Stirling's series


class Poisson(Likelihood):
    """Independent counts; the output is the logarithm of their rate, cut off at `LOG_RATE_LIMIT`."""

    is_counts = True

    def log_prob(self, output: Tensor, inputs: Tensor) -> Tensor:
        """Return Σ x log(rate) − rate − log x!, shape (n_items,)."""
        log_rate = output.clamp(max=LOG_RATE_LIMIT)
        return (inputs * log_rate - log_rate.exp() - torch.lgamma(inputs + 1)).flatten(1).sum(1)

    def mean(self, output: Tensor) -> Tensor:
        """Return the rates."""
        return output.clamp(max=LOG_RATE_LIMIT).exp()

    def bounds(self) -> tuple[float, float]:
        """No count is below zero."""
        return 0.0, math.inf


class NegativeBinomial(Likelihood):
    """Counts that vary more than a Poisson's, given the item's library size: scVI's likelihood without batches.

    The expected count of a feature is its share, a softmax of the output over all features, times the item's
    library size, its total count. The variance is mean + mean² / θ, with one inverse dispersion θ for each feature,
    learned with the weights, which starts at 1 (Lopez et al. 2018, "Deep generative modeling for single-cell
    transcriptomics"; there too the observed total may stand for the library size).

    Parameters
    ----------
    input_shape : tuple of int
        Shape of an item.
    library_size : float
        Total count that a decoded item is given where there is no item: the training data's median.
    """

    is_counts = True

    def __init__(self, input_shape: tuple[int, ...], library_size: float) -> None:
        super().__init__()
        self.library_size = library_size
        self.log_inverse_dispersion = nn.Parameter(torch.zeros(math.prod(input_shape)))

    def log_prob(self, output: Tensor, inputs: Tensor) -> Tensor:
        """Return Σ log Γ(x + θ) − log Γ(θ) − log x! + θ log(θ / (θ + mean)) + x log(mean / (θ + mean)).

        Of shape (n_items,). An item's library size is its total, and at least 1.
        """
        counts = inputs.flatten(1)
        log_library = counts.sum(1, keepdim=True).clamp(min=1).log()
        log_theta = self.log_inverse_dispersion
        odds = log_library + functional.log_softmax(output.flatten(1), dim=1) - log_theta  # log(mean / θ)
        theta = log_theta.exp()
        coefficient = _log_gamma_ratio(theta, counts) - torch.lgamma(counts + 1)
        return (coefficient - theta * functional.softplus(odds) - counts * functional.softplus(-odds)).sum(1)

    def mean(self, output: Tensor) -> Tensor:
        """Return the shares times the library size that was given, shape (n_items, …)."""
        return self.library_size * functional.softmax(output.flatten(1), dim=1).reshape(output.shape)

    def bounds(self) -> tuple[float, float]:
        """No count is below zero."""
        return 0.0, math.inf


def _log_gamma_ratio(theta: Tensor, counts: Tensor) -> Tensor:
    """Return log Γ(x + θ) − log Γ(θ), of the counts' shape; θ has that of a row.

    In float32 the difference, and more so its gradient, is lost in rounding where θ is large, that is where counts
    are nearly Poisson's. There Stirling's series gives it, whose error is below 1e-11.
    """
    large = theta.clamp(min=LARGE_THETA)
    series = (large - 0.5) * (counts / large).log1p() + counts * ((large + counts).log() - 1)
    series = series + _stirling_tail(large + counts) - _stirling_tail(large)
    return torch.where(theta < LARGE_THETA, torch.lgamma(theta + counts) - torch.lgamma(theta), series)


def _stirling_tail(x: Tensor) -> Tensor:
    inverse_square = 1 / (x * x)
    return (1 / 12 - inverse_square * (1 / 360 - inverse_square / 1260)) / x
