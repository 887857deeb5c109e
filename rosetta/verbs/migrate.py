"""Bring a bundle to the newest version of the format."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import rfc8785

from rosetta.bundle import layout
from rosetta.bundle.digest import manifest_digest
from rosetta.bundle.manifest import check_version, parse_json
from rosetta.bundle.migrate import Contents
from rosetta.bundle.migrate import migrate as apply_steps
from rosetta.bundle.writer import write_document
from rosetta.errors import IncompatibleError
from rosetta.files import check_output, shown
from rosetta.schemas.reports import MigrateReport
from rosetta.validation.opening import open_valid


def migrate(bundle: str | PathLike[str], output: str | PathLike[str], *, force: bool = False) -> MigrateReport:
    """Write the bundle in the newest version of the format; one that has it already keeps its manifest, byte for byte.

    Parameters
    ----------
    bundle : path
        A valid bundle of any version that this reader knows.
    output : path
        Where the new bundle goes. A signature holds for it only if the manifest stayed the same.
    force : bool
        Replace an output that is there.

    Raises
    ------
    IncompatibleError
        If the bundle is not valid, or newer than this reader.
    BundleError
        If what a step makes of it is not a bundle.
    OutputError
        If the output cannot be written.
    """
    path, target = Path(bundle), Path(output)
    check_output(target, force=force, suffix=".h5")
    opened = open_valid(path)
    document = parse_json(opened.manifest_bytes)
    version = check_version(document)
    if version > (layout.MAJOR, layout.MINOR):
        raise IncompatibleError(
            f"{path} has format version {document['format_version']}, newer than this reader's "
            f"{layout.MAJOR}.{layout.MINOR}: use a newer version of Rosetta"
        )
    contents, newest = apply_steps(Contents(document, opened.arrays), version)
    text = rfc8785.dumps(contents.document)
    write_document(target, text, contents.document["format_version"], contents.arrays, force=force)
    return MigrateReport(
        bundle=shown(path),
        output=shown(target),
        from_version=document["format_version"],
        to_version=f"{newest[0]}.{newest[1]}",
        content_id=contents.document["content_id"],
        bundle_id=manifest_digest(text),
    )
