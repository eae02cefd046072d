"""Trainer: a training that lives. Rows are handed to it, and it takes steps."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import numpy as np

from nineline import _checks, draws, engines
from nineline.engines.contract import Rule
from nineline.losses import OutputErrors
from nineline.network import Network
from nineline.optimizers import GradientDescent, WholeBatchOptimizer
from nineline.rows import Rows
from nineline.training.errors import DivergenceError
from nineline.training.history import History
from nineline.training.snapshot import Snapshot

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from nineline._typing import Array, RandomSource
    from nineline.engines.contract import Engine
    from nineline.losses import Loss
    from nineline.optimizers import Optimizer

CALL_SECONDS: Final = 0.05
"""About how long an engine works at a time: between two calls Ctrl-C is heard, and whoever wants to look, does."""

_OUTPUT_ERRORS: Final = OutputErrors(reduction="sum")


class Trainer:
    """A network, a rule and what the rule remembers: takes steps on whatever rows it is handed.

    `Network.train` is a loop around one. On the same rows in the same order both end with the same bits. A step begins
    with the parameters as the network holds them then, whoever has changed them in between, and `Network.run` answers
    with those that the last step left.

    Parameters
    ----------
    network : Network
        Its parameters are moved in place.
    loss : str or Loss, optional
        One of `nineline.losses.LOSSES`, then its mean over the rows of a step, or an object. By default the
        tutorial's, ``SquaredError(reduction="sum")``.
    optimizer : str or Optimizer, optional
        One of `nineline.optimizers.OPTIMIZERS` or an object. By default the tutorial's, ``GradientDescent(1.0)``.
    l1, l2 : float
        Adds ``l1 * sum(|w|) + l2 / 2 * sum(w**2)`` over the weights of dense layers to the loss.
    clip_norm : float, optional
        Gradients longer than this are shortened to it (Euclidean norm over all parameters that learn).
    engine : {"auto", "native", "reference"}
        What computes: the C++ engine, or NumPy. "auto" takes native for all that it knows.
    threads : int, optional
        At most so many threads share a step where that is faster; by default one for each core. The result is the
        same bits for any number.
    rng : int, numpy.random.Generator or None
        Rules shuffling in `steps`, and dropout. None continues the network's own.

    Attributes
    ----------
    network : Network
    rule : Rule
        Loss, optimizer, penalties, clipping.
    engine : Engine
        What computes; `engine.name` says which.

    Raises
    ------
    ValueError, TypeError
        An argument is wrong, or the loss does not fit the network's output.

    Notes
    -----
    A trainer may be used from several threads: its steps, and those of other trainers of the same network, come one
    after the other. A step asked for within a step (by a handler of signals) is a RuntimeError.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline import Adam, Network, Trainer
    >>> rng = np.random.default_rng(0)
    >>> network = Network(2, 16, 1, activation="tanh", output="identity", bias=True, rng=0)
    >>> trainer = Trainer(network, loss="squared_error", optimizer=Adam(0.01))
    >>> for _ in range(1000):                      # a stream: each step sees rows that never come again
    ...     X = rng.uniform(-1, 1, (32, 2))
    ...     loss = trainer.step(X, X[:, :1] * X[:, 1:])
    >>> bool(loss < 1e-3)
    True
    >>> trainer.steps_taken
    1000
    """

    def __init__(
        self,
        network: Network,
        *,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        clip_norm: float | None = None,
        engine: str = "auto",
        threads: int | None = None,
        rng: RandomSource = None,
    ) -> None:
        rule = Rule(loss, optimizer, l1=l1, l2=l2, clip_norm=clip_norm)
        generator = None if rng is None else _checks.generator("rng", rng)
        self._begin(network, rule, engine, threads, generator)
        self.draw_seed()

    @classmethod
    def of(
        cls,
        network: Network,
        rule: Rule,
        engine: str,
        threads: int | None,
        rng: np.random.Generator,
        choose: Callable[[str, Network, Rule, int], Engine] = engines.choose,
    ) -> Trainer:
        """Return a trainer by a rule. Nothing is drawn: `draw_seed` is to be called, or the rule has its seed.

        `choose` is who chooses an engine, by its name.
        """
        trainer = cls.__new__(cls)
        trainer._begin(network, rule, engine, threads, rng, choose)
        return trainer

    def _begin(
        self,
        network: Network,
        rule: Rule,
        engine: str,
        threads: int | None,
        rng: np.random.Generator | None,
        choose: Callable[[str, Network, Rule, int], Engine] = engines.choose,
    ) -> None:
        if not isinstance(network, Network):
            raise TypeError(f"network is {network!r} ({type(network).__name__}); expected a Network")
        rule.check(network)
        self.network, self.rule, self.rng = network, rule, network.rng if rng is None else rng
        self._asked = engine, threads
        self.engine: Engine = engine_of(engine, network, rule, _checks.threads("threads", threads), choose)
        self._quick: Callable[[Any, Any, float], float | None] = getattr(self.engine, "quick_step", _look_again)
        self._rate = rule.optimizer.learning_rate
        self._stepping = network.stepping
        self._steps_a_call = 1
        self.steps_together: int = getattr(self.engine, "steps_together", 1)
        """A call takes whole lots of so many steps."""
        self._first_steps: Callable[[Rows], int] = getattr(self.engine, "first_steps", lambda _: 1)

    def draw_seed(self) -> None:
        """Draw the seed of what is drawn inside steps."""
        self.engine.reseed(draws.seed(self.rng))

    # Steps

    def step(
        self,
        inputs: Any,
        outputs: Any,
        sample_weight: npt.ArrayLike | None = None,
        *,
        learning_rate: float | None = None,
    ) -> float:
        """Take one step on these rows and return their loss before it, penalties included.

        Fastest with C-contiguous arrays of the network's dtype, which are read where they lie.

        Parameters
        ----------
        inputs : array_like or SciPy sparse matrix, (rows, n_inputs)
            One row or many.
        outputs : array_like, (rows, n_outputs)
            What the network should answer; with cross_entropy also class numbers, (rows,), from 0.
        sample_weight : array_like, (rows,), optional
            0 or more; a row of weight 2 counts as two rows.
        learning_rate : float, optional
            By default the optimizer's.

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            The rows are of no use; nothing has been changed.
        DivergenceError
            The loss is not finite. The network is back at its last finite state.

        Examples
        --------
        >>> from nineline import Network, Trainer
        >>> trainer = Trainer(Network(3, 6, 1, rng=1))
        >>> X, y = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], [[0], [1], [1], [0]]
        >>> first = trainer.step(X, y)
        >>> first > trainer.step(X, y)
        True
        """
        rate = self._rate if learning_rate is None else self._rate_of_step(learning_rate)
        with self._stepping():
            loss = self._quick(inputs, outputs, rate) if sample_weight is None else None
            if loss is None:
                rows = self.check(inputs, outputs, sample_weight)
                loss = float(self.engine.steps(rows, None, len(rows), np.array([rate]))[0])
        if not math.isfinite(loss):
            self._diverged(f"the loss became {loss}", self.check(inputs, outputs, sample_weight))
        return loss

    def steps(
        self,
        inputs: Any,
        outputs: Any,
        sample_weight: npt.ArrayLike | None = None,
        *,
        batch_size: int | None = None,
        epochs: int = 1,
        shuffle: bool = True,
        learning_rate: float | None = None,
    ) -> Array:
        """Take a step on each batch of these rows, and go through them so often; return each batch's loss before it.

        Parameters
        ----------
        inputs, outputs, sample_weight, learning_rate
            As in `step`.
        batch_size : int, optional
            Rows a step; by default all of them.
        epochs : int
            How often to go through the rows.
        shuffle : bool
            Whether each epoch takes them in a new order (with `batch_size`).

        Returns
        -------
        array, (steps,)

        Raises
        ------
        ValueError, TypeError
            An argument is wrong; nothing has been changed.
        DivergenceError
            A loss is not finite. The network is back at its last finite state.

        Examples
        --------
        >>> import numpy as np
        >>> from nineline import Network, Trainer
        >>> trainer = Trainer(Network(2, 8, 1, rng=0), loss="squared_error", optimizer="adam", rng=0)
        >>> len(trainer.steps(np.zeros((100, 2)), np.ones(100), batch_size=32, epochs=3))
        12
        """
        rows = self.check(inputs, outputs, sample_weight)
        rate = self._rate if learning_rate is None else self._rate_of_step(learning_rate)
        epochs = _checks.positive_integer("epochs", epochs)
        size = len(rows) if batch_size is None else _checks.positive_integer("batch_size", batch_size)
        shuffle = _checks.boolean("shuffle", shuffle)
        batches = math.ceil(len(rows) / size)
        if batches > 1:
            self.refuse_on_all_rows("batch_size", size, "takes all rows at each step")
        losses: list[Array] = []
        for _ in range(epochs if batches > 1 else 1):
            if batches == 1:
                order, rates = None, np.full(epochs, rate)
            else:
                order = self.rng.permutation(len(rows)) if shuffle else np.arange(len(rows))
                rates = np.full(batches, rate)
            for some in self.walk(rows, order, size, rates):
                losses.append(some)
                if not math.isfinite(some[-1]):
                    self._diverged(f"the loss became {some[-1]}", rows)
        return np.concatenate(losses)

    def refuse_on_all_rows(self, argument: str, value: object, why: str) -> None:
        """Raise ValueError where the optimizer looks at all rows, for which an argument has no meaning."""
        if isinstance(self.rule.optimizer, WholeBatchOptimizer):
            from nineline.training.whole_batch import refuse

            refuse(self.rule, argument, value, why)

    def _rate_of_step(self, learning_rate: float) -> float:
        self.refuse_on_all_rows("learning_rate", learning_rate, "has no learning rate")
        return _rate(learning_rate)

    def walk(
        self,
        rows: Rows,
        order: npt.NDArray[np.intp] | None,
        batch_size: int,
        rates: npt.NDArray[np.float64],
        start: int = 0,
        before_call: Callable[[npt.NDArray[np.intp]], None] | None = None,
    ) -> Iterator[Array]:
        """Take ``rates[start:]`` steps, about 50 ms of them at a time, and yield the losses of each call.

        This is the way of many steps, which `Network.train` takes too. A loss that is not finite is the last one, and
        so is that of a step after which there is nowhere to go (`converged`).

        Parameters
        ----------
        rows, order, batch_size, rates
            As `engines.contract.Engine.steps` takes them.
        start : int
            The first step to be taken.
        before_call : function, optional
            Called with the rows of the next step; each call of the engine takes one step then.
        """
        if self._steps_a_call == 1:
            self._steps_a_call = self._first_steps(rows)
        while start < len(rates):
            lots = max(self._steps_a_call // self.steps_together, 1)
            stop = min(start + lots * self.steps_together, len(rates)) if before_call is None else start + 1
            some = None if order is None else order[start * batch_size : stop * batch_size]
            if before_call is not None and some is not None:
                before_call(some)
            began = time.perf_counter()
            with self._stepping():
                losses = self.engine.steps(rows, some, batch_size, rates[start:stop])
            pace = CALL_SECONDS / max(time.perf_counter() - began, 1e-9)
            self._steps_a_call = max(1, min(int((stop - start) * pace), 4 * self._steps_a_call))
            yield losses
            if len(losses) < stop - start or not math.isfinite(losses[-1]) or self.engine.converged:
                return
            start = stop

    def gradient(self, inputs: Any, outputs: Any, sample_weight: npt.ArrayLike | None = None) -> tuple[float, Array]:
        """Return the loss of these rows as the next step would see it, and its gradient; nothing is moved.

        Penalties are part of both, and nothing is clipped. `step` is `gradient` and then `move` (but of an `Embedding`
        `step` moves the vectors of its rows, `move` those whose gradient is not zero). Where the loss is not
        finite it is returned as it is.

        Parameters
        ----------
        inputs, outputs, sample_weight
            As in `step`.

        Returns
        -------
        loss : float
        gradient : array, (n,)
            As `Network.parameters` lies; 0 where a block does not learn.

        Examples
        --------
        >>> import numpy as np
        >>> from nineline import Network, Trainer
        >>> network = Network(3, 6, 1, rng=0)
        >>> trainer = Trainer(network)                               # gradient descent, learning rate 1
        >>> before = network.parameters.copy()
        >>> loss, gradient = trainer.gradient([[0, 1, 1]], [[1]])
        >>> trainer.move(gradient)
        >>> bool((network.parameters == before - gradient).all())
        True
        """
        rows = self.check(inputs, outputs, sample_weight)
        gradient = np.empty_like(self.network.parameters)
        with self._stepping():
            loss = self.engine.gradient(rows, gradient)
        return loss, gradient

    def move(self, gradient: npt.ArrayLike, *, learning_rate: float | None = None) -> None:
        """Take the optimizer's step by a gradient that may come from anywhere; it is clipped as the rule says.

        Parameters
        ----------
        gradient : array_like, (n,)
            As `Network.parameters` lies; uphill, as `gradient` returns it.
        learning_rate : float, optional
            By default the optimizer's.

        Raises
        ------
        ValueError, TypeError
            The gradient has another shape, or is not finite; nothing has been changed.
        """
        rate = self._rate if learning_rate is None else _rate(learning_rate)
        parameters = self.network.parameters
        array = _checks.as_float("gradient", gradient, self.network.dtype, "expected finite numbers")
        if array.shape != parameters.shape:
            raise ValueError(f"gradient has shape {array.shape}; expected one as parameters has: {parameters.shape}")
        with self._stepping():
            self.engine.move(array.copy() if array is gradient else array, rate)

    def step_from(self, inputs: Any, output_errors: npt.ArrayLike, *, learning_rate: float | None = None) -> None:
        """Take one step by the chain rule from errors of the outputs: a loss of your own, policy gradients.

        The gradient of the parameters p is ``-sum over rows and outputs of errors * d outputs / d p``, penalties added:
        a step goes where the errors point, as `Layer.backward` goes.

        Parameters
        ----------
        inputs : array_like or SciPy sparse matrix, (rows, n_inputs)
        output_errors : array_like, (rows, n_outputs)
            Where each output should go: minus the derivative of a loss by it. Divide by the rows where the loss is
            their mean.
        learning_rate : float, optional
            By default the optimizer's.

        Raises
        ------
        ValueError, TypeError
            The arrays are of no use; nothing has been changed.
        DivergenceError
            The gradient is not finite. The network is back at its last finite state.

        Examples
        --------
        The tutorial's step, its loss written out:

        >>> import numpy as np
        >>> from nineline import Network, Trainer
        >>> X, y = np.array([[0.0, 1, 1], [1, 1, 1]]), np.array([[1.0], [0]])
        >>> network, same = Network(3, 6, 1, rng=0), Network(3, 6, 1, rng=0)
        >>> Trainer(network).step_from(X, y - network.run(X))
        >>> loss = Trainer(same).step(X, y)
        >>> np.allclose(network.parameters, same.parameters, rtol=0, atol=1e-15)
        True
        """
        rate = self._rate if learning_rate is None else _rate(learning_rate)
        network = self.network
        given = network.check_inputs("inputs", inputs)
        errors = _checks.matrix(
            "output_errors", output_errors, network.n_outputs, "the network's last layer", network.dtype
        )
        if len(errors) != given.shape[0]:
            raise ValueError(
                f"inputs has {given.shape[0]} rows and output_errors has {len(errors)}; expected as many of each"
            )
        gradient = np.empty_like(network.parameters)
        with self._stepping():
            self.engine.gradient(Rows(given, errors), gradient, _OUTPUT_ERRORS)
            finite = _checks.is_finite(gradient)
            if finite:
                self.engine.move(gradient, rate)
        if not finite:
            self._diverged("a gradient became infinite", Rows(given, np.zeros_like(errors)))

    def undo(self) -> None:
        """Take the last step back: parameters, what the optimizer remembers and the count are as before it.

        Raises
        ------
        RuntimeError
            There is no step to take back: none was taken yet, or the last one is taken back already.

        Examples
        --------
        >>> from nineline import Network, Trainer
        >>> trainer = Trainer(Network(3, 6, 1, rng=0), optimizer="adam")
        >>> loss = trainer.step([[0, 0, 1]], [[0]])
        >>> trainer.undo()
        >>> trainer.steps_taken, trainer.step([[0, 0, 1]], [[0]]) == loss
        (0, True)
        """
        with self._stepping():
            self.engine.undo()

    # Looking

    @property
    def steps_taken(self) -> int:
        """How many steps this training has taken."""
        return self.engine.steps_taken

    @property
    def converged(self) -> str:
        """Why another step on the rows of the last would go nowhere, in words; "" where it may go on.

        Methods that look at all rows, `LBFGS` and `LevenbergMarquardt`, say so.

        Examples
        --------
        >>> from nineline import LBFGS, Network, Trainer
        >>> trainer = Trainer(Network(2, 1, output="identity", rng=0), optimizer=LBFGS(goal=1e-8))
        >>> losses = trainer.steps([[0, 1], [1, 0]], [[1], [2]], epochs=50)
        >>> trainer.converged, len(losses) < 20
        ('the goal of 1e-08 is reached', True)
        """
        return self.engine.converged

    def evaluate(self, inputs: Any, outputs: Any, sample_weight: npt.ArrayLike | None = None) -> float:
        """Return the loss of these rows as the network runs: no dropout, no penalties; nothing is moved.

        Parameters
        ----------
        inputs, outputs, sample_weight
            As in `step`.
        """
        return self.measure(self.check(inputs, outputs, sample_weight))

    def measure(self, rows: Rows) -> float:
        """Return the loss of checked rows, as `evaluate` does."""
        with self._stepping():
            return self.engine.evaluate(rows)

    def check(self, inputs: Any, outputs: Any, sample_weight: Any = None, of: str = "") -> Rows:
        """Return what a user passed as Rows that fit the network and the loss, or raise.

        `of` is what names in messages begin with, such as "validation ".
        """
        network, loss = self.network, self.rule.loss
        rows = network.check_rows(inputs, outputs, sample_weight, classes=loss.takes_classes, of=of)
        if not rows.are_classes:
            loss.check(network.output_layer.activation, cast("Array", rows.targets))
        return rows

    # Standing still

    def snapshot(self) -> Snapshot:
        """Return where this training stands; `restore` goes back to it."""
        with self._stepping():
            return Snapshot(
                parameters=self.network.parameters.copy(),
                before=self.engine.before(),
                state=self.engine.state,
                random=dict(self.rng.bit_generator.state),
                seed=self.engine.seed,
            )

    def restore(self, snapshot: Snapshot) -> None:
        """Go on where a snapshot was taken, of this training or of one with the same network and rule.

        Examples
        --------
        >>> from nineline import Network, Trainer
        >>> trainer = Trainer(Network(3, 6, 1, rng=0), optimizer="adam")
        >>> here = trainer.snapshot()
        >>> losses = [trainer.step([[0, 0, 1]], [[0]]) for _ in range(10)]
        >>> trainer.restore(here)
        >>> losses == [trainer.step([[0, 0, 1]], [[0]]) for _ in range(10)]
        True
        """
        kept, wanted = snapshot.state.shapes, self.engine.state.shapes
        if kept != wanted or snapshot.parameters.shape != self.network.parameters.shape:
            raise ValueError(
                f"snapshot is of a training of {snapshot.parameters.size} parameters whose optimizer remembers "
                f"{', '.join(kept) or 'nothing'}; this one has {self.network.parameters.size} and remembers "
                f"{', '.join(wanted) or 'nothing'}"
            )
        with self._stepping():
            self.network.parameters = snapshot.parameters
            if snapshot.seed is not None:
                self.engine.reseed(snapshot.seed)
            self.engine.restore(snapshot.state, snapshot.before)
            self.rng.bit_generator.state = dict(snapshot.random)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the whole training to one file: network, rule, what the optimizer remembers, random generator.

        Parameters
        ----------
        path : path
            Where a file already lies there, it is replaced at the last moment. `Network.load` reads the network out
            of it.

        Raises
        ------
        ValueError
            The network, loss or optimizer is your own: a file holds no code.
        OSError
            The file cannot be written; what lay there before is untouched.
        """
        from nineline.training.snapshot_file import save_trainer

        save_trainer(path, self.network, self.rule, self.snapshot())

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, engine: str = "auto", threads: int | None = None) -> Trainer:
        """Read a training that `save` wrote, network and all; it goes on to the same bits.

        Parameters
        ----------
        path : path
        engine, threads
            As in the constructor. The same bits need the same engine and instruction set.

        Raises
        ------
        nineline.files.FileError
            The file is no such training, or truncated, or altered, or of a newer format.
        OSError
            The file cannot be read.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> from nineline import Network, Trainer
        >>> trainer = Trainer(Network(3, 6, 1, rng=0), optimizer="adam")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "run.nineline"
        ...     loss = trainer.step([[0, 0, 1]], [[0]])
        ...     trainer.save(path)
        ...     other = Trainer.load(path)
        >>> other.step([[0, 0, 1]], [[0]]) == trainer.step([[0, 0, 1]], [[0]])
        True
        """
        from nineline.training.snapshot_file import read_trainer

        network, rule, rng, snapshot = read_trainer(path)
        trainer = cls.of(network, rule, engine, threads, rng)
        trainer.restore(snapshot)
        return trainer

    def __getstate__(self) -> dict[str, Any]:
        about = {"network": self.network, "rule": self.rule, "rng": self.rng, "asked": self._asked}
        return {**about, "snapshot": self.snapshot()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        engine, threads = state["asked"]
        self._begin(state["network"], state["rule"], engine, threads, state["rng"])
        self.restore(state["snapshot"])

    def _diverged(self, what: str, rows: Rows) -> NoReturn:
        """Put the network back to its last finite state and raise DivergenceError."""
        number = self.steps_taken
        here = self.snapshot()
        with self._stepping(), contextlib.suppress(RuntimeError):  # there may be no step to take back
            self.engine.undo()
        if not math.isfinite(self.measure(rows)) and _checks.is_finite(here.parameters):
            self.restore(here)  # these rows are too much for the network before the last step, too: it is not to blame
        steps = f"{number:,} step" + ("" if number == 1 else "s")
        advice = "inputs and targets scaled to about -1..1"
        if not isinstance(self.rule.optimizer, WholeBatchOptimizer):
            advice = f"a smaller learning rate (it is {self._rate:g}); or {advice}"
            advice += "" if self.rule.clip_norm is not None else "; or clip_norm=1.0"
        history = History(engine=self.engine.name, steps=number, stopped=f"diverged after {steps}: {what}")
        raise DivergenceError(
            f"training diverged after {steps}: {what}. The network is back at its last finite state. Try {advice}.",
            history,
        )

    def _repr_html_(self) -> str:
        """Return the training as a notebook shows it."""
        from nineline.view.notebook import trainer_html

        return trainer_html(self)

    def __repr__(self) -> str:
        return f"Trainer({self.network!r}, loss={self.rule.loss!r}, optimizer={self.rule.optimizer!r})"


def engine_of(
    name: str,
    network: Network,
    rule: Rule,
    threads: int,
    choose: Callable[[str, Network, Rule, int], Engine] = engines.choose,
) -> Engine:
    """Return what takes the steps of a rule."""
    if not isinstance(rule.optimizer, WholeBatchOptimizer):
        return choose(name, network, rule, threads)
    from nineline.training import methods

    within = rule.with_optimizer(GradientDescent())
    return methods.around(lambda of: choose(name, of, within, threads), network, rule)


def _rate(learning_rate: float) -> float:
    return _checks.number("learning_rate", learning_rate, low=0)


def _look_again(_inputs: object, _outputs: object, _rate: float) -> None:
    """Take no step: the rows need a look."""
