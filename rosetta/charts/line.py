"""A criterion over one setting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rosetta.charts.paper import COLOURS, GRID, INK, PAPER, Cells, Key, literal, ordered, plain_axes, set_ticks


def draw_line(plt: Any, cells: Cells, best: Key, *, varied: tuple[str, ...], criterion: str) -> Any:
    """Return a figure of the mean over a setting's values, the band of the seeds, each seed, and what diverged."""
    values = ordered({key[0] for key in cells})
    figure, plot = plt.subplots(
        figsize=(min(12.0, max(6.0, 1.6 + 0.6 * len(values))), 4.2), layout="constrained", facecolor=PAPER
    )
    plain_axes(plot, "")
    plot.grid(axis="y", color=GRID, linewidth=0.8)
    _draw_means(plot, [cells[(value,)] for value in values], best=values.index(best[0]))
    _mark_diverged(plot, [cells[(value,)] for value in values])
    set_ticks(plot.xaxis, values)
    plot.set_xlim(-0.5, len(values) - 0.5)
    plot.set_xlabel(literal(varied[0]), fontsize=10, color=INK)
    plot.set_ylabel(literal(criterion), fontsize=10, color=INK)
    figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return figure


def _draw_means(plot: Any, seeds: list[list[float]], *, best: int) -> None:
    finite = {x: np.array(values) for x, each in enumerate(seeds) if (values := [v for v in each if math.isfinite(v)])}
    if any(len(values) > 1 for values in finite.values()):
        edges = [[edge(values) for values in finite.values()] for edge in (np.min, np.max)]
        plot.fill_between(list(finite), *edges, color=COLOURS[0], alpha=0.15, linewidth=0, label="lowest to highest")
        dots = np.array([(x, y) for x, values in finite.items() for y in values])
        plot.plot(*dots.T, "o", color=COLOURS[0], markersize=3.5, alpha=0.6, markeredgewidth=0, label="each seed")
    means = {x: float(values.mean()) for x, values in finite.items()}
    plot.plot(list(means), list(means.values()), "-o", color=COLOURS[0], linewidth=1.8, markersize=5, label="mean")
    if best in means:
        plot.plot(
            best, means[best], "*", color=COLOURS[1], markersize=16, markeredgecolor=PAPER, label="best", zorder=4
        )


def _mark_diverged(plot: Any, seeds: list[list[float]]) -> None:
    """Put a cross at the foot of the panel for each value at which a seed diverged, and how many did."""
    counts = {x: (sum(not math.isfinite(v) for v in each), len(each)) for x, each in enumerate(seeds)}
    gone = {x: count for x, count in counts.items() if count[0]}
    if not gone:
        return
    edge = plot.get_xaxis_transform()  # across in data, up in shares of the panel
    low, high = plot.get_ylim()
    plot.set_ylim(low - 0.13 * (high - low), high)
    plot.plot(list(gone), [0.03] * len(gone), "x", color=INK, transform=edge, markersize=6, label="diverged")
    for x, (n_gone, n_all) in gone.items():
        plot.text(x, 0.065, f"{n_gone} of {n_all}", transform=edge, ha="center", fontsize=8, color=INK)
