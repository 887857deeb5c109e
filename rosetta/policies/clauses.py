"""Which clauses of a policy a bundle breaks, before its points are made and after."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

import numpy as np

from rosetta.credits import parse_licence
from rosetta.disclosure.roc import LEAST_AT_1_PERCENT, LEAST_EACH
from rosetta.errors import PolicyError
from rosetta.schemas.audit import AttackResult, DisclosureAudit, OriginAudit
from rosetta.schemas.policy import Policy
from rosetta.schemas.record import PrivacyLevel

OF_ITEMS = ("observed", "averaged", "mixed")  # origins whose points are made of a few items each
AUDITED = ("min_members", "min_nearest_ratio", "max_membership_advantage", "max_auc", "max_caught_at_1_percent")
LEVELS = get_args(PrivacyLevel)  # the most careful first
SLACK = 1e-9  # relative: an epsilon that was divided among origins and added up again


def check_promises(
    policy: Policy,
    *,
    origins: Sequence[str],
    terms: str | None,
    license: str,
    members: Mapping[str, int],
    epsilon: float | None,
    privacy: PrivacyLevel | None = None,
    reproducible: bool = False,
) -> None:
    """Refuse, before any work is done, a bundle that would break the policy whatever its points turn out to be.

    Parameters
    ----------
    origins : sequence of str
        Those of the points.
    terms : str or None
        Terms of use.
    license : str
        SPDX expression.
    members : mapping
        The smallest number of items that will be behind one point, by origin, where it is known.
    epsilon : float or None
        Differential privacy of the whole bundle, if there is one.
    privacy : str or None
        The level that the bundle is made at; None if it says none.
    reproducible : bool
        Whether the points can be drawn again.

    Raises
    ------
    PolicyError
        With every clause that is broken.
    """
    broken = [
        *_words(policy, origins, terms, license, epsilon),
        *_careless(policy, privacy, reproducible=reproducible),
        *_too_few(policy, {"observed": 1, **members}, origins),
    ]
    if broken:
        raise PolicyError("the policy forbids such a bundle, so nothing was done:\n  - " + "\n  - ".join(broken))


def violations(
    policy: Policy,
    *,
    origins: Sequence[str],
    terms: str | None,
    license: str,
    audit: DisclosureAudit | None,
    epsilon: float | None = None,
    privacy: PrivacyLevel | None = None,
    reproducible: bool = False,
    false_claims: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return every clause that a bundle breaks, with the figure; a clause that nobody has checked counts as broken.

    Parameters
    ----------
    origins, terms, license, epsilon, privacy, reproducible
        As for `check_promises`.
    false_claims : sequence of str
        What the bundle claims of its points and cannot be so. Each breaks any policy, as one that asks for nothing of
        the kind rests on the bundle's other words.
    audit : DisclosureAudit or None
        What the bundle reveals. Its figures count under differential privacy as well.

    Returns
    -------
    tuple of str
        None if the bundle may leave.
    """
    broken = [
        *_words(policy, origins, terms, license, epsilon),
        *_careless(policy, privacy, reproducible=reproducible),
        *(f"the bundle claims what cannot be so: {claim}" for claim in false_claims),
    ]
    if audit is not None:
        return (*broken, *_figures(policy, origins, audit, is_private=epsilon is not None))
    unchecked = [
        f"{clause} = {value}: without an audit nobody knows whether it holds"
        for clause in AUDITED
        if (value := getattr(policy, clause)) is not None
    ]
    if policy.require_groups:
        unchecked.append("require_groups = true: without an audit nobody knows whether it holds")
    return (*broken, *unchecked)


def _words(
    policy: Policy, origins: Sequence[str], terms: str | None, license: str, epsilon: float | None
) -> Iterator[str]:
    """Yield the clauses broken by what is known without an audit."""
    forbidden = [] if policy.origins is None else [name for name in _once(origins) if name not in policy.origins]
    if policy.origins is not None and forbidden:
        yield f"origins = {_listed(policy.origins)}: {' and '.join(forbidden)} points are not allowed"
    if terms is None and (policy.require_terms or policy.terms is not None):
        yield f"{'terms' if policy.terms is not None else 'require_terms'}: there are no terms of use (`terms`)"
    elif policy.terms is not None and terms != policy.terms:
        yield f"terms = {json.dumps(policy.terms)}: the bundle's are {json.dumps(terms)}"
    if policy.licenses is not None and parse_licence(license) not in map(parse_licence, policy.licenses):
        yield f"licenses = {_listed(policy.licenses)}: the licence is {license}"
    if policy.max_epsilon is not None:
        if epsilon is None:
            yield (
                f"max_epsilon = {policy.max_epsilon:g}: the points are not differentially private (`dp_epsilon`, with "
                "`origin='moments'` or averaged)"
            )
        elif epsilon > policy.max_epsilon * (1 + SLACK):
            yield f"max_epsilon = {policy.max_epsilon:g}: epsilon is {epsilon:g}"


def _careless(policy: Policy, privacy: PrivacyLevel | None, *, reproducible: bool) -> Iterator[str]:
    """Yield the clauses broken by the level that a bundle is made at, and by draws that can be repeated."""
    if policy.min_privacy is not None and (privacy is None or LEVELS.index(privacy) > LEVELS.index(policy.min_privacy)):
        found = "the bundle says no level" if privacy is None else f"the bundle's level is {privacy}"
        yield f'min_privacy = "{policy.min_privacy}": {found} (`privacy`)'
    if reproducible and not policy.allow_reproducible:
        yield (
            "allow_reproducible = false: the points can be drawn again from a seed (`reproducible`), and whoever does "
            "so can take the random numbers away from them"
        )


def _too_few(policy: Policy, members: Mapping[str, int], origins: Sequence[str]) -> Iterator[str]:
    """Yield the origins whose points have too few items behind them."""
    for name in _once(origins):
        if policy.min_members is not None and name in OF_ITEMS and members.get(name, np.inf) < policy.min_members:
            found = "is an item" if members[name] == 1 else f"has {members[name]} items behind it"
            yield f"min_members = {policy.min_members}: {'an' if name[0] in 'ao' else 'a'} {name} point {found}"


def _figures(policy: Policy, origins: Sequence[str], audit: DisclosureAudit, *, is_private: bool) -> Iterator[str]:
    """Yield the clauses broken by what the audit found, or did not look at."""
    members: dict[str, int] = {each.origin: each.members for each in audit.origins if each.members is not None}
    yield from _too_few(policy, {"observed": 1, **members}, origins)
    if policy.min_members is not None and not is_private:  # where it is, items are counted with noise
        for name in _once(origins):
            if name in OF_ITEMS and name not in {"observed", *members}:
                yield f"min_members = {policy.min_members}: nobody has counted the items behind the {name} points"
    if policy.min_nearest_ratio is not None:
        yield from _too_near(policy.min_nearest_ratio, audit.origins)
    yield from _attacked(policy, [each for each in audit.attacks if not each.is_ceiling])
    if policy.require_groups and (audit.n_groups is None or any(each.unit == "item" for each in audit.attacks)):
        yield (
            "require_groups = true: the audit's unit is the row; say whose each item is (`groups`), and each held-out "
            "item (`held_out_groups`)"
        )


def _attacked(policy: Policy, attacks: Sequence[AttackResult]) -> Iterator[str]:
    """Yield the clauses broken by what attacks on membership found; one that no attack could check is broken."""
    limits = (
        ("max_membership_advantage", policy.max_membership_advantage),
        ("max_auc", policy.max_auc),
        ("max_caught_at_1_percent", policy.max_caught_at_1_percent),
    )
    for clause, limit in limits:
        if limit is None:
            continue
        found = [(each, value) for each in attacks if (value := _figure(each, clause)) is not None]
        if not found:
            least = LEAST_AT_1_PERCENT if clause == "max_caught_at_1_percent" else LEAST_EACH
            yield (
                f"{clause} = {limit:g}: no attack on membership was tried that tells; give at least {least} items, or "
                "groups, that neither model nor bundle has seen (`held_out`)"
            )
            continue
        worst, value = max(found, key=lambda each: each[1])
        if value > limit:
            yield f"{clause} = {limit:g}: by the attack {json.dumps(worst.attack)}, {_in_words(worst, clause)}"


def _figure(result: AttackResult, clause: str) -> float | None:
    if clause == "max_membership_advantage":
        return result.highest_advantage
    return result.low if clause == "max_auc" else result.caught_at_1_percent


def _in_words(result: AttackResult, clause: str) -> str:
    if clause == "max_membership_advantage":
        return (
            f"members are told from others with an advantage of {result.advantage:.3f}, up to "
            f"{result.highest_advantage:.3f} at the end of its interval"
        )
    if clause == "max_auc":
        return (
            f"members are told from others with an AUC of {result.auc:.3f}, and no less than {result.low:.3f} at the "
            "end of its interval"
        )
    return f"{100 * (result.caught_at_1_percent or 0):.1f} % of the members are found at 1 % false positives"


def _too_near(least: float, origins: Sequence[OriginAudit]) -> Iterator[str]:
    for each in origins:
        if each.nearest_ratio_min < least:
            yield (
                f"min_nearest_ratio = {least:g}: {'an' if each.origin[0] in 'ao' else 'a'} {each.origin} point has a "
                f"normalised distance to closest record (DCR) of {each.nearest_ratio_min:.3g}"
            )


def _once(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _listed(words: Sequence[str]) -> str:
    return json.dumps(list(words), ensure_ascii=False)
