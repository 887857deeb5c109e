"""Fitted steps as they stand in a manifest or run, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rosetta.arrays import Array
from rosetta.errors import PreprocessingError
from rosetta.preprocessing.kinds import Step, StepKind, steps
from rosetta.schemas.manifest import PreprocessingStep


def to_records(
    fitted: Iterable[tuple[str, Step]], where: Any
) -> tuple[tuple[PreprocessingStep, ...], dict[str, Array]]:
    """Return the steps as records and their arrays by path; `where(number, name)` gives each array's path."""
    records, stored = [], {}
    for number, (name, step) in enumerate(fitted):
        paths = {key: where(number, key) for key in step.arrays}
        records.append(PreprocessingStep(name=name, parameters=dict(step.parameters), arrays=paths))
        stored.update({paths[key]: array for key, array in step.arrays.items()})
    return tuple(records), stored


def from_records(records: Iterable[PreprocessingStep], stored: Mapping[str, Array]) -> list[tuple[str, Step]]:
    """Return the fitted steps of a manifest or run, or raise PreprocessingError if one cannot be rebuilt."""
    fitted = []
    for record in records:
        try:
            kind = steps.get(record.name)
            _check_names(record, kind)
            arrays = {key: stored[path] for key, path in record.arrays.items()}
            fitted.append((record.name, kind.restore(record.parameters, arrays)))
        except (KeyError, TypeError, ValueError) as error:
            raise PreprocessingError(f"the declared step {record.name!r} cannot be rebuilt: {error}") from error
    return fitted


def _check_names(record: PreprocessingStep, kind: StepKind) -> None:
    """Refuse a step with other parameters or arrays than its kind has: what is left over may have meant something."""
    for what, found, expected in (
        ("parameters", set(record.parameters), set(kind.arguments)),
        ("arrays", set(record.arrays), set(kind.arrays)),
    ):
        if found != expected:
            raise ValueError(f"its {what} are {sorted(found) or 'none'}, expected {sorted(expected) or 'none'}")
    for name, value in record.parameters.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"its parameter {name} is {value!r}, expected a number")
