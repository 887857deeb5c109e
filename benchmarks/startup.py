"""Cold start of the quick commands: a fresh process each, against importing what they cannot do without.

Run: python -m benchmarks.startup
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import rosetta

ROUNDS = 9
ENTRY = [sys.executable, "-c", "from rosetta.cli import main; main()"]


def seconds(command: list[str]) -> float:
    """Return how long a command takes, start of the interpreter included."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Print medians over rounds in turns."""
    with tempfile.TemporaryDirectory() as folder:
        data = np.random.default_rng(0).random((500, 28, 28), dtype=np.float32)
        rosetta.train(data, Path(folder) / "run", epochs=1, latent_dim=16)
        bundle = str(Path(folder) / "b.h5")
        rosetta.distill(Path(folder) / "run", data, bundle, license="CC0-1.0", title="speed", creators=["benchmark"],
                        origin="observed")  # fmt: skip
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import numpy, h5py, pydantic, typer, rich": [
                sys.executable, "-c", "import numpy, h5py, pydantic, typer, rich.console",
            ],
            "rosetta --help": [*ENTRY, "--help"],
            "rosetta validate (64 + 32 pairs of 28×28)": [*ENTRY, "validate", bundle],
            "rosetta inspect (the same)": [*ENTRY, "inspect", bundle],
        }  # fmt: skip
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                times[name].append(seconds(command))
    print(f"{ROUNDS} rounds in turns, medians")
    for name, measured in times.items():
        print(f"{name:<44} {statistics.median(measured):.3f} s")


if __name__ == "__main__":
    main()
