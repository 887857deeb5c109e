"""Hold a bundle against the data that it was made from: what does it reveal?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import JsonValue, ValidationError

from rosetta.arrays import Array, Derived, Floats, LazyArray
from rosetta.bundle import Bundle
from rosetta.charts.closest import draw_closest
from rosetta.disclosure import audit_points
from rosetta.disclosure.copies import COPY
from rosetta.disclosure.membership import LEAST_EACH
from rosetta.disclosure.nearest import Nearest, nearest_items
from rosetta.disclosure.page import steward_page
from rosetta.errors import IncompatibleError, UsageError
from rosetta.files import check_output, shown, write_small
from rosetta.schemas.audit import AuditReport, Disclosure, DisclosureAudit, PrivacyAccount
from rosetta.schemas.policy import Policy
from rosetta.verbs.closest import can_draw, closest_pairs
from rosetta.verbs.matching import Features
from rosetta.verbs.opening import BUDGET_GIB, open_model
from rosetta.verbs.policies import included_rows, load_policy, policy_mark, violations
from rosetta.verbs.prepare import expected_in, prepare_within
from rosetta.verbs.shadows.canaries import canaries as plant
from rosetta.verbs.shadows.thorough import thorough
from rosetta.verbs.software import versions
from rosetta.verbs.trainings.streaming import memory_budget
from rosetta.verbs.validate import open_valid

FARTHEST = 10.0  # typical distances of the median point from the items, beyond which these are other data


@dataclass(frozen=True)
class _Items:
    """Items that the bundle is held against."""

    inputs: LazyArray  # float32, shape (n_items, …)
    latents: LazyArray | None  # shape (n_items, n_dims), where there is a model: computed for the rows that are wanted


def audit(
    bundle: str | PathLike[str],
    data: Any,
    *,
    model: str | PathLike[str] | None = None,
    held_out: Any = None,
    features: Features = None,
    policy: str | PathLike[str] | None = None,
    page: str | PathLike[str] | None = None,
    picture: str | PathLike[str] | None = None,
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
        The model that it was distilled from: membership is then tested with latents too.
    held_out : str or array, shape (n_held_out, …), optional
        Items of the same kind that neither the model nor the bundle has seen; membership is not tested without.
    features : str or sequence of str, optional
        Names of the features, where the bundle's have names.
    policy : path, optional
        A ``policy.toml`` to hold the figures against.
    page : path, optional
        Where to write a page for the data's steward, ending in ``.html``.
    picture : path, optional
        Where to draw the closest pairs, ending in ``.png``. They show private items, as does a page of images.
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
        Calibrate attacks with so many shadow senders: `rosetta.verbs.shadows.thorough.thorough`.
    shadow_folder : path, optional
        Where finished shadows are kept, to go on from.
    canaries : int, optional
        Plant a mark in so many items: `rosetta.verbs.shadows.canaries.canaries`.
    canary_record : path, optional
        Look for the marks that `rosetta.verbs.shadows.planting.plant` put into the data that the model was trained on.
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
    for path, suffix in ((page, ".html"), (picture, ".png")):
        if path is not None:
            check_output(Path(path), force=force, suffix=suffix)
    if shadow_folder is not None and shadows is None:
        raise UsageError("--shadow-folder has no effect without --thorough: leave it out")
    clauses = None if policy is None else load_policy(Path(policy))
    opened = open_valid(Path(bundle))
    notes: list[str] = []
    wants_pictures = can_draw(opened, notes, wanted=picture is not None, useful=page is not None)
    budget = memory_budget(BUDGET_GIB if memory_gib is None else memory_gib, torch.device("cpu"))
    items, others = _read(
        opened, data, held_out, model, features=features, budget=budget, allow_code=allow_code,
        allow_pickle=allow_pickle,
    )  # fmt: skip
    nearest = nearest_items(opened.inputs, items.inputs, on_rows=on_rows)
    found = _audit(opened, items, others, nearest, seed=seed, on_rows=on_rows)
    _refuse_other_data(found)
    broken = (
        () if clauses is None else (*_violations(opened, found, clauses), *_excluded(opened, found, clauses, nearest))
    )
    sender: dict[str, Any] = {"features": features, "allow_code": allow_code, "memory_gib": memory_gib, "seed": seed}
    report = AuditReport(
        bundle=shown(bundle), content_id=opened.content_id, audit=found, violations=broken,
        shadows=None if shadows is None else thorough(
            bundle, data, model, held_out=held_out, shadows=shadows, folder=shadow_folder, on_plan=on_plan,
            on_shadow=on_shadow, **sender,
        ),
        canaries=() if canaries is None and canary_record is None else plant(
            bundle, data, model, n=canaries, record=canary_record, on_plan=on_plan, on_note=on_note, **sender
        ),
    )  # fmt: skip
    notes += _notes(opened, found, has_held_out=held_out is not None, has_model=model is not None)
    drawn = draw_closest(closest_pairs(opened, items.inputs, nearest, found)) if wants_pictures else None
    if picture is not None and drawn is not None:
        write_small(Path(picture), drawn)
    if page is not None:
        text = steward_page(
            report, opened.manifest, picture=drawn, policy=None if policy is None else Path(policy).name,
            privacy=_accounts(opened), notes=notes, software=f"Rosetta {versions()['rosetta']}",
        )  # fmt: skip
        write_small(Path(page), text.encode())
    for note in notes:
        on_note(note)
    return report


def _audit(
    bundle: Bundle, items: _Items, others: _Items | None, nearest: Nearest, *, seed: int,
    on_rows: Callable[[int, int], None],
) -> DisclosureAudit:  # fmt: skip
    return audit_points(
        bundle.inputs,
        bundle.latents,
        [(entry.origin, entry.n_pairs) for entry in bundle.manifest.content.origins],
        items.inputs,
        item_latents=items.latents,
        held_out=None if others is None else others.inputs,
        held_out_latents=None if others is None else others.latents,
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


def _excluded(bundle: Bundle, found: DisclosureAudit, clauses: Policy, nearest: Nearest) -> tuple[str, ...]:
    """Return what breaks a policy's excluded rows: copies of them, and that nobody promised to leave them out."""
    if not clauses.excluded_rows:
        return ()
    included = included_rows(clauses, found.n_items)
    copies = nearest.distances <= COPY * found.typical_distance
    n_copies = int((copies & ~np.isin(nearest.rows, included)).sum())
    told = bundle.manifest.provenance.disclosure_audit or {}
    broken = []
    if n_copies:
        broken.append(f"excluded_rows: {n_copies:,} points are copies of excluded items")
    if told.get("policy") != policy_mark(clauses).model_dump(mode="json"):
        broken.append(
            "excluded_rows: the bundle does not say that it was made under this policy, so nothing shows that no point "
            "was made from the excluded items: distil with --policy"
        )
    return tuple(broken)


def _violations(bundle: Bundle, found: DisclosureAudit, clauses: Policy) -> tuple[str, ...]:
    """Return which clauses of a policy the bundle breaks."""
    words, accounts = bundle.manifest.provenance, _accounts(bundle)
    return violations(
        clauses,
        origins=[entry.origin for entry in found.origins],
        terms=words.terms_of_use,
        license=words.license,
        audit=found,
        epsilon=sum(account.epsilon for account in accounts) if accounts else None,
    )


def members_of(settings: Mapping[str, JsonValue]) -> dict[str, int]:
    """Return the smallest number of items behind a point, by origin, as far as a manifest's settings tell."""
    origins = settings.get("origins")
    found = {}
    for origin, told in origins.items() if isinstance(origins, dict) else ():
        number = told.get("members", told.get("mix")) if isinstance(told, dict) else None
        if isinstance(number, int) and not isinstance(number, bool) and number > 0:
            found[origin] = number
    return found


def _accounts(bundle: Bundle) -> tuple[PrivacyAccount, ...]:
    """Return the accounts of differential privacy in the manifest; none if they cannot be read."""
    try:
        return Disclosure.model_validate_json(json.dumps(bundle.manifest.provenance.disclosure_audit or {})).privacy
    except ValidationError:
        return ()


def _read(
    bundle: Bundle, data: Any, held_out: Any, model: str | PathLike[str] | None,
    *, features: Features, budget: int, allow_code: str | None, allow_pickle: bool,
) -> tuple[_Items, _Items | None]:  # fmt: skip
    """Return the private and the held-out items as the bundle's encoder sees them, with latents if there is a model."""
    expected = expected_in(bundle)
    encode = None if model is None else _encoder(bundle, model, allow_code, allow_pickle)

    def read(items: Any) -> _Items:
        inputs = prepare_within(budget, items, expected, features=features, preprocess=None).inputs
        return _Items(inputs, None if encode is None else Derived(inputs, encode, bundle.manifest.content.space.n_dims))

    return read(data), None if held_out is None else read(held_out)


def _encoder(
    bundle: Bundle, model: str | PathLike[str], allow_code: str | None, allow_pickle: bool
) -> Callable[[Array], Floats]:
    """Return what gives latents in the bundle's space, or raise IncompatibleError if it is not the sender's model."""
    opened = open_model(model, device="cpu", allow_code=allow_code, allow_pickle=allow_pickle)
    if opened.weights_sha256 != bundle.manifest.provenance.model.weights_sha256:
        raise IncompatibleError(
            f"{model} is not the model of the bundle: its weights have another digest than the manifest declares. "
            "Pass the model that the bundle was distilled from, or leave --model out"
        )
    n_dims = bundle.manifest.content.space.n_dims
    return lambda inputs: opened.encode(inputs)[0][:, :n_dims]


def _notes(bundle: Bundle, found: DisclosureAudit, *, has_held_out: bool, has_model: bool) -> list[str]:
    """Return what was not tested, and what looks as if the data were not what the bundle was made from."""
    declared = bundle.manifest.provenance.data.n_items
    notes = []
    if found.n_items != declared:
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
    if not has_held_out:
        notes.append(
            "membership was not tested: pass items of the same kind that were neither trained on nor made into points, "
            "with --held-out"
        )
    elif not found.membership:
        notes.append(
            f"membership was not tested: of the held-out items, {found.n_held_out:,} are not in the data, and at least "
            f"{LEAST_EACH} of both are needed"
        )
    elif not has_model:
        notes.append("membership was tested by inputs only: pass the bundle's run with --model to test it by latents")
    if _accounts(bundle):
        notes.append("these figures are of the private items themselves: no differential privacy covers them")
    return notes
