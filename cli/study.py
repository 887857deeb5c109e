"""`rosetta study`: experiments of many trainings, that go on where they were stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import exit_on_error
from .options import Device, DeviceOption, Json
from .render import emit, table

if TYPE_CHECKING:
    from rosetta.schemas.study import StudyReport

    from rosetta.verbs.study import CellProgress

app = typer.Typer(help="Experiments of many trainings, on your own data too.", no_args_is_help=True)

DataSets = Annotated[
    list[str] | None,
    typer.Option(
        "--data", metavar="NAME=FILE.npz", show_default="digits, which is built in",
        help="Your own data, to see what it would be for you: the arrays sender, sender_held_out, receiver and "
        "receiver_held_out, each (n_items, …), and perhaps public, items that are nobody's secret. May be repeated.",
    ),
]  # fmt: skip
StudyConfig = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="study.toml",
        help="replicates; a list of cells with origin, points, draw, residuals, mix, tolerance, decoder_weight and "
        "free_dims, in the order to run them; a table data.NAME with latent_dim, hidden, epochs, receiver_epochs, "
        "batch_size and replicates.",
    ),
]  # fmt: skip


@app.callback()
def _study() -> None:
    """Experiments of many trainings, on your own data too."""


@app.command("origins")
def origins(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="The folder to work in.")],
    data: DataSets = None,
    config: StudyConfig = None,
    replicates: Annotated[
        int | None, typer.Option(min=1, show_default="10", help="Receivers of each cell, with seeds 0, 1, …")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few items, epochs, cells and receivers: a first look in under a minute.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the bundles and the receivers' runs, which are large.")
    ] = False,
    device: DeviceOption = Device.auto,
    json: Json = False,
) -> None:
    """Which points should you send? Every origin and many numbers of points, tried on two labs' items.

    A sender's model is trained once. For each cell a bundle is distilled and audited, and receivers are trained on it
    and measured on held-out items. Ctrl-C stops: the same command goes on, and what is done is not repeated. FOLDER
    gets table.csv, table.md and origins.png.
    """
    with exit_on_error():
        from rosetta.studies.settings import read_settings
        from rosetta.verbs.study import study_origins

        report = study_origins(
            output,
            data=_named(data),
            settings=read_settings(config) if config else None,
            replicates=replicates,
            quick=quick,
            keep=keep,
            device=device.value,
            on_progress=_show_progress,
        )
        emit(report, as_json=json, text=lambda: _show(report, quick=quick))


def _named(data: list[str] | None) -> dict[str, Any] | None:
    """Return files by name, None for a name alone, or raise UsageError."""
    from rosetta.errors import UsageError

    named: dict[str, Any] = {}
    for text in data or ():
        name, _, path = text.partition("=")
        if name in named:
            raise UsageError(f"--data {name} is given twice: every data set needs a name of its own")
        named[name] = path or None
    return named or None


def _show_progress(progress: CellProgress) -> None:
    left = "" if progress.seconds_left is None else f", about {_duration(progress.seconds_left)} left"
    typer.echo(f"cell {progress.number} of {progress.n_cells}{left}: {progress.data}, {progress.cell}", err=True)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _show(report: StudyReport, *, quick: bool) -> None:
    from rosetta.studies.table import HEADER, cells_of, outcome

    for data in report.data:
        typer.echo(f"{data.name}\n")
        rows = [row for row in report.rows if row.data == data.name]
        table(HEADER, [cells_of(row) for row in rows if row.impossible is None])
        typer.echo("")
        for row in rows:
            if row.impossible is not None:
                typer.echo(" ".join(cells_of(row)[:2]))
    typer.echo("\n".join(outcome(report.data, report.rows)))
    if quick:
        typer.echo("\nA quick study has too few items and epochs to rank origins by: leave --quick out for that.")
    typer.echo(f"\nTables and picture: {report.folder}/")
