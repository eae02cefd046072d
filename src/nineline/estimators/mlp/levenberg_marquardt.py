"""Levenberg and Marquardt's method behind scikit-learn's face, which has no such solver: ``solver="lm"``."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from nineline.engines import Rule
from nineline.estimators.mlp.measure import SklearnMeasure
from nineline.estimators.mlp.policies import NOT_FINITE
from nineline.optimizers import LevenbergMarquardt
from nineline.training.errors import DivergenceError
from nineline.training.loop import Loop
from nineline.training.plan import Plan
from nineline.training.trainer import Trainer

if TYPE_CHECKING:
    from nineline.estimators.mlp.callbacks import Tasks
    from nineline.losses import Loss
    from nineline.rows import Rows
    from nineline.training.epoch import Epoch


def fit(model: Any, rows: Rows, loss: Loss, tasks: Tasks | None) -> None:
    """Minimise the loss of all rows; what scikit-learn writes down is in the estimator afterwards.

    `tol` is the largest entry of a gradient at which it has arrived, as for "lbfgs", and `max_iter` how many steps it
    takes at most. `history_` has the library's loss before each step, and `loss_` scikit-learn's number at the end.
    """
    network, history = model._layered.network, model.history_
    rule = Rule(loss, LevenbergMarquardt(min_gradient=float(model.tol)), l2=float(model.alpha), penalty_by_rows=True)
    try:
        trainer = Trainer.of(network, rule, model.engine, model.threads, network.rng)
    except ValueError as error:
        raise ValueError(f"solver is 'lm': {error}") from None
    history.engine = trainer.engine.name
    before, model.n_iter_ = history.epochs, 0

    def after_iteration(epoch: Epoch) -> bool:
        model.n_iter_ = epoch.number - before
        if model.verbose:
            print(f"Iteration {model.n_iter_}, loss = {epoch.loss:.8f}")
        if tasks is None:
            return False
        ends = tasks.iteration_ends()
        if not ends and model.n_iter_ < model.max_iter:
            tasks.iteration_begins()
        return ends

    heard = model.verbose or (tasks is not None and tasks.heard)
    plan = Plan(epochs=before + model.max_iter, progress=False, on_epoch=after_iteration if heard else ())
    if tasks is not None:
        tasks.iteration_begins()
    try:
        Loop(trainer, rows, plan, history=history).run()
    except DivergenceError:
        raise ValueError(NOT_FINITE) from None
    model.n_iter_ = history.epochs - before
    if history.stopped.startswith("interrupted"):
        warnings.warn("Training interrupted by user.", stacklevel=5)
    elif model.n_iter_ == model.max_iter and not trainer.converged:
        warnings.warn(
            f"lm failed to converge after {model.n_iter_} iteration(s). Increase max_iter (it is {model.max_iter}), or "
            f"tol (it is {model.tol:g}). Scaling the data helps, too.",
            ConvergenceWarning,
            stacklevel=5,
        )
    value = trainer.engine.gradient(rows, np.empty_like(network.parameters))
    model.loss_ = SklearnMeasure(loss, rows, float(model.alpha), network).of_all(value, rows)
