"""What a policy excludes is in no training, and nobody has items both held out and trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosetta.schemas.run import TrainSettings

import rosetta
from rosetta.errors import PolicyError, UsageError
from rosetta.models.checkpoint import load_run
from rosetta.runs.configure import split_items

QUICK: dict[str, Any] = {"latent_dim": 2, "hidden": (8,), "epochs": 2, "batch_size": 32}
WHO = np.array([f"bird {number}" for number in np.random.default_rng(0).integers(12, size=300)])


def _items(wild: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng(0)
    items = (rng.random((300, 1)) + 0.1 * rng.random((300, 6))).astype(np.float32)
    items[WHO == "bird 3"] = wild
    items[7] = wild
    return items


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.savez(tmp_path / "birds.npz", x=_items(), wild=_items(1e4), who=WHO)
    (tmp_path / "policy.toml").write_text('excluded_groups = ["bird 3"]\nexcluded_rows = [7]\nmin_members = 10')
    return tmp_path


@given(st.lists(st.integers(2, 30), min_size=2, max_size=20), st.floats(0.01, 0.6), st.integers(0, 20))
def test_no_group_is_split_and_as_many_items_as_can_be_are_held_out(sizes: list[int], share: float, seed: int):
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    settings, wanted = TrainSettings(validation=share, seed=seed), round(share * len(groups))

    held_out, rest = split_items(len(groups), settings, groups)

    assert sorted([*held_out, *rest]) == list(range(len(groups)))
    assert not set(groups[held_out]) & set(groups[rest])
    assert (len(held_out) > 0) == (wanted > 0)
    assert wanted == 0 or abs(len(held_out) - wanted) <= max(sizes)


@given(st.integers(10, 200), st.integers(0, 20))
def test_groups_of_one_item_each_are_split_as_items_are(n_items: int, seed: int):
    settings = TrainSettings(validation=0.2, seed=seed)

    by_item, by_group = split_items(n_items, settings), split_items(n_items, settings, np.arange(n_items))

    assert [each.tolist() for each in by_item] == [each.tolist() for each in by_group]


def test_one_group_cannot_be_split():
    with pytest.raises(UsageError, match="all items are of one group"):
        split_items(20, TrainSettings(), np.zeros(20, int))


@pytest.mark.parametrize("memory_gib", [None, 1.5e-6])
def test_what_a_policy_excludes_shapes_nothing_of_a_training(folder: Path, memory_gib: float | None):
    notes: list[str] = []
    options = {"policy": folder / "policy.toml", "groups": f"{folder / 'birds.npz'}::who", "memory_gib": memory_gib}
    np.save(folder / "x.npy", _items())
    np.save(folder / "wild.npy", _items(1e4))
    for name in ("x", "wild"):
        rosetta.train(
            str(folder / f"{name}.npy"), folder / name, preprocess="standardize", on_note=notes.append,
            **options, **QUICK | {"batch_size": 8},
        )  # fmt: skip

    tame, wild = load_run(folder / "x"), load_run(folder / "wild")
    n_left = int((WHO != "bird 3").sum()) - (WHO[7] != "bird 3")
    assert tame.record.weights_sha256 == wild.record.weights_sha256
    assert tame.config == wild.config
    assert wild.config.value_range[1] < 10
    assert wild.record.data.n_items == n_left
    assert wild.record.data.n_excluded == 300 - n_left
    assert wild.record.data.n_groups == 11
    assert f"{300 - n_left} items are left out of the training by the policy" in notes
    assert any("of 11 groups are held out" in note for note in notes)
    written = "".join(path.read_text() for path in (folder / "wild").glob("*.json"))
    assert not any(word in written for word in ("bird 3", "birds.npz", "policy.toml", str(folder)))


def test_the_held_out_items_are_those_that_the_split_says(folder: Path):
    rosetta.train(f"{folder / 'birds.npz'}::x", folder / "run", groups=f"{folder / 'birds.npz'}::who", **QUICK)

    record = load_run(folder / "run").record
    codes = np.unique(WHO, return_index=True)[1].argsort().argsort()[np.unique(WHO, return_inverse=True)[1]]
    held_out, _ = split_items(300, TrainSettings(), codes)
    assert record.data.n_validation == len(held_out)
    assert record.data.n_groups == 12
    assert json.loads((folder / "run" / "run.json").read_text())["data"]["n_excluded"] == 0


def test_a_bundle_of_a_run_that_was_trained_without_them_says_so(folder: Path):
    who, policy, notes = f"{folder / 'birds.npz'}::who", folder / "policy.toml", []
    data = f"{folder / 'birds.npz'}::x"
    rosetta.train(data, folder / "run", policy=policy, groups=who, **QUICK)

    rosetta.distill(
        folder / "run", data, folder / "b.h5", origin="averaged", pairs=1, checks=0, policy=policy, groups=who,
        license="CC0-1.0", title="Birds", creators=["Alice"], on_note=notes.append,
    )  # fmt: skip

    assert any("the run's record shows that it was not trained on them" in note for note in notes)


def test_replicates_with_groups_are_trained_one_after_another(folder: Path):
    who, data = f"{folder / 'birds.npz'}::who", f"{folder / 'birds.npz'}::x"

    report = rosetta.train(data, folder / "runs", groups=who, replicates=3, **QUICK)

    counts = {load_run(folder / "runs" / each.name).record.data.n_validation for each in report.runs.runs}
    assert report.runs.mode == "sequential"
    assert len(counts) > 1  # other groups are held out in each
    with pytest.raises(UsageError, match="`groups` holds out whole groups"):
        rosetta.train(data, folder / "more", groups=who, replicates=3, replicate_mode="stacked", **QUICK)


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ('excluded_groups = ["bird 3"]', {}, "pass `groups=COLUMN`"),
        ('excluded_groups = ["bird 99"]', {"groups": "who"}, "no item is of the group 'bird 99'"),
        ("excluded_rows = [300]", {}, "excludes row 300, but the data has 300 rows"),
    ],
)
def test_a_policy_that_does_not_fit_the_data_is_refused(folder: Path, text: str, options: dict[str, str], words: str):
    (folder / "policy.toml").write_text(text)
    options = {name: f"{folder / 'birds.npz'}::{value}" for name, value in options.items()}

    with pytest.raises(rosetta.RosettaError, match=words):
        rosetta.train(f"{folder / 'birds.npz'}::x", folder / "run", policy=folder / "policy.toml", **options, **QUICK)
    assert not (folder / "run").exists()


def test_a_policy_that_excludes_nothing_and_groups_without_held_out_items_are_said_to_change_nothing(folder: Path):
    (folder / "policy.toml").write_text("min_members = 10")
    notes: list[str] = []

    rosetta.train(
        f"{folder / 'birds.npz'}::x", folder / "run", policy=folder / "policy.toml", validation=0.0,
        groups=f"{folder / 'birds.npz'}::who", on_note=notes.append, **QUICK,
    )  # fmt: skip

    assert any("the policy excludes no items" in note for note in notes)
    assert "no items are held out, so `groups` changes nothing" in notes


def test_a_run_that_was_trained_on_excluded_items_makes_no_bundle_and_keeps_no_policy(folder: Path):
    who, policy, notes = f"{folder / 'birds.npz'}::who", folder / "policy.toml", []
    data, bundle = f"{folder / 'birds.npz'}::x", folder / "b.h5"
    how = {
        "origin": "averaged", "pairs": 1, "checks": 0, "groups": who, "license": "CC0-1.0", "title": "Birds",
        "creators": ["Alice"],
    }  # fmt: skip
    rosetta.train(data, folder / "run", groups=who, **QUICK)

    with pytest.raises(PolicyError, match="items that the model was trained on, as the digest .* `policy`"):
        rosetta.distill(folder / "run", data, bundle, policy=policy, **how)
    assert not bundle.exists()
    rosetta.distill(folder / "run", data, bundle, policy=policy, privacy="open", on_note=notes.append, **how)
    broken = rosetta.audit(bundle, data, model=folder / "run", groups=who, policy=policy).violations

    assert any("the model was trained on them" in note for note in notes)
    assert any("the model was trained on the excluded items" in each for each in broken)
    notes.clear()
    rosetta.audit(bundle, data, groups=who, policy=policy, on_note=notes.append)
    assert any("not known: pass the run with `model`" in note for note in notes)
