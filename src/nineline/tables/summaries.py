"""Summaries: what a column's values are, taken note of piece by piece, as much as is needed to learn it.

A summary is begun empty, sees pieces of a column, and is asked in the end. Numbers are kept sorted, each with the
weight of its rows; past so many different ones, by default a million, neighbours are joined, so that memory is bounded
and quantiles are right to within a few stretches of two over that number of the rows. Other values are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.tables.series import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline.tables.series import Distinct

    Numbers = npt.NDArray[np.float64]

NUMBERS_AT_MOST: Final = 2**20
"""Different numbers that are kept apart, where nothing is said."""
VALUES_AT_MOST: Final = 2**21
"""Different texts that are told apart, where nothing is said; later ones are others."""


class NumberSummary:
    """The different numbers of a column in ascending order, and the weight of each.

    Parameters
    ----------
    at_most : int
        So many different numbers are kept apart.

    Attributes
    ----------
    rows, missing : int
        How many rows were seen, and how many of them had no number.
    values, shares : array, (different,)
    exact : bool
        False where numbers had to be joined with their neighbours.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.tables.summaries import NumberSummary
    >>> summary = NumberSummary()
    >>> summary.see(np.array([3.0, 1.0, np.nan]))
    >>> summary.see(np.array([3.0, 2.0]))
    >>> summary.values, summary.shares, summary.missing
    (array([1., 2., 3.]), array([1., 1., 2.]), 1)
    >>> summary.quantiles([0.5])
    array([2.])
    """

    def __init__(self, at_most: int = NUMBERS_AT_MOST) -> None:
        self.at_most = at_most
        self.rows = self.missing = 0
        self.values: Numbers = np.empty(0)
        self.shares: Numbers = np.empty(0)
        self.exact = True
        self._repeated = False  # some number came twice
        self._moments = 0.0, 0.0, 0.0  # the weight, the mean and the sum of squares about it, before any were joined

    @classmethod
    def of(cls, values: Numbers, weights: Numbers | None = None) -> NumberSummary:
        """Return the summary of numbers that are there at once."""
        summary = cls()
        summary.see(values, weights)
        return summary

    def see(self, values: Numbers, weights: Numbers | None = None) -> None:
        """Take note of numbers, (rows,), NaN where one is missing; one of weight 2 counts as two."""
        there = ~np.isnan(values)
        known = values if there.all() else values[there]
        self.rows += len(values)
        self.missing += len(values) - len(known)
        if weights is not None and len(known) < len(values):
            weights = weights[there]
        values, shares = _sorted(known, weights)
        self._repeated = self._repeated or len(values) < len(known)
        self._moments = _together(self._moments, _moments(values, shares))
        self._add(values, shares)

    def merge(self, other: NumberSummary) -> None:
        """Take note of what another has seen, behind what this one has."""
        self.rows += other.rows
        self.missing += other.missing
        self._repeated |= other._repeated
        self._moments = _together(self._moments, other._moments)
        self.exact &= other.exact
        self._add(other.values, other.shares)

    def _add(self, values: Numbers, shares: Numbers) -> None:
        """Add different numbers in ascending order to those that are there."""
        if len(self.values):
            together = len(self.values) + len(values)
            values, shares = _sorted(np.concatenate([self.values, values]), np.concatenate([self.shares, shares]))
            self._repeated |= len(values) < together
        if len(values) > self.at_most:
            values, shares = _joined(values, shares, self.at_most // 2)
            self.exact = False
        self.values, self.shares = values, shares

    @property
    def different(self) -> int:
        """How many different numbers there are; where they are not exact and none was seen twice, as many as rows."""
        return len(self.values) if self.exact or self._repeated else self.rows - self.missing

    def quantiles(self, shares: Sequence[float] | Numbers) -> Numbers:
        """Return the smallest numbers that at least these shares of the weight do not exceed."""
        quantiles: Numbers = np.quantile(self.values, shares, method="inverted_cdf", weights=self.shares)
        return quantiles

    def deviation(self) -> float:
        """Return the standard deviation."""
        weight, _, squares = _moments(self.values, self.shares) if self.exact else self._moments
        return float(np.sqrt(squares / weight))

    def only(self, which: npt.NDArray[np.bool_]) -> NumberSummary:
        """Return the same of some of the different numbers."""
        part = NumberSummary()
        part.rows, part.values, part.shares = self.rows, self.values[which], self.shares[which]
        return part


def _moments(values: Numbers, shares: Numbers) -> tuple[float, float, float]:
    """Return the weight, the mean, and the sum of squares about it."""
    weight = float(shares.sum())
    if weight == 0:
        return 0.0, 0.0, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(values @ shares / weight)
        return weight, mean, float((values - mean) ** 2 @ shares)


def _together(a: tuple[float, float, float], b: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return the moments of two pieces together (Chan, Golub, LeVeque 1983)."""
    weight = a[0] + b[0]
    if weight == 0:
        return a
    gap = b[1] - a[1]
    return weight, a[1] + gap * b[0] / weight, a[2] + b[2] + gap * gap * a[0] * b[0] / weight


def _sorted(values: Numbers, weights: Numbers | None) -> tuple[Numbers, Numbers]:
    """Return the different numbers in ascending order, and the weight of each."""
    if weights is None:
        values = np.sort(values)
    else:
        order = np.argsort(values, kind="stable")
        values, weights = values[order], weights[order]
    first = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])) if len(values) else np.empty(0, int)
    if weights is None:
        return values[first], np.diff(np.append(first, len(values))).astype(np.float64)
    return values[first], np.add.reduceat(weights, first) if len(first) else np.empty(0)


def _joined(values: Numbers, shares: Numbers, count: int) -> tuple[Numbers, Numbers]:
    """Return about so many numbers that stand for all: of each stretch of equal weight the middle; and both ends.

    The middle is too high for as much of the weight as it is too low for, so that errors do not add up where joined
    numbers are joined again and again.
    """
    reached = np.cumsum(shares)
    stretch = np.minimum((reached * (count / reached[-1])).astype(np.int64), count - 1)
    begins = stretch[1:] != stretch[:-1]
    begins[[0, -1]] = True  # the ends stand for themselves
    first = np.concatenate([[0], np.flatnonzero(begins) + 1])
    before = np.concatenate([[0.0], reached])[first]
    weight = np.diff(np.append(before, reached[-1]))
    middle = np.searchsorted(reached, before + weight / 2)
    last = np.append(first[1:], len(values)) - 1
    return values[np.clip(middle, first, last)], weight


class ClassSummary:
    """The different values of a target in ascending order, and the weight of each.

    Attributes
    ----------
    rows : int
    values, shares : array, (different,)

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.tables.summaries import ClassSummary
    >>> summary = ClassSummary()
    >>> summary.see(np.array(["b", "a"]))
    >>> summary.see(np.array(["b", "c"]), np.array([2.0, 1.0]))
    >>> summary.values, summary.shares
    (array(['a', 'b', 'c'], dtype='<U1'), array([1., 3., 1.]))
    """

    def __init__(self) -> None:
        self.rows = 0
        self.values: npt.NDArray[Any] = np.empty(0)
        self.shares: Numbers = np.empty(0)

    def see(self, values: npt.NDArray[Any], weights: Numbers | None = None) -> None:
        """Take note of a piece, (rows,); a value of weight 2 counts as two."""
        found, codes = np.unique(values, return_inverse=True)
        self._add(found, np.bincount(codes, weights, minlength=len(found)).astype(np.float64), len(values))

    def merge(self, other: ClassSummary) -> None:
        """Take note of what another has seen."""
        self._add(other.values, other.shares, other.rows)

    def _add(self, values: npt.NDArray[Any], shares: Numbers, rows: int) -> None:
        if self.rows and rows:
            values, codes = np.unique(np.concatenate([self.values, values]), return_inverse=True)
            shares = np.bincount(codes, np.concatenate([self.shares, shares])).astype(np.float64)
        if rows:
            self.rows += rows
            self.values, self.shares = values, shares


class ValueSummary:
    """The different values of a column that is not of numbers, in the order in which they first came, and their weight.

    Parameters
    ----------
    at_most : int
        So many different values are told apart.

    Attributes
    ----------
    rows, missing : int
        How many rows were seen, and how many of them had none.
    values : list
    shares, counts : array, (different,)
        The weight of the rows that have each, and their number.
    others : int
        Rows of values that came when there were `at_most` already, and are not among them.
    """

    def __init__(self, at_most: int = VALUES_AT_MOST) -> None:
        self.at_most = at_most
        self.rows = self.missing = self.others = 0
        self.values: list[Any] = []
        self.shares: Numbers = np.empty(0)
        self.counts: Numbers = np.empty(0)
        self._places: dict[tuple[type, Any], int] = {}

    def see(self, given: Distinct, weights: Numbers | None = None) -> None:
        """Take note of a piece; a value of weight 2 counts as two."""
        known = given.codes >= 0
        self.rows += len(given.codes)
        self.missing += len(given.codes) - int(known.sum())
        counts = np.bincount(given.codes[known], minlength=len(given.values))
        shares = counts
        if weights is not None:
            shares = np.bincount(given.codes[known], weights[known], minlength=len(given.values))
        self._add(given.values, shares, counts)

    def merge(self, other: ValueSummary) -> None:
        """Take note of what another has seen, behind what this one has."""
        self.rows += other.rows
        self.missing += other.missing
        self.others += other.others
        self._add(other.values, other.shares, other.counts)

    def _add(self, values: Sequence[Any], shares: npt.NDArray[Any], counts: npt.NDArray[Any]) -> None:
        """Add the weights and numbers of rows that have different values."""
        which = np.array([self._place(value) for value in values], np.intp)
        more = np.zeros(len(self.values) - len(self.shares))
        self.shares, self.counts = np.append(self.shares, more), np.append(self.counts, more)
        kept = which >= 0
        np.add.at(self.shares, which[kept], shares[kept])
        np.add.at(self.counts, which[kept], counts[kept])
        self.others += int(counts[~kept].sum())

    def _place(self, value: Any) -> int:
        """Return the number of a value, a new one for one that was not there yet; -1 where there are too many."""
        key = type(value), value
        place = self._places.get(key, -1)
        if place < 0 and len(self.values) < self.at_most:
            place = self._places[key] = len(self.values)
            self.values.append(value)
        return place

    def as_numbers(self, numbers: Numbers) -> NumberSummary:
        """Return the summary of what the values are as numbers, NaN where one is missing, (different,)."""
        summary = NumberSummary.of(numbers, self.shares)
        summary.rows, summary.missing = self.rows, self.missing + int(self.counts[np.isnan(numbers)].sum())
        return summary

    def as_texts(self) -> tuple[list[str], Numbers, int]:
        """Return the different texts that the values are, the weight of each, and how many rows have one."""
        numbers: dict[str, int] = {}
        texts = [text_of(value) for value in self.values]
        places = np.array([-1 if text is None else numbers.setdefault(text, len(numbers)) for text in texts], np.intp)
        shares = np.zeros(len(numbers) + 1)
        np.add.at(shares, places, self.shares)
        return [*numbers], shares[:-1], int(self.counts[places >= 0].sum()) + self.others
