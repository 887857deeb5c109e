"""Check a bundle's form, meaning and danger: one engine for the library and the command line."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from rosetta.bundle import Bundle
from rosetta.bundle.reader import RawBundle, read_raw
from rosetta.errors import IncompatibleError, UnsafeFileError
from rosetta.rules import Candidate, Problem, catalogue, run
from rosetta.rules.engine import finding
from rosetta.schemas.manifest import FORMAT_VERSION
from rosetta.schemas.reports import Finding, SkippedRule, ValidationReport

VALID, INVALID, UNSUPPORTED, UNSAFE = 0, 1, 3, 4


def validate(path: str | PathLike[str]) -> ValidationReport:
    """Return every problem of the bundle at `path`.

    Raises
    ------
    SourceError
        If there is no such file or it cannot be read; whatever can be read gets a report.
    """
    return validate_file(Path(path))[0]


def validate_file(path: Path) -> tuple[ValidationReport, RawBundle | None]:
    """Return the report and, unless the file is unsafe, what was read."""
    try:
        raw = read_raw(path)
    except UnsafeFileError as error:
        return _unsafe(path, error), None
    findings, skipped = run(Candidate(raw))
    broken = {each.rule for each in findings if each.severity == "error"}
    exit_code = UNSUPPORTED if "RZ-V101" in broken else INVALID if broken else VALID
    version = None if exit_code == UNSUPPORTED else FORMAT_VERSION
    return _report(path, exit_code, version, findings, skipped), raw


def open_valid(path: Path) -> Bundle:
    """Open a bundle that breaks no rule, or raise IncompatibleError with the errors."""
    report, raw = validate_file(path)
    errors = [f for f in report.findings if f.severity in ("fatal", "error")]
    if errors or raw is None:
        listed = "\n  - ".join(f"{f.rule} at {f.location}: {f.message}" for f in errors[:5])
        raise IncompatibleError(f"{path} is not a valid bundle:\n  - {listed}\nSee: rosetta validate {path}")
    return Bundle.from_raw(raw)


def _unsafe(path: Path, error: UnsafeFileError) -> ValidationReport:
    rules = {rule.id: rule for rule in catalogue()}
    findings = [finding(rules[error.rule], Problem(error.location, error.message))]
    skipped = [SkippedRule(rule=id, reason=f"stopped at {error.rule}") for id, rule in rules.items() if rule.check]
    return _report(path, UNSAFE, None, findings, skipped)


def _report(
    path: Path, exit_code: int, version: str | None, findings: list[Finding], skipped: list[SkippedRule]
) -> ValidationReport:
    return ValidationReport(
        bundle=str(path),
        valid=exit_code == VALID,
        exit_code=exit_code,
        schema_version=version,
        findings=tuple(findings),
        skipped=tuple(skipped),
    )
