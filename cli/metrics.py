"""`rosetta metrics`."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import exit_on_error
from .options import Json
from .render import emit, facts

if TYPE_CHECKING:
    from rosetta.schemas.metrics import MetricCatalogue, MetricEntry


def metrics(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One metric, such as fvu.")] = None,
    json: Json = False,
) -> None:
    """List the metrics that `rosetta compare` can show, and what each needs."""
    with exit_on_error():
        from rosetta.verbs.metrics import metrics as run

        listed = run(name)
        emit(listed, as_json=json, text=lambda: _show(listed))


def _show(listed: MetricCatalogue) -> None:
    for number, metric in enumerate(listed.metrics):
        if number:
            typer.echo()
        facts([
            (metric.metric, metric.label),
            *(("", line) for line in wrap(metric.text, 100)),
            ("  needs", "; ".join(metric.needs)),
            ("  better", f"{metric.direction}, {_range(metric.range)}" if metric.direction != "neither" else "neither"),
            ("  reported", ", ".join(_parts(metric))),
            ("  citation", metric.citation),
        ])  # fmt: skip


def _range(bounds: tuple[float | None, float | None]) -> str:
    low, high = bounds
    if low is not None and high is not None:
        return f"range {low:g} to {high:g}"
    if low is not None:
        return f"range {low:g} and above"
    return "no lower bound" if high is None else f"range up to {high:g}"


def _parts(metric: MetricEntry) -> list[str]:
    """Return what is reported with the value."""
    parts = ["value"]
    parts += ["95 % interval"] * metric.has_interval + ["null"] * metric.has_null + ["ceiling"] * metric.has_ceiling
    if metric.max_items is not None:
        parts[0] = f"value of at most {metric.max_items:,} items"
    return parts
