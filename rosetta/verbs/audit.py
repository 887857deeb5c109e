"""Hold a bundle against the data that it was made from: what does it reveal?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rosetta.audits.claims import claims_of, false_claims, is_reproducible, level_of
from rosetta.audits.closest_pairs import can_draw, closest_pairs
from rosetta.audits.items import (
    AuditItems,
    SenderModel,
    as_codes,
    open_sender_model,
    read_held_out,
    read_private,
)
from rosetta.audits.shadow_findings import attacks_of, findings_of
from rosetta.audits.statements import accounts_of, check_same_space, draws_of, members_of, statistics_of
from rosetta.bundle import Bundle
from rosetta.charts.closest import draw_closest
from rosetta.disclosure import audit_points
from rosetta.disclosure.copies import COPY
from rosetta.disclosure.earlier import compare_bundles
from rosetta.disclosure.nearest import Nearest, nearest_items
from rosetta.disclosure.page import steward_page
from rosetta.disclosure.roc import LEAST_EACH
from rosetta.disclosure.tre import tre_report
from rosetta.errors import IncompatibleError, UsageError
from rosetta.files import check_output, shown, write_small
from rosetta.inputs.matching import Features
from rosetta.inputs.models import BUDGET_GIB
from rosetta.inputs.streaming import memory_budget
from rosetta.notes import keeps_notes
from rosetta.policies import Membership, included_rows, load_policy, policy_mark, violations
from rosetta.rounding import coarse_count
from rosetta.schemas.audit import AuditReport, DisclosureAudit, Finding
from rosetta.schemas.policy import Policy
from rosetta.shadows.canaries import canaries as plant
from rosetta.shadows.thorough import thorough
from rosetta.software import versions
from rosetta.sources import as_source
from rosetta.validation.opening import open_valid

FARTHEST = 10.0  # typical distances of the median point from the items, beyond which these are other data


@keeps_notes
def audit(
    bundle: str | PathLike[str],
    data: Any,
    *,
    model: str | PathLike[str] | None = None,
    held_out: Any = None,
    groups: str | None = None,
    held_out_groups: str | None = None,
    earlier: Sequence[str | PathLike[str]] = (),
    features: Features = None,
    policy: str | PathLike[str] | None = None,
    page: str | PathLike[str] | None = None,
    picture: str | PathLike[str] | None = None,
    report: str | PathLike[str] | None = None,
    allow_code: str | None = None,
    allow_pickle: bool = False,
    memory_gib: float | None = None,
    seed: int = 0,
    force: bool = False,
    shadows: int | None = None,
    shadow_folder: str | PathLike[str] | None = None,
    canaries: int | None = None,
    canary_record: str | PathLike[str] | None = None,
    on_note: Callable[[str], None] = lambda note: None,
    on_rows: Callable[[int, int], None] = lambda done, of: None,
    on_plan: Callable[[str], None] = lambda words: None,
    on_shadow: Callable[[int, int, float], None] = lambda done, of, left_s: None,
) -> AuditReport:
    """Return what a bundle reveals of the private items that it was made from.

    Parameters
    ----------
    bundle : path
        The bundle that is to leave the building.
    data : str or array, shape (n_items, …)
        All the private items behind it, as `distill` took them.
    model : path, optional
        The model that it was distilled from: attacks that know the encoder are then tried too, and what the model
        itself tells is the ceiling that they are compared with.
    held_out : str or array, shape (n_held_out, …), optional
        Items of the same kind that neither the model nor the bundle has seen. Without at least 20, no attack on
        membership is tried, and made-up points are not judged.
    groups : str, optional
        A column of the data, or a source of one label for each item: whose it is. A person, and not a row, is then the
        unit of every attack on membership, and of rare features. Needed where the policy excludes groups.
    held_out_groups : str, optional
        The same for the held-out items; the column `groups` of them, if not given.
    earlier : sequence of paths
        Earlier bundles of the same space: do both together give items away?
    features : str or sequence of str, optional
        Names of the features, where the bundle's have names.
    policy : path, optional
        A ``policy.toml`` to hold the figures against.
    page : path, optional
        Where to write a page for the data's steward, ending in ``.html``.
    picture : path, optional
        Where to draw the closest pairs, ending in ``.png``. They show private items, as does a page of images.
    report : path, optional
        Where to write a report for a trusted research environment, ending in ``.json``.
    allow_code : str, optional
        The ``package.module:factory`` that may be imported, for a run whose network is somebody's own.
    allow_pickle : bool
        Read a model that is a pickle, which can run code.
    memory_gib : float, optional
        Memory for items, in GiB; larger data stays on disk. Half a GiB if nothing is said.
    seed : int
        The same seed gives the same figures.
    force : bool
        Replace files that are there.
    shadows : int, optional
        Calibrate attacks with so many shadow senders: `rosetta.shadows.thorough.thorough`.
    shadow_folder : path, optional
        Where finished shadows are kept, to go on from.
    canaries : int, optional
        Plant a mark in so many items: `rosetta.shadows.canaries.canaries`.
    canary_record : path, optional
        Look for the marks that `rosetta.shadows.planting.plant` put into the data that the model was trained on.
    on_plan : callable
        Called with how long shadow senders will take, before they are made.
    on_shadow : callable
        Called with the numbers of shadow senders done and of all, and the seconds that are left.
    on_note : callable
        Called with what was not tested, and with what looks odd.
    on_rows : callable
        Called with the numbers of rows done and of all.

    Raises
    ------
    RosettaError
        For a bundle that is not valid, for data or a model that do not fit it, for a policy that cannot be read; a
        policy that is broken is reported, not raised.

    Notes
    -----
    Figures are aggregates: no row's number, and no digest of a row.
    """
    for path, suffix in ((page, ".html"), (picture, ".png"), (report, ".json")):
        if path is not None:
            check_output(Path(path), force=force, suffix=suffix)
    if held_out_groups is not None and (held_out is None or groups is None):
        raise UsageError("`held_out_groups` has no effect without `held_out` and `groups`: leave it out, or add them")
    if shadow_folder is not None and shadows is None:
        raise UsageError("`shadow_folder` has no effect without `thorough`: leave it out")
    clauses = None if policy is None else load_policy(Path(policy))
    opened = open_valid(Path(bundle))
    compared = _compared(opened, earlier)
    notes: list[str] = []
    wants_pictures = can_draw(opened, notes, wanted=picture is not None, useful=page is not None)
    budget = memory_budget(BUDGET_GIB if memory_gib is None else memory_gib, torch.device("cpu"))
    sender = None if model is None else open_sender_model(
        opened, model, allow_code=allow_code, allow_pickle=allow_pickle
    )  # fmt: skip
    members = Membership(clauses or Policy(), groups, str(as_source(data)))
    items, kept_out = read_private(opened, data, sender, members, features=features, budget=budget)
    others = kept_out if held_out is None else read_held_out(
        opened, held_out, sender, groups=None if groups is None else held_out_groups or groups, features=features,
        budget=budget,
    )  # fmt: skip
    notes += () if members.groups is None else members.groups.notes
    nearest = nearest_items(opened.inputs, items.inputs, on_rows=on_rows)
    loading: dict[str, Any] = {"features": features, "allow_code": allow_code, "memory_gib": memory_gib, "seed": seed}
    calibrated = None if shadows is None else thorough(
        bundle, data, model, held_out=held_out, shadows=shadows, folder=shadow_folder, on_plan=on_plan,
        on_shadow=on_shadow, **loading,
    )  # fmt: skip
    marks = () if canaries is None and canary_record is None else plant(
        bundle, data, model, n=canaries, record=canary_record, on_plan=on_plan, on_note=on_note, **loading
    )  # fmt: skip
    findings = (*compared, *findings_of(calibrated, marks))
    found = _audit(opened, items, others, sender, nearest, findings, seed=seed, on_rows=on_rows)
    _refuse_other_data(found)
    found = found.model_copy(update={"attacks": (*found.attacks, *attacks_of(calibrated))})
    broken = (
        ()
        if clauses is None
        else (
            *_violations(opened, found, clauses),
            *_excluded(opened, found, clauses, nearest, members, items.seen_excluded),
        )
    )
    told = AuditReport(
        bundle=shown(bundle), content_id=opened.content_id, audit=found, violations=broken, shadows=calibrated,
        canaries=marks,
    )  # fmt: skip
    if items.seen_excluded is None:
        notes.append(
            "whether the model was trained on the items that the policy excludes is not known"
            + (": pass the run with `model`" if model is None else ", as the run's record proves neither")
        )
    notes += _notes(opened, found, has_held_out=others is not None, has_model=model is not None)
    drawn = draw_closest(closest_pairs(opened, items.inputs, nearest, found)) if wants_pictures else None
    software, accounts = f"Rosetta {versions()['rosetta']}", accounts_of(opened)
    if picture is not None and drawn is not None:
        write_small(Path(picture), drawn)
    if page is not None:
        text = steward_page(
            told, opened.manifest, picture=drawn, policy=None if policy is None else Path(policy).name,
            privacy=accounts, notes=notes, claims=claims_of(opened), software=software,
        )  # fmt: skip
        write_small(Path(page), text.encode())
    if report is not None:
        document = tre_report(told, notes=notes, is_private=bool(accounts), software=software)
        write_small(Path(report), (document.model_dump_json(indent=2, by_alias=True) + "\n").encode())
    for note in notes:
        on_note(note)
    return told


def _compared(opened: Bundle, earlier: Sequence[str | PathLike[str]]) -> tuple[Finding, ...]:
    """Return what the bundle and each earlier one of its space give away together."""
    now = statistics_of(opened, "this bundle")
    findings = []
    for path in earlier:
        other = open_valid(Path(path))
        check_same_space(opened, other, shown(path))
        findings.append(compare_bundles(now, statistics_of(other, shown(path))))
    return tuple(findings)


def _audit(
    bundle: Bundle, items: AuditItems, others: AuditItems | None, sender: SenderModel | None, nearest: Nearest,
    findings: Sequence[Finding], *, seed: int, on_rows: Callable[[int, int], None],
) -> DisclosureAudit:  # fmt: skip
    groups, held_out_groups = as_codes(items.owners, None if others is None else others.owners)
    return audit_points(
        bundle.inputs,
        bundle.latents,
        [(entry.origin, entry.n_pairs) for entry in bundle.manifest.content.origins],
        items.inputs,
        item_latents=items.latents,
        held_out=None if others is None else others.inputs,
        held_out_latents=None if others is None else others.latents,
        groups=groups,
        held_out_groups=held_out_groups,
        weights=bundle.weights,
        rebuild=None if sender is None else sender.rebuild,
        draws=draws_of(bundle, len(items.inputs)),
        findings=findings,
        members=members_of(bundle.manifest.provenance.selection.settings),
        nearest=nearest,
        seed=seed,
        on_rows=on_rows,
    )


def _refuse_other_data(found: DisclosureAudit) -> None:
    """Refuse data that the points cannot come from: figures of it would reassure for nothing."""
    observed = [entry for entry in found.origins if entry.origin == "observed"]
    if observed and not observed[0].n_copies:
        raise IncompatibleError(
            f"none of the {observed[0].n_points} observed points is an item of the data: the bundle was not made from "
            "this data, or the data is in other units"
        )
    away = min(entry.nearest_ratio_median for entry in found.origins)
    if away > FARTHEST:
        raise IncompatibleError(
            f"the points are {away:.3g} times as far from the data's items as these are from one another: the bundle "
            "was not made from this data, or the data is in other units, such as 0 to 1 and not 0 to 255"
        )


def _excluded(
    bundle: Bundle, found: DisclosureAudit, clauses: Policy, nearest: Nearest, members: Membership, seen: bool | None
) -> tuple[str, ...]:
    """Return what breaks a policy's excluded rows and groups: copies, and that nobody promised to leave them out."""
    if not clauses.excluded_rows and not clauses.excluded_groups:
        return ()
    clause = "excluded_rows" if not clauses.excluded_groups else "excluded_groups"
    included = included_rows(clauses, found.n_items, members.groups)
    copies = nearest.distances <= COPY * found.typical_distance
    n_copies = int((copies & ~np.isin(nearest.rows, included)).sum())
    told = bundle.manifest.provenance.disclosure_audit or {}
    broken = []
    if n_copies:
        broken.append(f"{clause}: {n_copies:,} points are copies of excluded items")
    if seen:
        broken.append(
            f"{clause}: the model was trained on the excluded items, as the digest of its training's items shows: "
            "train again without them (`policy` of rosetta train)"
        )
    if told.get("policy") != policy_mark(clauses, members.groups).model_dump(mode="json"):
        broken.append(
            f"{clause}: the bundle does not say that it was made under this policy, so nothing shows that no point "
            "was made from the excluded items: distil with `policy`"
        )
    return tuple(broken)


def _n_excluded(bundle: Bundle) -> int:
    """Return how many items the bundle says that its policy excluded, beside those that it was made from."""
    mark = (bundle.manifest.provenance.disclosure_audit or {}).get("policy")
    number = mark.get("n_excluded_rows") if isinstance(mark, dict) else None
    return number if isinstance(number, int) else 0


def _violations(bundle: Bundle, found: DisclosureAudit, clauses: Policy) -> tuple[str, ...]:
    """Return which clauses of a policy the bundle breaks."""
    words, accounts = bundle.manifest.provenance, accounts_of(bundle)
    return violations(
        clauses,
        origins=[entry.origin for entry in found.origins],
        terms=words.terms_of_use,
        license=words.license,
        audit=found,
        epsilon=sum(account.epsilon for account in accounts) if accounts else None,
        privacy=level_of(bundle),
        reproducible=is_reproducible(bundle),
        false_claims=false_claims(bundle),
    )


def _notes(bundle: Bundle, found: DisclosureAudit, *, has_held_out: bool, has_model: bool) -> list[str]:
    """Return what was not tested, and what looks as if the data were not what the bundle was made from."""
    declared = bundle.manifest.provenance.data.n_items
    notes = []
    possible = {found.n_items, found.n_items - _n_excluded(bundle)}
    if declared is not None and declared not in possible | {coarse_count(n) for n in possible}:
        notes.append(
            f"the data has {found.n_items:,} items, but the bundle says that it was made from {declared:,}: pass all "
            "that it was made from, or the audit misses some"
        )
    for entry in found.origins:
        if entry.origin == "observed" and entry.n_copies < entry.n_points:
            notes.append(
                f"{entry.n_points - entry.n_copies:,} of {entry.n_points:,} observed points are no items of the data: "
                "this may be other data than the bundle was made from"
            )
    unit = "items" if found.n_groups is None else "groups"
    if not has_held_out:
        notes.append(
            "no attack on membership was tried: pass items of the same kind that were neither trained on nor made into "
            "points, with `held_out`"
        )
    elif not found.attacks:
        n_left = found.n_held_out if found.n_held_out_groups is None else found.n_held_out_groups
        notes.append(
            f"no attack on membership was tried: of the held-out {unit}, {n_left:,} are not in the data, and at least "
            f"{LEAST_EACH} {unit} of both are needed"
        )
    elif not has_model:
        notes.append("attacks that know the encoder were not tried: pass the bundle's run with `model`")
    notes += [f"the bundle claims what cannot be so: {claim}" for claim in false_claims(bundle)]
    if accounts_of(bundle):
        notes.append("these figures are of the private items themselves: no differential privacy covers them")
    return notes
