"""The aggressive procedure: the encoder ahead of the decoder, for as long as the mutual information rises."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rosetta
from rosetta.errors import UsageError
from rosetta.models.checkpoint import load_run
from rosetta.training.loop import Training
from rosetta.training.procedures import aggressive
from rosetta.training.procedures.aggressive import Aggressive, is_encoder, mutual_information

ITEMS = (np.random.default_rng(0).random((300, 2)) @ np.random.default_rng(1).random((2, 12))).astype(np.float32)
QUICK: dict[str, Any] = {
    "latent_dim": 2, "hidden": (16,), "epochs": 3, "batch_size": 50, "device": "cpu", "precision": 100.0,
    "procedure": "aggressive",
}  # fmt: skip


def _twin(mean: np.ndarray, variance: np.ndarray, latents: np.ndarray) -> float:
    def density(i: int, j: int) -> float:
        gaps = (latents[i] - mean[j]) ** 2 / variance[j]
        return float(np.prod(np.exp(-0.5 * gaps) / np.sqrt(2 * math.pi * variance[j])))

    n = len(mean)
    return float(np.mean([math.log(density(i, i) / (sum(density(i, j) for j in range(n)) / n)) for i in range(n)]))


@pytest.mark.parametrize("seed", range(3))
def test_the_mutual_information_is_that_of_sums_written_out(seed: int):
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance, noise = (torch.randn(9, 3, generator=generator, dtype=torch.float64) for _ in range(3))
    latents = mean + (0.5 * log_variance).exp() * noise

    found = float(mutual_information(mean, log_variance, noise))

    assert found == pytest.approx(_twin(mean.numpy(), log_variance.exp().numpy(), latents.numpy()), abs=1e-9)
    assert found < math.log(9)


def test_an_encoder_that_says_nothing_has_no_mutual_information_and_one_that_says_all_has_the_most():
    noise = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))

    nothing = mutual_information(torch.zeros(50, 2), torch.zeros(50, 2), noise)
    everything = mutual_information(1e3 * torch.arange(50.0)[:, None].repeat(1, 2), torch.zeros(50, 2), noise)

    assert float(nothing) == pytest.approx(0, abs=1e-6)
    assert float(everything) == pytest.approx(math.log(50), abs=1e-5)


def test_the_encoder_steps_alone_then_the_decoder_and_it_ends_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    moved: list[str] = []
    descend = Training.descend

    def spied(self: Training, batch: Any, *, only: Any = None) -> Any:
        before = {name: p.detach().clone() for name, p in self.program.named_parameters()}
        terms = descend(self, batch, only=only)
        changed = {is_encoder(name) for name, p in self.program.named_parameters() if not p.equal(before[name])}
        moved.append({frozenset({True}): "encoder", frozenset({False}): "decoder"}.get(frozenset(changed), "both"))
        return terms

    monkeypatch.setattr(Training, "descend", spied)
    information = iter([1.0, 0.5, 2.0, 3.0])
    monkeypatch.setattr(aggressive, "mutual_information", lambda *tensors: torch.tensor(next(information)))

    rosetta.train(ITEMS, tmp_path / "run", **(QUICK | {"epochs": 4}))

    n_batches = math.ceil(270 / 50)
    assert moved[-2 * n_batches :] == ["both"] * (2 * n_batches)  # the second epoch's figure had fallen
    ahead = moved[: -2 * n_batches]
    assert ahead.count("decoder") == 2 * n_batches
    runs = "".join("e" if each == "encoder" else "d" for each in ahead).split("d")[:-1]
    assert all(2 * aggressive.STEPS_A_LOOK <= len(run) <= aggressive.MOST_INNER_STEPS for run in runs)
    assert all(len(run) % aggressive.STEPS_A_LOOK == 0 for run in runs)


def test_its_state_goes_on_where_it_stood():
    first = Aggressive(3)
    first.is_on, first.information = False, 1.25
    torch.randint(10, (5,), generator=first.generator)

    second = Aggressive(0)
    second.restore(first.state())

    assert (second.is_on, second.information) == (False, 1.25)
    drawn = [torch.randint(100, (5,), generator=each.generator).tolist() for each in (first, second)]
    assert drawn[0] == drawn[1]


def test_it_goes_with_anchors_and_gives_another_model(tmp_path: Path):
    joint = {**QUICK, "procedure": "joint"}
    rosetta.train(ITEMS, tmp_path / "joint", **joint)
    rosetta.train(ITEMS, tmp_path / "aggressive", **QUICK)
    rosetta.distill(
        tmp_path / "joint", ITEMS, tmp_path / "b.h5", origin="observed", pairs=20, checks=8, license="CC0-1.0",
        title="T", creators=["A"],
    )  # fmt: skip
    report = rosetta.train(ITEMS, tmp_path / "anchored", anchors=tmp_path / "b.h5", **QUICK)

    one, other = (load_run(tmp_path / name) for name in ("joint", "aggressive"))
    assert one.record.weights_sha256 != other.record.weights_sha256
    assert other.config.settings.procedure == "aggressive"
    assert np.isfinite(report.final.anchor_rms)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"replicates": 2, "replicate_mode": "stacked"}, "models that train as one program"),
        ({"tied": True, "hidden": (16,)}, "with `tied` weights"),
        ({"procedure": "agressive"}, "no procedure called 'agressive'. Did you mean 'aggressive'"),
    ],
)
def test_where_it_cannot_be_used_it_says_why(more: dict[str, Any], message: str, tmp_path: Path):
    with pytest.raises(UsageError, match=message):
        rosetta.train(ITEMS, tmp_path / "run", **(QUICK | more))

    assert not (tmp_path / "run").exists()


def test_replicates_are_trained_one_after_another(tmp_path: Path):
    report = rosetta.train(ITEMS, tmp_path / "runs", replicates=2, **QUICK)

    assert report.runs.mode == "sequential"
