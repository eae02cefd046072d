"""The native engine: the reference's mathematics in C++ (the folder `native`), for speed.

Here a network and a rule are put into the engine's words; what it has no word for (an activation, a
loss, a layer or an optimizer written in Python) stays with the reference. ``NINELINE_SIMD`` in the environment,
one of "baseline", "avx2" and "avx512", chooses the instruction set, by default the best that the processor has;
on 64-bit Arm that is "neon". "none" leaves all to the reference.
"""

from __future__ import annotations

import functools
import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from nineline import _checks
from nineline.activations import ACTIVATIONS, Activation, setting_of
from nineline.draws import Draw
from nineline.engines.contract import Rule
from nineline.layers import AbstractLayer, Dropout, Embedding, Layer, LayerNorm, Residual
from nineline.losses import LOSSES, Loss, OutputErrors
from nineline.optimizers import Adam, AdamW, GradientDescent, Optimizer, RMSprop
from nineline.rows import Compact, LevelPart, NumberPart, Sparse

try:
    from nineline.engines import _native
except ImportError:  # installed without a C++ compiler
    _native = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.contract import Curvature
    from nineline.network import Network
    from nineline.optimizers import State
    from nineline.rows import Encoding, Inputs, Rows


_MOST_THREADS: Final = 64  # a batch is parted into fewer than that


class NotNativeError(ValueError):
    """The native engine is not there, or does not know something it was asked for."""


class Native:
    """See `nineline.engines.contract.Engine`.

    Parameters and what the optimizer remembers are kept in C++ from call to call. The network's own vector is compared
    with them at the beginning of each call and written at its end; the optimizer's memory crosses over when it is asked
    for. Vectors of an embedding are the exception: they lie in the network's own vector alone, and are moved there.

    Attributes
    ----------
    quick_step : callable
        ``quick_step(inputs, targets, rate)`` takes one step on all rows of plain arrays, and returns their loss before
        it: not finite where no step was taken, None where the arrays need a second look.
    """

    name = "native"
    converged = ""
    records: Mapping[str, list[float]] = MappingProxyType({})

    def __init__(self, network: Network, rule: Rule, threads: int) -> None:
        self.network, self.rule = network, rule
        threads = min(threads, _MOST_THREADS)
        said = _layout(network), _loss(rule.loss), _rule(rule), network.parameters, threads, rule.factors(network)
        self._said = said  # in the engine's words
        self._training = _module().Training(*said)
        self._other: tuple[Loss | None, Any] = None, None  # a loss that a gradient was asked for, and its spec
        self.quick_step: Callable[[object, object, float], float | None] = self._training.step

    @property
    def threads(self) -> int:
        """How many threads a call may use at most; the results are the same bits for any number."""
        return int(self._training.threads)

    @threads.setter
    def threads(self, threads: int) -> None:
        self._training.threads = min(threads, _MOST_THREADS)

    @property
    def state(self) -> State:
        state = self.rule.optimizer.start(self.network.parameters)
        self._training.read(list(state.vectors.values()))
        state.steps = self.steps_taken
        return state

    @property
    def steps_taken(self) -> int:
        return int(self._training.steps_taken)

    @property
    def seed(self) -> int:
        return int(self._training.seed)

    def reseed(self, seed: int) -> None:
        self._training.seed = seed

    def restore(self, state: State, before: Array) -> None:
        vectors = [np.ascontiguousarray(vector) for vector in state.vectors.values()]
        self._training.write(vectors, np.ascontiguousarray(before), state.steps)

    def steps(
        self, rows: Rows, order: npt.NDArray[np.intp] | None, batch_size: int, rates: npt.NDArray[np.float64]
    ) -> Array:
        if order is not None:
            order = np.ascontiguousarray(order, np.int64)
        losses = np.empty(len(rates))
        done = self._training.steps(
            *hand_over_rows(rows), order, batch_size, np.ascontiguousarray(rates, np.float64), losses
        )
        return losses[:done]

    def steps_with_others(
        self,
        rows: Rows,
        order: npt.NDArray[np.intp] | None,
        batch_size: int,
        rates: npt.NDArray[np.float64],
        add_up: Callable[[Array], None],
        mean: bool,
    ) -> Array:
        """Take steps as `steps` does, each by a gradient that is added up with those of others.

        Not with penalties, and with a loss that is a sum over rows. The last step cannot be taken back.

        Parameters
        ----------
        rows, order, batch_size, rates
            As `steps` takes them. There may be no rows; and in an order -1 behind the rows of a batch, which is no row.
        add_up : function of an array
            Called at each step with the gradient, as it lies here, with that of vectors behind it, the loss, what the
            rows weigh, and a number of its own. It adds up in place.
        mean : bool
            Whether loss and gradient are then divided by what all rows weigh.
        """
        if order is not None:
            order = np.ascontiguousarray(order, np.int64)
        losses = np.empty(len(rates))
        rates = np.ascontiguousarray(rates, np.float64)
        done = self._training.steps(*hand_over_rows(rows), order, batch_size, rates, losses, add_up, mean)
        return losses[:done]

    def gradient(
        self, rows: Rows, into: Array, loss: Loss | None = None, which: npt.NDArray[np.intp] | None = None
    ) -> float:
        if which is not None:
            which = np.ascontiguousarray(which, np.int64)
        if loss is not self._other[0]:
            self._other = loss, None if loss is None else _loss(loss)
        return float(self._training.gradient(*hand_over_rows(rows), into, self._other[1], which))

    def move(self, gradient: Array, rate: float) -> None:
        self._training.move(gradient, rate)

    def before(self) -> Array:
        parameters = np.empty_like(self.network.parameters)
        self._training.before(parameters)
        return parameters

    def undo(self) -> None:
        if not self._training.undo():
            raise RuntimeError("there is no step to take back")

    def evaluate(self, rows: Rows) -> float:
        return float(self._training.evaluate(*hand_over_rows(rows)))

    def parameters(self) -> Array:
        return self.network.parameters

    def curvature(self, rows: Rows) -> Curvature:
        return cast("Curvature", _module().Curvature(*self._said, *hand_over_rows(rows)))


def level() -> str:
    """Return the instruction set in use: the best that the processor has, or what ``NINELINE_SIMD`` says."""
    wanted = os.environ.get("NINELINE_SIMD", "")
    if wanted == "none":
        raise NotNativeError("NINELINE_SIMD is 'none' in the environment, which turns the native engine off")
    levels = _levels(_module())
    if wanted and wanted not in levels:
        raise ValueError(f"NINELINE_SIMD is {wanted!r}; expected one of {', '.join(levels)}, or none")
    return wanted or levels[-1]


@functools.cache
def _levels(module: Any) -> list[str]:
    return list(module.levels())


def answerer(network: Network) -> Callable[..., Array | None]:
    """Return a function from inputs to the network's outputs; it answers None where the inputs need a closer look.

    It takes arrays of the network's own dtype, C-contiguous, finite, with rows; as a second argument it may be given an
    array to write the outputs into, of their shape. `answer_rows` asks it for rows of another layout. Raises
    NotNativeError where the engine does not know the network.
    """
    threads = min(_checks.threads("threads", None), _MOST_THREADS)
    return _module().Runner(_layout(network), network.parameters, np.empty, threads)


def answer_rows(answer: Any, inputs: Sparse | Compact, out: Array) -> Array | None:
    """Write the outputs for rows that are no array into `out`; None where `answer` is not the native engine's."""
    if not hasattr(answer, "rows"):
        return None
    outputs: Array | None = answer.rows(_hand_over(inputs), out)
    return outputs


def many_of(network: Network, rule: Rule | None) -> Any:
    """Return the engine's door to many networks like this one; without a rule they can only answer.

    Raises NotNativeError where the engine does not know the network or the rule.
    """
    rule = rule or Rule()
    return _module().Many(_layout(network), _loss(rule.loss), _rule(rule), rule.factors(network))


LANE_VECTORS: Final = 2
"""How many vectors a number of many networks takes: `vectors` in native/lanes.hpp."""


def vector_bytes() -> int:
    """Return how wide the vectors of the instruction set in use are."""
    return {"avx512": 64, "avx2": 32}.get(level(), 16)


def _module() -> Any:
    if _native is None:
        raise NotNativeError("the native engine was not built; install nineline where there is a C++ compiler")
    return _native


def hand_over_rows(rows: Rows) -> tuple[Any, Any, Any]:
    """Return rows as the engine takes them."""
    weights = rows.sample_weight
    targets = np.ascontiguousarray(rows.targets)
    return _hand_over(rows.inputs), targets, None if weights is None else np.ascontiguousarray(weights)


def _hand_over(inputs: Inputs) -> Any:
    """Return inputs of any layout as the engine takes them."""
    if isinstance(inputs, Sparse):
        return inputs
    if isinstance(inputs, Compact):
        lying = np.ascontiguousarray(inputs.numbers), np.ascontiguousarray(inputs.levels)
        return (*lying, _encoding(inputs.encoding))
    return np.ascontiguousarray(inputs)


@functools.lru_cache(64)
def _encoding(encoding: Encoding) -> Any:
    """Return what compact rows become in the engine's words."""
    made = _module().Encoding(encoding.width)
    parts: list[tuple[int, NumberPart | LevelPart]] = [*enumerate(encoding.numbers), *enumerate(encoding.levels)]
    for column, part in sorted(parts, key=lambda each: each[1].place):
        if isinstance(part, NumberPart):
            made.add_number(column, part.place, part.edges, part.bent, part.missing)
        else:
            made.add_level(column, part.place, part.levels if part.one_hot else 0)
    return made


def _layout(network: Network) -> Any:
    """Return how the engine lays a network out, for the instruction set of now. It is kept with the network."""
    kept = network.kept_by_engines
    if kept.get("level") != level():
        kept["layout"], kept["level"] = _new_layout(network), level()
    return kept["layout"]


def _new_layout(network: Network) -> Any:
    specs: list[Any] = []
    width = network.n_inputs
    for number, layer in enumerate(network.layers):
        _add(specs, layer, width, Draw(0, 0).of_layer(number))
        width = layer.connect(width)
    return _module().Layout(level(), "float32" if network.dtype == np.float32 else "float64", specs)


def _add(specs: list[Any], layer: AbstractLayer, width: int, place: Draw) -> None:
    """Add a layer that is given so many inputs in the engine's words."""
    if type(layer) not in _LAYERS:
        raise NotNativeError(f"a {type(layer).__name__} is a layer that the native engine does not know")
    _LAYERS[type(layer)](specs, layer, width, place)


def _dense(specs: list[Any], layer: Any, width: int, place: Draw) -> None:
    name, setting = _activation(layer.activation)
    specs.append(_module().dense(width, layer.n_outputs, layer.bias is not None, name, setting))


def _dropout(specs: list[Any], layer: Any, width: int, place: Draw) -> None:
    specs.append(_module().dropout(width, layer.rate, place.layer))


def _embedding(specs: list[Any], layer: Any, width: int, place: Draw) -> None:
    specs.append(_module().embedding(width, layer.levels, layer.widths))


def _layer_norm(specs: list[Any], layer: Any, width: int, place: Draw) -> None:
    specs.append(_module().layer_norm(width, layer.epsilon))


def _residual(specs: list[Any], layer: Any, width: int, place: Draw) -> None:
    """Its layers one behind the other, and the sum of what comes out of them and what went in."""
    before = len(specs) - 1
    given = width
    for number, each in enumerate(layer.layers):
        _add(specs, each, given, place.inside(number))
        given = each.connect(given)
    specs.append(_module().shortcut(width, before))


_LAYERS: Final[dict[type[AbstractLayer], Callable[[list[Any], Any, int, Draw], None]]] = {
    Layer: _dense,
    Dropout: _dropout,
    Embedding: _embedding,
    LayerNorm: _layer_norm,
    Residual: _residual,
}
"""How each kind, which is given so many inputs, is put into the engine's words."""


def _activation(activation: Activation) -> tuple[str, float]:
    if ACTIVATIONS.get(activation.name) is not type(activation):
        raise NotNativeError(f"activation {activation!r} is not known to the native engine")
    return activation.name, setting_of(activation)


def _loss(loss: Loss) -> Any:
    if type(loss) not in (LOSSES.get(loss.name), OutputErrors):
        raise NotNativeError(f"loss {loss!r} is not known to the native engine")
    given = [value for setting, value in vars(loss).items() if setting != "reduction"]  # one at most
    setting = {"settings" if isinstance(value, tuple) else "setting": value for value in given}
    return _module().loss(loss.name, mean=loss.reduction == "mean", **setting)


def _rule(rule: Rule) -> Any:
    name, constants = _constants(rule.optimizer)
    return _module().rule(
        name,
        **constants,
        l1=rule.l1,
        l2=rule.l2,
        penalty_by_rows=rule.penalty_by_rows,
        clip_norm=rule.clip_norm or 0.0,
        seed=rule.seed,
    )


def _constants(optimizer: Optimizer) -> tuple[str, dict[str, float]]:
    """Return the engine's name for a kind of optimizer, and its constants there."""
    if type(optimizer) not in _OPTIMIZERS:
        raise NotNativeError(f"optimizer {optimizer!r} is not known to the native engine")
    return _OPTIMIZERS[type(optimizer)](optimizer)


def _gradient_descent(optimizer: Any) -> tuple[str, dict[str, float]]:
    if optimizer.momentum == 0:
        return "gradient_descent", {}
    return "momentum", {"momentum": optimizer.momentum, "nesterov": optimizer.nesterov}


def _rmsprop(optimizer: Any) -> tuple[str, dict[str, float]]:
    return "rmsprop", {"beta_2": optimizer.decay, "epsilon": optimizer.epsilon}


def _adam(optimizer: Any) -> tuple[str, dict[str, float]]:
    same = ("beta_1", "beta_2", "epsilon", "epsilon_hat")
    return "adam", {name: getattr(optimizer, name) for name in same} | {
        "weight_decay": getattr(optimizer, "weight_decay", 0.0)
    }


_OPTIMIZERS: Final[dict[type[Optimizer], Callable[[Any], tuple[str, dict[str, float]]]]] = {
    GradientDescent: _gradient_descent,
    RMSprop: _rmsprop,
    Adam: _adam,
    AdamW: _adam,
}
