"""The audit: published points held against the private items, origin by origin, and attacked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rosetta.arrays import Array, Floats, LazyArray
from rosetta.disclosure.adversary import run_attacks
from rosetta.disclosure.attacks import FAST, Codes, Effort
from rosetta.disclosure.copies import Copies, find_copies
from rosetta.disclosure.demixing import Demixing, demix
from rosetta.disclosure.nearest import Nearest, nearest_items
from rosetta.disclosure.rare import find_rare, rare_features
from rosetta.disclosure.replay import Draws, replay_seed
from rosetta.disclosure.roc import LEAST_EACH
from rosetta.disclosure.search import Rows, as_rows
from rosetta.disclosure.sides import People, draw_sides, outsiders
from rosetta.disclosure.spacing import Spacing, sample_size, spacing_of
from rosetta.disclosure.verdicts import ARE_ITEMS, Findings, judge, worst_of
from rosetta.errors import MetricError
from rosetta.schemas.audit import AttackResult, DisclosureAudit, Finding, OriginAudit
from rosetta.schemas.manifest import OriginName

Stretches = Sequence[tuple[OriginName, int]]


def audit_points(
    inputs: Array,
    latents: Floats,
    stretches: Stretches,
    items: LazyArray,
    *,
    item_latents: LazyArray | None = None,
    held_out: LazyArray | None = None,
    held_out_latents: LazyArray | None = None,
    groups: Codes | None = None,
    held_out_groups: Codes | None = None,
    weights: Floats | None = None,
    rebuild: Callable[[Array], Floats] | None = None,
    draws: Draws | None = None,
    findings: Sequence[Finding] = (),
    members: Mapping[str, int] | None = None,
    nearest: Nearest | None = None,
    effort: Effort = FAST,
    seed: int = 0,
    on_rows: Callable[[int, int], None] = lambda done, of: None,
) -> DisclosureAudit:
    """Return what points reveal of items, in aggregate figures: no row's number and no digest of a row.

    Parameters
    ----------
    inputs : float32 array, shape (n_pairs, …)
        Exactly what is published.
    latents : float array, shape (n_pairs, n_dims)
        Their published latents.
    stretches : sequence of (origin, int)
        Origin and number of rows, in row order; an origin may come up twice.
    items : float32 array, shape (n_items, …)
        The private items, preprocessed as the inputs are; at least two. They, and what follows, may be on disk: they
        are read a few times from the first to the last, and here and there, in bounded memory.
    item_latents : float array, shape (n_items, n_dims), optional
        What the encoder gives for the items: with `held_out_latents`, attacks that know the encoder are tried too.
    held_out : float32 array, shape (n_held_out, …), optional
        Items of the same kind that neither training nor points have seen; what is among `items` is left out.
        Without at least 20 of them, no attack on membership is tried, and made-up points are not judged.
    held_out_latents : float array, shape (n_held_out, n_dims), optional
        What the encoder gives for them.
    groups, held_out_groups : int array, shape (n_items,) and (n_held_out,), optional
        Whose each item is, by the same codes in both: the unit is the group then, a person. Held-out items of a group
        that is in the data are left out. Without those of the held-out items, attacks are on items.
    weights : float array, shape (n_pairs,), optional
        What the file says of each pair: the share of items nearest to it.
    rebuild : callable, optional
        What the sender's own model makes of inputs, float32, shape (n, …): the ceiling, for comparison.
    draws : Draws, optional
        What the manifest tells of the random draws, where it tells that they can be repeated.
    findings : sequence of Finding
        Of other attacks, such as a comparison with earlier bundles: they count for every origin.
    members : mapping of str to int, optional
        The smallest number of items behind a point, by origin, where it is known.
    nearest : Nearest, optional
        What `nearest_items(inputs, items)` returned, if it has been called.
    effort : Effort
        How much work the attacks may do.
    seed : int
        The same seed gives the same figures.
    on_rows : callable
        Called with the numbers of rows done and of all.

    Raises
    ------
    MetricError
        If the arrays do not fit one another; if more than half of the held-out items are private items.
    """
    _check(inputs, latents, stretches, items, held_out)
    n_rows = 0 if nearest is not None else len(inputs)
    n_all = n_rows + sample_size(len(items))
    if nearest is None:
        nearest = nearest_items(inputs, items, on_rows=lambda done, of: on_rows(done, n_all))
    spacing = spacing_of(items, np.random.default_rng([seed, 0]), on_done=lambda done: on_rows(n_rows + done, n_all))
    rows = _rows_of(stretches)
    people = People(items, item_latents, groups)
    # where nobody knows whose the held-out items are, the items themselves are attacked
    attackable = people if held_out is None or held_out_groups is not None else People(items, item_latents)
    others = None if held_out is None else outsiders(People(held_out, held_out_latents, held_out_groups), people)
    attacked = _attack(
        inputs, latents, rows, attackable, others, weights=weights, rebuild=rebuild, effort=effort, seed=seed
    )
    findings = (*findings, *_findings(inputs, rows, people, spacing, draws))
    origins = tuple(
        _audit_origin(
            origin, inputs[at], Nearest(nearest.rows[at], nearest.distances[at]), items, spacing,
            members=(members or {}).get(origin), attacked=attacked, findings=findings,
            rng=np.random.default_rng([seed, 1]),
        )
        for origin, at in rows.items()
    )  # fmt: skip
    n_rare = round(float((spacing.own > spacing.rare_from).mean()) * len(items))
    n_numbers = math.prod(items.shape[1:])
    return DisclosureAudit(
        n_items=len(items),
        n_held_out=0 if others is None else len(others.inputs),
        n_groups=None if groups is None else people.n_units,
        n_held_out_groups=None if groups is None or others is None or others.groups is None else others.n_units,
        numbers_an_item=n_numbers,
        items_a_number=len(items) / n_numbers,
        typical_distance=spacing.typical,
        n_rare=n_rare,
        near_copies_by_chance=spacing.chance,
        origins=origins,
        attacks=attacked,
        findings=findings,
    )


def compact(audit: DisclosureAudit) -> DisclosureAudit:
    """Return what a manifest tells of an audit: of each origin the worst attack alone, and no ceiling."""
    names = [*(each.origin for each in audit.origins), None]
    worst = [worst_of(each for each in audit.attacks if each.origin == name) for name in names]
    kept = tuple(each.model_copy(update={"figures": {}}) for each in worst if each is not None)
    return audit.model_copy(update={"attacks": kept, "findings": tuple(f for f in audit.findings if f.verdict)})


def _check(inputs: Array, latents: Floats, stretches: Stretches, items: LazyArray, held_out: LazyArray | None) -> None:
    n_rows = sum(n for _, n in stretches)
    if not len(inputs) == len(latents) == n_rows:
        raise MetricError(
            f"{len(inputs)} inputs, {len(latents)} latents and origins for {n_rows} rows: as many are needed"
        )
    if len(items) < 2:
        raise MetricError(f"{len(items)} items: an audit needs at least two, to know how far apart they are")
    for what, array in (("items", items), ("held-out items", held_out)):
        if array is not None and array.shape[1:] != inputs.shape[1:]:
            raise MetricError(f"the {what} have shape {array.shape[1:]}, but the points have {inputs.shape[1:]}")


def _rows_of(stretches: Stretches) -> dict[OriginName, Rows]:
    """Return the rows of each origin, in order."""
    rows: dict[OriginName, list[Rows]] = {}
    first = 0
    for origin, n in stretches:
        rows.setdefault(origin, []).append(np.arange(first, first + n))
        first += n
    return {origin: np.concatenate(parts) for origin, parts in rows.items()}


def _attack(
    inputs: Array, latents: Floats, rows: Mapping[OriginName, Rows], people: People, others: People | None,
    *, weights: Floats | None, rebuild: Callable[[Array], Floats] | None, effort: Effort, seed: int,
) -> tuple[AttackResult, ...]:  # fmt: skip
    """Return what the attacks on membership found; none without enough units on both sides."""
    if others is None or min(people.n_units, others.n_units) < LEAST_EACH:
        return ()
    sides = draw_sides(people, others, np.random.default_rng([seed, 2]), n_rows=effort.n_rows, rebuild=rebuild)
    return run_attacks(
        as_rows(inputs), latents, rows, sides, n_items=len(people.inputs), weights=weights,
        has_groups=people.groups is not None, effort=effort, seed=seed,
    )  # fmt: skip


def _findings(
    inputs: Array, rows: Mapping[OriginName, Rows], people: People, spacing: Spacing, draws: Draws | None
) -> tuple[Finding, ...]:
    """Return what the attacks found that need no outsiders."""
    published = as_rows(inputs)
    rare = rare_features(people.inputs, people.groups)
    unit = "items" if people.groups is None else "groups"
    found = [
        find_rare(origin, published[at], rare, unit=unit) for origin, at in rows.items() if origin not in ARE_ITEMS
    ]
    replayed = () if draws is None else replay_seed(draws, published, rows, people.inputs, spacing)
    return (*replayed, *found)


def _audit_origin(
    origin: OriginName, points: Array, nearest: Nearest, items: LazyArray, spacing: Spacing,
    *, members: int | None, attacked: Sequence[AttackResult], findings: Sequence[Finding], rng: np.random.Generator,
) -> OriginAudit:  # fmt: skip
    copies = find_copies(nearest, spacing, items)
    demixing = None if origin in ARE_ITEMS else _demix(points, nearest, copies, items, spacing, rng)
    tells = demixing is not None and demixing.tells
    found = Findings(
        origin=origin,
        n_points=len(points),
        n_copies=int(copies.is_copy.sum()),
        n_near_copies=int(copies.is_near.sum()),
        ratios=nearest.distances / (spacing.typical or 1.0),
        n_rare_exposed=len(np.unique(nearest.rows[copies.is_of_rare])),
        members=members,
        demixing=demixing,
        attacks=_of_origin(attacked, origin),
        ceiling=next((each for each in attacked if each.is_ceiling), None),
        n_attacks=sum(not each.is_ceiling for each in attacked),
        findings=tuple(each for each in findings if each.origin in (origin, None)),
        spacing=spacing,
    )
    verdict, reasons = judge(found)
    return OriginAudit(
        origin=origin,
        n_points=found.n_points,
        n_copies=found.n_copies,
        n_near_copies=found.n_near_copies,
        nearest_ratio_min=float(found.ratios.min()),
        nearest_ratio_median=float(np.median(found.ratios)),
        n_rare_exposed=found.n_rare_exposed,
        members=members,
        n_demixing_tried=demixing.n_tried if demixing and tells else 0,
        demixed=demixing.share if demixing and tells else None,
        verdict=verdict,
        reasons=reasons,
    )


def _demix(
    points: Array, nearest: Nearest, copies: Copies, items: LazyArray, spacing: Spacing, rng: np.random.Generator
) -> Demixing | None:
    rest = np.flatnonzero(~copies.is_copy)
    if not len(rest) or spacing.typical == 0:
        return None
    return demix(points[rest], Nearest(nearest.rows[rest], nearest.distances[rest]), items, spacing, rng)


def _of_origin(attacked: Sequence[AttackResult], origin: OriginName) -> tuple[AttackResult, ...]:
    """Return the attacks that judge an origin: on its points, and those that there are on the whole bundle alone."""
    own = {each.attack for each in attacked if each.origin is not None}
    return tuple(
        each for each in attacked
        if not each.is_ceiling and (each.origin == origin or (each.origin is None and each.attack not in own))
    )  # fmt: skip
