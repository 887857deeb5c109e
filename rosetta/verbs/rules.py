"""What `validate` checks, for people who ask."""

from __future__ import annotations

import difflib

from rosetta.errors import UsageError
from rosetta.rules import Rule, catalogue
from rosetta.schemas.validation import RuleCatalogue, RuleEntry


def rules(beginning: str = "RZ-") -> RuleCatalogue:
    """Return the rules whose id begins with `beginning`, the gravest first; UsageError if there is none."""
    found = sorted((rule for rule in catalogue() if rule.id.startswith(beginning.upper())), key=_by_severity)
    if not found:
        raise UsageError(f"no rule's id begins with {beginning!r}; ids look like RZ-V111")
    return RuleCatalogue(rules=tuple(map(_entry, found)))


def explain(id: str) -> RuleCatalogue:
    """Return the one rule with this id, or raise UsageError with the nearest."""
    known = {rule.id: rule for rule in catalogue()}
    wanted = id.upper() if id.upper().startswith("RZ-") else f"RZ-{id.upper()}"
    if wanted not in known:
        if any(each.startswith(wanted) for each in known):
            raise UsageError(f"several rules begin with {wanted}; see: rosetta rules {wanted}")
        near = difflib.get_close_matches(wanted, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"there is no rule {id!r}.{hint} See: rosetta rules")
    return RuleCatalogue(rules=(_entry(known[wanted]),))


def _by_severity(rule: Rule) -> tuple[int, str]:
    return ("fatal", "error", "warning", "info").index(rule.severity), rule.id


def _entry(rule: Rule) -> RuleEntry:
    return RuleEntry(
        rule=rule.id,
        severity=rule.severity,
        text=" ".join(rule.text.split()),
        fix=rule.fix,
        spec_section=rule.section,
        requires=tuple(sorted(rule.requires)),
    )
