"""A sweep trains every point of a grid, alone or shared among processes, and chooses by a stated rule."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosetta.schemas.run import FinalFigures, RunEntry, RunSet, TrainSettings

from rosetta.errors import IncompatibleError, MissingExtraError, OutputError, RosettaError, TrainingError, UsageError
from rosetta.files import unfinished
from rosetta.models.checkpoint import load_run, read_run_record
from rosetta.sweeps.criteria import CRITERIA, RankingRule, best_run, ranked
from rosetta.sweeps.grids import parse_grid
from rosetta.verbs.sweep import sweep
from rosetta.verbs.train import train
from tests import builders

ITEMS = np.random.default_rng(0).random((60, 4, 5), dtype=np.float32)
QUICK: dict[str, Any] = {"latent_dim": 3, "hidden": (8,), "epochs": 2, "batch_size": 16}
TOO_MUCH = 1e39  # a β that no training survives: it is infinite among 32-bit numbers


def _runs(folder: Path) -> RunSet:
    return RunSet.model_validate_json((folder / "runs.json").read_text())


def _table(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "table.csv").read_text().splitlines()))


def _folders(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir() if each.is_dir()}


# the grid


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0:0.75:15", tuple(0.75 * n for n in range(21))),  # the paper's, appendix B
        ("0:2.5:25", tuple(2.5 * n for n in range(11))),
        ("0:0.1:0.35", (0.0, 0.1, 0.2, 0.3)),
        ("3:-1:1", (3.0, 2.0, 1.0)),
        ("2:1:2", (2.0,)),
        ("0.5, 1,2:1:4", (0.5, 1.0, 2.0, 3.0, 4.0)),
    ],
)
def test_a_range_goes_from_start_by_step_to_stop_inclusive(text: str, values: tuple[float, ...]):
    assert parse_grid({"beta": text}) == {"beta": values}


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({}, "nothing to sweep"),
        ({"betta": "1,2"}, "Did you mean 'beta'"),
        ({"lr": "1,2"}, "Known: beta, anchor-weight, anchor-tolerance"),
        ({"seed": "1,2"}, "`replicates=R`"),
        ({"beta": "1:2"}, "START:STEP:STOP"),
        ({"beta": "1:0:2"}, "a step that is not 0"),
        ({"beta": "0:nan:2"}, "START:STEP:STOP"),
        ({"beta": "2:1:0"}, "which is empty"),
        ({"beta": []}, "has no values"),
        ({"beta": "1,,2"}, "expected numbers"),
        ({"beta": "auto"}, "expected numbers"),
        ({"beta": "1,1.0"}, "1.0 twice"),
        ({"beta": "0:1:1e5"}, "more than 10,000 values"),
        ({"beta": "0:1e-999:1e999"}, "more than 10,000 values"),
        ({"beta": "-1,1"}, "beta is -1.0"),
        ({"anchor_weight": "auto,1"}, "without `anchors`"),
    ],
)
def test_a_grid_that_cannot_be_swept_is_refused_with_nothing_left(tmp_path: Path, grid: Any, message: str):
    with pytest.raises(UsageError, match=message):
        sweep(ITEMS, tmp_path / "s", grid=grid, **QUICK)

    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 2.0}, "`grid=beta` and `beta` both set it"),
        ({"grid": {"beta": "0:1:999"}, "replicates": 20}, "20,000 models"),
        ({"validation": 0.0}, "needs held-out items"),
        ({"criterion": "validation-elb"}, "Did you mean 'validation-elbo'"),
        ({"criterion": "anchor-rms"}, "without `anchors`"),
        ({"anchor_limit": 0.1}, "without `anchors`"),
        ({"replicates": 0}, "`replicates` is 0"),
        ({"study": "a"}, "`study` without `storage`"),
        ({"storage": "sqlite:///s.db"}, "`storage` needs `study=NAME`"),
        ({"storage": "sqlite:///s.db", "study": "a", "devices": 2}, "one model"),
        ({"storage": "sqlite:///s.db", "study": "a", "force": True}, "`force` with `storage`"),
        ({"storage": "nonsense", "study": "a"}, "no address of a database"),
        ({"storage": "sqlite://", "study": "a"}, "in memory"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, options: dict[str, Any], message: str):
    with pytest.raises(UsageError, match=message):
        sweep(ITEMS, tmp_path / "s", **{"grid": {"beta": "1,2"}, **QUICK, **options})

    assert not (tmp_path / "s" / "runs.json").exists()


# the runs


def test_every_point_with_every_seed_is_the_run_that_train_makes(tmp_path: Path):
    report = sweep(ITEMS, tmp_path / "s", grid={"beta": "0,4"}, replicates=2, replicate_mode="sequential", **QUICK)
    train(ITEMS, tmp_path / "alone", beta=4.0, seed=1, **QUICK)

    names = {"beta-0_seed-0", "beta-0_seed-1", "beta-4_seed-0", "beta-4_seed-1"}
    assert _folders(tmp_path / "s") == names == {entry.name for entry in report.runs.runs}
    same = load_run(tmp_path / "s" / "beta-4_seed-1").record
    assert same.weights_sha256 == load_run(tmp_path / "alone").record.weights_sha256


def test_groups_as_one_program_give_what_each_gives_alone(tmp_path: Path):
    grid = {"beta": "0:1:4"}

    stacked = sweep(ITEMS, tmp_path / "a", grid=grid, replicate_mode="stacked", at_once=2, **QUICK)
    alone = sweep(ITEMS, tmp_path / "b", grid=grid, replicate_mode="sequential", **QUICK)

    assert (stacked.runs.mode, alone.runs.mode) == ("stacked", "sequential")
    elbos = [[entry.final.elbo for entry in report.runs.runs if entry.final] for report in (stacked, alone)]
    assert elbos[0] == pytest.approx(elbos[1], rel=1e-4)


def test_the_table_holds_the_final_figures_of_every_run_best_point_first(tmp_path: Path):
    sweep(ITEMS, tmp_path / "s", grid={"beta": "0,2,9"}, replicates=2, replicate_mode="stacked", **QUICK)

    rows, runs = _table(tmp_path / "s"), _runs(tmp_path / "s")
    assert sorted(row["run"] for row in rows) == sorted(entry.name for entry in runs.runs)
    for row in rows:
        record = read_run_record(tmp_path / "s" / row["run"])
        assert float(row["elbo"]) == float(row["criterion_validation_elbo"]) == record.final.elbo
        assert (row["run"], row["epochs"], row["diverged"]) == (
            f"beta-{float(row['beta']):g}_seed-{row['seed']}",
            "2",
            "",
        )
    means = {beta: np.mean([float(r["elbo"]) for r in rows if r["beta"] == beta]) for beta in ("0.0", "2.0", "9.0")}
    assert list(dict.fromkeys(row["beta"] for row in rows)) == sorted(means, key=means.get, reverse=True)  # type: ignore[arg-type]
    best = max((r for r in rows if r["beta"] == rows[0]["beta"]), key=lambda row: float(row["elbo"]))
    assert runs.best == best["run"]
    assert runs.criterion == "validation-elbo, higher is better"
    assert (tmp_path / "s" / "sweep.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("mode", ["stacked", "sequential"])
def test_a_model_that_diverges_is_marked_and_the_others_go_on(tmp_path: Path, mode: Any):
    sweep(ITEMS, tmp_path / "s", grid={"beta": [1.0, TOO_MUCH]}, replicates=2, replicate_mode=mode, **QUICK)
    sweep(ITEMS, tmp_path / "t", grid={"beta": [1.0]}, replicates=2, replicate_mode=mode, **QUICK)

    rows, alone = _table(tmp_path / "s"), _table(tmp_path / "t")
    assert [row["beta"] for row in rows] == ["1.0", "1.0", "1e+39", "1e+39"]
    assert all("epoch 1" in row["diverged"] and not row["elbo"] for row in rows[2:])
    assert [float(row["elbo"]) for row in rows[:2]] == pytest.approx([float(row["elbo"]) for row in alone], rel=1e-5)
    assert _runs(tmp_path / "s").best in ("beta-1_seed-0", "beta-1_seed-1")


def test_nothing_is_left_if_all_diverge(tmp_path: Path):
    with pytest.raises(TrainingError, match="all 2 trainings diverged; the first: .*epoch 1"):
        sweep(ITEMS, tmp_path / "s", grid={"beta": [TOO_MUCH, 2 * TOO_MUCH]}, replicate_mode="stacked", **QUICK)

    assert not (tmp_path / "s").exists()


def test_only_the_best_run_is_kept_on_request(tmp_path: Path):
    report = sweep(ITEMS, tmp_path / "s", grid={"beta": "0,1,2"}, keep_best=True, replicate_mode="stacked", **QUICK)

    assert _folders(tmp_path / "s") == {report.runs.best}
    assert len(_table(tmp_path / "s")) == len(report.runs.runs) == 3


def test_without_matplotlib_there_is_no_picture_and_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    notes: list[str] = []

    sweep(ITEMS, tmp_path / "s", grid={"beta": "0,1"}, on_note=notes.append, replicate_mode="stacked", **QUICK)

    assert not (tmp_path / "s" / "sweep.png").exists()
    assert any("rosetta-points[report]" in note for note in notes)


def test_an_interrupted_sweep_goes_on_and_ends_the_same(tmp_path: Path):
    options: dict[str, Any] = {"grid": {"beta": "0:1:3"}, "replicate_mode": "stacked", "at_once": 2, **QUICK}
    seen: list[int] = []

    def stop(rows: Any) -> None:
        seen.append(len(rows))
        if len(seen) == 3:
            raise OutputError("the disk is full")

    with pytest.raises(OutputError, match="the disk is full"):
        sweep(ITEMS, tmp_path / "s", on_epoch=stop, **options)
    assert unfinished(tmp_path / "s").is_dir()
    sweep(ITEMS, tmp_path / "s", resume=True, on_epoch=lambda rows: seen.append(len(rows)), **options)
    sweep(ITEMS, tmp_path / "whole", **options)

    assert seen == [2, 2, 2, 2, 2]  # the first group's two epochs, one that was lost, and the second group's
    assert _table(tmp_path / "s") == _table(tmp_path / "whole")


# what is best


SEEDS = {f"{beta:g}-{seed}": TrainSettings(beta=beta, seed=seed) for beta in (0.0, 1.0, 2.0) for seed in (0, 1)}


def _entries(figures: dict[str, tuple[float, float, float | None] | None]) -> list[RunEntry]:
    """Entries by name, of reconstruction, KL and anchor error; None diverged."""
    return [
        RunEntry(name=name, settings={}, diverged="in epoch 1")
        if found is None
        else RunEntry(
            name=name,
            settings={},
            final=FinalFigures(elbo=-found[0] - found[1], reconstruction=found[0], kl=found[1], anchor_rms=found[2]),
        )
        for name, found in figures.items()
    ]


def _order(entries: Sequence[RunEntry], criterion: str, limit: float | None = None) -> list[float | str]:
    points = ranked(entries, SEEDS, ["beta"], RankingRule(CRITERIA[criterion], limit))
    return [point.settings["beta"] for point in points]


@pytest.mark.parametrize(
    ("criterion", "order"),
    [
        ("validation-elbo", [0.0, 2.0, 1.0]),  # −8, −9, −10
        ("validation-loss", [0.0, 1.0, 2.0]),  # 5, 10, 15
        ("validation-reconstruction", [2.0, 0.0, 1.0]),  # 3, 5, 6
        ("anchor-rms", [2.0, 1.0, 0.0]),  # 0.01, 0.1, 0.9
    ],
)
def test_each_criterion_has_its_figure_and_direction(criterion: str, order: list[float]):
    entries = _entries({"0-0": (5, 3, 0.9), "1-0": (6, 4, 0.1), "2-0": (3, 6, 0.01)})

    assert _order(entries, criterion) == order


def test_points_are_compared_by_their_means_over_seeds_and_the_spread_is_known():
    entries = _entries({"0-0": (1, 0, None), "0-1": (9, 0, None), "1-0": (4, 0, None), "1-1": (4, 0, None)})
    judge = RankingRule(CRITERIA["validation-elbo"], None)

    first, second = ranked(entries, SEEDS, ["beta"], judge)

    assert (first.settings["beta"], first.score, first.spread) == (1.0, -4.0, 0.0)
    assert (second.score, second.spread) == (-5.0, pytest.approx(np.std([1, 9], ddof=1)))
    assert best_run(second, SEEDS, judge).name == "0-0"


def test_a_point_of_which_a_seed_diverged_comes_after_all_others():
    entries = _entries({"0-0": (1, 0, None), "0-1": None, "1-0": (9, 0, 5.0), "2-0": None})

    assert _order(entries, "validation-elbo", limit=0.1) == [1.0, 0.0, 2.0]


def test_what_exceeds_the_limit_comes_after_what_keeps_it_nearest_first():
    entries = _entries({"0-0": (1, 0, 0.9), "1-0": (2, 0, 0.5), "2-0": (9, 0, 0.05)})

    assert _order(entries, "validation-elbo") == [0.0, 1.0, 2.0]
    assert _order(entries, "validation-elbo", limit=0.1) == [2.0, 1.0, 0.0]


def test_the_weakest_anchors_do_not_win_unless_asked_to(tmp_path: Path):
    bundle = builders.write(tmp_path / "b.h5", preprocessing=())
    options: dict[str, Any] = {
        **QUICK,
        "latent_dim": None,
        "hidden": (64,),
        "epochs": 60,
        "lr": 3e-3,
        "anchors": bundle,
    }

    held = sweep(ITEMS, tmp_path / "a", grid={"anchor_weight": "0,auto"}, anchor_limit=0.2, **options)
    free = sweep(ITEMS, tmp_path / "b", grid={"anchor_weight": "0,auto"}, anchor_limit=None, **options)

    elbos = {row["anchor_weight"] and row["run"]: float(row["elbo"]) for row in _table(tmp_path / "a")}
    assert elbos["anchor-weight-0"] > elbos["anchor-weight-auto"]
    assert (held.runs.best, free.runs.best) == ("anchor-weight-auto", "anchor-weight-0")
    assert held.runs.criterion == "validation-elbo, higher is better, with an anchor error of at most 0.2"


def test_if_no_model_keeps_the_limit_the_nearest_is_chosen_and_it_is_said(tmp_path: Path):
    bundle = builders.write(tmp_path / "b.h5", preprocessing=())
    notes: list[str] = []

    report = sweep(
        ITEMS, tmp_path / "a", grid={"anchor_weight": "0,1000"}, anchors=bundle, on_note=notes.append,
        **{**QUICK, "latent_dim": None},
    )  # fmt: skip

    assert report.runs.best == "anchor-weight-1000"
    assert any("no model has an anchor error within 0.0625: the best is the one that is nearest" in n for n in notes)


def test_a_sweep_of_tolerances_needs_a_limit(tmp_path: Path):
    bundle = builders.write(tmp_path / "b.h5", preprocessing=())
    options: dict[str, Any] = {"grid": {"anchor_tolerance": "0.5,1"}, "anchors": bundle, **QUICK, "latent_dim": None}

    with pytest.raises(UsageError, match="the loosest would always win: pass `anchor_limit`"):
        sweep(ITEMS, tmp_path / "s", **options)
    with pytest.raises(UsageError, match="anchor-tolerance has no effect on a given anchor-weight"):
        sweep(ITEMS, tmp_path / "s", **{**options, "grid": {"anchor_tolerance": "0.5,1", "anchor_weight": "auto,1"}})
    report = sweep(ITEMS, tmp_path / "s", anchor_limit=5.0, **options)

    assert [entry.name for entry in report.runs.runs] == ["anchor-tolerance-0.5", "anchor-tolerance-1"]


def test_a_setting_that_one_point_has_no_use_for_is_taken_if_another_has(tmp_path: Path):
    sweep(ITEMS, tmp_path / "s", grid={"beta": "0,1"}, kl_anneal=1.0, criterion="validation-reconstruction", **QUICK)

    with pytest.raises(UsageError, match="`kl_anneal` has no effect beside `beta=0`"):
        sweep(ITEMS, tmp_path / "t", grid={"beta": "0"}, kl_anneal=1.0, **QUICK)


# shared among processes


def _shared(tmp_path: Path, **options: Any) -> dict[str, Any]:
    return {
        "grid": {"beta": "0:1:2"}, "replicates": 2, "replicate_mode": "sequential",
        "storage": f"sqlite:///{tmp_path / 's.db'}", "study": "a", **QUICK, **options,
    }  # fmt: skip


def test_a_shared_sweep_ends_as_one_that_is_not(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    options = _shared(tmp_path)

    sweep(ITEMS, tmp_path / "a", plot=tmp_path / "p.png", **options)
    sweep(
        ITEMS, tmp_path / "a", plot=tmp_path / "p.png", **options
    )  # all is done: nothing is trained, the results are written again
    sweep(ITEMS, tmp_path / "b", **{**options, "storage": None, "study": None})

    assert _table(tmp_path / "a") == _table(tmp_path / "b")
    assert _folders(tmp_path / "a") == _folders(tmp_path / "b")
    assert _runs(tmp_path / "a").best == _runs(tmp_path / "b").best
    assert capfd.readouterr() == ("", "")  # Optuna's own lines


def test_models_are_taken_several_at_once_as_one_program(tmp_path: Path):
    report = sweep(ITEMS, tmp_path / "a", **_shared(tmp_path, at_once=4, replicate_mode="stacked"))

    assert report.runs.mode == "stacked"
    assert _folders(tmp_path / "a") == {entry.name for entry in report.runs.runs}
    assert len(report.runs.runs) == 6


def test_a_shared_model_that_diverges_is_marked(tmp_path: Path):
    report = sweep(ITEMS, tmp_path / "a", **_shared(tmp_path, grid={"beta": [1.0, TOO_MUCH]}, replicates=1))

    assert [entry.diverged is None for entry in report.runs.runs] == [True, False]
    assert report.runs.best == "beta-1"


def test_another_sweep_of_the_same_name_is_refused_with_what_differs(tmp_path: Path):
    sweep(ITEMS, tmp_path / "a", **_shared(tmp_path))

    with pytest.raises(IncompatibleError) as error:
        sweep(ITEMS[:50], tmp_path / "b", **_shared(tmp_path, grid={"beta": "0,5"}, lr=0.01))

    for said in ("`grid=beta`: 0.0, 1.0, 2.0 there, 0.0, 5.0 here", "`lr`: 0.001 there, 0.01 here", "the data: "):
        assert said in str(error.value)


def test_a_folder_of_other_things_is_not_swept_into(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.tex").write_text("x")
    sweep(ITEMS, tmp_path / "b", **_shared(tmp_path))

    with pytest.raises(OutputError, match="holds thesis.tex, which is not of this sweep"):
        sweep(ITEMS, tmp_path / "a", **_shared(tmp_path, study="b"))
    with pytest.raises(OutputError, match="holds a finished sweep, and b is another"):
        sweep(ITEMS, tmp_path / "b", **_shared(tmp_path, study="b"))


def test_a_process_that_fails_puts_its_model_back_at_once(tmp_path: Path):
    def fail(rows: Any) -> None:
        raise OutputError("the disk is full")

    with pytest.raises(OutputError, match="the disk is full"):
        sweep(ITEMS, tmp_path / "a", on_epoch=fail, **_shared(tmp_path))
    started = time.monotonic()
    report = sweep(ITEMS, tmp_path / "a", **_shared(tmp_path))

    assert len(report.runs.runs) == 6
    assert time.monotonic() - started < 60  # not the 120 s after which a process is taken for dead


def test_an_optuna_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "optuna", None)

    with pytest.raises(MissingExtraError, match=r"rosetta-points\[optuna\]"):
        sweep(ITEMS, tmp_path / "a", **_shared(tmp_path))


def test_a_storage_that_does_not_answer_is_named_without_its_password(tmp_path: Path):
    for url in (f"sqlite:///{tmp_path}/nowhere/s.db", "postgresql://me:secret@localhost:1/x"):
        with pytest.raises(RosettaError, match="the storage ") as error:
            sweep(ITEMS, tmp_path / "a", **_shared(tmp_path, storage=url))

        assert "secret" not in str(error.value)


TAKE_ALL = """
import json, sys, time
from rosetta.sweeps.shared import open_study
points = [{"beta": float(number), "seed": 0} for number in range(24)]
with open_study(sys.argv[1], "s", {"software": {}}, points, higher_is_better=True, stale_s=60, on_note=print) as study:
    taken = []
    while each := study.take(1):
        taken.append(each[0].model)
print(json.dumps(taken))
"""


@pytest.mark.slow
def test_processes_that_take_at_the_same_time_take_every_model_once(tmp_path: Path):
    command = [sys.executable, "-c", TAKE_ALL, f"sqlite:///{tmp_path / 's.db'}"]

    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    taken = [model for each in processes for model in json.loads(each.communicate(timeout=120)[0])]

    assert sorted(taken) == list(range(24))


SWEEP = """
import sys, time
import numpy as np
from rosetta.verbs.sweep import sweep

def epoch(rows):
    print("epoch", flush=True)
    time.sleep(float(sys.argv[4]))

sweep(
    np.load(sys.argv[1]), sys.argv[2], grid={"beta": "0:1:2"}, replicates=2, replicate_mode="sequential",
    storage=sys.argv[3], study="a", stale_s=3, on_epoch=epoch, on_note=lambda note: None,
    latent_dim=3, hidden=(8,), batch_size=16, epochs=5,
)
"""


def _process(tmp_path: Path, output: str, *, pause_s: float) -> subprocess.Popen[str]:
    """A process that sweeps, and that waits after each epoch."""
    np.save(tmp_path / "items.npy", ITEMS)
    arguments = [tmp_path / "items.npy", tmp_path / output, f"sqlite:///{tmp_path / 's.db'}", pause_s]
    return subprocess.Popen(
        [sys.executable, "-c", SWEEP, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _sweep_alone(folder: Path) -> None:
    options: dict[str, Any] = {"grid": {"beta": "0:1:2"}, "replicates": 2, "replicate_mode": "sequential"}
    sweep(ITEMS, folder, **options, **{**QUICK, "epochs": 5})


@pytest.mark.slow
@pytest.mark.parametrize("output", ["one", "another"])
def test_two_processes_do_every_model_once_in_one_folder_or_in_two(tmp_path: Path, output: str):
    processes = [_process(tmp_path, "one", pause_s=0.2), _process(tmp_path, output, pause_s=0.2)]
    said = [each.communicate(timeout=120) for each in processes]
    _sweep_alone(tmp_path / "whole")

    assert [error for _, error in said] == ["", ""]
    assert all(out for out, _ in said)
    assert sum(out.count("epoch") for out, _ in said) == 6 * 5
    assert _table(tmp_path / "one") == _table(tmp_path / output) == _table(tmp_path / "whole")
    assert _folders(tmp_path / "one") | _folders(tmp_path / output) == _folders(tmp_path / "whole")


@pytest.mark.slow
def test_what_a_killed_process_was_training_is_trained_by_another(tmp_path: Path):
    killed = _process(tmp_path, "one", pause_s=0.5)
    assert killed.stdout is not None
    n_said = sum(bool(killed.stdout.readline()) for _ in range(7))  # its first model is done, and it is at the second
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    other = _process(tmp_path, "one", pause_s=0.0)
    said, error = other.communicate(timeout=120)
    _sweep_alone(tmp_path / "whole")

    assert (n_said, killed.returncode, other.returncode, error) == (7, -signal.SIGKILL, 0, "")
    assert said.count("epoch") == 5 * 5
    assert _table(tmp_path / "one") == _table(tmp_path / "whole")
    assert _folders(tmp_path / "one") == _folders(tmp_path / "whole")
