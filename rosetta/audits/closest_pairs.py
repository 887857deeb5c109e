"""The closest pairs of a bundle's points and private items, as far as they are images."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import LazyArray
from rosetta.bundle import Bundle
from rosetta.charts.closest import ClosePairs, as_pictures
from rosetta.charts.paper import pyplot
from rosetta.disclosure.nearest import Nearest
from rosetta.errors import MissingExtraError, UsageError
from rosetta.schemas.audit import DisclosureAudit

N_PICTURED = 8  # pairs of each origin


def can_draw(bundle: Bundle, notes: list[str], *, wanted: bool, useful: bool) -> bool:
    """Return whether pairs are to be drawn; what is wanted and cannot be is an error, what is only useful a note."""
    if not (wanted or useful):
        return False
    shape = bundle.inputs.shape[1:]
    if as_pictures(bundle.inputs[:1], bundle.manifest.content.input.value_range) is None:
        if wanted:
            raise UsageError(f"`picture` draws images, but inputs of shape {shape} are none: leave it out")
        return False
    try:
        pyplot()
    except MissingExtraError as error:
        if wanted:
            raise
        notes.append(f"the page has no pictures: {error}")
        return False
    return True


def closest_pairs(bundle: Bundle, items: LazyArray, nearest: Nearest, found: DisclosureAudit) -> list[ClosePairs]:
    """Return the closest pairs of each origin, the nearest first."""
    content = bundle.manifest.content
    origins = np.repeat([entry.origin for entry in content.origins], [entry.n_pairs for entry in content.origins])
    groups = []
    for entry in found.origins:
        rows = np.flatnonzero(origins == entry.origin)
        rows = rows[np.argsort(nearest.distances[rows], kind="stable")[:N_PICTURED]]
        published = as_pictures(bundle.inputs[rows], content.input.value_range)
        private = as_pictures(items[nearest.rows[rows]], content.input.value_range)
        if published is not None and private is not None:
            title = f"{entry.origin}: {entry.verdict}"
            ratios = nearest.distances[rows] / (found.typical_distance or 1.0)
            groups.append(ClosePairs(title, published, private, ratios))
    return groups
