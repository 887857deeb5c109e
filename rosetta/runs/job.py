"""What is trained on what: settings, bundles, items and a starting point, held against each other before any work."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rosetta.arrays import Array, resolve_device
from rosetta.bundle import Bundle
from rosetta.errors import IncompatibleError, UsageError
from rosetta.files import Paths, listed
from rosetta.inputs.matching import Features
from rosetta.inputs.prepare import Prepared, Streamable
from rosetta.inputs.streaming import memory_budget
from rosetta.models import OPTIONS, alignment
from rosetta.models.checkpoint import Checkpoint, load_run
from rosetta.models.side_by_side import VAEsSideBySide
from rosetta.models.vae import VAE, build_vae
from rosetta.objectives.balance import Anchors, Balance
from rosetta.objectives.dual_weight import HeldWeight
from rosetta.objectives.elbo import AnchoredELBO
from rosetta.objectives.kinds import ANCHOR_TERMS, Objective, objectives
from rosetta.objectives.pairs import AnchorPool
from rosetta.policies import Membership
from rosetta.runs.configure import (
    check_inputs,
    configure,
    objective_settings,
    prepare_items,
    refuse_idle_settings,
    split_items,
)
from rosetta.schemas.policy import Policy
from rosetta.schemas.run import RunConfig, TrainSettings
from rosetta.schemas.signature import SignedBy
from rosetta.sources import as_source
from rosetta.validation.opening import open_valid
from rosetta.validation.signers import signers_of, trust_if_any

FINGERPRINT_ROWS, FINGERPRINT_READS = 1024, 64  # in memory, and from disk


@dataclass(frozen=True)
class Job:
    """A training, or several that differ in a few settings only, checked and ready."""

    settings: TrainSettings
    bundles: tuple[Bundle, ...]
    signers: tuple[tuple[SignedBy, ...], ...]
    items: Prepared | Streamable
    config: RunConfig
    step_arrays: dict[str, Array]
    device: torch.device
    start: Checkpoint | None
    groups: Array | None = None  # whose each item is, int from 0, shape (n_items,): held out or trained on as a whole
    n_excluded: int = 0  # items that a policy left out
    notes: tuple[str, ...] = ()  # of both, for the user

    @property
    def n_groups(self) -> int | None:
        """How many groups are held out or trained on as a whole; None where items are."""
        return None if self.groups is None else int(self.groups.max()) + 1

    @property
    def objective(self) -> Objective:
        """What is minimised."""
        return objectives.get(self.settings.objective)

    def settings_with(self, changes: dict[str, Any]) -> TrainSettings:
        """Return the settings of one model: those of the job, resolved, with its own."""
        return self.config.settings.model_copy(update=changes)

    @cached_property
    def pool(self) -> AnchorPool | None:
        """The anchors' pairs as tensors on the device, if there are any: one copy, whatever number of models."""
        if not self.bundles:
            return None
        settings = self.settings
        return AnchorPool(
            self.bundles,
            per_step=settings.anchors_per_step,
            noise=settings.anchor_noise,
            weighed=settings.anchor_pair_weights == "share",
            with_sd=settings.anchor_spread_weight > 0,
            latent_noise=self.config.latent_dim if settings.anchor_elbo_weight > 0 else 0,
        ).to(self.device)


def make_job(
    data: str | Array,
    settings: TrainSettings,
    *,
    anchors: Paths,
    features: Features,
    start_from: str | PathLike[str] | None,
    trusted_keys: Paths,
    trust_file: str | PathLike[str] | None,
    memory_gib: float | None = None,
    n_processes: int = 1,
    policy: Policy | None = None,
    groups: str | None = None,
) -> Job:
    """Check everything that can be checked before any work is done, or raise what is wrong.

    Items that take more than `memory_gib` of memory stay on disk; by default, more than half of this machine's,
    which `n_processes` share. What `policy` excludes is left out before anything is fitted; `groups` says whose each
    item is.
    """
    device = resolve_device(settings.device)
    budget = memory_budget(memory_gib, device, n_processes=n_processes)
    paths = listed(anchors)
    refuse_idle_settings(settings, has_anchors=bool(paths))
    trust = trust_if_any(trusted_keys, trust_file)
    if trust is not None and not paths:
        raise UsageError("keys to trust have no effect without `anchors`: pass a bundle, or leave them out")
    code = settings.architecture if ":" in settings.architecture else None
    start = None if start_from is None else load_run(Path(start_from), code=code)
    bundles = tuple(open_valid(path) for path in paths)
    signers = tuple(signers_of(path, bundle, trust) for path, bundle in zip(paths, bundles, strict=True))
    members = Membership(policy or Policy(), groups, str(as_source(data)))
    chosen = members.included if policy is not None or groups is not None else None
    items = prepare_items(data, list(bundles), features, settings, budget=budget, only=chosen)
    config, step_arrays = configure(items, list(bundles), settings)
    codes = None if members.groups is None else members.groups.of_rows(members.rows)
    job = Job(
        config.settings, bundles, signers, items, config, step_arrays, device, start, codes, members.n_excluded,
        _notes(members, settings, has_policy=policy is not None),
    )  # fmt: skip
    check_inputs(new_model(job, config.settings).likelihood, items.facts, settings)
    return job


def _notes(members: Membership, settings: TrainSettings, *, has_policy: bool) -> tuple[str, ...]:
    """Return what the user should know of what is excluded and of groups."""
    excluded = []
    if members.n_excluded:
        excluded.append(f"{members.n_excluded:,} items are left out of the training by the policy")
    elif has_policy:
        excluded.append(
            "the policy excludes no items, and its other clauses are about bundles: it changes nothing here"
        )
    if members.groups is None:
        return tuple(excluded)
    notes = (*excluded, *members.groups.notes)
    if not settings.validation:
        return (*notes, "no items are held out, so `groups` changes nothing")
    codes = members.groups.of_rows(members.rows)
    held_out = split_items(len(codes), settings, codes)[0]
    n_groups, n_all = len(np.unique(codes[held_out])), int(codes.max()) + 1
    return (*notes, f"{n_groups:,} of {n_all:,} groups are held out: {len(held_out):,} of {len(codes):,} items")


def new_model(job: Job, settings: TrainSettings) -> VAE:
    """Return the model that a training begins with.

    Raises
    ------
    IncompatibleError
        If the run to start from has another network, or there is nothing to align.
    """
    config = job.config.model_copy(update={"settings": settings})
    model = build_vae(config, code=settings.architecture)
    if job.start is not None:
        _take_weights(model, job.start, config)
    if settings.align:
        bundle = job.bundles[0]
        inputs = np.concatenate([b.anchor_inputs for b in job.bundles])
        latents = np.concatenate([b.anchor_latents for b in job.bundles])
        if len(inputs) <= bundle.latents.shape[1]:
            raise IncompatibleError(
                f"`align` needs more anchors than latent dimensions, and there are {len(inputs)} for "
                f"{bundle.latents.shape[1]}"
            )
        alignment.align(model, inputs, latents)
    return model


def objective_of(job: Job, model: VAE | VAEsSideBySide) -> AnchoredELBO:
    """Return the terms of a model's loss."""
    n_data = len(split_items(len(job.items.inputs), job.settings, job.groups)[1])
    also = set(_anchor_weights(job.settings))
    return AnchoredELBO(model, also=also, measure=job.objective.measure, n_data=n_data).to(job.device)


def balance_of(job: Job, each: Sequence[TrainSettings], pool: AnchorPool | None) -> Balance:
    """Return what the terms count for, for models with these settings."""
    held = None
    if pool is not None:
        weights = [_scaled(s, pool) for s in each]
        targets = [(s.anchor_tolerance * pool.total_sd) ** 2 for s in each]
        held = HeldWeight(weights, targets) if len(each) > 1 else HeldWeight(weights[0], targets[0])
    objective, owns = job.objective, [objective_settings(s) for s in each]
    derive = objective.derive
    return Balance(
        {term.name: [term.weight(s, own) for s, own in zip(each, owns, strict=True)] for term in objective.terms},
        held=held,
        others=_anchor_weights(job.settings),
        annealed={term.name for term in objective.terms if term.is_annealed},
        derive=None if derive is None else lambda terms, position: derive(terms, owns[0], position),
        measured={term.name for term in objective.terms if term.over == "items"},
    ).to(job.device)


def _anchor_weights(settings: TrainSettings) -> dict[str, float]:
    """Return what the anchors' terms beside their error count for, as far as they count."""
    weights = {term.name: term.weight(settings, None) for term in ANCHOR_TERMS}
    return {name: weight for name, weight in weights.items() if weight}


def anchors_of(pool: AnchorPool | None, each: Sequence[TrainSettings]) -> Anchors | None:
    """Return the anchors of each step for models with these settings."""
    return None if pool is None else Anchors(pool, [s.seed for s in each])


def fingerprint(job: Job) -> str:
    """Return a digest of the inputs' shape, of rows spread over them and of groups, to know the data again.

    With items that stay on disk it says how they are read, which makes the order of a training.
    """
    if isinstance(job.items, Streamable):
        stream, blocks = job.items.inputs, job.items.blocks
        digest = hashlib.sha256(f"{stream.shape} {job.items.info.raw_dtype} ".encode())
        if job.groups is not None:
            digest.update(job.groups.tobytes())
        for row in np.unique(np.linspace(0, len(stream) - 1, FINGERPRINT_READS).astype(int)):
            digest.update(stream.read(row, row + 1).tobytes())
        return f"{digest.hexdigest()[:12]}… in blocks of {blocks.block:,} of {blocks.pool:,} rows (`memory_gib`)"
    inputs = job.items.inputs
    digest = hashlib.sha256(f"{inputs.shape} {job.items.info.raw_dtype} ".encode())
    if job.groups is not None:
        digest.update(job.groups.tobytes())
    for row in np.unique(np.linspace(0, len(inputs) - 1, FINGERPRINT_ROWS).astype(int)):
        digest.update(np.ascontiguousarray(inputs[row]).tobytes())
    return digest.hexdigest()


def _scaled(settings: TrainSettings, pool: AnchorPool) -> Any:
    """Return the anchor weight; the paper's is multiplied by the ratio of points to batch size (appendix B)."""
    if settings.anchor_scaling == "paper" and not isinstance(settings.anchor_weight, str):
        return settings.anchor_weight * pool.n_drawn / settings.batch_size
    return settings.anchor_weight


def _take_weights(model: VAE, start: Checkpoint, config: RunConfig) -> None:
    """Load a run's weights, or say what differs."""
    mine, theirs = config, start.config
    differences = [
        f"{name}: {a} here, {b} in the run"
        for name, a, b in (
            ("architecture", mine.settings.architecture, theirs.settings.architecture),
            ("input shape", mine.input_shape, theirs.input_shape),
            ("latent dimensions", mine.latent_dim, theirs.latent_dim),
            ("hidden sizes", mine.settings.hidden, theirs.settings.hidden),
            ("channels", mine.settings.channels, theirs.settings.channels),
            ("likelihood", mine.settings.likelihood, theirs.settings.likelihood),
        )
        if a != b
    ]
    try:
        if not differences:
            model.load_state_dict(start.model.state_dict())
    except RuntimeError as error:
        differences = [str(error)]
    if differences:
        theirs_told = {n: getattr(theirs.settings, n) for n in ("architecture", *OPTIONS, "likelihood", "precision")}
        options = " ".join(
            f"`{name}={list(value) if isinstance(value, tuple) else value!r}`"
            for name, value in theirs_told.items()
            if value is not None and not isinstance(value, bool) and value != getattr(mine.settings, name)
        )
        raise IncompatibleError(
            "the run to start from has another network:\n  - "
            + "\n  - ".join(differences)
            + (f"\nTell this training the same: {options}" if options else "")
        )
