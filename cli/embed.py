"""`rosetta embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .data import takes_source
from .errors import exit_on_error
from .options import AllowCode, AllowPickle, Data, Device, DeviceOption, Features, Force, Json, Model, Preprocess
from .render import emit, facts, row_progress

AllDims = Annotated[bool, typer.Option("--all-dims", help="Write a model's free dimensions as well.")]


@takes_source
def embed(
    model: Model,
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="Z.npy", help="The file of latents to write.")],
    features: Features = None,
    device: DeviceOption = Device.auto,
    allow_code: AllowCode = None,
    allow_pickle: AllowPickle = False,
    preprocess: Preprocess = None,
    all_dims: AllDims = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write the latents of DATA: posterior means, one row per item."""
    with exit_on_error():
        from rosetta.verbs.embed import embed as run

        with row_progress(f"embedding {data}") as on_rows:
            report = run(
                model,
                data,
                output,
                features=features,
                device=device.value,
                allow_code=allow_code,
                allow_pickle=allow_pickle,
                preprocess=preprocess,
                all_dims=all_dims,
                force=force,
                on_rows=on_rows,
            )
        emit(
            report,
            as_json=json,
            text=lambda: facts([
                ("latents", report.latents),
                ("shape", f"{report.n_items:,} items × {report.n_dims} dimensions"),
                ("speed", f"{report.rows_per_s:,.0f} rows/s"),
            ]),
        )  # fmt: skip
