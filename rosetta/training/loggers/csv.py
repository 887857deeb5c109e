"""metrics.csv: one row for each epoch, on disk as soon as the epoch ends."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

from rosetta.errors import OutputError, SourceError
from rosetta.files import atomic_file, read_small

Figures = Mapping[str, float | int | None]

LARGEST = 1 << 28  # bytes; a row has about 200
WHOLE = re.compile(r"-?\d{1,18}")


def read_metrics(path: Path) -> list[dict[str, float | int | None]]:
    """Read the rows of a metrics.csv.

    Returns
    -------
    list of dict
        One for each epoch, in order: column → number, None where the field is empty. A last row that a crash
        cut off is left out.

    Raises
    ------
    SourceError
        If there is no such file, or it is not a table of numbers with a column ``epoch``.
    """
    try:
        text = read_small(path, limit=LARGEST, what="a metrics.csv").decode()
    except FileNotFoundError as error:
        raise SourceError(f"there is no file {path}: check the path, or the folder that you are in") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not text in UTF-8, but a metrics.csv is: take the one of another run") from error
    lines = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
    if not lines:
        return []
    columns, *rows = lines
    if "epoch" not in columns or len(set(columns)) < len(columns):
        raise SourceError(f"{path} has the columns {', '.join(columns)}, but a metrics.csv has each once, and an epoch")
    return [_parsed(columns, fields, f"{path}, line {number}") for number, fields in enumerate(rows, start=2)]


def _parsed(columns: Sequence[str], fields: Sequence[str], where: str) -> dict[str, float | int | None]:
    if len(fields) != len(columns):
        raise SourceError(f"{where}: {len(fields)} fields, but there are {len(columns)} columns; the file is damaged")
    try:
        row = {c: _number(field) if field else None for c, field in zip(columns, fields, strict=True)}
    except ValueError as error:
        raise SourceError(f"{where}: {error}; a metrics.csv holds numbers only, so the file is damaged") from error
    if not isinstance(row["epoch"], int):
        raise SourceError(f"{where}: the epoch is {row['epoch']}, but it is a whole number; the file is damaged")
    return row


def _number(field: str) -> float | int:
    return int(field) if WHOLE.fullmatch(field) else float(field)


@final
class MetricsTable:
    """A metrics.csv that grows row by row.

    Parameters
    ----------
    path : path
        The file, made with the first row; its columns are the keys of that row.
    resumed : bool
        Go on with the rows that are there.

    Raises
    ------
    SourceError
        As `read_metrics`, when resumed.
    """

    def __init__(self, path: Path, *, resumed: bool) -> None:
        self._path = path
        self._rows = read_metrics(path) if resumed and path.exists() else []
        self._columns = list(self._rows[0]) if self._rows else []

    @property
    def last_epoch(self) -> int | None:
        """The epoch of the last row, or None without rows."""
        return int(self._rows[-1]["epoch"] or 0) if self._rows else None

    def rewind(self, epoch: int) -> None:
        """Take out the rows after `epoch`, and a row that a crash cut off.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        self._rows = [row for row in self._rows if (row["epoch"] or 0) <= epoch]
        self._write_anew()

    def append(self, row: Figures) -> None:
        """Add a row, which may have more columns than those before it.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        more = [column for column in row if column not in self._columns]
        self._rows.append(dict(row))
        if more:
            self._columns += more
            self._write_anew()
            return
        try:  # opened for each row, so that a watcher sees it and nothing is lost in a crash
            with self._path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns, lineterminator="\n").writerow(row)
        except OSError as error:
            raise OutputError(
                f"{self._path} could not be written ({error.strerror or error}): free some space, or choose another "
                "place for the run"
            ) from error

    def _write_anew(self) -> None:
        with (
            atomic_file(self._path, force=True) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            table = csv.DictWriter(file, self._columns, lineterminator="\n")
            if self._columns:
                table.writeheader()
            table.writerows(self._rows)
