"""Whether the manifest can be understood, and is the one of this file."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from rosetta.bundle import integrity, layout
from rosetta.bundle.manifest import check_version, escape, newer
from rosetta.errors import BundleError
from rosetta.rules.engine import Candidate, Problem, rule

LONGEST_LICENCE = 1000  # what parses an expression nests as deep as it does
_REWRITE = "Write the bundle again with its writer; a manifest is not edited by hand."
_UPGRADE = "Use a newer version of the reader."


@rule("RZ-V101", section="8", fix=_UPGRADE)
def version_is_known(file: Candidate) -> Iterator[Problem]:
    """The root's attributes name this format and a major version that the reader knows."""
    try:
        check_version(file.raw.attributes)
    except BundleError as error:
        yield Problem(error.location, error.message)


@rule("RZ-V102", section="5", fix=_REWRITE, requires={"RZ-V101"})
def manifest_is_there(file: Candidate) -> Iterator[Problem]:
    """The file has a manifest."""
    if file.raw.manifest is None:
        yield Problem(layout.MANIFEST, "the file has no manifest")


def _parse_problem(file: Candidate, id: str) -> Iterator[Problem]:
    try:
        file.value  # noqa: B018  parsing is the point
    except BundleError as error:
        if error.rule == id:
            yield Problem(error.location, error.message)


@rule("RZ-V103", section="5.1", fix=_REWRITE, requires={"RZ-V102"})
def manifest_is_json(file: Candidate) -> Iterator[Problem]:
    """The manifest is UTF-8 JSON: one object, not nested too deep."""
    yield from _parse_problem(file, "RZ-V103")


@rule("RZ-V104", section="5.1", fix=_REWRITE, requires={"RZ-V103"})
def manifest_is_unambiguous(file: Candidate) -> Iterator[Problem]:
    """The manifest has no duplicate key, null, NaN or infinity, integer beyond 2^53 − 1, lone surrogate or U+0000."""
    yield from _parse_problem(file, "RZ-V104")


@rule("RZ-V105", section="5.1", fix=_REWRITE, requires={"RZ-V104"})
def manifest_is_canonical(file: Candidate) -> Iterator[Problem]:
    """The manifest's bytes are its own RFC 8785 canonical form."""
    yield from _parse_problem(file, "RZ-V105")


@rule("RZ-V106", section="5.2", fix=_REWRITE, requires={"RZ-V105"})
def manifest_fits_its_schema(file: Candidate) -> Iterator[Problem]:
    """Every key, type and bound of the manifest is as in the schema of its version; unknown keys are errors."""
    for location, message in file.reading.problems:
        yield Problem(location, message)


def _integrity(file: Candidate, id: str) -> Iterator[Problem]:
    for problem in integrity.CHECKS[id](file.manifest, file.value, file.raw):
        yield Problem(*problem)


@rule("RZ-V107", section="8", fix=_REWRITE, requires={"RZ-V106"})
def versions_agree(file: Candidate) -> Iterator[Problem]:
    """The root's attribute and the manifest name the same format version."""
    yield from _integrity(file, "RZ-V107")


@rule("RZ-V124", section="8", fix=_UPGRADE, requires={"RZ-V106"})
def requirements_are_known(file: Candidate) -> Iterator[Problem]:
    """The reader knows every feature that the bundle requires."""
    yield from _integrity(file, "RZ-V124")


@rule("RZ-V108", section="4", fix=_REWRITE, requires={"RZ-V106"})
def arrays_are_declared(file: Candidate) -> Iterator[Problem]:
    """Every array of the file is declared in the manifest."""
    yield from _integrity(file, "RZ-V108")


@rule("RZ-V109", section="4", fix=_REWRITE, requires={"RZ-V106"})
def arrays_are_there(file: Candidate) -> Iterator[Problem]:
    """Every array that the manifest declares, and every one that a bundle must have, is in the file."""
    yield from _integrity(file, "RZ-V109")


@rule("RZ-V110", section="4", fix=_REWRITE, requires={"RZ-V106"})
def arrays_are_as_described(file: Candidate) -> Iterator[Problem]:
    """Every array has the dtype and shape that the manifest declares, and a dtype that its place allows."""
    yield from _integrity(file, "RZ-V110")


@rule("RZ-V111", section="6.1", fix="Do not use the bundle: its numbers were changed. Ask the sender for it again.",
      requires={"RZ-V110"})  # fmt: skip
def arrays_are_unaltered(file: Candidate) -> Iterator[Problem]:
    """Every array has the digest that the manifest declares."""
    yield from _integrity(file, "RZ-V111")


@rule("RZ-V112", section="6.2", fix="Do not use the bundle: its manifest was changed. Ask the sender for it again.",
      requires={"RZ-V106"})  # fmt: skip
def content_id_is_right(file: Candidate) -> Iterator[Problem]:
    """The content id is the digest of the manifest's content."""
    yield from _integrity(file, "RZ-V112")


@rule("RZ-V120", section="5.3", fix="Distil again with `license` and an SPDX expression such as CC-BY-4.0.",
      requires={"RZ-V106"})  # fmt: skip
def licence_is_spdx(file: Candidate) -> Iterator[Problem]:
    """The licence is an SPDX licence expression."""
    licence = file.manifest.provenance.license
    where = "/manifest#/provenance/license"
    if len(licence) > LONGEST_LICENCE:
        yield Problem(where, f"{len(licence)} characters are too many for an SPDX licence expression")
        return
    is_plain = licence.isascii() and not any(c < " " and c not in "\t\n\v\f\r" for c in licence)
    try:
        canonicalize_license_expression(licence)
    except InvalidLicenseExpression:
        is_plain = False
    if not is_plain:
        yield Problem(where, f"{licence!r} is not an SPDX licence expression")


@rule("RZ-V121", section="5.3", fix=_REWRITE, requires={"RZ-V106"})
def parents_make_sense(file: Candidate) -> Iterator[Problem]:
    """No parent is the bundle itself or stands twice, and only later generations have an anchoring parent."""
    where = "/manifest#/provenance/parents"
    parents = file.manifest.provenance.parents
    seen: set[str] = set()
    for number, parent in enumerate(parents):
        if parent.content_id == file.manifest.content_id:
            yield Problem(f"{where}/{number}", "the bundle names itself as its parent")
        if parent.content_id in seen:
            yield Problem(f"{where}/{number}", f"the parent {parent.content_id[:12]}… stands twice")
        seen.add(parent.content_id)
    if any(p.relation == "anchored_to" for p in parents) != (file.manifest.provenance.generation > 0):
        yield Problem(
            "/manifest#/provenance/generation",
            f"generation {file.manifest.provenance.generation} with {len(parents)} parents: "
            "a bundle of generation 1 or more is anchored to a parent, one of generation 0 is not",
        )


@rule("RZ-W211", section="8", fix=_UPGRADE, requires={"RZ-V106"})
def minor_version_is_known(file: Candidate) -> Iterator[Problem]:
    """The format's minor version is not newer than the reader; of a newer one, unknown keys are left out."""
    _, minor = check_version(file.raw.attributes)
    if minor > layout.MINOR:
        yield Problem("/", newer(minor, file.reading.unknown))


@rule("RZ-W212", section="8", fix="None needed: extensions may be ignored.", requires={"RZ-V106"})
def extensions_are_known(file: Candidate) -> Iterator[Problem]:
    """The reader knows every extension in the manifest."""
    for name in file.manifest.extensions:
        yield Problem(
            f"/manifest#/extensions/{escape(name)}", f"the extension {name!r} is unknown to this reader and ignored"
        )
