"""Layer normalisation: each row at mean 0 and standard deviation 1, then a learned gain and bias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

from nineline import _checks
from nineline.layers.contract import AbstractLayer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.draws import Draw


@final
class LayerNorm(AbstractLayer):
    """``outputs = gain * (inputs - mean) / sqrt(variance + epsilon) + bias``, mean and variance those of each row.

    The variance is the mean square from the mean. An input moves its row's mean and deviation too, and what would come
    back by these two is taken off: backward, with ``n`` the inputs at mean 0 and deviation 1 and
    ``g = output_errors * gain``: ``(g - mean(g) - n * mean(g * n)) / sqrt(variance + epsilon)``.

    Parameters
    ----------
    epsilon : float
        At least 1e-37. Added to the variance, so that a row of equal numbers is no division by zero.
    learning_rate : float
        How far `backward` moves gain and bias.
    trainable : bool

    Attributes
    ----------
    gain, bias : array, (width,)
        1 and 0 at first. The width is that of what comes in: it is known, and the arrays are there, once the layer is
        part of a network, or has been run. No penalty (`l1`, `l2`) counts them.

    Examples
    --------
    >>> from nineline import Layer, LayerNorm, Network
    >>> network = Network(LayerNorm(), Layer(8, 32, "relu", bias=True), LayerNorm(), Layer(32, 1, "sigmoid"), rng=0)
    >>> network.layers[2].gain.shape
    (32,)

    References
    ----------
    Ba, Kiros, Hinton (2016), Layer normalization, arXiv 1607.06450, equations 3 and 4.
    """

    kind = "layer_norm"
    stacks = True
    seen: tuple[Array, Array] | None = None

    def __init__(self, epsilon: float = 1e-5, *, learning_rate: float = 1.0, trainable: bool = True) -> None:
        self._epsilon = _checks.number("epsilon", epsilon, low=1e-37)  # about the least that float32 has
        self.learning_rate = _checks.number("learning_rate", learning_rate, low=0)
        self.trainable = _checks.boolean("trainable", trainable)
        self._gain: Array = np.empty(0)
        self._bias: Array = np.empty(0)

    @classmethod
    def of(
        cls,
        gain: npt.ArrayLike,
        bias: npt.ArrayLike,
        epsilon: float = 1e-5,
        *,
        learning_rate: float = 1.0,
        trainable: bool = True,
    ) -> Self:
        """Return a layer with this gain and bias, (width,) both, which are copied.

        Raises
        ------
        ValueError, TypeError
            The arrays do not fit each other, or hold what is no finite number.

        Examples
        --------
        >>> from nineline import LayerNorm
        >>> LayerNorm.of([1, 2], [0, 0.5]).n_inputs
        2
        """
        given = np.asarray(gain)
        dtype = _checks.floating_dtype("dtype", np.float32 if given.dtype == np.float32 else np.float64)
        gain, bias = _checks.as_float("gain", given, dtype), _checks.as_float("bias", bias, dtype)
        if gain.ndim != 1 or not gain.size or bias.shape != gain.shape:
            raise ValueError(f"gain has shape {gain.shape} and bias {bias.shape}; expected (width,) both")
        layer = cls(epsilon, learning_rate=learning_rate, trainable=trainable)
        layer._begin(gain.copy(), bias.copy())
        return layer

    def _begin(self, gain: Array, bias: Array) -> None:
        """Live in these arrays."""
        self._gain, self._bias = gain, bias
        self.n_inputs = self.n_outputs = len(gain)
        self.dtype = gain.dtype

    @property
    def epsilon(self) -> float:
        """What is added to the variance. To change it, make a new layer."""
        return self._epsilon

    @property
    def gain(self) -> Array:
        """What each number of a row is multiplied by at the end, (width,). Assigning copies the values in."""
        return self._gain

    @gain.setter
    def gain(self, values: npt.ArrayLike) -> None:
        self.assign("gain", values)

    @property
    def bias(self) -> Array:
        """What is added to it, (width,). Assigning copies the values in."""
        return self._bias

    @bias.setter
    def bias(self, values: npt.ArrayLike) -> None:
        self.assign("bias", values)

    def build(self, width: int) -> None:
        if self.n_inputs is None:
            self._begin(np.ones(width, self.dtype), np.zeros(width, self.dtype))

    def compute(self, inputs: Array, draw: Draw | None = None) -> tuple[Array, tuple[Array, Array]]:
        """Return ``gain * (inputs - mean) / sqrt(variance + epsilon) + bias``, (rows, width).

        And what was seen: the rows at mean 0 and deviation 1, and what they were multiplied by for it, (rows, 1).
        """
        from_mean = inputs - inputs.mean(axis=-1, keepdims=True)
        variance = (from_mean**2).mean(axis=-1, keepdims=True)
        inverse_deviation = 1 / np.sqrt(variance + inputs.dtype.type(self.epsilon))
        normalised = from_mean * inverse_deviation
        return self._gain * normalised + self._bias, (normalised, inverse_deviation)

    def backprop(self, seen: tuple[Array, Array], output_errors: Array) -> tuple[Array, dict[str, Array]]:
        normalised, inverse_deviation = seen
        g = output_errors * self._gain
        mean_of_g_n = (g * normalised).mean(axis=-1, keepdims=True)
        input_errors = (g - g.mean(axis=-1, keepdims=True) - normalised * mean_of_g_n) * inverse_deviation
        return input_errors, {"gain": (output_errors * normalised).sum(axis=-2), "bias": output_errors.sum(axis=-2)}

    def row_updates(self, seen: tuple[Array, Array], output_errors: Array) -> dict[str, Array]:
        return {"gain": output_errors * seen[0], "bias": output_errors}

    def push_forward(self, seen: tuple[Array, Array], tangents: Array) -> Array:
        normalised, inverse_deviation = (each[:, np.newaxis] for each in seen)
        apart = tangents - tangents.mean(axis=-1, keepdims=True)
        along = (apart * normalised).mean(axis=-1, keepdims=True)
        return self._gain * (apart - normalised * along) * inverse_deviation

    def curvature(self, seen: tuple[Array, Array], tangents: Array, output_errors: Array) -> Array:
        """Bend as ``sum(g * n)`` does, with ``g = output_errors * gain`` and n the rows at mean 0 and deviation 1.

        With directions t less their mean, ``u = t @ (g - mean(g)) / width`` and ``v = t @ n / width``, both one number
        a direction: ``(3 * mean(g * n) * v v' - u v' - v u' - mean(g * n) * t t' / width) * width / deviation**2``.
        """
        normalised, inverse_deviation = seen
        g = output_errors * self._gain
        g = g - g.mean(axis=1, keepdims=True)
        apart = tangents - tangents.mean(axis=-1, keepdims=True)
        u, v = ((apart * each[:, np.newaxis]).mean(axis=-1)[:, :, np.newaxis] for each in (g, normalised))
        mean = (g * normalised).mean(axis=1)[:, np.newaxis, np.newaxis]
        alike = apart @ apart.swapaxes(1, 2) / apart.shape[-1]
        cross = u @ v.swapaxes(1, 2)
        bent = mean * (3 * v @ v.swapaxes(1, 2) - alike) - cross - cross.swapaxes(1, 2)
        return bent * (apart.shape[-1] * inverse_deviation[:, np.newaxis] ** 2)

    def blocks(self) -> dict[str, Array]:
        return {} if self.n_inputs is None else {"gain": self._gain, "bias": self._bias}

    def adopt(self, views: dict[str, Array]) -> None:
        for name, block in self.blocks().items():
            views[name][...] = block
        self._gain, self._bias = views["gain"], views["bias"]

    def initialize(self, rng: np.random.Generator) -> None:
        self._gain[...] = 1
        self._bias[...] = 0

    def describe(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "width": self.n_inputs,
            "epsilon": self.epsilon,
            "learning_rate": self.learning_rate,
            **({} if self.trainable else {"trainable": False}),
        }

    @classmethod
    def rebuild(cls, described: Mapping[str, Any], blocks: Callable[[str, tuple[int, ...]], Array]) -> Self:
        layer = cls(
            described["epsilon"],
            learning_rate=described["learning_rate"],
            trainable=described.get("trainable", True),
        )
        layer._begin(blocks("gain", (described["width"],)), blocks("bias", (described["width"],)))
        return layer

    @classmethod
    def in_words(cls, described: Mapping[str, Any]) -> tuple[str, int]:
        width = _checks.positive_integer("width", described["width"])
        layer = cls(described["epsilon"], trainable=described.get("trainable", True))
        return repr(layer), 2 * width

    def __str__(self) -> str:
        return f"gain {self._gain}\nbias {self._bias}"

    def __repr__(self) -> str:
        settings = [f"epsilon={self.epsilon:g}"] if self.epsilon != 1e-5 else []
        return f"LayerNorm({', '.join([*settings, *['trainable=False'] * (not self.trainable)])})"
