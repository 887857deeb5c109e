"""`rosetta sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .data import takes_source
from .errors import exit_on_error
from .options import Data, Features, Force, Json, RequireSignature, TrustedKeys, TrustFile, trust_options
from .render import emit, facts, table, training_progress
from .settings import Config, parsed, takes_settings
from .settings_table import TRAIN
from .train import (
    Anchors,
    CheckpointEpochs,
    CheckpointMinutes,
    Devices,
    Log,
    Memory,
    Nodes,
    ObjectiveSettings,
    OwnModel,
    Plot,
    Quiet,
    ReplicateMode,
    Resume,
    StartFrom,
    of_objective,
    own_model,
)

if TYPE_CHECKING:
    from rosetta.schemas.reports import RunSetReport

    from rosetta.sweeps.criteria import Point, RankingRule

SHOWN = 20  # points of the grid; table.csv has them all
SWEEP, SHARING = "Sweep", "Sharing among processes"

Grid = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUES", rich_help_panel=SWEEP,
        help="Values of beta, anchor-weight or anchor-tolerance: START:STEP:STOP, both included, or VALUE,VALUE,… "
        "May be repeated; all combinations are trained.",
    ),
]  # fmt: skip
CriterionName = Annotated[
    Literal["validation-elbo", "validation-loss", "validation-reconstruction", "anchor-rms"],
    typer.Option(
        rich_help_panel=SWEEP,
        help="What decides, as a mean over seeds. validation-elbo: higher is better; it counts the KL divergence once "
        "whatever beta. validation-loss (reconstruction + beta KL), validation-reconstruction and anchor-rms: lower is "
        "better.",
    ),
]
Limit = Annotated[
    str,
    typer.Option(
        rich_help_panel=SWEEP, metavar="auto|none|X",
        help="Largest anchor error of the best model, as a share of the space's standard deviation; auto is 1.25 times "
        "the tolerance. Without a limit, criteria other than anchor-rms choose the weakest anchors.",
    ),
]  # fmt: skip
Keep = Annotated[Literal["all", "best"], typer.Option(rich_help_panel=SWEEP, help="Which run folders to keep.")]
AtOnce = Annotated[
    int | None,
    typer.Option(
        min=1, rich_help_panel=SWEEP, help="Models in one program at most.",
        show_default="64, or what 4 GiB hold; 1 with --storage",
    ),
]  # fmt: skip
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL", rich_help_panel=SHARING,
        help="sqlite:///FILE.db or postgresql://USER@HOST/NAME: every process that runs the same command takes models "
        "from it until all are done.",
    ),
]  # fmt: skip
StudyName = Annotated[str | None, typer.Option(metavar="NAME", rich_help_panel=SHARING, help="The sweep's name in it.")]
StaleAfter = Annotated[
    int | None,
    typer.Option(
        min=1, rich_help_panel=SHARING, show_default="120",
        help="Seconds without a sign of life after which a process's models are trained by another.",
    ),
]  # fmt: skip


@takes_source
@takes_settings(TRAIN)
def sweep(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="The folder of runs to make.")],
    grid: Grid = None,
    replicates: Annotated[int, typer.Option(min=1, rich_help_panel=SWEEP, help="Seeds at each point.")] = 1,
    criterion: CriterionName = "validation-elbo",
    anchor_limit: Limit = "auto",
    keep: Keep = "all",
    at_once: AtOnce = None,
    replicate_mode: ReplicateMode = "auto",
    storage: Storage = None,
    study: StudyName = None,
    stale_after: StaleAfter = None,
    anchors: Anchors = None,
    require_signature: RequireSignature = False,
    trusted_key: TrustedKeys = None,
    trust_file: TrustFile = None,
    features: Features = None,
    start_from: StartFrom = None,
    resume: Resume = False,
    checkpoint_epochs: CheckpointEpochs = None,
    checkpoint_minutes: CheckpointMinutes = 10.0,
    log: Log = None,
    plot: Plot = None,
    config: Config = None,
    quiet: Quiet = False,
    force: Force = False,
    json: Json = False,
    model: OwnModel = None,
    devices: Devices = 1,
    nodes: Nodes = 1,
    memory: Memory = None,
    objective_setting: ObjectiveSettings = None,
    **settings: Any,
) -> None:
    """Train a model at every point of a grid on DATA, and choose the best.

    The paper's: --grid anchor-weight=0:2.5:25 --grid beta=0:0.75:15 --epochs 20. OUT gets every run, table.csv,
    sweep.png and best.toml, which `rosetta train --config` takes.
    """
    with exit_on_error():
        chosen = own_model(parsed(settings, TRAIN), model) | of_objective(objective_setting)
        from rosetta.sweeps.grids import read_grid
        from rosetta.training.devices import is_first_process
        from rosetta.verbs.sweep import sweep as run

        trust = trust_options(require_signature, trusted_key, trust_file)
        found: list[tuple[list[Point], RankingRule]] = []
        with training_progress(f"sweeping {output.name}", quiet=quiet) as (on_progress, on_epoch):
            report = run(
                data,
                output,
                grid=read_grid(grid or ()),
                replicates=replicates,
                criterion=criterion,
                anchor_limit=_limit(anchor_limit),
                keep_best=keep == "best",
                at_once=at_once,
                replicate_mode=replicate_mode,
                storage=storage,
                study=study,
                stale_s=stale_after,
                anchors=anchors or (),
                features=features,
                **trust,
                start_from=start_from,
                devices=devices,
                nodes=nodes,
                memory_gib=memory,
                resume=resume,
                checkpoint_epochs=checkpoint_epochs,
                checkpoint_minutes=checkpoint_minutes or None,
                log=log or (),
                plot=plot,
                force=force,
                on_progress=on_progress,
                on_epoch=on_epoch,
                on_ranked=lambda points, judge: found.append((points, judge)),
                **chosen,
            )
        if not is_first_process():
            return
        emit(report, as_json=json, text=lambda: _show(report, *found[0], data=data))


def _limit(text: str) -> Any:
    """Return auto, None for no limit, or a number."""
    from rosetta.errors import UsageError

    if text in ("auto", "none"):
        return None if text == "none" else text
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"--anchor-limit is {text!r}; expected auto, none or a number") from error


def _show(report: RunSetReport, points: list[Point], judge: RankingRule, *, data: str) -> None:
    from rosetta.sweeps.results import command_of

    runs = report.runs
    how = "as one program" if runs.mode == "stacked" else "one after another"
    facts(
        [
            ("sweep", report.run),
            ("items", f"{report.n_items:,}, of which {report.n_validation:,} held out"),
            ("trained", f"{len(runs.runs):,} models at {len(points):,} points, {how}, {runs.rows_per_s:,.0f} rows/s"),
            ("criterion", str(judge)),
            ("best", str(runs.best)),
        ]
    )
    typer.echo("")
    _show_points(points, judge)
    if len(points) > SHOWN:
        typer.echo(f"… and {len(points) - SHOWN:,} more points in {Path(report.run) / 'table.csv'}")
    typer.echo("")
    facts([("go on", command_of(data, Path(report.run)))])


def _show_points(points: list[Point], judge: RankingRule) -> None:
    """Print the points of the grid, the best first: means over seeds, and the criterion's standard deviation."""
    swept = list(points[0].settings)
    has_anchors = any(run.final and run.final.anchor_rms is not None for point in points for run in point.runs)
    figures = ["elbo", "reconstruction", "kl", *(["anchor_rms"] if has_anchors else [])]
    titles = {"elbo": "ELBO", "kl": "KL", "anchor_rms": "anchors"}
    header = [*(name.replace("_", "-") for name in swept), judge.criterion.name]
    header += [titles.get(name, name) for name in figures] + [""]
    lines = []
    for number, point in enumerate(points[:SHOWN]):
        score = "–" if point.score is None else f"{point.score:.3f}"
        spread = "" if point.spread is None else f" ± {point.spread:.3f}"
        means = [point.mean_of(lambda final, name=name: getattr(final, name)) for name in figures]  # type: ignore[misc]
        values = [str(value).removesuffix(".0") for value in point.settings.values()]
        cells = ["–" if mean is None else f"{mean:.3f}" for mean in means]
        lines.append([*values, f"{score}{spread}", *cells, _remark(point, is_best=number == 0)])
    table(header, lines)


def _remark(point: Point, *, is_best: bool) -> str:
    if point.n_diverged:
        return "diverged" if len(point.runs) == 1 else f"{point.n_diverged} of {len(point.runs)} diverged"
    if not point.is_within:
        return "best, beyond the limit" if is_best else "beyond the limit"
    return "best" if is_best else ""
