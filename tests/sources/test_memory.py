"""The memory that may be used is the machine's, or what the groups that a process is in leave of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rosetta.sources import memory


def _group(path: Path, name: str, text: str) -> None:
    path.mkdir(parents=True, exist_ok=True)
    (path / name).write_text(text + "\n")


@pytest.mark.parametrize(
    ("membership", "limits"),
    [
        ("0::/batch/job\n", [2 << 30, 3 << 30]),
        ("4:memory:/step\n1:cpu:/step\n", [5 << 30]),
        ("0::/elsewhere\n", []),
        ("", []),
    ],
)
def test_limits_of_a_group_and_of_those_that_hold_it_count(tmp_path: Path, membership: str, limits: list[int]):
    _group(tmp_path, "memory.max", "max")
    _group(tmp_path / "batch", "memory.max", str(3 << 30))
    _group(tmp_path / "batch" / "job", "memory.max", str(2 << 30))
    _group(tmp_path / "memory" / "step", "memory.limit_in_bytes", str(5 << 30))

    assert sorted(memory._limits(tmp_path, membership)) == limits


def test_usable_memory_is_at_most_that_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _group(tmp_path, "memory.max", str(1 << 20))
    (tmp_path / "membership").write_text("0::/\n")
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    assert 0 < memory.usable_memory() <= physical
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "membership")
    assert memory.usable_memory() == 1 << 20
