"""From options to a record, or to every reason why not."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from rosetta.errors import UsageError
from rosetta.schemas.record import Record

R = TypeVar("R", bound=Record)

WORDS = {
    "anchor_weight": "expected auto or a number from 0",
    "precision": "expected learned or a number above 0",
}


def check_settings(kind: type[R], settings: Mapping[str, Any]) -> R:
    """Return the settings as a record, or raise UsageError with every one that is unknown, missing or out of range."""
    problems = []
    for name in sorted(settings.keys() - kind.model_fields.keys()):
        near = difflib.get_close_matches(name, kind.model_fields, n=1)
        problems.append(f"no setting called {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    if not problems:
        try:
            return kind(**settings)
        except ValidationError as error:
            found = {str(each["loc"][0]): each["msg"].lower() for each in reversed(error.errors(include_url=False))}
            for name, message in reversed(found.items()):
                expected = WORDS.get(name, message)
                problems.append(
                    f"{name} is {settings[name]!r}: {expected}" if name in settings else f"{name} is missing"
                )
    raise UsageError("these settings cannot be used:\n  - " + "\n  - ".join(problems))
