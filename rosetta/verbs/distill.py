"""Choose or make pairs with a trained model and write them as a bundle."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from rosetta import preprocessing
from rosetta.arrays import Array, Floats, resolve_device
from rosetta.bundle import layout
from rosetta.bundle.digest import manifest_digest
from rosetta.bundle.manifest import canonical
from rosetta.bundle.reader import RawBundle
from rosetta.bundle.writer import make_manifest, write_bundle
from rosetta.errors import IncompatibleError, SelectionError, UsageError
from rosetta.files import check_output
from rosetta.metrics.coverage import coverage, nearest_shares
from rosetta.models.checkpoint import Checkpoint, load_run
from rosetta.models.vae import OnRows, decode_array, encode_array
from rosetta.origins import Sender, origins
from rosetta.rules import Candidate, run
from rosetta.schemas.manifest import (
    FORMAT,
    FORMAT_VERSION,
    Coverage,
    Creator,
    DataDescription,
    InputDescription,
    LatentSpace,
    Manifest,
    ModelDescription,
    OriginEntry,
    Parent,
    PreprocessingStep,
    Provenance,
    Selection,
)
from rosetta.schemas.reports import DistillReport
from rosetta.selection import selectors
from rosetta.verbs.prepare import Features, Prepared, expected_by, match_inputs
from rosetta.verbs.software import now, versions

OriginName = Literal["observed", "decoded"]


def distill(
    model: str | PathLike[str],
    data: str | Array,
    output: str | PathLike[str],
    *,
    license: str,
    title: str,
    creators: Sequence[str],
    pairs: int = 64,
    checks: int = 32,
    origin: OriginName = "observed",
    select: str | None = None,
    terms: str | None = None,
    description: str | None = None,
    citation: str | None = None,
    data_description: str | None = None,
    space_name: str | None = None,
    modality: str | None = None,
    units: str | None = None,
    axes: Sequence[str] | None = None,
    features: Features = None,
    seed: int = 0,
    device: str = "auto",
    force: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
    on_rows: OnRows = lambda n_done, n_rows: None,
) -> DistillReport:
    """Write a bundle of `pairs` anchor pairs and `checks` check pairs of a trained model.

    Parameters
    ----------
    model : path
        A run folder.
    data : str or array, shape (n_items, …)
        The items that the latent space is known from, usually those that the model was trained on.
    output : path
        The bundle to write, ending in ``.h5``.
    license, title, creators, terms, description, citation, data_description, space_name, modality, units, axes
        What the manifest tells of the bundle; the licence is an SPDX expression, a creator is
        ``NAME[; orcid=0000-0000-0000-0000][; affiliation=…]``.
    origin : {"observed", "decoded"}
        ``observed`` chooses items of the data; ``decoded`` makes points that are not data, by decoding
        latents drawn from the space's moments.
    select : {"kmeans", "random"}, optional
        How observed points are chosen; k-means if left out.
    on_note : callable
        Called with what the sender should know about the bundle.
    on_rows : callable
        Called with the numbers of items embedded and of all items, block by block.

    Returns
    -------
    DistillReport
        With digests, counts and how well the anchors cover the data.

    Raises
    ------
    RosettaError
        For anything that cannot be used; nothing is written then.

    Notes
    -----
    Check pairs are made as the anchors are, with random numbers of their own, and no input is in both.
    The manifest holds no path, user or host name.
    """
    path = Path(output)
    check_output(path, force=force, suffix=".h5")
    _check_options(license, pairs, checks, origin, select)
    people = tuple(parse_creator(text) for text in creators)
    if not people:
        raise UsageError("a bundle needs at least one creator")
    where = resolve_device(device)
    checkpoint = load_run(Path(model))
    items = match_inputs(data, expected_by(checkpoint), features=features)
    latents, _ = encode_array(checkpoint.model, items.inputs, device=where, on_rows=on_rows)
    _check_latents(latents)
    mean, covariance = (
        latents.mean(axis=0, dtype=np.float64),
        np.cov(latents.astype(np.float64), rowvar=False, ddof=0),
    )
    sender = Sender(
        inputs=items.inputs,
        latents=latents,
        mean=mean,
        covariance=np.atleast_2d(covariance),
        value_range=checkpoint.config.value_range,
        decode=lambda z: decode_array(checkpoint.model, z, device=where),
        select=selectors.get(select or "kmeans"),
    )
    inputs = _make_inputs(sender, origin, pairs, checks, seed)
    arrays, step_records = _arrays(checkpoint, inputs, sender, items, n_anchors=pairs)
    low, high = checkpoint.config.value_range
    figures = coverage(arrays[layout.LATENTS][:pairs], latents, np.random.default_rng([seed, 2]))
    manifest = make_manifest(
        arrays,
        space=LatentSpace(
            id=checkpoint.record.space_id,
            name=space_name or checkpoint.record.space_name,
            n_dims=checkpoint.config.latent_dim,
            statistic="posterior_mean",
            prior="standard_normal",
        ),
        input=InputDescription(
            modality=modality,
            shape=inputs.shape[1:],
            dtype="f4",
            value_range=(min(low, float(inputs.min())), max(high, float(inputs.max()))),
            units=units,
            axis_names=tuple(axes) if axes else None,
            feature_names=items.feature_names,
        ),
        preprocessing=step_records,
        origins=(OriginEntry(origin=origin, n_pairs=len(inputs)),),
        provenance=Provenance(
            created=now(),
            title=title,
            description=description,
            creators=people,
            license=str(canonicalize_license_expression(license)),
            citation=citation,
            terms_of_use=terms,
            model=_describe_model(checkpoint),
            data=DataDescription(description=data_description, n_items=len(items.inputs)),
            selection=Selection(
                method=(select or "kmeans") if origin == "observed" else "moments",
                seed=seed,
                settings={"pairs": pairs, "checks": checks},
                coverage=Coverage(**figures),  # type: ignore[arg-type]
            ),
            parents=tuple(Parent(content_id=a.content_id, relation="anchored_to") for a in checkpoint.record.anchors),
            generation=checkpoint.record.generation,
            software=versions("torch", "numpy", "h5py"),
        ),
    )
    _check_result(manifest, arrays, on_note)
    text = write_bundle(path, manifest, arrays)
    return DistillReport(
        bundle=str(output),
        content_id=manifest.content_id,
        bundle_id=manifest_digest(text),
        n_pairs=len(inputs),
        n_anchors=pairs,
        n_checks=checks,
        n_dims=checkpoint.config.latent_dim,
        coverage=manifest.provenance.selection.coverage,
    )


def parse_creator(text: str) -> Creator:
    """Read ``NAME[; orcid=…][; affiliation=…]``, or raise UsageError.

    Examples
    --------
    >>> parse_creator("Ada Lovelace; orcid=0000-0002-1825-0097").orcid
    '0000-0002-1825-0097'
    """
    name, *rest = (part.strip() for part in text.split(";"))
    fields = dict(part.split("=", 1) for part in rest if "=" in part)
    odd = [part for part in rest if part.partition("=")[0] not in ("orcid", "affiliation") or "=" not in part]
    orcid = fields.get("orcid")
    if odd or not name or (orcid is not None and not re.fullmatch(r"[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]", orcid)):
        raise UsageError(
            f"cannot read the creator {text!r}: write 'NAME', or 'NAME; orcid=0000-0002-1825-0097; affiliation=LAB'"
        )
    return Creator(name=name, orcid=orcid, affiliation=fields.get("affiliation"))


def _check_options(license: str, pairs: int, checks: int, origin: str, select: str | None) -> None:
    if pairs < 1 or checks < 0:
        raise UsageError(f"--pairs is {pairs} and --checks is {checks}: at least 1 and 0 are needed")
    if origin not in origins:
        origins.get(origin)
    if origin != "observed" and select is not None:
        raise UsageError(f"--select {select} chooses among observed items, but {origin} points are made: leave it out")
    try:
        canonicalize_license_expression(license)
    except InvalidLicenseExpression as error:
        raise UsageError(
            f"{license!r} is not an SPDX licence expression; write CC-BY-4.0 or CC0-1.0, for example"
        ) from error


def _check_latents(latents: Floats) -> None:
    if not np.isfinite(latents).all():
        row = int((~np.isfinite(latents)).any(axis=1).argmax())
        raise IncompatibleError(f"the model gives NaN or infinity for row {row} of the data: it does not fit the data")


def _make_inputs(sender: Sender, origin: str, n_anchors: int, n_checks: int, seed: int) -> Array:
    """Return the inputs of anchors, then checks, float32, shape (n_pairs, …), all different."""
    make = origins.get(origin)
    nothing = sender.inputs[:0]
    anchors = make(sender, n_anchors, np.random.default_rng([seed, 0]), nothing)
    if not n_checks:
        return anchors
    try:
        checks = make(sender, n_checks, np.random.default_rng([seed, 1]), anchors)
    except SelectionError as error:
        raise SelectionError(f"with {n_anchors} anchors taken, no check pairs can be made: {error}") from error
    return np.concatenate([anchors, checks])


def _arrays(
    checkpoint: Checkpoint, inputs: Array, sender: Sender, items: Prepared, *, n_anchors: int
) -> tuple[dict[str, Array], tuple[PreprocessingStep, ...]]:
    """Return every array of the bundle by path, the latents computed from exactly the stored inputs."""
    latents, sds = encode_array(checkpoint.model, inputs)
    _check_latents(latents)
    roles = np.full(len(inputs), layout.CHECK, dtype=np.uint8)
    roles[:n_anchors] = layout.ANCHOR
    records, stored = preprocessing.to_records(items.steps, layout.step_array)
    arrays = {
        layout.INPUTS: inputs,
        layout.LATENTS: latents,
        layout.LATENTS_SD: sds,
        layout.WEIGHTS: nearest_shares(latents, sender.latents),
        layout.ROLES: roles,
        layout.SPACE_MEAN: sender.mean,
        layout.SPACE_COVARIANCE: sender.covariance,
        **stored,
    }
    return arrays, records


def _describe_model(checkpoint: Checkpoint) -> ModelDescription:
    settings = checkpoint.config.settings
    return ModelDescription(
        architecture=settings.architecture,
        framework="torch",
        objective=checkpoint.record.objective,
        n_parameters=checkpoint.record.n_parameters,
        weights_sha256=checkpoint.record.weights_sha256,
        training=settings.model_dump(mode="json", exclude_none=True, exclude={"device", "architecture"}),
        held_out_elbo=checkpoint.record.final.elbo if checkpoint.record.data.n_validation else None,
    )


def _check_result(manifest: Manifest, arrays: dict[str, Array], on_note: Callable[[str], None]) -> None:
    """Hold the bundle against every rule before it is written; warnings become notes."""
    attributes = {layout.FORMAT_ATTRIBUTE: FORMAT, layout.VERSION_ATTRIBUTE: FORMAT_VERSION}
    findings, _ = run(Candidate(RawBundle(0, attributes, canonical(manifest), arrays)))
    for each in findings:
        if each.severity == "error":
            raise IncompatibleError(f"the bundle would be invalid, so it was not written: {each.rule}: {each.message}")
        if each.severity == "warning":
            on_note(f"{each.rule}: {each.message}. {each.fix}")
