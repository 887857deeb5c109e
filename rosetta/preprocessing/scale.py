"""Scale a range of values to 0…1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import JsonValue

from rosetta.arrays import Array
from rosetta.preprocessing import StepKind, steps


@dataclass(frozen=True)
class Scale:
    """(x − low) / (high − low), elementwise."""

    low: float
    high: float

    def __post_init__(self) -> None:
        with np.errstate(over="ignore", under="ignore"):
            width = np.float32(self.high - self.low)  # the divisor
        if not np.isfinite([self.low, self.high, float(width)]).all() or width <= 0:
            raise ValueError(f"scale(low, high) needs low < high, not {self.low:g}, {self.high:g}")

    @classmethod
    def fit(cls, blocks: Iterable[Array], low: float, high: float) -> Scale:
        """Nothing is learned: the range is given, and no block is read."""
        return cls(low, high)

    @classmethod
    def restore(cls, parameters: Mapping[str, Any], arrays: Mapping[str, Array]) -> Scale:
        """Rebuild the step from a manifest."""
        return cls(float(parameters["low"]), float(parameters["high"]))

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """The range of raw values."""
        return {"low": self.low, "high": self.high}

    @property
    def arrays(self) -> Mapping[str, Array]:
        """None."""
        return {}

    def __call__(self, inputs: Array) -> Array:
        """Return scaled `inputs`, float32."""
        return (np.asarray(inputs, dtype=np.float32) - np.float32(self.low)) / np.float32(self.high - self.low)


steps.register("scale")(StepKind(Scale.fit, Scale.restore, ("low", "high")))
