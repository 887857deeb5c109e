"""Whether several models train faster as one program or one after another: a few steps of both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from rosetta.errors import RosettaError
from rosetta.runs.fit import make_training
from rosetta.runs.job import Job, new_model
from rosetta.schemas.run import StepTimes, TrainSettings
from rosetta.training.items import Share
from rosetta.training.loop import Training

if TYPE_CHECKING:
    from lightning_fabric import Fabric

WARM_UP, STEPS, LONGEST_S = 3, 15, 3.0


def measure_steps(job: Job, each: Sequence[TrainSettings], fabric: Fabric) -> StepTimes:
    """Return the seconds that a step of all models takes, stacked and one after another; nothing of it is kept."""
    alone, _ = make_training(job, each[:1], [new_model(job, each[0])], fabric=fabric)
    sequential = len(each) * _seconds_a_step(alone)
    try:
        stacked, _ = make_training(job, each, [new_model(job, settings) for settings in each], fabric=fabric)
        return StepTimes(stacked_s=_seconds_a_step(stacked), sequential_s=sequential)
    except RosettaError:
        raise
    except Exception:  # torch.func cannot do everything, and says so with many kinds of exception
        return StepTimes(stacked_s=None, sequential_s=sequential)


def _seconds_a_step(training: Training) -> float:
    """Return the median time of a step."""
    training.program.train(True)
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < WARM_UP + STEPS and (not times or time.perf_counter() - began < LONGEST_S):
        for batch in training.items.batches(training.generators, training.plan.batch_size, Share()):
            _wait(training.device)
            started = time.perf_counter()
            training.train_on(batch)
            _wait(training.device)
            times.append(time.perf_counter() - started)
            if len(times) >= WARM_UP + STEPS or time.perf_counter() - began > LONGEST_S:
                break
    return statistics.median(times[min(WARM_UP, len(times) - 1) :])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
