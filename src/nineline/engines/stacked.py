"""The reference engine of many networks: the layers of one, with the networks as one axis more in front.

Weights are (count, inputs, outputs) and a bias (count, 1, outputs), so that ``inputs @ weights + bias`` is what it was,
for all networks at once; nothing else of forward, backward, loss and optimizer has to know of it.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nineline.activations import ACTIVATIONS
from nineline.draws import Draw
from nineline.engines.many import ManyEngine, padded
from nineline.engines.reference import first_that_learns, loss_and_gradients
from nineline.layers import Layer
from nineline.losses import LOSSES
from nineline.optimizers import OPTIMIZERS, State
from nineline.rows import ROWS_AT_ONCE, Batch

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.contract import Rule
    from nineline.engines.many import ManyRule, Numbers, Orders
    from nineline.layers import AbstractLayer
    from nineline.network import Network
    from nineline.rows import Rows


class Stack:
    """Some networks during a call: their parameters, (k, n), and the layers that live in them."""

    def __init__(self, network: Network, parameters: Array) -> None:
        self.parameters = parameters
        self.layers = tuple(_detached(layer) for layer in network.layers)
        for number, layer in enumerate(self.layers):
            views = blocks_of(network, parameters, number)
            kept = {name: view.copy() for name, view in views.items()}
            layer.adopt({name: _in_a_stack(view) for name, view in views.items()})  # which writes its own values there
            for name, view in views.items():
                view[...] = kept[name]

    @property
    def output_layer(self) -> Layer:
        """The last layer."""
        return cast("Layer", self.layers[-1])


def stacks(network: Network, rule: Rule) -> bool:
    """Return whether networks like this one can be in a stack: the layers say so, and the formulas are nineline's."""
    every = [each for layer in network.layers for each in layer.walk()]
    formulas: list[tuple[Any, Mapping[str, Any]]] = [(rule.loss, LOSSES), (rule.optimizer, OPTIMIZERS)]
    formulas += [(each.activation, ACTIVATIONS) for each in every if isinstance(each, Layer)]
    return all(each.stacks for each in every) and all(table.get(each.name) is type(each) for each, table in formulas)


def blocks_of(network: Network, vectors: Array, layer: int) -> dict[str, Array]:
    """Return one layer's blocks as views into vectors of (k, n): (k, *shape) each."""
    return {
        block.name.partition(".")[2]: vectors[:, block.place].reshape(-1, *block.shape)
        for block in network.blocks
        if block.layer == layer
    }


def _detached(layer: AbstractLayer) -> AbstractLayer:
    """Return a layer like another, that remembers no pass."""
    twin = deepcopy(layer)
    for each in twin.walk():
        each.adopted = False
    return twin


def _in_a_stack(block: Array) -> Array:
    """Return (k, inputs, outputs) as it is, and (k, outputs) so that it meets rows."""
    return block if block.ndim == 3 else block[:, np.newaxis]


class Stacked(ManyEngine):
    """See `nineline.engines.many.ManyEngine`. Rows are plain arrays here."""

    name = "reference"

    def __init__(self, network: Network, parameters: Array, many: ManyRule) -> None:
        super().__init__(network, parameters, many)
        factors = many.rule.factors(network)
        self._first = first_that_learns(network, factors)
        self._factors = np.ones(parameters.shape[1], parameters.dtype)
        for block, factor in zip(network.blocks, factors, strict=True):
            self._factors[block.place] = factor
        self._penalised = [block.place for block in network.blocks if block.penalised]

    def steps(
        self,
        members: Numbers,
        rows: Rows,
        orders: Orders,
        batch_size: int | None,
        factors: npt.NDArray[np.float64],
        losses: npt.NDArray[np.float64],
    ) -> Numbers:
        losses[...] = np.nan
        done = np.zeros(len(members), np.intp)
        going = np.arange(len(members))  # the places of those that have not diverged
        stack, state = self._take(members)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what diverges is found by its loss
            for i, factor in enumerate(factors.tolist()):
                batch = self._batch(rows, _of_step(_some(orders, going), i, batch_size))
                found, gradient = self._measure(stack, members[going], batch, state.steps)
                losses[going, i] = found
                done[going] = i + 1
                finite = np.isfinite(found)
                if not finite.all():
                    self._give(members[going], stack, state)
                    lost = members[going[~finite]]
                    self.parameters[lost] = self.before[lost]
                    going, gradient = going[finite], gradient[finite]
                    if not len(going):
                        return done
                    stack, state = self._take(members[going])
                rates = self.many.rates[members[going], np.newaxis] * factor * self._factors
                self.before[members[going]] = stack.parameters
                state.steps += 1
                self.many.rule.optimizer.step(stack.parameters, gradient, rates.astype(gradient.dtype), state)
        self._give(members[going], stack, state)
        return done

    def evaluate(self, members: Numbers, rows: Rows, orders: Orders) -> npt.NDArray[np.float64]:
        stack, _ = self._take(members)
        loss, activation = self.many.rule.loss, self.network.output_layer.activation
        batch = self._batch(rows, orders)
        values = []
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for start in range(0, batch.inputs.shape[-2], ROWS_AT_ONCE):
                piece = slice(start, start + ROWS_AT_ONCE)
                outputs, seen = batch.inputs[..., piece, :], None
                for layer in stack.layers:
                    outputs, seen = layer.compute(outputs)
                sums = cast("Any", seen).weighted_sums
                values.append(loss.value_at(activation, sums, outputs, batch.targets[..., piece, :]))
            every = np.concatenate(values, axis=-1)
            found: npt.NDArray[np.float64] = (every * loss.row_factors(every.shape[-1], batch.sample_weight)).sum(
                axis=-1, dtype=np.float64
            )
        return found

    def _take(self, members: Numbers) -> tuple[Stack, State]:
        """Return networks, and what the optimizer remembers of them, as copies to work on."""
        state = State(
            {name: vector[members] for name, vector in self.vectors.items()}, int(self.steps_taken[members[0]])
        )
        return Stack(self.network, self.parameters[members]), state

    def _give(self, members: Numbers, stack: Stack, state: State) -> None:
        """Put them back."""
        self.parameters[members] = stack.parameters
        self.steps_taken[members] = state.steps
        for name, vector in state.vectors.items():
            self.vectors[name][members] = vector

    def _batch(self, rows: Rows, orders: Orders) -> Batch:
        """Return the rows of a step: (rows, features) for all networks alike, or (k, rows, features)."""
        if orders is None or isinstance(orders, np.ndarray):
            return rows.spread(self.network.n_outputs, orders)
        which, there = padded(orders)
        batch = rows.spread(self.network.n_outputs, which)
        if there.all():
            return batch
        weight = there.astype(self.parameters.dtype)  # what is not there counts nothing
        return batch._replace(sample_weight=weight if batch.sample_weight is None else weight * batch.sample_weight)

    def _measure(self, stack: Stack, members: Numbers, batch: Batch, step: int) -> tuple[Array, Array]:
        """Return each network's loss of a batch, penalties included, and its gradient, (k, n)."""
        rule, many = self.many.rule, self.many
        gradient = np.zeros_like(stack.parameters)
        views = [blocks_of(self.network, gradient, number) for number in range(len(stack.layers))]
        draw = Draw(cast("int", many.seeds[members, np.newaxis, np.newaxis]), step)
        value = loss_and_gradients(stack, rule.loss, batch, draw, views, self._first).astype(np.float64)
        weigh = np.asarray(batch.inputs.shape[-2] if batch.sample_weight is None else batch.sample_weight.sum(axis=-1))
        share = 1 / np.where(weigh > 0, weigh, 1) if rule.penalty_by_rows else np.ones(1)
        l1, l2 = many.l1[members] * share, many.l2[members] * share
        if l1.any() or l2.any():
            for place in self._penalised:
                w = stack.parameters[:, place]
                value += l1 * np.abs(w).sum(axis=1) + l2 / 2 * (w**2).sum(axis=1)
                gradient[:, place] += (l1[:, np.newaxis] * np.sign(w) + l2[:, np.newaxis] * w).astype(w.dtype)
        gradient *= self._factors != 0
        if rule.clip_norm is not None:
            largest = np.abs(gradient).max(axis=1, keepdims=True)  # scaled by it, no square overflows
            largest[largest == 0] = 1
            norm = largest * np.linalg.norm(gradient / largest, axis=1, keepdims=True)
            gradient *= np.where(norm > rule.clip_norm, rule.clip_norm / norm, 1).astype(gradient.dtype)
        return value, gradient


def _some(orders: Orders, places: Numbers) -> Orders:
    """Return the orders of some of those that there are orders for."""
    return orders if orders is None or isinstance(orders, np.ndarray) else [orders[place] for place in places]


def _of_step(orders: Orders, step: int, batch_size: int | None) -> Orders:
    """Return the rows of one step."""
    if orders is None or batch_size is None:
        return orders
    piece = slice(step * batch_size, (step + 1) * batch_size)
    return orders[piece] if isinstance(orders, np.ndarray) else [each[piece] for each in orders]
