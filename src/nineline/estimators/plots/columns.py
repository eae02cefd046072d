"""Pictures of columns: what is in them, what the model makes of them, and what they add to one row's answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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
from nineline.tables.inference import ColumnLearner
from nineline.tables.profile import NumberProfile, ValueProfile
from nineline.view.axes import grid, new_axes, plain, shortened
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
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


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
    colours = palette_of(axes)
    if isinstance(profile, NumberProfile) and len(profile.counts):
        edges: Any = _moments(profile.edges) if profile.dates else profile.edges
        axes.stairs(profile.counts, edges, fill=True, color=colours.blue)
        if profile.dates:
            axes.tick_params(axis="x", rotation=30)
        else:
            axes.locator_params(axis="x", nbins=5)
    elif isinstance(profile, ValueProfile) and profile.values:
        names = [plain(shortened(value, _VALUE_CHARACTERS)) for value in profile.values]
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
    measure = "log-loss" if is_classifier(model) else f"RMSE of {plain(shortened(model.target_name_, _CHARACTERS))}"
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
        A class whose probability is drawn; by default the second of two, or the four most probable ones.
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
    if column not in names:
        raise ValueError(f"column is {column!r}, which is not in use{_checks.nearest(str(column), names)}")
    place = names.index(column)
    rows = _rows(model, X)
    if profile is None:
        profile = _profile(model, column, X)
    values, shown = _values(profile)
    if not values:
        raise ValueError(f"column {column!r} has no values to go through")
    answers = rows.thinned(_ROWS).dependence(model, place, values)
    axes = new_axes(5, 3.5) if axes is None else axes
    colours = palette_of(axes)
    means = np.array([answer.mean(axis=0) for answer in answers])
    curves = _curves(model, means, of)
    categorical = isinstance(profile, ValueProfile)
    for number, (name, curve) in enumerate(curves):
        display = PartialDependenceDisplay(
            [Bunch(average=curve[np.newaxis], grid_values=[np.array(shown, dtype=object if categorical else float)])],
            features=[(0,)],
            feature_names=[plain(shortened(column, _CHARACTERS))],
            target_idx=0,
            deciles={0: _deciles(profile)},
            is_categorical=[(categorical,)],
        )
        colour = colours.curves[number % len(colours.curves)]
        if categorical and len(curves) > 1:
            axes.plot(shown, curve, "o", color=colour, label=name)
            continue
        options: dict[str, Any] = {"line_kw": {"color": colour, "label": name}, "bar_kw": {"color": colour}}
        display.plot(ax=np.array([axes]), **options)
    for ticks in axes.collections:  # the deciles
        ticks.set_color(colours.grey)
    _make_room(axes, np.array([curve for _, curve in curves]), bars=categorical and len(curves) == 1)
    _label_values(axes, profile)
    axes.set_xlabel(plain(shortened(column, _CHARACTERS)))
    axes.set_ylabel(
        "mean probability" if is_classifier(model) else f"mean {plain(shortened(model.target_name_, _CHARACTERS))}"
    )
    grid(axes, colours)
    legend = axes.get_legend()
    if legend is not None:
        legend.remove()
    if is_classifier(model):
        axes.set_title(plain(shortened(curves[0][0], 40)) if len(curves) == 1 else "", fontsize=10)
        if len(curves) > 1:
            axes.legend(frameon=False, fontsize=9, labelcolor=colours.ink)
    return axes


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
    if X is None:
        found: ColumnProfile = next(each for each in model.report_.profiles if each.name == column)
        return found
    learner = ColumnLearner(column)
    learner.see(nw.from_native(model.select(X), eager_only=True).get_column(column))
    learner.finish()
    return learner.profile()


def _values(profile: ColumnProfile) -> tuple[list[Any], list[Any]]:
    """Return values to go through as the table holds them, and as they are drawn."""
    if isinstance(profile, ValueProfile):
        return list(profile.values), [plain(shortened(value, _VALUE_CHARACTERS)) for value in profile.values]
    assert isinstance(profile, NumberProfile)
    if not len(profile.edges):
        return [], []
    whole = _is_whole(profile)
    ends = profile.edges[0], profile.edges[-1]
    grid_ = 0.5 * (profile.edges[1:] + profile.edges[:-1]) if whole else np.linspace(*ends, _PLACES)
    places = grid_.tolist()
    return (_moments(grid_) if profile.dates else places), places


def _is_whole(profile: NumberProfile) -> bool:
    """Return whether each bin is that of one whole number."""
    return bool(len(profile.counts) and (np.diff(profile.edges) == 1).all())


def _moments(microseconds: Any) -> list[datetime]:
    return [_EPOCH + timedelta(microseconds=int(each)) for each in microseconds]


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
    if not is_classifier(model):
        if of is not None:
            raise ValueError(f"of is {of!r}, and the target {model.target_name_!r} is a number; leave it out")
        return [(model.target_name_, means)]
    classes = model.classes_.tolist()
    if of is not None and of not in classes:
        raise ValueError(f"of is {of!r}, which is no class{_checks.nearest(str(of), [str(each) for each in classes])}")
    if of is not None:
        wanted = [classes.index(of)]
    elif len(classes) == 2:
        wanted = [1]
    else:
        wanted = np.argsort(-means.mean(axis=0), kind="stable")[:_CURVES].tolist()
    return [(f"{model.target_name_} is {classes[number]}", means[:, number]) for number in wanted]


def _make_room(axes: Axes, means: Any, *, bars: bool) -> None:
    """Let every curve be seen whole; bars begin at 0."""
    low, high = float(means.min()), float(means.max())
    room = 0.08 * ((high - low) or abs(high) or 1.0)
    if bars:
        low, high = min(low, 0.0), max(high, 0.0)
    axes.set_ylim(low - room * (low < 0 or not bars), high + room * (high > 0 or not bars))


def _label_values(axes: Axes, profile: ColumnProfile) -> None:
    """Write dates for what a display takes for numbers, and turn long names."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if isinstance(profile, NumberProfile):
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=_is_whole(profile)))
        if profile.dates:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{_moments([value])[0]:%Y-%m-%d}"))
            axes.tick_params(axis="x", rotation=30)
    elif isinstance(profile, ValueProfile):
        axes.tick_params(axis="x", rotation=90 if max(map(len, profile.values)) > 3 else 0)
