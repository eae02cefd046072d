"""The background of a table: its mean row, as networks see it; explanations begin there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from nineline.layers import Embedding
from nineline.rows import ROWS_AT_ONCE, sampled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.network import Network
    from nineline.rows import Compact, Encoding

    Numbers = npt.NDArray[np.float64]

_ROWS_AT_MOST: Final = 100_000  # that a mean is taken of


@dataclass(frozen=True, eq=False)
class Background:
    """The mean of the inputs that the rows of a table become.

    A level that an `Embedding` reads is no quantity, so of such a column each level's share of the rows is kept: the
    mean of its learned vectors follows from that, whatever they are by now.

    Attributes
    ----------
    rows : int
        How many there are.
    shares : tuple of array, (levels,) each
        Of each column that an `Embedding` reads; they add up to 1.
    inputs : array, (the other inputs,)

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.estimators.tabular.background import Background
    >>> from nineline.rows import Compact, Encoding, LevelPart, NumberPart
    >>> encoding = Encoding((NumberPart(1),), (LevelPart(0, levels=2, one_hot=False),), width=2)
    >>> rows = Compact(np.array([[2.0], [0.5]], np.float32), np.array([[1], [1]], np.int32), encoding)
    >>> background = Background.of(rows, np.array([2.0, 1.0]))
    >>> background.inputs, background.shares
    (array([1.5]), (array([0., 1.]),))
    """

    rows: int
    shares: tuple[Numbers, ...]
    inputs: Numbers

    @classmethod
    def of(cls, inputs: Compact, weights: Array | None = None, *, rows: int | None = None) -> Self:
        """Return the mean of some rows, by what each counts; of more than 100,000, that of as many, drawn at random.

        `rows` is how many they stand for, where that is another number than theirs.
        """
        count = len(inputs)
        some = sampled(count, _ROWS_AT_MOST)
        counts = np.ones(count) if weights is None else weights.astype(np.float64)
        inputs, counts = inputs.part(some), counts[some]
        embedded = len(inputs.encoding.embedded)
        shares = [
            np.bincount(levels, counts, minlength=part.levels) / counts.sum()
            for part, levels in zip(inputs.encoding.levels[:embedded], inputs.levels.T, strict=False)
        ]
        means = np.zeros(inputs.encoding.width)
        for start in range(0, len(inputs), ROWS_AT_ONCE):
            piece = slice(start, start + ROWS_AT_ONCE)
            for place, spread in _spread(inputs.part(piece)):
                means[place : place + spread.shape[1]] += counts[piece] @ spread.astype(np.float64)
        return cls(count if rows is None else rows, tuple(shares), means[embedded:] / counts.sum())

    def joined(self, other: Background) -> Background:
        """Return the mean of the rows of both."""
        rows = self.rows + other.rows
        mine, yours = self.rows / rows, other.rows / rows
        shares = tuple(mine * one + yours * two for one, two in zip(self.shares, other.shares, strict=True))
        return Background(rows, shares, mine * self.inputs + yours * other.inputs)

    def behind(self, network: Network) -> Numbers:
        """Return the mean of what a network sees behind its embedding, (width,)."""
        first = network.layers[0]
        vectors = first.vectors if isinstance(first, Embedding) else ()
        means = [share @ each for share, each in zip(self.shares, vectors, strict=True)]
        return np.concatenate([*means, self.inputs])

    def arrays(self) -> dict[str, Array]:
        """Return its arrays by the names that they have in a file."""
        named = {f"background.{column}.shares": shares for column, shares in enumerate(self.shares)}
        return {**named, "background.inputs": self.inputs}

    @classmethod
    def rebuild(cls, described: Mapping[str, Any], arrays: Mapping[str, Array], encoding: Encoding) -> Self:
        """Make it again from a file, which may come from anybody.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is none of rows that are encoded so.
        """
        rows, embedded = described["rows"], encoding.embedded
        if type(rows) is not int or not 0 < rows < 2**63:
            raise ValueError(f"a background of {rows!r} rows")
        shares: tuple[Any, ...] = tuple(arrays[f"background.{column}.shares"] for column in range(len(embedded)))
        inputs: Any = arrays["background.inputs"]
        shapes = [*((levels,) for levels in embedded), (encoding.width - len(embedded),)]
        for array, shape in zip((*shares, inputs), shapes, strict=True):
            if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
                raise ValueError("a background that does not fit the columns")
        return cls(rows, shares, inputs)


def _spread(rows: Compact) -> Iterator[tuple[int, Array]]:
    """Yield what each part of compact rows becomes, and its place: one at a time, for all may be very wide."""
    for number, part in enumerate(rows.encoding.numbers):
        inputs = np.zeros((len(rows), part.width), rows.dtype)
        part._replace(place=0).spread(rows.numbers[:, number], inputs)
        yield part.place, inputs
    for level, place in enumerate(rows.encoding.levels):
        if place.one_hot:
            inputs = np.zeros((len(rows), place.width), rows.dtype)
            place._replace(place=0).spread(rows.levels[:, level], inputs)
            yield place.place, inputs
