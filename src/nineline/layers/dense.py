"""The dense layer, in which the tutorial's nine lines are found again.

Forward is ``l1 = sigmoid(X @ syn0)``; backward is ``l1_delta = l1_error * l1 * (1 - l1)``, ``syn0 += X.T @ l1_delta``,
and ``l1_delta @ syn0.T`` for the layer before.

Errors point downhill: they are target − output, minus the gradient of the loss. Everything here is linear in
them, so a loss's gradient fed in place of the errors gives gradients in place of steps; training does that
and leaves the step to the optimizer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self, final

import numpy as np

from nineline import _checks
from nineline.activations import (
    ACTIVATIONS,
    Activation,
    Identity,
    Sigmoid,
    describe_activation,
    rebuild_activation,
)
from nineline.initializers import (
    INITIALIZERS,
    Initializer,
    Uniform,
    describe_initializer,
    rebuild_initializer,
)
from nineline.layers.contract import AbstractLayer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from nineline._typing import Array, RandomSource
    from nineline.draws import Draw


class Seen(NamedTuple):
    """What a dense layer saw: ``outputs = activation(weighted_sums)``, ``weighted_sums = inputs @ weights + bias``."""

    inputs: Array
    weighted_sums: Array
    outputs: Array


@final
class Layer(AbstractLayer):
    """A dense layer: ``outputs = activation(inputs @ weights + bias)``.

    Parameters
    ----------
    inputs, outputs : int
        The widths, n and m in the tutorial; both at least 1.
    activation : str, Activation or bool
        One of `nineline.activations.ACTIVATIONS` or an object. True and False are the tutorial's
        ``sigmoid=True`` and ``sigmoid=False``.
    sigmoid : bool, optional
        The tutorial's spelling: True for "sigmoid", False for "identity", weights uniform in [-1, 1).
    bias : bool
        Whether the layer adds a bias, which begins at 0.
    initializer : str or Initializer, optional
        One of `nineline.initializers.INITIALIZERS` or an object. By default the tutorial's layer (sigmoid,
        no bias) begins uniform in [-1, 1); any other begins as is customary for its activation.
    rng : int, numpy.random.Generator or None
        Where the weights are drawn from; None is NumPy's global state.
    dtype : float32 or float64
    learning_rate : float
        How far `backward` moves the weights. Training does not use it: its optimizer has its own.
    trainable : bool
        Whether the layer learns. False freezes it: its gradient is not even computed.

    Attributes
    ----------
    weights : array, (n_inputs, n_outputs)
    bias : array, (n_outputs,), or None
    inputs, outputs : array or None
        What the last forward pass took and gave.

    Examples
    --------
    The tutorial's session with two layers:

    >>> import numpy as np
    >>> from nineline import Layer
    >>> X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    >>> y = np.array([[0], [1], [1], [0]])
    >>> layer1, layer2 = Layer(3, 6, rng=1), Layer(6, 1, rng=2)
    >>> for trial in range(10000):
    ...     errors = y - layer2.forward(layer1.forward(X))
    ...     layer1_errors = layer2.backward(errors)
    ...     inputs_errors = layer1.backward(layer1_errors)
    >>> layer2.outputs.round(1).ravel()
    array([0., 1., 1., 0.])
    """

    kind = "dense"
    stacks = True
    n_inputs: int
    n_outputs: int
    seen: Seen | None = None

    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: str | Activation | bool | None = None,
        *,
        sigmoid: bool | None = None,
        bias: bool = False,
        initializer: str | Initializer | None = None,
        rng: RandomSource = None,
        dtype: npt.DTypeLike = np.float64,
        learning_rate: float = 1.0,
        trainable: bool = True,
    ) -> None:
        shape = _checks.positive_integer("inputs", inputs), _checks.positive_integer("outputs", outputs)
        if sigmoid is not None and activation is not None:
            raise TypeError(f"activation is {activation!r} and sigmoid is {sigmoid}; give one of the two")
        if isinstance(activation, (bool, np.bool_)):
            sigmoid, activation = bool(activation), None
        if sigmoid is not None:
            activation = Sigmoid() if _checks.boolean("sigmoid", sigmoid) else Identity()
            initializer = Uniform() if initializer is None else initializer
        bias = _checks.boolean("bias", bias, " (set the values afterwards: layer.bias = ...)")
        numbers = _checks.floating_dtype("dtype", dtype)
        self._begin(
            np.empty(shape, numbers),
            np.empty(shape[1], numbers) if bias else None,
            activation,
            initializer,
            learning_rate,
            trainable,
        )
        self.initialize(_checks.generator("rng", rng))

    def _begin(
        self,
        weights: Array,
        bias: Array | None,
        activation: str | Activation | None,
        initializer: str | Initializer | None,
        learning_rate: float,
        trainable: bool,
    ) -> None:
        """Live in these arrays."""
        activation = Sigmoid() if activation is None else activation
        self._activation = _checks.resolve("activation", activation, Activation, ACTIVATIONS)
        if initializer is None:
            tutorial = isinstance(self.activation, Sigmoid) and bias is None
            initializer = "uniform" if tutorial else self.activation.initializer
        self.initializer = _checks.resolve("initializer", initializer, Initializer, INITIALIZERS)
        self.learning_rate = _checks.number("learning_rate", learning_rate, low=0)
        self.trainable = _checks.boolean("trainable", trainable)
        self.n_inputs, self.n_outputs = weights.shape
        self.dtype = weights.dtype
        self._weights, self._bias = weights, bias

    @classmethod
    def of(
        cls,
        weights: npt.ArrayLike,
        bias: npt.ArrayLike | None = None,
        activation: str | Activation | None = None,
        *,
        learning_rate: float = 1.0,
        trainable: bool = True,
    ) -> Self:
        """Return a layer with these weights and bias, which are copied; nothing is drawn.

        Parameters
        ----------
        weights : array_like, (inputs, outputs)
            Of float32, and so is the layer; anything else is taken as float64.
        bias : array_like, (outputs,), optional
        activation, learning_rate, trainable
            As in the constructor.

        Raises
        ------
        ValueError, TypeError
            The arrays do not fit each other, or hold what is no finite number.

        Examples
        --------
        >>> from nineline import Layer, Network
        >>> half = Layer.of([[0.5], [0.5]], activation="identity")
        >>> Network(half).run([[1, 3]])
        array([[2.]])
        """
        given = np.asarray(weights)
        dtype = _checks.floating_dtype("dtype", np.float32 if given.dtype == np.float32 else np.float64)
        kernel = _checks.as_float("weights", given, dtype).copy()
        if kernel.ndim != 2 or not kernel.size:
            raise ValueError(f"weights has shape {kernel.shape}; expected (inputs, outputs), both at least 1")
        row = None if bias is None else _checks.as_float("bias", bias, dtype).copy()
        if row is not None and row.shape != kernel.shape[1:]:
            raise ValueError(f"bias has shape {row.shape}; weights {kernel.shape} take one of ({kernel.shape[1]},)")
        layer = cls.__new__(cls)
        layer._begin(kernel, row, activation, None, learning_rate, trainable)
        return layer

    def compute(self, inputs: Array, draw: Draw | None = None) -> tuple[Array, Seen]:
        """Return ``activation(inputs @ weights + bias)``, (rows, n_inputs) → (rows, n_outputs), and what was seen."""
        z: Array = inputs @ self._weights
        if self._bias is not None:
            z += self._bias
        outputs = self.activation.value(z)
        return outputs, Seen(inputs, z, outputs)

    def backprop(self, seen: Seen, output_errors: Array) -> tuple[Array, dict[str, Array]]:
        """Return what `backprop_delta` makes of ``delta = output_errors * activation'``."""
        return self.backprop_delta(seen, self._delta(seen, output_errors))

    def backprop_delta(self, seen: Seen, delta: Array) -> tuple[Array, dict[str, Array]]:
        """Return ``delta @ weights.T`` and the updates ``inputs.T @ delta``, and ``sum(delta)`` over rows of the bias.

        `delta` are errors of the weighted sums, (rows, n_outputs), where a loss gives them in closed form.
        """
        return delta @ self._weights.mT, self._updates(seen, delta)

    def updates(self, seen: Seen, output_errors: Array) -> dict[str, Array]:
        return self._updates(seen, self._delta(seen, output_errors))

    def row_updates(self, seen: Seen, output_errors: Array) -> dict[str, Array]:
        return self.row_updates_delta(seen, self._delta(seen, output_errors))

    def row_updates_delta(self, seen: Seen, delta: Array) -> dict[str, Array]:
        """Return the updates of `backprop_delta` of each row by itself: ``outer(inputs, delta)`` and ``delta``."""
        updates: dict[str, Array] = {"weights": seen.inputs[:, :, np.newaxis] * delta[:, np.newaxis]}
        return updates if self._bias is None else {**updates, "bias": delta}

    def push_forward(self, seen: Seen, tangents: Array) -> Array:
        return self.activation.push_forward(tangents @ self._weights, seen.weighted_sums, seen.outputs)

    def curvature(self, seen: Seen, tangents: Array, output_errors: Array) -> Array:
        return self.activation.curvature(tangents @ self._weights, output_errors, seen.weighted_sums, seen.outputs)

    def _delta(self, seen: Seen, output_errors: Array) -> Array:
        return self.activation.backward(output_errors, seen.weighted_sums, seen.outputs)

    def _updates(self, seen: Seen, delta: Array) -> dict[str, Array]:
        updates: dict[str, Array] = {"weights": seen.inputs.mT @ delta}
        if self._bias is not None:
            updates["bias"] = delta.sum(axis=-2)
        return updates

    @property
    def activation(self) -> Activation:
        """What the layer does to its weighted sums. To change it, make a new layer."""
        return self._activation

    @property
    def weighted_sums(self) -> Array | None:
        """The last forward pass's ``inputs @ weights + bias``, (rows, n_outputs), before the activation."""
        return None if self.seen is None else self.seen.weighted_sums

    @property
    def weights(self) -> Array:
        """The weights, (n_inputs, n_outputs). Assigning copies the values in."""
        return self._weights

    @weights.setter
    def weights(self, values: npt.ArrayLike) -> None:
        self.assign("weights", values)

    @property
    def bias(self) -> Array | None:
        """The bias, (n_outputs,), or None where the layer has none. Assigning copies the values in."""
        return self._bias

    @bias.setter
    def bias(self, values: npt.ArrayLike) -> None:
        if self._bias is None:
            raise ValueError("this layer has no bias; make it with Layer(..., bias=True)")
        self.assign("bias", values)

    def blocks(self) -> dict[str, Array]:
        return {"weights": self._weights} if self._bias is None else {"weights": self._weights, "bias": self._bias}

    def adopt(self, views: dict[str, Array]) -> None:
        for name, block in self.blocks().items():
            views[name][...] = block
        self._weights = views["weights"]
        self._bias = views.get("bias")
        self.dtype = self._weights.dtype

    def initialize(self, rng: np.random.Generator) -> None:
        self._weights[...] = self.initializer.draw(self.n_inputs, self.n_outputs, rng)
        if self._bias is not None:
            self._bias[...] = 0

    def describe(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "inputs": self.n_inputs,
            "outputs": self.n_outputs,
            "activation": describe_activation(self.activation),
            "bias": self._bias is not None,
            "learning_rate": self.learning_rate,
            "initializer": describe_initializer(self.initializer),
            **({} if self.trainable else {"trainable": False}),
        }

    @classmethod
    def rebuild(cls, described: Mapping[str, Any], blocks: Callable[[str, tuple[int, ...]], Array]) -> Self:
        """Return the layer that `describe` described. Its values are the file's, and lie in memory once."""
        inputs, outputs = described["inputs"], described["outputs"]
        layer = cls.__new__(cls)
        layer._begin(
            blocks("weights", (inputs, outputs)),
            blocks("bias", (outputs,)) if described["bias"] else None,
            rebuild_activation(described["activation"]),
            rebuild_initializer(described["initializer"]),  # somebody's own is the customary one from now on
            described["learning_rate"],
            described.get("trainable", True),
        )
        return layer

    @classmethod
    def in_words(cls, described: Mapping[str, Any]) -> tuple[str, int]:
        inputs, outputs, bias = described["inputs"], described["outputs"], bool(described["bias"])
        if any(type(width) is not int for width in (inputs, outputs)):
            raise TypeError("a width is no whole number")
        trainable = described.get("trainable", True) is not False
        words = summary(inputs, outputs, rebuild_activation(described["activation"]), bias, trainable)
        return words, (inputs + bias) * outputs

    def __str__(self) -> str:
        return str(self._weights) if self._bias is None else f"{self._weights}\nbias {self._bias}"

    def __repr__(self) -> str:
        return summary(self.n_inputs, self.n_outputs, self.activation, self._bias is not None, self.trainable)


def summary(inputs: int, outputs: int, activation: Activation, bias: bool, trainable: bool = True) -> str:
    """Return a dense layer as it prints: by the name of its activation, where that has no settings of its own."""
    plain = ACTIVATIONS.get(activation.name) is type(activation) and activation == type(activation)()
    word = activation.name if plain else activation
    return f"Layer({inputs}, {outputs}, {word!r}{', bias=True' * bias}{', trainable=False' * (not trainable)})"
