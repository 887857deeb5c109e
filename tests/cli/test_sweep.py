"""`rosetta sweep`: what a person reads, what a program reads, and the settings to go on with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosetta.schemas.reports import RunSetReport

from rosetta.models.checkpoint import load_run
from tests import builders

ITEMS = np.random.default_rng(0).random((60, 4, 5), dtype=np.float32)
QUICK = ["--latent-dim", 3, "--hidden", 8, "--epochs", 2, "--batch-size", 16, "--replicate-mode", "sequential"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    np.save(tmp_path / "items.npy", ITEMS)
    return tmp_path / "items.npy"


def test_a_person_reads_every_point_best_first_the_rule_and_how_to_go_on(run: Any, data: Path, tmp_path: Path):
    result = run("sweep", data, "-o", tmp_path / "s", "--grid", "beta=0:2:4", "--replicates", 2, "--quiet", *QUICK)

    assert (result.code, result.err) == (0, "")
    assert "trained    6 models at 3 points, one after another" in result.out
    assert "criterion  validation-elbo, higher is better\n" in result.out
    points = [line.split() for line in result.out.split("──\n")[1].split("\n\n")[0].splitlines()]
    assert sorted(point[0] for point in points) == ["0", "2", "4"]
    assert [float(point[1]) for point in points] == sorted((float(point[1]) for point in points), reverse=True)
    assert all(point[2] == "±" for point in points)
    assert [point[-1] == "best" for point in points] == [True, False, False]
    assert f"go on  rosetta train {data} -o RUN --config {tmp_path / 's' / 'best.toml'}\n" in result.out


def test_json_is_one_document_and_epochs_go_to_stderr(run: Any, data: Path, tmp_path: Path):
    result = run("sweep", data, "-o", tmp_path / "s", "--grid", "beta=0,1", "--json", *QUICK)

    report = RunSetReport.model_validate_json(result.out)
    assert [entry.settings for entry in report.runs.runs] == [{"beta": 0.0}, {"beta": 1.0}]
    assert report.runs.best in ("beta-0", "beta-1")
    assert result.err.count("epoch") == 4


@pytest.mark.parametrize(
    ("options", "anchored"),
    [
        (["--grid", "beta=3"], False),
        (
            ["--grid", "beta=0,3", "--kl-anneal", 1, "--criterion", "validation-loss"],
            False,
        ),  # β 0 wins: anneals nothing
        (["--grid", "anchor-weight=0.5,2", "--anchor-scaling", "paper", "--anchor-decoder-weight", 0.1], True),
        (["--grid", "anchor-weight=auto,2", "--anchor-tolerance", 0.9, "--criterion", "anchor-rms"], True),
        (["--grid", "anchor-weight=auto,0", "--anchor-tolerance", 0.9, "--anchor-limit", "none"], True),
    ],
)
def test_train_takes_the_best_settings_and_makes_the_best_run_again(
    run: Any, data: Path, tmp_path: Path, options: list[Any], anchored: bool
):
    bundle = ["--anchors", builders.write(tmp_path / "b.h5", preprocessing=())] if anchored else []
    swept = run("sweep", data, "-o", tmp_path / "s", "--json", "--seed", 4, *bundle, *options, *QUICK)
    assert swept.code == 0, swept.err
    best = RunSetReport.model_validate_json(swept.out).runs.best
    command = (tmp_path / "s" / "best.toml").read_text().splitlines()[0]

    result = run(*shlex.split(command.removeprefix("# rosetta ").replace("RUN", str(tmp_path / "r"))))

    assert (result.code, command[:16]) == (0, "# rosetta train "), result.err
    again, first = (load_run(folder).record.weights_sha256 for folder in (tmp_path / "r", tmp_path / "s" / str(best)))
    assert again == first


def test_a_config_file_can_hold_the_grid(run: Any, data: Path, tmp_path: Path):
    (tmp_path / "c.toml").write_text('grid = ["beta=0,1"]\nlatent-dim = 3\nhidden = [8]\nepochs = 1\n')

    result = run("sweep", data, "-o", tmp_path / "s", "--config", tmp_path / "c.toml", "--replicate-mode", "stacked")

    assert result.code == 0, result.err
    assert "2 models at 2 points, as one program" in result.out


def test_a_diverged_point_is_marked_in_the_table(run: Any, data: Path, tmp_path: Path):
    result = run("sweep", data, "-o", tmp_path / "s", "--grid", "beta=1,1e39", "--quiet", *QUICK)

    assert result.out.splitlines()[-3].split() == ["1e+39", "–", "–", "–", "–", "diverged"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "there is nothing to sweep: pass --grid NAME=START:STEP:STOP"),
        (["--grid", "beta"], "--grid is 'beta'; expected NAME="),
        (["--grid", "beta=1", "--grid", "beta=2"], "--grid beta is given twice"),
        (["--grid", "beta=1,2", "--beta", 3], "--grid beta and --beta both set it"),
        (["--grid", "beta=1,2", "--anchor-limit", "big"], "expected auto, none or a number"),
        (["--grid", "beta=1,2", "--criterion", "elbo"], "'elbo' is not one of"),
        (["--grid", "beta=1,2", "--anchor-tolerance", 0.1], "--anchor-tolerance without --anchors has no effect"),
    ],
)
def test_what_cannot_be_swept_is_one_message_and_exit_code_two(
    run: Any, data: Path, tmp_path: Path, options: list[Any], message: str
):
    result = run("sweep", data, "-o", tmp_path / "s", *options)

    assert (result.code, result.out) == (2, "")
    assert message in " ".join(result.err.replace("│", " ").split())
    assert not (tmp_path / "s").exists()


def test_the_help_says_which_direction_is_better(run: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")

    words = " ".join(run("sweep", "--help").out.replace("│", " ").split())

    assert "validation-elbo: higher is better" in words
    assert "anchor-rms: lower is better" in words
