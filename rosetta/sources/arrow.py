"""Arrow's own files, .arrow and .feather, and how rows are read of any table that Arrow can read."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import MissingExtraError, SourceError
from rosetta.sources import Rows, SourceKind, gone, sources
from rosetta.sources.tables import Column, choose_columns, common_dtype, texts

NUMBERS_A_PIECE = 1 << 22  # that are converted at once where a file is mapped
WORDS = {
    "string": "text", "large_string": "text", "dictionary": "categories", "date": "dates", "timestamp": "dates",
    "time": "times of day", "duration": "durations", "null": "nothing but empty cells", "binary": "bytes",
    "large_binary": "bytes", "list": "lists", "large_list": "lists", "fixed_size_list": "lists", "struct": "records",
}  # fmt: skip


class Table(NamedTuple):
    """A table that is read in pieces of some rows."""

    path: Path
    schema: Any  # pyarrow.Schema
    lengths: list[int]  # rows of each piece
    load: Callable[[int, tuple[str, ...]], Any]  # a piece's number, and names of columns: at least these, of its rows
    close: Callable[[], object]


def rows(path: Path, name: str | None, skip_bad: bool = False) -> Rows:
    """Open Arrow's IPC format, that of files (Feather) or that of streams; `name` says which columns are features."""
    require_pyarrow("reading Arrow files")
    with errors_of(path, "an Arrow file"):
        with path.open("rb") as file:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return table_rows(mapped_table(path, memory), name)


def require_pyarrow(purpose: str) -> Any:
    """Return the module pyarrow, or raise MissingExtraError."""
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise MissingExtraError("parquet", "pyarrow", purpose) from error
    return pyarrow


@contextmanager
def errors_of(path: Path, kind: str) -> Iterator[None]:
    """Make one SourceError of whatever pyarrow says."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SourceError(f"{path} could not be read as {kind} ({error})") from error


def mapped_table(path: Path, memory: mmap.mmap) -> Table:
    """Return the table in a mapped file; where it is not compressed, only what is looked at is read."""
    import pyarrow as pa

    n_bytes, buffer = len(memory), pa.py_buffer(memory)
    if memory[:6] != b"ARROW1":
        stream = pa.ipc.open_stream(buffer)
        schema, held, compressed = stream.schema, list(stream), []
    else:
        file = pa.ipc.open_file(buffer)
        schema, held, compressed = file.schema, [], list(range(file.num_record_batches))
        if compressed and _lies_in(buffer, file.get_batch(0)):
            held, compressed = [file.get_batch(number) for number in compressed], []

    @lru_cache(maxsize=2)
    def only(names: tuple[str, ...]) -> Callable[[int], Any]:
        wanted = set(names)
        numbers = [number for number, field in enumerate(schema) if field.name in wanted]
        options = pa.ipc.IpcReadOptions(included_fields=numbers)
        return pa.ipc.open_file(buffer, options=options).get_batch  # type: ignore[no-any-return]

    def load(piece: int, names: tuple[str, ...]) -> Any:
        if memory.size() < n_bytes:  # to look at what is no longer there would end the process
            raise OSError("it is shorter than it was")
        number, start, length = places[piece]
        return (held[number].select(list(names)) if held else only(names)(number)).slice(start, length)

    step = max(NUMBERS_A_PIECE // max(len(schema), 1), 1)
    places = [(n, start, min(step, len(b) - start)) for n, b in enumerate(held) for start in range(0, len(b), step)]
    if compressed:
        get = only((min(schema, key=lambda field: _dtype(field.type) is None).name,))  # the first of numbers, if any is
        places = [(number, 0, len(get(number))) for number in compressed]
    return Table(path, schema, [length for _, _, length in places], load, only.cache_clear)


def table_rows(table: Table, choice: str | None, holds: Mapping[str, str] | None = None) -> Rows:
    """Return the rows of a table of which `choice` says what columns are features, as in `choose_columns`.

    Parameters
    ----------
    holds : mapping of str to str, optional
        More words on what a column holds, where it holds no numbers.

    Raises
    ------
    SourceError
        As `choose_columns`, and if there are no rows.
    """
    every = _columns(table.schema, holds or {})
    chosen, not_numbers = choose_columns(every, choice, where=str(table.path))
    starts = np.cumsum([0, *table.lengths])
    if not starts[-1]:
        raise SourceError(f"{table.path} has columns, but no rows")
    names = tuple(column.name for column in chosen)
    wanted = set(names)
    unsure = tuple(field.name for field in table.schema if field.nullable and field.name in wanted)
    dtype = common_dtype(chosen, lambda: _has_missing(table, unsure, starts))

    @lru_cache(maxsize=1)  # small reads one after the other decode a piece once
    def block(piece: int) -> Array:
        part = _loaded(table, piece, names, starts)
        numbers = np.empty((part.num_rows, len(names)), dtype)
        for number, name in enumerate(names):
            column = _numbers(part.column(name))
            if column.dtype.kind == "f" and dtype.kind != "f":
                raise gone(table.path, starts[piece], starts[piece + 1], why=f"values of {name!r} are missing")
            numbers[:, number] = column
        return numbers

    def read(start: int, stop: int) -> Array:
        found = np.empty((stop - start, len(names)), dtype)
        for piece in range(int(np.searchsorted(starts, start, "right")) - 1, int(np.searchsorted(starts, stop))):
            first, last = max(start, starts[piece]), min(stop, starts[piece + 1])
            found[first - start : last - start] = block(piece)[first - starts[piece] : last - starts[piece]]
        return found

    def close() -> None:
        block.cache_clear()
        table.close()

    columns = {column.name: lambda column=column: _values(table, column, starts) for column in every}
    shape = (int(starts[-1]), len(names))
    return Rows(shape, dtype, max(table.lengths), read, close, names, not_numbers, columns)


def _columns(schema: Any, holds: Mapping[str, str]) -> list[Column]:
    """Return what a table's columns hold; pandas writes the index of a frame among them."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    columns = []
    for field in schema:
        dtype, kind = _dtype(field.type), str(field.type)
        word = next((word for start, word in WORDS.items() if kind.startswith(start)), kind)
        columns.append(Column(field.name, dtype, "" if dtype else holds.get(field.name, word), field.name in index))
    return columns


def _dtype(kind: Any) -> np.dtype[Any] | None:
    import pyarrow.types as types

    if types.is_decimal(kind):
        return np.dtype(np.float64)
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    return np.dtype(kind.to_pandas_dtype()) if is_number else None


def _numbers(values: Any) -> Array:
    """Return a column's numbers, NaN where there is none."""
    import pyarrow as pa

    if pa.types.is_decimal(values.type) or (values.null_count and not pa.types.is_floating(values.type)):
        values = values.cast(pa.float64(), safe=False)
    return np.asarray(values.to_numpy(zero_copy_only=False)) if isinstance(values, pa.Array) else values.to_numpy()


def _has_missing(table: Table, names: tuple[str, ...], starts: Array) -> bool:
    """Return whether values are missing in any of these columns, which no integer can stand for."""
    parts = (_loaded(table, piece, names, starts) for piece in range(len(table.lengths) if names else 0))
    return any(part.column(name).null_count for part in parts for name in names)


def _values(table: Table, column: Column, starts: Array) -> Array:
    """Return all values of a column, shape (n_rows,)."""
    parts = [_loaded(table, p, (column.name,), starts).column(column.name) for p in range(len(table.lengths))]
    if column.dtype is not None:
        return np.concatenate([_numbers(part) for part in parts])
    values = ["" if value is None else str(value) for part in parts for value in part.to_pylist()]
    return texts(values, where=f"column {column.name!r} of {table.path}")


def _loaded(table: Table, piece: int, names: tuple[str, ...], starts: Array) -> Any:
    import pyarrow as pa

    start, stop = int(starts[piece]), int(starts[piece + 1])
    try:
        part = table.load(piece, names)
        part.validate(full=len(names) == 1)  # texts: that none begins or ends outside the file
    except (pa.ArrowException, OSError, ValueError) as error:
        raise gone(table.path, start, stop, why=str(error)) from error
    if part.num_rows != stop - start:
        raise gone(table.path, start, stop, why=f"there are {part.num_rows} of them")
    return part


def _lies_in(memory: Any, batch: Any) -> bool:
    """Return whether a batch is a view of the file, and no decompressed copy."""
    buffers = [each for column in batch.columns for each in column.buffers() if each is not None and each.size]
    return all(memory.address <= each.address < memory.address + memory.size for each in buffers)


for ending in (".arrow", ".feather"):
    sources.register(ending)(SourceKind(rows))
