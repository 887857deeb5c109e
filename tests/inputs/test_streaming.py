"""Items that do not fit into memory are streamed from disk, and the training is as good as one in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import rosetta
from rosetta import preprocessing
from rosetta.errors import IncompatibleError, SourceError, UsageError
from rosetta.inputs import prepare, streaming
from rosetta.inputs.streaming import Blocks, Stream, facts_of, memory_budget
from rosetta.models.checkpoint import load_run
from rosetta.sources import Rows, open_rows
from rosetta.sources.memory import usable_memory
from rosetta.sources.subsets import subset
from rosetta.training import loop
from tests import builders

N_ITEMS, N_FEATURES = 6000, 20
QUICK: dict[str, Any] = {"latent_dim": 3, "hidden": (16,), "epochs": 2, "batch_size": 32}
SMALL = 128 * 2**-20  # GiB: 128 KiB, of which the pool gets 64 KiB, or 819 items
ENOUGH = 1.0


@pytest.fixture(scope="module")
def items() -> np.ndarray:
    """Items on a curved surface, sorted by where they are on it."""
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(N_ITEMS, 3))
    latents = latents[np.argsort(latents[:, 0])]
    return (np.tanh(latents @ rng.normal(size=(3, N_FEATURES))) * 3 + 7).astype(np.float32)


@pytest.fixture
def data(items: np.ndarray, tmp_path: Path) -> str:
    """A .npy file of the items."""
    np.save(tmp_path / "items.npy", items)
    return str(tmp_path / "items.npy")


def _chunked(items: np.ndarray, folder: Path, n_rows: int = 50, **more: Any) -> str:
    with h5py.File(folder / "items.h5", "w") as file:
        file.create_dataset("group/x", data=items, chunks=(n_rows, items.shape[1]), **more)
    return f"{folder / 'items.h5'}::group/x"


def _weights(run: Path) -> str:
    return load_run(run).record.weights_sha256


def _train(data: Any, run: Path, memory_gib: float | None = SMALL, **settings: Any) -> Any:
    return rosetta.train(data, run, memory_gib=memory_gib, **{**QUICK, **settings})


CHILD = """
import sys, torch, rosetta
from pathlib import Path
torch.set_num_threads(1)
small, large, folder, memory, preprocess = sys.argv[1:]
settings = {"hidden": (8,), "latent_dim": 2, "epochs": 1, "batch_size": 256, "preprocess": preprocess}
def status(name):
    line, = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) / 1024
rosetta.train(small, folder + "/small", **settings)
Path("/proc/self/clear_refs").write_text("5")  # the most from here on
before = status("VmRSS")
rosetta.train(large, folder + "/large", memory_gib=float(memory), **settings)
print(status("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux says how much memory a process took")
def test_streaming_takes_the_memory_that_it_was_given_and_not_that_of_the_data(tmp_path: Path):
    n_mib, budget_mib = 300, 32
    rng = np.random.default_rng(0)
    block = rng.random((256, 1024), dtype=np.float32)
    large = np.lib.format.open_memmap(tmp_path / "large.npy", mode="w+", dtype=np.float32, shape=(n_mib * 256, 1024))
    for start in range(0, len(large), 256):
        large[start : start + 256] = block
    del large
    np.save(tmp_path / "small.npy", block)

    def grown_by(memory_mib: float, preprocess: str) -> float:
        """Return the MiB that training on the large file took, beside what a trained process has anyway."""
        folder = tmp_path / f"{memory_mib}"
        folder.mkdir()
        command = [sys.executable, "-c", CHILD, str(tmp_path / "small.npy"), str(tmp_path / "large.npy"), str(folder)]
        done = subprocess.run(
            [*command, str(memory_mib / 1024), preprocess], capture_output=True, text=True, check=True
        )
        return float(done.stdout)

    assert grown_by(budget_mib, "standardize") < budget_mib + 48  # and activations, batches, blocks on their way
    assert grown_by(n_mib + 1, "none") > n_mib


def test_streamed_training_ends_where_training_in_memory_does(items: np.ndarray, data: str, tmp_path: Path):
    settings = {"preprocess": "standardize", "epochs": 6, "validation": 0.05, "lr": 3e-3}
    ends: dict[str, list[float]] = {"streamed": [], "whole": []}
    for seed in range(3):
        for name, memory in (("streamed", SMALL), ("whole", ENOUGH)):
            report = _train(data, tmp_path / f"{name}-{seed}", memory, seed=seed, **settings)
            ends[name].append(report.final.elbo)
            assert report.n_validation == 300  # of one seed, the same items
    start = _train(data, tmp_path / "start", ENOUGH, **{**settings, "epochs": 1}).final.elbo

    gained = {name: np.mean(elbos) - start for name, elbos in ends.items()}
    assert gained["whole"] > 3  # nats, and seeds differ by a third of a nat
    assert gained["streamed"] == pytest.approx(gained["whole"], abs=0.8)


@pytest.mark.parametrize("kind", ["contiguous", "chunked", "compressed", "big-endian", "doubles"])
def test_every_kind_of_file_gives_the_same_streamed_run(items: np.ndarray, data: str, tmp_path: Path, kind: str):
    if kind in ("big-endian", "doubles"):
        source = str(tmp_path / "other.npy")
        np.save(source, items.astype(">f4" if kind == "big-endian" else "f8"))
    elif kind == "contiguous":
        source = str(tmp_path / "items.h5")
        with h5py.File(source, "w") as file:
            file["group/x"] = items
    else:
        source = _chunked(items, tmp_path, n_rows=51, compression="gzip" if kind == "compressed" else None)

    for name, each in (("npy", data), ("other", source)):
        _train(each, tmp_path / name, preprocess="standardize")

    assert _weights(tmp_path / "npy") == _weights(tmp_path / "other")


def test_what_is_learned_of_the_data_does_not_depend_on_how_it_is_read(data: str, tmp_path: Path):
    for name, memory in (("streamed", SMALL), ("whole", ENOUGH)):
        _train(data, tmp_path / name, memory, preprocess="scale(0, 10) | standardize")
    streamed, whole = (load_run(tmp_path / name) for name in ("streamed", "whole"))

    assert streamed.config.value_range == pytest.approx(whole.config.value_range, rel=1e-6)
    assert streamed.step_arrays.keys() == whole.step_arrays.keys()
    for name, array in whole.step_arrays.items():
        assert streamed.step_arrays[name] == pytest.approx(array, rel=1e-12)


def test_data_that_fits_gives_the_same_run_whether_it_is_read_whole_or_in_blocks(
    items: np.ndarray, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, source, memory in (("array", items, None), ("file", data, None), ("just-fits", data, 6000 * 80 / 2**30)):
        _train(source, tmp_path / name, memory, preprocess="scale(0, 10)")
    monkeypatch.setattr(prepare, "READ_WHOLE", 0)
    _train(data, tmp_path / "blocks", None, preprocess="scale(0, 10)")

    assert len({_weights(tmp_path / name) for name in ("array", "file", "just-fits", "blocks")}) == 1


def test_the_same_command_gives_the_same_streamed_run(data: str, tmp_path: Path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        _train(data, tmp_path / name, seed=seed)

    assert _weights(tmp_path / "a") == _weights(tmp_path / "b") != _weights(tmp_path / "c")


def test_the_user_is_told_what_is_streamed_and_what_is_held_out(data: str, tmp_path: Path):
    notes: list[str] = []
    report = _train(data, tmp_path / "run", validation=0.4, on_note=notes.append)
    none_held = _train(data, tmp_path / "none", validation=0, on_note=notes.append)

    text = "\n".join(notes)
    assert (
        "the items would take 0.458 MiB of memory, more than `memory_gib` allows: they are streamed from disk" in text
    )
    assert "409 items are held out and not 2,400 (`validation=0.4`)" in text
    assert "the final figures are over a sample" in text
    assert (report.n_items, report.n_validation) == (N_ITEMS, 409)
    assert none_held.n_validation == 0
    assert np.isfinite(none_held.final.elbo)


def test_replicates_on_a_stream_run_one_after_another(data: str, tmp_path: Path):
    several = _train(data, tmp_path / "several", replicates=2)
    _train(data, tmp_path / "alone", seed=1)

    assert several.runs.mode == "sequential"
    assert _weights(tmp_path / "several" / "seed-1") == _weights(tmp_path / "alone")
    with pytest.raises(UsageError, match="these stay on disk: leave `replicate_mode` out"):
        _train(data, tmp_path / "stacked", replicates=2, replicate_mode="stacked")


def test_a_stream_is_anchored_as_other_data_is(tmp_path: Path):
    bundle = builders.write(tmp_path / "b.h5")
    raw = np.random.default_rng(0).integers(0, 256, size=(3000, 4, 5)).astype(np.uint8)
    np.save(tmp_path / "bob.npy", raw)
    np.save(tmp_path / "far.npy", raw.astype(np.float32) * 100)
    np.save(tmp_path / "wide.npy", raw.reshape(3000, 20))
    settings = {"latent_dim": None, "anchors": bundle}

    report = _train(str(tmp_path / "bob.npy"), tmp_path / "run", **settings)

    assert report.objective == "r-vae"
    for name, words in (("far", "the data ranges from 0 to 100, but inputs of the bundle"), ("wide", r"shape \(20,\)")):
        with pytest.raises(IncompatibleError, match=words):
            _train(str(tmp_path / f"{name}.npy"), tmp_path / name, **settings)


def test_counts_are_checked_and_their_totals_learned_in_one_pass(tmp_path: Path):
    counts = np.random.default_rng(0).poisson(3, size=(N_ITEMS, N_FEATURES)).astype(np.float32)
    np.save(tmp_path / "counts.npy", counts)
    counts[4321, 2] += 0.5
    np.save(tmp_path / "broken.npy", counts)
    for name, memory in (("streamed", SMALL), ("whole", ENOUGH)):
        _train(str(tmp_path / "counts.npy"), tmp_path / name, memory, likelihood="negative-binomial")
        with pytest.raises(UsageError, match=r"row 4321 .* holds numbers that are not whole"):
            _train(str(tmp_path / "broken.npy"), tmp_path / "no", memory, likelihood="poisson")

    streamed, whole = (load_run(tmp_path / name).config.library_size for name in ("streamed", "whole"))
    assert streamed == whole == np.median(np.rint(counts).sum(axis=1))


def _overwrite(path: str, row: int, value: float) -> None:
    mapped = np.load(path, mmap_mode="r+")
    mapped[row, 0] = value
    mapped.flush()


def _cut(path: str) -> None:
    os.truncate(path, Path(path).stat().st_size // 2)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: _overwrite(path, 4000, np.nan), "holds NaN or infinity, the first in row 4000"),
        (_cut, r"rows \d+ to \d+ of .*items.npy can no longer be read \(it is shorter than it was\)"),
    ],
)
def test_a_file_that_breaks_midway_ends_the_training_which_goes_on_once_it_is_mended(
    items: np.ndarray, data: str, tmp_path: Path, spoil: Callable[[str], None], words: str
):
    _train(data, tmp_path / "undisturbed", epochs=4, checkpoint_epochs=1)
    seen: list[int] = []

    def break_after_the_second(rows: list[dict[str, Any]]) -> None:
        seen.append(rows[0]["epoch"])
        if rows[0]["epoch"] == 2:
            spoil(data)

    with pytest.raises(SourceError, match=words) as caught:
        _train(data, tmp_path / "run", epochs=4, checkpoint_epochs=1, on_epoch=break_after_the_second)
    assert caught.value.exit_code == 2
    assert seen == [1, 2]
    with pytest.raises(SourceError):
        _train(data, tmp_path / "run", epochs=4, resume=True)
    np.save(data, items)
    _train(data, tmp_path / "run", epochs=4, resume=True)

    assert _weights(tmp_path / "run") == _weights(tmp_path / "undisturbed")


def test_a_file_that_is_removed_midway_is_read_to_the_end(data: str, tmp_path: Path):
    _train(data, tmp_path / "a")
    _train(data, tmp_path / "b", on_epoch=lambda rows: Path(data).unlink(missing_ok=True))

    assert _weights(tmp_path / "a") == _weights(tmp_path / "b")


def test_an_interrupted_epoch_goes_on_bit_for_bit(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop, "PROGRESS_EVERY_S", 0)
    _train(data, tmp_path / "whole", epochs=3)

    def interrupt(progress: Any) -> None:
        if progress.epoch == 2 and progress.n_rows_done > 1.5 * N_ITEMS:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        _train(data, tmp_path / "run", epochs=3, on_progress=interrupt)
    epochs: list[int] = []
    _train(data, tmp_path / "run", epochs=3, resume=True, on_epoch=lambda rows: epochs.append(rows[0]["epoch"]))

    assert epochs == [2, 3]
    assert _weights(tmp_path / "run") == _weights(tmp_path / "whole")


def test_a_training_does_not_go_on_with_other_blocks(data: str, tmp_path: Path):
    def interrupt(rows: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        _train(data, tmp_path / "run", on_epoch=interrupt)

    for memory in (2 * SMALL, ENOUGH):
        with pytest.raises(IncompatibleError, match=r"the data: .* in blocks of 102 of 819 rows \(`memory_gib`\) then"):
            _train(data, tmp_path / "run", memory, resume=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("items.npz", r"stored in pieces of 6,000 items, 0\.458 MiB each.*save it as a .npy file"),
        ("columns.npy", "stored in pieces of 6,000 items"),
        ("items.h5", "stored in pieces of 6,000 items"),
    ],
)
def test_what_cannot_be_read_in_parts_is_refused_with_the_way_out(
    items: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
):
    np.savez_compressed(tmp_path / "items.npz", x=items)
    np.save(tmp_path / "columns.npy", np.asfortranarray(items))
    _chunked(items, tmp_path, n_rows=N_ITEMS)
    monkeypatch.setattr(streaming, "SMALLEST_BLOCK", 1 << 14)

    with pytest.raises(SourceError, match=words):
        _train(str(tmp_path / name), tmp_path / "run")
    assert _train(str(tmp_path / name), tmp_path / "run", ENOUGH).n_items == N_ITEMS


def test_a_batch_must_fit_into_the_pool(data: str, tmp_path: Path):
    with pytest.raises(
        UsageError, match=r"`batch_size=1000` takes 0\.0763 MiB of memory, but `memory_gib` is 0\.125 MiB"
    ):
        _train(data, tmp_path / "run", batch_size=1000)


@pytest.mark.parametrize("memory_gib", [0, -1, float("nan"), float("inf"), "1", True])
def test_memory_is_a_number_above_zero(data: str, tmp_path: Path, memory_gib: Any):
    with pytest.raises(UsageError, match="`memory_gib` is .*; expected a number of GiB above 0"):
        _train(data, tmp_path / "run", memory_gib)


def test_without_a_word_half_of_the_memory_is_there_for_items_and_processes_share_it():
    cpu = torch.device("cpu")

    assert memory_budget(None, cpu) == usable_memory() // 2
    assert memory_budget(None, cpu, n_processes=4) == usable_memory() // 4 // 2
    assert memory_budget(0.5, cpu, n_processes=4) == 1 << 29


def test_blocks_begin_where_pieces_of_a_file_do_unless_these_are_too_large(items: np.ndarray, tmp_path: Path):
    for n_rows, block in ((1, 102), (40, 80), (60, 60), (100, 100), (200, 102)):
        rows = open_rows(_chunked(items, tmp_path, n_rows))
        found = Blocks.within(1 << 17, rows, N_FEATURES)
        assert found == (block, 819, 409)
        rows.close()


@pytest.mark.parametrize("block", [1, 7, 5000, 9999])
def test_a_stream_gives_the_rows_that_an_array_has(items: np.ndarray, data: str, block: int):
    (fitted, inputs), rows = preprocessing.fit("standardize", items), open_rows(data)
    stream = Stream(rows, fitted, data)
    picked = np.sort(np.random.default_rng(0).permutation(N_ITEMS)[:300])

    if block > 1:
        assert (stream.collected(block) == inputs).all()
    assert (stream.picked(picked, block) == inputs[picked]).all()
    assert stream.picked(picked[:0], block).shape == (0, N_FEATURES)
    assert stream.shape == inputs.shape


def test_facts_of_blocks_are_those_of_the_array():
    counts = np.random.default_rng(0).integers(0, 9, size=(100, 2, 3)).astype(np.float32)

    assert facts_of(np.split(counts, 10)) == (0, 8, None, np.median(counts.sum(axis=(1, 2))), None)
    counts[55, 1, 1] = -0.25
    assert facts_of(np.split(counts, 10)) == (-0.25, 8, 55, None, None)
    digests = {facts_of(np.split(counts, n), digested=True).sha256 for n in (1, 5, 10)}
    assert digests == {streaming.inputs_digest([counts])}
    assert digests != {streaming.inputs_digest([counts.reshape(100, 3, 2)])}


def test_large_finite_numbers_are_not_taken_for_infinity():
    largest = np.full((14, 100), np.finfo(np.float32).max)
    rows = Rows(largest.shape, largest.dtype, 1, lambda start, stop: largest[start:stop])
    stream = streaming.Stream(rows, [], "x")

    assert (stream.read(10, 14) == largest[10:]).all()
    largest[12, 7] = np.inf
    with pytest.raises(SourceError, match=r"x holds NaN or infinity, the first in row 12 \(counted from 0\)"):
        stream.read(10, 14)


def test_a_number_that_is_none_is_told_by_the_row_of_the_source_and_its_column():
    items = np.zeros((9, 3))
    items[5, 1] = np.nan
    rows = Rows(items.shape, items.dtype, 1, lambda start, stop: items[start:stop], features=("a", "b", "c"))

    with pytest.raises(SourceError, match=r"in row 5 \(counted from 0\), column b"):
        streaming.Stream(subset(rows, np.array([3, 5, 7])), [], "x").read(0, 3)


def test_the_command_streams_within_the_memory_that_it_is_given(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    from rosetta.cli.app import app

    def command(name: str) -> int:
        arguments = [
            "train",
            data,
            "-o",
            str(tmp_path / name),
            "--memory",
            str(SMALL),
            "--epochs",
            "1",
            "--hidden",
            "8",
        ]
        with pytest.raises(SystemExit) as ended:
            app(arguments)
        return int(str(ended.value.code or 0))

    assert command("run") == 0
    assert "streamed from disk in shuffled blocks of 102" in " ".join(capsys.readouterr().err.split())
    _overwrite(data, 17, np.inf)
    assert command("spoilt") == 2
    assert "NaN or infinity, the first in row 17" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_two_processes_train_on_one_stream(data: str, tmp_path: Path):
    script = tmp_path / "two.py"
    script.write_text(
        "import sys, rosetta\n"
        "rosetta.train(sys.argv[1], sys.argv[2], memory_gib=float(sys.argv[3]), devices=int(sys.argv[4]),\n"
        "              device='cpu', latent_dim=3, hidden=(16,), epochs=2, batch_size=32)\n"
    )
    for name, devices in (("one", "1"), ("two", "2")):
        subprocess.run([sys.executable, script, data, tmp_path / name, str(SMALL), devices], check=True, timeout=120)
    one, two = (load_run(tmp_path / name).record for name in ("one", "two"))

    assert two.processes == 2
    assert two.final.elbo == pytest.approx(one.final.elbo, rel=1e-3)
