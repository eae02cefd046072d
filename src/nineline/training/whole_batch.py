"""Methods that look at all rows before each step: engines around an engine.

A Trainer, and the loop around one, ask such a method for steps as they ask any engine; it asks the engine inside for
the loss, its gradient or its curvature, and decides where to go. Validation, stopping, checkpoints and the History
need know nothing of it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

import numpy as np

from nineline.layers import Dropout

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.contract import Curvature, Engine, Rule
    from nineline.losses import Loss
    from nineline.network import Network
    from nineline.optimizers import State
    from nineline.rows import Rows

Memory = TypeVar("Memory")


def refuse(rule: Rule, argument: str, value: object, why: str) -> NoReturn:
    """Raise ValueError: an argument has no meaning for a method that looks at all rows."""
    raise ValueError(
        f"{argument} is {value} and optimizer is {type(rule.optimizer).__name__}, which {why}; leave {argument} out, "
        "or take an optimizer that goes by the gradient, such as 'adam'"
    )


def check(rule: Rule, network: Network) -> None:
    """Raise ValueError where a network or a rule does not fit a method that looks at all rows."""
    name = type(rule.optimizer).__name__
    if rule.clip_norm is not None:
        refuse(rule, "clip_norm", f"{rule.clip_norm:g}", "finds the length of a step itself")
    for layer in network.layers:
        for each in layer.walk():
            if isinstance(each, Dropout) and each.rate > 0:
                raise ValueError(
                    f"optimizer is {name} and the network has {each!r}: the loss may not change from one look to the "
                    "next; train without dropout, with l2 or validation, or with an optimizer such as 'adam'"
                )


class WholeBatchEngine(ABC, Generic[Memory]):
    """See `nineline.engines.contract.Engine`: what is the same for every such method.

    Parameters
    ----------
    inner : Engine
        Of the same network and rule, but for the optimizer. It takes no step.
    network : Network
    rule : Rule
    memory : Memory
        What the method remembers at first; it is never changed, but replaced.
    """

    def __init__(self, inner: Engine, network: Network, rule: Rule, memory: Memory) -> None:
        self.inner, self.network, self.rule = inner, network, rule
        self.name = inner.name
        self.memory = memory
        self.steps_taken = 0
        self.converged = ""
        self.records: dict[str, list[float]] = {}
        self._before: tuple[Array, Memory] | None = None  # the last step: what was before it
        self._can_undo = False

    # What a method is

    @abstractmethod
    def begin(self, rows: Rows) -> None:
        """Get ready for iterations on these rows."""

    @abstractmethod
    def iterate(self, rows: Rows) -> float:
        """Move the parameters by one iteration and return the loss before it; say in `converged` where it ends.

        Where the loss is not finite, nothing is moved. What is interrupted leaves the parameters where they were.
        """

    @abstractmethod
    def to_state(self, memory: Memory) -> State:
        """Return what the method remembers as arrays and numbers, which are copies."""

    @abstractmethod
    def from_state(self, state: State) -> Memory:
        """Return what `to_state` was made of."""

    def record(self, **columns: float) -> None:
        """Write numbers of this iteration down for the History."""
        self.record_many(**{column: [value] for column, value in columns.items()})

    def record_many(self, **columns: list[float]) -> None:
        """Write numbers of some iterations down for the History."""
        for column, values in columns.items():
            self.records.setdefault(column, []).extend(values)

    # What an engine is

    def steps(
        self, rows: Rows, order: npt.NDArray[np.intp] | None, batch_size: int, rates: npt.NDArray[np.float64]
    ) -> Array:
        if order is not None:
            refuse(self.rule, "batch_size", batch_size, "takes all rows at each step")
        self.records = {}
        self.converged = ""
        self.begin(rows)
        return self.iterate_for(rows, len(rates))

    def iterate_for(self, rows: Rows, iterations: int) -> Array:
        """Take so many iterations, fewer where there is nowhere to go, and return the loss before each."""
        losses = np.empty(iterations)
        for i in range(iterations):
            before, memory = self.network.parameters.copy(), self.memory
            losses[i] = self.iterate(rows)
            if not math.isfinite(losses[i]):
                return losses[: i + 1]
            self._before, self._can_undo = (before, memory), True
            self.steps_taken += 1
            if self.converged:
                return losses[: i + 1]
        return losses

    @property
    def state(self) -> State:
        state = self.to_state(self.memory)
        state.steps = self.steps_taken
        return state

    @property
    def seed(self) -> int:
        return self.inner.seed

    def reseed(self, seed: int) -> None:
        self.inner.reseed(seed)

    def restore(self, state: State, before: Array) -> None:
        self.memory, self.steps_taken, self.converged = self.from_state(state), state.steps, ""
        self._before, self._can_undo = (before.copy(), self.memory), False

    def gradient(
        self, rows: Rows, into: Array, loss: Loss | None = None, which: npt.NDArray[np.intp] | None = None
    ) -> float:
        return self.inner.gradient(rows, into, loss, which)

    def move(self, gradient: Array, rate: float) -> NoReturn:
        raise TypeError(
            f"optimizer is {type(self.rule.optimizer).__name__}, which needs the rows for a step, not a gradient "
            "alone; take steps by Trainer.step or Network.train, or another optimizer"
        )

    def before(self) -> Array:
        return (self.network.parameters if self._before is None else self._before[0]).copy()

    def undo(self) -> None:
        if self._before is None or not self._can_undo:
            raise RuntimeError("there is no step to take back")
        self.network.parameters[...], self.memory = self._before
        self.steps_taken -= 1
        self._before, self._can_undo, self.converged = None, False, ""

    def evaluate(self, rows: Rows) -> float:
        return self.inner.evaluate(rows)

    def parameters(self) -> Array:
        return self.inner.parameters()

    def curvature(self, rows: Rows) -> Curvature:
        return self.inner.curvature(rows)
