"""The specification's own examples run, and it covers what the code refers to."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rfc8785
from rosetta.schemas import manifest as schema
from rosetta.schemas.manifest import Manifest
from rosetta.schemas.record import Record

from rosetta.bundle.digest import array_digest, content_digest, manifest_digest
from rosetta.bundle.layout import DTYPES, MANIFEST
from rosetta.rules import catalogue
from rosetta.verbs.validate import validate
from tests import builders

SPEC = Path(__file__).parents[1] / "spec" / "bundle-1.0.md"
HEADING = re.compile(r"^#{2,4} (\d+(?:\.\d+)*) .+$", re.MULTILINE)
RECORDS = [
    record
    for _, record in inspect.getmembers(schema, inspect.isclass)
    if issubclass(record, Record) and record.__module__ == schema.__name__
]


def section(number: str) -> str:
    """The text of a section, with its subsections."""
    text = SPEC.read_text("utf-8")
    start = next(h for h in HEADING.finditer(text) if h[1] == number)
    later = (h.start() for h in HEADING.finditer(text, start.end()) if not h[1].startswith(f"{number}."))
    return text[start.start() : next(later, len(text))]


def blocks(number: str, language: str) -> list[str]:
    """The fenced code blocks of a section, without their fences."""
    return re.findall(rf"^```{language}\n(.*?)^```$", section(number), re.MULTILINE | re.DOTALL)


def run_reader(folder: Path, bundle: Path) -> subprocess.CompletedProcess[str]:
    """Run the Python program of section 2 on a bundle."""
    (program,) = blocks("2", "python")
    (folder / "reader.py").write_text(program, "utf-8")
    command = [sys.executable, "-W", "error", str(folder / "reader.py"), str(bundle)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def example_arrays() -> dict[str, Any]:
    """The manifest example's arrays, typed as it declares them."""
    document, values = (json.loads(text) for text in blocks("5.5", "json"))
    entries = document["content"]["arrays"]
    return {path: np.array(value, dtype="<" + entries[path]["dtype"]) for path, value in values.items()}


def table(record: type[Record]) -> dict[str, str]:
    """The "required" column by key of the table that describes a record."""
    found = re.search(rf"^\*\*{record.__name__}\*\*:[^|]*\n\n((?:\|.*\n)+)", section("5.2"), re.MULTILINE)
    assert found, f"section 5.2 has no table for {record.__name__}"
    rows = [[cell.strip() for cell in row.split("|")] for row in found[1].splitlines()[2:]]
    return {key.strip("`"): required for _, key, _, required, *_ in rows}


def test_the_readers_program_is_short_and_uses_only_h5py_and_the_standard_library():
    (program,) = blocks("2", "python")

    assert len(program.splitlines()) <= 25
    assert set(re.findall(r"^(?:import|from) (.+)$", program, re.MULTILINE)) == {"hashlib, json, sys", "h5py"}


def test_the_readers_program_opens_a_bundle_and_prints_its_counts(tmp_path):
    found = run_reader(tmp_path, builders.write(tmp_path / "a.h5"))

    assert found.stdout == "12 anchors, 8 checks, 3 dimensions\n", found.stderr
    assert found.returncode == 0


@pytest.mark.parametrize("path", sorted(DTYPES))
def test_the_readers_program_refuses_a_flipped_byte_in_any_array(tmp_path, path):
    bundle = builders.write(tmp_path / "a.h5")
    with h5py.File(bundle) as file:
        offset = file[path].id.get_offset()
    data = bytearray(bundle.read_bytes())
    data[offset] ^= 1
    bundle.write_bytes(data)

    found = run_reader(tmp_path, bundle)

    assert found.returncode == 1
    assert found.stderr == f"{path} was altered\n"


def test_the_readers_program_refuses_a_changed_content(tmp_path):
    bundle = builders.write(tmp_path / "a.h5")
    data = bundle.read_bytes()
    assert data.count(b'"n_dims":3') == 1
    bundle.write_bytes(data.replace(b'"n_dims":3', b'"n_dims":4'))

    found = run_reader(tmp_path, bundle)

    assert found.returncode == 1
    assert found.stderr == "content was altered\n"


def test_the_readers_program_finds_the_content_whatever_numbers_and_letters_it_holds(tmp_path):
    odd = schema.InputDescription(
        shape=builders.SHAPE, dtype="f4", value_range=(-1e-7, 1e21), units='"}µ\U0001f600\ufb33\n'
    )

    found = run_reader(tmp_path, builders.write(tmp_path / "a.h5", input=odd))

    assert found.returncode == 0, found.stderr


def test_the_digest_example_follows_from_its_own_text():
    (text,) = blocks("6.1", "text")
    lines = dict(line.split(maxsplit=1) for line in text.splitlines())
    rows = json.loads(lines["array"])
    values = b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows)

    assert json.loads(lines["header"]) == {"dtype": lines["dtype"], "shape": json.loads(lines["shape"])}
    assert json.loads(lines["shape"]) == [len(rows), len(rows[0])]
    assert bytes.fromhex(lines["values"]) == values
    spelled = b"rosetta-array-v1\n" + lines["header"].encode() + b"\n" + values
    assert hashlib.sha256(spelled).hexdigest() == lines["sha256"]
    assert array_digest(np.array(rows, dtype="<f4")) == lines["sha256"]
    assert array_digest(example_arrays()["/pairs/latents"]) == lines["sha256"]


def test_the_manifest_example_is_valid_and_its_digests_and_length_are_right():
    document = json.loads(blocks("5.5", "json")[0])
    text = rfc8785.dumps(document)

    Manifest.model_validate_json(text)

    assert content_digest(document["content"]) == document["content_id"]
    found = {path: array_digest(array) for path, array in example_arrays().items()}
    assert found == {path: entry["sha256"] for path, entry in document["content"]["arrays"].items()}
    assert f" {len(text)} bytes" in " ".join(section("5.5").split())
    assert manifest_digest(text) in section("5.5")


def test_the_content_id_is_the_digest_of_the_stretch_that_the_specification_names():
    document = json.loads(blocks("5.5", "json")[0])
    text = rfc8785.dumps(document)

    stretch = text[11 : text.index(b',"content_id"')]

    assert hashlib.sha256(b"rosetta-content-v1\n" + stretch).hexdigest() == document["content_id"]


def test_the_example_bundle_breaks_no_rule_but_those_on_few_anchors(tmp_path):
    text = rfc8785.dumps(json.loads(blocks("5.5", "json")[0]))

    report = validate(builders.write_raw(tmp_path / "a.h5", example_arrays(), text))

    broken = {finding.rule for finding in report.findings if finding.severity != "info"}
    assert report.valid
    assert broken == {"RZ-W205", "RZ-W207", "RZ-W208"}
    assert not report.skipped


def test_every_section_that_a_rule_names_is_a_heading():
    numbers = {match[1] for match in HEADING.finditer(SPEC.read_text("utf-8"))}

    assert {rule.section for rule in catalogue()} <= numbers


def test_every_section_that_the_text_refers_to_is_a_heading():
    text = SPEC.read_text("utf-8")
    numbers = {match[1] for match in HEADING.finditer(text)}

    named = {n for run in re.findall(r"sections? ((?:\d[\d.]*(?:, | and | to )?)+)", text)
             for n in re.findall(r"\d+(?:\.\d+)*", run)}  # fmt: skip

    assert named
    assert named <= numbers


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_key_of_a_record_stands_in_its_table_as_required_or_not(record):
    required = table(record)

    assert set(required) == set(record.model_fields)
    for key, field in record.model_fields.items():
        assert (required[key] == "yes") == field.is_required(), key
        default = re.search(r"default `(.+)`", required[key])
        absent = None if default is None else json.loads(default[1])
        assert field.is_required() or json.loads(json.dumps(field.default)) == absent, key


def test_every_array_of_the_format_stands_in_the_tree_with_the_types_it_may_have():
    rows = [[cell.strip() for cell in row.split("|")] for row in section("3.2").splitlines() if row.startswith("| `/")]
    types = {row[1].strip("`"): set(re.findall(r"`(\w\d)`", row[2])) for row in rows}

    assert {path: types[path] for path in DTYPES} == {path: set(allowed) for path, allowed in DTYPES.items()}
    assert set(types) - set(DTYPES) == {MANIFEST, "/preprocessing/NAME", "/ext/KEY/NAME"}
