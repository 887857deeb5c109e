"""Zarr, versions 2 and 3: an array in a folder, or in a ZIP file of one, named by its path."""

from __future__ import annotations

import json
import math
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import MissingExtraError, SourceError
from rosetta.sources.rows import Rows, SourceKind, choose_name, gone, sources

Root = Path | zipfile.Path
Document = dict[str, Any]

LARGEST_DOCUMENT = 1 << 26  # bytes
MOST_CHUNKS = 1 << 28
STRINGS = {"vlen-utf8"}  # filters that make an object array one of strings


def read(path: Path, name: str | None) -> Array:
    """Read the array at `name`, a path inside the store such as ``group/data``."""
    array, _, close = _opened(path, name)
    try:
        with _errors_of(path):
            whole = np.asarray(array[...])
    finally:
        close()
    return np.array(whole.tolist(), dtype=str).reshape(whole.shape) if whole.dtype.kind in "TO" else whole


def rows(path: Path, name: str | None, skip_bad: bool = False) -> Rows:
    """Open the array to read its rows; those of one chunk, or shard, are stored together.

    Zarr takes a chunk that is not there for one that was never written, which is all one value. So what is there is
    noted when the array is opened, and a chunk that is missing later is an error.
    """
    array, folder, close = _opened(path, name)
    shape, stored = tuple(array.shape), array.shards or array.chunks
    if folder is not None:
        with _errors_of(path):
            described, is_there = _document(folder), _chunks_there(folder, shape, stored)

    def read_rows(start: int, stop: int) -> Array:
        try:
            block = np.asarray(array[start:stop])
            if folder is None:
                return block
            if _document(folder) != described:
                raise ValueError("it is not described as it was")
            for chunk in np.argwhere(is_there[start // stored[0] : -(-stop // stored[0])]):
                chunk[0] += start // stored[0]
                key = array.metadata.encode_chunk_key(tuple(chunk.tolist()))
                if not (folder / key).is_file():
                    raise ValueError(f"its chunk {key} is not there")
        except MemoryError:
            raise
        except Exception as error:  # of codecs, which may be anybody's
            raise gone(path, start, stop, why=str(error) or type(error).__name__) from error
        return block

    return Rows(shape, array.dtype, stored[0] if stored else 1, read_rows, close)


def _opened(path: Path, name: str | None) -> tuple[Any, Path | None, Callable[[], object]]:
    """Return the array, its folder unless it is in a ZIP file, and what gives the file back."""
    try:
        import zarr
        from zarr.storage import LocalStore, ZipStore
    except ImportError as error:
        raise MissingExtraError("zarr", "zarr", "reading Zarr") from error
    if not path.is_dir() and not path.name.lower().endswith(".zarr.zip"):
        raise SourceError(f"{path} is a ZIP file, of which only those of a Zarr store are read, called .zarr.zip")
    with _errors_of(path):
        known = _known(path)
        if name and set(known) == {""}:
            raise SourceError(f"{path} holds one array without a name: leave '::{name}' out")
        chosen = choose_name(path, name.strip("/") if name else None, list(known))
        _refuse_code(f"{path}::{chosen}" if chosen else str(path), known[chosen])
        store: Any = LocalStore(path, read_only=True) if path.is_dir() else ZipStore(path, mode="r")
        try:
            array = zarr.open_array(store, path=chosen, mode="r", zarr_format=known[chosen]["zarr_format"])
        except BaseException:
            store.close()
            raise
    return array, path / chosen if path.is_dir() else None, store.close


def _known(path: Path) -> dict[str, Document]:
    if path.is_dir():
        return dict(_arrays(path, ""))
    with zipfile.ZipFile(path) as file:
        return dict(_arrays(zipfile.Path(file), ""))


def _arrays(place: Root, name: str) -> Iterator[tuple[str, Document]]:
    """Yield names and descriptions of the arrays in a group and below; links are not followed."""
    document = _document(place)
    if document.get("node_type") == "array":
        yield name, document
    elif document:
        children: list[Root] = list(place.iterdir())
        for child in sorted(children, key=lambda each: each.name):
            if child.is_dir() and not (isinstance(child, Path) and child.is_symlink()):
                yield from _arrays(child, f"{name}/{child.name}".lstrip("/"))


def _document(place: Root) -> Document:
    """Return what describes an array or group, without its attributes; nothing where there is neither."""
    for file, node_type in (("zarr.json", None), (".zarray", "array"), (".zgroup", "group")):
        if not (place / file).is_file():
            continue
        with (place / file).open("rb") as stream:
            text = stream.read(LARGEST_DOCUMENT + 1)
        document = json.loads(text) if len(text) <= LARGEST_DOCUMENT else None
        if not isinstance(document, dict) or document.get("zarr_format") not in (2, 3):
            raise ValueError(f"{place / file} is no description of a Zarr array or group of version 2 or 3")
        kept = {key: each for key, each in document.items() if key not in ("attributes", "consolidated_metadata")}
        return kept if node_type is None else {**kept, "node_type": node_type}
    return {}


def _refuse_code(where: str, document: Document) -> None:
    """Refuse what would be unpickled, before anything is decoded."""
    codecs = set(_codecs([document.get(key) for key in ("codecs", "filters", "compressor", "storage_transformers")]))
    for codec in codecs:
        if "pickle" in codec.lower():
            raise SourceError(
                f"{where} is written with the codec {codec!r}, which can run any program. Pickled objects are never "
                "read: save numbers"
            )
    dtype = document.get("dtype")  # of version 2: later ones have no objects
    if "O" in json.dumps(dtype) and not codecs & STRINGS:
        raise SourceError(f"{where} is an array of objects, {dtype}, expected numbers: save it as an array of those")


def _codecs(part: Any) -> Iterator[str]:
    """Yield the names of codecs, and of those inside them."""
    if isinstance(part, list):
        for each in part:
            yield from _codecs(each)
    elif isinstance(part, dict):
        yield from (str(part[key]) for key in ("id", "name") if key in part)
        for each in part.values():
            yield from _codecs(each)


def _chunks_there(folder: Path, shape: tuple[int, ...], chunks: tuple[int, ...]) -> Array:
    """Return which chunks have a file, bool, one axis for each of the array's."""
    grid = tuple(-(-n // step) for n, step in zip(shape, chunks, strict=True))
    if math.prod(grid) > MOST_CHUNKS:
        raise SourceError(f"{folder} has {math.prod(grid)} chunks: write it anew in fewer and larger ones")
    is_there = np.zeros(grid, dtype=bool)
    for here, _, files in os.walk(folder):
        for file in files:
            key = Path(here, file).relative_to(folder).as_posix()
            if re.fullmatch(r"(c[./])?\d+([./]\d+)*", key):
                place = tuple(int(each) for each in re.findall(r"\d+", key))
                if len(place) == len(grid) and all(each < n for each, n in zip(place, grid, strict=True)):
                    is_there[place] = True
    return is_there


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a type of strings is not yet in the standard, and the like
            yield
    except (SourceError, MissingExtraError):
        raise
    except Exception as error:  # of codecs, which may be anybody's
        raise SourceError(f"{path} could not be read as Zarr ({str(error) or type(error).__name__})") from error


sources.register(".zarr")(SourceKind(rows, read))
sources.register(".zip")(SourceKind(rows, read))
