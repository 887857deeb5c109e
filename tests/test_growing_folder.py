"""A folder that grows over hours becomes its name whole, or stays beside it to go on from."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from rosetta.errors import OutputError
from rosetta.files import CHECKPOINT, LOCK, PLAN, growing_folder, unfinished


def _grow(
    path: Path,
    *names: str,
    force: bool = False,
    resume: bool = False,
    error: type[BaseException] | BaseException | None = None,
) -> None:
    with growing_folder(path, force=force, resume=resume) as growing:
        for name in names:
            (growing / name).parent.mkdir(exist_ok=True)
            (growing / name).touch()
        if error:
            raise error


def _names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_what_grew_takes_its_name_without_what_was_there_to_go_on_from(tmp_path: Path):
    _grow(tmp_path / "run", "run.json", "seed-0/run.json", CHECKPOINT, PLAN)

    assert _names(tmp_path) == ["run", "run/run.json", "run/seed-0", "run/seed-0/run.json"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, FileNotFoundError])
def test_a_failure_leaves_a_state_if_there_is_one(tmp_path: Path, error: type[BaseException]):
    expected = OutputError if issubclass(error, OSError) else error
    with pytest.raises(expected):
        _grow(tmp_path / "without", "metrics.csv", error=error)
    with pytest.raises(expected):
        _grow(tmp_path / "with", CHECKPOINT, error=error)

    assert _names(tmp_path) == ["with.unfinished", f"with.unfinished/{LOCK}", f"with.unfinished/{CHECKPOINT}"]


def test_a_full_disk_is_told_with_what_is_left(tmp_path: Path):
    def full(*names: str) -> str:
        with pytest.raises(OutputError) as failure:
            _grow(tmp_path / "run", *names, error=OSError(errno.ENOSPC, "No space left on device"))
        return str(failure.value).replace(str(tmp_path), "")

    assert full() == (
        "/run could not be written (No space left on device); nothing was left behind: free some space, or choose "
        "another place"
    )
    assert full(CHECKPOINT) == (
        "/run could not be written (No space left on device); what was saved before is in /run.unfinished: free some "
        "space, then go on with `resume`"
    )


def test_an_interrupted_one_is_gone_on_with_or_discarded_or_left_alone(tmp_path: Path):
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        _grow(path, CHECKPOINT, "seed-0/metrics.csv", error=KeyboardInterrupt)

    with pytest.raises(OutputError, match="go on with it with `resume`, or discard it with `force`"):
        _grow(path)
    with growing_folder(path, force=False, resume=True) as growing:
        assert _names(growing) == [LOCK, CHECKPOINT, "seed-0", "seed-0/metrics.csv"]
    with pytest.raises(KeyboardInterrupt):
        _grow(path, CHECKPOINT, "seed-0/metrics.csv", error=KeyboardInterrupt)
    _grow(path, "run.json", force=True)

    assert _names(tmp_path) == ["run", "run/run.json"]


def test_what_a_killed_process_left_before_its_first_state_is_no_obstacle(tmp_path: Path):
    for names in ((), (LOCK,), (LOCK, "metrics.csv", ".metrics.csv.x7.tmp")):
        unfinished(tmp_path / "run").mkdir()
        for name in names:
            (unfinished(tmp_path / "run") / name).touch()

        _grow(tmp_path / "run", "run.json", force=True)

        assert _names(tmp_path) == ["run", "run/run.json"]


def test_half_written_files_of_a_killed_process_do_not_enter_the_result(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        _grow(tmp_path / "run", CHECKPOINT, f".{CHECKPOINT}.x7.tmp", "seed-0/.run.json.y8.tmp", error=KeyboardInterrupt)

    _grow(tmp_path / "run", "run.json", resume=True)

    assert _names(tmp_path) == ["run", "run/run.json", "run/seed-0"]


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_somebody_else_put_there_is_left_alone(tmp_path: Path, kind: str):
    other = unfinished(tmp_path / "run")
    if kind == "folder":
        other.mkdir()
        (other / "thesis.tex").touch()
    elif kind == "file":
        other.touch()
    else:
        (tmp_path / "elsewhere").mkdir()
        other.symlink_to("elsewhere")
    before = _names(tmp_path)

    for force, resume in ((False, False), (True, False), (False, True)):
        with pytest.raises(OutputError, match="is in the way, and is no unfinished training: remove it yourself"):
            _grow(tmp_path / "run", force=force, resume=resume)
    assert _names(tmp_path) == before


def test_neighbours_with_similar_names_survive(tmp_path: Path):
    for name in ("run.old", "run.replaced", "run.unfinished.old", "run.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.tex").touch()
    before = _names(tmp_path)

    _grow(tmp_path / "run", "run.json")
    _grow(tmp_path / "run", "run.json", force=True)

    assert _names(tmp_path) == sorted([*before, "run", "run/run.json"])


def test_force_replaces_a_result_at_the_end_only(tmp_path: Path):
    _grow(tmp_path / "run", "run.json", "old")
    with pytest.raises(KeyboardInterrupt):
        _grow(tmp_path / "run", CHECKPOINT, force=True, error=KeyboardInterrupt)
    assert _names(tmp_path / "run") == ["old", "run.json"]

    with pytest.raises(OutputError, match="is to take its place: add `force` to `resume`"):
        _grow(tmp_path / "run", resume=True)
    _grow(tmp_path / "run", "run.json", "new", resume=True, force=True)

    assert _names(tmp_path) == ["run", "run/new", "run/run.json"]


def test_what_appeared_meanwhile_is_kept_and_so_is_the_state(tmp_path: Path):
    def overtaken() -> None:
        with growing_folder(tmp_path / "run", force=False, resume=False) as growing:
            (growing / CHECKPOINT).touch()
            (tmp_path / "run").mkdir()
            (tmp_path / "run" / "thesis.tex").touch()

    with pytest.raises(OutputError, match="exists already"):
        overtaken()

    assert _names(tmp_path / "run") == ["thesis.tex"]
    assert (unfinished(tmp_path / "run") / CHECKPOINT).exists()


def test_a_finished_one_is_not_resumed(tmp_path: Path):
    _grow(tmp_path / "run", "run.json")

    with pytest.raises(OutputError, match="run is finished: there is nothing to resume"):
        _grow(tmp_path / "run", resume=True)
    assert _names(tmp_path) == ["run", "run/run.json"]


def test_one_process_at_a_time_has_it(tmp_path: Path):
    with growing_folder(tmp_path / "run", force=False, resume=False) as growing:
        (growing / CHECKPOINT).touch()
        for force, resume in ((False, False), (True, False), (False, True)):
            with pytest.raises(OutputError, match="another process is at work on"):
                _grow(tmp_path / "run", force=force, resume=resume)
        assert (growing / CHECKPOINT).exists()

    assert _names(tmp_path) == ["run"]


def test_a_lock_of_a_folder_that_has_gone_is_not_taken_for_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    flock, n_locked = fcntl.flock, [0]

    def overtaken(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        n_locked[0] += 1
        if n_locked[0] == 1:  # between opening and locking, another process finished, and its folder was renamed
            unfinished(tmp_path / "run").rename(tmp_path / "gone")

    monkeypatch.setattr(fcntl, "flock", overtaken)
    _grow(tmp_path / "run", "run.json")

    assert n_locked == [2]
    assert _names(tmp_path) == ["gone", f"gone/{LOCK}", "run", "run/run.json"]


def test_a_file_system_without_locks_is_good_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    _grow(tmp_path / "run", "run.json")

    assert _names(tmp_path) == ["run", "run/run.json"]
