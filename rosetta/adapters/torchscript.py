"""TorchScript programs, ``.pt``, ``.pth`` or ``.ts``; and what else is found in files of these names."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from rosetta.adapters import Adapted, Adapter, Loading, adapters
from rosetta.adapters.archive import entries, is_harmless_pickle, packed, read_program_file, sha256
from rosetta.adapters.documents import read_document
from rosetta.adapters.graph import GRAPH
from rosetta.adapters.layers import layers_of_script
from rosetta.adapters.outputs import Outputs, named
from rosetta.adapters.program import DecoderProgram, Program, as_decoder, as_model
from rosetta.arrays import Array
from rosetta.errors import ModelError
from rosetta.programs import DOCUMENT, reason
from rosetta.programs.torchscript import deprecated

KIND = "the TorchScript program"
SUFFIXES = (".pt", ".pth", ".ts")

# what TorchScript offers beside operators on numbers: files
_TOUCHES_FILES = re.compile(rb"\b(save|from_file)\s*\(")


def load_program(path: Path, loading: Loading) -> Program:
    """Load a program on the device; its code is TorchScript, which cannot reach Python.

    Raises
    ------
    ModelError
        If it is no TorchScript, with what it is and what to do; or if it reads or writes files.
    """
    data = read_program_file(path, what="a program")
    files = entries(data)
    if files is None or not any(name.startswith("code/") for name in files):
        raise ModelError(_what_else(path, data, files))
    if any(_TOUCHES_FILES.search(each) for name, each in files.items() if name.startswith("code/")):
        raise ModelError(f"{KIND} reads or writes files, which an encoder has no need to: it is not loaded")
    try:
        with deprecated():
            # what torch reads is what was looked at; its debugging records are pickles that nothing needs
            archive = packed({n: each for n, each in files.items() if not n.endswith(".debug_pkl")}, folder="archive")
            module = torch.jit.load(archive, map_location=loading.device)  # type: ignore[no-untyped-call]
    except Exception as error:  # it raises whatever it comes across
        raise ModelError(f"{KIND} cannot be loaded by torch {torch.__version__}: {reason(error)}") from error
    document = read_document(files.get(f"extra/{DOCUMENT}"), kind=KIND)
    name = str(module.original_name)
    return Program(
        kind=KIND,
        run=_runner(module.eval(), loading.device, document.gives if document else ()),
        architecture=name if name.isidentifier() else "TorchScript program",
        framework="torch",
        n_parameters=sum(parameter.numel() for parameter in module.parameters()),
        sha256=sha256(data),
        gives=document.gives if document else _gives(module),
        document=document,
        layers=layers_of_script(module, _to_tensor(module, loading.device), kind=KIND),
    )


def _what_else(path: Path, data: bytes, files: Mapping[str, bytes] | None) -> str:
    advice = (
        "write the encoder as a program with torch.export.save(torch.export.export(encoder, (inputs,)), 'encoder.pt2'),"
        " or name code that builds and loads it, package.module:callable"
    )
    if files is not None and GRAPH in files:
        return f"{path} is a program of torch.export: give it a name that ends in .pt2"
    if is_harmless_pickle(data):
        return f"{path} holds weights alone, a state dict, and no network that they are of: {advice}"
    if files is not None and "data.pkl" in files:
        return (
            f"{path} is a pickled model or checkpoint, of objects that are not tensors: reading it can run code, and "
            f"needs the code that it was written with. It is not read: {advice}"
        )
    return f"{path} is no TorchScript program, as torch.jit.save writes: {advice}"


def _gives(module: Any) -> tuple[str, ...] | None:
    """Return the outputs' names as far as the program says how many they are."""
    returned = module.forward.schema.returns[0].type
    if returned.kind() == "TensorType":
        return ("",)
    if returned.kind() != "TupleType":
        return None
    n_outputs = len(returned.elements())
    names = tuple(returned.names() or ()) if hasattr(returned, "names") else ()
    return names if len(names) == n_outputs else ("",) * n_outputs


def _runner(module: Any, device: torch.device, names: tuple[str, ...]) -> Callable[[Array], Outputs]:
    tensor = _to_tensor(module, device)

    def run(block: Array) -> Outputs:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler that works behind it
            return named(module(tensor(block)), names, kind=KIND)

    return run


def _to_tensor(module: Any, device: torch.device) -> Callable[[Array], torch.Tensor]:
    floats = [p.dtype for p in (*module.parameters(), *module.buffers()) if p.dtype.is_floating_point]
    dtype = floats[0] if floats else torch.float32
    return lambda block: torch.from_numpy(block).to(device, dtype)


def _knows(model: str) -> bool:
    return model.endswith(SUFFIXES) and Path(model).is_file()


def _open(model: str, loading: Loading) -> Adapted:
    return as_model(load_program(Path(model), loading), loading)


def _open_decoder(decoder: str, loading: Loading) -> DecoderProgram:
    return as_decoder(load_program(Path(decoder), loading))


adapters.register("torchscript")(Adapter(_knows, _open, "PROGRAM.pt (torch.jit.save)", _open_decoder))
