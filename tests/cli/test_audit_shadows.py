"""`rosetta audit --thorough` and `--canaries`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rosetta
from rosetta.shadows import canaries, scores, stolen
from rosetta.sources import read_items
from tests.conftest import SETTINGS, Lab


def test_shadow_senders_and_canaries_are_asked_for_told_and_shown(
    run, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for module in (scores, canaries):
        monkeypatch.setattr(module, "steal", lambda *pairs, seed: stolen.steal(*pairs, seed=seed, n_steps=30))
    items = read_items(lab.train)[:120]
    np.savez(tmp_path / "few.npz", items=items)
    data, model, bundle = f"{tmp_path}/few.npz::items", tmp_path / "run", tmp_path / "b.h5"
    rosetta.train(data, model, validation=0.5, **(SETTINGS | {"epochs": 60, "batch_size": 16}))
    rosetta.distill(
        model,
        data,
        bundle,
        audit_held_out=True,
        pairs=64,
        license="CC0-1.0",
        title="x",
        creators=["A"],
        residuals=False,
        privacy="open",
    )
    options = ["audit", bundle, "--data", data, "--model", model]

    kept = ["--thorough", "--shadows", "4", "--shadow-folder", tmp_path / "kept"]

    result = run(*options, *kept, "--canaries", "3")

    assert result.code == 0
    assert "4 shadow senders, each trained on 60 of 60 items of the model and 60 others" in result.out
    assert "stolen encoder and decoder" in result.out
    assert "the sender's own model (ceiling)" in result.out
    assert "canary in 3 items, 2 × 2 pixels from row" in result.out
    assert "canary in a single item" in result.out
    assert "this takes about" in result.err
    assert "4 of 4 done" in result.err
    found = run(*options, *kept, "--json").json
    assert [each["attack"] for each in found["shadows"]["attacks"]] == list(scores.ATTACKS)
    assert found["shadows"]["n_others"] == 60
    assert found["canaries"] == []
    names = {each["attack"] for each in found["audit"]["attacks"]}
    assert {f"{name}, calibrated by shadow senders" for name in scores.ATTACKS} <= names
    assert (found["audit"]["n_items"], found["audit"]["n_held_out"]) == (60, 60)  # what the run held out are outsiders


def test_options_that_would_have_no_effect_are_refused(run, lab: Lab):
    options = ["audit", lab.decoded, "--data", lab.train]

    for more, message in (
        (["--shadows", "4"], "--shadows has no effect without --thorough"),
        (["--shadow-folder", "x"], "--shadow-folder has no effect without --thorough"),
    ):
        result = run(*options, *more)
        assert result.code == 2
        assert message in result.err
