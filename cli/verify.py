"""`rosetta verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .errors import exit_on_error
from .options import BundlePath, Json, TrustedKeys, TrustFile
from .render import emit, facts, note
from .words import shorten

if TYPE_CHECKING:
    from rosetta.schemas.signature import VerifyReport


def verify(
    bundle: BundlePath, trusted_key: TrustedKeys = None, trust_file: TrustFile = None, json: Json = False
) -> None:
    """Verify that a key you trust signed a bundle; the signature is B.h5.sig.json beside it.

    Exit code: 0 signed by a trusted key, 1 refused, 2 unusable input.
    """
    with exit_on_error():
        from rosetta.verbs.verify import judge

        report = judge(bundle, trusted_keys=trusted_key or (), trust_file=trust_file)
        emit(report, as_json=json, text=lambda: _show(report))
        if report.n_others:
            verb = "is" if report.n_others == 1 else "are"
            note(f"{report.n_others} more in the signature file {verb} by nobody that you trust")
        raise typer.Exit(0 if report.verified else 1)


def _show(report: VerifyReport) -> None:
    if not report.verified:
        facts([("verdict", f"NOT VERIFIED: {report.message}"), ("reason", report.reason or "")])
        return
    facts([
        ("verdict", f"VERIFIED: {report.message}"),
        ("title", shorten(report.title or "")),
        ("signed", report.signed or ""),
        ("content id", report.content_id or ""),
        ("bundle id", report.bundle_id or ""),
    ])  # fmt: skip
