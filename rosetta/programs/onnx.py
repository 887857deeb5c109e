"""ONNX: a graph that runtimes outside Python read, ``.onnx``."""

from __future__ import annotations

import torch

from rosetta.errors import ModelError
from rosetta.programs import Program, ProgramFormat, Traceable, formats
from rosetta.programs.torch_export import ANY_NUMBER, follow, silent

METADATA = "rosetta"  # the key of the document


def write(traceable: Traceable) -> bytes:
    """Return the model, weights inside: at most 2 GiB, which is ONNX's limit for one file."""
    with silent():
        program = torch.onnx.export(
            follow(traceable), dynamo=True, verbose=False,
            input_names=traceable.takes, output_names=traceable.gives,
            dynamic_shapes=ANY_NUMBER,  # for the axis to keep its name
        )  # fmt: skip
    if program is None:
        raise ModelError("torch.onnx.export gave no program")
    program.model.metadata_props[METADATA] = traceable.document
    data: bytes = program.model_proto.SerializeToString()
    return data


def read(data: bytes) -> Program:
    """Load the model into onnxruntime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda items: tuple(session.run(None, {name: items}))


formats.register("onnx")(ProgramFormat(".onnx", write, read, "onnx", ("onnx", "onnxscript", "onnxruntime")))
