"""Write the vectors, what the reference validator says of them, and the index."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import rfc8785

from rosetta.bundle import layout
from rosetta.bundle.digest import content_digest, manifest_digest
from rosetta.verbs.validate import validate
from tests.vectors.invalid import INVALID
from tests.vectors.small import Write
from tests.vectors.valid import VALID, WITH_VALUES

FOLDER = Path(__file__).parents[2] / "spec" / "vectors" / "1.0"
KINDS: dict[str, dict[str, Write]] = {"valid": VALID, "invalid": INVALID}


def write_all(folder: Path) -> None:
    """Write every vector anew and the index; what else stands in the folder stays."""
    for kind, writers in KINDS.items():
        shutil.rmtree(folder / kind, ignore_errors=True)
        (folder / kind).mkdir()
        for name, write in writers.items():
            path = folder / kind / f"{name}.h5"
            write(path)
            _write_expected(path)
            if kind == "valid" and name in WITH_VALUES:
                _write_json(path.with_suffix(".arrays.json"), _values(path))
    files = sorted(path for kind in KINDS for path in (folder / kind).iterdir())
    digests = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    vectors = [f"{kind}/{name}.json" for kind, writers in KINDS.items() for name in sorted(writers)]
    _write_json(folder / "index.json", {"format_version": "1.0", "vectors": vectors, "sha256": digests})


def _write_expected(path: Path) -> None:
    """Write what a reader has to find in the file at `path`, and its manifest's bytes, beside it."""
    report = validate(path)
    expected: dict[str, Any] = {"bundle": path.name, "valid": report.valid, "exit_code": report.exit_code}
    safe = all(finding.severity != "fatal" for finding in report.findings)
    manifest = _manifest(path) if safe else None
    if manifest is not None:
        expected["manifest"] = f"{path.stem}.manifest.json"
        expected["bundle_id"] = manifest_digest(manifest)
        (path.parent / expected["manifest"]).write_bytes(manifest)
        if (content_id := _content_id(manifest)) is not None:
            expected["content_id"] = content_id
    expected["findings"] = findings(report)
    _write_json(path.with_suffix(".json"), expected)


def findings(report: Any) -> list[dict[str, str]]:
    """Return what a report says, but for what holds of every file and for the missing signature."""
    kept = {(f.rule, f.severity, f.location) for f in report.findings if f.severity != "info" and f.rule != "RZ-W201"}
    return [dict(zip(("rule", "severity", "location"), each, strict=True)) for each in sorted(kept)]


def _manifest(path: Path) -> bytes | None:
    with h5py.File(path) as file:
        return bytes(file[layout.MANIFEST][()]).rstrip(b"\0") if layout.MANIFEST in file else None


def _content_id(manifest: bytes) -> str | None:
    """The content id by section 6.2, whatever the manifest says; None if its bytes are not canonical JSON."""
    try:
        document = json.loads(manifest)
        return content_digest(document["content"]) if rfc8785.dumps(document) == manifest else None
    except (ValueError, KeyError, TypeError, rfc8785.CanonicalizationError):
        return None


def _values(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        names = json.loads(_manifest(path) or b"")["content"]["arrays"]
        return {name: file[name][()].tolist() for name in names}


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    write_all(FOLDER)
