"""One cell of the study: the bundle, the receivers, and what is measured of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rosetta.errors import MetricError, SelectionError, TrainingError
from rosetta.files import RUN_MARK, RUNS_MARK
from rosetta.models.checkpoint import load_run
from rosetta.schemas.reports import DistillReport
from rosetta.schemas.study import BundleFigures, CellResult, StudyCell
from rosetta.studies.cells import points_of
from rosetta.studies.folders import StudyWorkspace, figures_of, read_document, write_document
from rosetta.studies.measuring import measure

SENDERS_SEED = 1000  # the receivers' are 0, 1, …: with the same one, they would begin with the sender's weights
WORDS: dict[str, Any] = {
    "license": "LicenseRef-study",
    "title": "A bundle of the study of origins",
    "creators": ("rosetta study",),
}


class Commands(NamedTuple):
    """What a study repeats: `rosetta.train` and `rosetta.distill`, which stand above this room."""

    train: Callable[..., Any]
    distill: Callable[..., DistillReport]


def train_sender(bench: StudyWorkspace, commands: Commands, *, device: str) -> None:
    """Train the sender's model, unless it is there."""
    if not (bench.sender / RUN_MARK).is_file():
        chosen = bench.data.training
        _train(
            commands, bench, bench.split.sender, bench.sender, device=device, seed=SENDERS_SEED,
            latent_dim=chosen.latent_dim, epochs=chosen.epochs,
        )  # fmt: skip


def run_cell(bench: StudyWorkspace, cell: StudyCell, commands: Commands, *, device: torch.device) -> CellResult:
    """Make the points, train the receivers and measure them; say why, where that is impossible."""
    started = time.perf_counter()
    try:
        figures = None if cell.origin == "none" else _make_bundle(bench, cell, commands, device=device.type)
        receivers = _train_receivers(bench, cell, commands, device=device.type)
        measured: dict[str, Any] = {**measure(bench.sender, receivers, bench.split, device=device)}
    except (SelectionError, TrainingError, MetricError) as error:
        return CellResult(cell=cell, impossible=str(error), elapsed_s=_since(started))
    return CellResult(
        cell=cell,
        **measured,
        n_bytes=figures.n_bytes if figures else None,
        audit=figures.audit if figures else None,
        elapsed_s=_since(started),
    )


def _make_bundle(bench: StudyWorkspace, cell: StudyCell, commands: Commands, *, device: str) -> BundleFigures:
    """Distil the bundle of a cell, unless it is there."""
    path = bench.bundle(cell)
    figures = read_document(figures_of(path), BundleFigures)
    if figures is not None and path.is_file():
        return figures
    split = bench.split
    points = points_of(cell) | ({"points_from": split.public} if cell.origin == "public" else {})
    report = commands.distill(
        bench.sender, split.sender, path, held_out=split.sender_held_out, device=device, force=True,
        reproducible=True, **points, **WORDS,
    )  # fmt: skip
    figures = BundleFigures(n_bytes=path.stat().st_size, audit=report.audit)
    write_document(figures_of(path), figures)
    return figures


def _train_receivers(bench: StudyWorkspace, cell: StudyCell, commands: Commands, *, device: str) -> list[Path]:
    """Train the receivers of a cell, unless they are there, and return their run folders."""
    folder, chosen, n_receivers = bench.receivers(cell), bench.data.training, bench.data.replicates
    if cell.origin == "none":
        how: dict[str, Any] = {"latent_dim": chosen.latent_dim}
    else:
        how = {"anchors": bench.bundle(cell), "anchor_tolerance": cell.tolerance}
        how["anchor_decoder_weight"] = cell.decoder_weight
        if cell.free_dims:
            how["latent_dim"] = load_run(bench.sender).space_dims + cell.free_dims
    if not (folder / (RUN_MARK if n_receivers == 1 else RUNS_MARK)).is_file():
        _train(
            commands, bench, bench.split.receiver, folder, device=device, seed=0, replicates=n_receivers,
            epochs=chosen.receiver_epochs, **how,
        )  # fmt: skip
    return [folder] if n_receivers == 1 else [folder / f"seed-{seed}" for seed in range(n_receivers)]


def _train(commands: Commands, bench: StudyWorkspace, items: Any, folder: Path, **settings: Any) -> None:
    """Train anew: what an earlier process left unfinished is discarded, and nothing is held out, as the split does."""
    chosen = bench.data.training
    commands.train(
        items, folder, hidden=chosen.hidden, batch_size=chosen.batch_size, validation=0.0, force=True,
        checkpoint_minutes=None, **settings,
    )  # fmt: skip


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 2)
