"""Whose items there are is read from a column or a file, and holds for averages, policies and private noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosetta.schemas.policy import Policy

import rosetta
from rosetta.arrays import Array
from rosetta.errors import IncompatibleError, PolicyError, RosettaError, SelectionError, SourceError, UsageError
from rosetta.inputs.groups import GroupCodes, groups_of
from rosetta.policies import included_rows, policy_mark
from rosetta.sources import Source
from tests.conftest import Lab

SIGNED: dict[str, Any] = {"license": "CC-BY-4.0", "title": "Digits", "creators": ["Alice"]}
DONORS = np.array(["b", "a", "b", "c", "a"])


def _read(values: Any, spec: str = "donor") -> GroupCodes:
    found = groups_of(spec, {"donor": lambda: np.asarray(values)}, len(values), source="cells.h5ad")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (DONORS, ("b", "a", "c")),
        (np.array([b"b", b"a", b"b", b"c", b"a"]), ("b", "a", "c")),
        (np.array(["b", "a", "b", "c", "a"], dtype=object), ("b", "a", "c")),
        ([7, -2, 7, 30, -2], ("7", "-2", "30")),
        ([7.0, -2.0, 7.0, 30.0, -2.0], ("7", "-2", "30")),
        ([0.5, np.inf, 0.5, 2.0, np.inf], ("0.5", "inf", "2.0")),
    ],
)
def test_groups_are_numbered_in_the_order_in_which_they_appear(values: Any, names: tuple[str, ...]):
    found = _read(values)

    assert found.codes.tolist() == [0, 1, 0, 2, 1]
    assert found.names == names
    assert found.notes == ()


@given(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=30).filter(lambda each: len(set(each)) > 1))
def test_the_codes_name_every_items_group(labels: list[str]):
    found = _read(labels)

    assert [found.names[code] for code in found.codes] == labels
    assert list(found.names) == list(dict.fromkeys(labels))


def test_a_file_of_labels_is_as_good_as_a_column(tmp_path: Path):
    np.savez(tmp_path / "cells.npz", donor=DONORS, x=np.zeros((5, 2)))

    found = groups_of(f"{tmp_path / 'cells.npz'}::donor", {}, 5, source="cells.npz::x")

    assert found is not None
    assert (found.codes.tolist(), found.names) == ([0, 1, 0, 2, 1], ("b", "a", "c"))
    assert groups_of(None, {}, 5, source="x") is None


def test_groups_with_one_item_each_are_said_to_be_none():
    assert "each of the 3 groups has one item only, which is the same as no `groups`" in _read([5, 6, 7]).notes[0]


@pytest.mark.parametrize(
    ("values", "spec", "kind", "words"),
    [
        (
            ["a", "a"],
            "donor",
            UsageError,
            "all 2 items are of one group, 'a', so that no point could be made of several",
        ),
        (["a", ""], "donor", SelectionError, "`groups` donor: 1 of 2 items have no label, the first in row 1"),
        ([1.0, np.nan], "donor", SelectionError, "1 of 2 items have no label, the first in row 1"),
        (["a", None], "donor", SelectionError, "1 of 2 items have no label"),
        (["a", "b"], "doner", UsageError, "expected a column of the data or a source .* donor. Did you mean donor"),
        (["a", "b"], "x.npz::y", SourceError, "there is no file x.npz"),
        ([[1], [2]], "donor", IncompatibleError, r"shape \(2, 1\), but one label for each of the 2 items is needed$"),
    ],
)
def test_groups_that_cannot_be_read_are_refused(values: Any, spec: str, kind: type[Exception], words: str):
    with pytest.raises(kind, match=words):
        _read(values, spec)


def test_labels_of_other_items_are_refused_and_data_without_columns_is_said_to_have_none(tmp_path: Path):
    np.save(tmp_path / "donor.npy", DONORS)

    with pytest.raises(IncompatibleError, match=r"shape \(5,\), but one label .* the 4 items .* after `rows` and"):
        groups_of(str(tmp_path / "donor.npy"), {}, 4, source="x")
    with pytest.raises(UsageError, match="the data has no columns"):
        groups_of("donor", {}, 4, source="the data")


def test_all_rows_of_an_excluded_group_are_excluded_and_only_counts_are_in_the_mark():
    groups = _read(DONORS)
    policy = Policy(excluded_groups=("b",), excluded_rows=(0, 3))

    assert included_rows(policy, 5, groups).tolist() == [1, 4]
    assert policy_mark(policy, groups).n_excluded_rows == 3
    assert policy_mark(policy, groups).sha256 == policy_mark(Policy()).sha256


@pytest.mark.parametrize(
    ("clauses", "groups", "kind", "words"),
    [
        ({"excluded_groups": ("b",)}, None, UsageError, "excludes 1 groups by name .* pass `groups=COLUMN`"),
        ({"excluded_groups": ("B",)}, DONORS, IncompatibleError, "no item is of the group 'B': there are b, a, c"),
        ({"excluded_groups": ("bb",)}, ["bbb", "a"], IncompatibleError, "did you mean 'bbb'"),
        ({"excluded_groups": ("b", "a")}, DONORS, IncompatibleError, "excludes 4 of 5 rows"),
    ],
)
def test_groups_that_cannot_be_excluded_are_told(
    clauses: dict[str, Any], groups: Any, kind: type[Exception], words: str
):
    codes = None if groups is None else _read(groups)

    with pytest.raises(kind, match=words):
        included_rows(Policy(**clauses), 5 if codes is None else len(codes.codes), codes)


@pytest.fixture(scope="module")
def people(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of whose digit each is: 90 people, one of whom has a third of them."""
    n_items = len(rosetta.latents_of(lab.run, lab.train))
    rng = np.random.default_rng(0)
    codes = np.concatenate(
        [np.arange(90), np.where(rng.random(n_items - 90) < 0.33, 0, rng.integers(90, size=n_items - 90))]
    )
    path = tmp_path_factory.mktemp("people") / "people.npz"
    np.savez(path, who=np.array([f"p{code:02}" for code in rng.permutation(codes)]))
    return path


def _distil(lab: Lab, output: Path, **options: Any) -> Any:
    return rosetta.distill(lab.run, lab.train, output, **SIGNED, **options)


def test_averages_are_of_enough_people_and_nobody_is_behind_an_anchor_and_a_check(
    lab: Lab, people: Path, tmp_path: Path
):
    who = f"{people}::who"

    report = _distil(lab, tmp_path / "b.h5", origin="averaged", pairs=5, checks=3, groups=who)

    assert report.figures["averaged"].unit == "group"
    assert report.figures["averaged"].members >= 10
    manifest = rosetta.Bundle.open(tmp_path / "b.h5").manifest_bytes.decode()
    assert '"unit":"group"' in manifest
    assert not any(name in manifest for name in ("people.npz", "p00", "p17"))
    with pytest.raises(SelectionError, match=r"70 groups, .* there are \d+: .* The groups are divided between anchors"):
        _distil(lab, tmp_path / "c.h5", origin="averaged", pairs=7, checks=3, groups=who)
    with pytest.raises(UsageError, match="expected a column of the data"):
        _distil(lab, tmp_path / "c.h5", groups="who")
    assert not (tmp_path / "c.h5").exists()


def test_whoever_is_behind_a_point_is_behind_no_other_and_counts_as_everybody_else(tmp_path: Path, code: str):
    rng = np.random.default_rng(0)
    who = np.concatenate([np.arange(60), rng.choice([0, 1, 2, 30], 300)])  # of four people there is much more
    items = np.zeros((360, 62), np.float32)
    items[:, :2] = rng.random((360, 2))  # where the encoder puts an item
    items[np.arange(360), 2 + who] = 1.0  # whose it is
    np.save(tmp_path / "who.npy", who)

    report = rosetta.distill(
        code, items, tmp_path / "b.h5", origin="averaged", pairs=6, checks=4, members=5, privacy="open",
        groups=str(tmp_path / "who.npy"), **SIGNED,
    )  # fmt: skip

    shares = rosetta.Bundle.open(tmp_path / "b.h5").inputs[:, 2:]
    behind = shares > 0
    assert behind.sum(axis=0).tolist() == [1] * 60
    assert behind.sum(axis=1).min() == report.figures["averaged"].members >= 5
    assert shares == pytest.approx(behind / behind.sum(axis=1, keepdims=True), abs=1e-6)


def test_what_an_excluded_person_has_is_in_no_point_and_the_audit_looks_for_it(lab: Lab, people: Path, tmp_path: Path):
    who, policy = f"{people}::who", tmp_path / "policy.toml"
    policy.write_text('excluded_groups = ["p00"]')
    names = np.load(people)["who"]
    items = {
        item.tobytes(): name for item, name in zip(np.load(lab.train.partition("::")[0])["train"], names, strict=True)
    }
    notes: list[str] = []

    run, quick = tmp_path / "run", {"epochs": 1, "latent_dim": 2, "hidden": (8,)}
    rosetta.train(lab.train, run, policy=policy, groups=who, **quick)
    without = {"origin": "observed", "pairs": 300, "groups": who, "policy": policy}
    rosetta.distill(
        run,
        lab.train,
        tmp_path / "b.h5",
        on_note=notes.append,
        license="CC0-1.0",
        title="Digits",
        creators=["Alice"],
        **without,
    )
    _distil(lab, tmp_path / "all.h5", origin="observed", pairs=300, groups=who)

    bundle = rosetta.Bundle.open(tmp_path / "b.h5")
    assert "p00" not in {items[each.tobytes()] for each in bundle.inputs}
    mark = bundle.manifest.provenance.disclosure_audit["policy"]
    assert mark["n_excluded_rows"] == (names == "p00").sum()
    assert "p00" not in bundle.manifest_bytes.decode()
    assert any("the run's record shows that it was not trained on them" in note for note in notes)
    kept = rosetta.audit(tmp_path / "b.h5", lab.train, policy=policy, groups=who)
    broken = rosetta.audit(tmp_path / "all.h5", lab.train, policy=policy, groups=who)
    assert kept.violations == ()
    assert "points are copies of excluded items" in broken.violations[0]
    assert "was made under this policy" in broken.violations[1]
    with pytest.raises(UsageError, match="pass `groups=COLUMN`"):
        rosetta.audit(tmp_path / "b.h5", lab.train, policy=policy)
    with pytest.raises(UsageError, match="pass `groups=COLUMN`"):
        _distil(lab, tmp_path / "c.h5", policy=policy)


@pytest.mark.parametrize("origin", ["moments", "averaged"])
def test_private_noise_is_for_a_person_with_all_items(lab: Lab, people: Path, tmp_path: Path, origin: str):
    pytest.importorskip("opendp", reason="differential privacy needs opendp")
    budget = {"dp_epsilon": 100.0, "dp_delta": 0.01, "checks": 0, "pairs": 1}
    budget |= {"dp_norm": 2.0} if origin == "moments" else {"members": 2}
    notes: list[str] = []

    report = _distil(lab, tmp_path / "b.h5", origin=origin, groups=f"{people}::who", on_note=notes.append, **budget)

    assert report.privacy[0].neighbours == "replace one group"
    with pytest.raises(UsageError, match="0.02` is not below 1 / 90, the number of groups"):
        _distil(lab, tmp_path / "c.h5", origin=origin, groups=f"{people}::who", **(budget | {"dp_delta": 0.02}))


WILD, TAME = np.full(6, 1e4), np.full(6, 0.4)
CODE = """
import numpy as np

def encoder(items):
    return items.reshape(len(items), -1)[:, :2] * np.array([1.0, 0.5], np.float32)
"""


def _items(first: Array, *, levels: bool = False) -> Array:
    items = np.random.default_rng(0).random((400, 6))
    items = np.round(items * 255) / 255 if levels else items
    items[0] = first
    return items.astype(np.float32)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "code_of_two_columns.py").write_text(CODE)
    (tmp_path / "policy.toml").write_text("excluded_rows = [0]\nallow_reproducible = true")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return "code_of_two_columns:encoder"


@pytest.mark.parametrize(
    "options",
    [
        {"preprocess": "standardize", "origin": ["observed=20", "moments=40"]},
        {"preprocess": "standardize", "origin": "observed", "memory_gib": 6e-6},
        {"origin": "moments"},
        {"origin": "observed", "select": "kmeans", "stratify": "density"},
        {"origin": "observed", "levels": True},
    ],
)
def test_an_excluded_row_shapes_nothing(code: str, tmp_path: Path, options: dict[str, Any]):
    options = options | {"checks": 8, "reproducible": True, "policy": tmp_path / "policy.toml"} | SIGNED
    levels = bool(options.pop("levels", False))
    bundles = []
    for name, first in (("wild", WILD), ("tame", TAME)):
        np.save(tmp_path / f"{name}.npy", _items(first, levels=levels))
        rosetta.distill(code, str(tmp_path / f"{name}.npy"), tmp_path / f"{name}.h5", **options)
        bundles.append(rosetta.Bundle.open(tmp_path / f"{name}.h5"))

    wild, tame = bundles
    assert wild.content_id == tame.content_id
    assert wild.manifest.content == tame.manifest.content
    assert wild.manifest.content.input.value_range[1] < 10
    assert (wild.manifest.content.input.stored_range is not None) == levels


def test_latents_of_an_excluded_row_shape_nothing(tmp_path: Path):
    (tmp_path / "policy.toml").write_text("excluded_rows = [0]\nallow_reproducible = true")
    digests = set()
    for number, first in enumerate((WILD, TAME)):
        items = _items(first)
        rosetta.distill(
            None, items, tmp_path / f"{number}.h5", latents=items[:, :2], pairs=20, checks=8, reproducible=True,
            policy=tmp_path / "policy.toml", **SIGNED,
        )  # fmt: skip
        bundle = rosetta.Bundle.open(tmp_path / f"{number}.h5")
        digests.add((bundle.content_id, bundle.manifest.provenance.model.weights_sha256))

    assert len(digests) == 1


def test_a_wild_row_that_is_not_excluded_would_have_shown(code: str, tmp_path: Path):
    np.save(tmp_path / "wild.npy", _items(WILD))

    rosetta.distill(
        code, str(tmp_path / "wild.npy"), tmp_path / "b.h5", preprocess="standardize", origin="observed", **SIGNED
    )

    assert rosetta.Bundle.open(tmp_path / "b.h5").manifest.content.input.value_range[1] > 10


def test_a_policy_of_figures_still_refuses(lab: Lab, people: Path, tmp_path: Path):
    (tmp_path / "policy.toml").write_text("min_members = 11")

    with pytest.raises(PolicyError, match="min_members = 11"):
        _distil(lab, tmp_path / "b.h5", origin="averaged", pairs=4, checks=0, members=10, groups=f"{people}::who",
                policy=tmp_path / "policy.toml")  # fmt: skip
    assert issubclass(PolicyError, RosettaError)


def test_rows_that_are_chosen_have_their_own_groups(lab: Lab, people: Path, tmp_path: Path):
    np.save(tmp_path / "some.npy", np.load(people)["who"][:300])
    settings = {"origin": "averaged", "pairs": 3, "checks": 0, "groups": str(tmp_path / "some.npy")} | SIGNED

    report = rosetta.distill(lab.run, Source(lab.train, rows=":300"), tmp_path / "b.h5", **settings)

    assert report.figures["averaged"].unit == "group"
    with pytest.raises(IncompatibleError, match=r"shape \(300,\), but one label for each"):
        rosetta.distill(lab.run, lab.train, tmp_path / "c.h5", **settings)
