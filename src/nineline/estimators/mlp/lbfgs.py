"""L-BFGS as scikit-learn has it: all rows at once, in float64, and its records."""

from __future__ import annotations

import math
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from nineline.engines import Rule
from nineline.estimators.mlp.measure import SklearnMeasure
from nineline.estimators.mlp.scipy_lbfgs import lbfgs
from nineline.optimizers import GradientDescent
from nineline.training.trainer import Trainer

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline.estimators.mlp.callbacks import Tasks
    from nineline.losses import Loss
    from nineline.rows import Rows


def fit(model: Any, rows: Rows, loss: Loss, tasks: Tasks | None) -> None:
    """Minimise the loss of all rows; what scikit-learn writes down is in the estimator afterwards."""
    began, history = time.perf_counter(), model.history_
    network = model._layered.network
    twin, rows = network.astype(np.float64), rows.astype(np.float64)
    alpha = float(model.alpha)
    rule = Rule(loss, GradientDescent(1.0), l2=alpha, penalty_by_rows=True)
    trainer = Trainer.of(twin, rule, model.engine, model.threads, network.rng)
    measure = SklearnMeasure(loss, rows, alpha, twin)
    history.engine = trainer.engine.name
    model.n_iter_ = 0

    def on_evaluation() -> None:
        if tasks is not None and model.n_iter_ < model.max_iter:
            tasks.iteration_begins()

    def on_iteration(parameters: npt.NDArray[np.float64], value: float) -> bool:
        model.n_iter_ += 1
        network.parameters[...] = twin.parameters[...] = parameters
        now = measure.of_all(value, rows)
        history.loss.append(now)
        history.learning_rate.append(math.nan)
        history.seconds.append(time.perf_counter() - began)
        history.steps += 1
        if model.verbose:
            print(f"Iteration {model.n_iter_}, loss = {now:.8f}")
        return tasks is not None and tasks.iteration_ends()

    try:
        found = lbfgs(
            trainer,
            rows,
            iterations=model.max_iter,
            evaluations=model.max_fun,
            tolerance=model.tol,
            on_evaluation=on_evaluation,
            on_iteration=on_iteration,
        )
    except KeyboardInterrupt:
        if not history.loss:
            raise
        del history.loss[model.n_iter_ :]
        model.loss_ = history.loss[-1]
        history.stopped = f"interrupted in iteration {model.n_iter_ + 1}"
        warnings.warn("Training interrupted by user.", stacklevel=5)
        return
    model.n_iter_ = min(int(found.nit), model.max_iter)
    network.parameters[...] = found.x
    model.loss_ = measure.of_all(float(found.fun), rows)
    history.stopped = str(found.message)
    if found.status not in (0, 99):  # 99: a callback asked to
        more = f" Increase max_iter (it is {model.max_iter})." if model.n_iter_ == model.max_iter else ""
        warnings.warn(
            f"lbfgs failed to converge after {model.n_iter_} iteration(s) (status={found.status}): "
            f"{found.message}.{more} Scaling the data helps, too.",
            ConvergenceWarning,
            stacklevel=5,
        )
