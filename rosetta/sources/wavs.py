"""A folder of recordings: each segment that is listed beside one is an item."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rosetta.arrays import Array, Sound
from rosetta.errors import SourceError
from rosetta.sources.images import SKIP, files_below
from rosetta.sources.riff import Recording, open_recording, read_samples, stamp_of
from rosetta.sources.rows import Rows, SourceKind, gone, sources
from rosetta.sources.segments import lines_of, rows_of

LATE_S = 1e-3  # an offset may lie so far behind the end: lists are rounded
LARGEST_LIST = 1 << 26  # bytes
LISTS = (".txt", ".csv")


class _Segment(NamedTuple):
    recording: Recording
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
    skipped: list[str] = []
    for path in paths:
        try:
            found = _listed(path) if have_lists else [_whole(path)]
        except SourceError as error:
            if not skip_bad:
                raise
            skipped.append(str(error))
            continue
        for segment in found:
            expected = _misfit(segment)
            if expected is None:
                segments.append(segment)
                continue
            problem = (
                f"{path} has a segment from {segment.onset_s:g} s to {segment.offset_s:g} s in its list, expected "
                f"{expected}. Mend the list, or leave such segments out with `skip_bad`"
            )
            if not skip_bad:
                raise SourceError(problem)
            skipped.append(problem)
    if not segments:
        raise SourceError(f"{folder} holds no segment of a recording, in {len(paths)} .wav files")
    return Rows(
        (len(segments),), np.dtype(object), 1, lambda start, stop: _read(folder, segments, start, stop),
        columns=_columns(folder, segments), skipped=tuple(skipped),
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
                samples = read_samples(file, recording, first, end)
                is_same = stamp_of(file) == recording.stamp
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
        text, recording = content.decode("utf-8-sig"), open_recording(path)
        lines = rows_of(text) if place.suffix == ".csv" else lines_of(text)
        return [_Segment(recording, onset_s, offset_s, label) for onset_s, offset_s, label in lines]
    except (OSError, ValueError, csv.Error) as error:
        raise SourceError(f"{place} could not be read as a list of segments ({error}). {SKIP}") from error


def _whole(path: Path) -> _Segment:
    recording = open_recording(path)
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


sources.register(".wav")(SourceKind(rows, is_folder=True))
