"""WAV files: a header, samples read in part. Never mapped: a mapped file that is cut short ends the process."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from rosetta.errors import SourceError
from rosetta.sources.images import SKIP

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
CODES = {(PCM, 1): "u1", (PCM, 2): "<i2", (PCM, 3): "i3", (PCM, 4): "<i4", (FLOAT, 4): "<f4", (FLOAT, 8): "<f8"}
SCALES = {"u1": 256.0, "<i2": 1.0, "<i4": 2.0**-16, "<f4": 2.0**15, "<f8": 2.0**15}  # to units of 16 bits


class Recording(NamedTuple):
    """A WAV file, and where its samples are."""

    path: Path
    rate_hz: int
    code: str  # how a sample is written, as in CODES
    first: int  # byte of the first sample
    n_samples: int
    stamp: tuple[int, int]  # of the file: bytes, and nanoseconds when it was changed


def open_recording(path: Path) -> Recording:
    """Read what a WAV file says of its samples; chunks that are not about them are passed over."""
    try:
        with path.open("rb") as file:
            stamp = stamp_of(file)
            kind, _, wave = struct.unpack("<4sI4s", file.read(12))
            if kind not in (b"RIFF", b"RF64") or wave != b"WAVE":
                raise ValueError("it does not begin as one")
            form: tuple[str, int] | None = None
            long_size = 0  # of the samples, where 32 bits do not hold it
            while True:
                chunk, size = struct.unpack("<4sI", file.read(8))
                start = file.tell()
                if chunk == b"fmt ":
                    form = _form(file.read(min(size, 40)))
                elif chunk == b"ds64":
                    long_size = struct.unpack("<QQ", file.read(16))[1]
                elif chunk == b"data":
                    break
                file.seek(start + size + size % 2)
    except OSError as error:
        raise SourceError(f"{path} could not be read ({error.strerror or error}). {SKIP}") from error
    except (ValueError, struct.error) as error:
        why = "it is cut short, or has no samples" if isinstance(error, struct.error) else error
        raise SourceError(f"{path} could not be read as a WAV recording ({why}). {SKIP}") from error
    if kind == b"RF64" and size == 0xFFFFFFFF:
        size = long_size
    if form is None or size == 0 or start + size > stamp[0]:
        why = f"has {size} bytes of samples by its header, and {stamp[0] - start} in fact" if form else "has no format"
        raise SourceError(f"{path} is no whole WAV recording: it {why}. {SKIP}")
    code, rate_hz = form
    return Recording(path, rate_hz, code, start, size // int(code[-1]), stamp)


def _form(chunk: bytes) -> tuple[str, int]:
    """Return how samples are written and how many there are a second."""
    tag, n_channels, rate_hz, _, n_bytes, _ = struct.unpack("<HHIIHH", chunk[:16])
    if tag == EXTENSIBLE:
        (tag,) = struct.unpack("<H", chunk[24:26])
    if n_channels != 1:
        raise ValueError(f"it has {n_channels} channels, expected 1: save the one to use as a file of its own")
    if (tag, n_bytes) not in CODES:
        raise ValueError(f"its format is {tag} with {n_bytes} bytes a sample, expected PCM of 8 to 32 bits, or float")
    if not rate_hz:
        raise ValueError("it has 0 samples a second")
    return CODES[tag, n_bytes], rate_hz


def read_samples(file: BinaryIO, recording: Recording, first: int, end: int) -> npt.NDArray[np.float32]:
    """Return samples in units of a 16-bit recording, shape (end - first,)."""
    code, n_bytes = recording.code, int(recording.code[-1])
    file.seek(recording.first + first * n_bytes)
    stored = file.read((end - first) * n_bytes)
    if len(stored) < (end - first) * n_bytes:
        raise ValueError("it is shorter than it was")
    if code == "i3":  # NumPy has no such numbers: they become the upper bytes of larger ones
        wide = np.zeros((end - first, 4), dtype=np.uint8)
        wide[:, 1:] = np.frombuffer(stored, dtype=np.uint8).reshape(-1, 3)
        stored, code = wide.tobytes(), "<i4"
    samples = np.frombuffer(stored, dtype=code).astype(np.float64)
    with np.errstate(over="ignore"):  # what is no float32 is not finite, and refused
        return ((samples - (128 if code == "u1" else 0)) * SCALES[code]).astype(np.float32)


def stamp_of(file: BinaryIO) -> tuple[int, int]:
    """Return what changes when a file is written anew."""
    state = os.fstat(file.fileno())
    return state.st_size, state.st_mtime_ns
