"""Which of a model's outputs are the posterior means, and what its second output is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from rosetta.adapters import Spread
from rosetta.arrays import Array, Floats
from rosetta.errors import IncompatibleError, ModelError

Outputs = Sequence[tuple[str, Array]]  # names, "" where there is none, and arrays

OUR_SD = "latents_sd"
MEANS = (
    "latents",
    "mean",
    "means",
    "mu",
    "loc",
    "z_mean",
    "z_mu",
    "latent_mean",
    "posterior_mean",
    "embedding",
    "qz_m",
)
DECODED = ("inputs", "reconstruction", "recon", "recon_x", "x_hat", "output")
SPREADS = (
    "sd", "std", "stddev", "sigma", "scale", "variance", "var", "log_var", "logvar", "log_variance", "log_covariance",
    "z_log_var", "z_logvar", "qz_v",
)  # fmt: skip


def named(result: object, names: Sequence[str] = (), *, kind: str) -> list[tuple[str, Array]]:
    """Return what a model gave, tensors or arrays, alone or in a tuple, list or dict, with their names."""
    if isinstance(result, Mapping):
        pairs = [(str(name), each) for name, each in result.items()]
    elif isinstance(result, tuple | list):
        known = names or getattr(result, "_fields", ())
        pairs = [(known[i] if i < len(known) else "", each) for i, each in enumerate(result)]
    else:
        pairs = [(names[0] if names else "", result)]
    arrays = [(name, _array(each)) for name, each in pairs if isinstance(each, Tensor | np.ndarray)]
    if not arrays:
        raise ModelError(f"{kind} gives {type(result).__name__}, but must give a tensor or an array, or several")
    return arrays


def _array(each: Tensor | Array) -> Array:
    if isinstance(each, np.ndarray):
        return each
    each = each.detach().cpu()
    if each.is_floating_point():
        each = each.float()  # NumPy has no bfloat16
    array: Array = each.numpy()
    return array


def find_mean(names: Sequence[str]) -> int:
    """Return which output is the means: by its name, or else the first."""
    lowered = [name.lower() for name in names]
    return next((lowered.index(name) for name in MEANS if name in lowered), 0)


def find_spread(names: Sequence[str], mean: int) -> int | None:
    """Return which output is next to the means: by its name, or else the first that follows them."""
    lowered = [name.lower() for name in names]
    by_name = next((lowered.index(name) for name in (OUR_SD, *SPREADS) if name in lowered), None)
    others = [i for i in range(len(names)) if i != mean]
    return by_name if by_name is not None else next((i for i in others if i > mean), None)


def means_of(outputs: Outputs, spread: Spread | None, *, item_shape: tuple[int, ...], kind: str) -> tuple[Array, ...]:
    """Return the means, and the standard deviations where `spread` says what they are to be made from.

    Parameters
    ----------
    outputs : sequence of (str, array)
        What the model gave for a block of items.
    spread : {"sd", "variance", "log-variance"}, optional
        What its second output is; None: it is not looked at, unless it is called ``latents_sd``.
    item_shape : tuple of int
        Of what it was given, to tell a reconstruction.

    Returns
    -------
    tuple of one or two arrays, float32, shape (n_items, n_dims) each

    Raises
    ------
    ModelError
        If the outputs are those of a whole autoencoder.
    IncompatibleError
        If numbers are not real, or the second output is not what `spread` says.
    """
    names = [name for name, _ in outputs]
    at = find_mean(names)
    means = outputs[at][1]
    if means.dtype.kind != "f":
        raise IncompatibleError(
            f"{kind} gives numbers of type {means.dtype}, but latents are real numbers: export an encoder that gives "
            "the posterior means as floats"
        )
    is_known = names[at].lower() in MEANS
    if not is_known and len(outputs) > 1 and means.shape[1:] == item_shape and outputs[1][1].shape != means.shape:
        raise ModelError(
            f"the first of the {len(outputs)} outputs of {kind} has the shape of an item, {item_shape}, which looks "
            "like a reconstruction: give the encoder alone, from inputs to posterior means"
        )
    second = find_spread(names, at)
    if second is None or (spread is None and names[second] != OUR_SD):
        if spread is not None:
            raise IncompatibleError(f"`spread` says {spread}, but {kind} gives one output only: leave it out")
        return (means.astype(np.float32, copy=False),)
    return means.astype(np.float32, copy=False), _sds(outputs[second][1], means, spread or "sd", kind)


def _sds(numbers: Array, means: Array, spread: Spread, kind: str) -> Floats:
    if numbers.shape != means.shape or numbers.dtype.kind != "f":
        raise IncompatibleError(
            f"the second output of {kind}, for `spread={spread!r}`, has shape {numbers.shape} and type "
            f"{numbers.dtype}, but the means have shape {means.shape}"
        )
    if spread != "log-variance" and (numbers < 0).any():
        raise IncompatibleError(
            f"the second output of {kind} holds negative numbers, so it is no {spread}: is it a log-variance?"
        )
    with np.errstate(over="ignore"):  # infinity is refused where all numbers are
        if spread == "log-variance":
            numbers = np.exp(0.5 * numbers)
        elif spread == "variance":
            numbers = np.sqrt(numbers)
    return numbers.astype(np.float32)


def decoded(outputs: Outputs, *, kind: str) -> tuple[Array, ...]:
    """Return the expected inputs among a decoder's outputs, float32: by their name, or else the first."""
    lowered = [name.lower() for name, _ in outputs]
    array = outputs[next((lowered.index(name) for name in DECODED if name in lowered), 0)][1]
    if array.dtype.kind != "f":
        raise IncompatibleError(f"{kind} gives numbers of type {array.dtype}, but inputs are real numbers")
    return (array.astype(np.float32, copy=False),)


def note_of(names: Sequence[str], spread: Spread | None, kind: str) -> tuple[str, ...]:
    """Return what the user should know of a second output that is not looked at."""
    at = find_mean(names)
    second = find_spread(names, at)
    if second is None or spread is not None or names[second] == OUR_SD:
        return ()
    called = f" ({', '.join(repr(name) for name in names)})" if all(names) else ""
    which = f"{names[at]!r} was taken" if names[at] else "the first was taken"
    return (
        f"{kind} gives {len(names)} outputs{called}: {which} as the posterior means, and the others were not looked "
        "at. If the next is their spread, say which with `spread='sd'`, variance or log-variance",
    )
