"""How good answers are: the measures of a report, and any scorer of scikit-learn's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.metrics import (
    accuracy_score,
    d2_pinball_score,
    get_scorer,
    hamming_loss,
    log_loss,
    mean_absolute_error,
    mean_pinball_loss,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from nineline.tables.several_targets import Labels, Quantiles, Quantities

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from nineline._typing import Array

    Answers = npt.NDArray[np.float64]


def scores_of(model: Any, truth: npt.NDArray[Any], answers: Answers, weights: Array | None = None) -> dict[str, float]:
    """Return the measures of a model's answers: of a classifier's probabilities or a regressor's numbers."""
    if isinstance(model.target_, Labels):
        return label_scores(truth, answers, weights)
    if isinstance(model.target_, Quantiles):
        return quantile_scores(model.target_.levels, truth, answers, weights)
    if is_classifier(model):
        return class_scores(model.classes_, truth, answers, weights)
    return number_scores(truth, answers, weights)


def error_of(model: Any, truth: npt.NDArray[Any], answers: Answers, weights: Array | None = None) -> float:
    """Return what trials and importances are judged by: the log-loss, the root mean squared error, the pinball loss.

    Of several numbers each is first divided by its standard deviation, so that none counts more for its units.
    """
    target = model.target_
    if isinstance(target, Quantities):
        truth, answers = target.encode(truth), target.encode(answers).astype(np.float64)
    return scores_of(model, truth, answers, weights)[error_name(model)]


def error_name(model: Any) -> str:
    """Return what that is called among the measures."""
    if isinstance(model.target_, Quantiles):
        return "pinball loss"
    return "log-loss" if is_classifier(model) else "RMSE"


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
    """Return root mean squared error, mean absolute error and R²; of several outputs the mean of each over them."""
    scores = {
        "RMSE": float(root_mean_squared_error(truth, predicted, sample_weight=weights)),
        "MAE": float(mean_absolute_error(truth, predicted, sample_weight=weights)),
    }
    if len(truth) > 1 and len(np.unique(truth)) > 1:
        scores["R²"] = float(r2_score(truth, predicted, sample_weight=weights))
    return scores


def label_scores(truth: npt.NDArray[Any], shares: Answers, weights: Array | None = None) -> dict[str, float]:
    """Return measures of the probabilities of labels, (rows, labels).

    The share of rows whose labels are all right, the share of labels that are wrong, and the means over the labels of
    the log-loss and, where every label is there in some rows and not in others, of the area under the ROC curve.
    """
    said = shares > 0.5
    shares = np.clip(shares, 1e-7, 1 - 1e-7)  # one wrong answer given for certain is no infinite loss
    losses = -np.log(np.where(truth == 1, shares, 1 - shares)).mean(axis=1)
    scores = {
        "accuracy": float(accuracy_score(truth, said, sample_weight=weights)),
        "Hamming loss": float(hamming_loss(truth, said, sample_weight=weights)),
        "log-loss": float(np.average(losses, weights=weights)),
    }
    if (truth.min(axis=0) < truth.max(axis=0)).all():
        scores["AUC"] = float(roc_auc_score(truth, shares, sample_weight=weights))
    return scores


def quantile_scores(
    levels: Sequence[float], truth: npt.NDArray[Any], answers: Answers, weights: Array | None = None
) -> dict[str, float]:
    """Return measures of quantiles, (rows, levels).

    The means over the levels of the pinball loss and of D², its share that is less than with the quantiles of the
    truth itself; and of several levels the share of rows that lie between the first and the last.
    """
    losses = [
        mean_pinball_loss(truth, answers[:, i], alpha=level, sample_weight=weights) for i, level in enumerate(levels)
    ]
    scores = {"pinball loss": float(np.mean(losses))}
    if len(truth) > 1:
        scores["D²"] = d2_of_quantiles(levels, truth, answers, weights)
    if len(levels) > 1:
        inside = (answers[:, 0] <= truth) & (truth <= answers[:, -1])
        scores["coverage"] = float(np.average(inside, weights=weights))
    return scores


def d2_of_quantiles(
    levels: Sequence[float], truth: npt.NDArray[Any], answers: Answers, weights: Array | None = None
) -> float:
    """Return the mean over the levels of D² of the pinball loss.

    It is 1 where every answer is right, and 0 where they are as good as the quantiles of the truth.
    """
    each = [
        d2_pinball_score(truth, answers[:, i], alpha=level, sample_weight=weights) for i, level in enumerate(levels)
    ]
    return float(np.mean(each))


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
        target = self.model.target_
        return [np.arange(2)] * target.outputs if isinstance(target, Labels) else target.classes  # told from classes

    def predict(self, X: Any) -> Any:
        """Return classes."""
        return self.model.target_.predicted(self.predict_proba(X))

    def predict_proba(self, X: Any) -> Any:
        """Return probabilities."""
        return self.model.target_.answers(self.outputs)
