"""Syllables become pictures as in AVA, and a receiver makes the sender's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator
from scipy.signal import chirp, stft

from rosetta import preprocessing
from rosetta.arrays import Sound
from rosetta.errors import PreprocessingError

RATE_HZ = 32_000


def _sounds(*many: np.ndarray, rate_hz: float = RATE_HZ) -> np.ndarray:
    items = np.empty(len(many), dtype=object)
    for number, samples in enumerate(many):
        items[number] = Sound(samples.astype(np.float32), rate_hz)
    return items


def _noise(n_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(40, 2000, size=n_samples)


def _slow(samples: np.ndarray, rate_hz: float, longest_s: float = 0.2, window: int = 512) -> np.ndarray:
    """AVA's get_spec, line by line, with its default settings."""
    f, t, spec = stft(samples - samples.mean(), fs=rate_hz, nperseg=window, noverlap=window // 2)
    spec = np.log(np.abs(spec) + 1e-12)
    at = RegularGridInterpolator((f, t), spec, bounds_error=False, fill_value=-1e12)
    d = len(samples) / rate_hz
    shoulder = 0.5 * (longest_s - np.sqrt(d * longest_s))
    times, hertz = np.linspace(-shoulder, d + shoulder, 128), np.linspace(400, 10_000, 128)
    spec = at(np.stack(np.meshgrid(hertz, times, indexing="ij"), axis=-1))
    return np.clip((spec - 2.0) / (6.5 - 2.0), 0.0, 1.0)


@pytest.mark.parametrize("rate_hz", [16_000, 32_000, 44_100])  # at the first, 10 kHz lie above what there is
def test_a_spectrogram_is_that_of_ava(rate_hz: int):
    many = [_noise(n, seed=n) for n in (512, 513, 767, 1024, int(0.15 * rate_hz), int(0.199 * rate_hz))]

    _, pictures = preprocessing.fit("spectrogram", _sounds(*many, rate_hz=rate_hz))

    assert pictures.dtype == np.float32
    assert pictures.shape == (6, 128, 128)
    for samples, picture in zip(many, pictures, strict=True):
        assert picture == pytest.approx(_slow(samples.astype(np.float32), rate_hz), abs=1e-5)
        assert picture.max() > 0.5


def test_the_ridge_of_a_chirp_rises_as_its_frequency_does():
    seconds = np.arange(int(0.2 * RATE_HZ)) / RATE_HZ
    sound = 500 * chirp(seconds, f0=2000, t1=0.2, f1=8000)

    _, (picture,) = preprocessing.fit("spectrogram", _sounds(sound))

    ridge_hz = np.linspace(400, 10_000, 128)[picture[:, 10:-10].argmax(axis=0)]
    assert ridge_hz == pytest.approx(np.linspace(2000, 8000, 128)[10:-10], abs=100)


def test_a_short_sound_is_stretched_and_stands_in_the_middle():
    _, (picture,) = preprocessing.fit("spectrogram", _sounds(_noise(int(0.05 * RATE_HZ))))

    columns = np.flatnonzero(picture.any(axis=0))
    # 0.05 s on either side, as 0.2 s − √(0.05 s · 0.2 s) = 0.1 s; windows reach beyond the last sample
    assert columns[0] == pytest.approx(127 / 3, abs=1)
    assert columns[-1] == pytest.approx(127 * 2 / 3, abs=6)


def test_loudness_counts_and_an_offset_of_the_zero_line_does_not():
    quiet, loud = _noise(4000), 2 * _noise(4000)

    _, (one, twice, moved) = preprocessing.fit("spectrogram", _sounds(quiet, loud, quiet + 300))

    between = (one > 0) & (twice < 1)
    assert (twice - one)[between] == pytest.approx(np.log(2) / 4.5, abs=1e-4)
    assert moved == pytest.approx(one, abs=1e-3)


def test_waveforms_of_equal_length_give_what_sounds_give():
    waves = np.stack([_noise(4000, seed=n) for n in range(3)]).astype(np.int16)

    _, from_waves = preprocessing.fit("spectrogram(rate_hz=32000)", waves)
    _, from_sounds = preprocessing.fit("spectrogram", _sounds(*waves))

    assert (from_waves == from_sounds).all()


def test_a_receiver_gets_the_senders_rate_and_settings():
    fitted, pictures = preprocessing.fit("spectrogram(high_hz=8000, n_times=64) | standardize", _sounds(_noise(4000)))

    records, stored = preprocessing.to_records(fitted, lambda number, name: f"/preprocessing/{number}.{name}")
    again = preprocessing.from_records(records, stored)

    assert records[0].parameters["rate_hz"] == RATE_HZ
    assert pictures.shape == (1, 128, 64)
    assert (preprocessing.apply(again, _sounds(_noise(4000))) == pictures).all()
    with pytest.raises(PreprocessingError, match="44100 samples a second, .* resample the recordings to 32000 Hz"):
        preprocessing.apply(again, _sounds(_noise(4000), rate_hz=44_100))


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(511), r"item 20 .* a window takes 512, 0\.0160 s: leave"),
        (np.zeros(7000), r"1 segments last longer than the 0\.2 s .*, the longest 0\.2188 s: .*longest_s=0\.22\)"),
        (np.full(4000, np.nan), "item 20 .* no finite numbers"),
        (np.zeros((4000, 2)), r"shape \(4000, 2\)"),
    ],
)
def test_a_sound_that_does_not_fit_is_named(samples: np.ndarray, words: str):
    with pytest.raises(PreprocessingError, match=words):
        preprocessing.fit("spectrogram", _sounds(*[_noise(4000)] * 20, samples))


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("spectrogram(low_hz=9000, high_hz=8000)", "0 ≤ low_hz < high_hz"),
        ("spectrogram(low_hz=17000, high_hz=18000)", "low_hz below rate_hz / 2"),
        ("spectrogram(n_window=511)", "n_window even"),
        ("spectrogram(n_overlap=512)", "n_overlap from 0 to below n_window"),
        ("spectrogram(n_times=1e9)", "n_times from 2 to 4096"),
        ("spectrogram(n_times=12.5)", "n_times to be a whole number"),
        ("spectrogram(floor=7)", "floor < ceiling"),
        ("spectrogram(longest_s=0)", "longest_s above 0"),
        ("spectrogram(longest_s=nan)", "finite"),
        ("spectrogram(n_times=inf)", "finite"),
    ],
)
def test_settings_that_make_no_picture_are_refused(step: str, words: str):
    with pytest.raises(PreprocessingError, match=words):
        preprocessing.fit(step, _sounds(_noise(4000)))


def test_what_is_no_sound_is_refused():
    with pytest.raises(PreprocessingError, match="waveforms do not say .* write spectrogram"):
        preprocessing.fit("spectrogram", np.zeros((4, 4000)))
    with pytest.raises(PreprocessingError, match="takes sounds, or waveforms .* of shape"):
        preprocessing.fit("spectrogram(rate_hz=32000)", np.zeros((4, 28, 28)))
