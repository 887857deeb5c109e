"""The examples run as they stand, and the anchors in them do what they are for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import rosetta
from rosetta.models.checkpoint import load_run
from tests.conftest import Lab

FOLDER = Path(__file__).parents[1] / "examples"
NEEDS = {"plain_loop": "torch", "lightning_module": "lightning", "pythae_vae": "pythae", "private_encoder": "opacus"}


def _run(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    if find_spec(NEEDS[name]) is None:
        pytest.skip(f"{name}.py needs {NEEDS[name]}, which is not installed")
    one_thread = {"OMP_NUM_THREADS": "1"}  # these models are too small for more
    return subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), *options],
        capture_output=True, text=True, check=False, timeout=300, env=os.environ | one_thread,
    )  # fmt: skip


def _improvement(result: subprocess.CompletedProcess[str]) -> float:
    assert result.returncode == 0, result.stderr
    figures = dict(re.findall(r"^(without|with) anchors: +([\d.]+)$", result.stdout, flags=re.MULTILINE))
    return float(figures["without"]) / float(figures["with"])


@pytest.mark.parametrize(
    "name",
    [
        "plain_loop",
        pytest.param("lightning_module", marks=pytest.mark.slow),
        pytest.param("pythae_vae", marks=pytest.mark.slow),
    ],
)
def test_anchors_make_the_fvu_at_least_five_times_smaller(name: str):
    assert _improvement(_run(name, "--epochs", "25")) >= 5


@pytest.mark.slow
def test_a_bundle_that_is_there_is_used(lab: Lab):
    assert _improvement(_run("plain_loop", "--epochs", "25", "--anchors", str(lab.decoded))) >= 5


def test_without_pythae_its_example_says_how_to_install_it():
    hide = "import sys, runpy; sys.path.insert(0, sys.argv[1]); sys.modules['pythae'] = None;"
    code = f"{hide} runpy.run_path(sys.argv[1] + '/pythae_vae.py', run_name='__main__')"

    result = subprocess.run([sys.executable, "-c", code, str(FOLDER)], capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert "pip install --no-deps pythae==0.1.2" in result.stderr
    assert "Traceback" not in result.stderr


def test_every_example_is_run_here_and_explained():
    names = {path.stem for path in FOLDER.glob("*.py") if "__main__" in path.read_text()}

    assert names == set(NEEDS)
    assert all(f"({name}.py)" in (FOLDER / "README.md").read_text() for name in names)


@pytest.mark.slow
def test_a_private_encoder_spends_what_it_says_and_points_can_be_made_with_its_run(tmp_path: Path):
    result = _run("private_encoder", "-o", str(tmp_path / "run"), "--epochs", "100", "--epsilon", "6")

    assert result.returncode == 0, result.stderr
    from opacus.accountants import RDPAccountant

    noise = float(re.findall(r"noise of ([\d.]+) per step$", result.stdout, flags=re.MULTILINE)[0])
    account = RDPAccountant()
    account.history = [(noise / 2, 1.0, 100)]  # of one item replaced, which moves the sum twice as far as one more
    elbo = dict(re.findall(r"^(without|with) privacy +(-?[\d.]+) ", result.stdout, flags=re.MULTILINE))
    assert 5.5 < account.get_epsilon(1e-4) < 6.05
    assert float(elbo["with"]) < float(elbo["without"])
    run, digits = load_run(tmp_path / "run"), load_digits()
    images = (digits.images[digits.target < 5] / 16).astype(np.float32)
    assert run.record.data.n_items == len(images)
    rosetta.distill(
        tmp_path / "run", images[180:], tmp_path / "alice.h5", origin="moments", pairs=32, dp_epsilon=10, dp_delta=1e-4,
        license="CC0-1.0", title="Digits", creators=["Alice"],
    )  # fmt: skip
    assert rosetta.Bundle.open(tmp_path / "alice.h5").latents.shape[1] == 4
