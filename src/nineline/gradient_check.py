"""Is this derivative right? Backpropagation held against differences of the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from nineline import _checks
from nineline.draws import Draw
from nineline.engines.reference import loss_and_gradients
from nineline.losses import LOSSES, Loss

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.network import Network


_KINDS: Final = ("gradient", "jacobian", "hessian")


class GradientCheck(NamedTuple):
    """The outcome of a gradient check; true where it passed.

    Attributes
    ----------
    error : float
        The largest difference between the two, over the largest entry of either.
    tolerance : float
        The error up to which the check passes.
    worst : str
        Where the largest difference is: a block, such as "0.weights"; of a Jacobian or Hessian an output, such as
        "output 0".
    analytic, numeric : array
        Both gradients, as flat as the network's parameters; both Jacobians, (rows, n_outputs, n_inputs); both Hessians,
        (rows, n_outputs, n_inputs, n_inputs).
    """

    error: float
    tolerance: float
    worst: str
    analytic: Array
    numeric: Array

    def __bool__(self) -> bool:
        return self.error <= self.tolerance

    def __repr__(self) -> str:
        verdict = "passed" if self else f"FAILED, worst in {self.worst}"
        return f"GradientCheck: {verdict}; relative error {self.error:.2g}, tolerance {self.tolerance:g}"


def gradient_check(
    network: Network,
    inputs: npt.ArrayLike,
    outputs: npt.ArrayLike | None = None,
    *,
    of: str = "gradient",
    loss: str | Loss = "squared_error",
    sample_weight: npt.ArrayLike | None = None,
    tolerance: float | None = None,
) -> GradientCheck:
    """Compare a derivative with central differences of what it is the derivative of.

    The gradient of the loss by the parameters, by backpropagation:
    ``numeric_i = (loss(p + h e_i) - loss(p - h e_i)) / (2 h)``, in float64 whatever the network's dtype, with
    ``h = 1e-5 * max(1, |p_i|)``; dropout draws the same units on both sides. In the same way `Network.jacobian` by the
    inputs, from `Network.run`, and `Network.hessian` of every output, from the Jacobian. The network is left as it was.

    Parameters
    ----------
    network : Network
        Its activations, and those you wrote yourself, are what is checked.
    inputs, outputs : array_like, (rows, n_inputs), (rows, n_outputs)
        A few rows are enough. At a kink (relu at 0, absolute error at 0) no derivative exists: keep away. Only the
        gradient needs outputs.
    of : {"gradient", "jacobian", "hessian"}
        Which one.
    loss : str or Loss
        Of the gradient, as is the next.
    sample_weight : array_like, (rows,), optional
    tolerance : float, optional
        By default 1e-6 for float64 and 1e-4 for float32.

    Returns
    -------
    GradientCheck
        True where the check passed.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline import Network, gradient_check
    >>> X, y = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]), np.array([[0], [1], [1], [0]])
    >>> bool(gradient_check(Network(3, 6, 1, rng=0), X, y))
    True
    >>> bool(gradient_check(Network(3, 6, 1, rng=0), X, of="hessian"))
    True

    References
    ----------
    Press et al., Numerical Recipes, section 5.7, on the choice of h.
    """
    if of not in _KINDS:
        raise ValueError(f"of is {of!r}, which is not known{_checks.nearest(str(of), _KINDS)}")
    if tolerance is None:
        tolerance = 1e-6 if network.dtype == np.float64 else 1e-4
    if of != "gradient":
        return _check_by_inputs(network, inputs, of, tolerance)
    if outputs is None:
        raise ValueError("outputs is None; the gradient of a loss needs what the network should answer")
    the_loss = _checks.resolve("loss", loss, Loss, LOSSES)
    rows = network.check_rows(inputs, outputs, sample_weight, classes=the_loss.takes_classes)
    batch = rows.spread(network.n_outputs)
    the_loss.check(network.output_layer.activation, batch.targets)
    draw = Draw(seed=0, step=0)

    def measure(of: Network) -> tuple[float, Array]:
        gradient = np.empty_like(of.parameters)
        views = [of.views(gradient, number) for number in range(len(of.layers))]
        return float(loss_and_gradients(of, the_loss, batch.astype(of.dtype), draw, views)), gradient

    _, analytic = measure(network.astype(network.dtype))
    twin = network.astype(np.float64)
    numeric = np.empty_like(twin.parameters)
    for i, p in enumerate(twin.parameters.copy()):
        h = 1e-5 * max(1.0, abs(p))
        twin.parameters[i] = p + h
        above, _ = measure(twin)
        twin.parameters[i] = p - h
        below, _ = measure(twin)
        twin.parameters[i] = p
        numeric[i] = (above - below) / (2 * h)

    error, at = _compare(analytic, numeric)
    worst = next(block.name for block in network.blocks if block.place.start <= at < block.place.stop)
    return GradientCheck(error, tolerance, worst, analytic, numeric)


def _check_by_inputs(network: Network, inputs: npt.ArrayLike, of: str, tolerance: float) -> GradientCheck:
    """Compare the Jacobian with differences of the outputs, or all Hessians with differences of the Jacobian."""
    rows = np.asarray(_checks.matrix("inputs", inputs, network.n_inputs, "the network", np.dtype(np.float64)))
    twin = network.astype(np.float64)
    whose: Callable[[Array], Array] = twin.run if of == "jacobian" else twin.jacobian
    if of == "jacobian":
        analytic = network.jacobian(rows)
    else:
        analytic = np.stack([network.hessian(rows, output) for output in range(network.n_outputs)], axis=1)
    levels = len(getattr(network.layers[0], "levels", ()))  # which an embedding reads: they have no derivative
    numeric = np.zeros(analytic.shape)
    for column in range(levels, network.n_inputs):
        h = 1e-5 * np.maximum(1.0, np.abs(rows[:, column]))
        above, below = rows.copy(), rows.copy()
        above[:, column] += h
        below[:, column] -= h
        numeric[..., column] = (whose(above) - whose(below)) / (2 * h).reshape(-1, *[1] * (numeric.ndim - 2))
    error, at = _compare(analytic.ravel(), numeric.ravel())
    worst = f"output {np.unravel_index(at, numeric.shape)[1]}"
    return GradientCheck(error, tolerance, worst, analytic, numeric)


def _compare(analytic: Array, numeric: Array) -> tuple[float, int]:
    """Return the largest difference over the largest entry of either, and where it is."""
    difference = np.abs(analytic - numeric)
    scale = max(float(np.abs(analytic).max()), float(np.abs(numeric).max()), 1e-8)
    at = int(difference.argmax())
    return float(difference[at]) / scale, at
