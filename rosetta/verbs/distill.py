"""Choose or make pairs with a trained model and write them as a bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from rosetta import preprocessing
from rosetta.arrays import Array, Floats
from rosetta.bundle import layout
from rosetta.bundle.digest import manifest_digest
from rosetta.bundle.levels import to_levels
from rosetta.bundle.manifest import canonical
from rosetta.bundle.reader import RawBundle
from rosetta.bundle.signature.envelope import signature_path
from rosetta.bundle.writer import make_manifest, write_bundle
from rosetta.disclosure.audit import audit_points
from rosetta.errors import IncompatibleError, PolicyError, UsageError
from rosetta.files import check_output
from rosetta.metrics.coverage import coverage, nearest_shares
from rosetta.models.vae import OnRows
from rosetta.rules import Candidate, run
from rosetta.rules.meaning import LEAST_SPREAD
from rosetta.schemas.audit import Disclosure, DisclosureAudit
from rosetta.schemas.distill import DistillSettings
from rosetta.schemas.manifest import FORMAT, FORMAT_VERSION, Coverage, Manifest, OriginEntry
from rosetta.schemas.policy import Policy
from rosetta.schemas.reports import DistillReport
from rosetta.verbs.describe import describe_input, describe_provenance, describe_space, parse_creator, parse_licence
from rosetta.verbs.points.make import Points, make_points
from rosetta.verbs.points.opened import Opened, open_sender
from rosetta.verbs.points.plan import Portion, portions_of
from rosetta.verbs.policies import check_promises, load_policy, policy_mark, violations
from rosetta.verbs.prepare import Features
from rosetta.verbs.settings import check_settings

CLIPPED = 0.1  # share of the decoder's numbers, from which on it is told that they were clipped


def distill(
    model: str | PathLike[str],
    data: str | Array,
    output: str | PathLike[str],
    *,
    points_from: str | Array | None = None,
    held_out: str | Array | None = None,
    policy: str | PathLike[str] | None = None,
    features: Features = None,
    device: str = "auto",
    allow_code: str | None = None,
    force: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
    on_rows: OnRows = lambda n_done, n_rows: None,
    on_audit: OnRows = lambda n_done, n_rows: None,
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
    points_from : str or array, shape (n_public, …), optional
        Inputs that may be shared, for the origin ``public``; raw, as `data` is.
    held_out : str or array, shape (n_held_out, …), optional
        Items of the same kind that neither the model nor the bundle is made from: what the audit's membership test
        compares with.
    policy : path, optional
        A TOML file of `rosetta.schemas.policy.Policy`. What it forbids is not written.
    features : str or sequence of str, optional
        Names of the features, or where they stand; needed where the model's features have names.
    allow_code : str, optional
        The ``package.module:factory`` that may be imported, for a run whose network is somebody's own.
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
    RosettaError
        For anything that cannot be used. Nothing is written then, as with a policy's no.

    Notes
    -----
    Check pairs are made as the anchors are, with random numbers of their own, and no input is in both.
    The manifest holds no path, user or host name, and of the audit aggregate figures only. With ``dp_epsilon``, nothing
    that is computed from the data without noise is written: no moments of the space, no weights,
    coverage, audit or held-out ELBO.
    The noise is the system's own: the seed does not repeat it.
    """
    chosen = check_settings(DistillSettings, settings)
    path = Path(output)
    check_output(path, force=force, suffix=".h5")
    portions = portions_of(chosen)
    _check_words(chosen)
    _check_public(portions, points_from)
    rules = load_policy(policy) if policy is not None else None
    if rules is not None:
        check_promises(
            rules, origins=[p.origin for p in portions], terms=chosen.terms, license=parse_licence(chosen.license),
            members=_promised(portions, chosen), epsilon=chosen.dp_epsilon,
        )  # fmt: skip
    opened = open_sender(
        model, data, chosen, rules, held_out=held_out, points_from=points_from, features=features, device=device,
        allow_code=allow_code, on_rows=on_rows,
    )  # fmt: skip
    points = make_points(opened.sender, portions, chosen)
    latents, sds = opened.label(points.inputs)
    audit = audit_points(
        points.inputs, latents, points.stretches, opened.private, item_latents=opened.private_latents,
        held_out=opened.held_out, held_out_latents=opened.held_out_latents, members=points.members, seed=chosen.seed,
        on_rows=on_audit,
    )  # fmt: skip
    if rules is not None:
        _obey(rules, chosen, points, audit)
    disclosure = Disclosure(
        audit=None if points.accounts else audit,
        policy=None if rules is None else policy_mark(rules),
        privacy=points.accounts,
    )
    manifest, arrays, covered = _document(opened, points, latents, sds, disclosure, chosen)
    _check_result(manifest, arrays, on_note)
    _note_points(points, opened, on_note)
    _note_findings(points, opened, latents, audit, on_note)
    text = write_bundle(path, manifest, arrays, force=force)
    if (signature := signature_path(path)).exists():
        on_note(f"{signature.name} is of the bundle that was replaced: sign the new one with rosetta sign --force")
    return DistillReport(
        bundle=str(output),
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
    )


def _check_words(settings: DistillSettings) -> None:
    """Refuse words that make no sense before any work is done for them."""
    parse_licence(settings.license)
    for text in settings.creators:
        parse_creator(text)


def _check_public(portions: Sequence[Portion], points_from: str | Array | None) -> None:
    is_wanted = any(each.origin == "public" for each in portions)
    if is_wanted and points_from is None:
        raise UsageError("--origin public takes its points from inputs that you may share: pass them as --points-from")
    if points_from is not None and not is_wanted:
        raise UsageError("--points-from is for --origin public only: add it, or leave the file out")


def _promised(portions: Sequence[Portion], settings: DistillSettings) -> dict[str, int]:
    """Return the smallest number of items behind a point, where the options say it before the making."""
    known = {"observed": 1, "mixed": settings.mix, "averaged": settings.members}
    return {each.origin: known[each.origin] for each in portions if each.origin in known}


def _obey(policy: Policy, settings: DistillSettings, points: Points, audit: DisclosureAudit) -> None:
    broken = violations(
        policy, origins=[each.origin for each in points.counts], terms=settings.terms,
        license=parse_licence(settings.license), audit=audit, epsilon=settings.dp_epsilon,
    )  # fmt: skip
    if broken:
        raise PolicyError("the policy forbids this bundle, so it was not written:\n  - " + "\n  - ".join(broken))


def _document(
    opened: Opened, points: Points, latents: Floats, sds: Floats, disclosure: Disclosure, settings: DistillSettings
) -> tuple[Manifest, dict[str, Array], Coverage | None]:
    """Return the manifest, every array of the bundle by path, and how well the anchors cover the items."""
    checkpoint, covered = opened.checkpoint, None
    arrays: dict[str, Array] = {
        layout.INPUTS: points.inputs if opened.stored_range is None else to_levels(points.inputs, opened.stored_range),
        layout.LATENTS: latents,
        layout.LATENTS_SD: sds,
        layout.ROLES: np.repeat(
            np.array([layout.ANCHOR, layout.CHECK], np.uint8), [points.n_anchors, len(latents) - points.n_anchors]
        ),
    }
    if not points.accounts:  # all of this is computed from the items, without noise
        items = opened.space_latents
        covered = Coverage(**coverage(latents[: points.n_anchors], items, np.random.default_rng([settings.seed, 2])))  # type: ignore[arg-type]
        arrays[layout.WEIGHTS] = nearest_shares(latents, items)
        arrays[layout.SPACE_MEAN] = items.mean(axis=0, dtype=np.float64)
        arrays[layout.SPACE_COVARIANCE] = np.atleast_2d(np.cov(items.astype(np.float64), rowvar=False, ddof=0))
    records, stored = preprocessing.to_records(opened.items.steps, layout.step_array)
    arrays |= stored
    manifest = make_manifest(
        arrays,
        space=describe_space(checkpoint, settings),
        input=describe_input(points.inputs, checkpoint, settings, stored_range=opened.stored_range),
        preprocessing=records,
        origins=tuple(OriginEntry(origin=name, n_pairs=n) for name, n in points.stretches),
        provenance=describe_provenance(
            checkpoint, settings, n_items=len(opened.sender.inputs), coverage=covered, points=points,
            disclosure=disclosure,
        ),
    )  # fmt: skip
    return manifest, arrays, covered


def _check_result(manifest: Manifest, arrays: dict[str, Array], on_note: Callable[[str], None]) -> None:
    """Hold the bundle against every rule before it is written; warnings become notes."""
    attributes = {layout.FORMAT_ATTRIBUTE: FORMAT, layout.VERSION_ATTRIBUTE: FORMAT_VERSION}
    findings, _ = run(Candidate(RawBundle(0, attributes, canonical(manifest), arrays)))
    for each in findings:
        if each.severity == "error":
            raise IncompatibleError(f"the bundle would be invalid, so it was not written: {each.rule}: {each.message}")
        if each.severity == "warning":
            on_note(f"{each.rule}: {each.message}. {each.fix}")


def _note_points(points: Points, opened: Opened, on_note: Callable[[str], None]) -> None:
    observed = sum(n for name, n in points.stretches if name == "observed")
    if observed:
        on_note(f"the {observed} inputs are items of your data; --origin decoded makes points that are not")
    for name, figures in points.figures.items():
        dropped = (figures.n_dropped_reencoding or 0) + (figures.n_dropped_range or 0)
        if dropped:
            on_note(
                f"{dropped} {name} points were dropped, and others drawn: the encoder puts "
                f"{figures.n_dropped_reencoding} far from where they were drawn, and of {figures.n_dropped_range} the "
                "decoder leaves the declared range of values by more than its width"
            )
        if (figures.clipped_share or 0) > CLIPPED:
            on_note(
                f"{figures.clipped_share:.0%} of the decoder's numbers were clipped to the declared range of values"
            )
        if figures.crowds == "neighbourhoods":
            on_note(
                f"there are more {name} points than {figures.members} items each can give: an item is behind several "
                "points, and somebody may subtract one from another. Ask for fewer points, so that each has its own"
            )
    for account in points.accounts:
        if account.delta >= 1 / len(opened.sender.inputs):
            on_note(
                f"delta {account.delta:g} is not below 1 / {len(opened.sender.inputs)}, the number of items: it would "
                "allow to give one of them away"
            )
    low, high = opened.sender.value_range
    if points.accounts and (low, high) != (0.0, 1.0):
        on_note(
            f"the range of values, {low:g} to {high:g}, is in the file: if it was found by looking at the data, as "
            "rosetta train does unless all lies in 0 to 1, it is not covered by the differential privacy"
        )
    if opened.held_out is None:
        on_note("the audit has no membership test: pass items that the model has not seen with --held-out")


def _note_findings(
    points: Points, opened: Opened, latents: Floats, audit: DisclosureAudit, on_note: Callable[[str], None]
) -> None:
    """Say what the audit found where nobody would expect it, and what noise has left."""
    for entry in audit.origins:
        if entry.origin != "observed" and entry.verdict != "no item found":
            on_note(f"the audit of the {entry.origin} points: {entry.verdict}, as {entry.reasons[0]}")
    variance, of_items = (float(each.var(axis=0, dtype=np.float64).sum()) for each in (latents, opened.space_latents))
    if points.accounts and variance < LEAST_SPREAD * of_items:
        on_note(
            f"the points have {variance / of_items:.0%} of the variance of the items' latents: the noise has drowned "
            "most of the space, and few receivers will follow. Allow a larger --dp-epsilon, or take more items"
        )
