"""Data of any size, any workers and any interruption lead to the same bundle."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rosetta
from rosetta.adapters import Adapted
from rosetta.distillation import encode as encoding
from rosetta.distillation import latent_cache as keeping
from rosetta.distillation import sender as opened
from rosetta.errors import OutputError, SourceError, WorkerError
from rosetta.sources import Source
from rosetta.verbs import distill as distilling

N_ITEMS, N_FEATURES = 3000, 12
SIGNED: dict[str, Any] = {"license": "CC0-1.0", "title": "Curve", "creators": ["Alice"]}
FEW: dict[str, Any] = SIGNED | {"pairs": 24, "checks": 8, "reproducible": True}
TINY = 64 * 2**-20  # GiB: 64 KiB, less than half of the items


@pytest.fixture(scope="module")
def items() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (np.tanh(rng.normal(size=(N_ITEMS, 3)) @ rng.normal(size=(3, N_FEATURES))) * 3 + 7).astype(np.float32)


@pytest.fixture(scope="module")
def folder(items: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items in a file, a model of them, and another of other weights."""
    place = tmp_path_factory.mktemp("size")
    np.save(place / "items.npy", items)
    for name, seed in (("run", 0), ("other", 1)):
        rosetta.train(
            items, place / name, latent_dim=3, hidden=(16,), epochs=3, batch_size=64, seed=seed,
            preprocess="standardize",
        )  # fmt: skip
    return place


@pytest.fixture
def shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of 256 rows, twelve of them."""
    monkeypatch.setattr(encoding, "SHARD_ROWS", 256)


def _distilled(folder: Path, output: Path, **more: Any) -> str:
    settings = FEW | {"origin": "observed"} | more
    data = settings.pop("data", str(folder / "items.npy"))
    return rosetta.distill(folder / "run", data, output, **settings).content_id


@pytest.mark.parametrize(
    "settings",
    [
        {"origin": "observed"},
        {"origin": "averaged"},
        {"origin": "decoded"},
        {"origin": "moments"},
        {"origin": "mixed", "privacy": "open"},
        {"pairs": "auto", "stratify": "density"},
        {"select": "gmm", "policy": "excluded_rows = [3, 500, 2999]\nallow_reproducible = true", "privacy": "open"},
    ],
    ids=lambda settings: " ".join(settings.values()).partition("\n")[0],
)
def test_a_bundle_of_streamed_items_is_the_one_of_items_in_memory(
    settings: dict[str, str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if text := settings.get("policy"):
        (folder / "policy.toml").write_text(text)
        settings = settings | {"policy": str(folder / "policy.toml")}
    seen: list[str] = []
    encode_all = opened.encode_all

    def spied(model: Any, inputs: Any, kept: Any, **more: Any) -> None:
        seen.append(f"{type(inputs).__name__} to {type(kept.means).__name__}")
        encode_all(model, inputs, kept, **more)

    monkeypatch.setattr(opened, "encode_all", spied)
    whole = _distilled(folder, tmp_path / "whole.h5", **settings)
    monkeypatch.setattr(keeping, "HELD", 0)
    streamed = _distilled(folder, tmp_path / "streamed.h5", **settings, memory_gib=TINY)

    assert seen == ["ndarray to ndarray", "Stream to Spill"]
    assert streamed == whole
    assert sorted(each.name for each in tmp_path.iterdir()) == ["streamed.h5", "whole.h5"]


def test_threads_give_the_same_bundle(folder: Path, items: np.ndarray, tmp_path: Path, shards: None):
    done: list[int] = []
    alone = _distilled(folder, tmp_path / "alone.h5")
    with ThreadPoolExecutor(3) as pool:
        together = [
            _distilled(folder, tmp_path / f"{name}.h5", executor=pool, **more)
            for name, more in {
                "file": {"on_rows": lambda n_done, n_rows: done.append(n_done)},
                "array": {"data": items},
                "streamed": {"memory_gib": TINY},
            }.items()
        ]

    assert set(together) == {alone}
    assert done == sorted(done)
    assert (done[0], done[-1], len(done)) == (0, N_ITEMS, 13)


class _Tally(ThreadPoolExecutor):
    """Counts the bytes that an executor with processes would send."""

    def submit(self, work: Any, /, *arguments: Any, **named: Any) -> Any:
        self.sent = [*getattr(self, "sent", []), len(pickle.dumps((work, arguments, named)))]
        return super().submit(work, *arguments, **named)


def test_items_in_memory_are_sent_to_workers_once(folder: Path, items: np.ndarray, tmp_path: Path, shards: None):
    with _Tally(1) as pool:
        _distilled(folder, tmp_path / "b.h5", data=items, executor=pool)

    assert sum(pool.sent) < 2 * items.nbytes
    assert len(pool.sent) == 12


def _stop_after(n_rows: int, error: type[BaseException] = KeyboardInterrupt) -> Any:
    def on_rows(n_done: int, n_all: int) -> None:
        if n_done >= n_rows:
            raise error

    return on_rows


@pytest.fixture
def encoded_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of rows of each call of an encoder."""
    rows: list[int] = []
    load = distilling.load

    def counting(*arguments: Any) -> Adapted:
        model = load(*arguments)

        def encode(inputs: Any) -> Any:
            rows.append(len(inputs))
            return model.encode(inputs)

        return replace(model, encode=encode)

    monkeypatch.setattr(distilling, "load", counting)
    return rows


def test_an_interrupted_distillation_goes_on_where_it_was(
    folder: Path, tmp_path: Path, shards: None, encoded_rows: list[int]
):
    with pytest.raises(KeyboardInterrupt):
        _distilled(folder, tmp_path / "b.h5", resume=True, on_rows=_stop_after(5 * 256))
    assert [each.name for each in tmp_path.iterdir()] == ["b.h5.unfinished"]
    assert encoded_rows.count(256) == 5
    notes: list[str] = []
    alone = _distilled(folder, tmp_path / "b.h5", on_note=notes.append)
    assert notes[0] == "b.h5.unfinished holds an interrupted distillation: `resume` goes on with it, or remove it"
    (tmp_path / "b.h5").unlink()
    encoded_rows.clear()

    done: list[int] = []
    again = _distilled(folder, tmp_path / "b.h5", resume=True, on_rows=lambda n_done, n_rows: done.append(n_done))

    assert (done[0], done[-1]) == (5 * 256, N_ITEMS)
    assert encoded_rows.count(256) == 6  # the twelfth has fewer rows
    assert [each.name for each in tmp_path.iterdir()] == ["b.h5"]
    assert again == alone


def test_without_resume_nothing_stays_of_an_interrupted_distillation(
    folder: Path, tmp_path: Path, shards: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(keeping, "HELD", 0)

    with pytest.raises(KeyboardInterrupt):
        _distilled(folder, tmp_path / "b.h5", on_rows=_stop_after(512))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("model", "another model"),
        ("file", "another data"),
        ("rows", "another data, shape"),
        ("preprocessing", None),
    ],
)
def test_latents_of_something_else_are_not_gone_on_with(
    change: str, words: str | None, folder: Path, items: np.ndarray, tmp_path: Path, shards: None
):
    data = str(tmp_path / "items.npy")
    np.save(data, items)
    with pytest.raises(KeyboardInterrupt):
        _distilled(folder, tmp_path / "b.h5", data=data, resume=True, on_rows=_stop_after(512))
    run = folder / ("other" if change == "model" else "run")
    given: Any = Source(data, rows=":2000") if change == "rows" else data
    if change == "file":
        np.save(data, items[::-1])

    if words is None:
        assert _distilled(folder, tmp_path / "b.h5", data=Path(data), resume=True)
        return
    with pytest.raises(OutputError, match=f"{words}.*: remove the folder, or choose another output"):
        rosetta.distill(run, given, tmp_path / "b.h5", resume=True, origin="observed", **FEW)
    assert not (tmp_path / "b.h5").exists()


def test_arrays_in_memory_are_known_again_by_their_numbers(
    folder: Path, items: np.ndarray, tmp_path: Path, shards: None
):
    with pytest.raises(KeyboardInterrupt):
        _distilled(folder, tmp_path / "b.h5", data=items, resume=True, on_rows=_stop_after(512))
    with pytest.raises(OutputError, match="another data"):
        _distilled(folder, tmp_path / "b.h5", data=items[::-1].copy(), resume=True)
    dataset = torch.utils.data.TensorDataset(torch.from_numpy(items))

    assert _distilled(folder, tmp_path / "b.h5", data=dataset, resume=True) == _distilled(folder, tmp_path / "c.h5")


def test_what_is_in_the_way_is_no_unfinished_distillation(folder: Path, tmp_path: Path):
    (tmp_path / "b.h5.unfinished").mkdir()
    (tmp_path / "b.h5.unfinished" / "letter.txt").touch()

    with pytest.raises(OutputError, match="is in the way, and is no unfinished distillation"):
        _distilled(folder, tmp_path / "b.h5", resume=True)
    assert (tmp_path / "b.h5.unfinished" / "letter.txt").exists()


def _cut(path: str) -> None:
    os.truncate(path, Path(path).stat().st_size // 2)


def test_a_file_that_becomes_shorter_midway_is_an_error_and_nothing_is_written(
    folder: Path, items: np.ndarray, tmp_path: Path, shards: None
):
    data = str(tmp_path / "items.npy")
    for executor in (None, ThreadPoolExecutor(1)):
        np.save(data, items)
        with pytest.raises((SourceError, WorkerError), match="is shorter than it was|is not a whole .npy array"):
            _distilled(
                folder, tmp_path / "b.h5", data=data, memory_gib=TINY, executor=executor,
                on_rows=lambda n_done, n_rows: _cut(data) if n_done == 0 else None,
            )  # fmt: skip
        if executor is not None:
            executor.shutdown()
    assert [each.name for each in tmp_path.iterdir()] == ["items.npy"]


def test_an_executor_that_is_closed_is_an_error_with_the_way_on(folder: Path, tmp_path: Path, shards: None):
    pool = ThreadPoolExecutor(1)
    pool.shutdown()

    with pytest.raises(WorkerError, match="workers are gone .*start it anew and repeat the command.*`resume`"):
        _distilled(folder, tmp_path / "b.h5", executor=pool)
    assert list(tmp_path.iterdir()) == []


SCRIPT = """
import os, signal, sys
import rosetta
from rosetta.distillation import encode as encoding

def die(n_done, n_rows):
    if n_done >= 1280:
        os.kill(os.getpid(), signal.SIGKILL)

encoding.SHARD_ROWS = 256
folder, output = sys.argv[1:]
rosetta.distill(
    folder + "/run", folder + "/items.npy", output, resume=True, on_rows=die, origin="observed", pairs=24, checks=8,
    license="CC0-1.0", title="Curve", creators=["Alice"],
)
"""


@pytest.mark.slow
def test_a_distillation_that_was_killed_goes_on(folder: Path, tmp_path: Path, shards: None, encoded_rows: list[int]):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    killed = subprocess.run([sys.executable, script, folder, tmp_path / "b.h5"], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "b.h5").exists()

    again = _distilled(folder, tmp_path / "b.h5", resume=True)

    assert encoded_rows.count(256) == 6
    assert again == _distilled(folder, tmp_path / "c.h5")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b.h5", "c.h5", "script.py"]


@pytest.mark.slow
def test_processes_give_the_same_bundle_and_a_dead_one_ends_the_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(encoding, "SHARD_ROWS", 8)
    alone = _distilled(folder, tmp_path / "alone.h5")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert _distilled(folder, tmp_path / "together.h5", executor=pool) == alone
        victim = pool.submit(os.getpid).result()

        def kill(n_done: int, n_rows: int) -> None:
            if n_done == 8 * encoding.AHEAD:
                os.kill(victim, signal.SIGKILL)

        with pytest.raises(WorkerError, match="workers are gone .*start it anew .*`resume`"):
            _distilled(folder, tmp_path / "b.h5", executor=pool, on_rows=kill, resume=True)

    assert not (tmp_path / "b.h5").exists()
    assert _distilled(folder, tmp_path / "b.h5", resume=True) == alone


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=logging.CRITICAL
    ) as cluster:
        yield cluster


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_bundle_though_a_worker_dies(
    folder: Path, items: np.ndarray, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
):
    import dask
    from distributed import Client

    monkeypatch.setattr(encoding, "SHARD_ROWS", 16)  # so small that most are not yet sent when one dies
    alone = _distilled(folder, tmp_path / "alone.h5")
    with Client(cluster, set_as_default=False) as client, client.get_executor(pure=False) as executor:
        killed: list[int] = []

        def kill(n_done: int, n_rows: int) -> None:
            if n_done >= 512 and not killed:
                killed.extend(client.run(os.getpid).values())
                os.kill(killed[0], signal.SIGKILL)

        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 B"}):  # items are sent unremarked
            for name, more in {"array": {"data": items}, "file": {}, "killed": {"on_rows": kill}}.items():
                assert _distilled(folder, tmp_path / f"{name}.h5", executor=executor, **more) == alone
    assert len(killed) == 2


@pytest.mark.slow
def test_the_command_distils_on_a_dask_cluster(
    folder: Path, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from rosetta.cli.app import app

    def command(address: str, name: str) -> int:
        words = ["--license", "CC0-1.0", "--title", "Curve", "--creator", "Alice", "--origin", "observed",
                 "--reproducible"]  # fmt: skip
        with pytest.raises(SystemExit) as ended:
            app(["distill", "run", "items.npy", "-o", str(tmp_path / name), "--pairs", "24", "--checks", "8", "--dask",
                 address, *words])  # fmt: skip
        return int(str(ended.value.code or 0))

    monkeypatch.chdir(folder)  # where the workers are not
    assert command(cluster.scheduler_address, "b.h5") == 0
    assert rosetta.Bundle.open(tmp_path / "b.h5").content_id == _distilled(folder, tmp_path / "alone.h5")
    monkeypatch.setattr("rosetta.cli.dask.CONNECT_S", 1)
    for address in ("tcp://127.0.0.1:9", "nowhere"):
        assert command(address, "c.h5") == 2
        assert f"no Dask scheduler answers at {address}" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "c.h5").exists()
