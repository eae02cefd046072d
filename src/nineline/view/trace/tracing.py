"""Makes a trace: follows the reference engine through one step and notes what goes through its hands.

All numbers are the reference's own. `engines.reference.loss_and_gradients` is handed layers that remember what they
were given and what they gave; a Trainer takes the step, on a copy of the network.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from nineline import _checks
from nineline.draws import Draw
from nineline.engines.contract import Rule
from nineline.engines.reference import first_that_learns, loss_and_gradients
from nineline.optimizers import WholeBatchOptimizer
from nineline.training.trainer import Trainer
from nineline.view.trace import backward, forward, updates
from nineline.view.trace.passes import Pass, Passed
from nineline.view.trace.paths import follow, nodes_of
from nineline.view.trace.traces import Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.layers import AbstractLayer, Layer
    from nineline.losses import Loss
    from nineline.network import Network
    from nineline.optimizers import Optimizer
    from nineline.rows import Batch

PARAMETERS_AT_MOST: Final = 200
"""Of a network that is shown as a whole; of a larger one, one path."""


def trace(
    network: Network,
    inputs: Any,
    outputs: npt.ArrayLike,
    *,
    loss: str | Loss | None = None,
    optimizer: str | Optimizer | None = None,
    path: Sequence[int] | None = None,
) -> Trace:
    """Return every step of one iteration of training, with the numbers; `Network.trace` does the same.

    Parameters
    ----------
    network : Network
        It is left as it was.
    inputs, outputs, loss, optimizer, path
        As in `Network.trace`.

    Returns
    -------
    Trace

    Raises
    ------
    ValueError, TypeError
        As in `Network.trace`.

    Examples
    --------
    >>> from nineline import Network
    >>> from nineline.view.trace import trace
    >>> [step.symbol for step in trace(Network(3, 1, rng=0), [0, 1, 1], [1])]
    ['X', 'W0', 'Z0', 'A0', 'Y', 'L', 'E0', 'D0', '∇W0', 'W0′']
    """
    _check_size(network, path)
    whole = whole_trace(network, inputs, outputs, loss=loss, optimizer=optimizer)
    if path is None:
        return whole
    nodes = nodes_of(network, path, len(whole["X"].values))
    return replace(whole, steps=tuple(follow(list(whole.steps), nodes)), path=tuple(nodes))


def whole_trace(
    network: Network,
    inputs: Any,
    outputs: npt.ArrayLike,
    *,
    loss: str | Loss | None = None,
    optimizer: str | Optimizer | None = None,
) -> Trace:
    """Return the trace of a network of any size, of which a number is looked up; to be shown it may be too long.

    Parameters
    ----------
    network, inputs, outputs, loss, optimizer
        As in `trace`.
    """
    rule = Rule(loss, optimizer)
    if isinstance(rule.optimizer, WholeBatchOptimizer):
        raise ValueError(
            f"optimizer is {rule.optimizer.name!r}, which searches for its step and is no formula of one gradient; "
            "a trace takes 'gradient_descent', 'rmsprop', 'adam', 'adamw' or a rule of your own"
        )
    inputs, outputs = _as_rows(network, inputs, outputs, rule.loss)
    twin = network.copy()
    trainer = Trainer(
        twin, loss=rule.loss, optimizer=rule.optimizer, engine="reference", rng=deepcopy(network.rng)
    )  # which draws its seed as the next Trainer of the network would
    batch = trainer.check(inputs, outputs).spread(network.n_outputs)
    batch = batch._replace(inputs=batch.inputs.copy(), targets=batch.targets.copy())  # they stay as they are now
    passed = _follow(network, trainer, batch)
    _, gradient = trainer.gradient(inputs, outputs)
    trainer.step(inputs, outputs)
    passed = replace(passed, gradient=gradient, after=twin, state=trainer.engine.state)
    steps = [*forward.steps(passed), *backward.steps(passed), *updates.steps(passed)]
    return Trace(
        tuple(steps),
        loss=passed.value,
        network=_checks.printable(repr(network), 300),
        rule=_checks.printable(f"loss {rule.loss!r}, optimizer {rule.optimizer!r}".replace(", factors={}", ""), 300),
        notes=(*_reduction(passed), *_still(passed)),
    )


def _check_size(network: Network, path: object) -> None:
    count = len(network.parameters)
    if path is None and count > PARAMETERS_AT_MOST:
        raise ValueError(
            f"the network has {count:,} parameters; a trace shows all steps of {PARAMETERS_AT_MOST} at most. Give "
            "path=(input, output), two numbers from 0, for one path through the network, of one row"
        )


def _as_rows(network: Network, inputs: Any, outputs: Any, loss: Loss) -> tuple[Any, Any]:
    """Return inputs and outputs as rows, where they were those of one row."""
    given, one_row = network.check_rows_or_one(inputs)
    if not one_row:
        return inputs, outputs
    answer = np.atleast_1d(np.asarray(outputs))
    is_class = loss.takes_classes and answer.shape == (1,) and network.n_outputs > 1
    return given, answer if is_class or answer.ndim > 1 else answer[np.newaxis]


def _follow(network: Network, trainer: Trainer, batch: Batch) -> Pass:
    """Go through the reference's pass, with layers that remember."""
    rule = trainer.rule
    factors = rule.factors(network)
    first = first_that_learns(network, factors)
    layers = tuple(_Remembering(layer) for layer in network.layers)
    gradients = [network.views(np.zeros_like(network.parameters), number) for number in range(len(layers))]
    draw = Draw(trainer.engine.seed, 0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        value = loss_and_gradients(cast("Any", _Network(layers)), rule.loss, batch, draw, gradients, first)
    return Pass(
        network=network,
        rule=rule,
        batch=batch,
        layers=tuple(layer.passed for layer in layers),
        value=float(value),
        first=first,
        factors=tuple(factors),
        seed=trainer.engine.seed,
    )


class _Remembering:
    """A layer, as the reference asks it, that remembers what it was given and what it gave."""

    def __init__(self, layer: AbstractLayer) -> None:
        self.layer, self.passed = layer, Passed()

    def compute(self, inputs: Array, draw: Draw | None) -> tuple[Array, Any]:
        outputs, seen = self.layer.compute(inputs, draw)
        self.passed.inputs, self.passed.outputs, self.passed.seen = inputs, outputs, seen
        return outputs, seen

    def backprop(self, seen: Any, output_errors: Array) -> tuple[Array, dict[str, Array]]:
        self.passed.output_errors = output_errors
        return self.layer.backprop(seen, output_errors)

    def updates(self, seen: Any, output_errors: Array) -> dict[str, Array]:
        self.passed.output_errors = output_errors
        return self.layer.updates(seen, output_errors)

    def backprop_delta(self, seen: Any, delta: Array) -> tuple[Array, dict[str, Array]]:
        self.passed.delta = delta
        return cast("Layer", self.layer).backprop_delta(seen, delta)

    @property
    def activation(self) -> Any:
        return cast("Layer", self.layer).activation


@dataclass
class _Network:
    layers: tuple[_Remembering, ...]

    @property
    def output_layer(self) -> _Remembering:
        return self.layers[-1]


def _reduction(passed: Pass) -> list[str]:
    how = "mean" if passed.rule.loss.reduction == "mean" else "sum"
    return [f"The loss is the {how} over the rows: {passed.value:.6g}."]


def _still(passed: Pass) -> list[str]:
    """Return a note on the blocks that do not learn, where there are some."""
    still = [block.name for block, factor in zip(passed.network.blocks, passed.factors, strict=True) if factor == 0]
    return [f"These do not learn, so they have no gradient: {', '.join(still)}."] if still else []
