"""Steps as text: ``"scale(0, 255) | standardize"``, numbers by place or by name, as in ``clip(high=10, low=0)``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from rosetta.errors import PreprocessingError
from rosetta.preprocessing.kinds import Step, StepKind, steps
from rosetta.schemas.manifest import PreprocessingStep

_CALL = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*(?:\(([^()]*)\))?\s*")


def parse(text: str) -> list[tuple[str, list[float | None]]]:
    """Return the names and numbers of the steps in `text`; none for ``"none"``.

    Numbers that are left out are the step's defaults; None stands for one that is found from the sender's data.

    Raises
    ------
    PreprocessingError
        If the text cannot be read, or a step takes other numbers.
    """
    if text.strip() == "none":
        return []
    calls = []
    for part in text.split("|"):
        call = _CALL.fullmatch(part)
        if call is None:
            raise PreprocessingError(
                f"cannot read the step {part.strip()!r}: write name or name(number, …), joined by |"
            )
        calls.append((call.group(1), _numbers(part.strip(), call.group(2) or "", steps.get(call.group(1)))))
    return calls


def agrees(text: str, fitted: Iterable[tuple[str, Step]]) -> bool:
    """Whether `fitted` are the steps of `text`; a number that the text leaves to be found may be any.

    Raises
    ------
    PreprocessingError
        If the text cannot be read, or a step takes other numbers.
    """
    wanted = parse(text)
    found = [(name, [step.parameters[key] for key in steps.get(name).arguments]) for name, step in fitted]
    return [name for name, _ in wanted] == [name for name, _ in found] and all(
        number is None or number == value
        for (_, numbers), (_, values) in zip(wanted, found, strict=True)
        for number, value in zip(numbers, values, strict=True)
    )


def describe(fitted: Iterable[tuple[str, Step]]) -> str:
    """Return the steps as the shortest text that `fit` reads as the same numbers; ``none`` if there is none."""
    return " | ".join(_call(name, step.parameters) for name, step in fitted) or "none"


def describe_records(records: Iterable[PreprocessingStep]) -> str:
    """Return the steps of a manifest or run as text, as `describe` does; unknown steps as they are declared."""
    return " | ".join(_call(record.name, record.parameters) for record in records) or "none"


def _numbers(step: str, text: str, kind: StepKind) -> list[float | None]:
    takes = f"the step {step!r} takes {_form(kind)}"
    given: dict[str, float] = {}
    parts = [part.partition("=") for part in text.split(",")] if text.strip() else []
    by_place = [value for value, equals, _ in parts if not equals]
    if len(by_place) > len(kind.arguments) or (
        len(by_place) == len(parts) and not {*kind.arguments[len(parts) :]} <= {*kind.defaults}
    ):
        raise PreprocessingError(f"{takes}, but has {len(by_place)} number{'s' * (len(by_place) != 1)}")
    for place, (left, equals, right) in enumerate(parts):
        if not equals and place >= len(by_place):
            raise PreprocessingError(f"{takes}: write the numbers without a name before those with one")
        name = left.strip() if equals else kind.arguments[place]
        if name not in kind.arguments or name in given:
            raise PreprocessingError(f"{takes}, but has {name!r} {'twice' if name in given else 'as well'}")
        given[name] = _number(takes, right if equals else left)
    missing = [name for name in kind.arguments if name not in given and name not in kind.defaults]
    if missing:
        raise PreprocessingError(f"{takes}, but {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    return [given[name] if name in given else kind.defaults[name] for name in kind.arguments]


def _number(takes: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise PreprocessingError(f"{takes}, as plain numbers, not {text.strip()!r}") from error
    if not math.isfinite(number):
        raise PreprocessingError(f"{takes}, as finite numbers, not {text.strip()!r}")
    return number


def _form(kind: StepKind) -> str:
    """Return how the step's numbers are written, as in ``(low, high=10)``."""
    if not kind.arguments:
        return "no arguments"
    return f"({', '.join(_with_default(name, kind) for name in kind.arguments)})"


def _with_default(name: str, kind: StepKind) -> str:
    if name not in kind.defaults:
        return name
    default = kind.defaults[name]
    return f"{name}={'from the data' if default is None else _shown(default)}"


def _call(name: str, parameters: Mapping[str, JsonValue]) -> str:
    numbers = {key: float(v) for key, v in parameters.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    kind = steps.get(name) if name in steps else None
    if kind is None or not {*parameters} == {*numbers} == {*kind.arguments}:  # no text gives this step
        shown = [
            f"{key}={_shown(numbers[key]) if key in numbers else value}" for key, value in sorted(parameters.items())
        ]
    else:
        shown = _shortest(numbers, kind)
    return f"{name}({', '.join(shown)})" if shown else name


def _shortest(numbers: Mapping[str, float], kind: StepKind) -> list[str]:
    """Return the numbers that are no defaults, by place as far as none is left out; all by place if that is shorter."""
    order = kind.arguments
    told = [n for n, name in enumerate(order) if name not in kind.defaults or numbers[name] != kind.defaults[name]]
    by_place = [_shown(numbers[name]) for name in order[: told[-1] + 1]] if told else []
    by_name = [
        _shown(numbers[order[n]]) if n == place else f"{order[n]}={_shown(numbers[order[n]])}"
        for place, n in enumerate(told)
    ]
    return min(by_place, by_name, key=lambda shown: len(", ".join(shown)))


def _shown(number: float) -> str:
    """Return the shortest text that is read as `number`: 10000, 0.1, 1e-06."""
    number = float(number)  # a default may be an int
    return str(int(number)) if number.is_integer() and abs(number) < 1e16 else repr(number)
