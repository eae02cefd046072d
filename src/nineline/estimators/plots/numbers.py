"""Pictures of how far off predicted numbers are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.metrics import PredictionErrorDisplay

from nineline.estimators.judged import judged_of
from nineline.view.axes import grid, new_axes, plain, shortened, start_over
from nineline.view.palette import LINES, palette_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from nineline.estimators.judged import Judged

    Numbers = npt.NDArray[np.float64]

_BANDS: Final = 12  # of predictions, of as many rows each
_ROWS_OF_A_BAND: Final = 20


def plot_prediction_error(model: Any, X: Any = None, y: Any = None, *, axes: Axes | None = None) -> Axes:
    """Draw truth over prediction, a point a row; on the diagonal the answer is right.

    Of many rows 1,000 are drawn.

    Parameters
    ----------
    model : TabularRegressor
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
        The model predicts classes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_diabetes
    >>> from nineline.estimators import TabularRegressor
    >>> from nineline.estimators.plots import plot_prediction_error
    >>> model = TabularRegressor(random_state=0, n_members=2, max_epochs=5).fit(*load_diabetes(return_X_y=True))
    >>> plot_prediction_error(model, axes=Figure().subplots()).get_xlabel()
    'predicted target'
    """
    judged = judged_of(model, X, y, classes=False)
    axes = new_axes(5, 4.5) if axes is None else axes
    _cloud(axes, judged, "actual_vs_predicted")
    name = plain(shortened(judged.target, 30))
    axes.set_xlabel(f"predicted {name}")
    axes.set_ylabel(f"true {name}")
    return axes


def plot_residuals(model: Any, X: Any = None, y: Any = None, *, axes: Axes | None = None) -> Axes:
    """Draw truth − prediction over the prediction, and between which values nine of ten rows lie, band by band.

    Bands are of as many rows each; a model that is as sure everywhere has bounds that are as far apart everywhere. The
    parameters are those of `plot_prediction_error`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        There are no held-out rows; give X and y.
    TypeError
        The model predicts classes.
    """
    judged = judged_of(model, X, y, classes=False)
    axes = new_axes(5, 4.5) if axes is None else axes
    colours = palette_of(axes)
    _cloud(axes, judged, "residual_vs_predicted")
    bands = min(_BANDS, len(judged.truth) // _ROWS_OF_A_BAND)
    if bands > 1:
        parts = np.array_split(np.argsort(judged.answers, kind="stable"), bands)
        gaps = judged.truth.astype(np.float64) - judged.answers
        middles = [_quantiles(judged.answers, judged.counts, part, [0.5])[0] for part in parts]
        low, middle, high = np.array([_quantiles(gaps, judged.counts, part, [0.05, 0.5, 0.95]) for part in parts]).T
        axes.plot(middles, middle, color=colours.orange, linewidth=1.8, label="median")
        for bound, label in ((low, "5 % and 95 %"), (high, None)):
            axes.plot(middles, bound, color=colours.orange, linewidth=1.4, linestyle=LINES[1], label=label)
        axes.legend(frameon=False, labelcolor=colours.ink, fontsize=9, loc="best")
    axes.set_xlabel(f"predicted {plain(shortened(judged.target, 30))}")
    axes.set_ylabel("truth − prediction")
    return axes


def _quantiles(values: Numbers, weights: Numbers, part: Any, shares: list[float]) -> Numbers:
    found: Numbers = np.quantile(values[part], shares, weights=weights[part], method="inverted_cdf")
    return found


def _cloud(axes: Axes, judged: Judged, kind: str) -> None:
    """Draw points by scikit-learn's display."""
    from matplotlib.ticker import AutoLocator

    start_over(axes)
    colours, some = palette_of(axes), judged.some()
    PredictionErrorDisplay(y_true=some.truth.astype(np.float64), y_pred=some.answers).plot(
        ax=axes,
        kind=kind,
        scatter_kwargs={"color": colours.blue, "alpha": 0.45, "s": 14, "linewidths": 0},
        line_kwargs={"color": colours.grey, "linestyle": LINES[2], "linewidth": 1.2},
    )
    axes.set_aspect("auto")
    for axis in (axes.xaxis, axes.yaxis):  # the display puts its marks at uneven numbers
        axis.set_major_locator(AutoLocator())
    grid(axes, colours)
