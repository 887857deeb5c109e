"""What a training says of anchors that it could not hold, from its own figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rosetta.schemas.reports import TrainReport
from rosetta.schemas.run import AnchorSource, FinalFigures, RunConfig, TrainSettings

import rosetta
from rosetta.runs.advice import guidance
from tests.conftest import SETTINGS, Lab


def _notes(
    anchor_rms: float, path: list[float], check_rms: float | None = None, weights: tuple[float, float] = (5, 5),
    total_sd: float = 0.1, **settings: Any,
) -> list[str]:  # fmt: skip
    """The notes on a training whose error went along `path`, a fifth of its 50 epochs for each number."""
    chosen = TrainSettings(**({"epochs": 50, "hidden": (64, 32)} | settings))
    rows = [
        {"epoch": n + 1, "anchor_rms": path[n // 10], "anchor_weight": weights[n // 40]} for n in range(10 * len(path))
    ]
    report = TrainReport(
        run="run", objective="r-vae", n_items=100, n_validation=10, epochs=max(len(rows), 1), rows_per_s=1,
        final=FinalFigures(elbo=0, reconstruction=0, kl=4, anchor_rms=anchor_rms, check_rms=check_rms),
        final_anchor_weight=weights[1],
        anchors=(AnchorSource(content_id="0" * 64, n_pairs=64),),
    )  # fmt: skip
    config = RunConfig(input_shape=(64,), latent_dim=16, value_range=(0, 1), settings=chosen)
    return guidance(report, config, rows, total_sd=total_sd)


def test_anchors_that_are_held_need_no_word():
    assert _notes(0.05, [0.5, 0.2, 0.1, 0.06, 0.05], check_rms=0.06) == []
    assert _notes(0.06, [0.5, 0.2, 0.1, 0.06, 0.06], check_rms=None) == []
    assert _notes(0.9, [0.9] * 5, anchor_weight=1.0) == []  # a given weight holds no tolerance


def test_an_error_that_still_falls_asks_for_longer_training():
    (note,) = _notes(0.2, [0.9, 0.6, 0.4, 0.3, 0.2])

    assert note == (
        "the anchor error is 0.200, above the tolerance of 0.05, and still falling, by 33% over the last 10 epochs: "
        "train longer (`epochs=100`)"
    )
    (stopped,) = _notes(0.2, [0.9, 0.6, 0.4, 0.3, 0.2], epochs=80, patience=7)
    assert "(`patience=14`; it stopped early)" in stopped


def test_an_error_that_falls_no_longer_asks_for_room_or_a_tolerance_that_was_reached():
    (note,) = _notes(0.1234, [0.9, 0.3, 0.2, 0.125, 0.123], weights=(40, 900))

    assert "no longer falls (0.125, then 0.123 over the last 10 epochs, though the weight rose from 40 to 900)" in note
    assert "`latent_dim=24`" in note
    assert "`hidden=[128, 64]`" in note
    assert "`anchor_tolerance=0.13`)" in note


def test_an_error_that_swings_about_its_tolerance_asks_for_a_rate_that_falls():
    (note,) = _notes(0.09, [0.9, 0.3, 0.1, 0.06, 0.055])

    assert "but it was 0.055 on average over the last 10 epochs" in note
    assert "`lr_schedule='cosine'`" in note


def test_check_pairs_that_are_far_off_ask_for_more_points():
    for settings in ({}, {"anchor_weight": 3.0}):
        (note,) = _notes(0.05, [0.9, 0.3, 0.1, 0.06, 0.05], check_rms=0.245, **settings)

        assert "off by 0.245, 4.9 times as much as the 64 anchors" in note
        assert "more points, such as 256" in note
    assert len(_notes(0.2, [0.9, 0.6, 0.4, 0.3, 0.2], check_rms=0.6)) == 2


def test_a_dear_tolerance_is_priced_by_the_weight_that_holds_it():
    path = [0.9, 0.3, 0.1, 0.05, 0.05]
    (note,) = _notes(0.05, path, weights=(1, 100), total_sd=2.0)

    assert "twice of it would give back up to about 1.4 nats an item" in note  # 2 · ln 2 · 100 · (0.05 · 2)²
    assert "by the weight that holds it (100)" in note
    assert _notes(0.05, path, weights=(1, 20), total_sd=2.0) == []
    assert _notes(0.05, [0.9, 0.3, 0.1, 0.06, 0.05], weights=(1, 100), total_sd=2.0) == []  # it still moves


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epochs": 4}, "above the tolerance of 0.05 after 4 epochs: train longer (`epochs=8`)"),
        ({"epochs": 60}, "as the 32 anchors: these are too few"),
    ],
)
def test_a_training_says_it(lab: Lab, tmp_path: Path, settings: dict[str, Any], words: str):
    notes: list[str] = []

    rosetta.train(lab.bob, tmp_path / "run", anchors=lab.observed, on_note=notes.append, **{**SETTINGS, **settings})

    assert words in " ".join(notes)
