"""`rosetta compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .data import takes_source
from .errors import exit_on_error
from .options import AllowCode, AllowPickle, Device, DeviceOption, Features, Json, Preprocess, Seed
from .render import emit, facts, row_progress, table

if TYPE_CHECKING:
    from rosetta.schemas.reports import CompareReport


@takes_source
def compare(
    a: Annotated[
        str,
        typer.Argument(metavar="A", help="The reference: a file of latents, or a model with --data."),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="What is compared with it, likewise.")],
    data: Annotated[str | None, typer.Option(metavar="DATA", help="Items to embed with both models.")] = None,
    features: Features = None,
    seed: Seed = 0,
    device: DeviceOption = Device.auto,
    allow_code: AllowCode = None,
    allow_pickle: AllowPickle = False,
    preprocess: Preprocess = None,
    json: Json = False,
) -> None:
    """Say how far B's latents are from A's, on the same items."""
    with exit_on_error():
        from rosetta.verbs.compare import compare as run

        with row_progress("comparing"):
            report = run(
                a, b, data=data, features=features, preprocess=preprocess, seed=seed, device=device.value,
                allow_code=allow_code, allow_pickle=allow_pickle,
            )  # fmt: skip
        emit(report, as_json=json, text=lambda: _show(report))


def _show(report: CompareReport) -> None:
    null, spectrum = report.null, report.linear_map
    interval = report.unmapped_interval
    table(
        ("", "value", "rows permuted", "best"),
        [
            (
                "distortion, unmapped",
                _number(report.unmapped_distortion),
                _number(null.unmapped_distortion),
                "0",
            ),
            ("distortion after a linear map", _number(report.distortion), _number(null.distortion), "0"),
            ("linear CKA", _number(report.cka), _number(null.cka), "1"),
            ("Procrustes similarity", _number(report.procrustes), _number(null.procrustes), "1"),
        ],
    )
    typer.echo()
    facts([
        ("items", f"{report.n_items:,}"),
        ("unmapped, 95 % interval", f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else "–"),
        ("log of the mapped distortion", _number(report.log_distortion)),
        ("linear map", f"effective rank {spectrum.effective_rank:.2f}, offset {spectrum.offset_norm:.3f}, "
                       f"distance from identity {_number(spectrum.distance_from_identity)}"),
    ])  # fmt: skip


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
