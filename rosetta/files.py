"""Results appear whole or not at all: a temporary neighbour, fsync, rename. Small inputs are read within bounds."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rosetta.errors import OutputError, SourceError

RUN_MARK = "run.json"  # a folder with this file is ours, and --force may replace it

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def listed(paths: Paths) -> list[Path]:
    """Return one path or several as a list."""
    return [Path(each) for each in ([paths] if isinstance(paths, str | os.PathLike) else paths)]


def shown(path: str | os.PathLike[str]) -> str:
    """Return a path as text for a report; the bytes of a name need not be any."""
    return os.fsencode(path).decode("utf-8", "replace")


def check_output(path: Path, *, force: bool, suffix: str | None = None) -> None:
    """Refuse an output that cannot or must not be written, before any work is done for it.

    Raises
    ------
    OutputError
        If `path` exists and not `force`, if `force` would replace something that Rosetta did not write,
        if the folder that it goes to is missing, or if its name has another ending than `suffix`.
    """
    if path.name in ("", ".."):
        raise OutputError(f"the output {path} is a folder that is there: give a new name, such as {path / 'NAME'}")
    if suffix is not None and path.suffix != suffix:
        raise OutputError(f"the output {path} must end in {suffix}: name it {path.name}{suffix}, for example")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} for the output {path.name} does not exist: create it first")
    if not (path.exists() or path.is_symlink()):
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise OutputError(f"the folder {path.parent} cannot be written to: choose another, or mend its rights")
        return
    if not force:
        raise _exists(path)
    if suffix is not None and path.is_dir():
        raise OutputError(f"{path} is a folder, but the output is a file: choose another name")
    if suffix is None and path.is_symlink():
        raise OutputError(f"{path} is a symbolic link: give the folder itself, or remove the link")
    if suffix is None and not (path.is_dir() and ((path / RUN_MARK).is_file() or not any(path.iterdir()))):
        raise OutputError(f"{path} is not a run folder, so --force does not replace it: remove it yourself")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until nobody else who asks for it holds `path`; where a file system has no locks, go on."""
    with open(path, "rb") as file:  # noqa: PTH123
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def atomic_file(path: Path, *, force: bool, mode: int | None = None) -> Iterator[Path]:
    """Yield a temporary neighbour of `path`; on success it is synced and becomes `path`, else it is removed.

    Without `force`, a file that has appeared at `path` meanwhile is kept, and OutputError raised. Only the user
    can read it until it has its name; then those whom `mode` lets, or else the umask.
    """
    with _output_errors(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            _sync(temporary)
            temporary.chmod(0o666 & ~_umask() if mode is None else mode)
            if force:
                temporary.replace(path)
            else:
                _place(temporary, path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, force: bool) -> Iterator[Path]:
    """Yield a temporary neighbour folder; on success it becomes `path`, else it is removed.

    Without `force`, a folder that has appeared at `path` meanwhile is kept, and OutputError raised.
    """
    with _output_errors(path):
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        old = temporary.with_suffix(".old")
        try:
            yield temporary
            for file in temporary.iterdir():
                _sync(file)
            temporary.chmod(0o777 & ~_umask())
            if force and path.exists():
                path.rename(old)
            temporary.rename(path)  # fails where there is a folder that is not empty
            _sync(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            if old.exists():
                if path.exists():
                    shutil.rmtree(old, ignore_errors=True)
                else:
                    old.rename(path)


def read_small(path: Path, *, limit: int, what: str) -> bytes:
    """Return all bytes of a regular file of at most `limit` bytes.

    Nothing but a regular file is read from, so that a pipe cannot keep the reader waiting.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SourceError
        If it is something else, too large, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SourceError(f"{path} is no regular file, but {what} is one")
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(limit + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise FileNotFoundError(error.errno, error.strerror, str(path)) from error
        raise SourceError(f"{path} could not be read ({error.strerror}): expected {what}") from error
    if len(data) > limit:
        raise SourceError(f"{path} is larger than {limit:,} bytes, and {what} never is")
    return data


def _place(temporary: Path, path: Path) -> None:
    """Give the file its name unless the name is taken, which renaming would not mind."""
    try:
        path.hardlink_to(temporary)
    except OSError as error:
        if error.errno == errno.EEXIST or path.exists():
            raise _exists(path) from error
        temporary.replace(path)  # a file system without hard links


def _exists(path: Path) -> OutputError:
    return OutputError(f"{path} exists already: choose another name, or replace it with --force")


@contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise _exists(path) from error
        advice = "free some space, or " if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None) else ""
        raise OutputError(
            f"{path} could not be written ({error.strerror or error}); nothing was left behind: "
            f"{advice}choose another place"
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
