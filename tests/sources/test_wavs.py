"""Segments of recordings are read as they are listed, from WAV files of every common kind."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from rosetta.arrays import Sound
from rosetta.errors import SourceError
from rosetta.sources import Rows
from rosetta.sources.wavs import rows

RATE_HZ = 8000
SAMPLES = (np.random.default_rng(0).normal(size=RATE_HZ) * 5000).astype(np.int16)  # one second


def _record(folder: Path, name: str, segments: str | None = "0.1 0.2 a\n", samples: np.ndarray = SAMPLES) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, RATE_HZ, samples)
    if segments is not None:
        path.with_suffix(".txt").write_text(segments)
    return path


def _all(found: Rows) -> list[Sound]:
    return found.read(0, found.shape[0]).tolist()


def _column(found: Rows, name: str) -> list:
    return found.columns[name]().tolist()


def test_segments_come_by_file_and_as_listed_with_what_is_known_of_them(tmp_path: Path):
    _record(tmp_path, "b/late.WAV", "0.5 0.75 song type 2 # clear\n\n# a note\n0.25\t0.5\n")
    _record(tmp_path, "early.wav", "")
    first = _record(tmp_path, "a.wav", None)
    first.with_suffix(".csv").write_text('label,onset_s,offset_s\n"x, y",0.125,0.25\n')
    _record(tmp_path, ".hidden/c.wav")

    found = rows(tmp_path, None)

    assert found.shape == (3,)
    assert found.holds_sounds
    assert _column(found, "file") == ["a.wav", "b/late.WAV", "b/late.WAV"]
    assert _column(found, "label") == ["x, y", "song type 2", ""]
    assert _column(found, "onset_s") == [0.125, 0.5, 0.25]
    assert _column(found, "offset_s") == [0.25, 0.75, 0.5]
    for sound, (start, stop) in zip(_all(found), ((1000, 2000), (4000, 6000), (2000, 4000)), strict=True):
        assert sound.rate_hz == RATE_HZ
        assert sound.samples.dtype == np.float32
        assert (sound.samples == SAMPLES[start:stop]).all()
    assert (found.read(1, 2)[0].samples == SAMPLES[4000:6000]).all()


def test_audacitys_lines_of_frequencies_are_passed_over(tmp_path: Path):
    _record(tmp_path, "a.wav", "0.100000\t0.200000\tcall\n\\\t1000.0\t2000.0\n")

    assert _column(rows(tmp_path, None), "label") == ["call"]


def test_recordings_without_any_list_are_items_as_a_whole(tmp_path: Path):
    _record(tmp_path, "a.wav", None)
    _record(tmp_path, "b.wav", None, SAMPLES[:400])

    found = rows(tmp_path, None)

    assert [len(each.samples) for each in _all(found)] == [8000, 400]
    assert _column(found, "offset_s") == [1.0, 0.05]


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
def test_every_kind_of_sample_is_brought_to_units_of_16_bits(tmp_path: Path, dtype: str):
    scaled = {
        "u1": lambda x: (x // 256 + 128), "i2": lambda x: x, "i4": lambda x: x.astype("i4") << 16,
        "f4": lambda x: x / 32768, "f8": lambda x: x / 32768,
    }[dtype](SAMPLES).astype(dtype)  # fmt: skip
    path = _record(tmp_path, "a.wav", None, scaled)

    (sound,) = _all(rows(tmp_path, None))

    assert (wavfile.read(path)[1] == scaled).all()
    assert (sound.samples == (SAMPLES // 256 * 256 if dtype == "u1" else SAMPLES)).all()


@pytest.mark.parametrize("tag", [1, 0xFFFE])
def test_24_bits_are_what_scipy_reads_and_other_chunks_do_not_matter(tmp_path: Path, tag: int):
    numbers = np.random.default_rng(1).integers(-(1 << 23), 1 << 23, size=1001)
    stored = b"".join(int(n).to_bytes(3, "little", signed=True) for n in numbers)
    form = struct.pack("<HHIIHH", tag, 1, RATE_HZ, 3 * RATE_HZ, 3, 24)
    if tag == 0xFFFE:
        form += struct.pack("<HHI", 22, 24, 4) + b"\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    chunks = [(b"bext", b"odd"), (b"fmt ", form), (b"data", stored), (b"LIST", b"late")]
    body = b"".join(struct.pack("<4sI", name, len(x)) + x + b"\0" * (len(x) % 2) for name, x in chunks)
    (tmp_path / "a.wav").write_bytes(struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WAVE") + body)
    (tmp_path / "a.txt").write_text("0.05 0.1")

    (sound,) = _all(rows(tmp_path, None))

    with pytest.warns(wavfile.WavFileWarning):
        twin = wavfile.read(tmp_path / "a.wav")[1]
    assert sound.samples == pytest.approx(twin[400:800] / 65536, abs=1e-3)


def test_recordings_of_more_than_4_gigabytes_say_how_long_they_are_elsewhere(tmp_path: Path):
    form = struct.pack("<HHIIHH", 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16)
    size = struct.pack("<QQQI", 0, SAMPLES.nbytes, len(SAMPLES), 0)
    chunks = [(b"ds64", len(size), size), (b"fmt ", 16, form), (b"data", 0xFFFFFFFF, SAMPLES.tobytes())]
    body = b"".join(struct.pack("<4sI", name, n_bytes) + x for name, n_bytes, x in chunks)
    (tmp_path / "a.wav").write_bytes(struct.pack("<4sI4s", b"RF64", 0xFFFFFFFF, b"WAVE") + body)

    assert (_all(rows(tmp_path, None))[0].samples == SAMPLES).all()


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ("0.2 0.1", r"from 0\.2 s to 0\.1 s in its list, expected 0 ≤ onset < offset ≤ 1\.0000 s.*`skip_bad`"),
        ("0.9 1.002", "expected 0 ≤ onset < offset ≤"),
        ("-0.1 0.2", "expected 0 ≤ onset < offset ≤"),
        ("nan 0.2", "expected 0 ≤ onset < offset ≤"),
        ("0.5 inf", "expected 0 ≤ onset < offset ≤"),
        ("0.5 0.50001", "expected at least one sample"),
        ("0.1 0.2\n0.3 0,4", "line 2 has '0,4', expected seconds"),
        ("0.1", "line 1 is '0.1', expected onset and offset"),
        ("\xff\xfe", "could not be read as a list of segments"),
    ],
)
def test_a_list_that_does_not_fit_is_named_or_left_out(tmp_path: Path, listed: str, words: str):
    _record(tmp_path, "a.wav")
    _record(tmp_path, "b.wav").with_suffix(".txt").write_bytes(listed.encode("latin-1"))

    with pytest.raises(SourceError, match=rf"b\.(wav|txt).*{words}"):
        rows(tmp_path, None)
    skipped = rows(tmp_path, None, True)
    assert len(skipped.skipped) == 1
    assert "a.wav" in _column(skipped, "file")


def test_an_offset_may_be_rounded_beyond_the_end(tmp_path: Path):
    _record(tmp_path, "a.wav", "0.5 1.0009")

    assert len(_all(rows(tmp_path, None))[0].samples) == 4000


def _damage(folder: Path, how: str) -> None:
    path = _record(folder, "b.wav")
    content = path.read_bytes()
    if how == "two":
        path.with_suffix(".csv").write_text("onset_s,offset_s\n0.1,0.2\n")
    elif how == "none":
        path.with_suffix(".txt").unlink()
    elif how == "table":
        path.with_suffix(".txt").unlink()
        path.with_suffix(".csv").write_text("start,end\n0.1,0.2\n")
    elif how == "stereo":
        wavfile.write(path, RATE_HZ, np.stack([SAMPLES, SAMPLES], axis=1))
    else:
        path.write_bytes(
            {"cut": content[:-1], "header": content[:20], "other": b"OggS" * 20, "law": _law(content)}[how]
        )


def _law(content: bytes) -> bytes:
    return content[:20] + b"\x07\x00" + content[22:]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("two", "has two lists of segments beside it"),
        ("none", r"has no list of segments beside it: expected either b\.txt"),
        ("table", "its columns are start, end, expected onset_s"),
        ("stereo", "it has 2 channels, expected 1: save the one"),
        ("cut", "has 16000 bytes of samples by its header, and 15999 in fact"),
        ("header", "cut short"),
        ("other", "does not begin as one"),
        ("law", "its format is 7 with 2 bytes a sample"),
    ],
)
def test_a_recording_that_cannot_be_used_is_named_or_left_out(tmp_path: Path, how: str, words: str):
    _record(tmp_path, "a.wav")
    _damage(tmp_path, how)

    with pytest.raises(SourceError, match=rf"b\.(wav|csv).*{words}.*`skip_bad`"):
        rows(tmp_path, None)
    assert rows(tmp_path, None, True).skipped != ()


@pytest.mark.parametrize("how", ["removed", "cut", "rewritten"])
def test_a_recording_that_changes_meanwhile_is_an_error(tmp_path: Path, how: str):
    path = _record(tmp_path, "a.wav", "0.1 0.2\n0.9 1.0\n")
    found = rows(tmp_path, None)
    if how == "removed":
        path.unlink()
    else:
        _record(tmp_path, "a.wav", None, SAMPLES[:4000] if how == "cut" else np.append(SAMPLES, SAMPLES))

    with pytest.raises(SourceError, match=r"rows 1 to 1 of .* can no longer be read \(a\.wav.*`resume`"):
        found.read(1, 2)


def test_what_is_no_number_is_an_error_and_nothing_at_all_too(tmp_path: Path):
    _record(tmp_path, "a.wav", None, np.full(100, np.nan, dtype=np.float32))
    with pytest.raises(SourceError, match="a.wav has samples .* no finite numbers"):
        rows(tmp_path, None).read(0, 1)
    _record(tmp_path, "a.wav", "")
    with pytest.raises(SourceError, match=r"holds no segment of a recording, in 1 \.wav"):
        rows(tmp_path, None)
    with pytest.raises(SourceError, match="leave '::x' out"):
        rows(tmp_path, "x")
