"""TabularRegressor: a number from a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted, column_or_1d

from nineline import _checks
from nineline.estimators.tabular.base import Tabular, refuse_missing

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.estimators.tabular.held_out import HeldOut

    Numbers = npt.NDArray[np.float64]


class TabularRegressor(RegressorMixin, Tabular):
    """A regressor for tables that chooses everything by itself; the target is standardised on the way in.

    Parameters, attributes and errors are those of `TabularClassifier`, without `class_weight` and `classes_`.

    Attributes
    ----------
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

    residuals_: Numbers

    def _check_target(self, y: Any) -> npt.NDArray[Any]:
        array = column_or_1d(np.asarray(y), warn=True)
        refuse_missing(array)
        if array.dtype.kind in "USOmM":
            try:
                array = array.astype(np.float64)
            except (TypeError, ValueError):
                raise ValueError(
                    f"y holds {array[0]!r}; a regressor needs numbers (for classes use TabularClassifier)"
                ) from None
        return _checks.as_float("y", array, np.dtype(np.float64))

    def _learn_target(self, y: npt.NDArray[Any], weights: Array | None) -> tuple[Array, npt.NDArray[Any] | None]:
        self.target_mean_ = float(np.average(y, weights=weights))
        self.target_scale_ = float(np.sqrt(np.average((y - self.target_mean_) ** 2, weights=weights))) or 1.0
        return ((y - self.target_mean_) / self.target_scale_).astype(np.float32)[:, np.newaxis], None

    def _output(self) -> tuple[int, str, str]:
        return 1, "identity", "squared_error"

    def _describe_target(self) -> dict[str, Any]:
        residuals = self.residuals_.tolist()
        return {"mean": self.target_mean_, "scale": self.target_scale_, "residuals": residuals}

    def _rebuild_target(self, described: dict[str, Any]) -> None:
        self.target_mean_, self.target_scale_ = float(described["mean"]), float(described["scale"])
        self.residuals_ = np.array(described.get("residuals", []), np.float64)
        if not np.isfinite([self.target_mean_, self.target_scale_, *self.residuals_]).all():
            raise ValueError("a target that is not scaled by finite numbers")
        if self.residuals_.ndim != 1 or (np.diff(self.residuals_) < 0).any():
            raise ValueError("residuals that are not in order")

    def _answers(self, outputs: Array) -> Numbers:
        answers: Numbers = outputs[:, 0].astype(np.float64) * self.target_scale_ + self.target_mean_
        return answers

    def _learn_residuals(self, held_out: HeldOut) -> None:
        self.residuals_ = held_out.residuals()

    def predict(self, X: Any) -> Numbers:
        """Return the expected target of each row, (rows,)."""
        return self._answers(self._run(X))

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
            raise ValueError(
                f"coverage is {coverage}, and training held out {n} rows, of which none lies outside; expected at most "
                f"{max(0.0, 1 - 2 / (n + 1)):.4g}: fit more rows, or with validation_fraction above 0"
            )
        answers = self.predict(X)
        return np.column_stack([answers + self.residuals_[place - 1], answers + self.residuals_[n - place]])
