"""The VAE is what its settings say, and is encoded by its mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rosetta.schemas.run import RunConfig, TrainSettings

from rosetta.errors import UsageError
from rosetta.models.checkpoint import weights_digest
from rosetta.models.layers import LargestUnits
from rosetta.models.vae import build_vae, decode_array, encode_array


def _config(**settings: object) -> RunConfig:
    chosen = TrainSettings(**{"hidden": (16, 8)} | settings)
    return RunConfig(input_shape=(4, 5), latent_dim=3, value_range=(0.0, 1.0), library_size=50.0, settings=chosen)


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


def test_settings_reach_the_architecture_and_those_that_are_none_leave_its_defaults():
    plain, changed = build_vae(_config(hidden=None)), build_vae(_config(tied=True, sparse=0.5, activation="elu"))

    assert plain.encoder[1].out_features == 512
    assert not any(isinstance(part, LargestUnits) for part in plain.modules())
    assert [type(part).__name__ for part in changed.encoder[2:4]] == ["ELU", "LargestUnits"]
    assert type(changed.decoder[0]).__name__ == "Transposed"


def test_every_architecture_and_likelihood_has_its_weights_in_the_state_dictionary_once():
    for settings in ({"tied": True}, {"architecture": "conv"}, {"likelihood": "negative-binomial"}):
        model = build_vae(_config(**settings))

        assert sum(t.numel() for t in model.state_dict().values()) == sum(p.numel() for p in model.parameters())
        assert weights_digest(model) == weights_digest(build_vae(_config(**settings)))


def test_likelihoods_without_parameters_leave_the_weights_of_a_run_as_they_are():
    names = {frozenset(build_vae(_config(likelihood=name)).state_dict()) for name in ("gaussian", "bernoulli")}

    assert names == {
        frozenset(f"{half}.{n}.{kind}" for half, numbers in (("encoder", (1, 3, 5)), ("decoder", (0, 2, 4)))
                  for n in numbers for kind in ("weight", "bias"))
    }  # fmt: skip


@pytest.mark.parametrize("likelihood", ["poisson", "negative-binomial"])
def test_an_encoder_of_counts_sees_their_logarithm(likelihood: str):
    model = build_vae(_config(likelihood=likelihood))
    counts = np.random.default_rng(0).poisson(30, size=(6, 4, 5))

    means, _ = encode_array(model, counts)

    with torch.no_grad():
        expected = model.encoder(torch.log1p(torch.from_numpy(counts).float()))[:, :3]
    assert means == pytest.approx(expected.numpy(), abs=1e-6)


def test_a_decoded_item_of_counts_has_the_library_size_of_the_run():
    items = decode_array(build_vae(_config(likelihood="negative-binomial")), np.zeros((7, 3), dtype=np.float32))

    assert items.sum((1, 2)) == pytest.approx(50)


def test_an_unknown_architecture_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r"no architecture called 'dens'\. Did you mean 'dense'\?"):
        build_vae(_config(architecture="dens"))
