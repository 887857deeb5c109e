"""Reading a large bundle with every digest checked, against hashing the file and copying it once.

Run: python -m benchmarks.reading
"""

from __future__ import annotations

import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from rosetta.bundle import Bundle, layout
from rosetta.bundle.reader import read_raw
from tests import builders

ROUNDS = 9
N_PAIRS, SHAPE = 3200, (128, 128)  # 200 MiB of f4


def make(path: Path) -> None:
    """Write a bundle of 200 MiB."""
    rng = np.random.default_rng(0)
    values = {
        layout.INPUTS: rng.random((N_PAIRS, *SHAPE), dtype=np.float32),
        layout.LATENTS: rng.normal(size=(N_PAIRS, builders.N_DIMS)).astype(np.float32),
        layout.ROLES: np.zeros(N_PAIRS, dtype=np.uint8),
    }
    builders.write(path, values)


def read_with_h5py(path: Path) -> None:
    """Read every array as a script without any care does."""
    with h5py.File(path) as file:
        for name in (layout.INPUTS, layout.LATENTS, layout.ROLES):
            file[name][()]


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> None:
    """Print medians over rounds in turns, and the ratio that readers are held to."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "b.h5"
        make(path)
        data = path.read_bytes()
        actions: dict[str, Callable[[], object]] = {
            "sha256 over the file, in memory": lambda: hashlib.sha256(data).digest(),
            "one copy: reading the file into memory": path.read_bytes,
            "h5py alone, nothing checked": lambda: read_with_h5py(path),
            "read_raw: snapshot, sandbox, arrays": lambda: read_raw(path),
            "Bundle.open: the same and every digest": lambda: Bundle.open(path),
        }
        times: dict[str, list[float]] = {name: [] for name in actions}
        for _ in range(ROUNDS):
            for name, action in actions.items():
                times[name].append(seconds(action))
    medians = {name: statistics.median(measured) for name, measured in times.items()}
    print(f"a bundle of {len(data) / 2**20:.0f} MiB, {ROUNDS} rounds in turns, medians")
    for name, measured in medians.items():
        print(f"{name:<44} {measured:.3f} s")
    hashing, copying, _, _, opening = medians.values()
    print(f"Bundle.open / (1.5 × sha256 + one copy)      {opening / (1.5 * hashing + copying):.2f}")


if __name__ == "__main__":
    main()
