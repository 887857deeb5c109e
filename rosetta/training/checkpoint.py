"""The state of an unfinished training on disk: one file, whole or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rosetta.errors import TrainingError
from rosetta.files import CHECKPOINT, PLAN, atomic_file, read_small, remove, write_small

LARGEST_PLAN = 1 << 26  # bytes; a model's settings have about a thousand


def save_state(folder: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    """Write the state into `folder` in place of the one before, which stays until the new one is whole.

    Raises
    ------
    OutputError
        If it cannot be written; the one before is still there then.
    """
    with atomic_file(folder / CHECKPOINT, force=True) as temporary:
        try:
            safetensors.torch.save_file(dict(tensors), temporary, metadata={"rosetta": json.dumps(document)})
        except SafetensorError as error:  # so it says that the disk is full
            raise OSError(None, str(error)) from error


def remove_state(folder: Path) -> None:
    """Remove the state of a training that is done."""
    remove(folder / CHECKPOINT)


def save_plan(folder: Path, plan: Mapping[str, Any]) -> None:
    """Write down what is about to be trained in `folder`, for whoever goes on with it.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_small(folder / PLAN, json.dumps(plan).encode())


def load_plan(folder: Path) -> dict[str, Any] | None:
    """Return what was to be trained in `folder`, or None if nothing was.

    Raises
    ------
    TrainingError
        If it is damaged.
    """
    path = folder / PLAN
    try:
        plan = json.loads(read_small(path, limit=LARGEST_PLAN, what="what a training was told"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise TrainingError(f"{path} is damaged ({error}): start anew with `force`") from error
    if not isinstance(plan, dict) or not isinstance(plan.get("training"), dict):
        raise TrainingError(f"{path} is damaged, it says no training: start anew with `force`")
    return plan


def load_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return tensors and document of the state in `folder`, or None if there is none.

    Raises
    ------
    TrainingError
        If it is damaged.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            document = json.loads(file.metadata()["rosetta"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{path} is damaged ({error}): start anew with `force`") from error
    return tensors, document
