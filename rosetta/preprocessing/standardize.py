"""Bring every feature to mean 0 and standard deviation 1 over the sender's items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import JsonValue

from rosetta.arrays import Array
from rosetta.errors import PreprocessingError
from rosetta.preprocessing import StepKind, steps


@dataclass(frozen=True)
class Standardize:
    """(x − mean) / sd, elementwise; a feature that does not vary has sd 1."""

    mean: Array  # float64, shape of one item
    sd: Array  # float64, shape of one item

    def __post_init__(self) -> None:
        if self.mean.dtype != np.float64 or self.sd.dtype != np.float64:
            raise ValueError(f"standardize needs mean and sd as f8, not {self.mean.dtype} and {self.sd.dtype}")
        if self.mean.shape != self.sd.shape or not (np.isfinite(self.mean).all() and (self.sd > 0).all()):
            raise ValueError("standardize needs finite means, and as many standard deviations above 0")

    @classmethod
    def fit(cls, blocks: Iterable[Array]) -> Standardize:
        """Learn means and standard deviations from the sender's items, in one pass over blocks of them.

        Each block's own mean and variance are merged as Chan, Golub & LeVeque (1979) do, "Updating formulae and a
        pairwise algorithm for computing sample variances", so that large means cost no precision.
        """
        n_items, mean, variance = 0, np.zeros(()), np.zeros(())
        for block in blocks:
            other, n_items = len(block) / (n_items + len(block)), n_items + len(block)
            block_mean = block.mean(axis=0, dtype=np.float64)
            block_variance = block.var(axis=0, dtype=np.float64)
            if other == 1:
                mean, variance = block_mean, block_variance
                continue
            apart = block_mean - mean
            mean = mean + other * apart
            variance = variance + other * (block_variance - variance + (1 - other) * apart * apart)
        sd = np.sqrt(variance)
        return cls(mean, np.where(sd > 0, sd, 1.0))

    @classmethod
    def restore(cls, parameters: Mapping[str, Any], arrays: Mapping[str, Array]) -> Standardize:
        """Rebuild the step from a manifest."""
        return cls(arrays["mean"], arrays["sd"])

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """None."""
        return {}

    @property
    def arrays(self) -> Mapping[str, Array]:
        """The sender's means and standard deviations."""
        return {"mean": self.mean, "sd": self.sd}

    def __call__(self, inputs: Array) -> Array:
        """Return standardized `inputs`, float32."""
        if inputs.shape[1:] != self.mean.shape:
            raise PreprocessingError(
                f"standardize was fitted on items of shape {self.mean.shape}, not {inputs.shape[1:]}"
            )
        standardized = inputs - self.mean
        standardized /= self.sd
        return standardized.astype(np.float32)


steps.register("standardize")(StepKind(Standardize.fit, Standardize.restore, arrays=("mean", "sd")))
