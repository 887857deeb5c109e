"""What a model has learned by heart, and what its training held out."""

from __future__ import annotations

import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rosetta
from rosetta.adapters import Adapted, Training
from rosetta.errors import OverfittedError, UsageError
from rosetta.inputs.models import expected_by, open_model
from rosetta.inputs.prepare import prepare_within
from rosetta.models.checkpoint import load_run, read_run_record
from rosetta.models.vae import encode_array
from rosetta.runs.configure import split_items
from rosetta.runs.held_out import KnownSplit, known_split
from rosetta.sources import read_items
from tests.conftest import SETTINGS, Lab

WORDS: dict[str, Any] = {"license": "CC0-1.0", "title": "Digits", "creators": ["Alice"], "pairs": 64}
BY_HEART: dict[str, Any] = {
    "latent_dim": 8, "hidden": (128,), "precision": 100.0, "lr": 5e-3, "epochs": 300, "batch_size": 150,
    "validation": 0.2, "device": "cpu",
}  # fmt: skip


def distilled(*arguments: Any, **more: Any) -> tuple[Any, str]:
    notes: list[str] = []
    report = rosetta.distill(*arguments, on_note=notes.append, **(WORDS | more))
    return report, "\n".join(notes)


@pytest.fixture(scope="module")
def few(lab: Lab) -> np.ndarray:
    """150 of Alice's digits."""
    return read_items(lab.train)[:150]


@pytest.fixture(scope="module")
def by_heart(few: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A model that has learned them by heart, and what its training said."""
    path, notes = tmp_path_factory.mktemp("by-heart") / "run", []
    rosetta.train(few, path, on_note=notes.append, **BY_HEART)
    return path, "\n".join(notes)


def test_the_training_says_what_distill_will_refuse(by_heart: tuple[Path, str]):
    assert "the model has learned the training items by heart" in by_heart[1]
    assert "120 items that it was trained on are told from 30 held-out ones with an AUC of 0.9" in by_heart[1]


def test_points_decoded_from_what_was_learned_by_heart_are_refused_below_open(
    by_heart: tuple[Path, str], few: np.ndarray, tmp_path: Path
):
    for privacy in ("strict", "standard"):
        with pytest.raises(OverfittedError, match=f"refused under `privacy={privacy!r}`: .* AUC of 0.9.*`patience=10`"):
            distilled(by_heart[0], few, tmp_path / "b.h5", privacy=privacy, residuals=False)
        assert not (tmp_path / "b.h5").exists()

    _, said = distilled(by_heart[0], few, tmp_path / "b.h5", privacy="open", residuals=False)

    assert "the model has learned its training items by heart" in said


def test_what_the_training_found_counts_whichever_rows_are_distilled(
    by_heart: tuple[Path, str], few: np.ndarray, tmp_path: Path
):
    memory = read_run_record(by_heart[0]).memory

    assert memory is not None
    assert (memory.n_members, memory.n_others) == (120, 30)
    with pytest.raises(OverfittedError, match="120 items that it was trained on are told from 30 held-out ones"):
        distilled(by_heart[0], rosetta.Source(few, rows="0:140"), tmp_path / "b.h5", residuals=False)


def test_a_model_that_goes_on_from_another_cannot_say_what_it_has_learned(
    by_heart: tuple[Path, str], few: np.ndarray, tmp_path: Path
):
    rosetta.train(few, tmp_path / "more", start_from=by_heart[0], **(BY_HEART | {"epochs": 1}))

    assert read_run_record(tmp_path / "more").memory is None


def test_held_out_items_that_are_given_are_judged_by_and_those_among_the_data_are_not(
    by_heart: tuple[Path, str], few: np.ndarray, lab: Lab, tmp_path: Path
):
    others = read_items(lab.held_out)

    with pytest.raises(OverfittedError, match="from 180 held-out ones .* are found at 1 % false alarms"):
        distilled(by_heart[0], few, tmp_path / "b.h5", held_out=np.concatenate([others, few[:20]]), residuals=False)


def test_a_training_that_stopped_early_passes(few: np.ndarray, tmp_path: Path):
    notes: list[str] = []
    rosetta.train(few, tmp_path / "early", on_note=notes.append, patience=5, **BY_HEART)

    _, said = distilled(tmp_path / "early", few, tmp_path / "b.h5", residuals=False)

    assert "by heart" not in "\n".join(notes) + said


def test_where_nobody_can_say_standard_notes_it_and_strict_refuses(lab: Lab, tmp_path: Path):
    other, run = read_items(lab.train)[:400], tmp_path / "run"
    shutil.copytree(lab.run, run)
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"memory": None}))  # as older versions leave it

    _, said = distilled(run, other, tmp_path / "b.h5")

    assert "nobody knows whether the model has learned items by heart, as the data is not what the run" in said
    assert "with `held_out`" in said
    with pytest.raises(OverfittedError, match="refused under `privacy='strict'`: nobody knows"):
        distilled(run, other, tmp_path / "c.h5", privacy="strict")


def test_a_run_knows_its_data_again_in_memory_and_streamed_whatever_its_preprocessing(lab: Lab, tmp_path: Path):
    items = read_items(lab.train).reshape(-1, 64)
    np.save(tmp_path / "items.npy", items)
    quick = SETTINGS | {"epochs": 1}
    rosetta.train(items, tmp_path / "whole", preprocess="standardize", **quick)
    rosetta.train(
        str(tmp_path / "items.npy"), tmp_path / "streamed", preprocess="standardize", memory_gib=1e-4, **quick
    )
    runs = {name: load_run(tmp_path / name) for name in ("whole", "streamed")}
    digests = {run.record.data.inputs_sha256 for run in runs.values()}
    rosetta.distill(tmp_path / "whole", items, tmp_path / "b.h5", **WORDS)

    assert len(digests) == 1
    assert str(digests.pop()).encode() not in (tmp_path / "b.h5").read_bytes()
    for name, run in runs.items():
        opened = open_model(tmp_path / name)

        def split_in(data: np.ndarray, opened: Adapted = opened) -> KnownSplit | str:
            prepared = prepare_within(1 << 30, data, expected_by(opened), features=None, preprocess=None)
            return known_split(opened.training, prepared)

        split = split_in(items)
        assert isinstance(split, KnownSplit)
        assert len(split.held_out) == run.record.data.n_validation
        order = np.random.default_rng(0).permutation(len(items))
        assert split.held_out.tolist() == sorted(order[: len(split.held_out)].tolist())
        assert sorted([*split.held_out, *split.trained]) == list(range(len(items)))
        assert "the data is not what the run was trained on" in str(split_in(items[::-1]))


def test_what_was_held_out_stays_out_of_all_that_the_bundle_is_made_of(lab: Lab, tmp_path: Path):
    items = read_items(lab.train)
    held, trained = split_items(len(items), load_run(lab.run).config.settings)
    latents, _ = encode_array(load_run(lab.run).model, items)

    report, said = distilled(lab.run, items, tmp_path / "b.h5", origin="observed", audit_held_out=True, privacy="open")

    bundle = rosetta.Bundle.open(tmp_path / "b.h5")
    assert report.audit.n_items == len(trained)
    assert report.audit.n_held_out == len(held)
    assert {"nearest point", "nearest latent"} <= {each.attack for each in report.audit.attacks}
    assert "no attack on membership" not in said
    points = {row.tobytes() for row in bundle.inputs}
    assert not points & {row.tobytes() for row in items[held]}
    assert points <= {row.tobytes() for row in items[trained]}
    means = [each.mean(axis=0, dtype=np.float64) for each in (latents[trained], latents)]
    of_trained, of_all = (np.linalg.norm(bundle.space_mean - mean) for mean in means)
    assert of_trained < 0.5 * of_all
    _, without = distilled(lab.run, items, tmp_path / "all.h5", origin="observed")
    assert "or keep out of the points what its training held out with `audit_held_out`" in without


@pytest.mark.parametrize("origin", ["decoded", "moments"])
def test_origins_see_the_training_items_alone(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str):
    items = read_items(lab.train)
    _, trained = split_items(len(items), load_run(lab.run).config.settings)
    seen, verb = [], import_module("rosetta.verbs.distill")
    real = verb.make_points
    monkeypatch.setattr(verb, "make_points", lambda sender, *rest: seen.append(sender) or real(sender, *rest))

    distilled(lab.run, items, tmp_path / "b.h5", origin=origin, audit_held_out=True)

    assert (seen[0].inputs[:] == items[trained]).all()
    assert len(seen[0].latents) == len(trained)


def test_audit_held_out_says_what_is_missing(lab: Lab, tmp_path: Path):
    items = read_items(lab.train)
    rosetta.train(items, tmp_path / "all", validation=0, **(SETTINGS | {"epochs": 1}))
    rosetta.train(items, tmp_path / "later", start_from=tmp_path / "all", **(SETTINGS | {"epochs": 1}))
    for run, data, more, message in (
        (lab.run, items[1:], {}, "the data is not what the run was trained on: 721 items.*has 720.*with `held_out`"),
        (tmp_path / "all", items, {}, "the run held out none of its items"),
        (tmp_path / "later", items, {}, "the run started from another one"),
        (lab.run, items, {"held_out": items[:30]}, "two ways to give the audit items"),
    ):
        with pytest.raises(UsageError, match=message):
            distilled(run, data, tmp_path / "b.h5", audit_held_out=True, **more)
    with pytest.raises(UsageError, match="not a run of rosetta train"):
        rosetta.distill(None, items, tmp_path / "b.h5", latents=np.zeros((len(items), 2)), audit_held_out=True, **WORDS)


def test_runs_of_older_versions_are_told_apart(lab: Lab):
    config, record = load_run(lab.run).config, read_run_record(lab.run)
    old = record.model_copy(update={"data": record.data.model_copy(update={"inputs_sha256": None})})

    items = prepare_within(1 << 30, lab.train, None, features=None, preprocess=None)

    other = record.model_copy(update={"data": record.data.model_copy(update={"held_out_sha256": "0" * 64})})

    assert "held out whole groups" in str(known_split(Training(config, other), items))
    assert "an older version" in str(known_split(Training(config, old), items))
    assert isinstance(known_split(Training(config, record), items), KnownSplit)
