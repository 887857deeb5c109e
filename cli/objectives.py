"""`rosetta objectives`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .errors import exit_on_error
from .options import Json
from .render import emit, facts

if TYPE_CHECKING:
    from rosetta.schemas.objectives import ObjectiveCatalogue


def objectives(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this objective.")] = None,
    json: Json = False,
) -> None:
    """List the objectives of `rosetta train --objective`, with their settings."""
    with exit_on_error():
        from rosetta.verbs.objectives import objectives as run

        found = run(name)
        emit(found, as_json=json, text=lambda: _list(found))


def _list(found: ObjectiveCatalogue) -> None:
    for number, each in enumerate(found.objectives):
        if number:
            typer.echo("")
        settings = [
            (f"--{setting.name.replace('_', '-')} {setting.default}",
             setting.description or "")
            for setting in each.settings
        ]  # fmt: skip
        facts([(each.name, each.description), *settings, ("terms", "; ".join(term.title for term in each.terms))])
