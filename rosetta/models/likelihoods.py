"""p(x | z): what the decoder's output means. Log-densities carry their constants, so that ELBOs compare."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from rosetta.errors import UsageError


class Likelihood(Protocol):
    """A family of distributions over inputs."""

    def log_prob(self, output: Tensor, inputs: Tensor) -> Tensor:
        """Return log p(x | z) in nats, shape (n_items,), summed over all numbers of an item."""

    def mean(self, output: Tensor) -> Tensor:
        """Return the expected input, shape (n_items, …)."""

    def bounds(self) -> tuple[float, float] | None:
        """Return the range that inputs must lie in, if there is one."""


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions of one fixed precision (1 / variance); the output is their mean."""

    precision: float

    def log_prob(self, output: Tensor, inputs: Tensor) -> Tensor:
        """Return −precision/2 ‖x − output‖² + n/2 log(precision / 2π), shape (n_items,)."""
        squared = (output - inputs).flatten(1).square().sum(1)
        return 0.5 * inputs[0].numel() * math.log(self.precision / (2 * math.pi)) - 0.5 * self.precision * squared

    def mean(self, output: Tensor) -> Tensor:
        """Return the output itself."""
        return output

    def bounds(self) -> None:
        """Any number is possible."""


@dataclass(frozen=True)
class Bernoulli:
    """Independent coins; the output is the logit. Inputs between 0 and 1 are read as probabilities."""

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


LIKELIHOODS = ("bernoulli", "gaussian")


def likelihood(name: str, *, precision: float) -> Likelihood:
    """Return the likelihood called `name`, or raise UsageError."""
    if name == "gaussian":
        return Gaussian(precision)
    if name == "bernoulli":
        return Bernoulli()
    raise UsageError(f"no likelihood called {name!r}. Known: {', '.join(LIKELIHOODS)}.")
