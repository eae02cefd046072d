"""The pictures of a page: which there are, how large, and what is to be seen on each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from sklearn.base import is_classifier

from nineline.estimators import plots
from nineline.tables.several_targets import NamedAnswers, Quantiles
from nineline.view.svg import to_svg

if TYPE_CHECKING:
    from collections.abc import Callable

_DEPENDENCES: Final = 6


class Picture(NamedTuple):
    """A picture of a page."""

    title: str
    svg: str
    text: str


def pictures(report: Any, evaluation: Any) -> dict[str, list[Picture]]:
    """Return the pictures under their headings."""
    model = report.model
    found: dict[str, list[Picture]] = {"how good": [], "what decides": [], "training": []}
    if evaluation is not None and evaluation.judged is not None and np.isfinite(evaluation.judged.answers).any():
        found["how good"] = _of_classes(evaluation) if is_classifier(model) else _of_numbers(evaluation)
    if model._held_out is not None and model._held_out.parts:
        found["what decides"] = _of_columns(report)
    if any(history.loss for history in report.histories):
        found["training"] = [
            _picture(
                partial(plots.plot_members, report.histories),
                (6.4, 3.6),
                "Learning curves",
                "The loss of each network over its epochs, on the rows that it held out and on those that it learned "
                "from; a ring is the point that was kept.",
            )
        ]
    return found


def explained(model: Any, evaluation: Any) -> Picture | None:
    """Return the picture of one row's explanation: of some rows the one with the highest answer."""
    if evaluation is None or not evaluation.rows or model._held_out is None or not model._held_out.parts:
        return None
    if isinstance(model.target_, NamedAnswers):
        return None  # which of them?
    explanation = model.explain(max(evaluation.rows, key=lambda row: _highest(model, row)))
    return _picture(
        partial(plots.plot_explanation, explanation),
        (6.6, 1.4 + 0.3 * min(len(explanation.names), 16)),
        "One row, explained",
        "What each column of one row adds to its answer (integrated gradients), from the mean row's answer on. The row "
        f"is that of {len(evaluation.rows)} looked at whose answer is highest.",
    )


def _highest(model: Any, row: dict[str, Any]) -> float:
    """Return the number for a row, the probability of the second of two classes, or that of the likeliest."""
    if isinstance(model.target_, Quantiles):
        return float(model.predict_one(row)[model.target_.levels[model.target_.find(None)]])
    if not is_classifier(model):
        return float(model.predict_one(row))
    shares = list(model.predict_proba_one(row).values())
    return shares[1] if len(shares) == 2 else max(shares)


def _of_classes(evaluation: Any) -> list[Picture]:
    judged = evaluation.judged
    many = len(judged.names)
    side = min(max(3.2, 1.4 + 0.42 * many), 7)
    return [
        _picture(
            partial(plots.plot_confusion, judged),
            (side + 0.4, side),
            "Confusion",
            "Which classes are taken for which. Rows are the truth; the colour is a share of the row.",
        ),
        _picture(
            partial(plots.plot_roc, judged),
            (4.6, 3.9),
            "ROC",
            "How much of a class is found for how many false alarms; the nearer the upper left corner, the better."
            + (" The six most frequent classes." if many > 6 else ""),
        ),
        _picture(
            partial(plots.plot_precision_recall, judged),
            (4.6, 3.9),
            "Precision and recall",
            "How many of those said to be of a class are, for how many of the class are found.",
        ),
        _picture(
            partial(plots.plot_calibration, judged),
            (4.6, 3.9),
            "Calibration",
            "Whether what is said to be 80 % probable happens in 80 % of cases: then the points lie on the diagonal.",
        ),
    ]


def _of_numbers(evaluation: Any) -> list[Picture]:
    judged = evaluation.judged
    sampled = " 1,000 rows, drawn at random." if len(judged.truth) > 1000 else ""
    return [
        _picture(
            partial(plots.plot_prediction_error, judged),
            (4.8, 4),
            "Prediction and truth",
            f"A point a row; on the diagonal the answer is right.{sampled}",
        ),
        _picture(
            partial(plots.plot_residuals, judged),
            (4.8, 4),
            "Residuals",
            "By how much the truth is above the prediction, and between which values nine of ten rows lie.",
        ),
    ]


def _of_columns(report: Any) -> list[Picture]:
    """Return importances, and the dependence on the most important columns."""
    model = report.model
    count = len(model.columns_.used)
    importance = model._importance_soon()
    found = [
        _picture(
            partial(plots.plot_importance, model, importance=importance),
            (6.4, 1 + 0.28 * min(count, 15)),
            "Importances",
            "How much worse the answers become when a column is shuffled, so that it tells nothing any more.",
        )
    ]
    profiles = {profile.name: profile for profile in report.profiles}
    order = np.argsort(-importance.importances_mean, kind="stable")
    for place in [place for place in order[:_DEPENDENCES] if importance.importances_mean[place] > 0]:
        name = importance.names[place]
        found.append(
            _picture(
                partial(plots.plot_dependence, model, name, profile=profiles[name]),
                (3.3, 2.7),
                f"Dependence on {name}",
                "The mean answer if all rows had this value, the rest of each row as it is." if len(found) == 1 else "",
            )
        )
    return found


def _picture(draw: Callable[..., Any], size: tuple[float, float], title: str, text: str) -> Picture:
    return Picture(title, to_svg(lambda axes: draw(axes=axes), *size, title), text)
