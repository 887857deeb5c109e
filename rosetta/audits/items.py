"""The private and the held-out items of an audit, as the bundle's encoder sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np

from rosetta.adapters import Training
from rosetta.arrays import Array, Derived, Floats, LazyArray, picked
from rosetta.bundle import Bundle
from rosetta.errors import IncompatibleError
from rosetta.inputs.labels import labels_of
from rosetta.inputs.matching import Features
from rosetta.inputs.models import open_model
from rosetta.inputs.prepare import expected_in, prepare_within
from rosetta.policies import Membership
from rosetta.runs.held_out import has_seen_excluded, known_split
from rosetta.selection.strata import label_texts
from rosetta.sources import as_source

HELD_OUT_GROUPS = "`held_out_groups`"


@dataclass(frozen=True)
class AuditItems:
    """Items that the bundle is held against."""

    inputs: LazyArray  # float32, shape (n_items, …)
    latents: LazyArray | None  # shape (n_items, n_dims), where there is a model: computed for the rows that are wanted
    owners: Array | None = None  # names of groups, str, shape (n_items,)
    seen_excluded: bool | None = None  # whether the model was trained on some that a policy excludes; None: not known


@dataclass(frozen=True)
class SenderModel:
    """The model that a bundle was made with."""

    encode: Callable[[Array], Floats]  # inputs to latents in the bundle's space
    rebuild: Callable[[Array], Floats] | None  # inputs to what the model makes of them; None: it has no decoder
    training: Training | None = None  # of our own runs


def open_sender_model(
    bundle: Bundle, model: str | PathLike[str], *, allow_code: str | None, allow_pickle: bool
) -> SenderModel:
    """Open the model of a bundle, or raise IncompatibleError if it is another."""
    opened = open_model(model, device="cpu", allow_code=allow_code, allow_pickle=allow_pickle)
    if opened.weights_sha256 != bundle.manifest.provenance.model.weights_sha256:
        raise IncompatibleError(
            f"{model} is not the model of the bundle: its weights have another digest than the manifest declares. "
            "Pass the model that the bundle was distilled from, or leave `model` out"
        )
    n_dims, decode = bundle.manifest.content.space.n_dims, opened.decode
    return SenderModel(
        lambda inputs: opened.encode(inputs)[0][:, :n_dims],
        None if decode is None else lambda inputs: decode(opened.encode(inputs)[0]),
        opened.training,
    )


def read_private(
    bundle: Bundle, data: Any, model: SenderModel | None, members: Membership, *, features: Features, budget: int
) -> tuple[AuditItems, AuditItems | None]:
    """Return the private items as the bundle's encoder sees them, with latents if there is a model.

    Where the bundle was distilled with ``audit_held_out`` and the model's run proves which rows were held out, these
    are no private items: they come second, and are what the others are compared with.

    Parameters
    ----------
    members : Membership
        Finds out whose each item is when the data is opened, and which of them a policy leaves.
    """
    items = prepare_within(
        budget, data, expected_in(bundle), features=features, preprocess=None, fitted_to=members.included
    )
    groups = members.groups
    owners = None if groups is None else np.array(groups.names)[groups.codes]
    seen = has_seen_excluded(None if model is None else model.training, items) if members.n_excluded else False
    everyone = replace(_items(bundle, items.inputs, model, owners), seen_excluded=seen)
    if model is None or bundle.manifest.provenance.selection.settings.get("audit_held_out") is not True:
        return everyone, None
    split = known_split(model.training, items, None if groups is None else groups.of_rows(members.rows))
    if isinstance(split, str):
        return everyone, None
    rest = np.setdiff1d(np.arange(len(items.inputs)), split.held_out, assume_unique=True)
    first, second = (
        _items(bundle, picked(items.inputs, rows), model, None if owners is None else owners[rows])
        for rows in (rest, split.held_out)
    )
    return replace(first, seen_excluded=seen), second


def read_held_out(
    bundle: Bundle, data: Any, model: SenderModel | None, *, groups: str | None, features: Features, budget: int
) -> AuditItems:
    """Return the held-out items; `groups` is a column of them, or a source, that says whose each is."""
    items = prepare_within(budget, data, expected_in(bundle), features=features, preprocess=None)
    owners = None
    if groups is not None:
        labels = labels_of(
            HELD_OUT_GROUPS, groups, items.info.columns, len(items.inputs), source=str(as_source(data)),
            expected="a column of the held-out items or a source of labels",
        )  # fmt: skip
        owners = label_texts(labels)
    return _items(bundle, items.inputs, model, owners)


def _items(bundle: Bundle, inputs: LazyArray, model: SenderModel | None, owners: Array | None) -> AuditItems:
    n_dims = bundle.manifest.content.space.n_dims
    return AuditItems(inputs, None if model is None else Derived(inputs, model.encode, n_dims), owners)


def as_codes(owners: Array | None, others: Array | None) -> tuple[Array | None, Array | None]:
    """Return names of groups as int codes, the same name the same code in both."""
    if owners is None:
        return None, None
    everyone = owners if others is None else np.concatenate([owners, others])
    codes = np.unique(everyone, return_inverse=True)[1].reshape(-1)
    return codes[: len(owners)], None if others is None else codes[len(owners) :]
