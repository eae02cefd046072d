"""The loss around a network's parameters to second order, by Gauss and Newton, in NumPy: meant to be read.

With residuals c, one for each output of each row, and J their derivatives by the parameters, the gradient is ``J'c``
and the Hessian about ``J'J``: what the network itself bends is left out, so that no step by it goes uphill. What
residuals are is the loss's to say (`Loss.residuals`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.engines.contract import Measured, Trial
from nineline.layers import compute_chain

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.contract import Rule
    from nineline.network import Network
    from nineline.rows import Batch, Rows

_NUMBERS_AT_ONCE: Final = 2**20  # of J
_quietly: Final = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # what diverges is found by its loss


def _solve_by_root(root: Array, right: Array) -> Array:
    """Return the solution x of ``root @ root.T @ x = right``, root being a lower triangle."""
    return np.linalg.solve(root.T, np.linalg.solve(root, right))


class ReferenceCurvature:
    """See `nineline.engines.contract.Curvature`; `learns` says of each parameter whether it does."""

    def __init__(self, network: Network, rule: Rule, rows: Rows, learns: npt.NDArray[np.bool_]) -> None:
        self.network, self.rule, self.rows = network, rule, rows
        self._learns = np.flatnonzero(learns)
        learning = [block for block in network.blocks if learns[block.place].any()]
        self._first = min((block.layer for block in learning), default=len(network.layers) - 1)
        penalised = np.zeros(len(learns), bool)
        for block in network.blocks:
            penalised[block.place] = block.penalised
        weigh = rows.weigh()
        share = 1 / weigh if rule.penalty_by_rows and weigh > 0 else 1.0
        self._l2 = rule.l2 * share * penalised[learns]
        self._factors = np.broadcast_to(rule.loss.row_factors(len(rows), rows.sample_weight), len(rows))
        self._is_wide = len(rows) * network.n_outputs < len(self._learns)
        """Whether J has more columns than rows: then ``JJ'`` is smaller than ``J'J``, and J is kept."""
        self._jacobian: Array = np.empty(0)
        self._residuals: Array = np.empty(0)
        self._matrix: Array = np.empty(0)
        self._gradient: Array = np.empty(0)
        self._point: Array = np.empty(0)
        self.scaling = np.zeros(len(self._learns))

    @property
    def size(self) -> int:
        return len(self._learns)

    @_quietly
    def measure(self, decay: float) -> Measured:
        network = self.network
        self._point = network.parameters[self._learns]
        matrix, gradient = np.zeros((self.size, self.size) if not self._is_wide else 0), np.zeros(self.size)
        kept, value = [], 0.0
        for jacobian, residuals, loss in self._pieces():
            value += loss
            gradient += residuals @ jacobian
            if self._is_wide:
                kept.append((jacobian, residuals))
            else:
                matrix += jacobian.T @ jacobian
        if self._is_wide:
            self._jacobian = np.concatenate([jacobian for jacobian, _ in kept])
            self._residuals = np.concatenate([residuals for _, residuals in kept])
            diagonal = (self._jacobian**2).sum(axis=0)
            self._matrix = self._jacobian @ self._jacobian.T
        else:
            self._matrix = self.over_all(matrix)
            diagonal = self._matrix.diagonal()
        self._gradient = self.over_all(gradient) + self._l2 * self._point
        value = float(self.over_all(np.array([value]))[0])
        np.maximum(self.scaling, diagonal, out=self.scaling)
        steepest = float(np.abs(self._gradient + decay * self._point).max(initial=0))
        return Measured(value + self._penalty(self._point), float(self._point @ self._point), steepest)

    @_quietly
    def step(self, damping: float, decay: float) -> Trial | None:
        damped = damping * np.maximum(self.scaling, self.scaling.mean())
        step = self.solve(damped + self._l2 + decay, decay)
        if step is None or not np.isfinite(step).all():
            return None
        slope = self._gradient + decay * self._point
        foreseen = float(step @ (damped * step - slope)) / 2
        there = self._point + step
        self.network.parameters[self._learns] = there
        return Trial(foreseen, self._loss(), float(there @ there))

    def back(self) -> None:
        self.network.parameters[self._learns] = self._point

    def effective_parameters(self, decay: float) -> float:
        count = len(self._matrix)
        try:
            root = np.linalg.cholesky(self._matrix + decay * np.eye(count))
        except np.linalg.LinAlgError:
            return float(count)
        return count - decay * float((np.linalg.inv(root) ** 2).sum())

    def over_all(self, array: Array) -> Array:
        """Return the sum of what is summed over rows, where there are more than these."""
        return array

    def solve(self, added: Array, decay: float) -> Array | None:
        """Return minus ``(J'J + diag(added))`` inverse times the gradient; None where that is not to be had."""
        try:
            if not self._is_wide:
                root = np.linalg.cholesky(self._matrix + np.diag(added))
                return -_solve_by_root(root, self._gradient + decay * self._point)
            # The same by the smaller matrix: with E = diag(added) and w the penalties' part of the gradient,
            # E⁻¹ (J' (1 + J E⁻¹ J')⁻¹ (c - J E⁻¹ w) + w)
            scaled = self._jacobian / added
            root = np.linalg.cholesky(np.eye(len(scaled)) + scaled @ self._jacobian.T)
            penalties = (self._l2 + decay) * self._point
            inner = _solve_by_root(root, self._residuals - scaled @ penalties)
            return -(inner @ self._jacobian + penalties) / added
        except np.linalg.LinAlgError:
            return None

    def _loss(self) -> float:
        """Return the loss where the parameters are, penalties of the rule included."""
        value = sum(self._value(piece, batch, seen) for piece, batch, seen in self._forward())
        return float(self.over_all(np.array([value]))[0]) + self._penalty(self.network.parameters[self._learns])

    def _value(self, piece: slice, batch: Batch, seen: list[Any]) -> float:
        """Return what a piece of the rows adds to the loss."""
        at = self.network.output_layer.activation, seen[-1].weighted_sums, seen[-1].outputs, batch.targets
        return float(self.rule.loss.value_at(*at) @ self._factors[piece])

    def _penalty(self, parameters: Array) -> float:
        return float(self._l2 @ parameters**2) / 2

    def _forward(self) -> Iterator[tuple[slice, Batch, list[Any]]]:
        """Run the rows forward a piece at a time: which they are, themselves, and what each layer saw."""
        step = max(1, _NUMBERS_AT_ONCE // (len(self.network.parameters) * self.network.n_outputs))
        for start in range(0, len(self.rows), step):
            piece = slice(start, min(start + step, len(self.rows)))
            batch = self.rows.spread(self.network.n_outputs, piece)
            yield piece, batch, compute_chain(self.network.layers, batch.inputs)[1]

    def _pieces(self) -> Iterator[tuple[Array, Array, float]]:
        """Yield for a piece of the rows J, (rows * outputs, learning parameters), c, and the loss."""
        network, last = self.network, self.network.output_layer
        for piece, batch, seen in self._forward():
            z, outputs, root = seen[-1].weighted_sums, seen[-1].outputs, np.sqrt(self._factors[piece])[:, np.newaxis]
            residuals, by_sums = self.rule.loss.residuals(last.activation, z, outputs, batch.targets)
            jacobian = np.zeros((len(z), network.n_outputs, len(network.parameters)))
            for output in range(network.n_outputs):
                self._carry_back(seen, root * by_sums[:, output], jacobian[:, output])
            found = jacobian[:, :, self._learns].reshape(-1, self.size)
            yield found, (root * residuals).reshape(-1), self._value(piece, batch, seen)

    def _carry_back(self, seen: list[Any], delta: Array, into: Array) -> None:
        """Write the updates of each row, (rows, parameters), that errors of the last weighted sums lead to."""
        layers, last = self.network.layers, self.network.output_layer
        self._write(len(layers) - 1, last.row_updates_delta(seen[-1], delta), into)
        errors, _ = last.backprop_delta(seen[-1], delta)
        for number in reversed(range(self._first, len(layers) - 1)):
            self._write(number, layers[number].row_updates(seen[number], errors), into)
            if number > self._first:
                errors, _ = layers[number].backprop(seen[number], errors)

    def _write(self, number: int, updates: dict[str, Array], into: Array) -> None:
        for block in self.network.blocks:
            if block.layer == number:
                into[:, block.place] = updates[block.name.partition(".")[2]].reshape(len(into), -1)
