"""A training that was interrupted, however, ends as if it had not been."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rosetta
from rosetta.errors import TrainingError
from rosetta.files import CHECKPOINT, unfinished
from rosetta.training.checkpoint import load_state
from rosetta.training.loop import Training
from tests.training.commands import run, start

SMALL = {"hidden": (16,), "epochs": 4, "batch_size": 32, "latent_dim": None}
STEPS = 6  # an epoch of the data below
ANCHORED = {"anchors_per_step": 8}
EVERYTHING = ANCHORED | {
    "anchor_noise": 0.1, "anchor_spread_weight": 0.1, "anchor_elbo_weight": 0.1, "lr_schedule": "cosine",
    "lr_warmup": 1.0, "kl_anneal": 2.0, "patience": 1, "clip": 1.0,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "a plain VAE": {},
    "an R-VAE": ANCHORED,
    "an R-VAE with everything": EVERYTHING,
    "stacked replicates": EVERYTHING | {"replicates": 3, "replicate_mode": "stacked"},
    "sequential replicates": ANCHORED | {"replicates": 2, "replicate_mode": "sequential"},
}


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory, lab) -> str:
    """Two hundred of Bob's digits: 180 are trained on, 6 steps of 32 an epoch."""
    folder = tmp_path_factory.mktemp("digits")
    np.savez(folder / "digits.npz", bob=np.load(lab.folder / "digits.npz")["bob"][:200])
    return f"{folder / 'digits.npz'}::bob"


@pytest.fixture
def interrupt_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make the process get SIGTERM at the end of the so-manieth step from now on."""
    train_on = Training.train_on

    def plan(n_steps: int) -> None:
        left = [n_steps]

        def counted(training: Training, batch: Any) -> None:
            train_on(training, batch)
            left[0] -= 1
            if left[0] == 0:
                signal.raise_signal(signal.SIGTERM)

        monkeypatch.setattr(Training, "train_on", counted)

    return plan


def figures(folder: Path) -> dict[str, Any]:
    """Return all of a run, or of several, that must not depend on interruptions."""
    found = {}
    for record in sorted(folder.rglob("run.json")):
        document = json.loads(record.read_text())
        names = ("weights_sha256", "final", "epochs", "best_epoch", "final_anchor_weight")
        with (record.parent / "metrics.csv").open() as file:
            rows = [
                {name: text for name, text in row.items() if name not in ("elapsed_s", "rows_per_s")}
                for row in csv.DictReader(file)
            ]
        found[str(record.parent.relative_to(folder))] = {name: document[name] for name in names} | {"rows": rows}
    assert found
    return found


def train(data: str, output: Path, lab, kind: str, **more: Any) -> None:
    anchors = [lab.observed] if "anchors_per_step" in KINDS[kind] else []
    rosetta.train(data, output, anchors=anchors, **SMALL | KINDS[kind] | more)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_interrupted_twice_ends_bit_for_bit_as_one_that_was_not(
    tmp_path: Path, lab, digits: str, kind: str, interrupt_after: Callable[[int], None]
):
    train(digits, tmp_path / "whole", lab, kind)
    expected = figures(tmp_path / "whole")

    # in the middle of an epoch and at its end; at the first step and the last of all
    n_steps = sum(int(each["epochs"]) for each in expected.values()) * STEPS // (3 if "stacked" in kind else 1)
    for number, steps in enumerate([(1, 9), (STEPS, STEPS), (STEPS + 2, 3), (n_steps,)]):
        output = tmp_path / f"run-{number}"
        for left in steps:
            interrupt_after(left)
            with pytest.raises(KeyboardInterrupt, match="the same command with --resume goes on from there"):
                train(digits, output, lab, kind, resume=True)
            assert not output.exists()
        interrupt_after(-1)
        train(digits, output, lab, kind, resume=True)

        assert figures(output) == expected
        assert {p.name for p in output.iterdir()} == {p.name for p in (tmp_path / "whole").iterdir()}
