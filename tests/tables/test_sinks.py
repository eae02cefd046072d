"""A table written piece by piece is the table, as a whole or not at all, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pytest

from nineline.tables import TableError, read_table
from nineline.tables.sinks import TableSink

FRAME = pl.DataFrame(
    {"a name": ["a, b", 'q"q', None, "ü\nz", "x"] * 4, "f": [0.5, None, 1e300, -2.0, 3.25] * 4, "n": range(20)}
)
ENDINGS = ["csv", "tsv", "jsonl", "parquet", "arrow", "csv.gz", "jsonl.gz", "parquet.gz", "arrow.gz"]


def write(path: Path, frame: pl.DataFrame, rows_at_once: int) -> bytes:
    with TableSink(path, frame.schema) as sink:
        for start in range(0, frame.height, rows_at_once):
            sink.write(frame[start : start + rows_at_once])
    return path.read_bytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_rows_are_the_same_bytes_however_they_are_cut(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{ending}"
    written = {write(path, FRAME, rows_at_once) for rows_at_once in (1, 7, 20)}
    assert len(written) == 1
    assert read_table(path).equals(FRAME)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow"])
def test_no_rows_are_a_table_of_names(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{ending}"
    with TableSink(path, FRAME.schema) as sink:
        sink.write(FRAME.clear())
    with pytest.raises(TableError, match="has column names and no rows"):
        read_table(path)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("ending", ENDINGS)
def test_after_an_exception_nothing_has_happened(ending: str, there: bool, tmp_path: Path) -> None:
    path, threads = tmp_path / f"t.{ending}", threading.active_count()
    if there:
        path.write_bytes(b"before")

    def interrupted() -> None:
        with TableSink(path, FRAME.schema) as sink:
            for _ in range(3):
                sink.write(FRAME)
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"before"] * there
    assert threading.active_count() == threads


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_file_is_as_it_was_until_all_is_written(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{ending}"
    path.write_bytes(b"before")
    with TableSink(path, FRAME.schema) as sink:
        sink.write(FRAME)
        assert path.read_bytes() == b"before"
    assert read_table(path).equals(FRAME)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_pieces_in_other_orders_and_types(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{ending}"
    with TableSink(path, {"a": pl.Float64, "b": pl.String}) as sink:
        sink.write(pl.DataFrame({"a": [1.5], "b": ["x"]}))
        sink.write(pl.DataFrame({"b": [None], "a": [2]}))
    assert read_table(path).rows() == [(1.5, "x"), (2.0, None)]


@pytest.mark.parametrize("ending", ["csv", "jsonl.gz", "parquet"])
@pytest.mark.parametrize(
    ("piece", "says"),
    [
        ({"a": [1]}, r"the pieces for .*: one has the columns \['a'\]; expected \['a', 'b'\]"),
        ({"a": ["x"], "b": ["y"]}, "one holds String in the column 'a', which is Int64 before"),
        ({"a": [1.5], "b": ["y"]}, "one holds Float64 in the column 'a', which is Int64 before"),
    ],
)
def test_a_piece_of_another_table(piece: dict[str, list[object]], says: str, ending: str, tmp_path: Path) -> None:
    with (
        pytest.raises(TableError, match=says),
        TableSink(tmp_path / f"t.{ending}", {"a": pl.Int64, "b": pl.String}) as s,
    ):
        s.write(pl.DataFrame(piece))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written(tmp_path: Path) -> None:
    for name, says in [
        ("t.csv.zst", "ends in '.zst', which is read and not written; expected .csv, or .csv.gz"),
        ("t.xlsx", "ends in '.xlsx'; expected one of .csv"),
    ]:
        with pytest.raises(TableError, match=says):
            TableSink(tmp_path / name, FRAME.schema)
    with pytest.raises(TableError, match="the schema is empty"):
        TableSink(tmp_path / "t.csv", {})
    with (
        pytest.raises(FileNotFoundError, match="the folder .* does not exist"),
        TableSink(tmp_path / "no/t.csv", FRAME.schema),
    ):
        pass
    with pytest.raises(RuntimeError, match="is not open; write in a block `with TableSink"):
        TableSink(tmp_path / "t.csv", FRAME.schema).write(FRAME)
    lists = pl.DataFrame({"a": [[1, 2]]})
    with pytest.raises(TableError, match="cannot hold such a table: CSV format does not support nested data"):
        write(tmp_path / "t.csv", lists, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /dev/full, nor a limit of this kind")
@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "arrow"])
def test_a_disk_that_is_full(ending: str, tmp_path: Path) -> None:
    """A file may not grow past a megabyte here, and the write fails as on a full disk."""
    code = """
import resource, signal, sys
import polars as pl
from nineline.tables.sinks import TableSink
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
frame = pl.DataFrame({"a": range(200_000)}).with_columns(a=pl.col("a").hash())
try:
    with TableSink(sys.argv[1], frame.schema) as sink:
        for _ in range(3):
            sink.write(frame)
except OSError as error:
    print(error)
"""
    path = tmp_path / f"t.{ending}"
    path.write_bytes(b"before")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True, timeout=60)
    assert "File too large" in done.stdout
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"before"]


PEAK = """
import re, sys
from pathlib import Path
import polars as pl
from nineline.tables.sinks import TableSink
frame = pl.DataFrame({"a": range(100_000), "b": [f"word {i % 999}" for i in range(100_000)]})
def peak(times):
    with TableSink(sys.argv[1], frame.schema) as sink:
        for i in range(times):
            sink.write(frame.with_columns(pl.col("a") * i))
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024
print(peak(4), peak(20))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="others have no /proc")
@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow"])
def test_the_peak_of_memory_does_not_grow_with_the_table(ending: str, tmp_path: Path) -> None:
    code = [sys.executable, "-c", PEAK, tmp_path / f"t.{ending}"]
    done = subprocess.run(code, capture_output=True, text=True, check=True)
    few, many = map(int, done.stdout.split())
    assert many < few + 30
