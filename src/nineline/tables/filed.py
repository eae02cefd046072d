"""Filed: files of the same columns as one table, piece by piece: the rows that `read_tables` would give."""

from __future__ import annotations

import bisect
import itertools
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nineline.tables import delimited
from nineline.tables.formats import TableError
from nineline.tables.frames import Table
from nineline.tables.origins import Origin
from nineline.tables.pieces import in_pieces
from nineline.tables.stacking import agree, check_columns, check_types, common
from nineline.tables.tidying import tidy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import polars as pl

    from nineline.tables.finding import Found
    from nineline.tables.tidying import Reading


class _Column(NamedTuple):
    """A column of all files.

    Attributes
    ----------
    type : DataType
    readings : list of Reading or None
        How it is read from each file; None where it has no value, and perhaps another type.
    """

    type: pl.DataType
    readings: Sequence[Reading | None]


class Files(Table):
    """Files of the same columns, in any order and format.

    Parameters
    ----------
    found : sequence of Found
    text_columns : collection of str
        As for `read_tables`.
    ending : str or None
    said : str
        What they are called together.
    """

    def __init__(self, found: Sequence[Found], text_columns: Collection[str], ending: str | None, said: str) -> None:
        self._called = said
        self._text_columns = sorted(set(text_columns))
        self._files = [in_pieces(Origin.of(each.path, ending), text_columns) for each in found]
        self._starts = [0, *itertools.accumulate(file.streams for file in self._files)]
        self._said = _typed(found, text_columns)

    @cached_property
    def _columns(self) -> dict[str, _Column]:
        """The columns that are in the files themselves."""
        first = self._files[0]
        columns = [name for name in first.columns if name not in self._said.columns]
        for file in self._files:
            own = [name for name in file.columns if name not in self._said.columns]
            check_columns(file.name, own, first.name, columns)
        if not columns:
            raise TableError(f"{first.name} has no column; expected one at least")
        return {name: self._together(name) for name in columns}

    def _together(self, name: str) -> _Column:
        """Return how a column is read, so that it is of one type in all files."""
        readings = [file.reading(name) for file in self._files]
        first = readings[0].tidy_type
        if all(each.tidy_type == first for each in readings):
            return _Column(first, readings)
        there = [file.has_values(name) for file in self._files]
        if not agree(each.tidy_type for each in itertools.compress(readings, there)):
            readings = [file.reading(name, as_text=True) for file in self._files]  # the text that it is, where it is
            named = zip(self._files, readings, strict=True)
            check_types(name, [(file.name, each.tidy_type) for file, each in itertools.compress(named, there)])
        final = common([each.tidy_type for each in itertools.compress(readings, there)] or [first])
        read = [replace(each, final=final) if has else None for each, has in zip(readings, there, strict=True)]
        return _Column(final, read)

    @cached_property
    def schema(self) -> Mapping[str, pl.DataType]:
        return {**{name: column.type for name, column in self._columns.items()}, **self._said.schema}

    @property
    def rows(self) -> int | None:
        total = 0
        for file in self._files:
            if file.rows is None:
                return None
            total += file.rows
        return total

    @property
    def streams(self) -> int:
        return self._starts[-1]

    def frames(self, stream: int, names: Sequence[str], rows_at_once: int) -> Iterator[pl.DataFrame]:
        import polars as pl

        number = bisect.bisect_right(self._starts, stream) - 1
        file, readings, constants = self._files[number], {}, []
        for name in names:
            if name not in self._columns:
                constants.append(pl.lit(self._said[name][number], self._said.schema[name]).alias(name))
            elif (reading := self._columns[name].readings[number]) is None:
                constants.append(pl.lit(None, self._columns[name].type).alias(name))
            else:
                readings[name] = reading
        if not readings:  # then some column says how many rows there are
            readings = {file.columns[0]: file.reading(file.columns[0])}
        for frame in file.frames(stream - self._starts[number], readings):
            yield frame.with_columns(constants).select(names)

    def in_words(self) -> str:
        return self._called

    def marks(self) -> object:
        files = [[Path(file.name).name, file.stamp.size, file.stamp.modified] for file in self._files]
        return [files, self._text_columns, self._said.rows()]


def _typed(found: Sequence[Found], text_columns: Collection[str]) -> pl.DataFrame:
    """Return what the names of folders say, a row a file, with the types that it had in a text.

    Raises
    ------
    TableError
        They do not say the same columns of all.
    """
    import polars as pl

    first = found[0]
    for each in found:
        if list(each.said) != list(first.said):
            raise TableError(
                f"the folders of {each.path} name {list(each.said) or 'no column'}, and those of {first.path} "
                f"{list(first.said) or 'none'}; expected the same folders key=value for every file"
            )
    columns = []
    for name in first.said:
        texts = pl.DataFrame({"value": [each.said[name] for each in found]}, schema={"value": pl.String})
        left = ["value"] if name in text_columns else []
        values = delimited.parsed(texts.write_csv().encode(), ",", text_columns=left)
        columns.append(tidy(values, left).to_series().alias(name))
    return pl.DataFrame(columns)
