"""What the sender is told of a bundle before it is written: broken rules, odd points, what the audit found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.bundle import layout
from rosetta.bundle.manifest import canonical
from rosetta.bundle.reader import RawBundle
from rosetta.distillation.points import Points
from rosetta.distillation.sender import Sender
from rosetta.errors import IncompatibleError
from rosetta.metrics.coverage import moments
from rosetta.rules import Candidate, run
from rosetta.rules.meaning import LEAST_SPREAD
from rosetta.schemas.audit import DisclosureAudit
from rosetta.schemas.manifest import FORMAT, FORMAT_VERSION, Manifest

CLIPPED = 0.1  # share of the decoder's numbers, from which on it is told that they were clipped


def check_result(manifest: Manifest, arrays: dict[str, Array], on_note: Callable[[str], None]) -> None:
    """Hold the bundle against every rule before it is written; warnings become notes."""
    attributes = {layout.FORMAT_ATTRIBUTE: FORMAT, layout.VERSION_ATTRIBUTE: FORMAT_VERSION}
    findings, _ = run(Candidate(RawBundle(0, attributes, canonical(manifest), arrays)))
    for each in findings:
        if each.severity == "error":
            raise IncompatibleError(f"the bundle would be invalid, so it was not written: {each.rule}: {each.message}")
        if each.severity == "warning":
            on_note(f"{each.rule}: {each.message}. {each.fix}")


def note_points(points: Points, opened: Sender, on_note: Callable[[str], None]) -> None:
    """Say what became of the points where the sender should know."""
    observed = sum(n for name, n in points.stretches if name == "observed")
    if observed:
        on_note(
            f"the {observed} inputs are items of your data"
            + ("; `origin='decoded'` makes points that are not" if opened.sender.decode is not None else "")
        )
    for name, figures in points.figures.items():
        dropped = (figures.n_dropped_reencoding or 0) + (figures.n_dropped_range or 0)
        if dropped:
            why = [
                (figures.n_dropped_reencoding, "the encoder puts them far from where they were drawn"),
                (figures.n_dropped_range, "the decoder leaves the declared range of values by more than its width"),
            ]
            reasons = ", ".join(f"{n:,} as {reason}" for n, reason in why if n)
            on_note(f"some {name} points were dropped, and others drawn: {reasons}")
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
        n_units, unit = len(opened.sender.inputs), "items"
        if opened.sender.groups is not None:
            n_units, unit = int(opened.sender.groups.max()) + 1, "groups"
        if account.delta >= 1 / n_units:
            on_note(
                f"delta {account.delta:g} is not below 1 / {n_units}, the number of {unit}: it would allow to give one "
                "of them away"
            )
    low, high = opened.sender.value_range
    if points.accounts and (low, high) != (0.0, 1.0):
        on_note(
            f"the range of values, {low:g} to {high:g}, is in the file: if it was found by looking at the data, as "
            "rosetta train does unless all lies in 0 to 1, it is not covered by the differential privacy"
        )
    if opened.held_out is None:
        known = not isinstance(opened.split, str) and len(opened.split.held_out)
        way = ", or keep out of the points what its training held out with `audit_held_out`" if known else ""
        on_note(
            "the audit tried no attack on membership, so that made-up points are not judged: pass items that the model "
            f"has not seen with `held_out`{way}"
        )


def note_findings(
    points: Points, opened: Sender, latents: Floats, audit: DisclosureAudit, on_note: Callable[[str], None]
) -> None:
    """Say what the audit found where nobody would expect it, and what noise has left."""
    for entry in audit.origins:
        if entry.origin != "observed" and entry.verdict in ("holds items", "close to items"):
            on_note(f"the audit of the {entry.origin} points: {entry.verdict}, as {entry.reasons[0]}")
    if not points.accounts:
        return
    variance = float(latents.var(axis=0, dtype=np.float64).sum())
    of_items = float(np.trace(moments(opened.space_latents(opened.sender.latents))[1]))
    if variance < LEAST_SPREAD * of_items:
        on_note(
            f"the points have {variance / of_items:.0%} of the variance of the items' latents: the noise has drowned "
            "most of the space, and few receivers will follow. Allow a larger `dp_epsilon`, or take more items"
        )
