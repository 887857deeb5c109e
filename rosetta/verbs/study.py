"""Where the points of a bundle should come from: every origin tried on the items of two labs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from statistics import fmean

import torch

from rosetta.arrays import resolve_device
from rosetta.charts.origins import OriginPanel, Reached, origins_chart
from rosetta.charts.paper import pyplot
from rosetta.errors import UsageError
from rosetta.files import write_small
from rosetta.schemas.study import NAME, CellResult, StudyCell, StudyReport, StudySettings, StudyTraining
from rosetta.studies.cells import BASELINE, YARDSTICK, default_cells, name_of, quick_cells
from rosetta.studies.folders import StudyWorkspace, check_folder, discard, open_bench, read_results, write_document
from rosetta.studies.rows import SHARE_OF_YARDSTICK, rows_of
from rosetta.studies.running import Commands, run_cell, train_sender
from rosetta.studies.splits import BUILT_IN, QUICK, describe, first_of, read_split
from rosetta.studies.table import as_csv, as_markdown
from rosetta.training.saving import Interrupted
from rosetta.verbs.distill import distill
from rosetta.verbs.train import train

COMMANDS = Commands(train, distill)
REPLICATES, QUICK_REPLICATES = 10, 2
TABLE, MARKDOWN, PICTURE = "table.csv", "table.md", "origins.png"


@dataclass(frozen=True)
class CellProgress:
    """Where a study stands."""

    number: int  # of the cell that begins, from 1 on; cells that were done before count
    n_cells: int
    data: str
    cell: str
    seconds_left: float | None  # None before there is anything to tell by


def study_origins(
    output: str | PathLike[str],
    *,
    data: Mapping[str, str | PathLike[str] | None] | None = None,
    settings: StudySettings | None = None,
    replicates: int | None = None,
    quick: bool = False,
    keep: bool = False,
    device: str = "auto",
    on_progress: Callable[[CellProgress], None] = lambda progress: None,
) -> StudyReport:
    """Distil bundles of every origin from a sender's model, train receivers on each, and measure what they reach.

    Parameters
    ----------
    output : path
        The folder to work in. What an earlier call with the same data and settings has done there is not repeated.
    data : mapping of str to path or None, optional
        Names, and .npz files with the arrays ``sender``, ``sender_held_out``, ``receiver``, ``receiver_held_out``,
        each of shape (n_items, …), and perhaps ``public``, items that are nobody's secret. ``digits`` with None is
        built in, and all there is by default.
    settings : StudySettings, optional
        Cells, trainings and replicates; by default all cells, and trainings that suit the size of the data.
    replicates : int, optional
        Receivers of each cell, which differ by seed alone; by default the settings', or 10.
    quick : bool
        Few items, epochs, cells and replicates, unless the settings say otherwise: a first look.
    keep : bool
        Keep the receivers' runs and the bundles, which are large.
    on_progress : callable
        Called before each cell.

    Returns
    -------
    StudyReport
        With a row for each cell, in the units of `rosetta.schemas.study.CellResult`.

    Raises
    ------
    RosettaError
        For data or settings that cannot be used, and where another process is at the same data in the same folder.
    KeyboardInterrupt
        With what was done kept in the folder.

    Notes
    -----
    Processes can share the folder, each with other data; called once more with all of it, the study has one table.
    """
    given = settings or StudySettings()
    named = dict(data or {BUILT_IN: None})
    if unknown := sorted(given.data.keys() - named.keys()):
        raise UsageError(f"the settings are for data called {', '.join(unknown)}, but there is {', '.join(named)}")
    for name in named:
        if not re.fullmatch(NAME, name):
            raise UsageError(
                f"`data={name!r}`: expected NAME=FILE.npz, with a name of letters, digits, - and _, such as mine={name}"
            )
    pyplot()  # say now, not after hours, that matplotlib is missing
    where = resolve_device(device)
    cells = given.cells or (quick_cells() if quick else default_cells())
    n_receivers = replicates or given.replicates or (QUICK_REPLICATES if quick else REPLICATES)
    splits = {name: read_split(name, path) for name, path in named.items()}
    if quick:
        splits = {name: first_of(split) for name, split in splits.items()}
    folder = Path(output)
    check_folder(folder)
    with ExitStack() as stack:
        benches = []
        for name, split in splits.items():
            training = given.data.get(name, QUICK if quick else StudyTraining())
            data_of = describe(name, split, training, replicates=n_receivers)
            benches.append(stack.enter_context(open_bench(folder / name, data_of, split)))
        try:
            _run_all(benches, cells, folder, keep=keep, device=where, on_progress=on_progress)
        except KeyboardInterrupt as error:
            message = f"stopped; what is done is kept in {folder}, and the same command goes on from there"
            raise _said(error, message) from error
        finally:
            report = _conclude(benches, cells, folder)
            _draw(report, folder)
    return report


def _run_all(
    benches: Sequence[StudyWorkspace],
    cells: tuple[StudyCell, ...],
    folder: Path,
    *,
    keep: bool,
    device: torch.device,
    on_progress: Callable[[CellProgress], None],
) -> None:
    """Do every cell that is not done, each for all data sets before the next."""
    plan = [(bench, cell) for cell in cells for bench in benches if _applies(cell, bench)]
    done = {(bench.data.name, result.cell): result for bench in benches for result in read_results(bench, cells)}
    for number, (bench, cell) in enumerate(plan):
        if (bench.data.name, cell) in done:
            continue
        waiting = [each for each in plan[number:] if (each[0].data.name, each[1]) not in done]
        seconds_left = _seconds_left(waiting, done)
        on_progress(CellProgress(number + 1, len(plan), bench.data.name, name_of(cell), seconds_left))
        train_sender(bench, COMMANDS, device=device.type)
        result = run_cell(bench, cell, COMMANDS, device=device)
        write_document(bench.result(cell), result)
        done[bench.data.name, cell] = result
        if not keep:
            discard(bench, cell, waiting=[each for owner, each in waiting[1:] if owner is bench])
        _conclude(benches, cells, folder)


def _applies(cell: StudyCell, bench: StudyWorkspace) -> bool:
    return cell.origin != "public" or bench.split.public is not None


def _seconds_left(
    waiting: Sequence[tuple[StudyWorkspace, StudyCell]], done: Mapping[tuple[str, StudyCell], CellResult]
) -> float | None:
    """Return what the waiting cells take, if they take what those of their data took on average."""
    spent: dict[str, list[float]] = {}
    for (name, _), result in done.items():
        spent.setdefault(name, []).append(result.elapsed_s)
    everywhere = [each for values in spent.values() for each in values]
    return sum(fmean(spent.get(bench.data.name, everywhere)) for bench, _ in waiting) if everywhere else None


def _conclude(benches: Sequence[StudyWorkspace], cells: tuple[StudyCell, ...], folder: Path) -> StudyReport:
    """Write the tables of what is done."""
    data = tuple(bench.data for bench in benches)
    rows = tuple(row for bench in benches for row in rows_of(bench.data.name, read_results(bench, cells)))
    write_small(folder / TABLE, as_csv(rows).encode())
    write_small(folder / MARKDOWN, as_markdown(data, rows).encode())
    return StudyReport(
        folder=str(folder),
        n_cells=sum(_applies(cell, bench) for cell in cells for bench in benches),
        data=data,
        rows=rows,
        table=str(folder / MARKDOWN),
        picture=str(folder / PICTURE),
    )


def _draw(report: StudyReport, folder: Path) -> None:
    """Draw the cells in their origin's usual way."""
    panels = []
    for data in report.data:
        mine = {row.name: row for row in report.rows if row.data == data.name and row.fvu is not None}
        lines: dict[str, list[Reached]] = {}
        for row in mine.values():
            usual = StudyCell(origin=row.cell.origin, points=row.cell.points, residuals=row.cell.residuals)
            if row.cell == usual and row.fvu is not None and row.cell.points:
                over, line = row.fvu, row.cell.origin + " with residuals" * row.cell.residuals
                lines.setdefault(line, []).append(Reached(row.cell.points, over.median, over.low, over.high))
        without, yardstick = (
            mine[name].fvu if (name := name_of(cell)) in mine else None for cell in (BASELINE, YARDSTICK)
        )
        target = None if yardstick is None else SHARE_OF_YARDSTICK * yardstick.median
        panels.append(OriginPanel(data.name, lines, None if without is None else without.median, target))
    origins_chart(panels, folder / PICTURE, force=True)


def _said(error: KeyboardInterrupt, message: str) -> KeyboardInterrupt:
    """Return the interruption with words of ours, and the exit code of its signal."""
    return Interrupted(getattr(error, "exit_code", 130) - 128, message)
