"""Plug-ins register once, are found by name, and come from other distributions by entry point."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rosetta.errors import UsageError
from rosetta.selection import selectors


def test_a_name_is_taken_once():
    add = selectors.register("kmeans")

    with pytest.raises(ValueError, match="a selector called 'kmeans' already"):
        add(selectors.get("kmeans"))


@pytest.mark.parametrize(("name", "near"), [("kmaens", "kmeans"), ("mini", "minibatch-kmeans")])
def test_an_unknown_name_has_the_nearest_or_one_that_begins_so_as_a_suggestion(name: str, near: str):
    with pytest.raises(UsageError, match=f"no selector called '{name}'. Did you mean '{near}'"):
        selectors.get(name)


def test_an_empty_name_has_no_suggestion():
    with pytest.raises(UsageError, match="no selector called ''. Known"):
        selectors.get("")


def test_another_distribution_adds_a_plug_in_by_entry_point(tmp_path: Path):
    (tmp_path / "first.py").write_text("def first(latents, n_pairs, rng):\n    return list(range(n_pairs))\n")
    metadata = tmp_path / "other-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[rosetta.selection]\nfirst = first:first\n")
    code = "from rosetta.selection import selectors; print(selectors.get('first')(None, 3, None), sorted(selectors))"

    result = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )

    known = [
        "agglomerative",
        "farthest",
        "first",
        "gmm",
        "herding",
        "k-medoids",
        "kmeans",
        "minibatch-kmeans",
        "random",
    ]
    assert result.stdout.strip() == f"[0, 1, 2] {known}"
