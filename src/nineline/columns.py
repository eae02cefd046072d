"""Columns: a table in, numbers out.

Of which kind each column of a table is, what was learned of it, and the whole table as numbers. A column that can
tell nothing is dropped, with the reason. The kinds themselves are in `nineline.column_kinds`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np

from nineline import _checks
from nineline.column_kinds import FALSE, KINDS, TRUE, Boolean, Category, Column, Date, Number
from nineline.series import FORMATS, ISO, moments_of, numbers_of, parse_moment, texts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

_INTERVALS_AT_MOST: Final = 1024  # of all columns together
_INTERVALS_AT_LEAST: Final = 3  # fewer say hardly more than the scaled number
_SMALL: Final = 20  # rows below which no column is taken for an identifier


@dataclass(frozen=True)
class Dropped:
    """A column that is not used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Columns:
    """What was learned of every column of a table.

    Attributes
    ----------
    used : tuple of Column
    dropped : tuple of Dropped
    """

    used: tuple[Column, ...]
    dropped: tuple[Dropped, ...]

    @classmethod
    def learn(cls, frame: nw.DataFrame[Any], *, named: bool = True, weights: Numbers | None = None) -> Columns:
        """Learn every column of the training table.

        Parameters
        ----------
        frame : narwhals.DataFrame
        named : bool
            False for an array, whose columns have no names: they are not taken for identifiers.
        weights : array, (rows,), optional
            A row of weight 2 counts as two rows.

        Raises
        ------
        ValueError
            No column is of use.
        """
        learned = [learn_column(name, frame[name], named=named, weights=weights) for name in frame.columns]
        used = tuple(column for column in learned if isinstance(column, Column))
        dropped = tuple(column for column in learned if isinstance(column, Dropped))
        if not used:
            reasons = "; ".join(f"{column.name!r} is {column.reason}" for column in dropped[:5])
            raise ValueError(f"no column is of use to learn from: {reasons or 'there is none'}")
        return cls(used, dropped)

    def divided(self, frame: nw.DataFrame[Any], weights: Numbers | None, intervals: int) -> Columns:
        """Return the same with intervals for every column of numbers, learned from the training table.

        Parameters
        ----------
        frame : narwhals.DataFrame
        weights : array, (rows,), or None
        intervals : int
            At most so many for each column; fewer where there are many such columns, so that a row does not become more
            than about a thousand numbers by them. None where it were fewer than three.
        """
        numbers = sum(isinstance(column, Number) for column in self.used)
        intervals = min(intervals, _INTERVALS_AT_MOST // max(1, numbers))
        if intervals < _INTERVALS_AT_LEAST:
            return self
        return replace(self, used=tuple(_divided(c, frame[c.name], weights, intervals) for c in self.used))

    @property
    def width(self) -> int:
        """How many numbers a row becomes."""
        return sum(column.width for column in self.used)

    @property
    def text_names(self) -> list[str]:
        """Columns to be read as text, whatever they look like: a file's values must not make numbers of categories."""
        return [column.name for column in self.used if column.kind != "number"]

    def in_words(self) -> list[tuple[str, str, bool | None, str]]:
        """Return of every column its name, its kind or "dropped", whether values were missing, and what was done."""
        used = [(column.name, column.kind, column.missing, column.summary()) for column in self.used]
        return [*used, *((column.name, "dropped", None, column.reason) for column in self.dropped)]

    def require(self, names: Sequence[str]) -> None:
        """Raise ValueError where a column that is used is not among `names`."""
        there = set(names)
        absent = [column.name for column in self.used if column.name not in there]
        if absent:
            more = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
            hint = _checks.nearest(absent[0], names)
            raise ValueError(f"column {absent[0]!r}{more}, which the model was trained with, is not in the table{hint}")

    def encode(self, frame: nw.DataFrame[Any]) -> npt.NDArray[np.float32]:
        """Return a table as numbers, (rows, width).

        Raises
        ------
        ValueError
            A column is missing from the table, or of another kind than in training.
        """
        self.require(frame.columns)
        numbers = np.empty((len(frame), self.width), np.float32)
        start = 0
        for column in self.used:
            numbers[:, start : start + column.width] = column.encode(frame[column.name])
            start += column.width
        return numbers

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


def _divided(column: Column, series: nw.Series[Any], weights: Numbers | None, intervals: int) -> Column:
    """Return a column of numbers with its intervals, and any other as it is."""
    if not isinstance(column, Number):
        return column
    values = numbers_of(series)
    assert values is not None
    return column.divided(values, weights, intervals)


def learn_column(
    name: str, series: nw.Series[Any], *, named: bool = True, weights: Numbers | None = None
) -> Column | Dropped:
    """Say of which kind a column is, and learn it; or why it is of no use."""
    rows = len(series)
    dtype = series.dtype
    if isinstance(dtype, (nw.List, nw.Struct, nw.Array, nw.Binary, nw.Duration, nw.Time)):
        return Dropped(name, f"of a type that is not used ({dtype})")
    nulls = int(series.null_count())
    if nulls == rows:
        return Dropped(name, "empty")
    if dtype == nw.Boolean:
        return _varying(Boolean(name, nulls > 0), len(set(series.drop_nulls().to_list())))
    if isinstance(dtype, (nw.Date, nw.Datetime)):
        moments = moments_of(series, ISO)
        assert moments is not None
        return _varying(Date.learn(name, moments, ISO, weights), len(set(moments) - {None}))
    said = isinstance(dtype, (nw.Categorical, nw.Enum))  # the table says that these are categories
    values = None if said else numbers_of(series)
    if values is not None:
        known = values[~np.isnan(values)]
        if len(known) == 0:
            return Dropped(name, "empty")
        distinct = len(np.unique(known))
        if named and _is_identifier(name, known, rows, distinct):
            return Dropped(name, "identifier-like: a different whole number in every row")
        return _varying(Number.learn(name, values, weights), distinct)
    texts = texts_of(series)
    levels = {text for text in texts if text is not None}
    if not levels:
        return Dropped(name, "empty")
    if said:
        return _varying(Category.learn(name, texts, weights), len(levels))
    words = {level.lower() for level in levels}
    if len(words) == 2 and words & TRUE and words & FALSE and not words - TRUE - FALSE:
        return Boolean(name, None in texts)
    form = _date_format(levels)
    if form is not None:
        moments = moments_of(series, form)
        assert moments is not None
        return _varying(Date.learn(name, moments, form, weights), len(levels))
    known_rows = sum(text is not None for text in texts)
    if len(levels) >= _SMALL and len(levels) > known_rows / 2:
        return Dropped(name, f"identifier-like or free text: {len(levels):,} different values in {known_rows:,} rows")
    return _varying(Category.learn(name, texts, weights), len(levels))


def _date_format(texts: Iterable[str]) -> str | None:
    """Return the format that all texts are dates in, or None."""
    texts = list(texts)
    if not any(character.isdigit() for character in texts[0]) or len(texts[0]) < 6:
        return None
    for form in FORMATS:
        try:
            for text in texts:
                parse_moment(text, form)
        except ValueError:
            continue
        return form
    return None


def _varying(column: Column, distinct: int) -> Column | Dropped:
    if distinct == 1 and not column.missing:
        return Dropped(column.name, "constant")
    return column


def _is_identifier(name: str, known: Numbers, rows: int, distinct: int) -> bool:
    """Return whether whole numbers, all different, count the rows (some may be held out) or are called an id."""
    if rows < _SMALL or distinct < rows or (known != np.round(known)).any():
        return False
    running = 0 <= known.min() <= 1 + rows // 20 and known.max() < 1.5 * rows
    words = name.lower().replace("-", "_").replace(" ", "_").split("_")
    return bool(running or words[-1] in ("id", "index", "key") or words[0] == "id" or words == [""])
