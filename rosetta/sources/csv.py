"""Tables as text, .csv and .tsv: read twice, once for what the columns hold and once for their numbers.

Memory is bounded: what is read is kept as an Arrow file without a name in the system's temporary folder, which goes
when the rows are forgotten. Later changes of the text are not seen.
"""

from __future__ import annotations

import csv
import io
import json
import mmap
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from rosetta.errors import SourceError
from rosetta.sources import Rows, SourceKind, sources
from rosetta.sources.arrow import errors_of, mapped_table, require_pyarrow, table_rows
from rosetta.sources.tables import check_names, mixed

BLOCK = 1 << 24  # bytes of text at once, more than the longest line
SEPARATORS = {".csv": ",", ".tsv": "\t"}
DATES = "timestamp[us]"
FAMILIES = (("int64", "double"), ("bool",), (DATES,))  # what cells are tried as, the narrowest first
NUMBER = r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^-?(?i:nan|inf|infinity)$"


class _Cells:
    """What the cells of a column have turned out to hold so far."""

    def __init__(self) -> None:
        self.fitting: tuple[str, ...] = ()  # what all of them can be read as, the narrowest first
        self.n_values = self.n_strange = self.strange_row = 0
        self.strange = ""  # the first that is no number

    def see(self, cells: Any, first: int) -> None:
        """Look at further cells, of which the first stands in row `first`."""
        import pyarrow.compute as pc

        if cells.null_count == len(cells):
            return
        families = (self.fitting,) if self.n_values else FAMILIES
        self.fitting = next((left for family in families if (left := _fitting(cells, family))), ())
        self.n_values += len(cells) - cells.null_count
        if "double" not in self.fitting:
            odd = pc.fill_null(pc.invert(pc.match_substring_regex(cells, NUMBER)), False)
            if not self.n_strange and odd.true_count:
                row = pc.index(odd, True).as_py()
                self.strange, self.strange_row = cells[row].as_py(), first + row
            self.n_strange += odd.true_count

    @property
    def kind(self) -> str:
        """The type that the column is kept as; dates are kept as they are written."""
        return self.fitting[0] if self.fitting and self.fitting[0] != DATES else "string"

    @property
    def holds(self) -> str:
        """What it holds if it holds no numbers."""
        if not self.n_values:
            return "nothing but empty cells"
        if self.fitting:
            return "dates"
        return mixed(self.strange, self.strange_row) if 2 * self.n_strange < self.n_values else "text"


def rows(path: Path, name: str | None, skip_bad: bool = False) -> Rows:
    """Read a table with a line of names; `name` says which columns are features, as in `choose_columns`.

    Numbers are int64 if all are whole and none is missing, else float64. Only an empty cell is a missing number.
    """
    require_pyarrow("reading tables of text")
    with errors_of(path, "a table of text"):
        written = _header(path)
        names = _names(written)
        _check_header(path, names)
        seen = {each: _Cells() for each in names}
        n_rows = 0
        for batch in _batches(path, written):
            for each, column in zip(seen.values(), batch, strict=True):
                each.see(column, n_rows)
            n_rows += batch.num_rows
        if not n_rows:
            raise SourceError(f"{path} has a line of names, but no rows")
        memory = _converted(path, written, seen)
        return table_rows(mapped_table(path, memory), name, {each: cells.holds for each, cells in seen.items()})


def _header(path: Path) -> list[str]:
    """Return the names of the columns as they are written."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        written = next(csv.reader(io.StringIO(file.read(BLOCK)), delimiter=SEPARATORS[path.suffix.lower()]), [])
    if not written:
        raise SourceError(f"{path} is empty or begins with an empty line, but a table begins with names of columns")
    return written


def _names(written: list[str]) -> list[str]:
    """Return the names of the columns; the first has none where pandas or R wrote the names of rows there."""
    names = [name.strip() for name in written]
    return [names[0] or next(n for n in ("index", "row", "row name") if n not in names), *names[1:]]


def _check_header(path: Path, names: list[str]) -> None:
    try:
        numbers = [float(name) for name in names]
    except ValueError:
        numbers = []
    if numbers and not all(a < b for a, b in pairwise(numbers)):  # wavelengths, or 0 to 783, are names
        raise SourceError(
            f"{path} begins with a line of numbers, but the names of columns stand there: add such a line"
        )
    others = [mark for mark in (";", "\t", ",", "|") if mark in names[0]]
    if len(names) == 1 and others:
        said = f"the first line of {path} is one name, {names[0][:60]!r}"
        raise SourceError(f"{said}: separate columns by commas in .csv, by tabs in .tsv, and not by {others[0]!r}")
    check_names(names, where=str(path))


def _batches(path: Path, written: list[str]) -> Iterator[Any]:
    """Yield the cells of some rows after the other, as lists of columns without spaces around the text."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    types = pa.schema([(name, pa.string()) for name in written])
    with pa_csv.open_csv(
        str(path),
        read_options=pa_csv.ReadOptions(block_size=BLOCK),
        parse_options=pa_csv.ParseOptions(
            delimiter=SEPARATORS[path.suffix.lower()],
            newlines_in_values=True,
            ignore_empty_lines=len(written) > 1,  # in a table of one column it is a missing number
        ),
        convert_options=pa_csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True),
    ) as reader:
        if reader.schema.names != written:
            raise SourceError(f"{path} does not begin with its line of names: remove what stands before it")
        for batch in reader:
            yield pa.RecordBatch.from_arrays([_trimmed(column) for column in batch.columns], types.names)


def _trimmed(cells: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def _fitting(cells: Any, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Return `kinds` from the first on that all cells can be read as; what can be an integer can be any number."""
    import pyarrow as pa

    for number, kind in enumerate(kinds):
        with suppress(pa.ArrowInvalid):
            for some in (cells[:16], cells):  # most of what fails does so early, and all failures of a block take long
                some.cast(kind)
            return kinds[number:]
    return ()


def _converted(path: Path, written: list[str], seen: Mapping[str, _Cells]) -> mmap.mmap:
    """Return the table as an Arrow file that nobody else can open."""
    import pyarrow as pa

    kinds = [cells.kind for cells in seen.values()]
    index = [name for name, as_written in zip(seen, written, strict=True) if not as_written.strip()]
    about = {"pandas": json.dumps({"index_columns": index})}  # as pandas says it in files of its own
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in zip(seen, kinds, strict=True)], about)
    try:
        with tempfile.TemporaryFile() as file:
            with pa.ipc.new_file(file, schema) as writer:
                for batch in _batches(path, written):
                    columns = [cells.cast(kind) for cells, kind in zip(batch, kinds, strict=True)]
                    writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            file.flush()
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except pa.ArrowInvalid as error:
        raise SourceError(f"{path} changed while it was read ({error}): repeat the command") from error
    except OSError as error:
        said = f"the numbers of {path} could not be kept in the temporary folder {tempfile.gettempdir()} ({error})"
        raise SourceError(f"{said}: set TMPDIR to a folder that has room for them") from error


for ending in SEPARATORS:
    sources.register(ending)(SourceKind(rows))
