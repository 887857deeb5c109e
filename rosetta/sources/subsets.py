"""Some rows of a source: by their numbers, or by what its columns say."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rosetta.arrays import Array
from rosetta.errors import SourceError
from rosetta.sources.rows import Rows

RowNumbers = npt.NDArray[np.intp]

NEAR = 64  # rows that are read along rather than left out, where a stretch of wanted ones has a gap
SHOWN = 12  # names or values in a message

_NUMBER = r"\d{1,18}"  # what a 64-bit integer holds
_SLICE = re.compile(rf"(-?{_NUMBER})?:(-?{_NUMBER})?(?::({_NUMBER}))?", re.ASCII)
_LIST = re.compile(rf"{_NUMBER}(,{_NUMBER})*", re.ASCII)
_NUMERIC = re.compile(r"[-+\d:,\s]*")  # what nobody calls a file


def chosen_rows(
    rows: Rows, text: str | None, where: Sequence[str], *, source: str, read: Callable[[str], Array]
) -> Rows:
    """Return the rows that `text` and all of `where` agree on, in the order of the source.

    Parameters
    ----------
    text : str, optional
        ``start:stop:step`` as in Python, row numbers joined by commas, or a source of row numbers or of one bool a row.
    where : sequence of str
        Each ``column=value``. Of one column, any of the values; of several columns, all.
    source : str
        What the source is called in messages.
    read : callable
        Reads the array that a source names.

    Raises
    ------
    SourceError
        If there is no such column, row or value, or fewer than two rows are left.
    """
    if text is None and not where:
        return rows
    n_rows = rows.shape[0]
    is_wanted = np.ones(n_rows, dtype=bool)
    if text is not None:
        is_wanted &= _flags(text, n_rows, source, read)
    for column in dict.fromkeys(_parts(each)[0] for each in where):
        values = [value for name, value in map(_parts, where) if name == column]
        is_wanted &= _matches(column_of(rows, column, source=source), values, column, source)
    numbers = np.flatnonzero(is_wanted)
    if len(numbers) < 2:
        asked = " and ".join([*([f"`rows={text!r}`"] if text else []), *(f"`where={each!r}`" for each in where)])
        raise SourceError(f"{asked} leaves {len(numbers)} of the {n_rows:,} rows of {source}: at least two are needed")
    return subset(rows, numbers)


def subset(rows: Rows, numbers: RowNumbers) -> Rows:
    """Return rows with these numbers, sorted."""

    def column(values: Callable[[], Array]) -> Callable[[], Array]:
        return lambda: values()[numbers]

    return replace(
        rows,
        shape=(len(numbers), *rows.shape[1:]),
        piece=len(numbers) if rows.piece >= rows.shape[0] else 1,
        read=lambda start, stop: pick(rows, numbers[start:stop]),
        numbers=numbers if rows.numbers is None else rows.numbers[numbers],
        columns={name: column(values) for name, values in rows.columns.items()},
    )


def pick(rows: Rows, numbers: RowNumbers) -> Array:
    """Return the rows with these numbers, in this order; near ones are read together."""
    wanted, place = np.unique(numbers, return_inverse=True)
    if not len(wanted):
        return np.empty((0, *rows.shape[1:]), dtype=rows.dtype)
    near = max(NEAR, rows.piece)
    parts = np.split(wanted, np.flatnonzero(np.diff(wanted) > near) + 1)
    blocks = []
    for part in parts:
        block = rows.read(int(part[0]), int(part[-1]) + 1)
        blocks.append(block if len(part) == len(block) else block[part - part[0]])
    found = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    return found if len(wanted) == len(numbers) and (np.diff(place) == 1).all() else found[place]


def column_of(rows: Rows, name: str, *, source: str) -> Array:
    """Return what a column says of each row, shape (n_rows,), or raise SourceError with those that there are."""
    if name in rows.columns:
        return rows.columns[name]()
    if not rows.columns:
        raise SourceError(
            f"{source} has no columns, so none called {name!r}: tables, AnnData files and folders have them"
        )
    near = difflib.get_close_matches(name, rows.columns, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise SourceError(f"{source} has no column called {name!r}.{hint} It has {_some(list(rows.columns))}")


def _parts(text: str) -> tuple[str, str]:
    column, mark, value = text.partition("=")
    if not mark or not column:
        raise SourceError(f"`where={text!r}`: write column=value")
    return column, value


def _matches(found: Array, values: Sequence[str], column: str, source: str) -> npt.NDArray[np.bool_]:
    known: list[object] = []
    if found.dtype.kind in "fiu":
        try:
            is_match = np.isin(found, [float(value) for value in values])
        except ValueError as error:
            raise SourceError(f"the column {column!r} of {source} holds numbers, and `where` says {values}") from error
    else:
        texts = found.astype(str)
        is_match = np.isin(texts, values)
        known = sorted(set(texts.tolist()))
    if not is_match.any():
        there = f": there are {_some([str(each) for each in known])}" if known else ""
        raise SourceError(f"no row of {source} has {column}={' or '.join(values)}{there}")
    return np.asarray(is_match)


def _flags(text: str, n_rows: int, source: str, read: Callable[[str], Array]) -> npt.NDArray[np.bool_]:
    """Return for each row whether `text` asks for it."""
    flags = np.zeros(n_rows, dtype=bool)
    if found := _SLICE.fullmatch(text):
        if found.group(3) is not None and not int(found.group(3)):
            raise SourceError(f"`rows={text!r}`: a step is at least 1")
        flags[slice(*(None if part is None else int(part) for part in found.groups()))] = True
        return flags
    if _NUMERIC.fullmatch(text) and not _LIST.fullmatch(text):
        raise SourceError(
            f"`rows={text!r}`: write START:STOP:STEP with a step of at least 1, row numbers from 0 joined by commas, "
            "or a file of them"
        )
    numbers = np.array(text.split(","), dtype=np.int64) if _LIST.fullmatch(text) else read(text)
    if numbers.dtype.kind == "b" and numbers.shape == (n_rows,):
        return np.asarray(numbers, dtype=bool)
    if numbers.dtype.kind not in "iu" or numbers.ndim != 1:
        raise SourceError(
            f"`rows={text!r}` has shape {numbers.shape} and dtype {numbers.dtype}; expected row numbers, one after the "
            f"other, or a bool for each of the {n_rows:,} rows of {source}"
        )
    beyond = (numbers < 0) | (numbers >= n_rows)
    if beyond.any():
        raise SourceError(f"`rows={text!r}` asks for row {numbers[beyond][0]}, but {source} has rows 0 to {n_rows - 1}")
    flags[numbers] = True
    return flags


def _some(names: Sequence[str]) -> str:
    return ", ".join(name or "'' (none)" for name in names[:SHOWN]) + (
        f", … ({len(names)} in all)" if len(names) > SHOWN else ""
    )
