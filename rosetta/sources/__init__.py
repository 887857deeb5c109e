"""Where items come from: ``file.npy``, ``file.npz::name``, ``file.h5::path``. One file for each kind."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np

from rosetta.arrays import Array, check_items
from rosetta.errors import SourceError
from rosetta.registry import Registry

Reader = Callable[[Path, str | None], Array]

sources: Registry[Reader] = Registry("kind of source", "rosetta.sources")


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
    try:
        return sources.get(kind)(path, name or None)
    except OSError as error:
        raise SourceError(f"{path} could not be read ({error.strerror or error})") from error


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
