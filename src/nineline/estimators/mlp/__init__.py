"""scikit-learn's MLPs, faster, and with what they leave out."""

from nineline.estimators.mlp.classifier import MLPClassifier
from nineline.estimators.mlp.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
