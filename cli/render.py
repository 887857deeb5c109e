"""What commands print: one JSON document on stdout, or text and tables; progress on stderr, and only to a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from .parameters import as_options

if TYPE_CHECKING:
    from rosetta.schemas.record import Record

    from rosetta.training.plan import Progress


def emit(record: Record, *, as_json: bool, text: Callable[[], None]) -> None:
    """Print the record as JSON, or call `text` to print it for a person; its notes go to stderr."""
    notes = [as_options(each) for each in getattr(record, "notes", ())]
    for each in notes:
        note(each)
    if as_json:
        shown = record.model_copy(update={"notes": tuple(notes)}) if notes else record
        typer.echo(shown.model_dump_json(indent=2))
    else:
        text()


def note(message: str) -> None:
    """Print something by the way, to stderr."""
    typer.echo(f"note: {plain(as_options(message))}", err=True)


def plain(text: str) -> str:
    """Return text of a stranger with whatever is not printable escaped: line feeds, terminal codes, direction marks."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def facts(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns; an empty name leaves a line free."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        typer.echo(f"{name:<{width}}  {plain(as_options(value))}".rstrip())


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


Rows = Sequence[Mapping[str, "float | int | None"]]


@contextmanager
def training_progress(
    label: str, *, quiet: bool = False
) -> Iterator[tuple[Callable[[Progress], None], Callable[[Rows], None]]]:
    """Yield what shows progress and what shows an epoch: a live bar on a terminal, else a line for each epoch."""
    if quiet:
        yield lambda progress: None, lambda rows: None
        return
    if not sys.stderr.isatty():
        yield lambda progress: None, lambda rows: typer.echo(_epoch_line(rows), err=True)
        return
    with _bar(label) as update:
        latest = [""]

        def show(progress: Progress) -> None:
            figures = latest[0] or f"epoch {progress.epoch}"
            update(progress.n_rows_done, progress.n_rows, f"{figures}  {progress.rows_per_s:,.0f} rows/s")

        def remember(rows: Rows) -> None:
            latest[0] = _figures(rows)

        yield show, remember


def _epoch_line(rows: Rows) -> str:
    rates = [row["rows_per_s"] or 0 for row in rows]
    return f"{_figures(rows)}  {sum(rates):,.0f} rows/s"


def _figures(rows: Rows) -> str:
    """Return the figures of an epoch as text; the means where several models train."""
    if not rows:
        return ""

    def mean(name: str) -> float | None:
        values = [value for row in rows if (value := row[name]) is not None]
        return sum(values) / len(values) if values else None

    parts = [f"epoch {rows[0]['epoch']:,}"]
    if len(rows) > 1:
        parts.append(f"{len(rows)} models, means")
    held_out, elbo = mean("validation_elbo"), mean("elbo")
    parts.append(f"ELBO {elbo:.2f}" if held_out is None else f"held-out ELBO {held_out:.2f}")
    kl = mean("kl") if held_out is None else mean("validation_kl")  # of the same items as the ELBO
    parts += [f"KL {kl:.2f}", f"active units {mean('active_units'):g}"]
    if (error := mean("anchor_rms")) is not None:
        parts.append(f"anchor error {error:.3f}")
    return "  ".join(parts)


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
