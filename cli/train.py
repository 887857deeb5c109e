"""`rosetta train`."""

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

if TYPE_CHECKING:
    from rosetta.schemas.reports import RunSetReport, TrainReport

Anchors = Annotated[
    list[Path] | None,
    typer.Option(metavar="B.h5", help="Train in this bundle's latent space; may be repeated."),
]
Policy = Annotated[
    Path | None,
    typer.Option(
        metavar="policy.toml",
        help="Leave out what its excluded_rows and excluded_groups name.",
        rich_help_panel="Data",
    ),
]
Groups = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Whose each item is: a column of DATA, or a source such as file.npz::donor. Nobody then has items both "
        "held out and trained on.",
        rich_help_panel="Data",
    ),
]
OwnModel = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="PACKAGE.MODULE:FACTORY", rich_help_panel="Network",
        help="A network of your own: a function of input shape and latent dimensions that returns encoder and decoder.",
    ),
]  # fmt: skip
ObjectiveSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", rich_help_panel="Training",
        help="A setting of an objective that is not built in; may be repeated.",
    ),
]  # fmt: skip
StartFrom = Annotated[
    Path | None, typer.Option(metavar="RUN", help="Begin with the weights of this run, of the same network.")
]
ReplicateMode = Annotated[
    Literal["auto", "stacked", "sequential"],
    typer.Option(help="All as one program, or one after another; auto measures a few steps of both."),
]
Log = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Log to tensorboard, wandb or mlflow, beside metrics.csv; may be repeated."),
]
Plot = Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw how the training went.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training, if there is one.")]
CheckpointEpochs = Annotated[
    int | None, typer.Option(min=1, help="Save the state every so many epochs.", show_default="none")
]
CheckpointMinutes = Annotated[float, typer.Option(min=0, help="Save the state every so many minutes; 0 never does.")]
Devices = Annotated[int, typer.Option(min=1, help="Processes on each machine, each with a device of its own.")]
Nodes = Annotated[int, typer.Option(min=1, help="Machines that train together.")]
Memory = Annotated[
    float | None,
    typer.Option(
        metavar="GIB", help="Items kept in memory; more are streamed from disk in shuffled blocks.",
        show_default="half of the machine's",
    ),
]  # fmt: skip
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]


@takes_source
@takes_settings(TRAIN)
def train(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="RUN", help="The run folder to make.")],
    anchors: Anchors = None,
    require_signature: RequireSignature = False,
    trusted_key: TrustedKeys = None,
    trust_file: TrustFile = None,
    features: Features = None,
    policy: Policy = None,
    groups: Groups = None,
    start_from: StartFrom = None,
    replicates: Annotated[int, typer.Option(min=1, help="Trainings that differ by seed alone.")] = 1,
    replicate_mode: ReplicateMode = "auto",
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
    """Train a VAE on DATA; with --anchors, an R-VAE in the bundle's latent space."""
    with exit_on_error():
        chosen = own_model(parsed(settings, TRAIN), model) | of_objective(objective_setting)
        from rosetta.training.devices import is_first_process
        from rosetta.verbs.train import train as run

        trust = trust_options(require_signature, trusted_key, trust_file)
        with training_progress(f"training {output.name}", quiet=quiet) as (on_progress, on_epoch):
            report = run(
                data,
                output,
                anchors=anchors or (),
                features=features,
                policy=policy,
                groups=groups,
                **trust,
                start_from=start_from,
                replicates=replicates,
                replicate_mode=replicate_mode,
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
                **chosen,
            )
        if not is_first_process():
            return
        emit(report, as_json=json, text=lambda: show(report, chosen))


def own_model(settings: dict[str, Any], model: str | None) -> dict[str, Any]:
    """Return the settings with a network of the user's own in place of a known architecture."""
    from rosetta.errors import UsageError

    if model is None:
        return settings
    if settings.get("architecture") is not None:
        raise UsageError("--model and --architecture both name a network: leave one of them out")
    if ":" not in model:
        raise UsageError(f"--model is {model!r}; expected package.module:factory. A built-in one is an --architecture")
    return settings | {"architecture": model}


def of_objective(texts: list[str] | None) -> dict[str, float | str]:
    """Return settings of an objective from texts such as ``strength=4``, or raise UsageError."""
    from rosetta.errors import UsageError

    found: dict[str, float | str] = {}
    for text in texts or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or not value:
            raise UsageError(f"--set is {text!r}; expected NAME=VALUE, such as strength=4")
        try:
            found[name.replace("-", "_")] = float(value)
        except ValueError:
            found[name.replace("-", "_")] = value
    return found


def show(report: TrainReport | RunSetReport, settings: dict[str, Any]) -> None:
    """Print what became of a training or of several."""
    from rosetta.schemas.reports import TrainReport

    if isinstance(report, TrainReport):
        _show_one(report, settings)
    else:
        show_set(report)


def _show_one(report: TrainReport, settings: dict[str, Any]) -> None:
    final = report.final
    stopped = ", stopped early" if report.best_epoch and report.epochs < settings.get("epochs", 100) else ""
    best = f"{stopped}; the weights are those of epoch {report.best_epoch:,}" if report.best_epoch else ""
    rows = [
        ("run", report.run),
        ("objective", report.objective.upper()),
        ("items", f"{report.n_items:,}, of which {report.n_validation:,} held out"),
        ("epochs", f"{report.epochs:,}, {report.rows_per_s:,.0f} rows/s{best}"),
        (
            "held-out ELBO" if report.n_validation else "training ELBO",
            f"{final.elbo:.3f} nats an item (reconstruction {final.reconstruction:.3f}, KL {final.kl:.3f})",
        ),
        *_anchor_rows(report),
    ]
    if final.anchor_rms is not None:
        is_held = settings.get("anchor_weight", "auto") == "auto"
        tolerance = f"tolerance {settings.get('anchor_tolerance', 0.05):g}, " if is_held else ""
        rows.append(
            (
                "anchor error",
                f"{final.anchor_rms:.3f} of the space's standard deviation "
                f"({tolerance}weight {report.final_anchor_weight:.3g})",
            )
        )
    if final.check_rms is not None:
        rows.append(("check error", f"{final.check_rms:.3f}, of the check pairs, which no step saw"))
    if final.anchor_reconstruction is not None:
        rows.append(
            (
                "bundle's inputs",
                f"reconstruction {final.anchor_reconstruction:.3f} nats an item, of the sender's kind of item",
            )
        )
    facts(rows)


def show_set(report: RunSetReport) -> None:
    """Print several runs as a table."""
    runs = report.runs
    rows = [
        ("runs", report.run),
        ("items", f"{report.n_items:,}, of which {report.n_validation:,} held out"),
        ("trained", f"{_how(report)}, {runs.rows_per_s:,.0f} rows/s in all"),
        *_anchor_rows(report),
    ]
    if runs.best:
        rows.append(("best", f"{runs.best}, by {runs.criterion}"))
    facts(rows)
    typer.echo("")
    varied = list(runs.runs[0].settings)
    has_anchors = any(each.final and each.final.anchor_rms is not None for each in runs.runs)
    header = ["run", *varied, "epochs", "ELBO", "reconstruction", "KL", *(["anchors", "weight"] if has_anchors else [])]
    lines = []
    for each in runs.runs:
        line = [each.name, *(str(each.settings[name]) for name in varied)]
        if each.final is None:
            lines.append([*line, "diverged", *[""] * (len(header) - len(line) - 1)])
            continue
        figures = [each.final.elbo, each.final.reconstruction, each.final.kl]
        line += [f"{each.epochs:,}", *(f"{figure:.3f}" for figure in figures)]
        if has_anchors:
            line += [f"{each.final.anchor_rms:.3f}", f"{each.final_anchor_weight:.3g}"]
        lines.append(line)
    table(header, lines)


def _how(report: RunSetReport) -> str:
    times = report.runs.step_times
    how = "as one program" if report.runs.mode == "stacked" else "one after another"
    if times is None:
        return how
    if times.stacked_s is None:
        return f"{how} (they cannot be stacked)"
    return f"{how} (a step of all takes {times.stacked_s * 1e3:.1f} ms stacked, {times.sequential_s * 1e3:.1f} ms else)"


def _anchor_rows(report: TrainReport | RunSetReport) -> list[tuple[str, str]]:
    rows = []
    for source in report.anchors:
        signers = ", signed by " + ", ".join(each.name for each in source.signed_by) if source.signed_by else ""
        rows.append(("anchors", f"{source.n_pairs} pairs of {source.content_id[:12]}…{signers}"))
    return rows
