"""What `benchmarks.second_order` trains, and who trains it: from the same weights, in float64, on all rows at once.

A loss is half the mean over rows of the squared error summed over outputs, nineline's ``"squared_error"``; MATLAB's
mean squared error, over rows and outputs, is 2 / outputs times that. All peers see residuals of which it is half the
sum of squares.
"""

from __future__ import annotations

import importlib.util
import time
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np

from nineline import Adam, DivergenceError, GradientDescent, Network, Trainer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nineline import Optimizer

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

SHARED: Final = Path(__file__).parents[2] / "shared" / "data"
WITHOUT_GOAL: Final = 100
"""Iterations that our Levenberg-Marquardt takes where a problem has no goal; where it is then is the others' goal."""
ROUNDING: Final = 1 + 1e-9
"""By what factor a loss that is computed anew may lie above the goal."""
_STEPS_A_CALL: Final = 1000  # of Adam and of gradient descent, between two looks at the losses


# Problems


class Problem(NamedTuple):
    """Rows, a network for them, and the loss to arrive at.

    Attributes
    ----------
    name : str
    sizes : tuple of int
        Nodes of each layer; hidden ones are tanh, outputs are not squashed.
    inputs, targets : array, (rows, inputs), (rows, outputs)
    error : float or None
        The goal as MATLAB's mean squared error; None where it is what our Levenberg-Marquardt has come to.
    """

    name: str
    sizes: tuple[int, ...]
    inputs: Array
    targets: Array
    error: float | None

    @property
    def goal(self) -> float | None:
        """The same as a loss."""
        return None if self.error is None else self.error * self.sizes[-1] / 2

    def network(self, seed: int) -> Network:
        """Return the network that every peer begins with at this start."""
        return Network(*self.sizes, activation="tanh", output="identity", bias=True, rng=seed)


def sin() -> Problem:
    """A period of the sine, ``sin(pi x)`` at 41 points from -1 to 1."""
    x = np.linspace(-1, 1, 41).reshape(-1, 1)
    return Problem("sin", (1, 5, 1), x, np.sin(np.pi * x), 0.002)


def parity() -> Problem:
    """Whether an odd number of 3 bits is set; bits and answers are -1 and 1."""
    bits = 2.0 * np.indices((2, 2, 2)).reshape(3, -1).T - 1
    return Problem("parity", (3, 10, 10, 1), bits, bits.prod(axis=1, keepdims=True), 0.001)


def proben1(name: str, hidden: Sequence[int], error: float) -> Problem:
    """All rows of a set of PROBEN1 as they are: inputs from 0 to 1, a column of 0 and 1 for each of two classes."""
    file = np.load(SHARED / "proben1" / f"{name}1.npz")
    X, Y = file["X"], file["Y"]
    return Problem(name, (X.shape[1], *hidden, Y.shape[1]), X, Y, error)


def uci(name: str) -> Problem:
    """All rows of a set of the UCI, inputs and targets standardised."""
    file = np.load(SHARED / "uci_splits" / f"{name}.npz")
    X, y = ((each - each.mean(axis=0)) / each.std(axis=0) for each in (file["X"], file["y"].reshape(-1, 1)))
    return Problem(name, (X.shape[1], 10, 1), X, y, None)


PROBLEMS: Final[dict[str, Callable[[], Problem]]] = {
    "sin": sin,
    "parity": parity,
    "cancer": partial(proben1, "cancer", (5, 5), 0.012),
    "diabetes": partial(proben1, "diabetes", (15, 15), 0.05),
    "energy": partial(uci, "energy"),
    "concrete": partial(uci, "concrete"),
}
"""A function that raises FileNotFoundError where the set is not here."""


# The network once more, in NumPy


class Residuals:
    """Residuals of a problem and their derivatives by the parameters, which lie as in `Network.parameters`.

    ``r = (outputs - targets) / sqrt(rows)``, so that ``r'r / 2`` is the loss. The forward pass of the last residuals is
    kept, since whoever asks for derivatives has asked for residuals at the same place before.
    """

    def __init__(self, problem: Problem) -> None:
        self.inputs, self.targets = problem.inputs, problem.targets
        rows, outputs = self.targets.shape
        self.root = np.sqrt(rows)
        self.blocks: list[tuple[slice, tuple[int, int], slice]] = []
        """Of each layer: the place of its weights, their shape, the place of its bias."""
        end = 0
        for shape in pairwise(problem.sizes):
            weights = slice(end, end + shape[0] * shape[1])
            end = weights.stop + shape[1]
            self.blocks.append((weights, shape, slice(weights.stop, end)))
        self.at: Array = np.full(end, np.nan)
        self.seen: list[Array] = []
        self.answered = np.broadcast_to(np.eye(outputs) / self.root, (rows, outputs, outputs))
        self.matrix: Array = np.empty((rows, outputs, end))

    def __call__(self, parameters: Array) -> Array:
        """Return the residuals, (rows * outputs,)."""
        return ((self._forward(parameters)[-1] - self.targets) / self.root).ravel()

    def loss(self, parameters: Array) -> float:
        """Return the loss."""
        residuals = self(parameters)
        return float(residuals @ residuals) / 2

    def jacobian(self, parameters: Array) -> Array:
        """Return their derivatives, (rows * outputs, parameters), by backpropagation; the next call overwrites them."""
        seen = self._forward(parameters)
        errors = self.answered  # d residuals / d weighted sums of a layer, (rows, outputs, nodes)
        for number in reversed(range(len(self.blocks))):
            weights, shape, bias = self.blocks[number]
            by_weights = self.matrix[:, :, weights].reshape(*self.matrix.shape[:2], *shape)  # a view
            np.multiply(seen[number][:, np.newaxis, :, np.newaxis], errors[:, :, np.newaxis], out=by_weights)
            self.matrix[:, :, bias] = errors
            if number:
                errors = errors @ parameters[weights].reshape(shape).T
                errors *= (1 - seen[number] ** 2)[:, np.newaxis]
        return self.matrix.reshape(-1, len(parameters))

    def _forward(self, parameters: Array) -> list[Array]:
        """Return the inputs of each layer, and the outputs."""
        if not np.array_equal(parameters, self.at):
            seen = [self.inputs]
            for number, (weights, shape, bias) in enumerate(self.blocks):
                z = seen[-1] @ parameters[weights].reshape(shape)
                z += parameters[bias]
                seen.append(z if number == len(self.blocks) - 1 else np.tanh(z, out=z))
            self.at, self.seen = parameters.copy(), seen
        return self.seen


# Methods


class Limits(NamedTuple):
    """After how much a start that has not arrived is given up.

    Attributes
    ----------
    threads : int
        Of ours.
    iterations : int
        Of a Levenberg-Marquardt; of SciPy's, evaluations.
    epochs : int
        Of all others: L-BFGS, Adam, gradient descent.
    """

    threads: int
    iterations: int
    epochs: int


class Ended(NamedTuple):
    """How a start went: seconds, the loss at the end, and iterations until then."""

    seconds: float
    loss: float
    iterations: int


Run: TypeAlias = "Callable[[int, float], Ended]"
"""Trains from the weights of a seed until a loss."""


def _train(problem: Problem, seed: int, optimizer: Optimizer, epochs: int, threads: int) -> Ended:
    network = problem.network(seed)
    trainer = Trainer(network, loss="squared_error", optimizer=optimizer, threads=threads)
    began = time.perf_counter()
    losses = trainer.steps(problem.inputs, problem.targets, epochs=epochs)
    seconds = time.perf_counter() - began
    steps = len(losses) - (trainer.converged != "")  # the last one, where it ends early, only looks
    return Ended(seconds, Residuals(problem).loss(network.parameters), steps)


def levenberg_marquardt(problem: Problem, limits: Limits) -> Run:
    """Ours. Where the problem has no goal it is not given one, and takes `WITHOUT_GOAL` iterations."""
    from nineline import LevenbergMarquardt

    iterations = WITHOUT_GOAL if problem.goal is None else limits.iterations
    return lambda seed, goal: _train(problem, seed, LevenbergMarquardt(goal=goal), iterations, limits.threads)


def lbfgs(problem: Problem, limits: Limits) -> Run:
    """Ours."""
    from nineline import LBFGS

    return lambda seed, goal: _train(problem, seed, LBFGS(tolerance=0, goal=goal), limits.epochs, limits.threads)


def by_gradient(optimizer: Optimizer, problem: Problem, limits: Limits) -> Run:
    """Steps along the gradient: many a call, of which those after the one that arrives are not counted."""

    def run(seed: int, goal: float) -> Ended:
        network = problem.network(seed)
        taken = 0
        trainer = Trainer(network, loss="squared_error", optimizer=optimizer, threads=limits.threads)
        began = time.perf_counter()
        try:
            while taken < limits.epochs:
                call = time.perf_counter()
                losses = trainer.steps(
                    problem.inputs, problem.targets, epochs=min(_STEPS_A_CALL, limits.epochs - taken)
                )
                arrived = np.flatnonzero(losses <= goal)
                if arrived.size:
                    first = int(arrived[0])
                    share = first / len(losses)
                    seconds = call - began + share * (time.perf_counter() - call)
                    return Ended(seconds, float(losses[first]), taken + first)
                taken += len(losses)
        except DivergenceError:
            pass
        return Ended(time.perf_counter() - began, Residuals(problem).loss(network.parameters), taken)

    return run


class _ArrivedError(Exception):
    """Raised through SciPy, which has no other way to stop at a goal."""


def scipy_least_squares(scale: float | str, problem: Problem, limits: Limits) -> Run:
    """SciPy's `least_squares(method="lm")`, MINPACK, with the exact Jacobian of `Residuals`.

    MINPACK refuses fewer residuals than parameters. There it is "trf", in half the time that "lm" takes with residuals
    of 0 put behind the others.
    """
    from scipy.optimize import least_squares

    residuals = Residuals(problem)
    method = "lm" if problem.targets.size >= len(residuals.at) else "trf"

    def run(seed: int, goal: float) -> Ended:
        evaluations = 0
        residuals.at[0] = np.nan  # nothing is kept from the last start

        def look(parameters: Array) -> Array:
            nonlocal evaluations
            evaluations += 1
            found = residuals(parameters)
            if found @ found <= 2 * goal:
                raise _ArrivedError
            return found

        start = problem.network(seed).parameters
        end = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15, "max_nfev": limits.iterations}
        began = time.perf_counter()
        try:
            loss = least_squares(look, start, residuals.jacobian, method=method, x_scale=scale, **end).cost
        except _ArrivedError:
            loss = residuals.loss(residuals.at.copy())
        return Ended(time.perf_counter() - began, float(loss), evaluations)

    return run


def jax_levenberg_marquardt(slopes: str, problem: Problem, limits: Limits) -> Run:
    """Our method in JAX, the whole of it one compiled loop; compiled before any clock runs."""
    import jax

    from benchmarks import second_order_jax

    inputs, targets = jax.device_put((problem.inputs, problem.targets))
    slopes_of = getattr(second_order_jax, slopes)
    compiled = second_order_jax.levenberg_marquardt(problem.sizes, limits.iterations, slopes_of)
    jax.block_until_ready(compiled(problem.network(0).parameters, inputs, targets, np.inf))

    def run(seed: int, goal: float) -> Ended:
        start = problem.network(seed).parameters
        began = time.perf_counter()
        parameters, taken = jax.block_until_ready(compiled(start, inputs, targets, goal))
        seconds = time.perf_counter() - began
        return Ended(seconds, Residuals(problem).loss(np.asarray(parameters)), int(taken))

    return run


@dataclass(frozen=True)
class Method:
    """Who trains.

    Attributes
    ----------
    peer : str
        Where there are several of one peer, the best on a problem counts.
    label : str
    make : function of a Problem and Limits
        Gets ready, and returns what trains.
    needs : str
        ``package.name`` that has to be there.
    """

    peer: str
    label: str
    make: Callable[[Problem, Limits], Run]
    needs: str = "nineline.Trainer"

    def missing(self) -> str:
        """Return what is not installed, or ""."""
        package, _, name = self.needs.partition(".")
        there = importlib.util.find_spec(package) is not None
        if there and name:
            there = hasattr(importlib.import_module(package), name)
        return "" if there else self.needs


OURS: Final = "lm"
OTHERS: Final = ("scipy", "jax")
"""Peers that are not nineline's."""
METHODS: Final = (
    Method(OURS, "LevenbergMarquardt", levenberg_marquardt, "nineline.LevenbergMarquardt"),
    Method("lbfgs", "LBFGS", lbfgs, "nineline.LBFGS"),
    *(Method("adam", f"Adam, {rate:g}", partial(by_gradient, Adam(rate))) for rate in (1e-3, 1e-2, 1e-1)),
    *(
        Method(
            "momentum", f"gradient descent, {rate:g}, momentum 0.9", partial(by_gradient, GradientDescent(rate, 0.9))
        )
        for rate in (1e-2, 1e-1, 3e-1)
    ),
    *(
        Method("scipy", f"SciPy's least_squares, x_scale={scale!r}", partial(scipy_least_squares, scale), "scipy")
        for scale in ("jac", 1.0)
    ),
    Method("jax", "JAX, jacrev", partial(jax_levenberg_marquardt, "automatic"), "jax"),
    Method("jax", "JAX, Jacobian by hand", partial(jax_levenberg_marquardt, "by_hand"), "jax"),
)
