"""What training asks of an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.losses import Loss
    from nineline.optimizers import Optimizer, State


@dataclass(frozen=True)
class Task:
    """What is to be learned, from what, and by which rule. Everything has been checked."""

    inputs: Array
    """(rows, n_inputs)"""
    targets: Array
    """(rows, n_outputs)"""
    sample_weight: Array | None
    """(rows,)"""
    loss: Loss
    optimizer: Optimizer
    l1: float
    l2: float
    clip_norm: float | None
    seed: int
    """Of the draws inside a step, below 2**64."""
    penalty_by_rows: bool = False
    """Whether l1 and l2 are divided by the rows of a batch (by their weights' sum), as scikit-learn does."""


class Engine(Protocol):
    """Takes steps on a network's parameters. An engine belongs to one network and one task."""

    name: str
    state: State
    """What the optimizer remembers. Another engine that is given it goes on where this one stopped."""

    def steps(self, order: npt.NDArray[np.intp] | None, batch_size: int, rates: npt.NDArray[Any]) -> Array:
        """Take ``len(rates)`` steps and return the loss of each batch before its step.

        Step i takes rows ``order[i * batch_size : (i + 1) * batch_size]`` at learning rate ``rates[i]``; with
        `order` None every step takes all rows. Where a batch's loss is not finite, that loss is the last one
        returned, and its step is not taken.
        """
        ...

    def gradient(self, into: Array) -> float:
        """Return the loss of all rows as the next step would see it, and write its gradient into a flat vector.

        Penalties are part of both; no step is taken and nothing is clipped.
        """
        ...

    def undo(self) -> None:
        """Put the parameters back to those before the last step, whose loss was finite."""
        ...

    def evaluate(self, inputs: Array, targets: Array, sample_weight: Array | None) -> float:
        """Return the loss of the network as it runs (no dropout, no penalties)."""
        ...
