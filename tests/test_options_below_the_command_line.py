"""The library names parameters; only the command line knows that they are options."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
OTHERS = ("tensorboard --logdir", "pip install --no-deps")  # options of other programs
COMMAND = ("rosetta/sweeps/results.py", "-o RUN --config")  # a command line to copy


def test_no_option_is_named_below_the_command_line():
    found = []
    for path in sorted([*(ROOT / "rosetta").rglob("*.py"), *(ROOT / "schemas").rglob("*.py")]):
        name = str(path.relative_to(ROOT))
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if name == COMMAND[0]:
                line = line.replace(COMMAND[1], "")
            for each in OTHERS:
                line = line.replace(each, "")
            if re.search(r"(?<![\w-])--[a-z{]", line):
                found.append(f"{name}:{number}: {line.strip()}")

    assert not found
