"""What shadow senders and planted marks say for an audit's verdict, its policy and its reports."""

from __future__ import annotations

from collections.abc import Sequence

from rosetta.disclosure.roc import chance_of
from rosetta.disclosure.verdicts import CLOSE_AUC, CLOSE_CAUGHT
from rosetta.schemas.audit import AttackResult, Finding
from rosetta.schemas.shadows import Canary, ShadowAudit

SHOWN_BY_CHANCE = 0.01  # share of the control's points that exceed it


def attacks_of(shadows: ShadowAudit | None) -> tuple[AttackResult, ...]:
    """Return the calibrated attacks on the bundle, and the ceiling, in the form of all others."""
    if shadows is None:
        return ()
    return tuple(
        AttackResult(
            attack=f"{each.attack}, calibrated by shadow senders",
            knows="the sender's own model" if each.is_ceiling else "bundle and like items",
            n_members=each.online.n_members,
            n_outsiders=each.online.n_others,
            auc=each.online.auc,
            low=each.online.auc_low,
            high=each.online.auc_high,
            p_value=chance_of(each.online.auc, each.online.n_members, each.online.n_others),
            caught_at_1_percent=each.online.caught,
            caught_low=each.online.caught_low,
            caught_high=each.online.caught_high,
            is_ceiling=each.is_ceiling,
            figures={"n_shadows": float(shadows.n_shadows)},
        )
        for each in shadows.attacks
    )


def findings_of(shadows: ShadowAudit | None, canaries: Sequence[Canary]) -> tuple[Finding, ...]:
    """Return what decides the verdict: calibrated attacks that tell, and marks that points show."""
    found = []
    for each in attacks_of(shadows):
        if each.is_ceiling:
            continue
        tells = each.low > CLOSE_AUC or (each.caught_low or 0.0) > CLOSE_CAUGHT
        rate = each.caught_at_1_percent
        caught = "" if rate is None else f", and {rate:.0%} of them are found at 1 % false alarms"
        found.append(
            Finding(
                attack=each.attack, knows=each.knows, what="members found at 1 % false alarms", n_tried=each.n_members,
                n_found=round((rate or 0.0) * each.n_members), by_chance=0.01 * each.n_members,
                verdict="close to items" if tells else None,
                reason=f"members are told from others with an AUC of {each.auc:.2f} (95 %: {each.low:.2f} to "
                f"{each.high:.2f}; guessing: 0.5){caught}",
            )
        )  # fmt: skip
    for mark in canaries:
        whose = "a single item" if mark.n_marked == 1 else f"{mark.n_marked:,} items"
        found.append(
            Finding(
                attack="canaries", knows="bundle", what="points with more of a planted mark than 99 % of those without",
                n_tried=mark.n_points, n_found=round(mark.share * mark.n_points),
                by_chance=SHOWN_BY_CHANCE * mark.n_points, verdict="close to items" if mark.is_shown else None,
                reason=f"a mark that was planted in {whose} {'comes out' if mark.is_shown else 'does not come out'}: "
                f"{mark.share:.0%} of the points exceed the control, and the strongest has {mark.strongest:.0%} of it",
            )
        )  # fmt: skip
    return tuple(found)
