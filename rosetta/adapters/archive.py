"""Program files as bytes: read within bounds, and looked into as archives."""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch

from rosetta.errors import ModelError
from rosetta.files import read_small

LARGEST_EXPANSION = 100  # of what an archive holds to its own size; real ones are not compressed at all


def read_program_file(path: Path, *, what: str) -> bytes:
    """Return all bytes of a file, or raise SourceError."""
    return read_small(path, limit=max(path.stat().st_size, 1), what=what)


def sha256(data: bytes) -> str:
    """Return the digest of a file's bytes."""
    return hashlib.sha256(data).hexdigest()


def entries(data: bytes) -> dict[str, bytes] | None:
    """Return what an archive holds, by names without the folder that all of it is in; None if it is no archive.

    Raises
    ------
    ModelError
        If it is damaged, would grow beyond measure, or holds two entries of one name.
    """
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            listed = archive.infolist()
            if sum(entry.file_size for entry in listed) > LARGEST_EXPANSION * len(data):
                raise ModelError("the program is an archive that would grow beyond measure: it is not read")
            found = {entry.filename: archive.read(entry) for entry in listed}
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        raise ModelError(f"the program is a damaged archive ({error}): export it again") from error
    if len(found) < len(listed):
        raise ModelError("the program is an archive with two entries of one name: export it again")
    roots = {name.partition("/")[0] for name in found}
    is_in_folder = len(roots) == 1 and all("/" in name for name in found)
    return {name.partition("/")[2]: each for name, each in found.items()} if is_in_folder else found


def packed(files: Mapping[str, bytes], *, folder: str | None) -> io.BytesIO:
    """Return an archive of exactly these files, in a folder inside it if its kind has one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name if folder is None else f"{folder}/{name}", data)
    buffer.seek(0)
    return buffer


def is_harmless_pickle(data: bytes) -> bool:
    """Whether torch reads a pickle without running code from it."""
    try:
        torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
    ):
        return False
    return True
