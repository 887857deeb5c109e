"""Write half of a run's model as a program that runs without Rosetta."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from rosetta import preprocessing
from rosetta.arrays import Array
from rosetta.errors import UsageError
from rosetta.files import atomic_file, check_output
from rosetta.models.checkpoint import Checkpoint, load_run
from rosetta.models.halves import Decoder, Encoder
from rosetta.models.vae import VAE, decode_array, encode_array
from rosetta.programs import Program, Traceable, check_installed, read_program, write_program
from rosetta.programs.compare import check_same
from rosetta.schemas.program import ExportReport, Part, ProgramRecord, ProgramStep, StoredArray
from rosetta.software import versions

NAMES: dict[Part, tuple[tuple[str, ...], tuple[str, ...]]] = {  # what each part takes, and what it gives
    "encoder": (("inputs",), ("latents", "latents_sd")),
    "decoder": (("latents",), ("inputs",)),
}
UNITS: dict[Part, float] = {"encoder": 1.0, "decoder": 0.0}  # latents have one, the prior's standard deviation
EXAMPLE_ROWS = 3  # items to follow through the network; none of CHECK_ROWS, so that a number burnt in is found out
CHECK_ROWS = (1, 2, 17)


def export(
    run: str | PathLike[str],
    output: str | PathLike[str],
    *,
    format: str = "torch-export",
    part: Part = "encoder",
    allow_code: str | None = None,
    force: bool = False,
) -> ExportReport:
    """Write the encoder or the decoder of a run as a program for any number of items, and check that it is the same.

    Parameters
    ----------
    run : path
        A run folder.
    output : path
        The file to write, ending in ``.pt2``, ``.onnx`` or ``.pt``, as the format does.
    format : str
        ``"torch-export"``; ``"onnx"``, for runtimes outside Python; or ``"torchscript"``, for C++ and older torch,
        which torch deprecates.
    part : str
        ``"encoder"``: preprocessed inputs, float32, shape (n_items, …), to posterior means and standard deviations,
        each float32, shape (n_items, n_dims). ``"decoder"``: latents, float32, shape (n_items, n_dims), to expected
        inputs, float32, shape (n_items, …).
    allow_code : str, optional
        The ``package.module:factory`` of the run's network, where that is the user's own.
    force : bool
        Replace a file that is there.

    Returns
    -------
    ExportReport
        With the largest difference between the program and the model.

    Raises
    ------
    MissingExtraError
        If the format needs packages that are not installed.
    ModelError
        If the run is damaged, its network cannot be written in this format, or the program, loaded again, gives
        other numbers than the model.
    RosettaError
        If the output cannot be written; nothing is left behind, whatever goes wrong.

    Notes
    -----
    A `rosetta.schemas.program.ProgramRecord` goes with the program: the latent space, and the preprocessing with all
    that it learned. It is the extra file ``rosetta.json`` of ``.pt2`` and ``.pt``, the metadata ``rosetta`` of
    ``.onnx``. The other half's weights are not in the file (except those that tied weights share), and no path of
    this machine.
    """
    chosen = check_installed(format)
    if part not in NAMES:
        raise UsageError(f"no part called {part!r}. Known: {', '.join(NAMES)}.")
    path = Path(output)
    check_output(path, force=force, suffix=chosen.suffix)
    checkpoint = load_run(Path(run), code=allow_code)
    model = checkpoint.model
    record = describe_program(checkpoint, part, packages=chosen.packages)
    takes, gives = NAMES[part]
    module = Encoder(model) if part == "encoder" else Decoder(model)
    example = torch.from_numpy(_draw(record, EXAMPLE_ROWS))
    program = write_program(Traceable(module, example, takes, gives, record.model_dump_json()), format)
    with atomic_file(path, force=force) as temporary, temporary.open("w+b") as file:
        file.write(program)
        file.seek(0)
        difference = check_same(
            read_program(file.read(), format), _outputs(model, part), [_draw(record, n) for n in CHECK_ROWS],
            gives=gives, unit=UNITS[part],
        )  # fmt: skip
    return ExportReport(
        file=str(output),
        format=format,
        part=part,
        n_dims=record.n_dims,
        input_shape=record.input_shape,
        preprocessing=preprocessing.describe_records(checkpoint.config.preprocessing),
        n_bytes=len(program),
        max_abs_difference=difference,
    )


def describe_program(checkpoint: Checkpoint, part: Part, *, packages: Sequence[str]) -> ProgramRecord:
    """Return what goes with a program; `packages` are those that wrote it, beside torch."""
    config, record = checkpoint.config, checkpoint.record
    takes, gives = NAMES[part]
    return ProgramRecord(
        part=part,
        takes=takes,
        gives=gives,
        space_id=record.space_id,
        space_name=record.space_name,
        generation=record.generation,
        n_dims=config.latent_dim,
        space_dims=config.space_dims,
        input_shape=config.input_shape,
        value_range=config.value_range,
        feature_names=config.feature_names,
        preprocessing=tuple(
            ProgramStep(
                name=name,
                parameters=dict(step.parameters),
                arrays={key: _stored(array) for key, array in step.arrays.items()},
            )
            for name, step in preprocessing.from_records(config.preprocessing, checkpoint.step_arrays)
        ),
        likelihood=config.settings.likelihood,
        weights_sha256=record.weights_sha256,
        software=versions("torch", *packages),
    )


def _stored(array: Array) -> StoredArray:
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return StoredArray(
        dtype=little.dtype.str,  # type: ignore[arg-type]
        shape=array.shape,
        base64=base64.b64encode(little.tobytes()).decode(),
    )


def _outputs(model: VAE, part: Part) -> Program:
    """Return one part of a model as everything else in Rosetta computes it."""
    return partial(encode_array, model) if part == "encoder" else lambda latents: (decode_array(model, latents),)


def _draw(record: ProgramRecord, n_rows: int) -> Array:
    """Return random items, float32: inputs anywhere in the range of values, or latents as the prior has them."""
    rng = np.random.default_rng(n_rows)
    if record.part == "decoder":
        return rng.standard_normal((n_rows, record.n_dims), dtype=np.float32)
    return rng.uniform(*record.value_range, (n_rows, *record.input_shape)).astype(np.float32)
