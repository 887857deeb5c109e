"""Train every point of a grid of settings, and say which is best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from rosetta.arrays import Array, resolve_device
from rosetta.errors import UsageError
from rosetta.files import Paths, check_output, listed, shown
from rosetta.inputs.matching import Features
from rosetta.inputs.prepare import Streamable
from rosetta.notes import keeps_notes
from rosetta.runs.fit import Hooks
from rosetta.runs.job import Job, make_job, new_model
from rosetta.runs.records import Row
from rosetta.runs.run_set import VARIED, RunContext, name_all, train_set
from rosetta.schemas.keywords import TrainOptions
from rosetta.schemas.reports import RunSetReport
from rosetta.schemas.run import TrainSettings
from rosetta.sweeps.criteria import AnchorLimit, Point, RankingRule, make_judge
from rosetta.sweeps.grids import Values, parse_grid, points_of
from rosetta.sweeps.results import SweepWriter
from rosetta.sweeps.sharing import Sharing, sweep_shared
from rosetta.training.devices import is_first_process, launched_processes, spoken_by_first, start
from rosetta.training.loggers import choose_loggers
from rosetta.training.plan import Progress
from rosetta.training.procedures import procedures
from rosetta.training.saving import interruptible
from rosetta.verbs.train import ReplicateMode

MOST_AT_ONCE, MOST_BYTES = 64, 4 << 30  # models in one program, and of their weights, gradients and Adam's moments
BYTES_A_PARAMETER = 16
STALE_S = 120


@keeps_notes
def sweep(
    data: str | Array,
    output: str | PathLike[str],
    *,
    grid: Mapping[str, Values],
    replicates: int = 1,
    criterion: str | None = None,
    anchor_limit: AnchorLimit = "auto",
    at_once: int | None = None,
    replicate_mode: ReplicateMode = "auto",
    keep_best: bool = False,
    storage: str | None = None,
    study: str | None = None,
    stale_s: int | None = None,
    anchors: Paths = (),
    features: Features = None,
    trusted_keys: Paths = (),
    trust_file: str | PathLike[str] | None = None,
    start_from: str | PathLike[str] | None = None,
    devices: int = 1,
    nodes: int = 1,
    resume: bool = False,
    checkpoint_epochs: int | None = None,
    checkpoint_minutes: float | None = 10.0,
    log: Sequence[str] = (),
    plot: str | PathLike[str] | None = None,
    memory_gib: float | None = None,
    force: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_epoch: Callable[[list[Row]], None] = lambda rows: None,
    on_note: Callable[[str], None] = lambda note: None,
    on_ranked: Callable[[list[Point], RankingRule], None] = lambda points, judge: None,
    **settings: Unpack[TrainOptions],
) -> RunSetReport:
    """Train a model at every point of a grid and choose the best, as the R-VAE paper's appendix B does for λ and β.

    Parameters
    ----------
    data, anchors, features, trusted_keys, trust_file, start_from, devices, nodes, resume, log, plot, memory_gib, force
        As in `train`.
    output : path
        The folder to make: a run folder for each model, ``runs.json``, ``table.csv``, ``sweep.png`` and
        ``best.toml``, which rosetta train takes as its config file.
    grid : mapping
        Name of a setting (``beta``, ``anchor_weight``, ``anchor_tolerance``) to its values: numbers, or a text such
        as ``"0:0.75:15"``, from start by step to stop, or ``"0.5,1,auto"``. All combinations are trained.
    replicates : int
        Seeds at each point, from `seed` on. Points are compared by their means.
    criterion : str, optional
        ``validation-elbo`` (the default; higher is better; it counts the KL divergence once whatever β),
        ``validation-loss`` (reconstruction + β KL), ``validation-reconstruction`` or ``anchor-rms`` (lower is).
    anchor_limit : "auto", float or None
        With anchors, only a model whose anchor error is at most this share of the space's standard deviation can be
        the best, unless none is: the criteria alone would always choose the weakest anchors. ``"auto"`` is 1.25
        times the anchor tolerance; None is no limit.
    at_once : int, optional
        Models in one program at most; else 64, or as many as hold 4 GiB with Adam's moments, and 1 with `storage`.
    replicate_mode : "auto", "stacked" or "sequential"
        Those as one program, or one after another; ``"auto"`` measures a few steps of both.
    keep_best : bool
        Remove the run folders of all models but the best.
    storage, study : str, optional
        A database, ``sqlite:///FILE.db`` or ``postgresql://…``, and a name in it. Every process that is given the
        same takes models from it until all are done; runs of one that died are taken again.
    stale_s : int, optional
        Seconds without a sign of life after which a process is taken for dead; else 120.
    on_ranked : callable
        Called with the points of the grid, the best first, and what they were judged by.
    **settings
        As in `train`, but for those in `grid`.

    Returns
    -------
    RunSetReport
        The runs in the order of the grid. A model that diverged is marked so, and the others are not touched by it.

    Raises
    ------
    RosettaError
        For what `train` refuses, and grids, criteria or studies that do not make sense.
    """
    folder = Path(output)
    with spoken_by_first():
        _check_counts(("replicates", replicates), ("at_once", at_once), ("stale_s", stale_s))
        _check_sharing(storage, study, stale_s, n_processes=devices * nodes, force=force)
        has_anchors = bool(listed(anchors))
        values = parse_grid(grid)
        first, points = points_of(values, settings, replicates=replicates, has_anchors=has_anchors)
        judge = make_judge(criterion, anchor_limit, has_anchors=has_anchors, settings=first, swept=list(values))
        device = resolve_device(first.device)

    def ready() -> Job:
        if storage is None and is_first_process():
            check_output(folder, force=force or resume)
        if plot is not None and is_first_process():
            check_output(Path(plot), force=force or resume or storage is not None, suffix=".png")
        choose_loggers(log)
        return make_job(
            data, first, anchors=anchors, features=features, start_from=start_from,
            trusted_keys=trusted_keys, trust_file=trust_file,
            memory_gib=memory_gib, n_processes=max(devices, launched_processes()),
        )  # fmt: skip

    job, fabric = start(ready, device, devices=devices, nodes=nodes, precision_mode=first.precision_mode)
    for note in job.items.info.notes:
        on_note(note)
    mode = _mode_of(job, replicate_mode, own=[name for name in values if name not in TrainSettings.model_fields])
    each = [
        job.settings_with({name: getattr(point, name) for name in (*VARIED, "objective_settings")}) for point in points
    ]
    conclude = SweepWriter(
        named=name_all(each), swept=tuple(values), judge=judge, folder=folder, keep_best=keep_best, on_note=on_note,
        on_ranked=on_ranked, data=data if isinstance(data, str) else None,
        options=_options(anchors, features, start_from, trusted_keys, trust_file),
    )  # fmt: skip
    with interruptible() as interruption, closing(job.items):
        hooks = Hooks(on_epoch, on_progress, on_note, interruption, checkpoint_epochs, checkpoint_minutes)
        manner = RunContext(fabric, hooks, log, resume=resume, force=force)
        if storage is None:
            return train_set(
                job, each, folder, manner, kind="sweep", mode=mode, plot=plot,
                at_once=at_once or _fitting(job), conclude=conclude,
            )  # fmt: skip
        sharing = Sharing(storage, study or "", STALE_S if stale_s is None else stale_s, at_once or 1, values, judge)
        return sweep_shared(job, conclude.named, folder, manner, sharing, mode=mode, plot=plot, conclude=conclude)


def _check_counts(*counts: tuple[str, int | None]) -> None:
    for name, count in counts:
        if count is not None and (not isinstance(count, int) or count < 1):
            raise UsageError(f"`{name}` is {count}; expected a whole number from 1")


def _check_sharing(
    storage: str | None, study: str | None, stale_s: int | None, *, n_processes: int, force: bool
) -> None:
    if storage is None and (study is not None or stale_s is not None):
        name = "`study`" if study is not None else "`stale_s`"
        raise UsageError(f"{name} without `storage` has no effect: pass `storage='sqlite:///FILE.db'`, or leave it out")
    if storage is not None and not study:
        raise UsageError("`storage` needs `study=NAME`: one database can hold many sweeps")
    if storage is not None and force:
        raise UsageError(
            "`force` with `storage` could remove what other processes have trained: leave it out, and remove the "
            "folder yourself or choose another"
        )
    if storage is not None and n_processes > 1:
        raise UsageError(
            "`storage` shares models among processes, `devices` and `nodes` one model: leave the latter out, and run "
            "the same command once on each device"
        )


def _mode_of(job: Job, mode: ReplicateMode, *, own: Sequence[str]) -> ReplicateMode:
    """Return how the models are trained: items on disk, or settings of the objective's `own`, are for one at a time."""
    if own:
        if mode == "stacked":
            raise UsageError(
                f"models that differ in {own[0]} are not stacked, as it is a setting of the objective: leave "
                "`replicate_mode` out"
            )
        return "sequential"
    if procedures.get(job.settings.procedure).needs is not None and mode == "auto":
        return "sequential"
    if not isinstance(job.items, Streamable):
        return mode
    if mode == "stacked":
        raise UsageError(
            "models are stacked on items in memory, and these stay on disk: leave `replicate_mode` out, or give more "
            "`memory_gib`"
        )
    return "sequential"


def _fitting(job: Job) -> int:
    """Return how many models are trained as one program at most."""
    n_parameters = sum(p.numel() for p in new_model(job, job.settings).parameters())
    return max(1, min(MOST_AT_ONCE, MOST_BYTES // (BYTES_A_PARAMETER * n_parameters)))


def _options(
    anchors: Paths,
    features: Features,
    start_from: str | PathLike[str] | None,
    trusted_keys: Paths,
    trust_file: str | PathLike[str] | None,
) -> dict[str, Any]:
    """Return what `train` has to be given again, as its config file names it."""
    has_trust = bool(listed(trusted_keys)) or trust_file is not None
    options: dict[str, Any] = {
        "anchors": [shown(path) for path in listed(anchors)] or None,
        "features": features if isinstance(features, str) else None,
        "start_from": None if start_from is None else shown(start_from),
        "require_signature": True if has_trust else None,
        "trusted_key": [shown(path) for path in listed(trusted_keys)] or None,
        "trust_file": None if trust_file is None else shown(trust_file),
    }
    return {name: value for name, value in options.items() if value is not None}
