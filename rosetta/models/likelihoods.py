"""p(x | z): what the decoder's output means. Log-densities carry their constants, so that ELBOs compare."""

from __future__ import annotations

import difflib
import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from rosetta.errors import ModelError, UsageError

LIKELIHOODS = ("bernoulli", "gaussian", "negative-binomial", "poisson")


class Likelihood(nn.Module, ABC):
    """A family of distributions over inputs; what it learns of its own are its parameters.

    Nothing here needs whole numbers: log-densities are differentiable in the inputs, as those of anchors that
    another lab's decoder made are expected counts.
    """

    is_counts: bool  # inputs are meant to be whole numbers, and the encoder sees their logarithm

    @abstractmethod
    def log_prob(self, output: Tensor, inputs: Tensor) -> Tensor:
        """Return log p(x | z) in nats, shape (n_items,), summed over all numbers of an item."""

    @abstractmethod
    def mean(self, output: Tensor) -> Tensor:
        """Return the expected input, shape (n_items, …)."""

    def seen(self, inputs: Tensor) -> Tensor:
        """Return what the encoder is given, of the inputs' shape, (n_items, …): they themselves, or log(1 + counts)."""
        return inputs.log1p() if self.is_counts else inputs

    @abstractmethod
    def bounds(self) -> tuple[float, float] | None:
        """Return the range that inputs must lie in, if there is one; its end may be infinite."""


class Gaussian(Likelihood):
    """Independent normal distributions of one fixed precision (1 / variance); the output is their mean."""

    is_counts = False

    def __init__(self, precision: float) -> None:
        super().__init__()
        self.precision = precision

    def log_prob(self, output: Tensor, inputs: Tensor) -> Tensor:
        """Return −precision/2 ‖x − output‖² + n/2 log(precision / 2π), shape (n_items,)."""
        squared = (output - inputs).flatten(1).square().sum(1)
        return 0.5 * inputs[0].numel() * math.log(self.precision / (2 * math.pi)) - 0.5 * self.precision * squared

    def mean(self, output: Tensor) -> Tensor:
        """Return the output itself."""
        return output

    def bounds(self) -> None:
        """Any number is possible."""


class LearnedGaussian(Likelihood):
    """Independent normal distributions of one precision, which is learned with the weights and starts at 1.

    The σ-VAE of Rybkin, Daniilidis & Levine (2021), "Simple and effective VAE training with calibrated decoders".
    """

    is_counts = False

    def __init__(self) -> None:
        super().__init__()
        self.log_precision = nn.Parameter(torch.zeros(()))

    def log_prob(self, output: Tensor, inputs: Tensor) -> Tensor:
        """Return −precision/2 ‖x − output‖² + n/2 log(precision / 2π), shape (n_items,)."""
        squared = (output - inputs).flatten(1).square().sum(1)
        constant = 0.5 * inputs[0].numel() * (self.log_precision - math.log(2 * math.pi))
        return constant - 0.5 * self.log_precision.exp() * squared

    def mean(self, output: Tensor) -> Tensor:
        """Return the output itself."""
        return output

    def bounds(self) -> None:
        """Any number is possible."""


class Bernoulli(Likelihood):
    """Independent coins; the output is the logit. Inputs between 0 and 1 are read as probabilities."""

    is_counts = False

    def log_prob(self, output: Tensor, inputs: Tensor) -> Tensor:
        """Return Σ x log p + (1 − x) log(1 − p), shape (n_items,)."""
        loss = functional.binary_cross_entropy_with_logits(output, inputs, reduction="none")
        return -loss.flatten(1).sum(1)

    def mean(self, output: Tensor) -> Tensor:
        """Return the probabilities."""
        return torch.sigmoid(output)

    def bounds(self) -> tuple[float, float]:
        """From 0 to 1."""
        return 0.0, 1.0


def likelihood(
    name: str,
    *,
    precision: float | Literal["learned"],
    input_shape: tuple[int, ...],
    library_size: float | None,
) -> Likelihood:
    """Return the likelihood called `name`.

    Parameters
    ----------
    precision : float or "learned"
        The Gaussian's 1 / variance; the others have none.
    input_shape : tuple of int
        Shape of an item.
    library_size : float, optional
        Median total count of an item of the training data, which the negative binomial needs.

    Raises
    ------
    UsageError
        If there is none of that name.
    ModelError
        If the library size is missing.
    """
    from rosetta.models.counts import NegativeBinomial, Poisson  # which are likelihoods of the kind above

    if name == "gaussian":
        return LearnedGaussian() if precision == "learned" else Gaussian(precision)
    if name == "bernoulli":
        return Bernoulli()
    if name == "poisson":
        return Poisson()
    if name == "negative-binomial":
        if library_size is None:
            raise ModelError(
                "the negative-binomial likelihood needs library_size, the median total count of an item, but the "
                "run's configuration has none: train again"
            )
        return NegativeBinomial(input_shape, library_size)
    near = difflib.get_close_matches(name, LIKELIHOODS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"no likelihood called {name!r}.{hint} Known: {', '.join(LIKELIHOODS)}.")
