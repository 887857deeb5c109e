"""Settings as options, the same for every command that takes them, and as keys of a config file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from .setting import Setting

F = TypeVar("F", bound=Callable[..., None])


def takes_settings(settings: tuple[Setting, ...], *, before: str | None = None) -> Callable[[F], F]:
    """Return a decorator that gives a command an option for every setting; its **settings gets them.

    They follow the command's own options, or stand in front of the one that `before` names.
    """

    def decorate(command: F) -> F:
        signature = inspect.signature(command, eval_str=True)
        own = [
            p.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for p in signature.parameters.values()
            if p.kind is not p.VAR_KEYWORD
        ]
        more = [
            inspect.Parameter(
                setting.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if setting.is_required else None,
                annotation=Annotated[
                    setting.kind if setting.is_required else setting.kind | None,
                    typer.Option(*setting.names, **setting.shown_as),
                ],
            )
            for setting in settings
        ]
        at = len(own) if before is None else [p.name for p in own].index(before)
        command.__signature__ = signature.replace(parameters=own[:at] + more + own[at:])  # type: ignore[attr-defined]
        del command.__annotations__["settings"]
        command.__annotations__ |= {parameter.name: parameter.annotation for parameter in more}
        return command

    return decorate


def parsed(given: dict[str, Any], settings: tuple[Setting, ...]) -> dict[str, Any]:
    """Return the settings that were given, with lists and numbers read from text, or raise UsageError."""
    return {setting.name: setting.read(given[setting.name]) for setting in settings if given[setting.name] is not None}


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Let the file's keys stand for options that are not given; refuse what is no option of the command."""
    if path is None:
        return None
    import difflib
    import tomllib

    from rosetta.errors import SourceError, UsageError
    from rosetta.files import read_small

    from .errors import exit_on_error

    with exit_on_error():
        try:
            values = tomllib.loads(read_small(path, limit=1 << 20, what="a TOML file of settings").decode())
        except FileNotFoundError as error:
            raise SourceError(f"there is no file {path}: check the path, or the folder that you are in") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SourceError(f"{path} is no TOML file: {error}") from error
        known = {p.name.replace("_", "-") for p in context.command.params if p.name} - {"config", "json", "help"}
        problems = []
        for key in values:
            if key.replace("_", "-") not in known:
                near = difflib.get_close_matches(key.replace("_", "-"), known, n=1)
                problems.append(f"{key} is no option of this command" + (f"; did you mean {near[0]}?" if near else ""))
            elif isinstance(values[key], dict):
                problems.append(f"{key} is a table, but a value was expected")
        if problems:
            raise UsageError(f"{path} cannot be used:\n  - " + "\n  - ".join(problems))
    repeatable = {p.name for p in context.command.params if getattr(p, "multiple", False)}
    context.default_map = {
        name: _as_option(value, repeats=name in repeatable)
        for name, value in ((key.replace("-", "_"), value) for key, value in values.items())
    }
    return path


def _as_option(value: Any, *, repeats: bool) -> Any:
    """Return a value of TOML as it would be given on the command line."""
    if repeats:
        return [str(each) for each in (value if isinstance(value, list) else [value])]
    if isinstance(value, list):
        return ",".join(str(each) for each in value)
    return value if isinstance(value, bool) else str(value)


Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.toml", callback=_read_config, is_eager=True,
        help="Take options from a file, by their names; those on the command line win.",
    ),
]  # fmt: skip
