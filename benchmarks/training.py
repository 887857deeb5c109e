"""Speed of trainings against a hand-written minimal PyTorch loop and pythae, in one process, in turns.

Run: python -m benchmarks.training [single|replicates|pythae|memory|gpu]…
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rosetta.schemas.run import RunConfig, TrainSettings

import rosetta
from rosetta.models.vae import VAE, build_vae

ROUNDS = 5
# settings of the network, item shape, batch size, items, epochs
SINGLE: tuple[tuple[dict[str, Any], tuple[int, ...], int, int, int], ...] = (
    ({"hidden": (512,), "latent_dim": 8}, (64,), 64, 20_000, 3),
    ({"hidden": (512,), "latent_dim": 8}, (64,), 256, 40_000, 3),
    ({"hidden": (512, 256), "latent_dim": 16}, (784,), 256, 10_000, 3),
    ({"architecture": "conv", "channels": (16, 32), "hidden": (128,), "latent_dim": 16}, (28, 28), 128, 4_000, 2),
)
REPLICATES: tuple[tuple[dict[str, Any], tuple[int, ...], int, int, int], ...] = (
    ({"hidden": (512,), "latent_dim": 8}, (64,), 64, 10_000, 3),
    ({"hidden": (64, 64), "latent_dim": 2}, (5,), 100, 6_400, 5),
    ({"hidden": (512, 256), "latent_dim": 16}, (784,), 256, 5_000, 1),
)
N_REPLICATES = 10


def data_of(shape: tuple[int, ...], n_items: int) -> np.ndarray:
    """Return items of noise: speed does not depend on what they show."""
    return np.random.default_rng(0).random((n_items, *shape), dtype=np.float32)


def network(settings: dict[str, Any], shape: tuple[int, ...]) -> VAE:
    """Return the same network that `rosetta.train` trains."""
    chosen = {name: value for name, value in settings.items() if name != "latent_dim"}
    config = RunConfig(
        input_shape=shape, latent_dim=settings["latent_dim"], value_range=(0.0, 1.0), settings=TrainSettings(**chosen)
    )
    return build_vae(config)


def minimal(settings: dict[str, Any], data: np.ndarray, batch_size: int, epochs: int) -> float:
    """Train the network with nothing but PyTorch, as a user writes it, and return rows/s."""
    inputs, model = torch.from_numpy(data), network(settings, data.shape[1:])
    encoder, decoder = model.encoder, model.decoder
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    started = time.perf_counter()
    for _ in range(epochs):
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs), batch_size):
            batch = inputs[order[start : start + batch_size]]
            mean, log_variance = encoder(batch).chunk(2, dim=1)
            output = decoder(mean + (0.5 * log_variance).exp() * torch.randn_like(mean))
            kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
            loss = (5.0 * ((output - batch) ** 2).flatten(1).sum(1) + kl).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return len(inputs) * epochs / (time.perf_counter() - started)


def ours(settings: dict[str, Any], data: np.ndarray, batch_size: int, epochs: int, folder: Path, **more: Any) -> float:
    """Train with `rosetta.train` and return its rows/s, of all models together."""
    report = rosetta.train(
        data, folder / "run", batch_size=batch_size, epochs=epochs, validation=0.0, force=True,
        **{**settings, **({"latent_dim": None} if "anchors" in more else {}), **more},
    )  # fmt: skip
    return report.runs.rows_per_s if "replicates" in more else report.rows_per_s


def in_turns(rounds: int, *runs: Callable[[], float]) -> list[list[float]]:
    """Return each run's rows/s, round by round, after a warm-up."""
    for run in runs:
        run()
    table = [[run() for run in runs] for _ in range(rounds)]
    return [list(column) for column in zip(*table, strict=True)]


def name_of(settings: dict[str, Any], shape: tuple[int, ...]) -> str:
    """Return a network as text."""
    inner = settings.get("channels", ()) + settings["hidden"]
    kind = settings.get("architecture", "dense")
    return f"{kind} " + "→".join(map(str, ("×".join(map(str, shape)), *inner, settings["latent_dim"])))


def ratio(above: list[float], below: list[float]) -> float:
    """Return the median of the ratios, round by round."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def single(folder: Path) -> None:
    """One training against the minimal loop, without anchors and with 64."""
    print("\n| network | batch | ours | minimal loop | ours / minimal | with 64 anchors | cost | allowed |")
    print("|---|---|---|---|---|---|---|---|")
    for settings, shape, batch_size, n_items, epochs in SINGLE:
        data, bundle = data_of(shape, n_items), folder / f"{len(shape)}-{shape[0]}.h5"
        ours(settings, data, batch_size, 1, folder)
        rosetta.distill(
            folder / "run", data, bundle, license="CC0-1.0", title="speed", creators=["benchmark"], force=True,
            origin="observed",
        )  # fmt: skip
        own, plain, anchored = in_turns(
            ROUNDS,
            lambda: ours(settings, data, batch_size, epochs, folder),  # noqa: B023  called within the round
            lambda: minimal(settings, data, batch_size, epochs),  # noqa: B023
            lambda: ours(settings, data, batch_size, epochs, folder, anchors=[bundle]),  # noqa: B023
        )
        print(
            f"| {name_of(settings, shape)} | {batch_size} | {statistics.median(own):,.0f} rows/s "
            f"| {statistics.median(plain):,.0f} rows/s | {ratio(own, plain):.2f} "
            f"| {statistics.median(anchored):,.0f} rows/s | {ratio(own, anchored):.2f} "
            f"| {1.15 * (1 + 64 / batch_size):.2f} |",
            flush=True,
        )


def replicates(folder: Path) -> None:
    """Ten models at once against ten one after another."""
    print(f"\n| network | batch | one | {N_REPLICATES} at once, rows/s of all | {N_REPLICATES} at once / one |")
    print("|---|---|---|---|---|")
    for settings, shape, batch_size, n_items, epochs in REPLICATES:
        data = data_of(shape, n_items)
        alone, together = in_turns(
            ROUNDS,
            lambda: ours(settings, data, batch_size, epochs, folder),  # noqa: B023
            lambda: ours(
                settings, data, batch_size, epochs, folder, replicates=N_REPLICATES, replicate_mode="stacked"  # noqa: B023
            ),
        )  # fmt: skip
        print(
            f"| {name_of(settings, shape)} | {batch_size} | {statistics.median(alone):,.0f} rows/s "
            f"| {statistics.median(together):,.0f} rows/s | {ratio(together, alone):.2f} |",
            flush=True,
        )


def pythae(folder: Path) -> None:
    """Measure pythae's trainer on the same network and batch, on a tenth of the items: it is slow."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import pythae.models as pythae_models
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder
        from pythae.trainers import BaseTrainer, BaseTrainerConfig
    except ImportError as error:
        print(f"\npythae is not measured: {error}")
        return
    settings, shape, batch_size, n_items, _ = SINGLE[0]
    data, model = data_of(shape, n_items // 10), network(settings, shape)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            BaseEncoder.__init__(self)
            self.layers = model.encoder

        def forward(self, x: torch.Tensor) -> ModelOutput:
            mean, log_variance = self.layers(x).chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            BaseDecoder.__init__(self)
            self.layers = model.decoder

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.layers(z))

    def theirs() -> float:
        from pythae.data.datasets import BaseDataset

        items = torch.from_numpy(data)
        described = pythae_models.VAEConfig(input_dim=shape, latent_dim=settings["latent_dim"])
        vae = pythae_models.VAE(described, Encoder(), Decoder())
        config = BaseTrainerConfig(
            output_dir=str(folder / "pythae"), per_device_train_batch_size=batch_size, num_epochs=2, no_cuda=True,
            learning_rate=1e-3,
        )  # fmt: skip
        trainer = BaseTrainer(vae, BaseDataset(items, torch.ones(len(items))), training_config=config)
        trainer.prepare_training()
        started = time.perf_counter()
        trainer.train_step(1)
        return len(items) / (time.perf_counter() - started)

    own, other = in_turns(3, lambda: ours(settings, data, batch_size, 3, folder), theirs)
    print(
        f"\npythae 0.1.2, {name_of(settings, shape)}, batch {batch_size}: {statistics.median(other):,.0f} rows/s, "
        f"ours {statistics.median(own):,.0f} rows/s, {ratio(own, other):.1f} times as many"
    )


def memory(folder: Path) -> None:
    """Peak memory of a training in a process of its own, importing everything included."""
    code = (
        "import sys, numpy as np, rosetta, resource; n = int(sys.argv[1]); "
        "data = np.random.default_rng(0).random((20_000, 784), dtype=np.float32); "
        "rosetta.train(data, sys.argv[2], hidden=(512, 256), latent_dim=16, epochs=1, batch_size=256, replicates=n, "
        "replicate_mode='stacked' if n > 1 else 'auto', force=True); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    data_mib = 20_000 * 784 * 4 / 2**20
    for n_models in (1, 10):
        peak = subprocess.run(
            [sys.executable, "-c", code, str(n_models), str(folder / f"memory-{n_models}")],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        print(f"peak memory of {n_models} of dense 784→512→256→16, {data_mib:.0f} MiB of data: {int(peak):,} MiB")


def gpu(folder: Path) -> None:
    """Rows/s of one, 10 and 50 models on a GPU, in float32 and bf16."""
    if not torch.cuda.is_available():
        print("\nno GPU is at hand")
        return
    print(f"\n{torch.cuda.get_device_name()}")
    print("| network | batch | precision | one | 10 | 50 |")
    print("|---|---|---|---|---|---|")
    for settings, shape, batch_size, n_items, epochs in (*SINGLE[2:], REPLICATES[0]):
        for precision in ("32", "bf16"):
            data = data_of(shape, n_items)
            columns = in_turns(
                3,
                *(
                    lambda more=more: ours(  # type: ignore[misc]
                        settings, data, batch_size, epochs, folder, precision_mode=precision, **more  # noqa: B023
                    )
                    for more in (
                        {},
                        {"replicates": 10, "replicate_mode": "stacked"},
                        {"replicates": 50, "replicate_mode": "stacked"},
                    )
                ),
            )  # fmt: skip
            rates = " | ".join(f"{statistics.median(column):,.0f} rows/s" for column in columns)
            print(f"| {name_of(settings, shape)} | {batch_size} | {precision} | {rates} |", flush=True)
    print(f"peak memory on the GPU: {torch.cuda.max_memory_allocated() / 2**20:,.0f} MiB")


def main() -> None:
    """Print each table, or those that are named."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, medians of rounds in turns after a warm-up")
    parts = {"single": single, "replicates": replicates, "pythae": pythae, "memory": memory, "gpu": gpu}
    with tempfile.TemporaryDirectory() as folder:
        for part in sys.argv[1:] or parts:
            parts[part](Path(folder))
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MiB")


if __name__ == "__main__":
    main()
