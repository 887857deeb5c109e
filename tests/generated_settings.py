"""The settings records as tables of options for the command line, and as typed keyword arguments for the verbs."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from rosetta.cli.parameters import WRITTEN, option_of
from rosetta.schemas.distill import DistillSettings
from rosetta.schemas.option import Option
from rosetta.schemas.record import Record
from rosetta.schemas.run import TrainSettings

from rosetta.objectives.kinds import objectives

RECORDS: dict[str, type[Record]] = {"train": TrainSettings, "distill": DistillSettings}
NO_LIMIT = 2**53 - 1  # of numbers in JSON: not worth showing
MADE = "Made from the settings records by `make generate`."


def table() -> str:
    """Return the module of the command line's options."""
    lines = [f'"""The options that are settings. {MADE}"""', "", "# fmt: off", "# ruff: noqa: E501"]
    lines += ["from typing import Literal", "", "from .setting import Setting", ""]
    for name, record in RECORDS.items():
        lines.append(f"{name.upper()} = (")
        lines += [f"    {_setting(field, info, panel)}," for field, info, panel in fields_of(name, record)]
        lines.append(")")
    return "\n".join(lines) + "\n"


def keywords() -> str:
    """Return the module of the verbs' keyword arguments."""
    lines = [f'"""The settings as keyword arguments. {MADE}"""', "", "# fmt: off"]
    lines += ["from collections.abc import Sequence", "from typing import Literal, Required, TypedDict", ""]
    for name, record in RECORDS.items():
        title = f"{name.title()}Options"
        lines += ["", f"class {title}(TypedDict, total=False):", f'    """The fields of {record.__name__}."""', ""]
        for field, info, _ in fields_of(name, record):
            kind = _python(info.annotation, field_name=field)
            lines.append(f"    {field}: {f'Required[{kind}]' if info.is_required() else kind}")
        lines.append("")
    return "\n".join(lines)


def fields_of(name: str, record: type[Record]) -> Iterator[tuple[str, FieldInfo, str | None]]:
    """Yield the fields of a record; of a training's, also those of every objective, with a panel of their own."""
    for field, info in record.model_fields.items():
        if field != "objective_settings":  # an objective's own, which follow one by one
            yield field, info, None
    for objective in sorted(objectives.own()) if name == "train" else ():
        for field, info in objectives.get(objective).settings.model_fields.items():
            yield field, info, f"Objective {objective}"


def _setting(name: str, info: FieldInfo, panel: str | None) -> str:
    """Return the call that makes one option."""
    option = info.json_schema_extra
    if panel is not None:
        option = Option(str(info.description), panel)
    assert isinstance(option, Option), name
    kinds = [_bare(each) for each in _members(info.annotation)]
    parts = {"kind": _kind(kinds, option), "panel": option.panel, "help": _with_options(option.help)}
    is_shown = not info.is_required() and not option.is_flag
    parts["shown"] = option.shown or (_shown(name, info.default) if is_shown else None)
    parts |= {
        "is_required": info.is_required(),
        "metavar": option.metavar,
        "option": option.name and f"--{option.name}",
        "is_flag": option.is_flag,
    }
    parts |= _form(kinds, option)
    if kinds == [int]:
        parts |= _limits(info)
    given = [
        f"{key}={value if key == 'kind' else repr(value)}"
        for key, value in parts.items()
        if value not in (None, "") and value is not False
    ]
    return f"Setting({name!r}, {', '.join(given)})"


def _with_options(text: str) -> str:
    return WRITTEN.sub(lambda found: option_of(found[1]), text)


def _members(annotation: Any) -> list[Any]:
    """Return the kinds of value that an annotation allows, but None."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [each for each in get_args(annotation) if each is not type(None)]
    return [annotation]


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _kind(kinds: list[Any], option: Option) -> str:
    """Return what typer reads."""
    (first, *others) = kinds
    if option.repeats:
        return "list[str]"
    if others or get_origin(first) is tuple:
        return "str"
    return _python(first, field_name="")


def _form(kinds: list[Any], option: Option) -> dict[str, Any]:
    """Return how the text of an option is read, where typer does not."""
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    numbers = [kind for kind in kinds if kind in (int, float)]
    if words and numbers:
        return {"word": words[0], "form": "number" if float in numbers else "count"}
    (first, *_) = kinds
    if get_origin(first) is tuple and not option.repeats:
        return {"form": "sizes" if _bare(get_args(first)[0]) is int else "names"}
    return {}


def _shown(name: str, default: Any) -> str | None:
    if isinstance(default, bool):
        return ("" if default else "no-") + name.replace("_", "-")
    return f"{default:g}" if isinstance(default, float) else None if default is None else str(default)


def _limits(info: FieldInfo) -> dict[str, int]:
    limits = {}
    for each in _metadata(info):
        if (low := getattr(each, "ge", None)) is not None:
            limits["min"] = low
        if (high := getattr(each, "le", None)) is not None:
            limits["max"] = high
        if (above := getattr(each, "lt", None)) is not None:
            limits["max"] = above - 1
    return {key: value for key, value in limits.items() if value < NO_LIMIT}


def _metadata(info: FieldInfo) -> Iterator[Any]:
    yield from info.metadata
    for member in _members(info.annotation):
        for each in getattr(member, "__metadata__", ()):
            yield from each.metadata if isinstance(each, FieldInfo) else [each]


def _python(annotation: Any, *, field_name: str) -> str:
    """Return an annotation as it is written in Python, without limits; any sequence will do for a tuple."""
    if annotation is type(None):
        return "None"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _python(arguments[0], field_name=field_name)
    if origin is Literal:
        return f"Literal[{', '.join(repr(each) for each in arguments)}]"
    if origin in (Union, types.UnionType):
        return " | ".join(_python(each, field_name=field_name) for each in arguments)
    if origin is tuple:
        return f"Sequence[{_python(arguments[0], field_name=field_name)}]"
    return annotation.__name__
