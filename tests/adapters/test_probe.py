"""An encoder is tried on a few items, and what is wrong with it is said with what to do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from rosetta.adapters import Adapted, open_model
from rosetta.adapters.blocks import in_blocks
from rosetta.adapters.probe import check_decoder, check_encoder
from rosetta.arrays import Array
from rosetta.errors import IncompatibleError
from tests.adapters.conftest import Shelf
from tests.adapters.models import LOADING, Encoder, Means, Samples, images


def adapted(encode: Callable[[Array], Array], **known: object) -> Adapted:
    """A model that is a function."""
    return Adapted(
        kind="the model",
        encode=lambda inputs: (in_blocks(lambda block: [encode(block)], inputs, kind="the model")[0], None),
        describe=lambda n_dims: None,  # type: ignore[arg-type,return-value]
        weights_sha256="0" * 64,
        **known,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("program", ["exported", "traced", "graphed"])
def test_a_good_encoder_is_told_its_dimensions(program: str, request: pytest.FixtureRequest):
    model = open_model(request.getfixturevalue(program), LOADING)

    assert check_encoder(model, images(80)) == 2
    assert check_encoder(model, images(1)) == 2


def test_samples_are_refused(shelf: Shelf):
    path = shelf.export("samples.pt2", Samples(shelf.encoder))

    with pytest.raises(IncompatibleError, match="it returns samples.*pythae's embed"):
        check_encoder(open_model(path, LOADING), images(64))


def test_batch_normalisation_in_training_mode_is_refused(shelf: Shelf):
    path = shelf.trace("training.pt", Means(Encoder().train()))
    model = open_model(path, LOADING)  # TorchScript keeps the mode that it was traced in

    with pytest.raises(IncompatibleError, match="when other items are beside it.*model.eval"):
        check_encoder(model, images(64))


@pytest.mark.parametrize(
    ("encode", "expected"),
    [
        (lambda x: x.astype(np.int64).reshape(len(x), -1), "type int64"),
        (lambda x: x.astype(np.complex64).reshape(len(x), -1), "type complex64"),
        (lambda x: x, r"shape \(4, 1, 6, 6\) for 4 items"),
        (lambda x: np.log(x.reshape(len(x), -1) * 0 - 1), "NaN or infinity for item 0"),
        (lambda x: x[:2], "must give one row for each item"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_is_no_latents_is_refused(encode: Callable[[Array], Array], expected: str):
    with pytest.raises(IncompatibleError, match=expected):
        check_encoder(adapted(encode), images(4))


@pytest.mark.parametrize(
    ("found", "wanted", "advice"),
    [
        ((6, 5, 3), (3, 6, 5), "`preprocess='channels_first'`"),
        ((3, 6, 5), (6, 5, 3), "`preprocess='channels_last'`"),
        ((6, 6), (36,), "`preprocess='flatten'`"),
        ((6, 6), (1, 6, 6), "`preprocess='channels_first'`"),
        ((5, 6), (6, 5), r"transpose the data to \(n_items, 6, 5\)"),
        ((6, 6), (7, 7), "items that it was trained with"),
        ((7,), (4,), "looks transposed: items must lie along its first axis"),
    ],
)
def test_a_shape_that_does_not_fit_is_told_what_would(found: tuple[int, ...], wanted: tuple[int, ...], advice: str):
    model = adapted(lambda x: x.reshape(len(x), -1), input_shape=wanted)

    with pytest.raises(IncompatibleError, match=advice):
        check_encoder(model, np.ones((4, *found), np.float32))


@pytest.mark.parametrize(
    ("layer", "found", "advice"),
    [
        (nn.Linear(36, 2), (6, 6), "`preprocess='flatten'`"),
        (nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten()), (6, 7, 3), "`preprocess='channels_first'`"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), (6, 6), "`preprocess='channels_first'`"),
        (nn.Linear(35, 2), (6, 6), "is that the shape"),
    ],
)
def test_without_a_known_shape_others_are_tried(layer: nn.Module, found: tuple[int, ...], advice: str):
    def encode(block: Array) -> Array:
        with torch.inference_mode():
            if isinstance(layer, nn.Sequential) and block.ndim != 4:
                raise ValueError("expected images")  # torch would take them for one without a batch
            return np.asarray(layer(torch.from_numpy(block)))

    with pytest.raises(IncompatibleError, match=advice):
        check_encoder(adapted(encode), np.ones((4, *found), np.float32))


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_what_gives_its_inputs_back_is_refused_and_latents_of_as_many_dimensions_are_not(noise: float):
    rng = np.random.default_rng(0)
    items, rest, mixing = (rng.normal(size=shape).astype(np.float32) for shape in ((40, 6), (40, 6), (6, 6)))

    with pytest.raises(IncompatibleError, match="a whole autoencoder. Give its encoder alone"):
        check_encoder(adapted(lambda x: x + noise * rest[: len(x)]), items)
    assert check_encoder(adapted(lambda x: x @ mixing), items) == 6


def test_a_decoder_of_another_encoder_is_refused():
    items = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)

    check_decoder(adapted(lambda x: x[:, :2], decode=lambda z: np.repeat(z, 3, axis=1)), items)
    with pytest.raises(
        IncompatibleError, match=r"the decoder gives items of shape \(4,\), .* \(6,\): is it the decoder"
    ):
        check_decoder(adapted(lambda x: x[:, :2], decode=lambda z: np.repeat(z, 2, axis=1)), items)
