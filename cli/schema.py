"""`rosetta schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import exit_on_error
from .options import Force

app = typer.Typer(help="The JSON Schemas of every document.", no_args_is_help=True)


@app.callback()
def _schema() -> None:
    """The JSON Schemas of every document."""


@app.command("export")
def export(
    folder: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to write them to.")],
    force: Force = False,
) -> None:
    """Write the JSON Schemas (2020-12) of the manifest, the run folder and every --json document."""
    with exit_on_error():
        from rosetta.schemas.export import documents

        from rosetta.errors import OutputError
        from rosetta.files import atomic_file, check_output

        if not folder.is_dir():
            raise OutputError(f"the folder {folder} does not exist: create it first")
        for name in documents():
            check_output(folder / name, force=force, suffix=".json")
        for name, text in documents().items():
            with atomic_file(folder / name, force=force) as temporary:
                temporary.write_text(text)
            typer.echo(str(folder / name))
