"""Where items come from: files, stores, folders, URLs and objects in memory. One file for each kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from rosetta.arrays import Array, Sound, check_items
from rosetta.errors import SourceError
from rosetta.sources.objects import object_rows
from rosetta.sources.rows import Rows, SourceKind, choose_name, gone, sources
from rosetta.sources.subsets import chosen_rows, column_of, pick, subset

__all__ = [
    "Rows",
    "Source",
    "SourceKind",
    "as_source",
    "choose_name",
    "column_of",
    "gone",
    "is_on_disk",
    "open_rows",
    "pick",
    "read_array",
    "read_items",
    "read_names",
    "sources",
    "subset",
]


@dataclass(frozen=True)
class Source:
    """Data, which of it, and what to do about its gaps: what the options of the command line say.

    Parameters
    ----------
    data : str, path or object
        A file or folder, ``FILE::NAME`` for an array in it, an fsspec URL of one; or data in memory: an array, a sparse
        matrix, a data frame, an AnnData, a torch tensor or Dataset.
    rows : str, optional
        ``start:stop:step``, row numbers joined by commas, or a source of row numbers or of one bool a row.
    where : sequence of str
        Each ``column=value``. Of one column, any of the values; of several columns, all.
    skip_bad : bool
        Leave out files of a folder that cannot be read, and count them.
    fill_missing : float, optional
        What stands for features that a latent space expects and the data lacks; they are errors without.
    """

    data: Any
    rows: str | None = None
    where: Sequence[str] = ()
    skip_bad: bool = False
    fill_missing: float | None = None

    def __str__(self) -> str:
        """Return the data's name, for messages."""
        return str(self.data) if isinstance(self.data, str | PathLike) else "the data"


def as_source(data: Any) -> Source:
    """Return data of whatever kind as a Source."""
    return data if isinstance(data, Source) else Source(data)


def read_array(source: str) -> Array:
    """Read the whole array that `source` names, of numbers or of strings; nothing is ever unpickled.

    Parameters
    ----------
    source : str
        ``PATH.npy``, ``PATH.npz::NAME``, ``PATH.h5::NAME`` or another that the registry knows. The name may be left
        out where the file holds one array only.

    Raises
    ------
    SourceError
        If the file is missing, of an unknown kind, damaged, or has no array of that name.
    """
    with _located(source) as (path, name, kind):
        if kind.read is not None:
            return kind.read(path, name)
        rows = kind.open(path, name, False)
        try:
            return rows.read(0, rows.shape[0])
        finally:
            rows.close()


def is_on_disk(data: Any) -> bool:
    """Whether data, no Source, is named by a path or URL, and not in memory."""
    return isinstance(data, str | PathLike)


def open_rows(data: Any) -> Rows:
    """Open items, shape (n_items, …), to be read some rows at a time.

    A file stays open, and readable if somebody removes or replaces it, until the rows are closed or forgotten.

    Parameters
    ----------
    data : Source or what can be its `data`
        What is read.

    Raises
    ------
    SourceError
        If there is no such data, it is damaged, or of a shape or kind of numbers that `rosetta.arrays.check_items`
        refuses. NaN and infinity are not looked for.
    """
    source = as_source(data)
    rows = _open_path(source) if isinstance(source.data, str | PathLike) else object_rows(source.data)
    try:
        rows = chosen_rows(rows, source.rows, source.where, source=str(source), read=read_array)
        if rows.holds_sounds and isinstance(rows.read(0, 1)[0], Sound):
            return rows
        dtype = np.dtype(bool) if rows.dtype.kind in "fiub" else rows.dtype
        # all that the check sees is the shape and whether these are numbers: one False stands for all of them
        check_items(np.broadcast_to(np.zeros((), dtype), rows.shape), where=str(source))
    except BaseException:
        rows.close()
        raise
    return rows


def read_items(data: Any) -> Array:
    """Read and check items, shape (n_items, …), all of them; an array is only checked.

    Raises
    ------
    SourceError
        As `open_rows`, and for NaN and infinity.
    """
    if isinstance(data, np.ndarray) and not isinstance(data, np.ma.MaskedArray):
        return check_items(data, where="the data")
    rows = open_rows(data)
    try:
        return check_items(rows.read(0, rows.shape[0]), where=str(as_source(data)))
    finally:
        rows.close()


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


def _open_path(source: Source) -> Rows:
    """Open a file or folder; where it had to be fetched, the copy goes when the rows are closed."""
    with ExitStack() as held:
        path, name, kind = held.enter_context(_located(str(source.data)))
        if source.skip_bad and not kind.is_folder:
            raise SourceError(f"`skip_bad` is for folders of files, and {source} is none: leave it out")
        rows = kind.open(path, name, source.skip_bad)
        rest = held.pop_all()

    def close() -> None:
        rows.close()
        rest.close()

    return replace(rows, close=close)


@contextmanager
def _located(source: str) -> Iterator[tuple[Path, str | None, SourceKind]]:
    """Yield the file or folder that `source` names, the array in it, and how to read it; a URL is fetched first."""
    from rosetta.sources.remote import fetched, is_url  # which knows of rows

    location, name = (source, "") if Path(source).exists() else _split(source)
    with ExitStack() as held:
        if is_url(location):
            path, remove = fetched(location)
            held.callback(remove)
        else:
            path = Path(location)
        try:
            yield path, name or None, _kind_of(path)
        except OSError as error:
            raise SourceError(f"{path} could not be read ({error.strerror or error})") from error


def _split(source: str) -> tuple[str, str]:
    """Divide ``PATH::NAME``; what stands behind :: in a chain of URLs is no name."""
    location, mark, name = source.rpartition("::")
    return (location, name) if mark and "://" not in name else (source, "")


def _kind_of(path: Path) -> SourceKind:
    ending = path.suffix.lower()
    if path.is_dir():
        return sources.get(ending) if ending in sources and not sources.get(ending).is_folder else _kind_of_folder(path)
    if not path.exists():
        raise SourceError(f"there is no file {path}: check the path, or the folder that you are in")
    if not path.is_file():
        raise SourceError(f"{path} is no regular file, but data is one: save it first")
    if ending not in sources:
        raise SourceError(f"{path} is of a kind that is not read here; known endings: {', '.join(sorted(sources))}")
    kind = sources.get(ending)
    if kind.is_folder:
        raise SourceError(f"{path} is one file, and data of this kind is a folder of them: give {path.parent}")
    return kind


def _kind_of_folder(folder: Path) -> SourceKind:
    """Return how to read the files in a folder, by the endings that there are."""
    endings = {each.suffix.lower() for each in folder.rglob("*") if each.is_file()}
    kinds = {sources.get(each).open: sources.get(each) for each in endings if each in sources}
    folders = [each for each in kinds.values() if each.is_folder]
    if len(folders) == 1:
        return folders[0]
    listed = ", ".join(sorted(each for each in sources if sources.get(each).is_folder))
    if folders:
        raise SourceError(f"{folder} holds files of several kinds: give a folder with one of {listed}")
    raise SourceError(f"{folder} is a folder without files of a kind that is read there: {listed}")
