"""The inputs of a bundle: anchors and checks of every origin, made independently, all different."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import cast

import numpy as np

from rosetta.arrays import Array, picked
from rosetta.distillation.plan import Portion
from rosetta.distillation.private_points import private_origins
from rosetta.distillation.random_streams import BOUNDS, DIVISION, Draws
from rosetta.errors import SelectionError
from rosetta.origins import Figures, Recipe, SenderData, origins
from rosetta.origins.bounds import Clipped, common_bounds
from rosetta.schemas.audit import PrivacyAccount
from rosetta.schemas.distill import DistillSettings, OriginCount, PointFigures
from rosetta.schemas.manifest import OriginName

ANCHORS, CHECKS = 0, 1
AS_THEY_ARE = ("observed", "public")  # origins whose points are not made, but chosen
_WHAT = ("anchors", "check pairs, made after the anchors")


@dataclass(frozen=True)
class Points:
    """The inputs of a bundle, and what is to be told of them."""

    inputs: Array  # float32, shape (n_pairs, …), the anchors first
    n_anchors: int
    stretches: tuple[tuple[OriginName, int], ...]  # origin and number of rows, in row order
    counts: tuple[OriginCount, ...]
    figures: Mapping[str, PointFigures]  # by origin
    accounts: tuple[PrivacyAccount, ...]
    rows: Array | None = None  # of the sender's items that these are, where all of them are items

    @property
    def members(self) -> dict[str, int]:
        """The smallest number of items behind a point, by origin, where points are made of few."""
        return {name: each.members for name, each in self.figures.items() if each.members is not None}


def make_points(sender: SenderData, portions: Sequence[Portion], settings: DistillSettings) -> Points:
    """Make the points of every portion.

    Raises
    ------
    SelectionError, UsageError
        If an origin cannot give what is asked for.
    """
    recipe = Recipe(
        settings.members, settings.mix, settings.draw, settings.residuals, settings.reencoding_limit, settings.privacy
    )
    draws = Draws.of(settings)
    makers, accounts = private_origins(sender, portions, settings, draws)
    shared = sender if makers else within_bounds(sender, portions, settings, draws)
    points, stretches, rows = sender.inputs[:0], [], []
    figures: dict[str, Figures] = {}
    for role in (ANCHORS, CHECKS):  # random numbers of their own for each
        for place, portion in enumerate(portions):
            if not (wanted := portion.n_checks if role else portion.n_anchors):
                continue
            rng = draws.generator(role, place)
            given = sender if portion.origin in AS_THEY_ARE else shared
            if (make := makers.get(portion.origin)) is None:
                make = origins.get(portion.origin)
                given = _items_for(role, given, portion, draws)
            try:
                in_all = replace(recipe, n_points=portion.n_anchors + portion.n_checks)
                made = make(given, wanted, rng, points, in_all)
            except SelectionError as error:
                unit = "items" if sender.groups is None else "groups"
                divided = len(given.inputs) < len(sender.inputs)
                more = f" The {unit} are divided between anchors and check pairs" if divided else ""
                raise SelectionError(f"{_WHAT[role]}, {portion.origin}: {error}.{more}") from error
            points = np.concatenate([points, made.inputs])
            stretches.append((portion.origin, wanted))
            rows.append(made.rows)
            figures[portion.origin] = _joined(figures.get(portion.origin, {}), made.figures)
    return Points(
        inputs=points,
        n_anchors=sum(p.n_anchors for p in portions),
        stretches=_merged(stretches),
        counts=tuple(OriginCount(origin=p.origin, n_anchors=p.n_anchors, n_checks=p.n_checks) for p in portions),
        figures={name: PointFigures(**each) for name, each in figures.items()},  # type: ignore[arg-type]
        accounts=accounts,
        rows=None if len(found := [each for each in rows if each is not None]) < len(rows) else np.concatenate(found),
    )


def within_bounds(
    sender: SenderData, portions: Sequence[Portion], settings: DistillSettings, draws: Draws
) -> SenderData:
    """Return the sender with its items within the bounds that enough of them share; all as it is, if it is open."""
    if settings.privacy == "open" or all(each.origin in AS_THEY_ARE for each in portions):
        return sender
    bounds = common_bounds(sender.inputs, sender.groups, draws.generator(BOUNDS))
    inputs = Clipped(sender.inputs, bounds)
    return replace(sender, inputs=inputs[:] if isinstance(sender.inputs, np.ndarray) else inputs, bounds=bounds)


def _items_for(role: int, sender: SenderData, portion: Portion, draws: Draws) -> SenderData:
    """Return the sender with its items for a role: no averaged item, or group, is behind both an anchor and a check."""
    if portion.origin != "averaged" or not portion.n_checks or not portion.n_anchors:
        return sender
    n_units = len(sender.inputs) if sender.groups is None else int(sender.groups.max()) + 1
    order = draws.generator(DIVISION).permutation(n_units)
    n_first = round(n_units * portion.n_anchors / (portion.n_anchors + portion.n_checks))
    return _part_of(sender, order[n_first:] if role else order[:n_first])


def _part_of(sender: SenderData, units: Array) -> SenderData:
    """Return the sender with some of its items, or with all items of some of its groups."""
    rows, groups = np.sort(units), None
    if sender.groups is not None:
        rows = np.flatnonzero(np.isin(sender.groups, units))
        groups = np.unique(sender.groups[rows], return_inverse=True)[1]
    sds = None if sender.latents_sd is None else picked(sender.latents_sd, rows)
    inputs, latents = picked(sender.inputs, rows), picked(sender.latents, rows)
    return replace(sender, inputs=inputs, latents=latents, latents_sd=sds, groups=groups)


def _joined(first: Figures, second: Figures) -> Figures:
    """Return the figures of anchors and checks together: the fewest members, the sum of counts, else the first's."""
    joined = {**second, **first}
    for name in first.keys() & second.keys():
        one, other = first[name], second[name]
        if name == "members":
            joined[name] = min(int(one), int(other))
        elif name.startswith("n_"):
            joined[name] = int(one) + int(other)
    return joined


def _merged(stretches: Sequence[tuple[str, int]]) -> tuple[tuple[OriginName, int], ...]:
    """Join neighbours of one origin. The records of audit and manifest check the names."""
    runs = groupby(stretches, key=lambda stretch: stretch[0])
    return tuple((cast(OriginName, origin), sum(n for _, n in run)) for origin, run in runs)
