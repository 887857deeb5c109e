"""From figures to a verdict and its reasons, each a sentence with its figure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from rosetta.disclosure.copies import COPY
from rosetta.disclosure.demixing import N_ATOMS, Demixing
from rosetta.disclosure.search import Doubles
from rosetta.disclosure.spacing import Spacing
from rosetta.schemas.audit import AttackResult, Finding, Verdict
from rosetta.schemas.manifest import OriginName

# nearer to an item than half of what keeps items apart, a point speaks of this item more than of any other
CLOSE_RATIO = 0.5
LARGEST_P_VALUE = 0.01  # that as many points are so near by chance: where items are dense, new ones are near too
# official statistics publish no cell with fewer people behind it
LEAST_MEMBERS = 5
# of a member and an outsider, an attacker says which is which in one case in twenty more than by guessing, even at the
# end of the interval that is worst for the attack
CLOSE_AUC = 0.55
# three times as many members are found as by chance, likewise at the lower end
CLOSE_CAUGHT = 0.03
# that any of all attacks tried on a bundle seems to tell something by chance: each gets an even part (Bonferroni)
FALSE_ALARM = 0.01
NOT_JUDGED = (
    "whether items of the data can be told from others is not known: give at least 20 items, or groups, of the same "
    "kind that neither the model nor the bundle has seen (`held_out`), or distil with `audit_held_out`"
)
SEVERITY: tuple[Verdict, ...] = ("holds items", "close to items", "not judged", "no item found")  # the worst first
MADE_OF_ITEMS = ("averaged", "mixed")
ARE_ITEMS = ("observed", "public")


@dataclass(frozen=True)
class Findings:
    """What was found out about the points of one origin."""

    origin: OriginName
    n_points: int
    n_copies: int
    n_near_copies: int
    ratios: Doubles  # distances to the nearest items in typical distances, shape (n_points,)
    n_rare_exposed: int
    members: int | None
    demixing: Demixing | None
    attacks: tuple[AttackResult, ...]  # that this origin's points were part of, no ceiling
    ceiling: AttackResult | None
    n_attacks: int  # tried on the whole bundle
    findings: tuple[Finding, ...]  # of this origin, or of the whole file
    spacing: Spacing


def judge(found: Findings) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict on the points of one origin, and why: what decided it first."""
    holds = [*_items(found), *_found(found, "holds items")]
    close = [*_told_apart(found), *_found(found, "close to items"), *_near_copies(found), *_nearest(found)]
    close += [*_rare(found), *_members(found), *_demixed(found)]
    looked_at = _looked_at(found)
    if holds:
        return "holds items", (*holds, *close, *looked_at)
    if close:
        return "close to items", (*close, *looked_at)
    if not found.attacks and found.origin != "observed":  # those are items, and no membership is to be found out
        return "not judged", (NOT_JUDGED, *looked_at)
    return "no item found", looked_at


def is_alarm(result: AttackResult, n_attacks: int) -> bool:
    """Return whether an attack tells members from outsiders, more than `n_attacks` attacks would let one by chance."""
    largest = FALSE_ALARM / (2 * max(n_attacks, 1))  # two figures an attack
    if result.p_value < largest and result.low > CLOSE_AUC:
        return True
    if result.caught_p_value is None or result.caught_low is None:
        return False
    return result.caught_p_value < largest and result.caught_low > CLOSE_CAUGHT


def is_beyond_chance(result: AttackResult, n_attacks: int) -> bool:
    """Return whether an attack tells more than one of `n_attacks` would by chance, however little it is."""
    return min(result.p_value, result.caught_p_value or 1.0) < FALSE_ALARM / (2 * max(n_attacks, 1))


def worst_of(results: Iterable[AttackResult]) -> AttackResult | None:
    """Return the attack that tells most, by the lower ends of its intervals against what counts; no ceiling."""
    return max((each for each in results if not each.is_ceiling), key=_strength, default=None)


def _strength(result: AttackResult) -> float:
    by_auc = (result.low - 0.5) / (CLOSE_AUC - 0.5)
    return by_auc if result.caught_low is None else max(by_auc, (result.caught_low - 0.01) / (CLOSE_CAUGHT - 0.01))


def _items(found: Findings) -> list[str]:
    reasons = []
    if found.origin == "observed":
        reasons.append("observed points are items of the data")
    if found.n_copies:
        what = "an item" if found.n_copies == 1 else "items"
        reasons.append(
            f"{_of(found.n_copies, found.n_points)} {what} of the data, number for number or within {100 * COPY:g} % "
            "of the typical distance"
        )
    return reasons


def _near_copies(found: Findings) -> list[str]:
    if not found.n_near_copies:
        return []
    chance = found.spacing.chance
    by_chance = (
        "" if chance is None else f"; of new items of this kind, {100 * chance:.3g} % would be so near by chance"
    )
    return [
        f"{_of(found.n_near_copies, found.n_points)} nearer to an item than half that item's own distance to its "
        f"nearest other one{by_chance}"
    ]


def _nearest(found: Findings) -> list[str]:
    return [_within(found)] if _n_close(found) and _chance_of_close(found) < LARGEST_P_VALUE else []


def _n_close(found: Findings) -> int:
    return int((found.ratios < CLOSE_RATIO).sum()) - found.n_copies


def _chance_of_close(found: Findings) -> float:
    """Return the probability that as many new items would be as close, from how close the items are to one another."""
    own, n_close = found.spacing.own, _n_close(found)
    share = ((own < CLOSE_RATIO * found.spacing.typical).sum() + 1) / (len(own) + 2)  # rule of succession
    return float(binom.sf(n_close - 1, found.n_points - found.n_copies, share))


def _within(found: Findings) -> str:
    share = (found.spacing.own < CLOSE_RATIO * found.spacing.typical).mean()
    return (
        f"{_of(_n_close(found), found.n_points)} at a DCR below {CLOSE_RATIO:g}, and no copy; "
        f"{100 * share:.3g} % of the items are so near to another item"
    )


def _rare(found: Findings) -> list[str]:
    if not found.n_rare_exposed:
        return []
    items = "rare item" if found.n_rare_exposed == 1 else "rare items"
    return [f"copies or near copies expose {found.n_rare_exposed:,} {items}, of the 5 % farthest from all others"]


def _members(found: Findings) -> list[str]:
    if found.origin in ARE_ITEMS or found.members is None or found.members >= LEAST_MEMBERS:
        return []
    fewest = "1 item" if found.members == 1 else f"{found.members} items"
    return [f"a point is made of as few as {fewest}; fewer than {LEAST_MEMBERS} may be told from it"]


def _demixed(found: Findings) -> list[str]:
    tried = found.demixing
    if tried is None or not tried.tells or not tried.share:
        return []
    n = round(tried.share * tried.n_tried)
    return [
        f"{n:,} of {tried.n_tried:,} points tried could be written as a mixture of at most {N_ATOMS} items, almost "
        "without rest"
    ]


def _found(found: Findings, verdict: Verdict) -> list[str]:
    return [f"{each.attack}: {each.reason}" for each in found.findings if each.verdict == verdict]


def _told_apart(found: Findings) -> list[str]:
    alarms = [each for each in found.attacks if is_alarm(each, found.n_attacks)]
    worst = worst_of(alarms)
    if worst is None:
        return []
    others = len(alarms) - 1
    more = f"; so do {others} other attacks" if others > 1 else "; so does another attack" if others else ""
    return [f"items of the data can be told from others, best by {how_well(worst)}{_compared(found)}{more}"]


def how_well(result: AttackResult) -> str:
    """Return which attack it is and what it found out, with what guessing gives."""
    an_item = "a group" if result.unit == "group" else "an item"
    text = (
        f'"{result.attack}" (knows: {result.knows}): of {an_item} of the data and another, it names the right one in '
        f"{100 * result.auc:.1f} % of cases (95 %: {100 * result.low:.1f} to {100 * result.high:.1f}; guessing: 50)"
    )
    if result.caught_at_1_percent is None or result.caught_low is None or result.caught_high is None:
        return text
    return (
        f"{text}, and it finds {100 * result.caught_at_1_percent:.1f} % of those in the data while it is wrong about "
        f"1 % of the others (95 %: {100 * result.caught_low:.1f} to {100 * result.caught_high:.1f}; guessing: 1)"
    )


def _not_told_apart(found: Findings) -> list[str]:
    worst = worst_of(found.attacks)
    if worst is None or found.origin == "observed" or _told_apart(found):  # observed: nothing to guess
        return []
    return [
        f"none of {found.n_attacks:,} attacks on membership tells {_how_little(found)}; the strongest is "
        f"{how_well(worst)}{_compared(found)}"
    ]


def _how_little(found: Findings) -> str:
    if any(is_beyond_chance(each, found.n_attacks) for each in found.attacks):
        return (
            f"enough to count, which is {100 * CLOSE_AUC:g} % of pairs, or {100 * CLOSE_CAUGHT:g} % of members found, "
            "at the lower end of an interval"
        )
    return "more than one of so many would by chance"


def _compared(found: Findings) -> str:
    if found.ceiling is None:
        return ""
    return f"; with the sender's own model it would be {100 * found.ceiling.auc:.1f} %"


def _looked_at(found: Findings) -> tuple[str, ...]:
    """Return what was looked at, whatever came of it, and what was not."""
    low, middle = float(found.ratios.min()), float(np.median(found.ratios))
    reasons = _not_told_apart(found)
    reasons += [f"the smallest normalised distance to closest record (DCR) is {low:.2f}, the median {middle:.2f}"]
    if found.spacing.typical == 0:
        reasons.append(
            "every item looked at has an equal one: there is no typical distance, and distances stand as they are"
        )
    elif found.spacing.has_many_duplicates:
        reasons.append("most items come up more than once: the typical distance is the median of those above 0")
    if _n_close(found) and not _nearest(found) and not found.n_near_copies:
        reasons.append(f"{_within(found)}, so that this is no more than chance")
    if found.origin in MADE_OF_ITEMS:
        reasons.append(
            "how many items are behind a point is not known" if found.members is None
            else f"at least {found.members:,} items are behind each point"
        )  # fmt: skip
    reasons += _demixing_failed(found.demixing)
    reasons += [f"{each.attack}: {each.reason}" for each in found.findings if each.verdict is None]
    if not found.attacks and found.origin in ARE_ITEMS:
        reasons.append("whether items of the data can be told from others was not tested: that needs held-out items")
    return tuple(reasons)


def _demixing_failed(tried: Demixing | None) -> list[str]:
    if tried is None:
        return []
    if not tried.tells:
        return [
            "whether points are mixtures of few items cannot be told for such data: "
            f"{100 * tried.share_of_controls:.3g} % of points that are none can be written as one"
        ]
    if tried.share:
        return []
    return [f"none of {tried.n_tried:,} points tried could be written as a mixture of at most {N_ATOMS} items"]


def _of(n: int, n_all: int) -> str:
    return f"{n:,} of {n_all:,} points {'is' if n == 1 else 'are'}"
