"""What `rosetta export` leaves: the document inside an exported program, and the command's report."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints
from rosetta.schemas.record import Count, NonNegative, Positive, Record, Sha256, Shape, SpaceId, Text

Part = Literal["encoder", "decoder"]


class StoredArray(Record):
    """An array inside a JSON document, bit for bit: decimal numbers are at the mercy of who parses them.

    `base64` holds the values in C order; `dtype` is numpy's name, little-endian. In Python it is read by
    ``numpy.frombuffer(base64.b64decode(a["base64"]), a["dtype"]).reshape(a["shape"])``.
    """

    dtype: Literal["<f4", "<f8", "|u1", "<i4", "<i8"]
    shape: Annotated[tuple[Count, ...], Field(max_length=32)]
    base64: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]


class ProgramStep(Record):
    """One preprocessing step from a raw item to an input, as a bundle's manifest declares it, arrays included."""

    name: Text
    parameters: dict[Text, JsonValue] = {}
    arrays: dict[Text, StoredArray] = {}


class ProgramRecord(Record):
    """What an exported program computes, and what must be done to an item before.

    An encoder takes `inputs`, preprocessed items, float32, (n_items, *input_shape), and gives `latents` and
    `latents_sd`, posterior means and standard deviations, float32, (n_items, n_dims). A decoder takes `latents` and
    gives the expected `inputs`. Any n_items from 1 on will do. The steps of `preprocessing` are applied in order.
    """

    schema_version: Literal["1.0"] = "1.0"
    part: Part
    takes: tuple[Text, ...]  # names, in the order of the arguments
    gives: tuple[Text, ...]  # names, in the order of the results
    space_id: SpaceId
    space_name: Text | None = None
    generation: Count
    n_dims: Positive
    space_dims: Positive | None = None  # of these the first, which are the space's; null: all
    input_shape: Shape
    value_range: tuple[float, float]
    feature_names: tuple[Text, ...] | None = None
    preprocessing: tuple[ProgramStep, ...] = ()
    likelihood: Text
    weights_sha256: Sha256  # of the whole run's weights, as in its run.json
    software: dict[Text, Text]


class ExportReport(Record):
    """`rosetta export`.

    `max_abs_difference` is between the written program and the run's model, over items drawn at random: of latents
    and of the natural logarithm of their standard deviations, or, for a decoder, of expected inputs.
    """

    file: str
    format: Text  # a plug-in's name
    part: Part
    n_dims: Positive
    input_shape: Shape
    preprocessing: Text
    n_bytes: Positive
    max_abs_difference: NonNegative
    notes: tuple[Text, ...] = ()  # what the user should know, as it goes to stderr
