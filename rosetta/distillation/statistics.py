"""What a file says of all the sender's items, as its level has it: moments of their latents, weights and coverage."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.bundle import layout
from rosetta.disclosure import levels
from rosetta.distillation.points import Points
from rosetta.distillation.random_streams import COVERAGE, Draws
from rosetta.distillation.sender import Sender
from rosetta.metrics.coverage import cover, moments
from rosetta.schemas.distill import DistillSettings
from rosetta.schemas.manifest import Coverage

WEIGHTED = "observed"  # the origin whose pairs may have weights: those of points that were made tell who was there


@dataclass(frozen=True)
class Measured:
    """What was measured of the items."""

    arrays: dict[str, Array] = field(default_factory=dict)  # of the file, by path
    coverage: Coverage | None = None  # as it was measured, for the sender


def measure_items(opened: Sender, points: Points, latents: Floats, settings: DistillSettings) -> Measured:
    """Return moments, weights and coverage of the sender's items; none where the points are differentially private.

    Parameters
    ----------
    latents : float array, shape (n_pairs, n_dims)
        Of the points, the anchors first.
    """
    if points.accounts:  # all of this is computed from the items, without noise
        return Measured()
    items, level = opened.space_latents(opened.sender.latents), settings.privacy
    shares, figures = cover(latents, items, Draws.of(settings).generator(COVERAGE), n_anchors=points.n_anchors)
    arrays: dict[str, Array] = {}
    if level == "open" or all(name == WEIGHTED for name, _ in points.stretches):
        weights = levels.coarse_weights(np.round(shares * len(items)), level)
        if weights is not None:
            arrays[layout.WEIGHTS] = weights
    if (told := levels.coarse_space(*moments(items), len(items), level)) is not None:
        arrays[layout.SPACE_MEAN], arrays[layout.SPACE_COVARIANCE] = told
    return Measured(arrays, Coverage(**figures))  # type: ignore[arg-type]
