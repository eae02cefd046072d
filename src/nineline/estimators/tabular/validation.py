"""Validation: which rows members are stopped, tried out and judged by, where `fit` is told more than to draw some."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals as nw
import numpy as np
import polars as pl

from nineline import _checks
from nineline.tables.inference import date_format
from nineline.tables.series import ISO, Distinct, datetimes, first_text, moments_of, numbers_of, texts_of
from nineline.tables.summaries import NumberSummary

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline._typing import Array

    Indices = npt.NDArray[np.intp]


class Times(NamedTuple):
    """When each row was, as numbers or as moments in microseconds since 1970 (UTC)."""

    values: npt.NDArray[Any]
    are_moments: bool

    def in_words(self, value: Any) -> str:
        """Return one of them as text."""
        if not self.are_moments:
            return f"{value:.10g}"
        moment = datetimes([value])[0]
        whole_day = moment.hour == moment.minute == moment.second == moment.microsecond == 0
        return str(moment.date()) if whole_day else moment.isoformat(sep=" ")

    def latest(self, share: float) -> tuple[npt.NDArray[np.bool_], str]:
        """Return which rows are the latest, about a share of all, and from when on they are, in words.

        Rows of the same time are on the same side.

        Raises
        ------
        ValueError
            All rows have the same time.
        """
        begin = first_of_latest(*np.unique(self.values, return_counts=True), share)
        return self.values >= begin, self.in_words(begin)


@dataclass(frozen=True, eq=False)
class Labelled:
    """Rows of a table with their target.

    Attributes
    ----------
    frame : DataFrame
    labels : array, (rows,)
    weights : array, (rows,), or None
    groups : array of int, (rows,), or None
        The number of each row's group.
    times : Times or None
    """

    frame: nw.DataFrame[Any]
    labels: npt.NDArray[Any]
    weights: Array | None
    groups: npt.NDArray[np.int64] | None = None
    times: Times | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, which: Indices) -> Labelled:
        """Return some of the rows."""
        return Labelled(
            self.frame[which.tolist()],
            self.labels[which],
            None if self.weights is None else self.weights[which],
            None if self.groups is None else self.groups[which],
            None if self.times is None else self.times._replace(values=self.times.values[which]),
        )

    @property
    def counting(self) -> Labelled:
        """Those of a weight above 0: a row of weight 0 is no row."""
        if self.weights is None or self.weights.all():
            return self
        return self.part(np.flatnonzero(self.weights))


class Latest(NamedTuple):
    """The latest rows of a table, which are held out, and the earlier ones, which are learned from."""

    earlier: Labelled
    latest: Labelled
    words: str


@dataclass(frozen=True, eq=False)
class Validation:
    """What `fit` is told about the rows to validate by; by default nothing, and some are drawn.

    Attributes
    ----------
    rows : tuple, or DataFrame where the target is a column's name, or None
    groups, time : array_like, (rows,), or a column's name where the target is one, or None
    """

    rows: Any = None
    groups: Any = None
    time: Any = None

    def __post_init__(self) -> None:
        given = [name for name, value in self.by_argument().items() if value is not None]
        if len(given) > 1:
            raise ValueError(
                f"{' and '.join(given)} are given, and each says which rows are held out; give one of them"
            )

    def by_argument(self) -> dict[str, Any]:
        """Return what is given by the name of the argument."""
        return {"validation": self.rows, "groups": self.groups, "time": self.time}

    @property
    def triple(self) -> tuple[Any, Any, Any] | None:
        """The rows to validate by, their target and their weights.

        Raises
        ------
        TypeError, ValueError
            They are given in another way.
        """
        if self.rows is None:
            return None
        expected = "expected (X_val, y_val) or (X_val, y_val, sample_weight)"
        if not isinstance(self.rows, (tuple, list)):
            raise TypeError(f"validation is {type(self.rows).__name__}; {expected}")
        if len(self.rows) not in (2, 3):
            raise ValueError(f"validation has {len(self.rows)} entries; {expected}")
        return self.rows[0], self.rows[1], self.rows[2] if len(self.rows) == 3 else None

    def check_names(self, target: str) -> None:
        """Raise TypeError where a table has its target in a column and what is said of its rows is none."""
        for name, given in (("groups", self.groups), ("time", self.time)):
            if given is not None and not isinstance(given, str):
                raise TypeError(f"target is {target!r} and {name} is {type(given).__name__}; expected a column's name")

    def beside(self, rows: tuple[Any, ...] | None, says: Any) -> Validation:
        """Return the same with the rows to validate by and what the column says in place of names."""
        return Validation(
            None if rows is None else tuple(rows[:3]),
            None if self.groups is None else says,
            None if self.time is None else says,
        )

    def says_of(self, table: Labelled) -> Labelled:
        """Return a table with the groups and times of its rows."""
        return replace(
            table,
            groups=None if self.groups is None else group_numbers(self.groups, len(table)),
            times=None if self.time is None else times_of(self.time, len(table)),
        )


def group_numbers(groups: Any, rows: int) -> npt.NDArray[np.int64]:
    """Return the number of each row's group, in the order of what groups are called as texts.

    Raises
    ------
    ValueError
        There are not as many as rows, some are missing, or all are the same.

    Examples
    --------
    >>> from nineline.estimators.tabular.validation import group_numbers
    >>> group_numbers(["b", "a", "b"], 3)
    array([1, 0, 1])
    """
    texts = group_texts(groups, rows)
    if len(texts.values) < 2:
        raise ValueError(
            f"groups has one group only, {_checks.quoted(texts.values[0])}; expected at least two, so that one can be "
            "held out: leave groups out to hold rows out at random"
        )
    return texts.ranks


def group_texts(groups: Any, rows: int) -> Distinct:
    """Return what each row's group is called.

    Raises
    ------
    ValueError
        There are not as many as rows, or some are missing.
    """
    texts = texts_of(_series("groups", groups, rows))
    _refuse_missing("groups", texts.missing, "a group")
    return texts


def times_of(time: Any, rows: int, *, piecewise: bool = False) -> Times:
    """Return when each row was.

    `piecewise` says that these are not all rows: then the dates of texts are written as ISO 8601 says, since others may
    look like those of one format in one piece and of another in the next.

    Raises
    ------
    ValueError
        There are not as many as rows, or some are missing or no numbers, dates or texts that say one.

    Examples
    --------
    >>> from nineline.estimators.tabular.validation import times_of
    >>> times = times_of(["2024-05-03", "2024-05-01"], 2)
    >>> [times.in_words(each) for each in times.values]
    ['2024-05-03', '2024-05-01']
    """
    series = _series("time", time, rows)
    _refuse_missing("time", series.is_null().to_numpy().astype(bool), "a time")
    numbers = numbers_of(series)
    if numbers is not None:
        _refuse_missing("time", np.isnan(numbers), "a time")
        return Times(numbers, are_moments=False)
    is_iso = piecewise or isinstance(series.dtype, (nw.Date, nw.Datetime))
    form = ISO if is_iso else date_format(texts_of(series).values)
    moments = moments_of(series, form or ISO)
    if moments is None:
        raise ValueError(
            f"time holds {_checks.quoted(first_text(series))}; expected numbers, dates, or texts such as "
            "'2024-05-03' or '2024-05-03 14:30', all written alike"
        )
    _refuse_missing("time", moments.missing, "a time")
    return Times(moments.microseconds, are_moments=True)


class TimeSummary:
    """The times of a table that is read piece by piece.

    Parameters
    ----------
    column : str
        That says them, for messages.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self.numbers = NumberSummary()
        self.kinds: set[bool] = set()
        """Whether times are moments: one of both, where the column is of use."""

    def see(self, series: Any) -> None:
        """Take note of a piece."""
        times = times_of(series, len(series), piecewise=True)
        self.numbers.see(times.values.astype(np.float64))
        self.kinds |= {times.are_moments} if len(series) else set()

    def merge(self, other: TimeSummary) -> None:
        """Take note of what another has seen."""
        self.numbers.merge(other.numbers)
        self.kinds |= other.kinds

    def latest(self, share: float) -> tuple[float, str]:
        """Return from when on there are about a share of the rows, as a number and in words.

        Raises
        ------
        ValueError
            All rows have the same time, or some of them a number and others a date.
        """
        if len(self.kinds) > 1:
            raise ValueError(f"column {self.column!r} holds numbers in some rows and dates in others; expected either")
        begin = float(first_of_latest(self.numbers.values, self.numbers.shares, share))
        return begin, Times(self.numbers.values, are_moments=True in self.kinds).in_words(begin)


def latest(table: Labelled, share: float) -> Latest:
    """Divide a table by its times; see `Times.latest`."""
    assert table.times is not None
    later, begin = table.times.latest(share)
    held = table.part(np.flatnonzero(later))
    return Latest(table.part(np.flatnonzero(~later)), held, f"the latest {len(held):,} rows, from {begin} on")


def first_of_latest(values: npt.NDArray[Any], counts: npt.NDArray[Any], share: float) -> Any:
    """Return the time from which on there are about a share of the rows, where there are so many of each.

    Parameters
    ----------
    values : array, ascending, (times,)
    counts : array, (times,)
    share : float

    Raises
    ------
    ValueError
        There is one time only.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.estimators.tabular.validation import first_of_latest
    >>> int(first_of_latest(np.array([2021, 2022, 2023, 2024]), np.array([50, 50, 20, 5]), 0.125))
    2023
    """
    if len(values) < 2:
        raise ValueError("time is the same in every row; expected some that are later than others: leave time out")
    later = np.cumsum(counts[::-1])[::-1][1:]  # rows from each time on, but the first
    return values[1:][np.abs(later - share * counts.sum()).argmin()]


def _series(name: str, given: Any, rows: int) -> nw.Series[Any]:
    """Return what is given for each row as a column."""
    series = nw.from_native(given, series_only=True, pass_through=True)
    if not isinstance(series, nw.Series):
        if isinstance(given, str):
            raise TypeError(f"{name} is {given!r}, and target is not given; expected one for each row, or also target")
        array = np.asarray(given)
        if array.ndim != 1:
            raise ValueError(f"{name} has shape {array.shape}; expected one for each row: ({rows},)")
        if array.dtype.kind == "M":
            array = array.astype("datetime64[us]")
        values = array if array.dtype.kind in "iufbM" else array.tolist()
        series = nw.from_native(pl.Series(name, values, strict=False), series_only=True)
    if len(series) != rows:
        raise ValueError(f"{name} has {len(series)} entries and X has {rows} rows; expected as many of each")
    return series


def _refuse_missing(name: str, missing: npt.NDArray[np.bool_], what: str) -> None:
    where = np.flatnonzero(missing)
    if len(where):
        raise ValueError(
            f"{name} is missing (NaN, None or nothing) in {len(where):,} of {len(missing):,} rows, first in row "
            f"{where[0]}; expected {what} for every row: drop these rows, or fill it"
        )
