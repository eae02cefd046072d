"""The reference engine: the definition of training, in NumPy, meant to be read.

A step runs the layers forward, asks the loss for the delta of the last weighted sums, walks the layers
backward collecting gradients, and leaves the move to the optimizer. Of an embedding's vectors only those move that the
step's rows have read.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nineline.draws import Draw
from nineline.optimizers import State
from nineline.rows import ROWS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.contract import Curvature, Rule
    from nineline.layers import AbstractLayer, Layer
    from nineline.losses import Loss
    from nineline.network import Network
    from nineline.rows import Batch, Rows


class Reference:
    """See `nineline.engines.contract.Engine`."""

    name = "reference"
    converged = ""  # there is always another step by a gradient
    records: Mapping[str, list[float]] = MappingProxyType({})

    def __init__(self, network: Network, rule: Rule) -> None:
        self.network, self.rule, self.seed = network, rule, rule.seed
        self._state = rule.optimizer.start(network.parameters)
        self._before: tuple[Array, State | None] | None = None  # the last step: what was before it
        self._moved: npt.NDArray[np.bool_] | None = None  # by the last step; None: all
        self._gradient = np.zeros_like(network.parameters)
        self._gradients = [network.views(self._gradient, i) for i in range(len(network.layers))]
        self._penalised = [block.place for block in network.blocks if block.penalised]
        self._lazy = [block for block in network.blocks if block.lazy]
        self._touched: dict[str, npt.NDArray[np.intp]] = {}
        factors = rule.factors(network)
        self._frozen = [block.place for block, factor in zip(network.blocks, factors, strict=True) if factor == 0]
        self._factors: Array | None = None
        if any(factor != 1 for factor in factors):
            self._factors = np.ones_like(network.parameters)
            for block, factor in zip(network.blocks, factors, strict=True):
                self._factors[block.place] = factor
        self._first = first_that_learns(network, factors)

    @property
    def state(self) -> State:
        return self._state.copy()

    @property
    def steps_taken(self) -> int:
        return self._state.steps

    def reseed(self, seed: int) -> None:
        self.seed = seed

    def restore(self, state: State, before: Array) -> None:
        self._state = state.copy()
        self._before = before.copy(), None
        self._moved = self._what_moves(self._different(before)) if self._lazy else None

    def steps(
        self, rows: Rows, order: npt.NDArray[np.intp] | None, batch_size: int, rates: npt.NDArray[np.float64]
    ) -> Array:
        losses = np.empty(len(rates))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what diverges is found by its loss
            for i, rate in enumerate(rates.tolist()):
                which = None if order is None else order[i * batch_size : (i + 1) * batch_size]
                losses[i] = self._measure(rows, which, self.rule.loss)
                if not np.isfinite(losses[i]):
                    return losses[: i + 1]
                self._move(self._gradient, rate, self._touched)
        return losses

    def gradient(
        self, rows: Rows, into: Array, loss: Loss | None = None, which: npt.NDArray[np.intp] | None = None
    ) -> float:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            value = self._measure(rows, which, loss or self.rule.loss)
        into[...] = self._gradient
        return value

    def move(self, gradient: Array, rate: float) -> None:
        for place in self._frozen:
            gradient[place] = 0
        touched = self._different(np.zeros_like(gradient), gradient)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._move(gradient, rate, touched)

    def before(self) -> Array:
        parameters = self.network.parameters.copy()
        if self._before is not None:
            np.copyto(parameters, self._before[0], where=True if self._moved is None else self._moved)
        return parameters

    def undo(self) -> None:
        state = None if self._before is None else self._before[1]
        if state is None:
            raise RuntimeError("there is no step to take back")
        self.network.parameters[...] = self.before()
        self._state, self._before = state, None

    def evaluate(self, rows: Rows) -> float:
        layer, loss = self.network.output_layer, self.rule.loss
        values = np.empty(len(rows), self.network.dtype)
        seen: Any = None  # of the last layer, in the end
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for start in range(0, len(rows), ROWS_AT_ONCE):
                piece = slice(start, start + ROWS_AT_ONCE)
                some = rows.spread(self.network.n_outputs, piece)
                outputs = some.inputs
                for each in self.network.layers:
                    outputs, seen = each.compute(outputs)
                values[piece] = loss.value_at(layer.activation, seen.weighted_sums, outputs, some.targets)
            return float((values * loss.row_factors(len(values), rows.sample_weight)).sum(dtype=np.float64))

    def parameters(self) -> Array:
        return self.network.parameters

    def curvature(self, rows: Rows) -> Curvature:
        from nineline.engines.curvature import ReferenceCurvature  # loaded where it is used

        learns = np.ones(len(self.network.parameters), bool)
        for place in self._frozen:
            learns[place] = False
        return ReferenceCurvature(self.network, self.rule, rows, learns)

    def _measure(self, rows: Rows, which: npt.NDArray[np.intp] | None, loss: Loss) -> float:
        """Return the loss of some rows, penalties included, and leave its gradient in `_gradient`."""
        batch = rows.spread(self.network.n_outputs, which)
        draw = Draw(self.seed, self._state.steps)
        value = float(loss_and_gradients(self.network, loss, batch, draw, self._gradients, self._first))
        if self._lazy:
            counting = batch.inputs if batch.sample_weight is None else batch.inputs[batch.sample_weight != 0]
            self._touched = {f"0.{name}": read for name, read in self.network.layers[0].touched(counting).items()}
        weigh = batch.weigh()
        value += self._penalize(1 / weigh if self.rule.penalty_by_rows and weigh > 0 else 1.0)
        for place in self._frozen:
            self._gradient[place] = 0
        return value

    def _penalize(self, share: float) -> float:
        """Add the gradient of ``l1 * sum(|w|) + l2 / 2 * sum(w**2)`` over the weights, and return its value."""
        l1, l2 = self.rule.l1 * share, self.rule.l2 * share
        return add_penalties(self.network.parameters, self._penalised, l1, l2, self._gradient)

    def _move(self, gradient: Array, rate: float, touched: dict[str, npt.NDArray[np.intp]]) -> None:
        """Take the optimizer's step, and keep what was before it; of lazy blocks the rows that are touched move."""
        self._clip(gradient)
        self._before = self.network.parameters.copy(), self._state.copy()
        self._state.steps += 1
        rates = rate if self._factors is None else rate * self._factors
        if self._lazy:
            self._moved = self._what_moves(touched)
            self._move_some(self._moved, gradient, rates)
        else:
            self.rule.optimizer.step(self.network.parameters, gradient, rates, self._state)

    def _what_moves(self, touched: dict[str, npt.NDArray[np.intp]]) -> npt.NDArray[np.bool_]:
        """Return of each parameter whether it moves."""
        moves = np.ones(len(self.network.parameters), bool)
        for block in self._lazy:
            moving = np.zeros(block.shape, bool)
            moving[touched[block.name]] = block.place not in self._frozen
            moves[block.place] = moving.reshape(-1)
        return moves

    def _different(self, a: Array, b: Array | None = None) -> dict[str, npt.NDArray[np.intp]]:
        """Return which rows of the lazy blocks differ between two vectors; the second is the parameters by default."""
        other = self.network.parameters if b is None else b
        return {
            block.name: np.flatnonzero((a != other)[block.place].reshape(block.shape).any(axis=1))
            for block in self._lazy
        }

    def _move_some(self, which: npt.NDArray[np.bool_], gradient: Array, rates: float | Array) -> None:
        """Take the optimizer's step for some parameters; the others, and what it remembers of them, stay."""
        parameters = self.network.parameters[which]
        remembered = {name: vector[which] for name, vector in self._state.vectors.items()}
        state = State(remembered, self._state.steps)
        some_rates = rates if isinstance(rates, float) else rates[which]
        self.rule.optimizer.step(parameters, gradient[which], some_rates, state)
        self.network.parameters[which] = parameters
        for name, vector in state.vectors.items():
            self._state.vectors[name][which] = vector

    def _clip(self, gradient: Array) -> None:
        """Shorten the gradient to `clip_norm` where it is longer."""
        if self.rule.clip_norm is not None:
            largest = float(np.abs(gradient).max())  # scaled by it, no square overflows
            norm = largest * float(np.linalg.norm(gradient / largest)) if largest else 0.0
            if norm > self.rule.clip_norm:
                gradient *= self.rule.clip_norm / norm


def add_penalties(parameters: Array, places: Sequence[slice], l1: float, l2: float, gradient: Array) -> float:
    """Return ``l1 * sum(|w|) + l2 / 2 * sum(w**2)`` over the parameters in some places, and add its gradient."""
    penalty = 0.0
    if l1 or l2:
        for place in places:
            w = parameters[place]
            penalty += l1 * float(np.abs(w).sum()) + l2 / 2 * float(w @ w)
            gradient[place] += l1 * np.sign(w) + l2 * w
    return penalty


class Layered(Protocol):
    """What has layers one behind the other: a network, or networks in a stack."""

    @property
    def layers(self) -> tuple[AbstractLayer, ...]: ...
    @property
    def output_layer(self) -> Layer: ...


def loss_and_gradients(
    network: Layered,
    loss: Loss,
    batch: Batch,
    draw: Draw,
    gradients: Sequence[dict[str, Array]],
    first: int = 0,
) -> Array:
    """Return the loss of a batch, and write its gradient by each layer's blocks into `gradients`.

    Errors are carried back to layer number `first`: nobody asks for those of the data, nor of layers that do not learn.
    Of networks in a stack there is a loss for each; else it is one number.
    """
    layers, last = network.layers, network.output_layer
    outputs, seen = batch.inputs, []
    for number, layer in enumerate(layers):
        outputs, saw = layer.compute(outputs, draw.of_layer(number))
        seen.append(saw)

    at = last.activation, seen[-1].weighted_sums, outputs, batch.targets
    factors = loss.row_factors(outputs.shape[-2], batch.sample_weight)
    value: Array = (loss.value_at(*at) * factors).sum(axis=-1)
    delta = loss.delta_at(*at) * (factors if isinstance(factors, float) else factors[..., np.newaxis])

    errors, updates = last.backprop_delta(seen[-1], delta)
    _write(updates, gradients[-1])
    for number in reversed(range(first, len(layers) - 1)):
        if number > first:
            errors, updates = layers[number].backprop(seen[number], errors)
        else:
            updates = layers[number].updates(seen[number], errors)
        _write(updates, gradients[number])
    return value


def _write(updates: dict[str, Array], to: dict[str, Array]) -> None:
    for name, gradient in updates.items():
        to[name][...] = gradient


def first_that_learns(network: Network, factors: Sequence[float]) -> int:
    """Return the number of the first layer with a block that learns; that of the last layer where none does."""
    learning = [block.layer for block, factor in zip(network.blocks, factors, strict=True) if factor > 0]
    return min(learning, default=len(network.layers) - 1)
