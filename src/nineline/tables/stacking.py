"""Stacking: which columns and types of several files go together as one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nineline.tables.formats import TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl


def check_columns(name: str, columns: Sequence[str], first_name: str, first: Sequence[str]) -> None:
    """Raise TableError where a file has other columns than the first."""
    own, expected = set(columns), set(first)
    lacking = [column for column in first if column not in own]
    more = [column for column in columns if column not in expected]
    if lacking or more:
        lacks = f"has no column {lacking[0]!r}, which {first_name} has" if lacking else ""
        has = f"has a column {more[0]!r}, which {first_name} has not" if more else ""
        both = ", and " if lacks and has else ""
        raise TableError(f"{name} {lacks}{both}{has}; expected the same columns in every file, in any order")


def agree(types: Iterable[pl.DataType]) -> bool:
    """Return whether a column may have these types in files of one table."""
    different = set(types)
    return len(different) < 2 or all(dtype.is_numeric() for dtype in different)


def check_types(column: str, types: Iterable[tuple[str, pl.DataType]]) -> None:
    """Raise TableError where the types that a column has in files, by name, do not go together."""
    said: dict[pl.DataType, str] = {}
    for name, dtype in types:
        said.setdefault(dtype, name)
    if not agree(said):
        (one, first), (other, second) = list(said.items())[:2]
        raise TableError(
            f"{second} holds {other} in the column {column!r}, and {first} holds {one}; "
            "expected one type in every file: write it as one of the two in both"
        )


def common(types: Iterable[pl.DataType]) -> pl.DataType:
    """Return the type that holds the values of all of these, which `agree`: polars is asked."""
    import polars as pl

    different = list(dict.fromkeys(types))
    if len(different) == 1:
        return different[0]
    frames = [pl.DataFrame(schema={"v": dtype}) for dtype in different]
    return pl.concat(frames, how="vertical_relaxed").schema["v"]
