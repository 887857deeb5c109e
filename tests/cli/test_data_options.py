"""Every command that takes data takes a choice of its rows, leaves bad files out, and fills what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import rosetta
from rosetta.sources import Source

NAMES = [f"f{number}" for number in range(6)]
WORDS = ["--license", "CC0-1.0", "--title", "Birds", "--creator", "Alice", "--origin", "observed", "--pairs", 16,
         "--checks", 8]  # fmt: skip
QUICK = ["--epochs", 1, "--hidden", 8, "--quiet"]


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of keas, tuis and two moas, one without a feature and in another order, a run and a bundle."""
    folder = tmp_path_factory.mktemp("birds")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 3)) @ rng.normal(size=(3, 6)), columns=NAMES).astype(np.float32)
    frame["kind"] = np.where(np.arange(120) % 4 == 0, "kea", "tui")
    frame.loc[[5, 77], "kind"] = "moa"
    frame.to_csv(folder / "birds.csv", index=False)
    frame[["kind", *NAMES[::-1]]].to_csv(folder / "reversed.csv", index=False)
    frame.drop(columns=["f2", "f4"]).to_csv(folder / "fewer.csv", index=False)
    rosetta.train(f"{folder / 'birds.csv'}::!kind", folder / "run", latent_dim=2, hidden=(8,), epochs=2)
    rosetta.distill(
        folder / "run", str(folder / "birds.csv"), folder / "b.h5", license="CC0-1.0", title="Birds",
        creators=["Alice"], origin="observed", pairs=16, checks=8,
    )  # fmt: skip
    return folder


def _latents(birds: Path) -> Any:
    return rosetta.latents_of(birds / "run", str(birds / "birds.csv"))


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (["--rows", "10:20"], slice(10, 20)),
        (["--rows", "3,50,7"], [3, 7, 50]),
        (["--where", "kind=kea"], slice(0, None, 4)),
        (["--where", "kind=kea", "--rows", ":40"], slice(0, 40, 4)),
    ],
)
def test_embed_takes_some_rows(run, birds: Path, tmp_path: Path, options: list[str], chosen: Any):
    done = run("embed", birds / "run", birds / "birds.csv", "-o", tmp_path / "z.npy", *options)

    assert done.code == 0, done.err
    assert "note: 1 features of the data are unknown to the run and were left out: kind" in done.err
    assert np.load(tmp_path / "z.npy") == pytest.approx(_latents(birds)[chosen], abs=1e-6)


def test_features_in_another_order_are_the_same_features(run, birds: Path, tmp_path: Path):
    done = run("embed", birds / "run", birds / "reversed.csv", "-o", tmp_path / "z.npy")

    assert done.code == 0, done.err
    assert np.load(tmp_path / "z.npy") == pytest.approx(_latents(birds), abs=1e-6)


def test_missing_features_are_listed_or_filled_and_remembered(run, birds: Path, tmp_path: Path):
    fewer, filled = birds / "fewer.csv", pd.read_csv(birds / "birds.csv")
    filled[["f2", "f4"]] = 0.5
    refused = run("embed", birds / "run", fewer, "-o", tmp_path / "z.npy")
    embedded = run("embed", birds / "run", fewer, "-o", tmp_path / "z.npy", "--fill-missing", 0.5)
    distilled = run("distill", birds / "run", fewer, "-o", tmp_path / "b.h5", "--fill-missing", 0.5, *WORDS, "--json")
    trained = run("train", fewer, "-o", tmp_path / "bob", "--anchors", birds / "b.h5", "--fill-missing", 0.5, *QUICK)

    assert refused.code == 2
    assert "2 of 6 features of the run are missing from the data: f2, f4. --fill-missing VALUE" in refused.err
    told = "2 of 6 features are missing and were filled with 0.5: f2, f4"
    assert all(told in each.err for each in (embedded, distilled, trained))
    assert np.load(tmp_path / "z.npy") == pytest.approx(rosetta.latents_of(birds / "run", filled), abs=1e-6)
    assert distilled.json["filled_features"] == ["f2", "f4"]
    settings = rosetta.Bundle.open(tmp_path / "b.h5").manifest.provenance.selection.settings
    assert settings["filled_features"] == ["f2", "f4"]
    assert trained.code == 0, trained.err
    assert json.loads((tmp_path / "bob" / "run.json").read_text())["data"]["filled_features"] == ["f2", "f4"]


def test_a_sweep_says_what_it_fills_too(birds: Path, tmp_path: Path):
    notes: list[str] = []

    rosetta.sweep(
        Source(birds / "fewer.csv", fill_missing=0.0), tmp_path / "sweep", grid={"beta": "0.5,1"},
        anchors=birds / "b.h5", hidden=(8,), epochs=1, on_note=notes.append,
    )  # fmt: skip

    assert "2 of 6 features are missing and were filled with 0: f2, f4" in notes
    records = [json.loads(path.read_text()) for path in (tmp_path / "sweep").glob("*/run.json")]
    assert [each["data"]["filled_features"] for each in records] == [["f2", "f4"]] * 2


def test_train_and_distill_take_some_rows(run, birds: Path, tmp_path: Path):
    trained = run("train", f"{birds / 'birds.csv'}::!kind", "-o", tmp_path / "keas", "--where", "kind=kea", *QUICK)
    distilled = run("distill", birds / "run", birds / "birds.csv", "-o", tmp_path / "b.h5", "--rows", ":50", *WORDS)

    assert (trained.code, distilled.code) == (0, 0), trained.err + distilled.err
    assert json.loads((tmp_path / "keas" / "run.json").read_text())["data"]["n_items"] == 30
    assert rosetta.Bundle.open(tmp_path / "b.h5").manifest.provenance.data.n_items == 50


def test_latents_are_of_the_rows_that_are_chosen(run, birds: Path, tmp_path: Path):
    np.save(tmp_path / "z.npy", _latents(birds)[::4])
    data, given = f"{birds / 'birds.csv'}::!kind", ["--latents", tmp_path / "z.npy", *WORDS]

    done = run("distill", data, "-o", tmp_path / "b.h5", "--where", "kind=kea", *given)
    by_url = run("distill", f"file://{data}", "-o", tmp_path / "d.h5", "--where", "kind=kea", *given)
    all_rows = run("distill", data, "-o", tmp_path / "c.h5", *given)
    both = run("distill", birds / "run", data, "-o", tmp_path / "c.h5", *given)
    neither = run("distill", data, "-o", tmp_path / "c.h5", *WORDS)

    assert done.code == 0, done.err
    assert by_url.code == 0, by_url.err
    assert (all_rows.code, both.code, neither.code) == (2, 2, 2)
    assert "has 30 rows, but the data has 120 items" in all_rows.err
    assert "write rosetta distill DATA --latents Z, without MODEL" in both.err
    assert "DATA is missing" in neither.err
    assert rosetta.validate(tmp_path / "b.h5").valid


def test_audit_validate_and_compare_take_some_rows(run, birds: Path):
    table, keas = birds / "birds.csv", ["--where", "kind=kea"]
    audited = run("audit", birds / "b.h5", "--data", table, *keas, "--json")
    held = run("validate", birds / "b.h5", "--model", birds / "run", "--data", table, "--rows", "0:120")
    compared = run("compare", birds / "run", birds / "run", "--data", table, *keas, "--json")

    assert audited.json["audit"]["n_items"] == 30
    assert "the data has 30 items, but the bundle says that it was made from 120" in audited.err
    assert held.code == 0, held.out
    assert compared.json["n_items"] == 30
    assert compared.json["metrics"][0]["value"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["validate", "b.h5", "--rows", ":9"], "--rows without data has no effect: leave it out"),
        (["compare", "run", "run", "--fill-missing", 0], "--fill-missing without data has no effect"),
        (["embed", "run", "birds.csv", "-o", "z.npy", "--where", "knd=kea"], "Did you mean 'kind'?"),
        (
            ["embed", "run", "birds.csv", "-o", "z.npy", "--where", "kind=dodo"],
            "has kind=dodo: there are kea, moa, tui",
        ),
        (["embed", "run", "birds.csv", "-o", "z.npy", "--rows", "119:"], "leaves 1 of the 120 rows"),
        (["embed", "run", "birds.csv", "-o", "z.npy", "--skip-bad"], "--skip-bad is for folders of files"),
        (["embed", "run", "none.csv", "-o", "z.npy", "--rows", ":9"], "there is no file none.csv"),
        (["train", "birds.csv::!kind", "-o", "r", "--fill-missing", 0], "name them with --features"),
        (["train", "birds.csv", "-o", "r"], "1 columns of birds.csv hold no numbers: kind (text)"),
    ],
)
def test_choices_without_sense_are_refused(
    run, birds: Path, monkeypatch: pytest.MonkeyPatch, command: list[Any], words: str
):
    monkeypatch.chdir(birds)
    before = sorted(birds.iterdir())

    done = run(*command)

    assert done.code == 2
    assert words in " ".join(done.err.split())
    assert sorted(birds.iterdir()) == before


def test_bad_files_are_left_out_and_counted(run, tmp_path: Path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, picture in enumerate(np.random.default_rng(0).integers(0, 255, (20, 4, 4)).astype(np.uint8)):
        Image.fromarray(picture).save(folder / f"{number:02}.png")
    (folder / "07.png").write_bytes(b"no picture")

    refused = run("train", folder, "-o", tmp_path / "run", *QUICK)
    trained = run("train", folder, "-o", tmp_path / "run", "--skip-bad", *QUICK)
    embedded = run("embed", tmp_path / "run", folder, "-o", tmp_path / "z.npy", "--skip-bad")

    assert refused.code == 2
    assert "07.png" in refused.err
    assert "note: bad items left out: 1" in trained.err
    assert "note: bad items left out: 1" in embedded.err
    told = json.loads((tmp_path / "run" / "run.json").read_text())["data"]
    assert (told["n_items"], told["n_skipped"]) == (19, 1)
    assert len(np.load(tmp_path / "z.npy")) == 19


def _distil(run, birds: Path, output: Path, *options: Any) -> Any:
    return run(
        "distill", birds / "run", birds / "birds.csv", "-o", output, *WORDS[:8], "--reproducible", *options, "--json"
    )


def test_rare_birds_are_among_the_points_if_each_kind_has_its_share(run, birds: Path, tmp_path: Path):
    kinds = pd.read_csv(birds / "birds.csv")["kind"].to_numpy(dtype="U3")
    np.save(tmp_path / "kinds.npy", kinds)
    by_column = _distil(run, birds, tmp_path / "a.h5", "--stratify", "kind", "--pairs", 9, "--checks", 0)
    by_file = _distil(run, birds, tmp_path / "b.h5", "--stratify", tmp_path / "kinds.npy", "--pairs", 9, "--checks", 0)

    assert by_column.code == 0, by_column.err
    counts = {each["name"]: (each["n_anchors"], each["n_items"]) for each in by_column.json["strata"]}
    assert counts == {"kea": (3, 30), "moa": (2, 2), "tui": (4, 88)}
    assert by_file.json["content_id"] == by_column.json["content_id"]
    assert len(rosetta.Bundle.open(tmp_path / "a.h5").latents) == 9


def test_points_of_sparse_parts_are_chosen_by_density(run, birds: Path, tmp_path: Path):
    done = _distil(run, birds, tmp_path / "a.h5", "--stratify", "density", "--pairs", 16)

    assert done.code == 0, done.err
    assert {each["n_anchors"] for each in done.json["strata"] if each["n_items"] >= 8} == {4}
    assert sum(each["n_items"] for each in done.json["strata"]) == 120


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("knd", "--stratify knd: expected density, a column of the data or a source of labels; its columns are"),
        ("f1", "continuous numbers are no labels"),
        ("short.npy", "--stratify short.npy has shape (119,), but one label for each of the 120 items is needed"),
        ("gap.npy", "1 of 120 items have no label, the first in row 3"),
    ],
)
def test_labels_that_are_none_are_refused(
    run, birds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, words: str
):
    monkeypatch.chdir(tmp_path)
    np.save("short.npy", np.arange(119) % 2)
    np.save("gap.npy", np.where(np.arange(120) == 3, "", "kea"))

    done = _distil(run, birds, tmp_path / "a.h5", "--stratify", value)

    assert done.code == 2
    assert words in done.err
    assert not (tmp_path / "a.h5").exists()


def test_strata_are_for_items(run, birds: Path, tmp_path: Path):
    done = run("distill", birds / "run", birds / "birds.csv", "-o", tmp_path / "a.h5", *WORDS[:6], "--stratify", "kind")

    assert done.code == 2
    assert "--stratify divides items into strata" in done.err


def test_as_many_pairs_are_chosen_as_improve_the_coverage(run, birds: Path, tmp_path: Path):
    done = _distil(run, birds, tmp_path / "a.h5", "--pairs", "auto", "--checks", 8)
    alone = _distil(run, birds, tmp_path / "b.h5", "--pairs", done.json["n_anchors"], "--checks", 8)
    others = run("distill", birds / "run", birds / "birds.csv", "-o", tmp_path / "c.h5", *WORDS[:6], "--pairs", "auto")
    word = _distil(run, birds, tmp_path / "c.h5", "--pairs", "many")

    tried = [each["n_pairs"] for each in done.json["growth"]]
    assert tried == [16 * 2**number for number in range(len(tried))]
    assert done.json["n_anchors"] in tried
    assert alone.json["content_id"] == done.json["content_id"]
    assert "--pairs auto chooses among items" in others.err
    assert "--pairs is 'many'; expected auto or a whole number" in word.err


@pytest.mark.parametrize("method", ["kmeans", "minibatch-kmeans", "agglomerative", "gmm", "k-medoids", "farthest",
                                    "herding", "random"])  # fmt: skip
def test_every_method_chooses_different_items(run, birds: Path, tmp_path: Path, method: str):
    done = _distil(run, birds, tmp_path / "a.h5", "--select", method, "--pairs", 12, "--checks", 6)

    assert done.code == 0, done.err
    bundle = rosetta.Bundle.open(tmp_path / "a.h5")
    assert len(np.unique(bundle.inputs, axis=0)) == 18
    assert bundle.manifest.provenance.selection.method == method
