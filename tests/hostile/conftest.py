"""The table of hostile files at the end of the tests' output."""

from __future__ import annotations

import pytest

TABLE = pytest.StashKey[list[tuple[str, str, float]]]()


@pytest.fixture
def table(request: pytest.FixtureRequest) -> list[tuple[str, str, float]]:
    """Rows of (file, rule, seconds), printed when all tests are done."""
    return request.config.stash.setdefault(TABLE, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what each hostile file ended in."""
    rows = config.stash.get(TABLE, [])
    if rows:
        terminalreporter.section("hostile files")
        for name, rule, seconds in rows:
            terminalreporter.write_line(f"{rule}  {1000 * seconds:7.1f} ms  {name}")
