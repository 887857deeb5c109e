"""`rosetta train`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import exit_on_error
from .options import (
    Data,
    Device,
    DeviceOption,
    Features,
    Force,
    Json,
    RequireSignature,
    Seed,
    TrustedKeys,
    TrustFile,
    trust_options,
)
from .render import emit, facts, note, training_progress

if TYPE_CHECKING:
    from rosetta.schemas.reports import TrainReport


class LikelihoodName(StrEnum):
    """What the decoder's output means."""

    gaussian = "gaussian"
    bernoulli = "bernoulli"


def train(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="RUN", help="The run folder to make.")],
    anchors: Annotated[
        list[Path] | None,
        typer.Option(metavar="B.h5", help="Train in this bundle's latent space; may be repeated."),
    ] = None,
    require_signature: RequireSignature = False,
    trusted_key: TrustedKeys = None,
    trust_file: TrustFile = None,
    latent_dim: Annotated[
        int | None,
        typer.Option(min=1, max=65_536, help="Latent dimensions.", show_default="the bundle's, or 8"),
    ] = None,
    hidden: Annotated[str, typer.Option(metavar="N,N,…", help="Sizes of the encoder's hidden layers.")] = "512,256",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.")] = 100,
    batch_size: Annotated[int, typer.Option(min=1, help="Items in a step.")] = 128,
    lr: Annotated[float, typer.Option(help="Adam's learning rate.")] = 1e-3,
    beta: Annotated[float, typer.Option(min=0, help="Weight of the KL divergence.")] = 1.0,
    likelihood: Annotated[
        LikelihoodName, typer.Option(help="What the decoder's output means.")
    ] = LikelihoodName.gaussian,
    precision: Annotated[float, typer.Option(help="1 / variance of the Gaussian likelihood.")] = 10.0,
    preprocess: Annotated[
        str | None,
        typer.Option(
            metavar="STEPS",
            help="Steps joined by |, of scale(low, high) and standardize; or none.",
            show_default="the bundle's; without one, scale(0, 255) for uint8",
        ),
    ] = None,
    features: Features = None,
    anchor_weight: Annotated[
        str,
        typer.Option(metavar="auto|N", help="Weight of the anchors; auto holds their error at the tolerance."),
    ] = "auto",
    anchor_tolerance: Annotated[
        float, typer.Option(help="Anchor error to hold, as a share of the space's total standard deviation.")
    ] = 0.05,
    anchor_decoder_weight: Annotated[
        float, typer.Option(min=0, help="Weight of decoding the stored latents back to their inputs.")
    ] = 0.0,
    anchors_per_step: Annotated[int, typer.Option(min=1, help="Anchors drawn at each step, if there are more.")] = 256,
    validation: Annotated[float, typer.Option(help="Share of the items held out to measure on.")] = 0.1,
    seed: Seed = 0,
    device: DeviceOption = Device.auto,
    force: Force = False,
    json: Json = False,
) -> None:
    """Train a VAE on DATA; with --anchors, an R-VAE in the bundle's latent space."""
    with exit_on_error():
        settings: dict[str, Any] = {
            "latent_dim": latent_dim,
            "hidden": _sizes(hidden),
            "epochs": epochs,
            "batch_size": batch_size,
            "lr": lr,
            "beta": beta,
            "likelihood": likelihood.value,
            "precision": precision,
            "preprocess": preprocess,
            "anchor_weight": _weight(anchor_weight),
            "anchor_tolerance": anchor_tolerance,
            "anchor_decoder_weight": anchor_decoder_weight,
            "anchors_per_step": anchors_per_step,
            "validation": validation,
            "seed": seed,
            "device": device.value,
        }
        from rosetta.verbs.train import train as run

        trust = trust_options(require_signature, trusted_key, trust_file)
        notes: list[str] = []
        with training_progress(f"training {output.name}") as on_progress:
            report = run(
                data,
                output,
                anchors=anchors or (),
                features=features,
                **trust,
                force=force,
                on_progress=on_progress,
                on_note=notes.append,
                **settings,
            )
        for each in notes:
            note(each)
        emit(report, as_json=json, text=lambda: _show(report, anchor_tolerance))


def _show(report: TrainReport, tolerance: float) -> None:
    final = report.final
    rows = [
        ("run", report.run),
        ("objective", report.objective.upper()),
        ("items", f"{report.n_items:,}, of which {report.n_validation:,} held out"),
        ("epochs", f"{report.epochs:,}, {report.rows_per_s:,.0f} rows/s"),
        (
            "held-out ELBO" if report.n_validation else "training ELBO",
            f"{final.elbo:.3f} nats an item (reconstruction {final.reconstruction:.3f}, KL {final.kl:.3f})",
        ),
    ]
    for source in report.anchors:
        signers = ", signed by " + ", ".join(each.name for each in source.signed_by) if source.signed_by else ""
        rows.append(("anchors", f"{source.n_pairs} pairs of {source.content_id[:12]}…{signers}"))
    if final.anchor_rms is not None:
        rows.append(
            (
                "anchor error",
                f"{final.anchor_rms:.3f} of the space's standard deviation (tolerance {tolerance:g})",
            )
        )
    facts(rows)


def _sizes(text: str) -> tuple[int, ...]:
    from rosetta.errors import UsageError

    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--hidden is {text!r}; expected sizes such as 512,256") from error


def _weight(text: str) -> float | str:
    from rosetta.errors import UsageError

    try:
        return text if text == "auto" else float(text)
    except ValueError as error:
        raise UsageError(f"--anchor-weight is {text!r}; expected auto or a number") from error
