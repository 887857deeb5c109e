"""The study of origins: its cells, what it keeps, how it goes on, and what it finds."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rosetta.schemas.audit import DisclosureAudit, OriginAudit
from rosetta.schemas.study import CellResult, StudyCell, StudyReport, StudySettings, StudyTraining

from rosetta.errors import IncompatibleError, OutputError, SourceError, UsageError
from rosetta.studies.cells import BASELINE, YARDSTICK, default_cells, name_of
from rosetta.studies.folders import open_bench
from rosetta.studies.measuring import measure
from rosetta.studies.rows import rows_of
from rosetta.studies.settings import read_settings
from rosetta.studies.splits import Split, describe, read_split
from rosetta.verbs.study import CellProgress, study_origins

DATA = Path(__file__).parents[1] / "data"
TINY = StudyTraining(latent_dim=2, hidden=(8,), epochs=2, batch_size=32)
CELLS = (BASELINE, StudyCell(origin="observed", points=8), StudyCell(origin="observed", points=100), YARDSTICK)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    sizes = {"sender": 80, "sender_held_out": 20, "receiver": 70, "receiver_held_out": 10, "public": 30}
    np.savez(tmp_path / "mine.npz", **{name: rng.random((n, 4, 3), dtype=np.float32) for name, n in sizes.items()})
    return tmp_path / "mine.npz"


def _study(file: Path, cells: tuple[StudyCell, ...] = CELLS, **changed: Any) -> StudyReport:
    settings = StudySettings(cells=cells, data={"mine": TINY})
    options = {"data": {"mine": file}, "replicates": 2, "settings": settings, **changed}
    return study_origins(file.parent / "study", **options)


def test_the_default_cells_begin_with_the_two_that_all_others_are_held_against():
    cells = default_cells()

    assert cells[:2] == (BASELINE, YARDSTICK)
    assert len({name_of(cell) for cell in cells}) == len(cells)
    assert {cell.origin for cell in cells} == {"none", "observed", "averaged", "mixed", "decoded", "moments", "public"}


def test_a_study_measures_every_receiver_and_says_why_a_cell_is_impossible(file: Path):
    report = _study(file, (*CELLS, StudyCell(origin="public", points=10)))

    assert [(row.name, row.n_replicates) for row in report.rows] == [
        ("none", 2), ("observed-8", 2), ("observed-64", 2), ("observed-100", 0), ("public-10", 2),
    ]  # fmt: skip
    assert "80" in str(report.rows[3].impossible)
    assert [row.verdict for row in report.rows] == [None, "holds items", "holds items", None, "no item found"]
    assert report.rows[0].fvu.median > report.rows[2].fvu.median  # type: ignore[union-attr]
    folder = file.parent / "study"
    lines = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert [float(line["fvu"] or -1) for line in lines] == [row.fvu.median if row.fvu else -1 for row in report.rows]
    assert "impossible: " in (folder / "table.md").read_text()
    assert (folder / "origins.png").read_bytes().startswith(b"\x89PNG")
    assert not [*(folder / "mine" / "bundles").iterdir(), *(folder / "mine" / "receivers").iterdir()]


def test_a_study_that_was_stopped_goes_on_and_finds_the_same(file: Path):
    begun: list[str] = []

    def stop_at_the_third(progress: CellProgress) -> None:
        begun.append(progress.cell)
        if progress.number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="the same command goes on from there"):
        _study(file, on_progress=stop_at_the_third)
    first = _rows(file.parent / "study")
    report = _study(file, on_progress=lambda progress: begun.append(progress.cell))

    assert begun == ["none", "observed-8", "observed-100", "observed-100", "observed-64"]
    assert first == {name: line for name, line in _rows(file.parent / "study").items() if name in first}
    assert len(first) == 2
    assert report.n_cells == 4


def _rows(folder: Path) -> dict[str, str]:
    return {line["name"]: line["fvu"] for line in csv.DictReader((folder / "table.csv").read_text().splitlines())}


def test_what_was_kept_is_not_made_again_and_no_receiver_begins_with_the_senders_weights(file: Path):
    _study(file, CELLS[:2], keep=True)
    folder = file.parent / "study" / "mine"
    made = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    (folder / "cells" / "observed-8.json").unlink()

    _study(file, CELLS[:2], keep=True)

    assert len(made) == 5
    assert made == {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    assert '"seed": 1000' in (folder / "sender" / "config.json").read_text()


def test_other_settings_other_items_and_other_processes_are_refused_in_a_folder_that_is_used(file: Path):
    _study(file, CELLS[:1])
    with pytest.raises(OutputError, match="differs in replicates"):
        _study(file, CELLS[:1], replicates=1)
    split = read_split("mine", file)
    described = describe("mine", split, TINY, replicates=2)
    with (
        open_bench(file.parent / "study" / "mine", described, split),
        pytest.raises(OutputError, match="another process"),
    ):
        _study(file, CELLS[:1])
    np.savez(file, **{name: getattr(split, name) + 1 for name in vars(split) if name != "public"})
    with pytest.raises(OutputError, match="differs in items"):
        _study(file, CELLS[:1])


def test_a_folder_of_something_else_is_left_alone(file: Path):
    with pytest.raises(OutputError, match="holds no study"):
        study_origins(file.parent, data={"mine": file})


def test_a_receiver_that_is_the_sender_misses_nothing(file: Path):
    _study(file, CELLS[:1], keep=True)
    folder = file.parent / "study" / "mine"
    runs = [folder / "sender", folder / "receivers" / "none" / "seed-0"]

    found = measure(runs[0], runs, read_split("mine", file), device=torch.device("cpu"))

    assert found["fvu"][0] == 0
    assert found["fvu"][1] > 0.1
    assert found["fvu_mapped"][1] <= 1


def _result(name: str, points: int, fvu: float, reconstruction: float, verdict: Any = None) -> CellResult:
    audit = verdict and DisclosureAudit(
        n_items=9, n_held_out=0, typical_distance=1.0, n_rare=0,
        origins=(
            OriginAudit(
                origin=name, n_points=points, n_copies=0, n_near_copies=0, nearest_ratio_min=0.5,
                nearest_ratio_median=1.0, n_rare_exposed=0, verdict=verdict, reasons=(),
            ),
        ),
    )  # fmt: skip
    cell = StudyCell(origin=name, points=points)
    return CellResult(cell=cell, fvu=(fvu,) * 3, reconstruction=(reconstruction,) * 3, audit=audit, elapsed_s=1.0)


def test_a_cell_that_was_measured_under_the_figures_earlier_names_is_read():
    text = _result("decoded", 9, 0.25, 1.0).model_dump_json()

    earlier = text.replace('"fvu":', '"unmapped":').replace('"fvu_mapped":', '"mapped":')

    assert '"unmapped":[0.25' in earlier
    assert CellResult.model_validate_json(earlier) == CellResult.model_validate_json(text)


@pytest.mark.parametrize(
    ("fvu", "reconstruction", "verdict", "is_met"),
    [
        (0.02, 10.49, "no item found", True),
        (0.021, 10.0, "no item found", False),
        (0.02, 10.51, "no item found", False),
        (0.02, 10.0, "close to items", False),
    ],
)
def test_the_target_is_no_item_a_tenth_of_the_error_and_a_twentieth_of_cost(
    fvu: float, reconstruction: float, verdict: str, is_met: bool
):
    results = [
        _result("none", 0, 2.0, 10.0),
        _result("observed", 64, 0.2, 10.0, "holds items"),
        _result("decoded", 9, fvu, reconstruction, verdict),
    ]

    rows = rows_of("mine", results)

    assert [row.is_target_met for row in rows] == [None, False, is_met]
    assert rows[2].change == pytest.approx(reconstruction / 10 - 1)
    assert rows_of("mine", results[1:])[1].is_target_met is None


def test_networks_and_epochs_follow_from_the_size_of_the_data_and_settings_win():
    small, large = (np.zeros((n, side, side), np.float32) for n, side in ((700, 8), (3000, 28)))

    def chosen(items: np.ndarray, **given: Any) -> StudyTraining:
        return describe("x", Split(items, items, items, items), StudyTraining(**given), replicates=1).training

    assert chosen(small) == StudyTraining(
        latent_dim=8, hidden=(256, 128), epochs=100, receiver_epochs=100, batch_size=64
    )
    assert chosen(large).hidden == (512, 256)
    assert chosen(large, epochs=7, latent_dim=3).model_dump(include={"epochs", "receiver_epochs", "latent_dim"}) == {
        "epochs": 7, "receiver_epochs": 7, "latent_dim": 3,
    }  # fmt: skip


def test_data_that_is_no_split_is_refused(file: Path):
    with pytest.raises(UsageError, match="only digits is built in"):
        read_split("mine", None)
    with pytest.raises(UsageError, match="expected an .npz file"):
        read_split("mine", file.with_suffix(".h5"))
    np.savez(file, sender=np.zeros((3, 2)))
    with pytest.raises(SourceError, match="no array called 'sender_held_out'"):
        read_split("mine", file)
    names = ("sender", "sender_held_out", "receiver", "receiver_held_out")
    np.savez(file, **{name: np.zeros((3, 2 + (name == "receiver"))) for name in names})
    with pytest.raises(IncompatibleError, match="different shapes"):
        read_split("mine", file)


def test_settings_are_read_from_toml_and_every_wrong_one_is_named(tmp_path: Path):
    path = tmp_path / "study.toml"
    path.write_text('cells = [{origin = "decoded", points = 64, draw = "jitter"}]\n[data.mine]\nhidden = [8, 4]\n')
    assert read_settings(path) == StudySettings(
        cells=(StudyCell(origin="decoded", points=64, draw="jitter"),), data={"mine": StudyTraining(hidden=(8, 4))}
    )

    path.write_text('replicates = 0\ncells = [{origin = "invented"}]\n')
    with pytest.raises(UsageError, match=r"(?s)replicates.*cells\.0\.origin"):
        read_settings(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "mnist", "finches"])
def test_many_points_that_are_no_data_beat_few_that_are_and_all_beat_none(name: str, tmp_path: Path):
    # 64 of the few items here would be a fifth of them, as no sender's 64 are: 16 are held against 1,024
    report = study_origins(
        tmp_path / "study", data={name: None if name == "digits" else DATA / f"{name}.npz"}, quick=True
    )

    missed = {row.name: row.fvu.median for row in report.rows if row.fvu}
    assert max(missed["mixed-1024"], missed["moments-1024"]) < missed["observed-16"]
    assert all(missed["none"] > 4 * value for cell, value in missed.items() if cell != "none")
    nearest = {row.name: row.nearest_ratio_min for row in report.rows}
    assert nearest["observed-64"] == 0
    assert min(nearest["decoded-1024"], nearest["moments-1024"]) > 0.1
