"""The run folder: config.json, model.safetensors, metrics.csv, run.json, and nothing that runs code."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import safetensors.numpy
import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError

from rosetta.arrays import Array
from rosetta.errors import ModelError
from rosetta.files import RUN_MARK, atomic_folder
from rosetta.models.vae import VAE, build_vae
from rosetta.schemas.record import Record
from rosetta.schemas.run import RunConfig, RunRecord

CONFIG, WEIGHTS, METRICS, RECORD = "config.json", "model.safetensors", "metrics.csv", RUN_MARK
STEP_ARRAYS = "preprocessing.safetensors"  # only where a preprocessing step has learned something

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Checkpoint:
    """A run folder in memory."""

    config: RunConfig
    record: RunRecord
    model: VAE
    step_arrays: Mapping[str, Array]


def weights_digest(model: VAE) -> str:
    """Return the sha256 over the names and digests of all weights, whatever device they are on."""
    digest = hashlib.sha256(b"rosetta-weights-v1\n")
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {values.dtype.str} {values.shape} ".encode())
        digest.update(hashlib.sha256(values.tobytes()).hexdigest().encode() + b"\n")
    return digest.hexdigest()


def save_run(
    folder: Path,
    model: VAE,
    config: RunConfig,
    record: RunRecord,
    *,
    metrics: Sequence[Mapping[str, float | None]],
    step_arrays: Mapping[str, Array],
    force: bool,
) -> None:
    """Write the run folder whole or not at all; with `force`, in place of one that is there.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with atomic_folder(folder, force=force) as temporary:
        (temporary / CONFIG).write_text(config.model_dump_json(indent=2) + "\n")
        weights = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
        (temporary / WEIGHTS).write_bytes(safetensors.torch.save(weights))
        if step_arrays:
            (temporary / STEP_ARRAYS).write_bytes(safetensors.numpy.save(dict(step_arrays)))
        with (temporary / METRICS).open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(metrics[0]))
            writer.writeheader()
            writer.writerows(metrics)
        (temporary / RECORD).write_text(record.model_dump_json(indent=2) + "\n")


def load_run(folder: Path) -> Checkpoint:
    """Read a run folder; only JSON and safetensors are read, so that nothing in it can run code.

    Raises
    ------
    ModelError
        If the folder is missing, no run folder, damaged, or its weights do not fit its configuration.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ModelError(f"{folder} {what}; expected a run folder, as `rosetta train -o` leaves it")
    config = _read_record(folder / CONFIG, RunConfig)
    record = _read_record(folder / RECORD, RunRecord)
    model = build_vae(config)
    try:
        weights = safetensors.torch.load(_read(folder / WEIGHTS))
        model.load_state_dict(weights)
        has_steps = any(step.arrays for step in config.preprocessing)
        step_arrays = safetensors.numpy.load(_read(folder / STEP_ARRAYS)) if has_steps else {}
    except SafetensorError as error:
        raise ModelError(f"the weights in {folder} are damaged ({error}); train again or restore the folder") from error
    except RuntimeError as error:
        raise ModelError(f"the weights in {folder} do not fit its {CONFIG}: {error}") from error
    if not all(torch.isfinite(w).all() for w in weights.values()):
        raise ModelError(f"the weights in {folder} hold NaN or infinity; train again")
    if (found := weights_digest(model)) != record.weights_sha256:
        raise ModelError(
            f"the weights in {folder} were changed after training: their digest is {found[:12]}…, "
            f"{RECORD} says {record.weights_sha256[:12]}…; restore the folder or train again"
        )
    return Checkpoint(config, record, model, step_arrays)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path.parent} is no complete run folder: {path.name} cannot be read ({error.strerror})"
        ) from error


def _read_record(path: Path, kind: type[R]) -> R:
    try:
        return kind.model_validate_json(_read(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ModelError(f"{path} is damaged: {where}: {first['msg']}") from error
