"""The demo is the real thing, and keeps its promise."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from rosetta.schemas.reports import DemoReport

import rosetta
from rosetta.sources import read_items

COMMAND = [sys.executable, "-c", "from rosetta.cli import main; main()"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("demo")
    result = subprocess.run([*COMMAND, "demo", "--json"], cwd=folder, capture_output=True, text=True, check=False)
    return folder, result


def test_observed_anchors_cut_the_fvu_fivefold_and_decoded_ones_further(demo):
    report = DemoReport.model_validate_json(demo[1].stdout)
    without, observed, decoded = report.rows

    assert observed.fvu < without.fvu / 5
    assert decoded.fvu < observed.fvu
    assert [row.verdict for row in report.rows] == ["not aligned", "aligned", "aligned"]
    assert [row.n_anchors for row in report.rows] == [0, 64, 1024]
    assert max(row.reconstruction for row in report.rows) < 1.2 * without.reconstruction


def test_everything_is_left_in_the_folder(demo):
    folder, result = demo
    names = {path.name for path in (folder / "rosetta-demo").iterdir()}

    assert result.returncode == 0, result.stderr
    assert names == {
        "alice.npz", "bob.npz", "alice", "alice-observed.h5", "alice-decoded.h5", "bob-unanchored", "bob-observed",
        "bob-decoded", "alice-latents.npy", "bob-unanchored-latents.npy", "bob-observed-latents.npy",
        "bob-decoded-latents.npy", "spaces.png",
    }  # fmt: skip
    assert (folder / "rosetta-demo" / "spaces.png").read_bytes().startswith(b"\x89PNG")


def test_not_one_of_alices_digits_is_in_the_decoded_bundle(demo):
    here = demo[0] / "rosetta-demo"
    digits = {row.tobytes() for name in ("train", "held_out") for row in read_items(f"{here / 'alice.npz'}::{name}")}
    observed, decoded = (rosetta.Bundle.open(here / f"alice-{name}.h5") for name in ("observed", "decoded"))

    assert all(row.tobytes() in digits for row in observed.inputs)
    assert not any(row.tobytes() in digits for row in decoded.inputs)


def test_the_printed_commands_are_what_was_run(demo):
    folder, result = demo
    commands = [shlex.split(line[2:]) for line in result.stderr.splitlines() if line.startswith("$ ")]
    compare = commands[-1]

    again = subprocess.run([*COMMAND, *compare[1:], "--json"], cwd=folder, capture_output=True, text=True, check=True)

    assert [c[1] for c in commands] == (
        ["train", "distill", "distill", "validate", "validate", "train", "train", "train", "check", "check", "check"]
        + ["embed"] * 4 + ["compare"] * 3
    )  # fmt: skip
    assert json.loads(again.stdout)["metrics"][0]["value"] == pytest.approx(
        json.loads(result.stdout)["rows"][-1]["fvu"]
    )


def test_without_matplotlib_the_demo_names_the_install_command_before_it_starts(tmp_path: Path):
    code = "import sys; sys.modules['matplotlib'] = None; from rosetta.cli import main; main()"

    result = subprocess.run(
        [sys.executable, "-c", code, "demo"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert result.returncode == 2
    assert result.stderr == (
        "error: drawing a picture needs matplotlib, which is not installed. "
        "Install it with: pip install 'rosetta-points[report]'\n"
    )
    assert list(tmp_path.iterdir()) == []
