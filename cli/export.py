"""`rosetta export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import exit_on_error
from .options import Force, Json
from .render import emit, facts

if TYPE_CHECKING:
    from rosetta.schemas.program import ExportReport


class Part(StrEnum):
    """The two halves of a model."""

    encoder = "encoder"
    decoder = "decoder"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, as `rosetta train -o` writes it.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The program to write: FILE.pt2, FILE.onnx or FILE.pt."),
    ],
    format: Annotated[
        str,
        typer.Option(help="torch-export (.pt2), onnx (.onnx), or torchscript (.pt; torch deprecates it)."),
    ] = "torch-export",
    part: Annotated[
        Part, typer.Option(help="encoder: inputs to latents and their spread. decoder: latents to expected inputs.")
    ] = Part.encoder,
    allow_code: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FACTORY", help="Allow the import of this code, for a run of your own network."),
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write the encoder or decoder of RUN as a program that runs without Rosetta, for any number of items.

    The program records the preprocessing of its inputs. It is compared with the model before it is saved.
    """
    with exit_on_error():
        from rosetta.verbs.export import export as verb

        report = verb(run, output, format=format, part=part.value, allow_code=allow_code, force=force)
        emit(report, as_json=json, text=lambda: _show(report))


def _show(report: ExportReport) -> None:
    inputs = f"inputs, float32, shape {_shape(report.input_shape)}"
    latents = f"latents, float32, shape {_shape((report.n_dims,))}"
    encoder = report.part == "encoder"
    facts([
        ("program", report.file),
        ("part", report.part),
        ("format", f"{report.format}, {report.n_bytes:,} bytes"),
        ("takes", inputs if encoder else latents),
        ("gives", f"{latents}, and latents_sd alike" if encoder else inputs),
        ("inputs are", f"preprocessed: {report.preprocessing}"),
        ("checked", f"loaded again, it gives {_agreement(report.max_abs_difference)}"),
    ])  # fmt: skip


def _agreement(difference: float) -> str:
    return f"the model's numbers to {difference:.1e}" if difference else "the model's numbers exactly"


def _shape(item: tuple[int, ...]) -> str:
    return f"(n_items, {', '.join(map(str, item))})"
