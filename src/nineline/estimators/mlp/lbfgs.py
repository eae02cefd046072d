"""L-BFGS-B, SciPy's, on all rows."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from nineline import _checks, engines
from nineline.engines.contract import Task
from nineline.estimators.mlp.network import dense_rows
from nineline.estimators.mlp.steps import Measure
from nineline.optimizers import GradientDescent

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.estimators.mlp.solvers import Lesson


class LBFGS:
    """SciPy's L-BFGS-B, around an engine's loss and gradient on all rows. It works in float64."""

    def __init__(self, model: Any, lesson: Lesson) -> None:
        self.model, self.lesson = model, lesson
        self.network = lesson.network.astype(np.float64)
        rows = lesson.rows
        weight = None if rows.weight is None else rows.weight.astype(np.float64)
        rows = replace(rows, inputs=dense_rows(rows.inputs, np.float64), weight=weight)
        self.measure = Measure(lesson.loss, rows, float(model.alpha))
        self.constant = self.measure.constant()
        task = Task(
            inputs=rows.inputs,
            targets=rows.targets.astype(np.float64),
            sample_weight=weight,
            loss=lesson.loss,
            optimizer=GradientDescent(1.0),
            l1=0.0,
            l2=float(model.alpha),
            clip_norm=None,
            seed=0,
            penalty_by_rows=True,
        )
        self.engine = engines.choose(model.engine, self.network, task, _checks.threads("threads", model.threads))
        self.gradient: Array = np.empty_like(self.network.parameters)
        self.rows = len(rows.targets)
        self.began = time.perf_counter()

    def run(self) -> None:
        """Minimise."""
        from scipy.optimize import minimize

        model, lesson = self.model, self.lesson
        model.history_.engine = self.engine.name
        model.n_iter_ = 0
        found = minimize(
            self._loss_and_gradient,
            self.network.parameters.copy(),
            method="L-BFGS-B",
            jac=True,
            callback=self._iteration,
            options={"maxfun": model.max_fun, "maxiter": model.max_iter, "gtol": model.tol},
        )
        model.n_iter_ = min(int(found.nit), model.max_iter)
        self.network.parameters[...] = found.x
        model.loss_ = self._theirs(float(found.fun))
        lesson.network.parameters[...] = found.x
        model.history_.stopped = str(found.message)
        if found.status not in (0, 99):  # 99: a callback asked to
            more = f" Increase max_iter (it is {model.max_iter})." if model.n_iter_ == model.max_iter else ""
            warnings.warn(
                f"lbfgs failed to converge after {model.n_iter_} iteration(s) (status={found.status}): "
                f"{found.message}.{more} Scaling the data helps, too.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _loss_and_gradient(self, parameters: npt.NDArray[np.float64]) -> tuple[float, Array]:
        if self.lesson.tasks is not None and self.model.n_iter_ < self.model.max_iter:
            self.lesson.tasks.iteration_begins()
        self.network.parameters[...] = parameters
        return self.engine.gradient(self.gradient), self.gradient.copy()

    def _iteration(self, intermediate_result: Any) -> None:
        model, history = self.model, self.model.history_
        model.n_iter_ += 1
        self.lesson.network.parameters[...] = intermediate_result.x
        loss = self._theirs(float(intermediate_result.fun), intermediate_result.x)
        history.loss.append(loss)
        history.learning_rate.append(math.nan)
        history.seconds.append(time.perf_counter() - self.began)
        history.steps += 1
        if model.verbose:
            print(f"Iteration {model.n_iter_}, loss = {loss:.8f}")
        if self.lesson.tasks is not None and self.lesson.tasks.iteration_ends():
            raise StopIteration

    def _theirs(self, loss: float, parameters: Array | None = None) -> float:
        if parameters is not None:
            self.network.parameters[...] = parameters
        penalty = self.measure.penalty(self.network, None, self.rows) if self.measure.needs_penalty else 0.0
        return float(self.measure.of(loss, penalty, self.constant))
