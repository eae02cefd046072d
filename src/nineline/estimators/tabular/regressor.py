"""TabularRegressor: a number from a table."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted, column_or_1d

from nineline import _checks
from nineline.estimators.tabular.base import Tabular
from nineline.estimators.tabular.fitting import refuse_missing
from nineline.estimators.tabular.held_out import QUANTILES, HeldOut
from nineline.estimators.tabular.trials import Tried, try_out
from nineline.tables.summaries import NumberSummary
from nineline.tables.targets import Quantity, skewness

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.activations import Activation
    from nineline.estimators.tabular.folds import Splits
    from nineline.estimators.tabular.interruption import Interruption
    from nineline.estimators.tabular.member import Member, MemberSettings
    from nineline.estimators.tabular.members import Budget
    from nineline.rows import Rows
    from nineline.tables.targets import TargetScaling

    Numbers = npt.NDArray[np.float64]

_SKEWED: Final = 1.0  # from here on the logarithm is tried


class TabularRegressor(RegressorMixin, Tabular):
    """A regressor for tables that chooses everything by itself; the target is standardised on the way in.

    Parameters, attributes and errors are those of `TabularClassifier`, without `class_weight` and `classes_`.

    Attributes
    ----------
    scaling_ : TargetScaling
        Of the target. One that is positive and skewed is learned as its logarithm where that answers better for
        held-out rows; no answer leaves the range of the training targets.
    residuals_ : array, ascending
        Truth − answer for the rows that members held out; their quantiles where there are more than a thousand.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from nineline.estimators import TabularRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> TabularRegressor(random_state=0, n_members=2).fit(X, y).score(X, y) > 0.4
    True
    """

    target_kind = Quantity
    target_: Quantity

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | str = "auto",
        *,
        n_members: int | str = "auto",
        activation: str | Activation = "silu",
        dropout: float | str = "auto",
        learning_rate: float | str = "auto",
        weight_decay: float | str = "auto",
        batch_size: int | str = "auto",
        max_epochs: int | str = "auto",
        patience: int | str = "auto",
        validation_fraction: float | str = "auto",
        eval_metric: str | Callable[..., float] = "loss",
        time_limit: float | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | None = False,
        engine: str = "auto",
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_members = n_members
        self.activation = activation
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.eval_metric = eval_metric
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.engine = engine
        self.checkpoint = checkpoint
        self.resume = resume

    def _check_target(self, y: Any) -> npt.NDArray[Any]:
        array = column_or_1d(np.asarray(y), warn=True)
        refuse_missing(array)
        if array.dtype.kind in "USOmM":
            try:
                array = array.astype(np.float64)
            except (TypeError, ValueError):
                held = _checks.quoted(array[:1].tolist()[0])
                expected = "a regressor needs numbers (for classes use TabularClassifier)"
                raise ValueError(f"y holds {held}; {expected}") from None
        return _checks.as_float("y", array, np.dtype(np.float64))

    def _summary(self) -> NumberSummary:
        return NumberSummary()

    def _learn_target(self, y: npt.NDArray[Any], weights: Array | None) -> Quantity:
        return Quantity.learn(y, weights)

    def _learn_target_again(self, seen: Any) -> Quantity:
        log = self.target_.scaling.log
        return Quantity.learn(seen.values, seen.shares, log=log)

    @property
    def scaling_(self) -> TargetScaling:
        """Of the target."""
        return self.target_.scaling

    @property
    def residuals_(self) -> Numbers:
        """Truth - answer for the rows that members held out, ascending."""
        return self.target_.residuals

    @residuals_.setter
    def residuals_(self, residuals: Numbers) -> None:
        self.target_ = replace(self.target_, residuals=residuals)

    def _try_targets(
        self,
        rows: Rows,
        labels: npt.NDArray[Any],
        folds: Splits,
        settings: MemberSettings,
        budget: Budget,
        interruption: Interruption,
    ) -> tuple[Tried, Rows]:
        """Learn the logarithm of a skewed target instead where that answers better."""
        weights, plain = rows.sample_weight, self.target_
        if labels.min() <= 0 or skewness(labels, weights) < _SKEWED:
            return Tried([], 0, [], budget), rows
        log = Quantity.learn(labels, weights, log=True)
        ways = ("the target as it is", rows), ("its logarithm", replace(rows, targets=log.encode(labels)))

        def error(way: int, members: list[Member]) -> float:
            return self._held_out_with((plain, log)[way], members, ways[way][1], labels)[0].error(self)

        tried = try_out(ways, folds, settings, budget, interruption, error)
        self.target_ = (plain, log)[tried.best]
        return tried, ways[tried.best][1]

    @staticmethod
    def _held_out_with(
        target: Quantity, members: list[Member], rows: Rows, labels: npt.NDArray[Any]
    ) -> tuple[HeldOut, Quantity]:
        """Return the held-out rows with their answers, and the target with its scaling put right by them."""
        held_out = HeldOut.of(members, rows, labels, target.answers)
        if target.scaling.log and held_out.parts:
            target = replace(target, scaling=target.scaling.calibrated(*held_out.judged()))
            held_out = HeldOut.of(members, rows, labels, target.answers)
        return held_out, target

    def _judge(self, members: list[Member], rows: Rows, labels: npt.NDArray[Any]) -> HeldOut:
        held_out, target = self._held_out_with(self.target_, members, rows, labels)
        self.target_ = replace(target, residuals=held_out.residuals())
        return held_out

    def predict(self, X: Any) -> Numbers:
        """Return the expected target of each row, (rows,)."""
        return self._answers(self._run(X))

    def predict_one(self, row: Mapping[str, Any]) -> float:
        """Return the expected target of one row: as `predict`, without a table.

        Parameters
        ----------
        row : dict
            Each column's name to its value, None or NaN where it is missing; columns that are not used may be left out.
        """
        return float(self._answers(self._run_one(row))[0])

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Numbers:
        """Return bounds that the target of a new row lies between in a share `coverage` of cases.

        The answer plus the quantiles of `residuals_`: with n of them in ascending order, the lower bound takes number
        ``floor((n + 1) * (1 - coverage) / 2)``, the upper one as many from the end. They are those of single members,
        which err more than all together, so the bounds are rather too wide. It holds on average over rows that come
        from where the training rows came from, not for each kind of row.

        Parameters
        ----------
        X : DataFrame or array_like, (rows, columns)
        coverage : float
            In (0, 1).

        Returns
        -------
        array, (rows, 2)

        Raises
        ------
        ValueError
            No rows were held out in training, or too few of them for such a coverage.

        References
        ----------
        Barber et al. (2021), Predictive inference with the jackknife+, arXiv 1905.02928, section 3.
        """
        check_is_fitted(self, "network_")
        coverage = _checks.number("coverage", coverage, low=0, high=1, low_open=True, high_open=True)
        n = len(self.residuals_)
        place = math.floor((n + 1) * (1 - coverage) / 2)
        if place < 1:
            raise ValueError(_too_few(n, coverage))
        answers = self.predict(X)
        return np.column_stack([answers + self.residuals_[place - 1], answers + self.residuals_[n - place]])


def _too_few(n: int, coverage: float) -> str:
    """Return what to say where none of n held-out rows lies outside of bounds of such a coverage."""
    needed = math.ceil(2 / (1 - coverage)) - 1
    said = f"coverage is {coverage}, and training held out {n} rows, where it needs {needed:,}"
    if n < 2:  # no coverage is low enough
        return f"{said}: give more rows to fit, or a larger validation_fraction"
    most = f"expected at most {math.floor(1e4 * (1 - 2 / (n + 1)) - 1e-6) / 1e4:.4g}"
    if needed > QUANTILES:  # only so many are kept of any number, so that more rows are no help
        return f"{said}, and no more than {QUANTILES:,} count; {most}: give a lower coverage"
    return f"{said}; {most}: give more rows to fit, a larger validation_fraction, or a lower coverage"
