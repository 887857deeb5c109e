"""A program, one half of a model, whatever it was written by; and the model that one or two of them are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rosetta.adapters import Adapted, Loading, SpaceOf, open_decoder
from rosetta.adapters.blocks import in_blocks
from rosetta.adapters.documents import steps_of
from rosetta.adapters.outputs import Outputs, decoded, means_of, note_of
from rosetta.arrays import Array, Floats
from rosetta.errors import ModelError
from rosetta.schemas.manifest import ModelDescription
from rosetta.schemas.program import ProgramRecord


@dataclass(frozen=True)
class Program:
    """One half of a model.

    Parameters
    ----------
    kind : str
        What messages call it, such as ``"the ONNX program"``.
    run : callable
        From a block of items, float32, shape (n_rows, …), to its outputs and their names.
    architecture, framework : str
        For the manifest.
    n_parameters : int
        Numbers that were learned.
    sha256 : str
        Digest of the file or the weights.
    gives : tuple of str, optional
        Names of its outputs, "" for one without; None where they are not known before it runs.
    item_shape : tuple of int, optional
        Of what it takes, where it says so.
    n_rows : int, optional
        How many items it takes at a time, where it takes no other number.
    document : ProgramRecord, optional
        What Rosetta wrote into it.
    notes : tuple of str
        What the user should know.
    layers : callable or str
        As of `Adapted`.
    """

    kind: str
    run: Callable[[Array], Outputs]
    architecture: str
    framework: str
    n_parameters: int
    sha256: str
    gives: tuple[str, ...] | None = None
    item_shape: tuple[int, ...] | None = None
    n_rows: int | None = None
    document: ProgramRecord | None = None
    notes: tuple[str, ...] = field(default=())
    layers: Callable[[Array, Sequence[str]], dict[str, Floats]] | str = "nothing is known of its layers"


def as_model(program: Program, loading: Loading) -> Adapted:
    """Return the model whose encoder is `program`; its decoder is what `loading` names.

    Raises
    ------
    ModelError
        If the program is a decoder, or the decoder that is named is another model's.
    """
    document = program.document
    if document is not None and document.part != "encoder":
        raise ModelError(f"{program.kind} is a decoder: give the encoder's as MODEL, and this one as `decoder`")

    def encode(inputs: Array) -> tuple[Floats, Floats | None]:
        def call(block: Array) -> tuple[Array, ...]:
            outputs = program.run(block)
            return means_of(outputs, loading.spread, item_shape=block.shape[1:], kind=program.kind)

        means, *sds = in_blocks(call, inputs, kind=program.kind, n_rows=program.n_rows)
        return means, sds[0] if sds else None

    def describe(n_dims: int) -> ModelDescription:
        return ModelDescription(
            architecture=program.architecture,
            framework=program.framework,
            objective="unknown" if document is None else "vae",
            n_parameters=program.n_parameters,
            weights_sha256=program.sha256 if document is None else document.weights_sha256,
        )

    return Adapted(
        kind=program.kind,
        encode=encode,
        describe=describe,
        weights_sha256=program.sha256 if document is None else document.weights_sha256,
        decode=None if loading.decoder is None else _matching_decoder(loading.decoder, loading, document),
        input_shape=program.item_shape if document is None else document.input_shape,
        notes=program.notes + note_of(program.gives or ("",), loading.spread, program.kind),
        layers=program.layers,
        **_known(document),
    )


def as_decoder(program: Program) -> DecoderProgram:
    """Return a program as what it is to another: from latents to expected inputs."""
    if program.document is not None and program.document.part != "decoder":
        raise ModelError(f"the decoder, {program.kind}, is an encoder: give the one of the other part")
    return DecoderProgram(program)


@dataclass(frozen=True)
class DecoderProgram:
    """A decoder that knows where it comes from."""

    program: Program

    def __call__(self, latents: Floats) -> Floats:
        """Return the expected inputs, float32, shape (n_items, …), of latents, float32, shape (n_items, n_dims)."""
        program = self.program
        kind = f"the decoder, {program.kind},"
        return in_blocks(
            lambda block: decoded(program.run(block), kind=kind), np.asarray(latents), kind=kind, n_rows=program.n_rows
        )[0]


def _matching_decoder(name: str, loading: Loading, document: ProgramRecord | None) -> Callable[[Floats], Floats]:
    decoder = open_decoder(name, loading)
    theirs = decoder.program.document if isinstance(decoder, DecoderProgram) else None
    if document is not None and theirs is not None and document.weights_sha256 != theirs.weights_sha256:
        raise ModelError(
            "the encoder and the decoder are of two models: the digests of their weights are "
            f"{document.weights_sha256[:12]}… and {theirs.weights_sha256[:12]}…; export both from one run"
        )
    return decoder


def _known(document: ProgramRecord | None) -> dict[str, Any]:
    if document is None:
        return {}
    return {
        "steps": steps_of(document),
        "feature_names": document.feature_names,
        "value_range": document.value_range,
        "likelihood": document.likelihood,
        "space_dims": document.space_dims,
        "space": SpaceOf(document.space_id, document.space_name, document.generation, ()),
    }
