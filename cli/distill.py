"""`rosetta distill`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .dask import dask_executor
from .data import takes_source
from .distilled import show
from .errors import exit_on_error
from .options import (
    DATA_HELP,
    MODEL_HELP,
    AllowCode,
    AllowPickle,
    Device,
    DeviceOption,
    Features,
    Force,
    Json,
    Memory,
    Preprocess,
)
from .render import emit, row_progress
from .settings import parsed, takes_settings
from .settings_table import DISTILL

MODELS, POINTS, PRIVACY, SIZE = "Model", "Points", "What they reveal", "At size"


@takes_source
@takes_settings(DISTILL, before="points_from")
def distill(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"{MODEL_HELP} Left out with --latents.")],
    data: Annotated[str | None, typer.Argument(metavar="DATA", help=DATA_HELP, show_default=False)] = None,
    *,
    latents: Annotated[
        str | None,
        typer.Option(
            metavar="Z",
            help="Posterior means of DATA's items, computed elsewhere: there is no MODEL then.",
            rich_help_panel=MODELS,
        ),
    ] = None,
    decoder: Annotated[
        Path | None,
        typer.Option(
            metavar="PROGRAM",
            help="The decoder of a MODEL that is an encoder only: a program from latents to inputs.",
            rich_help_panel=MODELS,
        ),
    ] = None,
    spread: Annotated[
        Literal["sd", "variance", "log-variance"] | None,
        typer.Option(help="What MODEL's second output is, if it gives the posterior's spread.", rich_help_panel=MODELS),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="B.h5", help="The bundle to write.")],
    points_from: Annotated[
        str | None, typer.Option(metavar="DATA", help="Inputs that you may share, for public.", rich_help_panel=POINTS)
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Items that the model has not seen, for the audit's membership test.",
            rich_help_panel=PRIVACY,
        ),
    ] = None,
    held_out_groups: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|DATA",
            help="Whose each of --held-out is, with --groups; by default, its column of the same name.",
            rich_help_panel=PRIVACY,
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(metavar="policy.toml", help="What must hold, or nothing is written.", rich_help_panel=PRIVACY),
    ] = None,
    features: Features = None,
    device: DeviceOption = Device.auto,
    allow_code: AllowCode = None,
    allow_pickle: AllowPickle = False,
    preprocess: Preprocess = None,
    memory: Memory = None,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Encode on the workers of this Dask scheduler.", rich_help_panel=SIZE),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Keep latents beside the output until it is there, and go on from those of an interrupted try.",
            rich_help_panel=SIZE,
        ),
    ] = False,
    force: Force = False,
    json: Json = False,
    **settings: Any,
) -> None:
    """Make or choose Rosetta pairs with a trained MODEL, audit what they reveal, and write them as a bundle."""
    with exit_on_error():
        from rosetta.verbs.distill import distill as run

        chosen, items = model_and_data(model, data, has_latents=latents is not None)
        progress = row_progress(f"distilling {output.stem}"), row_progress("auditing the points")
        with dask_executor(dask) as executor, progress[0] as on_rows, progress[1] as on_audit:
            report = run(
                chosen,
                items,
                output,
                latents=latents,
                decoder=decoder,
                spread=spread,
                preprocess=preprocess,
                allow_pickle=allow_pickle,
                memory_gib=memory,
                executor=executor,
                resume=resume,
                points_from=points_from,
                held_out=held_out,
                held_out_groups=held_out_groups,
                policy=policy,
                features=features,
                device=device.value,
                allow_code=allow_code,
                force=force,
                on_rows=on_rows,
                on_audit=on_audit,
                **parsed(settings, DISTILL),
            )
        emit(report, as_json=json, text=lambda: show(report))


def model_and_data(model: str, data: Any, *, has_latents: bool) -> tuple[str | None, Any]:
    """Return what the arguments name: with --latents, there is data only."""
    from rosetta.errors import UsageError
    from rosetta.sources import Source

    is_given = data.data is not None if isinstance(data, Source) else data is not None
    if has_latents and is_given:
        raise UsageError("a model and --latents are both given: write rosetta distill DATA --latents Z, without MODEL")
    if has_latents:
        return None, replace(data, data=model) if isinstance(data, Source) else model
    if not is_given:
        raise UsageError("DATA is missing: write rosetta distill MODEL DATA, or rosetta distill DATA --latents Z")
    return model, data
