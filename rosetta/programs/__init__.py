"""Networks as programs that run without Rosetta, one file for each format; a program is written and read as bytes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rosetta.arrays import Array, Floats
from rosetta.errors import MissingExtraError, ModelError, RosettaError
from rosetta.registry import Registry

DOCUMENT = "rosetta.json"  # what an archive calls the document that goes with a program

Program = Callable[[Array], tuple[Floats, ...]]


@dataclass(frozen=True)
class Traceable:
    """A module, and what a format needs to know to write it."""

    module: nn.Module
    example: Tensor  # float32, shape (n_items, …): what to follow through the module
    takes: tuple[str, ...]  # names of the arguments
    gives: tuple[str, ...]  # names of the results
    document: str  # JSON, kept inside the program


@dataclass(frozen=True)
class ProgramFormat:
    """One kind of file that a program can be."""

    suffix: str
    write: Callable[[Traceable], bytes]
    read: Callable[[bytes], Program]
    extra: str = ""  # the extra that brings the packages
    packages: tuple[str, ...] = ()


formats: Registry[ProgramFormat] = Registry("program format", "rosetta.programs")


def check_installed(name: str) -> ProgramFormat:
    """Return the format called `name`.

    Raises
    ------
    UsageError
        If there is none.
    MissingExtraError
        If it needs a package that is not installed.
    """
    chosen = formats.get(name)
    for package in chosen.packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(chosen.extra, package, f"writing {name} programs")
    return chosen


def write_program(traceable: Traceable, format: str) -> bytes:
    """Return a module as a program for any number of items from 1 on, its document inside.

    Returns
    -------
    bytes
        The file. It names no file of this machine.

    Raises
    ------
    ModelError
        If the module cannot be written so, with the exporter's reason.
    """
    chosen = check_installed(format)
    try:
        with torch.no_grad():
            return chosen.write(traceable)
    except (MemoryError, RosettaError):
        raise
    except Exception as error:  # exporters raise whatever they come across
        raise ModelError(
            f"this network cannot be written as {format}: {reason(error)}. It must work for any number of items and "
            f"not branch on their values; another `format` may do: {', '.join(sorted({*formats} - {format}))}"
        ) from error


def read_program(data: bytes, format: str) -> Program:
    """Return the program in `data`, as whoever gets it would load it: from one array to a tuple of arrays.

    Raises
    ------
    ModelError
        If it cannot be loaded; the program raises it if it cannot be run.
    """
    with _wrapped("cannot be loaded again"):
        program = check_installed(format).read(data)

    def checked(items: Array) -> tuple[Floats, ...]:
        with _wrapped(f"does not run on {len(items)} items"):
            return program(items)

    return checked


def run_by_torch(module: Callable[[Tensor], Tensor | Sequence[Tensor]]) -> Program:
    """Return a program that calls a torch module."""

    def run(items: Array) -> tuple[Floats, ...]:
        with torch.inference_mode():
            result = module(torch.from_numpy(items))
        return tuple(each.numpy() for each in ([result] if isinstance(result, Tensor) else result))

    return run


@contextmanager
def _wrapped(what: str) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RosettaError):
        raise
    except Exception as error:  # as above
        raise ModelError(
            f"the exported program {what}, so it was not kept: {reason(error)}. "
            "The network must work for any number of items from 1 on"
        ) from error


def reason(error: Exception) -> str:
    """Return the kind of an error and the start of its text on one line: exporters write pages."""
    text = " ".join(str(error).split())
    if "Traceback of TorchScript" in text:  # what matters stands behind the program's own lines
        text = text.rpartition("Error: ")[2]
    return f"{type(error).__name__}: {text[:400] + ' …' if len(text) > 400 else text}".rstrip(".: ")
