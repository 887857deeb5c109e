"""Trained models as the verbs take them: whoever trained them, opened once."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from rosetta.adapters import Adapted, Loading, Spread, adapters
from rosetta.adapters import open_model as load
from rosetta.arrays import resolve_device
from rosetta.inputs.prepare import Expected, tolerated

BUDGET_GIB = 0.5  # of inputs in memory, where nobody says more: what is larger is read again when it is wanted


def open_model(
    model: str | PathLike[str],
    *,
    device: str = "auto",
    allow_code: str | None = None,
    allow_pickle: bool = False,
    decoder: str | PathLike[str] | None = None,
    spread: Spread | None = None,
) -> Adapted:
    """Load a trained model: a run folder, or whatever `rosetta.adapters` knows.

    Raises
    ------
    ModelError
        If it cannot be loaded.
    """
    loading = Loading(
        resolve_device(device), allow_code, allow_pickle, None if decoder is None else str(decoder), spread
    )
    return load(str(model), loading)


def is_model(text: str | PathLike[str]) -> bool:
    """Whether this names a model, and not latents or other data; nothing is loaded."""
    is_folder = Path(text).is_dir() and Path(text).suffix != ".zarr"
    return is_folder or any(adapters.get(name).knows(str(text)) for name in adapters)


def notes_on(model: Adapted, preprocess: str | None) -> tuple[str, ...]:
    """Return what the user should know of a model before its latents are believed."""
    if model.steps is not None or preprocess is not None:
        return model.notes
    return (
        *model.notes,
        f"nobody says what {model.kind} sees of an item, so items go in as they are: pass `preprocess`, such as "
        "'scale(0, 255)', if it was trained on something else",
    )


def expected_by(model: Adapted) -> Expected:
    """Return what a model expects of inputs, as far as it is known."""
    span = model.value_range
    if span is not None and model.likelihood is not None:
        span = tolerated(span, model.likelihood)
    steps = None if model.steps is None else list(model.steps)
    return Expected(model.kind, model.input_shape, steps, model.feature_names, span)
