"""What a bundle claims of its own discretion: what of it cannot be so, and what is only its sender's word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import get_args

from pydantic import ValidationError

from rosetta.bundle import Bundle, layout
from rosetta.bundle.reader import RawBundle
from rosetta.rules import Candidate
from rosetta.rules.claims import (
    accounts_can_be_so,
    draws_cannot_be_repeated,
    level_is_kept,
    nothing_exact_stands_beside_private_points,
    privacy_is_claimed_for_what_can_have_it,
)
from rosetta.schemas.audit import AuditSummary, Disclosure
from rosetta.schemas.manifest import FORMAT
from rosetta.schemas.record import PrivacyLevel

UNCHECKED = "claimed by the sender, not checked"
_CLAIMS = {
    "RZ-W215": privacy_is_claimed_for_what_can_have_it,
    "RZ-W216": nothing_exact_stands_beside_private_points,
    "RZ-W217": accounts_can_be_so,
    "RZ-W218": level_is_kept,
}


def false_claims(bundle: Bundle) -> tuple[str, ...]:
    """Return what a valid bundle says of its privacy and cannot be so, each with the rule that it breaks."""
    file = _candidate(bundle)
    return tuple(f"{rule}: {problem.message}" for rule, find in _CLAIMS.items() for problem in find(file))


def is_reproducible(bundle: Bundle) -> bool:
    """Whether a bundle names a seed of its draws, or says that they can be repeated."""
    return any(True for _ in draws_cannot_be_repeated(_candidate(bundle)))


def level_of(bundle: Bundle) -> PrivacyLevel | None:
    """Return the level of privacy that a bundle says it was made at; None if it says none."""
    told = bundle.manifest.provenance.selection.settings.get("privacy")
    return next((level for level in get_args(PrivacyLevel) if level == told), None)


def claims_of(bundle: Bundle) -> tuple[str, ...]:
    """Return what a bundle says of its privacy that nothing but the sender's word stands for, in sentences."""
    return tuple(f"{claim} ({UNCHECKED})" for claim in _claims(bundle))


def _claims(bundle: Bundle) -> Iterator[str]:
    words = bundle.manifest.provenance
    if (level := level_of(bundle)) is not None:
        yield f"It was made at the level {level}"
    origins = words.selection.settings.get("origins")
    for origin, told in origins.items() if isinstance(origins, dict) else ():
        number = told.get("members", told.get("mix")) if isinstance(told, dict) else None
        if isinstance(number, int) and not isinstance(number, bool):
            yield f"At least {number:,} items are behind each of its points of the origin {origin}"
    try:
        known = Disclosure.model_validate_json(json.dumps(words.disclosure_audit or {}))
    except ValidationError:
        yield "It holds an account of its own disclosure that is not of this version's form"
        return
    for account in known.privacy:
        yield (
            f"Its {account.origin} points are differentially private, with epsilon {account.epsilon:g} and delta "
            f"{account.delta:g}; that the stated noise was drawn, and that labels and constants tell nothing"
        )
    if known.policy is not None:
        yield f"It was made under a policy with the digest {known.policy.sha256[:12]}…"
    if known.audit is not None:
        kind = "a summary of" if isinstance(known.audit, AuditSummary) else "the figures of"
        verdicts = "; ".join(f"{each.origin}: {each.verdict}" for each in known.audit.origins)
        yield f"It holds {kind} the sender's own audit: {verdicts}"


def _candidate(bundle: Bundle) -> Candidate:
    attributes = {layout.FORMAT_ATTRIBUTE: FORMAT, layout.VERSION_ATTRIBUTE: bundle.manifest.format_version}
    return Candidate(RawBundle(0, attributes, bundle.manifest_bytes, bundle.arrays))
