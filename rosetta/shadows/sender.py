"""A shadow sender: the run's training repeated on other items, and points made as the bundle's were."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rosetta.adapters import Adapted, Loading, Training
from rosetta.adapters import open_model as load
from rosetta.arrays import Array, Floats
from rosetta.distillation.plan import portions_of
from rosetta.distillation.points import make_points
from rosetta.distillation.sender import DistillRequest, open_sender
from rosetta.errors import UsageError
from rosetta.runs.configure import split_items
from rosetta.runs.run_set import train_plain
from rosetta.schemas.distill import DistillSettings
from rosetta.schemas.run import RunConfig, TrainSettings


@dataclass(frozen=True)
class ShadowRelease:
    """What a sender gives away, and the model that it keeps."""

    inputs: Array  # float32, shape (n_points, …)
    latents: Floats  # float32, shape (n_points, n_dims)
    model: Adapted


def check_repeatable(training: Training | None) -> Training:
    """Return the training that shadows repeat, or raise UsageError if it cannot be repeated from the run folder."""
    if training is None:
        raise UsageError(
            "shadow senders repeat the training of a run of rosetta train: pass its folder with `model`; models of "
            "others cannot be trained here"
        )
    if training.record.anchors:
        raise UsageError(
            "the run was anchored to another bundle, and shadow senders do not repeat that yet: leave `thorough` or "
            "`canaries` out"
        )
    if training.record.started_from is not None:
        raise UsageError(
            "the run started from another one (`start_from`), whose weights shadow senders lack: leave `thorough` or "
            "`canaries` out"
        )
    return training


def train_shadow(
    folder: Path, inputs: Array, spare: Array, config: RunConfig, *, seed: int, epochs: int | None = None
) -> None:
    """Train a model as the run was trained, on exactly these inputs.

    Parameters
    ----------
    folder : path
        The run folder to make.
    inputs : float32 array, shape (n_items, …)
        Preprocessed as the run's inputs are.
    spare : float32 array, shape (n_spare, …)
        Other items, on which the training is measured where the run stopped early.
    config : RunConfig
        The run's.
    seed : int
        The shadow's own.
    epochs : int, optional
        Fewer than the run's, for tests of speed.
    """
    stops_early = config.settings.patience is not None
    changes = {
        "seed": seed,
        "preprocess": "none",
        "latent_dim": config.latent_dim,
        "validation": config.settings.validation if stops_early else 0.0,
        "epochs": epochs or config.settings.epochs,
    }
    settings = TrainSettings(**(config.settings.model_dump() | changes))
    items = _with_held_out(inputs, spare, settings) if stops_early else inputs
    train_plain(items, folder, settings)


def points_of(
    run: Path, inputs: Array, settings: DistillSettings, *, device: torch.device, code: str | None
) -> ShadowRelease:
    """Distil a shadow run with the bundle's recipe, from the items that it was trained on."""
    loading = Loading(device, code)
    model = load(str(run), loading)
    asked = DistillRequest(inputs, str(run), loading, budget=1 << 60)
    with open_sender(run.with_suffix(".h5"), asked, model, settings, None, on_rows=lambda done, of: None) as opened:
        points = make_points(opened.sender, portions_of(settings), settings)
        return ShadowRelease(points.inputs, opened.label(points)[0], model)


def _with_held_out(inputs: Array, spare: Array, settings: TrainSettings) -> Array:
    """Return items whose split, by these settings, trains on all of `inputs` and measures on some of `spare`."""
    n_all = round(len(inputs) / (1 - settings.validation))
    while n_all - round(settings.validation * n_all) > len(inputs):
        n_all -= 1
    while n_all - round(settings.validation * n_all) < len(inputs):
        n_all += 1
    held_out, trained = split_items(n_all, settings)
    if len(held_out) > len(spare):
        raise UsageError(
            f"the run holds out {settings.validation:.0%} of its items to know when to stop, {len(held_out):,} "
            f"for a shadow, and only {len(spare):,} others are there: pass more with `held_out`"
        )
    items = np.empty((n_all, *inputs.shape[1:]), dtype=np.float32)
    items[trained], items[held_out] = inputs, spare[: len(held_out)]
    return items
