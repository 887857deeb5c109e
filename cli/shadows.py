"""What `rosetta audit` asks and shows of shadow senders."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import typer

from .render import note, table

if TYPE_CHECKING:
    from rosetta.schemas.audit import AuditReport
    from rosetta.schemas.separation import Separation

SHADOWS = "Shadow senders"


def shadows_of(thorough: bool, shadows: int | None) -> int | None:
    """Return how many shadow senders are to be made; None for none."""
    from rosetta.errors import UsageError
    from rosetta.shadows.thorough import N_SHADOWS

    if shadows is not None and not thorough:
        raise UsageError("--shadows has no effect without --thorough: add it, or leave --shadows out")
    if not thorough:
        return None
    return N_SHADOWS if shadows is None else shadows


def tell_shadow(n_done: int, n_all: int, left_s: float) -> None:
    """Say on stderr how far it is."""
    left = "" if math.isnan(left_s) or not left_s else f", about {left_s / 60:.1f} minutes left"
    note(f"shadow senders: {n_done} of {n_all} done{left}")


def show_shadows(report: AuditReport) -> None:
    """Print what shadow senders showed, if there were any."""
    if (found := report.shadows) is not None:
        typer.echo(
            f"\n{found.n_shadows} shadow senders, each trained on {found.n_in:,} of {found.n_members:,} items of the "
            f"model and {found.n_others:,} others; AUC (0.5 is guessing), and members found at 1 % false alarms"
        )
        rows = [
            (
                f"{each.attack}{' (ceiling)' if each.is_ceiling else ''}",
                *map(_told, (each.alone, each.online, each.offline, each.of_shadows)),
            )
            for each in found.attacks
        ]
        table(("attack", "score alone", "with and without", "without", "on the shadows"), rows)
    for each in report.canaries:
        items = "a single item" if each.n_marked == 1 else f"{each.n_marked:,} items"
        typer.echo(
            f"\ncanary in {items}, {each.where}: {'SHOWN' if each.is_shown else 'not shown'}\n"
            f"  - {each.share:.1%} of {each.n_points:,} points ({each.low:.1%} to {each.high:.1%}) have more of the "
            f"mark than 99 % of those of a sender without it; the strongest has {each.strongest:.0%} of it\n"
            f"  - {each.n_lit:,} points have at least half of it, and {each.n_lit_control:,} of the other sender's\n"
            f"  - an encoder and a decoder stolen from the points give back {each.rebuilt:.0%} of it from a marked "
            f"item, {each.rebuilt_control:.0%} if stolen from the other sender's; its own {each.rebuilt_model:.0%}"
        )


def _told(found: Separation) -> str:
    caught = "" if found.caught is None else f", {100 * found.caught:.3g} %"
    return f"{found.auc:.3f} ({found.auc_low:.3f}–{found.auc_high:.3f}){caught}"
