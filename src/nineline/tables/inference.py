"""Inference: of which kind a column is, or why it is of no use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np

from nineline.tables.kinds import FALSE, TRUE, Boolean, Category, Column, Date, EmbeddedCategory, Number, Presence
from nineline.tables.series import FORMATS, ISO, distinct, moments_of, numbers_of, parse_moment, texts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline.tables.series import Distinct

    Numbers = npt.NDArray[np.float64]

_SMALL: Final = 20  # rows below which no column is taken for an identifier
_ROUNDINGS: Final = 16  # of the last digit, by which numbers may differ that are meant to be the same


@dataclass(frozen=True)
class Dropped:
    """A column that is not used, and why."""

    name: str
    reason: str


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
        return _varying(Boolean(name, nulls > 0), len(distinct(series).values))
    if isinstance(dtype, (nw.Date, nw.Datetime)):
        moments = moments_of(series, ISO)
        assert moments is not None
        return _varying(Date.learn(name, moments, ISO, weights), len(np.unique(moments.known.microseconds)))
    said = isinstance(dtype, (nw.Categorical, nw.Enum))  # the table says that these are categories
    values = None if said else numbers_of(series)
    if values is not None:
        known = values[~np.isnan(values)]
        if len(known) == 0:
            return Dropped(name, "empty")
        different = len(np.unique(known))
        if named and _is_identifier(name, known, rows, different):
            return Dropped(name, "identifier-like: a different whole number in every row")
        if _is_one_number(known, np.float32 if dtype == nw.Float32 else np.float64):
            return Presence(name, missing=True) if len(known) < rows else Dropped(name, "constant")
        return Number.learn(name, values, weights)
    texts = texts_of(series)
    levels = texts.values
    if not levels:
        return Dropped(name, "empty")
    if said:
        return _category(name, texts, weights)
    words = {level.lower() for level in levels}
    if len(words) == 2 and words & TRUE and words & FALSE and not words - TRUE - FALSE:
        return Boolean(name, bool(texts.missing.any()))
    form = _date_format(levels)
    if form is not None:
        moments = moments_of(series, form)
        assert moments is not None
        return _varying(Date.learn(name, moments, form, weights), len(levels))
    known_rows = int((~texts.missing).sum())
    if len(levels) >= _SMALL and len(levels) > known_rows / 2:
        return Dropped(name, f"identifier-like or free text: {len(levels):,} different values in {known_rows:,} rows")
    return _category(name, texts, weights)


def _category(name: str, texts: Distinct, weights: Numbers | None) -> Column | Dropped:
    kind = Category if Category.holds(texts, weights) else EmbeddedCategory
    return _varying(kind.learn(name, texts, weights), len(texts.values))


def _date_format(texts: Sequence[str]) -> str | None:
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


def _is_one_number(known: Numbers, dtype: type[np.floating[Any]]) -> bool:
    """Return whether numbers are one and the same but for rounding."""
    low, high = float(known.min()), float(known.max())
    if not np.isfinite([low, high]).all():
        return False
    return high - low <= _ROUNDINGS * float(np.finfo(dtype).eps) * max(abs(low), abs(high))


def _is_identifier(name: str, known: Numbers, rows: int, different: int) -> bool:
    """Return whether whole numbers, all different, count the rows (some may be held out) or are called an id."""
    if rows < _SMALL or different < rows or (known != np.round(known)).any():
        return False
    running = 0 <= known.min() <= 1 + rows // 20 and known.max() < 1.5 * rows
    words = name.lower().replace("-", "_").replace(" ", "_").split("_")
    return bool(running or words[-1] in ("id", "index", "key") or words[0] == "id" or words == [""])
