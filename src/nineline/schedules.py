"""Schedules: how the learning rate changes while training goes on.

A schedule is a factor of the optimizer's learning rate, a function of the epoch. The epoch is a float:
2.5 is half-way through the third pass over the data, and on the whole batch one step is one epoch. A plain
function of the epoch is a schedule too: ``schedule=lambda epoch: 0.95**epoch``. To add one, write a class
here and enter it in `SCHEDULES`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import numpy as np

from nineline import _checks
from nineline._value import Value

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt


class Schedule(Value, ABC):
    """A factor of the learning rate over time."""

    @abstractmethod
    def factor(self, epoch: float, epochs: float) -> float:
        """Return the factor at `epoch` in [0, epochs) of a training that is `epochs` long."""

    def factors(self, at: npt.NDArray[np.float64], epochs: float) -> npt.NDArray[np.float64]:
        """Return the factor at each of many epochs."""
        return np.array([self.factor(epoch, epochs) for epoch in at.tolist()])


@final
class Constant(Schedule):
    """``factor = 1``."""

    name = "constant"

    def factor(self, epoch: float, epochs: float) -> float:
        return 1.0

    def factors(self, at: npt.NDArray[np.float64], epochs: float) -> npt.NDArray[np.float64]:
        return np.ones(len(at))


@final
@dataclass(eq=False, repr=False)
class Step(Schedule):
    """Drops by `decay` every so many epochs: ``factor = decay ** floor(epoch / every)``."""

    name = "step"
    every: float = 30
    decay: float = 0.1

    def __post_init__(self) -> None:
        self.check_number("every", low=0, low_open=True)
        self.check_number("decay", low=0, low_open=True)

    def factor(self, epoch: float, epochs: float) -> float:
        return float(self.decay ** math.floor(epoch / self.every))


@final
@dataclass(eq=False, repr=False)
class ExponentialDecay(Schedule):
    """Shrinks by the same share every epoch: ``factor = decay ** epoch``."""

    name = "exponential"
    decay: float = 0.95

    def __post_init__(self) -> None:
        self.check_number("decay", low=0, low_open=True)

    def factor(self, epoch: float, epochs: float) -> float:
        return float(self.decay**epoch)


@final
@dataclass(eq=False, repr=False)
class Cosine(Schedule):
    """Half a cosine from 1 to `final`: ``factor = final + (1 - final) * (1 + cos(pi * t)) / 2``, t = epoch / epochs.

    Examples
    --------
    >>> from nineline.schedules import Cosine
    >>> Cosine().factor(50, 100)
    0.5

    References
    ----------
    Loshchilov, Hutter (2017), SGDR, arXiv 1608.03983, equation 5.
    """

    name = "cosine"
    final: float = 0.0

    def __post_init__(self) -> None:
        self.check_number("final", low=0)

    def factor(self, epoch: float, epochs: float) -> float:
        return self.final + (1 - self.final) * _half_cosine(epoch / epochs)


@final
@dataclass(eq=False, repr=False)
class OneCycle(Schedule):
    """Warms up and cools down: half a cosine from `start` to 1 in the first `warmup` of the time, then to `final`.

    The optimizer's learning rate is the peak.

    References
    ----------
    Smith, Topin (2019), Super-convergence, arXiv 1708.07120, section 3.
    """

    name = "one_cycle"
    warmup: float = 0.3
    start: float = 0.04
    final: float = 4e-6

    def __post_init__(self) -> None:
        self.check_number("warmup", low=0, high=1, low_open=True, high_open=True)
        self.check_number("start", low=0)
        self.check_number("final", low=0)

    def factor(self, epoch: float, epochs: float) -> float:
        t = epoch / epochs
        if t < self.warmup:
            return 1 + (self.start - 1) * _half_cosine(t / self.warmup)
        return self.final + (1 - self.final) * _half_cosine((t - self.warmup) / (1 - self.warmup))


@final
@dataclass(eq=False, repr=False)
class WarmupStableDecay(Schedule):
    """Climbs to 1 in the first `warmup` of the time, stays there until `stable`, then half a cosine to `final`.

    With ``t = epoch / epochs``: ``(t / warmup + 0.01) / 1.01`` while t < warmup, 1 while t < stable, then
    ``final + (1 - final) * (1 + cos(pi * (t - stable) / (1 - stable))) / 2``.

    Examples
    --------
    >>> from nineline.schedules import WarmupStableDecay
    >>> [round(WarmupStableDecay().factor(epoch, 100), 3) for epoch in (0, 10, 65, 99.9)]
    [0.01, 1.0, 0.5, 0.001]

    References
    ----------
    Hägele et al. (2024), Scaling laws and compute-optimal training beyond fixed training durations, arXiv 2405.18392,
    section 3, with a cosine in place of its cooldown.
    """

    name = "warmup_stable_decay"
    warmup: float = 0.02
    stable: float = 0.3
    final: float = 1e-3

    def __post_init__(self) -> None:
        self.check_number("warmup", low=0, high=1, low_open=True, high_open=True)
        self.check_number("stable", low=0, high=1, high_open=True)
        self.check_number("final", low=0)
        if self.stable < self.warmup:
            raise ValueError(f"stable is {self.stable}, warmup is {self.warmup}; expected warmup to end first")

    def factor(self, epoch: float, epochs: float) -> float:
        t = epoch / epochs
        if t < self.warmup:
            return (t / self.warmup + 0.01) / 1.01
        if t < self.stable:
            return 1.0
        return self.final + (1 - self.final) * _half_cosine((t - self.stable) / (1 - self.stable))


def _half_cosine(t: float) -> float:
    return (1 + math.cos(math.pi * t)) / 2


@final
@dataclass(eq=False, repr=False)
class Function(Schedule):
    """A plain function of the epoch, as a schedule."""

    function: Callable[[float], float]

    def factor(self, epoch: float, epochs: float) -> float:
        return _checks.number(f"schedule at epoch {epoch:g}", self.function(epoch), low=0)


SCHEDULES: Final[dict[str, type[Schedule]]] = {
    kind.name: kind for kind in (Constant, Step, ExponentialDecay, Cosine, OneCycle, WarmupStableDecay)
}
"""Every schedule under its public name."""


def as_schedule(given: object) -> Schedule:
    """Return the schedule that a name, a plain function or a Schedule stands for; None is constant."""
    if given is None:
        return Constant()
    if callable(given) and not isinstance(given, (Schedule, type)):
        return Function(given)
    return _checks.resolve("schedule", given, Schedule, SCHEDULES)
