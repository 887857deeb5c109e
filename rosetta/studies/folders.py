"""What a study keeps on disk, each part whole or absent: models, bundles with their figures, and cells."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from rosetta.errors import OutputError, SourceError
from rosetta.files import check_output, held_folder, read_small, remove, write_small
from rosetta.models.checkpoint import make_run_folder
from rosetta.schemas.record import Record
from rosetta.schemas.study import CellResult, StudyCell, StudyData
from rosetta.studies.cells import bundle_name, name_of
from rosetta.studies.splits import Split

DATA = "data.json"
LARGEST_DOCUMENT = 1 << 24

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class StudyWorkspace:
    """One data set of a study, and its folder."""

    folder: Path
    data: StudyData
    split: Split

    @property
    def sender(self) -> Path:
        """The sender's run folder."""
        return self.folder / "sender"

    def bundle(self, cell: StudyCell) -> Path:
        """Where the bundle of a cell is written; its figures stand beside it."""
        return self.folder / "bundles" / f"{bundle_name(cell)}.h5"

    def receivers(self, cell: StudyCell) -> Path:
        """Where the receivers of a cell are trained."""
        return self.folder / "receivers" / name_of(cell)

    def result(self, cell: StudyCell) -> Path:
        """What was measured of a cell."""
        return self.folder / "cells" / f"{name_of(cell)}.json"


def check_folder(folder: Path) -> None:
    """Make the folder of a study, or refuse one that holds something else, with OutputError."""
    is_ours = folder.is_dir() and (any(folder.glob(f"*/{DATA}")) or not any(folder.iterdir()))
    if folder.is_dir() and not is_ours:
        raise OutputError(f"{folder} is there already and holds no study: choose another -o")
    if folder.exists() and not is_ours:
        raise OutputError(f"{folder} is there already and is no folder of a study: choose another -o")
    if not is_ours:
        check_output(folder, force=False)
    make_run_folder(folder)


@contextmanager
def open_bench(folder: Path, data: StudyData, split: Split) -> Iterator[StudyWorkspace]:
    """Make a data set's folders, or go on with those that are there, with no other process at them.

    Raises
    ------
    OutputError
        If another process is, or if they are of a study with other items or settings.
    """
    bench = StudyWorkspace(folder, data, split)
    with held_folder(folder, folder):
        before = read_document(folder / DATA, StudyData)
        if before is None:
            write_document(folder / DATA, data)
        elif before != data:
            changed = [name for name in StudyData.model_fields if getattr(before, name) != getattr(data, name)]
            words = ", ".join("items" if name == "sha256" else name for name in changed)
            raise OutputError(
                f"{folder} holds a study that differs in {words}: repeat the command that began it, or choose another "
                "-o"
            )
        for name in ("bundles", "receivers", "cells"):
            make_run_folder(folder / name)
        yield bench


def read_document(path: Path, kind: type[R]) -> R | None:
    """Return what is written at `path`, or None if nothing is.

    Raises
    ------
    SourceError
        If it is something else.
    """
    try:
        return kind.model_validate_json(read_small(path, limit=LARGEST_DOCUMENT, what="a document of a study"))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise SourceError(f"{path} is damaged: {where}: {first['msg']}; remove it to have it made anew") from error


def write_document(path: Path, record: Record) -> None:
    """Write a document, whole or not at all."""
    write_small(path, record.model_dump_json(indent=2).encode() + b"\n")


def read_results(bench: StudyWorkspace, cells: tuple[StudyCell, ...]) -> list[CellResult]:
    """Return what was measured so far, in the order of the cells."""
    found = (read_document(bench.result(cell), CellResult) for cell in cells)
    return [result for result in found if result is not None]


def discard(bench: StudyWorkspace, cell: StudyCell, *, waiting: list[StudyCell]) -> None:
    """Remove the receivers of a cell, and its bundle unless a cell that waits needs it."""
    shutil.rmtree(bench.receivers(cell), ignore_errors=True)
    if bundle_name(cell) not in {bundle_name(each) for each in waiting}:
        remove(bench.bundle(cell))
        remove(figures_of(bench.bundle(cell)))


def figures_of(bundle: Path) -> Path:
    """Return where a bundle's figures stand: they say that it is whole."""
    return bundle.with_suffix(".json")
