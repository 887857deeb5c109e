"""`rosetta validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .errors import exit_on_error
from .options import BundlePath, Json
from .render import emit, plain

if TYPE_CHECKING:
    from rosetta.schemas.reports import ValidationReport


def validate(bundle: BundlePath, json: Json = False) -> None:
    """Check a bundle's form, meaning and danger.

    Exit code: 0 valid, 1 errors, 2 there is no such file, 3 unsupported version, 4 unsafe or no HDF5 file.
    """
    with exit_on_error():
        from rosetta.verbs.validate import validate as run

        report = run(bundle)
        emit(report, as_json=json, text=lambda: _show(report))
        raise typer.Exit(report.exit_code)


def _show(report: ValidationReport) -> None:
    for each in report.findings:
        typer.echo(plain(f"{each.severity:<7} {each.rule} {each.location}: {each.message}"))
        if each.severity != "info":
            typer.echo(f"        → {each.fix} (spec {each.spec_section})")
    reasons = [skipped.reason for skipped in report.skipped]
    for reason in dict.fromkeys(reasons):
        rules = [skipped.rule for skipped in report.skipped if skipped.reason == reason]
        typer.echo(f"skipped {len(rules)} rule{'s' * (len(rules) != 1)} ({reason}): {_some(rules)}")
    counts = ", ".join(
        f"{n} {name}{'s' if n != 1 else ''}"
        for name in ("fatal", "error", "warning")
        if (n := sum(each.severity == name for each in report.findings))
    )
    typer.echo(f"{report.bundle}: {'valid' if report.valid else 'NOT VALID'} ({counts or 'nothing found'})")


def _some(rules: list[str]) -> str:
    return ", ".join(rules) if len(rules) <= 6 else f"{rules[0]} … {rules[-1]}"
