"""Optimizers: rules that turn a gradient into a step, each a few lines that read as its formula.

An optimizer works on the network's one flat vector of parameters. The object holds the rule's constants
and nothing else; what the rule remembers from step to step (a velocity, averages) is a `State` that
training owns, so one optimizer may serve many networks. To add one, write a class here and enter it in
`OPTIMIZERS`.

In the formulas: p parameters, g gradient, r the learning rate of the step, t the number of the step from 1.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final, final

import numpy as np

from nineline import _checks
from nineline._value import Value

if TYPE_CHECKING:
    from nineline._typing import Array


class State:
    """What a rule remembers: the number of steps taken, vectors about the parameters, and single numbers."""

    def __init__(self, vectors: dict[str, Array], steps: int = 0, numbers: dict[str, float] | None = None) -> None:
        self.steps = steps
        self.vectors = vectors
        self.numbers = {} if numbers is None else numbers

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The names of what is remembered, and the shape of each."""
        return {**{name: vector.shape for name, vector in self.vectors.items()}, **dict.fromkeys(self.numbers, ())}

    def copy(self) -> State:
        """Return the same, with vectors of its own."""
        return State({name: vector.copy() for name, vector in self.vectors.items()}, self.steps, dict(self.numbers))


@dataclass(eq=False, repr=False)
class Optimizer(Value, ABC):
    """A rule for one step. Subclass it to make your own.

    Parameters
    ----------
    learning_rate : float
        Positive; training multiplies it by the schedule's factor.
    factors : mapping of str to float
        Learning-rate factors of parameter blocks, by the block's name (``"0.weights"``, ``"1.bias"``) or
        by its kind in every layer (``"weights"``, ``"bias"``). A factor of 0 freezes a block: its gradient is not even
        computed.

    Examples
    --------
    >>> from nineline import Network, Adam
    >>> network = Network(3, 6, 1, rng=0)
    >>> optimizer = Adam(0.01, factors={"0.weights": 0.0})      # the first layer stays as it is
    """

    learning_rate: float = 0.01
    factors: Mapping[str, float] = field(default_factory=dict, kw_only=True)

    memory: ClassVar[tuple[str, ...]] = ()
    """The names of the vectors in this rule's state."""

    def __post_init__(self) -> None:
        self.check_number("learning_rate", low=0, low_open=True)
        if not isinstance(self.factors, Mapping) or not all(isinstance(name, str) for name in self.factors):
            raise TypeError(f"factors is {self.factors!r}; expected numbers by block, such as {{'0.weights': 0.1}}")
        for name, factor in self.factors.items():
            _checks.number(f"factors[{name!r}]", factor, low=0)

    def factor(self, name: str, kind: str) -> float:
        """Return the learning-rate factor of a block: by its name, else by its kind, else 1."""
        return self.factors.get(name, self.factors.get(kind, 1.0))

    def start(self, parameters: Array) -> State:
        """Return the state before the first step: zeros."""
        return State({name: np.zeros_like(parameters) for name in self.memory})

    @abstractmethod
    def step(self, parameters: Array, gradient: Array, rate: float | Array, state: State) -> None:
        """Move `parameters` in place by one step at learning rate `rate` (a number, or one per parameter).

        `state.steps` is already the number of this step, from 1.
        """


@final
@dataclass(eq=False, repr=False)
class GradientDescent(Optimizer):
    """Downhill by the gradient, with a velocity where there is momentum.

    ``p -= r * g``; with momentum m: ``v = m * v - r * g; p += v``; with Nesterov's: ``p += m * v - r * g``
    after the same v.

    Parameters
    ----------
    learning_rate : float
        Positive.
    momentum : float
        In [0, 1).
    nesterov : bool
        Look ahead along the velocity; needs momentum.

    References
    ----------
    Sutskever, Martens, Dahl, Hinton (2013), On the importance of initialization and momentum, section 2.
    """

    name = "gradient_descent"
    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    memory = ("velocity",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_number("momentum", low=0, high=1, high_open=True)
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov is True and momentum is 0; Nesterov's step needs a momentum, such as 0.9")

    def start(self, parameters: Array) -> State:
        return super().start(parameters) if self.momentum else State({})

    def step(self, parameters: Array, gradient: Array, rate: float | Array, state: State) -> None:
        if self.momentum == 0:
            parameters -= rate * gradient
            return
        velocity = state.vectors["velocity"]
        velocity *= self.momentum
        velocity -= rate * gradient
        parameters += self.momentum * velocity - rate * gradient if self.nesterov else velocity


@final
@dataclass(eq=False, repr=False)
class RMSprop(Optimizer):
    """The gradient over its running root mean square: ``s = d * s + (1 - d) * g**2; p -= r * g / (sqrt(s) + epsilon)``.

    Parameters
    ----------
    learning_rate : float
        Positive.
    decay : float
        d, in [0, 1).
    epsilon : float
        Positive.

    References
    ----------
    Tieleman, Hinton (2012), Neural Networks for Machine Learning, lecture 6.5.
    """

    name = "rmsprop"
    learning_rate: float = 0.001
    decay: float = 0.99
    epsilon: float = 1e-8

    memory = ("square",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_number("decay", low=0, high=1, high_open=True)
        self.check_number("epsilon", low=0, low_open=True)

    def step(self, parameters: Array, gradient: Array, rate: float | Array, state: State) -> None:
        square = state.vectors["square"]
        square *= self.decay
        square += (1 - self.decay) * gradient**2
        parameters -= rate * gradient / (np.sqrt(square) + self.epsilon)


@dataclass(eq=False, repr=False)
class _AdamRule(Optimizer):
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    epsilon_hat: bool = field(default=False, kw_only=True)

    memory = ("mean", "square")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_number("beta_1", low=0, high=1, high_open=True)
        self.check_number("beta_2", low=0, high=1, high_open=True)
        self.check_number("epsilon", low=0, low_open=True)
        vars(self)["epsilon_hat"] = _checks.boolean("epsilon_hat", self.epsilon_hat)

    def step(self, parameters: Array, gradient: Array, rate: float | Array, state: State) -> None:
        mean, square, t = state.vectors["mean"], state.vectors["square"], state.steps
        mean *= self.beta_1
        mean += (1 - self.beta_1) * gradient
        square *= self.beta_2
        square += (1 - self.beta_2) * gradient**2
        mean_unbiased = mean / (1 - self.beta_1**t)
        square_unbiased = square / (1 - self.beta_2**t)
        epsilon = self.epsilon / math.sqrt(1 - self.beta_2**t) if self.epsilon_hat else self.epsilon
        parameters -= rate * mean_unbiased / (np.sqrt(square_unbiased) + epsilon)


@final
class Adam(_AdamRule):
    """Running mean over running root mean square, both corrected for having begun at zero.

    ``m = b1 * m + (1 - b1) * g; s = b2 * s + (1 - b2) * g**2``;
    ``p -= r * (m / (1 - b1**t)) / (sqrt(s / (1 - b2**t)) + epsilon)``

    Parameters
    ----------
    learning_rate : float
        Positive.
    beta_1, beta_2 : float
        In [0, 1).
    epsilon : float
        Positive.
    epsilon_hat : bool
        Whether epsilon is added to a root that is not yet corrected, as scikit-learn, Keras and the paper's faster
        form (the end of section 2) have it: ``epsilon / sqrt(1 - b2**t)`` in the formula above. The first steps of
        small gradients are shorter then.

    Examples
    --------
    >>> from nineline import Network, Adam
    >>> network = Network(3, 6, 1, rng=0)
    >>> history = network.train([[0, 0, 1], [1, 1, 1]], [[0], [1]], epochs=20, optimizer=Adam(0.01))
    >>> history.epochs
    20

    References
    ----------
    Kingma, Ba (2015), arXiv 1412.6980, algorithm 1.
    """

    name = "adam"


@final
@dataclass(eq=False, repr=False)
class AdamW(_AdamRule):
    """Adam, with every parameter also shrunk by ``r * weight_decay`` of itself, apart from the gradient.

    ``p -= r * weight_decay * p``, then Adam's step.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon, epsilon_hat
        As in Adam.
    weight_decay : float
        0 or more.

    References
    ----------
    Loshchilov, Hutter (2019), arXiv 1711.05101, algorithm 2.
    """

    name = "adamw"
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_number("weight_decay", low=0)

    def step(self, parameters: Array, gradient: Array, rate: float | Array, state: State) -> None:
        parameters -= rate * self.weight_decay * parameters
        super().step(parameters, gradient, rate, state)


class WholeBatchOptimizer(Optimizer):
    """A method that looks at all rows before each step, and finds for itself how far to go: it has no learning rate.

    Its step is an iteration of the method, and an iteration is an epoch. What an iteration is stands in
    `nineline.training.lbfgs` and `nineline.training.levenberg_marquardt`.
    """

    learning_rate = 1.0
    factors: Mapping[str, float] = MappingProxyType({})

    goal: float | None
    """The loss at which it has arrived, where there is one."""

    def step(self, parameters: Array, gradient: Array, rate: float | Array, state: State) -> None:
        raise TypeError(
            f"{type(self).__name__} needs the rows for a step, not a gradient alone; take steps by Trainer.step or "
            "Network.train"
        )


@final
class LBFGS(WholeBatchOptimizer):
    """Limited-memory BFGS: the gradient times an estimate of the inverse Hessian from the last few steps.

    With the steps s and the changes y of the gradient over them, newest first: ``a = s·d / s·y; d -= a * y``; then
    ``d *= s·y / y·y`` of the newest; and back again ``d += (a - y·d / s·y) * s``; where d begins and ends as minus the
    gradient and as the direction. How far to go is found by a search that keeps Wolfe's strong conditions.

    It takes any loss, in either dtype. It goes where the loss is smooth; on its kinks (relu, absolute error) it may end
    early.

    Parameters
    ----------
    memory : int
        How many steps are remembered, at least 1; each is two vectors as long as the parameters.
    tolerance : float
        It has arrived where no entry of the gradient is larger, 0 or more.
    goal : float, optional
        Or where the loss is not above this.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline import LBFGS, Network
    >>> x = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> network = Network(1, 8, 1, activation="tanh", output="identity", bias=True, rng=0)
    >>> history = network.train(x, np.sin(3 * x), epochs=500, loss="squared_error", optimizer=LBFGS(goal=1e-5))
    >>> history.stopped
    'the goal of 1e-05 is reached'

    References
    ----------
    Nocedal, Wright (2006), Numerical Optimization, algorithms 7.4, 3.5 and 3.6.
    """

    name = "lbfgs"
    memory: int  # type: ignore[assignment,misc]  # the field's word; what its state holds is said by `start`

    def __init__(self, memory: int = 10, *, tolerance: float = 1e-6, goal: float | None = None) -> None:
        self.memory = _checks.positive_integer("memory", memory)
        self.tolerance = _checks.number("tolerance", tolerance, low=0)
        self.goal = None if goal is None else _checks.number("goal", goal)

    def start(self, parameters: Array) -> State:
        shape = self.memory, len(parameters)
        vectors = {"steps": np.zeros(shape, parameters.dtype), "changes": np.zeros(shape, parameters.dtype)}
        return State(vectors, numbers={"remembered": 0.0})


@final
class LevenbergMarquardt(WholeBatchOptimizer):
    """Between Gauss and Newton's step and a short one downhill, by a damping that follows how well it went.

    With the residuals c and their derivatives J by the parameters: ``(J'J + damping * D) step = -J'c``, D diagonal: the
    largest diagonal of J'J so far, but at least its mean. Where the loss fell by a share ``q`` of what was
    foreseen, the step is taken and ``damping *= max(1/3, 1 - (2 q - 1)**3)``; where it did not fall, ``damping *= 2, 4,
    8, ...`` until it does. It is what MATLAB's users know as trainlm, and with `bayesian` as trainbr.

    For some hundred parameters, and 5,000 at most, where a fit should be close. Squared error, with weighted
    rows and several outputs; and cross_entropy, binary_cross_entropy and poisson behind softmax, sigmoid and
    exponential, by their own Hessian. It computes in float64, whatever the network's dtype.

    Parameters
    ----------
    damping : float
        At first, positive.
    goal : float, optional
        It has arrived where the loss is not above this. A loss given by name is the mean over rows of half the squared
        error: MATLAB's goal times n_outputs / 2.
    min_gradient : float
        Or where no entry of the gradient is larger, 0 or more.
    max_damping : float
        Or where no damping up to this one has a step that lowers the loss.
    bayesian : bool
        Bayesian regularisation: adds ``l2 / 2 * sum(p**2)`` over all parameters, and finds l2 from the rows, as their
        noise against the size of the parameters, by the effective number of parameters; History has both. No rows need
        be kept for validation.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline import LevenbergMarquardt, Network
    >>> x = np.linspace(-1, 1, 41).reshape(-1, 1)
    >>> network = Network(1, 5, 1, activation="tanh", output="identity", bias=True, rng=0)
    >>> optimizer = LevenbergMarquardt(goal=0.001)
    >>> history = network.train(x, np.sin(np.pi * x), epochs=100, loss="squared_error", optimizer=optimizer)
    >>> history.stopped, history.epochs < 30
    ('the goal of 0.001 is reached', True)

    References
    ----------
    Marquardt (1963), An algorithm for least-squares estimation of nonlinear parameters; Nielsen (1999), Damping
    parameter in Marquardt's method, section 2, for how the damping follows; Hagan, Menhaj (1994), Training feedforward
    networks with the Marquardt algorithm; Foresee, Hagan (1997), Gauss-Newton approximation to Bayesian learning.
    """

    name = "levenberg_marquardt"

    def __init__(
        self,
        damping: float = 1e-3,
        *,
        goal: float | None = None,
        min_gradient: float = 1e-7,
        max_damping: float = 1e10,
        bayesian: bool = False,
    ) -> None:
        self.damping = _checks.number("damping", damping, low=0, low_open=True)
        self.goal = None if goal is None else _checks.number("goal", goal)
        self.min_gradient = _checks.number("min_gradient", min_gradient, low=0)
        self.max_damping = _checks.number("max_damping", max_damping, low=self.damping)
        self.bayesian = _checks.boolean("bayesian", bayesian)

    def start(self, parameters: Array) -> State:
        numbers = {"damping": self.damping, "growth": 2.0, "l2": -1.0, "effective": 0.0, "settled": 0.0}
        return State({"scaling": np.zeros(len(parameters))}, numbers=numbers)


OPTIMIZERS: Final[dict[str, type[Optimizer]]] = {
    kind.name: kind for kind in (GradientDescent, RMSprop, Adam, AdamW, LBFGS, LevenbergMarquardt)
}
"""Every optimizer under its public name."""
