"""Inference: of which kind a column is, or why it is of no use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np

from nineline.tables.kinds import FALSE, TRUE, Boolean, Category, Date, EmbeddedCategory, Number, Presence
from nineline.tables.profile import NumberProfile, ValueProfile
from nineline.tables.series import (
    FORMATS,
    ISO,
    distinct,
    moments_of,
    moments_of_values,
    numbers_of,
    numbers_of_values,
    parse_moment,
)
from nineline.tables.summaries import NUMBERS_AT_MOST, VALUES_AT_MOST, NumberSummary, ValueSummary
from nineline.tables.text import Text, looks_like_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline.tables.contract import Column
    from nineline.tables.profile import ColumnProfile

    Numbers = npt.NDArray[np.float64]

_UNUSED: Final = (nw.List, nw.Struct, nw.Array, nw.Binary, nw.Duration, nw.Time)
_SMALL: Final = 20  # rows below which no column is taken for an identifier
_ROUNDINGS: Final = 16  # of the last digit, by which numbers may differ that are meant to be the same


@dataclass(frozen=True)
class Dropped:
    """A column that is not used, and why."""

    name: str
    reason: str


class ColumnLearner:
    """Learns a column piece by piece: `see` each, then `finish`.

    Parameters
    ----------
    name : str
    named : bool
        False for a column of an array, which has no name: it is not taken for an identifier.
    numbers_at_most, values_at_most : int
        How many different ones are kept apart; see `nineline.tables.summaries`.

    Examples
    --------
    >>> import narwhals as nw
    >>> from nineline.tables.inference import ColumnLearner
    >>> learner = ColumnLearner("size")
    >>> for piece in ([3.0, 1.0, None], [2.0, 7.5]):
    ...     learner.see(nw.new_series("size", piece, backend="polars"))
    >>> column = learner.finish()
    >>> column.kind, column.center, column.missing
    ('number', 2.0, True)
    """

    def __init__(
        self,
        name: str,
        *,
        named: bool = True,
        numbers_at_most: int = NUMBERS_AT_MOST,
        values_at_most: int = VALUES_AT_MOST,
    ) -> None:
        self.name, self.named = name, named
        self.numbers = NumberSummary(numbers_at_most)
        self.values = ValueSummary(values_at_most)
        self.dtype: Any = None
        self.dates = False
        """Whether the numbers are moments, as `finish` found."""
        self._texts: tuple[list[str], Numbers, int] | None = None

    def see(self, series: nw.Series[Any], weights: Numbers | None = None) -> None:
        """Take note of a piece of the column; a row of weight 2 counts as two rows.

        Raises
        ------
        ValueError
            The piece is of another type than the first.
        """
        dtype = series.dtype
        self._agree(dtype)
        if isinstance(dtype, _UNUSED):
            return
        if isinstance(dtype, (nw.Date, nw.Datetime)):
            moments = moments_of(series, ISO)
            assert moments is not None
            self.numbers.see(np.where(moments.missing, np.nan, moments.microseconds), weights)
        elif dtype.is_numeric():
            values = numbers_of(series)
            assert values is not None
            self.numbers.see(values, weights)
        else:
            self.values.see(distinct(series), weights)

    def _agree(self, dtype: Any) -> None:
        if self.dtype is None:
            self.dtype = dtype
        elif dtype != self.dtype and not (dtype.is_numeric() and self.dtype.is_numeric()):
            raise ValueError(f"column {self.name!r} is of {dtype}, and in pieces before it was of {self.dtype}")

    def merge(self, other: ColumnLearner) -> None:
        """Take note of what another learner of the column has seen, behind what this one has.

        Raises
        ------
        ValueError
            It was of another type.
        """
        self._agree(other.dtype)
        self.numbers.merge(other.numbers)
        self.values.merge(other.values)

    def finish(self) -> Column | Dropped:
        """Say of which kind the column is, and what was learned; or why it is of no use.

        Raises
        ------
        ValueError
            Its numbers cannot be scaled.
        """
        name, dtype = self.name, self.dtype
        if dtype is None or isinstance(dtype, _UNUSED):
            return Dropped(name, f"of a type that is not used ({dtype})")
        if isinstance(dtype, (nw.Date, nw.Datetime)):
            return self._date(ISO) if len(self.numbers.values) else Dropped(name, "empty")
        if dtype.is_numeric():
            return self._number()
        given = self.values
        if not given.values:
            return Dropped(name, "empty")
        if dtype == nw.Boolean:
            return _varying(Boolean(name, given.missing > 0), len(given.values))
        said = isinstance(dtype, (nw.Categorical, nw.Enum))  # the table says that these are categories
        numbers = None if said else numbers_of_values(given.values)
        if numbers is not None:
            self.numbers = given.as_numbers(numbers)
            return self._number()
        texts, shares, known = self._texts = given.as_texts()
        missing = known < given.rows
        if not texts:
            return Dropped(name, "empty")
        if said:
            return _category(name, texts, shares, missing=missing)
        words = {text.lower() for text in texts}
        if len(words) == 2 and words & TRUE and words & FALSE and not words - TRUE - FALSE:
            return Boolean(name, missing)
        form = date_format(texts)
        if form is not None:
            moments = moments_of_values(given.values, form)
            assert moments is not None
            self.numbers = given.as_numbers(np.where(moments.missing, np.nan, moments.microseconds))
            return self._date(form)
        if len(texts) >= _SMALL and len(texts) + given.others > known / 2:
            text = Text.learn(name, texts, shares, missing=missing) if looks_like_text(texts) else None
            more = "more than " if given.others else ""
            return text or Dropped(
                name, f"identifier-like or free text: {more}{len(texts):,} different values in {known:,} rows"
            )
        return _category(name, texts, shares, missing=missing)

    def _date(self, form: str) -> Column | Dropped:
        self.dates = True
        return _varying(Date.learn(self.name, self.numbers, form), self.numbers.different)

    def _number(self) -> Column | Dropped:
        name, summary = self.name, self.numbers
        if not len(summary.values):
            return Dropped(name, "empty")
        if self.named and _is_identifier(name, summary):
            return Dropped(name, "identifier-like: a different whole number in every row")
        if _is_one_number(summary.values, np.float32 if self.dtype == nw.Float32 else np.float64):
            return Presence(name, missing=True) if summary.missing else Dropped(name, "constant")
        return Number.learn(name, summary)

    def profile(self) -> ColumnProfile:
        """Return how often the column has which values; to be asked after `finish`, which finds out what they are."""
        if self.numbers.rows:
            return NumberProfile.of(self.name, self.numbers, dates=self.dates)
        texts = self.values.as_texts() if self._texts is None else self._texts
        return ValueProfile.of_texts(self.name, texts, self.values)

    def divided(self, column: Column, intervals: int) -> Column:
        """Return the column that was learned with intervals, where it is of numbers."""
        return column.divided(self.numbers, intervals) if isinstance(column, Number) else column


def learn_column(
    name: str, series: nw.Series[Any], *, named: bool = True, weights: Numbers | None = None
) -> Column | Dropped:
    """Say of which kind a column is, and learn it; or why it is of no use."""
    learner = ColumnLearner(name, named=named)
    learner.see(series, weights)
    return learner.finish()


def _category(name: str, texts: Sequence[str], shares: Numbers, *, missing: bool) -> Column | Dropped:
    kind = Category if Category.holds(shares) else EmbeddedCategory
    return _varying(kind.learn(name, texts, shares, missing=missing), len(texts))


def date_format(texts: Sequence[str]) -> str | None:
    """Return the format that all texts are dates in, or None."""
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


def _varying(column: Column, different: int) -> Column | Dropped:
    if different == 1 and not column.missing:
        return Dropped(column.name, "constant")
    return column


def _is_one_number(values: Numbers, dtype: type[np.floating[Any]]) -> bool:
    """Return whether ascending numbers are one and the same but for rounding."""
    low, high = float(values[0]), float(values[-1])
    if not np.isfinite([low, high]).all():
        return False
    return high - low <= _ROUNDINGS * float(np.finfo(dtype).eps) * max(abs(low), abs(high))


def _is_identifier(name: str, summary: NumberSummary) -> bool:
    """Return whether whole numbers, all different, count the rows (some may be held out) or are called an id."""
    rows, values = summary.rows, summary.values
    if rows < _SMALL or summary.different < rows or (values != np.round(values)).any():
        return False
    running = 0 <= values[0] <= 1 + rows // 20 and values[-1] < 1.5 * rows
    words = name.lower().replace("-", "_").replace(" ", "_").split("_")
    return bool(running or words[-1] in ("id", "index", "key") or words[0] == "id" or words == [""])
