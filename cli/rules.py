"""`rosetta rules` and `rosetta explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .errors import exit_on_error
from .options import Json
from .parameters import as_options
from .render import emit, facts

if TYPE_CHECKING:
    from rosetta.schemas.validation import RuleCatalogue


def rules(
    beginning: Annotated[str, typer.Argument(metavar="[RZ-…]", help="List rules whose id begins with this.")] = "RZ-",
    json: Json = False,
) -> None:
    """List what `rosetta validate` checks."""
    with exit_on_error():
        from rosetta.verbs.rules import rules as run

        listed = run(beginning)
        emit(listed, as_json=json, text=lambda: _list(listed))


def explain(
    rule: Annotated[str, typer.Argument(metavar="RZ-V111", help="A rule's id.")],
    json: Json = False,
) -> None:
    """Explain a rule, and what to do if a bundle breaks it."""
    with exit_on_error():
        from rosetta.verbs.rules import explain as run

        found = run(rule)
        emit(found, as_json=json, text=lambda: _explain(found))


def _list(listed: RuleCatalogue) -> None:
    for rule in listed.rules:
        typer.echo(f"{rule.rule}  {rule.severity:<7}  {as_options(rule.text)}")


def _explain(found: RuleCatalogue) -> None:
    meanings = {
        "fatal": "the file is not read any further",
        "error": "the bundle is not valid",
        "warning": "the bundle is valid (not with --strict), but somebody should know",
        "info": "for your information",
    }
    for rule in found.rules:
        facts([
            ("rule", rule.rule),
            ("what holds", rule.text),
            ("if it does not", f"{rule.severity}: {meanings[rule.severity]}"),
            ("what to do", rule.fix),
            ("tried if no problem with", ", ".join(rule.requires) or "anything: it needs no other rule"),
            ("specification", f"section {rule.spec_section}"),
        ])  # fmt: skip
