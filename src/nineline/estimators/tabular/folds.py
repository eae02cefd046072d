"""Splits: which member holds out which rows; and the same row twice made one of weight 2."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from nineline.estimators.tabular.grouping import counted, places_of_groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.rows import Compact

    Indices = npt.NDArray[np.intp]

_GOLDEN: Final = (5**0.5 - 1) / 2


def merge(
    inputs: Compact, labels: npt.NDArray[Any], weights: Array | None, groups: npt.NDArray[Any] | None = None
) -> tuple[Indices, Array | None]:
    """Find rows that are the same, target, group and all: one of each is kept, with the weight of all.

    So a row of weight 2 and the same row twice are the same to everything that follows, no row is both learned from
    and held out, and the rows' order in the table does not matter.

    Parameters
    ----------
    inputs : Compact
    labels : array, (rows,) or (rows, outputs)
    weights : array, (rows,), optional
    groups : array of int, (rows,), optional

    Returns
    -------
    kept : array of int
        One row of each kind, in an order that depends on the rows' content alone.
    weights : array, (kept,), or None
        None where all weigh the same.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.estimators.tabular.folds import merge
    >>> from nineline.rows import Compact, Encoding, NumberPart
    >>> rows = Compact(np.array([[1], [2], [1]], np.float32), np.empty((3, 0), np.int32),
    ...                Encoding((NumberPart(0),), (), width=1))
    >>> kept, weights = merge(rows, np.array([5, 5, 5]), None)
    >>> sorted(zip(kept.tolist(), weights.tolist()))
    [(0, 2.0), (1, 1.0)]
    """
    targets = labels.reshape(len(labels), -1).T
    values = [np.unique(target, return_inverse=True)[1].astype(np.uint64) for target in targets]
    columns: list[npt.NDArray[Any]] = [*_bits(inputs), *values]
    if groups is not None:
        columns.append(groups.astype(np.uint64))
    _, first, place = np.unique(_fingerprints(columns), return_index=True, return_inverse=True)
    if not all((column[first][place] == column).all() for column in columns):
        first = place = np.arange(len(labels))  # two rows share a fingerprint, by a chance of one in 2**64 a pair
    weight = np.bincount(place, weights).astype(np.float32)
    return first, None if (weight == weight[0]).all() else weight


def _bits(inputs: Compact) -> Iterator[npt.NDArray[np.uint32]]:
    """Yield the columns of compact rows as bits that are the same where the values are."""
    for column in inputs.numbers.T:
        single = column.astype(np.float32)
        yield np.where(np.isnan(single), np.float32(np.nan), single + np.float32(0)).view(np.uint32)  # -0 is 0
    for column in inputs.levels.T:
        yield np.ascontiguousarray(column).view(np.uint32)


def _fingerprints(columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.uint64]:
    """Return a number of 64 bits for each row: a sum of its columns' bits, each times a number of its own, mixed."""
    factors = np.random.default_rng(0).integers(2**63, size=len(columns), dtype=np.uint64) * 2 + 1
    code = np.zeros(len(columns[0]), np.uint64)
    for column, factor in zip(columns, factors, strict=True):
        code += column.astype(np.uint64) * factor
    for shift in (30, 27):
        code = (code ^ (code >> np.uint64(shift))) * np.uint64(0xBF58476D1CE4E5B9)
    return code ^ (code >> np.uint64(31))


def stretch(numbers: Indices) -> Indices | slice:
    """Return row numbers as a slice where they follow each other, for which no row is copied.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.estimators.tabular.folds import stretch
    >>> stretch(np.array([3, 4, 5])), stretch(np.array([3, 5]))
    (slice(3, 6, None), array([3, 5]))
    """
    if not len(numbers) or (np.diff(numbers) != 1).any():
        return numbers
    return slice(int(numbers[0]), int(numbers[-1]) + 1)


class Splits(ABC):
    """Which rows each member learns from, and which it holds out.

    Attributes
    ----------
    share : float
        Of all rows that a member holds out.
    words : str
        Which rows these are, for a report; nothing where they were drawn.
    """

    share: float
    words: str = ""

    @abstractmethod
    def of(self, member: int) -> tuple[Indices, Indices]:
        """Return the rows that a member learns from, and those that it holds out."""

    @abstractmethod
    def thinned(self, rows: int) -> Splits:
        """Return the same of about so many rows, chosen by chance; all where they are no more."""


@final
class Fixed(Splits):
    """The same rows held out by every member, which lie behind those that all learn from.

    Parameters
    ----------
    learned, held : int
        How many there are of each.
    words : str

    Examples
    --------
    >>> from nineline.estimators.tabular.folds import Fixed
    >>> Fixed(3, 2, "the latest 2 rows").of(member=5)
    (array([0, 1, 2]), array([3, 4]))
    """

    def __init__(self, learned: int, held: int, words: str) -> None:
        self.share, self.words = held / (learned + held), words
        self._learned, self._held = np.arange(learned), np.arange(learned, learned + held)

    def of(self, member: int) -> tuple[Indices, Indices]:
        return self._learned, self._held

    def thinned(self, rows: int) -> Fixed:
        """Return the same with about so many of the rows to learn from, and of those held out as many at most."""
        few, rng = copy(self), np.random.default_rng(0)
        few._learned, few._held = _some(self._learned, rows, rng), _some(self._held, rows, rng)
        return few


def _some(numbers: Indices, rows: int, rng: np.random.Generator) -> Indices:
    return numbers if len(numbers) <= rows else numbers[rng.random(len(numbers)) < rows / len(numbers)]


@final
class Folds(Splits):
    """Rows held out in turns.

    Every row has a place on a circle of length 1, and member i holds out those from ``i * share`` on to
    ``(i + 1) * share``: eight members that hold out an eighth each hold out every row once. The places are spread
    evenly over each class, and a class's only row is never held out. All rows of a group have the same place.

    Parameters
    ----------
    rows : int
    share : float
        In [0, 1).
    classes : array, (rows,), optional
    rng : numpy.random.Generator
    groups : array of int, (rows,), optional
        See `nineline.estimators.tabular.grouping`, which may change the share.
    """

    def __init__(
        self,
        rows: int,
        share: float,
        classes: npt.NDArray[Any] | None,
        rng: np.random.Generator,
        groups: npt.NDArray[Any] | None = None,
    ) -> None:
        self.share, self.groups = share, groups
        if groups is not None and share:
            places, self.share = places_of_groups(*counted(groups, classes), share, rng)
            self.places = places[groups]
            return
        order = rng.permutation(rows)
        if classes is not None:
            order = order[np.argsort(classes[order], kind="stable")]
        self.places = np.empty(rows)
        self.places[order] = np.arange(rows) * _GOLDEN % 1
        if classes is not None:
            alone = np.bincount(classes)[classes] == 1
            self.places[alone] = np.nan

    def sort(self) -> Indices:
        """Order the rows by their places, and return the order: what a member holds out is a stretch of them then."""
        order = np.argsort(self.places, kind="stable")
        self.places = self.places[order]
        if self.groups is not None:
            self.groups = self.groups[order]
        return order

    def in_words(self, members: int) -> str:
        """Return which rows so many members hold out, for a report; nothing where they were drawn one by one."""
        if self.groups is None or not self.share:
            return ""
        held = {group for member in range(members) for group in np.unique(self.groups[self.of(member)[1]]).tolist()}
        return f"rows of {len(held):,} of {len(np.unique(self.groups)):,} groups"

    taken: npt.NDArray[np.bool_] | None = None
    """Which rows there are, where these are not all."""

    def of(self, member: int) -> tuple[Indices, Indices]:
        with np.errstate(invalid="ignore"):
            out = (self.places - member * self.share) % 1 < self.share
        if out.all():
            out[:] = False
        learned = ~out
        if self.taken is not None:
            learned &= self.taken
            out &= self.taken
        return np.flatnonzero(learned), np.flatnonzero(out)

    def thinned(self, rows: int) -> Folds:
        if len(self.places) <= rows:
            return self
        few = copy(self)
        few.taken = np.random.default_rng(0).random(len(self.places)) < rows / len(self.places)
        return few
