"""The `rosetta` command. Subcommands load torch when they run, not when their help is shown."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated

import typer

from . import (
    audit,
    check,
    compare,
    demo,
    distill,
    embed,
    export,
    inspect,
    keygen,
    metrics,
    migrate,
    objectives,
    plant,
    rules,
    schema,
    sign,
    study,
    sweep,
    train,
    validate,
    verify,
)

app = typer.Typer(
    name="rosetta",
    help="Share a latent space without exchanging data sets: bundles of Rosetta points, and anchored VAE training.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from rosetta.software import versions

        typer.echo(f"rosetta {versions()['rosetta']}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Options of the command itself."""


app.command("demo")(demo.demo)
app.command("train")(train.train)
app.command("sweep")(sweep.sweep)
app.command("distill")(distill.distill)
app.command("audit")(audit.audit)
app.command("plant")(plant.plant)
app.command("inspect")(inspect.inspect)
app.command("validate")(validate.validate)
app.command("rules")(rules.rules)
app.command("objectives")(objectives.objectives)
app.command("explain")(rules.explain)
app.command("embed")(embed.embed)
app.command("export")(export.export)
app.command("check")(check.check)
app.command("compare")(compare.compare)
app.command("metrics")(metrics.metrics)
app.add_typer(study.app, name="study")
app.command("keygen")(keygen.keygen)
app.command("sign")(sign.sign)
app.command("verify")(verify.verify)
app.command("migrate")(migrate.migrate)
app.add_typer(schema.app, name="schema")


QUICK = {"validate", "inspect", "verify", "sign"}  # who waits for these would wait for HDF5, if it started later


def main() -> None:
    """Run the command line."""
    from .errors import exit_on_error, show_warning

    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # nobody else's code looks at a stranger's file
    for name in ("stdout", "stderr"):  # a caller may have closed them
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123  for as long as the process lives
    if QUICK & set(sys.argv[1:2]) and not {"--help", "-h"} & set(sys.argv):
        from rosetta.bundle.sandbox.parent import prepare

        prepare()
    with warnings.catch_warnings(), exit_on_error():
        warnings.showwarning = show_warning
        app()
