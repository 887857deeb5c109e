"""`rosetta sign`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import exit_on_error
from .options import BundlePath, Json, PassphraseFile, is_terminal, read_passphrase_file
from .render import emit, facts

if TYPE_CHECKING:
    from rosetta.schemas.signature import SignReport


def sign(
    bundle: BundlePath,
    key: Annotated[
        Path,
        typer.Option(metavar="KEY", help="Your private Ed25519 key, from rosetta keygen or ssh-keygen, or PEM."),
    ],
    passphrase_file: PassphraseFile = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing signature file, including the signatures of others.")
    ] = False,
    json: Json = False,
) -> None:
    """Sign a bundle: write B.h5.sig.json beside it, or add your signature to the existing file."""
    with exit_on_error():
        from rosetta.verbs.sign import sign as run

        passphrase = read_passphrase_file(passphrase_file) or (_ask if is_terminal() else None)
        report = run(bundle, key=key, passphrase=passphrase, force=force)
        emit(report, as_json=json, text=lambda: _show(report))


def _ask() -> str:
    return str(typer.prompt("Passphrase of the key", hide_input=True, err=True))


def _show(report: SignReport) -> None:
    facts([
        ("signature", f"{report.signature} ({report.n_signatures} signature{'s' * (report.n_signatures != 1)})"),
        ("bundle id", report.bundle_id),
        ("key", report.key),
    ])  # fmt: skip
