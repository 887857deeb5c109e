"""Tables give the same rows and columns whatever kind of file they are in, and as a pandas frame in memory."""

from __future__ import annotations

import gc
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from rosetta.errors import SourceError
from rosetta.sources import Rows, sources
from rosetta.sources.tables import frame_rows

KINDS = (".csv", ".tsv", ".parquet", ".arrow", ".feather", "frame")
N_ROWS = 40
RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "height": RANDOM.normal(size=N_ROWS),
        "species": ["setosa", "virginica"] * (N_ROWS // 2),
        "count": RANDOM.integers(-9, 300, size=N_ROWS),
        "is_wild": RANDOM.random(N_ROWS) < 0.5,
        "dots.and, commas": RANDOM.normal(size=N_ROWS),
    }
)


def _open(folder: Path, kind: str, frame: pd.DataFrame = FRAME, choice: str | None = None, n_together: int = 7) -> Rows:
    if kind == "frame":
        return frame_rows(frame, choice)
    path = folder / f"table{kind}"
    if kind in (".csv", ".tsv"):
        frame.to_csv(path, index=False, sep="\t" if kind == ".tsv" else ",")
    else:
        _write(path, pa.Table.from_pandas(frame), n_together)
    return sources.get(kind).open(path, choice, False)


def _write(path: Path, table: pa.Table, n_together: int = 7) -> None:
    if path.suffix == ".parquet":
        pa_parquet.write_table(table, path, row_group_size=n_together)
        return
    options = pa.ipc.IpcWriteOptions(compression="zstd" if path.suffix == ".feather" else None)
    with pa.ipc.new_file(str(path), table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=n_together)


def _text(folder: Path, text: str, choice: str | None = None, ending: str = ".csv") -> Rows:
    path = folder / f"table{ending}"
    path.write_text(text, encoding="utf-8", newline="")
    return sources.get(ending).open(path, choice, False)


@pytest.mark.parametrize("kind", KINDS)
def test_numeric_columns_are_features_and_the_others_are_told(tmp_path: Path, kind: str):
    rows = _open(tmp_path, kind)
    features = ["height", "count", "is_wild", "dots.and, commas"]

    assert rows.features == tuple(features)
    assert rows.not_numbers == {"species": "text"}
    assert (rows.shape, rows.dtype) == ((N_ROWS, 4), np.float64)
    for start, stop in ((0, N_ROWS), (5, 9), (6, 7), (33, N_ROWS), (3, 3)):
        assert rows.read(start, stop).tolist() == FRAME[features].iloc[start:stop].astype(float).to_numpy().tolist()
    rows.close()


@pytest.mark.parametrize("kind", KINDS)
def test_every_column_can_tell_rows_apart(tmp_path: Path, kind: str):
    rows = _open(tmp_path, kind, choice="count")

    assert {name: values().tolist() for name, values in rows.columns.items()} == FRAME.to_dict("list")
    assert rows.columns["species"]().dtype.kind == "U"
    assert rows.columns["is_wild"]().dtype == bool


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_chosen_by_name_and_in_order_or_chosen_away(tmp_path: Path, kind: str):
    named = _open(tmp_path, kind, choice='"dots.and, commas",height')
    without = _open(tmp_path, kind, choice="!species,height")

    assert (named.features, named.not_numbers) == (("dots.and, commas", "height"), {})
    assert (named.read(8, 30) == FRAME[["dots.and, commas", "height"]].to_numpy()[8:30]).all()
    assert (without.features, without.not_numbers) == (("count", "is_wild", "dots.and, commas"), {})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("hieght,count", "has no column called 'hieght'; it has 5 columns. Did you mean 'height'?"),
        ("!spices", "has no column called 'spices'.* Did you mean 'species'?"),
        ("count,count", "column 'count' .* is named twice"),
        ("height,species", "column 'species' .* holds text, but features are numbers"),
        ('!height,count,is_wild,"dots.and, commas"', "has no column of numbers .*'species' holds text"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(tmp_path: Path, kind: str, choice: str, message: str):
    with pytest.raises(SourceError, match=message):
        _open(tmp_path, kind, choice=choice)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_keep_their_type_where_none_is_missing(tmp_path: Path, kind: str):
    whole = pd.DataFrame({"a": np.array([1, 2, 3], np.int64), "b": np.array([4, 5, 2**60 + 1], np.int64)})

    rows = _open(tmp_path, kind, whole)

    assert rows.dtype == np.int64
    assert rows.read(0, 3).tolist() == whole.to_numpy().tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_missing_values_are_nan_among_numbers_and_nothing_among_texts(tmp_path: Path, kind: str):
    holes = pd.DataFrame(
        {
            "count": pd.array([1, None, 3] * 7, dtype="Int64"),
            "size": [0.5, 1.5, None] * 7,
            "flag": pd.array([None, True, False] * 7, dtype="boolean"),
            "name": ["x", None, "z"] * 7,
        }
    )

    rows = _open(tmp_path, kind, holes)
    block = rows.read(0, 21)

    assert block.dtype == rows.dtype == np.float64
    assert np.isnan(block).tolist() == holes[["count", "size", "flag"]].isna().to_numpy().tolist()
    assert np.nan_to_num(block[:3]).tolist() == [[1, 0.5, 0], [0, 1.5, 1], [3, 0, 0]]
    assert rows.columns["name"]()[:3].tolist() == ["x", "", "z"]
    assert np.array_equal(rows.columns["count"]()[:3], [1, np.nan, 3], equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_column_holds_instead_of_numbers_is_said(tmp_path: Path, kind: str):
    frame = pd.DataFrame({"x": [1.0, 2.0], "when": pd.to_datetime(["2020-01-01", "2021-02-03"]), "none": [None, None]})

    rows = _open(tmp_path, kind, frame)

    assert rows.not_numbers == {"when": "dates", "none": "nothing but empty cells"}
    assert [when[:10] for when in rows.columns["when"]().tolist()] == ["2020-01-01", "2021-02-03"]
    assert rows.columns["none"]().tolist() == ["", ""]


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_without_rows_is_refused(tmp_path: Path, kind: str):
    with pytest.raises(SourceError, match="but no rows"):
        _open(tmp_path, kind, FRAME.iloc[:0])


@pytest.mark.parametrize("kind", [".csv", ".parquet", ".arrow"])
def test_a_second_column_of_the_same_name_is_refused(tmp_path: Path, kind: str):
    path = tmp_path / f"table{kind}"
    path.write_text("a,b,a\n1,2,3\n")
    if kind != ".csv":
        _write(path, pa.Table.from_arrays([pa.array([1, 2])] * 3, ["a", "b", "a"]))

    with pytest.raises(SourceError, match="has 1 column names more than once, the first is 'a'"):
        sources.get(kind).open(path, None, False)
    with pytest.raises(SourceError, match="the frame has 1 column names more than once"):
        frame_rows(pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]))


@pytest.mark.parametrize("kind", [".parquet", ".arrow", ".feather"])
def test_the_index_of_a_saved_frame_is_no_feature_unless_it_is_asked_for(tmp_path: Path, kind: str):
    named = FRAME.set_index(pd.Index(range(100, 100 + N_ROWS), name="patient"))
    path = tmp_path / f"table{kind}"
    _write(path, pa.Table.from_pandas(named, preserve_index=True))

    assert "patient" not in sources.get(kind).open(path, "!species", False).features
    assert sources.get(kind).open(path, "patient", False).read(0, 2).tolist() == [[100], [101]]


@pytest.mark.parametrize(("kind", "piece"), [(".parquet", 7), (".feather", 7), ("frame", 1)])
def test_the_rows_that_are_stored_together_are_known(tmp_path: Path, kind: str, piece: int):
    assert _open(tmp_path, kind).piece == piece


def test_rows_of_a_mapped_file_are_read_in_parts_of_its_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rosetta.sources.arrow.NUMBERS_A_PIECE", 4 * FRAME.shape[1])

    rows = _open(tmp_path, ".arrow", choice="height")

    assert rows.piece == 4
    assert all((rows.read(s, s + 9)[:, 0] == FRAME["height"][s : s + 9]).all() for s in range(N_ROWS - 9))


@pytest.mark.parametrize("compression", [None, "lz4"])
def test_streams_of_arrow_are_read_too(tmp_path: Path, compression: str | None):
    path = tmp_path / "stream.arrow"
    table = pa.Table.from_pandas(FRAME)
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(str(path), table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=9)

    rows = sources.get(".arrow").open(path, "height,count", False)

    assert (rows.read(5, 25) == FRAME[["height", "count"]].to_numpy()[5:25]).all()


@pytest.mark.parametrize("kind", [".csv", ".parquet", ".arrow", ".feather"])
def test_a_file_that_is_removed_goes_on_being_readable(tmp_path: Path, kind: str):
    rows = _open(tmp_path, kind, choice="height")
    (tmp_path / f"table{kind}").unlink()

    assert (rows.read(10, 20)[:, 0] == FRAME["height"][10:20]).all()


@pytest.mark.parametrize("kind", [".parquet", ".arrow", ".feather"])
def test_a_file_that_becomes_shorter_is_an_error_that_names_the_rows(tmp_path: Path, kind: str):
    frame = pd.DataFrame(RANDOM.normal(size=(9000, 12))).rename(columns=str)
    rows = _open(tmp_path, kind, frame, n_together=1000)
    os.truncate(tmp_path / f"table{kind}", 5000)

    with pytest.raises(SourceError, match="can no longer be read .*: the file changed while it was used"):
        rows.read(8000, 8003)


@pytest.mark.parametrize("kind", [".csv", ".parquet", ".arrow", ".feather"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00 nothing of the kind \x00", b"ARROW1\0\0\xff\xff", b"PAR1PAR1"])
def test_a_file_that_is_no_table_is_an_error(tmp_path: Path, kind: str, content: bytes):
    path = tmp_path / f"table{kind}"
    path.write_bytes(content)

    with pytest.raises(SourceError, match="table"):
        sources.get(kind).open(path, None, False)


def test_a_column_of_text_that_is_mostly_numbers_tells_the_first_that_is_none(tmp_path: Path):
    lines = [f"{row},{'n/a' if row == 17 else row / 2}" for row in range(30)]

    assert _text(tmp_path, "\n".join(["id,size", *lines])).not_numbers == {"size": "mixed: 'n/a' in row 17"}
    sizes = ["n/a" if row == 17 else row / 2 for row in range(30)]
    assert frame_rows(pd.DataFrame({"id": range(30), "size": sizes})).not_numbers == {"size": "mixed: 'n/a' in row 17"}


def test_what_a_column_of_text_holds_is_decided_by_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rosetta.sources.csv.BLOCK", 64)
    cells = [
        f"{row},{row if row < 90 else row / 4},{'' if row < 80 else row},{'x' if row == 95 else row}"
        for row in range(100)
    ]

    rows = _text(tmp_path, "\n".join(["whole,half,late,last", *cells]))

    assert (rows.features, rows.not_numbers) == (("whole", "half", "late"), {"last": "mixed: 'x' in row 95"})
    assert rows.read(95, 96).tolist() == [[95, 23.75, 95]]
    assert np.isnan(rows.read(79, 80)).tolist() == [[False, False, True]]


def test_numbers_in_text_are_those_that_pandas_reads(tmp_path: Path):
    text = 'a, b ,c\r\n1e-3, 2,.5\r\n-inf,3 ,"7"\r\n\r\nnan,,1E5\r\n'

    rows = _text(tmp_path, text)
    expected = pd.read_csv(io.StringIO(text), skipinitialspace=True)

    assert rows.features == ("a", "b", "c")
    assert np.array_equal(rows.read(0, 3), expected.to_numpy(), equal_nan=True)


def test_an_empty_line_of_a_single_column_is_a_missing_number(tmp_path: Path):
    assert np.isnan(_text(tmp_path, "a\n1\n\n3\n").read(0, 3)).tolist() == [[False], [True], [False]]


def test_names_of_rows_that_pandas_writes_into_text_are_no_feature(tmp_path: Path):
    rows = _text(tmp_path, FRAME.to_csv(), "!species")

    assert rows.features == ("height", "count", "is_wild", "dots.and, commas")
    assert rows.columns["index"]().tolist() == list(range(N_ROWS))


def test_quotes_line_ends_and_a_byte_order_mark_are_no_part_of_the_text(tmp_path: Path):
    rows = _text(tmp_path, '\ufeffx\tnote\n1\t"two\nlines, ""quoted"""\n2\tplain\n', ending=".tsv")

    assert (rows.features, rows.read(0, 2).tolist()) == (("x",), [[1], [2]])
    assert rows.columns["note"]().tolist() == ['two\nlines, "quoted"', "plain"]


def test_wavelengths_are_names_of_columns(tmp_path: Path):
    assert _text(tmp_path, "400.5,401,402.5\n1,2,3\n4,5,6\n").features == ("400.5", "401", "402.5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5,0.5,0.2\n4,0.1,0.3\n", "begins with a line of numbers, but the names of columns stand there"),
        ("a;b\n1;2\n", "separate columns by commas in .csv, .* and not by ';'"),
        ("a,b,\n1,2,3\n", "column 3 of 3 in .* has no name"),
        ("a,b\n1,2\n3\n", "could not be read as a table of text .*Expected 2 columns, got 1"),
        ("a,b\nx,y\n", "has no column of numbers that could be a feature .*'a' holds text; 'b' holds text"),
        ("\n1,2\n", "begins with an empty line"),
    ],
)
def test_text_that_is_no_table_of_numbers_is_refused(tmp_path: Path, text: str, message: str):
    with pytest.raises(SourceError, match=message):
        _text(tmp_path, text)


def test_text_that_is_kept_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rows = _text(tmp_path, "a,b\n1,2\n3,4\n")

    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
    del rows
    gc.collect()


def test_small_reads_of_a_row_group_decode_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    decoded = []
    real = pa_parquet.ParquetFile.read_row_group

    class Counting(pa_parquet.ParquetFile):
        def read_row_group(self, i, **options):
            decoded.append(i)
            return real(self, i, **options)

    monkeypatch.setattr(pa_parquet, "ParquetFile", Counting)
    rows = _open(tmp_path, ".parquet", choice="height")
    for row in range(14):
        rows.read(row, row + 1)

    assert decoded == [0, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_integers_of_which_some_are_missing_become_floats(tmp_path: Path, kind: str):
    rows = _open(tmp_path, kind, pd.DataFrame({"a": range(20), "b": pd.array([*range(19), None], dtype="Int64")}))

    assert rows.dtype == np.float64
    assert np.array_equal(rows.read(18, 20), [[18, 18], [19, np.nan]], equal_nan=True)


def test_missing_integers_of_which_the_file_says_that_there_are_none_are_an_error(tmp_path: Path):
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    _write(tmp_path / "t.arrow", pa.Table.from_arrays([pa.array([1, None, 3])], schema=schema))

    with pytest.raises(SourceError, match="values of 'a' are missing"):
        sources.get(".arrow").open(tmp_path / "t.arrow", None, False).read(0, 3)
