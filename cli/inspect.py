"""`rosetta inspect`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from . import page
from .errors import exit_on_error
from .options import BundlePath, Json, TrustedKeys, TrustFile
from .render import emit


def inspect(
    bundle: BundlePath,
    manifest: Annotated[bool, typer.Option("--manifest", help="Print the manifest's exact bytes.")] = False,
    thumbnails: Annotated[
        bool | None,
        typer.Option(
            "--thumbnails/--no-thumbnails",
            help="Draw the first anchors, if they are images; the default on a terminal.",
            show_default=False,
        ),
    ] = None,
    trusted_key: TrustedKeys = None,
    trust_file: TrustFile = None,
    json: Json = False,
) -> None:
    """Show what is in a bundle, and who made it.

    Exit code: 0 whatever the state of the signature. For verdicts, use validate and verify.
    """
    with exit_on_error():
        from rosetta.errors import UsageError
        from rosetta.verbs.inspect import inspect as run

        if manifest and json:
            raise UsageError("--manifest prints the manifest itself, which is JSON: leave --json out")
        report, opened = run(bundle, trusted_keys=trusted_key or (), trust_file=trust_file)
        if manifest:
            sys.stdout.buffer.write(opened.manifest_bytes)
            return
        emit(report, as_json=json, text=lambda: page.show(report, opened, thumbnails=thumbnails))
