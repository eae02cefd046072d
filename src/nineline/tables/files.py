"""Files of tables: CSV, TSV, Parquet and JSON lines in and out, by polars; packed or not, one or several."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import re
import sys
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nineline.writing import write_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import polars as pl

MISSING: Final = ("", "NA", "N/A", "n/a", "?", "NaN", "nan", "NULL", "null")
"""What counts as a missing value in a text file, besides blanks around it."""

STANDARD_INPUT: Final = "-"
"""The name that is no file's."""

_DELIMITERS: Final = (",", ";", "\t", "|")
_DECIMAL_COMMA: Final = r"^\s*[+-]?\d+(,\d+)?\s*$"
_TABS: Final = (".tsv", ".tab")
_TEXT: Final = (".csv", *_TABS, ".txt")
_PARQUET: Final = (".parquet", ".pq")
_JSON_LINES: Final = (".jsonl", ".ndjson")
_KNOWN: Final = (*_TEXT, *_PARQUET, *_JSON_LINES)
PACKINGS: Final = {".gz": ("gzip", b"\x1f\x8b"), ".zst": ("zstd", b"\x28\xb5\x2f\xfd")}  # RFC 1952, RFC 8878
_LINE_END: Final = re.compile(rb"[\r\n]")
_BEGINNING: Final = 65_536  # bytes, which tell the delimiter
_PIECE: Final = 2**20  # bytes that are looked at at once
_GIVE: Final = "give its format (--format csv; in Python, ending='.csv')"


class TableError(ValueError):
    """A file is not the table that its name says; the message names the file and the reason."""


def read_table(
    path: str | os.PathLike[str], text_columns: Collection[str] = (), *, ending: str | None = None
) -> pl.DataFrame:
    r"""Read a table from a file; its ending says what it is.

    Parameters
    ----------
    path : path
        ``.csv``, ``.tsv``, ``.tab``, ``.txt`` (delimited by comma, semicolon, tab or bar, whichever splits the
        lines evenly; a first line of column names; quoted fields), ``.parquet``, ``.pq``, ``.jsonl``, ``.ndjson``;
        ``.gz`` after any of them, ``.zst`` after those of text. ``"-"`` is standard input.
    text_columns : collection of str
        Columns to leave as the text they are in a delimited file, whatever they look like: what was text when a
        model was trained must not become numbers because of the values that happen to be in this file.
    ending : str, optional
        What the table is, such as ``".csv"``, whatever the ending of its name. Whether it is packed by gzip or zstd
        is then told by its first bytes. Standard input needs it.

    Returns
    -------
    polars.DataFrame
        Text that is `MISSING` becomes null; a column of numbers written as text becomes numbers.

    Raises
    ------
    TableError
        The file is empty, cut short, or not what its name says.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import gzip, tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "flats.csv.gz"
    ...     _ = path.write_bytes(gzip.compress(b"area,district\n55,harbour\nNA,hill\n"))
    ...     read_table(path).rows()
    [(55, 'harbour'), (None, 'hill')]
    """
    return _Source.of(path, ending).read(text_columns)


def read_tables(
    paths: Sequence[str | os.PathLike[str]], text_columns: Collection[str] = (), *, ending: str | None = None
) -> pl.DataFrame:
    r"""Read several files of the same columns as one table: the rows of the first, then those of the second, and so on.

    Columns are matched by name, and come in the order of the first file. A column gets the type that it would have
    in one file: whole numbers beside fractions are numbers, and what is text in one file is left as text in all.

    Parameters
    ----------
    paths : sequence of paths
    text_columns, ending
        As for `read_table`, all of them.

    Raises
    ------
    TableError
        A file is no table, or its columns are others than those of the first.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "jan.csv").write_text("code,rent\n007,600\n")
    ...     _ = (Path(folder) / "feb.csv").write_text("rent,code\n612.5,A1\n")
    ...     read_tables([f"{folder}/jan.csv", f"{folder}/feb.csv"]).rows()
    [('007', 600.0), ('A1', 612.5)]
    """
    import polars as pl

    sources = [_Source.of(path, ending) for path in paths]
    if not sources:
        raise ValueError("paths is empty; expected at least one file")
    frames: list[pl.DataFrame] = []
    for source in sources:
        frames.append(source.read(text_columns))
        _check_columns(source.name, frames[-1], sources[0].name, frames[0])
    mixed = [name for name in frames[0].columns if not _agree(_types(frames, name))]
    if mixed:  # of several types: as the text that they are, where they are
        texts = [*text_columns, *mixed]
        for i, source in enumerate(sources):
            if any(dtype != pl.String for name in mixed for dtype in _types(frames[i : i + 1], name)):
                frames[i] = source.read(texts)
        for name in mixed:
            _check_types(name, frames, sources)
    return _stacked(frames)


def tidy(frame: pl.DataFrame, text_columns: Collection[str] = ()) -> pl.DataFrame:
    """Strip text, turn `MISSING` into null, and text columns of nothing but numbers into numbers."""
    import polars as pl

    left, tidied = set(text_columns), []
    for name, dtype in frame.schema.items():
        if dtype != pl.String:
            continue
        text = frame[name].str.strip_chars()
        text = text.set(text.is_in(MISSING), None)
        numbers = text.cast(pl.Float64, strict=False)
        all_numbers = (
            name not in left and text.null_count() < frame.height and numbers.null_count() == text.null_count()
        )
        tidied.append((numbers if all_numbers else text).alias(name))
    return frame.with_columns(tidied)


def text_columns(frame: pl.DataFrame) -> list[str]:
    """Return the names of a table's text columns, for `read_table` of another table like it."""
    import polars as pl

    return [name for name, dtype in frame.schema.items() if dtype == pl.String]


def check_ending(path: str | os.PathLike[str]) -> None:
    """Raise TableError now if `write_table` could not tell from a name what to write."""
    ending, packing = _endings(path)
    if ending not in _KNOWN:
        raise TableError(
            f"{path} ends in {ending or 'nothing'!r}; expected one of {', '.join(_KNOWN)}, or .gz after it"
        )
    if packing == ".zst":
        raise TableError(f"{path} ends in '.zst', which is read and not written; expected {ending}, or {ending}.gz")


def write_table(frame: pl.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table to a file; its ending says as what, as in `read_table`, and ``.gz`` after it packs it.

    Raises
    ------
    TableError
        As `check_ending`.
    OSError
        The file cannot be written; what lay there before is untouched.
    """
    check_ending(path)
    ending, packing = _endings(path)
    to = io.BytesIO()
    if ending in _PARQUET:
        frame.write_parquet(to)
    elif ending in _JSON_LINES:
        frame.write_ndjson(to)
    else:
        frame.write_csv(to, separator="\t" if ending in _TABS else ",")
    data = to.getvalue()
    write_bytes(path, gzip.compress(data, mtime=0) if packing else data)  # the same bytes for the same table


@dataclass(frozen=True)
class _Source:
    """Where a table comes from.

    Attributes
    ----------
    name : str
        In messages; the path too, unless there is `data`.
    ending : str
        One of `_KNOWN`.
    packing : str or None
        One of `PACKINGS`, or "" for none; None: as its first bytes say.
    data : bytes or None
        What came by standard input, which cannot be read again.
    """

    name: str
    ending: str
    packing: str | None
    data: bytes | None = None

    @classmethod
    def of(cls, path: str | os.PathLike[str], ending: str | None) -> _Source:
        if ending is not None and ending not in _KNOWN:
            raise ValueError(f"ending is {ending!r}; expected one of {', '.join(_KNOWN)}")
        if os.fspath(path) == STANDARD_INPUT:
            if ending is None:
                raise TableError(f"standard input has no ending that says what it is; {_GIVE}")
            return cls("standard input", ending, None, sys.stdin.buffer.read())
        if Path(path).is_dir():
            raise TableError(f"{path} is a folder; name a file in it, or some by a pattern such as '{path}/*.csv'")
        own, packing = _endings(path)
        if ending is None and own not in _KNOWN:
            known = f"{', '.join(_KNOWN)}, or .gz or .zst after it"
            raise TableError(f"{path} ends in {own or 'nothing'!r}; expected one of {known}; rename it, or {_GIVE}")
        return cls(os.fspath(path), ending or own, packing if ending is None else None)

    @property
    def _said_by(self) -> str:
        return "format" if self.packing is None else "ending"

    def read(self, text_columns: Collection[str]) -> pl.DataFrame:
        """Return the table."""
        import polars as pl

        data = self._unpacked()
        if not data or data.isspace():
            raise self._empty()
        try:
            if self.ending in _PARQUET:
                frame = pl.read_parquet(data)
            elif self.ending in _JSON_LINES:
                frame = pl.read_ndjson(data, infer_schema_length=None)
            else:
                frame = self._read_text(data, text_columns)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            text = "JSON lines" if self.ending in _JSON_LINES else "delimited text"
            kind = "Parquet" if self.ending in _PARQUET else text
            reason = str(error).strip().splitlines()[0]
            raise TableError(
                f"{self.name} does not read as {kind}, which its {self._said_by} says: {reason}"
            ) from error
        if frame.height == 0:
            raise TableError(f"{self.name} has column names and no rows")
        return tidy(frame, text_columns)

    def _empty(self) -> TableError:
        return TableError(f"{self.name} is empty; expected a table with a line of column names")

    def _names(self, data: bytes, delimiter: str) -> list[str]:
        """Return the fields of the first line."""
        end = _LINE_END.search(data)
        line = (data if end is None else data[: end.start()]).decode()
        try:
            return next(csv.reader([line], delimiter=delimiter))
        except csv.Error as error:
            raise TableError(
                f"{self.name} begins with a line of {len(line):,} characters that is none of column names: {error}"
            ) from error

    def _unpacked(self) -> bytes:
        """Return the bytes of the table itself."""
        data = Path(self.name).read_bytes() if self.data is None else self.data
        found = next((packing for packing, (_, first) in PACKINGS.items() if data.startswith(first)), "")
        if data and self.packing not in (None, found):
            what = f"packed by {PACKINGS[found][0]}" if found else "not packed"
            so = f"so that it ends in {found}" if found else f"without {self.packing}"
            raise TableError(f"{self.name} is {what} (it begins with {data[:4]!r}), unlike its ending; rename it {so}")
        if found == ".gz":
            try:
                return gzip.decompress(data)
            except (EOFError, OSError, zlib.error) as error:
                raise TableError(
                    f"{self.name} is cut short or damaged ({len(data):,} bytes of gzip: {error}); copy it again"
                ) from error
        return self._unpacked_zstd(data) if found == ".zst" else data

    def _unpacked_zstd(self, data: bytes) -> bytes:
        """Return the lines of a text, by polars: Python has no zstd before 3.14."""
        import polars as pl

        if self.ending in _PARQUET:
            raise TableError(f"{self.name} is Parquet packed by zstd, and only text is unpacked; unpack it by zstd -d")
        try:  # no text has NUL in it, so a line is a field
            lines = pl.read_csv(data, has_header=False, separator="\0", quote_char=None, schema={"line": pl.String})
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise TableError(
                f"{self.name} is cut short or damaged, or no text in UTF-8 ({len(data):,} bytes of zstd: {reason}); "
                "copy it again, or unpack it by zstd -d"
            ) from error
        return lines.write_csv(include_header=False, quote_style="never").encode()

    def _read_text(self, data: bytes, text_columns: Collection[str]) -> pl.DataFrame:
        import polars as pl

        left = set(text_columns)
        if b"\0" in data[:4096] or data[:4] == b"PAR1":
            raise TableError(f"{self.name} is a binary file, not delimited text as its {self._said_by} says")
        if not _is_utf8(data):
            data = data.decode("cp1252", errors="replace").encode()  # what spreadsheets on Windows write
        data = data.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
        if not data or data.isspace():
            raise self._empty()
        delimiter = "\t" if self.ending in _TABS else _delimiter(data)
        opened = _open_quote(data, delimiter)
        if opened is not None:
            raise TableError(
                f"{self.name} opens a quote in line {opened:,} of the table that nothing closes; close it, or write a "
                "quote inside of a quoted field twice"
            )
        names = self._names(data, delimiter)
        if names and all(_is_number(name) for name in names):
            raise TableError(f"{self.name} begins with the numbers {names[:5]}; expected a first line of column names")
        doubled = sorted(name for name, count in Counter(name.strip() for name in names).items() if count > 1)
        if doubled:
            raise TableError(f"{self.name} has two columns of the name {doubled[0]!r}; give each its own")
        frame = pl.read_csv(
            data,
            separator=delimiter,
            null_values=list(MISSING),
            infer_schema_length=None,
            schema_overrides={name: pl.String for name in names if name.strip() in left},
        ).rename(str.strip)
        if delimiter == ";":  # where it goes together with decimal commas
            decimal = [
                name
                for name, dtype in frame.schema.items()
                if dtype == pl.String and name not in left and frame[name].str.contains(_DECIMAL_COMMA).all()
            ]
            frame = frame.with_columns(pl.col(decimal).str.replace(",", ".", literal=True))
        if frame.width > 1:  # a blank line is no row
            frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
        return frame


def _endings(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the ending that says what a table is, and the one that says how it is packed, or ""."""
    name = Path(os.fspath(path).lower())
    packing = name.suffix if name.suffix in PACKINGS else ""
    return (Path(name.stem) if packing else name).suffix, packing


def _check_columns(name: str, frame: pl.DataFrame, first_name: str, first: pl.DataFrame) -> None:
    own, expected = set(frame.columns), set(first.columns)
    lacking = [column for column in first.columns if column not in own]
    more = [column for column in frame.columns if column not in expected]
    if lacking or more:
        lacks = f"has no column {lacking[0]!r}, which {first_name} has" if lacking else ""
        has = f"has a column {more[0]!r}, which {first_name} has not" if more else ""
        both = ", and " if lacks and has else ""
        raise TableError(f"{name} {lacks}{both}{has}; expected the same columns in every file, in any order")


def _types(frames: list[pl.DataFrame], column: str) -> set[pl.DataType]:
    """Return the types of a column in the tables where it has values."""
    return {frame[column].dtype for frame in frames if frame[column].null_count() < frame.height}


def _agree(types: set[pl.DataType]) -> bool:
    return len(types) < 2 or all(dtype.is_numeric() for dtype in types)


def _check_types(column: str, frames: list[pl.DataFrame], sources: list[_Source]) -> None:
    said: dict[pl.DataType, str] = {}
    for frame, source in zip(frames, sources, strict=True):
        for dtype in _types([frame], column):
            said.setdefault(dtype, source.name)
    if not _agree(set(said)):
        (one, first), (other, second) = list(said.items())[:2]
        raise TableError(
            f"{second} holds {other} in the column {column!r}, and {first} holds {one}; "
            "expected one type in every file: write it as one of the two in both"
        )


def _stacked(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all tables; a column that is missing in all of one table has no type there."""
    import polars as pl

    if len(frames) == 1:
        return frames[0]
    schema = {name: next(iter(_types(frames, name)), dtype) for name, dtype in frames[0].schema.items()}
    same = [
        frame.select(
            pl.col(name) if frame[name].null_count() < frame.height else pl.lit(None, dtype).alias(name)
            for name, dtype in schema.items()
        )
        for frame in frames
    ]
    return pl.concat(same, how="vertical_relaxed")


def _is_utf8(data: bytes) -> bool:
    """Return whether bytes are UTF-8, without making a text of them all."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    try:
        for start in range(0, len(data), _PIECE):
            decoder.decode(view[start : start + _PIECE], start + _PIECE >= len(data))
    except UnicodeDecodeError:
        return False
    return True


def _open_quote(data: bytes, delimiter: str) -> int | None:
    """Return the line of a quote that opens a field and is never closed, or None."""
    if data.count(b'"') % 2 == 0:
        return None
    opening = re.compile(b'(?:\\A|[\r\n%s])"' % re.escape(delimiter).encode())
    end = 0
    while (found := opening.search(data, end)) is not None:
        end = found.end()
        while True:
            closing = data.find(b'"', end)
            if closing < 0:
                return data.count(b"\n", 0, found.end()) + 1
            end = closing + 1
            if data[end : end + 1] != b'"':  # two are one inside of the field
                break
            end += 1
    return None


def _delimiter(data: bytes) -> str:
    """Return the delimiter that splits the first lines into the most columns, evenly."""
    lines = data[:_BEGINNING].decode(errors="ignore").splitlines()[:50]
    if len(data) > _BEGINNING and len(lines) > 1:
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
