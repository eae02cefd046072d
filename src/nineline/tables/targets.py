"""Scaling of a target of numbers: standardised for the networks, perhaps as its logarithm, and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline._typing import Array

    Numbers = npt.NDArray[np.float64]


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

    def __post_init__(self) -> None:
        numbers = self.mean, self.scale
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
        return ((known - self.mean) / self.scale).astype(np.float32)[:, np.newaxis]

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
        factor = float(truth @ share / (answers @ share))
        return replace(self, mean=self.mean + float(np.log(factor)))

    def describe(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        bounds = {name: value for name, value in (("low", self.low), ("high", self.high)) if np.isfinite(value)}
        return {"mean": self.mean, "scale": self.scale, **bounds, "log": self.log}

    @classmethod
    def rebuild(cls, described: dict[str, Any]) -> Self:
        """Make it again from its description; format 1 had mean and scale alone.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is none.
        """
        names = [name for name in ("low", "high") if name in described]
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
