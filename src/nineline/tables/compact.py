"""Compact rows of columns: what their values are in memory, side by side, and what they become."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from nineline import _checks
from nineline.rows import Compact, Encoding, LevelPart, NumberPart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import narwhals as nw
    import numpy.typing as npt


class CompactColumn(Protocol):
    """A column that knows what it is in a compact row; see `nineline.tables.kinds.Column`."""

    @property
    def name(self) -> str: ...

    @property
    def width(self) -> int: ...

    @property
    def encoding(self) -> tuple[NumberPart | LevelPart, ...]: ...

    def values(self, series: nw.Series[Any]) -> tuple[npt.NDArray[Any], ...]: ...

    def one(self, value: object) -> tuple[float, ...] | None: ...


_ROWS_TO_SHARE: Final = 100_000
_LARGEST: Final = {np.float32: float(np.finfo(np.float32).max), np.float64: 1e100}
"""Of each dtype the largest number in a compact row, whose square is still a number of float64."""


def compact(
    columns: Sequence[CompactColumn], series: Sequence[nw.Series[Any]], rows: int, dtype: type[np.floating[Any]]
) -> Compact:
    """Return the values of some columns as compact rows, with numbers of a dtype, and what they become beside them."""
    encoding = encoding_of(columns)
    numbers = np.empty((rows, len(encoding.numbers)), dtype)
    levels = np.empty((rows, len(encoding.levels)), np.int32)

    def fill(column: CompactColumn, series: nw.Series[Any], number: int, level: int) -> None:
        for values in column.values(series):
            if values.dtype == np.int32:
                levels[:, level] = values
                level += 1
            else:
                np.clip(values, -_LARGEST[dtype], _LARGEST[dtype], out=numbers[:, number], casting="same_kind")
                number += 1

    work, number, level = [], 0, 0
    for column, each in zip(columns, series, strict=True):
        work.append(partial(fill, column, each, number, level))
        number += sum(isinstance(part, NumberPart) for part in column.encoding)
        level += sum(isinstance(part, LevelPart) for part in column.encoding)
    each_column(work, rows)
    return Compact(numbers, levels, encoding)


def each_column(work: Sequence[Callable[[], object]], rows: int) -> None:
    """Do what is to be done for each of several columns: one after the other, or of many rows side by side."""
    if rows < _ROWS_TO_SHARE:
        for each in work:
            each()
        return
    with ThreadPoolExecutor(_checks.threads("threads", None)) as pool:
        for future in [pool.submit(each) for each in work]:
            future.result()


def compact_one(
    columns: Sequence[CompactColumn],
    values: Sequence[object],
    series_of: Callable[[str, object], nw.Series[Any]],
    encoding: Encoding,
) -> Compact:
    """Return one row's values as a compact row, numbers of float64; `series_of` makes a column of a name and value."""
    held: list[float] = []
    for column, value in zip(columns, values, strict=True):
        one = column.one(value)
        if one is None:  # it needs a closer look, or is of another kind
            one = tuple(each[0] for each in column.values(series_of(column.name, value)))
        held += one
    all_held = np.array([held], np.float64)  # levels alone would be whole numbers
    numbers = all_held[:, encoding.number_places]
    most = _LARGEST[np.float64]
    if not np.abs(numbers).max(initial=0) <= most:
        numbers = np.clip(numbers, -most, most)
    return Compact(numbers, all_held[:, encoding.level_places].astype(np.int32), encoding)


def encoding_of(columns: Sequence[CompactColumn]) -> Encoding:
    """Return what compact rows of some columns become: the inputs of one column beside those of the next."""
    parts: list[NumberPart | LevelPart] = []
    start = 0
    for column in columns:
        parts += [part._replace(place=start + part.place) for part in column.encoding]
        start += column.width
    numbers = tuple(part for part in parts if isinstance(part, NumberPart))
    return Encoding(numbers, tuple(part for part in parts if isinstance(part, LevelPart)), start)
