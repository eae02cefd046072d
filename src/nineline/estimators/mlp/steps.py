"""The steps of an epoch, and its loss as scikit-learn measures it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import engines
from nineline.engines.contract import Task
from nineline.estimators.mlp.network import dense_rows
from nineline.losses import Loss, Poisson, SquaredError

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.contract import Engine
    from nineline.network import Network
    from nineline.optimizers import Optimizer, State

_CALL_SECONDS: Final = 0.05  # between calls of the engine Ctrl-C is heard
NOT_FINITE: Final = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)
_DENSE_BYTES: Final = 2**25  # sparse rows are made dense in pieces of about this size


@dataclass(frozen=True)
class Rows:
    """Checked rows.

    Attributes
    ----------
    inputs : array or sparse array, (rows, features)
    targets : array, (rows, outputs)
        As the network learns them.
    weight : array or None, (rows,)
    labels : array
        The targets as scorers take them.
    """

    inputs: Any
    targets: npt.NDArray[Any]
    weight: Array | None
    labels: Any

    def astype(self, dtype: npt.DTypeLike) -> Rows:
        """Return the same with targets and weights of a dtype."""
        weight = None if self.weight is None else self.weight.astype(dtype, copy=False)
        return replace(self, targets=self.targets.astype(dtype, copy=False), weight=weight)


class Measure:
    """From a loss of this library to the number that scikit-learn calls the loss.

    The two differ in two places, and in neither by a gradient. The squared error is theirs averaged over outputs,
    while the gradient is that of the sum; and their Poisson loss is the deviance, which adds a number that depends on
    the targets alone: ``y * log(y) - y``.
    """

    def __init__(self, loss: Loss, rows: Rows, alpha: float) -> None:
        outputs = rows.targets.shape[1]
        self.share = 1 / outputs if isinstance(loss, SquaredError) else 1.0
        self.alpha = alpha
        self.weight = rows.weight
        self.added: Array | None = None
        if isinstance(loss, Poisson):
            targets = rows.targets.astype(np.float64)
            logarithms = np.log(targets, out=np.zeros_like(targets), where=targets > 0)
            self.added = (targets * logarithms - targets).sum(axis=1)

    @property
    def needs_penalty(self) -> bool:
        """Whether the penalty has to be known apart from the loss."""
        return self.share != 1 and self.alpha > 0

    def penalty(self, network: Network, rows: npt.NDArray[np.intp] | None, count: int) -> float:
        """Return the part of a loss that `alpha` causes."""
        weighed = float(count)
        if self.weight is not None:
            weighed = float((self.weight if rows is None else self.weight[rows]).sum(dtype=np.float64))
        squares = sum(
            float(np.vdot(w, w)) for w in (network.parameters[b.place] for b in network.blocks if b.kind == "weights")
        )
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

    def of(self, loss: Any, penalty: float, constant: Any) -> Any:
        """Return scikit-learn's number, or its numbers."""
        return (loss - penalty) * self.share + penalty + constant


class Steps:
    """Takes the steps of epochs on rows, which may be sparse: then they are made dense a few batches at a time."""

    def __init__(
        self,
        network: Network,
        rows: Rows,
        loss: Loss,
        rule: Optimizer,
        state: State,
        *,
        alpha: float,
        seed: int,
        engine: str,
        threads: int,
    ) -> None:
        self.network, self.rows, self.state, self.threads = network, rows, state, threads
        self.measure = Measure(loss, rows, alpha)
        self.asked_for = engine
        self.sparse = not isinstance(rows.inputs, np.ndarray)
        nothing = np.empty((0, network.n_inputs), network.dtype)
        self.task = Task(
            inputs=nothing if self.sparse else dense_rows(rows.inputs, network.dtype),
            targets=rows.targets,
            sample_weight=rows.weight,
            loss=loss,
            optimizer=rule,
            l1=0.0,
            l2=alpha,
            clip_norm=None,
            seed=seed,
            penalty_by_rows=True,
        )
        self.engine: Engine = engines.choose(engine, network, self.task, threads, state)
        self.at_once = 1
        self.most_at_once = 2**62
        self.taken = 0

    def epoch(self, order: npt.NDArray[np.intp], batch_size: int, rate: float) -> float:
        """Take a step on each batch of `order`; return the epoch's loss, or the first that is not finite."""
        rows, measure = len(order), self.measure
        batches = math.ceil(rows / batch_size)
        if self.sparse:
            a_batch = batch_size * self.network.n_inputs * self.network.dtype.itemsize
            self.most_at_once = max(1, _DENSE_BYTES // a_batch)
        total, start = 0.0, 0
        while start < batches:
            stop = min(start + min(self.at_once, self.most_at_once), batches)
            if measure.needs_penalty:
                stop = start + 1  # the penalty is that of the weights in front of the step
            some = order[start * batch_size : stop * batch_size]
            penalty = measure.penalty(self.network, some, len(some)) if measure.needs_penalty else 0.0
            losses = self._take(some, batch_size, np.full(stop - start, rate))
            if not np.isfinite(losses[-1]):
                return float(losses[-1])
            counts = np.minimum(batch_size, len(some) - batch_size * np.arange(len(losses)))
            constants: Any = 0.0
            if measure.added is not None:
                constants = np.array([measure.constant(batch) for batch in np.split(some, np.cumsum(counts)[:-1])])
            total += float(measure.of(losses, penalty, constants) @ counts)
            start = stop
        return total / rows

    def _take(self, order: npt.NDArray[np.intp], batch_size: int, rates: npt.NDArray[np.float64]) -> Array:
        began = time.perf_counter()
        engine = self.engine
        if self.sparse:
            weight = None if self.task.sample_weight is None else self.task.sample_weight[order]
            dense = dense_rows(self.rows.inputs[order], self.network.dtype)
            some = replace(self.task, inputs=dense, targets=self.task.targets[order], sample_weight=weight)
            engine = engines.choose(self.asked_for, self.network, some, self.threads, self.state)
            order = np.arange(len(order))
        losses = engine.steps(order, batch_size, rates)
        self.taken += len(losses)
        pace = _CALL_SECONDS / max(time.perf_counter() - began, 1e-9)
        self.at_once = max(1, min(int(len(rates) * pace), 4 * self.at_once))
        return losses

    def evaluate(self, held: Rows) -> float:
        """Return the loss of other rows, without penalty, as scikit-learn would measure it."""
        inputs = dense_rows(held.inputs, self.network.dtype)
        loss = self.engine.evaluate(inputs, held.targets, held.weight)
        measure = Measure(self.task.loss, held, 0.0)
        return float(measure.of(loss, 0.0, measure.constant()))
