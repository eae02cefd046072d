"""Sgd and adam: epochs of steps on batches, and when to stop."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from nineline import _checks
from nineline.estimators.mlp.steps import NOT_FINITE, Steps
from nineline.optimizers import Adam, GradientDescent, Optimizer, State

if TYPE_CHECKING:
    from nineline.estimators.mlp.solvers import Lesson

_SMALLEST_ADAPTIVE_RATE: Final = 1e-6


@dataclass
class Moves:
    """What a solver remembers from call to call: the rule's averages, and the learning rate where it is."""

    learning_rate_init: float
    learning_rate: float
    state: State


class Stochastic:
    """Sgd and adam: a step on each batch, and after each epoch a look at the loss or the score."""

    def __init__(self, model: Any, lesson: Lesson) -> None:
        self.model, self.lesson = model, lesson
        self.moves = _moves(model, lesson)
        model._optimizer = self.moves
        seed = 0
        if any(model._layered.plan.dropout):  # only then, for scikit-learn would draw nothing here
            seed = int(lesson.random.randint(2**31))
        self.steps = Steps(
            lesson.network,
            lesson.rows,
            lesson.loss,
            _rule(model),
            self.moves.state,
            alpha=float(model.alpha),
            seed=seed,
            engine=model.engine,
            threads=_checks.threads("threads", model.threads),
        )
        history = model.history_
        history.engine = self.steps.engine.name
        self.began = time.perf_counter() - (history.seconds[-1] if history.seconds else 0.0)

    def run(self) -> None:
        """Go through the epochs."""
        model, lesson = self.model, self.lesson
        rows = len(lesson.learn)
        batch_size = self._batch_size(rows)
        order = lesson.learn
        model.n_iter_ = 0
        model.stopped_early_ = False
        reason = ""
        try:
            while not reason:
                if lesson.tasks is not None:
                    lesson.tasks.iteration_begins()
                if model.shuffle:
                    places = np.arange(rows)
                    lesson.random.shuffle(places)
                    order = order[places]
                reason = self._after(self.steps.epoch(order, batch_size, self.moves.learning_rate), rows)
                if lesson.tasks is not None and lesson.tasks.iteration_ends() and not reason:
                    reason = f"a callback asked to, after iteration {model.n_iter_}"
                if lesson.incremental:
                    break
                if not reason and model.n_iter_ == model.max_iter:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({model.max_iter}) reached and the optimization "
                        "hasn't converged yet.",
                        ConvergenceWarning,
                        stacklevel=5,
                    )
                    reason = f"all {model.max_iter} iterations done"
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=5)
            reason = f"interrupted in iteration {model.n_iter_ + 1}"
        history = model.history_
        history.steps += self.steps.taken
        history.stopped = reason
        if lesson.watching and (reason or not lesson.incremental):
            lesson.network.parameters[...] = model._best_parameters
            history.restored = True

    def _after(self, loss: float, rows: int) -> str:
        """Write down an epoch; return a reason to stop, or ''."""
        model, lesson, history = self.model, self.lesson, self.model.history_
        model.n_iter_ += 1
        model.loss_ = loss
        model.t_ += rows
        model.loss_curve_.append(loss)
        history.loss.append(loss)
        history.learning_rate.append(self.moves.learning_rate)
        history.seconds.append(time.perf_counter() - self.began)
        if model.verbose:
            print(f"Iteration {model.n_iter_}, loss = {loss:.8f}")
        finite = math.isfinite(loss)
        score = math.nan
        held_loss = math.nan
        if lesson.held is not None and lesson.score is not None:
            held_loss = self.steps.evaluate(lesson.held) if finite else math.nan
            score = float(lesson.score(held_loss)) if finite else math.nan
            model.validation_scores_.append(score)
            if model.verbose:
                print(f"Validation score: {score:f}")
        if lesson.held is not None or history.validation_loss:  # the table has an entry for each epoch, or for none
            history.validation_loss += [math.nan] * (history.epochs - 1 - len(history.validation_loss))
            history.validation_loss.append(held_loss)
        if not finite:
            return self._diverged(loss)
        self._count(loss, score)
        if model.solver == "sgd" and model.learning_rate == "invscaling":
            self.moves.learning_rate = float(model.learning_rate_init) / (model.t_ + 1) ** model.power_t
        return self._enough() if model._no_improvement_count > model.n_iter_no_change else ""

    def _count(self, loss: float, score: float) -> None:
        """Count the epochs since the last improvement by more than tol, and remember the best."""
        model, lesson = self.model, self.lesson
        if lesson.watching:
            better = not score < model.best_validation_score_ + model.tol
        else:
            better = not loss > model.best_loss_ - model.tol
            model.best_loss_ = min(model.best_loss_, loss)
        model._no_improvement_count = 0 if better else model._no_improvement_count + 1
        if lesson.score is not None and score > model.best_validation_score_:
            model.best_validation_score_ = score
            model.history_.best_epoch = model.history_.epochs
            if lesson.watching:
                model._best_parameters = lesson.network.parameters.copy()

    def _enough(self) -> str:
        """No improvement for long: return why to stop, or make the steps smaller and return ''."""
        model, moves = self.model, self.moves
        watched = "Validation score" if self.lesson.watching else "Training loss"
        said = f"{watched} did not improve more than tol={model.tol:f} for {model.n_iter_no_change} consecutive epochs."
        end = " Stopping."
        if model.solver == "sgd" and model.learning_rate == "adaptive":
            if moves.learning_rate > _SMALLEST_ADAPTIVE_RATE:
                moves.learning_rate /= 5
                model._no_improvement_count = 0
                if model.verbose:
                    print(f"{said} Setting learning rate to {moves.learning_rate:f}")
                return ""
            end = " Learning rate too small. Stopping."
        if model.verbose:
            print(said + end)
        model.stopped_early_ = True
        return said

    def _diverged(self, loss: float) -> str:
        """Raise; or, where there is a best point to return to, warn and return the reason."""
        where = f"the loss became {loss} in iteration {self.model.n_iter_}"
        if not self.lesson.watching:
            raise ValueError(f"{NOT_FINITE} ({where}; the weights are those before it.)")
        warnings.warn(
            f"Training diverged: {where}. The weights are those of the best validation score; scale the data, or "
            "lower learning_rate_init.",
            ConvergenceWarning,
            stacklevel=7,
        )
        return where

    def _batch_size(self, rows: int) -> int:
        wanted = self.model.batch_size
        if isinstance(wanted, str):
            return min(200, rows)
        if wanted > rows:
            warnings.warn(
                f"Got `batch_size` less than 1 or larger than sample size. It is going to be clipped: batch_size is "
                f"{wanted}, there are {rows} rows to learn from.",
                stacklevel=6,
            )
        return min(int(wanted), rows)


def _rule(model: Any) -> Optimizer:
    if model.solver == "adam":
        return Adam(beta_1=model.beta_1, beta_2=model.beta_2, epsilon=model.epsilon, epsilon_hat=True)
    momentum = min(float(model.momentum), math.nextafter(1.0, 0.0))  # scikit-learn takes 1, the rule what is below
    return GradientDescent(momentum=momentum, nesterov=bool(model.nesterovs_momentum) and momentum > 0)


def _moves(model: Any, lesson: Lesson) -> Moves:
    """Return where the solver goes on, or its beginning."""
    fresh = _rule(model).start(lesson.network.parameters)
    first = float(model.learning_rate_init)
    before: Moves | None = vars(model).get("_optimizer")
    goes_on = lesson.incremental or (model.warm_start and model.keep_optimizer)
    if before is None or not goes_on or _shape(before.state) != _shape(fresh):
        return Moves(first, first, fresh)
    rate = before.learning_rate if before.learning_rate_init == first else first
    return Moves(first, rate, before.state)


def _shape(state: State) -> list[tuple[str, Any, Any]]:
    return [(name, vector.shape, vector.dtype) for name, vector in state.vectors.items()]
