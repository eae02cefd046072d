"""scikit-learn's checks of estimators, on the MLPs: all of them, with both engines."""

from __future__ import annotations

import os

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from nineline.engines import native
from nineline.estimators import MLPClassifier, MLPRegressor

ENGINES = ["reference"]
if native._native is not None and os.environ.get("NINELINE_SIMD") != "none":
    ENGINES.append("native")

# As in scikit-learn's own run of these checks, fewer epochs than by default.
ESTIMATORS = [
    estimator
    for engine in ENGINES
    for estimator in (
        MLPClassifier(max_iter=100, engine=engine),
        MLPClassifier(max_iter=100, solver="lbfgs", engine=engine),
        MLPRegressor(max_iter=100, engine=engine),
        MLPRegressor(max_iter=100, solver="lbfgs", engine=engine),
    )
]


@parametrize_with_checks(ESTIMATORS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_estimator(estimator, check):
    check(estimator)
