"""The networks, one file for each architecture, and the VAE that is made of them.

An architecture is a function ``fn(input_shape, latent_dim, *, …)`` that returns two modules:

- an encoder from inputs, shape (n_items, *input_shape), to shape (n_items, 2 · latent_dim): the posterior
  means, then the log-variances;
- a decoder from latents, shape (n_items, latent_dim), to shape (n_items, *input_shape): what the likelihood reads.

Both treat items one by one: no batch normalisation. Its keyword-only arguments, each with a default, are its
options; those called as one of `OPTIONS` are filled from the settings of a training.

Other distributions add architectures by an entry point in the group ``rosetta.models``; a network of one's own needs
no more than a function in a file, named ``package.module:factory`` (`rosetta.models.factory`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from rosetta.errors import ModelError
from rosetta.registry import Registry

OPTIONS = ("hidden", "channels", "activation", "tied", "sparse")  # fields of TrainSettings

Architecture = Callable[..., tuple[nn.Module, nn.Module]]

architectures: Registry[Architecture] = Registry("architecture", "rosetta.models")


def options_of(architecture: Architecture) -> dict[str, Any]:
    """Return the names and defaults of an architecture's options, its keyword-only arguments.

    Raises
    ------
    ModelError
        If one of them has no default, or the function does not say what it takes.
    """
    try:
        parameters = inspect.signature(architecture).parameters.values()
    except (TypeError, ValueError) as error:
        raise ModelError(f"{architecture!r} does not say what arguments it takes: pass a Python function") from error
    options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    missing = [name for name, default in options.items() if default is inspect.Parameter.empty]
    if missing:
        name = getattr(architecture, "__name__", repr(architecture))
        raise ModelError(f"the architecture {name} has no default for {', '.join(missing)}: give every option one")
    return options
