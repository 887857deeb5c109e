"""`rosetta migrate`, and what the commands say of bundles from the future."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rosetta.bundle.manifest import as_json
from tests import builders


def test_a_bundle_of_the_newest_version_is_written_all_the_same(run: Any, tmp_path: Path):
    bundle = builders.write(tmp_path / "a.h5")

    result = run("migrate", bundle, "-o", tmp_path / "b.h5")

    assert result.code == 0
    assert "1.0, as before: the newest" in result.out
    assert (tmp_path / "b.h5").read_bytes() == bundle.read_bytes()
    assert run("migrate", bundle, "-o", tmp_path / "c.h5", "--json").json["output"] == str(tmp_path / "c.h5")


@pytest.mark.parametrize("name", ["missing.h5", "."])
def test_what_is_no_bundle_is_an_error(run: Any, tmp_path: Path, name: str):
    result = run("migrate", tmp_path / name, "-o", tmp_path / "b.h5")

    assert (result.code, result.out) == (2, "")


def test_an_output_that_is_there_is_kept(run: Any, tmp_path: Path):
    bundle = builders.write(tmp_path / "a.h5")

    assert run("migrate", bundle, "-o", bundle).code == 2


@pytest.mark.filterwarnings("always::rosetta.errors.NewerFormatWarning")
def test_a_newer_bundle_is_a_note_on_stderr(run: Any, tmp_path: Path):
    document = as_json(builders.manifest(builders.arrays())) | {"format_version": "1.1", "motto\n": "x"}
    path = builders.write_raw(tmp_path / "a.h5", builders.arrays(), builders.text_of(document), version="1.1")

    result = run("inspect", path)

    assert result.code == 0
    assert result.err.startswith("note: format version 1.1 is newer than this reader's 1.0; unknown and left out: ")
    assert result.err.count("\n") == 1
