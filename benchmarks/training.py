"""Speed of one training against a hand-written minimal PyTorch loop, in one process, in turns.

Run: python -m benchmarks.training
"""

from __future__ import annotations

import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

import rosetta

CASES = ((64, (512,), 8, 64, 20_000, 3), (784, (512, 256), 16, 256, 10_000, 3))
ROUNDS = 5


def minimal_loop(inputs: torch.Tensor, hidden: tuple[int, ...], n_dims: int, batch_size: int, epochs: int) -> float:
    """Train the same network with nothing but PyTorch and return rows/s."""
    n_items, n_features = inputs.shape
    sizes = [n_features, *hidden]
    inward = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    sizes = [n_dims, *reversed(hidden)]
    outward = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    encoder = nn.Sequential(*inward, nn.Linear(hidden[-1], 2 * n_dims))
    decoder = nn.Sequential(*outward, nn.Linear(hidden[0], n_features))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    started = time.perf_counter()
    for _ in range(epochs):
        order = torch.randperm(n_items)
        for start in range(0, n_items, batch_size):
            batch = inputs[order[start : start + batch_size]]
            mean, log_variance = encoder(batch).chunk(2, dim=1)
            output = decoder(mean + (0.5 * log_variance).exp() * torch.randn_like(mean))
            kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
            loss = (5.0 * ((output - batch) ** 2).sum(1) + kl).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return n_items * epochs / (time.perf_counter() - started)


def ours(
    data: np.ndarray,
    hidden: tuple[int, ...],
    n_dims: int,
    batch_size: int,
    epochs: int,
    folder: str,
    **more: object,
) -> float:
    """Train with `rosetta.train` and return its rows/s."""
    report = rosetta.train(
        data, Path(folder) / "run", latent_dim=n_dims, hidden=hidden, batch_size=batch_size, epochs=epochs,
        validation=0, force=True, **more,
    )  # fmt: skip
    return report.rows_per_s


def main() -> None:
    """Print the median rows/s of both loops and the median of their ratios, pair by pair."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {ROUNDS} rounds in turns after a warm-up")
    print(f"{'network':<22} {'batch':>5} {'ours':>11} {'minimal':>11} {'ratio':>6}   (64 observed anchors: ratio)")
    with tempfile.TemporaryDirectory() as folder:
        for n_features, hidden, n_dims, batch_size, n_items, epochs in CASES:
            data = np.random.default_rng(0).random((n_items, n_features), dtype=np.float32)
            arguments = (hidden, n_dims, batch_size)
            ours(data, *arguments, 1, folder)
            bundle = Path(folder) / f"{n_features}.h5"
            rosetta.distill(
                Path(folder) / "run", data, bundle, license="CC0-1.0", title="speed", creators=["benchmark"]
            )
            tensor = torch.from_numpy(data)
            minimal_loop(tensor, *arguments, 1)
            pairs = [
                (
                    ours(data, *arguments, epochs, folder),
                    minimal_loop(tensor, *arguments, epochs),
                    ours(data, *arguments, epochs, folder, anchors=[bundle]),
                )
                for _ in range(ROUNDS)
            ]
            own, plain, anchored = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b, _ in pairs)
            held = statistics.median(c / b for _, b, c in pairs)
            name = "→".join(map(str, (n_features, *hidden, n_dims)))
            print(f"{name:<22} {batch_size:>5} {own:>9,.0f}/s {plain:>9,.0f}/s {ratio:>6.2f}", end="   ")
            print(f"{anchored:>9,.0f}/s {held:>6.2f}")


if __name__ == "__main__":
    main()
