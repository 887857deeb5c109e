"""What a sweep leaves beside its runs: a table of all, a picture, and the best one's settings to go on with."""

from __future__ import annotations

import csv
import io
import json
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosetta.errors import MissingExtraError
from rosetta.files import atomic_file
from rosetta.objectives.kinds import objectives
from rosetta.runs.configure import value_of
from rosetta.schemas.run import RunEntry, RunSet, TrainSettings
from rosetta.sweeps.criteria import Point, RankingRule, best_run, ranked

TABLE, PICTURE, BEST = "table.csv", "sweep.png", "best.toml"
FIGURES = ("elbo", "reconstruction", "kl", "anchor_rms")


@dataclass(frozen=True)
class SweepWriter:
    """What is concluded from the runs of a sweep, and written beside them."""

    named: dict[str, TrainSettings]
    swept: tuple[str, ...]
    judge: RankingRule
    folder: Path  # where the results will be
    keep_best: bool
    data: str | None
    options: Mapping[str, Any]  # of the command, for best.toml
    on_note: Callable[[str], None]
    on_ranked: Callable[[list[Point], RankingRule], None]

    def __call__(self, runs: RunSet, work: Path | None) -> RunSet:
        """Return the runs with the best of them; write what is concluded into `work`."""
        points = ranked(runs.runs, self.named, self.swept, self.judge)
        best = best_run(points[0], self.named, self.judge)
        if work is not None:
            write_table(work, points, self.named, self.swept, self.judge)
            write_best(work, self.named[best.name], self.options, command=command_of(self.data, self.folder))
            draw_sweep(work, runs.runs, points, self.named, judge=self.judge, on_note=self.on_note)
            for name in self.named.keys() - {best.name} if self.keep_best else ():
                shutil.rmtree(work / name, ignore_errors=True)
            if not points[0].is_within:
                self._say_why(points[0])
        self.on_ranked(points, self.judge)
        return runs.model_copy(update={"criterion": str(self.judge), "best": best.name})

    def _say_why(self, point: Point) -> None:
        if point.n_diverged:
            self.on_note("at every point of the grid some seed diverged: the best is the best of what is left")
        else:
            self.on_note(
                f"no model has an anchor error within {self.judge.limit:.4g}: the best is the one that is nearest. "
                "Train longer (`epochs`), sweep larger weights, or allow more (`anchor_limit`)"
            )


def write_table(
    folder: Path, points: Sequence[Point], named: Mapping[str, TrainSettings], swept: Sequence[str], judge: RankingRule
) -> None:
    """Write table.csv: one row for each run, those of the best point first."""
    name = judge.criterion.name.replace("-", "_")
    columns = ["run", *swept, "seed", "epochs", *FIGURES, "final_anchor_weight", "criterion", "diverged"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"criterion_{name}" if column == "criterion" else column for column in columns])
    for point in points:
        for run, score in zip(point.runs, point.scores, strict=True):
            figures = [getattr(run.final, figure) if run.final else None for figure in FIGURES]
            row = [run.name, *point.settings.values(), named[run.name].seed, run.epochs, *figures]
            writer.writerow([*row, run.final_anchor_weight, score, run.diverged])
    _write(folder / TABLE, text.getvalue())


def write_best(folder: Path, settings: TrainSettings, options: Mapping[str, Any], *, command: str) -> None:
    """Write best.toml: the settings of one model as a config file of rosetta train has them, and other options."""
    values = {name: value for name, value in settings.model_dump(mode="json").items() if value is not None}
    is_own = ":" in settings.architecture
    if is_own:
        values = {"model": values.pop("architecture")} | values
    for name in _idle(settings):
        del values[name]
    own = values.pop("objective_settings", {})
    built_in = {name for each in objectives.own() for name in objectives.get(each).settings.model_fields}
    values |= {name: value for name, value in own.items() if name in built_in}
    if others := [f"{name}={value}" for name, value in own.items() if name not in built_in]:
        values["objective_setting"] = others
    said = "".join(c if c.isprintable() else "?" for c in command)  # a comment is one line
    lines = [f"# {said}"]
    for name, value in (values | dict(options)).items():
        lines.append(f"{name.replace('_', '-')} = {json.dumps(value, ensure_ascii=False)}")
    _write(folder / BEST, "\n".join(lines) + "\n")


def draw_sweep(
    folder: Path,
    runs: Sequence[RunEntry],
    points: Sequence[Point],
    named: Mapping[str, TrainSettings],
    *,
    judge: RankingRule,
    on_note: Callable[[str], None],
) -> None:
    """Write sweep.png, the criterion over the settings that were swept; without matplotlib, say so."""
    from rosetta.charts import sweep_chart

    swept = tuple(points[0].settings)
    rows = []
    for run in runs:
        settings = named[run.name]
        values = {name.replace("_", "-"): value_of(settings, name) for name in (*swept, "seed")}
        rows.append(values | {judge.criterion.name: judge.score(run, settings)})
    best = [run.name for run in runs].index(points[0].runs[0].name)
    try:
        sweep_chart(
            rows, folder / PICTURE, varied=tuple(name.replace("_", "-") for name in swept),
            criterion=judge.criterion.name, best=best, force=True,
        )  # fmt: skip
    except MissingExtraError as error:
        on_note(f"there is no {PICTURE}: {error}")


def command_of(data: str | None, folder: Path) -> str:
    """Return the command line that trains the best model again, to be given a name and more epochs."""
    return f"rosetta train {shlex.quote(data) if data else 'DATA'} -o RUN --config {shlex.quote(str(folder / BEST))}"


def _idle(settings: TrainSettings) -> list[str]:
    """Return what other points of the grid had a use for, and this one has none: `train` refuses it."""
    is_held = settings.anchor_weight == "auto"
    return [
        "anchor_scaling" if is_held else "anchor_tolerance",
        *(["kl_anneal"] if settings.beta == 0 else []),
    ]


def _write(path: Path, text: str) -> None:
    with atomic_file(path, force=True) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
