"""Whether somebody's encoder is one: tried on a few real items before it is trusted with all."""

from __future__ import annotations

import math

import numpy as np

from rosetta.adapters import Adapted
from rosetta.arrays import Array, Floats
from rosetta.errors import IncompatibleError, ModelError

PROBED = 64  # items
ROUNDING = 1e-5  # of the largest latent: how far two calls with the same numbers may be apart
GIVEN_BACK = 0.5  # of the items' variance: a reconstruction leaves less, latents of as many dimensions hardly
MIXING = 1e-2  # of the latents' spread: rounding in bfloat16 is less, batch statistics of 64 items are more


def check_encoder(adapted: Adapted, inputs: Array, *, n_items: int | None = None) -> int:
    """Encode a few items in several ways, and return the number of latent dimensions.

    Parameters
    ----------
    adapted : Adapted
        The model.
    inputs : array, shape (n_items, …)
        Preprocessed items, float32. The first 64 are looked at.
    n_items : int, optional
        Items of the whole data, if these are not all.

    Returns
    -------
    int
        n_dims.

    Raises
    ------
    IncompatibleError
        If the model does not take items of this shape, with what would make them fit; gives anything but finite
        numbers, shape (n_items, n_dims); gives samples; or treats an item otherwise when others are beside it.
    """
    items = inputs[:PROBED]
    _check_shape(adapted, items, n_items or len(inputs))
    try:
        means = adapted.encode(items)[0]
    except ModelError as error:
        raise IncompatibleError(f"{error}.{_advice(adapted, items)}") from error
    _check_numbers(adapted, means, len(items))
    _check_no_autoencoder(adapted, items, means)
    _check_same_again(adapted, items, means)
    _check_each_alone(adapted, items, means)
    return int(means.shape[1])


def check_decoder(adapted: Adapted, inputs: Array) -> None:
    """Decode where the encoder puts a few items.

    Raises
    ------
    IncompatibleError
        If there is a decoder, and it does not give items of the shape of `inputs`, shape (n_items, …).
    """
    if adapted.decode is None:
        return
    outputs = adapted.decode(adapted.encode(inputs[:2])[0])
    if outputs.shape != inputs[:2].shape:
        raise IncompatibleError(
            f"the decoder gives items of shape {outputs.shape[1:]}, but {adapted.kind} takes items of shape "
            f"{inputs.shape[1:]}: is it the decoder of this encoder?"
        )


def _check_shape(adapted: Adapted, items: Array, n_items: int) -> None:
    wanted, found = adapted.input_shape, items.shape[1:]
    if wanted is not None and wanted != found:
        raise IncompatibleError(
            f"the items have shape {found}, but {adapted.kind} takes {wanted}.{steps_between(found, wanted, n_items)}"
        )


def steps_between(found: tuple[int, ...], wanted: tuple[int, ...], n_items: int | None = None) -> str:
    """Return what makes items of one shape of the other, as a sentence after a space; nothing if nothing does."""
    if n_items is not None and (n_items, *found) == (wanted[0], *found) and len(found) == len(wanted) == 1:
        return " The array looks transposed: items must lie along its first axis"
    if math.prod(found) != math.prod(wanted):
        return " Give it the items that it was trained with"
    if len(wanted) == 1:
        return " Add the step flatten: `preprocess='flatten'`"
    if len(found) == 2 and wanted in ((1, *found), (*found, 1)):
        step = "channels_first" if wanted == (1, *found) else "channels_last"
        return f" It has an axis for the one channel: `preprocess={step!r}`"
    if len(found) == 3 and wanted == (found[2], *found[:2]):
        return " Its channels come first: `preprocess='channels_first'`"
    if len(found) == 3 and wanted == (*found[1:], found[0]):
        return " Its channels come last: `preprocess='channels_last'`"
    if sorted(found) == sorted(wanted):
        return f" The axes are in another order: transpose the data to (n_items, {', '.join(map(str, wanted))})"
    return f" The numbers are as many: reshape the data to (n_items, {', '.join(map(str, wanted))})"


def _advice(adapted: Adapted, items: Array) -> str:
    """Return which other shape the model does run on."""
    found = items.shape[1:]
    shapes = [(math.prod(found),), (1, *found)]
    if len(found) == 3:
        shapes = [(found[2], *found[:2]), (*found[1:], found[0]), *shapes]
    for shape in dict.fromkeys(shapes):
        if shape != found and _runs(adapted, np.zeros((2, *shape), np.float32)):
            return f" It does run on items of shape {shape}.{steps_between(found, shape)}"
    return f" The items have shape {found}: is that the shape, and the preprocessing, that it was trained with?"


def _runs(adapted: Adapted, items: Array) -> bool:
    try:
        return adapted.encode(items)[0].ndim == 2
    except (ModelError, IncompatibleError):
        return False


def _check_numbers(adapted: Adapted, means: Floats, n_items: int) -> None:
    if means.dtype.kind != "f":
        raise IncompatibleError(f"{adapted.kind} gives numbers of type {means.dtype}, but latents are real numbers")
    if means.ndim != 2 or len(means) != n_items or not means.shape[1]:
        raise IncompatibleError(
            f"{adapted.kind} gives an array of shape {means.shape} for {n_items} items, but latents have shape "
            f"({n_items}, n_dims): give the encoder alone, with its latents flattened"
        )
    if not np.isfinite(means).all():
        row = int((~np.isfinite(means)).any(axis=1).argmax())
        raise IncompatibleError(
            f"{adapted.kind} gives NaN or infinity for item {row} (counted from 0): is the data preprocessed as it was "
            "for its training?"
        )


def _check_no_autoencoder(adapted: Adapted, items: Array, means: Floats) -> None:
    """Refuse what gives its inputs back, more or less."""
    if means.shape != items.shape:
        return
    rest = float(((means - items) ** 2).sum())
    if rest <= GIVEN_BACK * float(((items - items.mean(axis=0)) ** 2).sum()):
        raise IncompatibleError(
            f"{adapted.kind} gives its inputs back: it looks like a whole autoencoder. Give its encoder alone"
        )


def _check_same_again(adapted: Adapted, items: Array, means: Floats) -> None:
    difference = float(np.abs(adapted.encode(items)[0] - means).max())
    if not difference <= ROUNDING * max(float(np.abs(means).max()), 1e-30):
        raise IncompatibleError(
            f"{adapted.kind} gives other latents, by up to {difference:.3g}, when it is called again with the same "
            "items: it returns samples, or was exported with dropout on. Export the encoder's posterior means, after "
            "model.eval() (pythae's embed, for one, draws samples: take encoder(x).embedding)"
        )


def _check_each_alone(adapted: Adapted, items: Array, means: Floats) -> None:
    """Encode every second item without those between: other companions, whatever blocks the model works in."""
    again = adapted.encode(items[::2])[0]
    difference = float(np.abs(again - means[::2]).max())
    spread = float((means.max(axis=0) - means.min(axis=0)).max())
    if not difference <= MIXING * spread + ROUNDING * max(float(np.abs(means).max()), 1e-30):
        raise IncompatibleError(
            f"{adapted.kind} gives an item other latents, by up to {difference:.3g}, when other items are beside it: "
            "it has batch normalisation in training mode, or the like. Call model.eval() before you export it"
        )
