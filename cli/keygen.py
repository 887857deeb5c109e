"""`rosetta keygen`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import exit_on_error
from .options import Force, Json, PassphraseFile, is_terminal, read_passphrase_file
from .render import emit, facts, note, plain

if TYPE_CHECKING:
    from rosetta.schemas.signature import KeygenReport


def keygen(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="KEY", help="The private key to write; the public key is KEY.pub."),
    ],
    name: Annotated[
        str | None,
        typer.Option(help="The owner of the key, such as 'Lab A'.", show_default="the file's name"),
    ] = None,
    passphrase_file: PassphraseFile = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Make an Ed25519 key in OpenSSH's format to sign bundles with.

    On a terminal, the command asks for a passphrase; the key is encrypted with it unless it is empty.
    """
    with exit_on_error():
        from rosetta.verbs.sign import check_key_output
        from rosetta.verbs.sign import keygen as run

        check_key_output(output, force=force)
        passphrase = read_passphrase_file(passphrase_file)
        if passphrase is None and is_terminal():
            passphrase = typer.prompt(
                "Passphrase for the new key (empty for none)",
                default="", show_default=False, hide_input=True, confirmation_prompt=True, err=True,
            )  # fmt: skip
        report = run(output, name=name, passphrase=passphrase or None, force=force)
        emit(report, as_json=json, text=lambda: _show(report))
        if not report.encrypted:
            note("the private key is not encrypted: whoever gets the file can sign as you")


def _show(report: KeygenReport) -> None:
    facts([
        ("private key", f"{report.private_key} (keep it to yourself)"),
        ("public key", f"{report.public_key} (send it to those who shall know your signature)"),
        ("fingerprint", report.key),
    ])  # fmt: skip
    typer.echo("\nFor the trust file of a receiver:\n")
    for line in report.trust.splitlines():
        typer.echo(plain(line))
