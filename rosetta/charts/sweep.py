"""What a sweep found: a line for one setting, a heat map for two, one for each value of a third."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from rosetta.charts.heat_maps import draw_maps
from rosetta.charts.line import draw_line
from rosetta.charts.paper import Cells, Value, pyplot, save_chart
from rosetta.errors import UsageError

Point = Mapping[str, object]


def sweep_chart(
    points: Sequence[Point], path: Path, *, varied: tuple[str, ...], criterion: str, best: int, force: bool
) -> None:
    """Draw a criterion over the one, two or three settings that were varied, as a PNG.

    Values of a setting stand at equal distances, in their order. What is drawn is the mean over seeds of those that
    did not diverge; a line's band goes from the lowest to the highest of them.

    Parameters
    ----------
    points : sequence of mapping
        One for each training: the settings' values, ``seed``, and the criterion, None where the training diverged.
    varied : tuple of str
        The settings, one to three: along the axis; down the second one; and one panel for each value.
    criterion : str
        The key of what was measured.
    best : int
        The row in `points` whose settings are marked.

    Raises
    ------
    UsageError
        If there are no points or more settings than three, or if a point lacks one of the keys.
    MissingExtraError
        If matplotlib is not installed.
    OutputError
        If the picture cannot be written.
    """
    _check(points, varied, criterion, best)
    keys = [tuple(_value(point[name]) for name in varied) for point in points]
    cells: Cells = {}
    for key, point in zip(keys, points, strict=True):
        cells.setdefault(key, []).append(_measured(point[criterion]))
    plt = pyplot()
    draw = draw_line if len(varied) == 1 else draw_maps
    figure = draw(plt, cells, keys[best], varied=varied, criterion=criterion)
    save_chart(plt, figure, path, title=f"{criterion} by {_listed(varied)}", force=force)


def _check(points: Sequence[Point], varied: tuple[str, ...], criterion: str, best: int) -> None:
    if not 1 <= len(varied) <= 3:
        raise UsageError(f"{len(varied)} settings were varied, but a chart shows one to three: choose among them")
    if not 0 <= best < len(points):
        raise UsageError(f"the best of the sweep is point {best}, but there are {len(points)} points")
    for number, point in enumerate(points):
        if missing := [name for name in (*varied, criterion) if name not in point]:
            raise UsageError(f"point {number} of the sweep has no {_listed(missing)}: it has {_listed(list(point))}")


def _value(value: object) -> Value:
    """Return a setting's value as something that can be compared: a list, as JSON gives it, is a tuple."""
    if isinstance(value, list | tuple):
        return tuple(_value(each) for each in value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _measured(value: object) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else math.nan


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
