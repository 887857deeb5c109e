"""ONNX programs, ``.onnx``, which onnxruntime runs on the CPU."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np

from rosetta.adapters import Adapted, Adapter, Loading, adapters
from rosetta.adapters.archive import read_program_file, sha256
from rosetta.adapters.documents import read_document
from rosetta.adapters.outputs import Outputs
from rosetta.adapters.program import DecoderProgram, Program, as_decoder, as_model
from rosetta.arrays import Array
from rosetta.errors import MissingExtraError, ModelError
from rosetta.programs import reason
from rosetta.programs.onnx import METADATA

KIND = "the ONNX program"
DTYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


def load_program(path: Path) -> Program:
    """Load a program, and the weights beside it where they are in a file of their own.

    Raises
    ------
    MissingExtraError
        If onnx or onnxruntime is not installed.
    ModelError
        If it is damaged, or takes anything but one array of floats.
    """
    for package in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("onnx", package, "reading ONNX programs")
    import onnxruntime

    data = read_program_file(path, what="a program")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        n_parameters, beside = _weights(data)
    except Exception as error:  # the runtime has error classes without a public name
        raise ModelError(f"{path} cannot be loaded as ONNX: {reason(error)}") from error
    argument, dtype = _argument(session)
    document = read_document(session.get_modelmeta().custom_metadata_map.get(METADATA), kind=KIND)
    names = tuple(output.name for output in session.get_outputs())
    first, *item = argument.shape

    def run(block: Array) -> Outputs:
        return list(zip(names, session.run(None, {argument.name: block.astype(dtype)}), strict=True))

    more = [read_program_file(path.parent / name, what="the weights of a program") for name in beside]
    return Program(
        kind=KIND,
        run=lambda block: [(name, _wide(array)) for name, array in run(block)],
        architecture="ONNX graph",
        framework="onnx",
        n_parameters=n_parameters,
        sha256=sha256(b"".join([data, *more])),
        gives=names,
        item_shape=tuple(item) if all(isinstance(size, int) for size in item) else None,
        n_rows=first if isinstance(first, int) else None,
        document=document,
        layers="onnxruntime runs the graph as a whole, and an ONNX graph has no modules: "
        "export the model with torch.export, as .pt2",
    )


def _wide(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _weights(data: bytes) -> tuple[int, list[str]]:
    """Return how many numbers the graph's weights are, and the files beside it that hold some of them."""
    import onnx

    graph = onnx.load_from_string(data).graph
    beside = {entry.value for each in graph.initializer for entry in each.external_data if entry.key == "location"}
    return sum(math.prod(each.dims) for each in graph.initializer), sorted(beside)


def _argument(session: Any) -> tuple[Any, Any]:
    """Return what the program takes, and its type."""
    arguments = session.get_inputs()
    if len(arguments) != 1:
        listed = ", ".join(each.name for each in arguments)
        raise ModelError(f"{KIND} takes {len(arguments)} arguments ({listed}), but must take one: the items")
    if arguments[0].type not in DTYPES or not arguments[0].shape:
        raise ModelError(f"{KIND} takes {arguments[0].type}, but must take floats, one row for each item")
    return arguments[0], DTYPES[arguments[0].type]


def _knows(model: str) -> bool:
    return model.endswith(".onnx") and Path(model).is_file()


def _open(model: str, loading: Loading) -> Adapted:
    return as_model(load_program(Path(model)), loading)


def _open_decoder(decoder: str, loading: Loading) -> DecoderProgram:
    return as_decoder(load_program(Path(decoder)))


adapters.register("onnx")(Adapter(_knows, _open, "PROGRAM.onnx", _open_decoder))
