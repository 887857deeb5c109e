"""Choose or make pairs with a trained model and write them as a bundle."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from rosetta import preprocessing
from rosetta.arrays import Array, Floats, resolve_device
from rosetta.bundle import layout
from rosetta.bundle.digest import manifest_digest
from rosetta.bundle.manifest import canonical
from rosetta.bundle.reader import RawBundle
from rosetta.bundle.signature.envelope import signature_path
from rosetta.bundle.writer import make_manifest, write_bundle
from rosetta.errors import IncompatibleError, SelectionError, UsageError
from rosetta.files import check_output
from rosetta.metrics.coverage import coverage, nearest_shares
from rosetta.models.checkpoint import Checkpoint, load_run
from rosetta.models.vae import OnRows, decode_array, encode_array
from rosetta.origins import Sender, origins
from rosetta.rules import Candidate, run
from rosetta.schemas.distill import DistillSettings
from rosetta.schemas.manifest import FORMAT, FORMAT_VERSION, Coverage, Manifest, OriginEntry, PreprocessingStep
from rosetta.schemas.reports import DistillReport
from rosetta.selection import selectors
from rosetta.verbs.describe import describe_input, describe_provenance, describe_space, parse_creator, parse_licence
from rosetta.verbs.prepare import Features, Prepared, expected_by, match_inputs
from rosetta.verbs.settings import check_settings


def distill(
    model: str | PathLike[str],
    data: str | Array,
    output: str | PathLike[str],
    *,
    features: Features = None,
    device: str = "auto",
    allow_code: str | None = None,
    force: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
    on_rows: OnRows = lambda n_done, n_rows: None,
    **settings: Any,
) -> DistillReport:
    """Write a bundle of anchor pairs and check pairs of a trained model.

    Parameters
    ----------
    model : path
        A run folder.
    data : str or array, shape (n_items, …)
        The items that the latent space is known from, usually those that the model was trained on.
    output : path
        The bundle to write, ending in ``.h5``.
    features : str or sequence of str, optional
        Names of the features, or where they stand; needed where the model's features have names.
    allow_code : str, optional
        The ``package.module:factory`` that may be imported, for a run whose network is somebody's own.
    force : bool
        Replace a file that is there.
    on_note : callable
        Called with what the sender should know about the bundle.
    on_rows : callable
        Called with the numbers of items embedded and of all items, block by block.
    **settings
        The fields of `rosetta.schemas.distill.DistillSettings`. ``license`` (an SPDX expression), ``title``
        and ``creators`` (each ``NAME[; orcid=…][; affiliation=…]``) are needed; ``origin`` is ``"observed"``,
        items of the data, or ``"decoded"``, points that are not data; ``pairs`` counts anchors, ``checks``
        check pairs.

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
    chosen = check_settings(DistillSettings, settings)
    path = Path(output)
    check_output(path, force=force, suffix=".h5")
    _check_words(chosen)
    where = resolve_device(device)
    checkpoint = load_run(Path(model), code=allow_code)
    items = match_inputs(data, expected_by(checkpoint), features=features)
    latents, _ = encode_array(checkpoint.model, items.inputs, device=where, on_rows=on_rows)
    sender = Sender(
        inputs=items.inputs,
        latents=_finite(latents),
        mean=latents.mean(axis=0, dtype=np.float64),
        covariance=np.atleast_2d(np.cov(latents.astype(np.float64), rowvar=False, ddof=0)),
        value_range=checkpoint.config.value_range,
        decode=lambda z: decode_array(checkpoint.model, z, device=where),
        select=selectors.get(chosen.select or "kmeans"),
    )
    inputs = _make_inputs(sender, chosen)
    arrays, steps = _arrays(checkpoint, inputs, sender, items, n_anchors=chosen.pairs)
    figures = coverage(arrays[layout.LATENTS][: chosen.pairs], latents, np.random.default_rng([chosen.seed, 2]))
    covered = Coverage(**figures)  # type: ignore[arg-type]
    manifest = make_manifest(
        arrays,
        space=describe_space(checkpoint, chosen),
        input=describe_input(inputs, checkpoint, chosen),
        preprocessing=steps,
        origins=(OriginEntry(origin=chosen.origin, n_pairs=len(inputs)),),  # type: ignore[arg-type]
        provenance=describe_provenance(checkpoint, chosen, n_items=len(items.inputs), coverage=covered),
    )
    _check_result(manifest, arrays, on_note)
    text = write_bundle(path, manifest, arrays, force=force)
    if (signature := signature_path(path)).exists():
        on_note(f"{signature.name} is of the bundle that was replaced: sign the new one with rosetta sign --force")
    return DistillReport(
        bundle=str(output),
        content_id=manifest.content_id,
        bundle_id=manifest_digest(text),
        n_pairs=len(inputs),
        n_anchors=chosen.pairs,
        n_checks=chosen.checks,
        n_dims=checkpoint.config.latent_dim,
        coverage=covered,
    )


def _check_words(settings: DistillSettings) -> None:
    """Refuse settings that make no sense before any work is done for them."""
    origins.get(settings.origin)
    if settings.origin != "observed" and settings.select is not None:
        raise UsageError(
            f"--select {settings.select} chooses among observed items, but {settings.origin} points are made: "
            "leave it out"
        )
    parse_licence(settings.license)
    for text in settings.creators:
        parse_creator(text)


def _finite(latents: Floats) -> Floats:
    if not np.isfinite(latents).all():
        row = int((~np.isfinite(latents)).any(axis=1).argmax())
        raise IncompatibleError(f"the model gives NaN or infinity for row {row} of the data: it does not fit the data")
    return latents


def _make_inputs(sender: Sender, settings: DistillSettings) -> Array:
    """Return the inputs of anchors, then checks, float32, shape (n_pairs, …), all different."""
    make = origins.get(settings.origin)
    nothing = sender.inputs[:0]
    anchors = make(sender, settings.pairs, np.random.default_rng([settings.seed, 0]), nothing)
    if not settings.checks:
        return anchors
    try:
        checks = make(sender, settings.checks, np.random.default_rng([settings.seed, 1]), anchors)
    except SelectionError as error:
        raise SelectionError(f"with {settings.pairs} anchors taken, no check pairs can be made: {error}") from error
    return np.concatenate([anchors, checks])


def _arrays(
    checkpoint: Checkpoint, inputs: Array, sender: Sender, items: Prepared, *, n_anchors: int
) -> tuple[dict[str, Array], tuple[PreprocessingStep, ...]]:
    """Return every array of the bundle by path, the latents computed from exactly the stored inputs."""
    latents, sds = encode_array(checkpoint.model, inputs)
    roles = np.full(len(inputs), layout.CHECK, dtype=np.uint8)
    roles[:n_anchors] = layout.ANCHOR
    records, stored = preprocessing.to_records(items.steps, layout.step_array)
    arrays = {
        layout.INPUTS: inputs,
        layout.LATENTS: _finite(latents),
        layout.LATENTS_SD: sds,
        layout.WEIGHTS: nearest_shares(latents, sender.latents),
        layout.ROLES: roles,
        layout.SPACE_MEAN: sender.mean,
        layout.SPACE_COVARIANCE: sender.covariance,
        **stored,
    }
    return arrays, records


def _check_result(manifest: Manifest, arrays: dict[str, Array], on_note: Callable[[str], None]) -> None:
    """Hold the bundle against every rule before it is written; warnings become notes."""
    attributes = {layout.FORMAT_ATTRIBUTE: FORMAT, layout.VERSION_ATTRIBUTE: FORMAT_VERSION}
    findings, _ = run(Candidate(RawBundle(0, attributes, canonical(manifest), arrays)))
    for each in findings:
        if each.severity == "error":
            raise IncompatibleError(f"the bundle would be invalid, so it was not written: {each.rule}: {each.message}")
        if each.severity == "warning":
            on_note(f"{each.rule}: {each.message}. {each.fix}")
    observed = sum(origin.n_pairs for origin in manifest.content.origins if origin.origin == "observed")
    if observed:
        on_note(f"the {observed} inputs are items of your data; --origin decoded makes points that are not")
