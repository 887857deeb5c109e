"""An objective is one file: found by its name, with settings of its own, beside anchors and replicates."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from rosetta.schemas.run import TrainSettings

import rosetta
from rosetta.errors import UsageError
from rosetta.objectives.kinds import objectives
from rosetta.training.loggers.csv import read_metrics
from tests.conftest import Lab
from tests.objectives.kinds.cases import ITEMS, QUICK, trained

NAMES = sorted(objectives)


def test_no_setting_of_an_objective_is_one_of_every_training_and_no_term_has_anothers_name():
    for name in objectives:
        own = objectives.get(name)
        assert not own.settings.model_fields.keys() & TrainSettings.model_fields.keys()
        assert len({term.name for term in own.terms}) == len(own.terms)
        assert all(field.description for field in own.settings.model_fields.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_objective_goes_with_anchors_replicates_and_early_stopping(name: str, lab: Lab, tmp_path: Path):
    settings = {"epochs": 3, "hidden": (16,), "device": "cpu", "objective": name}

    rosetta.train(lab.bob, tmp_path / "one", anchors=lab.decoded, patience=5, plot=tmp_path / "one.png", **settings)
    both = [
        rosetta.train(
            lab.bob, tmp_path / mode, anchors=lab.decoded, replicates=2, replicate_mode=mode, **settings
        ).runs.runs
        for mode in ("stacked", "sequential")
    ]

    own = {term.name for term in objectives.get(name).terms} - {"kl"}
    assert own <= read_metrics(tmp_path / "one" / "metrics.csv")[0].keys()
    assert (tmp_path / "one.png").stat().st_size > 1000
    for stacked, alone in zip(*both, strict=True):
        assert stacked.final.elbo == pytest.approx(alone.final.elbo, rel=1e-3)


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson", "negative-binomial"])
@pytest.mark.parametrize("name", NAMES)
def test_every_objective_goes_with_every_likelihood(name: str, likelihood: str, tmp_path: Path):
    items = np.random.default_rng(0).integers(2, size=(120, 6)).astype(np.float32)

    report = rosetta.train(
        items, tmp_path / "run", objective=name, likelihood=likelihood, **(QUICK | {"epochs": 2, "preprocess": "none"})
    )

    assert np.isfinite(report.final.elbo)


def test_a_setting_of_another_objective_or_of_none_is_refused(tmp_path: Path):
    for settings, message in (
        ({"objective": "beta-tc-va"}, "no objective called 'beta-tc-va'. Did you mean 'beta-tc-vae'"),
        ({"tc_weight": 4.0}, "no effect on the objective vae: it is of beta-tc-vae"),
        ({"objective": "beta-tc-vae", "tc_weight": -1.0}, "tc_weight is -1.0"),
        ({"objective": "beta-tc-vae", "tc_wait": 1.0}, "no setting called 'tc_wait'"),
    ):
        with pytest.raises(UsageError, match=message):
            trained(tmp_path / "run", **settings)


def test_a_sweep_goes_over_a_setting_of_the_objective(tmp_path: Path):
    report = rosetta.sweep(ITEMS, tmp_path / "sweep", grid={"tc_weight": [1.0, 8.0]}, objective="beta-tc-vae", **QUICK)

    assert len(report.runs.runs) == 2
    assert len({run.final.elbo for run in report.runs.runs}) == 2
    best = tomllib.loads((tmp_path / "sweep" / "best.toml").read_text())
    assert best["tc-weight"] in (1.0, 8.0)
    with pytest.raises(UsageError, match="differ in tc_weight are not stacked"):
        rosetta.sweep(
            ITEMS, tmp_path / "more", grid={"tc_weight": [1.0, 8.0]}, objective="beta-tc-vae", replicate_mode="stacked",
            **QUICK,
        )  # fmt: skip


def test_the_objective_travels_in_the_run_and_in_the_bundle(tmp_path: Path):
    trained(tmp_path / "run", objective="dip-vae-ii", diagonal_weight=2.0)
    rosetta.distill(
        tmp_path / "run", ITEMS, tmp_path / "b.h5", origin="observed", pairs=10, checks=8, license="CC0-1.0",
        title="T", creators=["A"],
    )  # fmt: skip

    model = rosetta.Bundle.open(tmp_path / "b.h5").manifest.provenance.model

    assert model.objective == "dip-vae-ii"
    assert model.training["objective_settings"] == {"diagonal_weight": 2.0}
    assert rosetta.validate(tmp_path / "b.h5").valid
