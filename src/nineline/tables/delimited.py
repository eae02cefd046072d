"""Delimited text: its encoding, delimiter, names and rows; all of it, or blocks of whole rows."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nineline.tables.formats import MISSING, TABS, TableError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    import polars as pl

    from nineline.tables.origins import Origin

_DELIMITERS: Final = (",", ";", "\t", "|")
_LINE_END: Final = re.compile(rb"[\r\n]")
_BEGINNING: Final = 65_536  # bytes, which tell the delimiter
_PIECE: Final = 2**20  # bytes that are looked at at once
_ROWS: Final = 256  # about as many at least in a block, however wide they are
_LONGEST: Final = 2**26  # bytes of a row, or of an open quote


@dataclass(frozen=True)
class Delimited:
    """How a delimited text is read.

    Attributes
    ----------
    origin : Origin
    delimiter : str
    names : list of str
        The fields of its first line.
    """

    origin: Origin
    delimiter: str
    names: list[str]

    @classmethod
    def of(cls, origin: Origin, data: bytes, *, whole: bool) -> Delimited:
        """Tell it by all of a text, or by its beginning as `beginning` returns it.

        Raises
        ------
        TableError
            It has no line of column names, or two columns of one name; or it is whole, and a quote stays open.
        """
        if not data or data.isspace():
            raise origin.empty()
        delimiter = "\t" if origin.ending in TABS else _delimiter(data)
        if whole:
            _check_quotes(origin.name, data, delimiter)
        names = _names(origin.name, data, delimiter)
        if names and all(_is_number(name) for name in names):
            raise TableError(
                f"{origin.name} begins with the numbers {names[:5]}; expected a first line of column names"
            )
        doubled = sorted(name for name, count in Counter(name.strip() for name in names).items() if count > 1)
        if doubled:
            raise TableError(f"{origin.name} has two columns of the name {doubled[0]!r}; give each its own")
        return cls(origin, delimiter, names)

    @property
    def commas(self) -> bool:
        """Whether decimal commas are looked for: they go together with semicolons."""
        return self.delimiter == ";"

    def frame(
        self, text: bytes, types: Sequence[pl.DataType] | None = None, text_columns: Collection[str] = ()
    ) -> pl.DataFrame:
        """Return the rows of a text that begins with the line of names.

        Parameters
        ----------
        text : bytes
        types : sequence, optional
            Of all columns in order; None: what all values of each go together with, but text for `text_columns`.
        text_columns : collection of str
        """
        left = [name for name in self.names if name.strip() in text_columns]
        return parsed(text, self.delimiter, types, left)

    def blocks(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield a text in blocks of whole rows, each with the line of names in front.

        Raises
        ------
        TableError
            A quote stays open.
        """
        header, lines = b"", 0
        least = min(_ROWS * sum(len(name) + 1 for name in self.names), _LONGEST // 2)
        for block in row_blocks(self.origin.name, chunks, quoted=True, least=least):
            if not header:
                header = block[: _first_row_end(block)]
                text = block
            else:
                text = header + block
            if block.count(b'"') % 2:  # only the last may be
                _check_quotes(self.origin.name, block, self.delimiter, lines)
            lines += block.count(b"\n")
            yield text


def parsed(
    text: bytes, delimiter: str, types: Sequence[pl.DataType] | None = None, text_columns: Collection[str] = ()
) -> pl.DataFrame:
    """Return the rows of a text that begins with a line of names; see `Delimited.frame`."""
    import polars as pl

    frame = pl.read_csv(
        text,
        separator=delimiter,
        null_values=list(MISSING),
        infer_schema_length=None if types is None else 0,
        schema_overrides=dict.fromkeys(text_columns, pl.String) if types is None else list(types),
    ).rename(str.strip)
    if frame.width > 1:  # a blank line is no row
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    return frame


def as_utf8(data: bytes) -> bytes:
    """Return a text in UTF-8; what is none is taken for what spreadsheets on Windows write."""
    try:
        check_utf8(data)
    except UnicodeDecodeError:
        return from_windows(data)
    return data


def from_windows(data: bytes) -> bytes:
    """Return a text of Windows in UTF-8."""
    return data.decode("cp1252", errors="replace").encode()


def check_utf8(data: bytes) -> None:
    """Raise UnicodeDecodeError where bytes are not UTF-8, without making a text of them all."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    for start in range(0, len(data), _PIECE):
        decoder.decode(view[start : start + _PIECE], start + _PIECE >= len(data))


def check_text(origin: Origin, data: bytes) -> None:
    """Raise TableError where the first bytes are no text's."""
    if b"\0" in data[:4096] or data[:4] == b"PAR1":
        raise TableError(f"{origin.name} is a binary file, not delimited text as its {origin.said_by} says")


def begun(data: bytes) -> bytes:
    """Return a text without what may stand before its first line."""
    return data.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")


def begun_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Do the same with a text in chunks."""
    rest, held = iter(chunks), b""
    for chunk in rest:
        held += chunk
        if len(held) > len(codecs.BOM_UTF8) and begun(held):
            break
    if begun(held):
        yield begun(held)
    yield from rest


def beginning(chunks: Iterable[bytes]) -> bytes:
    """Return as much of a text as `Delimited.of` looks at."""
    held = b""
    for chunk in chunks:
        held += chunk
        if len(held) > _BEGINNING and not held.isspace() and (_first_row_end(held) or len(held) > _LONGEST):
            break
    return held


def row_blocks(name: str, chunks: Iterable[bytes], *, quoted: bool, least: int = 0) -> Iterator[bytes]:
    """Yield blocks of whole rows, of so many bytes at least: each ends at the end of a line that is in no quotes.

    Raises
    ------
    TableError
        A row has no end.
    """
    held, lines = b"", 0
    for chunk in chunks:
        held += chunk
        if len(held) < least:
            continue
        end = _last_row_end(held, quoted=quoted)
        if end:
            yield held[:end]
            lines += held.count(b"\n", 0, end)
            held = held[end:]
        elif len(held) > _LONGEST:
            raise TableError(
                f"{name} has no end of a row for {len(held):,} bytes from line {lines + 1:,} on; "
                "close the quote that is open there, or expect no table in it"
            )
    if held:
        yield held


def _last_row_end(data: bytes, *, quoted: bool) -> int:
    """Return the place behind the last end of a line with an even number of quotes before it, or 0."""
    end = data.rfind(b"\n") + 1
    if not quoted:
        return end
    quotes = data.count(b'"', 0, end)
    while end and quotes % 2:
        opening = data.rfind(b'"', 0, end)
        before = data.rfind(b"\n", 0, opening) + 1
        quotes -= data.count(b'"', before, end)
        end = before
    return end


def _first_row_end(data: bytes) -> int:
    """Return the place behind the first end of a line with an even number of quotes before it, or 0."""
    end = quotes = 0
    while found := data.find(b"\n", end) + 1:
        quotes += data.count(b'"', end, found)
        end = found
        if quotes % 2 == 0:
            return end
    return 0


def _names(name: str, data: bytes, delimiter: str) -> list[str]:
    """Return the fields of the first line."""
    end = _LINE_END.search(data)
    line = (data if end is None else data[: end.start()]).decode()
    try:
        return next(csv.reader([line], delimiter=delimiter))
    except csv.Error as error:
        raise TableError(
            f"{name} begins with a line of {len(line):,} characters that is none of column names: {error}"
        ) from error


def _check_quotes(name: str, data: bytes, delimiter: str, lines_before: int = 0) -> None:
    opened = _open_quote(data, delimiter)
    if opened is not None:
        raise TableError(
            f"{name} opens a quote in line {lines_before + opened:,} of the table that nothing closes; close it, or "
            "write a quote inside of a quoted field twice"
        )


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
