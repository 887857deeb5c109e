"""Results appear whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from rosetta.errors import OutputError, SourceError
from rosetta.files import atomic_file, check_output, growing_folder, read_small


def test_a_file_appears_when_it_is_whole(tmp_path: Path):
    with atomic_file(tmp_path / "a.bin", force=False) as temporary:
        temporary.write_bytes(b"whole")
        assert [p.name for p in tmp_path.iterdir()] == [temporary.name]

    assert (tmp_path / "a.bin").read_bytes() == b"whole"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_result_can_be_read_by_whom_the_umask_lets(tmp_path: Path):
    before = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "a", force=True) as file:
            file.touch()
        with growing_folder(tmp_path / "b", force=True, resume=False) as folder:
            (folder / "c").touch()
    finally:
        os.umask(before)

    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o750


def test_a_secret_is_for_its_owner_whatever_the_umask(tmp_path: Path):
    before = os.umask(0)
    try:
        with atomic_file(tmp_path / "a", force=True, mode=0o600) as file:
            assert file.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)

    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_a_small_file_is_read_up_to_its_limit_and_nothing_else_is_waited_for(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"1234")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")

    assert read_small(tmp_path / "file", limit=4, what="a number") == b"1234"
    with pytest.raises(FileNotFoundError):
        read_small(tmp_path / "none", limit=4, what="a number")
    for name, limit, words in (
        ("file", 3, "larger than 3 bytes, and a number never is"),
        ("pipe", 4, "no regular file, but a number is one"),
        (".", 4, "no regular file"),
        ("loop", 4, "could not be read"),
    ):
        with pytest.raises(SourceError, match=words):
            read_small(tmp_path / name, limit=limit, what="a number")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_fails_leaves_the_old_result(tmp_path: Path, error: type[BaseException]):
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "run.json").write_text("old")

    def fail(what: AbstractContextManager[Path], name: str) -> None:
        with what as temporary:
            (temporary / name).write_text("half")
            raise error

    with pytest.raises(error):
        fail(atomic_file(tmp_path / "a", force=True), "")
    with pytest.raises(error):
        fail(growing_folder(tmp_path / "b", force=True, resume=False), "run.json")

    assert (tmp_path / "a").read_text() == (tmp_path / "b" / "run.json").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_a_folder_takes_the_old_ones_place(tmp_path: Path):
    for text in ("old", "new"):
        with growing_folder(tmp_path / "run", force=True, resume=False) as temporary:
            (temporary / text).touch()

    assert [p.name for p in (tmp_path / "run").iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path):
    tmp_path.chmod(0o500)

    with pytest.raises(OutputError, match="cannot be written to"):
        check_output(tmp_path / "a.h5", force=False, suffix=".h5")
    tmp_path.chmod(0o700)


def _limited(arguments: list[str], largest_file: int) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    command = [sys.executable, "-c", "from rosetta.cli import main; main()", *arguments]
    return subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)


def test_a_file_that_cannot_grow_is_one_clear_error_and_leaves_nothing(tmp_path: Path, lab):
    for arguments in (
        ["embed", str(lab.run), lab.train, "-o", str(tmp_path / "z.npy")],
        ["train", lab.bob, "-o", str(tmp_path / "run"), "--epochs", "1", "--hidden", "64"],
        ["distill", str(lab.run), lab.train, "-o", str(tmp_path / "b.h5"), "--license", "CC0-1.0", "--title", "T",
         "--creator", "A"],
    ):  # fmt: skip
        result = _limited(arguments, 4096)

        assert result.returncode == 2, result.stderr
        assert "could not be written" in result.stderr
        assert "Traceback" not in result.stderr
        assert list(tmp_path.iterdir()) == []


def test_an_interrupted_training_that_saves_nothing_leaves_nothing(tmp_path: Path, lab):
    command = [sys.executable, "-c", "from rosetta.cli import main; main()", "train", lab.bob, "--quiet"]
    process = subprocess.Popen(
        [*command, "-o", str(tmp_path / "run"), "--epochs", "100000", "--checkpoint-minutes", "0"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for _ in range(1200):  # until the training has begun, however slow the machine is
        if list(tmp_path.glob("*unfinished*/metrics.csv")):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)

    assert process.returncode == 130
    assert message == "error: interrupted; what was not finished was removed\n"
    assert list(tmp_path.iterdir()) == []


def test_of_two_writers_of_one_output_the_first_is_kept(tmp_path: Path):
    def write(what: AbstractContextManager[Path], name: str) -> None:
        with what as temporary:
            (tmp_path / "a").write_text("first")
            (tmp_path / "b").mkdir(exist_ok=True)
            (tmp_path / "b" / "run.json").write_text("first")
            (temporary / name).write_text("second")

    for second, name in (
        (atomic_file(tmp_path / "a", force=False), ""),
        (growing_folder(tmp_path / "b", force=False, resume=False), "c"),
    ):
        with pytest.raises(OutputError, match="exists already"):
            write(second, name)

    assert (tmp_path / "a").read_text() == (tmp_path / "b" / "run.json").read_text() == "first"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("name", [".", "..", "x/.."])
def test_a_folder_that_is_there_is_no_new_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(OutputError, match="give a new name"):
        check_output(Path(name), force=True)


def test_a_symbolic_link_is_not_replaced_by_a_folder(tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")

    with pytest.raises(OutputError, match="is a symbolic link"):
        check_output(tmp_path / "link", force=True)
