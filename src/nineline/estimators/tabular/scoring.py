"""How good answers are: the measures of a report, and any scorer of scikit-learn's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.metrics import (
    accuracy_score,
    get_scorer,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from nineline._typing import Array

    Answers = npt.NDArray[np.float64]


def scores_of(model: Any, truth: npt.NDArray[Any], answers: Answers, weights: Array | None = None) -> dict[str, float]:
    """Return the measures of a model's answers: of a classifier's probabilities or a regressor's numbers."""
    if is_classifier(model):
        return class_scores(model.classes_, truth, answers, weights)
    return number_scores(truth, answers, weights)


def error_of(model: Any, truth: npt.NDArray[Any], answers: Answers, weights: Array | None = None) -> float:
    """Return what trials and importances are judged by: the log-loss, or the root mean squared error."""
    return scores_of(model, truth, answers, weights)["log-loss" if is_classifier(model) else "RMSE"]


def class_scores(
    classes: npt.NDArray[Any], truth: npt.NDArray[Any], shares: Answers, weights: Array | None = None
) -> dict[str, float]:
    """Return accuracy, log-loss and, of two classes, the area under the ROC curve."""
    said = classes[shares.argmax(axis=1)]
    shares = np.clip(shares, 1e-7, 1)  # one wrong answer given for certain is no infinite loss
    shares /= shares.sum(axis=1, keepdims=True)
    scores = {
        "accuracy": float(accuracy_score(truth, said, sample_weight=weights)),
        "log-loss": float(log_loss(truth, shares, labels=classes, sample_weight=weights)),
    }
    if len(classes) == 2 and len(np.unique(truth)) == 2:
        scores["AUC"] = float(roc_auc_score(truth == classes[1], shares[:, 1], sample_weight=weights))
    return scores


def number_scores(
    truth: npt.NDArray[Any], predicted: npt.NDArray[Any], weights: Array | None = None
) -> dict[str, float]:
    """Return root mean squared error, mean absolute error and R²."""
    scores = {
        "RMSE": float(root_mean_squared_error(truth, predicted, sample_weight=weights)),
        "MAE": float(mean_absolute_error(truth, predicted, sample_weight=weights)),
    }
    if len(truth) > 1 and len(np.unique(truth)) > 1:
        scores["R²"] = float(r2_score(truth, predicted, sample_weight=weights))
    return scores


def scorer_of(
    model: Any, metric: Any, labels: npt.NDArray[Any], weights: Array | None
) -> Callable[[Array, npt.NDArray[np.intp]], float] | None:
    """Return what scores outputs for held-out rows; None where the loss itself is watched.

    Raises
    ------
    ValueError
        `metric` is not "loss", nor the name of one of scikit-learn's scorers, nor a function.
    """
    if isinstance(metric, str) and metric == "loss":
        return None
    try:
        scorer = get_scorer(metric)
    except ValueError:
        raise ValueError(
            f"eval_metric is {metric!r}; expected 'loss', the name of a scorer of scikit-learn's such as "
            f"{'accuracy' if is_classifier(model) else 'neg_mean_absolute_error'!r}, or a function of an estimator, X "
            "and y"
        ) from None

    def score(outputs: Array, rows: npt.NDArray[np.intp]) -> float:
        answered = (_AnsweredClasses if is_classifier(model) else _Answered)(model, outputs)
        given = {} if weights is None else {"sample_weight": weights[rows]}
        try:
            return float(scorer(answered, np.arange(len(rows)), labels[rows], **given))
        except TypeError:  # a scorer that knows no weights
            return float(scorer(answered, np.arange(len(rows)), labels[rows]))
        except ValueError as error:
            raise ValueError(
                f"eval_metric {metric!r} cannot judge {len(rows)} held-out rows: {error} Where a class has few rows, "
                "take 'loss', or hold out more (validation_fraction)"
            ) from error

    return score


class _Answered(BaseEstimator):
    """An estimator that has its answers already, as a scorer wants one."""

    _estimator_type = "regressor"

    def __init__(self, model: Any, outputs: Any) -> None:
        self.model = model
        self.outputs = outputs

    def fit(self, X: Any, y: Any) -> Any:
        """Do nothing."""
        return self

    def predict(self, X: Any) -> Any:
        """Return numbers."""
        return self.model.target_.answers(self.outputs)

    def __sklearn_tags__(self) -> Any:
        return self.model.__sklearn_tags__()

    def __sklearn_is_fitted__(self) -> bool:
        return True


class _AnsweredClasses(_Answered):
    """Likewise of a classifier."""

    _estimator_type = "classifier"

    @property
    def classes_(self) -> Any:
        return self.model.classes_

    def predict(self, X: Any) -> Any:
        """Return classes."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X: Any) -> Any:
        """Return probabilities."""
        return self.model.target_.answers(self.outputs)
