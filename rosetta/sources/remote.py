"""Data behind a URL: a file or folder is copied once, by fsspec, and read as any other."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from rosetta.errors import MissingExtraError, SourceError

FOLDERS = ("", ".zarr")  # endings of what may be a folder where a server does not tell, as one of web pages
MOST_FILES = 1 << 22
DEEPEST = 32


class _File(NamedTuple):
    remote: str
    place: str  # where its copy belongs, relative to the copy of what was asked for; "" for a file itself
    n_bytes: int | None  # None where the server does not tell


def is_url(location: str) -> bool:
    """Whether `location` names data by a scheme, as in ``s3://bucket/items.npy``; ``C:\\items.npy`` does not."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", location) is not None


def fetched(url: str) -> tuple[Path, Callable[[], None]]:
    """Copy the file or folder behind a URL to a new temporary folder, under its own name.

    Parameters
    ----------
    url : str
        Of any protocol that fsspec knows. Credentials and other options come from fsspec's own configuration.

    Returns
    -------
    path, and callable
        The copy, and what removes it; the end of the process does so, too.

    Raises
    ------
    SourceError
        If there is nothing, it may not be read, its protocol is not known or its package not installed, the disk is
        too small, or the copy is not whole. Nothing is left then.
    MissingExtraError
        If fsspec is not installed.
    """
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtraError("remote", "fsspec", "reading URLs") from error
    shown = _without_secrets(url)
    remove: Callable[[], None] = lambda: None  # noqa: E731
    try:
        system, place = fsspec.url_to_fs(url)
        system.invalidate_cache()
        name = _name_of(place, url)
        files = _files(system, place, PurePosixPath(name).suffix.lower())
        folder, remove = _temporary_folder()
        _check_disk(files, folder)
        _copy(system, files, folder / name)
    except BaseException as error:
        remove()
        if isinstance(error, SourceError) or not isinstance(error, Exception):
            raise
        why = _why(error).replace(url, shown)
        raise SourceError(f"{shown} could not be fetched: {why}") from error  # a protocol's errors may be of any kind
    return folder / name, remove


def _name_of(place: str, url: str) -> str:
    """Return the last part of a path, whose ending tells how the copy is read."""
    name = PurePosixPath(unquote(place.partition("?")[0].partition("://")[2] or place)).name
    if name in ("", ".", "..") or "\\" in name or "\0" in name:
        raise SourceError(f"{_without_secrets(url)} names no file or folder: expected SCHEME://PLACE/NAME")
    return name


def _files(system: Any, place: str, ending: str) -> list[_File]:
    """Return what is to be copied: one file, or all in a folder and below."""
    info = system.info(place)
    has_pages = "http" in system.protocol  # whose folders are pages with links, and look like files
    if info["type"] != "directory" and not (has_pages and ending in FOLDERS and "html" in info.get("mimetype", "")):
        return [_File(info["name"], "", info.get("size"))]
    files: list[_File] = []
    top = place.rstrip("/") + "/"
    folders = [(top, 0)]
    while folders:
        here, depth = folders.pop()
        for entry in system.ls(here, detail=True):
            below = (unquote(entry["name"]) if has_pages else entry["name"]).partition(unquote(top))[2].rstrip("/")
            if not _is_inside(below) or entry["name"].rstrip("/") == here.rstrip("/"):
                continue  # links to elsewhere, or ways to sort a page
            if entry["type"] != "directory":
                files.append(_File(entry["name"], below, entry.get("size")))
            elif depth < DEEPEST:
                folders.append((entry["name"].rstrip("/") + "/", depth + 1))
        if len(files) + len(folders) > MOST_FILES:
            raise SourceError(f"{_without_secrets(place)} holds more than {MOST_FILES} files: give a smaller folder")
    if not files:
        raise SourceError(f"{_without_secrets(place)} holds no file, or its server lists none: give the URL of a file")
    return files


def _is_inside(below: str) -> bool:
    return bool(below) and not re.search(r"[\\?#\0]", below) and not {"", ".", ".."} & set(below.split("/"))


def _check_disk(files: list[_File], folder: Path) -> None:
    needed, free = sum(file.n_bytes or 0 for file in files), shutil.disk_usage(folder).free
    if needed > free:
        raise SourceError(
            f"{needed / 1e9:.1f} GB are to be fetched, but {folder.parent} has {free / 1e9:.1f} GB left: set TMPDIR to "
            "a folder on a larger disk"
        )


def _copy(system: Any, files: list[_File], target: Path) -> None:
    places = [target / file.place for file in files]
    for folder in {place.parent for place in places}:
        folder.mkdir(parents=True, exist_ok=True)
    system.get([file.remote for file in files], [str(place) for place in places])
    for file, place in zip(files, places, strict=True):
        n_bytes = place.stat().st_size
        if file.n_bytes is not None and n_bytes != file.n_bytes:
            raise SourceError(
                f"{_without_secrets(file.remote)} has {file.n_bytes} bytes, but {n_bytes} came: repeat the command"
            )


def _temporary_folder() -> tuple[Path, Callable[[], None]]:
    """Make a folder, and return it with what removes it, at the end of this process at the latest."""
    folder, maker = Path(tempfile.mkdtemp(prefix="rosetta-")), os.getpid()

    def remove() -> None:
        if os.getpid() == maker:  # a process that was forked off does not own the copy
            shutil.rmtree(folder, ignore_errors=True)
            atexit.unregister(remove)

    atexit.register(remove)
    return folder, remove


def _why(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        return _why(error.__cause__)  # what a web server or the network said
    if isinstance(error, FileNotFoundError) or getattr(error, "status", None) == 404:
        return "there is no such file or folder"
    if isinstance(error, PermissionError) or getattr(error, "status", None) in (401, 403):
        return "access is refused: set credentials in fsspec's configuration, or as the storage's own tools do"
    if isinstance(error, ImportError):
        return f"a package is missing ({error})"
    return str(error) or type(error).__name__


def _without_secrets(url: str) -> str:
    """Return a URL without user, password and what follows ?, which may be a key."""
    return re.sub(r"//[^/@]*@", "//", url.partition("?")[0])
