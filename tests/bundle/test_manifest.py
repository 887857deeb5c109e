"""Manifests are bytes from a stranger: whatever could be read in two ways is refused."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from rosetta.bundle.manifest import MAX_DEPTH, as_json, canonical, check_version, parse_json, validate_schema
from rosetta.errors import BundleError
from tests import builders
from tests.hostile.documents import AMBIGUOUS, NOT_CANONICAL, NOT_JSON

ATTACKS = (
    *((rule, text, name) for rule, texts in
      (("RZ-V103", NOT_JSON), ("RZ-V104", AMBIGUOUS), ("RZ-V105", NOT_CANONICAL)) for name, text in texts.items()),
)  # fmt: skip


@pytest.mark.parametrize(("rule", "text"), [attack[:2] for attack in ATTACKS], ids=[attack[2] for attack in ATTACKS])
def test_an_attack_ends_in_its_rule(rule: str, text: bytes):
    with pytest.raises(BundleError) as caught:
        parse_json(text)

    assert caught.value.rule == rule
    assert caught.value.location.startswith("/manifest")
    assert 0 < len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("text", "pointer"),
    [(b'{"a":null}', "/a"), (b'{"a":[1,{"b":null}]}', "/a/1/b"), (b'{"a/b":{"c~d":null}}', "/a~1b/c~0d")],
)
def test_a_null_is_named_by_its_pointer(text: bytes, pointer: str):
    with pytest.raises(BundleError) as caught:
        parse_json(text)

    assert caught.value.location == f"/manifest#{pointer}"


def test_the_first_byte_that_is_not_canonical_is_named():
    with pytest.raises(BundleError, match="from byte 5 on"):
        parse_json(b'{"a": 1}')


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b'{"a":9007199254740991,"b":-9007199254740991}',
        b'{"a":0.1,"b":1e+30,"c":1e-7,"d":1e+22}',
        '{"a":"\\u001f\\n ü / \U0001f600"}'.encode(),
        '{"\U0001f600":1,"\ufb33":2}'.encode(),
        b'{"a":[true,false,"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["]}',
        b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH,
        b'{"a":"\\"[","b":"' + b"{" * 100 + b'"}',
    ],
)
def test_canonical_json_is_read_as_it_stands(text: bytes):
    assert parse_json(text) == json.loads(text)


NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.booleans() | NUMBERS | TEXTS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3),
    max_leaves=12,
)


@settings(deadline=None, max_examples=100)
@given(value=st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_was_made_canonical_is_read_as_it_was(value: dict[str, Any]):
    assert parse_json(rfc8785.dumps(value)) == value


@pytest.mark.parametrize(
    ("version", "expected"), [("1.0", (1, 0)), ("1.1", (1, 1)), ("1.12", (1, 12)), ("1.999", (1, 999))]
)
def test_every_minor_of_version_1_is_known(version: str, expected: tuple[int, int]):
    assert check_version({"format": "rosetta-bundle", "format_version": version}) == expected


VERSIONS = (
    "",
    "1",
    "1.",
    ".1",
    "2.0",
    "0.9",
    "1.0.0",
    "01.0",
    "1.00",
    "1.0\n",
    "1.-1",
    "1. 0",
    "v1.0",
    "1.x",
    "1.²",
    "1.٣",
)


@pytest.mark.parametrize("version", [*VERSIONS, "1." + "0" * 10_000, "9" * 10_000 + ".0"])
def test_every_other_version_is_refused(version: str):
    with pytest.raises(BundleError, match="RZ-V101"):
        check_version({"format": "rosetta-bundle", "format_version": version})


@pytest.mark.parametrize(
    "attributes",
    [{}, {"format": "rosetta-bundle"}, {"format_version": "1.0"}, {"format": "rosetta", "format_version": "1.0"}],
)
def test_another_format_is_refused(attributes: dict[str, str]):
    with pytest.raises(BundleError, match="RZ-V101"):
        check_version(attributes)


def _valid() -> dict[str, Any]:
    return as_json(builders.manifest(builders.arrays()))


def _problems(document: dict[str, Any]) -> dict[str, str]:
    problems, manifest, _ = validate_schema(rfc8785.dumps(document))
    assert (manifest is None) == bool(problems)
    return dict(problems)


def test_a_manifest_comes_back_as_it_was():
    manifest = builders.manifest(builders.arrays())

    assert validate_schema(canonical(manifest)) == ([], manifest, [])


def test_absent_values_are_left_out():
    document = as_json(builders.manifest(builders.arrays(), citation=None))

    assert "citation" not in document["provenance"]
    assert parse_json(rfc8785.dumps(document)) == document


def test_every_problem_is_listed_with_its_pointer():
    document = _valid()
    document["extra"] = 1
    document["content"]["space"]["n_dims"] = "3"
    document["content"]["arrays"]["/pairs/latents"]["sha256"] = "A" * 64
    del document["provenance"]["license"]

    problems = _problems(document)

    assert set(problems) == {
        "/manifest#/extra",
        "/manifest#/content/space/n_dims",
        "/manifest#/content/arrays/~1pairs~1latents/sha256",
        "/manifest#/provenance/license",
    }
    assert "found 1" in problems["/manifest#/extra"]


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/format", "other"),
        ("/format_version", "2.0"),
        ("/format_version", "1.0\n"),
        ("/content_id", "0" * 63),
        ("/content/space/id", "space-1"),
        ("/content/space/n_dims", 0),
        ("/content/space/n_dims", True),
        ("/content/space/extra", "x"),
        ("/content/input/shape", [4, 0]),
        ("/content/input/dtype", "f2"),
        ("/content/input/value_range", [1, 0]),
        ("/content/input/value_range", [0, 1, 2]),
        ("/content/origins", []),
        ("/provenance/created", "yesterday"),
        ("/provenance/creators", []),
        ("/provenance/title", ""),
        ("/provenance/title", "x" * 100_001),
        ("/provenance/generation", -1),
        ("/extensions", {"Not A Domain": 1}),
    ],
)
def test_a_value_against_the_schema_is_refused(pointer: str, value: object):
    document = _valid()
    *parents, last = pointer.strip("/").split("/")
    owner = document
    for key in parents:
        owner = owner[key]
    owner[last] = value

    problems = _problems(document)

    assert all(location.startswith(f"/manifest#{pointer}") for location in problems)
    assert problems


@pytest.mark.parametrize("path", ["pairs/x", "/pairs", "/pairs/../x/y", "/pairs//x", "/a/b/c/d", "/pairs/x y"])
def test_an_array_at_a_path_that_no_file_has_is_against_the_schema(path: str):
    document = _valid()
    document["content"]["arrays"][path] = document["content"]["arrays"]["/pairs/roles"]

    assert _problems(document)


def test_a_shown_value_is_cut_short():
    document = _valid()
    document["extra"] = "x" * 1000

    assert len(_problems(document)["/manifest#/extra"]) < 200


def test_a_record_cannot_be_changed():
    space = builders.manifest(builders.arrays()).content.space

    with pytest.raises(ValueError, match="frozen"):
        space.n_dims = 4


def test_hostile_documents_are_refused_in_time_that_grows_with_their_size():
    keys = ",".join(f'"k{number}":1' for number in range(200_000))

    started = time.perf_counter()
    with pytest.raises(BundleError, match="RZ-V104"):
        parse_json(f'{{{keys},"k199999":1}}'.encode())

    assert time.perf_counter() - started < 10  # the slow way takes minutes
