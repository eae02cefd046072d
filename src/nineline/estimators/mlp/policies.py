"""Sgd and adam as scikit-learn has them: the order of rows, the learning rate, when to stop, around our own loop."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from nineline import _checks
from nineline.engines import Rule
from nineline.estimators.mlp.measure import SklearnMeasure
from nineline.optimizers import Adam, GradientDescent, Optimizer, State
from nineline.schedules import Schedule
from nineline.training.errors import DivergenceError
from nineline.training.loop import Loop, Order
from nineline.training.plan import Plan
from nineline.training.trainer import Trainer
from nineline.training.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.estimators.mlp.callbacks import Tasks
    from nineline.losses import Loss
    from nineline.rows import Rows
    from nineline.training.epoch import Epoch

NOT_FINITE: Final = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)
_SMALLEST_ADAPTIVE_RATE: Final = 1e-6


@dataclass(frozen=True)
class Held:
    """Rows that training is watched on.

    Attributes
    ----------
    rows : Rows
    score : function
        Of the loss on them: the score there, larger is better.
    watching : bool
        Whether that score says when to stop; otherwise it is written down only.
    """

    rows: Rows
    score: Callable[[float], float]
    watching: bool


@dataclass
class SolverState:
    """What a solver has from call to call: its trainer, and the learning rate where it is."""

    trainer: Trainer
    settings: tuple[Any, ...]
    learning_rate_init: float
    learning_rate: float
    parameters: tuple[Any, ...] = ()
    """The estimator's, as the last call of partial_fit found them."""
    last_order: tuple[tuple[int, int], npt.NDArray[np.intp]] | None = None

    def order_of(self, seed: int, count: int) -> npt.NDArray[np.intp]:
        """Return so many rows in the order that a seed draws first; it is drawn once for calls that are alike."""
        if self.last_order is None or self.last_order[0] != (seed, count):
            order = np.arange(count)
            np.random.RandomState(seed).shuffle(order)
            self.last_order = (seed, count), order
        return self.last_order[1]


class ShuffledOrder(Order):
    """The rows as the epoch before took them, shuffled once more."""

    def __init__(self, learn: npt.NDArray[np.intp], random: np.random.RandomState | None, tasks: Tasks | None) -> None:
        super().__init__(len(learn))
        self.order, self.random, self.tasks = learn, random, tasks

    @property
    def takes_all(self) -> bool:
        return False

    def next(self) -> npt.NDArray[np.intp]:
        if self.tasks is not None:
            self.tasks.iteration_begins()
        if self.random is not None:
            places = np.arange(self.count)
            self.random.shuffle(places)
            self.order = self.order[places]
        return self.order


class LearningRate(Schedule):
    """The learning rate itself, where the optimizer's is 1: constant, or as the watch has set it."""

    def __init__(self, state: SolverState) -> None:
        self.state = state

    def factor(self, epoch: float, epochs: float) -> float:
        return self.state.learning_rate

    def factors(self, at: npt.NDArray[np.float64], epochs: float) -> npt.NDArray[np.float64]:
        return np.full(len(at), self.state.learning_rate)


class Tolerance(Watch):
    """After each epoch: write it down in the estimator, and say when neither loss nor score improves by `tol`."""

    def __init__(self, model: Any, state: SolverState, rows: int, held: Held | None, *, incremental: bool) -> None:
        super().__init__(None, "")
        self.model, self.state, self.rows, self.held, self.incremental = model, state, rows, held, incremental
        self.watching = held is not None and held.watching
        self.reason = ""

    def look(self, epoch: Epoch, point: Callable[[], Array]) -> str:
        model, history = self.model, epoch.history
        self.count(epoch.loss)
        score = held_loss = math.nan
        if self.held is not None:
            held_loss = self.loss_on(self.held)
            score = float(self.held.score(held_loss))
        self.write_down(score, held_loss)
        if self.watching:
            better = not score < model.best_validation_score_ + model.tol
        else:
            better = not epoch.loss > model.best_loss_ - model.tol
            model.best_loss_ = min(model.best_loss_, epoch.loss)
        model._no_improvement_count = 0 if better else model._no_improvement_count + 1
        if self.held is not None and score > model.best_validation_score_:
            model.best_validation_score_ = score
            history.best_epoch = history.epochs
            if self.watching:
                model._best_parameters = epoch.network.parameters.copy()
        if model.solver == "sgd" and model.learning_rate == "invscaling":
            self.state.learning_rate = float(model.learning_rate_init) / (model.t_ + 1) ** model.power_t
        self.reason = self.enough() if model._no_improvement_count > model.n_iter_no_change else ""
        return self.reason

    def count(self, loss: float) -> None:
        """Count an epoch, finished or not."""
        model = self.model
        model.n_iter_ += 1
        model.loss_ = loss
        model.t_ += self.rows
        model.loss_curve_.append(loss)
        if model.verbose:
            print(f"Iteration {model.n_iter_}, loss = {loss:.8f}")

    def write_down(self, score: float, held_loss: float) -> None:
        """Write down what the held rows say; the History's table has an entry for each epoch, or for none."""
        model, history = self.model, self.model.history_
        if self.held is not None:
            model.validation_scores_.append(score)
            if model.verbose:
                print(f"Validation score: {score:f}")
        if self.held is not None or history.validation_loss:
            history.validation_loss += [math.nan] * (history.epochs - 1 - len(history.validation_loss))
            history.validation_loss.append(held_loss)

    def loss_on(self, held: Held) -> float:
        """Return the loss of held rows, without penalty, as scikit-learn would measure it."""
        trainer = self.state.trainer
        measure = SklearnMeasure(trainer.rule.loss, held.rows, 0.0, trainer.network)
        return float(measure.of(trainer.measure(held.rows), 0.0, measure.constant()))

    def enough(self) -> str:
        """No improvement for long: return why to stop, or make the steps smaller and return ''."""
        model, state = self.model, self.state
        watched = "Validation score" if self.watching else "Training loss"
        said = f"{watched} did not improve more than tol={model.tol:f} for {model.n_iter_no_change} consecutive epochs."
        end = " Stopping."
        if model.solver == "sgd" and model.learning_rate == "adaptive":
            if state.learning_rate > _SMALLEST_ADAPTIVE_RATE:
                state.learning_rate /= 5
                model._no_improvement_count = 0
                if model.verbose:
                    print(f"{said} Setting learning rate to {state.learning_rate:f}")
                return ""
            end = " Learning rate too small. Stopping."
        if model.verbose:
            print(said + end)
        model.stopped_early_ = True
        return said

    def returns_to(self) -> Array | None:
        best: Array | None = self.model._best_parameters
        return best if self.watching and (self.reason or not self.incremental) else None


def fit(
    model: Any,
    state: SolverState,
    rows: Rows,
    learn: npt.NDArray[np.intp],
    held: Held | None,
    random: np.random.RandomState | None,
    tasks: Tasks | None,
    *,
    incremental: bool,
) -> None:
    """Go through epochs of `learn`, some of the rows; partial_fit goes through one."""
    trainer, history = state.trainer, model.history_
    history.engine = trainer.engine.name
    model.n_iter_ = 0
    model.stopped_early_ = False
    watch = Tolerance(model, state, len(learn), held, incremental=incremental)

    def ended(_: Epoch) -> bool:
        return tasks is not None and tasks.iteration_ends() and not watch.reason

    epochs = 1 if incremental else model.max_iter
    plan = Plan(
        epochs=history.epochs + epochs,
        batch_size=_batch_size(model, len(learn)),
        schedule=LearningRate(state),
        progress=False,
        on_epoch=ended,
    )
    loop = Loop(
        trainer,
        rows,
        plan,
        history=history,
        order=ShuffledOrder(learn, random if model.shuffle else None, tasks),
        measure=SklearnMeasure(trainer.rule.loss, rows, float(model.alpha), trainer.network),
        watch=watch,
    )
    try:
        loop.run()
    except DivergenceError:
        _diverged(model, loop, watch)
        return
    if loop.interrupted:
        warnings.warn("Training interrupted by user.", stacklevel=5)
        history.stopped = f"interrupted in iteration {model.n_iter_ + 1}"
    elif history.stopped.startswith("on_epoch"):
        history.stopped = f"a callback asked to, after iteration {model.n_iter_}"
    elif incremental:
        history.stopped = watch.reason
    elif not watch.reason:
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({model.max_iter}) reached and the optimization "
            "hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=5,
        )
        history.stopped = f"all {model.max_iter} iterations done"


def _diverged(model: Any, loop: Loop, watch: Tolerance) -> None:
    """Write the epoch down and raise; or, where there is a best point to return to, warn."""
    history, loss = model.history_, loop.bad_loss
    if history.epochs == len(model.loss_curve_):
        history.loss.append(loss)
        history.learning_rate.append(watch.state.learning_rate)
        history.seconds.append(history.seconds[-1] if history.seconds else 0.0)
        watch.count(loss)
        watch.write_down(math.nan, math.nan)
    where = f"the loss became {loss} in iteration {model.n_iter_}"
    if not watch.watching:
        raise ValueError(f"{NOT_FINITE} ({where}; the weights are those before it.)") from None
    warnings.warn(
        f"Training diverged: {where}. The weights are those of the best validation score; scale the data, or "
        "lower learning_rate_init.",
        ConvergenceWarning,
        stacklevel=6,
    )
    history.stopped = where
    loop.network.parameters = model._best_parameters
    history.restored = True


def prepare(model: Any, loss: Loss, random: np.random.RandomState, *, incremental: bool) -> SolverState:
    """Return where the solver goes on, or its beginning; the trainer that is there is kept as far as it fits."""
    network, settings = model._layered.network, _settings(model, loss)
    first = float(model.learning_rate_init)
    before: SolverState | None = vars(model).get("_optimizer")
    if before is not None and not (incremental or (model.warm_start and model.keep_optimizer)):
        before = None
    if before is None or before.trainer.network is not network or before.settings != settings:
        rule = Rule(loss, _optimizer(model), l2=float(model.alpha), penalty_by_rows=True)
        trainer = Trainer.of(network, rule, model.engine, model.threads, network.rng)
        rate = first
        if before is not None and _shape(before.trainer.engine.state) == _shape(trainer.engine.state):
            trainer.engine.restore(before.trainer.engine.state, network.parameters)
            rate = before.learning_rate if before.learning_rate_init == first else first
        model._optimizer = SolverState(trainer, settings, first, rate)
    elif before.learning_rate_init != first:
        model._optimizer = SolverState(before.trainer, settings, first, first)
    if any(model._layered.architecture.dropout):  # only then, for scikit-learn would draw nothing here
        model._optimizer.trainer.engine.reseed(int(random.randint(2**31)))
    return model._optimizer


def _settings(model: Any, loss: Loss) -> tuple[Any, ...]:
    """Return what a trainer is made by, and would have to be made anew for."""
    optimizer = model.beta_1, model.beta_2, model.epsilon, model.momentum, model.nesterovs_momentum
    return loss, model.solver, float(model.alpha), *optimizer, model.engine, model.threads


def _optimizer(model: Any) -> Optimizer:
    if model.solver == "adam":
        return Adam(1.0, model.beta_1, model.beta_2, model.epsilon, epsilon_hat=True)
    momentum = min(float(model.momentum), math.nextafter(1.0, 0.0))  # scikit-learn takes 1, the rule what is below
    return GradientDescent(1.0, momentum=momentum, nesterov=bool(model.nesterovs_momentum) and momentum > 0)


def _shape(state: State) -> list[tuple[str, Any, Any]]:
    return [(name, vector.shape, vector.dtype) for name, vector in state.vectors.items()]


def _batch_size(model: Any, rows: int) -> int:
    wanted = model.batch_size
    if isinstance(wanted, str):
        return min(200, rows)
    if wanted > rows:
        warnings.warn(
            f"Got `batch_size` less than 1 or larger than sample size. It is going to be clipped: batch_size is "
            f"{wanted}, there are {rows} rows to learn from.",
            stacklevel=6,
        )
    return _checks.positive_integer("batch_size", min(int(wanted), rows))
