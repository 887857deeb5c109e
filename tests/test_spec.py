"""The specification's own examples run, and it covers what the code refers to."""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
import pytest
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from rosetta.schemas import manifest as schema
from rosetta.schemas import signature as signatures
from rosetta.schemas.manifest import Manifest
from rosetta.schemas.record import Record
from rosetta.schemas.validation import ValidationReport

from rosetta import preprocessing
from rosetta.bundle import layout
from rosetta.bundle import manifest as parsing
from rosetta.bundle.digest import array_digest, content_digest, manifest_digest
from rosetta.bundle.layout import DTYPES, MANIFEST
from rosetta.bundle.sandbox import child, confine
from rosetta.bundle.sandbox import parent as sandbox
from rosetta.bundle.sandbox.superblock import check_superblock
from rosetta.bundle.signature.envelope import MAX_SIGNATURE_BYTES, signature_path
from rosetta.bundle.signature.trust import MAX_TRUST_BYTES, read_trust_file
from rosetta.errors import UnsafeFileError
from rosetta.rules import catalogue
from rosetta.rules.engine import ONLY_SENDER
from rosetta.validation import opening as validating
from rosetta.verbs.validate import validate
from rosetta.verbs.verify import verify
from tests import builders

FOLDER = Path(__file__).parents[1] / "spec"
SPEC = FOLDER / "bundle-1.0.md"
HEADING = re.compile(r"^#{2,4} (\d+(?:\.\d+)*) .+$", re.MULTILINE)
RECORDS = [
    record
    for _, record in inspect.getmembers(schema, inspect.isclass)
    if issubclass(record, Record) and record.__module__ == schema.__name__
]
SIGNED = [
    signatures.Envelope, signatures.EnvelopeSignature, signatures.Statement, signatures.Subject, signatures.Digests,
    signatures.Predicate,
]  # fmt: skip


def section(number: str) -> str:
    """The text of a section, with its subsections."""
    text = SPEC.read_text("utf-8")
    start = next(h for h in HEADING.finditer(text) if h[1] == number)
    later = (h.start() for h in HEADING.finditer(text, start.end()) if not h[1].startswith(f"{number}."))
    return text[start.start() : next(later, len(text))]


def blocks(number: str, language: str) -> list[str]:
    """The fenced code blocks of a section, without their fences."""
    return re.findall(rf"^```{language}\n(.*?)^```$", section(number), re.MULTILINE | re.DOTALL)


def _stopped(path: Path) -> None:
    raise UnsafeFileError("RZ-S040", "/", "its process was stopped")


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


def facts(number: str) -> dict[str, str]:
    """What a section's one text block says, by the first word of each line."""
    (text,) = blocks(number, "text")
    return dict(line.split(maxsplit=1) for line in text.splitlines())


def signed_example(folder: Path) -> Path:
    """The example bundle of section 5.5 with the signature of section 9.9 beside it."""
    text = rfc8785.dumps(json.loads(blocks("5.5", "json")[0]))
    path = builders.write_raw(folder / "two-points.h5", example_arrays(), text)
    (envelope,) = blocks("9.9", "json")
    signature_path(path).write_text(envelope, "utf-8")
    return path


def rows(number: str) -> list[list[str]]:
    """The rows of a section's tables, cell by cell, without their heads."""
    found = re.findall(r"^\|(.*)\|$", section(number), re.MULTILINE)
    cells = [[cell.strip() for cell in row.split("|")] for row in found]
    return [row for row, after in zip(cells, [*cells[1:], []], strict=True) if "---" not in (row[0], *after[:1])]


def table(record: type[Record], number: str) -> dict[str, str]:
    """The "required" column by key of the table that describes a record."""
    found = re.search(rf"^\*\*{record.__name__}\*\*:[^|]*\n\n((?:\|.*\n)+)", section(number), re.MULTILINE)
    assert found, f"section {number} has no table for {record.__name__}"
    lines = [[cell.strip() for cell in row.split("|")] for row in found[1].splitlines()[2:]]
    return {key.strip("`"): required for _, key, _, required, *_ in lines}


def test_the_readers_program_is_short_and_uses_only_h5py_and_the_standard_library():
    (program,) = blocks("2", "python")

    assert len(program.splitlines()) <= 26
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
    lines = facts("6.1")
    numbers = json.loads(lines["array"])
    values = b"".join(struct.pack(f"<{len(row)}f", *row) for row in numbers)

    assert json.loads(lines["header"]) == {"dtype": lines["dtype"], "shape": json.loads(lines["shape"])}
    assert json.loads(lines["shape"]) == [len(numbers), len(numbers[0])]
    assert bytes.fromhex(lines["values"]) == values
    spelled = b"rosetta-array-v1\n" + lines["header"].encode() + b"\n" + values
    assert hashlib.sha256(spelled).hexdigest() == lines["sha256"]
    assert array_digest(np.array(numbers, dtype="<f4")) == lines["sha256"]
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
    assert broken == {"RZ-W201", "RZ-W205", "RZ-W207", "RZ-W208"}
    assert {each.reason for each in report.skipped} == {ONLY_SENDER}


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


@pytest.mark.parametrize("record", [*RECORDS, *SIGNED], ids=lambda record: record.__name__)
def test_every_key_of_a_record_stands_in_its_table_as_required_or_not(record):
    required = table(record, "9" if record in SIGNED else "5.2")
    fields = {field.alias or name: field for name, field in record.model_fields.items()}

    assert set(required) == set(fields)
    for key, field in fields.items():
        assert (required[key] == "yes") == field.is_required(), key
        default = re.search(r"default `(.+)`", required[key])
        absent = None if default is None else json.loads(default[1])
        assert field.is_required() or json.loads(json.dumps(field.default)) == absent, key


def test_every_array_of_the_format_stands_in_the_tree_with_the_types_it_may_have():
    types = {row[0].strip("`"): set(re.findall(r"`(\w\d)`", row[1])) for row in rows("3.2") if row[0].startswith("`/")}

    assert {path: types[path] for path in DTYPES} == {path: set(allowed) for path, allowed in DTYPES.items()}
    assert set(types) - set(DTYPES) == {MANIFEST, "/preprocessing/NAME", "/ext/KEY/NAME"}


def test_the_readers_program_refuses_what_it_would_have_to_know(tmp_path):
    document = parsing.as_json(builders.manifest(builders.arrays())) | {"requires": ["org.example.new"]}

    found = run_reader(tmp_path, builders.write_raw(tmp_path / "a.h5", builders.arrays(), builders.text_of(document)))

    assert found.returncode == 1
    assert "requires" in found.stderr


def test_the_numbers_have_the_canonical_form_that_the_text_shows():
    shown = facts("5.1")

    assert len(shown) > 8
    for printed, canonical in shown.items():
        assert rfc8785.dumps(float(printed)).decode() == canonical.strip(), printed


def test_the_strings_have_the_canonical_form_that_the_text_describes():
    text = section("5.1")
    plain = "/\x7f\u2028\u00e9\U0001f600e\u0301"
    short = {"\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r", '"': r"\"", "\\": "\\\\"}

    for character, escape in short.items():
        assert f"`{escape}`" in text
        assert rfc8785.dumps(character).decode() == f'"{escape}"'
    assert rfc8785.dumps("\x01\x1f") == rb'"\u0001\u001f"'
    assert rfc8785.dumps(plain) == f'"{plain}"'.encode()
    assert rfc8785.dumps({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


def test_the_preprocessing_example_follows_from_the_formulas():
    example = json.loads(blocks("5.4", "json")[0])
    scale, standardize = example["scale"], example["standardize"]
    low, high = scale["parameters"]["low"], scale["parameters"]["high"]

    def f4(x: float) -> float:
        return struct.unpack("<f", struct.pack("<f", x))[0]

    assert scale["inputs"] == [f4(f4(f4(x) - f4(low)) / f4(high - low)) for x in scale["raw"]]
    by_number = zip(standardize["raw"], standardize["arrays"]["mean"], standardize["arrays"]["sd"], strict=True)
    assert standardize["inputs"] == [f4((x - mean) / sd) for x, mean, sd in by_number]


@pytest.mark.parametrize("name", ["scale", "standardize"])
def test_the_preprocessing_example_is_what_the_library_computes(name):
    example = json.loads(blocks("5.4", "json")[0])[name]
    arrays = {key: np.array(values) for key, values in example.get("arrays", {}).items()}

    step = preprocessing.steps.get(name).restore(example.get("parameters", {}), arrays)

    assert step(np.array([example["raw"]])).tolist() == [example["inputs"]]


def test_the_text_names_the_steps_that_there_are():
    named = re.findall(r"^`(\w+)` has ", section("5.4"), re.MULTILINE)

    assert sorted(named) == sorted(preprocessing.steps)


@pytest.mark.parametrize("libver", ["earliest", "v108", "v110"])
def test_the_superblock_has_its_fields_where_the_table_says(tmp_path, libver):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=(libver, "v110")) as file:
        file["x"] = 1.0
    data = path.read_bytes()
    row = next(row for row in rows("3.1") if str(data[8]) in re.findall(r"\d+", row[0]))
    sizes, base, undefined, end, length = [[int(n) for n in re.findall(r"\d+", cell)] for cell in row[1:]]

    assert check_superblock(data, len(data)) == length[0]
    for rule, places in (("RZ-S003", [*sizes, *base]), ("RZ-S004", undefined), ("RZ-S002", end)):
        for place in places:
            changed = bytearray(data)
            changed[place] ^= 1
            with pytest.raises(UnsafeFileError, match=rule):
                check_superblock(bytes(changed), len(changed))


@pytest.mark.parametrize(
    ("number", "sentence", "value"),
    [
        ("3.1", "4 GiB (4,294,967,296 bytes)", layout.MAX_FILE_BYTES == 4_294_967_296),
        ("3.2", "longer than 255 characters", layout.MAX_PATH == 255),
        ("3.2", "more than 256 objects", layout.MAX_OBJECTS == 256),
        ("3.2", "at most 32 dimensions", layout.MAX_RANK == 32),
        ("3.2", "4 MiB (4,194,304 bytes)", layout.MAX_MANIFEST_BYTES == 4_194_304),
        ("5.1", "more than 32 deep", parsing.MAX_DEPTH == 32),
        ("7.2", "4 seconds of processor time", confine.CPU_S == 4),
        ("7.2", "512 MiB of memory", confine.MEMORY == 512 * 2**20),
        ("7.2", "After 4 seconds by the clock", child.TIMEOUT_S == 4),
        ("7.2", "at most 256 KiB", sandbox.MAX_REPLY == 256 * 2**10),
        ("9.1", "64 KiB (65,536 bytes)", MAX_SIGNATURE_BYTES == 65_536),
        ("9.3", "1,000 code points", signatures.MAX_NAME == 1000),
        ("9.9", "at most 1 MiB", MAX_TRUST_BYTES == 2**20),
    ],
)
def test_a_limit_in_the_text_is_the_one_that_is_enforced(number, sentence, value):
    assert sentence in " ".join(section(number).split())
    assert value


def test_a_path_may_be_as_long_as_the_text_says_and_no_longer():
    longest = "/preprocessing/".ljust(255, "a")

    assert layout.is_array_path(longest)
    assert not layout.is_array_path(longest + "a")


@pytest.mark.parametrize(
    ("padding", "after", "is_removed"),
    [
        ("STR_NULLPAD", b"\0\0\0", True),
        ("STR_NULLPAD", b"\0x", False),
        ("STR_NULLPAD", b"   ", False),
        ("STR_NULLTERM", b"\0\0\0", True),
        ("STR_NULLTERM", b"\0x", True),
        ("STR_NULLTERM", b" \0x", False),
        ("STR_SPACEPAD", b"   ", True),
        ("STR_SPACEPAD", b"\0  ", True),
        ("STR_SPACEPAD", b" \0", False),
    ],
)
def test_of_a_root_attribute_the_padding_is_removed_as_the_text_says(tmp_path, padding, after, is_removed):
    path = builders.write(tmp_path / "a.h5")
    text = b"rosetta-bundle" + after
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(text))
    kind.set_strpad(getattr(h5py.h5t, padding))
    with h5py.File(path, "a", libver=layout.LIBVER) as file:
        del file.attrs["format"]
        attribute = h5py.h5a.create(file.id, b"format", kind, h5py.h5s.create(h5py.h5s.SCALAR))
        attribute.write(np.array(text, dtype=f"S{len(text)}"), mtype=kind)

    assert validate(path).exit_code == (0 if is_removed else 3)


def test_empty_groups_mean_nothing(tmp_path):
    path = builders.write(tmp_path / "a.h5")
    with h5py.File(path, "a", libver=layout.LIBVER) as file:
        file.create_group("/ext/org.example")
        file.create_group("/preprocessing")

    assert validate(path).valid


@pytest.mark.parametrize(
    ("licence", "is_valid"),
    [
        ("MIT OR Apache-2.0", True),
        ("gpl-2.0-or-later with classpath-exception-2.0", True),
        ("(LicenseRef-ours.1 AND CC0-1.0)", True),
        ("mit\tor\ngpl-2.0+", True),
        ("MIT OR(ISC)", True),
        ("MIT +", False),
        ("(" * 100 + "MIT" + ")" * 100, True),
        ("DocumentRef-x:LicenseRef-y", False),
        ("NONE", False),
        ("NOASSERTION", False),
    ],
)
def test_a_licence_is_an_expression_as_the_text_says(tmp_path, licence, is_valid):
    report = validate(builders.write(tmp_path / "a.h5", license=licence))

    assert ("RZ-V120" in {finding.rule for finding in report.findings}) is not is_valid


def test_no_key_of_the_manifest_sorts_before_its_content():
    assert min(Manifest.model_fields, key=lambda key: key.encode("utf-16-be")) == "content"


def test_a_rule_rests_on_what_the_table_says():
    named = [[re.findall(r"RZ-[A-Z]\d+", cell) for cell in row] for row in rows("12")]
    written = {each: set(needed) for rules, needed in named for each in rules}
    tried = {rule.id: set(rule.requires) for rule in catalogue() if rule.check}

    def all_below(rule: str, direct: dict[str, set[str]]) -> set[str]:
        return direct[rule].union(*(all_below(each, direct) for each in direct[rule]))

    assert set(written) == set(tried)
    assert {each: all_below(each, written) for each in tried} == {each: all_below(each, tried) for each in tried}


def test_a_manifest_that_is_not_canonical_breaks_no_other_rule(tmp_path):
    text = builders.text_of(parsing.as_json(builders.manifest(builders.arrays())))
    assert text.count(b'"generation":0') == 1

    report = validate(
        builders.write_raw(tmp_path / "a.h5", builders.arrays(), text.replace(b'"generation":0', b'"generation":1.0'))
    )

    assert [f.rule for f in report.findings if f.severity in ("fatal", "error")] == ["RZ-V105"]


def test_inputs_that_differ_in_the_sign_of_zero_are_the_same(tmp_path):
    values = builders.arrays()
    inputs = np.array(values[layout.INPUTS])
    inputs[:2], inputs[0].flat[0], inputs[1].flat[0] = 0.5, 0.0, -0.0
    values = {**values, layout.INPUTS: inputs}

    report = validate(
        builders.write_raw(tmp_path / "a.h5", values, builders.text_of(parsing.as_json(builders.manifest(values))))
    )

    assert "RZ-W204" in {finding.rule for finding in report.findings}


def test_a_symbolic_link_to_a_bundle_is_followed(tmp_path):
    builders.write(tmp_path / "a.h5")
    (tmp_path / "link.h5").symlink_to("a.h5")
    (tmp_path / "nowhere.h5").symlink_to("b.h5")

    assert validate(tmp_path / "link.h5").valid
    assert validate(tmp_path / "nowhere.h5").exit_code == 2


def test_every_rule_stands_in_the_section_that_it_names():
    for rule in catalogue():
        assert rule.id in section(rule.section), f"section {rule.section} does not say {rule.id}"


def test_every_rule_that_the_text_names_exists():
    known = {rule.id for rule in catalogue()}

    assert set(re.findall(r"RZ-[A-Z]\d+", SPEC.read_text("utf-8"))) <= known


def test_the_table_of_exit_codes_has_those_that_a_report_may_have():
    codes = [int(code) for code, _ in rows("7.4")]
    bounds = ValidationReport.model_json_schema()["properties"]["exit_code"]

    assert codes == list(range(bounds["minimum"], bounds["maximum"] + 1))
    assert codes == [
        validating.VALID, validating.INVALID, validating.UNREADABLE,
        validating.UNSUPPORTED, validating.UNSAFE, validating.STOPPED,
    ]  # fmt: skip


@pytest.mark.parametrize("code", range(6))
def test_a_file_ends_in_the_exit_code_that_the_table_gives_it(tmp_path, monkeypatch, code):
    path, values = tmp_path / "a.h5", builders.arrays()
    document = parsing.as_json(builders.manifest(values))
    if code == 0:
        builders.write(path)
    elif code == 1:
        builders.write_raw(path, values, builders.text_of(document | {"extra": 1}))
    elif code == 3:
        builders.write_raw(path, values, builders.text_of(document), version="2.0")
    elif code == 4:
        path.write_bytes(b"no bundle")
    elif code == 5:
        monkeypatch.setattr(validating, "read_raw", _stopped)
    meaning = dict(rows("7.4"))[str(code)]

    report = validate(path)

    assert report.exit_code == code
    fatal = {f.rule for f in report.findings if f.severity == "fatal"} | {"RZ-V101"} & {f.rule for f in report.findings}
    named = set(re.findall(r"RZ-\w+", meaning))
    assert fatal == named if named else bool(fatal) == (code == 4)


def test_a_file_of_another_major_version_is_refused_without_a_look_at_its_tree(tmp_path):
    path = builders.write_raw(tmp_path / "a.h5", builders.arrays(), None, version="2.0")
    with h5py.File(path, "a", libver=layout.LIBVER) as file:
        file["elsewhere"] = h5py.SoftLink("/what/2.0/may/have")

    report = validate(path)

    assert [f.rule for f in report.findings if f.severity in ("fatal", "error")] == ["RZ-V101"]
    assert report.exit_code == 3


def test_a_manifest_whose_first_key_is_another_is_refused_in_a_newer_minor_version_too(tmp_path):
    document = parsing.as_json(builders.manifest(builders.arrays())) | {"format_version": "1.1", "author": "Ada"}
    path = builders.write_raw(tmp_path / "a.h5", builders.arrays(), builders.text_of(document), version="1.1")

    report = validate(path)

    errors = [(f.rule, f.location) for f in report.findings if f.severity in ("fatal", "error")]
    assert errors == [("RZ-V106", "/manifest#/author")]


def test_a_key_of_a_newer_minor_version_is_left_out_and_counts_in_the_digests(tmp_path):
    document = parsing.as_json(builders.manifest(builders.arrays())) | {"format_version": "1.1"}
    document["content"]["space"]["colour"] = "red"
    text = builders.text_of(document)

    report = validate(builders.write_raw(tmp_path / "a.h5", builders.arrays(), text, version="1.1"))

    assert report.valid
    assert json.loads(text)["content_id"] != content_digest(
        parsing.as_json(builders.manifest(builders.arrays()).content)
    )
    (warning,) = [f for f in report.findings if f.rule == "RZ-W211"]
    assert "/content/space/colour" in warning.message


def test_the_signature_example_can_be_made_and_checked_with_cryptography_alone():
    shown, (envelope,) = facts("9.9"), [json.loads(text) for text in blocks("9.9", "json")]
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(shown["private"]))
    public, payload, kind = (
        private.public_key().public_bytes_raw(),
        shown["statement"].encode(),
        envelope["payloadType"],
    )

    blob = struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + public
    fingerprint = "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    pae = b" ".join([b"DSSEv1", b"%d" % len(kind), kind.encode(), b"%d" % len(payload), payload])
    signature = private.sign(pae)

    assert private.private_bytes_raw() == b"\x01" * 32
    assert public.hex() == shown["public"]
    assert shown["openssh"] == "ssh-ed25519 " + base64.b64encode(blob).decode()
    assert shown["keyid"] == fingerprint
    assert pae.startswith(shown["pae"].encode())
    assert signature.hex() == shown["signature"]
    assert base64.b64decode(envelope["payload"]) == payload == rfc8785.dumps(json.loads(payload))
    assert envelope["signatures"] == [{"keyid": fingerprint, "sig": base64.b64encode(signature).decode()}]
    Ed25519PublicKey.from_public_bytes(public).verify(signature, pae)
    order = 2**252 + 27742317777372353535851937790883648493
    too_large = (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(public).verify(signature[:32] + too_large, pae)
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(public).verify(signature, payload)


def test_the_signature_example_is_about_the_example_bundle():
    statement = json.loads(facts("9.9")["statement"])
    document = json.loads(blocks("5.5", "json")[0])

    assert statement["subject"][0]["digest"]["sha256"] == manifest_digest(rfc8785.dumps(document))
    assert statement["predicate"]["content_id"] == document["content_id"]
    assert statement["predicate"]["title"] == document["provenance"]["title"]


def test_the_signature_example_convinces_whoever_trusts_its_key(tmp_path):
    path, trust = signed_example(tmp_path), tmp_path / "trust.toml"
    trust.write_text(blocks("9.9", "toml")[0], "utf-8")

    report = verify(path, trust_file=trust)
    findings = validate(path, trust_file=trust).findings

    assert [(signer.name, signer.key) for signer in report.signers] == [("Ada Lovelace", facts("9.9")["keyid"])]
    assert [key.raw.hex() for key in read_trust_file(trust)] == [facts("9.9")["public"]]
    assert not {"RZ-V128", "RZ-V129", "RZ-V130", "RZ-W201"} & {finding.rule for finding in findings}
    assert "Ada Lovelace" in next(finding.message for finding in findings if finding.rule == "RZ-I304")


def test_the_table_of_refusals_has_every_word_that_a_verifier_may_give():
    words = {row[2].strip("`") for row in rows("9.6")}

    assert words == set(get_args(signatures.RefusalReason))


def test_the_types_of_a_signature_are_those_that_the_text_gives():
    text = section("9")

    for kind in (signatures.PAYLOAD_TYPE, signatures.STATEMENT_TYPE, signatures.PREDICATE_TYPE):
        assert f'`"{kind}"`' in text


def test_the_vectors_have_the_keys_that_the_text_describes():
    folder = FOLDER / "vectors" / "1.0"
    index = json.loads((folder / "index.json").read_text("utf-8"))
    described = set(re.findall(r"`(\w+)`", section("12")))

    keys = set(index) | {key for name in index["vectors"] for key in json.loads((folder / name).read_text("utf-8"))}

    assert index["vectors"]
    assert keys <= described


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.name)
def test_every_file_that_a_page_links_to_is_there(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))

    for link in links:
        assert (page.parent / link).exists(), link
