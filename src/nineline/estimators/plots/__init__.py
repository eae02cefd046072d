"""Pictures of a model of a table, on rows that it did not learn from. They need matplotlib: the extra ``plot``.

Without `X` and `y` they are of the rows that the members held out in `fit`, each judged by the member that did not
learn from it; those are kept since `fit`, and are not in a file. Each function draws into the axes it is given, or
makes its own, and returns them. Where scikit-learn has a display for it, that draws.
"""

from nineline.estimators.plots.classes import plot_calibration, plot_confusion, plot_precision_recall, plot_roc
from nineline.estimators.plots.columns import plot_column, plot_dependence, plot_explanation, plot_importance
from nineline.estimators.plots.members import plot_members
from nineline.estimators.plots.numbers import plot_prediction_error, plot_residuals

__all__ = [
    "plot_calibration",
    "plot_column",
    "plot_confusion",
    "plot_dependence",
    "plot_explanation",
    "plot_importance",
    "plot_members",
    "plot_precision_recall",
    "plot_prediction_error",
    "plot_residuals",
    "plot_roc",
]
