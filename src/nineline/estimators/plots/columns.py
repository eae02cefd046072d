"""Pictures of columns: what is in them, what the model makes of them, and what they add to one row's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
from sklearn.base import is_classifier
from sklearn.inspection import PartialDependenceDisplay
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from nineline import _checks
from nineline.estimators.judged import NO_ROWS
from nineline.estimators.tabular.held_out import HeldOut
from nineline.estimators.tabular.scoring import error_name
from nineline.tables.inference import ColumnLearner
from nineline.tables.kinds import Category
from nineline.tables.profile import NumberProfile, ValueProfile
from nineline.tables.series import datetimes
from nineline.tables.several_targets import SeveralAnswers
from nineline.view.axes import grid, labels_of, new_axes, plain, shortened, start_over
from nineline.view.palette import palette_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nineline.estimators.tabular.explaining import Explanation
    from nineline.tables.profile import ColumnProfile

_TOP: Final = 15
_CHARACTERS: Final = 28
_ROWS: Final = 500  # whose answers are averaged
_PLACES: Final = 20
_VALUE_CHARACTERS: Final = 16
_CURVES: Final = 4  # classes whose probabilities are drawn


def plot_column(profile: ColumnProfile, *, axes: Axes | None = None) -> Axes:
    """Draw how often a column has which values: a histogram of numbers, bars of others.

    Parameters
    ----------
    profile : nineline.tables.profile.ColumnProfile
        One of ``model.report_.profiles``.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    axes = new_axes(4, 2.5) if axes is None else axes
    start_over(axes)
    colours = palette_of(axes)
    if isinstance(profile, NumberProfile) and len(profile.counts):
        axes.stairs(profile.counts, profile.edges, fill=True, color=colours.blue)
        axes.locator_params(axis="x", nbins=5)
        if profile.dates:
            _write_dates(axes)
    elif isinstance(profile, ValueProfile) and profile.values:
        names = labels_of(profile.values, _VALUE_CHARACTERS)
        counts = list(profile.counts)
        if profile.others:
            names, counts = [*names, "others"], [*counts, profile.others]
        places = range(len(names))
        axes.barh(places, counts, color=[colours.blue] * len(profile.values) + [colours.grey], height=0.75)
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.locator_params(axis="x", nbins=4)
    else:
        axes.text(0.5, 0.5, "no value", ha="center", va="center", color=colours.grey, transform=axes.transAxes)
        axes.set_xticks([])
        axes.set_yticks([])
    axes.set_title(plain(shortened(profile.name, _CHARACTERS)), fontsize=10)
    grid(axes, colours)
    return axes


def plot_importance(
    model: Any, X: Any = None, y: Any = None, *, top: int = _TOP, importance: Any = None, axes: Axes | None = None
) -> Axes:
    """Draw how much worse answers become when a column is shuffled, the most important column on top.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
    X, y : optional
        Rows to measure on; by default those that were held out in `fit`.
    top : int
        How many columns are drawn at most.
    importance : optional
        What `feature_importance` has returned, to be drawn without measuring again.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        Matplotlib is not installed.
    ValueError
        There are no held-out rows; give X and y.
    """
    top = _checks.positive_integer("top", top)
    found = model.feature_importance(X, y) if importance is None else importance
    order = np.argsort(-found.importances_mean, kind="stable")[:top]
    axes = new_axes(6, 1 + 0.3 * len(order)) if axes is None else axes
    start_over(axes)
    colours = palette_of(axes)
    places = range(len(order))
    axes.barh(
        places,
        found.importances_mean[order],
        xerr=found.importances_std[order],
        color=colours.blue,
        ecolor=colours.grey,
        height=0.7,
    )
    axes.set_yticks(places, [plain(shortened(found.names[place], _CHARACTERS)) for place in order])
    axes.invert_yaxis()
    measure = error_name(model)
    if not is_classifier(model):
        measure += f" of {plain(shortened(model.target_name_, _CHARACTERS))}"
    left = len(found.names) - len(order)
    axes.set_xlabel(f"rise of the {measure} when shuffled{f' (the first {top} of {len(found.names)})' if left else ''}")
    grid(axes, colours)
    return axes


def plot_dependence(
    model: Any, column: str, X: Any = None, *, of: Any = None, profile: Any = None, axes: Axes | None = None
) -> Axes:
    """Draw the mean answer if a column had one value in all rows, over its values; the rest of each row stays.

    Friedman's partial dependence, over 500 rows at most. Little lines below are the deciles of the column. It says what
    the model does; where columns hang together it is asked about rows that do not occur.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
    column : str
        One of those in use.
    X : optional
        Rows whose answers are averaged; by default those that were held out in `fit`.
    of : optional
        A class whose probability is drawn; by default the second of two, or the four most probable ones. Of several
        outputs or labels the name of one, of quantiles a level; by default the first four.
    profile : ColumnProfile, optional
        Says which values the column has; by default the one of the model's report, or of X.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        Matplotlib is not installed.
    ValueError
        The column is not in use, there is no such class, or there are no held-out rows; give X.

    References
    ----------
    Friedman (2001), Greedy function approximation, section 8.2.
    """
    check_is_fitted(model, "network_")
    names = [each.name for each in model.columns_.used]
    column = str(column)
    if column not in names:
        raise ValueError(f"column is {column!r}, which is not in use{_checks.nearest(column, names)}")
    rows = _rows(model, X)
    if profile is None:
        profile = _profile(model, column, X)
    values, shown = _values(profile)
    if not values:
        raise ValueError(f"column {column!r} has no values to go through")
    means = np.array(rows.thinned(_ROWS).dependence(model, names.index(column), values))
    curves = _curves(model, means, of)
    axes = new_axes(5, 3.5) if axes is None else axes
    start_over(axes)
    if isinstance(shown[0], str):
        _draw_values(axes, shown, curves)
    else:
        _draw_curves(axes, plain(shortened(column, _CHARACTERS)), shown, curves, profile)
    colours = palette_of(axes)
    axes.set_xlabel(plain(shortened(column, _CHARACTERS)))
    axes.set_ylabel(
        "mean probability" if is_classifier(model) else f"mean {plain(shortened(model.target_name_, _CHARACTERS))}"
    )
    axes.set_title(curves[0][0] if is_classifier(model) and len(curves) == 1 else "", fontsize=10)
    grid(axes, colours)
    legend = axes.get_legend()
    if legend is not None:
        legend.remove()
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=9, labelcolor=colours.ink)
    return axes


def _draw_curves(
    axes: Axes, name: str, places: list[float], curves: list[tuple[str, Any]], profile: NumberProfile
) -> None:
    """Draw mean answers over numbers, by scikit-learn's display."""
    colours = palette_of(axes)
    for number, (label, curve) in enumerate(curves):
        display = PartialDependenceDisplay(
            [Bunch(average=curve[np.newaxis], grid_values=[np.array(places, float)])],
            features=[(0,)],
            feature_names=[name],
            target_idx=0,
            deciles={0: _deciles(profile)},
        )
        options: dict[str, Any] = {"color": colours.curves[number % len(colours.curves)], "label": label}
        display.plot(ax=np.array([axes]), line_kw=options, pdp_lim={1: _limits(_means(curves), bars=False)})
    for ticks in axes.collections:  # the deciles
        ticks.set_color(colours.grey)
    _make_room(axes, _means(curves), bars=False)
    _label_numbers(axes, profile)


def _draw_values(axes: Axes, labels: list[str], curves: list[tuple[str, Any]]) -> None:
    """Draw mean answers of values side by side: as bars, or as points where several classes have some each."""
    colours, places = palette_of(axes), range(len(labels))
    if len(curves) == 1:
        axes.bar(places, curves[0][1], color=colours.blue)
    else:
        for number, (label, curve) in enumerate(curves):
            axes.plot(places, curve, "o", color=colours.curves[number % len(colours.curves)], label=label)
    axes.set_xticks(places, labels, rotation=90 if max(map(len, labels)) > 3 else 0)
    _make_room(axes, _means(curves), bars=len(curves) == 1)


def _means(curves: list[tuple[str, Any]]) -> Any:
    """Return all mean answers that are drawn, (curves, values)."""
    return np.array([curve for _, curve in curves])


def plot_explanation(explanation: Explanation, *, top: int = _TOP, axes: Axes | None = None) -> Axes:
    """Draw what each column of one row adds to its answer, from the baseline up to it, the largest first.

    Parameters
    ----------
    explanation : Explanation
        As ``model.explain(row)`` returns it.
    top : int
        How many columns are drawn at most; the others together are one bar.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    top = _checks.positive_integer("top", top)
    moves, names = explanation.contributions, explanation.names
    order = np.argsort(-np.abs(moves), kind="stable")
    kept, left = order[:top], order[top:]
    labels = [
        f"{shortened(names[i], _CHARACTERS)} = {shortened(explanation.values[i], _VALUE_CHARACTERS)}" for i in kept
    ]
    steps = moves[kept].tolist()
    if len(left):
        labels.append(f"{len(left)} others")
        steps.append(float(moves[left].sum()))
    axes = new_axes(6.5, 1.4 + 0.32 * len(steps)) if axes is None else axes
    start_over(axes)
    colours = palette_of(axes)
    ends = explanation.baseline + np.cumsum(steps)
    starts = np.concatenate([[explanation.baseline], ends[:-1]])
    places = np.arange(len(steps))
    axes.barh(
        places, steps, left=starts, height=0.65, color=[colours.blue if s >= 0 else colours.orange for s in steps]
    )
    for place, (end, step) in enumerate(zip(ends, steps, strict=True)):
        axes.annotate(
            f"{step:+.3g}",
            (end, place),
            xytext=(4 if step >= 0 else -4, 0),
            textcoords="offset points",
            ha="left" if step >= 0 else "right",
            va="center",
            fontsize=8,
            color=colours.ink,
        )
    axes.vlines(starts[1:], places[1:] - 1.33, places[1:] + 0.33, color=colours.grey, linewidth=0.7)
    axes.axvline(explanation.baseline, color=colours.grey, linewidth=0.8, linestyle=":")
    axes.set_yticks(places, [plain(label) for label in labels])
    axes.invert_yaxis()
    every = np.concatenate([starts, ends])
    room = 0.15 * (float(np.ptp(every)) or 1.0)
    axes.set_xlim(every.min() - room, every.max() + room)
    axes.set_xlabel(
        f"{plain(shortened(explanation.of, 40))}: from {explanation.baseline:.4g} to {explanation.answer:.4g}"
    )
    grid(axes, colours)
    return axes


def _rows(model: Any, X: Any) -> HeldOut:
    """Return rows with those who answer for them."""
    if X is not None:
        frame = model._frame(X)
        return HeldOut.on(model.network_, model.columns_.compact(frame, np.float64), np.zeros(len(frame)))
    if model._held_out is None or not model._held_out.parts:
        raise ValueError(NO_ROWS.replace("give X and y", "give X"))
    held_out: HeldOut = model._held_out
    return held_out


def _profile(model: Any, column: str, X: Any) -> ColumnProfile:
    """Return which values a column has: as the model's report says, or those of X."""
    if hasattr(model, "report_"):
        found: ColumnProfile = next(each for each in model.report_.profiles if each.name == column)
        return found
    learner, series = ColumnLearner(column), model._frame(X).get_column(column)
    is_category = any(each.name == column and isinstance(each, Category) for each in model.columns_.used)
    learner.see(series.cast(nw.String) if is_category and series.dtype.is_numeric() else series)
    learner.finish()
    return ValueProfile.of(column, learner.values) if is_category else learner.profile()


def _values(profile: ColumnProfile) -> tuple[list[Any], list[Any]]:
    """Return values to go through as the table holds them, and what they are drawn over: places, or labels."""
    missing = [None] if profile.missing else []
    if isinstance(profile, ValueProfile):
        labels = labels_of([*profile.values, *(["missing"] * len(missing))], _VALUE_CHARACTERS)
        return [*profile.values, *missing], labels
    assert isinstance(profile, NumberProfile)
    if not len(profile.edges):
        return [], []
    if profile.quantiles[0] == profile.quantiles[-1]:  # there or missing is all that it can tell
        only = profile.quantiles[:1].tolist()
        return [*(datetimes(only) if profile.dates else only), *missing], [
            f"{only[0]:.6g}",
            *(["missing"] * len(missing)),
        ]
    whole = _is_whole(profile)
    ends = profile.edges[0], profile.edges[-1]
    grid_ = 0.5 * (profile.edges[1:] + profile.edges[:-1]) if whole else np.linspace(*ends, _PLACES)
    places = grid_.tolist()
    return (datetimes(grid_) if profile.dates else places), places


def _is_whole(profile: NumberProfile) -> bool:
    """Return whether each bin is that of one whole number."""
    return bool(len(profile.counts) and (np.diff(profile.edges) == 1).all())


def _deciles(profile: ColumnProfile) -> Any:
    if not isinstance(profile, NumberProfile) or not len(profile.counts):
        return np.empty(0)
    reached = np.concatenate([[0.0], np.cumsum(profile.counts)])
    marks = np.arange(0.1, 1, 0.1) * reached[-1]
    if _is_whole(profile):
        return profile.edges[np.searchsorted(reached[1:], marks)] + 0.5
    return np.interp(marks, reached, profile.edges)


def _curves(model: Any, means: Any, of: Any) -> list[tuple[str, Any]]:
    """Return the names and the mean answers, (values,) each, that are drawn."""
    if isinstance(model.target_, SeveralAnswers):
        names = model.target_names_
        numbers = range(min(len(names), _CURVES)) if of is None else [model.target_.find(of)]
        return [(plain(shortened(names[number], 40)), means[:, number]) for number in numbers]
    if not is_classifier(model):
        if of is not None:
            raise ValueError(f"of is {of!r}, and the target {model.target_name_!r} is a number; leave it out")
        return [(plain(shortened(model.target_name_, 40)), means)]
    classes = model.classes_.tolist()
    if of is not None and of not in classes:
        raise ValueError(f"of is {of!r}, which is no class{_checks.nearest(str(of), [str(each) for each in classes])}")
    if of is not None:
        wanted = [classes.index(of)]
    elif len(classes) == 2:
        wanted = [1]
    else:
        wanted = np.argsort(-means.mean(axis=0), kind="stable")[:_CURVES].tolist()
    target = model.target_name_
    return [(plain(shortened(f"{target} is {classes[number]}", 40)), means[:, number]) for number in wanted]


def _limits(means: Any, *, bars: bool) -> tuple[float, float]:
    """Return between which answers every curve is seen whole; bars begin at 0."""
    low, high = float(means.min()), float(means.max())
    room = 0.08 * ((high - low) or abs(high) or 1.0)
    if bars:
        low, high = min(low, 0.0), max(high, 0.0)
    return low - room * (low < 0 or not bars), high + room * (high > 0 or not bars)


def _make_room(axes: Axes, means: Any, *, bars: bool) -> None:
    low, high = _limits(means, bars=bars)
    axes.set_ylim(low, high if high > low else low + 1)


def _label_numbers(axes: Axes, profile: NumberProfile) -> None:
    """Mark round places, and write dates for what a display takes for numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5, integer=_is_whole(profile)))
    if profile.dates:
        _write_dates(axes)


def _write_dates(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter

    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{datetimes([value])[0]:%Y-%m-%d}"))
    axes.tick_params(axis="x", rotation=30)
