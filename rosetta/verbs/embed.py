"""Latents of new data."""

from __future__ import annotations

import time
from os import PathLike
from pathlib import Path

import numpy as np

from rosetta.arrays import Array, Floats, resolve_device
from rosetta.files import atomic_file, check_output
from rosetta.models.checkpoint import load_run
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
    on_rows: OnRows = lambda n_done, n_rows: None,
) -> Floats:
    """Return the posterior means of `data` under a run's model, float32, shape (n_items, n_dims).

    `on_rows` is called with the numbers of rows done and of all rows, block by block. `allow_code` is the
    ``package.module:factory`` that may be imported, for a run whose network is somebody's own.

    Raises
    ------
    RosettaError
        If the run is damaged or the data does not fit it.
    """
    where = resolve_device(device)
    checkpoint = load_run(Path(model), code=allow_code)
    items = match_inputs(data, expected_by(checkpoint), features=features)
    return encode_array(checkpoint.model, items.inputs, device=where, on_rows=on_rows)[0]


def embed(
    model: str | PathLike[str],
    data: str | Array,
    output: str | PathLike[str],
    *,
    features: Features = None,
    device: str = "auto",
    allow_code: str | None = None,
    force: bool = False,
    on_rows: OnRows = lambda n_done, n_rows: None,
) -> EmbedReport:
    """Write the posterior means of `data` to a ``.npy`` file: one row an item, never samples.

    Raises
    ------
    RosettaError
        If the run is damaged, the data does not fit it, or the output cannot be written.
    """
    path = Path(output)
    check_output(path, force=force, suffix=".npy")
    started = time.perf_counter()
    latents = latents_of(model, data, features=features, device=device, allow_code=allow_code, on_rows=on_rows)
    elapsed = time.perf_counter() - started
    with atomic_file(path, force=force) as temporary, temporary.open("wb") as file:
        np.save(file, latents, allow_pickle=False)
    return EmbedReport(
        latents=str(output),
        n_items=len(latents),
        n_dims=latents.shape[1],
        rows_per_s=round(len(latents) / elapsed, 1),
    )
