"""What a settings record says of each field for the command line: `make generate` writes it into tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field


@dataclass(frozen=True)
class Option:
    """How one setting is an option.

    Parameters
    ----------
    help : str
        One sentence.
    panel : str
        The heading of the group of options that it is shown in; empty for the general one.
    shown : str, optional
        What help shows as the default, where that is not the field's own.
    metavar : str, optional
        What stands for the value in help.
    name : str, optional
        The option, where it is not named after the field: ``creator`` for `creators`.
    repeats : bool
        May be given several times, once for each value; a sequence is otherwise written with commas.
    is_flag : bool
        Has no form that says no.
    """

    help: str
    panel: str = ""
    shown: str | None = None
    metavar: str | None = None
    name: str | None = None
    repeats: bool = False
    is_flag: bool = False

    def __call__(self, schema: dict[str, Any]) -> None:
        """Leave the field's JSON Schema as it is: pydantic keeps what is no dictionary out of it."""


def option(default: Any, help: str, panel: str = "", **more: Any) -> Any:
    """Return the default of a field with what its option says; ``...`` if it must be given."""
    return Field(default, description=help, json_schema_extra=Option(help, panel, **more))
