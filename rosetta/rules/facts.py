"""What the report states about itself."""

from __future__ import annotations

from collections.abc import Iterator

from rosetta.rules.engine import Candidate, Problem, rule
from rosetta.schemas.manifest import FORMAT_VERSION


@rule("RZ-I301", section="8", fix="None needed.", requires={"RZ-V101"})
def schema_is_named(file: Candidate) -> Iterator[Problem]:
    """Which version of the schema the file was held against."""
    yield Problem("/", f"checked against the schema of format version {FORMAT_VERSION}")


@rule("RZ-I302", section="7", fix="Where protections are missing, open files from strangers in a virtual machine.")
def isolation_is_named(file: Candidate) -> Iterator[Problem]:
    """Which protections were in force while the file was walked, and which this system lacks."""
    if file.raw.isolation is None:  # a draft
        return
    landlock, limits = file.raw.isolation["landlock"], file.raw.isolation["limits"]
    held = ["HDF5 plug-ins off"]
    held += [f"no access to the system (Landlock {landlock})"] if landlock else []
    held += [f"limits on {limits}"] if limits else []
    missing = [name for name, there in (("Landlock", landlock), ("resource limits", limits)) if not there]
    lacking = f"; this system lacks {' and '.join(missing)}" if missing else ""
    yield Problem("/", f"libhdf5 walked the file in a process of its own: {', '.join(held)}{lacking}")


@rule("RZ-I303", section="5.3", fix="None needed.", requires={"RZ-V106"})
def tools_are_named(file: Candidate) -> Iterator[Problem]:
    """Which software wrote the bundle."""
    software = file.manifest.provenance.software
    yield Problem("/manifest#/provenance/software", ", ".join(f"{k} {v}" for k, v in sorted(software.items())))
