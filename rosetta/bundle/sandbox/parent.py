"""The parent's side of the sandbox: it asks, and believes nothing that it has not checked."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosetta.errors import SandboxError, UnsafeFileError

PATIENCE_S = 30.0  # for the warden, which has a clock of its own for each file
MAX_REPLY = 2**18
_REFUSALS = {f"RZ-S0{n}" for n in ("05", "10", "11", "12", "13", "14", "20", "21", "22", "23", "30", "40")}
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")  # without these a Python may not start
_START = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from rosetta.bundle.sandbox.child import main; main()"
)


@dataclass(frozen=True)
class Walked:
    """What a child says of a file, its form checked and its content not."""

    attributes: dict[str, str]
    extents: list[tuple[str, str, tuple[int, ...], int]]  # path, dtype, shape, offset
    isolation: dict[str, str]  # what was in force while it walked


def walk_apart(descriptor: int) -> Walked:
    """Let a confined process of its own walk the file behind `descriptor`.

    Raises
    ------
    UnsafeFileError
        With the rule that the walk found broken, or RZ-S040 if its process crashed or had to be stopped.
    SandboxError
        If there can be no such process on this system.
    """
    with _lock:
        try:
            reply, end = _warden().ask(descriptor)
        except SandboxError:  # it may have ended just now, having had nothing to do for long
            reply, end = _warden().ask(descriptor)
        return _judge(reply, end)


def prepare() -> None:
    """Start the process that will be needed, without waiting for it."""
    with _lock, contextlib.suppress(SandboxError):
        _warden()


class _Warden:
    """The process that forks the children, and the line to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", "-c", _START, json.dumps(_search_path()), str(theirs.fileno())]
        settings = {"HDF5_PLUGIN_PRELOAD": "::", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=kept | settings, pass_fds=[theirs.fileno()],
            )  # fmt: skip
        except (OSError, TypeError) as error:
            ours.close()
            raise SandboxError(f"the process that looks at a bundle could not be started ({error})") from error
        finally:
            theirs.close()
        ours.settimeout(PATIENCE_S)
        self.lines = ours.makefile("rb")
        self.connection = ours
        self.owner = os.getpid()
        self.is_ready = False

    def is_there(self) -> bool:
        """Whether this process started it and it is still running."""
        return self.owner == os.getpid() and self.process.poll() is None

    def ask(self, descriptor: int) -> tuple[bytes, Any]:
        """Return what a child wrote about a file, and how it ended; whatever goes wrong on the way ends the process."""
        try:
            return self._ask(descriptor)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError | ValueError):
                raise SandboxError(
                    f"the process that looks at bundles does not answer ({error}); "
                    f"try: {sys.executable} -c 'import h5py'"
                ) from error
            raise

    def _ask(self, descriptor: int) -> tuple[bytes, Any]:
        if not self.is_ready and self.lines.readline() != b"ready\n":
            raise ConnectionError("it ended before it was ready")
        self.is_ready = True
        reading, writing = os.pipe()
        try:
            try:
                socket.send_fds(self.connection, [b"walk"], [descriptor, writing])
            finally:
                os.close(writing)
            reply = _read(reading, time.monotonic() + PATIENCE_S)
        finally:
            os.close(reading)
        line = self.lines.readline()
        if not line:
            raise ConnectionError("it ended while it looked at a file")
        return reply, json.loads(line)

    def close(self) -> None:
        """End the process."""
        self.connection.close()
        self.lines.close()
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()


_lock = threading.RLock()
_current: _Warden | None = None


def _warden() -> _Warden:
    global _current
    if _current is None or not _current.is_there():
        if _current is not None:
            _current.close()
        _current = _Warden()
    return _current


@atexit.register
def _end() -> None:
    if _current is not None:
        _current.close()


def _after_fork() -> None:
    """Leave the parent's process to the parent: two askers on one line would get each other's answers."""
    global _current, _lock
    _lock = threading.RLock()
    if _current is not None:
        _current.connection.close()
        _current.lines.close()
        _current.process.returncode = 0  # not this process's child: nothing to wait for
        _current = None


os.register_at_fork(after_in_child=_after_fork)


def _search_path() -> list[str]:
    """Return where the child finds h5py and this package: as this process does, but never in the current folder."""
    home = str(Path(__file__).parents[3])
    return [*(entry for entry in sys.path if Path(entry).is_absolute() and entry != home), home]


def _read(descriptor: int, deadline: float) -> bytes:
    """Return what comes out of a pipe, up to its end, the most that is believed, or the deadline."""
    reply = b""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    while len(reply) <= MAX_REPLY and waiting.poll(max(0, 1000 * (deadline - time.monotonic()))):
        if not (part := os.read(descriptor, 2**16)):
            break
        reply += part
    return reply


def _judge(reply: bytes, end: Any) -> Walked:
    if end["late"] or end["code"] == -signal.SIGXCPU:
        raise UnsafeFileError("RZ-S040", "/", "looking at it took longer than it may: the process was stopped")
    if end["code"] < 0:
        raise UnsafeFileError("RZ-S040", "/", f"the process that looked at it crashed ({_signal(-end['code'])})")
    first, _, rest = reply.partition(b"\n")
    try:
        if end["code"] != 0 or len(reply) > MAX_REPLY:
            raise ValueError(end["code"])
        return _parse(json.loads(first), json.loads(rest))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnsafeFileError("RZ-S040", "/", "the process that looked at it gave no proper answer") from error


def _parse(isolation: Any, found: Any) -> Walked:
    if not _is_texts(isolation):
        raise ValueError("isolation")
    if "rule" in found:
        if set(found) != {"rule", "location", "message"} or not _is_texts(found) or found["rule"] not in _REFUSALS:
            raise ValueError("refusal")
        raise UnsafeFileError(found["rule"], found["location"], found["message"])
    if set(found) != {"attributes", "extents"} or not _is_texts(found["attributes"]):
        raise ValueError("answer")
    extents = []
    for path, dtype, shape, offset in found["extents"]:
        if not _is_texts({path: dtype}) or not all(type(n) is int for n in (*shape, offset)):
            raise ValueError("extent")
        extents.append((path, dtype, tuple(shape), offset))
    return Walked(found["attributes"], extents, isolation)


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(k, str) and isinstance(v, str) for k, v in value.items())


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
