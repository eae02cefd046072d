"""Engines around an engine, for processes that train one network: each computes its share, and all add up."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

import numpy as np

from nineline.draws import GOLDEN
from nineline.engines.contract import Rule
from nineline.engines.reference import add_penalties
from nineline.rows import Rows
from nineline.training.shared.together import MARGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.contract import Curvature, Engine
    from nineline.losses import Loss
    from nineline.network import Network
    from nineline.optimizers import State
    from nineline.training.shared.together import Together

_NUMBERS: Final = 2  # behind the gradient: the loss, and what the rows weigh


class AroundEngine(ABC):
    """See `nineline.engines.contract.Engine`: what is the same however processes share a step.

    A loss, a gradient and the parameters are the same bits on all processes. Rows are those of this process; of an
    order, -1 is no row.

    Parameters
    ----------
    inner : Engine
        Of the same network, for the rows of this process.
    network : Network
    rule : Rule
    together : Together
    """

    def __init__(self, inner: Engine, network: Network, rule: Rule, together: Together) -> None:
        self.inner, self.network, self.rule, self.together = inner, network, rule, together
        self.name = inner.name
        self.seed = rule.seed

    @abstractmethod
    def steps(
        self, rows: Rows, order: npt.NDArray[np.intp] | None, batch_size: int, rates: npt.NDArray[np.float64]
    ) -> Array: ...

    @property
    def state(self) -> State:
        return self.inner.state

    @property
    def steps_taken(self) -> int:
        return self.inner.steps_taken

    @property
    def converged(self) -> str:
        return self.inner.converged

    @property
    def records(self) -> Mapping[str, list[float]]:
        return self.inner.records

    def reseed(self, seed: int) -> None:
        """Draw by another seed; each process by one of its own that follows from it."""
        self.seed = seed
        self.inner.reseed((seed + self.together.rank * int(GOLDEN)) % 2**64)

    def restore(self, state: State, before: Array) -> None:
        self.inner.restore(state, before)

    def move(self, gradient: Array, rate: float) -> None:
        self.inner.move(gradient, rate)

    def before(self) -> Array:
        return self.inner.before()

    def undo(self) -> None:
        self.inner.undo()

    def parameters(self) -> Array:
        return self.inner.parameters()

    @abstractmethod
    def gradient(
        self, rows: Rows, into: Array, loss: Loss | None = None, which: npt.NDArray[np.intp] | None = None
    ) -> float: ...

    @abstractmethod
    def curvature(self, rows: Rows) -> Curvature: ...

    def _evaluated(self, rows: Rows, scale: float) -> float:
        """Return the loss of the rows of all processes, from that of these, which is multiplied by `scale`."""
        value = self.inner.evaluate(rows) * scale if len(rows) else 0.0
        total, weight = self.together.sums(value, rows.weigh())
        return total * _share(self.rule.loss, weight)


class SharedEngine(AroundEngine):
    """A step is one gradient, added up over the processes: K of them take the steps of one, to rounding.

    With g the gradients of the rows' losses, w their weights: ``sum of all w g / sum of all w`` for a loss that is a
    mean, and ``sum of all w g`` for one that is a sum. Penalties are counted once, and the sum is clipped.

    Parameters
    ----------
    make : function of a Rule
        Makes the engine inside.
    network, rule, together
    """

    def __init__(self, make: Callable[[Rule], Engine], network: Network, rule: Rule, together: Together) -> None:
        self._summed = _summed(rule.loss)
        self._other: tuple[Loss, Loss] | None = None
        within = Rule(self._summed, rule.optimizer, clip_norm=rule.clip_norm, seed=rule.seed)
        super().__init__(make(within), network, rule, together)
        self._count = len(network.parameters)
        self._sums = np.zeros(self._count + _NUMBERS + MARGIN, network.dtype)
        self._gradient: Array = self._sums[: self._count]
        self._penalised = [block.place for block in network.blocks if block.penalised]
        factors = rule.factors(network)
        self._frozen = [block.place for block, factor in zip(network.blocks, factors, strict=True) if factor == 0]
        plain = not (rule.l1 or rule.l2)
        self._quick: Callable[..., Array] | None = getattr(self.inner, "steps_with_others", None) if plain else None

    def steps(
        self, rows: Rows, order: npt.NDArray[np.intp] | None, batch_size: int, rates: npt.NDArray[np.float64]
    ) -> Array:
        if self._quick is not None and isinstance(rows, Rows):
            return self._quick(rows, order, batch_size, rates, self.together.add_up, self.rule.loss.reduction == "mean")
        losses = np.empty(len(rates))
        for i, rate in enumerate(rates.tolist()):
            which = None if order is None else _without_filling(order[i * batch_size : (i + 1) * batch_size])
            self._sums[self._count : -MARGIN] = self._own(rows, which, self._summed), rows.weigh(which)
            self.together.add_up(self._sums)
            loss, weight = self._sums[self._count : -MARGIN].tolist()
            losses[i] = self._of_all(self.rule.loss, loss, weight)
            if not math.isfinite(losses[i]):
                return losses[: i + 1]
            self.inner.move(self._gradient, rate)
        return losses

    def gradient(
        self, rows: Rows, into: Array, loss: Loss | None = None, which: npt.NDArray[np.intp] | None = None
    ) -> float:
        value = self._own(rows, which, self._summed if loss is None else self._summed_of(loss))
        self.together.add_up(self._sums)
        total, weight = self.together.sums(value, rows.weigh(which))  # in float64, whatever the network is in
        value = self._of_all(self.rule.loss if loss is None else loss, total, weight)
        into[...] = self._gradient
        return value

    def evaluate(self, rows: Rows) -> float:
        return self._evaluated(rows, 1.0)

    def curvature(self, rows: Rows) -> Curvature:
        from nineline.training.shared.curvature import SharedCurvature  # loaded where it is used

        learns = np.ones(self._count, bool)
        for place in self._frozen:
            learns[place] = False
        summed = Rule(self._summed, self.rule.optimizer, l2=self.rule.l2)
        return SharedCurvature(self.network, summed, rows, learns, self.rule.loss.reduction, self.together)

    def _own(self, rows: Rows, which: npt.NDArray[np.intp] | None, loss: Loss) -> float:
        """Return the loss of rows of this process, added up, and leave its gradient in `_gradient`."""
        if len(rows if which is None else which):
            return self.inner.gradient(rows, self._gradient, None if loss is self._summed else loss, which)
        self._gradient[...] = 0
        return 0.0

    def _of_all(self, loss: Loss, total: float, weight: float) -> float:
        """Return the loss of the rows of all, penalties included, and make its gradient of their sum."""
        share = _share(loss, weight)
        if share != 1:
            self._gradient *= share
        by_rows = 1 / weight if self.rule.penalty_by_rows and weight > 0 else 1.0
        l1, l2 = self.rule.l1 * by_rows, self.rule.l2 * by_rows
        value = total * share + add_penalties(self.network.parameters, self._penalised, l1, l2, self._gradient)
        for place in self._frozen:
            self._gradient[place] = 0
        return value

    def _summed_of(self, loss: Loss) -> Loss:
        if self._other is None or self._other[0] is not loss:
            self._other = loss, _summed(loss)
        return self._other[1]


class LocalEngine(AroundEngine):
    """Every process takes some steps by itself; then parameters, and what the optimizer remembers, are averaged.

    ``p = sum of w p / sum of w`` over the processes, with w the weight of the rows that each has learned from since. A
    step goes by the rows that the process has of a batch. Where a loss is not finite, none of these steps is taken.

    Parameters
    ----------
    make : function of a Rule
        Makes the engine inside.
    network, rule, together
    local_steps : int
        How many steps each takes by itself, at least 2.
    """

    def __init__(
        self, make: Callable[[Rule], Engine], network: Network, rule: Rule, together: Together, local_steps: int
    ) -> None:
        super().__init__(make(rule), network, rule, together)
        self.steps_together = local_steps
        self._begin = network.parameters.copy()

    def steps(
        self, rows: Rows, order: npt.NDArray[np.intp] | None, batch_size: int, rates: npt.NDArray[np.float64]
    ) -> Array:
        losses = np.empty(len(rates))
        for first in range(0, len(rates), self.steps_together):
            some = slice(first, min(first + self.steps_together, len(rates)))
            of_them = None if order is None else order[first * batch_size : some.stop * batch_size]
            losses[some] = self._some_steps(rows, of_them, batch_size, rates[some])
            if not np.isfinite(losses[some]).all():
                losses[first] = math.nan
                return losses[: first + 1]
        return losses

    def _some_steps(
        self, rows: Rows, order: npt.NDArray[np.intp] | None, batch_size: int, rates: npt.NDArray[np.float64]
    ) -> Array:
        """Take steps alone and then together, and return the loss of each batch of all processes."""
        begin, state = self.network.parameters.copy(), self.inner.state
        values, weights = self._alone(rows, order, batch_size, rates)
        count = len(rates)
        weight = float(weights.sum())
        found = np.concatenate([np.where(weights > 0, values * weights, 0.0), weights, [0.0]])
        self.together.add_up(found)
        with np.errstate(invalid="ignore", divide="ignore"):
            losses = np.where(found[count:-1] > 0, found[:count] / found[count:-1], 0.0)
        total = float(found[count:-1].sum())
        if not np.isfinite(losses).all() or total == 0:
            self.network.parameters[...] = begin
            self.inner.restore(state, self._begin)
            return losses
        here = self.inner.state
        vectors = [self.network.parameters, *here.vectors.values()]
        averaged = np.concatenate([*vectors, np.zeros(MARGIN, self.network.dtype)]) * self.network.dtype.type(
            weight / total
        )
        self.together.add_up(averaged)
        places = np.cumsum([len(vector) for vector in vectors])
        for vector, place in zip(vectors, places, strict=True):
            vector[...] = averaged[place - len(vector) : place]
        here.steps = state.steps + count
        self._begin = begin
        self.inner.restore(here, begin)
        return losses

    def _alone(
        self, rows: Rows, order: npt.NDArray[np.intp] | None, batch_size: int, rates: npt.NDArray[np.float64]
    ) -> tuple[Array, Array]:
        """Take steps on the rows of this process, and return the loss of each and what its rows weigh."""
        values, weights = np.zeros(len(rates)), np.zeros(len(rates))
        if order is None:
            if len(rows):
                losses = self.inner.steps(rows, None, batch_size, rates)
                values[: len(losses)], weights[: len(losses)] = losses, rows.weigh()
            return values, weights
        for i in range(len(rates)):
            which = _without_filling(order[i * batch_size : (i + 1) * batch_size])
            weights[i] = rows.weigh(which)
            if weights[i] > 0:
                values[i] = self.inner.steps(rows, which, len(which), rates[i : i + 1])[0]
                if not math.isfinite(values[i]):
                    break
        return values, weights

    def before(self) -> Array:
        return self._begin.copy()

    def restore(self, state: State, before: Array) -> None:
        self._begin = before.copy()
        super().restore(state, before)

    def gradient(
        self, rows: Rows, into: Array, loss: Loss | None = None, which: npt.NDArray[np.intp] | None = None
    ) -> float:
        raise TypeError("local_steps takes steps, and has no gradient of all processes")

    def curvature(self, rows: Rows) -> Curvature:
        raise TypeError("local_steps takes steps, and has no curvature of all processes")

    def evaluate(self, rows: Rows) -> float:
        return self._evaluated(rows, rows.weigh() if self.rule.loss.reduction == "mean" else 1.0)


def _without_filling(which: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return the numbers of rows among those of a padded batch, which has -1 behind them."""
    return which if len(which) and which[-1] >= 0 else which[which >= 0]


def _summed(loss: Loss) -> Loss:
    """Return the same loss, added up over the rows."""
    summed = copy.copy(loss)
    vars(summed)["reduction"] = "sum"
    return summed


def _share(loss: Loss, weight: float) -> float:
    """Return what the sum over rows of a weight is multiplied by."""
    if loss.reduction == "sum":
        return 1.0
    return 1 / weight if weight > 0 else 0.0
