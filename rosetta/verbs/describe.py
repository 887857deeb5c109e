"""What a bundle's manifest tells, put together from the sender's words and the run's record."""

from __future__ import annotations

import re

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from pydantic import JsonValue

from rosetta.arrays import Array
from rosetta.errors import UsageError
from rosetta.models.checkpoint import Checkpoint
from rosetta.schemas.audit import Disclosure
from rosetta.schemas.distill import DistillSettings
from rosetta.schemas.manifest import (
    Coverage,
    Creator,
    DataDescription,
    InputDescription,
    LatentSpace,
    ModelDescription,
    Parent,
    Provenance,
    Selection,
)
from rosetta.verbs.points.make import Points
from rosetta.verbs.software import now, versions

ORCID = re.compile(r"[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]")


def parse_creator(text: str) -> Creator:
    """Read ``NAME[; orcid=…][; affiliation=…]``, or raise UsageError.

    Examples
    --------
    >>> parse_creator("Ada Lovelace; orcid=0000-0002-1825-0097").orcid
    '0000-0002-1825-0097'
    """
    name, *rest = (part.strip() for part in text.split(";"))
    fields = dict(part.split("=", 1) for part in rest if "=" in part)
    is_odd = any(part.partition("=")[0] not in ("orcid", "affiliation") or part.endswith("=") for part in rest)
    if is_odd or not name or len(fields) < len(rest) or not ORCID.fullmatch(fields.get("orcid", "0000-0000-0000-0000")):
        raise UsageError(
            f"cannot read the creator {text!r}: write 'NAME', or 'NAME; orcid=0000-0002-1825-0097; affiliation=LAB'"
        )
    return Creator(name=name, orcid=fields.get("orcid"), affiliation=fields.get("affiliation"))


def parse_licence(text: str) -> str:
    """Return an SPDX licence expression in its canonical form, or raise UsageError.

    Examples
    --------
    >>> parse_licence("cc-by-4.0 or mit")
    'CC-BY-4.0 OR MIT'
    """
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression as error:
        raise UsageError(
            f"{text!r} is not an SPDX licence expression; write CC-BY-4.0 or CC0-1.0, for example"
        ) from error


def describe_space(checkpoint: Checkpoint, settings: DistillSettings) -> LatentSpace:
    """Return the latent space that the run's model is in."""
    return LatentSpace(
        id=checkpoint.record.space_id,
        name=settings.space_name or checkpoint.record.space_name,
        n_dims=checkpoint.space_dims,
        statistic="posterior_mean",
        prior="standard_normal",
    )


def describe_input(
    inputs: Array, checkpoint: Checkpoint, settings: DistillSettings, *, stored_range: tuple[float, float] | None
) -> InputDescription:
    """Return what one of `inputs`, float32, shape (n_pairs, …), is; with `stored_range`, they are stored in 8 bits."""
    low, high = checkpoint.config.value_range
    if settings.axes is not None and len(settings.axes) != inputs.ndim - 1:
        raise UsageError(f"--axes names {len(settings.axes)} axes, but an input of shape {inputs.shape[1:]} has others")
    return InputDescription(
        modality=settings.modality,
        shape=inputs.shape[1:],
        dtype="f4" if stored_range is None else "u1",
        stored_range=stored_range,
        value_range=(min(low, float(inputs.min())), max(high, float(inputs.max()))),
        units=settings.units,
        axis_names=settings.axes,
        feature_names=checkpoint.config.feature_names,
    )


def describe_provenance(
    checkpoint: Checkpoint,
    settings: DistillSettings,
    *,
    n_items: int,
    coverage: Coverage | None,
    points: Points,
    disclosure: Disclosure,
) -> Provenance:
    """Return who made the bundle, how and from what."""
    return Provenance(
        created=now(),
        title=settings.title,
        description=settings.description,
        creators=tuple(parse_creator(text) for text in settings.creators),
        license=parse_licence(settings.license),
        citation=settings.citation,
        terms_of_use=settings.terms,
        model=_describe_model(checkpoint, is_private=bool(points.accounts)),
        data=DataDescription(description=settings.data_description, n_items=n_items),
        selection=_describe_selection(settings, points, coverage),
        parents=tuple(Parent(content_id=a.content_id, relation="anchored_to") for a in checkpoint.record.anchors),
        generation=checkpoint.record.generation,
        software=versions("torch", "numpy", "h5py"),
        disclosure_audit=disclosure.model_dump(mode="json", exclude_none=True),
    )


def _describe_selection(settings: DistillSettings, points: Points, coverage: Coverage | None) -> Selection:
    methods = {"observed": settings.select or "kmeans", "public": settings.select or "kmeans", "decoded": settings.draw}
    origins: dict[str, JsonValue] = {
        each.origin: {
            **each.model_dump(mode="json", exclude={"origin"}),
            **points.figures[each.origin].model_dump(mode="json", exclude_none=True),
        }
        for each in points.counts
    }
    return Selection(
        method=", ".join(
            methods.get(name, name) if len(points.figures) == 1 or name not in methods else f"{name} by {methods[name]}"
            for name in points.figures
        ),
        seed=settings.seed,
        settings={"pairs": points.n_anchors, "checks": len(points.inputs) - points.n_anchors, "origins": origins},
        coverage=coverage,
    )


def _describe_model(checkpoint: Checkpoint, *, is_private: bool) -> ModelDescription:
    """Return what is told of the model; of one whose points are private, no figure that items were measured for."""
    settings, record = checkpoint.config.settings, checkpoint.record
    return ModelDescription(
        architecture=settings.architecture,
        framework="torch",
        objective=record.objective,
        n_parameters=record.n_parameters,
        weights_sha256=record.weights_sha256,
        training=settings.model_dump(mode="json", exclude_none=True, exclude={"device", "architecture"}),
        held_out_elbo=record.final.elbo if record.data.n_validation and not is_private else None,
    )
