"""What every kind of source gives: rows that are read some at a time, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rosetta.arrays import Array
from rosetta.errors import SourceError
from rosetta.registry import Registry


@dataclass(frozen=True)
class Rows:
    """The rows of a source, which are read some at a time, by one thread at a time.

    Parameters
    ----------
    shape : tuple of int
        Of the whole array, (n_rows, …). Of sounds, (n_rows,).
    dtype : dtype
        Of its numbers, in whatever byte order; object where each row is a `rosetta.arrays.Sound`.
    piece : int
        Rows that are stored together: to read one of them is to read them all. All rows, where the array can only
        be read whole.
    read : callable
        Numbers of the first row and of the one after the last to an array, shape (n_rows, …), that is no view of the
        file. It raises SourceError if the file can no longer be read, or has become shorter.
    close : callable
        Gives the file back.
    features : tuple of str, optional
        Names of the numbers of an item, shape (n_rows, n_features), where the source has names for them.
    not_numbers : mapping of str to str
        Columns that could be features by their place, but hold no numbers, and what they hold. Whoever does not say
        which features to take has to say what is to become of them.
    columns : mapping of str to callable
        What else is known of each row, such as an AnnData's obs, the columns of a table, an image's folder: a name to
        what gives its values, shape (n_rows,), numbers or strings, ``""`` or NaN where there is none.
    skipped : tuple of str
        What was wrong with the bad items that were left out on request, one for each.
    numbers : int array, shape (n_rows,), optional
        Of a subset of a source: the numbers that its rows have there.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    piece: int
    read: Callable[[int, int], Array]
    close: Callable[[], object] = lambda: None
    features: tuple[str, ...] | None = None
    not_numbers: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Callable[[], Array]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    numbers: npt.NDArray[np.intp] | None = None

    def place(self, row: int) -> str:
        """Return where a row stands, for messages: in the source, and its file and segment where it has them."""
        own = row if self.numbers is None else int(self.numbers[row])
        file = f" of {self.columns['file']()[row]}" if "file" in self.columns else ""
        onset = f", from {self.columns['onset_s']()[row]:g} s on" if "onset_s" in self.columns else ""
        return f"row {own} (counted from 0{file and ','}{file}{onset})"

    @property
    def holds_sounds(self) -> bool:
        """Whether each row is a `rosetta.arrays.Sound`."""
        return self.dtype.kind == "O" and len(self.shape) == 1 and self.shape[0] > 0


class SourceKind(NamedTuple):
    """How files, or folders, of one kind are read."""

    # a path, the name behind ``::`` and whether bad items are left out to the rows
    open: Callable[[Path, str | None, bool], Rows]
    read: Callable[[Path, str | None], Array] | None = None  # the whole array of a name, of strings too, if there are
    is_folder: bool = False  # whether items are the files with this ending in a folder


sources: Registry[SourceKind] = Registry("kind of source", "rosetta.sources")


def gone(path: Path, start: int, stop: int, *, why: str) -> SourceError:
    """Return the error for rows that were there when the file was opened, and cannot be read any more."""
    return SourceError(
        f"rows {start} to {stop - 1} of {path} can no longer be read ({why}): the file changed while it was used. "
        "Write it anew, whole, and repeat the command; a training goes on with `resume`"
    )


def choose_name(path: Path, name: str | None, known: list[str]) -> str:
    """Return the array's name in a file of several, or raise SourceError with those that are there."""
    listed = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    if not known:
        raise SourceError(f"{path} holds no array")
    if name is None:
        if len(known) == 1:
            return known[0]
        raise SourceError(f"{path} holds several arrays: write {path}::NAME with one of {listed}")
    if name not in known:
        raise SourceError(f"{path} holds no array called {name!r}; there are {listed}")
    return name
