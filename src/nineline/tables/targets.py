"""Targets: what is predicted, as an object; classes, or a quantity that is scaled for the networks and scaled back."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, final

import numpy as np

from nineline import _checks

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from nineline._typing import Array

    Numbers = npt.NDArray[np.float64]

_FIXED_WIDTH: Final = 64  # characters; in an array of text each takes as much memory as the longest


class Target(ABC):
    """What an estimator of a table predicts: how it is learned, and what a network's outputs say about it."""

    kind: ClassVar[str]
    """What a file calls it, where an estimator may have another kind."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """How many outputs a network has for it."""

    @property
    @abstractmethod
    def activation(self) -> str:
        """The activation of the outputs."""

    @property
    @abstractmethod
    def loss(self) -> str:
        """What is descended on."""

    @property
    def loss_settings(self) -> dict[str, Any]:
        """What the loss is made with."""
        return {}

    def of(self, name: str) -> list[str]:
        """Return what each answer is called, where the target is called `name`."""
        return [name]

    @abstractmethod
    def encode(self, y: npt.NDArray[Any]) -> Array:
        """Return what the networks learn, (rows, outputs), float32."""

    def begin(self, mean: Numbers) -> Numbers:
        """Return what networks answer before they learn, (outputs,), where what they learn has this mean."""
        return mean

    def codes(self, y: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        """Return the number of each row's class, to stratify by; None of a quantity."""
        return None

    @abstractmethod
    def numbers(self, y: npt.NDArray[Any]) -> Numbers:
        """Return each row's target as numbers, (rows,) or (rows, outputs): of classes their numbers."""

    @abstractmethod
    def values(self, numbers: Numbers) -> npt.NDArray[Any]:
        """Return the targets that `numbers` made numbers of."""

    def encode_numbers(self, numbers: Numbers) -> Array:
        """Return what the networks learn of the targets that `numbers` made numbers of, as `encode` does."""
        return self.encode(self.values(numbers))

    @abstractmethod
    def answers(self, outputs: Array) -> Numbers:
        """Return what outputs say: probabilities, (rows, classes), or numbers, (rows,) or (rows, outputs)."""

    def predicted(self, answers: Numbers) -> npt.NDArray[Any]:
        """Return what is predicted where outputs say so: of probabilities the classes, else the numbers."""
        return answers

    @abstractmethod
    def widened(self, y: npt.NDArray[Any]) -> Self:
        """Return the same target for networks that go on with these rows, (rows,): encoded as before.

        Raises
        ------
        ValueError
            It cannot be encoded so: a class that is not known, a number that has no logarithm.
        """

    @abstractmethod
    def in_words(self) -> str:
        """Return what is predicted, for a report."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""

    @classmethod
    @abstractmethod
    def rebuild(cls, described: Mapping[str, Any]) -> Self:
        """Make it again from its description, which may come from anybody.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is none.
        """


@final
@dataclass(frozen=True, eq=False)
class Classes(Target):
    """One of several classes: of two, the probability of the second is learned; of more, one of each.

    Attributes
    ----------
    classes : array, ascending

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.tables.targets import Classes
    >>> target = Classes.learn(np.array(["b", "a", "b"]))
    >>> target.encode(np.array(["a", "b"])).ravel(), target.answers(np.array([[0.25]]))
    (array([0., 1.], dtype=float32), array([[0.75, 0.25]]))
    """

    classes: npt.NDArray[Any]

    kind: ClassVar[str] = "classes"

    @classmethod
    def learn(cls, y: npt.NDArray[Any]) -> Self:
        """Learn which classes there are."""
        return cls(np.unique(y))

    @property
    def outputs(self) -> int:
        return 1 if len(self.classes) == 2 else len(self.classes)

    @property
    def activation(self) -> str:
        return "sigmoid" if self.outputs == 1 else "softmax"

    @property
    def loss(self) -> str:
        return "binary_cross_entropy" if self.outputs == 1 else "cross_entropy"

    def codes(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.searchsorted(self.classes, y)

    def numbers(self, y: npt.NDArray[Any]) -> Numbers:
        return self.codes(y).astype(np.float64)

    def values(self, numbers: Numbers) -> npt.NDArray[Any]:
        return self.classes[numbers.astype(np.intp)]

    def encode(self, y: npt.NDArray[Any]) -> Array:
        return self.encode_numbers(self.codes(y))

    def encode_numbers(self, numbers: npt.NDArray[Any]) -> Array:
        codes = numbers.astype(np.intp)
        if self.outputs == 1:
            return codes.astype(np.float32)[:, np.newaxis]
        return np.eye(len(self.classes), dtype=np.float32)[codes]

    def answers(self, outputs: Array) -> Numbers:
        outputs = outputs.astype(np.float64)
        if self.outputs == 1:
            return np.hstack([1 - outputs, outputs])
        probabilities: Numbers = outputs / outputs.sum(axis=1, keepdims=True)
        return probabilities

    def predicted(self, answers: Numbers) -> npt.NDArray[Any]:
        return self.classes[answers.argmax(axis=1)]

    def widened(self, y: npt.NDArray[Any]) -> Self:
        known = self.classes.tolist()
        strange = sorted(set(np.unique(y).tolist()) - set(known))
        if strange:
            shown = ", ".join(map(_checks.quoted, known[:5])) + (", ..." if len(known) > 5 else "")
            raise ValueError(
                f"y has the class {_checks.quoted(strange[0])}, and the model knows {shown}; fit it anew with all "
                "classes, or name them all in the first call: partial_fit(X, y, classes=[...])"
            )
        return self

    def in_words(self) -> str:
        return f"one of {len(self.classes)} classes"

    def describe(self) -> dict[str, Any]:
        dtype = {"U": "str", "S": "str", "O": "object"}.get(self.classes.dtype.kind, self.classes.dtype.str)
        return {"classes": self.classes.tolist(), "dtype": dtype}

    @classmethod
    def rebuild(cls, described: Mapping[str, Any]) -> Self:
        classes, dtype = described["classes"], described["dtype"]
        plain = all(isinstance(value, (str, int, float)) for value in classes)
        if not plain or not re.fullmatch(r"str|object|[<>|=]?[biuf][1248]", dtype):
            raise ValueError(f"classes of {dtype!r}")
        if dtype == "str" and max(len(str(value)) for value in classes) > _FIXED_WIDTH:
            dtype = "object"
        array = np.array(classes, dtype=dtype)
        if len(array) < 2 or len(set(array.tolist())) < len(array):
            raise ValueError("classes that are not different ones")
        return cls(array)


@final
@dataclass(frozen=True, eq=False)
class Quantity(Target):
    """A number: standardised for the networks, perhaps as its logarithm.

    Attributes
    ----------
    scaling : TargetScaling
    residuals : array, ascending
        Truth - answer for rows that were not learned from.
    """

    scaling: TargetScaling
    residuals: Numbers = field(default_factory=lambda: np.empty(0))

    kind: ClassVar[str] = "quantity"
    outputs: ClassVar[int] = 1
    activation: ClassVar[str] = "identity"
    loss: ClassVar[str] = "squared_error"

    @classmethod
    def learn(cls, y: npt.NDArray[Any], weights: Array | None = None, *, log: bool = False) -> Self:
        """Learn the scaling; see `TargetScaling.learn`."""
        return cls(TargetScaling.learn(y, weights, log=log))

    def numbers(self, y: npt.NDArray[Any]) -> Numbers:
        return y.astype(np.float64)

    def values(self, numbers: Numbers) -> npt.NDArray[Any]:
        return numbers

    def encode(self, y: npt.NDArray[Any]) -> Array:
        return self.scaling.targets(y)

    def answers(self, outputs: Array) -> Numbers:
        return self.scaling.answers(outputs)

    def widened(self, y: npt.NDArray[Any]) -> Self:
        return replace(self, scaling=self.scaling.widened(y))

    def in_words(self) -> str:
        how = ", learned by its logarithm, which is less skewed and answered better" if self.scaling.log else ""
        return f"a number from {self.scaling.low:.6g} to {self.scaling.high:.6g}{how}"

    def describe(self) -> dict[str, Any]:
        return {**self.scaling.describe(), "residuals": self.residuals.tolist()}

    @classmethod
    def rebuild(cls, described: Mapping[str, Any]) -> Self:
        residuals = np.array(described.get("residuals", []), np.float64)
        if residuals.ndim != 1 or not np.isfinite(residuals).all() or (np.diff(residuals) < 0).any():
            raise ValueError("residuals that are no finite numbers in order")
        return cls(TargetScaling.rebuild(described), residuals)


@dataclass(frozen=True)
class TargetScaling:
    """How numbers become what a network learns, ``z = (y - mean) / scale``, and its outputs become numbers again.

    Attributes
    ----------
    mean, scale : float
        In units of the target, or of its logarithm.
    low, high : float
        What the training targets lay between; no answer leaves that range, since a network knows nothing beyond it.
    log : bool
        Whether it is the natural logarithm that is scaled.
    shift : float
        What `calibrated` added to the mean, which answers have and what the networks learn has not.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.tables.targets import TargetScaling
    >>> scaling = TargetScaling.learn(np.array([10.0, 20.0, 60.0]))
    >>> scaling
    TargetScaling(mean=30.0, scale=21.602468994692867, low=10.0, high=60.0, log=False)
    >>> scaling.answers(np.array([[-9.0], [0.0], [1.0]]))
    array([10.        , 30.        , 51.60246899])
    """

    mean: float
    scale: float
    low: float = -np.inf
    high: float = np.inf
    log: bool = False
    shift: float = field(default=0.0, repr=False)

    def __post_init__(self) -> None:
        numbers = self.mean, self.scale, self.shift
        if not np.isfinite(numbers).all() or self.scale <= 0 or not self.low <= self.high or type(self.log) is not bool:
            raise ValueError(f"{self!r} scales nothing; expected finite numbers, scale above 0 and low up to high")

    @classmethod
    def learn(cls, y: npt.NDArray[Any], weights: Array | None = None, *, log: bool = False) -> Self:
        """Learn from targets, (rows,), and what each row counts; raise ValueError where their spread is no number."""
        y = y.astype(np.float64)
        low, high = float(y.min()), float(y.max())
        if log:
            y = np.log(y)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(np.average(y, weights=weights))
            scale = float(np.sqrt(np.average((y - mean) ** 2, weights=weights))) or 1.0
        if not np.isfinite(scale):
            largest = low if -low > high else high
            raise ValueError(f"y has {largest:g}, whose square is beyond the range of numbers; divide y by {largest:g}")
        return cls(mean, scale, low, high, log)

    def targets(self, y: npt.NDArray[Any]) -> Array:
        """Return what the networks learn, (rows, 1), float32."""
        known: Numbers = np.log(y) if self.log else y.astype(np.float64)
        return ((known - (self.mean - self.shift)) / self.scale).astype(np.float32)[:, np.newaxis]

    def answers(self, outputs: Array) -> Numbers:
        """Return what outputs, (rows, 1), say in units of the target, (rows,)."""
        known = outputs[:, 0].astype(np.float64) * self.scale + self.mean
        with np.errstate(over="ignore"):
            return np.clip(np.exp(known) if self.log else known, self.low, self.high)

    def calibrated(self, truth: npt.NDArray[Any], answers: Numbers, weights: Array | None) -> Self:
        """Return the same with answers of a logarithm multiplied by what brings them closest to the truth.

        A network that is right about the mean of log y is too low about the mean of y. The factor
        ``sum(w * truth * answer) / sum(w * answer**2)`` is the least-squares one.
        """
        if not self.log or not len(truth):
            return self
        share = answers * (1.0 if weights is None else weights.astype(np.float64))
        more = float(np.log(truth @ share / (answers @ share)))
        return replace(self, mean=self.mean + more, shift=self.shift + more)

    def widened(self, y: npt.NDArray[Any]) -> Self:
        """Return the same with answers that may go as far as these targets, (rows,), whose encoding is the same.

        Raises
        ------
        ValueError
            A target has no logarithm where that is learned, or lies so far off that its encoding is no number.

        Examples
        --------
        >>> import numpy as np
        >>> from nineline.tables.targets import TargetScaling
        >>> TargetScaling(mean=30.0, scale=20.0, low=10.0, high=60.0).widened(np.array([20.0, 75.0]))
        TargetScaling(mean=30.0, scale=20.0, low=10.0, high=75.0, log=False)
        """
        low, high = float(y.min()), float(y.max())
        if self.log and low <= 0:
            raise ValueError(
                f"y has {low:g}, and the target was learned by its logarithm, which only numbers above 0 have; "
                "fit the model anew, with these rows among the others"
            )
        with np.errstate(over="ignore"):
            far = not np.isfinite(self.targets(np.array([low, high]))).all()
        if far:
            largest = low if -low > high else high
            raise ValueError(
                f"y has {largest:g}, too far from what was learned, {self.mean:g} ± {self.scale:g}; fit the model anew"
            )
        return replace(self, low=min(self.low, low), high=max(self.high, high))

    def describe(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        bounds = {name: value for name, value in (("low", self.low), ("high", self.high)) if np.isfinite(value)}
        shift = {"shift": self.shift} if self.shift else {}
        return {"mean": self.mean, "scale": self.scale, **bounds, "log": self.log, **shift}

    @classmethod
    def rebuild(cls, described: Mapping[str, Any]) -> Self:
        """Make it again from its description; format 1 had mean and scale alone, and no older file has a shift.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is none.
        """
        names = [name for name in ("low", "high", "shift") if name in described]
        numbers = {name: float(described[name]) for name in ("mean", "scale", *names)}
        return cls(**numbers, log=described.get("log", False))


def skewness(values: npt.NDArray[Any], weights: Array | None = None) -> float:
    """Return the third moment of the standardised values; 0 where all are the same.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.tables.targets import skewness
    >>> round(skewness(np.array([1.0, 1.0, 1.0, 5.0])), 4)
    1.1547
    """
    scaling = TargetScaling.learn(values, weights)
    z = (values - scaling.mean) / scaling.scale
    return float(np.average(z**3, weights=weights))
