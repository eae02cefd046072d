"""Estimators: nineline as scikit-learn's users know it.

`TabularClassifier` and `TabularRegressor` take a table and choose everything else; `MLPClassifier` and `MLPRegressor`
are drop-ins for scikit-learn's.
"""

from nineline.estimators.mlp import MLPClassifier, MLPRegressor
from nineline.estimators.tabular import TabularClassifier, TabularRegressor, load

__all__ = ["MLPClassifier", "MLPRegressor", "TabularClassifier", "TabularRegressor", "load"]
