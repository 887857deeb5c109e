"""What commands print: one JSON document on stdout, or text and tables; progress on stderr, and only to a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rosetta.schemas.record import Record

    from rosetta.training.loop import Progress


def emit(record: Record, *, as_json: bool, text: Callable[[], None]) -> None:
    """Print the record as JSON, or call `text` to print it for a person."""
    if as_json:
        typer.echo(record.model_dump_json(indent=2))
    else:
        text()


def note(message: str) -> None:
    """Print something by the way, to stderr."""
    typer.echo(f"note: {plain(message)}", err=True)


def plain(text: str) -> str:
    """Return text of a stranger with whatever is not printable escaped: line feeds, terminal codes, direction marks."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def facts(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns; an empty name leaves a line free."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        typer.echo(f"{name:<{width}}  {plain(value)}".rstrip())


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for number, row in enumerate([header, *rows]):
        cells = [
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        typer.echo("  ".join(cells).rstrip())
        if number == 0:
            typer.echo("  ".join("─" * w for w in widths))


@contextmanager
def training_progress(label: str) -> Iterator[Callable[[Progress], None]]:
    """Yield what shows the progress of a training: a bar with rows/s on a terminal, nothing elsewhere."""
    with _bar(label) as update:

        def show(progress: Progress) -> None:
            update(progress.n_rows_done, progress.n_rows, f"epoch {progress.epoch}, {progress.rows_per_s:,.0f} rows/s")

        yield show


@contextmanager
def row_progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield what shows how many rows are done: a bar with rows/s on a terminal, nothing elsewhere."""
    started = time.perf_counter()
    with _bar(label) as update:

        def show(n_done: int, n_rows: int) -> None:
            update(n_done, n_rows, f"{n_done / (time.perf_counter() - started):,.0f} rows/s")

        yield show


@contextmanager
def count_progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield what shows how many of several files are done: a bar on a terminal, nothing elsewhere."""
    if total < 2:
        yield lambda done: None
        return
    with _bar(label) as update:
        yield lambda done: update(done, total, f"{done:,} of {total:,}")


@contextmanager
def _bar(label: str) -> Iterator[Callable[[int, int, str], None]]:
    if not sys.stderr.isatty():
        yield lambda done, total, rate: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    text = TextColumn("{task.description}"), TextColumn("{task.fields[rate]}")
    columns = SpinnerColumn(), text[0], BarColumn(), text[1], TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, rate="", total=None)
        yield lambda done, total, rate: bar.update(task, completed=done, total=total, rate=rate)
