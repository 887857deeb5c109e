"""Damaged copies of a signed bundle: none hangs, none crashes, none passes as the original unless it is the same."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rosetta.bundle.reader import RawBundle, read_raw
from rosetta.bundle.signature.envelope import signature_path
from rosetta.verbs.validate import validate
from tests import builders

N_MUTANTS = 5_000
ODD = (0, 1, 0x7F, 0xFF, 0x7FFF, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1, 96, 8)


class Original(NamedTuple):
    """A signed bundle, what is in it, and who is trusted to sign."""

    data: bytes
    raw: RawBundle
    signature: bytes
    trust: Path


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> tuple[Original, ...]:
    """The same pairs in an old and in a new form of HDF5."""
    folder = tmp_path_factory.mktemp("originals")
    first, second = builders.sign(folder / "old.h5"), folder / "new.h5"
    with h5py.File(first) as old, h5py.File(second, "w", libver=("v108", "v110")) as new:
        for key, value in old.attrs.items():
            new.attrs.create(key, value)
        for name in ("manifest", *builders.arrays()):
            new.create_dataset(name, data=old[name][()], dtype=old[name].dtype)
    trust = builders.trust(folder / "trust.toml")
    signature = signature_path(first).read_bytes()
    return tuple(Original(path.read_bytes(), read_raw(path), signature, trust) for path in (first, second))


def _flip(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: random.Random) -> None:
    """Put an odd number somewhere, aligned as addresses and sizes are."""
    n_bytes = rng.choice((1, 2, 4, 8))
    at = rng.randrange(0, len(data) - 8, n_bytes)
    data[at : at + n_bytes] = struct.pack("<Q", rng.choice(ODD))[:n_bytes]


def _copy(data: bytearray, rng: random.Random) -> None:
    """Put a stretch of the file over another."""
    n_bytes = rng.randrange(1, 64)
    source, target = (rng.randrange(len(data) - n_bytes) for _ in range(2))
    data[target : target + n_bytes] = data[source : source + n_bytes]


def _noise(data: bytearray, rng: random.Random) -> None:
    at, n_bytes = rng.randrange(len(data)), rng.randrange(1, 32)
    data[at : at + n_bytes] = rng.randbytes(len(data[at : at + n_bytes]))


def _point(data: bytearray, rng: random.Random) -> None:
    """Let something point to the start of a structure."""
    starts = [at for mark in (b"TREE", b"SNOD", b"HEAP", b"OHDR", b"FRHP") for at in _all(data, mark)]
    at = rng.randrange(0, len(data) - 8, 8)
    data[at : at + 8] = struct.pack("<Q", rng.choice(starts) if starts else 96)


def _resize(data: bytearray, rng: random.Random) -> None:
    """Cut a stretch out or put one in, and let the superblock say so."""
    at, n_bytes = rng.randrange(96, len(data)), rng.randrange(1, 64)
    if rng.random() < 0.5:
        del data[at : at + n_bytes]
    else:
        data[at:at] = rng.randbytes(n_bytes)
    end = 40 if data[8] == 0 else 28
    data[end : end + 8] = struct.pack("<Q", len(data))


def _all(data: bytes | bytearray, mark: bytes) -> list[int]:
    found, at = [], data.find(mark)
    while at >= 0:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (_flip, _overwrite, _copy, _noise, _point, _resize)


def _mutant(data: bytes, seed: int) -> bytes:
    """A copy with one to four changes, the same for the same seed; half spare what the superblock is checked for."""
    rng = random.Random(seed)  # noqa: S311  not for cryptography
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        rng.choice(CHANGES)(changed, rng)
    if rng.random() < 0.5:
        changed[:40] = data[:40]
        changed[48:56] = data[48:56] if data[8] == 0 else changed[48:56]
    return bytes(changed)


def _judge(data: bytes, original: Original, path: Path) -> str:
    """The rule that a mutant ends in, or "same" if it passes; then it has to be the original in all but packing."""
    path.write_bytes(data)
    signature_path(path).write_bytes(original.signature)
    report = validate(path, trust_file=original.trust)
    errors = [finding.rule for finding in report.findings if finding.severity in ("fatal", "error")]
    assert report.exit_code in range(6)
    assert report.valid == (not errors)
    if errors:
        return errors[0]
    raw = read_raw(path)
    assert raw.manifest == original.raw.manifest
    assert raw.attributes == original.raw.attributes
    assert set(raw.arrays) == set(original.raw.arrays)
    for name, array in original.raw.arrays.items():
        assert array.tobytes() == raw.arrays[name].tobytes()
        assert (array.dtype, array.shape) == (raw.arrays[name].dtype, raw.arrays[name].shape)
    return "same"


@pytest.mark.parametrize("form", [0, 1], ids=["old", "new"])
def test_no_mutant_passes_as_the_original(form: int, originals: tuple[Original, ...], tmp_path: Path):
    original = originals[form]

    ends = Counter(
        _judge(_mutant(original.data, seed), original, tmp_path / "bundle.h5") for seed in range(N_MUTANTS // 2)
    )

    assert sum(ends.values()) == N_MUTANTS // 2
    assert len(ends) > 8  # the mutants reach deep, and are not all stopped at the same door
    assert ends["same"] < N_MUTANTS // 4


def test_a_mutant_is_the_same_for_the_same_seed(originals: tuple[Original, ...]):
    data = originals[0].data

    assert [_mutant(data, seed) for seed in range(20)] == [_mutant(data, seed) for seed in range(20)]
    assert len({_mutant(data, seed) for seed in range(20)}) == 20


@pytest.mark.parametrize("name", sorted(builders.arrays()))
def test_every_flipped_bit_of_an_array_is_found(name: str, originals: tuple[Original, ...], tmp_path: Path):
    original = originals[0]
    values = original.raw.arrays[name]
    start = original.data.index(values.tobytes())
    rng = np.random.default_rng(0)

    for at in rng.choice(values.nbytes, size=min(8, values.nbytes), replace=False):
        data = bytearray(original.data)
        data[start + at] ^= 1 << int(rng.integers(8))
        assert _judge(bytes(data), original, tmp_path / "bundle.h5") == "RZ-V111"


def test_every_changed_byte_of_the_manifest_is_found(originals: tuple[Original, ...], tmp_path: Path):
    original = originals[0]
    start = original.data.index(b'{"content":')

    for at in range(start, start + len(original.raw.manifest or b""), 7):
        data = bytearray(original.data)
        data[at] ^= 1
        assert _judge(bytes(data), original, tmp_path / "bundle.h5") != "same"


EDITS = st.lists(
    st.tuples(
        st.integers(0, 2**20),
        st.one_of(st.binary(min_size=1, max_size=16), st.sampled_from(ODD).map(lambda odd: struct.pack("<Q", odd))),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck), derandomize=False)
@given(edits=EDITS, form=st.integers(0, 1))
def test_no_edit_passes_as_the_original(
    edits: list[tuple[int, bytes]], form: int, originals: tuple[Original, ...], tmp_path: Path
):
    original = originals[form]
    data = bytearray(original.data)
    for at, new in edits:
        place = at % (len(data) - len(new))
        data[place : place + len(new)] = new

    _judge(bytes(data), original, tmp_path / "bundle.h5")


def test_the_largest_numbers_in_every_place_of_the_structure_are_survived(
    originals: tuple[Original, ...], tmp_path: Path
):
    original = originals[0]
    arrays = sorted((original.data.index(array.tobytes()), array.nbytes) for array in original.raw.arrays.values())
    held = {at for start, n_bytes in arrays for at in range(start, start + n_bytes)}
    manifest = original.data.index(b'{"content":')
    held |= set(range(manifest, manifest + len(original.raw.manifest or b"")))
    places = [at for at in range(0, len(original.data) - 8, 8) if at not in held and any(original.data[at : at + 8])]

    for at in places:
        data = bytearray(original.data)
        data[at : at + 8] = b"\xff" * 7 + b"\x7f"
        _judge(bytes(data), original, tmp_path / "bundle.h5")

    assert len(places) > 100
