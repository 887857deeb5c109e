"""`rosetta export`, and that no exporter says a word of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rosetta.schemas.program import ExportReport

from tests.conftest import Lab

FORMATS = {"torch-export": "e.pt2", "onnx": "e.onnx", "torchscript": "e.pt"}


@pytest.mark.parametrize("format", FORMATS)
def test_json_is_all_that_is_printed(run: Any, lab: Lab, tmp_path: Path, format: str):
    output = tmp_path / FORMATS[format]

    result = run("export", lab.run, "-o", output, "--format", format, "--json")

    assert (result.code, result.err) == (0, "")
    report = ExportReport.model_validate_json(result.out)
    assert (report.file, report.format, report.part) == (str(output), format, "encoder")
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_a_person_reads_what_the_program_takes_and_gives(run: Any, lab: Lab, tmp_path: Path):
    encoder = run("export", lab.run, "-o", tmp_path / "e.pt2").out
    decoder = run("export", lab.run, "-o", tmp_path / "d.pt2", "--part", "decoder").out

    assert "takes       inputs, float32, shape (n_items, 8, 8)\n" in encoder
    assert "gives       latents, float32, shape (n_items, 4), and latents_sd alike\n" in encoder
    assert "takes       latents, float32, shape (n_items, 4)\n" in decoder
    assert "gives       inputs, float32, shape (n_items, 8, 8)\n" in decoder
    assert "checked     loaded again, it gives the model's numbers" in decoder


def test_a_file_that_is_there_is_kept_without_force(run: Any, lab: Lab, tmp_path: Path):
    output = tmp_path / "e.pt2"
    output.write_bytes(b"old")

    kept = run("export", lab.run, "-o", output)

    assert (kept.code, kept.out, output.read_bytes()) == (2, "", b"old")
    assert "exists already" in kept.err
    assert run("export", lab.run, "-o", output, "--force").code == 0
    assert output.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "onx"], "Did you mean 'onnx'?"),
        (["--format", "onnx"], "must end in .onnx"),
        (["--part", "prior"], "'prior' is not one of"),
    ],
)
def test_wrong_options_are_one_message_and_exit_code_two(
    run: Any, lab: Lab, tmp_path: Path, arguments: list[str], message: str
):
    result = run("export", lab.run, "-o", tmp_path / "e.pt2", *arguments)

    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "Traceback" not in result.err
    assert not [*tmp_path.iterdir()]


def test_the_help_says_that_torch_deprecates_torchscript(run: Any):
    assert "deprecates" in run("export", "--help").out
