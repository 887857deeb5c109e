"""One setting as an option: how it is shown, and how its text is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Setting:
    """A field of a settings record, as `make generate` writes it down.

    Parameters
    ----------
    name : str
        The field.
    kind : type
        What typer reads: a number, text, a Literal, or a list of texts where the option may be repeated.
    help, panel, shown, metavar : str
        As in help; `shown` is the default, which the record sets and not the command line.
    option : str, optional
        Where it is not named after the field.
    is_required, is_flag : bool
        Whether it must be given; whether it has no ``--no-`` form.
    form : str
        How text is read that typer leaves as it is: ``sizes`` and ``names`` with commas, a ``count`` or a ``number``
        that may also be the `word`.
    min, max : int, optional
        Limits of a whole number.
    """

    name: str
    kind: Any
    help: str
    panel: str | None = None
    shown: str | None = None
    metavar: str | None = None
    option: str | None = None
    is_required: bool = False
    is_flag: bool = False
    form: Literal["", "sizes", "names", "count", "number"] = ""
    word: str = ""
    min: int | None = None
    max: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The option's names, where they do not follow from the field's."""
        dashed = "--" + self.name.replace("_", "-")
        return (self.option,) if self.option else (dashed,) if self.is_flag else ()

    @property
    def shown_as(self) -> dict[str, Any]:
        """How typer is to show the option."""
        shown = {"show_default": self.shown} if self.shown else {}
        limits = {"min": self.min, "max": self.max}
        return {"help": self.help, "rich_help_panel": self.panel, "metavar": self.metavar, **shown, **limits}

    def read(self, value: Any) -> Any:
        """Return what the option's value means, or raise UsageError."""
        from rosetta.errors import UsageError

        option = self.option or "--" + self.name.replace("_", "-")
        try:
            if self.form == "sizes":
                return tuple(int(part) for part in value.split(","))
            if self.form == "names":
                return tuple(value.split(","))
            if self.form and value != self.word:
                return int(value) if self.form == "count" else float(value)
        except ValueError as error:
            number = "a whole number" if self.form == "count" else "a number"
            expected = "sizes such as 512,256" if self.form == "sizes" else f"{self.word} or {number}"
            raise UsageError(f"{option} is {value!r}; expected {expected}") from error
        return value
