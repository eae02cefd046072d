"""Files of tables: CSV, TSV, Parquet and JSON lines in, CSV, Parquet and JSON lines out, by polars."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import os
    from collections.abc import Collection

    import polars as pl

MISSING: Final = ("", "NA", "N/A", "n/a", "?", "NaN", "nan", "NULL", "null")
"""What counts as a missing value in a text file, besides blanks around it."""

_DELIMITERS: Final = (",", ";", "\t", "|")
_DECIMAL_COMMA: Final = r"^\s*[+-]?\d+(,\d+)?\s*$"
_TEXT: Final = (".csv", ".tsv", ".tab", ".txt")
_PARQUET: Final = (".parquet", ".pq")
_JSON_LINES: Final = (".jsonl", ".ndjson")


class TableError(ValueError):
    """A file is not the table that its name says; the message names the file and the reason."""


def read_table(path: str | os.PathLike[str], text_columns: Collection[str] = ()) -> pl.DataFrame:
    """Read a table from a file; its ending says what it is.

    Parameters
    ----------
    path : path
        ``.csv``, ``.tsv``, ``.tab``, ``.txt`` (delimited by comma, semicolon, tab or bar, whichever splits the
        lines evenly; a first line of column names; quoted fields), ``.parquet``, ``.pq``, ``.jsonl``, ``.ndjson``.
    text_columns : collection of str
        Columns to leave as the text they are in a delimited file, whatever they look like: what was text when a
        model was trained must not become numbers because of the values that happen to be in this file.

    Returns
    -------
    polars.DataFrame
        Text that is `MISSING` becomes null; a column of numbers written as text becomes numbers.

    Raises
    ------
    TableError
        The file is empty, or not what its name says.
    OSError
        The file cannot be read.
    """
    import polars as pl

    file = Path(path)
    ending = file.suffix.lower()
    if file.is_dir():
        raise TableError(f"{file} is a folder; name a file in it")
    if ending not in (*_TEXT, *_PARQUET, *_JSON_LINES):
        raise TableError(
            f"{file} ends in {ending or 'nothing'!r}; expected one of {', '.join((*_TEXT, *_PARQUET, *_JSON_LINES))}"
        )
    data = file.read_bytes()
    if not data.strip():
        raise TableError(f"{file} is empty; expected a table with a line of column names")
    try:
        if ending in _PARQUET:
            frame = pl.read_parquet(data)
        elif ending in _JSON_LINES:
            frame = pl.read_ndjson(data, infer_schema_length=None)
        else:
            frame = _read_text(file, data, text_columns)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        kind = "Parquet" if ending in _PARQUET else "JSON lines" if ending in _JSON_LINES else "delimited text"
        reason = str(error).strip().splitlines()[0]
        raise TableError(f"{file} does not read as {kind}, which its ending says: {reason}") from error
    if frame.height == 0:
        raise TableError(f"{file} has column names and no rows")
    return tidy(frame, text_columns)


def tidy(frame: pl.DataFrame, text_columns: Collection[str] = ()) -> pl.DataFrame:
    """Strip text, turn `MISSING` into null, and text columns of nothing but numbers into numbers."""
    import polars as pl

    for name, dtype in frame.schema.items():
        if dtype != pl.String:
            continue
        text = frame[name].str.strip_chars()
        text = text.set(text.is_in(MISSING), None)
        numbers = text.cast(pl.Float64, strict=False)
        all_numbers = (
            name not in text_columns and text.null_count() < frame.height and numbers.null_count() == text.null_count()
        )
        frame = frame.with_columns((numbers if all_numbers else text).alias(name))
    return frame


def text_columns(frame: pl.DataFrame) -> list[str]:
    """Return the names of a table's text columns, for `read_table` of another table like it."""
    import polars as pl

    return [name for name, dtype in frame.schema.items() if dtype == pl.String]


def write_table(frame: pl.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table to a file; its ending says as what, as in `read_table`."""
    file = Path(path)
    ending = file.suffix.lower()
    if ending in _PARQUET:
        frame.write_parquet(file)
    elif ending in _JSON_LINES:
        frame.write_ndjson(file)
    elif ending in _TEXT:
        frame.write_csv(file, separator="\t" if ending in (".tsv", ".tab") else ",")
    else:
        known = ", ".join((*_TEXT, *_PARQUET, *_JSON_LINES))
        raise TableError(f"{file} ends in {ending or 'nothing'!r}; expected one of {known}")


def _read_text(file: Path, data: bytes, text_columns: Collection[str]) -> pl.DataFrame:
    import polars as pl

    if b"\0" in data[:4096] or data[:4] == b"PAR1":
        raise TableError(f"{file} is a binary file, not delimited text as its ending says")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")  # what spreadsheets on Windows write
    text = text.lstrip("\r\n")
    delimiter = "\t" if file.suffix.lower() in (".tsv", ".tab") else _delimiter(text)
    names = next(csv.reader(text.splitlines()[:1], delimiter=delimiter))
    if names and all(_is_number(name) for name in names):
        raise TableError(f"{file} begins with the numbers {names[:5]}; expected a first line of column names")
    names_alone = [name.strip() for name in names]
    doubled = sorted({name for name in names_alone if names_alone.count(name) > 1})
    if doubled:
        raise TableError(f"{file} has two columns of the name {doubled[0]!r}; give each its own")
    frame = pl.read_csv(
        text.encode(),
        separator=delimiter,
        null_values=list(MISSING),
        infer_schema_length=None,
        schema_overrides={name: pl.String for name in names if name.strip() in text_columns},
    ).rename(str.strip)
    if delimiter == ";":  # where it goes together with decimal commas
        decimal = [
            name
            for name, dtype in frame.schema.items()
            if dtype == pl.String and name not in text_columns and frame[name].str.contains(_DECIMAL_COMMA).all()
        ]
        frame = frame.with_columns(pl.col(decimal).str.replace(",", ".", literal=True))
    if frame.width > 1:  # a blank line is no row
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    return frame


def _delimiter(text: str) -> str:
    """Return the delimiter that splits the first lines into the most columns, evenly."""
    lines = text[:65_536].splitlines()[:50]
    if len(text) > 65_536 and len(lines) > 1:
        lines = lines[:-1]  # it may be cut
    best, columns = ",", 1
    for delimiter in _DELIMITERS:
        widths = {len(row) for row in csv.reader(lines, delimiter=delimiter) if row}
        if len(widths) == 1 and (width := widths.pop()) > columns:
            best, columns = delimiter, width
    return best


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
