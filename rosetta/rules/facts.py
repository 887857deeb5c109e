"""What the report states about itself."""

from __future__ import annotations

from collections.abc import Iterator

from rosetta.rules.engine import Candidate, Problem, rule
from rosetta.schemas.manifest import FORMAT_VERSION


@rule("RZ-I301", section="8", fix="None needed.", requires={"RZ-V101"})
def schema_is_named(file: Candidate) -> Iterator[Problem]:
    """Which version of the schema the file was held against."""
    yield Problem("/", f"checked against the schema of format version {FORMAT_VERSION}")


@rule(
    "RZ-I302",
    section="7",
    fix="To open files from strangers, run the validator inside a sandbox of your own.",
)
def isolation_is_named(file: Candidate) -> Iterator[Problem]:
    """Which protections were not in force while the file was read."""
    yield Problem(
        "/",
        "libhdf5 walked the file inside this process, not in a sandboxed child; signatures are not checked",
    )


@rule("RZ-I303", section="5.3", fix="None needed.", requires={"RZ-V106"})
def tools_are_named(file: Candidate) -> Iterator[Problem]:
    """Which software wrote the bundle."""
    software = file.manifest.provenance.software
    yield Problem("/manifest#/provenance/software", ", ".join(f"{k} {v}" for k, v in sorted(software.items())))
