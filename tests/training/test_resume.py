"""A training that was interrupted, however, ends as if it had not been."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rosetta
from rosetta.errors import TrainingError
from rosetta.files import CHECKPOINT, unfinished
from rosetta.training.checkpoint import load_state
from rosetta.training.loop import Training
from tests.training.commands import figures, run, start

EPOCHS, STEPS = 4, 6  # an epoch of the data below, 180 items, has 6 steps
COMMAND = ("--epochs", EPOCHS, "--hidden", 16, "--batch-size", 32, "--device", "cpu", "--quiet", "--resume")
SMALL: dict[str, Any] = {"hidden": (16,), "epochs": EPOCHS, "batch_size": 32, "device": "cpu"}
ANCHORED = ("--anchors", "BUNDLE", "--anchors-per-step", 8)
EVERYTHING = (
    *ANCHORED, "--anchor-noise", 0.1, "--anchor-spread-weight", 0.1, "--anchor-elbo-weight", 0.1, "--lr-schedule",
    "cosine", "--lr-warmup", 1, "--kl-anneal", 2, "--clip", 1,
)  # fmt: skip
KINDS: dict[str, tuple[object, ...]] = {
    "a plain VAE": (),
    "an R-VAE": ANCHORED,
    "an R-VAE with everything": EVERYTHING,
    "one that stops early": ("--patience", 1, "--lr", 0.03, "--epochs", 12),
    "stacked replicates": (*EVERYTHING, "--patience", 2, "--replicates", 3, "--replicate-mode", "stacked"),
    "sequential replicates": (*ANCHORED, "--replicates", 2, "--replicate-mode", "sequential"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_interrupted_four_times_ends_bit_for_bit_as_one_that_was_not(
    tmp_path: Path, lab, digits: str, kind: str
):
    arguments = ("train", digits, *COMMAND, *(lab.observed if each == "BUNDLE" else each for each in KINDS[kind]))
    assert run(tmp_path, *arguments, "-o", "whole").code == 0
    expected = figures(tmp_path / "whole")
    epochs = [each["epochs"] for each in expected.values()]
    n_steps = STEPS * (max(epochs) if "stacked" in kind else sum(epochs))

    # at the first step, in the middle of an epoch, at the end of one, and at the last step of all
    for interrupt_at in (1, STEPS + 2, 3, n_steps - 2 * STEPS):
        ended = run(tmp_path, *arguments, "-o", "run", interrupt_at=interrupt_at)
        assert ended.code == 143, ended.err
        assert not (tmp_path / "run").exists()
    assert run(tmp_path, *arguments, "-o", "run").code == 0

    assert figures(tmp_path / "run") == expected
    assert {p.name for p in (tmp_path / "run").rglob("*")} == {p.name for p in (tmp_path / "whole").rglob("*")}
    if "early" in kind:
        assert max(epochs) < 12


@pytest.mark.slow
def test_a_training_killed_again_and_again_ends_as_one_that_was_not(tmp_path: Path, lab, digits: str):
    often = ("--checkpoint-epochs", 1), ("--checkpoint-minutes", 0.0002)
    anchored = ("train", digits, *COMMAND, "--epochs", 60, "--anchors", lab.observed, "--anchors-per-step", 8)
    assert run(tmp_path, *anchored, "-o", "whole").code == 0
    expected = figures(tmp_path / "whole")
    rng = np.random.default_rng(0)

    for number, how_often in enumerate(often):
        output, n_killed = tmp_path / f"run-{number}", 0
        while n_killed < 30:
            command = start(tmp_path, *anchored, *how_often, "-o", output.name)
            if n_killed < 6:  # after a while, counted from the first state that it saves
                before = _state_time(output)
                while command.code is None and _state_time(output) == before:
                    time.sleep(0.002)
                time.sleep(rng.uniform(0, 0.05))
                command.send(signal.SIGKILL)
            code = command.wait().code
            if code == 0:
                break
            assert code == -signal.SIGKILL, command.err
            assert not output.exists()
            n_killed += 1

        assert n_killed >= 6
        assert figures(output) == expected
        assert {p.name for p in output.iterdir()} == {p.name for p in (tmp_path / "whole").iterdir()}
        assert not unfinished(output).exists()


def _state_time(output: Path) -> int | None:
    try:
        return (unfinished(output) / CHECKPOINT).stat().st_mtime_ns
    except FileNotFoundError:
        return None


@pytest.mark.slow
def test_a_training_killed_before_any_touch_of_the_disk_is_whole_or_goes_on(tmp_path: Path, digits: str):
    arguments = (
        "train", digits, *COMMAND, "--epochs", 2, "--checkpoint-epochs", 1, "--replicates", 2, "--replicate-mode",
        "sequential",
    )  # fmt: skip
    counted = run(tmp_path, *arguments, "-o", "whole", kill_at=0)
    expected, n_events = figures(tmp_path / "whole"), int(counted.err.split("events: ")[1])

    assert n_events > 40
    assert {p.name for p in (tmp_path / "whole" / "seed-0").iterdir()} == {
        "config.json", "metrics.csv", "model.safetensors", "run.json",
    }  # fmt: skip
    for kill_at in range(1, n_events + 1):
        output = tmp_path / "run"
        assert run(tmp_path, *arguments, "-o", "run", kill_at=kill_at).code == -signal.SIGKILL
        if output.exists():  # it became whole before the end
            assert not unfinished(output).exists()
            assert "is finished: there is nothing to resume" in run(tmp_path, *arguments, "-o", "run").err
        else:
            ended = run(tmp_path, *arguments, "-o", "run")
            assert ended.code == 0, (kill_at, ended.err)
            assert {p.name for p in output.rglob("*")} == {p.name for p in (tmp_path / "whole").rglob("*")}, kill_at
        assert figures(output) == expected, kill_at
        assert not unfinished(output).exists()
        subprocess.run(["rm", "-r", output], check=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_state_and_says_how_to_go_on(tmp_path: Path, digits: str, number: int, code: int):
    command = start(tmp_path, "train", digits, *COMMAND[:-1], "--epochs", 10**6, "-o", "run")
    command.wait_for(tmp_path / "run.unfinished" / "metrics.csv")
    command.send(number)

    ended = command.wait()

    assert ended.code == code
    assert ended.out == ""
    assert ended.err == (
        "error: stopped; what was saved is in run.unfinished: the same command with --resume goes on from there\n"
    )
    _, document = load_state(tmp_path / "run.unfinished") or ({}, {})
    assert len(document["rows"][0]) == document["numbers"]["epoch"] - 1 > 0
    assert not (tmp_path / "run").exists()


def test_a_signal_where_no_state_is_wanted_leaves_nothing(tmp_path: Path, digits: str):
    arguments = ("train", digits, *COMMAND[:-1], "--epochs", 10**6, "--checkpoint-minutes", 0, "-o", "run")
    command = start(tmp_path, *arguments)
    command.wait_for(tmp_path / "run.unfinished" / "metrics.csv")
    command.send(signal.SIGINT)

    ended = command.wait()

    assert (ended.code, ended.err) == (130, "error: interrupted; what was not finished was removed\n")
    assert not (tmp_path / "run.unfinished").exists()


def test_a_second_interruption_ends_at_once_and_the_state_before_stays(
    tmp_path: Path, digits: str, monkeypatch: pytest.MonkeyPatch
):
    output, train_on, n_steps = tmp_path / "run", Training.train_on, [0]
    handler = signal.getsignal(signal.SIGINT)  # in the background of a shell it is ignored

    def interrupted_twice(training: Training, batch: Any) -> None:
        train_on(training, batch)
        n_steps[0] += 1
        if n_steps[0] == 2 * STEPS + 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("the second one did not end it")

    monkeypatch.setattr(Training, "train_on", interrupted_twice)
    with pytest.raises(KeyboardInterrupt, match="what was saved is in"):
        rosetta.train(digits, output, checkpoint_epochs=1, **SMALL)

    _, document = load_state(unfinished(output)) or ({}, {})
    assert (document["numbers"]["epoch"], document["numbers"]["step"]) == (3, 0)
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.fixture
def stopped(tmp_path: Path, digits: str) -> Path:
    """The output of a training that was interrupted after an epoch and a step."""
    assert run(tmp_path, "train", digits, *COMMAND, "-o", "run", interrupt_at=STEPS + 1).code == 143
    return tmp_path / "run"


def test_a_fresh_start_over_an_interrupted_training_is_refused_and_force_discards_it(
    stopped: Path, digits: str, tmp_path: Path
):
    ended = run(tmp_path, "train", digits, *COMMAND[:-1], "-o", "run")

    assert ended.code == 2
    assert "--resume, or discard it with --force" in ended.err
    assert (unfinished(stopped) / CHECKPOINT).exists()

    assert run(tmp_path, "train", digits, *COMMAND[:-1], "--epochs", 2, "-o", "run", "--force").code == 0

    assert len(figures(stopped)["."]["rows"]) == 2
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["run"]


def test_going_on_with_another_training_is_refused_and_says_what_differs(
    stopped: Path, tmp_path: Path, digits: str, lab
):
    for change, words in (
        (("--epochs", 5), "--epochs: 4 then, 5 now"),
        (("--batch-size", 16, "--beta", 2), "--batch-size: 32 then, 16 now\n  - --beta: 1.0 then, 2.0 now"),
        (("--hidden", "16,8"), "--hidden: 16 then, 16, 8 now"),
        (("--seed", 1), "--seed: 0 then, 1 now"),
        (("--clip", 1), "--clip: none then, 1.0 now"),
        (("--replicates", 2), "what is trained: alone then, replicates now"),
        (("--anchors", lab.observed), "--anchors: none then, "),
        (("--start-from", lab.run, "--latent-dim", 4, "--hidden", 64), "--start-from: none then, "),
    ):
        refused = run(tmp_path, "train", digits, *COMMAND, *change, "-o", "run")
        assert refused.code == 2
        assert refused.err.startswith("error: the interrupted training was another one:\n  - ")
        assert f"  - {words}" in refused.err
    other_data = run(tmp_path, "train", lab.bob, *COMMAND, "-o", "run")
    assert "was another one:\n  - the data: " in other_data.err

    assert run(tmp_path, "train", digits, *COMMAND, "-o", "run").code == 0  # it is as usable as before


def test_sequential_replicates_that_are_done_are_not_mixed_with_others(tmp_path: Path, digits: str):
    several = ("train", digits, *COMMAND, "--replicates", 3, "--replicate-mode", "sequential", "-o", "run")
    # the first is done, and the second has no state to compare with
    interrupted = run(tmp_path, *several, "--checkpoint-minutes", 0, interrupt_at=EPOCHS * STEPS + 1)
    assert interrupted.code == 143

    for change in (
        ("--epochs", 5), ("--replicates", 4), ("--replicates", 1, "--replicate-mode", "auto"),
        ("--replicate-mode", "stacked"), ("--beta", 2),
    ):  # fmt: skip
        refused = run(tmp_path, *several, *change)
        assert "error: the interrupted training was another one:" in refused.err, change
    assert run(tmp_path, *several).code == 0

    assert run(tmp_path, *several, "-o", "whole").code == 0
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["runs.json", "seed-0", "seed-1", "seed-2"]


def test_a_finished_run_is_not_resumed_and_nothing_to_resume_is_a_start(tmp_path: Path, digits: str):
    assert run(tmp_path, "train", digits, *COMMAND, "-o", "run").code == 0
    before = (tmp_path / "run" / "run.json").read_bytes()

    ended = run(tmp_path, "train", digits, *COMMAND, "-o", "run")

    assert (ended.code, ended.err) == (2, "error: run is finished: there is nothing to resume\n")
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_of_two_processes_on_one_output_the_second_is_refused(tmp_path: Path, digits: str):
    arguments = ("train", digits, *COMMAND[:-1], "--epochs", 10**6, "--checkpoint-epochs", 1, "-o", "run")
    first = start(tmp_path, *arguments)
    first.wait_for(tmp_path / "run.unfinished" / CHECKPOINT)

    for more in ((), ("--resume",), ("--force",)):
        second = run(tmp_path, *arguments, *more)
        assert (second.code, second.out) == (2, "")
        assert "error: another process is at work on run: wait for it, or choose another name\n" in second.err

    assert first.code is None
    first.send(signal.SIGTERM)
    assert first.wait().code == 143


def test_a_training_that_diverges_leaves_the_state_before_and_no_run(
    tmp_path: Path, digits: str, monkeypatch: pytest.MonkeyPatch
):
    output, train_on, n_steps = tmp_path / "run", Training.train_on, [0]

    def spoilt(training: Training, batch: Any) -> None:
        n_steps[0] += 1
        train_on(training, batch._replace(inputs=batch.inputs * 1e30) if n_steps[0] == 2 * STEPS + 4 else batch)

    monkeypatch.setattr(Training, "train_on", spoilt)
    with pytest.raises(
        TrainingError, match="in epoch 3, step 4, the reconstruction became (inf|nan). Try a smaller `lr`"
    ):
        rosetta.train(digits, output, checkpoint_epochs=1, **SMALL)

    assert not output.exists()
    tensors, document = load_state(unfinished(output)) or ({}, {})
    assert document["numbers"]["epoch"] == 3
    assert all(tensor.isfinite().all() for tensor in tensors.values() if tensor.is_floating_point())
    for name in ("run", "whole"):
        assert run(tmp_path, "train", digits, *COMMAND, "-o", name).code == 0
    assert figures(output) == figures(tmp_path / "whole")


def test_weights_that_the_last_step_of_all_spoils_are_not_a_result(
    tmp_path: Path, digits: str, monkeypatch: pytest.MonkeyPatch
):
    train_on, n_steps = Training.train_on, [0]

    def spoilt(training: Training, batch: Any) -> None:
        train_on(training, batch)
        n_steps[0] += 1
        if n_steps[0] == 7:  # of 200 items, none held out
            with torch.no_grad():
                training.program.parameters[0].view(-1)[0] = float("nan")

    monkeypatch.setattr(Training, "train_on", spoilt)
    with pytest.raises(TrainingError, match="in epoch 1, step 7, the weights became nan"):
        rosetta.train(digits, tmp_path / "run", **SMALL | {"epochs": 1, "validation": 0.0})

    assert list(tmp_path.iterdir()) == []


def test_inputs_beyond_what_numbers_can_hold_end_with_one_message(tmp_path: Path):
    np.savez(tmp_path / "huge.npz", x=np.full((64, 6), 1e38, np.float32))

    ended = run(tmp_path, "train", "huge.npz::x", *COMMAND, "-o", "run")

    assert ended.code == 2
    assert ended.err.startswith("error: the training diverged: in epoch 1, step 1, the ")
    assert ended.err.count("\n") == 1
    assert not list(tmp_path.glob("run*"))


def test_a_state_that_cannot_be_saved_costs_a_note_and_not_the_training(tmp_path: Path, digits: str):
    arguments = ("train", digits, *COMMAND, "--epochs", 3, "--checkpoint-epochs", 1)
    assert run(tmp_path, *arguments, "-o", "whole").code == 0
    largest = (tmp_path / "whole" / "model.safetensors").stat().st_size

    ended = run(tmp_path, *arguments, "-o", "run", largest_file=largest)  # the state is three times as large

    assert ended.code == 0, ended.err
    assert ended.err.count("was not saved, training goes on:") == 1
    assert "File too large" in ended.err
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")


def test_on_a_disk_that_is_full_the_result_comes_first(tmp_path: Path, digits: str):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:  # it holds the result, and not the state beside the metrics
        ended = run(tmp_path, "train", digits, *COMMAND, "--checkpoint-epochs", 1, "-o", "disk/run")
        assert ended.code == 0, ended.err
        assert "No space left on device" in ended.err
        assert run(tmp_path, "train", digits, *COMMAND, "-o", "whole").code == 0
        assert figures(disk / "run") == figures(tmp_path / "whole")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_result_that_cannot_be_written_is_there_after_space_is_made(tmp_path: Path, digits: str):
    arguments = ("train", digits, *COMMAND, "--epochs", 3)
    assert run(tmp_path, *arguments, "-o", "whole").code == 0
    stopped = start(tmp_path, *arguments, "-o", "run", "--checkpoint-epochs", 1, "--epochs", 3, kill_at=30)
    assert stopped.wait().code == -signal.SIGKILL
    _, document = load_state(tmp_path / "run.unfinished") or ({}, {})
    assert document["numbers"]["epoch"] > 1

    full = run(tmp_path, *arguments, "-o", "run", largest_file=6000)  # metrics.csv and run.json fit, weights do not

    assert full.code == 2
    assert "run could not be written (File too large); what was saved before is in run.unfinished: free" in full.err
    assert "then go on with --resume" in full.err
    assert not (tmp_path / "run").exists()
    assert run(tmp_path, *arguments, "-o", "run").code == 0
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")
