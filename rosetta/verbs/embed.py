"""Latents of new data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from rosetta.adapters import Adapted
from rosetta.adapters.probe import PROBED, check_encoder
from rosetta.arrays import Floats
from rosetta.distillation.encode import Encoded, OnRows, encoded, shard_rows
from rosetta.files import atomic_file, check_output
from rosetta.inputs.matching import Features
from rosetta.inputs.models import BUDGET_GIB, expected_by, notes_on, open_model
from rosetta.inputs.prepare import Prepared, Streamable, note_order, prepare_within
from rosetta.inputs.streaming import GIB
from rosetta.notes import keeps_notes
from rosetta.schemas.reports import EmbedReport


def latents_of(
    model: str | PathLike[str],
    data: Any,
    *,
    features: Features = None,
    preprocess: str | None = None,
    device: str = "auto",
    allow_code: str | None = None,
    allow_pickle: bool = False,
    all_dims: bool = False,
    on_rows: OnRows = lambda n_done, n_rows: None,
) -> Floats:
    """Return the posterior means of `data` under a trained model, float32, shape (n_items, n_dims).

    They are in the latent space's dimensions; `all_dims` adds the model's free ones behind them, if it has any.
    `on_rows` is called with the numbers of rows done and of all rows, block by block. The other parameters are those of
    `rosetta.distill`.

    Raises
    ------
    RosettaError
        If the model is damaged or the data does not fit it.
    """
    means, _ = posterior_of(
        model, data, features=features, preprocess=preprocess, device=device, allow_code=allow_code,
        allow_pickle=allow_pickle, all_dims=all_dims, on_rows=on_rows,
    )  # fmt: skip
    return means


def posterior_of(
    model: str | PathLike[str],
    data: Any,
    *,
    features: Features = None,
    preprocess: str | None = None,
    device: str = "auto",
    allow_code: str | None = None,
    allow_pickle: bool = False,
    all_dims: bool = False,
    on_rows: OnRows = lambda n_done, n_rows: None,
) -> tuple[Floats, Floats | None]:
    """Return what `latents_of` does, and the posterior standard deviations; None where the model gives none."""
    opened = open_model(model, device=device, allow_code=allow_code, allow_pickle=allow_pickle)
    items = _items(opened, data, features, preprocess)
    check_encoder(opened, items.inputs[:PROBED])
    blocks = list(_blocks(opened, items, on_rows))
    items.close()
    wanted = slice(None) if all_dims else slice(opened.space_dims)
    means = np.concatenate([block.means[:, wanted] for block in blocks])
    sds = [block.sds[:, wanted] for block in blocks if block.sds is not None]
    return means, np.concatenate(sds) if len(sds) == len(blocks) else None


@keeps_notes
def embed(
    model: str | PathLike[str],
    data: Any,
    output: str | PathLike[str],
    *,
    features: Features = None,
    preprocess: str | None = None,
    device: str = "auto",
    allow_code: str | None = None,
    allow_pickle: bool = False,
    all_dims: bool = False,
    force: bool = False,
    on_rows: OnRows = lambda n_done, n_rows: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> EmbedReport:
    """Write the posterior means of `data` to a ``.npy`` file: one row an item, never samples.

    They are in the latent space's dimensions; `all_dims` adds the model's free ones behind them. `on_note` is called
    with what the user should know of them. Data that does not fit into half a GiB is read block by block, and latents
    are written as they come. The other parameters are those of `rosetta.distill`.

    Raises
    ------
    RosettaError
        If the model is damaged, the data does not fit it, or the output cannot be written.
    """
    path = Path(output)
    check_output(path, force=force, suffix=".npy")
    started = time.perf_counter()
    opened = open_model(model, device=device, allow_code=allow_code, allow_pickle=allow_pickle)
    items = _items(opened, data, features, preprocess)
    for note in (
        *notes_on(opened, preprocess),
        *items.info.notes,
        *note_order(items.info, expected_by(opened), features),
    ):
        on_note(note)
    n_items, n_all = len(items.inputs), check_encoder(opened, items.inputs[:PROBED])
    n_space = opened.space_dims or n_all
    n_dims = n_all if all_dims else n_space
    if n_space < n_all:
        on_note(_said(n_space, n_all, all_dims=all_dims))
    with atomic_file(path, force=force) as temporary, temporary.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (n_items, n_dims)}
        np.lib.format.write_array_header_1_0(file, header)
        for block in _blocks(opened, items, on_rows):
            file.write(np.ascontiguousarray(block.means[:, :n_dims], dtype="<f4").data)
    items.close()
    elapsed = time.perf_counter() - started
    return EmbedReport(
        latents=str(output),
        n_items=n_items,
        n_dims=n_dims,
        rows_per_s=round(n_items / elapsed, 1),
    )


def _said(n_space: int, n_all: int, *, all_dims: bool) -> str:
    if all_dims:
        return f"the first {n_space} dimensions are the latent space's, the other {n_all - n_space} this model's own"
    return (
        f"these are the {n_space} dimensions of the latent space; the model's {n_all - n_space} free ones, which "
        "no other lab has, are left out: `all_dims` writes them too"
    )


def _items(model: Adapted, data: Any, features: Features, preprocess: str | None) -> Prepared | Streamable:
    return prepare_within(int(BUDGET_GIB * GIB), data, expected_by(model), features=features, preprocess=preprocess)


def _blocks(model: Adapted, items: Prepared | Streamable, on_rows: OnRows) -> Iterator[Encoded]:
    """Yield the posteriors of all items, shard by shard."""
    inputs = items.inputs
    step = shard_rows(int(np.prod(inputs.shape[1:])))
    for start in range(0, len(inputs), step):
        stop = min(start + step, len(inputs))
        yield encoded(model, inputs[start:stop], first=start)
        on_rows(stop, len(inputs))
