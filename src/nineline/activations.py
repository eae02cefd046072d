"""Activations: a value and its derivative, side by side.

An activation turns a layer's weighted sums ``z = inputs @ weights + bias`` into its outputs. Its
derivative is written in terms of the outputs where that is possible, as in the tutorial:
``sigmoid_prime(s) = s * (1 - s)``. To add one, write a class here and enter it in `ACTIVATIONS`. The second derivative
beside it is what `Network.hessian` asks for; training never does.

At every finite weighted sum, to the ends of the numbers, values and derivatives are finite (but for exponential) and
off by at most 32 units of rounding of ``max(1, |truth|)``, on both engines. A weighted sum below the smallest normal
number may count as 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from nineline._value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from nineline._typing import Array


def sigmoid(x: npt.ArrayLike) -> Any:
    """The logistic function, which squashes any number into (0, 1).

    ``sigmoid(x) = 1 / (1 + exp(-x))``

    Parameters
    ----------
    x : array_like
        Any shape.

    Returns
    -------
    array or float
        The same shape, values in [0, 1].

    Examples
    --------
    >>> from nineline import sigmoid
    >>> float(sigmoid(0.0))
    0.5
    """
    with np.errstate(over="ignore"):  # exp(-x) may overflow to inf, and 1 / inf is the right answer
        return 1 / (1 + np.exp(-1.0 * np.asarray(x)))


def sigmoid_prime(s: npt.ArrayLike) -> Any:
    """The slope of the sigmoid, in terms of its value: ``sigmoid_prime(s) = s * (1 - s)``.

    Parameters
    ----------
    s : array_like
        Values of the sigmoid (not its arguments), in [0, 1].

    Returns
    -------
    array or float
        The same shape, values in [0, 0.25].

    Examples
    --------
    >>> from nineline import sigmoid, sigmoid_prime
    >>> float(sigmoid_prime(sigmoid(0.0)))
    0.25
    """
    s = np.asarray(s)
    return s * (1 - s)


class Activation(Value, ABC):
    """What a layer does to its weighted sums. Subclass it to make your own.

    A subclass gives `value` and `derivative`; one whose outputs depend on each other (softmax)
    overrides `backward` instead. It must not write into the arrays it is given.
    """

    initializer: str = "glorot_uniform"
    """The name of the customary initializer of weights in front of this activation."""

    @abstractmethod
    def value(self, z: Array) -> Array:
        """Return the outputs for weighted sums `z`, both (rows, units)."""

    def derivative(self, z: Array, outputs: Array) -> Array:
        """Return d outputs / d z, element by element, (rows, units)."""
        raise TypeError(f"{type(self).__name__} has no derivative element by element; see its backward()")

    def second_derivative(self, z: Array, outputs: Array) -> Array:
        """Return d derivative / d z, element by element, (rows, units)."""
        raise TypeError(
            f"{type(self).__name__} has no second derivative, which Network.hessian asks for; "
            "write second_derivative(z, outputs) beside its derivative"
        )

    def backward(self, errors: Array, z: Array, outputs: Array) -> Array:
        """Carry errors of the outputs back to the weighted sums: ``errors * derivative``."""
        return errors * self.derivative(z, outputs)

    def push_forward(self, tangents: Array, z: Array, outputs: Array) -> Array:
        """Carry directions of the weighted sums, (rows, directions, units), on to the outputs."""
        return tangents * self.derivative(z, outputs)[:, np.newaxis]

    def curvature(self, tangents: Array, errors: Array, z: Array, outputs: Array) -> Array:
        """Return d² sum(errors * outputs) along each pair of directions of z, (rows, directions, directions)."""
        bent = errors * self.second_derivative(z, outputs)
        return (tangents * bent[:, np.newaxis]) @ tangents.swapaxes(1, 2)


@final
class Identity(Activation):
    """The outputs are the weighted sums: ``f(z) = z``."""

    name = "identity"

    def value(self, z: Array) -> Array:
        return z

    def derivative(self, z: Array, outputs: Array) -> Array:
        return np.ones_like(outputs)

    def second_derivative(self, z: Array, outputs: Array) -> Array:
        return np.zeros_like(outputs)


@final
class Sigmoid(Activation):
    """The tutorial's activation: ``f(z) = 1 / (1 + exp(-z))``, ``f' = f * (1 - f)``."""

    name = "sigmoid"

    def value(self, z: Array) -> Array:
        return sigmoid(z)

    def derivative(self, z: Array, outputs: Array) -> Array:
        return sigmoid_prime(outputs)

    def second_derivative(self, z: Array, outputs: Array) -> Array:
        return outputs * (1 - outputs) * (1 - 2 * outputs)


@final
class Tanh(Activation):
    """The hyperbolic tangent, a sigmoid between -1 and 1: ``f' = 1 - f**2``."""

    name = "tanh"

    def value(self, z: Array) -> Array:
        return np.tanh(z)

    def derivative(self, z: Array, outputs: Array) -> Array:
        return 1 - outputs**2

    def second_derivative(self, z: Array, outputs: Array) -> Array:
        return -2 * outputs * (1 - outputs**2)


@final
class Relu(Activation):
    """The rectified linear unit: ``f(z) = max(z, 0)``, ``f' = 1`` where the output is positive, else 0."""

    name = "relu"
    initializer = "he_uniform"

    def value(self, z: Array) -> Array:
        return np.maximum(z, 0)

    def derivative(self, z: Array, outputs: Array) -> Array:
        return (outputs > 0).astype(outputs.dtype)

    def second_derivative(self, z: Array, outputs: Array) -> Array:
        return np.zeros_like(outputs)


@final
@dataclass(eq=False, repr=False)
class LeakyRelu(Activation):
    """``f(z) = z`` where z > 0, else ``slope * z``."""

    name = "leaky_relu"
    slope: float = 0.01
    initializer = "he_uniform"

    def __post_init__(self) -> None:
        self.check_number("slope")

    def value(self, z: Array) -> Array:
        return np.where(z > 0, z, self.slope * z)

    def derivative(self, z: Array, outputs: Array) -> Array:
        return np.where(z > 0, 1, self.slope).astype(outputs.dtype)

    def second_derivative(self, z: Array, outputs: Array) -> Array:
        return np.zeros_like(outputs)


@final
@dataclass(eq=False, repr=False)
class Elu(Activation):
    """The exponential linear unit: ``f(z) = z`` where z > 0, else ``alpha * (exp(z) - 1)``.

    References
    ----------
    Clevert, Unterthiner, Hochreiter (2016), arXiv 1511.07289, equation 15.
    """

    name = "elu"
    alpha: float = 1.0
    initializer = "he_uniform"

    def __post_init__(self) -> None:
        self.check_number("alpha")

    def value(self, z: Array) -> Array:
        return np.where(z > 0, z, self.alpha * np.expm1(np.minimum(z, 0)))

    def derivative(self, z: Array, outputs: Array) -> Array:
        return np.where(z > 0, 1, outputs + self.alpha).astype(outputs.dtype)

    def second_derivative(self, z: Array, outputs: Array) -> Array:
        return np.where(z > 0, 0, outputs + self.alpha).astype(outputs.dtype)


SELU_SCALE: Final = 1.0507009873554804934193349852946
"""What selu multiplies by, so that outputs of mean 0 and variance 1 stay so from layer to layer."""
SELU_ALPHA: Final = 1.6732632423543772848170429916717
"""How far below 0 selu can go, before it is multiplied."""


@final
class Selu(Activation):
    """The self-normalizing ELU: ``scale * elu(z, alpha)`` with the fixed scale 1.0507 and alpha 1.6733.

    References
    ----------
    Klambauer et al. (2017), arXiv 1706.02515, equations 2 and 14.
    """

    name = "selu"
    initializer = "lecun_normal"

    def value(self, z: Array) -> Array:
        return SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0)))

    def derivative(self, z: Array, outputs: Array) -> Array:
        return np.where(z > 0, SELU_SCALE, outputs + SELU_SCALE * SELU_ALPHA).astype(outputs.dtype)

    def second_derivative(self, z: Array, outputs: Array) -> Array:
        return np.where(z > 0, 0, outputs + SELU_SCALE * SELU_ALPHA).astype(outputs.dtype)


@final
class Softplus(Activation):
    """A smooth relu: ``f(z) = log(1 + exp(z))``, ``f' = sigmoid(z)``."""

    name = "softplus"
    initializer = "he_uniform"

    def value(self, z: Array) -> Array:
        return np.logaddexp(z, 0).astype(z.dtype)

    def derivative(self, z: Array, outputs: Array) -> Array:
        return sigmoid(z)

    def second_derivative(self, z: Array, outputs: Array) -> Array:
        return sigmoid_prime(sigmoid(z))


@final
class Exponential(Activation):
    """``f(z) = exp(z)``, which is its own derivative: rates and counts, with the poisson loss."""

    name = "exponential"

    def value(self, z: Array) -> Array:
        return np.exp(z)

    def derivative(self, z: Array, outputs: Array) -> Array:
        return outputs

    def second_derivative(self, z: Array, outputs: Array) -> Array:
        return outputs


@final
class Silu(Activation):
    """The sigmoid linear unit (swish): ``f(z) = z * s``, ``f' = s + f * (1 - s)`` with ``s = sigmoid(z)``.

    References
    ----------
    Elfwing, Uchibe, Doya (2018), arXiv 1702.03118, equations 5 and 6.
    """

    name = "silu"
    initializer = "he_uniform"

    def value(self, z: Array) -> Array:
        return z * sigmoid(z)

    def derivative(self, z: Array, outputs: Array) -> Array:
        s = sigmoid(z)
        return s + outputs * (1 - s)

    def second_derivative(self, z: Array, outputs: Array) -> Array:
        s = sigmoid(z)
        return s * (1 - s) * (2 + z * (1 - 2 * s))


@final
class Mish(Activation):
    """``f(z) = z * t`` with ``t = tanh(softplus(z))``; ``f' = t + z * (1 - t**2) * sigmoid(z)``.

    References
    ----------
    Misra (2019), arXiv 1908.08681, equation 1.
    """

    name = "mish"
    initializer = "he_uniform"

    def value(self, z: Array) -> Array:
        return z * np.tanh(np.logaddexp(z, 0)).astype(z.dtype)

    def derivative(self, z: Array, outputs: Array) -> Array:
        t = np.tanh(np.logaddexp(z, 0)).astype(z.dtype)
        return t + z * (1 - t**2) * sigmoid(z)

    def second_derivative(self, z: Array, outputs: Array) -> Array:
        t, s = np.tanh(np.logaddexp(z, 0)).astype(z.dtype), sigmoid(z)
        return (1 - t**2) * s * (2 + z * (1 - s - 2 * t * s))


@final
class Gelu(Activation):
    """The Gaussian error linear unit, in its exact form: ``f(z) = z * P(z)``, ``f' = P(z) + z * p(z)``.

    P is the standard normal distribution function, ``P(z) = (1 + erf(z / sqrt(2))) / 2``, and p its density.

    References
    ----------
    Hendrycks, Gimpel (2016), arXiv 1606.08415, section 2.
    """

    name = "gelu"
    initializer = "he_uniform"

    def value(self, z: Array) -> Array:
        return z * _normal_distribution(z)

    def derivative(self, z: Array, outputs: Array) -> Array:
        density = np.exp(-(z**2) / 2) * z.dtype.type(1 / np.sqrt(2 * np.pi))
        return _normal_distribution(z) + z * density

    def second_derivative(self, z: Array, outputs: Array) -> Array:
        density = np.exp(-(z**2) / 2) * z.dtype.type(1 / np.sqrt(2 * np.pi))
        return (2 - z**2) * density


def _normal_distribution(z: Array) -> Array:
    from scipy.special import ndtr  # SciPy loads only where gelu is used

    return ndtr(z)


@final
class Softmax(Activation):
    """Probabilities over the units of a row: ``f(z)_j = exp(z_j) / sum_k exp(z_k)``.

    Its units depend on each other, so the derivative is a matrix per row, ``diag(f) - f f'``; `backward`
    multiplies by it without building it.
    """

    name = "softmax"

    def value(self, z: Array) -> Array:
        powers = np.exp(z - z.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def backward(self, errors: Array, z: Array, outputs: Array) -> Array:
        return outputs * (errors - (errors * outputs).sum(axis=-1, keepdims=True))

    def push_forward(self, tangents: Array, z: Array, outputs: Array) -> Array:
        return outputs[:, np.newaxis] * self._from_mean(tangents, outputs)

    def curvature(self, tangents: Array, errors: Array, z: Array, outputs: Array) -> Array:
        apart = self._from_mean(tangents, outputs)
        bent = outputs * (errors - (errors * outputs).sum(axis=-1, keepdims=True))
        return (apart * bent[:, np.newaxis]) @ apart.swapaxes(1, 2)

    def _from_mean(self, tangents: Array, outputs: Array) -> Array:
        """Return directions less their mean by the probabilities."""
        return tangents - tangents @ outputs[:, :, np.newaxis]


def describe_activation(activation: Activation) -> dict[str, Any]:
    """Return an activation of this module as JSON can hold it; raise ValueError for any other."""
    if ACTIVATIONS.get(activation.name) is type(activation):
        return {"name": activation.name, **vars(activation)}
    raise ValueError(
        f"activation {activation!r} is your own, and a file holds no code; save network.parameters yourself "
        "(numpy.save) and build the network in Python before you put them back"
    )


def rebuild_activation(described: Mapping[str, Any]) -> Activation:
    """Return the activation that `describe_activation` described."""
    settings = dict(described)
    return ACTIVATIONS[settings.pop("name")](**settings)


def setting_of(activation: Activation) -> float:
    """Return the one number that an activation of this module is set by (a slope, an alpha); 0 where it has none.

    It is what leaves Python: for the native engine and for other programs an activation is a name and this number.
    """
    return float(next(iter(vars(activation).values()), 0.0))


ACTIVATIONS: Final[dict[str, type[Activation]]] = {
    kind.name: kind
    for kind in (Identity, Sigmoid, Tanh, Relu, LeakyRelu, Elu, Selu, Softplus, Exponential, Silu, Mish, Gelu, Softmax)
}
"""Every activation under its public name."""
