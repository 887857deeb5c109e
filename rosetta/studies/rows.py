"""From what was measured to the rows of the table, and whether a cell meets the target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rosetta.schemas.study import CellResult, Over, StudyRow
from rosetta.studies.cells import BASELINE, YARDSTICK, name_of

SHARE_OF_YARDSTICK = 0.1  # of the fvu of 64 observed points
COST = 0.05  # in the receiver's reconstruction
TARGET = (
    "no private item in the file, at most a tenth of the fvu of 64 observed points, "
    "at a cost of at most 5 % in the receiver's reconstruction"
)


def rows_of(data: str, results: Sequence[CellResult]) -> list[StudyRow]:
    """Return the rows of one data set, those of an origin together, as its cells were measured.

    The target is met by a cell whose audit finds no item, copied or close (its verdict is ``no item found``), and
    whose medians hold the two bounds.
    """
    found = {name_of(result.cell): result for result in results}
    without = _over(found[name].reconstruction) if (name := name_of(BASELINE)) in found else None
    yardstick = _over(found[name].fvu) if (name := name_of(YARDSTICK)) in found else None
    ordered = sorted(results, key=lambda result: _place(result, results))
    return [_row(data, result, without, yardstick) for result in ordered]


def _place(result: CellResult, results: Sequence[CellResult]) -> tuple[int, str, int, int, float, float, int]:
    """Sort by origin in the order of the cells, then by what is unusual, then by number."""
    cell = result.cell
    origins = [each.cell.origin for each in results]
    way = "residuals" * cell.residuals + (cell.draw or "")
    dials = cell.tolerance, cell.decoder_weight, cell.free_dims
    return origins.index(cell.origin), way, cell.mix or 0, cell.points, *dials


def _row(data: str, result: CellResult, without: Over | None, yardstick: Over | None) -> StudyRow:
    fvu, reconstruction = _over(result.fvu), _over(result.reconstruction)
    points = result.audit.origins if result.audit else ()
    change = reconstruction.median / without.median - 1 if reconstruction and without and without.median > 0 else None
    row = StudyRow(
        data=data,
        name=name_of(result.cell),
        cell=result.cell,
        n_replicates=len(result.fvu),
        impossible=result.impossible,
        fvu=fvu,
        fvu_mapped=_over(result.fvu_mapped),
        reconstruction=reconstruction,
        change=change,
        sender_reconstruction=_over(result.sender_reconstruction),
        nearest_ratio_min=min((each.nearest_ratio_min for each in points), default=None),
        nearest_ratio_median=min((each.nearest_ratio_median for each in points), default=None),
        verdict=points[0].verdict if points else None,
        members=points[0].members if points else None,
        n_bytes=result.n_bytes,
    )
    return row.model_copy(update={"is_target_met": _is_target_met(row, yardstick)})


def _is_target_met(row: StudyRow, yardstick: Over | None) -> bool | None:
    if row.fvu is None or row.verdict is None or row.change is None or yardstick is None:
        return None
    is_close = row.fvu.median <= SHARE_OF_YARDSTICK * yardstick.median
    return row.verdict == "no item found" and is_close and row.change <= COST


def _over(values: Sequence[float]) -> Over | None:
    if not values:
        return None
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return Over(median=median, low=low, high=high)
