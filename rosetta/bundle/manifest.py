"""From the manifest's bytes to a record, one refusal at a time (spec §5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import rfc8785
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rosetta.bundle import layout
from rosetta.errors import BundleError
from rosetta.schemas.manifest import FORMAT, Content, Manifest

MAX_DEPTH = 32
KNOWN_REQUIREMENTS: frozenset[str] = frozenset()


def check_version(attributes: Mapping[str, str]) -> tuple[int, int]:
    """Return the format version that the root attributes declare, as (major, minor).

    Raises
    ------
    BundleError
        RZ-V101 if it is not a version of this format, or of a major version that this reader does not know.
    """
    name, version = attributes.get(layout.FORMAT_ATTRIBUTE), attributes.get(layout.VERSION_ATTRIBUTE, "")
    numbers = layout.parse_version(version)
    if name != FORMAT or numbers is None:
        raise BundleError(
            "RZ-V101", "/", f"attributes say format {name!r}, version {version!r}; expected {FORMAT!r}, '1.0'"
        )
    if numbers[0] != layout.MAJOR:
        raise BundleError("RZ-V101", "/", f"format version {version}; this reader knows {layout.MAJOR}.x only")
    return numbers


def parse_json(data: bytes) -> dict[str, Any]:
    """Return the manifest's JSON object.

    Raises
    ------
    BundleError
        As `parse_object`; RZ-V105 if the bytes are not their own RFC 8785 canonical form.
    """
    value, canonical = _read(data)
    if canonical != data:
        at = next(
            (i for i, (a, b) in enumerate(zip(canonical, data, strict=False)) if a != b),
            min(len(canonical), len(data)),
        )
        raise _problem("RZ-V105", f"its bytes are not RFC 8785 canonical JSON, from byte {at} on")
    return value


def parse_object(data: bytes) -> dict[str, Any]:
    """Return a stranger's JSON object, in whatever form it is written, if it has a canonical one.

    Raises
    ------
    BundleError
        RZ-V103 if the bytes are not UTF-8 or not a JSON object, or nested too deep; RZ-V104 for a
        duplicate key, null, NaN or infinity, an integer beyond 2^53 − 1, a lone surrogate or U+0000.
    """
    return _read(data)[0]


def newer(minor: int, unknown: list[str]) -> str:
    """Return what a reader of an older minor version has to say."""
    left_out = f"; unknown and left out: {', '.join(unknown)}" if unknown else ""
    return f"format version {layout.MAJOR}.{minor} is newer than this reader's {layout.MAJOR}.{layout.MINOR}{left_out}"


class Reading(NamedTuple):
    """A manifest held against the schema: every problem as (JSON pointer, message), and the record if there is none."""

    problems: list[tuple[str, str]]
    manifest: Manifest | None
    unknown: list[str]  # JSON pointers of keys that a newer minor version may have added; they are left out


def validate_schema(data: bytes, *, minor: int = layout.MINOR) -> Reading:
    """Hold JSON that `parse_json` has accepted against the schema of format version 1.`minor`.

    Of a minor version that is newer than this reader, keys that it does not know are no problem.
    """
    try:
        return Reading([], Manifest.model_validate_json(data), [])
    except ValidationError as error:
        errors = without_echoes(error.errors(include_url=False))
    found = [(_pointer(e["loc"]), _message(e["msg"], e["input"])) for e in errors]
    if minor <= layout.MINOR or not all(map(_may_be_new, errors)):
        return Reading(found, None, [])
    value = json.loads(data)
    for each in errors:
        _remove(value, each["loc"])
    known = validate_schema(json.dumps(value).encode())
    return known._replace(unknown=[pointer for pointer, _ in found])


def _may_be_new(error: ErrorDetails) -> bool:
    """Whether a problem is a key that a newer minor version may have added: none stands before ``content``."""
    place = error["loc"]
    return error["type"] == "extra_forbidden" and (len(place) > 1 or str(place[0]) > "content")


def without_echoes(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out that an array is too short where that only means that its entries have problems of their own."""
    places = [each["loc"] for each in errors]
    return [
        each
        for each in errors
        if each["type"] != "too_short"
        or not any(len(p) > len(each["loc"]) and p[: len(each["loc"])] == each["loc"] for p in places)
    ]


def _remove(value: Any, place: tuple[int | str, ...]) -> None:
    for part in place[:-1]:
        value = value[part]
    del value[place[-1]]


def _pointer(place: tuple[int | str, ...]) -> str:
    parts = place[:-1] if place and place[-1] == "[key]" else place  # it is the key itself that is wrong
    return f"{layout.MANIFEST}#" + "".join(f"/{escape(part)}" for part in parts)


def as_json(record: Manifest | Content) -> dict[str, Any]:
    """Return a record as the JSON object that stands in the file: absent values are left out."""
    return record.model_dump(mode="json", exclude_none=True)


def canonical(manifest: Manifest) -> bytes:
    """Return the manifest as RFC 8785 canonical JSON, the bytes of `/manifest`."""
    return rfc8785.dumps(as_json(manifest))


def _read(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the JSON object and its canonical form, or raise BundleError."""
    try:
        text = data.decode("utf-8")
        _check_depth(text)
        value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_int=_small)
    except UnicodeDecodeError as error:
        raise _problem("RZ-V103", f"it is not UTF-8: {error.reason} at byte {error.start}") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise _problem("RZ-V103", f"it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise _problem("RZ-V103", f"it is a JSON {type(value).__name__}, not an object")
    if (found := _find_unsayable(value)) is not None:
        raise BundleError("RZ-V104", f"{layout.MANIFEST}#{found[0]}", found[1])
    try:
        return value, rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise _problem("RZ-V104", f"it has no canonical form: {error}") from error


def _message(problem: str, found: object) -> str:
    shown = json.dumps(found, default=str)
    return f"{problem}; found {shown if len(shown) <= 80 else shown[:77] + '…'}"


def escape(part: int | str) -> str:
    """Return a key or index as a part of a JSON pointer (RFC 6901)."""
    return str(part).replace("~", "~0").replace("/", "~1")


def _check_depth(text: str) -> None:
    """Bound the nesting before the parser recurses; brackets inside strings do not count."""
    depth = deepest = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "{[":
            depth += 1
            deepest = max(depth, deepest)
        elif character in "}]":
            depth -= 1
    if deepest > MAX_DEPTH:
        raise _problem("RZ-V103", f"it is nested {deepest} deep; {MAX_DEPTH} is the most")


def _find_unsayable(value: Any, pointer: str = "") -> tuple[str, str] | None:
    """Return where the first null or U+0000 is, and what is wrong with it.

    Without null there is one way only to say that a thing is absent; at U+0000, some languages end a text.
    """
    if value is None:
        return pointer, "it is null; what is absent is left out"
    if isinstance(value, str) and "\0" in value:
        return pointer, "it holds the character U+0000, at which some languages end a text"
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        place = f"{pointer}/{escape(key)}"
        if found := _find_unsayable(key, place) or _find_unsayable(child, place):
            return found
    return None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, each in pairs:
        if key in value:
            raise _problem("RZ-V104", f"the key {key[:80]!r} stands twice in one object")
        value[key] = each
    return value


def _no_constant(name: str) -> Any:
    raise _problem("RZ-V104", f"it holds {name}, which is no JSON number")


def _small(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) >= 2**53:
        raise _problem("RZ-V104", f"it holds an integer beyond 2^53 − 1, {digits[:24]}")
    return int(digits)


def _problem(rule: str, message: str) -> BundleError:
    return BundleError(rule, layout.MANIFEST, message)
