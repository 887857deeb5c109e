"""`rosetta distill`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import exit_on_error
from .options import AllowCode, Data, Device, DeviceOption, Features, Force, Json, Model, Seed
from .render import emit, facts, note, row_progress

if TYPE_CHECKING:
    from rosetta.schemas.reports import DistillReport


class Origin(StrEnum):
    """Where points come from."""

    observed = "observed"
    decoded = "decoded"


class Select(StrEnum):
    """How observed points are chosen."""

    kmeans = "kmeans"
    random = "random"


def distill(
    model: Model,
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="B.h5", help="The bundle to write.")],
    license: Annotated[str, typer.Option(metavar="SPDX", help="Licence of the bundle, such as CC-BY-4.0.")],
    title: Annotated[str, typer.Option(help="Title of the bundle.")],
    creator: Annotated[
        list[str], typer.Option(metavar="NAME", help="'NAME[; orcid=…][; affiliation=…]'; may be repeated.")
    ],
    pairs: Annotated[int, typer.Option(min=1, help="Anchor pairs, to train with.")] = 64,
    checks: Annotated[int, typer.Option(min=0, help="Check pairs, held out for the receiver's proof.")] = 32,
    origin: Annotated[
        Origin,
        typer.Option(help="observed: items of DATA. decoded: made by the decoder, none of DATA is in the file."),
    ] = Origin.observed,
    select: Annotated[
        Select | None, typer.Option(help="How observed points are chosen.", show_default="kmeans")
    ] = None,
    terms: Annotated[str | None, typer.Option(help="Terms of use beside the licence.")] = None,
    description: Annotated[str | None, typer.Option(help="What the latent space is.")] = None,
    citation: Annotated[str | None, typer.Option(help="How to cite the bundle.")] = None,
    data_description: Annotated[str | None, typer.Option(help="What the data is, without paths.")] = None,
    space_name: Annotated[str | None, typer.Option(help="Name of the latent space.")] = None,
    modality: Annotated[str | None, typer.Option(help="What an input is, such as image or spectrogram.")] = None,
    units: Annotated[str | None, typer.Option(help="Units of an input's numbers.")] = None,
    axes: Annotated[str | None, typer.Option(metavar="NAME,NAME,…", help="Names of an input's axes.")] = None,
    features: Features = None,
    seed: Seed = 0,
    device: DeviceOption = Device.auto,
    allow_code: AllowCode = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Choose or make Rosetta pairs with a trained MODEL and write them as a bundle."""
    with exit_on_error():
        from rosetta.verbs.distill import distill as run

        notes: list[str] = []
        with row_progress(f"distilling {model.name}") as on_rows:
            report = run(
                model,
                data,
                output,
                license=license,
                title=title,
                creators=creator,
                pairs=pairs,
                checks=checks,
                origin=origin.value,
                select=select.value if select else None,
                terms=terms,
                description=description,
                citation=citation,
                data_description=data_description,
                space_name=space_name,
                modality=modality,
                units=units,
                axes=axes.split(",") if axes else None,
                features=features,
                seed=seed,
                device=device.value,
                allow_code=allow_code,
                force=force,
                on_note=notes.append,
                on_rows=on_rows,
            )
        for each in notes:
            note(each)
        emit(report, as_json=json, text=lambda: _show(report, origin))


def _show(report: DistillReport, origin: Origin) -> None:
    coverage = report.coverage
    facts([
        ("bundle", report.bundle),
        ("content id", report.content_id),
        ("pairs", f"{report.n_anchors} anchors and {report.n_checks} checks, {origin.value}, {report.n_dims}-D"),
        ("coverage", f"an item is {coverage.quantisation_error:.3f} total standard deviations (RMS) from an anchor, "
                     f"{coverage.largest_gap:.3f} at most"),
        ("next", f"rosetta validate {report.bundle}"),
    ])  # fmt: skip
