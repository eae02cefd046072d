"""JAX and optax: a whole training is one compiled `lax.scan`.

Compared when this was written: optax's Adam, one written by hand over the tree, and one over a single flat
vector took the same time to within noise, and unrolling the scan only made it compile longer. So it is optax,
not unrolled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from benchmarks.peers.contract import Runner, Trainer

if TYPE_CHECKING:
    from benchmarks.data import Array, Data, Parameters
    from benchmarks.workloads import Workload

_ACTIVATIONS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu, "identity": lambda z: z}


def _forward(workload: Workload, parameters: Any, x: Any) -> Any:
    """Return the outputs; for softmax the weighted sums before it."""
    for number, (weights, bias) in enumerate(parameters):
        x = x @ weights if bias is None else x @ weights + bias
        last = number == len(parameters) - 1
        name = workload.output if last else workload.activation
        if name != "softmax":
            x = _ACTIVATIONS[name](x)
    return x


def _loss(workload: Workload, parameters: Any, x: Any, y: Any) -> Any:
    outputs = _forward(workload, parameters, x)
    if workload.loss == "cross_entropy":
        return optax.softmax_cross_entropy(outputs, y).mean()
    total = 0.5 * jnp.sum((outputs - y) ** 2)
    return total if workload.loss == "squared_error_sum" else total / len(x)


class Jax(Trainer):
    """One jitted scan over all steps: data on the device, batches gathered inside, parameters donated."""

    def __init__(self, workload: Workload, threads: int) -> None:
        super().__init__(workload, threads)
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_enable_x64", workload.dtype == "float64")
        self.rng = np.random.default_rng()
        rate = workload.learning_rate
        rule = optax.adam(rate) if workload.optimizer == "adam" else optax.sgd(rate)

        def train(parameters: Any, x: Any, y: Any, order: Any, steps: int) -> Any:
            def step(carry: Any, rows: Any) -> Any:
                parameters, state = carry
                batch = (x, y) if rows is None else (x[rows], y[rows])
                gradients = jax.grad(_loss, argnums=1)(workload, parameters, *batch)
                updates, state = rule.update(gradients, state, parameters)
                return (optax.apply_updates(parameters, updates), state), None

            start = parameters, rule.init(parameters)
            return jax.lax.scan(step, start, order, length=steps)[0][0]

        self.compiled = jax.jit(train, static_argnames="steps", donate_argnums=0)

    def load(self, data: Data) -> None:
        self.data = data
        self.x, self.y = jax.device_put((data.inputs, data.targets))

    def train(self, epochs: int, *, shuffle: bool) -> Parameters:
        workload, rows = self.workload, len(self.x)
        order = None
        if workload.batch is not None:
            orders = [self.rng.permutation(rows) if shuffle else np.arange(rows) for _ in range(epochs)]
            order = np.concatenate(orders).astype(np.int32).reshape(-1, workload.batch)
        steps = epochs if order is None else len(order)
        parameters = jax.device_put(self.data.parameters, may_alias=False)
        learned = self.compiled(parameters, self.x, self.y, order, steps)
        return jax.tree.map(np.asarray, learned)


class JaxStep(Trainer):
    """One jitted Adam step a call, its loss fetched, on batches that are on the device already.

    Compared when this was written: a single flat vector and donated arrays, Adam by hand and `np.asarray` for the loss
    were the fastest; optax's Adam on the tree took half as long again.
    """

    def __init__(self, workload: Workload, threads: int) -> None:
        super().__init__(workload, threads)
        jax.config.update("jax_platforms", "cpu")

    def load(self, data: Data) -> None:
        self.batches = jax.device_put(data.batches(self.workload.batch_rows))
        self.start, self.spread = ravel_pytree(data.parameters)

        def step(p: Any, mean: Any, square: Any, count: Any, x: Any, y: Any) -> Any:
            loss, g = jax.value_and_grad(lambda p: _loss(self.workload, self.spread(p), x, y))(p)
            count += 1
            mean = 0.9 * mean + 0.1 * g
            square = 0.999 * square + 0.001 * g**2
            move = mean / (1 - 0.9**count) / (jnp.sqrt(square / (1 - 0.999**count)) + 1e-8)
            return p - self.workload.learning_rate * move, mean, square, count, loss

        self.step = jax.jit(step, donate_argnums=(0, 1, 2, 3))

    def train(self, epochs: int, *, shuffle: bool) -> Parameters:
        step = self.step
        p, mean, square = self.start.copy(), jnp.zeros_like(self.start), jnp.zeros_like(self.start)
        count = jnp.float32(0)
        for _ in range(epochs):
            for x, y in self.batches:
                p, mean, square, count, loss = step(p, mean, square, count, x, y)
                np.asarray(loss)
        return jax.tree.map(np.asarray, self.spread(p))


class JaxRow(Runner):
    """A jitted function with the weights compiled into it."""

    def __init__(self, workload: Workload, threads: int) -> None:
        super().__init__(workload, threads)
        jax.config.update("jax_platforms", "cpu")

    def load(self, data: Data) -> None:
        self.row = jax.device_put(data.inputs[0])
        self.compiled = jax.jit(lambda x: _forward(self.workload, data.parameters, x))

    def run(self, calls: int) -> Array:
        compiled, row = self.compiled, self.row
        for _ in range(calls):
            outputs = compiled(row).block_until_ready()
        return np.asarray(outputs)
