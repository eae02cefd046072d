"""Is this derivative right? Backpropagation held against differences of the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nineline import _checks
from nineline.draws import Draw
from nineline.engines.reference import loss_and_gradients
from nineline.losses import LOSSES, Loss

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.network import Network


class GradientCheck(NamedTuple):
    """The outcome of a gradient check; true where it passed.

    Attributes
    ----------
    error : float
        The largest difference between the two gradients, over the largest entry of either.
    tolerance : float
        The error up to which the check passes.
    worst : str
        The block that holds the largest difference, such as "0.weights".
    analytic, numeric : array
        Both gradients, as flat as the network's parameters.
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
    outputs: npt.ArrayLike,
    *,
    loss: str | Loss = "squared_error",
    sample_weight: npt.ArrayLike | None = None,
    tolerance: float | None = None,
) -> GradientCheck:
    """Compare the gradient by backpropagation with central differences of the loss.

    ``numeric_i = (loss(p + h e_i) - loss(p - h e_i)) / (2 h)``, in float64 whatever the network's dtype, with
    ``h = 1e-5 * max(1, |p_i|)``; dropout draws the same units on both sides. The network is left as it was.

    Parameters
    ----------
    network : Network
        Its activations, and those you wrote yourself, are what is checked.
    inputs, outputs : array_like, (rows, n_inputs), (rows, n_outputs)
        A few rows are enough. At a kink (relu at 0, absolute error at 0) no derivative exists: keep away.
    loss : str or Loss
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

    References
    ----------
    Press et al., Numerical Recipes, section 5.7, on the choice of h.
    """
    the_loss = _checks.resolve("loss", loss, Loss, LOSSES)
    rows = network.check_rows(inputs, outputs, sample_weight, classes=the_loss.takes_classes)
    batch = rows.spread(network.n_outputs)
    the_loss.check(network.output_layer.activation, batch.targets)
    if tolerance is None:
        tolerance = 1e-6 if network.dtype == np.float64 else 1e-4
    draw = Draw(seed=0, step=0)

    def measure(of: Network) -> tuple[float, Array]:
        gradient = np.empty_like(of.parameters)
        views = [of.views(gradient, number) for number in range(len(of.layers))]
        return loss_and_gradients(of, the_loss, batch.astype(of.dtype), draw, views), gradient

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

    difference = np.abs(analytic - numeric)
    scale = max(float(np.abs(analytic).max()), float(np.abs(numeric).max()), 1e-8)
    at = int(difference.argmax())
    worst = next(block.name for block in network.blocks if block.place.start <= at < block.place.stop)
    return GradientCheck(float(difference[at]) / scale, tolerance, worst, analytic, numeric)
