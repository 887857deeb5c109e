"""The processes that touch a stranger's file: a warden without secrets, and for each file a child of its own.

The warden loads HDF5 once and then forks, so that a file costs milliseconds. Each child gives up its rights
(`rosetta.bundle.sandbox.confine`), walks one file, writes one line about it and ends. Whatever it writes, the parent
(`rosetta.bundle.sandbox.parent`) takes it for the word of a stranger.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import sys
from typing import Any, NoReturn

from rosetta.bundle.sandbox.confine import confine
from rosetta.errors import UnsafeFileError

TIMEOUT_S = 4.0
IDLE_S = 120.0  # a warden that nobody asks anything ends by itself


def serve(connection: socket.socket) -> None:
    """Answer requests, each with a file's and a pipe's descriptor, until the other side is gone or has no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption ends
    from rosetta.bundle.sandbox import walk  # noqa: F401  loads HDF5, once for all children

    connection.settimeout(IDLE_S)
    connection.sendall(b"ready\n")
    with contextlib.suppress(TimeoutError, ConnectionError):
        while True:
            request, descriptors, _, _ = socket.recv_fds(connection, 64, 2)
            if not request:
                return
            file, reply = descriptors
            connection.sendall(_supervise(file, reply, connection) + b"\n")


def _supervise(file: int, reply: int, connection: socket.socket) -> bytes:
    """Let a child walk the file, kill it when its time is over, and return how it ended."""
    child = os.fork()
    if child == 0:
        connection.close()
        _work(file, reply)
    os.close(file)
    os.close(reply)
    late = False

    def kill(*_: Any) -> None:
        nonlocal late
        late = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, kill)
    signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.setitimer(signal.ITIMER_REAL, 0)
    return json.dumps({"code": code, "late": late}).encode()


def _work(file: int, reply: int) -> NoReturn:
    """Walk the file in this process, which ends here."""
    code = 1
    try:
        size = os.fstat(file).st_size
        os.write(reply, json.dumps(confine()).encode() + b"\n")
        answer = json.dumps(_walk(_Reader(file, size))).encode()
        while answer:
            answer = answer[os.write(reply, answer) :]
        code = 0
    finally:
        os._exit(code)


def _walk(reader: _Reader) -> dict[str, Any]:
    import h5py

    from rosetta.bundle.sandbox.walk import walk

    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, reader)
    try:
        attributes, extents = walk(h5py.h5f.open(b"bundle", h5py.h5f.ACC_RDONLY, fapl=access))
    except UnsafeFileError as error:
        return {"rule": error.rule, "location": error.location, "message": error.message}
    except (OSError, RuntimeError, KeyError, ValueError, OverflowError, TypeError) as error:
        return {"rule": "RZ-S005", "location": "/", "message": f"its HDF5 structure is damaged ({error})"}
    except MemoryError:
        return {"rule": "RZ-S040", "location": "/", "message": "its HDF5 structure asks for more memory than it may"}
    return {"attributes": attributes, "extents": [[e.path, e.dtype, e.shape, e.offset] for e in extents]}


class _Reader(io.RawIOBase):
    """A descriptor's bytes as HDF5 asks for them."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.descriptor, self.size, self.at = descriptor, size, 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, counted from the start or the end."""
        self.at = offset + (self.size if whence == io.SEEK_END else 0)
        return self.at

    def tell(self) -> int:
        """Return the place."""
        return self.at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the file goes."""
        n_bytes = os.preadv(self.descriptor, [buffer], self.at)
        self.at += n_bytes
        return n_bytes


def main() -> None:
    """Serve the connection whose descriptor is the last argument."""
    serve(socket.socket(fileno=int(sys.argv[-1])))
