"""What a verb says by the way: to whoever listens, and in its report."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from rosetta.schemas.record import Record

P = ParamSpec("P")
R = TypeVar("R", bound=Record)


def keeps_notes(verb: Callable[P, R]) -> Callable[P, R]:
    """Return the verb with what it tells `on_note` in its report's `notes`, too."""

    @functools.wraps(verb)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        notes: list[str] = []
        given: dict[str, Any] = dict(kwargs)
        listener = given.get("on_note")

        def keep(note: str) -> None:
            notes.append(note)
            if listener is not None:
                listener(note)

        report = verb(*args, **{**given, "on_note": keep})
        return report.model_copy(update={"notes": (*getattr(report, "notes", ()), *notes)})

    return wrapped
