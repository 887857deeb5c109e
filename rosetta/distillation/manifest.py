"""What a bundle's manifest tells, put together from the sender's words and the run's record."""

from __future__ import annotations

import hashlib

import numpy as np
from pydantic import JsonValue

from rosetta.arrays import Array, row_blocks
from rosetta.credits import parse_creator, parse_licence
from rosetta.disclosure import levels
from rosetta.distillation.item_selection import METHOD
from rosetta.distillation.points import Points
from rosetta.distillation.sender import Sender
from rosetta.errors import UsageError
from rosetta.rounding import outward
from rosetta.runs.records import new_space_id
from rosetta.schemas.audit import Disclosure
from rosetta.schemas.distill import DistillSettings
from rosetta.schemas.manifest import (
    Coverage,
    DataDescription,
    InputDescription,
    LatentSpace,
    ModelDescription,
    Provenance,
    Selection,
)
from rosetta.schemas.record import PrivacyLevel
from rosetta.software import now, versions


def describe_space(opened: Sender, model: ModelDescription, settings: DistillSettings) -> LatentSpace:
    """Return the latent space that the sender's model is in: that which it descends from, or one that it begins."""
    known = None if opened.model is None else opened.model.space
    return LatentSpace(
        id=new_space_id(model.weights_sha256) if known is None else known.id,
        name=settings.space_name or (None if known is None else known.name),
        n_dims=opened.n_dims,
        statistic="posterior_mean",
        prior="standard_normal",
    )


def describe_input(inputs: Array, opened: Sender, settings: DistillSettings) -> InputDescription:
    """Return what one of `inputs`, float32, shape (n_pairs, …), is."""
    low, high = opened.sender.value_range
    if settings.axes is not None and len(settings.axes) != inputs.ndim - 1:
        raise UsageError(f"`axes` names {len(settings.axes)} axes, but an input of shape {inputs.shape[1:]} has others")
    return InputDescription(
        modality=settings.modality,
        shape=inputs.shape[1:],
        dtype="f4" if opened.stored_range is None else "u1",
        stored_range=opened.stored_range,
        value_range=_covering(low, high, inputs),
        units=settings.units,
        axis_names=settings.axes,
        feature_names=opened.items.info.feature_names,
    )


def _covering(low: float, high: float, inputs: Array) -> tuple[float, float]:
    """Return the declared range where it holds all inputs, else one with round ends that does."""
    least, largest = float(inputs.min()), float(inputs.max())
    return (low, high) if low <= least and largest <= high else outward(min(low, least), max(high, largest))


def describe_model(opened: Sender, level: PrivacyLevel, *, is_private: bool) -> ModelDescription:
    """Return what is told of the model; of one whose points are private, no figure that items were measured for."""
    if opened.model is None:
        digest = hashlib.sha256(b"rosetta-latents-v1\n")
        for _, block in row_blocks(opened.sender.latents):  # which know nothing of excluded items
            digest.update(np.ascontiguousarray(block, dtype="<f4").tobytes())
        return ModelDescription(
            architecture="unknown", framework="unknown", objective="unknown", n_parameters=0,
            weights_sha256=digest.hexdigest(),
        )  # fmt: skip
    told = opened.model.describe(opened.private_latents.shape[1])
    elbo = None if is_private else levels.coarse_elbo(told.held_out_elbo, level)
    return told.model_copy(update={"held_out_elbo": elbo, "training": levels.coarse_training(told.training, level)})


def describe_provenance(
    opened: Sender,
    model: ModelDescription,
    settings: DistillSettings,
    *,
    coverage: Coverage | None,
    points: Points,
    disclosure: Disclosure,
) -> Provenance:
    """Return who made the bundle, how and from what."""
    known = None if opened.model is None else opened.model.space
    return Provenance(
        created=levels.coarse_time(now(), settings.privacy),
        title=settings.title,
        description=settings.description,
        creators=tuple(parse_creator(text) for text in settings.creators),
        license=parse_licence(settings.license),
        citation=settings.citation,
        terms_of_use=settings.terms,
        model=model,
        data=DataDescription(
            description=settings.data_description,
            n_items=levels.coarse_n_items(len(opened.sender.inputs), settings.privacy),
        ),
        selection=_describe_selection(opened, settings, points, coverage),
        parents=() if known is None else known.parents,
        generation=0 if known is None else known.generation,
        software=levels.coarse_software(versions("torch", "numpy", "h5py"), settings.privacy),
        disclosure_audit=disclosure.model_dump(mode="json", exclude_none=True),
    )


def _describe_selection(
    opened: Sender, settings: DistillSettings, points: Points, coverage: Coverage | None
) -> Selection:
    method = settings.select or METHOD
    methods = {"observed": method, "public": method, "decoded": settings.draw}
    origins: dict[str, JsonValue] = {
        each.origin: {
            **each.model_dump(mode="json", exclude={"origin"}),
            **levels.coarse_figures(
                points.figures[each.origin].model_dump(mode="json", exclude_none=True),
                settings.privacy,
                members=settings.members,
            ),
        }
        for each in points.counts
    }
    level = settings.privacy
    told: dict[str, JsonValue] = {
        "privacy": level,
        "pairs": points.n_anchors, "checks": len(points.inputs) - points.n_anchors, "origins": origins,
    }  # fmt: skip
    if settings.reproducible:
        told["reproducible"] = True
    if settings.stratify is not None and opened.chooser.strata is not None:
        told["strata"] = len(opened.chooser.strata.names)
    if opened.chooser.n_sampled is not None:
        told |= levels.coarse_figures({"items_sampled": opened.chooser.n_sampled}, level)
    if settings.audit_held_out:
        told["audit_held_out"] = True
    if opened.items.info.filled:
        told["filled_features"] = list(opened.items.info.filled)
    if opened.items.info.n_skipped:
        told |= levels.coarse_figures({"bad_items_left_out": opened.items.info.n_skipped}, level)
    return Selection(
        method=", ".join(
            methods.get(name, name) if len(points.figures) == 1 or name not in methods else f"{name} by {methods[name]}"
            for name in points.figures
        ),
        settings=told,
        coverage=None if coverage is None else levels.coarse_coverage(coverage, level),
    )
