"""Initializers: where a layer's weights begin.

Each draws an (inputs, outputs) array. What the customary ones have in common is that the size of the
signal is about the same in front of and behind a layer. To add one, write a class here and enter it in
`INITIALIZERS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from nineline._value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nineline._typing import Array


class Initializer(Value, ABC):
    """A distribution that weights are drawn from."""

    @abstractmethod
    def draw(self, inputs: int, outputs: int, rng: np.random.Generator) -> Array:
        """Return float64 weights of shape (inputs, outputs)."""


@final
@dataclass(eq=False, repr=False)
class Uniform(Initializer):
    """Uniform in [low, high); the tutorial's is [-1, 1), that is ``2 * random((inputs, outputs)) - 1``."""

    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        self.check_number("low")
        self.check_number("high", low=self.low)

    def draw(self, inputs: int, outputs: int, rng: np.random.Generator) -> Array:
        return rng.uniform(self.low, self.high, (inputs, outputs))


@final
@dataclass(eq=False, repr=False)
class Normal(Initializer):
    """Normal with mean 0 and a standard deviation."""

    standard_deviation: float = 0.05

    def __post_init__(self) -> None:
        self.check_number("standard_deviation", low=0)

    def draw(self, inputs: int, outputs: int, rng: np.random.Generator) -> Array:
        return rng.normal(0.0, self.standard_deviation, (inputs, outputs))


@final
class Zeros(Initializer):
    """All zero: for biases, and for single-layer models. Hidden units that start alike stay alike."""

    def draw(self, inputs: int, outputs: int, rng: np.random.Generator) -> Array:
        return np.zeros((inputs, outputs))


@final
@dataclass(eq=False, repr=False)
class Scaled(Initializer):
    """A variance set by the layer's width: ``variance = gain / n``.

    ``n`` is the number of inputs (``fan="in"``) or the mean of inputs and outputs (``fan="average"``).
    The customary names are: Glorot, gain 1 over the average (tanh, sigmoid, softmax); He, gain 2 over
    the inputs (the relu family); LeCun, gain 1 over the inputs (selu).

    Parameters
    ----------
    gain : float
        Positive.
    fan : {"in", "average"}
    distribution : {"uniform", "normal"}

    References
    ----------
    Glorot, Bengio (2010), equation 16. He et al. (2015), arXiv 1502.01852, equation 10.
    LeCun, Bottou, Orr, Müller (1998), Efficient BackProp, section 4.6.
    """

    gain: float = 1.0
    fan: str = "average"
    distribution: str = "uniform"

    def __post_init__(self) -> None:
        self.check_number("gain", low=0, low_open=True)
        if self.fan not in ("in", "average"):
            raise ValueError(f"fan is {self.fan!r}; expected 'in' or 'average'")
        if self.distribution not in ("uniform", "normal"):
            raise ValueError(f"distribution is {self.distribution!r}; expected 'uniform' or 'normal'")

    def draw(self, inputs: int, outputs: int, rng: np.random.Generator) -> Array:
        n = inputs if self.fan == "in" else (inputs + outputs) / 2
        variance = self.gain / n
        if self.distribution == "normal":
            return rng.normal(0.0, np.sqrt(variance), (inputs, outputs))
        bound = np.sqrt(3 * variance)  # a uniform on [-b, b] has variance b**2 / 3
        return rng.uniform(-bound, bound, (inputs, outputs))


INITIALIZERS: Final[dict[str, Callable[[], Initializer]]] = {
    "uniform": Uniform,
    "normal": Normal,
    "zeros": Zeros,
    "glorot_uniform": Scaled,
    "glorot_normal": partial(Scaled, distribution="normal"),
    "he_uniform": partial(Scaled, 2.0, "in"),
    "he_normal": partial(Scaled, 2.0, "in", "normal"),
    "lecun_uniform": partial(Scaled, 1.0, "in"),
    "lecun_normal": partial(Scaled, 1.0, "in", "normal"),
}
"""Every initializer under its public name."""

_KINDS: Final[dict[str, type[Initializer]]] = {kind.__name__: kind for kind in (Normal, Scaled, Uniform, Zeros)}


def describe_initializer(initializer: Initializer) -> dict[str, Any]:
    """Return an initializer of this module as JSON can hold it; of any other, nothing."""
    kind = type(initializer).__name__
    return {"kind": kind, **vars(initializer)} if _KINDS.get(kind) is type(initializer) else {}


def rebuild_initializer(described: Mapping[str, Any]) -> Initializer | None:
    """Return the initializer that `describe_initializer` described; None where that was nothing."""
    settings = dict(described)
    return _KINDS[settings.pop("kind")](**settings) if settings else None
