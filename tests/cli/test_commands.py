"""The commands as a user types them: documents, exit codes, and what goes where."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosetta.cli.app import app
from rosetta.schemas.export import DOCUMENTS

import rosetta
from tests import builders
from tests.conftest import Lab

QUICK = ["--latent-dim", "4", "--hidden", "32", "--epochs", "3"]
SIGNED = ["--license", "CC0-1.0", "--title", "T", "--creator", "Alice"]


def test_a_lab_shares_its_space_with_another(run, lab: Lab, tmp_path: Path):
    alice, bob, bundle = tmp_path / "alice", tmp_path / "bob", tmp_path / "a.h5"
    epochs = ["--epochs", "30", "--hidden", "64"]

    trained = run("train", lab.train, "-o", alice, "--latent-dim", 4, *epochs, "--json").json
    words = [*SIGNED, "--terms", "Be kind.", "--origin", "observed"]
    distilled = run("distill", alice, lab.train, "-o", bundle, *words, "--json").json
    validated = run("validate", bundle, "--json")
    inspected = run("inspect", bundle, "--json").json
    anchored = run("train", lab.bob, "-o", bob, "--anchors", bundle, *epochs, "--json").json
    checked = run("check", bob, bundle, "--json")
    embedded = run("embed", bob, lab.held_out, "-o", tmp_path / "z.npy", "--json").json
    compared = run("compare", alice, bob, "--data", lab.held_out, "--json").json

    assert trained["objective"] == "vae"
    assert distilled["n_pairs"] == 96
    assert validated.code == 0
    assert inspected["content_id"] == distilled["content_id"]
    assert anchored["anchors"] == [{"content_id": distilled["content_id"], "n_pairs": 64, "signed_by": []}]
    assert (checked.code, checked.json["verdict"]) == (0, "aligned")
    assert embedded["n_items"] == len(np.load(tmp_path / "z.npy"))
    assert compared["metrics"][0]["value"] < 0.3


KEYS = {
    "train": "run objective n_items n_validation epochs best_epoch rows_per_s final final_anchor_weight anchors notes",
    "distill": "bundle content_id bundle_id n_bytes n_pairs n_anchors n_checks n_dims origins figures coverage audit"
    " privacy n_sampled growth strata filled_features n_skipped notes",
    "validate": "bundle valid strict exit_code schema_version findings left_out skipped",
    "check": "verdict reason n_checks origins by_origin spread fvu null p_value threshold rms_over_sd"
    " retrieval_top1 content_id signed_by notes",
    "compare": "n_items metrics skipped linear_map notes",
    "embed": "latents n_items n_dims rows_per_s notes",
}


@pytest.mark.parametrize("command", sorted(KEYS))
def test_json_is_one_document_with_the_promised_keys(run, lab: Lab, tmp_path: Path, command: str):
    arguments = {
        "train": [lab.bob, "-o", tmp_path / "run", *QUICK, "--anchors", lab.observed],
        "distill": [lab.run, lab.train, "-o", tmp_path / "b.h5", *SIGNED],
        "validate": [lab.observed],
        "check": [lab.run, lab.observed],
        "compare": [lab.run, lab.run, "--data", lab.held_out],
        "embed": [lab.run, lab.held_out, "-o", tmp_path / "z.npy"],
    }[command]

    result = run(command, *arguments, "--json")

    assert result.code == 0
    assert list(result.json) == KEYS[command].split()
    DOCUMENTS[command].model_validate_json(result.out)


def test_nested_keys_are_as_promised(run, lab: Lab, tmp_path: Path):
    trained = run("train", lab.bob, "-o", tmp_path / "run", *QUICK, "--anchors", lab.observed, "--json").json
    checked = run("check", lab.run, lab.observed, "--json").json
    validated = run("validate", lab.observed, "--json").json

    assert list(trained["final"]) == [
        "elbo", "reconstruction", "kl", "anchor_rms", "check_rms", "anchor_reconstruction",
    ]  # fmt: skip
    assert list(trained["anchors"][0]) == ["content_id", "n_pairs", "signed_by"]
    assert list(checked["fvu"]) == ["value", "low", "high"]
    assert list(validated["findings"][0]) == ["rule", "severity", "location", "message", "fix", "spec_section"]


def test_a_model_that_is_not_aligned_exits_with_one(run, lab: Lab, tmp_path: Path):
    run("train", lab.bob, "-o", tmp_path / "alone", *QUICK)

    result = run("check", tmp_path / "alone", lab.observed)

    assert result.code == 1
    assert result.out.startswith("verdict               NOT ALIGNED")


@pytest.mark.parametrize(
    ("damage", "code", "rule"),
    [
        ("none", 0, "RZ-I301"),
        ("bit", 1, "RZ-V111"),
        ("version", 3, "RZ-V101"),
        ("cut", 4, "RZ-S002"),
        ("text", 4, "RZ-S001"),
    ],
)
def test_validate_exits_with_what_is_wrong(run, tmp_path: Path, damage: str, code: int, rule: str):
    path = builders.write(tmp_path / "b.h5")
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[-3] ^= 1
    elif damage == "version":
        content = content.replace(b"1.0\0", b"2.0\0", 1) if b"1.0\0" in content else content.replace(b"1.0", b"2.0", 1)
    elif damage == "cut":
        content = content[:-8]
    elif damage == "text":
        content = bytearray(b"once upon a time")
    path.write_bytes(content)

    text, document = run("validate", path), run("validate", path, "--json")

    assert (text.code, document.code) == (code, code)
    assert rule in text.out
    assert rule in [f["rule"] for f in document.json["findings"]]
    assert document.json["exit_code"] == code


def test_schemas_are_exported(run, tmp_path: Path):
    result = run("schema", "export", "-o", tmp_path)

    assert result.code == 0
    assert len(list(tmp_path.glob("*.schema.json"))) == len(DOCUMENTS)
    assert run("schema", "export", "-o", tmp_path).code == 2
    assert run("schema", "export", "-o", tmp_path, "--force").code == 0


BAD = {
    "a missing file": (["train", "nothing.npy", "-o", "run"], "there is no file nothing.npy"),
    "a folder": (["train", "folder", "-o", "run"], "is a folder without files of a kind that is read there"),
    "an empty array": (["train", "bad.npz::empty", "-o", "run"], "at least two items"),
    "one row": (["train", "bad.npz::one", "-o", "run"], "at least two items"),
    "NaN": (["train", "bad.npz::nan", "-o", "run"], "NaN or infinity, the first in row 3"),
    "strings": (["train", "bad.npz::text", "-o", "run"], "must be real numbers"),
    "objects": (["train", "objects.npy", "-o", "run"], "Pickled objects are never read"),
    "a name that is not there": (["train", "bad.npz::nope", "-o", "run"], "no array called 'nope'"),
    "sizes that are none": (["train", "good.npy", "-o", "run", "--hidden", "a,b"], "--hidden is 'a,b'"),
    "no size": (["train", "good.npy", "-o", "run", "--hidden", "0"], "hidden is (0,)"),
    "a weight that is none": (["train", "good.npy", "-o", "run", "--anchor-weight", "x"], "--anchor-weight is 'x'"),
    "a negative rate": (["train", "good.npy", "-o", "run", "--lr=-1"], "lr is -1.0"),
    "no tolerance": (["train", "good.npy", "-o", "run", "--anchor-tolerance", "0"], "anchor_tolerance is 0.0"),
    "a weight that is no number": (
        ["train", "good.npy", "-o", "run", "--anchor-weight", "nan"],
        "auto or a number from 0",
    ),
    "a loss beyond numbers": (
        ["train", "good.npy", "-o", "run", "--epochs", "1", "--lr", "1e9"],
        "the training diverged",
    ),
    "all held out": (["train", "good.npy", "-o", "run", "--validation", "1"], "validation is 1.0"),
    "no number": (["train", "good.npy", "-o", "run", "--lr", "nan"], "lr is nan"),
    "an output that exists": (["train", "good.npy", "-o", "folder"], "exists already"),
    "an output nowhere": (["train", "good.npy", "-o", "no/run"], "does not exist: create it first"),
    "a missing bundle": (["train", "good.npy", "-o", "run", "--anchors", "no.h5"], "there is no bundle no.h5"),
    "a truncated bundle": (["train", "good.npy", "-o", "run", "--anchors", "cut.h5"], "RZ-S002"),
    "an altered bundle": (["train", "good.npy", "-o", "run", "--anchors", "altered.h5"], "RZ-V111"),
    "a bundle of another shape": (["train", "good.npy", "-o", "run", "--anchors", "whole.h5"], "the bundle has (4, 5)"),
    "no run": (["embed", "folder", "good.npy", "-o", "z.npy"], "no complete run folder"),
    "a file as a run": (["check", "good.npy", "whole.h5"], "is a file; expected a run folder"),
    "latents of other lengths": (["compare", "good.npy", "bad.npz::short"], "20 and 10 rows"),
    "a truncated bundle to look at": (["inspect", "cut.h5"], "RZ-S002"),
    "an altered bundle to look at": (["inspect", "altered.h5"], "RZ-V111"),
    "two documents at once": (["inspect", "whole.h5", "--json", "--manifest"], "leave --json out"),
    "a weight without anchors": (
        ["train", "good.npy", "-o", "run", "--anchor-weight", "3"],
        "--anchor-weight without --anchors has no effect",
    ),
    "a tolerance beside a weight": (
        [
            "train",
            "good.npy",
            "-o",
            "run",
            "--anchors",
            "whole.h5",
            "--anchor-weight",
            "3",
            "--anchor-tolerance",
            "0.1",
        ],
        "--anchor-tolerance has no effect beside a fixed --anchor-weight",
    ),
    "a precision of coins": (
        ["train", "good.npy", "-o", "run", "--likelihood", "bernoulli", "--precision", "3"],
        "--precision has no effect on the bernoulli likelihood",
    ),
    "a bundle given twice": (
        ["train", "good.npy", "-o", "run", "--anchors", "whole.h5", "--anchors", "whole.h5"],
        "given twice",
    ),
    "nobody left to train on": (["train", "good.npy", "-o", "run", "--validation", "0.99"], "leaves 0 to train on"),
    "this folder": (["train", "good.npy", "-o", ".", "--force"], "give a new name"),
    "an empty title": (
        ["distill", "run", "good.npy", "-o", "b.h5", "--license", "MIT", "--title", "", "--creator", "A"],
        "title is ''",
    ),
    "a demo over something": (["demo", "-o", "folder"], "folder exists already"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_input_is_one_clear_error_and_leaves_everything_as_it_was(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.chdir(tmp_path)
    good = np.random.default_rng(0).random((20, 6))
    with_nan = good.copy()
    with_nan[3, 1] = np.nan
    np.save("good.npy", good)
    np.save("objects.npy", np.array([[None], [{}]], dtype=object), allow_pickle=True)
    np.savez("bad.npz", empty=good[:0], one=good[:1], nan=with_nan, text=good.astype(str), short=good[:10])
    whole = builders.write(tmp_path / "whole.h5").read_bytes()
    Path("cut.h5").write_bytes(whole[:-100])
    Path("altered.h5").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    Path("folder").mkdir()
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    arguments, words = BAD[name]

    result = run(*arguments)

    assert result.code == 2
    assert words in result.err
    assert result.err.startswith("error: ")
    assert "Traceback" not in result.err
    assert result.out == ""
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert not list(Path("folder").iterdir())


@pytest.mark.parametrize("arguments", [["train"], ["frobnicate"], ["train", "x", "-o", "y", "--epochs", "many"]])
def test_a_command_line_that_makes_no_sense_exits_with_two(run, arguments: list[str]):
    result = run(*arguments)

    assert result.code == 2
    assert "Traceback" not in result.err


def test_a_bug_is_called_one(run, lab: Lab, monkeypatch: pytest.MonkeyPatch):
    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("rosetta.verbs.validate.validate_many", broken)

    result = run("validate", lab.observed)

    assert result.code == 70
    assert "is a bug of Rosetta (ZeroDivisionError: oops)" in result.err


def test_text_goes_to_stdout_and_nothing_to_stderr_when_all_is_well(run, lab: Lab, tmp_path: Path):
    for arguments in (
        ["train", lab.bob, "-o", tmp_path / "run", *QUICK, "--quiet"],
        ["embed", lab.run, lab.held_out, "-o", tmp_path / "z.npy"],
        ["validate", lab.observed],
        ["inspect", lab.observed],
        ["check", lab.run, lab.observed],
        ["compare", lab.run, lab.run, "--data", lab.held_out],
    ):
        result = run(*arguments)

        assert result.out
        assert result.err == ""


def test_a_training_tells_each_epoch_in_a_line_on_stderr(run, lab: Lab, tmp_path: Path):
    one = run("train", lab.bob, "-o", tmp_path / "one", *QUICK, "--anchors", lab.observed, "--json")
    three = run("train", lab.bob, "-o", tmp_path / "three", *QUICK, "--replicates", 3, "--replicate-mode", "stacked")

    lines = [line for line in one.err.splitlines() if line.startswith("epoch")]
    pattern = (
        r"epoch \d  held-out ELBO -\d+\.\d\d  KL \d+\.\d\d  active units \d  anchor error \d\.\d{3}  [\d,]+ rows/s"
    )
    assert len(lines) == 3
    assert all(re.fullmatch(pattern, line) for line in lines)
    assert one.json["run"] == str(tmp_path / "one")
    assert "3 models, means" in three.err.splitlines()[0]
    assert three.out.count("seed-") == 3


def test_a_config_file_stands_for_options_and_options_win(run, lab: Lab, tmp_path: Path):
    config = tmp_path / "train.toml"
    config.write_text(
        f'output = "{tmp_path / "run"}"\nanchors = ["{lab.observed}"]\nhidden = [9, 8]\nepochs = 7\nanchor-weight = 3\n'
        "checkpoint_minutes = 0\ntied = true\n"
    )

    result = run("train", lab.bob, "--config", config, "--epochs", 2, "--json")

    from rosetta.models.checkpoint import load_run

    settings = load_run(tmp_path / "run").config.settings
    assert result.code == 0
    assert (settings.hidden, settings.epochs, settings.anchor_weight, settings.tied) == ((9, 8), 2, 3.0, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hiden = 3", "hiden is no option of this command; did you mean hidden?"),
        ("json = true", "json is no option of this command"),
        ("[anchors]\na = 1", "anchors is a table"),
        ("epochs = ", "is no TOML file"),
        ("epochs = 0", "--epochs"),
        ('epochs = "many"', "--epochs"),
    ],
)
def test_a_config_file_that_cannot_be_used_is_refused(run, lab: Lab, tmp_path: Path, text: str, words: str):
    (tmp_path / "train.toml").write_text(text + "\n")

    result = run("train", lab.bob, "-o", tmp_path / "run", "--config", tmp_path / "train.toml")

    assert result.code == 2
    assert words in result.err
    assert not (tmp_path / "run").exists()


def test_every_command_explains_itself(run):
    names = [command.name for command in app.registered_commands]

    for name in names:
        assert run(name, "--help").code == 0
    assert run("--version").out == "rosetta 0.1.0\n"
    assert sorted(names) == sorted(
        [
            "audit",
            "plant",
            "objectives",
            "demo",
            "train",
            "distill",
            "validate",
            "rules",
            "explain",
            "export",
            "sweep",
            "inspect",
            "embed",
            "check",
            "compare",
            "metrics",
            "keygen",
            "sign",
            "verify",
            "migrate",
        ]
    )


OTHERS = {
    "likelihood": "gaussian", "precision": 7.0, "anchor_weight": "auto", "anchor_tolerance": 0.2,
    "anchor_pair_weights": "share", "anchor_spread_weight": 0.1, "anchor_elbo_weight": 0.2, "anchor_noise": 0.01,
    "activation": "elu", "tied": True, "sparse": 0.5, "clip": 2.0, "patience": 3, "lr_schedule": "cosine",
    "lr_warmup": 1.0, "kl_anneal": 1.0, "precision_mode": "bf16",
}  # fmt: skip


@pytest.mark.parametrize("others", [{}, OTHERS])
def test_options_reach_the_run(run, lab: Lab, tmp_path: Path, others: dict[str, Any]):
    given = {
        "latent_dim": 4, "hidden": (33, 17), "epochs": 2, "batch_size": 50, "lr": 0.002, "beta": 0.5,
        "likelihood": "bernoulli", "preprocess": "none", "anchor_weight": 2.5,
        "anchor_scaling": "paper", "anchor_decoder_weight": 0.1, "anchors_per_step": 9, "validation": 0.2,
        "seed": 11, "device": "cpu", **others,
    }  # fmt: skip
    if others:
        del given["anchor_scaling"]  # it is of a given weight
    options = [
        text
        for key, value in given.items()
        for text in (
            "--" + key.replace("_", "-"),
            ",".join(map(str, value)) if isinstance(value, tuple) else str(value),
        )
        if text != "True"
    ]

    run("train", lab.bob, "-o", tmp_path / "run", "--anchors", lab.observed, *options)

    from rosetta.models.checkpoint import load_run

    resolved = {"activation": "relu", "tied": False, "sparse": 1.0}
    assert load_run(tmp_path / "run").config.settings.model_dump(exclude_defaults=True) == resolved | {
        name: value for name, value in given.items() if value not in ("gaussian", "auto", "mean")
    }


def test_distill_options_reach_the_manifest(run, lab: Lab, tmp_path: Path):
    run(
        "distill", lab.run, lab.train, "-o", tmp_path / "b.h5", *SIGNED, "--creator", "Bob", "--pairs", 9,
        "--checks", 8, "--origin", "observed", "--select", "random", "--terms", "t", "--description", "d",
        "--citation", "c", "--data-description", "dd", "--space-name", "s", "--modality", "image",
        "--units", "u", "--axes", "row,column",
        "--seed", 4, "--reproducible", "--privacy", "open",
    )  # fmt: skip

    manifest = rosetta.Bundle.open(tmp_path / "b.h5").manifest

    assert [c.name for c in manifest.provenance.creators] == ["Alice", "Bob"]
    assert manifest.provenance.selection.settings == {
        "pairs": 9, "checks": 8, "origins": {"observed": {"n_anchors": 9, "n_checks": 8, "members": 1}},
        "privacy": "open", "reproducible": True,
    }  # fmt: skip
    assert (manifest.provenance.selection.method, manifest.provenance.selection.seed) == ("random", None)
    assert (manifest.provenance.terms_of_use, manifest.provenance.description) == ("t", "d")
    assert (manifest.provenance.citation, manifest.provenance.data.description) == ("c", "dd")
    assert (manifest.content.space.name, manifest.content.input.modality) == ("s", "image")
    assert (manifest.content.input.units, manifest.content.input.axis_names) == ("u", ("row", "column"))


def test_a_reader_that_leaves_is_no_verdict(lab: Lab):
    command = [sys.executable, "-c", "from rosetta.cli import main; main()", "check", str(lab.run), str(lab.decoded)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()

    assert process.wait() == 141
    process.stderr.close()


def test_what_a_user_should_know_is_noted_on_stderr(run, lab: Lab, tmp_path: Path):
    raw = np.random.default_rng(0).integers(0, 60, size=(60, 6))
    np.save(tmp_path / "raw.npy", raw)

    raw_data = run("train", tmp_path / "raw.npy", "-o", tmp_path / "raw", "--epochs", 1, "--lr", "1e-6", "--hidden", 4)
    missed = run("train", lab.bob, "-o", tmp_path / "run", *QUICK, "--anchors", lab.observed)
    disclosed = run("distill", lab.run, lab.train, "-o", tmp_path / "b.h5", *SIGNED, "--origin", "observed")
    decoded = run("check", lab.run, lab.decoded)
    few = run("compare", f"{lab.observed}::pairs/latents_sd", f"{lab.observed}::pairs/latents")

    assert "note: the inputs range from 0 to" in raw_data.err
    assert "note: the anchor error is" in missed.err
    assert "above the tolerance of 0.05 after 3 epochs: train longer (--epochs 6)" in missed.err
    assert "note: the 96 inputs are items of your data" in disclosed.err
    assert "note: these check pairs are not data" in decoded.err
    assert few.err == ""
