"""L-BFGS around a Trainer: a quasi-Newton method on all rows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from nineline.rows import Rows
    from nineline.training.trainer import Trainer


def lbfgs(
    trainer: Trainer,
    rows: Rows,
    *,
    iterations: int,
    evaluations: int,
    tolerance: float,
    on_evaluation: Callable[[], None],
    on_iteration: Callable[[npt.NDArray[np.float64], float], bool],
) -> Any:
    """Minimise the loss of all rows, penalties included, by SciPy's L-BFGS-B.

    Parameters
    ----------
    trainer : Trainer
        Of a network in float64; loss and gradient are its rule's. It takes no step.
    rows : Rows
    iterations, evaluations : int
        At most so many, of the method and of the loss.
    tolerance : float
        Ends where no component of the gradient is larger.
    on_evaluation : function
        Called before each evaluation of the loss.
    on_iteration : function
        Called after each iteration with the parameters and the loss there; True ends the search.

    Returns
    -------
    scipy.optimize.OptimizeResult
        The network has its parameters, ``x``.

    References
    ----------
    Zhu, Byrd, Lu, Nocedal (1997), Algorithm 778: L-BFGS-B.
    """
    from scipy.optimize import minimize

    network, engine = trainer.network, trainer.engine
    gradient = np.empty_like(network.parameters)

    def loss_and_gradient(parameters: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[Any]]:
        on_evaluation()
        with network.stepping():
            network.parameters[...] = parameters
            return engine.gradient(rows, gradient), gradient.copy()

    def after_iteration(intermediate_result: Any) -> None:
        if on_iteration(intermediate_result.x, float(intermediate_result.fun)):
            raise StopIteration

    found = minimize(
        loss_and_gradient,
        network.parameters.copy(),
        method="L-BFGS-B",
        jac=True,
        callback=after_iteration,
        options={"maxfun": evaluations, "maxiter": iterations, "gtol": tolerance},
    )
    network.parameters[...] = found.x
    return found
