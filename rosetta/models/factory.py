"""Networks of one's own, named ``package.module:factory``; and the check that every architecture's networks pass."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rosetta.errors import ModelError, RosettaError, UsageError
from rosetta.models import Architecture

_NAME = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", re.ASCII)  # it is shown, to be pasted
_MIXES_ITEMS = (nn.modules.batchnorm._BatchNorm,)


def load_factory(name: str) -> Architecture:
    """Import the architecture that ``package.module:factory`` names; this runs the module's code.

    As for ``python -m``, modules are looked for in the current directory too.

    Raises
    ------
    UsageError
        If the name is not of that form.
    ModelError
        If the module cannot be imported, or has no such function.
    """
    module_name, factory_name = split_name(name)
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        is_absent = isinstance(error, ModuleNotFoundError)
        advice = "install it, or work in the directory that holds it" if is_absent else "mend it first"
        raise ModelError(
            f"the module {module_name} cannot be imported ({type(error).__name__}: {error}): {advice}"
        ) from error
    factory = getattr(module, factory_name, None)
    if factory is None:
        raise ModelError(f"the module {module_name} has no {factory_name}: {name} must name something in it")
    if not callable(factory):
        raise ModelError(f"{name} is of type {type(factory).__name__}, which cannot be called: name a function")
    found: Architecture = factory
    return found


def split_name(name: str) -> tuple[str, str]:
    """Return the module and the function of ``package.module:factory``, or raise UsageError."""
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise UsageError(
            f"the architecture {name[:80]!r} is no name of a function: write package.module:factory, in plain letters"
        )
    return parts[1], parts[2]


def build_networks(
    architecture: Architecture, input_shape: tuple[int, ...], latent_dim: int, *, name: str, options: Mapping[str, Any]
) -> tuple[nn.Module, nn.Module]:
    """Build the encoder and the decoder, and check what they make of two items.

    Parameters
    ----------
    name : str
        What the architecture is called in messages.
    options : mapping
        Its keyword-only arguments, as far as they are given.

    Raises
    ------
    ModelError
        If the architecture raises, returns anything but two modules that share no layer, mixes the items of a
        batch, or its networks raise or return other shapes than they must.
    RosettaError
        Any that the architecture itself raises, for an item's shape or an option that it cannot use.
    """
    try:
        networks = architecture(input_shape, latent_dim, **options)
    except RosettaError:
        raise
    except Exception as error:
        raise ModelError(
            f"the architecture {name} raised {type(error).__name__} for items of shape {input_shape} and "
            f"{latent_dim} latent dimensions: {error}"
        ) from error
    encoder, decoder = _two_modules(networks, name)
    _check_layers(encoder, decoder, name)
    for part, network, given, expected in (
        ("encoder", encoder, (2, *input_shape), (2, 2 * latent_dim)),
        ("decoder", decoder, (2, latent_dim), (2, *input_shape)),
    ):
        _check_shape(network, given, expected, what=f"the {part} of {name}")
    return encoder, decoder


def _two_modules(networks: object, name: str) -> tuple[nn.Module, nn.Module]:
    if isinstance(networks, tuple | list) and [isinstance(n, nn.Module) for n in networks] == [True, True]:
        return networks[0], networks[1]
    kinds = [type(n).__name__ for n in networks[:6]] if isinstance(networks, tuple | list) else type(networks).__name__
    raise ModelError(
        f"the architecture {name} returned {kinds}, but must return two torch.nn.Module: (encoder, decoder)"
    )


def _check_layers(encoder: nn.Module, decoder: nn.Module, name: str) -> None:
    mixing = next((layer for n in (encoder, decoder) for layer in n.modules() if isinstance(layer, _MIXES_ITEMS)), None)
    if mixing is not None:
        raise ModelError(
            f"the architecture {name} has a {type(mixing).__name__}, which mixes the items of a batch, so that "
            "anchors would change with the data beside them: use GroupNorm or LayerNorm, or none"
        )
    names: dict[int, str] = {}
    for part, network in (("encoder", encoder), ("decoder", decoder)):
        for key, tensor in network.state_dict(keep_vars=True).items():
            first = names.setdefault(id(tensor), f"{part}.{key}")
            if first != f"{part}.{key}":
                raise ModelError(
                    f"the architecture {name} registers one tensor twice, as {first} and {part}.{key}, but weights "
                    "are stored once: hold it in one place and look it up from the other, as "
                    "rosetta.models.layers.Transposed does"
                )


def _check_shape(network: nn.Module, given: tuple[int, ...], expected: tuple[int, ...], *, what: str) -> None:
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            output = network(torch.zeros(given))
    except Exception as error:
        raise ModelError(f"{what} raised {type(error).__name__} for two items, shape {given}: {error}") from error
    network.train(was_training)
    found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if found != expected:
        raise ModelError(f"{what} returned {found} for two items, shape {given}; expected shape {expected}")
