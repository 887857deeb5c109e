"""One process of those that share a sweep: it takes models, trains them, and tells what became of them."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from rosetta.errors import IncompatibleError, OutputError, TrainingError
from rosetta.files import RUNS_MARK, check_output
from rosetta.models.checkpoint import make_run_folder, write_run_set
from rosetta.runs.configure import value_of
from rosetta.runs.folder import RunContext, enter, plot_runs
from rosetta.runs.job import Job
from rosetta.runs.resume import document_of, hold_to_plan
from rosetta.runs.run_set import Conclude, Group, Mode, entries_of, report_of, run_set, train_groups
from rosetta.schemas.reports import RunSetReport
from rosetta.schemas.run import RunEntry, TrainSettings
from rosetta.sweeps.criteria import RankingRule
from rosetta.sweeps.grids import Grid
from rosetta.sweeps.results import BEST, PICTURE, TABLE
from rosetta.sweeps.shared import ClaimedRun, Study, open_study

AT_WORK = "training-"  # begins the name of a folder that a process trains in
LONGEST_WAIT_S = 5.0


@dataclass(frozen=True)
class Sharing:
    """What several processes share, and how."""

    storage: str
    study: str
    stale_s: int
    at_once: int
    grid: Grid
    judge: RankingRule


def sweep_shared(
    job: Job,
    named: Mapping[str, TrainSettings],
    folder: Path,
    manner: RunContext,
    sharing: Sharing,
    *,
    mode: Mode | Literal["auto"],
    plot: str | PathLike[str] | None,
    conclude: Conclude,
) -> RunSetReport:
    """Train models that wait in the study until all are done, here or elsewhere; then conclude."""
    _prepare(folder, named)
    points = [{name: value_of(s, name) for name in (*sharing.grid, "seed")} for s in named.values()]
    with open_study(
        sharing.storage, sharing.study, _document(job, named, sharing), points,
        higher_is_better=sharing.judge.criterion.is_better == "higher", stale_s=sharing.stale_s,
        on_note=manner.hooks.on_note,
    ) as study:  # fmt: skip
        is_finished = (folder / RUNS_MARK).exists()  # it is written when all models are done, so look at it first
        if is_finished and len(study.outcomes()) < len(named):
            raise OutputError(f"{folder} holds a finished sweep, and {sharing.study} is another: choose another output")
        _train_all(job, named, folder, manner, sharing, study, mode=mode)
        outcomes = study.outcomes()
    entries = [RunEntry.model_validate_json(outcomes[number]["entry"]) for number in range(len(named))]
    if all(entry.diverged for entry in entries):
        raise TrainingError(f"all {len(named)} trainings diverged; the first: {entries[0].diverged}")
    is_stacked = all(outcome["mode"] == "stacked" for outcome in outcomes.values())
    n_rows, elapsed_s = (sum(outcome[key] for outcome in outcomes.values()) for key in ("n_rows", "elapsed_s"))
    group = Group("stacked" if is_stacked else "sequential", None, {}, n_rows, elapsed_s)
    runs = conclude(run_set(entries, group, "sweep"), folder)
    write_run_set(folder, runs)
    best = outcomes[list(named).index(str(runs.best))]
    if not (folder / str(runs.best)).is_dir():
        manner.hooks.on_note(f"the best run is on {best['host']}, where it was trained, in {best['folder']}")
    if left := sorted(folder.glob("*.unfinished")):
        manner.hooks.on_note(f"{left[0]} is what a process that died has left: nothing needs it, remove it")
    here = {name: folder / name for name in named if (folder / name).is_dir()}
    plot_runs(here, plot, job, _going_on(manner, resume=True))  # every process draws, the last one over the others
    return report_of(job, runs, folder)


def _train_all(
    job: Job,
    named: Mapping[str, TrainSettings],
    folder: Path,
    manner: RunContext,
    sharing: Sharing,
    study: Study,
    *,
    mode: Mode | Literal["auto"],
) -> None:
    names, is_waiting = list(named), False
    while True:
        taken = study.take(sharing.at_once)
        if taken:
            with study.alive(taken):
                part = {names[each.model]: named[names[each.model]] for each in taken}
                group = _train_part(job, named, part, folder, manner, mode=mode)
                _tell(study, taken, named, group, folder, sharing.judge)
            continue
        n_left = len(names) - len(study.outcomes())
        if not n_left:
            return
        if not is_waiting:
            is_waiting = True
            manner.hooks.on_note(f"waiting for {n_left} models that other processes train")
        _wait(manner, min(LONGEST_WAIT_S, sharing.stale_s / 2))


def _train_part(
    job: Job,
    named: Mapping[str, TrainSettings],
    part: Mapping[str, TrainSettings],
    folder: Path,
    manner: RunContext,
    *,
    mode: Mode | Literal["auto"],
) -> Group:
    """Train a few models in a folder of their own, and put their run folders where they belong."""
    place = folder / f"{AT_WORK}{next(iter(part))}"
    shutil.rmtree(place, ignore_errors=True)  # a process died when it had become whole
    try:
        group = _train_in(place, job, part, _going_on(manner, resume=True), mode=mode)
    except IncompatibleError:  # the process that left it trained others with it, or on another device
        group = _train_in(place, job, part, _going_on(manner, resume=False), mode=mode)
    for name in part:
        if (place / name).is_dir():
            shutil.rmtree(folder / name, ignore_errors=True)
            (place / name).rename(folder / name)
    shutil.rmtree(place)
    return group


def _train_in(
    place: Path, job: Job, part: Mapping[str, TrainSettings], manner: RunContext, *, mode: Mode | Literal["auto"]
) -> Group:
    each = list(part.values())
    with ExitStack() as stack:
        work = enter(stack, place, manner)
        document = document_of(job, each, n_processes=1) | {"kind": "sweep", "mode": mode}
        hold_to_plan(work, document, resume=manner.resume)
        return train_groups(job, part, work, manner, kind="sweep", mode=mode, at_once=len(part))


def _tell(
    study: Study,
    taken: Sequence[ClaimedRun],
    named: Mapping[str, TrainSettings],
    group: Group,
    folder: Path,
    judge: RankingRule,
) -> None:
    names = list(named)
    entries = {entry.name: entry for entry in entries_of(named, group.found)}
    for each in taken:
        entry = entries[names[each.model]]
        outcome = {
            "entry": entry.model_dump_json(),
            "mode": group.mode,
            "n_rows": group.n_rows / len(taken),
            "elapsed_s": group.elapsed_s / len(taken),
            "host": socket.gethostname(),
            "folder": str((folder / entry.name).absolute()),
        }
        study.tell(each, outcome, judge.score(entry, named[entry.name]))


def _document(job: Job, named: Mapping[str, TrainSettings], sharing: Sharing) -> dict[str, Any]:
    """Return what tells one sweep from another; each process may use another device."""
    one = document_of(job, [job.settings], n_processes=1)
    (settings,) = one["models"]
    swept = {name: list(values) for name, values in sharing.grid.items()}
    n_points = len({tuple(value_of(s, name) for name in swept) for s in named.values()})
    given = {f"`{name}`": value for name, value in settings.items() if name not in (*swept, "device")}
    return given | {
        **{f"`grid={name.replace('_', '-')}`": values for name, values in swept.items()},
        "`replicates`": len(named) // n_points,
        "`criterion`": str(sharing.judge),
        "`anchors`": one["bundles"],
        "`start_from`": one["start"],
        "the data": one["data"],
        "software": one["software"],
    }


def _prepare(folder: Path, named: Mapping[str, TrainSettings]) -> None:
    """Make the folder, which others may make too; one that is there must hold nothing but this sweep."""
    if not folder.exists():
        check_output(folder, force=False)
    elif not folder.is_dir():
        raise OutputError(f"{folder} is a file, but a sweep leaves a folder: choose another name")
    make_run_folder(folder)
    known = {*named, RUNS_MARK, TABLE, PICTURE, BEST}
    for each in folder.iterdir():
        if each.name not in known and not each.name.startswith((AT_WORK, ".")):
            raise OutputError(f"{folder} holds {each.name}, which is not of this sweep: choose another output")


def _going_on(manner: RunContext, *, resume: bool) -> RunContext:
    return RunContext(manner.fabric, manner.hooks, manner.log, resume=resume, force=not resume)


def _wait(manner: RunContext, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if manner.hooks.interruption.signal is not None:
            raise KeyboardInterrupt
        time.sleep(0.1)
