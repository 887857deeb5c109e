"""Where items come from: ``file.npy``, ``file.npz::name``, ``file.h5::path``. One file for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rosetta.arrays import Array, check_items
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
    n_skipped : int
        Bad items that were left out on request.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    piece: int
    read: Callable[[int, int], Array]
    close: Callable[[], object] = lambda: None
    features: tuple[str, ...] | None = None
    not_numbers: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Callable[[], Array]] = field(default_factory=dict)
    n_skipped: int = 0


class SourceKind(NamedTuple):
    """How files, or folders, of one kind are read."""

    # a path, the name behind ``::`` and whether bad items are left out to the rows
    open: Callable[[Path, str | None, bool], Rows]
    read: Callable[[Path, str | None], Array] | None = None  # the whole array of a name, of strings too, if there are
    is_folder: bool = False  # whether items are the files with this ending in a folder


sources: Registry[SourceKind] = Registry("kind of source", "rosetta.sources")


def read_array(source: str) -> Array:
    """Read the array that `source` names; nothing is ever unpickled.

    Parameters
    ----------
    source : str
        ``PATH.npy``, ``PATH.npz::NAME`` or ``PATH.h5::NAME``. The name may be left out where the file
        holds one array only.

    Raises
    ------
    SourceError
        If the file is missing, a folder, of an unknown kind, damaged, or has no array of that name.
    """
    path, name, kind = _locate(source)
    try:
        return kind.read(path, name)
    except OSError as error:
        raise SourceError(f"{path} could not be read ({error.strerror or error})") from error


def open_rows(source: str | PathLike[str]) -> Rows:
    """Open the items that `source` names, shape (n_items, …), to be read some rows at a time.

    The file stays open, and readable if somebody removes or replaces it, until the rows are closed or forgotten.

    Raises
    ------
    SourceError
        As `read_array`, and for a shape or kind of numbers that `rosetta.arrays.check_items` refuses. NaN and
        infinity are not looked for.
    """
    path, name, kind = _locate(str(source))
    try:
        rows = _whole(kind.read(path, name)) if kind.rows is None else kind.rows(path, name)
    except OSError as error:
        raise SourceError(f"{path} could not be read ({error.strerror or error})") from error
    dtype = np.dtype(bool) if rows.dtype.kind in "fiub" else rows.dtype
    try:
        # all that the check sees is the shape and whether these are numbers: one False stands for all of them
        check_items(np.broadcast_to(np.zeros((), dtype), rows.shape), where=str(source))
    except SourceError:
        rows.close()
        raise
    return rows


def read_items(source: str | PathLike[str] | Array) -> Array:
    """Read and check items, shape (n_items, …); an array is only checked.

    Raises
    ------
    SourceError
        As `read_array`, and for everything that `rosetta.arrays.check_items` refuses.
    """
    if isinstance(source, str | PathLike):
        return check_items(read_array(str(source)), where=str(source))
    if isinstance(source, np.ma.MaskedArray):
        raise SourceError("the data is a masked array, whose mask would be lost: fill it first, with its .filled()")
    try:
        return check_items(np.asarray(source), where="the data")
    except (TypeError, ValueError, RuntimeError) as error:
        raise SourceError(f"the data, a {type(source).__name__}, is no array of numbers: {error}") from error


def read_names(source: str) -> tuple[str, ...]:
    """Read feature names, a one-dimensional array of strings.

    Raises
    ------
    SourceError
        If the array is of another shape or type, or a name stands in it twice or is empty.
    """
    array = read_array(source)
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise SourceError(
            f"{source} has shape {array.shape} and dtype {array.dtype}, but feature names are a "
            "one-dimensional array of fixed-length strings"
        )
    names = tuple(n.decode() if isinstance(n, bytes) else str(n) for n in array.tolist())
    seen: set[str] = set()
    for name in names:
        if not name or name in seen:
            raise SourceError(f"{source} holds {'an empty name' if not name else f'the name {name!r} twice'}")
        seen.add(name)
    return names


def _locate(source: str) -> tuple[Path, str | None, SourceKind]:
    """Return the file that `source` names, the array in it, and how to read it."""
    location, _, name = (source, "", "") if Path(source).is_file() else source.partition("::")
    path = Path(location)
    kind = path.suffix.lower()
    if path.is_dir():
        raise SourceError(f"{path} is a folder, but data is a file: .npy, .npz::name or .h5::path")
    if not path.exists():
        raise SourceError(f"there is no file {path}: check the path, or the folder that you are in")
    if not path.is_file():
        raise SourceError(f"{path} is no regular file, but data is one: save it first")
    if kind not in sources:
        raise SourceError(f"{path} is of a kind that is not read here; known endings: {', '.join(sorted(sources))}")
    return path, name or None, sources.get(kind)


def _whole(array: Array) -> Rows:
    return Rows(array.shape, array.dtype, len(array), lambda start, stop: array[start:stop])


def gone(path: Path, start: int, stop: int, *, why: str) -> SourceError:
    """Return the error for rows that were there when the file was opened, and cannot be read any more."""
    return SourceError(
        f"rows {start} to {stop - 1} of {path} can no longer be read ({why}): the file changed while it was used. "
        "Write it anew, whole, and repeat the command; a training goes on with --resume"
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
