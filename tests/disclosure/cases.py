"""Points whose leaks are known, and honest ones, for attacks to be tried on."""

from __future__ import annotations

from typing import Any

import numpy as np
from rosetta.schemas.audit import AttackResult

from rosetta.disclosure.adversary import run_attacks
from rosetta.disclosure.attacks import Side
from rosetta.disclosure.verdicts import is_alarm

N_NUMBERS, N_DIMS = 60, 3


def world(seed: int, n_members: int = 150, n_others: int = 300) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Members and outsiders of one kind, float32, shape (n, 60), and random numbers to go on with."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(10, N_NUMBERS))
    items = [
        (rng.normal(size=(n, 10)) @ mixing + rng.normal(size=(n, N_NUMBERS))).astype(np.float32)
        for n in (n_members, n_others)
    ]
    return items[0], items[1], rng


def encode(inputs: np.ndarray) -> np.ndarray:
    """A fixed encoder, from 60 numbers to 3."""
    weights = np.random.default_rng(99).normal(size=(N_NUMBERS, N_DIMS)) / N_NUMBERS**0.5
    return np.tanh(inputs @ weights / 3).astype(np.float32)


def side(inputs: np.ndarray, **more: Any) -> Side:
    """A side whose items are each their own."""
    return Side(inputs, np.arange(len(inputs)), **more)


def attacked(name: str, points: np.ndarray, members: Side, others: Side, **more: Any) -> AttackResult:
    """What one attack finds."""
    latents = more.pop("latents", None)
    (result,) = run_attacks(
        points.astype(np.float32), encode(points) if latents is None else latents, {"decoded": np.arange(len(points))},
        (members, others), n_items=len(members.inputs), names=[name], **more,
    )  # fmt: skip
    return result


def tells(result: AttackResult) -> bool:
    """Whether it is an alarm, had it been one of twenty attacks."""
    return is_alarm(result, 20)
