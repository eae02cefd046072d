"""Origins: where the bytes of a table come from, unpacked; all at once, or a few megabytes at a time."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nineline.tables.formats import (
    ARROW,
    KNOWN,
    PACKINGS,
    PARQUET,
    STANDARD_INPUT,
    TableError,
    endings_of,
    in_words,
    reason_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK: Final = 2**22  # bytes that are read at once
_LINES: Final = 65_536  # that are unpacked at once
_GIVE: Final = "give its format (--format csv; in Python, ending='.csv')"


@dataclass(frozen=True)
class Origin:
    """Where a table comes from.

    Attributes
    ----------
    name : str
        In messages; the path too, unless there is `data`.
    ending : str
        One of `KNOWN`.
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
    def of(cls, path: str | os.PathLike[str], ending: str | None) -> Origin:
        """Return the origin that a path names.

        Raises
        ------
        TableError
            The path does not say what the table is, or is a folder.
        """
        check_known(ending)
        if os.fspath(path) == STANDARD_INPUT:
            if ending is None:
                raise TableError(f"standard input has no ending that says what it is; {_GIVE}")
            return cls("standard input", ending, None, sys.stdin.buffer.read())
        if Path(path).is_dir():
            raise TableError(f"{path} is a folder; name a file in it, or some by a pattern such as '{path}/*.csv'")
        own, packing = endings_of(path)
        if ending is None and own not in KNOWN:
            known = f"{', '.join(KNOWN)}, or .gz or .zst after it"
            raise TableError(f"{path} ends in {own or 'nothing'!r}; expected one of {known}; rename it, or {_GIVE}")
        return cls(os.fspath(path), ending or own, packing if ending is None else None)

    @property
    def said_by(self) -> str:
        """What says that the table is of this format."""
        return "format" if self.packing is None else "ending"

    def unpacked(self) -> bytes:
        """Return the bytes of the table itself.

        Raises
        ------
        TableError
            They are not packed as the ending says, or damaged.
        """
        data = Path(self.name).read_bytes() if self.data is None else self.data
        found = self.packing_of(data)
        if found == ".gz":
            try:
                return gzip.decompress(data)
            except (EOFError, OSError, zlib.error) as error:
                raise self._damaged_gzip(len(data), error) from error
        if found == ".zst":
            try:
                return b"".join(_unpacked_zstd(data))
            except _of_zstd() as error:
                raise self._damaged_zstd(len(data), error) from error
        return data

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes of the table itself, some megabytes at a time; raise as `unpacked` does."""
        size = Path(self.name).stat().st_size
        with Path(self.name).open("rb") as file:
            found = self.packing_of(file.read(4))
            file.seek(0)
            if found == ".gz":
                with gzip.GzipFile(fileobj=file) as unpacked:
                    while True:
                        try:
                            chunk = unpacked.read(CHUNK)
                        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                            raise self._damaged_gzip(size, error) from error
                        if not chunk:
                            return
                        yield chunk
            elif not found:
                while chunk := file.read(CHUNK):
                    yield chunk
        if found == ".zst":
            try:
                yield from _unpacked_zstd(Path(self.name))
            except _of_zstd() as error:
                raise self._damaged_zstd(size, error) from error

    def packing_of(self, first: bytes) -> str:
        """Return what the first bytes say about how a table is packed, or ""; raise where the ending says another."""
        found = next((packing for packing, (_, magic) in PACKINGS.items() if first.startswith(magic)), "")
        if first and self.packing not in (None, found):
            what = f"packed by {PACKINGS[found][0]}" if found else "not packed"
            so = f"so that it ends in {found}" if found else f"without {self.packing}"
            raise TableError(f"{self.name} is {what} (it begins with {first[:4]!r}), unlike its ending; rename it {so}")
        if found == ".zst" and self.ending in (*PARQUET, *ARROW):
            raise TableError(
                f"{self.name} is {in_words(self.ending)} packed by zstd, and only text is unpacked; "
                "unpack it by zstd -d"
            )
        return found

    def empty(self) -> TableError:
        """Return what is raised where there is nothing in it."""
        return TableError(f"{self.name} is empty; expected a table with a line of column names")

    def no_rows(self) -> TableError:
        """Return what is raised where there are names and nothing else."""
        return TableError(f"{self.name} has column names and no rows")

    def _damaged_gzip(self, size: int, error: Exception) -> TableError:
        return TableError(f"{self.name} is cut short or damaged ({size:,} bytes of gzip: {error}); copy it again")

    def _damaged_zstd(self, size: int, error: BaseException) -> TableError:
        return TableError(
            f"{self.name} is cut short or damaged, or no text in UTF-8 ({size:,} bytes of zstd: {reason_of(error)}); "
            "copy it again, or unpack it by zstd -d"
        )


def check_known(ending: str | None) -> None:
    """Raise ValueError for an ending that is no table's."""
    if ending is not None and ending not in KNOWN:
        raise ValueError(f"ending is {ending!r}; expected one of {', '.join(KNOWN)}")


def _unpacked_zstd(given: bytes | Path) -> Iterator[bytes]:
    """Yield the lines of a text, by polars: Python has no zstd before 3.14."""
    import polars as pl

    # no text has NUL in it, so a line is a field
    schema = {"line": pl.String}
    lines = pl.scan_csv(given, has_header=False, separator="\0", quote_char=None, schema=schema, glob=False)
    try:
        for some in lines.collect_batches(chunk_size=_LINES, lazy=True):
            yield some.write_csv(include_header=False, quote_style="never").encode()
    except pl.exceptions.NoDataError:
        return


def _of_zstd() -> tuple[type[BaseException], ...]:
    import polars as pl

    return pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError
