"""The audit: published points held against the private items, origin by origin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rosetta.arrays import Array, Floats, LazyArray, Picked
from rosetta.disclosure.copies import Copies, find_copies
from rosetta.disclosure.demixing import Demixing, demix
from rosetta.disclosure.membership import LEAST_EACH, Attack, Tests, attack_origins
from rosetta.disclosure.nearest import Nearest, nearest_items
from rosetta.disclosure.search import Rows
from rosetta.disclosure.shared import is_among
from rosetta.disclosure.spacing import Spacing, sample_size, spacing_of
from rosetta.disclosure.verdicts import ARE_ITEMS, Findings, judge
from rosetta.errors import MetricError
from rosetta.schemas.audit import DisclosureAudit, MembershipTest, OriginAudit
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
    members: Mapping[str, int] | None = None,
    nearest: Nearest | None = None,
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
        What the encoder gives for the items: with `held_out_latents`, membership is tested on latents too.
    held_out : float32 array, shape (n_held_out, …), optional
        Items of the same kind that neither training nor points have seen; what is among `items` is left out.
        Without at least 20 of them, there is no membership test.
    held_out_latents : float array, shape (n_held_out, n_dims), optional
        What the encoder gives for them.
    members : mapping of str to int, optional
        The smallest number of items behind a point, by origin, where it is known.
    nearest : Nearest, optional
        What `nearest_items(inputs, items)` returned, if it has been called.
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
    fresh = _fresh(held_out, items)
    tests = _membership(
        {"inputs": inputs, "latents": latents}, rows, _given(items, item_latents),
        _given(held_out, held_out_latents, fresh), seed=seed,
    )  # fmt: skip
    origins = tuple(
        _audit_origin(
            origin, inputs[at], Nearest(nearest.rows[at], nearest.distances[at]), items, spacing,
            members=(members or {}).get(origin), tests=[each.by_origin[origin] for each in tests],
            rng=np.random.default_rng([seed, 1]),
        )
        for origin, at in rows.items()
    )  # fmt: skip
    n_rare = round(float((spacing.own > spacing.rare_from).mean()) * len(items))
    return DisclosureAudit(
        n_items=len(items),
        n_held_out=0 if fresh is None else len(fresh),
        typical_distance=spacing.typical,
        n_rare=n_rare,
        near_copies_by_chance=spacing.chance,
        origins=origins,
        membership=tuple(each.overall for each in tests),
    )


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


def _fresh(held_out: LazyArray | None, items: LazyArray) -> Rows | None:
    """Return the rows of the held-out items that are not among the items."""
    if held_out is None:
        return None
    fresh = np.flatnonzero(~is_among(held_out, items))
    if 2 * len(fresh) < len(held_out):
        raise MetricError(
            f"{len(held_out) - len(fresh):,} of {len(held_out):,} held-out items are items of the data as well: "
            "give items that were neither trained on nor made into points"
        )
    return fresh


def _given(inputs: LazyArray | None, latents: LazyArray | None, rows: Rows | None = None) -> dict[Attack, LazyArray]:
    """Return what an attack on inputs and one on latents look at, as far as it is there."""
    both: dict[Attack, LazyArray | None] = {"inputs": inputs, "latents": latents}
    return {attack: each if rows is None else Picked(each, rows) for attack, each in both.items() if each is not None}


def _audit_origin(
    origin: OriginName, points: Array, nearest: Nearest, items: LazyArray, spacing: Spacing,
    *, members: int | None, tests: Sequence[MembershipTest], rng: np.random.Generator,
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
        tests=tuple(tests),
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


def _membership(
    published: Mapping[Attack, Array], rows: Mapping[OriginName, Rows], items: Mapping[Attack, LazyArray],
    held_out: Mapping[Attack, LazyArray], *, seed: int,
) -> list[Tests]:  # fmt: skip
    """Return the tests of each attack for which there is all that it needs."""
    found = []
    for number, attack in enumerate(attack for attack in published if attack in items and attack in held_out):
        n_each = min(len(items[attack]), len(held_out[attack]))
        if n_each >= LEAST_EACH:
            rng = np.random.default_rng([seed, 2, number])
            found.append(attack_origins(attack, published[attack], rows, items[attack], held_out[attack], rng))
    return found
