"""The cells of the study of origins, and their order: the most telling first, since a run may end at any time."""

from __future__ import annotations

from itertools import product
from typing import Any

from rosetta.schemas.study import StudyCell

NUMBERS = (16, 64, 256, 512, 1024, 4096, 8192)
ORIGINS: tuple[Any, ...] = ("decoded", "averaged", "mixed", "observed", "moments", "public")
BASELINE = StudyCell(origin="none")
YARDSTICK = StudyCell(origin="observed", points=64)  # the paper's points: the target is a tenth of their error


def default_cells() -> tuple[StudyCell, ...]:
    """Return every origin's usual way at every number, and a few cells of other draws, tolerances and weights."""
    telling = (
        BASELINE,
        YARDSTICK,
        _cell("decoded", 4096, residuals=True),
        _cell("decoded", 4096),
        _cell("decoded", 4096, residuals=True, free_dims=8),
        _cell("decoded", 8192, residuals=True, tolerance=0.02, free_dims=8),
        _cell("averaged", 64),
        _cell("mixed", 4096),
        _cell("moments", 4096),
        _cell("decoded", 1024, residuals=True),
        _cell("decoded", 8192, residuals=True),
        _cell("averaged", 256),
        _cell("decoded", 4096, residuals=True, tolerance=0.05),
        _cell("decoded", 4096, residuals=True, tolerance=0.1),
        _cell("decoded", 4096, residuals=True, decoder_weight=0.3),
        _cell("decoded", 256, residuals=True),
        _cell("decoded", 1024),
        _cell("mixed", 1024),
        _cell("moments", 1024),
        _cell("public", 1024),
        _cell("decoded", 4096, residuals=True, tolerance=0.05, free_dims=8),
        *(_cell("decoded", 1024, draw=draw, residuals=True) for draw in ("mixture", "jitter", "centroids", "boundary")),
        _cell("mixed", 4096, mix=10),
        _cell("mixed", 1024, mix=2),
        _cell("mixed", 4096, mix=2),
        _cell("decoded", 64, residuals=True),
        _cell("decoded", 512, residuals=True),
    )
    grid = (_cell(origin, number) for number, origin in product((256, 4096, 512, 1024, 64, 16, 8192), ORIGINS))
    return tuple(dict.fromkeys((*telling, *grid)))


def quick_cells() -> tuple[StudyCell, ...]:
    """Return a handful, for a first look and for tests."""
    few = _cell("observed", 16)
    return (BASELINE, YARDSTICK, few, *(_cell(origin, 1024) for origin in ("decoded", "mixed", "moments")))


def name_of(cell: StudyCell) -> str:
    """Return the cell's name, which its files bear: what is as usual goes without saying."""
    parts = [bundle_name(cell)]
    if cell.tolerance != BASELINE.tolerance:
        parts.append(f"tolerance-{cell.tolerance:g}")
    if cell.decoder_weight:
        parts.append(f"decoder-{cell.decoder_weight:g}")
    if cell.free_dims:
        parts.append(f"free-{cell.free_dims}")
    return "-".join(parts)


def bundle_name(cell: StudyCell) -> str:
    """Return the name of the cell's bundle, which it may share with others."""
    if cell.origin == "none":
        return "none"
    ways = [
        *([cell.draw] if cell.draw else []),
        *(["residuals"] if cell.residuals else []),
        *([f"of-{cell.mix}"] if cell.mix else []),
    ]
    return "-".join([cell.origin, *ways, str(cell.points)])


def points_of(cell: StudyCell) -> dict[str, Any]:
    """Return the cell's points as settings of a distillation; no check pairs, which would be points as well."""
    ways = {
        "draw": cell.draw, "mix": cell.mix, "residuals": cell.residuals if cell.origin == "decoded" else None,
        "privacy": "open" if cell.origin == "mixed" or cell.draw == "jitter" else None,  # these tell of single items
    }  # fmt: skip
    return {"origin": cell.origin, "pairs": cell.points, "checks": 0} | {k: v for k, v in ways.items() if v is not None}


def _cell(origin: Any, points: int, **changed: Any) -> StudyCell:
    return StudyCell(origin=origin, points=points, **changed)
