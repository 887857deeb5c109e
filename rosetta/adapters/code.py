"""Code that the user names, ``package.module:callable``."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rosetta.adapters import Adapted, Adapter, Loading, adapters
from rosetta.adapters.archive import read_program_file, sha256
from rosetta.adapters.layers import layers_of
from rosetta.adapters.outputs import Outputs, named
from rosetta.adapters.program import DecoderProgram, Program, as_decoder, as_model
from rosetta.adapters.weights import floats_of, weights_sha256
from rosetta.arrays import Array
from rosetta.errors import ModelError
from rosetta.models.factory import load_factory, split_name

_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)


def load_program(name: str, loading: Loading) -> Program:
    """Import what ``package.module:callable`` names; this runs the module's code.

    It is one of two: a `torch.nn.Module`, which is called with a tensor in evaluation mode and without gradients, in
    the type of its own parameters; or a function of a NumPy array, float32, shape (n_items, …), that returns an array.
    Both give the posterior means, shape (n_items, n_dims), or several outputs as a tuple or dict.

    Raises
    ------
    UsageError
        If the name is not of that form.
    ModelError
        If the module cannot be imported, or has no such callable.
    """
    module_name, _ = split_name(name)
    found: Any = load_factory(name)
    if isinstance(found, type):
        raise ModelError(
            f"{name} is a class, {found.__name__}: name an object of it with its weights loaded, such as "
            f"encoder = {found.__name__}(…) in {module_name}, or a function"
        )
    kind = f"the code {name}"
    notes = (f"this ran the code of {module_name}",)
    if isinstance(found, nn.Module):
        run = _module_runner(found, kind, loading.device)
        return Program(
            kind=kind,
            run=run,
            architecture=type(found).__name__,
            framework="torch",
            n_parameters=sum(parameter.numel() for parameter in found.parameters()),
            sha256=weights_sha256(found),
            notes=notes,
            layers=layers_of(found, run, kind=kind),
        )
    return Program(
        kind=kind,
        run=_function_runner(found, kind),
        architecture=getattr(found, "__name__", type(found).__name__),
        framework="python",
        n_parameters=0,
        sha256=_source_sha256(found, module_name),
        notes=notes,
        layers="it is a function, which has no layers: name the torch.nn.Module that it calls",
    )


def _module_runner(module: nn.Module, kind: str, device: torch.device) -> Callable[[Array], Outputs]:
    module.eval().to(device)
    dtype = floats_of(module)

    def run(block: Array) -> Outputs:
        with torch.inference_mode():
            return named(module(torch.from_numpy(block).to(device, dtype)), kind=kind)

    return run


def _function_runner(function: Callable[[Array], object], kind: str) -> Callable[[Array], Outputs]:
    def run(block: Array) -> Outputs:
        with torch.inference_mode():
            result = function(block)
        is_several = isinstance(result, tuple | dict | torch.Tensor)
        return named(result if is_several else np.asarray(result), kind=kind)

    return run


def _source_sha256(function: Callable[..., object], module_name: str) -> str:
    """Return the digest of the file that the function is in."""
    try:
        path = inspect.getsourcefile(inspect.unwrap(function)) or sys.modules[module_name].__file__
    except TypeError:  # an object that is called
        path = sys.modules[module_name].__file__
    if path is None or not Path(path).is_file():
        raise ModelError(f"the module {module_name} has no file, whose digest would say which model this is")
    return sha256(read_program_file(Path(path), what="a module"))


def _knows(model: str) -> bool:
    return _NAME.fullmatch(model) is not None and not Path(model).exists()


def _open(model: str, loading: Loading) -> Adapted:
    return as_model(load_program(model, loading), loading)


def _open_decoder(decoder: str, loading: Loading) -> DecoderProgram:
    return as_decoder(load_program(decoder, loading))


adapters.register("code")(
    Adapter(_knows, _open, "package.module:callable (a torch.nn.Module, or a function of an array)", _open_decoder)
)
