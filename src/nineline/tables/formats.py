"""Formats: what the ending of a file's name says of the table in it, and how it is said that a file is none."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

MISSING: Final = ("", "NA", "N/A", "n/a", "?", "NaN", "nan", "NULL", "null")
"""What counts as a missing value in a text file, besides blanks around it."""

STANDARD_INPUT: Final = "-"
"""The name that is no file's."""

TABS: Final = (".tsv", ".tab")
TEXT: Final = (".csv", *TABS, ".txt")
PARQUET: Final = (".parquet", ".pq")
ARROW: Final = (".arrow", ".feather", ".ipc")
JSON_LINES: Final = (".jsonl", ".ndjson")
KNOWN: Final = (*TEXT, *PARQUET, *ARROW, *JSON_LINES)
PACKINGS: Final = {".gz": ("gzip", b"\x1f\x8b"), ".zst": ("zstd", b"\x28\xb5\x2f\xfd")}  # RFC 1952, RFC 8878

_WORDS: Final = {PARQUET: "Parquet", ARROW: "Arrow IPC", JSON_LINES: "JSON lines", TEXT: "delimited text"}


class TableError(ValueError):
    """A file is not the table that its name says; the message names the file and the reason."""


def endings_of(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the ending that says what a table is, and the one that says how it is packed, or ""."""
    name = Path(str(path).lower())
    packing = name.suffix if name.suffix in PACKINGS else ""
    return (Path(name.stem) if packing else name).suffix, packing


def in_words(ending: str) -> str:
    """Return what the ending stands for."""
    return next(words for endings, words in _WORDS.items() if ending in endings)


def check_ending(path: str | os.PathLike[str]) -> None:
    """Raise TableError now if `write_table` could not tell from a name what to write."""
    ending, packing = endings_of(path)
    if ending not in KNOWN:
        raise TableError(f"{path} ends in {ending or 'nothing'!r}; expected one of {', '.join(KNOWN)}, or .gz after it")
    if packing == ".zst":
        raise TableError(f"{path} ends in '.zst', which is read and not written; expected {ending}, or {ending}.gz")


@contextmanager
def reading(name: str, ending: str, said_by: str) -> Iterator[None]:
    """Turn what polars says of a file that does not read into a TableError."""
    import polars as pl

    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise TableError(
            f"{name} does not read as {in_words(ending)}, which its {said_by} says: {reason_of(error)}"
        ) from error


def reason_of(error: BaseException) -> str:
    """Return the first line of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
