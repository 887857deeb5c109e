"""From one version of the format to the next: a pure function for each step, and nothing lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rosetta.arrays import Array
from rosetta.bundle.digest import content_digest

Version = tuple[int, int]


class Contents(NamedTuple):
    """What a bundle holds: the manifest as a JSON object, and the arrays by path."""

    document: dict[str, Any]
    arrays: Mapping[str, Array]


class Step(NamedTuple):
    """A version's successor, and what becomes of contents on the way to it."""

    to: Version
    change: Callable[[Contents], Contents]


STEPS: dict[Version, Step] = {}  # from each version that has a successor; 1.0 is the first, and has none yet


def migrate(contents: Contents, version: Version) -> tuple[Contents, Version]:
    """Return the contents in the newest version that steps lead to from `version`, and that version.

    Content that changes gets a new content id, and its old one becomes a parent, ``revised_from``. The contents
    that are passed in stay as they are.
    """
    old_id = contents.document["content_id"]
    while version in STEPS:
        version, change = STEPS[version]
        document, arrays = change(contents)
        contents = Contents({**document, "format_version": f"{version[0]}.{version[1]}"}, arrays)
    new_id = content_digest(contents.document["content"])
    if new_id == old_id:
        return contents, version
    provenance = contents.document["provenance"]
    parents = [*provenance.get("parents", []), {"content_id": old_id, "relation": "revised_from"}]
    document = {**contents.document, "content_id": new_id, "provenance": {**provenance, "parents": parents}}
    return Contents(document, contents.arrays), version
