"""What only the sender can check: the bundle against the model and the data that it is made from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rosetta.arrays import flat
from rosetta.bundle import layout
from rosetta.rounding import coarse_count, coarse_moments
from rosetta.rules.engine import Candidate, Problem, rule

TOLERANCE = 1e-3  # of the space's total standard deviation: other devices round differently
_NUMBERS = {"RZ-V111", "RZ-V113", "RZ-V114", "RZ-V115", "RZ-V117", "RZ-V126"}
_AGAIN = "Distil again, from the model and data that the bundle is to speak of."


@rule("RZ-V131", section="1", fix=_AGAIN, requires=_NUMBERS, needs={"model"})
def latents_are_the_models(file: Candidate) -> Iterator[Problem]:
    """With `model`: every latent is what the sender's encoder gives for exactly the stored input."""
    found = file.evidence.encode(file.bundle.inputs)
    if found.shape != file.bundle.latents.shape:
        yield Problem(layout.LATENTS, f"the model gives latents of shape {found.shape}, the bundle has others")
        return
    error = np.abs(found - file.bundle.latents).max(axis=1) / max(file.bundle.latents_total_sd, 1e-12)
    wrong = ~(error <= TOLERANCE)
    if wrong.any():
        yield Problem(
            layout.LATENTS,
            f"{wrong.sum()} of {len(wrong)} differ from what the model gives, the first is row {wrong.argmax()}, "
            f"by {error.max():.2g} of the space's standard deviation at the most",
        )


@rule("RZ-V132", section="5.2", fix=_AGAIN, requires={"RZ-V106"}, needs={"model"})
def model_is_the_one_described(file: Candidate) -> Iterator[Problem]:
    """With `model`: the model's weights have the digest that the manifest declares."""
    declared, found = file.manifest.provenance.model.weights_sha256, file.evidence.weights_sha256
    if found != declared:
        where = "/manifest#/provenance/model/weights_sha256"
        yield Problem(where, f"says {declared[:12]}…, but the digest of the model's weights is {found[:12]}…")


@rule("RZ-V133", section="5.2", fix=_AGAIN, requires=_NUMBERS, needs={"data"})
def observed_points_are_items(file: Candidate) -> Iterator[Problem]:
    """With `data`: there are as many items as the manifest says, rounded or not, and every observed input is one."""
    items = flat(file.evidence.items(file.bundle)).astype(np.float32)
    declared = file.manifest.provenance.data.n_items
    if declared not in (None, len(items), coarse_count(len(items))):
        yield Problem("/manifest#/provenance/data/n_items", f"says {declared}, but the data has {len(items)} items")
    inputs, first = flat(file.bundle.inputs).astype(np.float32), 0
    wanted = {row.tobytes() for row in inputs}
    known = {key for row in items if (key := row.tobytes()) in wanted}
    for origin in file.manifest.content.origins:
        rows = range(first, first + origin.n_pairs)
        first = rows.stop
        strange = [row for row in rows if inputs[row].tobytes() not in known] if origin.origin == "observed" else []
        if strange:
            yield Problem(
                layout.INPUTS, f"{len(strange)} observed inputs are no items of the data, as row {strange[0]}"
            )


@rule("RZ-V134", section="4.3", fix=_AGAIN, requires=_NUMBERS | {"RZ-V123", "RZ-V133"}, needs={"data", "model"})
def moments_are_of_all_items(file: Candidate) -> Iterator[Problem]:
    """With `model` and `data`: mean and covariance of the space are those of the items' latents, rounded or not."""
    mean, covariance = file.bundle.space_mean, file.bundle.space_covariance
    if mean is None or covariance is None:
        return
    latents = file.evidence.encode(file.evidence.items(file.bundle)).astype(np.float64)
    if latents.shape[1] != file.bundle.latents.shape[1]:  # RZ-V131 says so
        return
    scale = max(file.bundle.latents_total_sd, 1e-12)
    exact = latents.mean(axis=0), np.atleast_2d(np.cov(latents, rowvar=False, ddof=0))
    coarse = coarse_moments(*exact, len(latents))
    for path, told, *known, unit in (
        (layout.SPACE_MEAN, mean, exact[0], coarse[0], scale),
        (layout.SPACE_COVARIANCE, covariance, exact[1], coarse[1], scale**2),
    ):
        gap = min(float(np.abs(each - told).max()) for each in known) / unit
        if not gap <= TOLERANCE:
            yield Problem(path, f"is not that of the items' latents: off by {gap:.2g} of the space's scale")
