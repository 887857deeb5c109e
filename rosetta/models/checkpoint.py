"""The run folder: config.json, model.safetensors, metrics.csv, run.json, and nothing that runs code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
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
from rosetta.files import RUN_MARK, RUNS_MARK, atomic_file
from rosetta.models.vae import VAE, build_vae
from rosetta.schemas.record import Record
from rosetta.schemas.run import RunConfig, RunRecord, RunSet

CONFIG, WEIGHTS, RECORD = "config.json", "model.safetensors", RUN_MARK
STEP_ARRAYS = "preprocessing.safetensors"  # only where a preprocessing step has learned something

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Checkpoint:
    """A run folder in memory."""

    config: RunConfig
    record: RunRecord
    model: VAE
    step_arrays: Mapping[str, Array]

    @property
    def space_dims(self) -> int:
        """Number of the model's latent dimensions that are the space's: the first; the others are its own."""
        return self.config.space_dims or self.config.latent_dim


def weights_digest(model: VAE) -> str:
    """Return the sha256 over the names and digests of all weights, whatever device they are on."""
    digest = hashlib.sha256(b"rosetta-weights-v1\n")
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {values.dtype.str} {values.shape} ".encode())
        digest.update(hashlib.sha256(values.tobytes()).hexdigest().encode() + b"\n")
    return digest.hexdigest()


def write_run(
    folder: Path, model: VAE, config: RunConfig, record: RunRecord, *, step_arrays: Mapping[str, Array]
) -> None:
    """Write everything but metrics.csv into a run folder that is under construction."""
    (folder / CONFIG).write_text(config.model_dump_json(indent=2) + "\n")
    weights = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    (folder / WEIGHTS).write_bytes(safetensors.torch.save(weights))
    if step_arrays:
        (folder / STEP_ARRAYS).write_bytes(safetensors.numpy.save(dict(step_arrays)))
    with atomic_file(folder / RECORD, force=True) as temporary:  # it says that the rest is whole
        temporary.write_text(record.model_dump_json(indent=2) + "\n")


def write_run_set(folder: Path, runs: RunSet) -> None:
    """Write what several runs in one folder have in common."""
    (folder / RUNS_MARK).write_text(runs.model_dump_json(indent=2) + "\n")


def load_run(folder: Path, *, code: str | None = None) -> Checkpoint:
    """Read a run folder; only JSON and safetensors are read, so that nothing in it can run code.

    `code` is the one ``package.module:factory`` that may be imported, for a run whose network is somebody's own.

    Raises
    ------
    ModelError
        If the folder is missing, no run folder, damaged, or its weights do not fit its configuration.
    """
    if (folder / RUNS_MARK).is_file():
        raise ModelError(f"{folder} holds several runs: name one of them, such as {folder / _first_run(folder)}")
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ModelError(f"{folder} {what}; expected a run folder, as `rosetta train -o` leaves it")
    config = _read_record(folder / CONFIG, RunConfig)
    record = read_run_record(folder)
    model = build_vae(config, code=code)
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


def read_run_record(folder: Path) -> RunRecord:
    """Read what happened in a training, or raise ModelError."""
    return _read_record(folder / RECORD, RunRecord)


def make_run_folder(folder: Path) -> bool:
    """Make the folder of one of several runs; tell whether a run that is done is there already."""
    folder.mkdir(exist_ok=True)
    return (folder / RECORD).is_file()


def _first_run(folder: Path) -> str:
    return min((each.parent.name for each in folder.glob(f"*/{RECORD}")), default="RUN")


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
