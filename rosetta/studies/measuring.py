"""What is measured of a receiver: whether its coordinates are the sender's, and what it reconstructs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from rosetta.adapters import Loading
from rosetta.adapters.run import adapt_run
from rosetta.arrays import Array, Floats, flat
from rosetta.inputs.models import expected_by
from rosetta.inputs.prepare import match_inputs
from rosetta.metrics.fvu import fvu, fvu_mapped
from rosetta.models.checkpoint import Checkpoint, load_run
from rosetta.models.vae import decode_array, encode_array
from rosetta.studies.splits import Split

Figures = dict[str, tuple[float, ...]]


def measure(sender: Path, receivers: Sequence[Path], split: Split, *, device: torch.device) -> Figures:
    """Return the figures of a `rosetta.schemas.study.CellResult`, one value for each run folder of `receivers`.

    Raises
    ------
    MetricError
        If an encoder gives the same latents for every item.
    """
    reference, _ = _seen_by(load_run(sender), split.sender_held_out, device)
    runs = [_of_one(reference, load_run(folder), split, device) for folder in receivers]
    return {name: tuple(run[name] for run in runs) for name in runs[0]}


def _of_one(reference: Floats, run: Checkpoint, split: Split, device: torch.device) -> dict[str, float]:
    latents, sender_error = _seen_by(run, split.sender_held_out, device)
    _, own_error = _seen_by(run, split.receiver_held_out, device)
    anchor_rms = run.record.final.anchor_rms
    return {
        "fvu": fvu(reference, latents),
        "fvu_mapped": fvu_mapped(reference, latents),
        "reconstruction": own_error,
        "sender_reconstruction": sender_error,
        **({} if anchor_rms is None else {"anchor_rms": anchor_rms}),
    }


def _seen_by(run: Checkpoint, items: Array, device: torch.device) -> tuple[Floats, float]:
    """Return items' latents in the space's dimensions, and the mean squared error of decoding, summed over an item."""
    inputs = match_inputs(items, expected_by(adapt_run(run, Loading(device)))).inputs
    latents, _ = encode_array(run.model, inputs, device=device)
    errors = flat(decode_array(run.model, latents, device=device).astype(np.float64) - inputs) ** 2
    return latents[:, : run.space_dims], float(errors.sum(axis=1).mean())
