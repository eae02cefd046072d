"""The reference engine: the definition of training, in NumPy, meant to be read.

A step runs the layers forward, asks the loss for the delta of the last weighted sums, walks the layers
backward collecting gradients, and leaves the move to the optimizer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nineline.draws import Draw

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.contract import Task
    from nineline.losses import Loss
    from nineline.network import Network
    from nineline.optimizers import State

_ROWS_AT_ONCE = 16_384  # evaluation goes in pieces, so that its memory is bounded


class Reference:
    """See `nineline.engines.contract.Engine`."""

    name = "reference"

    def __init__(self, network: Network, task: Task, state: State | None = None) -> None:
        self.network = network
        self.task = task
        self.state = task.optimizer.start(network.parameters) if state is None else state
        self.gradient_now = np.empty_like(network.parameters)
        self.before = network.parameters.copy()
        self.gradients = [network.views(self.gradient_now, i) for i in range(len(network.layers))]
        self.weights = [block.place for block in network.blocks if block.kind == "weights"]
        self.factors = _learning_rate_factors(network, task)

    def steps(self, order: npt.NDArray[np.intp] | None, batch_size: int, rates: npt.NDArray[Any]) -> Array:
        losses = np.empty(len(rates))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what diverges is found by its loss
            for i, rate in enumerate(rates.tolist()):
                rows = None if order is None else order[i * batch_size : (i + 1) * batch_size]
                losses[i] = self.step(rows, rate)
                if not np.isfinite(losses[i]):
                    return losses[: i + 1]
        return losses

    def step(self, rows: npt.NDArray[np.intp] | None, rate: float) -> float:
        """Take one step on the given rows and return the loss before it."""
        loss = self.measure(rows)
        if not np.isfinite(loss):
            return loss
        self.clip()
        np.copyto(self.before, self.network.parameters)
        self.state.steps += 1
        move = rate if self.factors is None else rate * self.factors
        self.task.optimizer.step(self.network.parameters, self.gradient_now, move, self.state)
        return loss

    def measure(self, rows: npt.NDArray[np.intp] | None) -> float:
        """Return the loss of the given rows, penalties included, and leave its gradient in `gradient_now`."""
        task = self.task
        inputs, targets, weight = task.inputs, task.targets, task.sample_weight
        if rows is not None:
            inputs, targets, weight = inputs[rows], targets[rows], None if weight is None else weight[rows]
        draw = Draw(task.seed, self.state.steps)
        loss = loss_and_gradients(self.network, task.loss, inputs, targets, weight, draw, self.gradients)
        rows_weigh = len(inputs) if weight is None else float(weight.sum(dtype=np.float64))
        return loss + self.penalize(1 / rows_weigh if task.penalty_by_rows and rows_weigh > 0 else 1.0)

    def gradient(self, into: Array) -> float:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            loss = self.measure(None)
        into[...] = self.gradient_now
        return loss

    def undo(self) -> None:
        self.network.parameters[...] = self.before

    def penalize(self, share: float) -> float:
        """Add the gradient of ``l1 * sum(|w|) + l2 / 2 * sum(w**2)`` over the weights, and return its value."""
        l1, l2, penalty = self.task.l1 * share, self.task.l2 * share, 0.0
        if l1 or l2:
            for place in self.weights:
                w = self.network.parameters[place]
                penalty += l1 * float(np.abs(w).sum()) + l2 / 2 * float(w @ w)
                self.gradient_now[place] += l1 * np.sign(w) + l2 * w
        return penalty

    def clip(self) -> None:
        """Shorten the gradient to `clip_norm` where it is longer."""
        if self.task.clip_norm is not None:
            largest = float(np.abs(self.gradient_now).max())  # scaled by it, no square overflows
            norm = largest * float(np.linalg.norm(self.gradient_now / largest)) if largest else 0.0
            if norm > self.task.clip_norm:
                self.gradient_now *= self.task.clip_norm / norm

    def evaluate(self, inputs: Array, targets: Array, sample_weight: Array | None) -> float:
        layer, loss = self.network.output_layer, self.task.loss
        values = np.empty(len(inputs), self.network.dtype)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for start in range(0, len(inputs), _ROWS_AT_ONCE):
                piece = slice(start, start + _ROWS_AT_ONCE)
                outputs = inputs[piece]
                for each in self.network.layers:
                    outputs = each.compute(outputs)
                assert layer.weighted_sums is not None
                values[piece] = loss.value_at(layer.activation, layer.weighted_sums, outputs, targets[piece])
            return float((values * loss.row_factors(len(values), sample_weight)).sum(dtype=np.float64))


def loss_and_gradients(
    network: Network,
    loss: Loss,
    inputs: Array,
    targets: Array,
    sample_weight: Array | None,
    draw: Draw,
    gradients: Sequence[dict[str, Array]],
) -> float:
    """Return the loss of a batch, and write its gradient by each layer's blocks into `gradients`."""
    layers, last = network.layers, network.output_layer
    outputs = inputs
    for number, layer in enumerate(layers):
        outputs = layer.compute_in_training(outputs, draw.of_layer(number))

    assert last.weighted_sums is not None
    seen = last.activation, last.weighted_sums, outputs, targets
    factors = loss.row_factors(len(outputs), sample_weight)
    value = float((loss.value_at(*seen) * factors).sum())
    delta = loss.delta_at(*seen) * (factors if isinstance(factors, float) else factors[:, np.newaxis])

    for number in reversed(range(len(layers))):
        for name, gradient in layers[number].steps(delta).items():
            gradients[number][name][...] = gradient
        if number > 0:  # nobody asks for the errors of the data
            delta = layers[number - 1].delta(layers[number].input_errors(delta))
    return value


def _learning_rate_factors(network: Network, task: Task) -> Array | None:
    """Return one learning-rate factor per parameter, or None where all are 1."""
    if not task.optimizer.factors:
        return None
    factors = np.ones_like(network.parameters)
    for block in network.blocks:
        by_kind = task.optimizer.factors.get(block.kind, 1.0)
        factors[block.place] = task.optimizer.factors.get(block.name, by_kind)
    return factors
