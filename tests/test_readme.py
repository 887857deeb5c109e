"""What the README shows is what happens: its commands and programs are run one after the other."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Lab

README = (Path(__file__).parents[1] / "README.md").read_text()
COMMAND = [sys.executable, "-c", "from rosetta.cli import main; main()"]


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def tour_folder(lab: Lab, folder: Path) -> Path:
    """A folder with what the demo leaves behind, and the command."""
    (folder / "rosetta-demo").mkdir()
    arrays = np.load(lab.folder / "digits.npz")
    np.savez(folder / "rosetta-demo" / "alice.npz", train=arrays["train"], held_out=arrays["held_out"])
    np.savez(folder / "rosetta-demo" / "bob.npz", train=arrays["bob"], held_out=arrays["bob"][:50])
    (folder / "bin").mkdir()
    (folder / "bin" / "rosetta").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (folder / "bin" / "rosetta").chmod(0o755)
    return folder


def run_commands(block: str, folder: Path) -> dict[str, str]:
    """Run each line of a block and return what each verb printed."""
    environment = os.environ | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    printed: dict[str, str] = {}
    for line in block.replace("\\\n", " ").strip().splitlines():
        result = subprocess.run(
            ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, (line, result.stdout, result.stderr)
        verbs = re.findall(r"\brosetta ([a-z]+)", line)
        assert len(verbs) == 1
        printed[verbs[0]] = printed.get(verbs[0], "") + result.stdout
    return printed


@pytest.fixture(scope="module")
def toured(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder in which the tour's commands were run, and what each verb printed."""
    folder = tour_folder(lab, tmp_path_factory.mktemp("readme"))
    return folder, run_commands("".join(_blocks("sh")), folder)


def test_the_tours_commands_do_what_they_say(toured: tuple[Path, dict[str, str]]):
    folder, printed = toured

    assert set(printed) == {
        "train", "distill", "inspect", "validate", "check", "embed", "compare", "keygen", "sign", "verify", "rules",
        "export", "audit",
    }  # fmt: skip
    assert "1024 anchors and 32 checks (1056 decoded)" in printed["inspect"]
    assert "valid" in printed["validate"]
    assert "ALIGNED" in printed["check"]
    assert "VERIFIED: signed by Alice, Lab A" in printed["verify"]
    assert "signed by             Alice, Lab A" in printed["check"]
    assert np.load(folder / "bob-latents.npy").shape == (896, 8)


@pytest.mark.parametrize("number", range(len(_blocks("python"))))
def test_its_programs_run(toured: tuple[Path, dict[str, str]], number: int):
    result = subprocess.run(
        [sys.executable, "-c", _blocks("python")[number]], cwd=toured[0], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr


def test_its_programs_are_as_short_as_it_says():
    assert [len(block.strip().splitlines()) for block in _blocks("python")] == [10, 7, 8]


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (Path(__file__).parents[1] / target).exists(), target
