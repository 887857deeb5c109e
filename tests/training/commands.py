"""Commands as processes of their own, forked from one that has loaded everything, so that they start at once."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

DISK = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "shutil.rmtree")  # audited events


class Ended(NamedTuple):
    """What a command left: minus the signal's number where one ended it."""

    code: int
    out: str
    err: str


class Command:
    """A command that runs, or did."""

    def __init__(self, pid: int, out: Path, err: Path) -> None:
        self.pid = pid
        self._out, self._err = out, err
        self._code: int | None = None

    @property
    def err(self) -> str:
        """What it said on stderr so far."""
        return self._err.read_text()

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.code is None:
            os.kill(self.pid, number)

    @property
    def code(self) -> int | None:
        """The exit code, or None while it runs."""
        if self._code is None:
            self._code = _ask({"ended": self.pid})
        return self._code

    def wait(self, seconds: float = 60.0) -> Ended:
        """Wait for the end; after so many seconds it is killed, and that is an error."""
        until = time.monotonic() + seconds
        while self.code is None:
            if time.monotonic() > until:
                self.send(signal.SIGKILL)
                raise AssertionError(f"it still ran after {seconds:g} s, and said: {self._err.read_text()}")
            time.sleep(0.01)
        return Ended(self.code, self._out.read_text(), self._err.read_text())

    def wait_for(self, path: Path, seconds: float = 60.0) -> None:
        """Wait until a file is there."""
        until = time.monotonic() + seconds
        while not path.exists():
            assert time.monotonic() < until, f"{path} did not appear: {self._err.read_text()}"
            assert self.code is None, f"it ended before {path} appeared: {self._err.read_text()}"
            time.sleep(0.005)


def start(
    folder: Path, *arguments: object, env: Mapping[str, str] | None = None, kill_at: int | None = None,
    largest_file: int | None = None,
) -> Command:  # fmt: skip
    """Start ``rosetta ARGUMENTS`` in a folder.

    Parameters
    ----------
    env : mapping, optional
        Variables on top of those of this process.
    kill_at : int, optional
        The process is killed just before it touches the disk below `folder` for the so-manieth time, from 1. With 0
        it counts, and says the count on stderr.
    largest_file : int, optional
        Bytes of the largest file that it can write, as on a disk that is full.
    """
    number = len(list(folder.glob(".command-*.err")))
    out, err = folder / f".command-{number}.out", folder / f".command-{number}.err"
    pid = _ask(
        {
            "start": [str(each) for each in arguments], "folder": str(folder), "out": str(out), "err": str(err),
            "env": dict(env or {}), "kill_at": kill_at, "largest_file": largest_file,
        }
    )  # fmt: skip
    return Command(pid, out, err)


def run(folder: Path, *arguments: object, **more: Any) -> Ended:
    """Run ``rosetta ARGUMENTS`` in a folder to its end."""
    return start(folder, *arguments, **more).wait()


@cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    atexit.register(server.kill)
    return server


def _ask(request: dict[str, Any]) -> Any:
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())


def _serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer requests; return in a process that is to run a command."""
    for line in requests:
        request = json.loads(line)
        if "start" in request:
            answer = os.fork()
            if answer == 0:
                return _become(request)
        else:
            pid, status = os.waitpid(request["ended"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        print(json.dumps(answer), file=answers, flush=True)
    sys.exit()


def _become(request: dict[str, Any]) -> None:
    """Turn into the command's process."""
    import resource

    os.chdir(request["folder"])
    os.environ.update(request["env"])
    for number, path in ((0, os.devnull), (1, request["out"]), (2, request["err"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), number)
    sys.argv = [str(Path(sys.executable).parent / "rosetta"), *request["start"]]
    if request["largest_file"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"], resource.RLIM_INFINITY))
    if request["kill_at"] is not None:
        _count_disk_events(request["folder"], request["kill_at"])


def _count_disk_events(folder: str, kill_at: int) -> None:
    n_events = 0

    def see(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal n_events
        if event not in DISK or not any(_is_below(each, folder) for each in arguments):
            return
        n_events += 1
        if n_events == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(see)
    if not kill_at:
        atexit.register(lambda: print(f"events: {n_events}", file=sys.stderr))


def _is_below(path: object, folder: str) -> bool:
    return isinstance(path, str | os.PathLike) and (
        os.path.join(folder, os.fspath(path)).startswith(folder) and ".command" not in str(path)  # noqa: PTH118
    )


if __name__ == "__main__":
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lightning_fabric
        import rosetta.cli

        import rosetta.verbs.train  # noqa: F401

    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    _serve(requests, answers)
    rosetta.cli.main()
