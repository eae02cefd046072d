"""TabularRegressor: a number from a table."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from nineline import _checks
from nineline.estimators.tabular.base import Tabular
from nineline.estimators.tabular.given_targets import numbers_of
from nineline.estimators.tabular.held_out import QUANTILES, HeldOut
from nineline.estimators.tabular.scoring import d2_of_quantiles
from nineline.estimators.tabular.trials import Tried, try_out
from nineline.tables.several_targets import Quantiles, Quantities, check_levels
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

    Parameters, attributes and errors are those of `TabularClassifier`, without `class_weight` and `classes_`, and with
    `quantiles`. A y of several columns is learned all at once, as several outputs of the same networks.

    Parameters
    ----------
    quantiles : sequence of float, optional
        In (0, 1), ascending: which quantiles of the target are predicted in place of its mean, such as
        (0.05, 0.5, 0.95). They are learned by the pinball loss, all by the same networks, and sorted, so that none
        crosses another. For a y of one column.

    Attributes
    ----------
    scaling_ : TargetScaling
        Of a target of one column, without `quantiles`. One that is positive and skewed is learned as its logarithm
        where that answers better for held-out rows; no answer leaves the range of the training targets.
    residuals_ : array, ascending
        Truth − answer for the rows that members held out; their quantiles where there are more than a thousand. Of the
        same targets.
    target_names_ : list of str
        What each of the answers is called.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from nineline.estimators import TabularRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> TabularRegressor(random_state=0, n_members=2).fit(X, y).score(X, y) > 0.4
    True
    >>> model = TabularRegressor(quantiles=(0.1, 0.9), random_state=0, n_members=2).fit(X, y)
    >>> model.predict(X[:3]).shape
    (3, 2)

    References
    ----------
    Chernozhukov, Fernández-Val, Galichon (2010), Quantile and probability curves without crossing, Econometrica 78(3).
    """

    target_kinds = Quantity, Quantities, Quantiles
    target_: Quantity | Quantities | Quantiles

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | str = "auto",
        *,
        n_members: int | str = "auto",
        effort: str = "normal",
        activation: str | Activation = "silu",
        dropout: float | str = "auto",
        learning_rate: float | str = "auto",
        weight_decay: float | str = "auto",
        batch_size: int | str = "auto",
        max_epochs: int | str = "auto",
        patience: int | str = "auto",
        validation_fraction: float | str = "auto",
        eval_metric: str | Callable[..., float] = "loss",
        quantiles: Sequence[float] | None = None,
        time_limit: float | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | None = False,
        engine: str = "auto",
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        warm_start: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_members = n_members
        self.effort = effort
        self.activation = activation
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.eval_metric = eval_metric
        self.quantiles = quantiles
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.engine = engine
        self.checkpoint = checkpoint
        self.resume = resume
        self.warm_start = warm_start

    def _check_target(self, y: Any) -> npt.NDArray[Any]:
        return numbers_of(y)

    def _check_running(self) -> tuple[float | None, int]:
        _levels(self.quantiles)
        return super()._check_running()

    def _summary(self) -> NumberSummary:
        return NumberSummary()

    def _learn_target(
        self, y: npt.NDArray[Any], weights: Array | None, names: Sequence[str] | None = None
    ) -> Quantity | Quantities | Quantiles:
        levels = _levels(self.quantiles)
        if names is None:
            return Quantity.learn(y, weights) if levels is None else Quantiles.learn(y, levels, weights)
        if levels is not None:
            raise ValueError(
                f"quantiles is {levels} and y has {len(names)} columns; expected one: fit a model for each column, or "
                "leave quantiles out"
            )
        return Quantities.learn(y, names, weights)

    def _learn_target_again(self, seen: Any) -> Quantity | Quantities | Quantiles:
        if isinstance(self.target_, Quantity):
            return Quantity.learn(seen.values, seen.shares, log=self.target_.scaling.log)
        return self._learn_target(seen.values, seen.shares)

    @property
    def scaling_(self) -> TargetScaling:
        """Of the target; not of several outputs or quantiles."""
        return self._quantity("scaling_").scaling

    @property
    def residuals_(self) -> Numbers:
        """Truth - answer for the rows that members held out, ascending; not of several outputs or quantiles."""
        return self._quantity("residuals_").residuals

    @residuals_.setter
    def residuals_(self, residuals: Numbers) -> None:
        self.target_ = replace(self._quantity("residuals_"), residuals=residuals)

    def _quantity(self, name: str) -> Quantity:
        """Return the target where it is one number, which alone has an attribute of this name."""
        if not isinstance(self.target_, Quantity):
            raise AttributeError(f"this model has no {name}: it predicts {self.target_.in_words()}")
        return self.target_

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
        if not isinstance(plain, Quantity):
            return Tried([], 0, [], budget), rows
        if labels.min() <= 0 or skewness(labels, weights) < _SKEWED:
            return Tried([], 0, [], budget), rows
        log = Quantity.learn(labels, weights, log=True)
        ways = ("the target as it is", rows), ("its logarithm", replace(rows, targets=log.encode(labels)))

        def error(way: int, members: list[Member]) -> float:
            return self._held_out_with((plain, log)[way], members, ways[way][1], labels)[0].error(self)

        tried = try_out(ways, folds, settings, budget, interruption, error, "target")
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
        if not isinstance(self.target_, Quantity):
            return super()._judge(members, rows, labels)
        held_out, target = self._held_out_with(self.target_, members, rows, labels)
        self.target_ = replace(target, residuals=held_out.residuals())
        return held_out

    def predict(self, X: Any) -> Numbers:
        """Return the expected target of each row, (rows,).

        Of several outputs it is (rows, outputs), in the order of the columns of y; with `quantiles` (rows, quantiles),
        in ascending order in every row.
        """
        return self._answers(self._run(X))

    def predict_one(self, row: Mapping[str, Any]) -> Any:
        """Return the expected target of one row: as `predict`, without a table.

        It is a float; of several outputs a dict of each one's name to a float, of quantiles of each level.

        Parameters
        ----------
        row : dict
            Each column's name to its value, None or NaN where it is missing; columns that are not used may be left out.
        """
        answer = self._answers(self._run_one(row))[0]
        if isinstance(self.target_, Quantity):
            return float(answer)
        names = self.target_.levels if isinstance(self.target_, Quantiles) else self.target_.names
        return dict(zip(names, answer.tolist(), strict=True))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R², of several outputs the mean over them; of quantiles D² of the pinball loss, the mean over them.

        D² is ``1 - loss / loss of the quantiles of y``: 1 is the best, 0 what y alone would do.

        References
        ----------
        Koenker, Machado (1999), Goodness of fit and related inference processes for quantile regression, JASA 94.
        """
        check_is_fitted(self, "network_")
        if isinstance(self.target_, Quantiles):
            return d2_of_quantiles(self.target_.levels, self._truth(y), self.predict(X), sample_weight)
        return float(super().score(X, y, sample_weight))

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
            No rows were held out in training, or too few of them for such a coverage; or the model has several outputs
            or quantiles, which `predict` returns.

        References
        ----------
        Barber et al. (2021), Predictive inference with the jackknife+, arXiv 1905.02928, section 3.
        """
        check_is_fitted(self, "network_")
        if isinstance(self.target_, Quantiles):
            raise ValueError(
                f"this model predicts quantiles, {', '.join(map(str, self.target_.levels))}, which are such bounds: "
                "take predict"
            )
        if isinstance(self.target_, Quantities):
            raise ValueError(
                f"this model predicts {self.target_.outputs} outputs, and intervals are of one; fit a model for each "
                "column of y, with quantiles=(0.05, 0.95) or as it is"
            )
        coverage = _checks.number("coverage", coverage, low=0, high=1, low_open=True, high_open=True)
        n = len(self.residuals_)
        place = math.floor((n + 1) * (1 - coverage) / 2)
        if place < 1:
            raise ValueError(_too_few(n, coverage))
        answers = self.predict(X)
        return np.column_stack([answers + self.residuals_[place - 1], answers + self.residuals_[n - place]])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = self.quantiles is None
        return tags


def _levels(quantiles: Any) -> tuple[float, ...] | None:
    """Return the levels of quantiles; None where none are asked for."""
    if quantiles is None:
        return None
    if isinstance(quantiles, str) or not np.iterable(quantiles):
        raise TypeError(f"quantiles is {quantiles!r}; expected numbers in (0, 1), such as (0.05, 0.5, 0.95), or None")
    levels = tuple(_checks.number(f"quantile {number}", level) for number, level in enumerate(quantiles))
    check_levels(levels)
    return levels


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
