"""Targets that a network has several outputs for: numbers side by side, labels side by side, quantiles of a number."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, final

import numpy as np

from nineline.tables.targets import Target, TargetScaling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from nineline._typing import Array

    Numbers = npt.NDArray[np.float64]

_LISTED: Final = 4  # names that are said one by one


class SeveralAnswers(Target):
    """A target with an answer for each output of a network, (rows, outputs), as `of` calls them."""

    @abstractmethod
    def find(self, of: Any) -> int:
        """Return the number of an answer by its name, or of a quantile by its level; raise ValueError without one."""

    def numbers(self, y: npt.NDArray[Any]) -> Numbers:
        return y.astype(np.float64)


@dataclass(frozen=True, eq=False)
class NamedAnswers(SeveralAnswers):
    """A target of several columns, each of which has a name and an answer."""

    names: tuple[str, ...]

    @property
    def outputs(self) -> int:
        return len(self.names)

    def of(self, name: str) -> list[str]:
        return list(self.names)

    def find(self, of: Any) -> int:
        return _find(self.names, of)


@final
@dataclass(frozen=True, eq=False)
class Quantities(NamedAnswers):
    """Several numbers a row, each standardised by its own scaling; no answer leaves its column's training range.

    Attributes
    ----------
    names : tuple of str
        Of the columns.
    scalings : tuple of TargetScaling

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.tables.several_targets import Quantities
    >>> target = Quantities.learn(np.array([[1.0, 10.0], [3.0, 30.0]]), ["a", "b"])
    >>> target.answers(np.array([[0.0, 9.0]]))
    array([[ 2., 30.]])
    """

    scalings: tuple[TargetScaling, ...]

    kind: ClassVar[str] = "quantities"
    activation: ClassVar[str] = "identity"
    loss: ClassVar[str] = "squared_error"

    @classmethod
    def learn(cls, y: npt.NDArray[Any], names: Sequence[str], weights: Array | None = None) -> Self:
        """Learn the scaling of each column of y, (rows, outputs); see `TargetScaling.learn`."""
        return cls(tuple(names), tuple(TargetScaling.learn(column, weights) for column in y.T))

    def values(self, numbers: Numbers) -> npt.NDArray[Any]:
        return numbers

    def encode(self, y: npt.NDArray[Any]) -> Array:
        return np.hstack([scaling.targets(column) for scaling, column in zip(self.scalings, y.T, strict=True)])

    def answers(self, outputs: Array) -> Numbers:
        return np.column_stack([scaling.answers(outputs[:, [i]]) for i, scaling in enumerate(self.scalings)])

    def widened(self, y: npt.NDArray[Any]) -> Self:
        scalings = [scaling.widened(column) for scaling, column in zip(self.scalings, y.T, strict=True)]
        return replace(self, scalings=tuple(scalings))

    def in_words(self) -> str:
        each = [
            f"{name} from {scaling.low:.6g} to {scaling.high:.6g}"
            for name, scaling in zip(self.names, self.scalings, strict=True)
        ]
        return f"{self.outputs} numbers: {listed(each)}"

    def describe(self) -> dict[str, Any]:
        scalings = [scaling.describe() for scaling in self.scalings]
        return {"kind": self.kind, "names": list(self.names), "scalings": scalings}

    @classmethod
    def rebuild(cls, described: Mapping[str, Any]) -> Self:
        names = _names(described)
        scalings = tuple(TargetScaling.rebuild(each) for each in described["scalings"])
        if len(scalings) != len(names):
            raise ValueError("another number of scalings than of names")
        return cls(names, scalings)


@final
@dataclass(frozen=True, eq=False)
class Labels(NamedAnswers):
    """Several labels a row, each of which is there, 1, or not, 0; what is learned is the probability of each.

    Attributes
    ----------
    names : tuple of str
        Of the columns.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.tables.several_targets import Labels
    >>> target = Labels(("tall", "old"))
    >>> target.predicted(np.array([[0.25, 0.75]]))
    array([[0, 1]])
    """

    kind: ClassVar[str] = "labels"
    activation: ClassVar[str] = "sigmoid"
    loss: ClassVar[str] = "binary_cross_entropy"

    @property
    def classes(self) -> npt.NDArray[Any]:
        """The numbers of the labels, (labels,), as scikit-learn has them."""
        return np.arange(self.outputs)

    def codes(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the number of each row's set of labels, to stratify by; sets that one row has are one."""
        sets, codes, rows = np.unique(y, axis=0, return_inverse=True, return_counts=True)
        codes = codes.reshape(-1)
        return np.where(rows[codes] == 1, len(sets), codes)

    def values(self, numbers: Numbers) -> npt.NDArray[Any]:
        return numbers.astype(np.int64)

    def encode(self, y: npt.NDArray[Any]) -> Array:
        return y.astype(np.float32)

    def answers(self, outputs: Array) -> Numbers:
        return outputs.astype(np.float64)

    def predicted(self, answers: Numbers) -> npt.NDArray[Any]:
        return (answers > 0.5).astype(np.int64)

    def widened(self, y: npt.NDArray[Any]) -> Self:
        return self

    def in_words(self) -> str:
        return f"{self.outputs} labels, each there or not: {listed(self.names)}"

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "names": list(self.names)}

    @classmethod
    def rebuild(cls, described: Mapping[str, Any]) -> Self:
        return cls(_names(described))


@final
@dataclass(frozen=True, eq=False)
class Quantiles(SeveralAnswers):
    """Quantiles of a number, which is standardised: an output for each level, sorted so that no two cross.

    Sorting what a row's outputs say, the monotone rearrangement, never takes them further from the truth on average.

    Attributes
    ----------
    levels : tuple of float, ascending
        In (0, 1).
    scaling : TargetScaling
    plain : tuple of float
        The same quantiles of the training targets, which is what to answer without any column.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.tables.several_targets import Quantiles
    >>> target = Quantiles.learn(np.arange(11.0), (0.1, 0.9))
    >>> target.plain
    (1.0, 9.0)
    >>> target.answers(np.array([[1.0, 0.0]])).round(2)
    array([[5.  , 8.16]])

    References
    ----------
    Chernozhukov, Fernández-Val, Galichon (2010), Quantile and probability curves without crossing, Econometrica 78(3).
    """

    levels: tuple[float, ...]
    scaling: TargetScaling
    plain: tuple[float, ...] = ()

    kind: ClassVar[str] = "quantiles"
    activation: ClassVar[str] = "identity"
    loss: ClassVar[str] = "quantile"

    @classmethod
    def learn(cls, y: npt.NDArray[Any], levels: Sequence[float], weights: Array | None = None) -> Self:
        """Learn the scaling of y, (rows,); see `TargetScaling.learn`."""
        scaling = TargetScaling.learn(y, weights)
        counts = None if weights is None else weights.astype(np.float64)
        plain = np.quantile(y.astype(np.float64), levels, weights=counts, method="inverted_cdf")
        return cls(tuple(levels), scaling, tuple(plain.tolist()))

    @property
    def outputs(self) -> int:
        return len(self.levels)

    @property
    def loss_settings(self) -> dict[str, Any]:
        return {"level": self.levels}

    def of(self, name: str) -> list[str]:
        return [f"{name}_{level}" for level in self.levels]

    def find(self, of: Any) -> int:
        """Return the number of a level; None is that nearest to the median."""
        if of is None:
            return min(range(self.outputs), key=lambda number: abs(self.levels[number] - 0.5))
        if of not in self.levels:
            raise ValueError(f"of is {of!r}; expected one of the quantiles {', '.join(map(str, self.levels))}")
        return self.levels.index(of)

    def values(self, numbers: Numbers) -> npt.NDArray[Any]:
        return numbers

    def encode(self, y: npt.NDArray[Any]) -> Array:
        return np.repeat(self.scaling.targets(y), self.outputs, axis=1)

    def begin(self, mean: Numbers) -> Numbers:
        return (np.array(self.plain) - self.scaling.mean) / self.scaling.scale

    def answers(self, outputs: Array) -> Numbers:
        each = [self.scaling.answers(outputs[:, [i]]) for i in range(self.outputs)]
        return np.sort(np.column_stack(each), axis=1)

    def widened(self, y: npt.NDArray[Any]) -> Self:
        return replace(self, scaling=self.scaling.widened(y))

    def in_words(self) -> str:
        levels = listed([f"{level:g}" for level in self.levels])
        many = "quantiles" if self.outputs > 1 else "quantile"
        return f"the {many} {levels} of a number from {self.scaling.low:.6g} to {self.scaling.high:.6g}"

    def describe(self) -> dict[str, Any]:
        own = {"kind": self.kind, "levels": list(self.levels), "plain": list(self.plain)}
        return {**own, **self.scaling.describe()}

    @classmethod
    def rebuild(cls, described: Mapping[str, Any]) -> Self:
        levels = tuple(float(level) for level in described["levels"])
        plain = tuple(float(value) for value in described["plain"])
        check_levels(levels)
        if len(plain) != len(levels) or not np.isfinite(plain).all() or sorted(plain) != list(plain):
            raise ValueError("quantiles of the training targets that are none")
        return cls(levels, TargetScaling.rebuild(described), plain)


def check_levels(levels: Sequence[float]) -> None:
    """Raise ValueError where numbers are not ascending levels of quantiles."""
    inside = all(0 < level < 1 for level in levels)
    if not levels or not inside or any(low >= high for low, high in itertools.pairwise(levels)):
        raise ValueError(
            f"quantiles is {tuple(levels)}; expected different numbers in (0, 1) in ascending order, such as "
            "(0.05, 0.5, 0.95)"
        )


def listed(names: Sequence[str]) -> str:
    """Return names one by one, of many the first and how many more there are.

    Examples
    --------
    >>> from nineline.tables.several_targets import listed
    >>> listed(["a", "b"]), listed([*"abcdef"])
    ('a, b', 'a, b, c, d and 2 more')
    """
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")


def _find(names: Sequence[str], name: object) -> int:
    if name not in names:
        given = "of is not given" if name is None else f"of is {name!r}"
        raise ValueError(f"{given}; expected one of what is predicted: {listed(names)}")
    return names.index(name)


def _names(described: Mapping[str, Any]) -> tuple[str, ...]:
    names = described["names"]
    texts = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not texts or len(names) < 2 or len(set(names)) < len(names):
        raise ValueError("names of targets that are not different ones")
    return tuple(names)
