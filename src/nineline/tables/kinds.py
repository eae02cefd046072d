"""Kinds of column: how the values of each become numbers.

A kind is a class here that says what it learned from the training table (a median, the levels), what a compact row
holds of a value (`values`: scaled numbers, numbers of levels), what that becomes as inputs of a network
(`encoding`), and how it treats a value that is missing or was never seen: see `nineline.tables.contract`. To add a
kind, write a class here, or in a file of its own as `nineline.tables.text` is, enter it in `KINDS`, and say in
`nineline.tables.inference.ColumnLearner` when a column is of it. What the values of a column are read as, whatever its
kind, is in `nineline.tables.series`.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass, replace
from datetime import date
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, final

import narwhals as nw
import numpy as np

from nineline.rows import LevelPart, NumberPart
from nineline.tables.contract import Column
from nineline.tables.series import (
    FORMATS,
    Moments,
    first_text,
    is_missing,
    is_number,
    moments_of,
    moments_of_values,
    numbers_of,
    one_number,
    texts_of,
)
from nineline.tables.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from nineline.tables.contract import Part, Values
    from nineline.tables.series import Codes
    from nineline.tables.summaries import NumberSummary

    Numbers = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]

_MISSING: Final = -2  # among the numbers of levels


@final
@dataclass(frozen=True)
class Number(Column):
    """A number, scaled robustly and bent towards ±3, and how much of each of its intervals it fills, or waves of it.

    First ``z = (x - median) / scale; z / sqrt(1 + (z / 3)**2)``. The scale is the distance between the quartiles, as a
    standard deviation (/ 1.349); the standard deviation itself where the quartiles are equal. Then, where the column
    has `edges`, its piecewise-linear encoding: for each interval ``clip((x - left) / (right - left), 0, 1)``, so that
    all intervals below x are 1 and all above it are 0. A network can bend at every edge from the first step on. Where
    it has `frequencies`, the bent number's waves follow, ``cos(2 pi frequency * bent + phase)``: smooth in x, where
    intervals have corners. Of all that a compact row holds z, before it is bent, and its waves.

    References
    ----------
    Holzmüller, Grinsztajn, Steinwart (2024), Better by default, arXiv 2407.04491, section 3; Gorishniy, Rubachev,
    Babenko (2022), On embeddings for numerical features, arXiv 2203.05556, section 3.2; Rahimi, Recht (2007), Random
    features for large-scale kernel machines.
    """

    center: float
    scale: float
    edges: tuple[float, ...] = ()
    """Where intervals begin and end, ascending; none, or at least three."""
    frequencies: tuple[float, ...] = ()
    """Of its waves, in periods a unit of the bent number; none, or as many as there are phases."""
    phases: tuple[float, ...] = ()
    """In radians."""

    kind = "number"
    phrase = "numbers"
    numeric = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_scaling(self.name, self.center, self.scale)
        floats = isinstance(self.edges, tuple) and all(type(e) is float and math.isfinite(e) for e in self.edges)
        scaled = self._scaled(np.array(self.edges)).tolist() if floats else []
        if not floats or len(self.edges) in (1, 2) or any(a >= b for a, b in itertools.pairwise(scaled)):
            raise ValueError(
                f"column {self.name!r} has the edges {self.edges!r}; expected ascending numbers, none or at least three"
            )
        waves = self.frequencies, self.phases
        numbers = all(isinstance(w, tuple) and all(type(n) is float and math.isfinite(n) for n in w) for w in waves)
        if not numbers or len(self.frequencies) != len(self.phases):
            raise ValueError(
                f"column {self.name!r} has the frequencies {self.frequencies!r} and the phases {self.phases!r}; "
                "expected as many finite numbers of each"
            )

    @classmethod
    def learn(cls, name: str, summary: NumberSummary) -> Number:
        """Learn center and scale."""
        values = summary.values
        if np.isinf(values[[0, -1]]).any():
            raise ValueError(f"column {name!r} holds {values[np.isinf(values)][0]}; expected finite numbers or missing")
        with np.errstate(over="ignore", invalid="ignore"):
            low, center, high = summary.quantiles([0.25, 0.5, 0.75])
            scale = (high - low) / 1.349 or summary.deviation() or 1.0
        if not np.isfinite([center, scale]).all():
            raise ValueError(f"column {name!r} spans {values[0]:g} to {values[-1]:g}, too far to scale; rescale it")
        return cls(name, summary.missing > 0, float(center), float(scale))

    def divided(self, summary: NumberSummary, intervals: int) -> Number:
        """Return the same column with edges for at most so many intervals, by the summary that it was learned from.

        A value that alone has an interval's share of the rows is an edge by itself; the other edges are quantiles of
        what is left, so that a column that is mostly 0 still has intervals where its values differ.
        """
        distinct = summary.values
        if intervals < 2 or len(distinct) < 3:
            return self
        edges = distinct
        if len(distinct) > intervals + 1:
            heavy, left, rest = _heavy(summary.shares, intervals)
            edges = np.concatenate([distinct[heavy], distinct[[0, -1]]])
            if left > 0 and rest.any():
                steps = np.linspace(0, 1, left + 1)
                edges = np.concatenate([edges, summary.only(rest).quantiles(steps)])
        reach = max(distinct[-1] - self.center, self.center - distinct[0])
        kept: list[float] = []
        for edge in np.unique(edges).tolist():  # so far apart that they still differ in float32
            if not kept or edge - kept[-1] > _CLOSEST * reach:
                kept.append(edge)
        return replace(self, edges=tuple(kept)) if len(kept) > 2 else self

    def waved(self) -> Number:
        """Return the same column with waves: their frequencies as evenly as a half of the normal distribution has them.

        Random features draw them; of so few columns a draw may be an unlucky one.
        """
        shares = [0.5 + (number + 0.5) / (2 * _WAVES) for number in range(_WAVES)]
        frequencies = tuple(NormalDist(0, _FREQUENCY).inv_cdf(share) for share in shares)
        phases = tuple(2 * math.pi * (number * _GOLDEN % 1) for number in range(_WAVES))
        return replace(self, frequencies=frequencies, phases=phases)

    def waves(self, scaled: Numbers) -> Numbers:
        """Return the waves of scaled numbers, (rows, waves); NaN where one is missing."""
        bent = (scaled / np.hypot(1, scaled / 3))[:, np.newaxis]
        waves: Numbers = np.cos(2 * math.pi * bent * np.array(self.frequencies) + np.array(self.phases))
        return waves

    def _scaled(self, values: Numbers) -> Numbers:
        with np.errstate(over="ignore"):
            scaled: Numbers = (values - self.center) / self.scale
        return scaled

    @property
    def own_width(self) -> int:
        return max(1, len(self.edges)) + len(self.frequencies)

    @property
    def encoding(self) -> tuple[Part, ...]:
        edges = self._scaled(np.array(self.edges, np.float64)).tolist()
        number = NumberPart(len(self.frequencies), tuple(edges), bent=True, missing=self.missing)
        return (*(NumberPart(place) for place in range(len(self.frequencies))), number)

    def values(self, series: nw.Series[Any]) -> tuple[Values, ...]:
        values = numbers_of(series)
        if values is None:
            raise self.mismatch(first_text(series))
        if np.isinf(values).any():
            raise self.mismatch(float(values[np.isinf(values)][0]))
        scaled = self._scaled(values)
        return (*self.waves(scaled).T, scaled) if self.frequencies else (scaled,)

    def one(self, value: object) -> tuple[float, ...] | None:
        number = one_number(value)
        if number is None or math.isinf(number):
            return None
        scaled = (number - self.center) / self.scale
        return (*self.waves(np.array([scaled]))[0].tolist(), scaled) if self.frequencies else (scaled,)

    def summary(self) -> str:
        intervals = f", {len(self.edges) - 1} intervals" if self.edges else ""
        waves = f", {len(self.frequencies)} waves" if self.frequencies else ""
        return f"around {self.center:.4g} ± {self.scale:.3g}{intervals}{waves}"


_WAVES: Final = 16  # of a column
_FREQUENCY: Final = 0.45  # of a wave, as a standard deviation
_GOLDEN: Final = (5**0.5 - 1) / 2  # of a turn, from one phase to the next: these lie evenly, too
_CLOSEST: Final = 1e-6  # of two edges, as a share of how far the column reaches


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

    @property
    def encoding(self) -> tuple[Part, ...]:
        return (LevelPart(0, 1),)

    def values(self, series: nw.Series[Any]) -> tuple[Values, ...]:
        values = numbers_of(series)
        if values is None:
            raise self.mismatch(first_text(series))
        return (np.where(np.isnan(values), 0, -1).astype(np.int32),)

    def one(self, value: object) -> tuple[float, ...] | None:
        number = one_number(value)
        return None if number is None else (0 if math.isnan(number) else -1,)

    def summary(self) -> str:
        return "whether it is there"


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
    levels_always: ClassVar[int] = 64
    """So many levels have a place of their own however few rows they have;"""
    levels_at_most: ClassVar[int] = 512
    """up to so many"""
    rows_a_level: ClassVar[int] = 10
    """where they have so many rows."""

    def __post_init__(self) -> None:
        super().__post_init__()
        texts = isinstance(self.levels, tuple) and all(isinstance(level, str) for level in self.levels)
        if not texts or not self.levels or len(set(self.levels)) < len(self.levels):
            raise ValueError(f"column {self.name!r} has the levels {self.levels!r}; expected different texts")
        if type(self.rare) is not int or not 0 <= self.rare < 2**63:
            raise ValueError(f"column {self.name!r} has {self.rare!r} rare levels; expected a whole number")

    @classmethod
    def learn(cls, name: str, texts: Sequence[str], counts: Numbers, *, missing: bool) -> Self:
        """Learn which of the levels are frequent enough, by the weight of each."""
        ranked = np.argsort(-counts, kind="stable")[: cls.levels_at_most].tolist()
        common = [
            code for rank, code in enumerate(ranked) if rank < cls.levels_always or counts[code] >= cls.rows_a_level
        ]
        levels = tuple(sorted(texts[code] for code in common))
        return cls(name, missing, levels, len(texts) - len(levels))

    @classmethod
    def holds(cls, counts: Numbers) -> bool:
        """Return whether there are places enough for all levels of which something can be learned."""
        return int((counts >= EmbeddedCategory.rows_a_level).sum()) <= cls.levels_at_most

    @property
    def own_width(self) -> int:
        return 1 if len(self.levels) <= 2 and not self.rare else len(self.levels) + bool(self.rare)

    @property
    def encoding(self) -> tuple[Part, ...]:
        return (NumberPart(0, missing=self.missing) if self.own_width == 1 else LevelPart(0, self.width),)

    def values(self, series: nw.Series[Any]) -> tuple[Values, ...]:
        codes = self.codes(series)
        if self.own_width > 1:
            return (np.where(codes == _MISSING, self.own_width if self.missing else -1, codes).astype(np.int32),)
        known = np.where(codes == len(self.levels) - 1, 1, np.where(codes >= 0, -1, 0))
        return (np.where(codes == _MISSING, np.nan, known),)

    def one(self, value: object) -> tuple[float, ...] | None:
        code = self.one_code(value)
        if code is None:
            return None
        if self.own_width > 1:
            return ((self.own_width if self.missing else -1) if code == _MISSING else code,)
        return (math.nan if code == _MISSING else 1 if code == len(self.levels) - 1 else -1 if code >= 0 else 0,)

    @functools.cached_property
    def places(self) -> dict[str, int]:
        """The number of each level."""
        return {level: number for number, level in enumerate(self.levels)}

    def one_code(self, value: object) -> int | None:
        """Return the number of a text's level, as `codes` does; None for what is no text."""
        if is_missing(value):
            return _MISSING
        if type(value) is not str:
            return None
        text = value.strip()
        return self.places.get(text, len(self.levels) if self.rare else -1) if text else _MISSING

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
        unseen = len(self.levels) if self.rare else -1
        return texts.each([self.places.get(word, unseen) for word in words], _MISSING).astype(np.int64)

    def summary(self) -> str:
        shown = ", ".join(self.levels[:4]) + (", …" if len(self.levels) > 4 else "")
        rare = f" and {self.rare:,} rare ones together" if self.rare else ""
        return f"{len(self.levels)} levels{rare}: {shown}"


@final
@dataclass(frozen=True)
class EmbeddedCategory(Category):
    """One of many levels: a whole number, for which an `Embedding` has a learned vector.

    So is a category of which more than 512 levels have three rows each. Each of these has a vector of its own; rarer
    ones share one with those that training did not see, and missing values have one where some were missing in
    training.
    """

    kind = "embedded"
    levels_always = 0
    levels_at_most = 2**20
    rows_a_level = 3

    @property
    def vectors(self) -> int:
        """How many vectors there are."""
        return len(self.levels) + 1 + self.missing

    @property
    def width(self) -> int:
        return 1

    @property
    def own_width(self) -> int:
        return 1

    @property
    def encoding(self) -> tuple[Part, ...]:
        return (LevelPart(0, self.vectors, one_hot=False),)

    def values(self, series: nw.Series[Any]) -> tuple[Values, ...]:
        codes = self.codes(series)
        shared = len(self.levels)
        numbers = np.where(codes >= 0, codes, np.where(codes == _MISSING, self.vectors - 1, shared))
        return (numbers.astype(np.int32),)

    def one(self, value: object) -> tuple[float, ...] | None:
        code = self.one_code(value)
        if code is None:
            return None
        return (code if code >= 0 else self.vectors - 1 if code == _MISSING else len(self.levels),)

    def summary(self) -> str:
        return f"{super().summary()}; a learned vector each"


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

    @property
    def encoding(self) -> tuple[Part, ...]:
        return (NumberPart(0, missing=self.missing),)

    def values(self, series: nw.Series[Any]) -> tuple[Values, ...]:
        texts = texts_of(series)
        for text in texts.values:
            if text.lower() not in TRUE | FALSE:
                raise self.mismatch(text)
        signs = [1 if text.lower() in TRUE else -1 for text in texts.values]
        return (texts.each(signs, np.nan),)

    def one(self, value: object) -> tuple[float, ...] | None:
        if is_missing(value):
            return (math.nan,)
        if type(value) is not bool and type(value) is not str:
            return None
        word = str(value).strip().lower()
        return (math.nan,) if not word else (1,) if word in TRUE else (-1,) if word in FALSE else None

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
    def learn(cls, name: str, summary: NumberSummary, form: str) -> Date:
        """Learn center, scale and the parts that vary, from moments in microseconds since 1970."""
        known = Moments(summary.values.astype(np.int64), np.zeros(len(summary.values), bool))
        parts = tuple(part for part, of in _PARTS.items() if len(np.unique(of(known))) > 1)
        days, shares = known.days, summary.shares
        center = float(np.average(days, weights=shares))
        scale = float(np.sqrt(np.average((days - center) ** 2, weights=shares))) or 1.0
        return cls(name, summary.missing > 0, form, center, scale, parts)

    @property
    def own_width(self) -> int:
        return 1 + 2 * len(self.parts)

    @property
    def encoding(self) -> tuple[Part, ...]:
        last = self.own_width - 1
        return tuple(NumberPart(place, missing=self.missing and place == last) for place in range(self.own_width))

    def values(self, series: nw.Series[Any]) -> tuple[Values, ...]:
        moments = moments_of(series, self.format)
        if moments is None:
            raise self.mismatch(first_text(series))
        return tuple(np.where(moments.missing, np.nan, each) for each in self._of(moments))

    def _of(self, moments: Moments) -> list[Numbers]:
        values = [(moments.days - self.center) / self.scale]
        for part in self.parts:
            angle = 2 * math.pi * _PARTS[part](moments) / _CYCLES[part]
            values += [np.sin(angle), np.cos(angle)]
        return values

    def one(self, value: object) -> tuple[float, ...] | None:
        if is_missing(value):
            return (math.nan,) * self.own_width
        moment = moments_of_values([value], self.format)
        if moment is None:
            return None
        return tuple(math.nan if moment.missing[0] else float(each[0]) for each in self._of(moment))

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


KINDS: Final[dict[str, type[Column]]] = {
    kind.kind: kind for kind in (Number, Presence, Category, EmbeddedCategory, Boolean, Date, Text)
}
"""Every kind of column under its name."""
