"""A fitted model of a table in a notebook: a small report."""

from __future__ import annotations

from functools import partial
from typing import Any

from nineline import _checks
from nineline.estimators.plots.columns import plot_importance
from nineline.estimators.plots.members import plot_members
from nineline.view.notebook import picture, shown, table


def small_page(model: Any) -> str:
    """Return what a model predicts, how good it is, which columns decide, and how its networks learned."""
    name = _checks.printable(model.target_name_, 60)
    columns = len(model.columns_.used)
    members = len(model.members_)
    networks = "a network" if members == 1 else f"{members} networks"
    text = f"{model!r}\npredicts {name}, {model.target_.in_words()}, from {columns:,} columns, by {networks}"
    scores = [(f"{where}: {measure}", f"{value:,.5g}") for where, measure, value in _scores(model)]
    parts = [table(("how good", ""), scores)] if scores else []
    if model._held_out is not None and model._held_out.parts:
        importance = model._importance_soon()
        height = 1 + 0.26 * min(columns, 8)
        parts.append(_drawn(partial(plot_importance, model, importance=importance, top=8), 6, height, "importances"))
    if any(history.loss for history in getattr(model, "histories_", ())):
        parts.append(_drawn(partial(plot_members, model.histories_), 6, 2.8, "learning curves"))
    return shown(text, *parts)


def _scores(model: Any) -> list[tuple[str, str, float]]:
    report = model.report_ if hasattr(model, "report_") else None
    where = "held out" if report is None or not report.later else f"held out, {report.later:,} rows ago"
    found = [(where, measure, value) for measure, value in ({} if report is None else report.held_out).items()]
    return found + [("test part", measure, value) for measure, value in model.evaluation_.items()]


def _drawn(draw: Any, width: float, height: float, title: str) -> str:
    return picture(lambda axes: draw(axes=axes), width, height, title)
