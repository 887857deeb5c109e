"""The random numbers of a distillation: secret ones, unless the sender asks for draws that a seed repeats."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import numpy as np

from rosetta.schemas.distill import DistillSettings

SECRET_BITS = 256
COVERAGE, CELLS, DIVISION, STRATA, BOUNDS = 2, 3, 4, 5, 6  # what is drawn beside anchors, 0, and check pairs, 1


@dataclass(frozen=True)
class Draws:
    """Generators of random numbers, one for each purpose.

    Whoever can repeat the noise of a point can take it away again. So it comes from the system's source of randomness,
    nothing in the bundle lets it be repeated, and no two calls give the same. With `reproducible` it comes from the
    seed, which is not in the bundle either; but a seed can be guessed.
    """

    seed: int | None = None  # None: secret
    _secret: int = field(default_factory=lambda: secrets.randbits(SECRET_BITS), repr=False)

    @classmethod
    def of(cls, settings: DistillSettings) -> Draws:
        """Return those that the settings ask for."""
        return cls(settings.seed if settings.reproducible else None)

    def generator(self, *purpose: int) -> np.random.Generator:
        """Return the generator for a purpose, and a place in it; the same again for the same."""
        if self.seed is not None:
            return np.random.default_rng([self.seed, *purpose])
        sequence = np.random.SeedSequence(self._secret, spawn_key=purpose, pool_size=SECRET_BITS // 32)
        return np.random.Generator(np.random.PCG64DXSM(sequence))
