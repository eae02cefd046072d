"""Estimators of tables that a Dask cluster has: fitted where their partitions lie, answering by partition."""

from nineline.estimators.dask.estimators import TabularClassifier, TabularRegressor

__all__ = ["TabularClassifier", "TabularRegressor"]
