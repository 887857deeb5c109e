"""`rosetta check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .errors import exit_on_error
from .options import (
    AllowCode,
    AllowPickle,
    BundlePath,
    Device,
    DeviceOption,
    Json,
    Model,
    RequireSignature,
    Seed,
    TrustedKeys,
    TrustFile,
    trust_options,
)
from .render import emit, facts, row_progress

if TYPE_CHECKING:
    from rosetta.schemas.reports import CheckReport, OriginAgreement


def check(
    model: Model,
    bundle: BundlePath,
    threshold: Annotated[
        float,
        typer.Option(
            help="Largest fraction of variance unexplained (fvu) that counts as aligned, at its interval's upper end."
        ),
    ] = 0.5,
    require_signature: RequireSignature = False,
    trusted_key: TrustedKeys = None,
    trust_file: TrustFile = None,
    seed: Seed = 0,
    device: DeviceOption = Device.auto,
    allow_code: AllowCode = None,
    allow_pickle: AllowPickle = False,
    json: Json = False,
) -> None:
    """Test on a bundle's check pairs whether MODEL is in its latent space.

    Exit code: 0 aligned, 1 not aligned, not proven or not signed as required, 2 unusable input.
    """
    with exit_on_error():
        from rosetta.verbs.check import check as run

        trust = trust_options(require_signature, trusted_key, trust_file)
        with row_progress(f"checking {model.name}"):
            report = run(
                model, bundle, threshold=threshold, seed=seed, device=device.value, allow_code=allow_code,
                allow_pickle=allow_pickle, **trust,
            )  # fmt: skip
        emit(report, as_json=json, text=lambda: _show(report))
        raise typer.Exit(0 if report.verdict == "aligned" else 1)


def _show(report: CheckReport) -> None:
    missed = report.fvu
    spread = "" if report.spread is None else f"; they span {report.spread:.0%} of the variance of the sender's latents"
    rows = [
        ("verdict", f"{report.verdict.upper()}: {report.reason}"),
        ("check pairs", f"{report.n_checks} {'/'.join(report.origins)}, never trained on{spread}"),
        *((f"  {each.origin}", _of_origin(each)) for each in report.by_origin),
        ("variance unexplained", f"fvu {missed.value:.4f} (95 %: {missed.low:.4f} to {missed.high:.4f}; best is 0)"),
        ("permuted pairing", f"{report.null:.2f} on average (p = {report.p_value:.4f})"),
        ("error", f"{report.rms_over_sd:.3f} of the space's standard deviation"),
        ("retrieval", f"{report.retrieval_top1:.0%} of check pairs are nearest to their own stored latent"),
    ]  # fmt: skip
    facts(rows + [("signed by", f"{signer.name} ({signer.key})") for signer in report.signed_by])


def _of_origin(each: OriginAgreement) -> str:
    real = "; they are real items" if each.origin == "observed" else ""
    return f"fvu {each.fvu:.4f} of {each.n_checks} check pairs{real}"
