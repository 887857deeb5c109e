"""`rosetta audit`, as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from rosetta.schemas.audit import AuditReport

from tests.conftest import Lab


def test_a_table_a_verdict_and_reasons_are_shown(run, lab: Lab):
    result = run("audit", lab.observed, "--data", lab.train, "--held-out", lab.held_out, "--model", lab.run)

    assert result.code == 0
    lines = result.out.splitlines()
    assert " ".join(lines[0].split()) == "origin points copies near DCR median DCR rare members demixed verdict"
    assert lines[2].split()[:4] == ["observed", "64", "64", "0"]
    assert lines[2].endswith("holds items")
    assert "observed: HOLDS ITEMS\n  - observed points are items of the data\n" in result.out
    assert "attacks: can somebody tell items of the data from 180 held-out items?" in result.out
    rows = [line for line in result.out.splitlines() if line.startswith("nearest ")]
    assert [" ".join(row.split()[:3]) for row in rows] == ["nearest latent observed", "nearest point observed"]
    assert "each item has 64 numbers: 11.3 items a number" in result.out


def test_json_is_the_record_and_what_was_not_tested_is_a_note(run, lab: Lab):
    result = run("audit", lab.decoded, "--data", lab.train, "--json")

    report = AuditReport.model_validate_json(result.out)
    assert report.audit.origins[0].origin == "decoded"
    assert (
        "note: no attack on membership was tried: pass items of the same kind that were neither trained" in result.err
    )


def test_a_broken_policy_is_exit_code_one_and_names_the_clause(run, lab: Lab, tmp_path: Path):
    (tmp_path / "policy.toml").write_text('origins = ["decoded"]\n')

    broken = run("audit", lab.observed, "--data", lab.train, "--policy", tmp_path / "policy.toml")
    kept = run("audit", lab.decoded, "--data", lab.train, "--policy", tmp_path / "policy.toml")

    assert (broken.code, kept.code) == (1, 0)
    assert "policy: BROKEN\n  - " in broken.out
    assert "observed" in broken.out.partition("BROKEN")[2]
    assert kept.out.endswith("policy: kept\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--page", "audit.txt"], "must end in .html"),
        (["--report", "tre.html"], "must end in .json"),
        (["--groups", "donor"], "--groups donor: expected a column of the data or a source of labels"),
        (["--earlier", "nothing.h5"], "nothing.h5"),
        (["--data", "nothing.npy"], "there is no file nothing.npy"),
        (["--policy", "nothing.toml"], "nothing.toml"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(run, lab: Lab, arguments: list[str], says: str):
    result = run("audit", lab.decoded, "--data", lab.train, *arguments)

    assert (result.code, result.out) == (2, "")
    assert says in result.err
    assert "Traceback" not in result.err
