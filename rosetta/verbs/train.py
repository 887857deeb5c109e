"""Train a VAE, or an R-VAE when given bundles."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from rosetta.arrays import Array, resolve_device
from rosetta.bundle import Bundle
from rosetta.errors import UsageError
from rosetta.files import Paths, check_output, listed
from rosetta.models.checkpoint import save_run, weights_digest
from rosetta.models.vae import VAE, build_vae
from rosetta.objectives.anchors import AnchorLoss
from rosetta.objectives.elbo import AnchoredELBO
from rosetta.schemas.reports import TrainReport
from rosetta.schemas.run import AnchorSource, DataSummary, FinalFigures, RunRecord, TrainSettings
from rosetta.schemas.signature import SignedBy
from rosetta.training.loop import Epoch, Means, Progress, evaluate, fit
from rosetta.verbs.configure import check_bounds, configure, prepare_items, refuse_idle_settings, split_items
from rosetta.verbs.prepare import Features, Prepared
from rosetta.verbs.settings import check_settings
from rosetta.verbs.software import now, versions
from rosetta.verbs.validate import open_valid
from rosetta.verbs.verify import signers_of, trust_if_any

UNUSUAL_VALUE = 20.0  # beyond this, inputs are probably raw numbers that were meant to be scaled
MISSED = 1.25  # times the tolerance: a held weight ends a little above or below


def train(
    data: str | Array,
    output: str | PathLike[str],
    *,
    anchors: Paths = (),
    features: Features = None,
    trusted_keys: Paths = (),
    trust_file: str | PathLike[str] | None = None,
    force: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_note: Callable[[str], None] = lambda note: None,
    **settings: Any,
) -> TrainReport:
    """Train a VAE on `data`, anchored to the Rosetta pairs of `anchors` if there are any, and leave a run folder.

    Parameters
    ----------
    data : str or array, shape (n_items, …)
        ``file.npy``, ``file.npz::name``, ``file.h5::path``, or the items themselves.
    output : path
        The run folder to make.
    anchors : path or sequence of paths
        Bundles of one latent space. Their preprocessing is repeated on the data.
    features : str or sequence of str, optional
        Names of the features, or where they stand; needed where a bundle names its own.
    trusted_keys, trust_file : optional
        As in `verify`: where one is given, every bundle must be signed by one of these keys.
    force : bool
        Replace a run folder that is there.
    on_progress : callable
        Called about ten times a second with a `rosetta.training.loop.Progress`.
    on_note : callable
        Called with what the user should know about the data or the result.
    **settings
        The fields of `rosetta.schemas.run.TrainSettings`, such as ``latent_dim``, ``hidden``, ``epochs``,
        ``beta``, ``anchor_weight``, ``seed``.

    Returns
    -------
    TrainReport
        Losses in nats an item, averaged over the held-out items.

    Raises
    ------
    RosettaError
        For settings, data, bundles or outputs that cannot be used, or signatures that are refused (SignatureError);
        nothing is left behind then.
    """
    chosen = check_settings(TrainSettings, settings)
    folder = Path(output)
    check_output(folder, force=force)
    device = resolve_device(chosen.device)
    refuse_idle_settings(chosen, has_anchors=bool(anchors))
    paths = listed(anchors)
    trust = trust_if_any(trusted_keys, trust_file)
    if trust is not None and not paths:
        raise UsageError("keys to trust have no effect without --anchors: pass a bundle, or leave them out")
    bundles = [open_valid(path) for path in paths]
    signers = [signers_of(path, bundle, trust) for path, bundle in zip(paths, bundles, strict=True)]
    items = prepare_items(data, bundles, features, chosen)
    config, step_arrays = configure(items, bundles, chosen)
    model = build_vae(config)
    check_bounds(model.likelihood, items.inputs, chosen)
    _note_range(items, on_note)
    anchor_loss = _anchor_loss(bundles, chosen)
    objective = AnchoredELBO(model, beta=chosen.beta, anchors=anchor_loss).to(device)
    held_out, rest = split_items(len(items.inputs), chosen)
    training, measured = (torch.from_numpy(items.inputs[rows]) for rows in (rest, held_out if len(held_out) else rest))
    epochs, log = _logger(anchor_loss)
    fit(
        objective,
        training,
        measured if len(held_out) else None,
        n_dims=config.latent_dim,
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        lr=chosen.lr,
        seed=chosen.seed,
        device=device,
        on_epoch=log,
        on_progress=on_progress,
    )
    means = evaluate(objective, measured, n_dims=config.latent_dim, seed=chosen.seed, device=device)
    record = RunRecord(
        **_lineage(bundles, signers, model),
        created=now(),
        data=DataSummary(
            n_items=len(items.inputs), n_validation=len(held_out), dtype=items.raw_dtype, shape=config.input_shape
        ),
        n_parameters=sum(p.numel() for p in model.parameters()),
        epochs=chosen.epochs,
        **_speed(epochs, len(rest)),
        final_anchor_weight=anchor_loss.weight if anchor_loss else None,
        final=_final(means, objective, device),
        software=versions("torch", "numpy", "lightning-fabric"),
    )
    save_run(folder, model, config, record, metrics=epochs, step_arrays=step_arrays, force=force)
    _note_tolerance(record, chosen, on_note)
    return _report(str(output), record)


def new_space_id(weights_sha256: str) -> str:
    """Return the id of the space that a model without anchors makes: a digest of its weights."""
    return "space-" + hashlib.sha256(f"rosetta-space-v1\n{weights_sha256}".encode()).hexdigest()[:32]


def _lineage(bundles: list[Bundle], signers: list[tuple[SignedBy, ...]], model: VAE) -> dict[str, Any]:
    """Return the fields of a run's record that say what space the model is in, and from where."""
    digest = weights_digest(model)
    if not bundles:
        return {"objective": "vae", "space_id": new_space_id(digest), "weights_sha256": digest}
    space = bundles[0].manifest.content.space
    return {
        "objective": "r-vae",
        "space_id": space.id,
        "space_name": space.name,
        "generation": 1 + max(b.manifest.provenance.generation for b in bundles),
        "anchors": tuple(
            AnchorSource(content_id=b.content_id, n_pairs=int(b.is_anchor.sum()), signed_by=who)
            for b, who in zip(bundles, signers, strict=True)
        ),
        "weights_sha256": digest,
    }


def _speed(epochs: list[dict[str, float | None]], n_rows: int) -> dict[str, Any]:
    elapsed = sum(float(epoch["elapsed_s"] or 0) for epoch in epochs)
    return {"elapsed_s": round(elapsed, 3), "rows_per_s": round(n_rows * len(epochs) / max(elapsed, 1e-9), 1)}


def _note_range(items: Prepared, on_note: Callable[[str], None]) -> None:
    low, high = float(items.inputs.min()), float(items.inputs.max())
    if not items.steps and max(-low, high) > UNUSUAL_VALUE:
        on_note(
            f"the inputs range from {low:g} to {high:g} and are not preprocessed: most trainings go better with "
            f"--preprocess standardize or --preprocess 'scale({low:g}, {high:g})'"
        )


def _note_tolerance(record: RunRecord, settings: TrainSettings, on_note: Callable[[str], None]) -> None:
    rms = record.final.anchor_rms
    if rms is not None and settings.anchor_weight == "auto" and rms > MISSED * settings.anchor_tolerance:
        on_note(
            f"the anchor error is {rms:.3f}, above the tolerance of {settings.anchor_tolerance:g}: train longer "
            f"(--epochs), with a wider network (--hidden), or allow more (--anchor-tolerance)"
        )


def _anchor_loss(bundles: list[Bundle], settings: TrainSettings) -> AnchorLoss | None:
    if not bundles:
        return None
    return AnchorLoss(
        tuple(bundles),
        weight=settings.anchor_weight,
        tolerance=settings.anchor_tolerance,
        decoder_weight=settings.anchor_decoder_weight,
        anchors_per_step=settings.anchors_per_step,
        seed=settings.seed,
    )


def _logger(anchors: AnchorLoss | None) -> tuple[list[dict[str, float | None]], Callable[[Epoch], None]]:
    """Return the rows of metrics.csv and what adds one to them after each epoch."""
    rows: list[dict[str, float | None]] = []

    def log(epoch: Epoch) -> None:
        held_out = epoch.validation
        rows.append({
            "epoch": epoch.number,
            "elapsed_s": round(epoch.elapsed_s, 6),
            "rows_per_s": round(epoch.n_rows / max(epoch.elapsed_s, 1e-9), 1),
            "elbo": epoch.training.elbo,
            "reconstruction": epoch.training.reconstruction,
            "kl": epoch.training.kl,
            "anchor_rms": epoch.training.anchor_error**0.5 / anchors.total_sd if anchors else None,
            "anchor_weight": anchors.weight if anchors else None,
            "validation_elbo": held_out.elbo if held_out else None,
            "validation_reconstruction": held_out.reconstruction if held_out else None,
            "validation_kl": held_out.kl if held_out else None,
        })  # fmt: skip

    return rows, log


def _final(means: Means, objective: AnchoredELBO, device: torch.device) -> FinalFigures:
    return FinalFigures(
        elbo=means.elbo, reconstruction=means.reconstruction, kl=means.kl, anchor_rms=_anchor_rms(objective, device)
    )


def _report(run: str, record: RunRecord) -> TrainReport:
    return TrainReport(
        run=run,
        objective=record.objective,
        n_items=record.data.n_items,
        n_validation=record.data.n_validation,
        epochs=record.epochs,
        rows_per_s=record.rows_per_s,
        final=record.final,
        anchors=record.anchors,
    )


@torch.no_grad()
def _anchor_rms(objective: AnchoredELBO, device: torch.device) -> float | None:
    """Return the root-mean-square error over all anchors, as a share of the space's total standard deviation."""
    anchors = objective.anchors
    if anchors is None:
        return None
    means = torch.cat([objective.model.encode(block)[0] for block in torch.split(anchors.inputs.to(device), 4096)])
    return float((means - anchors.latents).square().sum(1).mean().sqrt() / anchors.total_sd)
