"""Estimators: nineline as scikit-learn's users know it. A table goes in, everything else is chosen."""

from nineline.estimators.tabular import TabularClassifier, TabularRegressor, load

__all__ = ["TabularClassifier", "TabularRegressor", "load"]
