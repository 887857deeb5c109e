"""A folder of recordings: each segment that is listed beside one is an item."""

from __future__ import annotations

import csv
import io
import os
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from rosetta.arrays import Array, Sound
from rosetta.errors import SourceError
from rosetta.sources.images import SKIP, files_below
from rosetta.sources.rows import Rows, SourceKind, gone, sources

LATE_S = 1e-3  # an offset may lie so far behind the end: lists are rounded
LARGEST_LIST = 1 << 26  # bytes
LISTS = (".txt", ".csv")
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
CODES = {(PCM, 1): "u1", (PCM, 2): "<i2", (PCM, 3): "i3", (PCM, 4): "<i4", (FLOAT, 4): "<f4", (FLOAT, 8): "<f8"}
SCALES = {"u1": 256.0, "<i2": 1.0, "<i4": 2.0**-16, "<f4": 2.0**15, "<f8": 2.0**15}  # to units of 16 bits


class _Recording(NamedTuple):
    path: Path
    rate_hz: int
    code: str  # how a sample is written, as in CODES
    first: int  # byte of the first sample
    n_samples: int
    stamp: tuple[int, int]  # of the file: bytes, and nanoseconds when it was changed


class _Segment(NamedTuple):
    recording: _Recording
    onset_s: float
    offset_s: float
    label: str


def rows(folder: Path, name: str | None, skip_bad: bool = False) -> Rows:
    """Open the segments of the WAV recordings in `folder` and below, by file and as they are listed.

    Beside ``x.wav`` stands either ``x.txt``, with an onset and an offset in seconds in each line, and, if one likes, a
    label; or ``x.csv``, with columns ``onset_s``, ``offset_s`` and maybe ``label``. If no recording has a list, each
    is an item as a whole.

    Parameters
    ----------
    folder : path
        Where to look.
    name : None
        There is nothing to name.
    skip_bad : bool
        Leave out recordings and lists that cannot be read, and segments that lie outside.

    Raises
    ------
    SourceError
        If there is no segment, or a recording, a list or a segment cannot be used.
    """
    if name is not None:
        raise SourceError(f"{folder} is a folder of recordings, whose segments are items: leave '::{name}' out")
    paths = [folder / path for path in files_below(folder, [".wav"])]
    have_lists = any(path.with_suffix(ending).is_file() for path in paths for ending in LISTS)
    segments: list[_Segment] = []
    n_skipped = 0
    for path in paths:
        try:
            found = _listed(path) if have_lists else [_whole(path)]
        except SourceError:
            if not skip_bad:
                raise
            n_skipped += 1
            continue
        for segment in found:
            expected = _misfit(segment)
            if expected is None:
                segments.append(segment)
            elif skip_bad:
                n_skipped += 1
            else:
                raise SourceError(
                    f"{path} has a segment from {segment.onset_s:g} s to {segment.offset_s:g} s in its list, expected "
                    f"{expected}. Mend the list, or leave such segments out with --skip-bad"
                )
    if not segments:
        raise SourceError(f"{folder} holds no segment of a recording, in {len(paths)} .wav files")
    return Rows(
        (len(segments),), np.dtype(object), 1, lambda start, stop: _read(folder, segments, start, stop),
        columns=_columns(folder, segments), n_skipped=n_skipped,
    )  # fmt: skip


def _columns(folder: Path, segments: list[_Segment]) -> dict[str, Callable[[], Array]]:
    paths = [each.recording.path.relative_to(folder) for each in segments]
    return {
        "file": lambda: np.array([path.as_posix() for path in paths], dtype=str),
        "folder": lambda: np.array(["/".join(path.parent.parts) for path in paths], dtype=str),
        "label": lambda: np.array([each.label for each in segments], dtype=str),
        "onset_s": lambda: np.array([each.onset_s for each in segments]),
        "offset_s": lambda: np.array([each.offset_s for each in segments]),
    }


def _read(folder: Path, segments: list[_Segment], start: int, stop: int) -> Array:
    block = np.empty(stop - start, dtype=object)
    for row in range(start, stop):
        recording, onset_s, offset_s, _ = segments[row]
        first, end = (min(round(each * recording.rate_hz), recording.n_samples) for each in (onset_s, offset_s))
        try:
            with recording.path.open("rb") as file:
                samples = _samples(file, recording, first, end)
                is_same = _stamp(file) == recording.stamp
        except (OSError, ValueError) as error:
            raise gone(folder, row, row + 1, why=f"{recording.path.name}: {error}") from error
        if not is_same:
            raise gone(folder, row, row + 1, why=f"{recording.path.name} was written anew")
        if not np.isfinite(samples).all():
            raise SourceError(
                f"{recording.path} has samples from {onset_s:g} s to {offset_s:g} s that are no finite numbers: take "
                "this segment out of its list"
            )
        block[row - start] = Sound(samples, float(recording.rate_hz))
    return block


def _samples(file: BinaryIO, recording: _Recording, first: int, end: int) -> npt.NDArray[np.float32]:
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


def _listed(path: Path) -> list[_Segment]:
    """Return the segments that are listed beside a recording."""
    beside = [path.with_suffix(ending) for ending in LISTS if path.with_suffix(ending).is_file()]
    if len(beside) != 1:
        raise SourceError(
            f"{path} has {'two lists' if beside else 'no list'} of segments beside it: expected either "
            f"{path.stem}.txt, with onset and offset in seconds and maybe a label in each line, or {path.stem}.csv, "
            f"with columns onset_s and offset_s and maybe label. An empty .txt says that there is none. {SKIP}"
        )
    (place,) = beside
    try:
        with place.open("rb") as file:
            content = file.read(LARGEST_LIST + 1)
        if len(content) > LARGEST_LIST:
            raise ValueError(f"it is larger than {LARGEST_LIST >> 20} MiB")
        text, recording = content.decode("utf-8-sig"), _recording(path)
        lines = _table(text) if place.suffix == ".csv" else _lines(text)
        return [_Segment(recording, onset_s, offset_s, label) for onset_s, offset_s, label in lines]
    except (OSError, ValueError, csv.Error) as error:
        raise SourceError(f"{place} could not be read as a list of segments ({error}). {SKIP}") from error


def _lines(text: str) -> Iterator[tuple[float, float, str]]:
    """Yield onset, offset and label of each line, as AVA and Audacity write them."""
    for number, line in enumerate(text.splitlines(), start=1):
        parts = re.sub(r"(^|\s)#.*", "", line).split(maxsplit=2)
        if not parts or parts[0] == "\\":  # Audacity's second line, of frequencies
            continue
        if len(parts) < 2:
            raise ValueError(f"line {number} is {line.strip()!r}, expected onset and offset in seconds, and a label")
        yield _seconds(parts[0], number), _seconds(parts[1], number), parts[2].strip() if len(parts) > 2 else ""


def _table(text: str) -> Iterator[tuple[float, float, str]]:
    """Yield onset, offset and label of each row of a table, as crowsetta writes them."""
    table = csv.DictReader(io.StringIO(text, newline=""))
    columns = table.fieldnames or []
    if not {"onset_s", "offset_s"} <= set(columns):
        raise ValueError(f"its columns are {', '.join(columns) or 'none'}, expected onset_s, offset_s and maybe label")
    for row in table:
        onset_s, offset_s = (_seconds(row[name] or "", table.line_num) for name in ("onset_s", "offset_s"))
        yield onset_s, offset_s, row.get("label") or ""


def _seconds(text: str, number: int) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"line {number} has {text!r}, expected seconds") from error


def _whole(path: Path) -> _Segment:
    recording = _recording(path)
    return _Segment(recording, 0.0, recording.n_samples / recording.rate_hz, "")


def _misfit(segment: _Segment) -> str | None:
    """Return why a segment is none of its recording."""
    recording, onset_s, offset_s, _ = segment
    end_s = recording.n_samples / recording.rate_hz
    if not -LATE_S <= onset_s < offset_s <= end_s + LATE_S:
        return f"0 ≤ onset < offset ≤ {end_s:.4f} s, which is its end"
    if round(onset_s * recording.rate_hz) >= min(round(offset_s * recording.rate_hz), recording.n_samples):
        return "at least one sample"
    return None


def _recording(path: Path) -> _Recording:
    """Read what a WAV file says of its samples; chunks that are not about them are passed over."""
    try:
        with path.open("rb") as file:
            stamp = _stamp(file)
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
    return _Recording(path, rate_hz, code, start, size // int(code[-1]), stamp)


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


def _stamp(file: BinaryIO) -> tuple[int, int]:
    state = os.fstat(file.fileno())
    return state.st_size, state.st_mtime_ns


sources.register(".wav")(SourceKind(rows, is_folder=True))
