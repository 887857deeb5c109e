"""What the charts have in common: colours, axes, and the file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rosetta.errors import MissingExtraError
from rosetta.files import atomic_file

INK, PAPER, QUIET = "#222222", "#ffffff", "#b9b9b9"

Value = Any  # of a setting: None, a number, a string, or a tuple of them
Key = tuple[Value, ...]
Cells = dict[Key, list[float]]  # the settings' values → the criterion of each seed, NaN where it diverged

# Okabe and Ito's colours, which the colour-blind tell apart; their yellow and sky blue are too pale for lines
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000", "#56B4E9")
GRID = "#ececec"
DPI = 130
MOST_TICKS = 14


def pyplot() -> Any:
    """Return matplotlib's pyplot on a backend that needs no screen, or raise MissingExtraError."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError as error:
        raise MissingExtraError("report", "matplotlib", "drawing a picture") from error
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def literal(text: str) -> str:
    """Return text that is drawn as it stands: a dollar begins no formula, an underscore hides no name."""
    return ("\u200b" if text.startswith("_") else "") + text.replace("$", r"\$")


def plain_axes(plot: Any, title: str) -> None:
    """Give a panel its title and quiet axes."""
    plot.set_title(literal(title), fontsize=10, color=INK, loc="left", fontweight="bold")
    plot.tick_params(labelsize=8.5, colors=INK, color=QUIET)
    for side, spine in plot.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(QUIET)


def save_chart(plt: Any, figure: Any, path: Path, *, title: str, force: bool) -> None:
    """Write a figure with its title as a PNG, and forget it."""
    figure.suptitle(literal(title), fontsize=12.5, color=INK, x=0.01, ha="left")
    try:
        with atomic_file(path, force=force) as temporary:
            figure.savefig(temporary, format="png", dpi=DPI, facecolor=PAPER)
    finally:
        plt.close(figure)


def ordered(values: Iterable[Value]) -> list[Value]:
    """Sort numbers among numbers and words among words, and a value left to its default before them."""
    return sorted(values, key=_rank)


def _rank(value: Value) -> tuple[int, Any]:
    if isinstance(value, tuple):
        return 3, [_rank(each) for each in value]
    if isinstance(value, str):
        return 2, value
    return (0, 0) if value is None else (1, value)


def shown(value: Value) -> str:
    """Return a setting's value as a short label."""
    if isinstance(value, tuple):
        return "-".join(shown(each) for each in value)
    if isinstance(value, bool | str):
        return str(value)
    return "default" if value is None else f"{value:.4g}"


def set_ticks(axis: Any, values: Sequence[Value]) -> None:
    """Label an axis whose values stand at 0, 1, 2, …; of many, every n-th."""
    every = math.ceil(len(values) / MOST_TICKS)
    labels = [literal(shown(value)) for value in values[::every]]
    axis.set_ticks(range(0, len(values), every), labels)
    longest = max(map(len, labels))
    if axis.axis_name == "x" and (longest > 8 or (longest > 6 and len(labels) > 8)):
        axis.set_tick_params(rotation=40)
        for label in axis.get_ticklabels():
            label.set(horizontalalignment="right", rotation_mode="anchor")
