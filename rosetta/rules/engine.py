"""Rules register here and are run here; a rule whose prerequisite failed is skipped, never crashed."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.bundle.bundle import Bundle
from rosetta.bundle.manifest import Reading, check_version, parse_json, validate_schema
from rosetta.bundle.reader import RawBundle
from rosetta.bundle.signature.envelope import Found
from rosetta.bundle.signature.trust import Trust
from rosetta.schemas.manifest import Manifest
from rosetta.schemas.validation import Finding, Severity, SkippedRule


class Problem(NamedTuple):
    """One break of a rule: where (HDF5 path or JSON pointer) and what."""

    location: str
    message: str


def _absent(*_: Any) -> Any:
    raise ValueError("a rule asks for what it does not say that it needs")


@dataclass(frozen=True)
class Evidence:
    """What only the sender has, to hold the bundle against."""

    given: frozenset[str] = frozenset()  # of "model" and "data"
    items: Callable[[Bundle], Array] = _absent  # the data's items, preprocessed as the bundle says
    encode: Callable[[Array], Floats] = _absent  # posterior means of inputs
    weights_sha256: str = ""


class Candidate:
    """A file under validation, its layers opened as the rules get to them."""

    def __init__(
        self, raw: RawBundle, *, signature: Found = None, trust: Trust | None = None, evidence: Evidence | None = None
    ) -> None:
        self.raw = raw
        self.signature = signature  # what stands beside the file
        self.trust = trust  # None: nobody has to have signed it
        self.evidence = evidence or Evidence()

    @property
    def is_draft(self) -> bool:
        """Whether there is no file yet."""
        return self.raw.isolation is None

    @cached_property
    def value(self) -> dict[str, Any]:
        """The manifest's JSON; raises BundleError where there is none."""
        return parse_json(self.raw.manifest or b"")

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest as a record; for rules that require RZ-V106."""
        if self.reading.manifest is None:
            raise ValueError(self.reading.problems)
        return self.reading.manifest

    @cached_property
    def reading(self) -> Reading:
        """The manifest held against the schema; for rules that require RZ-V105."""
        return validate_schema(self.raw.manifest or b"", minor=check_version(self.raw.attributes)[1])

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle, its digests not looked at; for rules that require the arrays to be as described."""
        return Bundle(self.manifest, self.raw.manifest or b"", self.raw.arrays)


Check = Callable[[Candidate], Iterator[Problem]]


@dataclass(frozen=True)
class Rule:
    """A rule of the catalogue. One without a check is found while the file is being read."""

    id: str
    severity: Severity
    text: str
    fix: str
    section: str
    requires: frozenset[str]
    check: Check | None
    needs: frozenset[str]  # of what only the sender has: "model", "data"


ONLY_SENDER = "only the sender can try them, with `model` and `data`"
_rules: dict[str, Rule] = {}
_SEVERITIES: dict[str, Severity] = {"S": "fatal", "V": "error", "W": "warning", "I": "info"}


def rule(
    id: str, *, section: str, fix: str, requires: set[str] | None = None, needs: set[str] | None = None
) -> Callable[[Check], Check]:
    """Return a decorator that adds a check, whose docstring becomes its entry in the catalogue."""

    def add(check: Check) -> Check:
        declare(
            id,
            inspect.cleandoc(check.__doc__ or ""),
            section=section,
            fix=fix,
            requires=requires,
            check=check,
            needs=needs,
        )
        return check

    return add


def declare(
    id: str,
    text: str,
    *,
    section: str,
    fix: str,
    requires: set[str] | None = None,
    check: Check | None = None,
    needs: set[str] | None = None,
) -> None:
    """Add a rule to the catalogue."""
    if id in _rules or not text:
        raise ValueError(f"the rule {id} exists already or has no text")
    severity = _SEVERITIES[id[3]]
    _rules[id] = Rule(id, severity, text, fix, section, frozenset(requires or ()), check, frozenset(needs or ()))


@cache
def catalogue() -> tuple[Rule, ...]:
    """Return every rule, prerequisites before what they are required by."""
    package = importlib.import_module("rosetta.rules")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"rosetta.rules.{module.name}")
    ordered: dict[str, Rule] = {}

    def place(id: str) -> None:
        if id not in ordered:
            for needed in sorted(_rules[id].requires):
                place(needed)
            ordered[id] = _rules[id]

    for id in sorted(_rules, key=lambda id: ("SVWI".index(id[3]), id)):
        place(id)
    return tuple(ordered.values())


def run(candidate: Candidate) -> tuple[list[Finding], list[SkippedRule]]:
    """Try every rule on a file that could be read."""
    findings: list[Finding] = []
    skipped: list[SkippedRule] = []
    failed: set[str] = set()
    for each in catalogue():
        if each.check is None:
            continue
        broken = sorted(each.requires & failed)
        if broken or each.needs - candidate.evidence.given:
            failed.add(each.id)
            reason = ONLY_SENDER if each.needs - candidate.evidence.given else f"needs {', '.join(broken)}"
            skipped.append(SkippedRule(rule=each.id, reason=reason))
            continue
        with np.errstate(all="ignore"):  # a stranger's numbers may overflow; what comes of it is judged
            found = [finding(each, problem) for problem in each.check(candidate)]
        if found:
            failed.add(each.id)
        findings += found
    return findings, skipped


def finding(rule: Rule, problem: Problem) -> Finding:
    """Return a problem as it stands in the report."""
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        location=problem.location,
        message=problem.message,
        fix=rule.fix,
        spec_section=rule.section,
    )
