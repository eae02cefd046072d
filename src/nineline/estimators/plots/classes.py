"""Pictures of how classes are told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PrecisionRecallDisplay,
    RocCurveDisplay,
    auc,
    average_precision_score,
    confusion_matrix,
    precision_recall_curve,
    roc_curve,
)

from nineline.estimators.judged import POINTS, judged_of
from nineline.view.axes import grid, in_ink, labels_of, new_axes, plain, shortened, some_of, start_over
from nineline.view.palette import LIGHT, LINES, ink_on, palette_of, shares_scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    from matplotlib.axes import Axes

    from nineline.estimators.judged import Judged

_NUMBERS_AT_MOST: Final = 15  # classes whose counts are written
_NAMES_AT_MOST: Final = 40
_CURVES: Final = 6
_BINS: Final = 10


def plot_confusion(model: Any, X: Any = None, y: Any = None, *, axes: Axes | None = None) -> Axes:
    """Draw which classes are taken for which: rows are the truth, columns the answer; colours are shares of a row.

    With more than 15 classes counts are left out, with more than 40 names too.

    Parameters
    ----------
    model : TabularClassifier
    X, y : optional
        Rows to judge by; by default those that were held out in `fit`.
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
    TypeError
        The model predicts a number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_wine
    >>> from nineline.estimators import TabularClassifier
    >>> from nineline.estimators.plots import plot_confusion
    >>> model = TabularClassifier(random_state=0, n_members=2, max_epochs=5).fit(*load_wine(return_X_y=True))
    >>> plot_confusion(model, axes=Figure().subplots()).get_ylabel()
    'truth'
    """
    judged = judged_of(model, X, y, classes=True)
    count = len(judged.names)
    inches = min(max(3.5, 1.6 + 0.5 * count), 8)
    axes = new_axes(inches + 0.6, inches) if axes is None else axes
    start_over(axes)
    colours = palette_of(axes)
    said = judged.answers.argmax(axis=1)
    counts = confusion_matrix(judged.codes, said, labels=np.arange(count), sample_weight=judged.weights)
    sums = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, sums, out=np.zeros(counts.shape), where=sums > 0)
    named = labels_of(judged.names, 18) if count <= _NAMES_AT_MOST else None
    display = ConfusionMatrixDisplay(shares, display_labels=named)
    scale = shares_scale()
    written = count <= _NUMBERS_AT_MOST
    display.plot(
        include_values=written,
        colorbar=False,
        ax=axes,
        cmap=scale.pop("cmap"),
        im_kw={**scale, "aspect": "auto"},
    )
    if written:
        white = ink_on(display.im_, shares)
        for place, text in np.ndenumerate(display.text_):
            number = counts[place]
            written_as = f"{number:,.0f}" if number == round(number) else f"{number:,.1f}"
            text.set(text=written_as, color="white" if white[place] else LIGHT.ink, fontsize=9)
    if named is None:
        axes.set_xticks([])
        axes.set_yticks([])
    else:
        long = max(map(len, named)) > 4 or count > _NUMBERS_AT_MOST
        axes.set_xticks(range(count), named, rotation=90 if long else 0)
        axes.tick_params(length=0, labelsize=9 if count <= _NUMBERS_AT_MOST else 7)
    more = "" if named else f", {count:,} classes in ascending order"
    axes.set_xlabel(f"predicted{more}")
    axes.set_ylabel("truth")
    in_ink(axes)
    axes.spines[:].set_edgecolor(colours.faint)
    return axes


def plot_roc(model: Any, X: Any = None, y: Any = None, *, axes: Axes | None = None) -> Axes:
    """Draw the receiver operating characteristic: the share of a class that is found over the share of false alarms.

    Of two classes the curve of the second; of more one for each of the six most frequent, against all others. A class
    that no row has, or every row, has none.

    Parameters
    ----------
    model : TabularClassifier
    X, y : optional
        Rows to judge by; by default those that were held out in `fit`.
    axes : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        There are no held-out rows; give X and y.
    TypeError
        The model predicts a number.

    References
    ----------
    Fawcett (2006), An introduction to ROC analysis, Pattern Recognition Letters 27.
    """
    judged = judged_of(model, X, y, classes=True)
    axes = new_axes(5, 4.5) if axes is None else axes
    for name, is_it, share in _one_against_all(judged):
        false, true, _ = roc_curve(is_it, share, sample_weight=judged.weights)
        area = auc(false, true)
        kept = some_of(np.arange(len(false)), POINTS // 2)
        RocCurveDisplay(fpr=false[kept], tpr=true[kept], roc_auc=area).plot(ax=axes)
        _name_last(axes, name, f"AUC {area:.3f}")
    axes.plot([0, 1], [0, 1], color=palette_of(axes).grey, linewidth=0.9, linestyle=LINES[2], label="by chance")
    _dress(axes, "false alarms: share of the others", "found: share of the class")
    return axes


def plot_precision_recall(model: Any, X: Any = None, y: Any = None, *, axes: Axes | None = None) -> Axes:
    """Draw precision (how many of those said to be of a class are) over recall (how many of the class are found).

    For the same classes as `plot_roc`, and with the same parameters; better than that where a class is rare.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        There are no held-out rows; give X and y.
    TypeError
        The model predicts a number.

    References
    ----------
    Davis, Goadrich (2006), The relationship between precision-recall and ROC curves, ICML.
    """
    judged = judged_of(model, X, y, classes=True)
    axes = new_axes(5, 4.5) if axes is None else axes
    for name, is_it, share in _one_against_all(judged):
        precision, recall, _ = precision_recall_curve(is_it, share, sample_weight=judged.weights)
        average = average_precision_score(is_it, share, sample_weight=judged.weights)
        kept = some_of(np.arange(len(recall)), POINTS // 2)
        PrecisionRecallDisplay(precision[kept], recall[kept]).plot(ax=axes)
        _name_last(axes, name, f"average precision {average:.3f}")
    _dress(axes, "recall: share of the class that is found", "precision: share that is right")
    return axes


def plot_calibration(model: Any, X: Any = None, y: Any = None, *, axes: Axes | None = None) -> Axes:
    """Draw how often an answer is right, over how probable the model says that it is; on the diagonal it is honest.

    Of two classes it is the probability of the second; of more, that of the most probable class of each row. Rows are
    put into ten bins of as many each. The parameters are those of `plot_roc`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        There are no held-out rows; give X and y.
    TypeError
        The model predicts a number.

    References
    ----------
    Niculescu-Mizil, Caruana (2005), Predicting good probabilities with supervised learning, ICML; Guo et al. (2017), On
    calibration of modern neural networks, ICML (the most probable class).
    """
    judged = judged_of(model, X, y, classes=True)
    axes = new_axes(5, 4.5) if axes is None else axes
    colours = palette_of(axes)
    if len(judged.names) == 2:
        is_it, share = judged.codes == 1, judged.answers[:, 1]
        what = f"{plain(shortened(judged.names[1], 24))}"
    else:
        is_it, share = judged.answers.argmax(axis=1) == judged.codes, judged.answers.max(axis=1)
        what = "the most probable class"
    share = np.clip(share, 0, 1)
    happened, said = _bins(is_it, share, judged.counts)
    if not any(line.get_label() == "honest" for line in axes.get_lines()):
        axes.plot([0, 1], [0, 1], color=colours.grey, linestyle=LINES[2], linewidth=0.9, label="honest")
    before = sum(line.get_marker() == "o" for line in axes.get_lines())
    CalibrationDisplay(happened, said, share).plot(ax=axes, name=what, ref_line=False)
    axes.get_lines()[-1].set(
        color=colours.classes[before % len(colours.classes)], marker="o", markersize=5, linestyle="-"
    )
    _dress(axes, f"said: mean probability of {what}", "happened: share of rows")
    return axes


def _bins(
    is_it: npt.NDArray[np.bool_], share: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return how often it happened and how probable it was said to be, in bins of as much weight each."""
    order = np.argsort(share, kind="stable")
    is_it, share, weights = is_it[order], share[order], weights[order]
    middle = np.cumsum(weights) - weights / 2
    number = np.minimum((middle * _BINS / weights.sum()).astype(np.intp), _BINS - 1)
    sums = [np.bincount(number, each, _BINS) for each in (weights, weights * is_it, weights * share)]
    there = sums[0] > 0
    return sums[1][there] / sums[0][there], sums[2][there] / sums[0][there]


def _one_against_all(judged: Judged) -> Iterator[tuple[str, npt.NDArray[np.bool_], npt.NDArray[np.float64]]]:
    """Yield the name, the rows and the probabilities of the second of two classes, or of each of the most frequent."""
    counts = np.bincount(judged.codes, judged.counts, minlength=len(judged.names))
    there = np.bincount(judged.codes, minlength=len(judged.names))
    wanted = [1] if len(judged.names) == 2 else np.argsort(-counts, kind="stable")[:_CURVES].tolist()
    for number in wanted:
        if 0 < there[number] < len(judged.truth):
            yield judged.names[number], judged.codes == number, judged.answers[:, number]


def _name_last(axes: Axes, name: str, score: str) -> None:
    """Give the line that was drawn last its label, colour and kind."""
    colours, number = palette_of(axes), len(axes.get_lines()) - 1
    axes.get_lines()[-1].set(
        label=f"{plain(shortened(name, 24))}: {score}",
        color=colours.curves[number % len(colours.curves)],
        linestyle=LINES[number % len(LINES)],
        linewidth=1.8,
    )


def _dress(axes: Axes, x: str, y: str) -> None:
    colours = palette_of(axes)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="auto")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    grid(axes, colours)
    if axes.get_lines():
        axes.legend(frameon=False, labelcolor=colours.ink, fontsize=9, loc="best")
