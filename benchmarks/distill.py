"""Distilling a million rows and ten: speed against one pass of the encoder and MiniBatchKMeans in memory, and memory.

Run: python -m benchmarks.distill [stages] [whole] [memory] [dask]
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import pairwise_distances_argmin_min

import rosetta
from rosetta.adapters import Loading, open_model
from rosetta.distillation.encode import shard_rows
from rosetta.distillation.latent_cache import kept_latents
from rosetta.inputs.streaming import Stream
from rosetta.selection import select, selectors
from rosetta.sources import open_rows

ROUNDS = 3
N_ROWS, N_FEATURES, N_HIDDEN, N_DIMS, N_PAIRS = 1_000_000, 64, 128, 16, 256
N_CLUSTERS = 40
N_HEAVY = 262_144  # rows for a heavy encoder: four shards
WORDS = {"license": "CC0-1.0", "title": "Speed", "creators": ("Somebody",)}


def make_data(path: Path, n_rows: int) -> None:
    """Write clusters of items, a block at a time."""
    rng = np.random.default_rng(0)
    centres = 2 * rng.normal(size=(N_CLUSTERS, N_FEATURES)).astype(np.float32)
    items = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_rows, N_FEATURES))
    for start in range(0, n_rows, 100_000):
        n = min(100_000, n_rows - start)
        noise = rng.standard_normal((n, N_FEATURES), dtype=np.float32)
        items[start : start + n] = centres[rng.integers(N_CLUSTERS, size=n)] + noise
    items.flush()


def make_encoder(path: Path, *, n_hidden: int = N_HIDDEN) -> None:
    """Write an untrained dense encoder as a torch.export program for any number of items."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(N_FEATURES, n_hidden), torch.nn.ReLU(), torch.nn.Linear(n_hidden, N_DIMS)
    )
    shapes = ({0: torch.export.Dim("n_items", min=1)},)
    program = torch.export.export(network.eval(), (torch.zeros(2, N_FEATURES),), dynamic_shapes=shapes)
    torch.export.save(program, path)


def latents_of(encoder: Path, data: Path) -> np.ndarray:
    """One pass of the encoder over everything in memory: the hand-written minimum."""
    module = torch.export.load(encoder).module()
    items = torch.from_numpy(np.load(data))
    with torch.inference_mode():
        return np.concatenate([module(block).numpy() for block in torch.split(items, 65_536)])


def peer(encoder: Path, data: Path) -> tuple[np.ndarray, float, float]:
    """The encoder and scikit-learn's MiniBatchKMeans, all in memory: centroids, and seconds of both."""
    started = time.perf_counter()
    latents = latents_of(encoder, data)
    encoded = time.perf_counter()
    found = MiniBatchKMeans(N_PAIRS, random_state=0, n_init=1).fit(latents)
    return found.cluster_centers_, encoded - started, time.perf_counter() - encoded


def ours(encoder: Path, data: Path, folder: Path) -> tuple[np.ndarray, float, float]:
    """The same from disk to disk, as `rosetta distill` does it: chosen rows, and seconds of both."""
    started = time.perf_counter()
    model = open_model(str(encoder), Loading(torch.device("cpu")))
    stream = Stream(open_rows(data), [], str(data))
    n_rows = shard_rows(N_FEATURES)
    with kept_latents(
        folder / "b.h5", len(stream), N_DIMS, has_sds=False, shard_rows=n_rows, mark={}, resume=False
    ) as kept:
        for start in range(0, len(stream), n_rows):
            kept.put(start, *model.encode(stream[start : start + n_rows]))
        encoded = time.perf_counter()
        rows = select(kept.means, N_PAIRS, np.random.default_rng(0)).rows
    return rows, encoded - started, time.perf_counter() - encoded


def inertia(centres: np.ndarray, latents: np.ndarray) -> float:
    """Return the sum of squared distances to the nearest centre."""
    return float((pairwise_distances_argmin_min(latents, centres)[1] ** 2).sum())


def stages(folder: Path) -> None:
    """Print encoding and selection, ours and the peer's, in turns."""
    encoder, data = folder / "encoder.pt2", folder / "items.npy"
    latents = latents_of(encoder, data)
    times: dict[str, list[tuple[float, float]]] = {"peer": [], "ours": []}
    for _ in range(ROUNDS):
        centres, *peers = peer(encoder, data)
        _, *own = ours(encoder, data, folder)
        times["peer"].append((peers[0], peers[1]))
        times["ours"].append((own[0], own[1]))
    sample = latents[np.random.default_rng(0).permutation(len(latents))[:100_000]]
    found = selectors.get("kmeans")
    sampled = found.find(sample, N_PAIRS, np.random.default_rng(0))  # type: ignore[union-attr]
    print(f"{len(latents):,} rows × {N_FEATURES}, a dense encoder to {N_DIMS}, K = {N_PAIRS}, medians of {ROUNDS}")
    for name, each in times.items():
        encoding, choosing = (statistics.median(part) for part in zip(*each, strict=True))
        print(f"{name:<6} encoding {encoding:.2f} s  choosing {choosing:.2f} s  both {encoding + choosing:.2f} s")
    ratios = [sum(a) / sum(b) for a, b in zip(times["ours"], times["peer"], strict=True)]
    print(f"ours / peer                  {statistics.median(ratios):.2f}")
    print(f"inertia of centroids / peer  {inertia(sampled, latents) / inertia(centres, latents):.3f}")


def whole(folder: Path) -> None:
    """Print the whole command, audit and writing included, against the peer."""
    encoder, data = folder / "encoder.pt2", folder / "items.npy"
    ratios, seconds = [], []
    for _ in range(ROUNDS):
        _, *peers = peer(encoder, data)
        started = time.perf_counter()
        rosetta.distill(
            encoder, data, folder / "b.h5", origin="observed", pairs=N_PAIRS, force=True, memory_gib=0.125, **WORDS
        )
        seconds.append(time.perf_counter() - started)
        ratios.append(seconds[-1] / sum(peers))
    print(
        f"rosetta.distill, whole       {statistics.median(seconds):.2f} s, {statistics.median(ratios):.2f} of the peer"
    )


def memory(folder: Path) -> None:
    """Print peak memory and time of whole distillations of 1 and 10 million rows, a fresh process each."""
    for n_rows in (N_ROWS, 10 * N_ROWS):
        data = folder / f"{n_rows}.npy"
        make_data(data, n_rows)
        code = f"from benchmarks.distill import measured; measured({str(folder)!r}, {n_rows})"
        print(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout, end="")
        data.unlink()


def measured(folder: str, n_rows: int) -> None:
    """Distil, and print what it took of this process."""
    started = time.perf_counter()
    place = Path(folder)
    rosetta.distill(
        place / "encoder.pt2", place / f"{n_rows}.npy", place / "m.h5", origin="observed", pairs=N_PAIRS, force=True,
        **WORDS,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    # not getrusage, whose peak is that of the parent if that was larger
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(f"{n_rows:>10,} rows  {seconds:.1f} s  peak {int(peak) / 2**20:.2f} GiB")


def dask(folder: Path) -> None:
    """Print how a heavy encoder goes on one and on two Dask workers of one thread each."""
    from distributed import Client, LocalCluster

    torch.set_num_threads(1)
    encoder, data = folder / "heavy.pt2", folder / "items.npy"
    make_encoder(encoder, n_hidden=8192)
    for n_workers in (1, 2):
        with (
            LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            seconds = []
            for _ in range(2):  # the first opens everything
                progress: list[float] = []
                started = time.perf_counter()
                rosetta.distill(
                    encoder, rosetta.Source(data, rows=f":{N_HEAVY}"), folder / "d.h5", origin="observed",
                    pairs=N_PAIRS, force=True, memory_gib=0.01, executor=client.get_executor(pure=False),
                    on_rows=lambda done, of, at=progress: at.append(time.perf_counter()), **WORDS,
                )  # fmt: skip
                seconds.append(progress[-1] - started)
            print(f"{n_workers} Dask workers: encoding {seconds[-1]:.2f} s")


def main() -> None:
    """Run what is named, or all."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of workers, which start later
    parts = {"stages": stages, "whole": whole, "memory": memory, "dask": dask}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder / "items.npy", N_ROWS)
        make_encoder(folder / "encoder.pt2")
        for part in sys.argv[1:] or parts:
            parts[part](folder)


if __name__ == "__main__":
    main()
