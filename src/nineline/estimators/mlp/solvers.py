"""What a solver is given and what is asked of it. Another one is a class like these two, entered in `SOLVERS`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from nineline.estimators.mlp.lbfgs import LBFGS
from nineline.estimators.mlp.stochastic import Stochastic

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from nineline.estimators.mlp.callbacks import Tasks
    from nineline.estimators.mlp.steps import Rows
    from nineline.losses import Loss
    from nineline.network import Network


@dataclass(frozen=True)
class Lesson:
    """What one call of fit or partial_fit has to learn.

    Attributes
    ----------
    rows : Rows
        All of them, those held out included.
    learn : array of int
        The rows to learn from.
    held : Rows or None
        What training is watched on.
    score : function or None
        Of a loss on `held`: the score there, larger is better.
    watching : bool
        Whether that score says when to stop; otherwise it is written down only.
    incremental : bool
        One epoch, as partial_fit takes it.
    """

    network: Network
    rows: Rows
    learn: npt.NDArray[np.intp]
    held: Rows | None
    score: Callable[[float], float] | None
    watching: bool
    loss: Loss
    random: np.random.RandomState
    tasks: Tasks | None
    incremental: bool


class Solver(Protocol):
    """What the estimators ask of a solver."""

    def __init__(self, model: Any, lesson: Lesson) -> None: ...

    def run(self) -> None:
        """Move the network's parameters, and write down what happened in the estimator."""


SOLVERS: Final[dict[str, type[Solver]]] = {"sgd": Stochastic, "adam": Stochastic, "lbfgs": LBFGS}
"""Every solver under scikit-learn's name."""
