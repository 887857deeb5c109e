"""The guides' commands are run as they stand, and their tables name what there is."""

from __future__ import annotations

import re
import shlex
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import typer
from rosetta.cli.app import app, main

import rosetta
from rosetta.models import architectures
from rosetta.models.likelihoods import LIKELIHOODS
from rosetta.objectives.kinds import objectives
from rosetta.preprocessing import steps
from rosetta.selection import selectors
from tests.conftest import Lab
from tests.test_readme import run_commands, tour_folder

ROOT = Path(__file__).parents[1]
TRAINING = (ROOT / "docs" / "training.md").read_text()
SOURCES = (ROOT / "docs" / "sources.md").read_text()


@pytest.mark.slow
def test_the_guide_to_training_can_be_followed(lab: Lab, tmp_path: Path):
    folder = tour_folder(lab, tmp_path)
    run_commands(
        "rosetta train rosetta-demo/alice.npz::train -o alice --latent-dim 8 --epochs 40\n"
        "rosetta distill alice rosetta-demo/alice.npz::train -o alice.h5 --origin decoded --pairs 512 "
        "--title T --creator A --license CC0-1.0\n",
        folder,
    )

    for block in re.findall(r"```sh\n(.*?)```", TRAINING, flags=re.DOTALL):
        run_commands(block, folder)

    assert (folder / "bob-tight.png").stat().st_size > 10_000
    assert (folder / "chosen" / "run.json").exists()
    assert (folder / "bob-encoder.onnx").exists()


def test_the_guide_names_every_architecture_likelihood_and_objective():
    named = set(re.findall(r"^\| `([a-z][a-z-]+)` \|", TRAINING, flags=re.MULTILINE))

    assert named == {*architectures, *LIKELIHOODS, *objectives.own()}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("pythae") is None, reason="one of the models is pythae's, which is not installed")
def test_the_guide_to_sources_can_be_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    examples = SOURCES[SOURCES.index("## Four examples") :]

    for language, block in re.findall(r"```(python|sh)\n(.*?)```", examples, flags=re.DOTALL):
        if language == "sh":
            _follow(block, monkeypatch)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other people's packages
            exec(block, {"__name__": "__main__"})  # noqa: S102

    bundles = {each.stem: rosetta.Bundle.open(each) for each in tmp_path.glob("*.h5")}
    assert {name: len(bundle.latents) for name, bundle in bundles.items()} == {
        "digits": 4128, "program": 4128, "cells": 4128, "kinds": 72, "song": 288
    }  # fmt: skip
    assert bundles["digits"].latents_sd is not None
    assert bundles["program"].latents_sd is not None
    assert bundles["song"].inputs.shape[1:] == (64, 64)
    assert np.load("rare.npy").shape == (80, 5)


def _follow(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each line of a block as the entry point would, in this process."""
    for line in block.strip().splitlines():
        monkeypatch.setattr("sys.argv", shlex.split(line))
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code, line


def test_the_guide_names_every_step_and_selector():
    named = set(
        re.findall(r"`([a-z0-9_-]+)(?:\([^`]*\))?`", "".join(re.findall(r"^\|[^|]+\|", SOURCES, flags=re.MULTILINE)))
    )

    assert {*steps, *selectors} <= named


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/training.md",
        "docs/points.md",
        "docs/privacy.md",
        "docs/sources.md",
        "docs/disclosure.md",
        "docs/audit.md",
    ],
)
def test_options_that_a_guide_names_exist(name: str):
    commands = dict(typer.main.get_command(app).commands)
    commands |= {f"study {key}": value for key, value in commands["study"].commands.items()}
    known = {
        option
        for command in commands.values()
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    others = {"--help", "--nproc-per-node", "--epsilon", "--no-deps"}  # of torchrun, of an example and of pip

    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / name).read_text()))

    assert named <= known | others
