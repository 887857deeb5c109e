"""torch.export: torch's own portable graph, ``.pt2``."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import torch
from torch.export import Dim, ExportedProgram

from rosetta.programs import DOCUMENT, Program, ProgramFormat, Traceable, formats, run_by_torch

ANY_NUMBER = ({0: Dim("n_items", min=1)},)  # the first axis of the only argument is left open


def follow(traceable: Traceable) -> ExportedProgram:
    """Return the graph of a module, the number of items left open, without the names of this machine's files."""
    program = torch.export.export(traceable.module, (traceable.example,), dynamic_shapes=ANY_NUMBER)
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    return program


@contextmanager
def silent() -> Iterator[None]:
    """Keep torch's notes to its own developers from our users: a failure is raised, and what is written is checked."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def write(traceable: Traceable) -> bytes:
    """Return the archive; the document is the extra file ``rosetta.json``."""
    buffer = io.BytesIO()
    with silent():
        torch.export.save(follow(traceable), buffer, extra_files={DOCUMENT: traceable.document})
    return buffer.getvalue()


def read(data: bytes) -> Program:
    """Load the archive."""
    with silent():
        return run_by_torch(torch.export.load(io.BytesIO(data)).module())


formats.register("torch-export")(ProgramFormat(".pt2", write, read))
