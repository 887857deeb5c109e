"""Tied weights are the encoder's own, and a sparse layer keeps each item's largest units."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from rosetta.errors import ModelError
from rosetta.models.dense import dense
from rosetta.models.layers import LargestUnits, first_linear


class Model(nn.Module):
    """Both halves in one module: the means' reconstruction."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.decoder = dense((2, 5), 3, hidden=(8, 6), **options)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.decoder(self.encoder(inputs)[:, :3])


def _tied_by_hand(weights: dict[str, Tensor], inputs: Tensor) -> Tensor:
    """The same network with every layer written out."""
    units = inputs.flatten(1)
    for layer in (1, 3):
        units = torch.relu(units @ weights[f"encoder.{layer}.weight"].T + weights[f"encoder.{layer}.bias"])
    latents = (units @ weights["encoder.5.weight"].T + weights["encoder.5.bias"])[:, :3]
    units = torch.relu(latents @ weights["encoder.5.weight"][:3] + weights["decoder.0.bias"])
    units = torch.relu(units @ weights["encoder.3.weight"] + weights["decoder.2.bias"])
    return (units @ weights["encoder.1.weight"] + weights["decoder.4.bias"]).reshape(inputs.shape)


def test_the_names_and_the_first_weights_are_those_of_runs_trained_before_there_were_options():
    torch.manual_seed(5)
    old = [nn.Linear(a, b) for a, b in [*pairwise((10, 8, 6)), (6, 6), *pairwise((3, 6, 8)), (8, 10)]]
    names = [f"encoder.{i}" for i in (1, 3, 5)] + [f"decoder.{i}" for i in (0, 2, 4)]

    torch.manual_seed(5)
    encoder, decoder = dense((2, 5), 3, hidden=(8, 6))

    found = nn.ModuleDict({"encoder": encoder, "decoder": decoder}).state_dict()
    assert list(found) == [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]
    for name, layer in zip(names, old, strict=True):
        assert torch.equal(found[f"{name}.weight"], layer.weight)
        assert torch.equal(found[f"{name}.bias"], layer.bias)


def test_a_tied_decoder_has_biases_alone_and_each_weight_stands_once():
    model = Model(tied=True)

    assert list(model.decoder.state_dict()) == ["0.bias", "2.bias", "4.bias"]
    assert [tuple(b.shape) for b in model.decoder.parameters()] == [(6,), (8,), (10,)]
    assert sum(p.numel() for p in model.parameters()) == 10 * 8 + 8 + 8 * 6 + 6 + 6 * 6 + 6 + 6 + 8 + 10


def test_a_tied_network_and_its_gradients_are_those_written_by_hand():
    model, inputs = Model(tied=True), torch.randn(4, 2, 5)
    by_hand = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}

    output, expected = model(inputs), _tied_by_hand(by_hand, inputs)
    output.square().sum().backward()
    expected.square().sum().backward()

    torch.testing.assert_close(output, expected)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, by_hand[name].grad)


def test_a_tied_decoder_follows_its_encoder_through_training_copies_conversions_and_functional_calls():
    model, inputs = Model(tied=True), torch.randn(4, 2, 5)
    other = {name: torch.randn_like(p) for name, p in model.named_parameters()}

    torch.testing.assert_close(functional_call(model, other, (inputs,)), _tied_by_hand(other, inputs))
    twin = copy.deepcopy(model)
    twin.load_state_dict(other)
    torch.testing.assert_close(twin(inputs), _tied_by_hand(other, inputs))
    torch.testing.assert_close(
        twin.double()(inputs.double()), _tied_by_hand({k: v.double() for k, v in other.items()}, inputs.double())
    )
    torch.testing.assert_close(model(inputs), _tied_by_hand(dict(model.named_parameters()), inputs))


def test_a_tied_decoders_first_layer_is_not_to_be_changed_apart():
    with pytest.raises(ModelError, match=r"the encoder's last one, transposed \(tied weights\)"):
        first_linear(Model(tied=True).decoder)


def test_a_sparse_layer_keeps_each_items_largest_units():
    units = torch.randn(50, 12)

    kept = LargestUnits(0.25, 12)(units)

    for row, found in zip(units, kept, strict=True):
        largest = sorted(row.tolist(), reverse=True)[:3]
        assert found.tolist() == [value if value in largest else 0 for value in row.tolist()]


def test_of_equal_units_no_more_are_kept_than_of_others():
    assert (LargestUnits(0.5, 8)(torch.ones(3, 8)) != 0).sum(1).tolist() == [4, 4, 4]


def test_at_least_one_unit_is_kept():
    assert (LargestUnits(0.001, 8)(torch.rand(3, 8) + 1) != 0).sum(1).tolist() == [1, 1, 1]


def test_gradients_reach_the_kept_units_alone():
    units = torch.randn(4, 10, requires_grad=True)

    kept = LargestUnits(0.3, 10)(units)
    kept.sum().backward()

    assert torch.equal(units.grad, (kept != 0).float())
    assert (units.grad.sum(1) == 3).all()


def test_every_hidden_layer_of_both_halves_is_sparse():
    model = Model(sparse=0.5, activation="softplus")  # softplus alone leaves no unit at zero
    seen: list[int] = []
    for layer in model.modules():
        if isinstance(layer, LargestUnits):
            layer.register_forward_hook(lambda _layer, _given, units: seen.append(int((units != 0).sum(1).max())))

    model(torch.randn(4, 2, 5))

    assert seen == [4, 3, 3, 4]
