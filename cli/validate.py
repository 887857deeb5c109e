"""`rosetta validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .errors import exit_on_error
from .options import BundlePath, Json
from .render import emit

if TYPE_CHECKING:
    from rosetta.schemas.reports import ValidationReport


def validate(bundle: BundlePath, json: Json = False) -> None:
    """Check a bundle's form, meaning and danger.

    Exit code: 0 valid, 1 errors, 2 unreadable, 3 unsupported version, 4 unsafe.
    """
    with exit_on_error():
        from rosetta.verbs.validate import validate as run

        report = run(bundle)
        emit(report, as_json=json, text=lambda: _show(report))
        raise typer.Exit(report.exit_code)


def _show(report: ValidationReport) -> None:
    for each in report.findings:
        typer.echo(f"{each.severity:<7} {each.rule} {each.location}: {each.message}")
        if each.severity != "info":
            typer.echo(f"        → {each.fix} (spec {each.spec_section})")
    for skipped in report.skipped:
        typer.echo(f"skipped {skipped.rule}: {skipped.reason}")
    counts = ", ".join(
        f"{n} {name}{'s' if n != 1 else ''}"
        for name in ("fatal", "error", "warning")
        if (n := sum(each.severity == name for each in report.findings))
    )
    typer.echo(f"{report.bundle}: {'valid' if report.valid else 'NOT VALID'} ({counts or 'nothing found'})")
