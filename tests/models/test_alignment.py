"""The Procrustes map brings latents to the anchors and leaves reconstructions as they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rosetta.schemas.run import RunConfig, TrainSettings
from scipy.stats import ortho_group

from rosetta.errors import ModelError
from rosetta.models.alignment import align, procrustes
from rosetta.models.vae import build_vae, encode_array

RNG = np.random.default_rng(0)
INPUTS = RNG.random((40, 16), dtype=np.float32)


def _model(architecture: str = "dense", **settings: object):
    chosen = TrainSettings(architecture=architecture, **settings)
    return build_vae(RunConfig(input_shape=(16,), latent_dim=3, value_range=(0.0, 1.0), settings=chosen))


def test_a_similarity_of_points_is_found_again():
    found = RNG.normal(size=(50, 4)) + 3
    rotation = ortho_group.rvs(4, random_state=0)

    scale, turned, centre, other = procrustes(found, 2.5 * found @ rotation - 1)

    assert scale == pytest.approx(2.5)
    np.testing.assert_allclose(turned, rotation, atol=1e-10)
    np.testing.assert_allclose(scale * (found - centre) @ turned + other, 2.5 * found @ rotation - 1, atol=1e-10)


def test_an_aligned_model_gives_the_latents_and_reconstructs_as_before():
    model = _model()
    before, sds = encode_array(model, INPUTS)
    wanted = (2 * before @ ortho_group.rvs(3, random_state=1) + 5).astype(np.float32)
    with torch.no_grad():
        pictures = model.decode(torch.from_numpy(before))

    align(model, INPUTS, wanted)

    after, new_sds = encode_array(model, INPUTS)
    np.testing.assert_allclose(after, wanted, atol=1e-4)
    np.testing.assert_allclose(new_sds, 2 * sds, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(model.decode(torch.from_numpy(after)), pictures, rtol=1e-4, atol=1e-4)


def test_latents_that_are_no_similarity_come_nearer_than_they_were():
    model = _model()
    wanted = RNG.normal(size=(40, 3)).astype(np.float32)
    before, _ = encode_array(model, INPUTS)

    align(model, INPUTS, wanted)

    after, _ = encode_array(model, INPUTS)
    assert np.square(after - wanted).sum() < np.square(wanted - wanted.mean(0)).sum() < np.square(before - wanted).sum()


def test_networks_that_cannot_be_turned_are_refused():
    with pytest.raises(ModelError, match="tied weights"):
        align(_model(tied=True), INPUTS, np.zeros((40, 3), dtype=np.float32))
    with pytest.raises(ModelError, match="same latent"):
        align(_model(), np.zeros((40, 16), dtype=np.float32), RNG.normal(size=(40, 3)).astype(np.float32))
