"""Several processes train what one would, speak with one voice, and end together."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from rosetta.training.devices import is_first_process, is_started, launched_processes
from tests.training.commands import Command, Ended, figures, run, start

BIN = Path(sys.executable).parent
TRAIN = ("--hidden", 16, "--batch-size", 32, "--epochs", 4, "--device", "cpu")
LAUNCHERS = ("torchrun", "srun")


def variables(launcher: str, rank: int, n_processes: int, port: int) -> dict[str, str]:
    """Return what a launcher tells each process of one machine."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if launcher == "torchrun":
        return where | {
            "TORCHELASTIC_RUN_ID": "none", "RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0",
            "WORLD_SIZE": str(n_processes), "LOCAL_WORLD_SIZE": str(n_processes),
        }  # fmt: skip
    return where | {
        "SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "train", "SLURM_NODELIST": "127.0.0.1", "SLURM_NNODES": "1",
        "SLURM_NTASKS": str(n_processes), "SLURM_NTASKS_PER_NODE": str(n_processes), "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank), "SLURM_NODEID": "0", "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": str(n_processes), "SLURM_STEP_NUM_NODES": "1",
    }  # fmt: skip


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def launch(
    folder: Path, *arguments: object, launcher: str = "torchrun", n_processes: int = 2,
    interrupted: Mapping[int, int] | None = None,
) -> list[Command]:  # fmt: skip
    """Start processes, some of which get SIGTERM after so many steps."""
    port, steps = free_port(), interrupted or {}
    return [
        start(folder, *arguments, env=variables(launcher, rank, n_processes, port), interrupt_at=steps.get(rank))
        for rank in range(n_processes)
    ]


def run_all(folder: Path, *arguments: object, launcher: str = "torchrun", n_processes: int = 2) -> list[Ended]:
    commands = launch(folder, *arguments, launcher=launcher, n_processes=n_processes)
    return [command.wait() for command in commands]


def weights(folder: Path) -> np.ndarray:
    return np.concatenate(
        [w.ravel() for _, w in sorted(safetensors.numpy.load_file(folder / "model.safetensors").items())]
    )


def check_alike(one: Path, other: Path) -> None:
    a, b = weights(one), weights(other)
    assert np.linalg.norm(a - b) < 1e-4 * np.linalg.norm(a)
    assert np.abs(a - b).max() < 1e-3


@pytest.mark.parametrize(("launcher", "n_processes", "batch_size"), [("torchrun", 2, 33), ("srun", 3, 179)])
def test_several_processes_train_what_one_would(
    tmp_path: Path,
    lab,
    digits: str,
    launcher: str,
    n_processes: int,
    batch_size: int,
):
    # 180 items: the last step has 15 of 33, or 1 of 179 for three processes
    arguments = (
        "train",
        digits,
        *TRAIN,
        "--batch-size",
        batch_size,
        "--anchors",
        lab.observed,
        "--anchors-per-step",
        9,
    )
    assert run(tmp_path, *arguments, "-o", "alone").code == 0

    first, *others = run_all(
        tmp_path, *arguments, "-o", "together", "--json", launcher=launcher, n_processes=n_processes
    )

    assert first.code == 0, first.err
    assert json.loads(first.out)["epochs"] == 4
    assert [line.split()[1] for line in first.err.splitlines() if line.startswith("epoch")] == ["1", "2", "3", "4"]
    assert first.err.count("note: the anchor error is") == 1
    assert len(first.err.splitlines()) == 5
    assert others == [Ended(0, "", "")] * (n_processes - 1)
    assert json.loads((tmp_path / "together" / "run.json").read_text())["processes"] == n_processes
    check_alike(tmp_path / "alone", tmp_path / "together")
    for mine, theirs in zip(*(figures(tmp_path / name)["."]["rows"] for name in ("alone", "together")), strict=True):
        assert {k: float(v) for k, v in mine.items() if v} == pytest.approx(
            {k: float(v) for k, v in theirs.items() if v}, rel=1e-3, abs=1e-3
        )


def test_replicates_on_several_processes_come_one_after_another(tmp_path: Path, digits: str):
    arguments = ("train", digits, *TRAIN, "--epochs", 2, "--replicates", 2, "--quiet")
    assert run(tmp_path, *arguments, "-o", "alone", "--replicate-mode", "sequential").code == 0

    ended = run_all(tmp_path, *arguments, "-o", "together")

    assert [each.code for each in ended] == [0, 0], ended
    for name in ("seed-0", "seed-1"):
        check_alike(tmp_path / "alone" / name, tmp_path / "together" / name)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.npy", *TRAIN), "there is no file none.npy"),
        (("DATA", *TRAIN, "--sparse", 0), "sparse is 0"),
        (("DATA", *TRAIN, "--batch-size", 1), "there are 2 processes, but only 1 items in a step"),
        (("DATA", *TRAIN, "--devices", 3), "are 3 processes, but the launcher started 2: leave both out"),
        (("DATA", *TRAIN, "-o", "there"), "there is not a run folder"),
        (("DATA", *TRAIN, "--lr", 1e30), "the training diverged: in epoch "),
    ],
)
def test_what_is_wrong_is_said_once_and_ends_all(
    tmp_path: Path,
    digits: str,
    arguments: tuple[object, ...],
    words: str,
):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.tex").touch()
    arguments = tuple(digits if each == "DATA" else each for each in arguments)

    first, second = run_all(tmp_path, "train", "-o", "run", *arguments, "--quiet", "--force")

    assert first.err.startswith("error: ")
    assert words in first.err
    assert first.err.count("error: ") == 1
    assert (first.code, first.out) == (2, "")
    assert second == Ended(2, "", "")
    assert not (tmp_path / "run").exists()


def test_what_is_wrong_in_one_process_alone_is_said_by_the_first(tmp_path: Path, digits: str):
    port, there, elsewhere = free_port(), tmp_path / "there", tmp_path / "elsewhere"
    for folder in (there, elsewhere):
        folder.mkdir()
    (there / "data.npz").symlink_to(digits.partition("::")[0])

    commands = [
        start(folder, "train", "data.npz::bob", *TRAIN, "-o", "run", env=variables("srun", rank, 2, port))
        for rank, folder in enumerate((there, elsewhere))
    ]
    first, second = (command.wait() for command in commands)

    assert (first.code, first.out) == (2, "")
    assert first.err.startswith("error: process 1 of 2: there is no file data.npz")
    assert second == Ended(2, "", "")


@pytest.mark.parametrize("killed", [0, 1])
def test_when_one_process_is_killed_the_others_end_with_an_error(tmp_path: Path, digits: str, killed: int):
    commands = launch(
        tmp_path, "train", digits, *TRAIN, "--epochs", 10**6, "--checkpoint-epochs", 1, "-o", "run", "--quiet"
    )
    commands[0].wait_for(tmp_path / "run.unfinished" / "checkpoint.safetensors")
    began = time.monotonic()
    commands[killed].send(signal.SIGKILL)

    left = commands[1 - killed].wait()

    assert time.monotonic() - began < 60
    assert left.code == 2
    assert left.err.startswith(f"error: process {1 - killed} of 2 lost the others: one of them ended")
    assert left.err.count("error: ") == 1
    assert not (tmp_path / "run").exists()
    assert (tmp_path / "run.unfinished" / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("told", [(0,), (1,), (0, 1)])
def test_a_signal_to_any_process_saves_the_state_and_all_go_on_from_it(
    tmp_path: Path,
    lab,
    digits: str,
    told: tuple[int, ...],
):
    arguments = ("train", digits, *TRAIN, "--anchors", lab.observed, "--quiet", "--resume")
    commands = launch(tmp_path, *arguments, "-o", "run", interrupted=dict.fromkeys(told, 8))

    first, second = (command.wait() for command in commands)

    assert first.code == (143 if 0 in told else 130)
    assert first.err == (
        "error: stopped; what was saved is in run.unfinished: the same command with --resume goes on from there\n"
    )
    assert (second.out, second.err) == ("", "")
    assert second.code == 130
    refused = run(tmp_path, *arguments, "-o", "run")
    assert "  - processes: 2 then, 1 now\n" in refused.err
    assert [each.code for each in run_all(tmp_path, *arguments, "-o", "run")] == [0, 0]
    assert [each.code for each in run_all(tmp_path, *arguments, "-o", "whole")] == [0, 0]
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")


def test_a_batch_script_that_asked_for_several_tasks_trains_alone(tmp_path: Path, digits: str):
    script = variables("srun", 0, 4, free_port())
    for name in ("SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES", "SLURM_NTASKS_PER_NODE"):
        del script[name]

    ended = run(tmp_path, "train", digits, *TRAIN, "--epochs", 1, "-o", "run", "--quiet", env=script)

    assert (ended.code, ended.err) == (0, "")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["processes"] == 1


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_of_several_processes_exactly_one_is_the_first(monkeypatch: pytest.MonkeyPatch, launcher: str):
    assert (launched_processes(), is_started(), is_first_process()) == (1, False, True)
    for rank in range(3):
        for name, value in variables(launcher, rank, 3, 1).items():
            monkeypatch.setenv(name, value)
        assert (launched_processes(), is_started(), is_first_process()) == (3, True, rank == 0)


@pytest.mark.parametrize(("node", "local", "first"), [("0", "0", True), ("0", "1", False), ("1", "0", False)])
def test_of_machines_that_start_their_own_processes_one_has_the_first(
    monkeypatch: pytest.MonkeyPatch, node: str, local: str, first: bool
):
    monkeypatch.setenv("NODE_RANK", node)
    monkeypatch.setenv("LOCAL_RANK", local)

    assert (is_started(), is_first_process()) == (True, first)


def _shell(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(each) for each in command], cwd=folder, capture_output=True, text=True, check=False, timeout=100,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.slow
def test_the_command_starts_a_process_for_each_device(tmp_path: Path, digits: str):
    arguments = ("train", digits, *TRAIN)
    assert run(tmp_path, *arguments, "-o", "alone").code == 0

    ended = _shell(tmp_path, BIN / "rosetta", *arguments, "-o", "together", "--devices", 2, "--json")

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["run"] == "together"
    assert [line.split()[:2] for line in ended.stderr.splitlines()] == [["epoch", str(e)] for e in (1, 2, 3, 4)]
    check_alike(tmp_path / "alone", tmp_path / "together")


@pytest.mark.slow
def test_torchrun_starts_the_command(tmp_path: Path, digits: str):
    torchrun = (BIN / "torchrun", "--standalone", "--nproc-per-node", 2, BIN / "rosetta")
    arguments = ("train", digits, *TRAIN)
    assert run(tmp_path, *arguments, "-o", "alone").code == 0

    ended = _shell(tmp_path, *torchrun, *arguments, "-o", "together", "--json")

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["run"] == "together"
    check_alike(tmp_path / "alone", tmp_path / "together")
