"""Which items a training runs over, and which are held out: in memory, or streamed from disk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rosetta.arrays import Array
from rosetta.inputs.prepare import Streamable
from rosetta.runs.configure import split_items
from rosetta.runs.job import Job
from rosetta.schemas.run import TrainSettings
from rosetta.training.items import InMemory, Items, Streamed
from rosetta.training.loop import Training
from rosetta.training.measuring import HeldOut

SAMPLE = 1024  # items that are measured on where none are held out


def split_job(job: Job, each: Sequence[TrainSettings]) -> tuple[Items, HeldOut]:
    """Return the items to train on and those to measure on, for each model its own."""
    if isinstance(job.items, Streamable):
        (settings,) = each  # models that train side by side would each need a pool of rows of their own
        return _split_stream(job, job.items, settings)
    inputs = torch.from_numpy(job.items.inputs).to(job.device)
    splits = [split_items(len(inputs), settings, job.groups) for settings in each]
    counts = bool(len(splits[0][0]))
    n_measured = len(splits[0][0]) or SAMPLE
    measured = [torch.from_numpy((held_out if counts else rest)[:n_measured]) for held_out, rest in splits]
    noises = [_noise(len(rows), job, settings) for rows, settings in zip(measured, each, strict=True)]
    held_out = HeldOut(inputs, _stacked(measured).to(job.device), _stacked(noises).to(job.device), counts)
    training = _stacked([torch.from_numpy(rest) for _, rest in splits])
    return InMemory(inputs, training.to(job.device), job.config.latent_dim), held_out


def final_items(training: Training) -> HeldOut:
    """Return what the final figures are over: the held-out items, or all if none were held out.

    Of items on disk, it is a sample of them then.
    """
    held_out, items = training.held_out, training.items
    if held_out.counts or not isinstance(items, InMemory):
        return held_out
    noise = torch.randn(items.n_items, items.n_dims, generator=torch.Generator().manual_seed(0)).to(items.rows.device)
    return HeldOut(items.inputs, items.rows, noise.expand(*items.rows.shape, items.n_dims), counts=False)


def n_held_out(job: Job, items: Streamable, settings: TrainSettings) -> tuple[int, int]:
    """Return how many items on disk are measured on, and how many were to be held out: those must fit into memory."""
    wanted = len(_held_out_groups(job, settings)) if job.groups is not None else (
        round(settings.validation * len(items.inputs))
    )  # fmt: skip
    return min(wanted, max(items.blocks.held_out, 1)), wanted


def _held_out_groups(job: Job, settings: TrainSettings) -> Array:
    """Return the numbers of all rows of the groups that are held out."""
    return split_items(len(job.items.inputs), settings, job.groups)[0]


def _split_stream(job: Job, items: Streamable, settings: TrainSettings) -> tuple[Streamed, HeldOut]:
    """Hold out the rows that would be in memory too, or as many of them as there is room for.

    Groups are held out whole, and measured on by as many of their rows as there is room for.
    """
    n_all, n_kept = len(items.inputs), n_held_out(job, items, settings)[0]
    is_held_out = np.zeros(n_all, dtype=bool)
    if job.groups is None or not n_kept:
        order = np.random.default_rng(settings.seed).permutation(n_all)
        measured = np.sort(order[: n_kept or min(SAMPLE, max(items.blocks.held_out, 1))])
        del order  # larger than all else that is kept for each row
        is_held_out[measured[:n_kept]] = True
    else:
        held = _held_out_groups(job, settings)
        is_held_out[held] = True
        measured = np.sort(np.random.default_rng([settings.seed, 1]).permutation(held)[:n_kept])
    blocks = items.blocks
    inputs = torch.from_numpy(items.inputs.picked(measured, blocks.block)).to(job.device)
    rows = torch.arange(len(inputs), device=job.device)
    held_out = HeldOut(inputs, rows, _noise(len(inputs), job, settings).to(job.device), bool(n_kept))
    streamed = Streamed(items.inputs.read, is_held_out, blocks.block, blocks.pool, job.config.latent_dim, job.device)
    return streamed, held_out


def _noise(n_items: int, job: Job, settings: TrainSettings) -> Tensor:
    return torch.randn(n_items, job.config.latent_dim, generator=torch.Generator().manual_seed(settings.seed))


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.stack(list(tensors))
