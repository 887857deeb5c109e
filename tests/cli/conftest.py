"""The command line, run as its entry point runs it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from rosetta.cli.app import main


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Run a command line in this process, as the entry point would."""

    def invoke(*arguments: object) -> Result:
        monkeypatch.setattr("sys.argv", ["rosetta", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capfd.readouterr()
        return Result(int(stop.value.code or 0), captured.out, captured.err)

    return invoke
