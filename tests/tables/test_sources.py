"""A table piece by piece holds what the whole table holds, in bounded memory, or says why it cannot."""

from __future__ import annotations

import gzip
import os
import random
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from nineline.tables import TableError, delimited, origins, pieces, read_table, read_tables, write_table
from nineline.tables.sinks import TableSink
from nineline.tables.sources import TableSource
from nineline.tables.tidying import Facts, together

FRAME = pl.DataFrame({"n": range(10), "a name": ["x", "y", None, "z", "?"] * 2, "f": [0.5, None] * 5})
LINES = b"a,b\n" + b"".join(b"%d,word %d\n" % (i, i) for i in range(10_000))


def whole(source: TableSource, rows_at_once: int = 1000) -> pl.DataFrame:
    got = [*source.pieces(rows_at_once=rows_at_once)]
    assert all(0 < piece.height <= rows_at_once for piece in got)
    return pl.concat(got)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read at once is a few bytes and rows, so that every table has many pieces."""
    monkeypatch.setattr(origins, "CHUNK", 16)
    monkeypatch.setattr(delimited, "_ROWS", 0)
    monkeypatch.setattr(pieces, "_FEW", 1)
    monkeypatch.setattr(pieces, "_ROWS", 4)


# the same values and types as the whole table

CELLS = {
    "whole": ["1", "2", "-3", "007", "99999999999999999999"],
    "signs": ["1", "+5", "-0"],
    "fractions": ["1.5", "2", "1.", "-.5", "1e5", "inf"],
    "blanks": ["1", " 2", "3 ", " 2.5"],
    "words": ["x", "a b", " pad ", "ü", "7", "true", "1.5"],
    "quoted": ['"a, b;c"', '"multi\nline"', '"q""t"', '"1"', '" 2"'],
    "booleans": ["true", "false", "TRUE"],
    "commas": ["1,5", "2", "-3,25"],
    "missing": ["", "NA", "?", " ? ", "NaN", '""', '"NA"', "null"],
}
VALUES = {
    "whole": ["1", "2", "99999999999999999999"],
    "fractions": ["1.5", "2", "-1e3"],
    "words": ['"x"', '"7"', '" ?"', '"NA"'],
    "numbers in words": ['"1"', '" 2.5"', '"?"'],
    "booleans": ["true", "false"],
    "lists": ["[1]", "[2.5,null]", "[]"],
    "structs": ['{"a":1}', '{"a":null}', '{"a":2.5}'],
    "missing": ["null"],
}
TYPED = {
    "whole": [1, 2],
    "fractions": [1.5, 2.0],
    "words": ["x", " 7", "?"],
    "numbers in words": ["1", "2.5", " NA"],
    "booleans": [True, False],
    "missing": [None],
}


def files_of(rng: random.Random, folder: Path) -> list[Path]:
    """Write some files of the same columns, of the same kinds but for now and then; and return them."""
    columns = [f"c {i}" if i % 2 else f"c{i}" for i in range(rng.randint(1, 4))]
    text = rng.choice(["csv", "csv", "jsonl"])
    kinds = {name: rng.choice([*(CELLS if text == "csv" else VALUES)]) for name in columns}
    paths = []
    for number in range(rng.randint(1, 4)):
        order = rng.sample(columns, len(columns))
        known = {name: rng.choice(["missing", kind]) if rng.random() < 0.2 else kind for name, kind in kinds.items()}
        format_, rows = rng.choice([text, text, "parquet", "arrow"]), rng.choice([1, 2, 5, 30])
        path = folder / f"{number}.{format_}"
        if format_ == "csv":
            data = csv_of(
                rng, [[rng.choice(CELLS[known[n]] + CELLS["missing"][:2]) for n in order] for _ in range(rows)], order
            )
        elif format_ == "jsonl":
            lines = [
                "{" + ",".join(f'"{n}":{rng.choice(VALUES[known[n]] + ["null"])}' for n in order) + "}"
                for _ in range(rows)
            ]
            data = "\n".join(lines).encode()
        else:
            values = {n: [rng.choice([*TYPED.get(known[n], TYPED["words"]), None]) for _ in range(rows)] for n in order}
            frame = pl.DataFrame(values)
            (frame.write_parquet if format_ == "parquet" else frame.write_ipc)(path)
            data = path.read_bytes()
        if rng.random() < 0.2:
            path, data = folder / f"{path.name}.gz", gzip.compress(data)
        path.write_bytes(data)
        paths.append(path)
    return paths


def csv_of(rng: random.Random, rows: list[list[str]], names: list[str]) -> bytes:
    delimiter = ";" if any("," in cell and '"' not in cell for row in rows for cell in row) else rng.choice(",;\t")
    end, encoding = rng.choice(["\n", "\r\n"]), rng.choice(["utf-8", "utf-8-sig", "cp1252"])
    lines = [delimiter.join(row) for row in [names, *rows]]
    if rng.random() < 0.3:
        lines.insert(rng.randrange(len(lines) + 1), "")
    return (end.join(lines) + rng.choice(["", end, end * 2])).encode(encoding)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("part", range(8))
def test_files_hold_what_they_hold_as_a_whole(part: int, tmp_path: Path) -> None:
    equal = 0
    for seed in range(part * 10, part * 10 + 10):
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        paths = files_of(rng, folder)
        texts = ["c0"] if rng.random() < 0.2 else []
        try:
            expected = read_tables(paths, texts)
        except TableError:
            with pytest.raises(TableError):
                whole(TableSource.of(paths, text_columns=texts))
            continue
        equal += 1
        source = TableSource.of(paths, text_columns=texts)
        rows = rng.choice([1, 3, 1000])
        assert source.schema == expected.schema, seed
        assert source.rows == expected.height, seed
        assert whole(source, rows).equals(expected), seed
        assert whole(source, rows).equals(expected), seed  # as often as it is asked for
        some = rng.sample(expected.columns, rng.randint(1, expected.width))
        assert whole(source.select(some), rows).equals(expected.select(some)), seed
        parts = [piece for stream in range(source.streams) for piece in source.pieces(stream, rows)]
        assert pl.concat(parts).equals(expected), seed
    assert equal > 4


def test_the_types_of_pieces_go_together_as_those_of_cells_do() -> None:
    """What polars makes of examples of two types is what it makes of their values."""
    for cells, ending, line in ((CELLS, ".csv", "{}\n"), (VALUES, ".jsonl", '{{"v":{}}}\n')):
        read = pl.read_csv if ending == ".csv" else pl.read_ndjson
        head = "v\n" if ending == ".csv" else ""
        for one in cells.values():
            for other in cells.values():
                both = [[cell for cell in some if len(cell) < 20] for some in (one, other, one + other)]
                data = [head + "".join(line.format(cell) for cell in some) for some in both]
                try:
                    types = [read(text.encode(), infer_schema_length=None).schema["v"] for text in data]
                except pl.exceptions.PolarsError:
                    continue
                if pl.Null not in types[:2]:
                    assert together(Facts([*dict.fromkeys(types[:2])]), ending) == types[2], (one, other)


# what a table can be


def test_a_pattern_a_folder_and_a_list(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "below/c.csv", ".hidden.csv", "_started/d.csv", "_SUCCESS", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"name\n{name}\n")
    said = {
        f"{tmp_path}/*.csv": (["a.csv", "b.csv"], ", 2 files"),
        f"{tmp_path}/**/*.csv": (["_started/d.csv", "a.csv", "b.csv", "below/c.csv"], ", 4 files"),
        f"{tmp_path}": (["a.csv", "b.csv", "below/c.csv"], ", 3 files"),
        f"{tmp_path}/b.csv": (["b.csv"], ""),
        f"{tmp_path}/bel*": (["below/c.csv"], ", 1 file"),
    }
    for given, (names, words) in said.items():
        source = TableSource.of(given)
        assert (whole(source)["name"].to_list(), source.in_words()) == (names, given + words)
    source = TableSource.of([tmp_path / "b.csv", tmp_path / "a.csv"])
    assert whole(source)["name"].to_list() == ["b.csv", "a.csv"]
    assert source.in_words() == f"{tmp_path}/b.csv and others, 2 files"


def test_folders_that_say_a_column(tmp_path: Path) -> None:
    for number, place in enumerate(
        ["year=2024/town=a%20b", "year=2024/town=c", "year=2025/town=__HIVE_DEFAULT_PARTITION__"]
    ):
        (tmp_path / place).mkdir(parents=True)
        FRAME.head(2).with_columns(town=pl.lit("inside"), part=number).write_parquet(tmp_path / place / "x.parquet")
    for given in (tmp_path, f"{tmp_path}/*/*/x.parquet", f"{tmp_path}/year=*"):
        source = TableSource.of(given)
        assert source.schema == {**FRAME.schema, "part": pl.Int32, "year": pl.Int64, "town": pl.String}
        assert whole(source).select("part", "year", "town").rows()[::2] == [
            (0, 2024, "a b"),
            (1, 2024, "c"),
            (2, 2025, None),
        ]
        assert whole(source.select(["year"]))["year"].to_list() == [2024] * 4 + [2025] * 2
    assert TableSource.of(tmp_path, text_columns=["year"]).schema["year"] == pl.String
    assert "year" not in TableSource.of(f"{tmp_path}/year=2024/*/*").schema
    FRAME.write_parquet(tmp_path / "x.parquet")
    with pytest.raises(
        TableError, match="the folders of .* name .*'year', 'town'.*expected the same folders key=value"
    ):
        TableSource.of(tmp_path)


@pytest.mark.parametrize(
    "given",
    [
        FRAME,
        FRAME.lazy(),
        FRAME.to_pandas(),
        lambda: FRAME,
        lambda: [FRAME.head(3), FRAME.clear(), FRAME[3:].select("f", "n", "a name")],
        lambda: (FRAME[i : i + 1] for i in range(10)),
        lambda: [FRAME.head(5).to_pandas(), FRAME[5:].to_pandas()],
    ],
)
def test_what_a_program_hands_over(given: object) -> None:
    source = TableSource.of(given)
    assert source.schema == FRAME.schema
    for rows_at_once in (1, 3, 10, 11):
        assert whole(source, rows_at_once).equals(FRAME)
        assert whole(source.select(["f", "n"]), rows_at_once).equals(FRAME.select("f", "n"))
    assert source.rows == 10
    assert source.fingerprint() == TableSource.of(given).fingerprint()


def test_a_table_of_pandas_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    frame = pd.DataFrame(
        {"n": [1, 2], "s": ["x", None], "f": [0.5, float("nan")], "t": pd.to_datetime(["2024-01-01"] * 2)}
    )
    assert whole(TableSource.of(frame)).drop("t").rows() == [(1, "x", 0.5), (2, None, None)]
    with pytest.raises(TableError, match="the column 's' holds what is not of one type"):
        TableSource.of(pd.DataFrame({"s": ["x", 1]}))


def test_a_type_that_pieces_have_together() -> None:
    nothing = pl.DataFrame({"a": [None, None], "b": [1, 2]})
    pieces = [
        nothing,
        pl.DataFrame({"a": [1.5], "b": [3]}),
        pl.DataFrame({"a": [2], "b": pl.Series([4], dtype=pl.Int8)}),
    ]
    source = TableSource.of(lambda: pieces)
    assert source.schema == {"a": pl.Float64, "b": pl.Int64}
    assert whole(source).rows() == [(None, 1), (None, 2), (1.5, 3), (2.0, 4)]


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ([], "there were 2 rows the first time, and 0 now; expected the same each time: a function must begin anew"),
        ([pl.DataFrame({"a": [1, 2, 3]})], "there were 2 rows the first time, and 3 now"),
        ([pl.DataFrame({"b": [1, 2]})], "one has the columns 'b', and the first had 'a'; expected the same in all"),
        ([pl.DataFrame({"a": ["x"]})], "one holds String in the column 'a', which is Int64 before; expected one type"),
        ([pl.DataFrame({"a": [1.5, 2]})], "one holds Float64 in the column 'a', which is Int64 before"),
        ([[1, 2]], "one of them is list; expected a DataFrame"),
        (3, "it returned int; expected an iterable of DataFrames"),
    ],
)
def test_a_function_that_gives_something_else_the_next_time(second: object, says: str) -> None:
    first = [pl.DataFrame({"a": [1, 2]})]
    returned = [first, first, second]
    source = TableSource.of(lambda: returned.pop(0))
    assert whole(source).rows() == [(1,), (2,)]
    with pytest.raises((TableError, TypeError), match=says):
        whole(source)


def test_a_lazy_frame_that_cannot_be_computed() -> None:
    frame = FRAME.lazy().with_columns(pl.col("a name").cast(pl.Int64))
    source = TableSource.of(frame)
    with pytest.raises(TableError, match="the LazyFrame cannot be computed: .*conversion from `str` to `i64` failed"):
        whole(source)
    with pytest.raises(TableError, match="the LazyFrame cannot be computed"):
        TableSource.of(FRAME.lazy().select("no"))


def test_what_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    cases: list[tuple[object, type[Exception], str]] = [
        (tmp_path / "empty", TableError, "the folder .*empty holds no file that ends in one of .csv"),
        (f"{tmp_path}/*.csv", TableError, r"no file matches .*\*.csv', seen from .*; name a file, or another pattern"),
        (tmp_path / "no.csv", FileNotFoundError, "no.csv"),
        ("-", TableError, "standard input can be read only once; write it to a file"),
        ([], ValueError, "the list of files is empty"),
        (3, TypeError, "the table is int; expected a path, a list of paths, a DataFrame, a LazyFrame of polars, or"),
        (iter([FRAME]), TypeError, "it can be gone through only once: give a function that returns one"),
        (list, TableError, "there is none; expected at least one DataFrame with a column"),
        (lambda: [FRAME, FRAME.lazy()], TypeError, "one of them is LazyFrame; expected a DataFrame"),
    ]
    for given, kind, says in cases:
        with pytest.raises(kind, match=says):
            whole(TableSource.of(given))
    (tmp_path / "a.csv").write_bytes(LINES)
    with pytest.raises(TableError, match="a.csv is named twice"):
        TableSource.of([tmp_path / "a.csv", f"{tmp_path}/*.csv"])
    with pytest.raises(ValueError, match="ending is 'csv'; expected one of"):
        TableSource.of(tmp_path / "a.csv", ending="csv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_is_read_only_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(TableError, match="a.csv is no file, and can be read only once; write it to a file"):
        TableSource.of(tmp_path / "a.csv")


def test_arguments() -> None:
    source = TableSource.of(FRAME)
    with pytest.raises(ValueError, match="a DataFrame of 10 rows has no column 'a nam'; did you mean 'a name'?"):
        source.select(["a nam"])
    with pytest.raises(ValueError, match=r"names is \[\]; expected at least one column, and each once"):
        source.select([])
    with pytest.raises(ValueError, match="rows_at_once is 0"):
        source.pieces(rows_at_once=0)
    with pytest.raises(ValueError, match="stream is 1; expected less than 1, which is how many there are"):
        source.pieces(1)


BAD_FILES = {
    "empty": ("t.csv", b""),
    "blank": ("t.csv", b"  \n\n"),
    "a byte order mark alone": ("t.csv", b"\xef\xbb\xbf"),
    "only names": ("t.csv", b"a,b\n"),
    "no names": ("t.csv", b"1,2\n3,4\n"),
    "two of a name": ("t.csv", b"a,b,a\n1,2,3\n"),
    "binary as csv": ("t.csv", b"PAR1\x00\x01\x02"),
    "a very long name": ("t.csv", b"a" * 140_000 + b",b\n1,2\n"),
    "cut in a quote": ("t.csv", LINES + b'1,"it'),
    "a quote that stays open": ("t.csv", b'a,b\n1,"it\n' + LINES[4:]),
    "more fields than names": ("t.csv", LINES + b"1,2,3\n"),
    "empty gzip": ("t.csv.gz", b""),
    "gzip of nothing": ("t.csv.gz", gzip.compress(b"")),
    "gzip cut short": ("t.csv.gz", gzip.compress(LINES)[:-100]),
    "gzip damaged": ("t.csv.gz", gzip.compress(LINES)[:-8] + bytes(8)),
    "gzip with a tail": ("t.csv.gz", gzip.compress(LINES) + b"tail"),
    "gzip that is none": ("t.csv.gz", LINES),
    "gzip unsaid": ("t.csv", gzip.compress(LINES)),
    "zstd cut short": ("t.csv.zst", b"\x28\xb5\x2f\xfd\xa0"),
    "empty json lines": ("t.jsonl", b"\n \n"),
    "json lines cut short": ("t.jsonl", b'{"a":1}\n' * 99 + b'{"a'),
    "csv as parquet": ("t.parquet", LINES),
    "csv as arrow": ("t.arrow", LINES),
    "empty parquet": ("t.parquet", b""),
    "unknown ending": ("t.xlsx", LINES),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_as_it_is_as_a_whole(case: str, tmp_path: Path) -> None:
    name, content = BAD_FILES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError) as expected:
        read_table(tmp_path / name)
    with pytest.raises(TableError) as caught:
        whole(TableSource.of(tmp_path / name))
    words = r"says: |bytes of \w+: "  # what follows are another library's words, and of a piece
    assert re.split(words, str(caught.value))[0] == re.split(words, str(expected.value))[0]


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.jsonl", "t.parquet", "t.arrow"])
@pytest.mark.parametrize("happens", ["grows", "is cut", "is gone"])
def test_a_file_that_is_another_when_it_is_read_again(happens: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    frame = pl.DataFrame({"a": range(1000), "b": ["x"] * 1000})
    write_table(frame, path)
    source = TableSource.of(path)
    before = source.fingerprint()
    assert whole(source).equals(frame)
    if happens == "grows":
        write_table(pl.concat([frame, frame]), path)
    elif happens == "is cut":
        path.write_bytes(path.read_bytes()[:-50])
    else:
        path.unlink()
    says = "cannot be read now" if happens == "is gone" else "has changed since the table was first looked at"
    with pytest.raises(TableError, match=f"{name} .*{says}"):
        whole(source)
    assert happens != "grows" or TableSource.of(path).fingerprint() != before


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(LINES * 100)
    source = TableSource.of(tmp_path / "t.csv", text_columns=["a", "b"])
    pieces = source.pieces(rows_at_once=10)
    next(pieces)
    (tmp_path / "t.csv").write_bytes(LINES[:3000])
    with pytest.raises(TableError, match="t.csv has changed since the table was first looked at"):
        list(pieces)


@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
def test_a_file_that_is_damaged_in_the_middle(ending: str, tmp_path: Path) -> None:
    """What says how it is laid out lies at the end, so that only reading tells."""
    path = tmp_path / f"t{ending}"
    frame = pl.DataFrame({"a": [f"word {i * i}" for i in range(50_000)]})
    frame.write_parquet(path) if ending == ".parquet" else frame.write_ipc(path, compression="zstd")
    data = bytearray(path.read_bytes())
    data[100 : len(data) // 2] = bytes(len(data) // 2 - 100)
    path.write_bytes(data)
    with pytest.raises(TableError, match=f"t{ending} does not read as (Parquet|Arrow IPC), which its ending says"):
        whole(TableSource.of(path, text_columns=["a"]))


def test_a_column_that_is_of_another_type_in_the_tenth_file(tmp_path: Path) -> None:
    for number in range(12):
        values = [date(2024, 1, 1)] if number == 9 else [number]
        pl.DataFrame({"a": values, "b": [1.5]}).write_parquet(tmp_path / f"{number:02}.parquet")
    says = (
        "09.parquet holds Date in the column 'a', and .*00.parquet holds Int64; expected one type in every file: write"
    )
    source = TableSource.of(tmp_path)
    with pytest.raises(TableError, match=says):
        next(source.pieces())
    assert whole(TableSource.of(f"{tmp_path}/0[0-8].parquet")).height == 9


def test_other_columns_in_a_later_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(LINES)
    (tmp_path / "b.csv").write_bytes(b"a,c\n1,2\n")
    says = "b.csv has no column 'b', which .*a.csv has, and has a column 'c', which .*a.csv has not"
    with pytest.raises(TableError, match=says):
        whole(TableSource.of(tmp_path))


# memory

PEAK = """
import re, sys
from pathlib import Path
from nineline.tables.sources import TableSource
def peak():  # of this process alone: what getrusage says begins with the parent's
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
source = TableSource.of(sys.argv[1])
before = peak()
rows = sum(piece.height for piece in source.pieces(rows_at_once=10_000))
print(rows, (peak() - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="others have no /proc")
@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".arrow"])
def test_the_peak_of_memory_does_not_grow_with_the_file(ending: str, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"a": range(100_000), "b": [f"{i % 999} words of some length that count" for i in range(100_000)]}
    )

    def peak(times: int) -> int:
        path = tmp_path / f"{times}{ending}"
        if ending.startswith(".csv"):
            pack = gzip.compress if ending == ".csv.gz" else bytes
            path.write_bytes(pack(b"a,b\n") + pack(frame.write_csv(include_header=False).encode()) * times)
        else:
            with TableSink(path, frame.schema) as sink:
                for _ in range(times):
                    sink.write(frame)
        done = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
        rows, megabytes = map(int, done.stdout.split())
        assert rows == times * 100_000
        return megabytes

    assert peak(14) < peak(7) + 40
