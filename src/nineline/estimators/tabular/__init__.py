"""TabularClassifier and TabularRegressor: a table in, everything chosen, an ensemble of networks out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nineline.estimators.tabular import file
from nineline.estimators.tabular.classifier import TabularClassifier
from nineline.estimators.tabular.regressor import TabularRegressor

if TYPE_CHECKING:
    import os

__all__ = ["TabularClassifier", "TabularRegressor", "load"]


def load(path: str | os.PathLike[str]) -> TabularClassifier | TabularRegressor:
    """Read either estimator from a file that its `save` wrote; see `TabularClassifier.load`."""
    model: TabularClassifier | TabularRegressor = file.load(
        path, {kind.__name__: kind for kind in (TabularClassifier, TabularRegressor)}
    )
    return model
