"""The library names parameters; only the command line knows that they are options."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
OTHERS = ("tensorboard --logdir", "pip install --no-deps")  # options of other programs
COMMANDS = ("-o RUN --config", "rosetta verify {name} --trusted-key KEY.pub")  # whole command lines, to be copied


def test_no_option_is_named_below_the_command_line():
    found = []
    for path in sorted([*(ROOT / "rosetta").rglob("*.py"), *(ROOT / "schemas").rglob("*.py")]):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for each in (*OTHERS, *COMMANDS):
                line = line.replace(each, "")
            if re.search(r"(?<![\w-])--[a-z{]", line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")

    assert not found
