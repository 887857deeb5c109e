"""Commands as processes of their own, forked from one that has loaded everything, so that they start at once."""

from __future__ import annotations

import atexit
import csv
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

# audited events, and how many of their arguments are paths
DISK = {"open": 1, "os.mkdir": 1, "os.remove": 1, "os.rename": 2, "os.rmdir": 1, "os.link": 2, "shutil.rmtree": 1}


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
    largest_file: int | None = None, interrupt_at: int | None = None,
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
    interrupt_at : int, optional
        The process gets SIGTERM at the end of the so-manieth step that it takes.
    """
    number = len(list(folder.glob(".command-*.err")))
    out, err = folder / f".command-{number}.out", folder / f".command-{number}.err"
    err.touch()
    pid = _ask(
        {
            "start": [str(each) for each in arguments], "folder": str(folder), "out": str(out), "err": str(err),
            "env": dict(env or {}), "kill_at": kill_at, "largest_file": largest_file,
            "interrupt_at": interrupt_at,
        }
    )  # fmt: skip
    return Command(pid, out, err)


def run(folder: Path, *arguments: object, **more: Any) -> Ended:
    """Run ``rosetta ARGUMENTS`` in a folder to its end."""
    return start(folder, *arguments, **more).wait()


def figures(folder: Path) -> dict[str, Any]:
    """Return all of a run, or of several, that must not depend on interruptions."""
    found = {}
    for record in sorted(folder.rglob("run.json")):
        document = json.loads(record.read_text())
        names = ("weights_sha256", "final", "epochs", "best_epoch", "final_anchor_weight")
        with (record.parent / "metrics.csv").open() as file:
            rows = [
                {name: text for name, text in row.items() if name not in ("elapsed_s", "rows_per_s")}
                for row in csv.DictReader(file)
            ]
        found[str(record.parent.relative_to(folder))] = {name: document[name] for name in names} | {"rows": rows}
    assert found
    return found


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
    if request["interrupt_at"] is not None:
        _count_steps(request["interrupt_at"])
    if request["kill_at"] is not None:
        _count_disk_events(request["folder"], request["kill_at"])


def _count_steps(interrupt_at: int) -> None:
    from rosetta.training.loop import Training

    train_on, n_steps = Training.train_on, 0

    def counted(training: Training, batch: Any) -> None:
        nonlocal n_steps
        train_on(training, batch)
        n_steps += 1
        if n_steps == interrupt_at:
            signal.raise_signal(signal.SIGTERM)

    Training.train_on = counted  # type: ignore[method-assign]


def _count_disk_events(folder: str, kill_at: int) -> None:
    n_events = 0

    def see(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal n_events
        if event not in DISK or not any(_is_below(each, folder) for each in arguments[: DISK[event]]):
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


def _load() -> None:
    """Import what commands do when they run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("lightning_fabric", "h5py", "torch.profiler", "rosetta.cli.app", "rosetta.verbs.train"):
            importlib.import_module(name)
    gc.freeze()


def _run() -> None:
    """Run the command, and end without taking apart all that was loaded, which takes longer than the command."""
    code: object = 0
    try:
        importlib.import_module("rosetta.cli").main()
    except SystemExit as ended:
        code = ended.code or 0
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    _load()
    _serve(os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w"))
    _run()
