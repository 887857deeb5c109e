"""Programs that torch.export wrote, ``.pt2``."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import torch
from torch.export import ExportedProgram

from rosetta.adapters import Adapted, Adapter, Loading, adapters
from rosetta.adapters.archive import entries, packed, read_program_file, sha256
from rosetta.adapters.documents import read_document
from rosetta.adapters.graph import GRAPH, OLD_GRAPH, harmless
from rosetta.adapters.layers import layers_of_program
from rosetta.adapters.outputs import Outputs, named
from rosetta.adapters.program import DecoderProgram, Program, as_decoder, as_model
from rosetta.arrays import Array
from rosetta.errors import ModelError, RosettaError
from rosetta.programs import DOCUMENT, reason
from rosetta.programs.torch_export import silent

KIND = "the torch.export program"


def load_program(path: Path, loading: Loading) -> Program:
    """Load a program; only numbers and a graph of torch's operators are read, unless pickles are allowed.

    Raises
    ------
    ModelError
        If it is no such program, could run code when it is read, or takes more than one array of floats.
    """
    data = read_program_file(path, what="a program")
    files = entries(data)
    if files is None or not {GRAPH, OLD_GRAPH} & files.keys():
        raise ModelError(f"{path} is no program that torch.export.save wrote, as .pt2 files are: export it again")
    exported = _load(files, data, loading)
    value = _argument(exported)
    document = read_document(
        files.get(f"extra/{DOCUMENT}") or files.get(f"data/extra/{DOCUMENT}") or files.get(f"extra_files/{DOCUMENT}"),
        kind=KIND,
    )
    first, *item = value.shape
    n_rows = first if isinstance(first, int) else None
    with silent():
        module = exported.module()

    def tensor(block: Array) -> torch.Tensor:
        return torch.from_numpy(block).to(loading.device, value.dtype)

    return Program(
        kind=KIND,
        run=_runner(module, tensor, document.gives if document else ()),
        architecture="torch.export program",
        framework="torch",
        n_parameters=sum(parameter.numel() for parameter in exported.parameters()),
        sha256=sha256(data),
        gives=document.gives if document else _gives(exported),
        item_shape=tuple(item) if all(isinstance(size, int) for size in item) else None,
        n_rows=n_rows,
        document=document,
        layers=layers_of_program(module, tensor, kind=KIND, n_rows=n_rows),
        notes=("pickles in the torch.export program were allowed to run code",) if loading.allow_pickle else (),
    )


def _load(files: dict[str, bytes], data: bytes, loading: Loading) -> ExportedProgram:
    if loading.allow_pickle:
        archive = io.BytesIO(data)
    else:
        archive = packed(harmless(files), folder=None if OLD_GRAPH in files else "archive")
    try:
        with silent():
            exported = torch.export.load(archive)
            if any(tensor.device != loading.device for tensor in exported.state_dict.values()):
                from torch.export.passes import move_to_device_pass

                exported = move_to_device_pass(exported, loading.device)
    except (MemoryError, RosettaError):
        raise
    except Exception as error:  # it raises whatever it comes across
        raise ModelError(
            f"{KIND} cannot be loaded by torch {torch.__version__}: {reason(error)}; export it again with this version"
        ) from error
    return exported


def _argument(exported: ExportedProgram) -> torch.Tensor:
    """Return a stand-in for the only argument, which has its shape and type."""
    wanted = exported.graph_signature.user_inputs
    if len(wanted) != 1:
        raise ModelError(f"{KIND} takes {len(wanted)} arguments, but must take one: the items")
    node = next(n for n in exported.graph.nodes if n.op == "placeholder" and n.name == wanted[0])
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor) or value.ndim < 1 or not value.dtype.is_floating_point:
        found = f"a tensor of {value.dtype}" if isinstance(value, torch.Tensor) else type(value).__name__
        raise ModelError(f"{KIND} takes {found}, but must take floats, one row for each item")
    return value


def _gives(exported: ExportedProgram) -> tuple[str, ...]:
    tree = exported.call_spec.out_spec
    n_outputs = len(exported.graph_signature.user_outputs)
    names = tree.context if tree is not None and tree.type is dict else None
    return tuple(str(name) for name in names) if names and len(names) == n_outputs else ("",) * n_outputs


def _runner(
    module: torch.nn.Module, tensor: Callable[[Array], torch.Tensor], names: tuple[str, ...]
) -> Callable[[Array], Outputs]:
    def run(block: Array) -> Outputs:
        with torch.inference_mode():
            return named(module(tensor(block)), names, kind=KIND)

    return run


def _knows(model: str) -> bool:
    return model.endswith(".pt2") and Path(model).is_file()


def _open(model: str, loading: Loading) -> Adapted:
    return as_model(load_program(Path(model), loading), loading)


def _open_decoder(decoder: str, loading: Loading) -> DecoderProgram:
    return as_decoder(load_program(Path(decoder), loading))


adapters.register("torch-export")(Adapter(_knows, _open, "PROGRAM.pt2 (torch.export.save)", _open_decoder))
