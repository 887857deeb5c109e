"""A training that was interrupted, however, ends as if it had not been."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
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
from tests.training.commands import run, start

SMALL = {"hidden": (16,), "epochs": 4, "batch_size": 32, "latent_dim": None}
STEPS = 6  # an epoch of the data below
ANCHORED = {"anchors_per_step": 8}
EVERYTHING = ANCHORED | {
    "anchor_noise": 0.1, "anchor_spread_weight": 0.1, "anchor_elbo_weight": 0.1, "lr_schedule": "cosine",
    "lr_warmup": 1.0, "kl_anneal": 2.0, "patience": 1, "clip": 1.0,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "a plain VAE": {},
    "an R-VAE": ANCHORED,
    "an R-VAE with everything": EVERYTHING,
    "stacked replicates": EVERYTHING | {"replicates": 3, "replicate_mode": "stacked"},
    "sequential replicates": ANCHORED | {"replicates": 2, "replicate_mode": "sequential"},
}


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory, lab) -> str:
    """Two hundred of Bob's digits: 180 are trained on, 6 steps of 32 an epoch."""
    folder = tmp_path_factory.mktemp("digits")
    np.savez(folder / "digits.npz", bob=np.load(lab.folder / "digits.npz")["bob"][:200])
    return f"{folder / 'digits.npz'}::bob"


@pytest.fixture
def interrupt_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make the process get SIGTERM at the end of the so-manieth step from now on."""
    train_on = Training.train_on

    def plan(n_steps: int) -> None:
        left = [n_steps]

        def counted(training: Training, batch: Any) -> None:
            train_on(training, batch)
            left[0] -= 1
            if left[0] == 0:
                signal.raise_signal(signal.SIGTERM)

        monkeypatch.setattr(Training, "train_on", counted)

    return plan


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


def train(data: str, output: Path, lab, kind: str, **more: Any) -> None:
    anchors = [lab.observed] if "anchors_per_step" in KINDS[kind] else []
    rosetta.train(data, output, anchors=anchors, **SMALL | KINDS[kind] | more)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_interrupted_twice_ends_bit_for_bit_as_one_that_was_not(
    tmp_path: Path, lab, digits: str, kind: str, interrupt_after: Callable[[int], None]
):
    train(digits, tmp_path / "whole", lab, kind)
    expected = figures(tmp_path / "whole")

    # in the middle of an epoch and at its end; at the first step and the last of all
    n_steps = sum(int(each["epochs"]) for each in expected.values()) * STEPS // (3 if "stacked" in kind else 1)
    for number, steps in enumerate([(1, 9), (STEPS, STEPS), (STEPS + 2, 3), (n_steps,)]):
        output = tmp_path / f"run-{number}"
        for left in steps:
            interrupt_after(left)
            with pytest.raises(KeyboardInterrupt, match="the same command with --resume goes on from there"):
                train(digits, output, lab, kind, resume=True)
            assert not output.exists()
        interrupt_after(-1)
        train(digits, output, lab, kind, resume=True)

        assert figures(output) == expected
        assert {p.name for p in output.iterdir()} == {p.name for p in (tmp_path / "whole").iterdir()}


COMMAND = ("--epochs", 60, "--hidden", 16, "--batch-size", 32, "--device", "cpu", "--quiet", "--resume")


def test_a_training_killed_again_and_again_ends_as_one_that_was_not(tmp_path: Path, lab, digits: str):
    often = ("--checkpoint-epochs", 1), ("--checkpoint-minutes", 0.0002)
    anchored = ("train", digits, *COMMAND, "--anchors", lab.observed, "--anchors-per-step", 8)
    assert run(tmp_path, *anchored, "-o", "whole").code == 0
    expected = figures(tmp_path / "whole")
    rng = random.Random(0)

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
    command = start(tmp_path, "train", digits, *COMMAND[:-2], "--epochs", 10**6, "-o", "run")
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
    arguments = ("train", digits, *COMMAND[:-2], "--epochs", 10**6, "--checkpoint-minutes", 0, "-o", "run")
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
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.fixture
def stopped(tmp_path: Path, digits: str, interrupt_after: Callable[[int], None]) -> Path:
    """An output whose training was interrupted after an epoch and a step."""
    interrupt_after(STEPS + 1)
    with pytest.raises(KeyboardInterrupt):
        rosetta.train(digits, tmp_path / "run", **SMALL)
    interrupt_after(-1)
    return tmp_path / "run"


def test_a_fresh_start_over_an_interrupted_training_is_refused_and_force_discards_it(
    stopped: Path, digits: str, tmp_path: Path
):
    ended = run(tmp_path, "train", digits, *COMMAND[:-1], "-o", "run")

    assert ended.code == 2
    assert "--resume, or discard it with --force" in ended.err
    assert (unfinished(stopped) / CHECKPOINT).exists()

    rosetta.train(digits, stopped, force=True, **SMALL | {"epochs": 2})

    assert len(figures(stopped)["."]["rows"]) == 2
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["run"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 5}, "--epochs: 4 then, 5 now"),
        ({"batch_size": 16, "beta": 2.0}, "--batch-size: 32 then, 16 now\n  - --beta: 1.0 then, 2.0 now"),
        ({"hidden": (16, 8)}, "--hidden: 16 then, 16, 8 now"),
        ({"seed": 1}, "--seed: 0 then, 1 now"),
        ({"clip": 1.0}, "--clip: none then, 1.0 now"),
        ({"replicates": 2}, "what is trained: alone then, replicates now"),
    ],
)
def test_going_on_with_another_training_is_refused_and_says_what_differs(
    stopped: Path, digits: str, change: dict[str, Any], words: str
):
    with pytest.raises(rosetta.errors.IncompatibleError, match="was another one") as refusal:
        rosetta.train(digits, stopped, resume=True, **SMALL | change)

    assert f"  - {words}\n" in str(refusal.value)
    rosetta.train(digits, stopped, resume=True, **SMALL)  # it is as usable as before


def test_going_on_with_other_data_or_bundles_is_refused(stopped: Path, digits: str, lab):
    with pytest.raises(rosetta.errors.IncompatibleError, match="the data: .* then, .* now"):
        rosetta.train(lab.bob, stopped, resume=True, **SMALL)
    with pytest.raises(rosetta.errors.IncompatibleError, match="--anchors: none then, .* now"):
        rosetta.train(digits, stopped, anchors=[lab.observed], resume=True, **SMALL)
    with pytest.raises(rosetta.errors.IncompatibleError, match="--start-from: none then, .* now"):
        rosetta.train(digits, stopped, start_from=lab.run, resume=True, **SMALL | {"latent_dim": 4, "hidden": (64,)})


def test_sequential_replicates_that_are_done_are_not_mixed_with_others(
    tmp_path: Path, digits: str, interrupt_after: Callable[[int], None]
):
    several: dict[str, Any] = SMALL | {"replicates": 3, "replicate_mode": "sequential"}
    interrupt_after(4 * STEPS + 1)  # the first is done
    with pytest.raises(KeyboardInterrupt):
        rosetta.train(digits, tmp_path / "run", checkpoint_minutes=None, **several)
    interrupt_after(-1)

    for change in ({"epochs": 5}, {"replicates": 4}, {"replicates": 1}, {"replicate_mode": "stacked"}, {"beta": 2.0}):
        with pytest.raises(rosetta.errors.IncompatibleError, match="was another one"):
            rosetta.train(digits, tmp_path / "run", resume=True, **several | change)
    rosetta.train(digits, tmp_path / "run", resume=True, **several)

    rosetta.train(digits, tmp_path / "whole", **several)
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["runs.json", "seed-0", "seed-1", "seed-2"]


def test_a_finished_run_is_not_resumed_and_nothing_to_resume_is_a_start(tmp_path: Path, digits: str):
    rosetta.train(digits, tmp_path / "run", resume=True, **SMALL)
    before = (tmp_path / "run" / "run.json").read_bytes()

    ended = run(tmp_path, "train", digits, *COMMAND, "-o", "run")

    assert (ended.code, ended.err) == (2, "error: run is finished: there is nothing to resume\n")
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_of_two_processes_on_one_output_the_second_is_refused(tmp_path: Path, digits: str):
    arguments = ("train", digits, *COMMAND[:-2], "--epochs", 10**6, "--checkpoint-epochs", 1, "-o", "run")
    first = start(tmp_path, *arguments)
    first.wait_for(tmp_path / "run.unfinished" / CHECKPOINT)

    for more in ((), ("--resume",), ("--force",)):
        second = run(tmp_path, *arguments, *more)
        assert (second.code, second.out) == (2, "")
        assert "error: another process is training run: wait for it, or choose another name\n" in second.err

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
    with pytest.raises(TrainingError, match="in epoch 3, step 4, the reconstruction became inf. Try a smaller --lr"):
        rosetta.train(digits, output, checkpoint_epochs=1, **SMALL)

    assert not output.exists()
    tensors, document = load_state(unfinished(output)) or ({}, {})
    assert document["numbers"]["epoch"] == 3
    assert all(tensor.isfinite().all() for tensor in tensors.values() if tensor.is_floating_point())
    monkeypatch.setattr(Training, "train_on", train_on)
    rosetta.train(digits, output, resume=True, checkpoint_epochs=1, **SMALL)
    rosetta.train(digits, tmp_path / "whole", **SMALL)
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
