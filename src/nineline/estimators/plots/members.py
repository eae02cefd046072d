"""The learning curves of the networks of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nineline.view.axes import count_along_x, grid, logarithmic_where_wide, new_axes, some_of
from nineline.view.palette import LINES, palette_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from nineline.training.history import History


def plot_members(histories: Sequence[History], *, axes: Axes | None = None) -> Axes:
    """Draw the losses of each network over its epochs, on rows that it held out and on those that it learned from.

    A ring is the point that was kept.

    Parameters
    ----------
    histories : sequence of History
        ``model.histories_``.
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
        No epoch was finished.
    """
    if not any(history.loss for history in histories):
        raise ValueError("histories have no finished epoch; nothing to draw")
    axes = new_axes(6.5, 3.8) if axes is None else axes
    colours = palette_of(axes)
    every: list[float] = []
    for history in histories:
        for curve, name, colour, line in (
            (history.loss, "learned from", colours.grey, LINES[1]),
            (history.validation_loss, "held out", colours.blue, LINES[0]),
        ):
            values = np.asarray(curve)
            drawn = some_of(np.flatnonzero(np.isfinite(values)), 1000)
            if len(drawn):
                labelled = name if name not in axes.get_legend_handles_labels()[1] else None
                axes.plot(
                    drawn + 1, values[drawn], color=colour, linewidth=1.2, linestyle=line, alpha=0.8, label=labelled
                )
                every += values[drawn].tolist()
        if history.best_epoch is not None and history.validation_loss:
            at = history.best_epoch
            axes.plot([at], [history.validation_loss[at - 1]], "o", markersize=6, color=colours.ink, fillstyle="none")
    logarithmic_where_wide(axes, every, "loss")
    count_along_x(axes)
    axes.set_xlabel("epoch")
    grid(axes, colours)
    axes.legend(frameon=False, labelcolor=colours.ink, fontsize=9)
    return axes
