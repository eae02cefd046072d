"""Series: the values of a column, whatever holds them, as numbers, as texts, or as moments."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

ISO: Final = "ISO"
_DATE_FORMATS: Final = ("%m/%d/%Y", "%m/%d/%y", "%d/%m/%Y", "%d/%m/%y", "%d.%m.%Y", "%d.%m.%y", "%Y/%m/%d", "%d-%m-%Y")
FORMATS: Final = (ISO, *(day + clock for day in _DATE_FORMATS for clock in ("", " %H:%M", " %H:%M:%S")))


def numbers_of(series: nw.Series[Any]) -> Numbers | None:
    """Return a column as numbers with NaN for missing, or None where it holds anything else."""
    if series.dtype.is_numeric() or series.dtype == nw.Boolean:
        values = series.cast(nw.Float64).to_numpy()
        if values.dtype == object:  # nullable types of pandas
            missing = series.is_null().to_list()
            values = np.array([np.nan if gone else v for v, gone in zip(values, missing, strict=True)], float)
        return np.array(values, np.float64)
    if isinstance(series.dtype, (nw.Date, nw.Datetime)):
        return None
    texts = texts_of(series)
    if not all(text is None or is_number(text) for text in texts):
        return None
    return np.array([np.nan if text is None else float(text) for text in texts])


def is_number(text: str) -> bool:
    """Return whether a text is a plain number: no words such as "inf", no Python spelling such as "1_000"."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def texts_of(series: nw.Series[Any]) -> list[str | None]:
    """Return a column as text, stripped, with None for missing; 3.0 is "3" as 3 is."""
    missing = series.is_null().to_list()
    return [None if gone else text_of(value) for value, gone in zip(series.to_list(), missing, strict=True)]


def text_of(value: object) -> str | None:
    """Return a value as text: stripped, None for NaN or nothing, "3" for 3.0."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, (float, np.floating)):
        return None if math.isnan(value) else str(int(value)) if float(value).is_integer() else str(value)
    return str(value)


def moments_of(series: nw.Series[Any], form: str) -> list[datetime | None] | None:
    """Return a column as moments (UTC, without a zone), with None for missing; None where it holds anything else."""
    missing = series.is_null().to_list()
    cache: dict[object, datetime] = {}
    moments: list[datetime | None] = []
    for value, gone in zip(series.to_list(), missing, strict=True):
        if gone or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and math.isnan(value)):
            moments.append(None)
            continue
        if value not in cache:
            try:
                cache[value] = parse_moment(value, form)
            except (ValueError, TypeError):
                return None
        moments.append(cache[value])
    return moments


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
            return datetime.max if value.year > 1 else datetime.min  # noqa: DTZ901
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001
    raise TypeError(value)


def first_text(series: nw.Series[Any]) -> object:
    """Return the first value that is no number, for a message."""
    for value in series.drop_nulls().to_list():
        try:
            float(value)
        except (TypeError, ValueError):
            return value
    return series.dtype
