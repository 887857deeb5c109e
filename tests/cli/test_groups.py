"""A column of the data says whose each item is, from training to audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rosetta

WORDS = ["--license", "CC0-1.0", "--title", "Birds", "--creator", "Alice"]
AVERAGED = ["--origin", "averaged", "--pairs", 3, "--checks", 2, "--members", 4, *WORDS]
QUICK = ["--epochs", 1, "--hidden", 8, "--latent-dim", 2, "--quiet"]


@pytest.fixture(scope="module")
def nests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of birds of 24 nests on two islands, and a policy by which one nest is to be left out."""
    folder = tmp_path_factory.mktemp("nests")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        rng.random((240, 1)) + 0.2 * rng.random((240, 5)), columns=[f"f{number}" for number in range(5)]
    ).astype(np.float32)
    frame["nest"] = [f"nest {number}" for number in rng.integers(24, size=240)]
    frame["island"] = np.where(frame["nest"].str[-1].isin(list("01234")), "north", "south")
    frame.to_csv(folder / "birds.csv", index=False)
    (folder / "policy.toml").write_text('excluded_groups = ["nest 7"]\nmin_members = 4\n')
    return folder


def test_a_nest_that_is_excluded_is_left_out_from_training_to_audit(run, nests: Path, tmp_path: Path):
    data, bundle = f"{nests / 'birds.csv'}::!nest,island", tmp_path / "b.h5"
    asked = ["--groups", "nest", "--policy", nests / "policy.toml"]
    n_excluded = int((pd.read_csv(nests / "birds.csv")["nest"] == "nest 7").sum())

    trained = run("train", data, "-o", tmp_path / "run", *asked, *QUICK)
    distilled = run("distill", tmp_path / "run", data, "-o", bundle, *asked, *AVERAGED, "--json")
    audited = run("audit", bundle, "--data", data, *asked, "--json")
    forgotten = run("audit", bundle, "--data", data, "--policy", nests / "policy.toml")

    assert trained.code == 0, trained.err
    told = json.loads((tmp_path / "run" / "run.json").read_text())["data"]
    assert (told["n_items"], told["n_excluded"], told["n_groups"]) == (240 - n_excluded, n_excluded, 23)
    assert distilled.code == 0, distilled.err
    assert distilled.json["figures"]["averaged"]["unit"] == "group"
    assert distilled.json["figures"]["averaged"]["members"] >= 4
    assert "the run's record shows that it was not trained on them" in distilled.err
    assert audited.code == 0, audited.out
    assert "pass all that it was made from" not in audited.err
    assert forgotten.code == 2
    assert "pass --groups COLUMN" in forgotten.err
    assert "nest" not in rosetta.Bundle.open(bundle).manifest_bytes.decode()


def test_groups_are_those_of_the_rows_that_are_left(run, nests: Path, tmp_path: Path):
    data = f"{nests / 'birds.csv'}::!nest,island"
    north = ["--where", "island=north", "--groups", "nest"]

    trained = run("train", data, "-o", tmp_path / "run", *north, *QUICK)
    fits = run("distill", tmp_path / "run", data, "-o", tmp_path / "a.h5", *north, *AVERAGED[:2], "--pairs", 2,
               "--checks", 0, "--members", 4, *WORDS)  # fmt: skip
    too_few = run("distill", tmp_path / "run", data, "-o", tmp_path / "b.h5", *north, *AVERAGED)
    elsewhere = run("distill", tmp_path / "run", data, "-o", tmp_path / "b.h5", *north, *AVERAGED,
                    "--policy", nests / "policy.toml")  # fmt: skip

    n_north = pd.read_csv(nests / "birds.csv").query("island == 'north'")["nest"].nunique()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"]["n_groups"] == n_north
    assert trained.code == 0, trained.err
    assert fits.code == 0, fits.err
    assert too_few.code == 2
    assert "The groups are divided between anchors and check pairs" in too_few.err
    assert "no item is of the group 'nest 7'" in elsewhere.err
    assert not (tmp_path / "b.h5").exists()


@pytest.mark.parametrize("command", ["train", "distill", "audit"])
def test_a_column_that_is_not_there_is_told_with_those_that_are(run, nests: Path, tmp_path: Path, command: str):
    data = f"{nests / 'birds.csv'}::!nest,island"
    run("train", data, "-o", tmp_path / "run", *QUICK)
    run("distill", tmp_path / "run", data, "-o", tmp_path / "b.h5", *AVERAGED)
    words: dict[str, list[Any]] = {
        "train": [data, "-o", tmp_path / "new", *QUICK],
        "distill": [tmp_path / "run", data, "-o", tmp_path / "new.h5", *AVERAGED],
        "audit": [tmp_path / "b.h5", "--data", data],
    }

    done = run(command, *words[command], "--groups", "nests")

    assert done.code == 2
    assert "--groups nests: expected a column of the data or a source of labels" in done.err
    assert "nest, island. Did you mean nest?" in done.err


def test_held_out_items_belong_to_people_too_or_the_sender_is_told(run, nests: Path, tmp_path: Path):
    data = f"{nests / 'birds.csv'}::!nest,island"
    run("train", data, "-o", tmp_path / "run", *QUICK)
    distil = ["distill", tmp_path / "run", data, "--groups", "nest", *AVERAGED, "--json"]
    frame = pd.read_csv(nests / "birds.csv")
    frame.iloc[:, :5] = np.random.default_rng(1).random((240, 5), dtype=np.float32)
    frame["nest"] = "new " + frame["nest"]
    frame.to_csv(tmp_path / "new.csv", index=False)
    np.save(tmp_path / "who.npy", frame["nest"].to_numpy().astype(np.str_))
    frame.drop(columns="nest").to_csv(tmp_path / "nobody.csv", index=False)
    new, nobody = f"{tmp_path / 'new.csv'}::!nest,island", f"{tmp_path / 'nobody.csv'}::!island"

    same = run(*distil, "-o", tmp_path / "a.h5", "--held-out", new)
    named = run(*distil, "-o", tmp_path / "b.h5", "--held-out", nobody, "--held-out-groups", f"{tmp_path}/who.npy")
    silent = run(*distil, "-o", tmp_path / "c.h5", "--held-out", nobody)
    idle = run(*distil, "-o", tmp_path / "d.h5", "--held-out-groups", "nest")

    for told in (same, named):
        assert told.code == 0, told.err
        assert {each["unit"] for each in told.json["audit"]["attacks"]} <= {"group"}
        assert "--held-out-groups" not in told.err
    assert "nothing says whose each held-out item is" in silent.err
    assert idle.code == 2
    assert "--held-out-groups has no effect without --held-out and --groups" in idle.err
