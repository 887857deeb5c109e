"""A criterion over two settings, or over three: a panel for each value of the third."""

from __future__ import annotations

import math
from typing import Any

from rosetta.charts.paper import COLOURS, GRID, INK, PAPER, Cells, Key, literal, ordered, plain_axes, set_ticks, shown

MAP = "cividis"  # the same for the colour-blind
MOST_COLUMNS = 12  # beyond, numbers in the cells would run into one another


def draw_maps(plt: Any, cells: Cells, best: Key, *, varied: tuple[str, ...], criterion: str) -> Any:
    """Return a figure of a heat map for each value of the third setting, or of one, all with the same colours."""
    columns, rows = (ordered({key[axis] for key in cells}) for axis in (0, 1))
    thirds = ordered({key[2:] for key in cells})
    across = 2 if len(thirds) == 4 else min(len(thirds), 3 if len(columns) <= 6 else 2)
    down = math.ceil(len(thirds) / across)
    width, height = (min(8.0, max(2.2, 0.66 * len(columns))), min(7.0, max(1.5, 0.5 * len(rows))))
    figure, plots = plt.subplots(
        down, across, squeeze=False, layout="constrained", facecolor=PAPER,
        figsize=(2.0 + (width + 0.8) * across, 1.0 + (height + 0.9) * down),
    )  # fmt: skip
    means = [mean for seeds in cells.values() if (mean := _mean(seeds)) is not None]
    colours = plt.cm.ScalarMappable(plt.Normalize(min(means, default=0), max(means, default=1)), MAP)
    used = plots.flat[: len(thirds)].tolist()
    for plot, third in zip(used, thirds, strict=True):
        plain_axes(plot, f"{varied[2]} = {shown(third[0])}" if third else "")
        for key, seeds in cells.items():
            if key[2:] == third:
                place = (columns.index(key[0]), rows.index(key[1]))
                _draw_cell(plt, plot, place, seeds, colours, numbered=len(columns) <= MOST_COLUMNS)
                if key == best:
                    _outline(plt, plot, place)
        set_ticks(plot.xaxis, columns)
        set_ticks(plot.yaxis, rows)
        plot.set(xlim=(-0.5, len(columns) - 0.5), ylim=(-0.5, len(rows) - 0.5))
        plot.set_xlabel(literal(varied[0]), fontsize=9.5, color=INK)
        plot.set_ylabel(literal(varied[1]), fontsize=9.5, color=INK)
    for plot in plots.flat[len(thirds) :]:
        plot.remove()
    if means:
        bar = figure.colorbar(colours, ax=used, aspect=30)
        bar.set_label(literal(criterion), fontsize=9.5, color=INK)
        bar.ax.tick_params(labelsize=8.5, color=INK)
        bar.outline.set_visible(False)
    _legend(plt, figure, cells)
    return figure


def _draw_cell(
    plt: Any, plot: Any, place: tuple[int, int], seeds: list[float], colours: Any, *, numbered: bool
) -> None:
    """Colour a cell by its mean, hatch it where all seeds diverged, and write how many did where some have."""
    x, y = place
    mean = _mean(seeds)
    cell = plt.Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=GRID, edgecolor=PAPER, linewidth=1.5)
    plot.add_patch(cell)
    if mean is None:
        cell.set_hatch("////")
        return
    red, green, blue, _ = colours.to_rgba(mean)
    cell.set_facecolor((red, green, blue))
    if not numbered:
        return
    ink = PAPER if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else INK  # as bright as the eye finds them
    gone = sum(not math.isfinite(value) for value in seeds)
    text = f"{mean:.3g}".replace("-", "−", 1) + (f"\n−{gone} of {len(seeds)}" if gone else "")
    plot.text(x, y, text, ha="center", va="center", fontsize=8, color=ink)


def _outline(plt: Any, plot: Any, place: tuple[int, int]) -> None:
    x, y = place
    plot.add_patch(
        plt.Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fill=False, edgecolor=COLOURS[1], linewidth=3, zorder=4)
    )


def _legend(plt: Any, figure: Any, cells: Cells) -> None:
    """Explain the outline, the hatching and the small numbers, as far as they are there."""
    handles = [plt.Rectangle((0, 0), 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=2.5, label="best")]
    gone = [sum(not math.isfinite(v) for v in seeds) / len(seeds) for seeds in cells.values()]
    if 1 in gone:
        handles.append(
            plt.Rectangle((0, 0), 1, 1, facecolor=GRID, edgecolor="#888888", hatch="////", label="every seed diverged")
        )
    if any(0 < share < 1 for share in gone):
        handles.append(
            plt.Rectangle((0, 0), 0, 0, fill=False, edgecolor=PAPER, label="−1 of 2: one seed of two diverged")
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9, handlelength=1.4)


def _mean(seeds: list[float]) -> float | None:
    finite = [value for value in seeds if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None
