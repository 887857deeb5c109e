"""The anchor loss is the paper's sum as a mean, and a held weight reaches its tolerance in anybody's loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import rosetta
from rosetta.errors import IncompatibleError, UsageError
from tests import builders


@pytest.fixture
def bundle(tmp_path: Path) -> rosetta.Bundle:
    return rosetta.Bundle.open(builders.write(tmp_path / "b.h5"))


def _encode(inputs: torch.Tensor) -> torch.Tensor:
    return inputs.flatten(1)[:, :3] - 0.5


def test_the_loss_is_the_weighted_mean_over_anchors_of_the_squared_distance(bundle: rosetta.Bundle):
    loss = rosetta.AnchorLoss(bundle, weight=2.5)(_encode)

    inputs, latents = bundle.inputs[: builders.N_ANCHORS], bundle.latents[: builders.N_ANCHORS]
    distances = [np.sum((z - (x.ravel()[:3] - 0.5)) ** 2) for x, z in zip(inputs, latents, strict=True)]
    assert float(loss) == pytest.approx(2.5 * np.mean(distances), rel=1e-5)


def test_check_pairs_never_enter(bundle: rosetta.Bundle):
    anchors = rosetta.AnchorLoss(bundle)

    assert len(anchors.inputs) == builders.N_ANCHORS
    assert (anchors.inputs.numpy() == bundle.inputs[bundle.is_anchor]).all()


def test_the_decoder_term_adds_its_weighted_mean(bundle: rosetta.Bundle):
    anchors = rosetta.AnchorLoss(bundle, weight=0, decoder_weight=3)

    loss = anchors(_encode, lambda latents, inputs: latents.sum(1) + inputs.flatten(1).sum(1))

    expected = (
        bundle.anchor_latents.sum(axis=1) + bundle.anchor_inputs.reshape(builders.N_ANCHORS, -1).sum(axis=1)
    ).mean()
    assert float(loss) == pytest.approx(3 * expected, rel=1e-5)
    with pytest.raises(UsageError, match="no decoder_error was passed"):
        anchors(_encode)


def test_each_step_draws_different_anchors_and_every_one_has_its_turn(bundle: rosetta.Bundle):
    anchors = rosetta.AnchorLoss(bundle, anchors_per_step=5)
    drawn = [anchors.draw() for _ in range(40)]

    rows = [{row.numpy().tobytes() for row in step.latents} for step in drawn]

    assert {len(step) for step in rows} == {5}
    assert all(not (rows[step] & rows[step + 1]) for step in (0, 2, 4))  # a permutation is used up first
    assert len(set.union(*rows)) == builders.N_ANCHORS
    again = rosetta.AnchorLoss(bundle, anchors_per_step=5).draw()
    assert (again.latents == drawn[0].latents).all()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("tolerance", [0.3, 0.1])
def test_a_held_weight_reaches_its_tolerance_whatever_the_scale_of_the_other_loss(
    bundle: rosetta.Bundle, scale: float, tolerance: float
):
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 3))
    anchors = rosetta.AnchorLoss(bundle, tolerance=tolerance)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=3e-3)
    data = torch.rand(256, *builders.SHAPE)
    for _ in range(1500):
        optimizer.zero_grad()
        pull_elsewhere = scale * (encoder(data) - 5).square().sum(1).mean()
        (pull_elsewhere + anchors(encoder)).backward()
        optimizer.step()

    with torch.no_grad():
        rms = float((encoder(anchors.inputs) - anchors.latents).square().sum(1).mean().sqrt())

    assert rms / anchors.total_sd == pytest.approx(tolerance, rel=0.25)


def test_a_held_weight_moves_in_training_only(bundle: rosetta.Bundle):
    anchors = rosetta.AnchorLoss(bundle)
    before = anchors.weight

    anchors.eval()(_encode)
    with torch.no_grad():
        anchors.train()(_encode)
    unmoved = anchors.weight
    anchors(_encode)

    assert unmoved == before != anchors.weight


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weight": "automatic"}, "expected a number or 'auto'"),
        ({"weight": -1}, "weight is -1"),
        ({"weight": float("nan")}, "weight is nan"),
        ({"tolerance": 0}, "tolerance is 0"),
        ({"decoder_weight": -0.5}, "decoder_weight is -0.5"),
        ({"anchors_per_step": 0}, "anchors_per_step is 0"),
        ({"noise": -1}, "noise is -1"),
        ({"pair_weights": "equal"}, "expected 'uniform' or 'share'"),
    ],
)
def test_options_out_of_range_are_refused(bundle: rosetta.Bundle, options: dict[str, object], words: str):
    with pytest.raises(UsageError, match=words):
        rosetta.AnchorLoss(bundle, **options)


def test_an_encoder_of_another_width_is_refused(bundle: rosetta.Bundle):
    with pytest.raises(
        IncompatibleError, match=r"shape \(12, 20\) for anchors with stored latents of shape \(12, 3\).*free_dims=17"
    ):
        rosetta.AnchorLoss(bundle)(lambda inputs: inputs.flatten(1))
    with pytest.raises(IncompatibleError, match=r"stored latents of shape \(12, 3\) and free_dims=2"):
        rosetta.AnchorLoss(bundle, free_dims=2)(_encode)


def test_free_dimensions_stand_behind_the_stored_latents_and_no_anchor_holds_them(bundle: rosetta.Bundle):
    seen = []
    own = torch.ones(2, requires_grad=True)

    def encode(inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat([_encode(inputs), own * inputs.flatten(1)[:, 5:7]], dim=1)

    def decoder_error(latents: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        seen.append(latents)
        return latents.sum(1)

    loss = rosetta.AnchorLoss(bundle, weight=2.5, decoder_weight=3, free_dims=2)(encode, decoder_error)

    latents = np.hstack([bundle.anchor_latents, bundle.anchor_inputs.reshape(builders.N_ANCHORS, -1)[:, 5:7]])
    np.testing.assert_array_equal(seen[0].detach(), latents)
    loss.backward()
    np.testing.assert_allclose(own.grad, 3 * latents[:, 3:].mean(axis=0), rtol=1e-5)  # of decoding alone
    narrow = rosetta.AnchorLoss(bundle, weight=2.5)(_encode)
    assert float(loss.detach()) == pytest.approx(float(narrow) + 3 * latents.sum(axis=1).mean(), rel=1e-5)


def test_bundles_of_one_space_are_joined_and_those_of_two_refused(bundle: rosetta.Bundle, tmp_path: Path):
    same = rosetta.Bundle.open(builders.write(tmp_path / "same.h5", builders.arrays(1)))
    other_space = bundle.manifest.content.space.model_copy(update={"id": "space-" + "f" * 32})
    other = rosetta.Bundle.open(builders.write(tmp_path / "other.h5", space=other_space))

    assert len(rosetta.AnchorLoss([bundle, same]).inputs) == 2 * builders.N_ANCHORS
    with pytest.raises(IncompatibleError, match="2 latent spaces"):
        rosetta.AnchorLoss([bundle, other])
    with pytest.raises(UsageError, match="at least one bundle"):
        rosetta.AnchorLoss([])


def test_a_held_weight_is_saved_and_the_pairs_are_not(bundle: rosetta.Bundle):
    anchors, again = (rosetta.AnchorLoss(bundle, anchors_per_step=5) for _ in range(2))
    for _ in range(5):
        anchors(_encode)

    again.load_state_dict(anchors.state_dict())

    assert set(anchors.state_dict()) == {"held.log_weight", "held.excess", "held.excess_sum", "_extra_state"}
    assert again.weight == anchors.weight != rosetta.AnchorLoss(bundle).weight
    for _ in range(5):  # the draws go on where they stood, too
        assert (again.draw().latents == anchors.draw().latents).all()


def test_pair_weights_are_the_share_of_items_that_each_pair_stands_for(tmp_path: Path):
    values = builders.arrays()
    values["/pairs/weights"] = np.arange(1.0, len(values["/pairs/weights"]) + 1)
    values["/pairs/weights"] /= values["/pairs/weights"].sum()
    bundle = rosetta.Bundle.open(builders.write(tmp_path / "b.h5", values))
    weighed = rosetta.AnchorLoss(bundle, weight=1, pair_weights="share")(_encode)

    distances = ((bundle.anchor_inputs.reshape(builders.N_ANCHORS, -1)[:, :3] - 0.5 - bundle.anchor_latents) ** 2).sum(
        1
    )
    shares = bundle.anchor_weights / bundle.anchor_weights.sum()
    assert float(weighed) == pytest.approx(float((shares * distances).sum()), rel=1e-5)


def test_noise_moves_the_inputs_anew_at_every_step_and_by_its_standard_deviation(bundle: rosetta.Bundle):
    anchors = rosetta.AnchorLoss(bundle, noise=0.3)

    one, two = anchors.draw(), anchors.draw()

    assert (one.inputs != two.inputs).any()
    assert float((one.inputs - anchors.inputs).std()) == pytest.approx(0.3, rel=0.15)
    assert (one.latents == anchors.latents).all()


def test_an_encoder_that_works_in_place_does_not_change_the_anchors(bundle: rosetta.Bundle):
    anchors = rosetta.AnchorLoss(bundle)

    anchors(lambda inputs: inputs.mul_(0).flatten(1)[:, :3])

    assert (anchors.inputs.numpy() == bundle.anchor_inputs).all()


def test_a_given_weight_is_not_replaced_by_a_saved_one(bundle: rosetta.Bundle):
    given = rosetta.AnchorLoss(bundle, weight=5.0)

    with pytest.raises(RuntimeError, match="Unexpected key"):
        given.load_state_dict(rosetta.AnchorLoss(bundle).state_dict())

    assert given.weight == pytest.approx(5)


def test_a_step_that_is_no_number_teaches_a_held_weight_nothing(bundle: rosetta.Bundle):
    anchors = rosetta.AnchorLoss(bundle)
    anchors(_encode)
    before = anchors.weight

    anchors(lambda inputs: _encode(inputs) * float("nan"))

    assert 0 < anchors.weight < 2 * before + 1


@pytest.mark.parametrize("change", ["no anchor", "NaN", "zero covariance"])
def test_a_bundle_that_cannot_anchor_is_refused(tmp_path: Path, change: str):
    values = builders.arrays()
    if change == "no anchor":
        values["/pairs/roles"][:] = 1
    elif change == "NaN":
        values["/pairs/latents"][0, 0] = np.nan
    else:
        values["/space/covariance"] *= 0
    path = builders.write(tmp_path / "b.h5", values)

    with pytest.raises(IncompatibleError, match="see what rosetta validate says of it"):
        rosetta.AnchorLoss(rosetta.Bundle.open(path))
    assert not rosetta.validate(path).valid


def test_what_is_not_what_the_loss_takes_is_named(bundle: rosetta.Bundle):
    with pytest.raises(UsageError, match=r"pass rosetta.Bundle.open\('a.h5'\)"):
        rosetta.AnchorLoss("a.h5")
    with pytest.raises(IncompatibleError, match="gives a tuple, expected a tensor of posterior means"):
        rosetta.AnchorLoss(bundle)(lambda inputs: (_encode(inputs), None))
    with pytest.raises(IncompatibleError, match=r"decoder_error gives shape \(\), expected \(12,\)"):
        rosetta.AnchorLoss(bundle, decoder_weight=1)(_encode, lambda latents, inputs: latents.mean())
