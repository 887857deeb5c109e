"""Options that select rows of DATA, for every command that takes it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

Command = TypeVar("Command", bound=Callable[..., Any])

PANEL = "Data"

Rows = Annotated[
    str | None,
    typer.Option(
        metavar="ROWS", rich_help_panel=PANEL,
        help="Use these rows of DATA: START:STOP:STEP, 3,5,8, or a file with row numbers or one bool per row.",
    ),
]  # fmt: skip
Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN=VALUE", rich_help_panel=PANEL,
        help="Use rows of a table, an AnnData or a folder whose column has this value. May be repeated: any value for "
        "one column; with several columns, all must match.",
    ),
]  # fmt: skip
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", rich_help_panel=PANEL, help="Leave out files that cannot be read, and count them.")
]
FillMissing = Annotated[
    float | None,
    typer.Option(
        metavar="VALUE", rich_help_panel=PANEL,
        help="Value, before preprocessing, for features that the model or bundle expects and DATA lacks.",
    ),
]  # fmt: skip

_OPTIONS: dict[str, tuple[Any, Any]] = {
    "rows": (Rows, None),
    "where": (Where, None),
    "skip_bad": (SkipBad, False),
    "fill_missing": (FillMissing, None),
}


def takes_source(command: Command) -> Command:
    """Add the row options to a command that takes `data`."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> Any:
        from .errors import exit_on_error

        chosen = {name: given.pop(name) for name in _OPTIONS}
        with exit_on_error():
            given["data"] = _source(given["data"], chosen, takes_none=given.get("latents") is not None)
        return command(**given)

    signature = inspect.signature(command, eval_str=True)
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _OPTIONS.items()
    ]
    own = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in signature.parameters.values()]
    wrapped.__signature__ = signature.replace(parameters=own + more)  # type: ignore[attr-defined]
    wrapped.__annotations__ = dict(command.__annotations__) | {each.name: each.annotation for each in more}
    return wrapped  # type: ignore[return-value]


def _source(data: Any, chosen: dict[str, Any], *, takes_none: bool) -> Any:
    """Return data unchanged, or with the selected rows."""
    asked = {name: value for name, value in chosen.items() if value is not None and value is not False and value != []}
    if not asked:
        return data
    from rosetta.errors import UsageError
    from rosetta.sources import Source

    if data is None and not takes_none:
        raise UsageError(f"--{next(iter(asked)).replace('_', '-')} without data has no effect: leave it out")
    return Source(data, **asked)
