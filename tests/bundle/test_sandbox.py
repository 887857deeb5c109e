"""The process that looks at a stranger's file can do nothing else, and whatever becomes of it is told."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rosetta.bundle import layout, reader
from rosetta.bundle.reader import read_raw
from rosetta.bundle.sandbox import parent as sandbox
from rosetta.bundle.sandbox import snapshot
from rosetta.errors import SandboxError, UnsafeFileError
from rosetta.verbs.validate import validate
from tests import builders

LANDLOCK = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) if sys.platform == "linux" else 0
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Landlock and sealed memory are Linux's")


# the descriptor of the file under examination, in the child
DESCRIPTOR = """
def descriptor():
    for number in range(3, 64):
        try:
            if stat.S_ISREG(os.fstat(number).st_mode):
                return number
        except OSError:
            pass
    os._exit(9)
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return builders.write(tmp_path_factory.mktemp("bundle") / "bundle.h5")


@pytest.fixture
def fresh() -> Iterator[None]:
    """A warden of this test's own."""
    sandbox._end()
    yield
    sandbox._end()


def _walk_as(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Let the child run `body` as its walk of a file, once it is confined."""
    sandbox._end()
    patch = (
        f"import rosetta.bundle.sandbox.walk as w, os, socket, sys, time, signal, stat\n{DESCRIPTOR}def walk(file):\n"
    )
    patch += "\n".join(f"    {line}" for line in body.splitlines()) + "\nw.walk = walk\n"
    start = "import sys, json; sys.path[:] = json.loads(sys.argv[1])\n"
    monkeypatch.setattr(sandbox, "_START", f"{start}{patch}from rosetta.bundle.sandbox.child import main; main()")


def _refusal(path: Path) -> UnsafeFileError:
    with pytest.raises(UnsafeFileError) as caught:
        read_raw(path)
    return caught.value


ENDS = {
    "crash": ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed (SIGSEGV)"),
    "real crash": ("import ctypes; ctypes.string_at(0)", "crashed (SIGSEGV)"),
    "abort": ("os.abort()", "crashed (SIGABRT)"),
    "silence": ("os._exit(0)", "no proper answer"),
    "failure": ("os._exit(3)", "no proper answer"),
    "bug": ("raise ZeroDivisionError", "no proper answer"),
    "nonsense": ("return {'format': 1}, []", "no proper answer"),
    "many words": ("return {'format': 'x' * 10**7}, []", "no proper answer"),
    "memory": ("x = bytearray(2**30)", "more memory than it may"),
    "recursion": ("return walk(file)", "damaged"),
}


@pytest.mark.parametrize(("body", "message"), ENDS.values(), ids=ENDS)
def test_a_walk_that_goes_wrong_is_a_finding_and_exit_code_5(
    body: str, message: str, bundle: Path, monkeypatch: pytest.MonkeyPatch, fresh: None
):
    _walk_as(monkeypatch, body)

    report = validate(bundle)

    (finding,) = report.findings
    assert message in finding.message
    assert (finding.rule, report.exit_code) in {("RZ-S040", 5), ("RZ-S005", 4)}


SHORT = "import rosetta.bundle.sandbox.child as c; c.TIMEOUT_S = 0.5; main()"


@pytest.mark.parametrize("body", ["while True: pass", "time.sleep(60)", "signal.signal(14, 1); time.sleep(60)"])
def test_a_walk_that_does_not_end_is_stopped(body: str, bundle: Path, monkeypatch: pytest.MonkeyPatch, fresh: None):
    _walk_as(monkeypatch, body)
    if "sleep" in body:
        monkeypatch.setattr(sandbox, "_START", sandbox._START.replace("main()", SHORT))
    started = time.monotonic()

    refusal = _refusal(bundle)

    assert (refusal.rule, "longer than it may" in refusal.message) == ("RZ-S040", True)
    assert time.monotonic() - started < 15  # it may take 5 s; the machine may be busy


FORBIDDEN = {
    "read a file": "open('/etc/passwd').read()",
    "read through a descriptor": "os.open('/proc/self/environ', os.O_RDONLY)",
    "list a folder": "os.listdir('/')",
    "write a file": "open('/tmp/rosetta-was-here', 'w')",
    "connect": "socket.create_connection(('127.0.0.1', 9), timeout=1)",
    "open a socket": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "signal its parent": "os.kill(os.getppid(), 0)",
    "change the file": "os.pwrite(descriptor(), b'x', 0)",
    "run a program": "os.execv('/bin/true', ['true'])",
}


@LINUX
@pytest.mark.parametrize("body", FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_a_walk_does_not_need_is_forbidden(body: str, bundle: Path, monkeypatch: pytest.MonkeyPatch, fresh: None):
    if "kill" in body and LANDLOCK < 6:
        pytest.skip(f"this system has version {LANDLOCK} of Landlock; it forbids signals from version 6 on")
    tried = f"try:\n    {body}\nexcept BaseException as e:\n    return {{'format': 'refused'}}, []\n"
    _walk_as(monkeypatch, tried + "return {'format': 'done'}, []")

    assert read_raw(bundle).attributes == {"format": "refused"}
    assert not Path("/tmp/rosetta-was-here").exists()  # noqa: S108


LIES = {
    "outside the file": "return A, [E('/pairs/latents', 'f4', (4,), 10**6)]",
    "before the data": "return A, [E('/pairs/latents', 'f4', (4,), 8)]",
    "negative": "return A, [E('/pairs/latents', 'f4', (4,), -8)]",
    "beyond all numbers": "return A, [E('/pairs/latents', 'f4', (2**62, 2**62), 200)]",
    "no shape": "return A, [E('/pairs/latents', 'f4', (-1,), 200)]",
    "a float": "return A, [E('/pairs/latents', 'f4', (1.0,), 200)]",
    "objects": "return A, [E('/pairs/latents', 'O8', (1,), 200)]",
    "another place": "return A, [E('/etc/passwd', 'f4', (1,), 200)]",
    "twice": "return A, [E('/pairs/latents', 'f4', (1,), n) for n in (200, 300)]",
    "overlap": "return A, [E('/pairs/latents', 'f4', (4,), 200), E('/pairs/inputs', 'f4', (4,), 208)]",
    "large manifest": f"return A, [E('/manifest', 'S{layout.MAX_MANIFEST_BYTES + 1}', (), 200)]",
    "many axes": "return A, [E('/pairs/latents', 'f4', (1,) * 40, 200)]",
    "invented rule": "raise w.UnsafeFileError('RZ-V111', '/', 'a rule that no walk can break')",
}  # fmt: skip


@pytest.mark.parametrize("body", LIES.values(), ids=LIES)
def test_what_the_child_says_is_not_believed(body: str, bundle: Path, monkeypatch: pytest.MonkeyPatch, fresh: None):
    names = "A, E = {'format': 'rosetta-bundle', 'format_version': '1.0'}, w.Extent\n"
    _walk_as(monkeypatch, names + body)

    assert _refusal(bundle).rule.startswith("RZ-S0")


def test_the_next_file_is_looked_at_after_a_crash(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None
):
    large = builders.write(tmp_path / "large.h5", title="x" * 50_000)
    _walk_as(monkeypatch, "return os.abort() if file.get_filesize() > 50_000 else ({'format': 'well'}, [])")

    assert _refusal(large).rule == "RZ-S040"
    assert read_raw(bundle).attributes == {"format": "well"}


def test_a_warden_that_was_killed_is_replaced(bundle: Path, fresh: None):
    read_raw(bundle)
    first = sandbox._current
    assert first is not None

    first.process.kill()
    first.process.wait()

    assert read_raw(bundle).attributes["format"] == "rosetta-bundle"
    assert sandbox._current is not first


def test_a_warden_that_dies_while_it_is_asked_is_replaced_once(bundle: Path, fresh: None):
    read_raw(bundle)
    assert sandbox._current is not None
    sandbox._current.process.kill()  # not waited for: it may still look alive

    assert read_raw(bundle).attributes["format"] == "rosetta-bundle"


def test_a_python_without_hdf5_is_an_error_that_says_how_to_see_it(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, fresh: None
):
    monkeypatch.setattr(sandbox, "_search_path", lambda: [p for p in sys.path if "site-packages" not in p])

    with pytest.raises(SandboxError, match="import h5py"):
        read_raw(bundle)


def test_an_interpreter_that_cannot_be_started_is_an_error(bundle: Path, monkeypatch: pytest.MonkeyPatch, fresh: None):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    with pytest.raises(SandboxError, match="could not be started"):
        read_raw(bundle)


def test_threads_share_one_warden(bundle: Path):
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(read_raw(bundle).attributes["format"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == ["rosetta-bundle"] * 8


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork beside threads, which this test is about
def test_a_forked_process_starts_a_warden_of_its_own(bundle: Path):
    read_raw(bundle)
    warden = sandbox._current
    child = os.fork()
    if child == 0:
        own = read_raw(bundle).attributes["format"] == "rosetta-bundle" and sandbox._current is not warden
        sandbox._end()
        os._exit(0 if own else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert read_raw(bundle).attributes["format"] == "rosetta-bundle"
    assert sandbox._current is warden


def test_the_warden_ends_with_the_process_that_started_it(bundle: Path):
    code = (
        "import sys, os, signal; from pathlib import Path; from rosetta.bundle import reader; "
        "from rosetta.bundle.sandbox import parent as sandbox; "
        "reader.read_raw(Path(sys.argv[1])); print(sandbox._current.process.pid, flush=True); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    process = subprocess.run([sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, check=False)
    warden = int(process.stdout)

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(warden, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail("the warden outlived its owner")


def test_this_process_loads_no_hdf5_to_read_a_bundle(bundle: Path):
    code = (
        "import sys; from rosetta.validation.opening import open_valid; from pathlib import Path; "
        "open_valid(Path(sys.argv[1])); sys.exit('h5py' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code, str(bundle)], check=False).returncode == 0


def test_a_module_in_the_current_folder_is_not_run(bundle: Path, tmp_path: Path):
    for name in ("h5py.py", "numpy.py", "json.py", "sitecustomize.py"):
        (tmp_path / name).write_text("open('was-run', 'w')")
    code = "import sys; sys.path.remove(''); from rosetta.verbs.validate import validate; sys.path.insert(0, ''); "
    code += "sys.exit(validate(sys.argv[1]).exit_code)"

    result = subprocess.run([sys.executable, "-c", code, str(bundle)], cwd=tmp_path, check=False)

    assert result.returncode == 0
    assert not (tmp_path / "was-run").exists()


@LINUX
def test_the_bytes_cannot_be_changed_once_they_are_read(bundle: Path):
    with snapshot.opened(bundle) as source, snapshot.snapshot(source) as copy:
        with pytest.raises(PermissionError):
            os.pwrite(copy.descriptor, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(copy.descriptor, 3)


def test_a_system_without_sealed_memory_reads_the_same(bundle: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(snapshot, "HAS_SEALS", False)

    raw = read_raw(bundle)

    assert raw.arrays[layout.LATENTS].tolist() == builders.arrays()[layout.LATENTS].tolist()
    with (
        snapshot.opened(bundle) as source,
        snapshot.snapshot(source) as copy,
        pytest.raises(OSError, match="Bad file descriptor"),
    ):
        os.pwrite(copy.descriptor, b"x", 0)


def test_a_file_that_grows_while_it_is_read_stays_within_the_limit(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(layout, "MAX_FILE_BYTES", 1000)
    monkeypatch.setattr(reader, "_glance", lambda source: None)
    monkeypatch.setattr(os, "fstat", lambda fd, real=os.fstat: os.stat_result((*real(fd)[:6], 0, *real(fd)[7:10])))

    assert _refusal(bundle).rule == "RZ-S006"


MISSING = {
    "both": ("{'landlock': '', 'limits': ''}", "this system lacks Landlock and resource limits"),
    "Landlock": ("{'landlock': '', 'limits': 'memory'}", "limits on memory; this system lacks Landlock"),
}


@pytest.mark.parametrize(("isolation", "message"), MISSING.values(), ids=MISSING)
def test_what_the_system_lacks_is_told(
    isolation: str, message: str, bundle: Path, monkeypatch: pytest.MonkeyPatch, fresh: None
):
    start = sandbox._START.replace(
        "main()", f"import rosetta.bundle.sandbox.child as c; c.confine = lambda: {isolation}; main()"
    )
    monkeypatch.setattr(sandbox, "_START", start)

    report = validate(bundle)

    assert report.valid
    assert message in next(f.message for f in report.findings if f.rule == "RZ-I302")
