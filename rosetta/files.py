"""Results appear whole or not at all: a temporary neighbour, fsync, rename. Small inputs are read within bounds."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from rosetta.errors import OutputError, SourceError

RUN_MARK, RUNS_MARK = "run.json", "runs.json"  # a folder with one of these is ours, and `force` may replace it
CHECKPOINT = "checkpoint.safetensors"  # the state of an unfinished training
LOCK = ".lock"  # held by the process that trains
PLAN = "training.json"  # what an unfinished training was told

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
    ours = path.is_dir() and any((path / mark).is_file() for mark in (RUN_MARK, RUNS_MARK))
    if suffix is None and not (ours or (path.is_dir() and not any(path.iterdir()))):
        raise OutputError(f"{path} is not a run folder, so `force` does not replace it: remove it yourself")


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


def unfinished(path: Path) -> Path:
    """Return where a folder that is to become `path` grows."""
    return path.with_name(path.name + ".unfinished")


@contextmanager
def growing_folder(path: Path, *, force: bool, resume: bool) -> Iterator[Path]:
    """Yield a neighbour of `path` that grows over hours; on success it becomes `path`.

    On failure it stays if there is something to go on from, else it is removed. Only one process at a time has it;
    what a process that was killed left there is gone on with, or discarded.

    Raises
    ------
    OutputError
        If an unfinished one is there and neither `resume` nor `force` says what to do with it; if another process
        is at it; if there is nothing to resume because `path` is finished; if `path` exists, where it must not.
    """
    growing = unfinished(path)
    with _output_errors(path, kept=growing):
        _refuse_strangers(growing, path, resume=resume)
        with held_folder(growing, path):
            if resume and path.exists() and not force:
                raise OutputError(
                    f"{path} exists, and {growing} is to take its place: add `force` to `resume`, or move {path} away"
                )
            if not resume:
                _discard(growing, force=force)
            for leftover in (*growing.glob(".*.tmp"), *growing.glob("*/.*.tmp")):  # of a process that was killed
                leftover.unlink()
            try:
                yield growing
                _become(growing, path, force=force)
            except BaseException:
                if not _is_worth_keeping(growing):
                    shutil.rmtree(growing, ignore_errors=True)
                raise


def _refuse_strangers(growing: Path, path: Path, *, resume: bool) -> None:
    """Refuse what is no unfinished training, and a finished one to go on with."""
    is_there = growing.exists() or growing.is_symlink()
    if is_there and (growing.is_symlink() or not growing.is_dir() or not _is_ours(growing)):
        raise OutputError(f"{growing} is in the way, and is no unfinished training: remove it yourself")
    if resume and path.exists() and not is_there:
        raise OutputError(f"{path} is finished: there is nothing to resume")


def _is_ours(growing: Path) -> bool:
    return (growing / LOCK).exists() or not any(growing.iterdir())


def held_folder(growing: Path, path: Path) -> IO[bytes]:
    """Make the folder if need be, and return its lock, held as long as it is open."""
    while True:
        growing.mkdir(exist_ok=True)
        with suppress(FileNotFoundError), ExitStack() as stack:
            lock = stack.enter_context((growing / LOCK).open("ab"))
            _lock_or_refuse(lock.fileno(), path)
            # who held it until now may have finished, and its folder have another name, or be gone
            if os.path.samestat(os.fstat(lock.fileno()), (growing / LOCK).stat()):
                stack.pop_all()
                return lock


def _lock_or_refuse(descriptor: int, path: Path) -> None:
    """Lock; where a file system has no locks, trust that nobody else is there."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(f"another process is at work on {path}: wait for it, or choose another name") from error
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise


def _discard(growing: Path, *, force: bool) -> None:
    """Empty the folder but for the lock, or refuse to."""
    if _is_worth_keeping(growing) and not force:
        raise OutputError(
            f"{growing} holds an interrupted training: go on with it with `resume`, or discard it with `force`"
        )
    for each in growing.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        elif each.name != LOCK:
            each.unlink()


def _is_worth_keeping(growing: Path) -> bool:
    """Whether there is something to go on from: a state, or one of several runs that is done."""
    return any(growing.rglob(CHECKPOINT)) or any(growing.glob(f"*/{RUN_MARK}"))


def _become(growing: Path, path: Path, *, force: bool) -> None:
    old = path.with_name(f".{path.name}.replaced")  # ours alone: what is there was left by a process that was killed
    for file in growing.rglob("*"):
        if file.is_file():
            _sync(file)
    if force and path.exists():
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    try:
        growing.rename(path)  # fails where there is a folder that is not empty
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    _sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)
    for name in (CHECKPOINT, PLAN, LOCK):
        (path / name).unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)


def write_small(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all, over one that is there."""
    with atomic_file(path, force=True) as temporary:
        temporary.write_bytes(data)


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
    return OutputError(f"{path} exists already: choose another name, or replace it with `force`")


@contextmanager
def _output_errors(path: Path, *, kept: Path | None = None) -> Iterator[None]:
    """Turn the system's refusals into OutputError; `kept` is where something may be left to go on from."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise _exists(path) from error
        advice = "free some space, or " if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None) else ""
        why = f"{path} could not be written ({error.strerror or error})"
        if kept is not None and kept.exists():
            first = advice.removesuffix(", or ") or "mend that"
            raise OutputError(
                f"{why}; what was saved before is in {kept}: {first}, then go on with `resume`"
            ) from error
        raise OutputError(f"{why}; nothing was left behind: {advice}choose another place") from error


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
