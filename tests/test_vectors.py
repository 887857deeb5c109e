"""The reference validator says of every test vector what is recorded beside it."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rosetta.bundle import Bundle
from rosetta.rules import catalogue
from rosetta.verbs.validate import validate
from tests.vectors.__main__ import FOLDER, findings
from tests.vectors.invalid import INVALID as INVALID_WRITERS
from tests.vectors.invalid import WITHOUT_VECTOR
from tests.vectors.valid import VALID as VALID_WRITERS

INDEX = json.loads((FOLDER / "index.json").read_text("utf-8"))
RECORDS = {name: json.loads((FOLDER / name).read_text("utf-8")) for name in INDEX["vectors"]}
VALID = [name for name, record in RECORDS.items() if record["valid"]]


def _beside(name: str, other: str) -> Path:
    return (FOLDER / name).parent / other


@pytest.mark.parametrize("name", RECORDS)
def test_a_vector_gets_the_recorded_report(name: str):
    record = RECORDS[name]

    report = validate(_beside(name, record["bundle"]))

    assert findings(report) == record["findings"]
    assert (report.valid, report.exit_code) == (record["valid"], record["exit_code"])


@pytest.mark.parametrize("name", VALID)
def test_a_valid_vector_opens_with_the_recorded_ids_and_manifest(name: str):
    record = RECORDS[name]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one is of a newer minor version
        bundle = Bundle.open(_beside(name, record["bundle"]))

    assert (bundle.content_id, bundle.bundle_id) == (record["content_id"], record["bundle_id"])
    assert bundle.manifest_bytes == _beside(name, record["manifest"]).read_bytes()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("valid/*.arrays.json")), ids=lambda path: path.name)
def test_the_values_beside_a_vector_are_those_in_it(path: Path):
    written: dict[str, Any] = json.loads(path.read_text("utf-8"))

    arrays = Bundle.open(path.with_name(path.name.replace(".arrays.json", ".h5"))).arrays

    assert written.keys() == arrays.keys()
    for name, values in written.items():
        assert np.array_equal(np.array(values, dtype=arrays[name].dtype), arrays[name]), name


def test_the_index_lists_exactly_the_files_there_are_with_their_digests():
    files = [path for kind in ("valid", "invalid") for path in (FOLDER / kind).iterdir()]

    digests = {path.relative_to(FOLDER).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    assert digests == INDEX["sha256"]
    named = {str(path.relative_to(FOLDER).with_suffix(".json")) for path in files if path.suffix == ".h5"}
    assert named == set(INDEX["vectors"])
    assert all(name.startswith("valid/") == record["valid"] for name, record in RECORDS.items())


def test_the_recorded_bundle_id_is_the_digest_of_the_manifest_beside_it():
    recorded = {name: record for name, record in RECORDS.items() if "manifest" in record}

    for name, record in recorded.items():
        manifest = _beside(name, record["manifest"]).read_bytes()
        assert hashlib.sha256(manifest).hexdigest() == record["bundle_id"], name

    assert len(recorded) > len(VALID)


def test_every_rule_on_safety_and_validity_is_shown_by_a_vector_or_has_a_reason():
    shown = {finding["rule"] for record in RECORDS.values() for finding in record["findings"]}
    rules = {rule.id for rule in catalogue() if rule.severity in ("fatal", "error")}

    assert rules - shown == WITHOUT_VECTOR.keys() & rules
    assert shown.isdisjoint(WITHOUT_VECTOR)


def test_the_vectors_are_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*")) < 1_500_000


def test_writing_a_vector_gives_the_same_bytes_at_any_time(tmp_path: Path):
    writers = {**VALID_WRITERS, **INVALID_WRITERS}
    written: list[dict[str, bytes]] = []

    for path in (tmp_path / "first.h5", tmp_path / "second.h5"):
        written.append({})
        for name, write in writers.items():
            write(path)
            written[-1][name] = path.read_bytes()
            path.unlink()
        time.sleep(1.1)  # HDF5 notes times in whole seconds

    assert [name for name in writers if written[0][name] != written[1][name]] == []
