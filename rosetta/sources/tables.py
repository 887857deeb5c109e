"""Tables: which columns are features, what the others hold, and pandas' frames in memory."""

from __future__ import annotations

import csv
import difflib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import SourceError
from rosetta.sources import Rows

LARGEST_TEXTS = 1 << 31  # bytes: NumPy gives every string of an array the room that the longest takes
NUMBERS_IN_OBJECTS = {"integer", "floating", "mixed-integer-float", "boolean", "decimal"}  # pandas' words
WORDS = {
    "string": "text",
    "categorical": "categories",
    "empty": "nothing but empty cells",
    "complex": "complex numbers",
}
WORDS |= dict.fromkeys(("datetime64", "datetime", "date", "period"), "dates")
WORDS |= dict.fromkeys(("timedelta64", "timedelta"), "durations")


class Column(NamedTuple):
    """What is known of a table's column before its values are read."""

    name: str
    dtype: np.dtype[Any] | None  # of its numbers, missing ones not considered; None where it holds no numbers
    holds: str = ""  # what it holds then
    is_index: bool = False  # names the rows, and is no feature unless somebody asks for it


def choose_columns(columns: Sequence[Column], choice: str | None, *, where: str) -> tuple[list[Column], dict[str, str]]:
    """Return the columns that are features, and what those hold that would be, were they numbers.

    Parameters
    ----------
    columns : sequence of Column
        All of the table.
    choice : str, optional
        ``a,b,c`` for these, in this order; ``!a,b`` for all but these. A name that holds a comma stands in double
        quotes.
    where : str
        What the table is called in messages.

    Raises
    ------
    SourceError
        If a name is unknown, empty or stands there twice, a chosen column holds no numbers, or none does.
    """
    check_names([column.name for column in columns], where=where)
    by_name = {column.name: column for column in columns}
    asked = _split(choice.removeprefix("!"), by_name, where=where) if choice else []
    if choice and not choice.startswith("!"):
        strange = [name for name in asked if by_name[name].dtype is None]
        if strange:
            said = f"column {strange[0]!r} of {where} holds {by_name[strange[0]].holds}, but features are numbers"
            raise SourceError(f"{said}: leave it out, or write it as numbers")
        return [by_name[name] for name in asked], {}
    away = set(asked)
    left = [column for column in columns if column.name not in away and not column.is_index]
    chosen = [column for column in left if column.dtype is not None]
    not_numbers = {column.name: column.holds for column in left if column.dtype is None}
    if not chosen:
        found = "; ".join(f"{name!r} holds {holds}" for name, holds in list(not_numbers.items())[:6])
        raise SourceError(f"{where} has no column of numbers that could be a feature ({found or 'no column is left'})")
    return chosen, not_numbers


def check_names(names: Sequence[str], *, where: str) -> None:
    """Refuse a table that has a column without a name, or two of one name."""
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise SourceError(
            f"{where} has {len(twice)} column names more than once, the first is {twice[0]!r}: "
            "features are known by their names, so give each column its own"
        )
    if "" in names:
        raise SourceError(f"column {list(names).index('') + 1} of {len(names)} in {where} has no name: give it one")


def common_dtype(chosen: Sequence[Column], some_are_missing: Callable[[], bool]) -> np.dtype[Any]:
    """Return the smallest type that holds the numbers of all columns, and NaN if it has to.

    Whether numbers are missing is only asked where all are integers or bools: it may be a long way to know it.
    """
    dtype = np.result_type(*[column.dtype for column in chosen if column.dtype is not None])
    return np.result_type(dtype, np.float32) if dtype.kind != "f" and some_are_missing() else dtype


def texts(values: Sequence[str], *, where: str) -> Array:
    """Return strings as an array, shape (n_rows,), or raise SourceError if they are too long for one."""
    longest = max(map(len, values), default=0)
    if 4 * longest * len(values) > LARGEST_TEXTS:
        raise SourceError(f"{where} holds texts of up to {longest:,} characters, too long to tell rows apart by")
    return np.array(values, dtype=f"U{max(longest, 1)}")


def mixed(value: object, row: int) -> str:
    """Say what a column holds in which most values are numbers, but not this one."""
    return f"mixed: {str(value)[:40]!r} in row {row}"


def frame_rows(frame: Any, choice: str | None = None) -> Rows:
    """Return the rows of a pandas DataFrame; its index is no feature.

    Parameters
    ----------
    frame : pandas.DataFrame, shape (n_rows, n_columns)
        A column is a feature if it holds numbers or bools; missing ones are NaN in what is read.
    choice : str, optional
        Which columns are features, as in `choose_columns`.

    Raises
    ------
    SourceError
        As `choose_columns`, and if there are no rows.
    """
    names = [str(name) for name in frame.columns]
    check_names(names, where="the frame")
    if not len(frame):
        raise SourceError("the frame has columns, but no rows")
    dtypes = list(frame.dtypes)
    every = [_described(name, dtypes[place], frame, place) for place, name in enumerate(names)]
    chosen, not_numbers = choose_columns(every, choice, where="the frame")
    place_of = {name: place for place, name in enumerate(names)}
    places = [place_of[column.name] for column in chosen]
    # NumPy's own integers and bools have no missing values, and pandas' others may
    unsure = [place for place in places if not isinstance(dtypes[place], np.dtype)]
    dtype = common_dtype(chosen, lambda: any(frame.iloc[:, place].isna().any() for place in unsure))

    def read(start: int, stop: int) -> Array:
        return _numbers(frame.iloc[start:stop].iloc[:, places], dtype)

    columns = {name: lambda place=place: series_values(frame.iloc[:, place]) for place, name in enumerate(names)}
    features = tuple(column.name for column in chosen)
    return Rows((len(frame), len(places)), dtype, 1, read, features=features, not_numbers=not_numbers, columns=columns)


def series_values(series: Any) -> Array:
    """Return a frame's column, shape (n_rows,): numbers, NaN where there is none, or strings, ``""`` where none is."""
    column = _described(str(series.name), series.dtype, series.to_frame(), 0)
    if column.dtype is None:
        values = ["" if is_missing else str(value) for value, is_missing in zip(series, series.isna(), strict=True)]
        return texts(values, where=f"column {column.name!r}")
    return _numbers(series, common_dtype([column], lambda: bool(series.isna().any())))


def _numbers(values: Any, dtype: np.dtype[Any]) -> Array:
    """Return a frame, or a column of one, as an array of its own."""
    missing = {"na_value": np.nan} if dtype.kind == "f" else {}
    return np.array(values.to_numpy(dtype=dtype, **missing))


def _described(name: str, dtype: Any, frame: Any, place: int) -> Column:
    """Return what a frame's column holds; pandas has a type of its own for each kind of numbers that may be missing."""
    from pandas.api.types import infer_dtype

    dtype = getattr(dtype, "subtype", dtype)  # a sparse column's
    if dtype.kind in "fiub":
        return Column(name, np.dtype(getattr(dtype, "numpy_dtype", dtype)))
    series = frame.iloc[:, place]
    kind = infer_dtype(series, skipna=True)
    if kind in NUMBERS_IN_OBJECTS:
        return Column(name, np.dtype(np.float64))
    present = list(enumerate(series)) if kind.startswith("mixed") else []
    strange = [(row, v) for (row, v), no in zip(present, series.isna(), strict=False) if not no and not _is_real(v)]
    if strange and 2 * len(strange) < len(present):
        return Column(name, None, mixed(strange[0][1], strange[0][0]))
    return Column(name, None, WORDS.get(kind, "text and other things" if kind.startswith("mixed") else kind))


def _is_real(value: object) -> bool:
    return isinstance(value, Real)


def _split(choice: str, known: Collection[str], *, where: str) -> list[str]:
    names = [choice] if choice in known else next(csv.reader([choice]), [])
    seen: set[str] = set()
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise SourceError(f"{where} has no column called {name!r}; it has {len(known)} columns.{hint}")
        if name in seen:
            raise SourceError(f"column {name!r} of {where} is named twice: name each column once")
        seen.add(name)
    return names
