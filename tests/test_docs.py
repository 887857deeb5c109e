"""The guides' commands are run as they stand, and their tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from rosetta.cli.app import app

from rosetta.models import architectures
from rosetta.models.likelihoods import LIKELIHOODS
from tests.conftest import Lab
from tests.test_readme import run_commands, tour_folder

ROOT = Path(__file__).parents[1]
TRAINING = (ROOT / "docs" / "training.md").read_text()


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


def test_the_guide_names_every_architecture_and_likelihood():
    assert set(re.findall(r"^\| `([a-z][a-z-]+)` \|", TRAINING, flags=re.MULTILINE)) == {*architectures, *LIKELIHOODS}


@pytest.mark.parametrize("name", ["README.md", "docs/training.md", "docs/points.md", "docs/privacy.md"])
def test_options_that_a_guide_names_exist(name: str):
    commands = dict(typer.main.get_command(app).commands)
    commands |= {f"study {key}": value for key, value in commands["study"].commands.items()}
    known = {
        option
        for command in commands.values()
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    others = {"--help", "--nproc-per-node", "--epsilon"}  # of torchrun, and of an example

    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / name).read_text()))

    assert named <= known | others
