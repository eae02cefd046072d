"""Reading and writing tables: every usual spelling of the same table gives the same frame."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from nineline.tables import TableError, read_table, write_table

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


@pytest.mark.parametrize("name", SAME_TABLE)
def test_every_spelling_is_the_same_table(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(SAME_TABLE[name], encoding="utf-8", newline="")
    frame = read_table(path)
    assert frame.columns == FRAME.columns
    assert frame["name"].to_list() == FRAME["name"].to_list()
    assert frame["size"].to_list() == FRAME["size"].to_list()
    assert frame["n"].cast(pl.Float64).to_list() == [1, 2, 3]


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "pq", "jsonl", "ndjson"])
def test_what_is_written_is_read(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{ending}"
    write_table(FRAME, path)
    assert read_table(path).equals(FRAME)


def test_text_that_is_not_utf8_is_read_as_windows_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("stadt,n\nKöln,1\nBonn,2\n".encode("cp1252"))
    assert read_table(tmp_path / "t.csv")["stadt"].to_list() == ["Köln", "Bonn"]


def test_numbers_after_many_whole_ones_are_still_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "1,a\n" * 5000 + "2.5,b\n")
    assert read_table(tmp_path / "t.csv")["x"].dtype == pl.Float64


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
    "unknown ending": ("t.xlsx", b"a,b\n1,2\n", "'.xlsx'; expected one of .csv"),
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
