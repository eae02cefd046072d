"""Series: the values of a column, whatever holds them, as numbers, as texts, or as moments.

Whole columns at a time: what is done to a value is done once for each different one, and what is done to a cell is done
by polars or NumPy. Only a column of Python's own objects, or of a few rows, is gone through cell by cell.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import narwhals as nw
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import polars as pl

    Numbers = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

ISO: Final = "ISO"
_DATE_FORMATS: Final = ("%m/%d/%Y", "%m/%d/%y", "%d/%m/%Y", "%d/%m/%y", "%d.%m.%Y", "%d.%m.%y", "%Y/%m/%d", "%d-%m-%Y")
FORMATS: Final = (ISO, *(day + clock for day in _DATE_FORMATS for clock in ("", " %H:%M", " %H:%M:%S")))
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  (moments have no zone; they are UTC's)
_CALENDAR: Final = datetime.min, datetime.max  # noqa: DTZ901  (likewise)
_DAY: Final = 86_400_000_000  # microseconds
_FEW: Final = 64  # rows that Python is through before polars has begun


class Distinct(NamedTuple):
    """A column as its different values and, for each row, the number of its value; -1 where it is missing."""

    values: list[Any]
    """In the order in which they first come."""
    codes: Codes
    """(rows,)."""

    @property
    def missing(self) -> Mask:
        """Which rows have no value."""
        return self.codes < 0

    @property
    def ranks(self) -> Codes:
        """The place of every row's value among them all in ascending order; no row may be missing."""
        places = np.empty(len(self.values), np.int64)
        places[np.argsort(np.array(self.values))] = np.arange(len(self.values))
        return places[self.codes]

    def each(self, of: list[Any], otherwise: Any) -> npt.NDArray[Any]:
        """Return what every row has, where `of` is what each value has."""
        return np.array([*of, otherwise])[self.codes]


class Moments(NamedTuple):
    """A column as moments, in microseconds since 1970 (UTC); those of missing rows do not matter."""

    microseconds: Codes
    missing: Mask

    @property
    def known(self) -> Moments:
        """Those that are there."""
        there = ~self.missing
        return Moments(self.microseconds[there], self.missing[there])

    @property
    def days(self) -> Numbers:
        """Days since 1970, the time of day as a fraction."""
        return self.microseconds / 1_000_000 / 86_400

    @property
    def months(self) -> Codes:
        """The month of each, from 0."""
        return self.microseconds.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64) % 12

    @property
    def weekdays(self) -> Codes:
        """The day of the week, from 0 on Monday; 1970-01-01 was a Thursday."""
        return (self.microseconds // _DAY + 3) % 7

    @property
    def hours(self) -> Numbers:
        """The hour of the day, full minutes as a fraction."""
        minutes = self.microseconds % _DAY // 60_000_000
        return minutes // 60 + minutes % 60 / 60


def distinct(series: nw.Series[Any]) -> Distinct:
    """Return a column's different values, and which of them each row has; a null is missing."""
    import polars as pl

    few = len(series) <= _FEW
    plain = None if few or series.dtype == nw.Object else _as_polars(series)
    if plain is None:
        return _distinct_objects(series)
    if plain.dtype in (pl.Categorical, pl.Enum):
        plain = plain.cast(pl.String)
    values = plain.drop_nulls().unique(maintain_order=True)
    numbered = pl.DataFrame({"value": values, "code": pl.Series(np.arange(len(values)), dtype=pl.Int64)})
    codes = pl.DataFrame({"value": plain}).join(numbered, on="value", how="left", maintain_order="left")["code"]
    return Distinct(values.to_list(), codes.fill_null(-1).to_numpy())


def _as_polars(series: nw.Series[Any]) -> pl.Series | None:
    """Return a column as polars', or None where it holds what polars has no column for."""
    try:
        return series.to_polars()
    except Exception:  # a column of texts may hold other objects, which every library says in its own way
        return None


def _distinct_objects(series: nw.Series[Any]) -> Distinct:
    """Do the same for objects of Python; 1, 1.0 and True are different ones."""
    numbers: dict[Any, int] = {}
    gone = series.is_null().to_list()
    codes = [
        -1 if none else numbers.setdefault((type(value), value), len(numbers))
        for value, none in zip(series.to_list(), gone, strict=True)
    ]
    return Distinct([value for _, value in numbers], np.array(codes, np.int64))


def numbers_of(series: nw.Series[Any]) -> Numbers | None:
    """Return a column as numbers with NaN for missing, or None where it holds anything else."""
    if series.dtype.is_numeric() or series.dtype == nw.Boolean:
        values = series.cast(nw.Float64).to_numpy()
        if values.dtype == object:  # nullable types of pandas
            values = series.cast(nw.Float64).fill_null(math.nan).to_numpy()
        return np.array(values, np.float64)
    if isinstance(series.dtype, (nw.Date, nw.Datetime)):
        return None
    return _numbers_of_texts(series)


def _numbers_of_texts(series: nw.Series[Any]) -> Numbers | None:
    import polars as pl

    plain = _as_polars(series) if series.dtype == nw.String else None
    if plain is None or plain.dtype != pl.String:
        return _numbers_of_distinct(distinct(series))
    parsed = plain.str.strip_chars().cast(pl.Float64, strict=False)
    strange = plain.is_not_null() & ~(parsed.is_finite().fill_null(value=False))
    numbers = np.array(parsed.to_numpy(), np.float64)
    rest = distinct(nw.from_native(plain.filter(strange), series_only=True))  # blanks, or what polars cannot read
    read = _numbers_of_distinct(rest)
    if read is None:
        return None
    numbers[strange.to_numpy()] = read
    return numbers


def _numbers_of_distinct(values: Distinct) -> Numbers | None:
    numbers = numbers_of_values(values.values)
    return None if numbers is None else values.each(numbers.tolist(), math.nan)


def numbers_of_values(values: list[Any]) -> Numbers | None:
    """Return values of Python as numbers, NaN where one says that it is missing; None where one is no number."""
    numbers = []
    for value in values:
        text = text_of(value)
        if text is not None and not is_number(text):
            return None
        numbers.append(math.nan if text is None else float(text))
    return np.array(numbers, np.float64)


def is_number(text: str) -> bool:
    """Return whether a text is a plain number: no words such as "inf", no Python spelling such as "1_000"."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def texts_of(series: nw.Series[Any]) -> Distinct:
    """Return a column as texts, stripped; 3.0 is "3" as 3 is, and a blank one is missing."""
    given = distinct(series)
    numbers: dict[str, int] = {}
    places = [-1 if (text := text_of(v)) is None else numbers.setdefault(text, len(numbers)) for v in given.values]
    return Distinct([*numbers], given.each(places, -1).astype(np.int64))


def text_of(value: object) -> str | None:
    """Return a value as text: stripped, None for NaN or nothing, "3" for 3.0."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, (float, np.floating)):
        return None if math.isnan(value) else str(int(value)) if float(value).is_integer() else str(value)
    return str(value)


def moments_of(series: nw.Series[Any], form: str) -> Moments | None:
    """Return a column as moments; None where it holds anything else."""
    if isinstance(series.dtype, (nw.Date, nw.Datetime)) and (plain := _as_polars(series)) is not None:
        return Moments(plain.dt.epoch("us").fill_null(0).to_numpy(), plain.is_null().to_numpy())
    values = distinct(series)
    found = moments_of_values(values.values, form)
    if found is None:
        return None
    return Moments(
        values.each(found.microseconds.tolist(), 0), values.each(found.missing.tolist(), otherwise=True).astype(bool)
    )


def moments_of_values(values: list[Any], form: str) -> Moments | None:
    """Return values of Python as moments; None where one is anything else."""
    found = []
    for value in values:
        if (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and math.isnan(value)):
            found.append((0, True))
            continue
        try:
            found.append(((parse_moment(value, form) - _EPOCH) // timedelta(microseconds=1), False))
        except (ValueError, TypeError):
            return None
    return Moments(np.array([each for each, _ in found], np.int64), np.array([gone for _, gone in found], bool))


def datetimes(microseconds: Iterable[float]) -> list[datetime]:
    """Return moments since 1970; those that a calendar does not have are its first or its last."""
    low, high = ((each - _EPOCH) // timedelta(microseconds=1) for each in _CALENDAR)
    return [_EPOCH + timedelta(microseconds=min(max(int(each), low), high)) for each in microseconds]


def _parse_text(text: str, form: str) -> datetime:
    """Read a date in the given format, or in ISO's, which is always understood."""
    if form != ISO:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007
        except ValueError:
            pass
    return datetime.fromisoformat(text)


def parse_moment(value: object, form: str) -> datetime:
    """Return a value as a moment (UTC, without a zone), or raise ValueError or TypeError."""
    if isinstance(value, str):
        value = _parse_text(value.strip(), form)
    if isinstance(value, datetime):
        try:
            return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        except OverflowError:  # a zone leads beyond the first or the last year: the first moment, or the last
            return _CALENDAR[1] if value.year > 1 else _CALENDAR[0]
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001
    raise TypeError(value)


def is_missing(value: object) -> bool:
    """Return whether a value is None, NaN, NaT or pandas' NA."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value  # noqa: PLR0124


def one_number(value: object) -> float | None:
    """Return a value of Python as a number, NaN where it is missing, as `numbers_of` does; None for anything else."""
    if is_missing(value):
        return math.nan
    if isinstance(value, (float, int)):
        return float(value)
    if type(value) is not str:
        return None
    text = value.strip()
    return math.nan if not text else float(text) if is_number(text) else None


def first_text(series: nw.Series[Any]) -> object:
    """Return the first value that is no number, for a message."""
    for value in distinct(series).values:
        try:
            float(value)
        except (TypeError, ValueError):
            return value
    return series.dtype
