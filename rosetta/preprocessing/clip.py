"""Keep numbers within a range."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import JsonValue

from rosetta.arrays import Array
from rosetta.preprocessing import StepKind, steps


@dataclass(frozen=True)
class Clip:
    """Low where x is below it, high where x is above it, else x."""

    low: float
    high: float

    def __post_init__(self) -> None:
        with np.errstate(over="ignore"):
            low, high = np.float32(self.low), np.float32(self.high)
        if not (np.isfinite([low, high]).all() and low < high):
            raise ValueError(
                f"clip(low, high) needs low < high, both within 32-bit floats: {self.low:g}, {self.high:g}"
            )

    @classmethod
    def fit(cls, blocks: Iterable[Array], low: float, high: float) -> Clip:
        """Nothing is learned: the range is given, and no block is read."""
        return cls(low, high)

    @classmethod
    def restore(cls, parameters: Mapping[str, Any], arrays: Mapping[str, Array]) -> Clip:
        """Rebuild the step from a manifest."""
        return cls(float(parameters["low"]), float(parameters["high"]))

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """The range."""
        return {"low": self.low, "high": self.high}

    @property
    def arrays(self) -> Mapping[str, Array]:
        """None."""
        return {}

    def __call__(self, inputs: Array) -> Array:
        """Return `inputs` within the range, float32."""
        clipped = np.array(inputs, dtype=np.float32)
        for end, is_beyond in ((np.float32(self.low), np.less), (np.float32(self.high), np.greater)):
            # np.clip may turn -0 into 0
            np.copyto(clipped, end, where=is_beyond(clipped, end))
        return clipped


steps.register("clip")(StepKind(Clip.fit, Clip.restore, ("low", "high")))
