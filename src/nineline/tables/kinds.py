"""Kinds of column: how the values of each become numbers.

A kind is a class here that says what it learned from the training table (a median, the levels), how its values
become numbers of about the size of 1, and how it treats a value that is missing or was never seen. To add a kind,
write a class here, enter it in `KINDS`, and say in `nineline.tables.inference.learn_column` when a column is of it.
What the values of a column are read as, whatever its kind, is in `nineline.tables.series`.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

import narwhals as nw
import numpy as np

from nineline import _checks
from nineline.rows import ROWS_AT_ONCE
from nineline.tables.series import FORMATS, first_text, is_number, moments_of, numbers_of, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from nineline.tables.series import Codes, Distinct, Moments

    Numbers = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]
    Encoded = npt.NDArray[np.floating[Any]]

_LEVELS: Final = 64  # that have a place of their own however few rows they have
_LEVELS_AT_MOST: Final = 512  # that have one where they have so many rows:
_ROWS_A_LEVEL: Final = 10
_MISSING: Final = -2  # among the numbers of levels


@dataclass(frozen=True)
class Column(ABC):
    """One column of a table, as learned from the training rows."""

    name: str
    missing: bool
    """Whether values were missing in training; then missing has an indicator of its own."""

    def __post_init__(self) -> None:
        """Raise ValueError where what was learned makes no sense; it may come from a file."""
        if not isinstance(self.name, str) or not isinstance(self.missing, bool):
            raise ValueError(f"column {self.name!r} has no name, or does not say whether values were missing")

    kind: ClassVar[str]
    phrase: ClassVar[str]
    """What its values are, for messages: "numbers"."""
    numeric: ClassVar[bool] = False
    """Whether a file's values are to be read as numbers where they look so, and not as text."""

    @property
    def width(self) -> int:
        """How many numbers a value becomes, the indicator included."""
        return self.own_width + self.missing

    @property
    @abstractmethod
    def own_width(self) -> int:
        """How many numbers a value becomes, without the indicator."""

    @abstractmethod
    def encode_known(self, series: nw.Series[Any], into: Encoded) -> Mask:
        """Write numbers into (rows, own_width), and return which rows are missing: theirs do not matter."""

    def encode(self, series: nw.Series[Any], into: Encoded | None = None) -> Encoded:
        """Return (rows, width) numbers; a missing value is 0 everywhere and 1 in the indicator.

        Parameters
        ----------
        series : narwhals.Series
        into : array, (rows, width), optional
            Where to write them, of float32 or float64; by default a new one of float64.

        Raises
        ------
        ValueError
            The values are of another kind than in training.
        """
        if into is None:
            into = np.empty((len(series), self.width))
        missing = self.encode_known(series, into[:, : self.own_width])
        into[missing] = 0
        if self.missing:
            into[:, -1] = missing
        return into

    @abstractmethod
    def summary(self) -> str:
        """Return what was learned, in a few words."""

    def mismatch(self, value: object) -> ValueError:
        """Return the error for a value of another kind."""
        held = _checks.quoted(value)
        return ValueError(f"column {self.name!r} holds {held}; expected {self.phrase}, which it held in training")


@final
@dataclass(frozen=True)
class Number(Column):
    """A number, scaled robustly and bent towards ±3, and how much of each of its intervals it fills.

    First ``z = (x - median) / scale; z / sqrt(1 + (z / 3)**2)``. The scale is the distance between the quartiles, as a
    standard deviation (/ 1.349); the standard deviation itself where the quartiles are equal. Then, where the column
    has `edges`, its piecewise-linear encoding: for each interval ``clip((x - left) / (right - left), 0, 1)``, so that
    all intervals below x are 1 and all above it are 0. A network can bend at every edge from the first step on.

    References
    ----------
    Holzmüller, Grinsztajn, Steinwart (2024), Better by default, arXiv 2407.04491, section 3; Gorishniy, Rubachev,
    Babenko (2022), On embeddings for numerical features, arXiv 2203.05556, section 3.2.
    """

    center: float
    scale: float
    edges: tuple[float, ...] = ()
    """Where intervals begin and end, ascending; none, or at least three."""

    kind = "number"
    phrase = "numbers"
    numeric = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_scaling(self.name, self.center, self.scale)
        floats = isinstance(self.edges, tuple) and all(type(e) is float and math.isfinite(e) for e in self.edges)
        if not floats or len(self.edges) in (1, 2) or any(a >= b for a, b in itertools.pairwise(self.edges)):
            raise ValueError(
                f"column {self.name!r} has the edges {self.edges!r}; expected ascending numbers, none or at least three"
            )

    @classmethod
    def learn(cls, name: str, values: Numbers, weights: Numbers | None = None) -> Number:
        """Learn center and scale; a value of weight 2 counts as two."""
        known, weights = _known(values, weights)
        if np.isinf(known).any():
            raise ValueError(f"column {name!r} holds {known[np.isinf(known)][0]}; expected finite numbers or missing")
        with np.errstate(over="ignore", invalid="ignore"):
            low, center, high = _quantiles(known, [0.25, 0.5, 0.75], weights)
            scale = (high - low) / 1.349 or _deviation(known, weights) or 1.0
        if not np.isfinite([center, scale]).all():
            raise ValueError(f"column {name!r} spans {known.min():g} to {known.max():g}, too far to scale; rescale it")
        return cls(name, len(known) < len(values), float(center), float(scale))

    def divided(self, values: Numbers, weights: Numbers | None, intervals: int) -> Number:
        """Return the same column with edges for at most so many intervals, learned from the training values.

        A value that alone has an interval's share of the rows is an edge by itself; the other edges are quantiles of
        what is left, so that a column that is mostly 0 still has intervals where its values differ.
        """
        known, weights = _known(values, weights)
        distinct, place = np.unique(known, return_inverse=True)
        if intervals < 2 or len(distinct) < 3:
            return self
        edges = distinct
        if len(distinct) > intervals + 1:
            shares = np.bincount(place, weights).astype(np.float64)
            heavy, left, rest = _heavy(shares, intervals)
            edges = np.concatenate([distinct[heavy], distinct[[0, -1]]])
            if left > 0 and rest.any():
                steps = np.linspace(0, 1, left + 1)
                edges = np.concatenate([edges, _quantiles(distinct[rest], steps, shares[rest])])
        reach = max(distinct[-1] - self.center, self.center - distinct[0])
        kept: list[float] = []
        for edge in np.unique(edges).tolist():  # so far apart that they still differ in float32
            if not kept or edge - kept[-1] > _CLOSEST * reach:
                kept.append(edge)
        return replace(self, edges=tuple(kept)) if len(kept) > 2 else self

    @property
    def own_width(self) -> int:
        return max(1, len(self.edges))

    def encode_known(self, series: nw.Series[Any], into: Encoded) -> Mask:
        values = numbers_of(series)
        if values is None:
            raise self.mismatch(first_text(series))
        if np.isinf(values).any():
            raise self.mismatch(float(values[np.isinf(values)][0]))
        z = (values - self.center) / self.scale
        into[:, 0] = z / np.hypot(1, z / 3)
        if self.edges:
            edges = np.array(self.edges)
            for start in range(0, len(values), ROWS_AT_ONCE):
                piece = slice(start, start + ROWS_AT_ONCE)
                with np.errstate(over="ignore"):
                    filled = (values[piece, np.newaxis] - edges[:-1]) / np.diff(edges)
                into[piece, 1:] = np.clip(filled, 0, 1)
        return np.isnan(values)

    def summary(self) -> str:
        intervals = f", {len(self.edges) - 1} intervals" if self.edges else ""
        return f"around {self.center:.4g} ± {self.scale:.3g}{intervals}"


_CLOSEST: Final = 1e-6  # of two edges, as a share of how far the column reaches


def _known(values: Numbers, weights: Numbers | None) -> tuple[Numbers, Numbers | None]:
    """Return the values that are there, and their weights."""
    there = ~np.isnan(values)
    return values[there], None if weights is None else weights[there]


def _quantiles(values: Numbers, shares: Sequence[float] | Numbers, weights: Numbers | None) -> Numbers:
    """Return the smallest values that at least these shares of the weight do not exceed."""
    quantiles: Numbers = np.quantile(values, shares, method="inverted_cdf", weights=weights)
    return quantiles


def _deviation(values: Numbers, weights: Numbers | None) -> float:
    mean = np.average(values, weights=weights)
    return float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))


def _heavy(shares: Numbers, intervals: int) -> tuple[Mask, int, Mask]:
    """Return which values have an interval's share each, how many intervals are left, and for which values."""
    heavy = np.zeros(len(shares), bool)
    left, rest = intervals, float(shares.sum())
    while left > 0:
        more = ~heavy & (shares >= rest / left)
        if not more.any():
            break
        heavy |= more
        left, rest = intervals - int(heavy.sum()), float(shares[~heavy].sum())
    return heavy, left, ~heavy


@final
@dataclass(frozen=True)
class Presence(Column):
    """A number that was the same wherever it was there: whether it is missing says all that it can tell.

    What number it is does not matter then: one that training never saw moves no answer.
    """

    kind = "presence"
    phrase = "numbers"
    numeric = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.missing:
            raise ValueError(f"column {self.name!r} is a constant that was never missing")

    @property
    def own_width(self) -> int:
        return 0

    def encode_known(self, series: nw.Series[Any], into: Encoded) -> Mask:
        values = numbers_of(series)
        if values is None:
            raise self.mismatch(first_text(series))
        return np.isnan(values)

    def summary(self) -> str:
        return "whether it is there"


@final
@dataclass(frozen=True)
class Category(Column):
    """One of several levels, one-hot; two levels are one number, -1 or 1.

    In front of a dense layer a one-hot column is a learned embedding: each level's row of weights is its vector. The 64
    most frequent levels have a place of their own, and up to 512 that have ten rows each. A level that training did not
    see is 0 everywhere, or counts with the rare ones where some were too rare to have a place of their own.
    """

    levels: tuple[str, ...]
    rare: int
    """How many levels share the last place."""

    kind = "category"
    phrase = "categories"

    def __post_init__(self) -> None:
        super().__post_init__()
        texts = isinstance(self.levels, tuple) and all(isinstance(level, str) for level in self.levels)
        if not texts or not self.levels or len(set(self.levels)) < len(self.levels):
            raise ValueError(f"column {self.name!r} has the levels {self.levels!r}; expected different texts")
        if type(self.rare) is not int or not 0 <= self.rare < 2**63:
            raise ValueError(f"column {self.name!r} has {self.rare!r} rare levels; expected a whole number")

    @classmethod
    def learn(cls, name: str, texts: Distinct, weights: Numbers | None = None) -> Category:
        known = ~texts.missing
        counts = np.bincount(
            texts.codes[known], None if weights is None else weights[known], minlength=len(texts.values)
        )
        ranked = np.argsort(-counts, kind="stable")[:_LEVELS_AT_MOST].tolist()
        common = [code for rank, code in enumerate(ranked) if rank < _LEVELS or counts[code] >= _ROWS_A_LEVEL]
        levels = tuple(sorted(texts.values[code] for code in common))
        return cls(name, not known.all(), levels, len(texts.values) - len(levels))

    @property
    def own_width(self) -> int:
        return 1 if len(self.levels) <= 2 and not self.rare else len(self.levels) + bool(self.rare)

    def encode_known(self, series: nw.Series[Any], into: Encoded) -> Mask:
        codes = self.codes(series)
        if self.own_width == 1:
            into[:, 0] = np.where(codes == len(self.levels) - 1, 1, np.where(codes >= 0, -1, 0))
        else:
            into[...] = 0
            placed = np.flatnonzero(codes >= 0)
            into[placed, codes[placed]] = 1
        return codes == _MISSING

    def codes(self, series: nw.Series[Any]) -> Codes:
        """Return the number of each row's level: the rare ones' is that behind the last; unseen is -1, missing -2.

        Raises
        ------
        ValueError
            The values are numbers, and the levels are none.
        """
        texts = texts_of(series)
        words = texts.values
        if series.dtype == nw.Boolean and not {"True", "False"} & set(self.levels):  # as a file may spell them
            words = [word.lower() for word in words]
        if series.dtype.is_numeric() and words and not any(is_number(level) for level in self.levels):
            raise self.mismatch(words[0])
        places = {level: i for i, level in enumerate(self.levels)}
        unseen = len(self.levels) if self.rare else -1
        return texts.each([places.get(word, unseen) for word in words], _MISSING).astype(np.int64)

    def summary(self) -> str:
        shown = ", ".join(self.levels[:4]) + (", …" if len(self.levels) > 4 else "")
        rare = f" and {self.rare:,} rare ones together" if self.rare else ""
        return f"{len(self.levels)} levels{rare}: {shown}"


TRUE: Final = frozenset(("true", "yes", "t", "y", "1"))
FALSE: Final = frozenset(("false", "no", "f", "n", "0"))


@final
@dataclass(frozen=True)
class Boolean(Column):
    """True or false, 1 or -1; also written yes/no, t/f, y/n."""

    kind = "boolean"
    phrase = "true or false (yes/no, t/f, y/n, 1/0)"

    @property
    def own_width(self) -> int:
        return 1

    def encode_known(self, series: nw.Series[Any], into: Encoded) -> Mask:
        texts = texts_of(series)
        for text in texts.values:
            if text.lower() not in TRUE | FALSE:
                raise self.mismatch(text)
        into[:, 0] = texts.each([1 if text.lower() in TRUE else -1 for text in texts.values], 0)
        return texts.missing

    def summary(self) -> str:
        return "-1 or 1"


@final
@dataclass(frozen=True)
class Date(Column):
    """A day or a moment: elapsed time, scaled, and the parts that vary as points on a circle (month, weekday, hour)."""

    format: str
    center: float
    """In days since 1970, as the scale is in days."""
    scale: float
    parts: tuple[str, ...]

    kind = "date"
    phrase = "dates"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_scaling(self.name, self.center, self.scale)
        first, last = (date(*day).toordinal() - _UNIX for day in ((1, 1, 1), (9999, 12, 31)))
        if self.format not in FORMATS or not first <= self.center <= last + 1:
            raise ValueError(f"column {self.name!r} has the format {self.format!r}, around day {self.center}")
        if not isinstance(self.parts, tuple) or [part for part in _PARTS if part in self.parts] != list(self.parts):
            raise ValueError(f"column {self.name!r} has the parts {self.parts!r}; expected some of {', '.join(_PARTS)}")

    @classmethod
    def learn(cls, name: str, moments: Moments, form: str, weights: Numbers | None = None) -> Date:
        known = moments.known
        if weights is not None:
            weights = weights[~moments.missing]
        parts = tuple(part for part, of in _PARTS.items() if len(np.unique(of(known))) > 1)
        scale = _deviation(known.days, weights) or 1.0
        center = float(np.average(known.days, weights=weights))
        return cls(name, bool(moments.missing.any()), form, center, scale, parts)

    @property
    def own_width(self) -> int:
        return 1 + 2 * len(self.parts)

    def encode_known(self, series: nw.Series[Any], into: Encoded) -> Mask:
        moments = moments_of(series, self.format)
        if moments is None:
            raise self.mismatch(first_text(series))
        into[:, 0] = (moments.days - self.center) / self.scale
        for place, part in enumerate(self.parts):
            angle = 2 * math.pi * _PARTS[part](moments) / _CYCLES[part]
            into[:, 1 + 2 * place], into[:, 2 + 2 * place] = np.sin(angle), np.cos(angle)
        return moments.missing

    def summary(self) -> str:
        middle = min(_UNIX + round(self.center), date.max.toordinal())
        parts = f", {', '.join(self.parts)}" if self.parts else ""
        return f"around {date.fromordinal(middle)}{parts}"


_UNIX: Final = date(1970, 1, 1).toordinal()
_PARTS: Final[dict[str, Callable[[Moments], npt.NDArray[Any]]]] = {
    "month": lambda moments: moments.months,
    "weekday": lambda moments: moments.weekdays,
    "hour": lambda moments: moments.hours,
}
_CYCLES: Final = {"month": 12, "weekday": 7, "hour": 24}


def _check_scaling(name: str, center: object, scale: object) -> None:
    """Raise ValueError where these are no center and scale."""
    numbers = all(type(number) is float and math.isfinite(number) for number in (center, scale))
    if not numbers or scale <= 0:  # type: ignore[operator]
        raise ValueError(
            f"column {name!r} is scaled by {center!r} and {scale!r}; expected finite numbers, a scale above 0"
        )


KINDS: Final[dict[str, type[Column]]] = {kind.kind: kind for kind in (Number, Presence, Category, Boolean, Date)}
"""Every kind of column under its name."""
