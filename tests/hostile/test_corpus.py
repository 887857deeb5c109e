"""Every hostile file ends in its named rule, soon, within bounds, and does nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rosetta.schemas.validation import ValidationReport

from rosetta.bundle import Bundle
from rosetta.errors import BundleError, RosettaError
from rosetta.validation.opening import open_valid
from rosetta.verbs.validate import validate
from tests.hostile.corpus import CASES

LONGEST_S = 5.0
MOST_KIB = 2**20


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_ends_in_its_rule(name: str, tmp_path: Path, table: list[tuple[str, str, float]]):
    case, path = CASES[name], tmp_path / "bundle.h5"
    case.make(path)
    before = _trace(path)

    started = time.perf_counter()
    report = validate(path)
    elapsed = time.perf_counter() - started

    found = [finding for finding in report.findings if finding.severity in ("fatal", "error")]
    table.append((name, found[0].rule, elapsed))
    assert [finding.rule for finding in found][:1] == [rule for rule in case.rules if rule == found[0].rule]
    assert case.location in (None, found[0].location)
    assert elapsed < LONGEST_S
    assert (report.valid, report.exit_code) == (False, _exit_code(report))
    assert _trace(path) == before


def _trace(path: Path) -> tuple[int, int, list[Path]]:
    """What looking at a file must not change: the file, and what stands beside it."""
    return path.stat().st_size, path.stat().st_mtime_ns, sorted(path.parent.iterdir())


def _exit_code(report: ValidationReport) -> int:
    rule = next(finding.rule for finding in report.findings if finding.severity in ("fatal", "error"))
    return {"RZ-S007": 2, "RZ-S040": 5}.get(rule, 4 if rule.startswith("RZ-S") else 1)


@pytest.mark.parametrize("name", [name for name in CASES if name != "tree that is its own neighbour"])
def test_a_hostile_file_cannot_be_opened(name: str, tmp_path: Path):
    path = tmp_path / "bundle.h5"
    CASES[name].make(path)

    with pytest.raises(RosettaError):
        open_valid(path)
    if CASES[name].rules[0] != "RZ-V129":  # the bundle itself is whole
        with pytest.raises(RosettaError) as caught:
            Bundle.open(path)
        if isinstance(caught.value, BundleError):
            assert caught.value.rule in CASES[name].rules


def test_all_hostile_files_together_stay_within_a_gibibyte(tmp_path: Path):
    for number, case in enumerate(CASES.values()):
        case.make(tmp_path / f"{number}.h5")
    code = (
        "import json, resource, sys; from rosetta.bundle.sandbox import parent as sandbox; "
        "from rosetta.verbs.validate import validate_many; "
        "summary = validate_many(sys.argv[1:]); sandbox._end(); "
        "usage = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]; "
        "print(json.dumps([summary.exit_code, *usage]))"
    )
    paths = [str(tmp_path / f"{number}.h5") for number in range(len(CASES))]

    result = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)

    exit_code, own, children = json.loads(result.stdout)
    assert exit_code == 5
    assert own < MOST_KIB
    assert children < MOST_KIB
