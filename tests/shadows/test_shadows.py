"""Shadow senders, and canaries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rosetta
from rosetta.adapters import Adapted
from rosetta.errors import IncompatibleError, OutputError, UsageError
from rosetta.inputs.models import open_model
from rosetta.models.checkpoint import load_run
from rosetta.shadows import canaries as planting
from rosetta.shadows import scores as scoring
from rosetta.shadows import stolen
from rosetta.shadows.canaries import canaries, measure
from rosetta.shadows.marks import choose_marks, sight_of
from rosetta.shadows.plan import ShadowPlan, plan_shadows
from rosetta.shadows.planting import plant
from rosetta.shadows.recipe import recipe_of
from rosetta.shadows.scores import ATTACKS, MODEL, NEAREST, STOLEN
from rosetta.shadows.sender import ShadowRelease, train_shadow
from rosetta.shadows.thorough import judge_all, thorough
from rosetta.sources import read_items
from tests.conftest import SETTINGS, Lab

WORDS: dict[str, Any] = {"license": "CC0-1.0", "title": "Digits", "creators": ["Alice"]}


@pytest.fixture(scope="module")
def small(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, Path, Path]:
    """100 of Alice's digits, a run on them and a bundle of it."""
    folder, items = tmp_path_factory.mktemp("small"), read_items(lab.train)[:100]
    rosetta.train(items, folder / "run", validation=0, **(SETTINGS | {"epochs": 20}))
    rosetta.distill(folder / "run", items, folder / "b.h5", pairs=64, checks=8, **WORDS)
    return items, folder / "run", folder / "b.h5"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps for the networks that are learned from pairs."""
    for module in (scoring, planting):
        monkeypatch.setattr(module, "steal", lambda *pairs, seed: stolen.steal(*pairs, seed=seed, n_steps=50))


def test_each_item_is_in_some_shadows_and_not_in_others_however_many_there_will_be():
    plan = plan_shadows(300, 100, n_shadows=8, validation=0.0, seed=0)

    is_in = plan.is_in(8)

    assert (plan.n_in, plan.n_out) == (300, 100)
    assert (is_in.sum(axis=1) == plan.n_in).all()
    assert set((~is_in).sum(axis=0)) == {2}
    assert (is_in[:5] == plan.is_in(5)).all()
    halves = plan_shadows(300, 400, n_shadows=4, validation=0.0, seed=0)
    assert halves.n_out == 350
    assert (halves.is_in(2)[0] == ~halves.is_in(2)[1]).all()
    assert not (is_in == replace(plan, seed=1).is_in(8)).all()


def test_a_shadow_lacks_enough_to_hold_out_as_many_as_the_run_did():
    assert plan_shadows(900, 100, n_shadows=4, validation=0.0, seed=0).n_out == 250
    assert plan_shadows(900, 100, n_shadows=4, validation=0.4, seed=0).n_out == 400


def test_too_few_items_or_shadows_are_said():
    with pytest.raises(UsageError, match="at least 50 items .* and 50 .* and there are 300 and 49: pass more"):
        plan_shadows(300, 49, n_shadows=16, validation=0.0, seed=0)
    with pytest.raises(UsageError, match="`shadows` is 3; expected a number from 4"):
        plan_shadows(300, 300, n_shadows=3, validation=0.0, seed=0)


def test_a_shadow_is_trained_on_exactly_its_items_whether_or_not_the_run_stopped_early(
    small: tuple[np.ndarray, Path, Path], tmp_path: Path
):
    items, run, _ = small
    config = load_run(run).config
    early = config.model_copy(
        update={"settings": config.settings.model_copy(update={"patience": 2, "validation": 0.15})}
    )

    for name, each in (("all", config), ("early", early)):
        train_shadow(tmp_path / name, items[:60], items[60:], each, seed=5)
        record = load_run(tmp_path / name).record
        assert record.data.n_items - record.data.n_validation == 60
        assert (record.data.n_validation > 0) == (name == "early")
    with pytest.raises(UsageError, match="15% of its items to know when to stop, 11 for a shadow, and only 5 others"):
        train_shadow(tmp_path / "few", items[:60], items[60:65], early, seed=5)


def test_the_recipe_is_what_the_bundle_tells(lab: Lab, tmp_path: Path):
    rosetta.distill(
        lab.run, lab.train, tmp_path / "b.h5", origin=["decoded=40", "averaged=8", "observed=16"], draw="mixture",
        residuals=False, checks=10, members=12, privacy="open", **WORDS,
    )  # fmt: skip
    bundle = rosetta.Bundle.open(tmp_path / "b.h5")

    recipe = recipe_of(bundle.manifest, int(bundle.is_anchor.sum()), seed=3)

    assert recipe.origin == ("decoded=40", "averaged=8", "observed=16")
    assert (recipe.checks, recipe.draw, recipe.residuals, recipe.seed) == (10, "mixture", False, 3)
    assert recipe.members >= 12
    rosetta.distill(lab.run, lab.train, tmp_path / "c.h5", pairs=40, checks=5, observed_checks=7, **WORDS)
    other = recipe_of(rosetta.Bundle.open(tmp_path / "c.h5").manifest, 40)
    assert (other.origin, other.checks, other.observed_checks, other.residuals) == (("decoded=40",), 5, 7, True)


def test_shadows_find_out_who_was_in_a_bundle_of_items_and_nobody_in_points_without_any():
    """A sender who publishes what it has, noise added; and one who publishes noise."""
    rng = np.random.default_rng(0)
    plan = ShadowPlan(200, 200, 200, 0)
    items = rng.random((400, 4, 4), dtype=np.float32)
    model = Adapted("the model", lambda x: (x.reshape(len(x), -1)[:, :4], None), None, "0" * 64, lambda z: 0 * z)  # type: ignore[arg-type]
    whose = [np.arange(400) < 200, *plan.is_in(4)]

    def sent(has: np.ndarray, *, leaks: bool) -> ShadowRelease:
        points = items[has] if leaks else rng.random((200, 4, 4), dtype=np.float32)
        noisy = points + 0.1 * rng.normal(size=points.shape).astype(np.float32)
        return ShadowRelease(noisy, model.encode(noisy)[0], replace(model, decode=None))

    for leaks, lowest, highest in ((True, 0.9, 1.0), (False, 0.4, 0.6)):
        found = [scoring.scores_of(sent(has, leaks=leaks), items, seed=n) for n, has in enumerate(whose)]
        scores = np.stack(found[1:], axis=1)
        nearest = judge_all(found[0], scores, plan.is_in(4), 200, rng)[ATTACKS.index(NEAREST)]
        for told in (nearest.online, nearest.offline, nearest.of_shadows):
            assert lowest < told.auc <= highest


def test_thorough_trains_distils_and_goes_on_from_what_is_kept(
    small: tuple[np.ndarray, Path, Path], lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    items, run, bundle = small
    others, kept = read_items(lab.held_out)[:60], tmp_path / "shadows"
    more: dict[str, Any] = {"held_out": np.concatenate([others, items[:9]]), "folder": kept}
    plans: list[str] = []
    progress: list[tuple[int, int]] = []

    first = thorough(bundle, items, run, shadows=4, on_plan=plans.append, **more)
    before = {each.name: each.read_bytes() for each in kept.iterdir()}
    again = thorough(
        bundle, items, run, shadows=5, on_shadow=lambda done, of, left: progress.append((done, of)), **more
    )

    assert (first.n_members, first.n_others, first.n_in) == (100, 60, 100)
    assert [each.attack for each in first.attacks] == [STOLEN, NEAREST, MODEL]
    assert [each.is_ceiling for each in first.attacks] == [False, False, True]
    assert "4 shadow senders, each trained on 100 items, as many as the model was: this takes about" in plans[0]
    assert progress == [(4, 5), (5, 5)]
    assert again.n_shadows == 5
    assert sorted(before) == [".lock", *(f"scores-000{n}.npy" for n in range(4)), "shadows.json"]
    assert all((kept / name).read_bytes() == data for name, data in before.items())
    with pytest.raises(OutputError, match="of another bundle, other data, or other settings"):
        thorough(bundle, items, run, shadows=4, seed=1, **more)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(OutputError, match="holds no shadow senders"):
        thorough(bundle, items, run, shadows=4, **(more | {"folder": tmp_path / "full"}))


def test_what_cannot_be_repeated_is_said(small: tuple[np.ndarray, Path, Path], lab: Lab, tmp_path: Path):
    items, run, bundle = small
    rosetta.train(lab.bob, tmp_path / "bob", anchors=[lab.decoded], epochs=1, hidden=(8,))
    rosetta.distill(tmp_path / "bob", lab.bob, tmp_path / "bob.h5", pairs=32, origin="moments", **WORDS)
    for arguments, kind, message in (
        ((bundle, items, None), UsageError, "pass its folder with `model`"),
        ((bundle, items, lab.run), IncompatibleError, "not the model of the bundle"),
        ((bundle, items[:90], run), UsageError, "cannot repeat the training: the data is not what"),
        ((tmp_path / "bob.h5", lab.bob, tmp_path / "bob"), UsageError, "anchored to another bundle"),
        ((bundle, items, run), UsageError, "and there are 100 and 0: pass more items"),
    ):
        with pytest.raises(kind, match=message):
            thorough(*arguments)


def test_a_mark_stands_where_items_have_least():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, size=(50, 18, 18)).astype(np.uint8)
    pictures[:, 9:12, 3:6] = 0
    vectors = rng.random((50, 9))
    vectors[:, [2, 4, 7]] **= 12

    (patch, sight), _ = choose_marks(pictures, lambda raw: (raw / 255).astype(np.float32), (0.0, 1.0), n_marks=2)
    [(rare, _)] = choose_marks(vectors, lambda raw: raw.astype(np.float32), (0.0, 1.0), n_marks=1)

    assert patch.where == "2 × 2 pixels from row 9, column 3"
    assert patch.usage == 0
    marked = patch.on(pictures)
    assert marked[0, 9:11, 3:5].tolist() == [[255, 255], [255, 255]]
    assert (marked != pictures).sum() == 4 * 50
    assert sight.response((marked / 255).astype(np.float32)) == pytest.approx(1)
    assert set(rare.places) == {2, 4, 7}
    assert rare.on(vectors)[3, 4] == vectors[:, 4].max()


def test_canaries_that_the_model_cannot_see_are_said():
    raw = np.random.default_rng(0).random((50, 6)).astype(np.float32)
    [(mark, _)] = choose_marks(raw, lambda items: items, (0.0, 1.0), n_marks=1)

    assert "the preprocessing removes a mark" in str(sight_of(mark, raw, lambda items: 0 * items, (0.0, 1.0)))
    assert "outside of the declared range, 0 to 0.2, and is clipped" in str(
        sight_of(mark, raw, lambda x: x, (0.0, 0.2))
    )
    with pytest.raises(UsageError, match="cannot see canaries in these data: the preprocessing removes a mark"):
        choose_marks(raw, lambda items: 0 * items, (0.0, 1.0), n_marks=1)


def test_points_that_hold_marked_items_show_the_mark_and_points_of_moments_of_many_do_not(
    small: tuple[np.ndarray, Path, Path],
):
    items, run, _ = small
    rng, model = np.random.default_rng(0), open_model(run, device="cpu")
    [(mark, sight)] = choose_marks(items, lambda raw: raw, (0.0, 1.0), n_marks=1)
    with_marks = np.concatenate([mark.on(items[:20]), items[20:]])

    def sent(points: np.ndarray) -> ShadowRelease:
        return ShadowRelease(points, model.encode(points)[0], model)

    def found(marked: np.ndarray, usual: np.ndarray) -> Any:
        return measure(mark, sight, items[50:], mark.on(items[50:]), sent(marked), sent(usual), n_marked=20, seed=0)

    leaks = found(with_marks, items)
    noise = rng.normal(0, 0.1, (2, 400, 8, 8)).astype(np.float32)
    safe = found(*(items.mean(axis=0) + noise))

    assert leaks.is_shown
    assert leaks.n_lit == 20
    assert leaks.strongest == pytest.approx(1, abs=0.01)
    assert leaks.low < leaks.share < leaks.high
    assert not safe.is_shown
    assert safe.share < 0.05
    assert leaks.rebuilt > leaks.rebuilt_control


@pytest.mark.parametrize(("origin", "is_shown"), [("observed", True), ("averaged", False)])
def test_canaries_are_planted_trained_on_and_looked_for(
    small: tuple[np.ndarray, Path, Path], tmp_path: Path, origin: str, is_shown: bool
):
    items, run, _ = small
    n_pairs, checks = (80, 10) if origin == "observed" else (5, 2)
    rosetta.distill(run, items, tmp_path / "b.h5", origin=origin, pairs=n_pairs, checks=checks, privacy="open", **WORDS)

    several, single = canaries(tmp_path / "b.h5", items, run, n=4)

    assert (several.n_marked, single.n_marked) == (4, 1)
    assert several.n_points == n_pairs + checks
    assert several.where != single.where
    assert (several.n_lit > 0) == is_shown
    assert several.is_shown or not is_shown
    assert several.seen > 0.01
    with pytest.raises(UsageError, match="`canaries` is 50; expected a number from 1 and below half of the 100 items"):
        canaries(tmp_path / "b.h5", items, run, n=50)


def test_marks_in_what_a_sender_really_trains_on_are_looked_for_by_their_record(
    small: tuple[np.ndarray, Path, Path], tmp_path: Path
):
    items, record = small[0], tmp_path / "marked.npz"
    planted = plant(items, record, n=6)
    marked = read_items(f"{record}::items")
    quick = SETTINGS | {"epochs": 20, "validation": 0.0}
    rosetta.train(marked, tmp_path / "run", **quick)
    rosetta.distill(
        tmp_path / "run", marked, tmp_path / "b.h5", origin="observed", pairs=80, checks=8, privacy="open", **WORDS
    )

    found = canaries(tmp_path / "b.h5", marked, tmp_path / "run", record=record)

    assert (marked != items).any(axis=(1, 2)).sum() == 7
    assert (planted.restored(marked) == items).all()
    assert [each.n_marked for each in found] == [6, 1]
    n_there = [int((rosetta.Bundle.open(tmp_path / "b.h5").inputs == item).all(axis=(1, 2)).any()) for item in
               marked[planted.rows[0]]]  # fmt: skip
    assert found[0].n_lit == sum(n_there)
    assert found[0].is_shown
    with pytest.raises(UsageError, match="does not have the canaries of the record"):
        planted.restored(items)
    with pytest.raises(UsageError, match="give one of them"):
        canaries(tmp_path / "b.h5", marked, tmp_path / "run", record=record, n=3)


def test_learning_from_pairs_gives_back_a_linear_map():
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(500, 3)).astype(np.float32)
    inputs = (latents @ rng.normal(size=(3, 12))).astype(np.float32)

    found = stolen.steal(inputs, latents, seed=0, n_steps=600)

    assert ((found.encode(inputs) - latents) ** 2).mean() < 0.05
    assert ((found.decode(latents) - inputs) ** 2).mean() < 0.05 * inputs.var()
    state = torch.get_rng_state()
    stolen.steal(inputs, latents, seed=0, n_steps=2)
    assert (torch.get_rng_state() == state).all()
