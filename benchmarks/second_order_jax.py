"""Levenberg and Marquardt's method in JAX, and Jacobians of a network by its inputs: float64, on the processor.

Compared when this was written, on 41 to 1,030 rows: of JAX's own derivatives, `jacrev` of one row under `vmap` was the
fastest on all but the smallest problem; backpropagation written out was faster still, which no automatism finds, since
it shares the forward pass between outputs and makes ``J'`` in the order of memory that the product ``J'J`` likes best.
Both are here; on each problem the better one counts.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)

_DAMPING: Final = 1e-3, 1e-20, 1e10
"""At first, at least, at most: the defaults of `nineline.LevenbergMarquardt`."""


def layers(sizes: Sequence[int], parameters: Any) -> list[tuple[Any, Any]]:
    """Return weights (inputs, outputs) and bias of each layer; they lie as in `Network.parameters`."""
    found, end = [], 0
    for before, after in pairwise(sizes):
        weights = parameters[end : end + before * after].reshape(before, after)
        end += (before + 1) * after
        found.append((weights, parameters[end - after : end]))
    return found


def forward(sizes: Sequence[int], parameters: Any, inputs: Any) -> list[Any]:
    """Return the inputs of each layer and the outputs, for one row or many."""
    seen = [inputs]
    for weights, bias in layers(sizes, parameters):
        z = seen[-1] @ weights + bias
        seen.append(jnp.tanh(z) if len(seen) < len(sizes) - 1 else z)
    return seen


def automatic(sizes: Sequence[int], parameters: Any, inputs: Any) -> Any:
    """Return the derivatives of the outputs by the parameters, (parameters, rows * outputs), as JAX finds them."""
    of_a_row = jax.jacrev(lambda parameters, row: forward(sizes, parameters, row)[-1])
    return jax.vmap(of_a_row, (None, 0))(parameters, inputs).reshape(-1, len(parameters)).T


def by_hand(sizes: Sequence[int], parameters: Any, inputs: Any) -> Any:
    """Return the same, written out."""
    rows, outputs = len(inputs), sizes[-1]
    seen, known = forward(sizes, parameters, inputs), layers(sizes, parameters)
    errors = jnp.broadcast_to(jnp.eye(outputs)[:, None], (outputs, rows, outputs))  # (nodes, rows, outputs)
    blocks: list[Any] = []
    for number in reversed(range(len(known))):
        by_weights = seen[number].T[:, None, :, None] * errors
        blocks = [by_weights.reshape(-1, rows, outputs), errors, *blocks]
        if number:
            errors = jnp.einsum("io,ork->irk", known[number][0], errors) * (1 - seen[number] ** 2).T[:, :, None]
    return jax.lax.optimization_barrier(jnp.concatenate(blocks).reshape(-1, rows * outputs))


class _State(NamedTuple):
    """Where a training is: see `nineline.training.levenberg_marquardt`."""

    parameters: Any
    residuals: Any
    loss: Any
    gradient: Any
    matrix: Any  # J'J; J' where there are fewer residuals than parameters
    scaling: Any
    damping: Any
    growth: Any
    taken: Any


def levenberg_marquardt(sizes: Sequence[int], iterations: int, slopes: Callable[..., Any]) -> Any:
    """Return a compiled function of parameters, inputs, targets and a goal, which returns parameters and iterations.

    Nielsen's damping of the largest diagonal of ``J'J`` so far, but at least its mean: what ours does, step by step.
    """

    def train(start: Any, inputs: Any, targets: Any, goal: Any) -> Any:
        root = jnp.sqrt(len(inputs))
        is_wide = targets.size < start.size

        def measure(parameters: Any) -> tuple[Any, Any]:
            residuals = ((forward(sizes, parameters, inputs)[-1] - targets) / root).ravel()
            return residuals, residuals @ residuals / 2

        def derive(parameters: Any, residuals: Any, scaling: Any) -> tuple[Any, Any, Any]:
            transposed = slopes(sizes, parameters, inputs) / root
            matrix = transposed if is_wide else transposed @ transposed.T
            diagonal = (transposed**2).sum(axis=1) if is_wide else jnp.diagonal(matrix)
            return transposed @ residuals, matrix, jnp.maximum(scaling, diagonal)

        def solve(now: _State, added: Any) -> Any:
            if not is_wide:
                return -cho_solve(cho_factor(now.matrix + jnp.diag(added)), now.gradient)
            scaled = now.matrix / added[:, None]
            small = jnp.eye(targets.size) + now.matrix.T @ scaled
            return -scaled @ cho_solve(cho_factor(small), now.residuals)

        def goes_on(now: _State) -> Any:
            return (now.loss > goal) & (now.taken < iterations) & (now.damping <= _DAMPING[2])

        def attempt(now: _State) -> _State:
            added = now.damping * jnp.maximum(now.scaling, now.scaling.mean())
            step = solve(now, added)
            there = now.parameters + step
            residuals, loss = measure(there)

            def accept() -> _State:
                share = (now.loss - loss) / (step @ (added * step - now.gradient) / 2)
                damping = jnp.maximum(now.damping * jnp.maximum(1 / 3, 1 - (2 * share - 1) ** 3), _DAMPING[1])
                derived = derive(there, residuals, now.scaling)
                return _State(there, residuals, loss, *derived, damping, 2.0, now.taken + 1)

            def reject() -> _State:
                return now._replace(damping=now.damping * now.growth, growth=now.growth * 2)

            return jax.lax.cond(loss < now.loss, accept, reject)

        residuals, loss = measure(start)
        derived = derive(start, residuals, jnp.zeros_like(start))
        first = _State(start, residuals, loss, *derived, _DAMPING[0], 2.0, 0)
        last = jax.lax.while_loop(goes_on, attempt, first)
        return last.parameters, last.taken

    return jax.jit(train)


def jacobians(sizes: Sequence[int], parameters: Any, inputs: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what computes ``d outputs / d inputs`` of the first row, and of all; weights compiled in, rows there."""
    known = jax.device_put(parameters)
    row, rows = jax.device_put((inputs[0], inputs))
    of_a_row = jax.jacrev(lambda row: forward(sizes, known, row)[-1])
    one, many = jax.jit(of_a_row), jax.jit(jax.vmap(of_a_row))
    return lambda: one(row).block_until_ready(), lambda: many(rows).block_until_ready()
