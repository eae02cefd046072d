"""What goes through each layer while a network trains, as small multiples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.view.axes import count_along_x, grid, new_axes, small_multiples, some_of, start_over
from nineline.view.palette import LINES, palette_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from nineline.training.layer_statistics import LayerStatistics

    Numbers = npt.NDArray[np.float64]

_LAYERS: Final = 6


def plot_statistics(statistics: LayerStatistics, *, axes: Axes | None = None) -> Axes:
    """Draw outputs, gradients, and nodes that have stopped to learn, a column a layer, over the epochs.

    In the first row the bands hold 90 % and half of a layer's outputs, and the line is their median. In the second is
    the root mean square of the gradient, on a logarithmic scale that all layers share. In the third are the shares of
    nodes that are dead or saturated. Of more than six layers six are drawn.

    Parameters
    ----------
    statistics : LayerStatistics
        With at least one epoch.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The small ones lie inside it, as its ``child_axes``, row by row.

    Raises
    ------
    ImportError
        Matplotlib is not installed.
    ValueError
        Nothing was noted.

    References
    ----------
    Glorot, Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, section 3.
    """
    if not statistics.epochs:
        raise ValueError("statistics has noted no epoch; hand it to train(..., on_epoch=statistics)")
    places = some_of(np.arange(len(statistics.layers)), _LAYERS)
    count = len(places)
    axes = new_axes(1.4 + 2.6 * count, 6.2) if axes is None else axes
    start_over(axes)
    colours = palette_of(axes)
    epochs = np.array(statistics.epochs)
    marker = "o" if len(epochs) == 1 else ""
    inside = small_multiples(axes, 3 * count, count, gap=0.18, head=0.45)
    for column, place in enumerate(places):
        outputs, gradients, stuck = inside[column::count]
        low, lower, middle, upper, high = statistics.outputs[:, place].T
        outputs.fill_between(epochs, low, high, color=colours.blue, alpha=0.2, linewidth=0)
        outputs.fill_between(epochs, lower, upper, color=colours.blue, alpha=0.35, linewidth=0)
        outputs.plot(epochs, middle, color=colours.blue, linewidth=1.6, marker=marker)
        outputs.set_title(f"layer {statistics.layers[place]}", fontsize=10, color=colours.ink)
        gradients.plot(
            epochs, _positive(statistics.gradients[:, place]), color=colours.blue, linewidth=1.6, marker=marker
        )
        stuck.plot(
            epochs, 100 * statistics.dead[:, place], color=colours.ink, linewidth=1.6, label="dead", marker=marker
        )
        stuck.plot(
            epochs,
            100 * statistics.saturated[:, place],
            color=colours.orange,
            linewidth=1.6,
            linestyle=LINES[1],
            label="saturated",
            marker=marker,
        )
        stuck.set_ylim(-4, 104)
        for row, each in enumerate((outputs, gradients, stuck)):
            grid(each, colours)
            count_along_x(each)
            each.tick_params(labelsize=8, labelbottom=row == 2)
            if column == 0:
                each.set_ylabel(("outputs", "gradient", "nodes, %")[row], fontsize=9)
        stuck.set_xlabel("epoch", fontsize=9)
    _share_scale(inside[count : 2 * count])
    inside[-1].legend(frameon=False, fontsize=8, labelcolor=colours.ink)
    return axes


def _positive(values: Numbers) -> Any:
    """Return values with what a logarithmic scale cannot show left out."""
    return np.where(values > 0, values, np.nan)


def _share_scale(panels: list[Axes]) -> None:
    """Give panels one logarithmic scale, as far as they show anything."""
    every = np.concatenate([np.asarray(line.get_ydata()) for panel in panels for line in panel.get_lines()])
    every = every[np.isfinite(every)]
    if len(every):
        for panel in panels:
            panel.set_yscale("log")
            panel.set_ylim(every.min() / 1.5, every.max() * 1.5)
