"""Several models of one job, trained as one program: from a job and each model's settings to weights and records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rosetta.errors import UsageError
from rosetta.models.side_by_side import VAEsSideBySide
from rosetta.models.vae import VAE
from rosetta.objectives.balance import Anchors
from rosetta.objectives.kinds import ANCHOR_TERMS
from rosetta.objectives.pairs import AnchorPool
from rosetta.runs.job import Job, anchors_of, balance_of, new_model, objective_of
from rosetta.runs.records import Diverged, Row, Trained, outcomes_of, row_of
from rosetta.runs.resume import document_of, refuse_differences
from rosetta.runs.splitting import final_items, split_job
from rosetta.schemas.run import TrainSettings
from rosetta.training.checkpoint import load_state, save_state
from rosetta.training.items import InMemory, Items
from rosetta.training.loggers import Loggers
from rosetta.training.loop import Training
from rosetta.training.plan import Epoch, Plan, Progress
from rosetta.training.procedures import Procedure, procedures
from rosetta.training.programs import Program, SideBySide, SingleModel, Stacked
from rosetta.training.saving import Interruption, SavePlan
from rosetta.training.schedule import Schedule
from rosetta.training.state import capture, restore

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Hooks:
    """How a training is watched and kept."""

    on_epoch: Callable[[list[Row]], None]
    on_progress: Callable[[Progress], None]
    on_note: Callable[[str], None]
    interruption: Interruption
    every_epochs: int | None
    every_minutes: float | None


def fit_models(
    job: Job,
    each: Sequence[TrainSettings],
    *,
    folder: Path,
    loggers: Sequence[Loggers],
    hooks: Hooks,
    fabric: Fabric,
    resume: bool,
    goes_on: bool = False,
) -> list[Trained | Diverged]:
    """Train models with these settings as one program; its state is kept in `folder`.

    Parameters
    ----------
    each : sequence of TrainSettings
        One for each model; they differ in seed, β, anchor weight and tolerance at most.
    loggers : sequence of Loggers
        One for each model; none in a process that is not the first.
    goes_on : bool
        Whether a model that diverges is left out; else that is a TrainingError.

    Raises
    ------
    RosettaError
        If a model diverges, or the state in `folder` is that of another training.
    """
    models = [new_model(job, settings) for settings in each]
    training, pool = make_training(job, each, models, fabric=fabric, goes_on=goes_on)
    rows: list[list[Row]] = [[] for _ in each]
    document = document_of(job, each, n_processes=fabric.world_size)
    saved = load_state(folder) if resume else None
    if saved is not None:
        tensors, found = saved
        refuse_differences(found["training"], document, hooks.on_note)
        restore(training, tensors, found["numbers"])
        rows = found["rows"]
    if resume:
        for logger in loggers:
            logger.rewind(training.epoch - 1)

    def log(epochs: list[Epoch]) -> None:
        made = [(epoch.model, row_of(epoch, pool)) for epoch in epochs]
        for model, row in made:
            rows[model].append(row)
            if loggers:
                loggers[model].log(row, int(row["epoch"] or 0))
        hooks.on_epoch([row for _, row in made])

    def save(training: Training) -> None:
        if fabric.global_rank == 0:
            tensors, numbers = capture(training)
            save_state(folder, tensors, {"training": document, "numbers": numbers, "rows": rows})

    keeper = SavePlan(
        save,
        epochs=hooks.every_epochs,
        minutes=hooks.every_minutes,
        interruption=hooks.interruption,
        on_note=hooks.on_note,
    )
    training.run(log, hooks.on_progress, keeper)
    return outcomes_of(job, each, models, training, pool, rows, measured_on=final_items(training))


def make_training(
    job: Job, each: Sequence[TrainSettings], models: Sequence[VAE], *, fabric: Fabric, goes_on: bool = False
) -> tuple[Training, AnchorPool | None]:
    """Return a training of these models, not begun, and the pairs that it is anchored to."""
    settings, device = job.settings, job.device
    pool = job.pool
    anchors = anchors_of(pool, each)
    items, held_out = split_job(job, each)
    held = [(s.anchor_tolerance * pool.total_sd) ** 2 if pool and s.anchor_weight == "auto" else None for s in each]
    plan = Plan(
        schedule=Schedule(settings.epochs, settings.lr, settings.lr_schedule, settings.lr_warmup, settings.kl_anneal),
        batch_size=settings.batch_size,
        advice={term.name: term.advice for term in (*ANCHOR_TERMS, *job.objective.terms) if term.advice is not None},
        clip=settings.clip,
        patience=settings.patience,
        anchor_targets=tuple(held),
        goes_on=goes_on,
    )
    training = Training(
        _program(job, models, anchors, fabric), balance_of(job, each, pool), anchors, items, held_out,
        plan=plan, seeds=[s.seed for s in each], device=device, fabric=fabric,
        procedure=_procedure(job, each, items, fabric),
    )  # fmt: skip
    return training, pool


def _procedure(job: Job, each: Sequence[TrainSettings], items: Items, fabric: Fabric) -> Procedure:
    """Return how steps are made, or raise UsageError where that is impossible."""
    kind = procedures.get(job.settings.procedure)
    if kind.needs is not None:
        for is_so, why in (
            (len(each) > 1, "with models that train as one program: pass `replicate_mode='sequential'`"),
            (not isinstance(items, InMemory), "with items that stay on disk: give more `memory_gib`"),
            (fabric.world_size > 1, "with several `devices`"),
            (bool(job.settings.tied), "with `tied` weights, which are the encoder's and the decoder's"),
            (not any(name.startswith("encoder.") for name, _ in new_model(job, each[0]).named_parameters()),
             f"with the network {job.settings.architecture}, whose encoder cannot be told from its decoder"),
        ):  # fmt: skip
            if is_so:
                raise UsageError(f"the procedure {job.settings.procedure} cannot be used {why}, as {kind.needs}")
    return kind.make(each[0].seed)


def _program(job: Job, models: Sequence[VAE], anchors: Anchors | None, fabric: Fabric) -> Program:
    """Return the models as the loop takes them: alone, side by side layer by layer, or stacked by torch.func."""
    compiled = job.settings.compile
    if len(models) == 1:
        objective = objective_of(job, models[0])
        called: Any = torch.compile(objective) if compiled else objective
        return SingleModel(objective, fabric.setup_module(called) if fabric.world_size > 1 else called)
    joined = VAEsSideBySide.of(models)
    if joined is None:
        axes = None if anchors is None else anchors.axes
        return Stacked([objective_of(job, model) for model in models], axes=axes, compiled=compiled)
    return SideBySide(
        objective_of(job, joined),
        len(models),
        weights_of=lambda number: {f"model.{name}": tensor for name, tensor in joined.weights(number).items()},
        take=lambda all_: joined.take([{n.removeprefix("model."): t for n, t in each.items()} for each in all_]),
        compiled=compiled,
    )
