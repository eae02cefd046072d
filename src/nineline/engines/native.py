"""The native engine: the reference's mathematics in C++ (the folder `native`), for speed.

Here a network, a loss and a rule are put into the engine's words; what it has no word for (an activation, a
loss, a layer or an optimizer written in Python) stays with the reference. ``NINELINE_SIMD`` in the environment,
one of "baseline", "avx2" and "avx512", chooses the instruction set, by default the best that the processor has;
"none" leaves all to the reference.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks
from nineline.activations import ACTIVATIONS, Activation, setting_of
from nineline.layers import Dropout, Layer
from nineline.losses import LOSSES, Huber, Loss, Quantile
from nineline.optimizers import Adam, AdamW, GradientDescent, Optimizer, RMSprop, State

try:
    from nineline.engines import _native
except ImportError:  # installed without a C++ compiler
    _native = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.contract import Task
    from nineline.network import Network


_MOST_THREADS: Final = 64  # a batch is cut into fewer parts than that


class NotNativeError(ValueError):
    """The native engine is not there, or does not know something it was asked for."""


class Native:
    """See `nineline.engines.contract.Engine`."""

    name = "native"

    def __init__(self, network: Network, task: Task, threads: int, state: State | None = None) -> None:
        self.network = network
        self.task = task
        self.threads = min(threads, _MOST_THREADS)
        self.state = task.optimizer.start(network.parameters) if state is None else state
        self.memory = list(self.state.vectors.values())
        self.data = _data(task.inputs, task.targets, task.sample_weight)
        self.model = _module().Model(
            level(),
            network.dtype.name,
            _layers(network, task.optimizer),
            _loss(task.loss),
            _rule(
                task.optimizer,
                l1=task.l1,
                l2=task.l2,
                penalty_by_rows=task.penalty_by_rows,
                clip_norm=task.clip_norm or 0.0,
                seed=task.seed,
            ),
        )

    def steps(self, order: npt.NDArray[np.intp] | None, batch_size: int, rates: npt.NDArray[Any]) -> Array:
        if order is not None:
            order = np.ascontiguousarray(order, np.int64)
        losses = np.empty(len(rates))
        parameters, taken = self.network.parameters, self.state.steps
        done = self.model.steps(
            parameters, self.memory, *self.data, order, batch_size, rates, losses, taken, self.threads
        )
        losses = losses[:done]
        self.state.steps += done if np.isfinite(losses[-1]) else done - 1
        return losses

    def gradient(self, into: Array) -> float:
        return float(self.model.gradient(self.network.parameters, *self.data, into, self.state.steps, self.threads))

    def undo(self) -> None:
        self.model.undo(self.network.parameters)

    def evaluate(self, inputs: Array, targets: Array, sample_weight: Array | None) -> float:
        data = _data(inputs, targets, sample_weight)
        return float(self.model.evaluate(self.network.parameters, *data, self.threads))


def check_known(network: Network, loss: Loss, optimizer: Optimizer) -> None:
    """Raise NotNativeError where the engine is not there, or does not know one of these."""
    level(), _layers(network, optimizer), _loss(loss), _rule(optimizer)


def level() -> str:
    """Return the instruction set in use: the best that the processor has, or what ``NINELINE_SIMD`` says."""
    wanted = os.environ.get("NINELINE_SIMD", "")
    if wanted == "none":
        raise NotNativeError("NINELINE_SIMD is 'none' in the environment, which turns the native engine off")
    levels = _module().levels()
    if wanted and wanted not in levels:
        raise ValueError(f"NINELINE_SIMD is {wanted!r}; expected one of {', '.join(levels)}, or none")
    return wanted or levels[-1]


def answerer(network: Network) -> Callable[[object], Array | None]:
    """Return a function from inputs to the network's outputs; it answers None where the inputs need a closer look.

    It takes arrays of the network's own dtype, C-contiguous, finite, with rows; or raises NotNativeError at once.
    """
    module = _module()
    model = module.Model(
        level(),
        network.dtype.name,
        _layers(network, None),
        module.loss("squared_error"),
        module.rule("gradient_descent"),
    )
    return module.Runner(model, network.parameters, np.empty, min(_checks.threads("threads", None), _MOST_THREADS))


def _module() -> Any:
    if _native is None:
        raise NotNativeError("the native engine was not built; install nineline where there is a C++ compiler")
    return _native


def _data(inputs: Array, targets: Array, sample_weight: Array | None) -> tuple[Array, Array, Array | None]:
    weights = None if sample_weight is None else np.ascontiguousarray(sample_weight)
    return np.ascontiguousarray(inputs), np.ascontiguousarray(targets), weights


_ACTIVATION_NAMES: Final = {kind: name for name, kind in ACTIVATIONS.items()}
_LOSS_NAMES: Final = {kind: name for name, kind in LOSSES.items()}


def _layers(network: Network, optimizer: Optimizer | None) -> list[Any]:
    factors = optimizer.factors if optimizer is not None else {}

    def factor(number: int, kind: str) -> float:
        return factors.get(f"{number}.{kind}", factors.get(kind, 1.0))

    layers: list[Any] = []
    width = network.n_inputs
    for number, layer in enumerate(network.layers):
        if type(layer) is Layer:
            name, setting = _activation(layer.activation)
            layers.append(
                _module().dense(
                    layer.n_inputs,
                    layer.n_outputs,
                    layer.bias is not None,
                    name,
                    setting,
                    factor(number, "weights"),
                    factor(number, "bias"),
                )
            )
            width = layer.n_outputs
        elif type(layer) is Dropout:
            layers.append(_module().dropout(width, layer.rate))
        else:
            raise NotNativeError(f"layer {number} is a {type(layer).__name__}, which the native engine does not know")
    return layers


def _activation(activation: Activation) -> tuple[str, float]:
    if type(activation) not in _ACTIVATION_NAMES:
        raise NotNativeError(f"activation {activation!r} is not known to the native engine")
    return _ACTIVATION_NAMES[type(activation)], setting_of(activation)


def _loss(loss: Loss) -> Any:
    if type(loss) not in _LOSS_NAMES:
        raise NotNativeError(f"loss {loss!r} is not known to the native engine")
    setting = 0.0
    if isinstance(loss, Huber):
        setting = loss.delta
    elif isinstance(loss, Quantile):
        setting = loss.level
    return _module().loss(_LOSS_NAMES[type(loss)], setting, loss.reduction == "mean")


def _rule(rule: Optimizer, **common: float) -> Any:
    if type(rule) is GradientDescent:
        return _module().rule("gradient_descent", momentum=rule.momentum, nesterov=rule.nesterov, **common)
    if type(rule) is RMSprop:
        return _module().rule("rmsprop", beta_2=rule.decay, epsilon=rule.epsilon, **common)
    if type(rule) in (Adam, AdamW):
        assert isinstance(rule, (Adam, AdamW))
        averages = {"beta_1": rule.beta_1, "beta_2": rule.beta_2, "epsilon": rule.epsilon}
        decay = rule.weight_decay if isinstance(rule, AdamW) else 0.0
        return _module().rule("adam", epsilon_hat=rule.epsilon_hat, weight_decay=decay, **averages, **common)
    raise NotNativeError(f"optimizer {rule!r} is not known to the native engine")
