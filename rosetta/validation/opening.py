"""Every rule tried on one file, and bundles that break none opened: what the verbs do before anything else."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from rosetta.bundle import Bundle
from rosetta.bundle.reader import read_raw
from rosetta.bundle.signature.envelope import read_signature
from rosetta.bundle.signature.trust import Trust
from rosetta.errors import IncompatibleError, NewerFormatWarning, UnreadableError, UnsafeFileError
from rosetta.files import shown
from rosetta.rules import Candidate, Problem, catalogue, run
from rosetta.rules.engine import Evidence, finding
from rosetta.schemas.manifest import FORMAT_VERSION
from rosetta.schemas.validation import Finding, SkippedRule, ValidationReport

VALID, INVALID, UNREADABLE, UNSUPPORTED, UNSAFE, STOPPED = range(6)
UNREADABLE_RULE, VERSION_RULE, STOPPED_RULE, NEWER_RULE = "RZ-S007", "RZ-V101", "RZ-S040", "RZ-W211"


def open_valid(path: Path) -> Bundle:
    """Open a bundle that breaks no rule, or raise IncompatibleError with the errors."""
    report, candidate = examine(path)
    errors = [f for f in report.findings if f.severity in ("fatal", "error")]
    if errors or candidate is None:
        listed = "\n  - ".join(f"{f.rule} at {f.location}: {f.message}" for f in errors[:5])
        raise IncompatibleError(f"{path} is not a valid bundle:\n  - {listed}\nSee: rosetta validate {path}")
    for newer in (f for f in report.findings if f.rule == NEWER_RULE):
        warnings.warn(newer.message, NewerFormatWarning, stacklevel=2)
    return candidate.bundle


def report_on(path: Path, trust: Trust | None = None, evidence: Evidence | None = None) -> ValidationReport:
    """Return the report of every rule; a file that cannot be read gets one too."""
    try:
        return examine(path, trust, evidence)[0]
    except UnreadableError as error:
        return _fatal(path, UNREADABLE, Problem("/", str(error)), UNREADABLE_RULE)


def examine(
    path: Path, trust: Trust | None = None, evidence: Evidence | None = None
) -> tuple[ValidationReport, Candidate | None]:
    """Return the report of every rule and, unless the file is unsafe, what they were tried on."""
    try:
        raw = read_raw(path)
    except UnsafeFileError as error:
        code = STOPPED if error.rule == STOPPED_RULE else UNSAFE
        return _fatal(path, code, Problem(error.location, error.message), error.rule), None
    candidate = Candidate(raw, signature=read_signature(path), trust=trust, evidence=evidence)
    findings, skipped = run(candidate)
    is_known = VERSION_RULE not in {each.rule for each in findings}
    version = FORMAT_VERSION if is_known else None
    return _report(path, VALID if is_known else UNSUPPORTED, version, findings, skipped), candidate


def _fatal(path: Path, code: int, problem: Problem, rule: str) -> ValidationReport:
    rules = {rule.id: rule for rule in catalogue()}
    skipped = [SkippedRule(rule=id, reason=f"stopped at {rule}") for id in rules if id != rule]
    return _report(path, code, None, [finding(rules[rule], problem)], skipped)


def _report(
    path: Path, exit_code: int, version: str | None, findings: Sequence[Finding], skipped: Sequence[SkippedRule]
) -> ValidationReport:
    return ValidationReport(
        bundle=shown(path),
        valid=False,
        strict=False,
        exit_code=exit_code,
        schema_version=version,
        findings=tuple(findings),
        left_out=(),
        skipped=tuple(skipped),
    )
