"""What `rosetta validate`, `rules` and `explain` print; loaded by itself, since these are the quick commands."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from rosetta.schemas.record import Record

Severity = Literal["fatal", "error", "warning", "info"]


class Finding(Record):
    """One problem in a bundle, with its place and its mend."""

    rule: str
    severity: Severity
    location: str
    message: str
    fix: str
    spec_section: str


class SkippedRule(Record):
    """A rule that could not be tried, and why."""

    rule: str
    reason: str


class ValidationReport(Record):
    """`rosetta validate` of one file.

    `valid` speaks of all rules, whatever was asked for; `exit_code` only of those that were. `left_out` are the rules
    that found something and were not asked for.

    Exit codes: 0 valid, 1 errors (with `strict`, also warnings), 2 unreadable, 3 an unsupported version of the
    format, 4 unsafe or no bundle at all, 5 the process that looked at it had to be stopped.
    """

    bundle: str
    valid: bool
    strict: bool
    exit_code: Annotated[int, Field(ge=0, le=5)]
    schema_version: str | None  # that it was held against; null if it was not
    findings: tuple[Finding, ...]
    left_out: tuple[str, ...]
    skipped: tuple[SkippedRule, ...]


class ValidationSummary(Record):
    """`rosetta validate` of several files: the highest exit code, and every report."""

    valid: bool
    exit_code: Annotated[int, Field(ge=0, le=5)]
    reports: tuple[ValidationReport, ...]


class RuleEntry(Record):
    """One rule of the catalogue."""

    rule: str
    severity: Severity
    text: str
    fix: str
    spec_section: str
    requires: tuple[str, ...]


class RuleCatalogue(Record):
    """`rosetta rules` and `rosetta explain`."""

    rules: tuple[RuleEntry, ...]
