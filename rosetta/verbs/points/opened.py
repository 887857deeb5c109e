"""The sender's model and items, opened and embedded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from rosetta import preprocessing
from rosetta.arrays import Array, Floats, resolve_device
from rosetta.bundle.levels import from_levels, lie_on_levels, to_levels
from rosetta.errors import IncompatibleError, UsageError
from rosetta.models.checkpoint import Checkpoint, load_run
from rosetta.models.vae import OnRows, decode_array, encode_array
from rosetta.origins import Sender
from rosetta.schemas.distill import DistillSettings
from rosetta.schemas.policy import Policy
from rosetta.selection import selectors
from rosetta.verbs.policies import included_rows
from rosetta.verbs.prepare import Expected, Features, Prepared, expected_by, match_inputs


@dataclass(frozen=True)
class Opened:
    """What points are made from, and what they are held against."""

    checkpoint: Checkpoint
    items: Prepared
    sender: Sender
    stored_range: tuple[float, float] | None  # what 0 and 255 stand for, where inputs are stored in 8 bits
    private: Array  # every item, float32, those that the policy excludes as well
    private_latents: Floats  # in the space's dimensions
    held_out: Array | None
    held_out_latents: Floats | None
    device: torch.device

    @property
    def space_latents(self) -> Floats:
        """Latents of the items that points are made from, in the space's dimensions."""
        return self.sender.latents[:, : self.checkpoint.space_dims]

    def label(self, inputs: Array) -> tuple[Floats, Floats]:
        """Return the posterior means and standard deviations of exactly these inputs, in the space's dimensions."""
        means, sds = encode_array(self.checkpoint.model, inputs, device=self.device)
        n_dims = self.checkpoint.space_dims
        return finite(means, "point")[:, :n_dims], sds[:, :n_dims]


def open_sender(
    model: str | PathLike[str],
    data: str | Array,
    settings: DistillSettings,
    policy: Policy | None,
    *,
    held_out: str | Array | None,
    points_from: str | Array | None,
    features: Features,
    device: str,
    allow_code: str | None,
    on_rows: OnRows,
) -> Opened:
    """Load the model, read the items, leave out those that the policy excludes, and embed them."""
    where = resolve_device(device)
    checkpoint = load_run(Path(model), code=allow_code)
    expected = expected_by(checkpoint)
    items = match_inputs(data, expected, features=features)
    shared = _matched("--points-from", points_from, expected, features)
    others = _matched("--held-out", held_out, expected, features)
    private, sds = encode_array(checkpoint.model, items.inputs, device=where, on_rows=on_rows)
    rows = included_rows(policy or Policy(), len(private))
    span = _stored_range(items.inputs, checkpoint.config.value_range, settings)

    def encode(inputs: Array) -> Floats:
        """Return posterior means, of all of the model's dimensions."""
        return encode_array(checkpoint.model, inputs, device=where)[0]

    sender = Sender(
        inputs=items.inputs[rows] if len(rows) < len(private) else items.inputs,
        latents=finite(private, "row")[rows],
        latents_sd=sds[rows],
        value_range=checkpoint.config.value_range,
        encode=encode,
        decode=lambda latents: decode_array(checkpoint.model, latents, device=where),
        select=selectors.get(settings.select or "kmeans"),
        store=rounding(span),
        public=shared,
    )
    n_dims = checkpoint.space_dims
    return Opened(
        checkpoint, items, sender, span, items.inputs, private[:, :n_dims], others,
        None if others is None else finite(encode(others), "held-out row")[:, :n_dims], where,
    )  # fmt: skip


def rounding(span: tuple[float, float] | None) -> Callable[[Array], Array]:
    """Return what gives inputs as the file will hold them."""
    return (lambda inputs: inputs) if span is None else (lambda inputs: from_levels(to_levels(inputs, span), span))


def finite(latents: Floats, what: str) -> Floats:
    """Return latents that are numbers, or raise IncompatibleError."""
    if not np.isfinite(latents).all():
        row = int((~np.isfinite(latents)).any(axis=1).argmax())
        raise IncompatibleError(f"the model gives NaN or infinity for {what} {row}: it does not fit the data")
    return latents


def _matched(option: str, data: str | Array | None, expected: Expected, features: Features) -> Array | None:
    if data is None:
        return None
    try:
        return match_inputs(data, expected, features=features).inputs
    except IncompatibleError as error:
        raise IncompatibleError(f"{option}: {error}") from error


def _stored_range(inputs: Array, span: tuple[float, float], settings: DistillSettings) -> tuple[float, float] | None:
    """Return the range to store in 8 bits: the declared one, if its 256 levels hold the data's own values."""
    blocks = preprocessing.blocks_of(inputs, 1 << 20)
    if settings.store == "float32":
        return None
    if span[0] < span[1] and all(lie_on_levels(block, span) for block in blocks):
        return span
    if settings.store == "auto":
        return None
    if not span[0] < span[1]:
        raise UsageError(f"--store uint8 needs a range of values, and the inputs are all {span[0]:g}")
    has_items = settings.observed_checks or any(each.partition("=")[0] == "observed" for each in settings.origin)
    if has_items:
        raise UsageError(
            "--store uint8 would round observed points, which are items as they are: leave it out, or take float32"
        )
    return span
