"""`rosetta validate`, `rules` and `explain` as a user types them."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import junitparser
import pytest

from rosetta.rules import catalogue
from tests import builders

SARIF = Path(__file__).parents[1] / "data" / "sarif-2.1.0.schema.json"
Files = dict[str, Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A valid bundle, one with a warning, one with an error, one of another version and a file of another kind."""
    folder = tmp_path_factory.mktemp("files")
    values = builders.arrays()
    text = builders.text_of(builders.manifest(values))
    (folder / "picture é.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return {
        "valid": builders.write(folder / "valid.h5"),
        "warning": builders.write(folder / "warning.h5", citation=None),
        "error": builders.write(folder / "error.h5", license="free for all"),
        "version": builders.write_raw(folder / "version.h5", values, text, version="2.0"),
        "unsafe": folder / "picture é.png",
        "missing": folder / "missing.h5",
    }


CODES = {"valid": 0, "warning": 0, "error": 1, "missing": 2, "version": 3, "unsafe": 4}


@pytest.mark.parametrize("format", ["text", "json", "sarif", "junit"])
@pytest.mark.parametrize(("name", "code"), CODES.items(), ids=CODES)
def test_every_format_ends_with_the_same_exit_code(run: Any, files: Files, name: str, code: int, format: str):
    result = run("validate", files[name], "--format", format)

    assert result.code == code
    assert result.out
    assert result.err == ""


def test_the_highest_exit_code_of_several_files_counts(run: Any, files: Files):
    result = run("validate", *files.values(), "--json")

    assert (result.code, result.json["exit_code"], result.json["valid"]) == (4, 4, False)
    assert [report["exit_code"] for report in result.json["reports"]] == [CODES[name] for name in files]
    assert [report["bundle"] for report in result.json["reports"]] == [str(path) for path in files.values()]


def test_several_files_end_with_a_count(run: Any, files: Files):
    result = run("validate", files["valid"], files["warning"], files["error"])

    assert result.out.splitlines()[-1] == "2 of 3 files are valid"


def test_one_file_is_reported_alone(run: Any, files: Files):
    assert run("validate", files["valid"], "--json").json["bundle"] == str(files["valid"])


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\0", "\n\n"])
def test_paths_come_from_stdin(run: Any, files: Files, separator: str, monkeypatch: pytest.MonkeyPatch):
    names = [str(files[name]) for name in ("valid", "unsafe")]
    stdin = io.TextIOWrapper(io.BytesIO((separator.join(names) + separator).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)

    result = run("validate", files["error"], "-", "--json")

    assert [report["bundle"] for report in result.json["reports"]] == [str(files["error"]), *names]


def test_a_list_of_one_is_still_a_list(run: Any, files: Files, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(str(files["valid"]).encode())))

    assert len(run("validate", "-", "--json").json["reports"]) == 1


def test_nothing_on_stdin_is_an_error(run: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))

    result = run("validate", "-")

    assert (result.code, result.err) == (2, "error: there are no paths on stdin\n")


def test_strict_makes_a_warning_an_error(run: Any, files: Files):
    result = run("validate", files["warning"], "--strict", "--json")

    assert (result.code, result.json["valid"], result.json["strict"]) == (1, False, True)
    assert run("validate", files["valid"], "--strict", "--ignore", "RZ-W201").code == 0


def _rules(result: Any) -> set[str]:
    return {finding["rule"] for finding in result.json["findings"]}


def test_ignored_rules_are_not_reported_and_do_not_count(run: Any, files: Files):
    result = run("validate", files["error"], "--ignore", "RZ-V120", "--ignore", "RZ-I", "--json")

    assert (result.code, result.json["exit_code"]) == (0, 0)
    assert not {rule for rule in _rules(result) if rule.startswith(("RZ-V120", "RZ-I"))}
    assert "RZ-V120" in result.json["left_out"]


def test_what_was_not_asked_for_does_not_make_a_bundle_valid(run: Any, files: Files):
    result = run("validate", files["error"], "--select", "rz-w", "--json")

    assert (result.code, result.json["valid"]) == (0, False)
    text = run("validate", files["error"], "--select", "RZ-W").out
    assert "found and not asked for: RZ-I301, RZ-I302, RZ-I303, RZ-V120" in text
    assert text.endswith("NOT VALID (1 warning)\n")


def test_a_list_leaves_out_what_is_the_same_for_every_file(run: Any, files: Files):
    assert "RZ-I30" in run("validate", files["valid"]).out
    assert "RZ-I30" not in run("validate", files["valid"], files["warning"]).out


def test_a_closed_stdin_has_no_paths(run: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", None)

    assert "which is closed" in run("validate", "-").err


def test_only_selected_rules_are_reported(run: Any, files: Files):
    result = run("validate", files["error"], "--select", "RZ-V12", "--json")

    assert (result.code, _rules(result)) == (1, {"RZ-V120"})
    assert _rules(run("validate", files["error"], "--select", "RZ-W", "--ignore", "RZ-W2", "--json")) == set()


@pytest.mark.parametrize("beginning", ["RZ-S", "RZ-S001", "RZ-", "RZ-V", "RZ-V101"])
def test_what_stops_the_reading_cannot_be_silenced(run: Any, files: Files, beginning: str):
    result = run("validate", files["unsafe"], "--ignore", beginning)

    assert result.code == 2
    assert "always reported" in result.err


def test_fatal_findings_are_reported_whatever_is_selected(run: Any, files: Files):
    result = run("validate", files["unsafe"], "--select", "RZ-W", "--json")

    assert (result.code, _rules(result)) == (4, {"RZ-S001"})


@pytest.mark.parametrize("option", ["--select", "--ignore"])
def test_a_beginning_without_rules_is_refused(run: Any, files: Files, option: str):
    result = run("validate", files["valid"], option, "RZ-X")

    assert (result.code, "no rule's id begins with 'RZ-X'" in result.err) == (2, True)


def test_two_formats_are_refused(run: Any, files: Files):
    assert run("validate", files["valid"], "--json", "--format", "sarif").code == 2


def test_sarif_is_as_its_schema_says(run: Any, files: Files):
    log = run("validate", *files.values(), "--format", "sarif").json

    jsonschema.validators.validator_for(json.loads(SARIF.read_text()))(json.loads(SARIF.read_text())).validate(log)
    (only,) = log["runs"]
    rules = [rule["id"] for rule in only["tool"]["driver"]["rules"]]
    assert rules == sorted(rule.id for rule in catalogue())
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in only["results"])
    found = {(r["ruleId"], r["level"], r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
             for r in only["results"]}  # fmt: skip
    assert {("RZ-V120", "error"), ("RZ-W202", "warning"), ("RZ-I301", "note"), ("RZ-S001", "error")} <= {
        (rule, level) for rule, level, _ in found
    }
    assert any(uri.endswith("%20%C3%A9.png") for _, _, uri in found)


def test_junit_is_read_by_others(run: Any, files: Files, tmp_path: Path):
    (tmp_path / "report.xml").write_text(run("validate", *files.values(), "--format", "junit").out, encoding="utf-8")

    suites = junitparser.JUnitXml.fromfile(str(tmp_path / "report.xml"))

    assert len(suites) == len(files)
    by_name = {Path(suite.name).name: suite for suite in suites}
    assert by_name["valid.h5"].failures == by_name["warning.h5"].failures == 0
    assert by_name["error.h5"].failures == by_name["missing.h5"].failures == 1
    assert by_name["missing.h5"].skipped == len(catalogue()) - 1
    assert suites.tests == len(files) * len(catalogue())
    (failed,) = [case for case in by_name["error.h5"] if any(isinstance(r, junitparser.Failure) for r in case.result)]
    assert failed.name.startswith("RZ-V120 ")
    assert "free for all" in failed.result[0].message


def test_junit_counts_warnings_when_they_count(run: Any, files: Files):
    out = run("validate", files["warning"], "--format", "junit", "--strict").out

    assert '<failure type="warning"' in out


HOSTILE = 'x\n</testcase>\x1b[2J\ud83d<&"\u202e\x01\ufffe'


def test_a_strangers_text_breaks_neither_terminal_nor_xml(run: Any, tmp_path: Path):
    value = json.loads(builders.text_of(builders.manifest(builders.arrays())))
    value["provenance"]["license"] = HOSTILE.replace("\ud83d", "")
    path = builders.write_raw(tmp_path / "b.h5", builders.arrays(), builders.text_of(value))

    text, xml = run("validate", path).out, run("validate", path, "--format", "junit").out
    sarif = run("validate", path, "--format", "sarif")

    assert "\x1b" not in text + xml
    assert "\u202e" not in text + xml
    assert len(junitparser.JUnitXml.fromstring(xml.encode())) == 1
    assert any(result["ruleId"] == "RZ-V120" for result in sarif.json["runs"][0]["results"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are no text")
@pytest.mark.parametrize("format", ["text", "json", "sarif", "junit"])
def test_a_name_that_is_no_text_is_reported(run: Any, tmp_path: Path, format: str):
    path = os.fsdecode(os.fsencode(builders.write(tmp_path / "b.h5")).replace(b"b.h5", b"\xff.h5"))
    (tmp_path / "b.h5").rename(path)

    assert run("validate", path, "--format", format).code == 0


def test_all_rules_are_listed(run: Any):
    listed = run("rules", "--json").json["rules"]

    assert sorted(rule["rule"] for rule in listed) == sorted(rule.id for rule in catalogue())
    assert (listed[0]["severity"], listed[-1]["severity"]) == ("fatal", "info")
    assert len(run("rules", "RZ-W").out.splitlines()) == sum(rule.severity == "warning" for rule in catalogue())


@pytest.mark.parametrize("id", ["RZ-V111", "rz-v111", "V111"])
def test_a_rule_is_explained(run: Any, id: str):
    result = run("explain", id)

    assert result.code == 0
    assert "Every array has the digest that the manifest declares." in result.out
    assert "section 6.1" in result.out
    assert run("explain", id, "--json").json["rules"][0]["requires"] == ["RZ-V110"]


@pytest.mark.parametrize("command", [("explain", "RZ-V999"), ("rules", "XY")])
def test_a_rule_that_there_is_not_is_an_error(run: Callable[..., Any], command: tuple[str, str]):
    result = run(*command)

    assert (result.code, result.out) == (2, "")
