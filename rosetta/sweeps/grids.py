"""The grid of a sweep: values of settings, as text or as numbers, and every combination of them."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import product
from math import prod
from typing import Any

from rosetta.errors import UsageError
from rosetta.objectives.kinds import objectives
from rosetta.runs.configure import refuse_idle_settings, sorted_out
from rosetta.schemas.run import TrainSettings
from rosetta.settings import check_settings

GRIDS = ("beta", "anchor_weight", "anchor_tolerance")  # what models may differ in beside their seed
# and what an objective calls its own
MOST_MODELS = 10_000
FORM = "NAME=START:STEP:STOP or NAME=VALUE,VALUE,…"

Values = str | Sequence[float | str]
Grid = dict[str, tuple[float | str, ...]]


def read_grid(texts: Sequence[str]) -> dict[str, str]:
    """Return texts such as ``beta=0:0.75:15`` by the names in them, or raise UsageError."""
    grid: dict[str, str] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not values.strip():
            raise UsageError(f"`grid` is {text!r}; expected {FORM}")
        if name in grid:
            raise UsageError(f"`grid={_option(name)}` is given twice: give all its values at once, as VALUE,VALUE,…")
        grid[name] = values
    return grid


def parse_grid(grid: Mapping[str, Values]) -> Grid:
    """Return the values of each setting of a grid.

    Parameters
    ----------
    grid : mapping
        Name of a setting, `GRIDS`, to values: numbers, ``"auto"`` among them for the anchors' weight, or a text of
        them separated by commas. ``start:step:stop`` in it stands for numbers from `start` to `stop`, both included
        if the step leads there, as in the paper's appendix B.

    Raises
    ------
    UsageError
        For names that are unknown, values that are none or there twice, and ranges that are empty or too long.
    """
    if not grid:
        raise UsageError(f"there is nothing to sweep: pass `grid={FORM}`, with a name of {', '.join(_options())}")
    return {_known(name): _values(_known(name), values) for name, values in grid.items()}


def points_of(
    grid: Grid, settings: Mapping[str, Any], *, replicates: int, has_anchors: bool
) -> tuple[TrainSettings, list[TrainSettings]]:
    """Return settings for the whole sweep, and those of each model: every point of the grid, with every seed.

    Raises
    ------
    UsageError
        If there are more than `MOST_MODELS`, if settings are out of range, given beside a grid of their own, or
        without an effect at any point.
    """
    if both := [name for name in grid if name in settings]:
        raise UsageError(f"`grid={_option(both[0])}` and `{both[0]}` both set it: leave one of them out")
    idle = [name for name in grid if name.startswith("anchor") and not has_anchors]
    if idle:
        raise UsageError(f"`grid={_option(idle[0])}` without `anchors` has no effect: pass a bundle, or leave it out")
    n_models = prod(len(values) for values in grid.values()) * replicates
    if n_models > MOST_MODELS:
        raise UsageError(
            f"the grid has {n_models:,} models, seeds included, and a sweep at most {MOST_MODELS:,}: take fewer "
            "values, or sweep coarsely first"
        )
    if "anchor_tolerance" in grid and set(grid.get("anchor_weight", ("auto",))) != {"auto"}:
        raise UsageError("anchor-tolerance has no effect on a given anchor-weight: sweep one of them")
    points = [
        check_settings(TrainSettings, sorted_out({**settings, **dict(zip(grid, values, strict=True))}))
        for values in product(*grid.values())
    ]
    each = [
        check_settings(TrainSettings, {**point.model_dump(), "seed": point.seed + number})
        for point in points
        for number in range(replicates)
    ]
    return _first_without_idle(points, has_anchors=has_anchors), each


def _first_without_idle(points: Sequence[TrainSettings], *, has_anchors: bool) -> TrainSettings:
    """Return the first point at which all settings have an effect; what one has no use for, another may have."""
    refusals = []
    for point in points:
        try:
            refuse_idle_settings(point, has_anchors=has_anchors)
            return point
        except UsageError as error:
            refusals.append(error)
    raise refusals[0]


def _values(name: str, values: Values) -> tuple[float | str, ...]:
    parts = values.split(",") if isinstance(values, str) else list(values)
    found: list[float | str] = []
    for part in parts:
        found += _range(name, part) if isinstance(part, str) and ":" in part else [_value(name, part)]
        if len(found) > MOST_MODELS:
            raise UsageError(f"`grid={_option(name)}` has more than {MOST_MODELS:,} values: take fewer")
    if not found:
        raise UsageError(f"`grid={_option(name)}` has no values: expected {FORM}")
    counts = Counter(found)
    if twice := [value for value in counts if counts[value] > 1]:
        raise UsageError(f"`grid={_option(name)}` has {twice[0]} twice: give each value once")
    return tuple(found)


def _range(name: str, text: str) -> list[float | str]:
    """Return the numbers of start:step:stop, as decimals, so that 0.1 three times is 0.3."""
    try:
        start, step, stop = (Decimal(part.strip()) for part in text.split(":"))
        steps = (stop - start) / step
        if not steps.is_finite():
            raise ValueError
    except (ValueError, ArithmeticError) as error:
        raise UsageError(
            f"`grid={_option(name)}` has {text!r}; expected a range as START:STEP:STOP, with a step that is not 0"
        ) from error
    if steps < 0:
        raise UsageError(f"`grid={_option(name)}` has {text!r}, which is empty: no step of {step} leads to {stop}")
    if steps >= MOST_MODELS:
        raise UsageError(f"`grid={_option(name)}` has {text!r}, more than {MOST_MODELS:,} values: take fewer")
    return [float(start + number * step) for number in range(int(steps) + 1)]


def _value(name: str, value: float | str) -> float | str:
    if isinstance(value, str) and value.strip() == "auto" and name == "anchor_weight":
        return "auto"
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        expected = "numbers or auto" if name == "anchor_weight" else "numbers"
        raise UsageError(f"`grid={_option(name)}` has {value!r}; expected {expected}, or START:STEP:STOP") from error


def _known(name: str) -> str:
    name = name.replace("-", "_")
    own = {field for each in objectives for field in objectives.get(each).settings.model_fields}
    if name in GRIDS or name in own:
        return name
    if name == "seed":
        raise UsageError("`grid=seed`: seeds are swept with `replicates=R`, from `seed` on")
    near = difflib.get_close_matches(name, GRIDS, n=1)
    hint = f" Did you mean {_option(near[0])!r}?" if near else ""
    raise UsageError(
        f"`grid={_option(name)}`: no setting of this name can be swept.{hint} Known: {', '.join(_options())}"
    )


def _options() -> list[str]:
    return [_option(name) for name in GRIDS]


def _option(name: str) -> str:
    return name.replace("_", "-")
