"""What training asks of an engine, and the rule by which it is asked.

An engine is made of a network and a rule. Data are no part of it: rows come with each call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from nineline import _checks
from nineline._value import Value
from nineline.losses import LOSSES, Loss, SquaredError
from nineline.optimizers import OPTIMIZERS, GradientDescent, Optimizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.network import Network
    from nineline.optimizers import State
    from nineline.rows import Rows


_TUTORIAL_LOSS: Final = SquaredError(reduction="sum")
_TUTORIAL_OPTIMIZER: Final = GradientDescent(1.0)


class Rule(Value):
    """What is descended on and how, whatever the rows: checked when made.

    Parameters
    ----------
    loss : str or Loss, optional
        By default the tutorial's, ``SquaredError(reduction="sum")``.
    optimizer : str or Optimizer, optional
        By default the tutorial's, ``GradientDescent(1.0)``.
    l1, l2 : float
        Adds ``l1 * sum(|w|) + l2 / 2 * sum(w**2)`` over the weights of dense layers to the loss.
    clip_norm : float, optional
        Gradients longer than this are shortened to it (Euclidean norm over all parameters that learn).
    penalty_by_rows : bool
        Whether l1 and l2 are divided by the rows of a batch (by their weights' sum), as scikit-learn does.
    seed : int
        Of the draws inside a step, below 2**64.
    """

    def __init__(
        self,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer | None = None,
        *,
        l1: float = 0.0,
        l2: float = 0.0,
        clip_norm: float | None = None,
        penalty_by_rows: bool = False,
        seed: int = 0,
    ) -> None:
        loss = _TUTORIAL_LOSS if loss is None else loss
        optimizer = _TUTORIAL_OPTIMIZER if optimizer is None else optimizer
        self.loss: Loss = _checks.resolve("loss", loss, Loss, LOSSES)
        self.optimizer: Optimizer = _checks.resolve("optimizer", optimizer, Optimizer, OPTIMIZERS)
        self.l1, self.l2 = _checks.number("l1", l1, low=0), _checks.number("l2", l2, low=0)
        self.clip_norm = None if clip_norm is None else _checks.number("clip_norm", clip_norm, low=0, low_open=True)
        self.penalty_by_rows = penalty_by_rows
        self.seed = seed

    def with_optimizer(self, optimizer: Optimizer) -> Rule:
        """Return the same rule with another optimizer."""
        return Rule(
            self.loss,
            optimizer,
            l1=self.l1,
            l2=self.l2,
            clip_norm=self.clip_norm,
            penalty_by_rows=self.penalty_by_rows,
            seed=self.seed,
        )

    def check(self, network: Network) -> None:
        """Raise ValueError where the loss does not fit the output, or the optimizer names a block that is not there."""
        self.loss.check_output(network.output_layer.activation)
        self.loss.check_count(network.n_outputs)
        factors = self.optimizer.factors
        if factors:
            known = {block.name for block in network.blocks} | {block.kind for block in network.blocks}
            for name in factors:
                if name not in known:
                    raise ValueError(
                        f"factors has {name!r}, which is no block of this network{_checks.nearest(name, known)}"
                    )

    def factors(self, network: Network) -> list[float]:
        """Return the learning-rate factor of each of the network's blocks; 0 where its layer is not trainable."""
        return [
            self.optimizer.factor(block.name, block.kind) if learns else 0.0
            for block, learns in zip(network.blocks, network.trainable(), strict=True)
        ]


class Measured(NamedTuple):
    """What a `Curvature` finds where it measures; all but the last without what `decay` adds.

    Attributes
    ----------
    loss : float
        Penalties of the rule included.
    squares : float
        The sum of the squares of the parameters that learn.
    steepest : float
        The largest magnitude in the gradient of ``loss + decay / 2 * squares``.
    """

    loss: float
    squares: float
    steepest: float


class Trial(NamedTuple):
    """What a `Curvature` finds one step further.

    Attributes
    ----------
    foreseen : float
        By how much ``loss + decay / 2 * squares`` would fall, were the Hessian all there is.
    loss, squares : float
        As in `Measured`, there.
    """

    foreseen: float
    loss: float
    squares: float


class Curvature(Protocol):
    """The loss of some rows around a network's parameters, to second order, as Gauss and Newton see it.

    With J the derivatives of the residuals by the parameters that learn and c the residuals (see `Loss.residuals`),
    ``J'c`` is the gradient and ``J'J`` the Hessian; `decay` adds ``decay / 2 * p**2`` for each of those parameters.
    Neither J nor anything else is kept that grows with the rows, but where there are fewer residuals than parameters.
    """

    @property
    def size(self) -> int:
        """How many parameters learn."""
        ...

    @property
    def scaling(self) -> npt.NDArray[np.float64]:
        """Of each parameter that learns the largest diagonal entry of ``J'J`` so far, (size,). It may be written."""
        ...

    def measure(self, decay: float) -> Measured:
        """Find loss, gradient and Hessian where the parameters are now."""
        ...

    def step(self, damping: float, decay: float) -> Trial | None:
        """Move the parameters by the damped step from where they were measured, and find the loss there.

        The step solves ``(J'J + decay + damping * diag(d)) step = -gradient``, with d the scaling, but at least
        its mean. Where that matrix is not positive definite to rounding, nothing is moved, and None returned.
        """
        ...

    def back(self) -> None:
        """Put the parameters back to where they were measured."""
        ...

    def effective_parameters(self, decay: float) -> float:
        """Return how many parameters the rows determine: the sum of ``v / (v + decay)``, v the eigenvalues of J'J.

        It is ``n - decay * trace(inverse(J'J + decay))``, with n the parameters or the residuals, whichever are fewer;
        where there is no inverse to rounding, n.
        """
        ...


class Engine(Protocol):
    """Takes steps on a network's parameters by a rule, on rows that come with each call.

    Each call begins with the parameters as the network holds them then, whoever has changed them.
    """

    name: str

    @property
    def seed(self) -> int:
        """Of the draws inside a step; `reseed` changes it."""
        ...

    @property
    def state(self) -> State:
        """A copy of what the optimizer remembers, and the number of steps taken."""
        ...

    @property
    def steps_taken(self) -> int:
        """How many steps have been taken; the draws inside a step depend on it."""
        ...

    def reseed(self, seed: int) -> None:
        """Draw by another seed, below 2**64, from now on."""
        ...

    def restore(self, state: State, before: Array) -> None:
        """Go on where another engine of this rule was: with its state, and the parameters before its last step."""
        ...

    def steps(
        self, rows: Rows, order: npt.NDArray[np.intp] | None, batch_size: int, rates: npt.NDArray[np.float64]
    ) -> Array:
        """Take ``len(rates)`` steps and return the loss of each batch before its step.

        Step i takes rows ``order[i * batch_size : (i + 1) * batch_size]`` at learning rate ``rates[i]``; with
        `order` None every step takes all rows. Where a batch's loss is not finite, that loss is the last one
        returned, and its step is not taken.
        """
        ...

    def gradient(
        self, rows: Rows, into: Array, loss: Loss | None = None, which: npt.NDArray[np.intp] | None = None
    ) -> float:
        """Return the loss of rows as the next step would see it, and write its gradient into a flat vector.

        Penalties are part of both; no step is taken and nothing is clipped. The gradient of a block that does not
        learn (a layer that is not trainable, a factor of 0) is 0. `loss` is another than the rule's; `which` are the
        numbers of some rows, at least one, and by default it is all.
        """
        ...

    def move(self, gradient: Array, rate: float) -> None:
        """Take the step that follows from a gradient, clipped as the rule says; `gradient` may be overwritten.

        ``steps`` with one batch is ``gradient`` and then ``move``; but of lazy blocks `steps` moves the rows that the
        batch reads, and this those for which the gradient is not zero.
        """
        ...

    def before(self) -> Array:
        """Return a copy of the parameters before the last step; before the first, of the parameters as they are."""
        ...

    def undo(self) -> None:
        """Take the last step back: the parameters, what the optimizer remembers and the count are as before it.

        So is what was changed by hand since; but of lazy blocks only the rows that the step moved.

        Raises
        ------
        RuntimeError
            No step was taken since the engine was made, restored or this was called.
        """
        ...

    def evaluate(self, rows: Rows) -> float:
        """Return the loss of the network as it runs (no dropout, no penalties)."""
        ...

    def parameters(self) -> Array:
        """Return the parameters: the network's own vector, wherever the engine keeps them in between."""
        ...

    def curvature(self, rows: Rows) -> Curvature:
        """Return the loss of some rows to second order, by the rule's loss and penalties; of a network in float64."""
        ...

    @property
    def converged(self) -> str:
        """Why no further step would go anywhere, in words, and "" while that is not known.

        A step that goes nowhere is taken, counted and the last of its call.
        """
        ...

    @property
    def records(self) -> Mapping[str, list[float]]:
        """What a History writes down besides, by its column: a number for each step of the last call."""
        ...
