"""Bundles at each level of privacy: what is in the file, and that receivers can use it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosetta.schemas.record import PrivacyLevel

import rosetta
from rosetta.bundle import layout
from rosetta.errors import PolicyError
from tests.conftest import Lab

SIGNED: dict[str, Any] = {"license": "CC0-1.0", "title": "D", "creators": ["A"], "terms": "Be kind.", "citation": "C"}
LEVELS: tuple[PrivacyLevel, ...] = ("strict", "standard", "open")
SPACE = {layout.SPACE_MEAN, layout.SPACE_COVARIANCE}


PAIRS = {"decoded": 1024, "observed": 64}  # many, so that the spread of those that are made is known
ORIGINS = {"strict": ("decoded",), "standard": ("decoded", "observed"), "open": ("decoded", "observed")}


@pytest.fixture(scope="module")
def bundles(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Decoded and observed points at each level."""
    folder = tmp_path_factory.mktemp("levels")
    for level in LEVELS:
        for origin in ORIGINS[level]:
            rosetta.distill(
                lab.run, lab.train, folder / f"{level}-{origin}.h5", origin=origin, pairs=PAIRS[origin], privacy=level,
                held_out=lab.held_out, **SIGNED,
            )  # fmt: skip
    return {path.stem: path for path in folder.iterdir()}


@pytest.mark.parametrize("level", LEVELS)
def test_the_file_says_what_its_level_has_and_the_sender_can_check_it(
    lab: Lab, bundles: dict[str, Path], level: PrivacyLevel
):
    for origin in ORIGINS[level]:
        bundle = rosetta.Bundle.open(bundles[f"{level}-{origin}"])
        words = bundle.manifest.provenance

        assert words.selection.settings["privacy"] == level
        assert words.data.n_items == {"strict": None, "standard": 720, "open": 721}[level]
        assert SPACE & set(bundle.arrays) == (set() if level == "strict" else SPACE)
        assert (layout.WEIGHTS in bundle.arrays) == (level == "open" or (level == "standard" and origin == "observed"))
        assert (words.selection.coverage is None) == (level == "strict")
        assert (words.model.held_out_elbo is None) == (level == "strict")
        assert ("seed" in words.model.training) == (level == "open")
        assert ("n_items" in words.disclosure_audit["audit"]) == (level == "open")
        assert words.selection.seed is None
        assert "reproducible" not in words.selection.settings
        assert (re.search("T00:00:00Z$", words.created) is None) == (level == "open")
        report = rosetta.validate(bundles[f"{level}-{origin}"], model=lab.run, data=lab.train)
        assert {each.rule for each in report.findings if each.severity != "info"} == {"RZ-W201"}
        assert report.skipped == ()


@pytest.mark.parametrize("level", LEVELS)
def test_receivers_train_and_check_at_every_level(
    lab: Lab, bundles: dict[str, Path], level: PrivacyLevel, tmp_path: Path
):
    path = bundles[f"{level}-decoded"]

    rosetta.train(lab.bob, tmp_path / "bob", anchors=[path], hidden=(64,), epochs=40)

    assert rosetta.check(tmp_path / "bob", path).verdict == "aligned"
    assert rosetta.inspect(path)[0].total_sd == pytest.approx(
        rosetta.Bundle.open(bundles["open-decoded"]).latents_total_sd, rel=0.25 if level == "strict" else 0.05
    )


def _space_mean(latents: np.ndarray, folder: Path, level: PrivacyLevel) -> np.ndarray:
    rosetta.distill(
        None, np.arange(len(latents) * 3, dtype=np.float32).reshape(-1, 3), folder / "b.h5", latents=latents, pairs=8,
        checks=8, privacy=level, force=True, **SIGNED,
    )  # fmt: skip
    mean = rosetta.Bundle.open(folder / "b.h5").space_mean
    assert mean is not None
    return mean


@pytest.mark.parametrize(("level", "is_found"), [("standard", False), ("open", True)])
def test_two_bundles_of_one_data_set_give_a_withdrawn_item_away_only_if_they_are_open(
    tmp_path: Path, level: PrivacyLevel, is_found: bool
):
    latents = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    found = []
    for row in (5, 70, 200, 399):
        less = np.delete(latents, row, axis=0)
        first, second = (_space_mean(each, tmp_path, level) for each in (latents, less))
        guess = len(latents) * first - len(less) * second if is_found else (first - second) * len(latents)
        distances = np.linalg.norm(latents - guess, axis=1)
        found.append(bool(distances.argmin() == row) and bool((first != second).any()))

    assert found == [is_found] * 4


@pytest.mark.parametrize(("least", "level", "is_kept"), [
    ("strict", "strict", True), ("strict", "standard", False), ("standard", "open", False),
    ("standard", "strict", True), ("open", "open", True),
])  # fmt: skip
def test_a_policy_refuses_a_less_careful_level_before_any_work_and_in_an_audit(
    lab: Lab, bundles: dict[str, Path], tmp_path: Path, least: str, level: PrivacyLevel, is_kept: bool
):
    policy = tmp_path / "policy.toml"
    policy.write_text(f'min_privacy = "{least}"\n')

    report = rosetta.audit(bundles[f"{level}-decoded"], lab.train, policy=policy)

    assert report.violations == (
        () if is_kept else (f'min_privacy = "{least}": the bundle\'s level is {level} (`privacy`)',)
    )
    if not is_kept:
        with pytest.raises(PolicyError, match="nothing was done:\n  - min_privacy"):
            rosetta.distill(lab.run, tmp_path / "none.npy", tmp_path / "b.h5", privacy=level, policy=policy, **SIGNED)


def test_reproducible_points_say_so_and_a_policy_has_to_allow_them(lab: Lab, tmp_path: Path):
    policy, notes = tmp_path / "policy.toml", []
    rosetta.distill(
        lab.run, lab.train, tmp_path / "b.h5", pairs=64, reproducible=True, seed=5, on_note=notes.append, **SIGNED
    )

    words = rosetta.Bundle.open(tmp_path / "b.h5").manifest.provenance
    assert words.selection.settings["reproducible"] is True
    assert not re.search(r'"seed"', json.dumps(words.model_dump(mode="json", exclude={"model"}, exclude_none=True)))
    assert any(note.startswith("RZ-W214: the draws behind the decoded points can be repeated") for note in notes)
    for text, n_broken in (('origins = ["decoded"]', 1), ("allow_reproducible = true", 0)):
        policy.write_text(text)
        assert len(rosetta.audit(tmp_path / "b.h5", lab.train, policy=policy).violations) == n_broken
    policy.write_text('origins = ["decoded"]')
    with pytest.raises(PolicyError, match="allow_reproducible = false"):
        rosetta.distill(lab.run, lab.train, tmp_path / "c.h5", reproducible=True, policy=policy, **SIGNED)
