"""Parquet: columns by name, read by row groups, and only those that are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rosetta.sources import Rows, SourceKind, sources
from rosetta.sources.arrow import Table, errors_of, require_pyarrow, table_rows


def rows(path: Path, name: str | None, skip_bad: bool = False) -> Rows:
    """Open a Parquet file; `name` says which columns are features, as in `choose_columns`."""
    require_pyarrow("reading Parquet files")
    import pyarrow as pa
    import pyarrow.parquet as pq

    with errors_of(path, "Parquet"):
        # not mapped: where a mapped file is cut short, the system ends the process
        file = pq.ParquetFile(pa.OSFile(str(path)))
        # the statistics of columns are not asked: for some damaged files Arrow then ends the process
        lengths = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]

        def load(piece: int, names: tuple[str, ...]) -> Any:
            return file.read_row_group(piece, columns=list(names), use_pandas_metadata=False)

        table = Table(path, file.schema_arrow, lengths, load, file.close)
        return table_rows(table, name)


sources.register(".parquet")(SourceKind(rows))
