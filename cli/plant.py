"""`rosetta plant`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import exit_on_error
from .options import Force, Seed


def plant(
    data: Annotated[str, typer.Argument(metavar="DATA", help="An array of items: .npy, .npz::name, .h5::path.")],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="MARKED.npz", help="Marked items, and the record of the marks.")
    ],
    canaries: Annotated[int, typer.Option(min=1, help="Items with the mark; one more item gets another mark.")] = 5,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Plant marks in a copy of DATA; train on it, then look for the marks with audit --canary-record."""
    with exit_on_error():
        from rosetta.shadows.planting import plant as run

        found = run(data, output, n=canaries, seed=seed, force=force)
        for mark, rows in zip(found.marks, found.rows, strict=True):
            typer.echo(f"{len(rows):,} marked: {mark.where}; {mark.usage:.1%} of the items have as much there unmarked")
        typer.echo(
            f"train on {output}::items and distil it, then: rosetta audit B.h5 --data {output}::items --model RUN "
            f"--canary-record {output}"
        )
