"""`rosetta migrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import exit_on_error
from .options import BundlePath, Force, Json
from .render import emit, facts

if TYPE_CHECKING:
    from rosetta.schemas.reports import MigrateReport


def migrate(
    bundle: BundlePath,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NEW.h5", help="The bundle to write.")],
    force: Force = False,
    json: Json = False,
) -> None:
    """Convert a bundle to the newest version of the format; a bundle of that version keeps its ids."""
    with exit_on_error():
        from rosetta.verbs.migrate import migrate as run

        report = run(bundle, output, force=force)
        emit(report, as_json=json, text=lambda: _show(report))


def _show(report: MigrateReport) -> None:
    version = report.to_version
    is_new = report.from_version != report.to_version
    facts([
        ("bundle", report.output),
        ("format version", f"{version}, from {report.from_version}" if is_new else f"{version}, as before: the newest"),
        ("content id", report.content_id),
        ("bundle id", report.bundle_id),
        ("signature", "the old one does not carry over" if is_new else "one of the old bundle holds for this one, too"),
    ])  # fmt: skip
