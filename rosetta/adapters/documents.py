"""What Rosetta writes into the programs that it exports."""

from __future__ import annotations

import base64
import binascii

import numpy as np
from pydantic import ValidationError

from rosetta import preprocessing
from rosetta.arrays import Array
from rosetta.errors import ModelError
from rosetta.preprocessing import Step
from rosetta.schemas.manifest import PreprocessingStep
from rosetta.schemas.program import ProgramRecord, StoredArray


def read_document(text: str | bytes | None, *, kind: str) -> ProgramRecord | None:
    """Return the document inside a program; None if there is none.

    Raises
    ------
    ModelError
        If there is one that is not of its form.
    """
    if not text:
        return None
    try:
        return ProgramRecord.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ModelError(
            f"the document rosetta.json in {kind} is damaged: {where}: {first['msg']}; export the program again"
        ) from error


def steps_of(document: ProgramRecord) -> list[tuple[str, Step]]:
    """Return the preprocessing that a program's document declares.

    Raises
    ------
    ModelError
        If an array of it is damaged.
    PreprocessingError
        If a step cannot be rebuilt.
    """
    arrays = {
        _path(i, key): _array(a) for i, step in enumerate(document.preprocessing) for key, a in step.arrays.items()
    }
    records = [
        PreprocessingStep(
            name=step.name, parameters=step.parameters, arrays={key: _path(i, key) for key in step.arrays}
        )
        for i, step in enumerate(document.preprocessing)
    ]
    return preprocessing.from_records(records, arrays)


def _array(stored: StoredArray) -> Array:
    try:
        return np.frombuffer(base64.b64decode(stored.base64, validate=True), stored.dtype).reshape(stored.shape).copy()
    except (binascii.Error, ValueError) as error:
        raise ModelError(f"an array of the program's preprocessing is damaged ({error}); export it again") from error


def _path(number: int, key: str) -> str:
    return f"/preprocessing/{number}/{key}"
