"""A distilled bundle holds what it says, and nothing of the sender that it should not."""

from __future__ import annotations

import getpass
import re
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rosetta
from rosetta.credits import parse_creator
from rosetta.disclosure import compact
from rosetta.disclosure.levels import coarse_weights
from rosetta.errors import IncompatibleError, OutputError, PolicyError, SelectionError, UsageError
from rosetta.models.checkpoint import load_run
from rosetta.models.vae import encode_array
from rosetta.rounding import coarse_count, coarse_moments, to_digits
from rosetta.sources import read_items
from tests import builders
from tests.conftest import Lab

SIGNED = {"license": "CC-BY-4.0", "title": "Digits", "creators": ["Alice"]}


def _at(level: str, lab: Lab, folder: Path, **options: object) -> rosetta.Bundle:
    """A bundle of a level of privacy."""
    rosetta.distill(lab.run, lab.train, folder / f"{level}.h5", privacy=level, **SIGNED, **options)
    return rosetta.Bundle.open(folder / f"{level}.h5")


def _rows(array: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in array}


@pytest.mark.parametrize("name", ["observed", "decoded"])
def test_the_latents_are_the_encoders_means_of_exactly_the_stored_inputs(lab: Lab, name: str):
    bundle = rosetta.Bundle.open(getattr(lab, name))

    means, sds = encode_array(load_run(lab.run).model, bundle.inputs)

    assert bundle.latents == pytest.approx(means, abs=1e-6)
    assert bundle.latents_sd == pytest.approx(sds, abs=1e-6)


def test_observed_points_are_items_and_decoded_ones_are_not(lab: Lab):
    items = _rows(read_items(lab.train))

    assert _rows(rosetta.Bundle.open(lab.observed).inputs) <= items
    assert not _rows(rosetta.Bundle.open(lab.decoded).inputs) & items


@pytest.mark.parametrize("name", ["observed", "decoded"])
def test_no_check_pair_is_an_anchor(lab: Lab, name: str):
    bundle = rosetta.Bundle.open(getattr(lab, name))

    assert len(bundle.check_inputs) == 32
    assert len(_rows(bundle.inputs)) == len(bundle.inputs)


def test_copies_of_an_item_are_never_anchor_and_check(lab: Lab, tmp_path: Path):
    items = np.repeat(read_items(lab.train)[:30], 5, axis=0)

    rosetta.distill(lab.run, items, tmp_path / "b.h5", origin="observed", pairs=20, checks=10, **SIGNED)

    assert len(_rows(rosetta.Bundle.open(tmp_path / "b.h5").inputs)) == 30
    with pytest.raises(SelectionError, match="check pairs, made after the anchors.* 11 pairs .* but there are 10"):
        rosetta.distill(lab.run, items, tmp_path / "c.h5", origin="observed", pairs=20, checks=11, **SIGNED)
    assert not (tmp_path / "c.h5").exists()


def test_open_moments_and_weights_are_those_of_all_the_data(lab: Lab, tmp_path: Path):
    bundle = _at("open", lab, tmp_path, origin="observed", pairs=32)
    latents = rosetta.latents_of(lab.run, lab.train).astype(np.float64)

    nearest = ((latents[:, None] - bundle.latents[None]) ** 2).sum(axis=2).argmin(axis=1)

    assert bundle.space_mean == pytest.approx(latents.mean(axis=0))
    assert bundle.space_covariance == pytest.approx(np.cov(latents, rowvar=False, ddof=0))
    assert bundle.weights == pytest.approx(np.bincount(nearest, minlength=len(bundle.latents)) / len(latents))


def test_standard_moments_and_weights_are_those_of_all_the_data_rounded(lab: Lab):
    bundle = rosetta.Bundle.open(lab.observed)
    latents = rosetta.latents_of(lab.run, lab.train).astype(np.float64)
    counts = np.bincount(
        ((latents[:, None] - bundle.latents[None]) ** 2).sum(axis=2).argmin(axis=1), minlength=len(bundle.latents)
    )

    mean, covariance = coarse_moments(latents.mean(axis=0), np.cov(latents, rowvar=False, ddof=0), len(latents))

    assert bundle.space_mean.tolist() == mean.tolist()
    assert bundle.space_covariance == pytest.approx(covariance, abs=1e-9)
    assert bundle.weights.tolist() == coarse_weights(counts, "standard").tolist()
    assert rosetta.Bundle.open(lab.decoded).weights is None


def test_decoded_points_follow_the_spaces_moments_and_stay_in_range(lab: Lab):
    bundle = rosetta.Bundle.open(lab.decoded)

    low, high = bundle.manifest.content.input.value_range
    distance = np.abs(bundle.anchor_latents.mean(axis=0) - bundle.space_mean)

    assert (distance < 0.5 * np.sqrt(np.diag(bundle.space_covariance))).all()
    assert bundle.inputs.min() >= low
    assert bundle.inputs.max() <= high
    assert bundle.manifest.content.origins[0].origin == "decoded"


def test_neither_path_nor_user_nor_host_is_in_the_file(lab: Lab):
    for path in (lab.observed, lab.decoded):
        content, manifest = path.read_bytes(), rosetta.Bundle.open(path).manifest_bytes.decode()
        for private in (str(lab.folder), "digits.npz", str(Path.home())):
            assert private.encode() not in content
        for private in (socket.gethostname(), getpass.getuser()):  # so short that they come up among numbers
            assert not re.search(rf"\b{re.escape(private)}\b", manifest)


def test_the_same_seed_makes_the_same_pairs_whoever_signs_them(lab: Lab, tmp_path: Path):
    for name, seed, creator in (("a", 1, "Alice"), ("b", 1, "Bob"), ("c", 2, "Alice")):
        rosetta.distill(
            lab.run,
            lab.train,
            tmp_path / f"{name}.h5",
            seed=seed,
            reproducible=True,
            **{**SIGNED, "creators": [creator]},
        )

    a, b, c = (rosetta.Bundle.open(tmp_path / f"{name}.h5") for name in "abc")

    assert a.content_id == b.content_id != c.content_id
    assert a.bundle_id != b.bundle_id


def test_draws_are_secret_unless_they_are_to_be_reproducible(lab: Lab, tmp_path: Path):
    notes: list[str] = []
    for name, more in (("a", {}), ("b", {}), ("c", {"reproducible": True})):
        rosetta.distill(lab.run, lab.train, tmp_path / f"{name}.h5", seed=1, on_note=notes.append, **more, **SIGNED)

    a, b, _ = (rosetta.Bundle.open(tmp_path / f"{name}.h5") for name in "abc")

    assert not _rows(a.inputs) & _rows(b.inputs)
    assert sum(note.startswith("`reproducible`: whoever guesses the seed") for note in notes) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"origin": "mixed"}, "`origin='mixed'` is not allowed under `privacy='standard'`: a mixture of a few items"),
        ({"draw": "jitter"}, "`draw='jitter'` is not allowed under `privacy='standard'`"),
        ({"origin": "observed", "privacy": "strict"}, "which `privacy='strict'` does not let out"),
        ({"observed_checks": 4, "privacy": "strict"}, "which `privacy='strict'` does not let out"),
        ({"origin": "averaged", "pairs": 90, "checks": 0}, "90 averaged points of 10 items each need 900 items"),
    ],
)
def test_what_tells_of_single_items_is_refused_unless_they_may_be_known(
    lab: Lab, tmp_path: Path, options: dict[str, Any], words: str
):
    with pytest.raises((UsageError, SelectionError), match=words):
        rosetta.distill(lab.run, lab.train, tmp_path / "b.h5", **SIGNED, **options)
    assert not list(tmp_path.iterdir())
    rosetta.distill(lab.run, lab.train, tmp_path / "b.h5", **SIGNED, **options | {"privacy": "open"})
    assert (tmp_path / "b.h5").exists()


def test_two_bundles_of_one_run_are_of_one_space(lab: Lab):
    assert rosetta.Bundle.open(lab.observed).space_id == rosetta.Bundle.open(lab.decoded).space_id


def test_a_descendants_bundle_names_its_parent(lab: Lab, tmp_path: Path):
    rosetta.train(lab.bob, tmp_path / "bob", anchors=[lab.decoded], latent_dim=4, hidden=(32,), epochs=5)
    rosetta.distill(tmp_path / "bob", lab.bob, tmp_path / "bob.h5", **SIGNED)

    provenance = rosetta.Bundle.open(tmp_path / "bob.h5").manifest.provenance

    assert provenance.generation == 1
    assert [(p.content_id, p.relation) for p in provenance.parents] == [
        (rosetta.Bundle.open(lab.decoded).content_id, "anchored_to")
    ]
    assert rosetta.validate(tmp_path / "bob.h5").valid


def test_every_word_of_the_sender_is_in_the_manifest(lab: Lab, tmp_path: Path):
    rosetta.distill(
        lab.run, lab.train, tmp_path / "b.h5", pairs=10, checks=8, origin="observed", select="random",
        license="cc-by-4.0 or mit", title="T", creators=["A; orcid=0000-0002-1825-0097; affiliation=L", "B"],
        terms="be kind", description="D", citation="C", data_description="S", space_name="N",
        modality="image", units="ink", axes=["row", "column"],
    )  # fmt: skip

    manifest = rosetta.Bundle.open(tmp_path / "b.h5").manifest

    assert manifest.provenance.license == "CC-BY-4.0 OR MIT"
    assert [c.name for c in manifest.provenance.creators] == ["A", "B"]
    assert manifest.provenance.creators[0].affiliation == "L"
    assert (manifest.provenance.terms_of_use, manifest.provenance.description) == ("be kind", "D")
    assert (manifest.provenance.citation, manifest.provenance.data.description) == ("C", "S")
    assert (manifest.content.space.name, manifest.content.input.modality) == ("N", "image")
    assert (manifest.content.input.units, manifest.content.input.axis_names) == ("ink", ("row", "column"))
    assert manifest.provenance.selection.method == "random"
    assert manifest.provenance.data.n_items == 720  # of 721


def test_what_the_sender_should_know_is_noted(lab: Lab, tmp_path: Path):
    notes: list[str] = []

    rosetta.distill(
        lab.run,
        lab.train,
        tmp_path / "b.h5",
        origin="observed",
        description="made in /home/alice/digits",
        on_note=notes.append,
        **SIGNED,
    )

    assert any(note.startswith("RZ-W206: holds a path, '/home/alice/digits'") for note in notes)
    assert any(note.startswith("RZ-W209: 96 inputs are items of the sender's data") for note in notes)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"origin": "observed", "pairs": 10_000}, SelectionError, "10000 pairs were asked for, but there are"),
        ({"license": "free"}, UsageError, "'free' is not an SPDX licence expression"),
        ({"creators": []}, UsageError, "creators is ..: tuple should have at least 1 item"),
        ({"title": ""}, UsageError, "title is '': string should have at least 1 character"),
        ({"titel": "T"}, UsageError, "no setting called 'titel'; did you mean 'title'"),
        ({"creators": ["A; orcid=12"]}, UsageError, "cannot read the creator"),
        ({"pairs": 0}, UsageError, "pairs is 0"),
        ({"origin": "decodd"}, UsageError, "Did you mean 'decoded'"),
        ({"origin": "decoded=0"}, UsageError, "write NAME, or NAME=N with N from 1 to 65,536"),
        ({"origin": ["decoded=9", "decoded"]}, UsageError, "`origin='decoded'` stands twice"),
        ({"origin": ["decoded=40000", "mixed=40000"]}, UsageError, "80,000 pairs were asked for; a bundle has 65,536"),
        ({"origin": "decoded=9", "pairs": 30}, UsageError, "`pairs=30` has no effect"),
        ({"origin": "decoded", "select": "kmeans"}, UsageError, "chooses among items, and there are none with"),
        ({"origin": "decoded", "members": 4}, UsageError, "counts the items behind an averaged point"),
        ({"origin": "averaged", "mix": 4}, UsageError, "counts the items behind a mixed point"),
        ({"origin": "mixed", "draw": "jitter"}, UsageError, "draws the latents of decoded points"),
        ({"origin": "mixed", "residuals": False}, UsageError, "`residuals` is for decoded points"),
        ({"origin": "mixed", "reencoding_limit": 2.0}, UsageError, "is for decoded points"),
        (
            {"origin": "averaged", "members": 800},
            SelectionError,
            "is to have 800 members, but there are 481 items. .* divided",
        ),
        ({"origin": "public"}, UsageError, "pass them as `points_from`"),
        ({"points_from": np.zeros((9, 8, 8))}, UsageError, "`points_from` is for `origin='public'` only"),
        ({"origin": "public", "points_from": np.zeros((9, 7))}, IncompatibleError, r"`points_from`: the data does not"),
        ({"held_out": np.zeros((9, 7))}, IncompatibleError, r"`held_out`: the data does not fit"),
        ({"origin": "observed", "store": "uint8"}, UsageError, "would round observed points"),
        ({"dp_delta": 1e-5}, UsageError, "has no effect without `dp_epsilon`"),
        ({"origin": "moments", "dp_epsilon": 1.0}, UsageError, "needs `dp_delta` too"),
        ({"origin": "decoded", "dp_epsilon": 1.0, "dp_delta": 1e-5}, UsageError, "decoded points cannot have it"),
        ({"origin": "observed", "select": "kmean"}, UsageError, "Did you mean 'kmeans'"),
        ({"axes": ["row"]}, UsageError, "`axes` names 1 axes, but an input of shape"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    lab: Lab, tmp_path: Path, change: dict[str, object], error: type[Exception], words: str
):
    with pytest.raises(error, match=words):
        rosetta.distill(lab.run, lab.train, tmp_path / "b.h5", **{**SIGNED, **change})
    assert list(tmp_path.iterdir()) == []


def test_data_of_another_shape_is_refused(lab: Lab, tmp_path: Path):
    with pytest.raises(IncompatibleError, match=r"has shape \(9,\), the run has \(8, 8\)"):
        rosetta.distill(lab.run, np.random.default_rng(0).random((50, 9)), tmp_path / "b.h5", **SIGNED)


def test_outputs_are_checked_before_any_work(lab: Lab, tmp_path: Path):
    for output, words in ((tmp_path / "b.hdf", "must end in .h5"), (tmp_path / "no" / "b.h5", "does not exist")):
        with pytest.raises(OutputError, match=words):
            rosetta.distill(tmp_path / "no run", lab.train, output, **SIGNED)


def test_a_creator_is_a_name_with_particulars():
    creator = parse_creator("Ada Lovelace; affiliation=Analytical Engines; orcid=0000-0002-1825-0097")

    assert (creator.name, creator.affiliation, creator.orcid) == (
        "Ada Lovelace", "Analytical Engines", "0000-0002-1825-0097",
    )  # fmt: skip


def test_the_signature_of_a_bundle_that_was_replaced_is_pointed_out(lab: Lab, tmp_path: Path):
    words = {"license": "CC0-1.0", "title": "Digits", "creators": ["Alice"], "pairs": 8, "checks": 8}
    path, notes = tmp_path / "b.h5", []
    rosetta.distill(lab.run, lab.train, path, **words)
    builders.sign(path)

    rosetta.distill(lab.run, lab.train, path, **words, seed=1, force=True, on_note=notes.append)

    assert any("b.h5.sig.json is of the bundle that was replaced" in note for note in notes)
    assert {f.rule for f in rosetta.validate(path).findings if f.severity == "error"} == {"RZ-V129"}


EVERY = ["decoded=40", "averaged=12", "mixed=24", "moments=8", "public=6", "observed=10"]


@pytest.fixture(scope="module")
def grey(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A model of digits in eight bits, and their items."""
    items = np.rint(read_items(lab.train) * 255).astype(np.uint8)
    run = tmp_path_factory.mktemp("grey") / "run"
    rosetta.train(items, run, latent_dim=4, hidden=(64,), epochs=15)
    return run, items


def test_a_bundle_takes_points_of_every_origin_at_once(grey: tuple[Path, np.ndarray], lab: Lab, tmp_path: Path):
    run, items = grey
    public = np.rint(read_items(lab.bob)[:40] * 255).astype(np.uint8)

    report = rosetta.distill(
        run, items, tmp_path / "b.h5", origin=EVERY, points_from=public, checks=20, observed_checks=4, privacy="open",
        **SIGNED,
    )  # fmt: skip

    bundle = rosetta.Bundle.open(tmp_path / "b.h5")
    stretches = [(o.origin, o.n_pairs) for o in bundle.manifest.content.origins]
    assert stretches == [
        ("decoded", 40), ("averaged", 12), ("mixed", 24), ("moments", 8), ("public", 6), ("observed", 10),
        ("decoded", 10), ("averaged", 2), ("mixed", 4), ("moments", 1), ("public", 1), ("observed", 6),
    ]  # fmt: skip
    assert (report.n_anchors, report.n_checks) == (100, 24)
    assert len(_rows(bundle.inputs)) == 124
    assert rosetta.validate(tmp_path / "b.h5", model=run, data=items).valid
    told = bundle.manifest.provenance.selection.settings["origins"]
    assert told["averaged"]["members"] >= 10
    assert told["mixed"]["members"] == 3
    assert told["decoded"]["draw"] == "moments"


def test_eight_bit_items_make_a_bundle_in_eight_bits_with_the_latents_of_exactly_those(
    grey: tuple[Path, np.ndarray], tmp_path: Path
):
    run, items = grey
    for store in ("auto", "float32"):
        rosetta.distill(run, items, tmp_path / f"{store}.h5", origin="decoded", pairs=500, store=store, **SIGNED)

    small, large = (rosetta.Bundle.open(tmp_path / f"{store}.h5") for store in ("auto", "float32"))

    assert small.arrays["/pairs/inputs"].dtype == np.uint8
    assert small.manifest.content.input.stored_range == (0.0, 1.0)
    assert small.inputs.dtype == large.arrays["/pairs/inputs"].dtype == np.float32
    means, _ = encode_array(load_run(run).model, small.inputs)
    assert small.latents == pytest.approx(means, abs=1e-6)
    assert (small.inputs != large.inputs).any()
    sizes = [(tmp_path / f"{store}.h5").stat().st_size for store in ("auto", "float32")]
    assert sizes[1] > 2 * sizes[0]
    observed = rosetta.distill(run, items, tmp_path / "o.h5", pairs=20, origin="observed", **SIGNED)
    assert observed.audit.origins[0].n_copies == 52  # rounding changed none of them
    assert rosetta.validate(tmp_path / "o.h5", model=run, data=items).valid


def test_points_that_are_not_items_can_be_rounded_to_eight_bits(lab: Lab, tmp_path: Path):
    rosetta.distill(lab.run, lab.train, tmp_path / "b.h5", origin="moments", pairs=50, store="uint8", **SIGNED)

    bundle = rosetta.Bundle.open(tmp_path / "b.h5")

    assert bundle.arrays["/pairs/inputs"].dtype == np.uint8
    assert rosetta.validate(tmp_path / "b.h5", model=lab.run, data=lab.train).valid


def test_the_audit_in_the_manifest_is_of_all_points_and_tells_no_rows(lab: Lab, tmp_path: Path):
    report = rosetta.distill(
        lab.run, lab.train, tmp_path / "b.h5", origin=["observed=20", "decoded=100"], held_out=lab.held_out, **SIGNED
    )

    told = rosetta.Bundle.open(tmp_path / "b.h5").manifest.provenance.disclosure_audit
    assert told["audit"]["origins"] == [
        {"origin": each.origin, "verdict": each.verdict} for each in report.audit.origins
    ]
    worst = compact(report.audit).attacks
    assert [each["attack"] for each in told["audit"]["attacks"]] == [each.attack for each in worst]
    assert [each["auc"] for each in told["audit"]["attacks"]] == [to_digits(each.auc) for each in worst]
    found = {each.origin: each for each in report.audit.origins}
    assert found["observed"].verdict == "holds items"
    assert found["observed"].n_copies == found["observed"].n_points
    assert found["decoded"].n_copies == 0
    tried = {each.attack for each in report.audit.attacks}
    assert {"nearest point", "nearest latent", "extracted model", "the sender's own model"} <= tried
    assert len(str(told)) < 6000


def _policy(folder: Path, text: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("clause", "options", "words"),
    [
        ('origins = ["decoded", "averaged"]', {"origin": "moments"}, "origins"),
        ("min_members = 5", {"origin": "mixed", "privacy": "open"}, "min_members = 5"),
        ("min_nearest_ratio = 0.5", {"origin": "observed"}, "min_nearest_ratio = 0.5"),
        ("max_membership_advantage = 0.5", {"origin": "decoded"}, "held_out"),
        ("max_epsilon = 2.0", {"origin": "moments"}, "max_epsilon = 2"),
        ("require_terms = true", {"origin": "decoded"}, "require_terms"),
        ('licenses = ["CC0-1.0"]', {"origin": "decoded"}, "licenses"),
    ],
)
def test_what_a_policy_forbids_is_not_written(
    lab: Lab, tmp_path: Path, clause: str, options: dict[str, object], words: str
):
    policy = _policy(tmp_path, clause)

    with pytest.raises(PolicyError, match=words):
        rosetta.distill(lab.run, lab.train, tmp_path / "b.h5", policy=policy, **SIGNED, **options)
    assert list(tmp_path.iterdir()) == [policy]


def test_a_policy_that_is_kept_leaves_its_digest_and_its_excluded_rows_leave_nothing(lab: Lab, tmp_path: Path):
    items = read_items(lab.train)
    rows = list(range(0, 700))
    texts = [f'origins = ["observed"]\nexcluded_rows = {chosen}\n' for chosen in (rows, rows[:5])]
    for name, text in zip("ab", texts, strict=True):
        run, policy = tmp_path / name, _policy(tmp_path, text)
        rosetta.train(lab.train, run, policy=policy, epochs=1, latent_dim=2, hidden=(8,))
        rosetta.distill(
            run, lab.train, tmp_path / f"{name}.h5", policy=policy, origin="observed", pairs=10, checks=8, **SIGNED,
        )  # fmt: skip

    first, second = (rosetta.Bundle.open(tmp_path / f"{name}.h5") for name in "ab")

    assert _rows(first.inputs) <= _rows(items[700:])
    assert first.manifest.provenance.data.n_items == coarse_count(len(items) - 700) == 20
    told = [b.manifest.provenance.disclosure_audit["policy"] for b in (first, second)]
    assert [each["n_excluded_rows"] for each in told] == [700, 5]
    assert told[0]["sha256"] == told[1]["sha256"]  # nobody finds out by trying which rows they were


@pytest.mark.parametrize("origin", ["moments", "averaged"])
def test_private_points_come_with_their_account_and_without_what_would_break_it(lab: Lab, tmp_path: Path, origin: str):
    report = rosetta.distill(
        lab.run, lab.train, tmp_path / "b.h5", origin=origin, pairs=5, checks=8, dp_epsilon=50.0, dp_delta=1e-4,
        **({"members": 2} if origin == "averaged" else {}), **SIGNED,
    )  # fmt: skip

    bundle = rosetta.Bundle.open(tmp_path / "b.h5")
    told = bundle.manifest.provenance.disclosure_audit

    assert (report.privacy[0].epsilon, report.privacy[0].delta) == (50.0, 1e-4)
    assert set(told) == {"privacy"}
    assert told["privacy"][0]["epsilon"] == 50.0
    assert "trained" in told["privacy"][0]["statement"]
    assert set(bundle.arrays) == {"/pairs/inputs", "/pairs/latents", "/pairs/latents_sd", "/pairs/roles"}
    assert bundle.manifest.provenance.selection.coverage is report.coverage is None
    assert bundle.manifest.provenance.model.held_out_elbo is None
    assert rosetta.validate(tmp_path / "b.h5", model=lab.run).valid
    rosetta.train(lab.bob, tmp_path / "bob", anchors=[tmp_path / "b.h5"], hidden=(16,), epochs=1)


def test_a_budget_is_divided_among_origins(lab: Lab, tmp_path: Path):
    report = rosetta.distill(
        lab.run, lab.train, tmp_path / "b.h5", origin=["moments=10", "averaged=6"], members=2, checks=8,
        dp_epsilon=80.0, dp_delta=1e-4, **SIGNED,
    )  # fmt: skip

    assert [(each.origin, each.epsilon, each.delta) for each in report.privacy] == [
        ("moments", 40.0, 5e-5), ("averaged", 40.0, 5e-5),
    ]  # fmt: skip


def test_a_budget_that_leaves_too_few_crowds_is_refused(lab: Lab, tmp_path: Path):
    with pytest.raises(SelectionError, match="have surely at least 100 items"):
        rosetta.distill(
            lab.run, lab.train, tmp_path / "b.h5", origin="averaged", pairs=12, members=100, dp_epsilon=1.0,
            dp_delta=1e-4, **SIGNED,
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_no_item_is_behind_an_averaged_anchor_and_an_averaged_check(lab: Lab, tmp_path: Path):
    items = np.zeros((60, 8, 8), dtype=np.float32)
    items[np.arange(60), np.arange(60) // 8, np.arange(60) % 8] = 1.0  # every item has a pixel of its own

    rosetta.distill(
        lab.run, items, tmp_path / "b.h5", origin="averaged", pairs=8, checks=4, members=3, store="float32",
        privacy="open", **SIGNED,
    )  # fmt: skip

    bundle = rosetta.Bundle.open(tmp_path / "b.h5")
    behind = (bundle.inputs.reshape(12, 64)[:, :60] > 0).sum(axis=0)
    assert behind.max() == 1
    assert behind.sum() == 60


def test_what_the_audit_finds_in_points_that_are_not_items_is_noted(lab: Lab, tmp_path: Path):
    notes: list[str] = []

    rosetta.distill(
        lab.run, lab.train, tmp_path / "b.h5", origin="public", pairs=20, checks=8,
        points_from=read_items(lab.train)[:60], on_note=notes.append, **SIGNED,
    )  # fmt: skip

    assert any(note.startswith("the audit of the public points: holds items, as 28 of 28 points are") for note in notes)


def test_what_noise_has_drowned_is_noted_and_a_large_delta_is_refused_below_open(lab: Lab, tmp_path: Path):
    notes: list[str] = []

    def noisy(delta: float, **more: Any) -> None:
        rosetta.distill(
            lab.run, lab.train, tmp_path / "b.h5", origin="moments", pairs=200, dp_epsilon=1.0, dp_delta=delta,
            dp_norm=2.5, force=True, on_note=notes.append, **more, **SIGNED,
        )  # fmt: skip

    noisy(1e-4)
    noisy(0.5, privacy="open")
    with pytest.raises(UsageError, match="`dp_delta=0.5` is not below 1 / 721, the number of items"):
        noisy(0.5)

    assert any("the noise has drowned most of the space" in note for note in notes)
    assert any(note.startswith("delta 0.5 is not below 1 / 721") for note in notes)
