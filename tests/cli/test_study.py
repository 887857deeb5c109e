"""`rosetta study`: what a person and a program read of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosetta.cli.study import app
from rosetta.schemas.study import StudyReport
from typer.testing import CliRunner

SETTINGS = """
replicates = 2
cells = [{origin = "none"}, {origin = "observed", points = 8}, {origin = "observed", points = 500}]
[data.mine]
latent_dim = 2
hidden = [8]
epochs = 2
"""


@pytest.fixture
def data(tmp_path: Path) -> str:
    items = np.random.default_rng(0).random((120, 3, 3), dtype=np.float32)
    names = ("sender", "sender_held_out", "receiver", "receiver_held_out")
    parts = dict(zip(names, np.split(items, (50, 60, 110)), strict=True))
    np.savez(tmp_path / "mine.npz", **parts)
    (tmp_path / "study.toml").write_text(SETTINGS)
    return f"mine={tmp_path / 'mine.npz'}"


def _run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["origins", *map(str, arguments)])


def test_a_person_reads_the_table_what_is_impossible_and_the_target(data: str, tmp_path: Path):
    result = _run("-o", tmp_path / "s", "--data", data, "--config", tmp_path / "study.toml")

    assert result.exit_code == 0, result.output
    assert [line.split(":")[-1] for line in result.stderr.splitlines()] == [
        " mine, none", " mine, observed-8", " mine, observed-500",
    ]  # fmt: skip
    words = result.stdout.split("──\n")[1]
    assert [line.split("  ")[0] for line in words.splitlines()[:2]] == ["no anchors", "observed 8"]
    assert "observed 500 impossible: " in words
    assert "The target: no private item in the file, at most a tenth" in words
    assert "mine: not known yet." in words


def test_json_is_one_document_and_a_second_call_has_nothing_to_do(data: str, tmp_path: Path):
    command = ("-o", tmp_path / "s", "--data", data, "--config", tmp_path / "study.toml", "--json", "--replicates", 1)
    first, second = _run(*command), _run(*command)

    report = StudyReport.model_validate_json(first.stdout)
    assert [row.n_replicates for row in report.rows] == [1, 1, 0]
    assert (second.exit_code, second.stdout, second.stderr) == (0, first.stdout, "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "mine"], "only digits is built in: write a name before the file"),
        (["--data", "digits", "--data", "digits"], "--data digits is given twice"),
        (["--data", "mine=nowhere.npz"], "there is no file nowhere.npz"),
        (["--config", "nowhere.toml"], "there is no file nowhere.toml"),
    ],
)
def test_what_cannot_be_studied_is_one_message_and_exit_code_two(options: list[str], message: str, tmp_path: Path):
    result = _run("-o", tmp_path / "s", *options)

    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert not (tmp_path / "s").exists()
