"""Held-out rows: how good the members are on what they did not learn from, and what follows from that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

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
from sklearn.utils import Bunch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.ensemble import Ensemble
    from nineline.estimators.tabular.members import Member
    from nineline.estimators.tabular.rows import Rows
    from nineline.network import Network

    Answers = npt.NDArray[np.float64]

_KEPT: Final = 2000  # rows of each member, for importances
_QUANTILES: Final = 1000  # of residuals, where there are more


@dataclass(frozen=True)
class Piece:
    """Rows, and who answers for them.

    Attributes
    ----------
    network : Network or Ensemble
    inputs : array, (rows, width)
        Of the first rows; the others were judged and let go.
    truth : array, (all rows,)
        Labels or numbers.
    answers : array, (all rows, classes) or (all rows,)
    weights : array, (all rows,), or None
    """

    network: Network | Ensemble
    inputs: Array
    truth: npt.NDArray[Any]
    answers: Answers | None
    weights: Array | None


@dataclass(frozen=True)
class HeldOut:
    """What each member held out."""

    pieces: tuple[Piece, ...]

    @classmethod
    def of(
        cls, members: Sequence[Member], rows: Rows, labels: npt.NDArray[Any], answers: Callable[[Array], Answers]
    ) -> HeldOut:
        """Let every member answer for the rows that it held out."""
        pieces = []
        for member in members:
            out = member.held_out
            if len(out):
                said = answers(member.network.run(rows.inputs[out]))
                weights = None if rows.weights is None else rows.weights[out]
                pieces.append(Piece(member.network, rows.inputs[out[:_KEPT]], labels[out], said, weights))
        return cls(tuple(pieces))

    @classmethod
    def on(cls, network: Network | Ensemble, inputs: Array, labels: npt.NDArray[Any]) -> HeldOut:
        """Return other rows, for which all members answer."""
        return cls((Piece(network, inputs, labels, None, None),))

    def judged(self) -> tuple[npt.NDArray[Any], Answers, Array | None]:
        """Return truth, answers and weights of all rows, each answered by the member that did not learn from it."""
        truth = np.concatenate([piece.truth for piece in self.pieces])
        answers = np.concatenate([piece.answers for piece in self.pieces if piece.answers is not None])
        given = [piece.weights for piece in self.pieces if piece.weights is not None]
        return truth, answers, np.concatenate(given) if given else None

    def scores(self, model: Any) -> dict[str, float]:
        """Return the measures over all held-out rows."""
        if not self.pieces:
            return {}
        truth, answers, weights = self.judged()
        if is_classifier(model):
            return class_scores(model.classes_, truth, answers, weights)
        return number_scores(truth, answers, weights)

    def error(self, model: Any) -> float:
        """Return what trials are judged by: the log-loss, or the root mean squared error."""
        return self.scores(model)["log-loss" if is_classifier(model) else "RMSE"]

    def residuals(self) -> Answers:
        """Return truth − answer of a regressor's held-out rows, ascending; many of them by their quantiles.

        A row of weight 2 is there once: what is asked for is how far off an answer may be.
        """
        if not self.pieces:
            return np.empty(0)
        gaps = [piece.truth - piece.answers for piece in self.pieces if piece.answers is not None]
        all_gaps: Answers = np.sort(np.concatenate(gaps).astype(np.float64))
        if len(all_gaps) > _QUANTILES:
            return np.quantile(all_gaps, np.linspace(0, 1, _QUANTILES))
        return all_gaps

    def importance(self, model: Any, repeats: int, rng: np.random.Generator) -> Bunch:
        """Return what `Tabular.feature_importance` returns."""
        names = [column.name for column in model.columns_.used]
        edges = np.cumsum([0, *(column.width for column in model.columns_.used)])
        before = self._error(model, [piece.inputs for piece in self.pieces])
        rises = np.empty((len(names), repeats))
        for place in range(len(names)):
            for repeat in range(repeats):
                shuffled = []
                for piece in self.pieces:
                    inputs = piece.inputs.copy()
                    own = slice(edges[place], edges[place + 1])
                    inputs[:, own] = inputs[rng.permutation(len(inputs)), own]
                    shuffled.append(inputs)
                rises[place, repeat] = self._error(model, shuffled) - before
        return Bunch(
            names=names, importances_mean=rises.mean(axis=1), importances_std=rises.std(axis=1), importances=rises
        )

    def _error(self, model: Any, inputs: Sequence[Array]) -> float:
        truth = np.concatenate([piece.truth[: len(x)] for piece, x in zip(self.pieces, inputs, strict=True)])
        said = [model._answers(piece.network.run(x)) for piece, x in zip(self.pieces, inputs, strict=True)]
        answers = np.concatenate(said)
        if is_classifier(model):
            return class_scores(model.classes_, truth, answers)["log-loss"]
        return number_scores(truth, answers)["RMSE"]


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
        return self.model._answers(self.outputs)

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
        return self.model._answers(self.outputs)
