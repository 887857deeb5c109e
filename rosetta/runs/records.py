"""What became of a training: the rows of metrics.csv, and each model's record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rosetta.arrays import Array, Derived, Picked
from rosetta.disclosure.memory import LEAST, Side, memory_of
from rosetta.inputs.prepare import COUNTS
from rosetta.models.checkpoint import weights_digest
from rosetta.models.vae import VAE, decode_array, encode_array
from rosetta.objectives.pairs import AnchorPool
from rosetta.runs.anchor_figures import anchored_figures
from rosetta.runs.configure import rows_digest
from rosetta.runs.job import Job
from rosetta.schemas.run import AnchorSource, DataSummary, FinalFigures, RunConfig, RunRecord, TrainSettings
from rosetta.schemas.separation import Separation
from rosetta.software import now, versions
from rosetta.training.divergence import explain
from rosetta.training.items import Streamed
from rosetta.training.loop import Training
from rosetta.training.measuring import HeldOut, evaluate
from rosetta.training.plan import Epoch

ANCHORED = {"vae": "r-vae"}  # names of their own for objectives with anchors, which others do without
USUAL_TERMS = ("reconstruction", "kl", "anchor_error")  # every row has them, by these names or by others
Row = dict[str, float | int | None]


@dataclass(frozen=True)
class Trained:
    """What became of one model."""

    config: RunConfig
    model: VAE
    record: RunRecord
    rows: tuple[Row, ...]  # of metrics.csv


@dataclass(frozen=True)
class Diverged:
    """A model whose loss became no finite number, where the others went on."""

    message: str
    rows: tuple[Row, ...]


def row_of(epoch: Epoch, pool: AnchorPool | None) -> Row:
    """Return an epoch's row of metrics.csv."""
    training, held_out = epoch.training, epoch.validation
    row: Row = {
        "epoch": epoch.number,
        "elapsed_s": round(epoch.elapsed_s, 6),
        "rows_per_s": round(epoch.n_rows / max(epoch.elapsed_s, 1e-9), 1),
        "lr": epoch.lr,
        "annealed": epoch.annealed,
        "elbo": -(training["reconstruction"] + training["kl"]),
        "reconstruction": training["reconstruction"],
        "kl": training["kl"],
        "active_units": epoch.n_active,
        "anchor_rms": training["anchor_error"] ** 0.5 / pool.total_sd if pool else None,
        "anchor_weight": epoch.anchor_weight,
        "validation_elbo": -(held_out["reconstruction"] + held_out["kl"]) if held_out else None,
        "validation_reconstruction": held_out["reconstruction"] if held_out else None,
        "validation_kl": held_out["kl"] if held_out else None,
    }
    more = [name for name in training if name not in USUAL_TERMS]
    row |= {name: training[name] for name in more}
    return row | {f"validation_{name}": held_out[name] for name in more if held_out and name in held_out}


def outcomes_of(
    job: Job,
    each: Sequence[TrainSettings],
    models: Sequence[VAE],
    training: Training,
    pool: AnchorPool | None,
    rows: list[list[Row]],
    *,
    measured_on: HeldOut,
) -> list[Trained | Diverged]:
    """Return each model with the weights it ended with, and its record; `measured_on` gives its final figures."""
    measured, _ = evaluate(training.program, measured_on)
    weights = training.program.weights()
    outcomes: list[Trained | Diverged] = []
    for number, (settings, model) in enumerate(zip(each, models, strict=True)):
        if number in training.diverged:
            outcomes.append(Diverged(explain(training.diverged[number], 1, training.plan.advice), tuple(rows[number])))
            continue
        prefix = "model."
        model.load_state_dict({n.removeprefix(prefix): t for n, t in weights[number].items() if n.startswith(prefix)})
        best = training.patience.best_epoch[number] if training.patience else 0
        record = RunRecord(
            **_lineage(job, model),
            created=now(),
            data=DataSummary(
                n_items=len(job.items.inputs),
                n_validation=training.held_out.rows.shape[-1] if training.held_out.counts else 0,
                dtype=job.items.info.raw_dtype,
                shape=job.config.input_shape,
                filled_features=job.items.info.filled,
                n_skipped=job.items.info.n_skipped,
                n_excluded=job.n_excluded,
                n_groups=job.n_groups,
                inputs_sha256=job.items.sha256,
                held_out_sha256=rows_digest(_held_out_rows(training, number)) if training.held_out.counts else None,
            ),
            n_parameters=sum(p.numel() for p in model.parameters()),
            started_from=None if job.start is None else job.start.record.weights_sha256,
            processes=training.fabric.world_size,
            epochs=len(rows[number]),
            best_epoch=best or None,
            elapsed_s=round(sum(float(row["elapsed_s"] or 0) for row in rows[number]), 3),
            rows_per_s=_rate(rows[number], training.items.n_items),
            final_anchor_weight=rows[number][(best or len(rows[number])) - 1]["anchor_weight"],
            memory=_memory(job, model, _held_out_rows(training, number)) if training.held_out.counts else None,
            final=_final(measured[number], anchored_figures(job, model, pool)),
            software=versions("torch", "numpy", "lightning-fabric"),
        )
        config = job.config.model_copy(update={"settings": settings})
        outcomes.append(Trained(config, model, record, tuple(rows[number])))
    return outcomes


def new_space_id(weights_sha256: str) -> str:
    """Return the id of the space that a model without anchors makes: a digest of its weights."""
    return "space-" + hashlib.sha256(f"rosetta-space-v1\n{weights_sha256}".encode()).hexdigest()[:32]


def _held_out_rows(training: Training, number: int) -> Array:
    """Return the sorted numbers of the rows that a model was not trained on."""
    if isinstance(training.items, Streamed):
        return np.flatnonzero(training.items.is_held_out)
    rows = training.held_out.rows.cpu().numpy()
    return np.sort(rows if rows.ndim == 1 else rows[number])


def _memory(job: Job, model: VAE, held_out: Array) -> Separation | None:
    """Return how well the model tells items that it was trained on from held-out ones; None where nobody can say."""
    inputs = job.items.inputs
    trained = np.setdiff1d(np.arange(len(inputs)), held_out, assume_unique=True)
    if job.start is not None or min(len(trained), len(held_out)) < LEAST:  # what it started from may have seen all
        return None

    def side(rows: Array) -> Side:
        chosen = Picked(inputs, rows)
        return Side(chosen, Derived(chosen, lambda block: encode_array(model, block)[0], job.config.latent_dim))

    return memory_of(
        lambda latents: decode_array(model, latents), side(trained), side(held_out),
        counts=job.config.settings.likelihood in COUNTS,
    )  # fmt: skip


def _final(means: Mapping[str, float], anchored: Mapping[str, float | None]) -> FinalFigures:
    return FinalFigures(
        elbo=-(means["reconstruction"] + means["kl"]),
        reconstruction=means["reconstruction"],
        kl=means["kl"],
        **anchored,
    )


def _rate(rows: Sequence[Row], n_items: int) -> float:
    return round(n_items * len(rows) / max(sum(float(row["elapsed_s"] or 0) for row in rows), 1e-9), 1)


def _lineage(job: Job, model: VAE) -> dict[str, Any]:
    """Return the fields of a run's record that say what space the model is in, and from where."""
    digest, objective = weights_digest(model), job.settings.objective
    if not job.bundles:
        return {"objective": objective, "space_id": new_space_id(digest), "weights_sha256": digest}
    space = job.bundles[0].manifest.content.space
    return {
        "objective": ANCHORED.get(objective, objective),
        "space_id": space.id,
        "space_name": space.name,
        "generation": 1 + max(b.manifest.provenance.generation for b in job.bundles),
        "anchors": tuple(
            AnchorSource(content_id=b.content_id, n_pairs=int(b.is_anchor.sum()), signed_by=who)
            for b, who in zip(job.bundles, job.signers, strict=True)
        ),
        "weights_sha256": digest,
    }
