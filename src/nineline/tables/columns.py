"""Columns: a table in, numbers out.

What was learned of every column of a table, and the whole table as numbers. A column that can tell nothing is dropped,
with the reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, cast

import narwhals as nw
import numpy as np

from nineline import _checks
from nineline.rows import NumberPart
from nineline.tables.compact import compact, compact_one, each_column, encoding_of
from nineline.tables.contract import Column
from nineline.tables.inference import ColumnLearner, Dropped
from nineline.tables.kinds import KINDS, EmbeddedCategory, Number
from nineline.tables.summaries import NUMBERS_AT_MOST, VALUES_AT_MOST
from nineline.tables.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from nineline.rows import Compact, Encoding
    from nineline.tables.profile import ColumnProfile

    Numbers = npt.NDArray[np.float64]

_AT_LEAST: Final = 2**16  # values that are kept apart in however little memory
_BYTES_OF_A_NUMBER: Final = 64  # while two sets of them are sorted into one
_BYTES_OF_A_TEXT: Final = 256
_INTERVALS_AT_MOST: Final = 1024  # of all columns together
_WIDE_TEXTS: Final = 4  # columns of free text that have all the room there is; more of them share it
_INTERVALS_AT_LEAST: Final = 3  # fewer say hardly more than the scaled number


@dataclass(frozen=True)
class Columns:
    """What was learned of every column of a table.

    Attributes
    ----------
    used : tuple of Column
        In the order of the table, but for those that an `Embedding` reads, which come first, and free text, which
        comes last.
    dropped : tuple of Dropped
    """

    used: tuple[Column, ...]
    dropped: tuple[Dropped, ...]

    @classmethod
    def learn(
        cls, frame: nw.DataFrame[Any], *, named: bool = True, weights: Numbers | None = None, intervals: int = 0
    ) -> Columns:
        """Learn every column of the training table; of one that comes in pieces, see `ColumnsLearner`.

        Parameters
        ----------
        frame : narwhals.DataFrame
        named : bool
            False for an array, whose columns have no names: they are not taken for identifiers.
        weights : array, (rows,), optional
            A row of weight 2 counts as two rows.
        intervals : int
            At most so many for each column of numbers; see `ColumnsLearner.divided`.

        Raises
        ------
        ValueError
            No column is of use.
        """
        learner = ColumnsLearner(named=named)
        learner.see(frame, weights)
        columns = learner.finish()
        return learner.divided(columns, intervals) if intervals else columns

    @property
    def width(self) -> int:
        """How many numbers a row becomes."""
        return sum(column.width for column in self.used)

    @property
    def text_names(self) -> list[str]:
        """Columns to be read as text, whatever they look like: a file's values must not make numbers of categories."""
        return [column.name for column in self.used if not column.numeric]

    def in_words(self) -> list[tuple[str, str, bool | None, str]]:
        """Return of every column its name, its kind or "dropped", whether values were missing, and what was done."""
        used = [(column.name, column.kind, column.missing, column.summary()) for column in self.used]
        return [*used, *((column.name, "dropped", None, column.reason) for column in self.dropped)]

    def require(self, names: Collection[str]) -> None:
        """Raise ValueError where a column that is used is not among `names`."""
        there = names if isinstance(names, Mapping) else set(names)
        absent = [column.name for column in self.used if column.name not in there]
        if absent:
            more = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
            hint = _checks.nearest(absent[0], names)
            raise ValueError(f"column {absent[0]!r}{more}, which the model was trained with, is not in the table{hint}")

    @cached_property
    def encoding(self) -> Encoding:
        """What compact rows of the table become."""
        return encoding_of(self.used)

    def compact(self, frame: nw.DataFrame[Any], dtype: type[np.floating[Any]] = np.float32) -> Compact:
        """Return a table as compact rows: a number of a dtype, or a whole number for a category, and what they become.

        A training is given float32, which is all that it can tell apart; an answer is for the numbers as they are.

        Raises
        ------
        ValueError
            A column is missing from the table, or of another kind than in training.
        """
        self.require(frame.columns)
        rows = compact(self.used, [frame.get_column(column.name) for column in self.used], len(frame), dtype)
        return replace(rows, encoding=self.encoding)

    def compact_one(self, row: Mapping[str, Any]) -> Compact:
        """Return one row, its values by the names of their columns, as a compact row with numbers of float64.

        Raises
        ------
        ValueError
            A column is missing from the row, or of another kind than in training.
        """
        self.require(row)
        values = [row[column.name] for column in self.used]
        return compact_one(self.used, values, _series_of, self.encoding)

    def compact_row(self, frame: nw.DataFrame[Any]) -> Compact:
        """Return a table of one row as `compact` does, of float64, sooner."""
        self.require(frame.columns)
        row = dict(zip(frame.columns, frame.row(0), strict=True))
        values = [row[column.name] for column in self.used]
        return compact_one(self.used, values, lambda name, _: frame.get_column(name), self.encoding)

    def shuffled(self, rows: Compact, number: int, order: npt.NDArray[np.intp]) -> Compact:
        """Return compact rows in which the column of this number, among those in use, has the values of other rows."""
        own_numbers, own_levels = self._places(number)
        numbers, levels = rows.numbers.copy(), rows.levels.copy()
        numbers[:, own_numbers] = numbers[order][:, own_numbers]
        levels[:, own_levels] = levels[order][:, own_levels]
        return replace(rows, numbers=numbers, levels=levels)

    def with_value(self, rows: Compact, number: int, value: object) -> Compact:
        """Return compact rows in which the column of this number, among those in use, has one value everywhere.

        `value` is one as the table holds it, None where it is missing.
        """
        column = self.used[number]
        given = column.values(_series_of(column.name, value))
        own_numbers, own_levels = self._places(number)
        numbers, levels = rows.numbers.copy(), rows.levels.copy()
        numbers[:, own_numbers] = [each[0] for each in given if each.dtype != np.int32]
        levels[:, own_levels] = [each[0] for each in given if each.dtype == np.int32]
        return replace(rows, numbers=numbers, levels=levels)

    def waved(self) -> Columns:
        """Return the same with waves for every column of numbers; see `nineline.tables.kinds.Number`."""
        used = tuple(column.waved() if isinstance(column, Number) else column for column in self.used)
        return replace(self, used=used)

    def add_waves(self, rows: Compact) -> Compact:
        """Return compact rows of the same columns without waves as rows that have them."""
        numbers: list[npt.NDArray[Any]] = []
        own = iter(rows.numbers.T)
        for column in self.used:
            if isinstance(column, Number) and column.frequencies:
                scaled = next(own)
                numbers += [*column.waves(scaled.astype(np.float64)).T.astype(scaled.dtype), scaled]
            else:
                numbers += [next(own) for part in column.encoding if isinstance(part, NumberPart)]
        return replace(rows, numbers=np.column_stack(numbers), encoding=self.encoding)

    def _places(self, number: int) -> tuple[list[int], list[int]]:
        """Return which numbers and levels of a compact row are of one column, among those in use."""
        start = sum(column.width for column in self.used[:number])
        end = start + self.used[number].width
        own_numbers = [place for place, part in enumerate(self.encoding.numbers) if start <= part.place < end]
        own_levels = [place for place, part in enumerate(self.encoding.levels) if start <= part.place < end]
        return own_numbers, own_levels

    def encode(self, frame: nw.DataFrame[Any]) -> Numbers:
        """Return a table as the numbers that a network is given, (rows, width); see `compact`."""
        return cast("Numbers", self.compact(frame, np.float64).astype(np.float64).dense())

    @property
    def texts(self) -> list[str]:
        """The names of the columns of free text, the last of those in use."""
        return [column.name for column in self.used if isinstance(column, Text)]

    def without_texts(self, reason: str) -> Columns:
        """Return the same with free text dropped; its encoding reads the same compact rows: see `Compact.read_by`."""
        used = self.used[: len(self.used) - len(self.texts)]
        return Columns(used, (*self.dropped, *(Dropped(name, reason) for name in self.texts)))

    def describe(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "used": [{"kind": column.kind, **dataclasses.asdict(column)} for column in self.used],
            "dropped": [dataclasses.asdict(column) for column in self.dropped],
        }

    @classmethod
    def rebuild(cls, described: dict[str, Any]) -> Columns:
        """Return the columns that `describe` described.

        Raises
        ------
        ValueError, TypeError, KeyError, AttributeError
            They make no sense; the description may come from anybody.
        """
        used = []
        for entry in described["used"]:
            settings: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items() if k != "kind"}
            used.append(KINDS[entry["kind"]](**settings))
        dropped = tuple(Dropped(**entry) for entry in described["dropped"])
        if not used or len({column.name for column in used}) < len(used):
            raise ValueError("the columns have no names of their own")
        if not all(isinstance(text, str) for column in dropped for text in (column.name, column.reason)):
            raise ValueError("a dropped column has no name or no reason")
        return cls(tuple(used), dropped)


class ColumnsLearner:
    """Learns the columns of a table piece by piece: `see` each piece, then `finish`.

    Parameters
    ----------
    named : bool
        As in `Columns.learn`.
    memory : int, optional
        About how many bytes what is taken note of may take: of each column 65,536 different values at least, by which
        quantiles are right to 0.1 % of the rows. None: a million numbers, two millions of other values.

    Examples
    --------
    >>> import narwhals as nw
    >>> from nineline.tables.columns import ColumnsLearner
    >>> learner = ColumnsLearner()
    >>> for sizes, colors in (([1.0, 2.5], ["red", "green"]), ([None, 4.0], ["blue", "red"])):
    ...     learner.see(nw.from_dict({"size": sizes, "color": colors}, backend="polars"))
    >>> [(column.name, column.kind) for column in learner.finish().used]
    [('size', 'number'), ('color', 'category')]
    """

    def __init__(self, *, named: bool = True, memory: int | None = None) -> None:
        self.named, self.memory = named, memory
        self._columns: dict[str, ColumnLearner] = {}

    def see(self, frame: nw.DataFrame[Any], weights: Numbers | None = None) -> None:
        """Take note of a piece of the table; a row of weight 2 counts as two rows.

        Raises
        ------
        ValueError
            It has other columns than the pieces before.
        """
        if not self._columns:
            most = self._most(len(frame.columns))
            self._columns = {name: ColumnLearner(name, named=self.named, **most) for name in frame.columns}
        if list(self._columns) != frame.columns:
            raise ValueError(f"this piece has the columns {frame.columns}; those before had {list(self._columns)}")
        work = [partial(learner.see, frame.get_column(name), weights) for name, learner in self._columns.items()]
        each_column(work, len(frame))

    def merge(self, other: ColumnsLearner) -> None:
        """Take note of what another learner has seen of other rows of the table, behind what this one has.

        Raises
        ------
        ValueError
            They were of other columns.
        """
        if not self._columns or not other._columns:
            self._columns = self._columns or other._columns
            return
        if list(self._columns) != list(other._columns):
            raise ValueError(f"these rows have the columns {[*other._columns]}; those before had {[*self._columns]}")
        for name, learner in self._columns.items():
            learner.merge(other._columns[name])

    def _most(self, columns: int) -> dict[str, int]:
        """Return how many different values a column keeps apart."""
        if self.memory is None:
            return {}
        each = self.memory // columns
        return {
            "numbers_at_most": min(max(each // _BYTES_OF_A_NUMBER, _AT_LEAST), NUMBERS_AT_MOST),
            "values_at_most": min(max(each // _BYTES_OF_A_TEXT, _AT_LEAST), VALUES_AT_MOST),
        }

    def finish(self) -> Columns:
        """Return what was learned of every column.

        Raises
        ------
        ValueError
            No column is of use.
        """
        learned = [learner.finish() for learner in self._columns.values()]
        columns = [column for column in learned if isinstance(column, Column)]
        texts = sum(isinstance(column, Text) for column in columns)
        if texts > _WIDE_TEXTS:
            share = _WIDE_TEXTS / texts
            columns = [column.narrowed(share) if isinstance(column, Text) else column for column in columns]
        used = tuple(sorted(columns, key=_place))
        dropped = tuple(column for column in learned if isinstance(column, Dropped))
        if not used:
            reasons = "; ".join(f"{column.name!r} is {column.reason}" for column in dropped[:5])
            raise ValueError(f"no column is of use to learn from: {reasons or 'there is none'}")
        return Columns(used, dropped)

    def profiles(self) -> list[ColumnProfile]:
        """Return how often each column has which values, in the order of the table; to be asked after `finish`."""
        return [learner.profile() for learner in self._columns.values()]

    def divided(self, columns: Columns, intervals: int) -> Columns:
        """Return what `finish` returned with intervals for every column of numbers.

        Parameters
        ----------
        columns : Columns
        intervals : int
            At most so many for each column; fewer where there are many such columns, so that a row does not become more
            than about a thousand numbers by them. None where it were fewer than three.
        """
        numbers = sum(isinstance(column, Number) for column in columns.used)
        intervals = min(intervals, _INTERVALS_AT_MOST // max(1, numbers))
        if intervals < _INTERVALS_AT_LEAST:
            return columns
        return replace(columns, used=tuple(self._columns[c.name].divided(c, intervals) for c in columns.used))


def _place(column: Column) -> int:
    """Return where a column comes among others."""
    return 0 if isinstance(column, EmbeddedCategory) else 2 if isinstance(column, Text) else 1


def _series_of(name: str, value: object) -> nw.Series[Any]:
    return nw.new_series(name, [value], backend="polars")
