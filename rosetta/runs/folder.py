"""The folders of runs as they grow: a model, or several at once, trained into them; what an interruption left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from rosetta.files import growing_folder, unfinished
from rosetta.models.checkpoint import load_run, make_run_folder, write_run
from rosetta.runs.fit import Hooks, fit_models
from rosetta.runs.job import Job
from rosetta.runs.records import USUAL_TERMS, Diverged, Trained
from rosetta.runs.resume import document_of, refuse_differences
from rosetta.schemas.run import RunRecord, TrainSettings
from rosetta.training.checkpoint import remove_state
from rosetta.training.devices import agreed, spoken_once
from rosetta.training.loggers import METRICS, Loggers, open_loggers
from rosetta.training.loggers.csv import read_metrics
from rosetta.training.saving import Interrupted

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class RunContext:
    """How trainings are run, watched and written, whatever they are of."""

    fabric: Fabric
    hooks: Hooks
    log: Sequence[str]
    resume: bool
    force: bool

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.fabric.global_rank == 0

    @property
    def heard(self) -> Hooks:
        """The hooks; of several processes only the first one tells how it goes."""
        if self.is_first:
            return self.hooks
        return replace(
            self.hooks, on_epoch=lambda rows: None, on_progress=lambda progress: None, on_note=lambda note: None
        )


def enter(stack: ExitStack, folder: Path, manner: RunContext) -> Path:
    """Return the folder that grows; the first process makes it, the others wait for it. What ends all is said once."""
    stack.enter_context(_interrupted(folder, manner))
    stack.enter_context(spoken_once(manner.fabric))
    with agreed(manner.fabric):
        if manner.is_first:
            stack.enter_context(growing_folder(folder, force=manner.force, resume=manner.resume))
    return unfinished(folder)


@contextmanager
def _interrupted(folder: Path, manner: RunContext) -> Iterator[None]:
    """Say of an interruption how to go on, where there is something to go on from."""
    try:
        yield
    except KeyboardInterrupt as error:
        work = unfinished(folder)
        raise Interrupted(
            manner.hooks.interruption.signal,
            f"stopped; what was saved is in {work}: the same command with `resume` goes on from there"
            if work.exists()
            else "",
        ) from error


def train_one(
    job: Job, settings: TrainSettings, work: Path, manner: RunContext, *, name: str, goes_on: bool = False
) -> RunRecord | Diverged:
    """Train one model into the folder `work`."""
    with ExitStack() as stack:
        loggers = _open(stack, {name: work}, {name: settings}, manner)
        (outcome,) = fit_models(
            job, [settings], folder=work, loggers=loggers, hooks=manner.heard, fabric=manner.fabric,
            resume=manner.resume, goes_on=goes_on,
        )  # fmt: skip
        return _write(job, work, outcome, loggers[0] if loggers else None)


def train_next(
    job: Job, settings: TrainSettings, folder: Path, manner: RunContext, *, goes_on: bool
) -> RunRecord | Diverged:
    """Train one of several that come one after another, unless it was done before an interruption."""
    is_done = manner.fabric.broadcast(manner.is_first and make_run_folder(folder))
    outcome: RunRecord | Diverged
    if is_done:
        outcome = read_done(job, settings, folder, manner)
    else:
        outcome = train_one(job, settings, folder, manner, name=folder.name, goes_on=goes_on)
    if manner.is_first:
        remove_state(folder)
    return outcome


def train_stacked(
    job: Job, named: Mapping[str, TrainSettings], work: Path, manner: RunContext, *, goes_on: bool
) -> dict[str, RunRecord | Diverged]:
    """Train several models as one program, each into its folder in `work`."""
    for name in named:
        make_run_folder(work / name)
    with ExitStack() as stack:
        loggers = _open(stack, {name: work / name for name in named}, named, manner)
        outcomes = fit_models(
            job, list(named.values()), folder=work, loggers=loggers, hooks=manner.heard, fabric=manner.fabric,
            resume=manner.resume, goes_on=goes_on,
        )  # fmt: skip
        return {
            name: _write(job, work / name, outcome, logger)
            for (name, outcome), logger in zip(zip(named, outcomes, strict=True), loggers, strict=True)
        }


def _open(
    stack: ExitStack, folders: Mapping[str, Path], named: Mapping[str, TrainSettings], manner: RunContext
) -> list[Loggers]:
    if not manner.is_first:
        return []
    return [
        stack.enter_context(
            open_loggers(
                manner.log, folder, name=name, settings=named[name].model_dump(), resumed=_has_metrics(folder, manner)
            )
        )
        for name, folder in folders.items()
    ]


def _has_metrics(folder: Path, manner: RunContext) -> bool:
    return manner.resume and (folder / METRICS).is_file()


def _write(job: Job, folder: Path, outcome: Trained | Diverged, logger: Loggers | None) -> RunRecord | Diverged:
    if isinstance(outcome, Diverged):
        if logger:
            logger.fail(outcome.message)
        return outcome
    if logger:
        final = outcome.record.final
        logger.finish({name: value for name, value in final.model_dump().items() if value is not None})
        write_run(folder, outcome.model, outcome.config, outcome.record, step_arrays=job.step_arrays)
    return outcome.record


def read_done(job: Job, settings: TrainSettings, folder: Path, manner: RunContext) -> RunRecord:
    """Return what happened in a training that was done before the interruption, if it is the one asked for."""
    run = load_run(folder, code=settings.architecture)
    mine = document_of(job, [settings], n_processes=manner.fabric.world_size)
    theirs = mine | {"models": [run.config.settings.model_dump(mode="json")], "processes": run.record.processes}
    refuse_differences(theirs, mine, manner.heard.on_note)
    return run.record


def plot_runs(folders: Mapping[str, Path], plot: str | PathLike[str] | None, job: Job, manner: RunContext) -> None:
    """Draw how trainings went, if a picture is asked for."""
    if plot is None:
        return
    from rosetta.charts import training_curves

    rows = {name: read_metrics(folder / METRICS) for name, folder in folders.items()}
    held = job.bundles and job.settings.anchor_weight == "auto"
    training_curves(
        rows, Path(plot), title="Training", tolerance=job.settings.anchor_tolerance if held else None,
        force=manner.force or manner.resume,
        terms={term.name: term.title for term in job.objective.terms if term.name not in USUAL_TERMS},
    )  # fmt: skip
