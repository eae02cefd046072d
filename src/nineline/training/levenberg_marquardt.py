"""Levenberg and Marquardt's method: Gauss and Newton's step, damped as the last steps have shown to be wise.

An engine finds the loss, its gradient and ``J'J``, and solves for a step (`nineline.engines.contract.Curvature`); here
is decided how far to trust it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import numpy as np

from nineline.losses import JoinedLoss
from nineline.optimizers import State
from nineline.training.whole_batch import WholeBatchEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.contract import Curvature, Engine, Measured, Rule
    from nineline.network import Network
    from nineline.optimizers import LevenbergMarquardt
    from nineline.rows import Rows

_LEAST_DAMPING: Final = 1e-20
_LITTLE_WORK: Final = 1e6  # multiplications: less than a millisecond
_MOST_PARAMETERS: Final = 5000
_GOAL, _FLAT, _NO_DAMPING = 1, 2, 3  # why an iteration is the last one, as the native engine says it
_FIRST_L2: Final = 1e-3  # of what the formula says
_SETTLED: Final = 1e-3  # by what share effective parameters and loss may still change
_ITERATIONS_SETTLED: Final = 5


class Memory(NamedTuple):
    """What the method knows beside the parameters.

    Attributes
    ----------
    scaling : array of float64
        The largest diagonal of ``J'J`` so far, (parameters that learn,).
    damping, growth : float
        Of the next step, and what it is multiplied by where that fails.
    l2, effective, settled : float
        With `bayesian`: the weight of the parameters' squares, below 0 before it is known; how many parameters are
        effective with it; for how many iterations both have hardly changed.
    """

    scaling: npt.NDArray[np.float64]
    damping: float
    growth: float = 2.0
    l2: float = -1.0
    effective: float = 0.0
    settled: float = 0.0


def check(rule: Rule, network: Network) -> None:
    """Raise ValueError where a rule or a network does not fit this method."""
    optimizer = cast("LevenbergMarquardt", rule.optimizer)
    loss, output = rule.loss, network.output_layer.activation
    if not loss.has_residuals(output):
        raise ValueError(
            f"loss {type(loss).__name__} behind {type(output).__name__} has no residuals for LevenbergMarquardt; it "
            "takes squared_error, and cross_entropy, binary_cross_entropy and poisson behind softmax, sigmoid and "
            "exponential; for any other loss there is optimizer='lbfgs'"
        )
    if rule.l1 != 0:
        raise ValueError(
            f"l1 is {rule.l1:g} and optimizer is LevenbergMarquardt, which has no use for |w|, whose second "
            "derivative is 0; give l2, or bayesian=True, which finds it by itself"
        )
    if rule.l2 != 0 and optimizer.bayesian:
        raise ValueError(f"l2 is {rule.l2:g} and bayesian is True, which finds l2 by itself; give one of the two")
    count = len(learning(network))
    if count == 0:
        raise ValueError("optimizer is LevenbergMarquardt, and no layer of the network is trainable")
    if count > _MOST_PARAMETERS:
        raise ValueError(
            f"optimizer is LevenbergMarquardt and the network has {count:,} parameters, whose matrix J'J would take "
            f"{8 * count**2:,} bytes; it is for {_MOST_PARAMETERS:,} parameters at most. For more there is "
            "optimizer='lbfgs', which keeps a few vectors, or 'adam' in batches"
        )


def learning(network: Network) -> npt.NDArray[np.intp]:
    """Return the places of the parameters that learn."""
    learns = np.zeros(len(network.parameters), bool)
    for block, trainable in zip(network.blocks, network.trainable(), strict=True):
        learns[block.place] = trainable
    return np.flatnonzero(learns)


class LevenbergMarquardtEngine(WholeBatchEngine[Memory]):
    """See `nineline.optimizers.LevenbergMarquardt`; an iteration is one step that lowers the loss."""

    def __init__(self, make: Callable[[Network], Engine], network: Network, rule: Rule) -> None:
        inner = make(network)
        self.optimizer = optimizer = cast("LevenbergMarquardt", rule.optimizer)
        self._learning = learning(network)
        scaling = np.zeros(len(self._learning))
        super().__init__(inner, network, rule, Memory(scaling, optimizer.damping))
        # It computes in float64: on the network, or on a twin.
        self._twin = network if network.dtype == np.float64 else network.astype(np.float64)
        self._double = inner if self._twin is network else make(self._twin)
        self._curvature: tuple[Rows, Curvature] | None = None
        self._residuals = 0.0

    def first_steps(self, rows: Rows) -> int:
        """Return how many steps a first call may take, before it is known how long one is."""
        return 16 if len(rows) * self.network.n_outputs * len(self._learning) ** 2 < _LITTLE_WORK else 1

    def begin(self, rows: Rows) -> None:
        if self._curvature is None or self._curvature[0] is not rows:
            self._curvature = rows, self._double.curvature(rows.astype(np.float64))
            weigh = getattr(self._curvature[1], "weigh", rows.weigh())  # where other processes have rows, too
            self._residuals = weigh * self.network.n_outputs
        self._curvature[1].scaling[...] = self.memory.scaling

    def iterate_for(self, rows: Rows, iterations: int) -> Array:
        assert self._curvature is not None
        descend = getattr(self._curvature[1], "descend", None)  # the native engine goes many iterations by itself
        if descend is None or self._twin is not self.network or self.optimizer.bayesian:
            return super().iterate_for(rows, iterations)
        optimizer, memory, before = self.optimizer, self.memory, self.network.parameters.copy()
        losses, dampings = np.empty(iterations), np.empty(iterations)
        point, scaling = np.empty(len(memory.scaling)), np.empty(len(memory.scaling))
        goal = -math.inf if optimizer.goal is None else optimizer.goal
        how = memory.damping, memory.growth, goal, optimizer.min_gradient, optimizer.max_damping
        try:
            done, why, *last = descend(*how, losses, dampings, point, scaling)
        except BaseException:  # Ctrl-C: the parameters have moved, and nobody knows from where
            self._before, self._can_undo = None, False
            raise
        self.record_many(damping=dampings[:done].tolist())
        if done > 0 and not math.isfinite(losses[done - 1]):  # the first: what a step comes to is finite
            return losses[:done]
        if done > 0:
            self.steps_taken += done
            before[self._learning] = point
            self._before = before, Memory(scaling, last[0], last[1])
            self._can_undo = True
        self.memory = Memory(self._curvature[1].scaling.copy(), last[2], last[3])
        self.converged = self._in_words(why)
        return losses[:done]

    def iterate(self, rows: Rows) -> float:
        assert self._curvature is not None
        curvature = self._curvature[1]
        if self._twin is not self.network:
            self._twin.parameters[...] = self.network.parameters
        measured = curvature.measure(max(self.memory.l2, 0.0))
        if not math.isfinite(measured.loss):
            return measured.loss
        before = self.memory
        memory = self._regularised(curvature, measured) if self.optimizer.bayesian else before
        memory = memory._replace(scaling=curvature.scaling.copy())
        self.converged = self._arrived(measured, memory)
        if self.converged:
            self.record(damping=memory.damping)
        else:
            try:
                memory = self._step(curvature, measured, memory)
            except BaseException:
                curvature.back()
                raise
            if self._twin is not self.network:
                self.network.parameters[...] = self._twin.parameters
        self.memory = memory
        return measured.loss

    def _arrived(self, measured: Measured, memory: Memory) -> str:
        """Return why there is no further step to take, or ""."""
        optimizer = self.optimizer
        if optimizer.goal is not None and measured.loss <= optimizer.goal:
            return self._in_words(_GOAL)
        if measured.steepest <= optimizer.min_gradient and not (optimizer.bayesian and memory.settled == 0):
            return self._in_words(_FLAT)  # and l2 moves it no more
        if memory.settled >= _ITERATIONS_SETTLED:
            return f"the effective number of parameters has settled at {memory.effective:.4g}"
        return ""

    def _step(self, curvature: Curvature, measured: Measured, memory: Memory) -> Memory:
        """Move the parameters to a lower loss, with as much damping as that takes."""
        l2 = max(memory.l2, 0.0)
        here = measured.loss + l2 / 2 * measured.squares
        damping, growth = memory.damping, memory.growth
        while damping <= self.optimizer.max_damping:
            trial = curvature.step(damping, l2)
            if trial is not None:
                fallen = here - (trial.loss + l2 / 2 * trial.squares)
                if fallen > 0:  # and so it is a number
                    self.record(damping=damping)
                    share = fallen / trial.foreseen
                    damping *= max(1 / 3, 1 - (2 * share - 1) ** 3)
                    return memory._replace(damping=max(damping, _LEAST_DAMPING), growth=2.0)
                curvature.back()
            damping *= growth
            growth *= 2
        self.record(damping=damping)
        self.converged = self._in_words(_NO_DAMPING)
        return memory

    def _in_words(self, why: int) -> str:
        """Return why an iteration was the last one."""
        optimizer = self.optimizer
        goal = -math.inf if optimizer.goal is None else optimizer.goal
        return {
            _GOAL: f"the goal of {goal:g} is reached",
            _FLAT: f"no entry of the gradient is larger than {optimizer.min_gradient:g}",
            _NO_DAMPING: f"no damping up to {optimizer.max_damping:g} has a step that lowers the loss",
        }.get(why, "")

    def _regularised(self, curvature: Curvature, measured: Measured) -> Memory:
        """Find the effective number of parameters and what weight their squares should have.

        With g effective ones of m residuals, ``l2 = g / (m - g) * 2 * loss / sum(p**2)`` for a squared error, whose
        noise is what it leaves; a joined loss says its own, and ``l2 = g / (rows * sum(p**2))``.
        """
        memory, most = self.memory, self._residuals
        known = memory.l2 >= 0
        effective = curvature.effective_parameters(memory.l2) if known else min(float(curvature.size), most / 2)
        rows = most / self.network.n_outputs if self.rule.loss.reduction == "mean" else 1.0
        noise = 1 / rows if isinstance(self.rule.loss, JoinedLoss) else 2 * measured.loss / max(most - effective, 1e-9)
        l2 = max(effective * noise / max(measured.squares, 1e-300), 1e-300)
        # From far below and at most doubled: the rows come first, or all would be pulled to 0 before a fit is found.
        l2 = min(l2, 2 * memory.l2) if known else _FIRST_L2 * l2
        same = memory.l2 > 0 and abs(effective - memory.effective) <= _SETTLED * max(1.0, effective)
        same = same and abs(l2 - memory.l2) <= _SETTLED * l2
        self.record(effective_parameters=effective, l2=l2)
        return memory._replace(l2=l2, effective=effective, settled=memory.settled + 1 if same else 0.0)

    def to_state(self, memory: Memory) -> State:
        numbers = {name: value for name, value in memory._asdict().items() if name != "scaling"}
        scaling = np.zeros(len(self.network.parameters))
        scaling[: len(memory.scaling)] = memory.scaling
        return State({"scaling": scaling}, numbers=numbers)

    def from_state(self, state: State) -> Memory:
        return Memory(state.vectors["scaling"][: len(self.memory.scaling)].astype(np.float64), **state.numbers)
