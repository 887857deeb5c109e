"""Alice's trained model and bundles, made once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import rosetta


class Lab(NamedTuple):
    """A folder of digits, a model and bundles."""

    folder: Path
    train: str
    held_out: str
    bob: str
    run: Path
    observed: Path
    decoded: Path


SETTINGS = {"latent_dim": 4, "hidden": (64,), "epochs": 30, "batch_size": 64}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Alice's digits 0–4, her small model and two bundles of it, and Bob's digits 5–9."""
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("lab")
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    alice, bob = images[digits.target < 5], images[digits.target >= 5]
    np.savez(folder / "digits.npz", train=alice[180:], held_out=alice[:180], bob=bob)
    source = f"{folder / 'digits.npz'}::"
    rosetta.train(source + "train", folder / "alice", **SETTINGS)
    for origin, pairs in (("observed", 32), ("decoded", 256)):
        rosetta.distill(
            folder / "alice", source + "train", folder / f"{origin}.h5",
            license="CC0-1.0", title="Digits", creators=["Alice"], terms="Be kind.", citation="Alice (2026)",
            origin=origin, pairs=pairs,
        )  # fmt: skip
    return Lab(
        folder, source + "train", source + "held_out", source + "bob",
        folder / "alice", folder / "observed.h5", folder / "decoded.h5",
    )  # fmt: skip


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., str]:
    """Save an array as a .npy file and return its path."""

    def save(array: np.ndarray, name: str = "data.npy") -> str:
        np.save(tmp_path / name, array, allow_pickle=array.dtype == object)
        return str(tmp_path / name)

    return save
