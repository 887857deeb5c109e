"""A validation as SARIF 2.1.0, the format that code hosts and editors show findings from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .parameters import as_options

if TYPE_CHECKING:
    from rosetta.schemas.validation import Finding, ValidationReport, ValidationSummary

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_LEVELS = {"fatal": "error", "error": "error", "warning": "warning", "info": "note"}


def sarif(summary: ValidationSummary) -> str:
    """Return the log of one run over all files."""
    from rosetta.rules import catalogue
    from rosetta.software import versions

    rules = sorted(catalogue(), key=lambda rule: rule.id)
    numbers = {rule.id: number for number, rule in enumerate(rules)}
    driver = {
        "name": "rosetta validate",
        "version": versions()["rosetta"],
        "rules": [
            {
                "id": rule.id,
                "shortDescription": {"text": as_options(rule.text)},
                "help": {"text": f"{as_options(rule.fix)} (specification, section {rule.section})"},
                "defaultConfiguration": {"level": _LEVELS[rule.severity]},
            }
            for rule in rules
        ],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [{
            "executionSuccessful": True,
            "exitCode": summary.exit_code,
            "toolExecutionNotifications": [
                _skipped(report, reason) for report in summary.reports
                for reason in dict.fromkeys(each.reason for each in report.skipped)
            ],
        }],
        "results": [_result(report, each, numbers) for report in summary.reports for each in report.findings],
    }  # fmt: skip
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _result(report: ValidationReport, finding: Finding, numbers: dict[str, int]) -> dict[str, Any]:
    return {
        "ruleId": finding.rule,
        "ruleIndex": numbers[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": _uri(report.bundle)}},
                "logicalLocations": [{"fullyQualifiedName": finding.location}],
            }
        ],
    }


def _skipped(report: ValidationReport, reason: str) -> dict[str, Any]:
    rules = ", ".join(each.rule for each in report.skipped if each.reason == reason)
    return {
        "level": "note",
        "message": {"text": f"skipped {rules}: {reason}"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(report.bundle)}}}],
    }


def _uri(path: str) -> str:
    """Return a path as the URI reference that SARIF asks for."""
    quoted = quote(path.encode(errors="surrogateescape"))
    return f"file://{quoted}" if Path(path).is_absolute() else quoted
