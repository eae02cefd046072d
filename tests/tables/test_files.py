"""Reading and writing tables: every usual spelling of the same table gives the same frame."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from nineline.tables import TableError, read_table, read_tables, write_table

FRAME = pl.DataFrame({"name": ["a, b", "c", None], "size": [1.5, None, 3.0], "n": [1, 2, 3]})

SAME_TABLE = {
    "comma.csv": 'name,size,n\n"a, b",1.5,1\nc,NA,2\n?,3,3\n',
    "semicolon.csv": "name;size;n\na, b;1.5;1\nc;;2\n;3;3\n",
    "tab.tsv": "name\tsize\tn\na, b\t1.5\t1\nc\tNaN\t2\nNA\t3\t3\n",
    "tab.csv": "name\tsize\tn\na, b\t1.5\t1\nc\tnull\t2\nN/A\t3\t3\n",
    "bar.txt": "name|size|n\na, b|1.5|1\nc|?|2\n?|3|3\n",
    "blanks.csv": 'name,size,n\n"a, b", 1.5, 1\nc, ?, 2\n ?, 3, 3\n',
    "bom.csv": '\ufeffname,size,n\n"a, b",1.5,1\nc,,2\n,3,3\n',
    "windows.csv": 'name,size,n\r\n"a, b",1.5,1\r\nc,,2\r\n,3,3\r\n',
    "lines.jsonl": '{"name":"a, b","size":1.5,"n":1}\n{"name":"c","size":null,"n":2}\n{"name":null,"size":3.0,"n":3}\n',
}


def zstd(data: bytes) -> bytes:
    """Return a frame of one raw block (RFC 8878, section 3.1.1)."""
    return (
        bytes.fromhex("28b52ffda0")
        + len(data).to_bytes(4, "little")
        + (len(data) << 3 | 1).to_bytes(3, "little")
        + data
    )


PACKED = {".gz": gzip.compress, ".zst": zstd}
BY_ZSTD = bytes.fromhex("28b52ffd045875000038612c620a372c7801008aabce0827316a26")
"""Of ``a,b`` and a hundred lines of ``7,x``, by the command of zstd 1.5.4."""


@pytest.mark.parametrize("name", SAME_TABLE)
def test_every_spelling_is_the_same_table(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(SAME_TABLE[name], encoding="utf-8", newline="")
    frame = read_table(path)
    assert frame.columns == FRAME.columns
    assert frame["name"].to_list() == FRAME["name"].to_list()
    assert frame["size"].to_list() == FRAME["size"].to_list()
    assert frame["n"].cast(pl.Float64).to_list() == [1, 2, 3]


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("name", SAME_TABLE)
def test_what_is_packed_is_the_same_table(name: str, packing: str, tmp_path: Path) -> None:
    plain, packed, said = tmp_path / name, tmp_path / (name + packing), tmp_path / "table"
    plain.write_text(SAME_TABLE[name], encoding="utf-8", newline="")
    packed.write_bytes(PACKED[packing](plain.read_bytes()))
    said.write_bytes(packed.read_bytes())
    assert read_table(packed).equals(read_table(plain))
    assert read_table(said, ending=plain.suffix).equals(read_table(plain))


def test_what_other_programs_packed(tmp_path: Path) -> None:
    (tmp_path / "t.csv.zst").write_bytes(BY_ZSTD + zstd(b"8,y\n"))  # frames may follow each other
    assert read_table(tmp_path / "t.csv.zst").rows() == [*[(7, "x")] * 100, (8, "y")]
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n7,x\n") + gzip.compress(b"8,K\xf6ln\n"))
    assert read_table(tmp_path / "t.csv.gz").rows() == [(7, "x"), (8, "Köln")]


@pytest.mark.parametrize(
    "ending",
    [
        "csv",
        "tsv",
        "parquet",
        "pq",
        "arrow",
        "feather",
        "ipc",
        "jsonl",
        "ndjson",
        "csv.gz",
        "tsv.gz",
        "jsonl.gz",
        "parquet.gz",
        "arrow.gz",
    ],
)
def test_what_is_written_is_read(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{ending}"
    write_table(FRAME, path)
    assert read_table(path).equals(FRAME)
    assert path.read_bytes().startswith(b"\x1f\x8b") == ending.endswith(".gz")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("t.csv.zst", "ends in '.zst', which is read and not written; expected .csv, or .csv.gz"),
        ("t.xlsx", "ends in '.xlsx'; expected one of .csv"),
        ("t.gz", "ends in 'nothing'; expected one of .csv"),
    ],
)
def test_what_cannot_be_written(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=says):
        write_table(FRAME, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_text_that_is_not_utf8_is_read_as_windows_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("stadt,n\nKöln,1\nBonn,2\n".encode("cp1252"))
    assert read_table(tmp_path / "t.csv")["stadt"].to_list() == ["Köln", "Bonn"]


def test_numbers_after_many_whole_ones_are_still_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "1,a\n" * 5000 + "2.5,b\n")
    assert read_table(tmp_path / "t.csv")["x"].dtype == pl.Float64


def parquet() -> bytes:
    file = io.BytesIO()
    FRAME.write_parquet(file)
    return file.getvalue()


LINES = b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(1000))
BAD_FILES = {
    "empty": ("t.csv", b"", "is empty"),
    "blank": ("t.csv", b"  \n\n", "is empty"),
    "only names": ("t.csv", b"a,b\n", "no rows"),
    "no names": ("t.csv", b"1,2\n3,4\n", "column names"),
    "two of a name": ("t.csv", b"a,b,a\n1,2,3\n", "two columns of the name 'a'"),
    "ragged": ("t.csv", b"a,b\n1,2\n3,4,5\n", "does not read as delimited text"),
    "binary as csv": ("t.csv", b"PAR1\x00\x01\x02", "binary file"),
    "csv as parquet": ("t.parquet", b"a,b\n1,2\n", "does not read as Parquet"),
    "csv as json lines": ("t.jsonl", b"a,b\n1,2\n", "does not read as JSON lines"),
    "unknown ending": ("t.xlsx", b"a,b\n1,2\n", "'.xlsx'; expected one of .csv.* or give its format"),
    "unknown ending, packed": ("t.xlsx.gz", gzip.compress(b"a,b\n1,2\n"), "'.xlsx'; expected one of .csv"),
    "no ending, packed": ("t.gz", gzip.compress(b"a,b\n1,2\n"), "'nothing'; expected one of .csv"),
    "empty gzip": ("t.csv.gz", b"", "is empty"),
    "gzip of nothing": ("t.csv.gz", gzip.compress(b""), "is empty"),
    "zstd of nothing": ("t.csv.zst", zstd(b""), "is empty"),
    "gzip cut short": ("t.csv.gz", gzip.compress(LINES)[:-100], r"cut short or damaged \([\d,]+ bytes.*copy it again"),
    "gzip cut at once": ("t.csv.gz", gzip.compress(LINES)[:5], "cut short or damaged"),
    "gzip damaged": ("t.csv.gz", gzip.compress(LINES)[:-8] + bytes(8), "cut short or damaged"),
    "gzip with a tail": ("t.csv.gz", gzip.compress(LINES) + b"tail", "cut short or damaged"),
    "zstd cut short": ("t.csv.zst", zstd(LINES)[:-100], r"cut short or damaged.*\([\d,]+ bytes.*copy it again"),
    "zstd cut at once": ("t.csv.zst", zstd(LINES)[:5], "cut short or damaged"),
    "zstd of another encoding": ("t.csv.zst", zstd("a,b\n1,ö\n".encode("cp1252")), "no text in UTF-8.*zstd -d"),
    "json lines cut short": ("t.jsonl.gz", gzip.compress(b'{"a":1}\n' * 99)[:-9], "cut short or damaged"),
    "gzip that is none": ("t.csv.gz", b"a,b\n1,2\n", r"not packed \(it begins with b'a,b\\n'\).*without .gz"),
    "zstd that is gzip": ("t.csv.zst", gzip.compress(LINES), "packed by gzip.*unlike its ending.*ends in .gz"),
    "gzip unsaid": ("t.csv", gzip.compress(LINES), "packed by gzip.*unlike its ending.*ends in .gz"),
    "csv as packed parquet": ("t.parquet.gz", gzip.compress(LINES), "does not read as Parquet"),
    "parquet in zstd": ("t.parquet.zst", zstd(parquet()), "only text is unpacked; unpack it by zstd -d"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_is_not_what_its_name_says(case: str, tmp_path: Path) -> None:
    name, content, says = BAD_FILES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=says) as caught:
        read_table(tmp_path / name)
    assert name in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "no.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(TableError, match="is a folder"):
        read_table(tmp_path / "folder.csv")


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\na, s\n1,x\n\n3,y\n\n\n")
    frame = read_table(tmp_path / "t.csv")
    assert frame.columns == ["a", "s"]
    assert frame["a"].to_list() == [1, 3]


def test_decimal_commas_between_semicolons(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x;y;z\n1,5;a;1\n-2;b,c;2,25\n")
    frame = read_table(tmp_path / "t.csv")
    assert frame["x"].to_list() == [1.5, -2]
    assert frame["y"].to_list() == ["a", "b,c"]
    assert frame["z"].to_list() == [1, 2.25]


def test_what_was_text_stays_text(tmp_path: Path) -> None:
    """A code such as 007 must not become 7 because this file happens to hold no A1."""
    (tmp_path / "t.csv").write_text("code,flag\n007,true\n1.10,false\n")
    frame = read_table(tmp_path / "t.csv", ["code", "flag"])
    assert frame.rows() == [("007", "true"), ("1.10", "false")]


# several files

ONE_TABLE = {
    "numbers": ("n,s", ["1,a", "2,b"], ["3,c"]),
    "whole numbers beside fractions": ("n,s", ["1,a", "2,b"], ["2.5,c"], ["4,d"]),
    "codes": ("n,s", ["007,a", "7,b"], ["A1,c"], ["1.10,d"]),
    "codes at last": ("n,s", ["A1,c"], ["007,a", "7,b"]),
    "booleans beside words": ("n,s", ["true,a", "false,b"], ["maybe,c"]),
    "booleans beside numbers": ("n,s", ["true,a", "false,b"], ["1,c"]),
    "a part without values": ("n,s", ["NA,a", "?,b"], ["3,c"], ["4,NA"]),
    "one column, a part without values": ("s", ["x", "y"], ["NA", "?", "NA"], ["z"]),
    "one number, a part without values": ("s", ["1", "2"], ["NA", "?", "NA"]),
    "no values at all": ("n,s", ["NA,a"], ["?,b"]),
    "numbers in blanks": ("n,s", ["1, 1.5"], ["2, ?"], [" 3,4"]),
    "quoted": ("n,s", ['1,"a, ""b"""'], ['2,"c\nd"']),
}


@pytest.mark.parametrize("case", ONE_TABLE)
def test_several_files_are_read_as_one_would_be(case: str, tmp_path: Path) -> None:
    names, *parts = ONE_TABLE[case]
    whole = tmp_path / "whole.csv"
    whole.write_text("\n".join([names, *(line for part in parts for line in part)]) + "\n")
    files = [tmp_path / f"{i}.csv" for i in range(len(parts))]
    for file, part in zip(files, parts, strict=True):
        file.write_text("\n".join([names, *part]) + "\n")
    expected, frame = read_table(whole), read_tables(files)
    assert frame.equals(expected)
    assert frame["s"].dtype == expected["s"].dtype
    assert read_tables(files, ["n"]).equals(read_table(whole, ["n"]))
    assert read_tables([whole]).equals(expected)


def test_columns_go_by_name_whatever_the_files_are(tmp_path: Path) -> None:
    FRAME.write_csv(tmp_path / "a.csv")
    FRAME.select("n", "name", "size").write_csv(tmp_path / "b.tsv", separator="\t")
    FRAME.select("size", "n", "name").write_parquet(tmp_path / "c.parquet")
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    frame = read_tables([tmp_path / name for name in ("a.csv", "b.tsv", "c.parquet", "d.csv.gz")])
    assert frame.equals(pl.concat([FRAME] * 4))


OTHER_COLUMNS = {
    "one less": (b"a\n1\n", "b.csv has no column 'b', which .*a.csv has; expected the same columns in every file"),
    "one more": (b"c,b,a\n1,2,3\n", "b.csv has a column 'c', which .*a.csv has not"),
    "another": (
        b"a,B\n1,2\n",
        "b.csv has no column 'b', which .*a.csv has, and has a column 'B', which .*a.csv has not",
    ),
    "broken": (b"a,b\n1,2\n3,4,5\n", "b.csv does not read as delimited text"),
    "empty": (b"", "b.csv is empty"),
}


@pytest.mark.parametrize("case", OTHER_COLUMNS)
def test_files_that_are_not_one_table(case: str, tmp_path: Path) -> None:
    content, says = OTHER_COLUMNS[case]
    (tmp_path / "a.csv").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "b.csv").write_bytes(content)
    with pytest.raises(TableError, match=says):
        read_tables([tmp_path / "a.csv", tmp_path / "b.csv"])


def test_types_that_do_not_go_together(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\nx,1\n")
    pl.DataFrame({"a": [1], "b": [2]}).write_parquet(tmp_path / "b.parquet")
    says = "b.parquet holds Int64 in the column 'a', and .*a.csv holds String; expected one type"
    with pytest.raises(TableError, match=says):
        read_tables([tmp_path / "a.csv", tmp_path / "b.parquet"])


def test_what_is_said_wrongly(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"paths is empty; expected at least one file"):
        read_tables([])
    with pytest.raises(ValueError, match=r"ending is 'csv'; expected one of \.csv"):
        read_table(tmp_path / "t", ending="csv")
    (tmp_path / "t").write_bytes(LINES)
    with pytest.raises(TableError, match="t does not read as Parquet, which its format says"):
        read_table(tmp_path / "t", ending=".parquet")


BROKEN = {
    "a byte order mark alone": (b"\xef\xbb\xbf", "is empty"),
    "a byte order mark and blank lines": (b"\xef\xbb\xbf\r\n \n", "is empty"),
    "a very long name": (b"a" * 140_000 + b",b\n1,2\n", "a line of 140,002 characters that is none of column names"),
    "a quote that stays open": (b'a,b\n"x ""y"" z",2\n"it,3\n4,5\n', "opens a quote in line 3"),
    "in the first line": (b'a,"b\n1,2\n', "opens a quote in line 1"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_text_says_what_is_wrong(case: str, tmp_path: Path) -> None:
    data, says = BROKEN[case]
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(TableError, match=says):
        read_table(tmp_path / "t.csv")


PEAK = """
import resource, sys
import polars
from nineline.tables import TableError, read_table
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
try:
    read_table(sys.argv[1])
except TableError:
    pass
print((peak() - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="others count the peak of memory in other units")
@pytest.mark.parametrize(("first", "times"), [("a,b\n", 24), ('a,"b\n', 4), ('a,b\n1,"b\n', 4)])
def test_the_peak_of_memory_is_a_small_multiple_of_the_file(first: str, times: int, tmp_path: Path) -> None:
    """Four bytes a row are the worst case: two numbers of eight bytes each."""
    path = tmp_path / "t.csv"
    path.write_text(first + "1,2\n" * 3_000_000)
    done = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < times * path.stat().st_size


def test_ten_times_the_columns_take_about_ten_times_as_long(tmp_path: Path) -> None:
    def seconds(columns: int) -> float:
        path = tmp_path / f"{columns}.csv"
        names = ",".join(f"c{i}" for i in range(columns))
        path.write_text(f"{names}\n" + (",".join(["x"] * columns) + "\n") * 3)
        began = time.process_time()
        read_table(path, [f"c{i}" for i in range(columns)])
        return time.process_time() - began

    seconds(100)
    assert seconds(20_000) < 40 * max(seconds(2_000), 0.02)
