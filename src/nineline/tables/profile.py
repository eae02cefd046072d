"""Profiles: what the values of a column are like, small enough to be drawn whatever the size of the table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self, final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline.tables.summaries import NumberSummary, ValueSummary

    Numbers = npt.NDArray[np.float64]

_BINS: Final = 24
_VALUES: Final = 10  # named; the others are counted
_OUTLYING: Final = 0.005  # of the rows at each end may be left out of a histogram that they would squeeze
_HALVES: Final = 2.0**51  # up to which a half can be added
_SQUEEZED: Final = 4.0  # times as wide with them


@dataclass(frozen=True)
class ColumnProfile:
    """How often a column has which values.

    Attributes
    ----------
    name : str
    rows, missing : int
        Rows that were seen, and those of them without a value.
    different : int
        Different values.
    exact : bool
        False where there are more of them than were kept apart.
    """

    name: str
    rows: int
    missing: int
    different: int
    exact: bool

    @property
    def missing_share(self) -> float:
        """The share of rows without a value, in [0, 1]."""
        return self.missing / self.rows if self.rows else 0.0


@final
@dataclass(frozen=True)
class NumberProfile(ColumnProfile):
    """A histogram of numbers.

    Attributes
    ----------
    edges : array, (bins + 1,)
        Bin i is from ``edges[i]`` to below ``edges[i + 1]``, the last one up to its edge.
    counts : array, (bins,)
        The weight of the rows in each.
    below, above : float
        The weight of outlying rows that are left out at either end.
    quantiles : array, (5,)
        Lowest, quartiles, highest.
    dates : bool
        Whether the numbers are microseconds since 1970.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.tables.profile import NumberProfile
    >>> from nineline.tables.summaries import NumberSummary
    >>> profile = NumberProfile.of("size", NumberSummary.of(np.array([1.0, 2.0, 2.0, 5.0, np.nan])), bins=2)
    >>> profile.edges, profile.counts, profile.missing
    (array([1., 3., 5.]), array([3., 1.]), 1)
    """

    edges: Numbers = field(default_factory=lambda: np.empty(0))
    counts: Numbers = field(default_factory=lambda: np.empty(0))
    below: float = 0.0
    above: float = 0.0
    quantiles: Numbers = field(default_factory=lambda: np.empty(0))
    dates: bool = False

    @classmethod
    def of(cls, name: str, summary: NumberSummary, *, dates: bool = False, bins: int = _BINS) -> Self:
        """Return the profile of numbers that were summed up."""
        finite = np.isfinite(summary.values)
        known = summary if finite.all() else summary.only(finite)
        plain = cls(name, summary.rows, summary.missing, summary.different, summary.exact, dates=dates)
        if not len(known.values):
            return plain
        reached = np.concatenate([[0.0], np.cumsum(known.shares)])
        marks = [0, _OUTLYING, 0.25, 0.5, 0.75, 1 - _OUTLYING, 1]
        places = np.searchsorted(
            reached[1:], np.array(marks) * reached[-1]
        )  # as `NumberSummary.quantiles`, sorted once
        low, inner_low, *quartiles, inner_high, high = known.values[np.minimum(places, len(known.values) - 1)].tolist()
        quantiles = np.array([low, *quartiles, high])
        if high - low > _SQUEEZED * (inner_high - inner_low) > 0:
            low, high = inner_low, inner_high
        edges = _edges(known.values, low, high, bins)
        at = reached[np.searchsorted(known.values, edges)]
        at[-1] = reached[np.searchsorted(known.values, edges[-1], side="right")]
        return replace(
            plain,
            edges=edges,
            counts=np.diff(at),
            below=float(at[0]),
            above=float(reached[-1] - at[-1]),
            quantiles=quantiles,
        )


def _edges(values: Numbers, low: float, high: float, bins: int) -> Numbers:
    """Return the edges of bins; of few whole numbers each has a bin of its own around it."""
    some = values[(values >= low) & (values <= high)][: bins + 1]
    span = high - low
    whole = max(abs(low), abs(high)) < _HALVES and bool((some == np.round(some)).all())
    if len(some) and span < bins and whole and len(some) <= span + 1:
        return np.arange(low - 0.5, high + 1, dtype=np.float64)
    if span <= 0:
        pad = 0.5 * max(abs(low), 1.0)
        return np.array([low - pad, high + pad])
    return np.unique(np.linspace(low, high, bins + 1))  # of numbers next to each other some are one


@final
@dataclass(frozen=True)
class ValueProfile(ColumnProfile):
    """The most frequent of values that are no numbers.

    Attributes
    ----------
    values : tuple of str
        At most ten, the most frequent first.
    counts : array, (values,)
        The weight of the rows that have each.
    others : float
        The weight of the rows that have another.

    Examples
    --------
    >>> import narwhals as nw
    >>> from nineline.tables.profile import ValueProfile
    >>> from nineline.tables.series import distinct
    >>> from nineline.tables.summaries import ValueSummary
    >>> summary = ValueSummary()
    >>> summary.see(distinct(nw.new_series("colour", ["red", "blue", "red", None], backend="polars")))
    >>> profile = ValueProfile.of("colour", summary)
    >>> profile.values, profile.counts, profile.missing
    (('red', 'blue'), array([2., 1.]), 1)
    """

    values: tuple[str, ...] = ()
    counts: Numbers = field(default_factory=lambda: np.empty(0))
    others: float = 0.0

    @classmethod
    def of(cls, name: str, summary: ValueSummary) -> Self:
        """Return the profile of values that were counted."""
        return cls.of_texts(name, summary.as_texts(), summary)

    @classmethod
    def of_texts(cls, name: str, given: tuple[list[str], Numbers, int], summary: ValueSummary) -> Self:
        """Return the same where it is known what `ValueSummary.as_texts` returns, which takes long for many values."""
        texts, shares, known = given
        order = np.argsort(-shares, kind="stable")
        kept = order[:_VALUES]
        return cls(
            name,
            rows=summary.rows,
            missing=summary.rows - known,
            different=len(texts),
            exact=not summary.others,
            values=tuple(texts[place] for place in kept),
            counts=shares[kept],
            others=float(shares[order[_VALUES:]].sum()) + summary.others,
        )
