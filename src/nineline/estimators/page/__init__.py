"""A report as a page: one file that opens without a network and runs nothing, for whoever is sent it.

Pictures are drawn from aggregates, so that its size does not grow with the table's.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import precision_recall_fscore_support

from nineline import _checks, writing
from nineline._extras import need
from nineline._version import __version__
from nineline.estimators.judged import Judged, judged_of
from nineline.estimators.page.bars import bars
from nineline.estimators.page.pictures import explained, pictures
from nineline.estimators.tabular.scoring import class_scores, number_scores, scores_of
from nineline.tables.several_targets import Labels, Quantiles, SeveralAnswers

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

_COLUMNS: Final = 400  # listed
_CLASSES: Final = 30  # with a line each
_CHARACTERS: Final = 60


@dataclass(frozen=True)
class Evaluation:
    """How good a model is on rows that it did not learn from.

    Attributes
    ----------
    judged : Judged or None
        None where the rows are not at hand any more.
    where : str
        Which rows these are, as the end of a sentence.
    scores : dict of str to dict of str to float
        By model and measure; the network is the first.
    notes : list of str
        What else is to be known.
    rows : sequence of dict
        Some rows as the table holds them, one of which is explained.
    """

    judged: Judged | None
    where: str
    scores: dict[str, dict[str, float]]
    notes: list[str] = field(default_factory=list)
    rows: Sequence[dict[str, Any]] = ()


def check_page() -> None:
    """Raise ImportError now where `write_page` would later."""
    for module in ("jinja2", "matplotlib"):
        need(module, "plot", "a report as a page")


def write_page(
    path: str | os.PathLike[str], report: Any, evaluation: Evaluation | None = None, command: str | None = None
) -> None:
    """Write a report as a page of HTML; see `nineline.estimators.tabular.report.FitReport.to_html`.

    Parameters
    ----------
    path : path
    report : FitReport
    evaluation : Evaluation, optional
        By default on the rows that were held out in `fit`.
    command : str, optional
        What was typed.
    """
    check_page()
    if report.model is None:
        raise ValueError("this report was pickled without its model; take that of the model: model.report_")
    writing.check_writable(path)
    writing.write_bytes(path, render(report, evaluation, command).encode())


def render(report: Any, evaluation: Evaluation | None = None, command: str | None = None) -> str:
    """Return the page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from nineline.view.svg import STYLE

    model = report.model
    evaluation = evaluation if evaluation is not None else _held_out(report)
    environment = Environment(
        loader=PackageLoader("nineline.estimators", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["count"] = lambda value: f"{value:,.0f}"
    environment.filters["short"] = lambda text, characters=_CHARACTERS: _checks.printable(str(text), characters)
    evaluated = None
    if evaluation is not None:
        measures = list(next(iter(evaluation.scores.values()), {}))
        evaluated = {
            "said": _in_short(evaluation),
            "where": evaluation.where,
            "notes": evaluation.notes,
            "measures": measures,
            "scores": evaluation.scores,
            "classes": _by_class(evaluation.judged),
        }
    groups = pictures(report, evaluation)
    example = explained(model, evaluation)
    if example is not None:
        groups["what decides"] = [*groups["what decides"], example]
    return environment.get_template("page.html").render(
        style=Markup(STYLE),
        target=model.target_name_,
        predicts=_predicts(model),
        report=report,
        lines=[(heading, text) for heading, text in report.lines() if not heading.startswith(("member", "held out"))],
        evaluated=evaluated,
        groups={name: [(title, Markup(svg), text) for title, svg, text in each] for name, each in groups.items()},
        columns=[{**each, "bars": Markup(each["bars"])} for each in _listed(report)],
        unlisted=max(len(report.profiles) - _COLUMNS, 0),
        network=repr(model.members_[0]),
        parameters=model.network_.parameters.size,
        members=len(model.members_),
        settings=repr(model),
        command=command,
        engine=report.histories[0].engine if report.histories else "",
        versions={
            "nineline": __version__,
            "Python": platform.python_version(),
            "NumPy": np.__version__,
            "scikit-learn": version("scikit-learn"),
        },
    )


def _number(value: float) -> str:
    """Return a score, or a dash where there is none: of a class that is never predicted, say."""
    return f"{value:,.4g}" if np.isfinite(value) else "–"


def _in_short(evaluation: Evaluation) -> str:
    """Return how good the network is beside the plainest model, as a sentence."""
    network, (other, plainest) = evaluation.scores["network"], list(evaluation.scores.items())[-1]
    if not all(map(np.isfinite, network.values())):
        return "How good it is cannot be said: its answers lead beyond the range of numbers."
    if "accuracy" in network:
        said = f"It is right in {100 * network['accuracy']:.1f} % of rows"
        beside = f", where the {other} alone would be in {100 * plainest['accuracy']:.1f} %"
    elif "pinball loss" in network:
        said = f"Its quantiles have a pinball loss of {network['pinball loss']:,.4g}"
        beside = f", where the {other} have one of {plainest['pinball loss']:,.4g}"
    else:
        said = f"Its answers are off by {network['MAE']:,.4g} on average"
        beside = f", where the {other} is by {plainest['MAE']:,.4g}"
    return f"{said}{beside if other != 'network' else ''}."


def _predicts(model: Any) -> str:
    if isinstance(model.target_, SeveralAnswers):
        return _checks.printable(model.target_.in_words(), 200)
    if not is_classifier(model):
        return "a number"
    classes = [_checks.printable(str(value), 40) for value in model.classes_.tolist()[:8]]
    more = len(model.classes_) - len(classes)
    return f"one of {len(model.classes_):,} classes: {', '.join(classes)}{f' and {more:,} more' if more else ''}"


def _held_out(report: Any) -> Evaluation | None:
    """Return how good the members are on what each of them held out."""
    model = report.model
    if model._held_out is None or not model._held_out.parts:
        if not report.held_out:
            return None
        where = "rows held out in training; a copy of a model does not have them, so there are no pictures of them"
        return Evaluation(None, where, {"network": dict(report.held_out)})
    if isinstance(model.target_, SeveralAnswers):
        return _several_held_out(report)
    judged = judged_of(model, None, None, classes=is_classifier(model))
    scores = {"network": dict(report.held_out)}
    if judged.classes is not None:
        shares = np.bincount(judged.codes, judged.weights, len(judged.classes)) + 1e-12
        answers = np.tile(shares / shares.sum(), (len(judged.truth), 1))
        scores["majority class"] = class_scores(judged.classes, judged.truth, answers, judged.weights)
    else:
        mean = np.average(judged.truth, weights=judged.weights)
        scores["mean"] = number_scores(judged.truth, np.full(len(judged.truth), mean), judged.weights)
    return Evaluation(judged, _where(report, judged.truth, judged.weights), scores, rows=report.examples)


def _several_held_out(report: Any) -> Evaluation:
    """Return the same of several outputs, labels or quantiles, of which there are no pictures."""
    model = report.model
    truth, answers, weights = model._held_out.judged()
    if isinstance(model.target_, Quantiles):
        name, plainest = "quantiles of the target", np.array(model.target_.plain)
    else:
        name = "share of each label" if isinstance(model.target_, Labels) else "mean of each"
        plainest = np.average(truth, axis=0, weights=weights)
    scores = {
        "network": dict(report.held_out),
        name: scores_of(model, truth, np.broadcast_to(plainest, answers.shape), weights),
    }
    return Evaluation(None, _where(report, truth, weights), scores, rows=report.examples)


def _where(report: Any, truth: Any, weights: Any) -> str:
    weighed = "" if weights is None else " different"
    which = f" ({report.held_out_rows})" if report.held_out_rows else ""
    return f"{len(truth):,}{weighed} rows held out in training{which}, each judged by {report.judged_by}"


def _by_class(judged: Judged | None) -> list[dict[str, Any]]:
    """Return a line for each class, of many those that are told worst; NaN where there is nothing to divide by."""
    if judged is None or judged.classes is None:
        return []
    codes, said = judged.codes, judged.answers.argmax(axis=1)
    every = np.arange(len(judged.classes))
    precision, recall, f1, rows = precision_recall_fscore_support(
        codes, said, labels=every, zero_division=np.nan, sample_weight=judged.weights
    )
    order = every
    if len(every) > _CLASSES:
        there = every[rows > 0]
        order = there[np.argsort(recall[there], kind="stable")][:_CLASSES]
    return [
        {"name": judged.names[k], "rows": rows[k], "precision": precision[k], "recall": recall[k], "f1": f1[k]}
        for k in order.tolist()
    ]


def _listed(report: Any) -> list[dict[str, Any]]:
    """Return a line for each of the first columns of the table, with what was done and a small histogram."""
    done = {name: (kind, what) for name, kind, _, what in report.columns.in_words()}
    lines = []
    for profile in report.profiles[:_COLUMNS]:
        kind, what = done.get(profile.name, ("", ""))
        lines.append({"profile": profile, "kind": kind, "what": what, "bars": bars(profile)})
    return lines
