"""Make a syllable's spectrogram of fixed size from its sound, as AVA does."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pydantic import JsonValue

from rosetta.arrays import Array, Floats, Sound
from rosetta.errors import PreprocessingError
from rosetta.preprocessing.kinds import ItemError, StepKind, steps

SMALLEST = 1e-12  # added to every amplitude: the logarithm of 0 is no number
MOST_BINS = 4096  # of frequencies, of times
LARGEST_WINDOW = 1 << 16
TOLERANCE = 1e-6  # in steps of the transform: rounding does not decide whether its very edge is inside
DEFAULTS: Mapping[str, float | None] = {
    "low_hz": 400.0, "high_hz": 10_000.0, "longest_s": 0.2, "n_window": 512.0, "n_overlap": 256.0,
    "n_frequencies": 128.0, "n_times": 128.0, "floor": 2.0, "ceiling": 6.5, "rate_hz": None,
}  # fmt: skip


@dataclass(frozen=True)
class Spectrogram:
    """The logarithm of a short-time Fourier transform, on a grid of frequencies and stretched times.

    Parameters
    ----------
    low_hz, high_hz : float
        First and last frequency of the grid.
    longest_s : float
        Seconds of the longest sound that fits. Around a shorter one, of d seconds, the grid spans longest_s − √(d ·
        longest_s) more, half of it before and half behind: short sounds are stretched.
    n_window, n_overlap : int
        Samples of a window, and those that it shares with the next.
    n_frequencies, n_times : int
        Size of the grid.
    floor, ceiling : float
        Logarithms of amplitudes, of recordings of 16 bits, that become 0 and 1.
    rate_hz : float
        Samples a second of every sound.

    Notes
    -----
    After ``get_spec`` of the autoencoded vocal analysis of Goffinet, Brudner, Mooney & Pearson (2021),
    "Low-dimensional learned feature spaces quantify individual and group differences in vocal repertoires",
    eLife 10:e67855, with its default settings.
    """

    low_hz: float
    high_hz: float
    longest_s: float
    n_window: int
    n_overlap: int
    n_frequencies: int
    n_times: int
    floor: float
    ceiling: float
    rate_hz: float

    def __post_init__(self) -> None:
        if not np.isfinite(list(asdict(self).values())).all():
            raise ValueError("spectrogram needs finite numbers")
        for name in ("n_window", "n_overlap", "n_frequencies", "n_times"):
            number = getattr(self, name)
            if number != math.floor(number):
                raise ValueError(f"spectrogram needs {name} to be a whole number, not {number:g}")
            object.__setattr__(self, name, int(number))
        for is_met, need in (
            (self.rate_hz > 0, f"rate_hz above 0, not {self.rate_hz:g}"),
            (0 <= self.low_hz < self.high_hz, f"0 ≤ low_hz < high_hz, not {self.low_hz:g} and {self.high_hz:g}"),
            (self.low_hz < self.rate_hz / 2, f"low_hz below rate_hz / 2, {self.rate_hz / 2:g}, not {self.low_hz:g}"),
            (self.longest_s > 0, f"longest_s above 0, not {self.longest_s:g}"),
            (
                2 <= self.n_window <= LARGEST_WINDOW and self.n_window % 2 == 0,
                f"n_window even, from 2 to {LARGEST_WINDOW}, not {self.n_window}",
            ),
            (0 <= self.n_overlap < self.n_window, f"n_overlap from 0 to below n_window, not {self.n_overlap}"),
            (2 <= self.n_frequencies <= MOST_BINS, f"n_frequencies from 2 to {MOST_BINS}, not {self.n_frequencies}"),
            (2 <= self.n_times <= MOST_BINS, f"n_times from 2 to {MOST_BINS}, not {self.n_times}"),
            (self.floor < self.ceiling, f"floor < ceiling, not {self.floor:g} and {self.ceiling:g}"),
        ):
            if not is_met:
                raise ValueError(f"spectrogram needs {need}")

    @classmethod
    def fit(cls, blocks: Iterable[Array], *numbers: float | None) -> Spectrogram:
        """Learn the rate from the first of the sender's sounds, unless it is given, and refuse ones that are too long.

        Other misfits are met one by one when the step is used; how long the longest is, is worth knowing at once.
        """
        given = dict(zip(DEFAULTS, numbers, strict=True))
        rest = iter(blocks)
        first = next(rest)
        if given["rate_hz"] is None:
            if not _are_sounds(first):
                raise PreprocessingError(
                    "waveforms do not say how many samples there are in a second: write spectrogram(rate_hz=44100), "
                    "with the rate that they have"
                )
            given["rate_hz"] = float(first[0].rate_hz)
        fitted = cls.restore(given, {})
        fitted._refuse_long(itertools.chain([first], rest))
        return fitted

    def _refuse_long(self, blocks: Iterable[Array]) -> None:
        """Say how many sounds are too long, and how long the longest is."""
        n_long, longest_s = 0, 0.0
        for block in blocks:
            if not _are_sounds(block):
                return
            seconds = [len(each.samples) / each.rate_hz for each in block]
            n_long += sum(each > self.longest_s + 1 / self.rate_hz for each in seconds)
            longest_s = max([longest_s, *seconds])
        if n_long:
            raise PreprocessingError(
                f"{n_long:,} segments last longer than the {self.longest_s:g} s that this spectrogram spans, the "
                f"longest {longest_s:.4f} s: leave such segments out, or write "
                f"spectrogram(longest_s={longest_s + 5e-3:.2f})"
            )

    @classmethod
    def restore(cls, parameters: Mapping[str, Any], arrays: Mapping[str, Array]) -> Spectrogram:
        """Rebuild the step from a manifest."""
        return cls(**{name: parameters[name] for name in DEFAULTS})

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """All settings, and the rate of the sender's sounds."""
        return asdict(self)

    @property
    def arrays(self) -> Mapping[str, Array]:
        """None."""
        return {}

    def __call__(self, inputs: Array) -> Array:
        """Return spectrograms of sounds, shape (n_items,), or of waveforms, shape (n_items, n_samples).

        Returns
        -------
        float32 array, shape (n_items, n_frequencies, n_times)
            From 0 to 1; the first row of each is the lowest frequency.

        Raises
        ------
        PreprocessingError
            If these are no sounds or waveforms, or one is longer than `longest_s`, shorter than a window, of another
            rate or not finite.
        """
        if not _are_sounds(inputs) and (inputs.ndim != 2 or inputs.dtype.kind not in "fiu"):
            raise PreprocessingError(
                f"spectrogram takes sounds, or waveforms of shape (n_items, n_samples), not {inputs.dtype} of shape "
                f"{inputs.shape}. Give a folder of recordings, and write spectrogram before all other steps"
            )
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.n_window) / self.n_window)  # Hann's, periodic
        window /= window.sum()
        hertz = np.linspace(self.low_hz, self.high_hz, self.n_frequencies)
        frequencies = _Line.at(hertz * self.n_window / self.rate_hz, self.n_window // 2 + 1)
        pictures = np.empty((len(inputs), self.n_frequencies, self.n_times), dtype=np.float32)
        for row, item in enumerate(inputs):
            samples, rate_hz = (item.samples, item.rate_hz) if isinstance(item, Sound) else (item, self.rate_hz)
            problem = self._misfit(samples, rate_hz)
            if problem is not None:
                raise ItemError(row, problem)
            pictures[row] = self._picture(samples.astype(np.float64), window, frequencies)
        return pictures

    def _misfit(self, samples: Array, rate_hz: float) -> str | None:
        """Return what is wrong with a sound or waveform, if anything, and what to do."""
        if rate_hz != self.rate_hz:
            return (
                f"has {rate_hz:g} samples a second, but this spectrogram is for {self.rate_hz:g}: resample the "
                f"recordings to {self.rate_hz:g} Hz"
            )
        if samples.ndim != 1 or len(samples) < self.n_window:
            return (
                f"has samples of shape {samples.shape}, but a window takes {self.n_window}, "
                f"{self.n_window / rate_hz:.4f} s: leave such short segments out"
            )
        if len(samples) > self.longest_s * rate_hz + 1:  # onsets and offsets are rounded to samples
            seconds = len(samples) / rate_hz
            return (
                f"lasts {seconds:.4f} s, but this spectrogram spans {self.longest_s:g} s: leave such long segments "
                f"out, or, in a new latent space, write spectrogram(longest_s={seconds + 5e-3:.2f})"
            )
        return None if np.isfinite(samples).all() else "has samples that are no finite numbers: leave it out"

    def _picture(self, samples: Floats, window: Floats, frequencies: _Line) -> Floats:
        """Return the spectrogram, shape (n_frequencies, n_times), of `samples`, shape (n_samples,)."""
        hop = self.n_window - self.n_overlap
        n_hops = -(-len(samples) // hop)  # windows stand around the first sample, and on to the last or beyond
        padded = np.zeros(n_hops * hop + self.n_window)
        padded[self.n_window // 2 :][: len(samples)] = samples - samples.mean()
        pieces = np.lib.stride_tricks.sliding_window_view(padded, self.n_window)[::hop]
        logarithms = np.log(np.abs(np.fft.rfft(pieces * window, axis=1)) + SMALLEST)

        duration_s = len(samples) / self.rate_hz
        shoulder_s = (self.longest_s - math.sqrt(duration_s * self.longest_s)) / 2
        seconds = np.linspace(-shoulder_s, duration_s + shoulder_s, self.n_times)
        times = _Line.at(seconds * self.rate_hz / hop, len(pieces))
        on_grid = times.read(frequencies.read(logarithms.T).T).T
        picture: Floats = np.clip((on_grid - self.floor) / (self.ceiling - self.floor), 0.0, 1.0)
        picture[~frequencies.is_inside] = 0
        picture[:, ~times.is_inside] = 0
        return picture


@dataclass(frozen=True)
class _Line:
    """Places between the rows of a table, to read it at by linear interpolation."""

    before: Array  # int, shape (n_places,)
    share: Floats  # of the row after, shape (n_places,)
    is_inside: Array  # bool, shape (n_places,): whether the place is from the first to the last row

    @classmethod
    def at(cls, places: Floats, n_rows: int) -> _Line:
        before = np.clip(np.floor(places), 0, n_rows - 2).astype(np.intp)
        is_inside = (places >= -TOLERANCE) & (places <= n_rows - 1 + TOLERANCE)
        return cls(before, np.clip(places - before, 0, 1), is_inside)

    def read(self, table: Floats) -> Floats:
        """Return what stands at the places in `table`, shape (n_rows, n_columns), as (n_places, n_columns)."""
        share = self.share[:, None]
        between: Floats = (1 - share) * table[self.before] + share * table[self.before + 1]
        return between


def _are_sounds(inputs: Array) -> bool:
    return inputs.dtype.kind == "O" and inputs.ndim == 1 and all(isinstance(item, Sound) for item in inputs)


steps.register("spectrogram")(
    StepKind(
        Spectrogram.fit,
        Spectrogram.restore,
        arguments=tuple(DEFAULTS),
        defaults=DEFAULTS,
        can_give=lambda step, shape: shape == (step.n_frequencies, step.n_times),
        takes_sounds=True,
    )
)
