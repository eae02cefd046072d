"""The loss as scikit-learn measures it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nineline.losses import Loss, Poisson, SquaredError
from nineline.training.loop import Measure

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.network import Network
    from nineline.rows import Rows


class SklearnMeasure(Measure):
    """From a loss of this library to the number that scikit-learn calls the loss.

    The two differ in two places, and in neither by a gradient. The squared error is theirs averaged over outputs,
    while the gradient is that of the sum; and their Poisson loss is the deviance, which adds a number that depends on
    the targets alone: ``y * log(y) - y``.
    """

    def __init__(self, loss: Loss, rows: Rows, alpha: float, network: Network) -> None:
        super().__init__(rows, loss.reduction)
        self.network, self.alpha = network, alpha
        self.share = 1 / network.n_outputs if isinstance(loss, SquaredError) else 1.0
        self.added: Array | None = None
        if isinstance(loss, Poisson):
            targets = rows.targets.astype(np.float64)
            logarithms = np.log(targets, out=np.zeros_like(targets), where=targets > 0)
            self.added = (targets * logarithms - targets).sum(axis=1)
        self.penalties: list[float] = []
        if self.share != 1 and alpha > 0:  # the penalty is that of the weights in front of each step
            self.before_call = lambda rows: self.penalties.append(self.penalty(rows))

    def penalty(self, rows: npt.NDArray[np.intp] | None = None, count: int = 0) -> float:
        """Return the part of a loss that `alpha` causes, of some rows or of all `count`."""
        weighed = float(count if rows is None else len(rows))
        if self.weight is not None:
            weighed = float((self.weight if rows is None else self.weight[rows]).sum(dtype=np.float64))
        network = self.network
        weights = [network.parameters[block.place] for block in network.blocks if block.penalised]
        squares = sum(float(np.vdot(w, w)) for w in weights)
        return self.alpha / 2 * squares / weighed if weighed > 0 else 0.0

    def constant(self, rows: npt.NDArray[np.intp] | None = None) -> float:
        """Return what is added to the loss of a batch."""
        if self.added is None:
            return 0.0
        added = self.added if rows is None else self.added[rows]
        if self.weight is None:
            return float(added.mean())
        weight = self.weight if rows is None else self.weight[rows]
        total = float(weight.sum(dtype=np.float64))
        return float(added @ weight) / total if total > 0 else 0.0

    def of(self, loss: Any, penalty: Any, constant: Any) -> Any:
        """Return scikit-learn's number, or its numbers."""
        return (loss - penalty) * self.share + penalty + constant

    def of_all(self, loss: float, rows: Rows) -> float:
        """Return scikit-learn's number for the loss of all rows where the network is now."""
        penalty = self.penalty(count=len(rows)) if self.before_call is not None else 0.0
        return float(self.of(loss, penalty, self.constant()))

    def of_epoch(self, losses: npt.NDArray[np.float64], order: npt.NDArray[np.intp], batch_size: int) -> float:
        """Return the average over the batches, each by its number of rows."""
        first = np.arange(0, len(order), batch_size)
        counts = np.minimum(batch_size, len(order) - first)
        penalties: Any = np.array(self.penalties) if self.penalties else 0.0
        self.penalties.clear()
        constants: Any = 0.0
        if self.added is not None:
            constants = np.array([self.constant(batch) for batch in np.split(order, first[1:])])
        return float(self.of(losses, penalties, constants) @ counts) / len(order)
