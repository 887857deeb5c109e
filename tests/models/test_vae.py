"""The VAE is what its settings say, and is encoded by its mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rosetta.schemas.run import RunConfig, TrainSettings

from rosetta.models.vae import build_vae, decode_array, encode_array


def _config(**changes: object) -> RunConfig:
    fields = {"input_shape": (4, 5), "latent_dim": 3, "value_range": (0.0, 1.0)} | changes
    return RunConfig(settings=TrainSettings(hidden=(16, 8)), **fields)


def test_layers_have_the_sizes_that_were_asked_for():
    model = build_vae(_config())

    assert [tuple(p.shape) for p in model.encoder.parameters()] == [(16, 20), (16,), (8, 16), (8,), (6, 8), (6,)]
    assert [tuple(p.shape) for p in model.decoder.parameters()] == [(8, 3), (8,), (16, 8), (16,), (20, 16), (20,)]


def test_no_two_layers_share_their_weights():
    pointers = [p.data_ptr() for p in build_vae(_config()).parameters()]

    assert len(set(pointers)) == len(pointers)


def test_the_initial_weights_follow_from_the_seed_alone_and_leave_the_global_one_be():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one, two = build_vae(_config()), build_vae(_config())

    assert all((a == b).all() for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert torch.rand(1) == expected


def test_embedding_gives_the_posterior_mean_in_whatever_blocks():
    model = build_vae(_config())
    inputs = np.random.default_rng(0).random((5000, 4, 5), dtype=np.float32)

    means, sds = encode_array(model, inputs)

    with torch.no_grad():
        mean, log_variance = model.encode(torch.from_numpy(inputs))
    assert means == pytest.approx(mean.numpy(), abs=1e-5)
    assert sds == pytest.approx(log_variance.exp().sqrt().numpy(), abs=1e-5)


def test_decoding_gives_inputs_of_the_items_shape():
    assert decode_array(build_vae(_config()), np.zeros((7, 3), dtype=np.float32)).shape == (7, 4, 5)
