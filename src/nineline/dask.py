"""Estimators of tables that a Dask cluster has; `pip install "nineline[dask]"`.

See `nineline.estimators.dask.estimators`.
"""

from nineline.estimators.dask import TabularClassifier, TabularRegressor

__all__ = ["TabularClassifier", "TabularRegressor"]
