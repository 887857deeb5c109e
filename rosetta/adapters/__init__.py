"""Trained models, whoever trained them, as an encoder and perhaps a decoder. One file for each kind of model.

Other distributions add kinds by an entry point in the group ``rosetta.adapters``, an `Adapter`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from rosetta.arrays import Array, Floats
from rosetta.errors import ModelError
from rosetta.preprocessing import Step
from rosetta.registry import Registry
from rosetta.schemas.manifest import ModelDescription, Parent
from rosetta.schemas.run import RunConfig, RunRecord

Spread = Literal["sd", "variance", "log-variance"]


@dataclass(frozen=True)
class Loading:
    """How a model is loaded."""

    device: torch.device
    allow_code: str | None = None  # the package.module:factory that may be imported for a run's own network
    allow_pickle: bool = False  # whether pickles, which can run code, may be read
    decoder: str | None = None  # another program, from latents to inputs
    spread: Spread | None = None  # what the encoder's second output is; None: it is not looked at


@dataclass(frozen=True)
class SpaceOf:
    """The latent space that a model is in, where it is known."""

    id: str
    name: str | None
    generation: int
    parents: tuple[Parent, ...]


@dataclass(frozen=True)
class Training:
    """How a model of ours was trained: with its data at hand, it says which of them were held out."""

    config: RunConfig
    record: RunRecord


@dataclass(frozen=True)
class Adapted:
    """A trained model.

    Parameters
    ----------
    kind : str
        What messages call it, such as ``"the run"`` or ``"the TorchScript program"``.
    encode : callable
        Preprocessed inputs, float32, shape (n_items, …), of any number from 1 on, to posterior means and standard
        deviations, float32, shape (n_items, n_dims) each; None for the second where the model gives none. Always the
        means, never samples. It works block by block, and moves what it needs to the model's device.
    describe : callable
        Number of latent dimensions to what a manifest says of the model: no path, and digests of the weights only.
    decode : callable, optional
        Latents, float32, shape (n_items, n_dims), to expected inputs, float32, shape (n_items, …).
    input_shape : tuple of int, optional
        Of one item, where the model says so.
    steps : sequence of (str, Step), optional
        Its preprocessing; None where nobody knows it, and the user has to say.
    feature_names : tuple of str, optional
        Names of an input's features, in the order that the model takes them.
    value_range : (float, float), optional
        That inputs lie in, where the model's data is known.
    likelihood : str, optional
        Of our own models: counts have no upper end.
    space_dims : int, optional
        The first so many of its dimensions are the space's; None: all.
    space : SpaceOf, optional
        Where the model descends from a space. Without it, a bundle begins one.
    weights_sha256 : str
        Digest of the weights, or of the file.
    notes : tuple of str
        What the user should know, such as that loading it ran code.
    n_left_out : int, optional
        Of our own models: how many items a policy left out of the training.
    training : Training, optional
        How it was trained, of our own models.
    layers : callable or str
        Preprocessed inputs and names of layers to their activations, as `activations` returns them; or why there are
        none.
    """

    kind: str
    encode: Callable[[Array], tuple[Floats, Floats | None]]
    describe: Callable[[int], ModelDescription]
    weights_sha256: str
    decode: Callable[[Floats], Floats] | None = None
    input_shape: tuple[int, ...] | None = None
    steps: Sequence[tuple[str, Step]] | None = None
    feature_names: tuple[str, ...] | None = None
    value_range: tuple[float, float] | None = None
    likelihood: str | None = None
    space_dims: int | None = None
    space: SpaceOf | None = None
    notes: tuple[str, ...] = ()
    n_left_out: int | None = None
    training: Training | None = None
    layers: Callable[[Array, Sequence[str]], dict[str, Floats]] | str = "nothing is known of its layers"

    def activations(self, inputs: Array, layers: Sequence[str]) -> dict[str, Floats]:
        """Return what layers of the network give for preprocessed inputs, in evaluation mode.

        Parameters
        ----------
        inputs : float array, shape (n_items, …)
            Preprocessed items, at least one.
        layers : sequence of str
            Names of submodules, as `torch.nn.Module.named_modules` has them, such as ``"encoder.1"``.

        Returns
        -------
        dict of str to float32 array, shape (n_items, …)
            By name, in the order asked for: the first output of a layer with several, and the last call of a layer
            that is called more than once.

        Raises
        ------
        ModelError
            If the model has no such layer, with the nearest name, or its layers cannot be reached, with the reason.
        """
        if isinstance(self.layers, str):
            raise ModelError(f"{self.kind} gives no activations: {self.layers}")
        return self.layers(inputs, layers)


class Adapter(NamedTuple):
    """How models of one kind are recognised and loaded."""

    knows: Callable[[str], bool]  # whether a MODEL, as the user writes it, is of this kind; it looks, but loads nothing
    load: Callable[[str, Loading], Adapted]
    means: str  # what is to be written as MODEL, for messages
    load_decoder: Callable[[str, Loading], Callable[[Floats], Floats]] | None = (
        None  # where it can be another's decoder
    )


adapters: Registry[Adapter] = Registry("kind of model", "rosetta.adapters")
FALLBACK = "run"  # whose messages say what a folder lacks


def open_model(model: str, loading: Loading) -> Adapted:
    """Load the model that `model` names.

    Raises
    ------
    ModelError
        If no adapter knows it, with all that there are, or it cannot be loaded.
    MissingExtraError
        If it needs a package that is not installed.
    """
    for name in adapters:
        adapter = adapters.get(name)
        if adapter.knows(model):
            return adapter.load(model, loading)
    if "://" in model:
        raise ModelError(f"{model} is a URL, and a model is a file or folder here: fetch it first")
    if Path(model).suffix and not Path(model).exists():
        raise ModelError(f"there is no file {model}: check the path, or the folder that you are in")
    try:
        return adapters.get(FALLBACK).load(model, loading)
    except ModelError as error:
        kinds = "; ".join(adapters.get(name).means for name in sorted(adapters) if name != FALLBACK)
        raise ModelError(f"{error}. Other models are known too: {kinds}") from error


def open_decoder(decoder: str, loading: Loading) -> Callable[[Floats], Floats]:
    """Load what `loading.decoder` names: from latents, float32, shape (n_items, n_dims), to expected inputs.

    Raises
    ------
    ModelError, MissingExtraError
        As `open_model`.
    """
    able = [(name, known) for name in adapters if (known := adapters.get(name)).load_decoder is not None]
    for _, adapter in able:
        if adapter.load_decoder is not None and adapter.knows(decoder):
            return adapter.load_decoder(decoder, loading)
    kinds = "; ".join(adapter.means for _, adapter in sorted(able))
    raise ModelError(f"{decoder} is no decoder that is known here. A decoder is one of: {kinds}")
