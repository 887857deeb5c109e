"""A run folder comes back as it was, and a damaged one is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rosetta.errors import ModelError
from rosetta.models.checkpoint import load_run, weights_digest
from tests.conftest import Lab


@pytest.fixture
def run(lab: Lab, tmp_path: Path) -> Path:
    shutil.copytree(lab.run, tmp_path / "run")
    return tmp_path / "run"


def test_a_run_folder_holds_four_files_and_no_path(lab: Lab):
    assert sorted(p.name for p in lab.run.iterdir()) == ["config.json", "metrics.csv", "model.safetensors", "run.json"]
    for path in lab.run.iterdir():
        assert str(lab.folder).encode() not in path.read_bytes()


def test_the_weights_come_back_with_their_digest(lab: Lab):
    checkpoint = load_run(lab.run)

    assert weights_digest(checkpoint.model) == checkpoint.record.weights_sha256


@pytest.mark.parametrize("name", ["config.json", "run.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut", "foreign"])
def test_a_damaged_folder_is_refused_with_the_file_that_is_damaged(run: Path, name: str, damage: str):
    path = run / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b'{"a": 1}')

    with pytest.raises(ModelError, match=name if name.endswith("json") or damage == "missing" else "damaged"):
        load_run(run)


def test_changed_weights_are_refused(run: Path):
    content = bytearray((run / "model.safetensors").read_bytes())
    content[-2] ^= 1
    (run / "model.safetensors").write_bytes(content)

    with pytest.raises(ModelError, match="were changed after training"):
        load_run(run)


def test_weights_of_another_network_are_refused(run: Path):
    config = json.loads((run / "config.json").read_text())
    config["settings"]["hidden"] = [65]
    (run / "config.json").write_text(json.dumps(config))

    with pytest.raises(ModelError, match=r"do not fit its config\.json"):
        load_run(run)


def test_an_unknown_key_in_the_configuration_is_refused(run: Path):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"extra": 1}))

    with pytest.raises(ModelError, match="extra"):
        load_run(run)


def test_a_folder_that_is_none_is_refused(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.zeros(3))

    with pytest.raises(ModelError, match="does not exist"):
        load_run(tmp_path / "nothing")
    with pytest.raises(ModelError, match="is a file"):
        load_run(tmp_path / "a.npy")
    with pytest.raises(ModelError, match="no complete run folder"):
        load_run(tmp_path)
