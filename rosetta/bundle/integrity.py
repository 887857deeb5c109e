"""Whether file and manifest are the same bundle: each check yields (location, message) for every problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rosetta.bundle import layout
from rosetta.bundle.digest import array_digest, content_digest, dtype_code
from rosetta.bundle.manifest import KNOWN_REQUIREMENTS
from rosetta.bundle.reader import RawBundle
from rosetta.schemas.manifest import Manifest

Problems = Iterator[tuple[str, str]]
Check = Callable[[Manifest, Mapping[str, Any], RawBundle], Problems]


def version_disagrees(manifest: Manifest, value: Mapping[str, Any], raw: RawBundle) -> Problems:
    """The manifest names another version than the root's attribute."""
    attribute = raw.attributes[layout.VERSION_ATTRIBUTE]
    if manifest.format_version != attribute:
        yield (
            "/manifest#/format_version",
            f"says {manifest.format_version}, the root's attribute says {attribute}",
        )


def unknown_requirements(manifest: Manifest, value: Mapping[str, Any], raw: RawBundle) -> Problems:
    """The bundle needs features that this reader does not know."""
    for number, feature in enumerate(manifest.requires):
        if feature not in KNOWN_REQUIREMENTS:
            yield (
                f"/manifest#/requires/{number}",
                f"the bundle needs {feature!r}, which this reader does not know",
            )


def undeclared_arrays(manifest: Manifest, value: Mapping[str, Any], raw: RawBundle) -> Problems:
    """Arrays of the file that the manifest does not declare."""
    for path in sorted(set(raw.arrays) - set(manifest.content.arrays)):
        yield path, "the file holds this array, but the manifest does not declare it"


def missing_arrays(manifest: Manifest, value: Mapping[str, Any], raw: RawBundle) -> Problems:
    """Arrays that the manifest declares, or that every bundle has, and the file lacks."""
    for path in sorted({*manifest.content.arrays, *layout.REQUIRED} - set(raw.arrays)):
        reason = "the manifest declares it" if path in manifest.content.arrays else "every bundle has it"
        yield path, f"the file lacks this array, but {reason}"


def misdescribed_arrays(manifest: Manifest, value: Mapping[str, Any], raw: RawBundle) -> Problems:
    """Arrays of another dtype or shape than declared, or of a dtype that their place does not allow."""
    for path, array, entry in _both(manifest, raw):
        found = dtype_code(array.dtype)
        if found != entry.dtype or array.shape != entry.shape:
            yield path, f"declared {entry.dtype} {entry.shape}, stored {found} {array.shape}"
        if found not in layout.allowed_dtypes(path):
            yield path, f"stored as {found}, but may be {', '.join(sorted(layout.allowed_dtypes(path)))}"


def altered_arrays(manifest: Manifest, value: Mapping[str, Any], raw: RawBundle) -> Problems:
    """Arrays whose values do not have the declared digest."""
    for path, array, entry in _both(manifest, raw):
        if (found := array_digest(array)) != entry.sha256:
            yield (
                path,
                f"its values were altered: their digest is {found[:12]}…, declared {entry.sha256[:12]}…",
            )


def wrong_content_id(manifest: Manifest, value: Mapping[str, Any], raw: RawBundle) -> Problems:
    """A content id that is not the digest of the content."""
    if (found := content_digest(value["content"])) != manifest.content_id:
        yield (
            "/manifest#/content_id",
            f"says {manifest.content_id[:12]}…, but the content's digest is {found[:12]}…",
        )


CHECKS: dict[str, Check] = {
    "RZ-V107": version_disagrees,
    "RZ-V124": unknown_requirements,
    "RZ-V108": undeclared_arrays,
    "RZ-V109": missing_arrays,
    "RZ-V110": misdescribed_arrays,
    "RZ-V111": altered_arrays,
    "RZ-V112": wrong_content_id,
}


def _both(manifest: Manifest, raw: RawBundle) -> Iterator[tuple[str, Any, Any]]:
    for path in sorted(set(raw.arrays) & set(manifest.content.arrays)):
        yield path, raw.arrays[path], manifest.content.arrays[path]
