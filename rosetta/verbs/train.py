"""Train a VAE, or an R-VAE when given bundles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from os import PathLike
from pathlib import Path
from typing import Literal, Unpack

from rosetta.arrays import Array, resolve_device
from rosetta.errors import UsageError
from rosetta.files import Paths, check_output
from rosetta.inputs.matching import Features
from rosetta.inputs.prepare import COUNTS, Prepared, Streamable
from rosetta.inputs.streaming import gibibytes
from rosetta.notes import keeps_notes
from rosetta.policies import load_policy
from rosetta.runs.advice import guidance
from rosetta.runs.configure import sorted_out, split_items
from rosetta.runs.fit import Hooks
from rosetta.runs.job import Job, make_job
from rosetta.runs.records import Row
from rosetta.runs.run_set import RunContext, train_alone, train_set
from rosetta.runs.splitting import n_held_out
from rosetta.schemas.keywords import TrainOptions
from rosetta.schemas.reports import RunSetReport, TrainReport
from rosetta.schemas.run import TrainSettings
from rosetta.settings import check_settings
from rosetta.training.devices import (
    check_counts,
    is_first_process,
    launched_processes,
    spoken_by_first,
    start,
)
from rosetta.training.loggers import METRICS, choose_loggers
from rosetta.training.loggers.csv import read_metrics
from rosetta.training.plan import Progress
from rosetta.training.procedures import procedures
from rosetta.training.saving import interruptible

UNUSUAL_VALUE = 20.0  # beyond this, inputs are probably raw numbers that were meant to be scaled

ReplicateMode = Literal["auto", "stacked", "sequential"]


@keeps_notes
def train(
    data: str | Array,
    output: str | PathLike[str],
    *,
    anchors: Paths = (),
    features: Features = None,
    policy: str | PathLike[str] | None = None,
    groups: str | None = None,
    trusted_keys: Paths = (),
    trust_file: str | PathLike[str] | None = None,
    start_from: str | PathLike[str] | None = None,
    replicates: int = 1,
    replicate_mode: ReplicateMode = "auto",
    devices: int = 1,
    nodes: int = 1,
    memory_gib: float | None = None,
    resume: bool = False,
    checkpoint_epochs: int | None = None,
    checkpoint_minutes: float | None = 10.0,
    log: Sequence[str] = (),
    plot: str | PathLike[str] | None = None,
    force: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_epoch: Callable[[list[Row]], None] = lambda rows: None,
    on_note: Callable[[str], None] = lambda note: None,
    **settings: Unpack[TrainOptions],
) -> TrainReport | RunSetReport:
    """Train a VAE on `data`, anchored to the Rosetta pairs of `anchors` if there are any, and leave a run folder.

    Parameters
    ----------
    data : str or array, shape (n_items, …)
        ``file.npy``, ``file.npz::name``, ``file.h5::path``, or the items themselves.
    output : path
        The run folder to make; with several replicates, the folder of their run folders.
    anchors : path or sequence of paths
        Bundles of one latent space. Their preprocessing is repeated on the data.
    features : str or sequence of str, optional
        Names of the features, or where they stand; needed where a bundle names its own.
    policy : path, optional
        A ``policy.toml``, as `distill` takes it: what its `excluded_rows` and `excluded_groups` name is left out before
        anything is fitted. Its other clauses are about bundles.
    groups : str, optional
        A column of the data, or a source such as ``file.npz::donor``, that says whose each item is: nobody then has
        items both among the held-out ones and among those trained on.
    trusted_keys, trust_file : optional
        As in `verify`: where one is given, every bundle must be signed by one of these keys.
    start_from : path, optional
        A run folder of the same network, whose weights the training begins with.
    replicates : int
        Number of trainings that differ by seed alone: `seed`, `seed` + 1, and so on.
    replicate_mode : "auto", "stacked" or "sequential"
        All as one program, or one after another; ``"auto"`` measures a few steps of both.
    devices, nodes : int
        Processes on each machine, each with a device, and machines.
    memory_gib : float, optional
        Items kept in memory, in GiB as 32-bit floats; more are streamed from disk in shuffled blocks. By default half
        of the machine's memory, or of the GPU's where that is less; processes share it.
    resume : bool
        Go on with an interrupted training of the same output, if there is one.
    checkpoint_epochs, checkpoint_minutes : optional
        How often the state is saved, to resume from; never where both are None.
    log : sequence of str
        ``tensorboard``, ``wandb``, ``mlflow``: where figures go beside metrics.csv.
    plot : path, optional
        A PNG to draw of losses, active units, anchor error and weight over epochs.
    force : bool
        Replace a run folder that is there, and discard an interrupted training.
    on_progress : callable
        Called about ten times a second with a `rosetta.training.plan.Progress`.
    on_epoch : callable
        Called after each epoch with the rows of metrics.csv, one for each model that trains.
    on_note : callable
        Called with what the user should know about the data or the result.
    **settings
        The fields of `rosetta.schemas.run.TrainSettings`, such as ``latent_dim``, ``hidden``, ``epochs``,
        ``beta``, ``anchor_weight``, ``seed``.

    Returns
    -------
    TrainReport, or RunSetReport for several replicates
        Losses in nats an item, averaged over the held-out items.

    Raises
    ------
    RosettaError
        For settings, data, bundles or outputs that cannot be used, or signatures that are refused (SignatureError);
        nothing is left behind then. TrainingError if the training diverges: what was saved before stays, to resume
        from.
    """
    folder = Path(output)
    with spoken_by_first():
        chosen = check_settings(TrainSettings, sorted_out(settings))
        device = resolve_device(chosen.device)
        _check_counts(replicates=replicates, devices=devices, nodes=nodes, checkpoint_epochs=checkpoint_epochs)
        if replicates == 1 and replicate_mode != "auto":
            raise UsageError("`replicate_mode` has no effect on one training: pass `replicates` too, or leave it out")
        if replicates > 1 and devices * nodes > 1 and replicate_mode == "stacked":
            raise UsageError("replicates stack on one device: leave `devices` and `nodes` out, or take sequential")

    def ready() -> Job:
        if is_first_process():
            if plot is not None:
                check_output(Path(plot), force=force or resume, suffix=".png")  # not after hours of training
            check_output(folder, force=force or resume)  # a finished one is no run to resume, and refused as such
        choose_loggers(log)
        job = make_job(
            data, chosen, anchors=anchors, features=features, start_from=start_from,
            trusted_keys=trusted_keys, trust_file=trust_file,
            memory_gib=memory_gib, n_processes=max(devices, launched_processes()),
            policy=None if policy is None else load_policy(policy), groups=groups,
        )  # fmt: skip
        if max(devices * nodes, launched_processes()) > 1:
            n_items = len(job.items.inputs)
            n_trained = len(split_items(n_items, chosen, job.groups)[1])
            check_counts(devices=devices, nodes=nodes, n_items=n_trained, batch_size=chosen.batch_size)
        return job

    job, fabric = start(ready, device, devices=devices, nodes=nodes, precision_mode=chosen.precision_mode)
    for note in (*job.items.info.notes, *job.notes):
        on_note(note)
    if chosen.likelihood not in COUNTS:
        _note_range(job.items, on_note)
    if chosen.align and start_from is None:
        on_note("`align` rotates latents that are not trained yet, which mostly does harm: it is for `start_from`")
    if procedures.get(chosen.procedure).needs is not None and replicate_mode == "auto":
        replicate_mode = "sequential"
    if isinstance(job.items, Streamable):
        replicate_mode = _one_after_another(
            replicate_mode, "items in memory, and these stay on disk", "give more `memory_gib`"
        )
        _note_streaming(job, job.items, job.settings, on_note)
    elif groups is not None:
        replicate_mode = _one_after_another(
            replicate_mode, "as many held-out items each, and `groups` holds out whole groups", "leave `groups` out"
        )
    with interruptible() as interruption, closing(job.items):
        hooks = Hooks(on_epoch, on_progress, on_note, interruption, checkpoint_epochs, checkpoint_minutes)
        manner = RunContext(fabric, hooks, log, resume=resume, force=force)
        if replicates > 1:
            each = [job.settings_with({"seed": job.settings.seed + number}) for number in range(replicates)]
            return train_set(job, each, folder, manner, kind="replicates", mode=replicate_mode, plot=plot)
        report = train_alone(job, folder, manner, plot=plot)
    if is_first_process() and job.pool is not None:
        for note in guidance(report, job.config, read_metrics(folder / METRICS), total_sd=job.pool.total_sd):
            on_note(note)
    return report


def _check_counts(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and (not isinstance(count, int) or count < 1):
            raise UsageError(f"`{name}` is {count}; expected a whole number from 1")


def _one_after_another(mode: ReplicateMode, needed: str, advice: str) -> ReplicateMode:
    if mode == "stacked":
        raise UsageError(f"replicates are stacked on {needed}: leave `replicate_mode` out, or {advice}")
    return "sequential"


def _note_streaming(job: Job, items: Streamable, settings: TrainSettings, on_note: Callable[[str], None]) -> None:
    blocks = items.blocks
    on_note(
        f"the items would take {gibibytes(4 * items.inputs.item_size * len(items.inputs))} of memory, more than "
        f"`memory_gib` allows: they are streamed from disk in shuffled blocks of {blocks.block:,}, and batches are "
        f"drawn from {blocks.pool:,} at a time"
    )
    n_held, wanted = n_held_out(job, items, settings)
    if not wanted:
        on_note("no items are held out, and not all fit into memory: the final figures are over a sample of them")
    elif n_held < wanted and job.groups is not None:
        on_note(
            f"of {wanted:,} held-out items, {n_held:,} are measured on: they must fit into a quarter of `memory_gib`"
        )
    elif n_held < wanted:
        on_note(
            f"{n_held:,} items are held out and not {wanted:,} (`validation={settings.validation:g}`): they must fit "
            "into a quarter of `memory_gib`"
        )


def _note_range(items: Prepared | Streamable, on_note: Callable[[str], None]) -> None:
    low, high = items.facts.low, items.facts.high
    if not items.info.steps and max(-low, high) > UNUSUAL_VALUE:
        on_note(
            f"the inputs range from {low:g} to {high:g} and are not preprocessed: most trainings go better with "
            f"`preprocess='standardize'` or `preprocess='scale({low:g}, {high:g})'`"
        )
