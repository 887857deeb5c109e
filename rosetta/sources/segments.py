"""Lists of segments of a recording, as text: in lines, as AVA and Audacity write them, or as a table."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator


def lines_of(text: str) -> Iterator[tuple[float, float, str]]:
    """Yield onset, offset and label of each line, as AVA and Audacity write them."""
    for number, line in enumerate(text.splitlines(), start=1):
        parts = re.sub(r"(^|\s)#.*", "", line).split(maxsplit=2)
        if not parts or parts[0] == "\\":  # Audacity's second line, of frequencies
            continue
        if len(parts) < 2:
            raise ValueError(f"line {number} is {line.strip()!r}, expected onset and offset in seconds, and a label")
        yield _seconds(parts[0], number), _seconds(parts[1], number), parts[2].strip() if len(parts) > 2 else ""


def rows_of(text: str) -> Iterator[tuple[float, float, str]]:
    """Yield onset, offset and label of each row of a table, as crowsetta writes them."""
    table = csv.DictReader(io.StringIO(text, newline=""))
    columns = table.fieldnames or []
    if not {"onset_s", "offset_s"} <= set(columns):
        raise ValueError(f"its columns are {', '.join(columns) or 'none'}, expected onset_s, offset_s and maybe label")
    for row in table:
        onset_s, offset_s = (_seconds(row[name] or "", table.line_num) for name in ("onset_s", "offset_s"))
        yield onset_s, offset_s, row.get("label") or ""


def _seconds(text: str, number: int) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"line {number} has {text!r}, expected seconds") from error
