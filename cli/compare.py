"""`rosetta compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .data import takes_source
from .errors import exit_on_error
from .options import AllowCode, AllowPickle, Device, DeviceOption, Features, Json, Preprocess, Seed
from .render import emit, facts, row_progress, table

if TYPE_CHECKING:
    from rosetta.schemas.metrics import MetricValue
    from rosetta.schemas.reports import CompareReport


CEILING = 5  # the column that latents from files leave empty


@takes_source
def compare(
    a: Annotated[
        str,
        typer.Argument(metavar="A", help="The reference: a file of latents, or a model with --data."),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="What is compared with it, likewise.")],
    data: Annotated[str | None, typer.Option(metavar="DATA", help="Items to embed with both models.")] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", show_default="all", help="Metrics to show, such as fvu,cka: see rosetta metrics."
        ),
    ] = None,
    features: Features = None,
    seed: Seed = 0,
    device: DeviceOption = Device.auto,
    allow_code: AllowCode = None,
    allow_pickle: AllowPickle = False,
    preprocess: Preprocess = None,
    json: Json = False,
) -> None:
    """Compare two sets of latents of the same items."""
    with exit_on_error():
        from rosetta.verbs.compare import compare as run

        with row_progress("comparing"):
            report = run(
                a, b, data=data, features=features, preprocess=preprocess, seed=seed, device=device.value,
                metrics=None if metrics is None else metrics.split(","), allow_code=allow_code,
                allow_pickle=allow_pickle,
            )  # fmt: skip
        emit(report, as_json=json, text=lambda: _show(report))


def _show(report: CompareReport) -> None:
    lines = [("", "metric", "value", "95 % interval", "rows permuted", "posterior draw", "better")]
    lines += [_row(each) for each in report.metrics]
    shown = [
        i for i in range(len(lines[0])) if i != CEILING or any(each.ceiling is not None for each in report.metrics)
    ]
    header, *rows = ([line[i] for i in shown] for line in lines)
    table(header, rows)
    typer.echo()
    more = [("items", f"{report.n_items:,}")]
    more += [
        ("", f"{each.metric}: a random sample of {each.n_items:,}")
        for each in report.metrics
        if each.n_items < report.n_items
    ]
    if report.linear_map is not None:
        spectrum = report.linear_map
        apart = _number(spectrum.distance_from_identity)
        more.append((
            "linear map",
            f"effective rank {spectrum.effective_rank:.2f}, offset {spectrum.offset_norm:.3f}, "
            f"distance from identity {apart}",
        ))  # fmt: skip
    more += [("not shown", f"{each.metric}: {each.reason}") for each in report.skipped]
    facts(more)


def _row(each: MetricValue) -> tuple[str, str, str, str, str, str, str]:
    interval = "–" if each.interval is None else f"{each.interval[0]:.4f} to {each.interval[1]:.4f}"
    return (
        each.label, each.metric, _number(each.value), interval, _number(each.null), _number(each.ceiling),
        _better(each),
    )  # fmt: skip


def _better(each: MetricValue) -> str:
    """Return which values are better, and the best there can be."""
    best = {"lower": each.range[0], "higher": each.range[1], "neither": None}[each.direction]
    return each.direction if best is None else f"{each.direction}, best {best:g}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
