"""The private and the held-out items of an audit, as the bundle's encoder sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from rosetta.arrays import Array, Derived, Floats, LazyArray
from rosetta.bundle import Bundle
from rosetta.errors import IncompatibleError, UsageError
from rosetta.sources import as_source, read_array
from rosetta.verbs.matching import Features, some
from rosetta.verbs.opening import open_model
from rosetta.verbs.prepare import Told, expected_in, prepare_within


@dataclass(frozen=True)
class AuditItems:
    """Items that the bundle is held against."""

    inputs: LazyArray  # float32, shape (n_items, …)
    latents: LazyArray | None  # shape (n_items, n_dims), where there is a model: computed for the rows that are wanted
    owners: Array | None = None  # names of groups, str, shape (n_items,)


@dataclass(frozen=True)
class SenderModel:
    """The model that a bundle was made with."""

    encode: Callable[[Array], Floats]  # inputs to latents in the bundle's space
    rebuild: Callable[[Array], Floats] | None  # inputs to what the model makes of them; None: it has no decoder


def open_sender_model(
    bundle: Bundle, model: str | PathLike[str], *, allow_code: str | None, allow_pickle: bool
) -> SenderModel:
    """Open the model of a bundle, or raise IncompatibleError if it is another."""
    opened = open_model(model, device="cpu", allow_code=allow_code, allow_pickle=allow_pickle)
    if opened.weights_sha256 != bundle.manifest.provenance.model.weights_sha256:
        raise IncompatibleError(
            f"{model} is not the model of the bundle: its weights have another digest than the manifest declares. "
            "Pass the model that the bundle was distilled from, or leave --model out"
        )
    n_dims, decode = bundle.manifest.content.space.n_dims, opened.decode
    return SenderModel(
        lambda inputs: opened.encode(inputs)[0][:, :n_dims],
        None if decode is None else lambda inputs: decode(opened.encode(inputs)[0]),
    )


def read_private(
    bundle: Bundle, data: Any, model: SenderModel | None, *, groups: str | None, option: str, features: Features,
    budget: int,
) -> AuditItems:  # fmt: skip
    """Return items as the bundle's encoder sees them, with latents if there is a model.

    Parameters
    ----------
    groups : str, optional
        A column of the data or a source that says whose each item is.
    option : str
        What `groups` is called in messages.
    """
    items = prepare_within(budget, data, expected_in(bundle), features=features, preprocess=None)
    n_dims = bundle.manifest.content.space.n_dims
    return AuditItems(
        items.inputs,
        None if model is None else Derived(items.inputs, model.encode, n_dims),
        None if groups is None else _owners(groups, items.told, len(items.inputs), option, str(as_source(data))),
    )


def _owners(spec: str, told: Told, n_items: int, option: str, source: str) -> Array:
    """Return whose each item is, as text, shape (n_items,)."""
    if spec in told.columns:
        labels = told.columns[spec]()
    elif "::" in spec or Path(spec).is_file():
        labels = read_array(spec)
    else:
        there = f"its columns are {some(list(told.columns))}" if told.columns else f"{source} has no columns"
        raise UsageError(f"{option} {spec}: expected a column of the data or a source of labels; {there}")
    if labels.shape != (n_items,):
        raise IncompatibleError(
            f"{option} {spec} has labels of shape {labels.shape}, but one for each of {n_items:,} items is needed"
        )
    return np.asarray(labels.astype(str))


def as_codes(owners: Array | None, others: Array | None) -> tuple[Array | None, Array | None]:
    """Return names of groups as int codes, the same name the same code in both."""
    if owners is None:
        return None, None
    everyone = owners if others is None else np.concatenate([owners, others])
    codes = np.unique(everyone, return_inverse=True)[1].reshape(-1)
    return codes[: len(owners)], None if others is None else codes[len(owners) :]
