"""Choose or make pairs with a trained model and write them as a bundle."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from rosetta import preprocessing
from rosetta.adapters import Loading, Spread
from rosetta.adapters import open_model as load
from rosetta.arrays import Array, Floats, resolve_device
from rosetta.bundle import layout
from rosetta.bundle.digest import manifest_digest
from rosetta.bundle.levels import to_levels
from rosetta.bundle.signature.envelope import signature_path
from rosetta.bundle.writer import make_manifest, write_bundle
from rosetta.credits import parse_licence
from rosetta.disclosure import audit_points, compact
from rosetta.disclosure.levels import coarse_audit
from rosetta.distillation.encode import OnRows
from rosetta.distillation.item_selection import grown, strata_counts
from rosetta.distillation.manifest import (
    describe_input,
    describe_model,
    describe_provenance,
    describe_space,
)
from rosetta.distillation.notes import check_result, note_findings, note_points
from rosetta.distillation.overfitting import check_memory
from rosetta.distillation.plan import portions_of, with_origin
from rosetta.distillation.points import Points, make_points
from rosetta.distillation.preflight import check_model, check_policy, check_public, check_words
from rosetta.distillation.sender import DistillRequest, Sender, open_sender
from rosetta.distillation.statistics import measure_items
from rosetta.errors import PolicyError, UsageError
from rosetta.files import check_output, unfinished
from rosetta.inputs.matching import Features
from rosetta.inputs.models import BUDGET_GIB, expected_by, notes_on
from rosetta.inputs.prepare import note_order
from rosetta.inputs.streaming import memory_budget
from rosetta.notes import keeps_notes
from rosetta.policies import load_policy, policy_mark, violations
from rosetta.schemas.audit import Disclosure, DisclosureAudit
from rosetta.schemas.distill import DistillSettings
from rosetta.schemas.keywords import DistillOptions
from rosetta.schemas.manifest import Coverage, Manifest, OriginEntry
from rosetta.schemas.policy import Policy
from rosetta.schemas.reports import DistillReport
from rosetta.settings import check_settings


@keeps_notes
def distill(
    model: str | PathLike[str] | None,
    data: Any,
    output: str | PathLike[str],
    *,
    latents: Any = None,
    points_from: Any = None,
    held_out: Any = None,
    held_out_groups: str | None = None,
    policy: str | PathLike[str] | None = None,
    features: Features = None,
    preprocess: str | None = None,
    decoder: str | PathLike[str] | None = None,
    spread: Spread | None = None,
    device: str = "auto",
    allow_code: str | None = None,
    allow_pickle: bool = False,
    memory_gib: float | None = None,
    executor: Executor | None = None,
    resume: bool = False,
    force: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
    on_rows: OnRows = lambda n_done, n_rows: None,
    on_audit: OnRows = lambda n_done, n_rows: None,
    **settings: Unpack[DistillOptions],
) -> DistillReport:
    """Write a bundle of anchor pairs and check pairs of a trained model.

    Parameters
    ----------
    model : path or str, optional
        A run folder, or a model of others: a ``.pt2``, TorchScript or ``.onnx`` program, a pythae or scvi-tools folder,
        ``package.module:callable``. None if the latents are given.
    data : str, array, Source or another object that `rosetta.Source` takes, shape (n_items, …)
        The items that the latent space is known from, usually those that the model was trained on.
    output : path
        The bundle to write, ending in ``.h5``.
    latents : like `data`, shape (n_items, n_dims), optional
        Posterior means of the items, computed elsewhere, in place of a model. Points are items then.
    points_from : like `data`, shape (n_public, …), optional
        Inputs that may be shared, for the origin ``public``; raw, as `data` is.
    held_out : like `data`, shape (n_held_out, …), optional
        Items of the same kind that neither the model nor the bundle is made from: what the audit's membership test
        compares with.
    held_out_groups : str, optional
        With ``groups``: a column of the held-out items, or a source of one label for each, that says whose each is.
        The column ``groups`` of them, if not given.
    policy : path, optional
        A TOML file of `rosetta.schemas.policy.Policy`. What it forbids is not written.
    features : str or sequence of str, optional
        Names of the features, or where they stand; needed where the model's features have names and the data has none.
    preprocess : str, optional
        For a model of others: the steps from a raw item to what the model sees, such as ``"log1p | standardize"``. They
        are fitted here, and travel in the bundle. For a run, it must say what the run does.
    decoder : path, optional
        A program from latents to inputs, for decoded points of a model that is an encoder only.
    spread : "sd", "variance" or "log-variance", optional
        What the second output of a program or callable is.
    allow_code : str, optional
        The ``package.module:factory`` that may be imported, for a run whose network is somebody's own.
    allow_pickle : bool
        Read models that are pickles, which can run code.
    memory_gib : float, optional
        Memory for items, in GiB; larger data stays on disk. Half a GiB if nothing is said.
    executor : concurrent.futures.Executor, optional
        Whose workers encode the items; each opens model and data by the paths given here.
    resume : bool
        Keep latents in a neighbour of the output, and go on from what an interrupted call left there.
    force : bool
        Replace a file that is there.
    on_note : callable
        Called with what the sender should know about the bundle.
    on_rows, on_audit : callable
        Called with the numbers of items done and of all items, block by block: embedded, and audited.
    **settings
        The fields of `rosetta.schemas.distill.DistillSettings`. ``license`` (an SPDX expression), ``title``
        and ``creators`` (each ``NAME[; orcid=…][; affiliation=…]``) are needed. ``origin`` is the name of an origin, or
        several, each with ``=N`` for N anchors of it; ``pairs`` counts the anchors of origins without a number,
        ``checks`` the check pairs.

    Returns
    -------
    DistillReport
        With digests, counts, what the audit found, and how well the anchors cover the data.

    Raises
    ------
    PolicyError
        If the policy forbids the bundle, with clauses and figures.
    OverfittedError
        If points are to be decoded from a model that has learned its training items by heart, and ``privacy`` is not
        ``"open"``.
    RosettaError
        For anything that cannot be used. Nothing is written then, as with a policy's no.

    Notes
    -----
    Check pairs are made as the anchors are, with random numbers of their own, and no input is in both.
    The manifest holds no path, user or host name, no seed of a draw, and of the audit aggregate figures only. What it
    says of the items is rounded or left out as ``privacy`` has it; the report is exact, and the sender's own.
    With ``dp_epsilon``, nothing that is computed from the data without noise is written: no moments of the space, no
    weights, coverage, audit or held-out ELBO.
    Random numbers are the system's own, and no call makes the same points again. ``reproducible`` takes them from the
    seed; who guesses it can take the noise away, so the bundle says so. The noise of ``dp_epsilon`` stays secret.
    """
    chosen = check_settings(DistillSettings, settings)
    path = Path(output)
    check_output(path, force=force, suffix=".h5")
    if not resume and (growing := unfinished(path)).exists():
        on_note(f"{growing.name} holds an interrupted distillation: `resume` goes on with it, or remove it")
    check_words(chosen)
    if held_out_groups is not None and (held_out is None or chosen.groups is None):
        raise UsageError("`held_out_groups` has no effect without `held_out` and `groups`: leave it out, or add them")
    if chosen.reproducible:
        on_note(
            "`reproducible`: whoever guesses the seed can repeat the draws and take the noise off the points; use it "
            "for tests, not for what leaves the building"
        )
    check_model(
        model, latents,
        {"decoder": decoder, "spread": spread, "executor": executor, "resume": resume or None,
         "allow_code": allow_code, "allow_pickle": allow_pickle or None},
    )  # fmt: skip
    if model is None:
        chosen = with_origin(chosen, has_model=False, has_decoder=False)
    portions_of(chosen)  # what cannot be is refused before any work
    loading = Loading(
        resolve_device(device), allow_code, allow_pickle, None if decoder is None else str(decoder), spread
    )
    opened_model = None if model is None else load(str(model), loading)
    for note in notes_on(opened_model, preprocess) if opened_model is not None else ():
        on_note(note)
    has_decoder = opened_model is not None and opened_model.decode is not None
    chosen = with_origin(chosen, has_model=model is not None, has_decoder=has_decoder)
    check_public(portions_of(chosen), points_from)
    rules = load_policy(policy) if policy is not None else None
    if rules is not None:
        check_policy(rules, chosen)
    asked = DistillRequest(
        data, None if model is None else str(model), loading, latents, held_out, held_out_groups, points_from,
        features, preprocess,
        memory_budget(BUDGET_GIB if memory_gib is None else memory_gib, loading.device), executor, resume,
    )  # fmt: skip
    with open_sender(path, asked, opened_model, chosen, rules, on_rows=on_rows) as opened:
        order = () if opened_model is None else note_order(opened.items.info, expected_by(opened_model), features)
        for note in (*opened.items.info.notes, *order, *opened.notes):
            on_note(note)
        return _distilled(path, opened, chosen, rules, force=force, on_note=on_note, on_audit=on_audit)


def _distilled(
    path: Path, opened: Sender, settings: DistillSettings, rules: Policy | None,
    *, force: bool, on_note: Callable[[str], None], on_audit: OnRows,
) -> DistillReport:  # fmt: skip
    """Make points of what is opened, audit them, and write them."""
    check_memory(opened, settings, on_note)
    settings, growth = grown(opened, settings)
    if growth and (len(growth) == 1 or growth[-1].n_pairs == settings.pairs):
        on_note(
            f"`pairs='auto'` came to its end at {settings.pairs} pairs, while more would still improve the coverage: "
            "it takes a quarter of the items and 4,096 at most"
        )
    points = make_points(opened.sender, portions_of(settings), settings)
    latents, sds = opened.label(points)
    audit = audit_points(
        points.inputs, latents, points.stretches, opened.private,
        item_latents=opened.space_latents(opened.private_latents),
        held_out=opened.held_out, held_out_latents=opened.held_out_latents, members=points.members, seed=settings.seed,
        groups=None if opened.groups is None else opened.groups.codes, held_out_groups=opened.held_out_groups,
        rebuild=_rebuilt(opened),
        on_rows=on_audit,
    )  # fmt: skip
    if rules is not None:
        _obey(rules, settings, points, audit)
    disclosure = Disclosure(
        audit=None if points.accounts else coarse_audit(compact(audit), settings.privacy),
        policy=None if rules is None else policy_mark(rules, opened.groups),
        privacy=points.accounts,
    )
    manifest, arrays, covered = _document(opened, points, latents, sds, disclosure, settings)
    check_result(manifest, arrays, on_note)
    note_points(points, opened, on_note)
    note_findings(points, opened, latents, audit, on_note)
    text = write_bundle(path, manifest, arrays, force=force)
    if (signature := signature_path(path)).exists():
        on_note(f"{signature.name} is of the bundle that was replaced: sign the new one with rosetta sign and `force`")
    return DistillReport(
        bundle=str(path),
        content_id=manifest.content_id,
        bundle_id=manifest_digest(text),
        n_bytes=path.stat().st_size,
        n_pairs=len(points.inputs),
        n_anchors=points.n_anchors,
        n_checks=len(points.inputs) - points.n_anchors,
        n_dims=manifest.content.space.n_dims,
        origins=points.counts,
        figures=dict(points.figures),
        coverage=covered,
        audit=audit,
        privacy=points.accounts,
        n_sampled=opened.chooser.n_sampled,
        growth=growth,
        strata=strata_counts(opened.chooser.strata, points),
        filled_features=opened.items.info.filled,
        n_skipped=opened.items.info.n_skipped,
    )


def _rebuilt(opened: Sender) -> Callable[[Array], Floats] | None:
    """Return what gives the model's reconstruction of inputs; None without encoder and decoder."""
    encode, decode = opened.sender.encode, opened.sender.decode
    return None if encode is None or decode is None else lambda inputs: decode(encode(inputs))


def _obey(policy: Policy, settings: DistillSettings, points: Points, audit: DisclosureAudit) -> None:
    broken = violations(
        policy, origins=[each.origin for each in points.counts], terms=settings.terms,
        license=parse_licence(settings.license), audit=audit, epsilon=settings.dp_epsilon,
        privacy=settings.privacy,
        reproducible=settings.reproducible,
    )  # fmt: skip
    if broken:
        raise PolicyError("the policy forbids this bundle, so it was not written:\n  - " + "\n  - ".join(broken))


def _document(
    opened: Sender, points: Points, latents: Floats, sds: Floats | None, disclosure: Disclosure,
    settings: DistillSettings,
) -> tuple[Manifest, dict[str, Array], Coverage | None]:  # fmt: skip
    """Return the manifest, every array of the bundle by path, and how well the anchors cover the items."""
    arrays: dict[str, Array] = {
        layout.INPUTS: points.inputs if opened.stored_range is None else to_levels(points.inputs, opened.stored_range),
        layout.LATENTS: latents,
        layout.ROLES: np.repeat(
            np.array([layout.ANCHOR, layout.CHECK], np.uint8), [points.n_anchors, len(latents) - points.n_anchors]
        ),
    }
    if sds is not None:
        arrays[layout.LATENTS_SD] = sds
    measured = measure_items(opened, points, latents, settings)
    arrays |= measured.arrays
    records, stored = preprocessing.to_records(opened.steps, layout.step_array)
    arrays |= stored
    model = describe_model(opened, settings.privacy, is_private=bool(points.accounts))
    manifest = make_manifest(
        arrays,
        space=describe_space(opened, model, settings),
        input=describe_input(points.inputs, opened, settings),
        preprocessing=records,
        origins=tuple(OriginEntry(origin=name, n_pairs=n) for name, n in points.stretches),
        provenance=describe_provenance(
            opened, model, settings, coverage=measured.coverage, points=points, disclosure=disclosure
        ),
    )  # fmt: skip
    return manifest, arrays, measured.coverage
