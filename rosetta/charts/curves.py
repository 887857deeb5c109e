"""How trainings went: figures over epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rosetta.arrays import Floats
from rosetta.charts.paper import COLOURS, GRID, INK, PAPER, literal, plain_axes, pyplot, save_chart
from rosetta.errors import UsageError

Row = Mapping[str, float | int | None]
Series = tuple[Floats, Floats]  # epochs and values, shape (n_epochs,) each; NaN where a value is not known

MANY = len(COLOURS)  # beyond, nobody tells lines apart by colour: each is thin and grey, and their median is drawn
FEW_EPOCHS = 15  # up to here every epoch is a dot: one alone would be no line
DOTTED = (0, (1, 1.2))
FAINT = "#9c9c9c"
WARM_UP = 0.1  # share of the epochs that may leave a linear panel, where they would squeeze all others


@dataclass(frozen=True)
class Panel:
    """One figure over epochs."""

    title: str
    column: str
    held_out: str | None = None  # column of the same figure on held-out items
    log: bool = False
    whole: bool = False  # numbers
    toleranced: bool = False


PANELS = (
    Panel("ELBO, nats an item", "elbo", "validation_elbo"),
    Panel("KL divergence, nats an item", "kl", "validation_kl"),
    Panel("Active units", "active_units", whole=True),
    Panel("Anchor error, share of the sd", "anchor_rms", log=True, toleranced=True),
    Panel("Anchor weight", "anchor_weight", log=True),
)


def training_curves(
    rows_by_label: Mapping[str, Sequence[Row]], path: Path, *, title: str, tolerance: float | None, force: bool,
    terms: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Draw what changed over the epochs of one or several trainings, as a PNG.

    Up to six trainings have a colour each; of more, each is a thin line, and the median a thick one.

    Parameters
    ----------
    rows_by_label : mapping of str to sequence of mapping
        What a training is called → the rows of its metrics.csv. What is None or not finite is left out, and so is
        a panel in which nothing remains.
    terms : mapping of str to str, optional
        Further columns, such as an objective's terms, and their titles.
    tolerance : float or None
        The anchor tolerance, as a share of the latents' standard deviation: a dashed line.

    Raises
    ------
    UsageError
        If there is nothing to draw.
    MissingExtraError
        If matplotlib is not installed.
    OutputError
        If the picture cannot be written.
    """
    further = [Panel(title, column, f"validation_{column}") for column, title in (terms or {}).items()]
    panels = [panel for panel in (*PANELS, *further) if _lines(rows_by_label, panel, panel.column)]
    if not panels:
        raise UsageError("there is nothing to draw: the rows hold none of the figures of a metrics.csv")
    plt = pyplot()
    n_columns = 2 if len(panels) == 4 else min(3, len(panels))
    n_rows = math.ceil(len(panels) / n_columns)
    figure, plots = plt.subplots(
        n_rows, n_columns, squeeze=False, layout="constrained", facecolor=PAPER,
        figsize=(max(3.7 * n_columns, 5.0), 2.7 * n_rows + 0.9),
    )  # fmt: skip
    for plot, panel in zip(plots.flat, panels, strict=False):
        _draw(plot, panel, rows_by_label)
        if panel.toleranced and tolerance is not None:
            plot.axhline(tolerance, color=INK, linewidth=1, linestyle=(0, (5, 3)), label="tolerance")
    for plot in plots.flat[len(panels) :]:
        plot.remove()
    for plot in plots.flat[max(0, len(panels) - n_columns) : len(panels)]:
        plot.set_xlabel("epoch", fontsize=9, color=INK)
    _legend(figure, plots.flat[: len(panels)], list(rows_by_label))
    save_chart(plt, figure, path, title=title, force=force)


def _draw(plot: Any, panel: Panel, rows_by_label: Mapping[str, Sequence[Row]]) -> None:
    """Draw the lines of training items, dotted where there are those of held-out ones."""
    plain_axes(plot, panel.title)
    plot.grid(axis="y", color=GRID, linewidth=0.8)
    measured = _lines(rows_by_label, panel, panel.held_out) if panel.held_out else {}
    trained = _lines(rows_by_label, panel, panel.column)
    for lines, style in ((trained, DOTTED if measured else "-"), (measured, "-")):
        _draw_lines(plot, lines, list(rows_by_label), style=style)
    if measured:
        plot.plot([], [], color=INK, linestyle=DOTTED, label="training items")
        plot.plot([], [], color=INK, label="held-out items")
    _set_axes(plot, panel)
    if not panel.log:
        _fit_axis(plot, [*trained.values(), *measured.values()])


def _draw_lines(plot: Any, lines: Mapping[str, Series], labels: list[str], *, style: Any) -> None:
    many = len(labels) > MANY
    for label, (epochs, values) in lines.items():
        plot.plot(
            epochs, values, linestyle=style, markersize=3, marker="o" if len(epochs) <= FEW_EPOCHS else None,
            color=FAINT if many else COLOURS[labels.index(label)], linewidth=0.7 if many else 1.6,
        )  # fmt: skip
    if many and lines:
        plot.plot(*_median(list(lines.values())), color=COLOURS[0], linestyle=style, linewidth=2.2)


def _set_axes(plot: Any, panel: Panel) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    plot.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    if panel.log:
        plot.set_yscale("log")
        low, high = plot.get_ylim()
        plot.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
        plot.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        plot.yaxis.set_minor_locator(NullLocator())
    elif panel.whole:
        plot.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))


def _lines(rows_by_label: Mapping[str, Sequence[Row]], panel: Panel, column: str) -> dict[str, Series]:
    """Return the series of every training that has a value to show in this column."""
    found = {}
    for label, rows in rows_by_label.items():
        epochs = np.array([row.get("epoch") for row in rows], dtype=float)
        values = np.array([row.get(column) for row in rows], dtype=float)  # None becomes NaN
        values[~np.isfinite(values) | (panel.log & (values <= 0))] = np.nan
        if np.isfinite(values).any():
            found[label] = (epochs, values)
    return found


def _median(series: Sequence[Series]) -> Series:
    """Return the median at each epoch of those that got there."""
    epochs, where = np.unique(np.concatenate([e for e, _ in series]), return_inverse=True)
    values = np.concatenate([v for _, v in series])
    at = [values[(where == number) & np.isfinite(values)] for number in range(len(epochs))]
    return epochs, np.array([np.median(each) if len(each) else np.nan for each in at])


def _fit_axis(plot: Any, series: Sequence[Series]) -> None:
    """Let the first epochs leave the panel where they would take most of its height, and say so."""
    epochs, values = (np.concatenate(part) for part in zip(*series, strict=True))
    begin = epochs.min() + max(1.0, WARM_UP * (epochs.max() - epochs.min()))
    later = values[(epochs >= begin) & np.isfinite(values)]
    if epochs.max() - epochs.min() < FEW_EPOCHS or not len(later):
        return
    low, high = later.min(), later.max()
    if np.nanmax(values) - np.nanmin(values) > 2 * (high - low) > 0:
        margin = 0.06 * (high - low)
        plot.set_ylim(low - margin, high + margin)
        plot.text(0.99, 0.03, f"axis fits epochs ≥ {begin:.0f}", transform=plot.transAxes, ha="right", fontsize=7.5,
                  color="#777777")  # fmt: skip


def _legend(figure: Any, plots: Sequence[Any], labels: list[str]) -> None:
    """Name every colour and every kind of line once, below all panels."""
    from matplotlib.lines import Line2D

    colours = {f"each of {len(labels)}": FAINT, "median": COLOURS[0]}
    if len(labels) <= MANY:
        colours = dict(zip(labels, COLOURS, strict=False))
    named = {label: Line2D([], [], color=colour, linewidth=2) for label, colour in colours.items()}
    for plot in plots:
        named |= {label: handle for handle, label in zip(*plot.get_legend_handles_labels(), strict=True)}
    n_columns = int(figure.get_figwidth() / (0.075 * max(map(len, named)) + 0.6))  # inches a name needs
    figure.legend(
        list(named.values()), [literal(label) for label in named], loc="outside lower center", frameon=False,
        ncols=min(len(named), max(1, n_columns)), fontsize=9,
    )  # fmt: skip
