"""`rosetta migrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import exit_on_error
from .options import BundlePath, Force, Json
from .render import emit, facts, plain

if TYPE_CHECKING:
    from rosetta.schemas.reports import MigrateReport


def migrate(
    bundle: BundlePath,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NEW.h5", help="The bundle to write.")],
    force: Force = False,
    json: Json = False,
) -> None:
    """Bring a bundle to the newest version of the format; one that is there already is left as it is."""
    with exit_on_error():
        from rosetta.verbs.migrate import migrate as run

        report = run(bundle, output, force=force)
        emit(report, as_json=json, text=lambda: _show(report))


def _show(report: MigrateReport) -> None:
    if report.output is None:
        typer.echo(
            plain(f"{report.bundle} has format version {report.to_version}, the newest there is: nothing was written")
        )
        return
    facts([
        ("bundle", report.output),
        ("format version", f"{report.to_version}, from {report.from_version}"),
        ("content id", report.content_id),
        ("bundle id", report.bundle_id),
        ("signature", "none yet: signatures of the old bundle do not carry over"),
    ])  # fmt: skip
