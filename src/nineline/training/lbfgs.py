"""L-BFGS: downhill by the gradient and an estimate of the inverse Hessian from the last few steps.

The estimate is never written down: two sweeps over the steps that are remembered multiply a vector by it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import numpy as np

from nineline.training.whole_batch import WholeBatchEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nineline._typing import Array
    from nineline.engines.contract import Engine, Rule
    from nineline.network import Network
    from nineline.optimizers import LBFGS, State
    from nineline.rows import Rows

_SUFFICIENT: Final = 1e-4  # of the slope at the start: by how much the loss has to fall along a step
_FLAT: Final = 0.9  # of that slope: how steep the end may be
_LOOKS: Final = 25  # at the loss along one direction


class Pair(NamedTuple):
    """One step that is remembered, and by how much the gradient changed over it."""

    step: Array
    change: Array
    product: float
    """``step @ change``, above 0."""

    @classmethod
    def of(cls, step: Array, change: Array) -> Pair:
        """Return the pair with its product."""
        return cls(step, change, float(step @ change))


class Point(NamedTuple):
    """A place on the line that a search goes along."""

    length: float
    loss: float
    slope: float
    gradient: Array


class LBFGSEngine(WholeBatchEngine[tuple[Pair, ...]]):
    """See `nineline.optimizers.LBFGS`; an iteration is one search along one direction, and its memory are pairs."""

    def __init__(self, inner: Engine, network: Network, rule: Rule) -> None:
        super().__init__(inner, network, rule, ())
        self.optimizer = cast("LBFGS", rule.optimizer)
        self._here: tuple[Rows, Array, Point] | None = None  # what is known of where the parameters are

    def begin(self, rows: Rows) -> None:
        parameters = self.network.parameters
        if self._here is None or self._here[0] is not rows or not np.array_equal(self._here[1], parameters):
            self._here = rows, parameters.copy(), self._look(rows, parameters.copy(), np.zeros_like(parameters), 0.0)

    def iterate(self, rows: Rows) -> float:
        assert self._here is not None
        _, start, here = self._here
        if not np.isfinite(here.loss):
            return here.loss
        steepest = float(np.abs(here.gradient).max())
        if self.optimizer.goal is not None and here.loss <= self.optimizer.goal:
            self.converged = f"the goal of {self.optimizer.goal:g} is reached"
        elif steepest <= self.optimizer.tolerance:
            self.converged = f"no entry of the gradient is larger than {self.optimizer.tolerance:g}"
        if self.converged:
            return here.loss
        try:
            found = self._search(rows, start, here)
        except BaseException:
            self.network.parameters[...] = start
            raise
        if found is None:
            self.network.parameters[...] = start
            self.converged = "no step along the gradient lowers the loss any more"
            return here.loss
        there = self.network.parameters.copy()
        pair = Pair.of(there - start, found.gradient - here.gradient)
        if pair.product > np.finfo(there.dtype).eps * float(pair.change @ pair.change):
            self.memory = (*self.memory, pair)[-self.optimizer.memory :]
        self._here = rows, there, found._replace(length=0.0)
        return here.loss

    def _search(self, rows: Rows, start: Array, here: Point) -> Point | None:
        """Leave the parameters at a lower loss and return what is known there; None where none is found."""
        if self.memory:
            direction = -multiply_by_inverse_hessian(self.memory, here.gradient)
            found = self._search_along(rows, start, here, direction, 1.0)
            if found is not None:
                return found
            self.memory = ()  # what is remembered has misled: as at the beginning
        length = float(np.abs(here.gradient).sum())
        return self._search_along(rows, start, here, -here.gradient, min(1.0, 1 / length) if length > 0 else 1.0)

    def _search_along(self, rows: Rows, start: Array, here: Point, direction: Array, length: float) -> Point | None:
        slope = float(direction @ here.gradient)
        if not np.isfinite(slope) or slope >= 0:
            return None
        here = here._replace(length=0.0, slope=slope)
        return wolfe_search(lambda length: self._look(rows, start, direction, length), here, length)

    def _look(self, rows: Rows, start: Array, direction: Array, length: float) -> Point:
        """Go so far along a direction, and look at the loss there."""
        np.multiply(direction, length, out=self.network.parameters)
        self.network.parameters += start
        gradient = np.empty_like(start)
        loss = self.inner.gradient(rows, gradient)
        with np.errstate(over="ignore", invalid="ignore"):  # whoever searches sees by the loss where this leads
            slope = float(direction @ gradient)
        return Point(length, loss, slope, gradient)

    def to_state(self, memory: tuple[Pair, ...]) -> State:
        state = self.optimizer.start(self.network.parameters)
        for place, pair in enumerate(memory):
            state.vectors["steps"][place], state.vectors["changes"][place] = pair.step, pair.change
        state.numbers["remembered"] = float(len(memory))
        return state

    def from_state(self, state: State) -> tuple[Pair, ...]:
        count = state.numbers["remembered"]
        if count not in range(self.optimizer.memory + 1):
            raise ValueError(f"{count!r} steps are remembered; expected 0 to {self.optimizer.memory}")
        count = int(count)
        both = zip(state.vectors["steps"][:count], state.vectors["changes"][:count], strict=True)
        pairs = tuple(Pair.of(step.copy(), change.copy()) for step, change in both)
        if not all(pair.product > 0 for pair in pairs):
            raise ValueError("a step is remembered along which the gradient did not grow")
        return pairs


def multiply_by_inverse_hessian(pairs: Sequence[Pair], gradient: Array) -> Array:
    """Return the estimated inverse Hessian times a gradient, by the two sweeps of Nocedal's algorithm 7.4."""
    direction, shares = gradient.copy(), []
    for step, change, product in reversed(pairs):
        share = float(step @ direction) / product
        direction -= share * change
        shares.append(share)
    newest = pairs[-1]
    direction *= newest.product / float(newest.change @ newest.change)
    for (step, change, product), share in zip(pairs, reversed(shares), strict=True):
        direction += (share - float(change @ direction) / product) * step
    return direction


def wolfe_search(look: Callable[[float], Point], start: Point, length: float) -> Point | None:
    """Search along a direction for a point that keeps Wolfe's strong conditions, and return what was seen there.

    ``loss <= loss_0 + 1e-4 * length * slope_0`` and ``|slope| <= 0.9 * |slope_0|``. First the steps grow until a
    minimum lies between two of them; then the bracket shrinks around it. Where the looks run out, the best point that
    keeps the first condition will do; None where there is none. The last look is at the point that is returned.

    References
    ----------
    Nocedal, Wright (2006), Numerical Optimization, algorithms 3.5 and 3.6.
    """

    def falls(point: Point) -> bool:
        return point.loss <= start.loss + _SUFFICIENT * point.length * start.slope and np.isfinite(point.slope)

    low, high, last = start, None, start
    for _ in range(_LOOKS):
        if high is not None:
            length = _between(low, high)
        point = last = look(length)
        if falls(point) and abs(point.slope) <= -_FLAT * start.slope:
            return point
        if not falls(point) or point.loss >= low.loss:
            high = point
        else:
            ahead = math.inf if high is None else high.length - low.length
            if point.slope * ahead >= 0:  # the lowest lies behind it
                high = low
            low = point
        if high is None:
            length *= 2
        elif abs(high.length - low.length) <= 1e-12 * max(high.length, low.length):
            break
    if low is start or low.loss >= start.loss:
        return None
    return low if last is low else look(low.length)


def _between(low: Point, high: Point) -> float:
    """Return where the cubic through two points is lowest, kept off their ends; the middle where there is none."""
    gap = high.length - low.length
    least, most = sorted((low.length + 0.1 * gap, low.length + 0.9 * gap))
    if np.isfinite(high.loss) and np.isfinite(high.slope):
        d1 = low.slope + high.slope - 3 * (low.loss - high.loss) / (low.length - high.length)
        square = d1 * d1 - low.slope * high.slope
        if square >= 0:
            d2 = np.sign(gap) * np.sqrt(square)
            bottom = high.slope - low.slope + 2 * d2
            if bottom != 0:
                return float(np.clip(high.length - gap * (high.slope + d2 - d1) / bottom, least, most))
    return low.length + gap / 2
