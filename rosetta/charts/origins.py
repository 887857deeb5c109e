"""How closely receivers follow the sender, by the origin of the points and their number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosetta.charts.paper import COLOURS, GRID, INK, PAPER, plain_axes, pyplot, save_chart

ORIGINS = ("observed", "decoded", "decoded with residuals", "averaged", "mixed", "moments", "public")  # one colour each
DASHED, DOTTED = (0, (5, 3)), (0, (1, 1.5))


@dataclass(frozen=True)
class Reached:
    """The fvu of the receivers of one bundle: the median, and the first and last quartile."""

    n_points: int
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class OriginPanel:
    """One data set."""

    title: str
    lines: Mapping[str, list[Reached]]  # by origin
    unanchored: float | None = None
    target: float | None = None


def origins_chart(panels: list[OriginPanel], path: Path, *, force: bool) -> None:
    """Draw the fvu against the number of points, one line an origin and one panel a data set, as a PNG.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    OutputError
        If the picture cannot be written.
    """
    plt = pyplot()
    figure, plots = plt.subplots(
        1, len(panels), squeeze=False, layout="constrained", facecolor=PAPER, figsize=(1.0 + 4.0 * len(panels), 4.6)
    )
    for plot, panel in zip(plots.flat, panels, strict=True):
        _draw(plot, panel)
    plots.flat[0].set_ylabel("fraction of variance unexplained (fvu)", fontsize=9.5, color=INK)
    named: dict[str, Any] = {}
    for plot in plots.flat:
        named |= {label: handle for handle, label in zip(*plot.get_legend_handles_labels(), strict=True)}
    if named:
        figure.legend(
            list(named.values()), list(named), loc="outside lower center", frameon=False, fontsize=9,
            ncols=min(4, 2 * len(panels)),
        )  # fmt: skip
    save_chart(plt, figure, path, title="How tightly points hold a space", force=force)


def _draw(plot: Any, panel: OriginPanel) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    plain_axes(plot, panel.title)
    plot.set_xscale("log", base=4)  # the numbers tried are mostly powers of 4
    plot.set_yscale("log")
    plot.grid(color=GRID, linewidth=0.8)
    for number, origin in enumerate(ORIGINS):
        reached = sorted(panel.lines.get(origin, []), key=lambda each: each.n_points)
        if reached:
            x, y = [each.n_points for each in reached], [each.median for each in reached]
            bars = [[each.median - each.low for each in reached], [each.high - each.median for each in reached]]
            plot.errorbar(
                x, y, yerr=bars, color=COLOURS[number], marker="o", markersize=4, linewidth=1.6, elinewidth=1,
                label=origin,
            )  # fmt: skip
    for value, style, label in (
        (panel.unanchored, DOTTED, "no anchors"), (panel.target, DASHED, "a tenth of 64 observed points"),
    ):  # fmt: skip
        if value is not None:
            plot.axhline(value, color=INK, linewidth=1, linestyle=style, label=label)
    plot.set_xlabel("points", fontsize=9.5, color=INK)
    numbers = [each.n_points for line in panel.lines.values() for each in line]
    if numbers:
        plot.set_xlim(min(numbers) / 1.5, max(numbers) * 1.5)  # one number alone has no range of its own
    for axis in (plot.xaxis, plot.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}" if value < 1 else f"{value:,.0f}"))
        axis.set_minor_formatter(NullFormatter())
