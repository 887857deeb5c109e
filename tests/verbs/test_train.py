"""Training leaves a run folder that says what happened, and every option has an effect."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from rosetta.schemas.run import RunConfig, RunRecord

import rosetta
from rosetta import preprocessing
from rosetta.errors import (
    IncompatibleError,
    ModelError,
    OutputError,
    PreprocessingError,
    RosettaError,
    SourceError,
    UsageError,
)
from rosetta.models.checkpoint import load_run
from tests import builders
from tests.conftest import SETTINGS, Lab

RNG = np.random.default_rng(0)
ITEMS = RNG.random((60, 4, 5), dtype=np.float32)
QUICK = {"latent_dim": 3, "hidden": (8,), "epochs": 2, "batch_size": 16}


def _weights(run: Path) -> str:
    return load_run(run).record.weights_sha256


def test_the_run_folder_says_what_happened(lab: Lab):
    record = RunRecord.model_validate_json((lab.run / "run.json").read_text())
    config = RunConfig.model_validate_json((lab.run / "config.json").read_text())
    rows = list(csv.DictReader((lab.run / "metrics.csv").read_text().splitlines()))

    assert record.objective == "vae"
    assert record.data.n_items == 721
    assert record.data.n_validation == 72
    assert record.final.elbo == pytest.approx(-(record.final.reconstruction + record.final.kl))
    assert record.final.elbo == pytest.approx(float(rows[-1]["validation_elbo"]))
    assert float(rows[-1]["elbo"]) > float(rows[0]["elbo"])
    assert [int(row["epoch"]) for row in rows] == list(range(1, 31))
    assert config.settings.hidden == (64,)
    assert {"rosetta", "python", "torch", "numpy"} <= record.software.keys()


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path: Path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        rosetta.train(ITEMS, tmp_path / name, seed=seed, **QUICK)

    assert _weights(tmp_path / "a") == _weights(tmp_path / "b") != _weights(tmp_path / "c")


@pytest.mark.parametrize(
    "change",
    [
        {"latent_dim": 2},
        {"hidden": (9,)},
        {"epochs": 3},
        {"batch_size": 8},
        {"architecture": "conv"},
        {"activation": "tanh"},
        {"tied": True},
        {"sparse": 0.25},
        {"lr": 3e-3},
        {"lr_schedule": "cosine"},
        {"lr_schedule": "linear"},
        {"lr_warmup": 1.0},
        {"clip": 1e-3},
        {"patience": 1, "epochs": 40, "lr": 0.1},
        {"kl_anneal": 1.0},
        {"precision_mode": "bf16"},
        {"precision": "learned"},
        {"beta": 2.0},
        {"likelihood": "bernoulli"},
        {"precision": 5.0},
        {"preprocess": "standardize"},
        {"validation": 0.3},
        {"seed": 5},
    ],
)
def test_every_setting_changes_what_comes_out(tmp_path: Path, change: dict[str, object]):
    rosetta.train(ITEMS, tmp_path / "a", **QUICK)
    rosetta.train(ITEMS, tmp_path / "b", **{**QUICK, **change})

    assert _weights(tmp_path / "a") != _weights(tmp_path / "b")


@pytest.mark.parametrize(
    "change",
    [
        {"anchor_weight": 3.0},
        {"anchor_tolerance": 3.0},
        {"anchor_pair_weights": "share"},
        {"anchor_decoder_weight": 0.5},
        {"anchor_spread_weight": 0.5},
        {"anchor_elbo_weight": 0.5},
        {"anchor_noise": 0.1},
        {"anchors_per_step": 4},
        {"align": True},
    ],
)
def test_every_anchor_setting_changes_what_comes_out(tmp_path: Path, change: dict[str, object]):
    values = builders.arrays()
    values["/pairs/weights"] = np.arange(1.0, len(values["/pairs/weights"]) + 1)
    values["/pairs/weights"] /= values["/pairs/weights"].sum()
    bundle = builders.write(tmp_path / "b.h5", values, preprocessing=())
    settings = {**QUICK, "epochs": 4}
    rosetta.train(ITEMS, tmp_path / "a", anchors=[bundle], **settings)
    rosetta.train(ITEMS, tmp_path / "b", anchors=[bundle], **{**settings, **change})

    assert _weights(tmp_path / "a") != _weights(tmp_path / "b")


def test_the_papers_scaling_multiplies_a_given_weight_by_anchors_over_batch_size(tmp_path: Path):
    bundle = builders.write(tmp_path / "b.h5", preprocessing=())
    scaled = 3.0 * builders.N_ANCHORS / QUICK["batch_size"]
    rosetta.train(ITEMS, tmp_path / "paper", anchors=bundle, anchor_weight=3.0, anchor_scaling="paper", **QUICK)
    rosetta.train(ITEMS, tmp_path / "mean", anchors=bundle, anchor_weight=scaled, **QUICK)

    assert _weights(tmp_path / "paper") == _weights(tmp_path / "mean")
    assert load_run(tmp_path / "paper").record.final_anchor_weight == pytest.approx(scaled)


def test_a_training_starts_from_another_runs_weights(tmp_path: Path):
    rosetta.train(ITEMS, tmp_path / "a", **QUICK)
    rosetta.train(ITEMS, tmp_path / "b", start_from=tmp_path / "a", **{**QUICK, "lr": 1e-12})

    a, b = load_run(tmp_path / "a"), load_run(tmp_path / "b")
    for mine, theirs in zip(a.model.parameters(), b.model.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach(), theirs.detach(), atol=1e-6)
    assert b.record.started_from == a.record.weights_sha256
    with pytest.raises(IncompatibleError, match=r"hidden sizes: \(9,\) here, \(8,\) in the run"):
        rosetta.train(ITEMS, tmp_path / "c", start_from=tmp_path / "a", **{**QUICK, "hidden": (9,)})


def test_aligning_a_pretrained_model_needs_hardly_any_training(lab: Lab, tmp_path: Path):
    rosetta.train(lab.bob, tmp_path / "bob", **{**SETTINGS, "epochs": 15})
    first = {
        align: rosetta.train(
            lab.bob, tmp_path / f"aligned-{align}", anchors=lab.decoded, start_from=tmp_path / "bob", align=align,
            **{**SETTINGS, "epochs": 1, "lr": 1e-9},
        ).final.anchor_rms
        for align in (False, True)
    }  # fmt: skip

    assert first[True] < 0.8 * first[False]


def test_training_stops_early_and_keeps_the_best_epoch(lab: Lab, tmp_path: Path):
    report = rosetta.train(
        lab.train, tmp_path / "run", latent_dim=4, hidden=(256,), epochs=300, batch_size=32, lr=5e-3, patience=5,
        precision=100.0,
    )  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").read_text().splitlines()))
    elbos = [float(row["validation_elbo"]) for row in rows]

    assert report.epochs == len(rows) == report.best_epoch + 5 < 300
    assert report.final.elbo == pytest.approx(max(elbos)) == elbos[report.best_epoch - 1]


@pytest.mark.parametrize("likelihood", ["poisson", "negative-binomial"])
def test_counts_are_trained_on_and_sent_on(tmp_path: Path, likelihood: str):
    rates = RNG.gamma(2.0, 2.0, size=(3, 12))[RNG.integers(3, size=120)]
    counts = RNG.poisson(rates).astype(np.float32)
    report = rosetta.train(counts, tmp_path / "a", likelihood=likelihood, **{**QUICK, "epochs": 15})
    rosetta.distill(
        tmp_path / "a", counts, tmp_path / "a.h5", license="CC0-1.0", title="A", creators=["A"], pairs=20, checks=10,
        origin="decoded",
    )  # fmt: skip
    anchored = rosetta.train(
        counts, tmp_path / "b", anchors=tmp_path / "a.h5", likelihood=likelihood, anchor_decoder_weight=0.1,
        **{**QUICK, "epochs": 30},
    )  # fmt: skip

    assert report.final.reconstruction > 0
    assert anchored.final.anchor_rms < 0.6
    with pytest.raises(UsageError, match="whole"):
        rosetta.train(counts + 0.5, tmp_path / "c", likelihood=likelihood, **QUICK)
    with pytest.raises(UsageError, match="range from -"):
        rosetta.train(counts - 20, tmp_path / "c", likelihood=likelihood, **QUICK)


def test_replicates_are_the_runs_with_their_seeds_however_they_are_trained(lab: Lab, tmp_path: Path):
    settings = {**SETTINGS, "epochs": 6, "anchors": lab.decoded, "anchors_per_step": 64, "clip": 5.0, "patience": 4}
    sets = {
        mode: rosetta.train(lab.bob, tmp_path / mode, replicates=3, replicate_mode=mode, seed=5, **settings)
        for mode in ("stacked", "sequential", "auto")
    }
    for seed in (5, 6, 7):
        rosetta.train(lab.bob, tmp_path / f"single-{seed}", seed=seed, **settings)

    assert sets["stacked"].runs.mode == "stacked"
    assert sets["sequential"].runs.mode == "sequential"
    assert sets["auto"].runs.step_times is not None
    for seed in (5, 6, 7):
        single = load_run(tmp_path / f"single-{seed}")
        for mode in sets:
            run = load_run(tmp_path / mode / f"seed-{seed}")
            for mine, theirs in zip(single.model.parameters(), run.model.parameters(), strict=True):
                np.testing.assert_allclose(mine.detach(), theirs.detach(), rtol=2e-3, atol=2e-4)
            assert run.record.final.elbo == pytest.approx(single.record.final.elbo, rel=1e-3)
            assert run.config.settings == single.config.settings


def test_a_network_of_ones_own_is_trained_and_loaded_only_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "our_networks.py").write_text(
        "from torch import nn\n"
        "def small(shape, n_dims, *, hidden=(5,)):\n"
        "    layers = nn.Linear(20, hidden[0]), nn.Tanh(), nn.Linear(hidden[0], 2 * n_dims)\n"
        "    encoder = nn.Sequential(nn.Flatten(), *layers)\n"
        "    return encoder, nn.Sequential(nn.Linear(n_dims, 20), nn.Unflatten(1, shape))\n"
    )
    monkeypatch.chdir(tmp_path)
    rosetta.train(ITEMS, "run", architecture="our_networks:small", **QUICK)

    assert rosetta.latents_of("run", ITEMS, allow_code="our_networks:small").shape == (60, 3)
    for loading in (
        lambda: rosetta.latents_of("run", ITEMS),
        lambda: rosetta.compare("run", "run", data=ITEMS, allow_code="os:system"),
    ):
        with pytest.raises(ModelError, match="`allow_code='our_networks:small'`"):
            loading()
    with pytest.raises(UsageError, match="`channels` has no effect on the architecture our_networks:small"):
        rosetta.train(ITEMS, "other", architecture="our_networks:small", channels=(4,), **QUICK)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"patience": 3, "validation": 0.0}, "`patience` has no effect without held-out items"),
        ({"kl_anneal": 3.0}, "`kl_anneal` has no effect beyond the last of `epochs`"),
        ({"channels": (4,)}, "`channels` has no effect on the architecture dense"),
        ({"align": True}, "`align` without `anchors`"),
        ({"anchor_noise": 0.1}, "`anchor_noise` without `anchors`"),
        ({"likelihood": "poisson", "precision": "learned"}, "`precision` has no effect on the poisson likelihood"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(tmp_path: Path, settings: dict[str, object], words: str):
    with pytest.raises(UsageError, match=words):
        rosetta.train(ITEMS, tmp_path / "run", **{**QUICK, **settings})


@pytest.mark.parametrize(("name", "words"), [("a.pdf", "must end in .png"), ("there.png", "exists already")])
def test_a_picture_that_cannot_be_written_is_refused_before_the_training(tmp_path: Path, name: str, words: str):
    (tmp_path / "there.png").write_text("mine")

    with pytest.raises(OutputError, match=words):
        rosetta.train(ITEMS, tmp_path / "run", plot=tmp_path / name, **QUICK)

    assert [p.name for p in tmp_path.iterdir()] == ["there.png"]


def test_the_device_is_used_or_refused(tmp_path: Path):
    import torch

    rosetta.train(ITEMS, tmp_path / "cpu", device="cpu", **QUICK)
    absent = [
        d for d, here in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())) if not here
    ]

    for device in absent:
        with pytest.raises(UsageError, match=f"device '{device}' was asked for, but"):
            rosetta.train(ITEMS, tmp_path / device, device=device, **QUICK)


def test_anchors_bring_the_space_to_bob(lab: Lab, tmp_path: Path):
    report = rosetta.train(lab.bob, tmp_path / "anchored", anchors=[lab.observed], **SETTINGS)
    rosetta.train(lab.bob, tmp_path / "alone", **SETTINGS)

    missed = {
        name: rosetta.compare(lab.run, tmp_path / name, data=lab.held_out)["fvu"].value
        for name in ("anchored", "alone")
    }
    assert report.objective == "r-vae"
    assert report.final.anchor_rms < 0.1
    assert missed["anchored"] < missed["alone"] / 5


def test_a_descendant_inherits_the_space_and_names_its_anchors(lab: Lab, tmp_path: Path):
    rosetta.train(lab.bob, tmp_path / "bob", anchors=lab.observed, **SETTINGS)
    parent, child = load_run(lab.run).record, load_run(tmp_path / "bob").record
    bundle = rosetta.Bundle.open(lab.observed)

    assert child.space_id == parent.space_id == bundle.space_id
    assert (parent.generation, child.generation) == (0, 1)
    assert [a.content_id for a in child.anchors] == [bundle.content_id]
    assert child.anchors[0].n_pairs == 32


def test_two_bundles_of_one_space_anchor_together_and_two_spaces_are_refused(lab: Lab, tmp_path: Path):
    both = rosetta.train(lab.bob, tmp_path / "both", anchors=[lab.observed, lab.decoded], **SETTINGS)
    rosetta.train(lab.train, tmp_path / "other", **SETTINGS, seed=9)
    rosetta.distill(
        tmp_path / "other", lab.train, tmp_path / "other.h5", license="CC0-1.0", title="Other", creators=["Eve"]
    )

    assert [a.n_pairs for a in both.anchors] == [32, 256]
    with pytest.raises(IncompatibleError, match="latent space: space-.* in the first, space-.* in number 2"):
        rosetta.train(lab.bob, tmp_path / "no", anchors=[lab.observed, tmp_path / "other.h5"], **SETTINGS)


def test_bytes_are_scaled_by_default_and_left_alone_on_request(tmp_path: Path):
    pixels = RNG.integers(0, 256, size=(40, 6)).astype(np.uint8)
    rosetta.train(pixels, tmp_path / "scaled", **QUICK)
    rosetta.train(pixels, tmp_path / "raw", preprocess="none", precision=1e-3, **QUICK)

    assert [s.name for s in load_run(tmp_path / "scaled").config.preprocessing] == ["scale"]
    assert load_run(tmp_path / "scaled").config.value_range == (0, 1)
    assert load_run(tmp_path / "raw").config.preprocessing == ()


def test_the_bundles_preprocessing_is_repeated_on_the_receivers_data(tmp_path: Path):
    alice, bob = RNG.normal(5, 2, size=(120, 6)), RNG.normal(6, 3, size=(120, 6))
    rosetta.train(alice, tmp_path / "alice", preprocess="standardize", **QUICK)
    rosetta.distill(
        tmp_path / "alice",
        alice,
        tmp_path / "a.h5",
        license="CC0-1.0",
        title="A",
        creators=["Alice"],
        pairs=20,
        checks=10,
    )
    rosetta.train(bob, tmp_path / "bob", anchors=[tmp_path / "a.h5"], **QUICK)

    ours, theirs = load_run(tmp_path / "bob").step_arrays, load_run(tmp_path / "alice").step_arrays
    assert (ours["/preprocessing/0.mean"] == theirs["/preprocessing/0.mean"]).all()
    fitted, _ = preprocessing.fit("standardize", alice)
    assert ours["/preprocessing/0.mean"].tolist() == fitted[0][1].arrays["mean"].tolist()


@pytest.mark.parametrize(
    ("data", "settings", "words"),
    [
        (RNG.random((60, 20)), {}, r"an item of the data has shape \(20,\) .*, the bundle has \(4, 5\)"),
        (ITEMS, {"latent_dim": 2}, "`latent_dim` is 2, but the bundle's latent space has 3"),
        (ITEMS, {"latent_dim": 5, "align": True}, "`latent_dim=5` is more than its 3"),
        (ITEMS * 255, {"preprocess": "standardize"}, r"says 'standardize', the bundle declares 'scale\(0, 255\)'"),
        (ITEMS * 255 * 40, {}, "ranges from .* but inputs of the bundle range from 0 to 1"),
    ],
)
def test_data_that_does_not_fit_a_bundle_is_refused_with_what_differs(
    tmp_path: Path, data: np.ndarray, settings: dict[str, object], words: str
):
    bundle = builders.write(tmp_path / "b.h5")

    with pytest.raises(IncompatibleError, match=words):
        rosetta.train(data, tmp_path / "run", anchors=[bundle], **{**QUICK, **settings})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["scale(a, b)", "scale()", "scale 0 255", "|"])
def test_steps_that_cannot_be_read_are_refused_beside_a_bundle_too(tmp_path: Path, text: str):
    bundle = builders.write(tmp_path / "b.h5")

    with pytest.raises(PreprocessingError, match="step"):
        rosetta.train(ITEMS * 255, tmp_path / "run", anchors=bundle, preprocess=text, **QUICK)
    rosetta.train(ITEMS * 255, tmp_path / "same", anchors=bundle, preprocess=" scale(0.0,255) ", **QUICK)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (None, "names its 4 features"),
        (["a", "b", "c", "x"], "1 of 4 features of the bundle are missing from the data: d"),
    ],
)
def test_feature_names_that_do_not_fit_are_refused(tmp_path: Path, names: list[str] | None, words: str):
    data = RNG.random((120, 4))
    rosetta.train(data, tmp_path / "alice", features=["a", "b", "c", "d"], **QUICK)
    rosetta.distill(
        tmp_path / "alice", data, tmp_path / "a.h5", license="CC0-1.0", title="A", creators=["A"],
        features=["a", "b", "c", "d"], pairs=20, checks=10,
    )  # fmt: skip
    rosetta.train(data, tmp_path / "same", anchors=[tmp_path / "a.h5"], features=["a", "b", "c", "d"], **QUICK)

    with pytest.raises(IncompatibleError, match=words):
        rosetta.train(data, tmp_path / "bob", anchors=[tmp_path / "a.h5"], features=names, **QUICK)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epoch": 3}, "no setting called 'epoch'; did you mean 'epochs'"),
        ({"epochs": 0}, "epochs is 0: input should be greater than or equal to 1"),
        ({"lr": -1.0, "hidden": ()}, "hidden is"),
        ({"likelihood": "cauchy"}, "likelihood is 'cauchy': input should be 'gaussian', 'bernoulli'"),
        ({"anchor_weight": "much"}, "anchor_weight is 'much'"),
        ({"validation": 1.0}, "validation is 1.0"),
        ({"architecture": "dence"}, "Did you mean 'dense'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, settings: dict[str, object], words: str):
    with pytest.raises(UsageError, match=words):
        rosetta.train(ITEMS, tmp_path / "run", **{**QUICK, **settings})


def test_a_bernoulli_needs_inputs_between_zero_and_one(tmp_path: Path):
    with pytest.raises(UsageError, match=r"needs inputs from 0 to 1, but these range from .*`preprocess='scale\("):
        rosetta.train(ITEMS * 7, tmp_path / "run", likelihood="bernoulli", **QUICK)


def test_numbers_too_large_for_single_precision_are_refused(tmp_path: Path):
    data = np.ones((10, 3))
    data[4] = 1e200

    with pytest.raises(SourceError, match="as 32-bit floats, row 4 holds NaN or infinity"):
        rosetta.train(data, tmp_path / "run", **QUICK)


def test_an_output_that_exists_is_replaced_on_request_only_and_only_if_it_is_a_run(lab: Lab, tmp_path: Path):
    rosetta.train(ITEMS, tmp_path / "run", **QUICK)
    with pytest.raises(OutputError, match="exists already: .*`force`"):
        rosetta.train(ITEMS, tmp_path / "run", **QUICK)
    before = _weights(tmp_path / "run")
    rosetta.train(ITEMS, tmp_path / "run", force=True, seed=1, **QUICK)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years")

    with pytest.raises(OutputError, match="not a run folder, so `force` does not replace it"):
        rosetta.train(ITEMS, tmp_path / "mine", force=True, **QUICK)
    assert _weights(tmp_path / "run") != before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "run"]


def test_a_failed_replacement_keeps_what_was_there(tmp_path: Path):
    rosetta.train(ITEMS, tmp_path / "run", **QUICK)
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}

    with pytest.raises(RosettaError):
        rosetta.train(ITEMS * 1e18, tmp_path / "run", force=True, **QUICK)

    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_an_invalid_bundle_is_refused_with_its_rules(tmp_path: Path):
    content = bytearray(builders.write(tmp_path / "b.h5").read_bytes())
    content[-1] ^= 1
    (tmp_path / "b.h5").write_bytes(content)

    with pytest.raises(IncompatibleError, match="is not a valid bundle:\n  - RZ-V111 at"):
        rosetta.train(ITEMS * 255, tmp_path / "run", anchors=[tmp_path / "b.h5"], **QUICK)


def test_the_report_is_the_record(tmp_path: Path):
    report = rosetta.train(ITEMS, tmp_path / "run", **QUICK)
    record = json.loads((tmp_path / "run" / "run.json").read_text())

    assert report.final.model_dump() == record["final"]
    assert (report.n_items, report.epochs, report.rows_per_s) == (60, 2, record["rows_per_s"])


def test_dimensions_beyond_the_bundles_are_free_and_the_space_is_shared_all_the_same(lab: Lab, tmp_path: Path):
    report = rosetta.train(lab.bob, tmp_path / "bob", anchors=lab.decoded, **{**SETTINGS, "latent_dim": 7})
    checkpoint = load_run(tmp_path / "bob")
    missed = rosetta.compare(lab.run, tmp_path / "bob", data=lab.held_out)["fvu"].value

    assert (checkpoint.config.latent_dim, checkpoint.config.space_dims, checkpoint.space_dims) == (7, 4, 4)
    assert report.final.anchor_rms < 0.1
    assert missed < 0.3
    assert rosetta.check(tmp_path / "bob", lab.decoded).verdict == "aligned"
    assert load_run(lab.run).config.space_dims is None
    assert load_run(lab.run).space_dims == 4


def test_every_anchor_term_takes_free_dimensions_alone_and_side_by_side(tmp_path: Path):
    bundle = builders.write(tmp_path / "b.h5", preprocessing=())
    settings = {
        **QUICK, "latent_dim": 5, "anchors": bundle, "anchor_decoder_weight": 0.5, "anchor_spread_weight": 0.5,
        "anchor_elbo_weight": 0.5, "anchors_per_step": 5,
    }  # fmt: skip
    runs = {
        mode: rosetta.train(ITEMS, tmp_path / mode, replicates=2, replicate_mode=mode, **settings).runs.runs
        for mode in ("stacked", "sequential")
    }

    for stacked, sequential in zip(runs["stacked"], runs["sequential"], strict=True):
        assert stacked.final.model_dump() == pytest.approx(sequential.final.model_dump(), rel=1e-3)


def test_a_run_whose_space_is_not_within_its_model_is_refused(tmp_path: Path):
    rosetta.train(ITEMS, tmp_path / "run", **QUICK)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    (tmp_path / "run" / "config.json").write_text(json.dumps(config | {"space_dims": 3}))

    with pytest.raises(ModelError, match="space_dims is 3, but of 3 latent dimensions fewer can be the space's"):
        load_run(tmp_path / "run")


def test_the_final_figures_speak_of_all_anchors_and_of_the_check_pairs(lab: Lab, tmp_path: Path):
    import torch

    final = rosetta.train(lab.bob, tmp_path / "bob", anchors=lab.observed, **{**SETTINGS, "epochs": 5}).final
    bundle, model = rosetta.Bundle.open(lab.observed), load_run(tmp_path / "bob").model.eval()

    def rms(inputs: np.ndarray, stored: np.ndarray) -> float:
        found = rosetta.latents_of(tmp_path / "bob", inputs)
        errors = [np.sum((z - own) ** 2) for z, own in zip(stored, found, strict=True)]
        return float(np.mean(errors)) ** 0.5 / bundle.latents_total_sd

    misfits = []
    with torch.no_grad():
        inputs = torch.from_numpy(np.array(bundle.anchor_inputs))
        mean, log_variance = model.encode(inputs)
        for _ in range(300):  # of many samples, where training takes one
            output = model.decode(torch.normal(mean, (log_variance / 2).exp()))
            log_density = torch.distributions.Normal(output, 10**-0.5).log_prob(inputs)
            misfits.append(-log_density.flatten(1).sum(1).mean())
    assert final.anchor_rms == pytest.approx(rms(bundle.anchor_inputs, bundle.anchor_latents), rel=1e-4)
    assert final.check_rms == pytest.approx(rms(bundle.check_inputs, bundle.check_latents), rel=1e-4)
    assert final.anchor_reconstruction == pytest.approx(float(np.mean(misfits)), abs=5 * float(np.std(misfits)))
    alone = load_run(lab.run).record.final
    assert (alone.anchor_rms, alone.check_rms, alone.anchor_reconstruction) == (None, None, None)


def test_decoding_the_anchors_teaches_the_senders_kind_of_item(lab: Lab, tmp_path: Path):
    without, replayed = (
        rosetta.train(
            lab.bob, tmp_path / f"bob-{weight}", anchors=lab.decoded, anchor_decoder_weight=weight, **SETTINGS
        ).final.anchor_reconstruction
        for weight in (0.0, 0.5)
    )

    assert replayed < without - 1


def test_the_anchors_are_made_tensors_once_for_any_number_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from rosetta.objectives.pairs import AnchorPool
    from rosetta.runs import job

    made = []
    monkeypatch.setattr(job, "AnchorPool", lambda *args, **options: made.append(1) or AnchorPool(*args, **options))
    bundle = builders.write(tmp_path / "b.h5", preprocessing=())

    rosetta.train(ITEMS, tmp_path / "runs", anchors=bundle, replicates=3, replicate_mode="sequential", **QUICK)

    assert made == [1]
