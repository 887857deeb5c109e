"""Run folders from trainings: one, or several in a folder of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from rosetta.arrays import Array, resolve_device
from rosetta.disclosure.memory import ADVICE, in_words, is_overfitted
from rosetta.errors import TrainingError
from rosetta.files import RUNS_MARK, check_output, read_small
from rosetta.inputs.prepare import Streamable
from rosetta.models.checkpoint import write_run_set
from rosetta.runs.configure import split_items, value_of
from rosetta.runs.fit import Hooks
from rosetta.runs.folder import (
    RunContext,
    enter,
    plot_runs,
    read_done,
    train_next,
    train_one,
    train_stacked,
)
from rosetta.runs.job import Job, make_job
from rosetta.runs.records import Diverged
from rosetta.runs.resume import document_of, hold_to_plan, recall, remember
from rosetta.runs.splitting import n_held_out
from rosetta.runs.step_times import measure_steps
from rosetta.schemas.reports import RunSetReport, TrainReport
from rosetta.schemas.run import AnchorSource, RunEntry, RunRecord, RunSet, StepTimes, TrainSettings
from rosetta.software import now
from rosetta.training.checkpoint import remove_state
from rosetta.training.devices import agreed, start
from rosetta.training.saving import interruptible

__all__ = ["RunContext", "train_alone", "train_set"]

VARIED = ("beta", "anchor_weight", "anchor_tolerance", "seed")  # what models that train side by side may differ in


Kind = Literal["replicates", "sweep"]
Mode = Literal["stacked", "sequential"]
Found = dict[str, RunRecord | Diverged]  # by the name of the run
Conclude = Callable[[RunSet, Path | None], RunSet]


@dataclass(frozen=True)
class Group:
    """What became of models that were trained together."""

    mode: Mode
    step_times: StepTimes | None  # where the mode was chosen by measurement
    found: Found = field(default_factory=dict)
    n_rows: float = 0.0  # of all of them
    elapsed_s: float = 0.0

    def with_more(self, found: Found) -> Group:
        """Return the group with more models, trained after the others."""
        records = [outcome for outcome in found.values() if isinstance(outcome, RunRecord)]
        spent = [record.elapsed_s for record in records] or [0.0]
        return replace(
            self,
            found=self.found | found,
            n_rows=self.n_rows + sum(r.rows_per_s * r.elapsed_s for r in records),
            elapsed_s=self.elapsed_s + (max(spent) if self.mode == "stacked" else sum(spent)),
        )


def train_alone(job: Job, folder: Path, manner: RunContext, *, plot: str | PathLike[str] | None) -> TrainReport:
    """Train one model and leave its run folder."""
    with ExitStack() as stack:
        work = enter(stack, folder, manner)
        _hold_to_plan(job, [job.settings], work, manner, kind="alone", mode="auto")
        outcome = train_one(job, job.settings, work, manner, name=folder.name)
        if isinstance(outcome, Diverged):
            raise TrainingError(outcome.message)
        if manner.is_first:
            plot_runs({folder.name: work}, plot, job, manner)
            _note_memory([outcome], manner)
    return TrainReport(
        run=str(folder),
        objective=outcome.objective,
        n_items=outcome.data.n_items,
        n_validation=outcome.data.n_validation,
        epochs=outcome.epochs,
        best_epoch=outcome.best_epoch,
        rows_per_s=outcome.rows_per_s,
        final=outcome.final,
        final_anchor_weight=outcome.final_anchor_weight,
        anchors=outcome.anchors,
    )


def train_set(
    job: Job,
    each: Sequence[TrainSettings],
    folder: Path,
    manner: RunContext,
    *,
    kind: Kind,
    mode: Mode | Literal["auto"],
    plot: str | PathLike[str] | None,
    at_once: int | None = None,
    conclude: Conclude = lambda runs, work: runs,
) -> RunSetReport:
    """Train several models and leave a folder of their run folders; those of a sweep may diverge.

    Parameters
    ----------
    at_once : int, optional
        How many are trained as one program at most; one group of so many comes after another.
    conclude : callable
        Called with the runs and, in the process that writes, with their folder before it is whole; returns the runs
        with what was concluded from them.
    """
    named = name_all(each)
    with ExitStack() as stack:
        work = enter(stack, folder, manner)
        _hold_to_plan(job, each, work, manner, kind=kind, mode=mode)
        group = train_groups(job, named, work, manner, kind=kind, mode=mode, at_once=at_once or len(named))
        runs = run_set(entries_of(named, group.found), group, kind)
        if all(entry.diverged for entry in runs.runs):
            raise TrainingError(f"all {len(named)} trainings diverged; the first: {runs.runs[0].diverged}")
        runs = conclude(runs, work if manner.is_first else None)
        if manner.is_first:
            write_run_set(work, runs)
            plot_runs({name: work / name for name in named if (work / name).is_dir()}, plot, job, manner)
            _note_memory([found for found in group.found.values() if isinstance(found, RunRecord)], manner)
    return report_of(job, runs, folder)


def train_plain(items: Array, folder: Path, settings: TrainSettings) -> None:
    """Train one model on items in memory, without anchors, logs or resuming, and leave its run folder.

    Parameters
    ----------
    items : float32 array, shape (n_items, …)
    """

    def ready() -> Job:
        check_output(folder, force=True)
        return make_job(
            items, settings, anchors=(), features=None, start_from=None, trusted_keys=(), trust_file=None
        )  # fmt: skip

    device = resolve_device(settings.device)
    job, fabric = start(ready, device, devices=1, nodes=1, precision_mode=settings.precision_mode)
    with interruptible() as interruption, closing(job.items):
        hooks = Hooks(lambda rows: None, lambda progress: None, lambda note: None, interruption, None, None)
        train_alone(job, folder, RunContext(fabric, hooks, (), resume=False, force=True), plot=None)


def _note_memory(records: Sequence[RunRecord], manner: RunContext) -> None:
    """Say which models have learned their training items by heart, as distilling will refuse their decoded points."""
    found = [each.memory for each in records if each.memory is not None and is_overfitted(each.memory)]
    if not found:
        return
    worst = max(found, key=lambda memory: memory.auc)
    which = "the model has" if len(records) == 1 else f"{len(found)} of {len(records)} models have"
    manner.hooks.on_note(
        f"{which} learned the training items by heart: {'' if len(found) == 1 else 'in the worst of them, '}"
        f"{in_words(worst)}. rosetta distill refuses to decode points from such a model, except with `privacy='open'`. "
        f"If others are to get such points, {ADVICE}"
    )


def _hold_to_plan(
    job: Job, each: Sequence[TrainSettings], work: Path, manner: RunContext, *, kind: Kind | Literal["alone"], mode: str
) -> None:
    """Refuse to go on with another training than was begun."""
    document = document_of(job, each, n_processes=manner.fabric.world_size) | {"kind": kind, "mode": mode}
    with agreed(manner.fabric):
        if manner.is_first:
            hold_to_plan(work, document, resume=manner.resume)


def train_groups(
    job: Job,
    named: Mapping[str, TrainSettings],
    work: Path,
    manner: RunContext,
    *,
    kind: Kind,
    mode: Mode | Literal["auto"],
    at_once: int,
) -> Group:
    """Train models into folders of `work`, so many at a time; what an interruption left done is not done again."""
    names = list(named)
    before = _done_before(work) if manner.resume else None
    if before is not None:
        group = Group(before.mode, before.step_times)
    else:
        group = Group(*_choose_mode(job, [named[name] for name in names[:at_once]], work, mode, manner))
    for begin in range(0, len(names), at_once):
        part = {name: named[name] for name in names[begin : begin + at_once]}
        found = _found_before(job, part, work, before, manner)
        if found is None and group.mode == "stacked":
            found = train_stacked(job, part, work, manner, goes_on=kind == "sweep")
        elif found is None:
            found = {
                name: train_next(job, settings, work / name, manner, goes_on=kind == "sweep")
                for name, settings in part.items()
            }
        group = group.with_more(found)
        if begin + at_once < len(names) and manner.is_first:
            write_run_set(work, run_set(entries_of(named, group.found), group, kind))
            remove_state(work)
    return group


def name_all(each: Sequence[TrainSettings]) -> dict[str, TrainSettings]:
    """Return models by the names of their runs: the settings that differ."""
    varied = _varied(each)
    return {
        "_".join(f"{key.replace('_', '-')}-{value_of(s, key)}".removesuffix(".0") for key in varied): s for s in each
    }


def entries_of(named: Mapping[str, TrainSettings], found: Found) -> list[RunEntry]:
    """Return what runs.json says of each model that was trained."""
    varied = _varied(list(named.values()))
    return [
        _entry(name, {key: value_of(named[name], key) for key in varied}, outcome) for name, outcome in found.items()
    ]


def run_set(entries: Sequence[RunEntry], group: Group, kind: Kind) -> RunSet:
    """Return what runs.json says."""
    return RunSet(
        created=now(),
        kind=kind,
        mode=group.mode,
        step_times=group.step_times,
        rows_per_s=round(group.n_rows / max(group.elapsed_s, 1e-9), 1),
        runs=tuple(entries),
    )


def report_of(job: Job, runs: RunSet, folder: Path) -> RunSetReport:
    """Return what is reported of several runs."""
    items = job.items
    n_items = len(items.inputs)
    n_held = n_held_out(job, items, job.settings)[0] if isinstance(items, Streamable) else None
    return RunSetReport(
        run=str(folder),
        n_items=n_items,
        n_validation=len(split_items(n_items, job.settings, job.groups)[0]) if n_held is None else n_held,
        anchors=tuple(
            AnchorSource(content_id=b.content_id, n_pairs=int(b.is_anchor.sum()), signed_by=who)
            for b, who in zip(job.bundles, job.signers, strict=True)
        ),
        runs=runs,
    )


def _varied(each: Sequence[TrainSettings]) -> list[str]:
    names = [*VARIED, *sorted({name for settings in each for name in settings.objective_settings})]
    return [name for name in names if len({value_of(settings, name) for settings in each}) > 1] or ["seed"]


def _done_before(work: Path) -> RunSet | None:
    """Return what an interrupted set of runs says of the groups that were done, if any was."""
    try:
        return RunSet.model_validate_json(read_small(work / RUNS_MARK, limit=1 << 28, what="a list of runs"))
    except (FileNotFoundError, ValidationError):  # none was, or the interruption came while it was written
        return None


def _found_before(
    job: Job, part: Mapping[str, TrainSettings], work: Path, before: RunSet | None, manner: RunContext
) -> Found | None:
    """Return what became of a group before the interruption, or None if it was not done."""
    done = {entry.name: entry.diverged for entry in before.runs} if before else {}
    if not part.keys() <= done.keys():
        return None
    return {
        name: read_done(job, settings, work / name, manner) if done[name] is None else Diverged(str(done[name]), ())
        for name, settings in part.items()
    }


def _entry(name: str, settings: dict[str, float | int | str], outcome: RunRecord | Diverged) -> RunEntry:
    if isinstance(outcome, Diverged):
        return RunEntry(name=name, settings=settings, diverged=outcome.message)
    return RunEntry(
        name=name,
        settings=settings,
        epochs=outcome.epochs,
        final=outcome.final,
        final_anchor_weight=outcome.final_anchor_weight,
    )


def _choose_mode(
    job: Job, each: Sequence[TrainSettings], work: Path, mode: Mode | Literal["auto"], manner: RunContext
) -> tuple[Mode, StepTimes | None]:
    chosen = recall(work, "chosen") if manner.resume else None
    if chosen is not None:  # before the interruption
        return chosen["mode"], None if chosen["times"] is None else StepTimes.model_validate(chosen["times"])
    if len(each) == 1 or manner.fabric.world_size > 1:
        return "sequential", None
    if mode != "auto":
        return mode, None
    times = measure_steps(job, each, manner.fabric)
    faster = times.stacked_s is not None and times.stacked_s < times.sequential_s
    mode = "stacked" if faster else "sequential"
    remember(work, "chosen", {"mode": mode, "times": times.model_dump(mode="json")})
    return mode, times
