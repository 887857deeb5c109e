"""Latents of new data."""

from __future__ import annotations

import time
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from rosetta.arrays import Array, Floats, resolve_device
from rosetta.files import atomic_file, check_output
from rosetta.models.checkpoint import Checkpoint, load_run
from rosetta.models.vae import OnRows, encode_array
from rosetta.schemas.reports import EmbedReport
from rosetta.verbs.prepare import Features, expected_by, match_inputs


def latents_of(
    model: str | PathLike[str],
    data: str | Array,
    *,
    features: Features = None,
    device: str = "auto",
    allow_code: str | None = None,
    all_dims: bool = False,
    on_rows: OnRows = lambda n_done, n_rows: None,
) -> Floats:
    """Return the posterior means of `data` under a run's model, float32, shape (n_items, n_dims).

    They are in the latent space's dimensions; `all_dims` adds the model's free ones behind them, if it has any.
    `on_rows` is called with the numbers of rows done and of all rows, block by block. `allow_code` is the
    ``package.module:factory`` that may be imported, for a run whose network is somebody's own.

    Raises
    ------
    RosettaError
        If the run is damaged or the data does not fit it.
    """
    where = resolve_device(device)
    checkpoint = load_run(Path(model), code=allow_code)
    latents = _means(checkpoint, data, features, where, on_rows)
    return latents if all_dims else latents[:, : checkpoint.space_dims]


def embed(
    model: str | PathLike[str],
    data: str | Array,
    output: str | PathLike[str],
    *,
    features: Features = None,
    device: str = "auto",
    allow_code: str | None = None,
    all_dims: bool = False,
    force: bool = False,
    on_rows: OnRows = lambda n_done, n_rows: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> EmbedReport:
    """Write the posterior means of `data` to a ``.npy`` file: one row an item, never samples.

    They are in the latent space's dimensions; `all_dims` adds the model's free ones behind them. `on_note` is called
    with what the user should know of them.

    Raises
    ------
    RosettaError
        If the run is damaged, the data does not fit it, or the output cannot be written.
    """
    path = Path(output)
    check_output(path, force=force, suffix=".npy")
    started = time.perf_counter()
    where = resolve_device(device)
    checkpoint = load_run(Path(model), code=allow_code)
    latents = _means(checkpoint, data, features, where, on_rows)
    n_space, n_all = checkpoint.space_dims, latents.shape[1]
    if n_space < n_all and not all_dims:
        latents = np.ascontiguousarray(latents[:, :n_space])
        on_note(
            f"these are the {n_space} dimensions of the latent space; the model's {n_all - n_space} free ones, which "
            "no other lab has, are left out: --all-dims writes them too"
        )
    elif n_space < n_all:
        on_note(f"the first {n_space} dimensions are the latent space's, the other {n_all - n_space} this model's own")
    elapsed = time.perf_counter() - started
    with atomic_file(path, force=force) as temporary, temporary.open("wb") as file:
        np.save(file, latents, allow_pickle=False)
    return EmbedReport(
        latents=str(output),
        n_items=len(latents),
        n_dims=latents.shape[1],
        rows_per_s=round(len(latents) / elapsed, 1),
    )


def _means(
    checkpoint: Checkpoint, data: str | Array, features: Features, device: torch.device, on_rows: OnRows
) -> Floats:
    items = match_inputs(data, expected_by(checkpoint), features=features)
    return encode_array(checkpoint.model, items.inputs, device=device, on_rows=on_rows)[0]
