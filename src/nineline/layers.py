"""Layers: forward beside backward.

Here the tutorial's lines are found again. Forward is ``l1 = sigmoid(X @ syn0)``; backward is
``l1_delta = l1_error * l1 * (1 - l1)``, ``syn0 += X.T @ l1_delta``, and ``l1_delta @ syn0.T`` for the layer
before.

Errors point downhill: they are target − output, minus the gradient of the loss. Everything here is linear in
them, so a loss's gradient fed in place of the errors gives gradients in place of steps; training does that
and leaves the step to the optimizer. To add a kind of layer, write a class here and enter it in `LAYERS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

import numpy as np

from nineline import _checks
from nineline.activations import ACTIVATIONS, Activation, Identity, Sigmoid
from nineline.initializers import INITIALIZERS, Initializer, Uniform

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline._typing import Array, RandomSource
    from nineline.draws import Draw


class AbstractLayer(ABC):
    """What a network is made of: `compute` and `backprop`, which only read, and the arrays that are learned.

    `forward` and `backward` are the tutorial's: they remember and learn, for every kind of layer.
    """

    dtype: np.dtype[np.floating[Any]]
    inputs: Array | None = None
    """The inputs of the last forward pass, (rows, n_inputs)."""
    outputs: Array | None = None
    """The outputs of the last forward pass, (rows, n_outputs)."""
    seen: Any = None
    """What `compute` saw in the last forward pass, for `backprop`."""
    adopted: bool = False
    """Whether the learned arrays are views into a network's vector."""
    learning_rate: float = 1.0
    """How far `backward` moves the learned arrays."""
    trainable: bool = True
    """Whether the layer learns. A Trainer takes note of it when it is made."""

    @abstractmethod
    def connect(self, width: int) -> int:
        """Accept `width` inputs, or raise ValueError, and return the number of outputs."""

    @abstractmethod
    def compute(self, inputs: Array, draw: Draw | None = None) -> tuple[Array, Any]:
        """Return the outputs, (rows, n_inputs) → (rows, n_outputs), and whatever `backprop` has to see of it.

        In training a layer may draw at random, by `draw`; None is the network as it runs. Nothing is changed.
        """

    @abstractmethod
    def backprop(self, seen: Any, output_errors: Array) -> tuple[Array, dict[str, Array]]:
        """Carry errors of the outputs, (rows, n_outputs), back, and return those of the inputs, (rows, n_inputs).

        And the updates: of each block, by its name, the direction that reduces the errors. Nothing is changed.
        """

    def updates(self, seen: Any, output_errors: Array) -> dict[str, Array]:
        """Return the updates of `backprop`, where nobody asks for the errors of the inputs."""
        return self.backprop(seen, output_errors)[1]

    def blocks(self) -> dict[str, Array]:
        """Return the arrays that are learned, by name."""
        return {}

    def adopt(self, views: dict[str, Array]) -> None:
        """Move the learned arrays into `views` and live there from now on."""

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw the learned arrays anew."""

    def forward(self, inputs: npt.ArrayLike) -> Array:
        """Return the outputs, (rows, n_inputs) → (rows, n_outputs), and remember what `backward` needs."""
        return self.look_at(self.check("inputs", inputs))

    def look_at(self, inputs: Array) -> Array:
        """Do what `forward` does, with inputs that are checked."""
        outputs, self.seen = self.compute(inputs)
        self.inputs, self.outputs = inputs, outputs
        return outputs

    def backward(self, output_errors: npt.ArrayLike) -> Array:
        """Learn from the errors of the outputs, and return the errors of the inputs.

        Both by `backprop`, with the weights before the update; then ``block += learning_rate * update``, where the
        layer is trainable.

        Parameters
        ----------
        output_errors : array_like, (rows, n_outputs)
            Target − output, for the rows of the last `forward`.

        Returns
        -------
        array, (rows, n_inputs)
        """
        if self.outputs is None:
            raise RuntimeError("backward needs a forward pass before it; call forward(inputs) first")
        errors = self.check("output_errors", output_errors)
        if errors.shape != self.outputs.shape:
            raise ValueError(
                f"output_errors has {len(errors)} rows, the last forward pass had {len(self.outputs)}; "
                "call forward(inputs) on the same rows first"
            )
        input_errors, updates = self.backprop(self.seen, errors)
        if self.trainable:
            for name, update in updates.items():
                block = self.blocks()[name]
                block += self.learning_rate * update
        return input_errors

    def check(self, argument: str, data: npt.ArrayLike) -> Array:
        """Return "inputs" or "output_errors" as finite numbers, (rows, width), or raise."""
        return _checks.as_float(argument, data, self.dtype)

    def __getstate__(self) -> dict[str, Any]:
        own = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}
        for name in ("inputs", "outputs", "seen"):  # what it has seen stays behind
            own.pop(name, None)
        return {**own, "adopted": False}


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
        self.n_inputs = _checks.positive_integer("inputs", inputs)
        self.n_outputs = _checks.positive_integer("outputs", outputs)
        if sigmoid is not None and activation is not None:
            raise TypeError(f"activation is {activation!r} and sigmoid is {sigmoid}; give one of the two")
        if isinstance(activation, (bool, np.bool_)):
            sigmoid, activation = bool(activation), None
        if sigmoid is not None:
            activation = Sigmoid() if _checks.boolean("sigmoid", sigmoid) else Identity()
            initializer = Uniform() if initializer is None else initializer
        activation = Sigmoid() if activation is None else activation
        self._activation = _checks.resolve("activation", activation, Activation, ACTIVATIONS)
        bias = _checks.boolean("bias", bias, " (set the values afterwards: layer.bias = ...)")
        if initializer is None:
            tutorial = isinstance(self.activation, Sigmoid) and not bias
            initializer = "uniform" if tutorial else self.activation.initializer
        self.initializer = _checks.resolve("initializer", initializer, Initializer, INITIALIZERS)
        self.dtype = _checks.floating_dtype("dtype", dtype)
        self.learning_rate = _checks.number("learning_rate", learning_rate, low=0)
        self.trainable = _checks.boolean("trainable", trainable)
        self._weights: Array = np.empty((self.n_inputs, self.n_outputs), self.dtype)
        self._bias: Array | None = np.empty(self.n_outputs, self.dtype) if bias else None
        self.initialize(_checks.generator("rng", rng))

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
        return delta @ self._weights.T, self._updates(seen, delta)

    def updates(self, seen: Seen, output_errors: Array) -> dict[str, Array]:
        return self._updates(seen, self._delta(seen, output_errors))

    def _delta(self, seen: Seen, output_errors: Array) -> Array:
        return self.activation.backward(output_errors, seen.weighted_sums, seen.outputs)

    def _updates(self, seen: Seen, delta: Array) -> dict[str, Array]:
        updates: dict[str, Array] = {"weights": seen.inputs.T @ delta}
        if self._bias is not None:
            updates["bias"] = delta.sum(axis=0)
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
        self._assign("weights", self._weights, values)

    @property
    def bias(self) -> Array | None:
        """The bias, (n_outputs,), or None where the layer has none. Assigning copies the values in."""
        return self._bias

    @bias.setter
    def bias(self, values: npt.ArrayLike) -> None:
        if self._bias is None:
            raise ValueError("this layer has no bias; make it with Layer(..., bias=True)")
        self._assign("bias", self._bias, values)

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

    def connect(self, width: int) -> int:
        if width != self.n_inputs:
            raise ValueError(f"takes {self.n_inputs} inputs, the layer before it gives {width}")
        return self.n_outputs

    def __str__(self) -> str:
        return str(self._weights) if self._bias is None else f"{self._weights}\nbias {self._bias}"

    def __repr__(self) -> str:
        return summary(self.n_inputs, self.n_outputs, self.activation, self._bias is not None, self.trainable)

    def check(self, argument: str, data: npt.ArrayLike) -> Array:
        width = self.n_inputs if argument == "inputs" else self.n_outputs
        return _checks.matrix(argument, data, width, "the layer", self.dtype)

    def _assign(self, name: str, block: Array, values: npt.ArrayLike) -> None:
        if values is block:  # layer.weights += step has done its work in place
            return
        array = _checks.as_float(name, values, self.dtype)
        if array.shape != block.shape:
            raise ValueError(f"{name} has shape {array.shape}; this layer's is {block.shape}")
        block[...] = array


def summary(inputs: int, outputs: int, activation: Activation, bias: bool, trainable: bool = True) -> str:
    """Return a dense layer as it prints: by the name of its activation, where that has no settings of its own."""
    names = {kind: name for name, kind in ACTIVATIONS.items()}
    plain = type(activation) in names and activation == type(activation)()
    word = names[type(activation)] if plain else activation
    return f"Layer({inputs}, {outputs}, {word!r}{', bias=True' * bias}{', trainable=False' * (not trainable)})"


@final
class Dropout(AbstractLayer):
    """In training, sets each input to 0 with probability `rate` and multiplies the rest by ``1 / (1 - rate)``.

    When the network runs, it passes everything on unchanged.

    Parameters
    ----------
    rate : float
        In [0, 1).

    Examples
    --------
    >>> from nineline import Dropout, Layer, Network
    >>> network = Network(Layer(8, 32, "relu", bias=True), Dropout(0.2), Layer(32, 1, "sigmoid", bias=True), rng=0)

    References
    ----------
    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting, section 4.
    """

    def __init__(self, rate: float = 0.5) -> None:
        self.rate = _checks.number("rate", rate, low=0, high=1, high_open=True)
        self.dtype = np.dtype(np.float64)

    def connect(self, width: int) -> int:
        return width

    def compute(self, inputs: Array, draw: Draw | None = None) -> tuple[Array, Array | None]:
        """Return the inputs, in training times a mask of 0 and ``1 / (1 - rate)``, and the mask."""
        if draw is None:
            return inputs, None
        keep = draw.uniform(*inputs.shape) >= np.float32(self.rate)
        mask = keep.astype(inputs.dtype) * inputs.dtype.type(1 / (1 - self.rate))
        return inputs * mask, mask

    def backprop(self, seen: Array | None, output_errors: Array) -> tuple[Array, dict[str, Array]]:
        return output_errors if seen is None else output_errors * seen, {}

    def check(self, argument: str, data: npt.ArrayLike) -> Array:
        given = np.asarray(data).dtype
        return _checks.as_float(argument, data, given if given == np.float32 else self.dtype)

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"


LAYERS: Final[dict[str, type[AbstractLayer]]] = {"dense": Layer, "dropout": Dropout}
"""Every kind of layer under the name it has in a file."""
