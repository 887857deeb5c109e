"""A bundle's page: laid out with colours and pictures on a terminal, else one fact on each line."""

from __future__ import annotations

import shutil
import sys
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import typer

from .contents import ORIGINS, Section, header, sections
from .render import note
from .words import Line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text
    from rosetta.schemas.reports import InspectReport

    from rosetta.bundle import Bundle

    from .thumbnails import Picture

NAME_WIDTH = 13  # the longest name
MAX_WIDTH = 140
TWO_COLUMNS = 124  # from this width on
STACKED = 32  # below this width, names stand above their values
GAP = 2  # columns between pictures, and between names and values
MAX_PICTURES = 8
STATES = {"unsigned": "yellow", "unverified": "yellow", "verified": "bold green", "refused": "bold red"}


class Gallery(NamedTuple):
    """Pictures of some pairs' inputs, and what they are."""

    pictures: list[Picture]
    caption: str
    legend: str


def show(report: InspectReport, bundle: Bundle, *, thumbnails: bool | None) -> None:
    """Print the page; without a wish about thumbnails, they are shown on a terminal that can."""
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console(highlight=False)
        wanted = not console.is_dumb_terminal if thumbnails is None else thumbnails
        shown = gallery(bundle, min(console.width, MAX_WIDTH) - 2) if wanted else None
        render(report, shown, console)
    else:
        shown = gallery(bundle, shutil.get_terminal_size().columns) if thumbnails else None
        _print_plain(report, shown)
    if thumbnails and not shown:
        shape = list(bundle.inputs.shape[1:])
        note(f"there are no thumbnails: inputs of shape {shape} are no images, or the terminal is too narrow")


def gallery(bundle: Bundle, width: int) -> Gallery | None:
    """Return pictures of the first anchors, as many as fit into `width` columns; None if inputs are no images."""
    import numpy as np

    from .thumbnails import image_axes, picture

    described = bundle.manifest.content.input
    axes = image_axes(described.shape)
    if axes is None:
        return None
    kind = "anchors" if bundle.is_anchor.any() else "check pairs"
    rows = np.flatnonzero(bundle.is_anchor == (kind == "anchors"))
    first = picture(bundle.inputs[rows[0]], axes, described.value_range)
    n_shown = min(MAX_PICTURES, len(rows), (width + GAP) // (first.shape[1] + GAP))
    pictures = [picture(bundle.inputs[row], axes, described.value_range) for row in rows[:n_shown]]
    if not pictures:
        return None
    low, high = (f"{bound:.4g}" for bound in described.value_range)
    what = " and ".join(ORIGINS[origin] for origin in _origins(bundle, rows[:n_shown].tolist()))
    odd = "; pixels without a finite number stand out" if any(np.isnan(each).any() for each in pictures) else ""
    counted = f"The first {n_shown} of {len(rows):,} {kind}, {what}"
    return Gallery(pictures, counted, f"Dark is {low}, bright is {high}{odd}")


def _origins(bundle: Bundle, rows: list[int]) -> list[str]:
    """Return the origins that some rows are of, each once; the stretches of origins follow each other."""
    ends = list(accumulate(entry.n_pairs for entry in bundle.manifest.content.origins))
    stretches = (bundle.manifest.content.origins[bisect_right(ends, row)] for row in rows)
    return list(dict.fromkeys(stretch.origin for stretch in stretches))


def render(report: InspectReport, shown: Gallery | None, console: Console) -> None:
    """Lay the page out on a terminal: in two columns where it is wide, with the long identifiers below both."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    width = min(console.width, MAX_WIDTH)
    console.print(_title(header(report)), width=width)
    if shown:
        for line in _picture_lines(shown.pictures, console):
            console.print(Text(" ").append_text(line), no_wrap=True)
        words = Text(f"{shown.caption}\n{shown.legend}", style="dim italic")
        console.print(Padding(words, (0, 0, 0, 1)), width=width)
    blocks = (_block(section, stacked=width < STACKED) for section in sections(report))
    terms, pairs, coverage, making, identity = blocks
    if width < TWO_COLUMNS:
        console.print(terms, pairs, coverage, making, identity, sep="", width=width)
        return
    columns = Table.grid(padding=(0, GAP + 1, 0, 0), expand=True)
    columns.add_column(ratio=1)
    columns.add_column(ratio=1)
    columns.add_row(Group(terms, making), Group(pairs, coverage))
    console.print(columns, identity, sep="", width=width)


def _title(section: Section) -> RenderableType:
    from rich.panel import Panel
    from rich.text import Text

    title, *description = section.facts
    words = Text(title.lines[0].text, style="bold", overflow="fold")
    for line in (line for fact in description for line in fact.lines):
        words.append(f"\n{line.text}", style="not bold")
    return Panel(words, border_style="cyan")


def _block(section: Section, *, stacked: bool) -> RenderableType:
    from rich.console import Group
    from rich.rule import Rule
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, GAP, 0, 0))
    if not stacked:
        table.add_column(style="cyan", no_wrap=True, min_width=NAME_WIDTH)
    table.add_column(overflow="fold")
    lines = [line for fact in section.facts for line in fact.lines]
    width = max(len(line.text) for line in lines) if all(line.note for line in lines) else 0  # figures: notes in a row
    for fact in section.facts:
        if stacked:
            table.add_row(Text(fact.name, style="cyan"))
        for number, line in enumerate(fact.lines):
            value = _value(fact.name, line, width)
            table.add_row(*([value] if stacked else ["" if number else fact.name, value]))
    return Group("", Rule(Text(section.title, style="bold"), align="left", style="dim"), table)


def _value(name: str, line: Line, width: int) -> Text:
    from rich.text import Text

    value = Text(line.text.ljust(width), style=STATES.get(line.text, "") if name == "signature" else "")
    return Text.assemble(value, (f"  {line.note}", "dim")) if line.note else value


def _picture_lines(pictures: list[Picture], console: Console) -> list[Text]:
    """Return the lines of pictures beside each other: in colours if the terminal has enough of them and may."""
    from rich.text import Text

    from .thumbnails import colour_lines, ramp_lines

    colours = console.color_system in ("truecolor", "256") and not console.no_color and console.encoding == "utf-8"
    drawn = [colour_lines(p) if colours else [Text(line) for line in ramp_lines(p)] for p in pictures]
    return [Text(" " * GAP).join(lines) for lines in zip(*drawn, strict=True)]


def _print_plain(report: InspectReport, shown: Gallery | None) -> None:
    for number, section in enumerate([header(report), *sections(report)]):
        if number:
            typer.echo()
        for fact in section.facts:
            for line in fact.lines:
                meaning = f" ({line.note})" if line.note else ""
                typer.echo(f"{fact.name:<{NAME_WIDTH}}{' ' * GAP}{line.text}{meaning}".rstrip())
    if shown:
        from .thumbnails import ramp_lines

        typer.echo()
        typer.echo(f"{shown.caption}\n{shown.legend}")
        for lines in zip(*map(ramp_lines, shown.pictures), strict=True):
            typer.echo((" " * GAP).join(lines).rstrip())
