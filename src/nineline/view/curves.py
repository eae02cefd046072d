"""The curves of a training: of one network, and of many."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.view.axes import clear_insets, count_along_x, grid, logarithmic_where_wide, new_axes, some_of
from nineline.view.palette import LARGEST, LINES, palette_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from nineline.training.histories import Histories
    from nineline.training.history import History

_EPOCHS_OF_ONE: Final = 20_000  # of a line
_EPOCHS_DRAWN: Final = 1000  # of a line for each of many networks
_NETWORKS_DRAWN: Final = 1000


def plot_history(history: History, *, axes: Axes | None = None) -> Axes:
    """Draw the losses of a training over its epochs, and mark the best epoch: the one kept, where there was `stop`.

    The scale is logarithmic where the losses span more than a factor of ten. On a scale to the right, dotted: the
    learning rate, where it changed, or the damping of `LevenbergMarquardt`.

    Parameters
    ----------
    history : History
        As `Network.train` returns it; with at least one epoch.
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

    Examples
    --------
    ``history.plot()`` does the same, here without a window:

    >>> from matplotlib.figure import Figure
    >>> from nineline import Network
    >>> from nineline.view import plot_history
    >>> X, y = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], [[0], [1], [1], [0]]
    >>> history = Network(3, 6, 1, rng=1).train(X, y, report_every=0)
    >>> axes = plot_history(history, axes=Figure().subplots())
    >>> axes.get_xlabel(), axes.get_ylabel()
    ('epoch', 'loss (logarithmic scale)')
    """
    if not history.loss:
        raise ValueError(
            f"history has no finished epoch (stopped: {history.stopped or 'not started'}); nothing to draw"
        )
    axes = new_axes(7, 4) if axes is None else axes
    clear_insets(axes)
    colours = palette_of(axes)
    epochs = np.arange(1, history.epochs + 1)
    for values, name, colour, line in (
        (history.loss, "training", colours.blue, LINES[0]),
        (history.validation_loss, "validation", colours.orange, LINES[1]),
    ):
        if values:
            drawn = some_of(np.flatnonzero(np.isfinite(values)), _EPOCHS_OF_ONE)
            axes.plot(
                epochs[drawn],
                _drawable(np.asarray(values)[drawn]),
                color=colour,
                linewidth=1.8,
                linestyle=line,
                marker="o" if len(drawn) == 1 else "",
                label=name,
            )
    finite = [each for each in (*history.loss, *history.validation_loss) if isfinite(each)]
    said = [logarithmic_where_wide(axes, finite, "loss", finite[0] if finite else None)]
    strange = int((~np.isfinite([*history.loss, *history.validation_loss])).sum())
    said += [f"not finite: {strange:,} losses"] if strange else []
    count_along_x(axes)
    axes.set_xlabel("\n".join(["epoch", *filter(None, said)]))
    watched = history.validation_loss or history.loss
    if history.best_epoch is not None and isfinite(watched[history.best_epoch - 1]):
        best = watched[history.best_epoch - 1]
        word = "best, kept" if history.restored else "best"
        axes.axvline(history.best_epoch, color=colours.grey, linewidth=0.9, linestyle=LINES[2], zorder=1)
        axes.plot(
            [history.best_epoch],
            [best],
            linestyle="none",
            marker="o",
            markersize=8,
            markerfacecolor=colours.paper,
            markeredgecolor=colours.ink,
            markeredgewidth=1.5,
            label=f"{word}: {best:.4g} after epoch {history.best_epoch:,}",
        )
    grid(axes, colours)
    _step_lengths(axes, history, epochs)
    axes.legend(frameon=False, labelcolor=colours.ink)
    return axes


def _step_lengths(axes: Axes, history: History, epochs: npt.NDArray[np.int64]) -> None:
    """Draw over the losses, on a scale to the right, what determined how far each step went, where that changed."""
    values, name = (history.damping, "damping") if history.damping else (history.learning_rate, "learning rate")
    if not values or min(values) == max(values):
        return
    colours, drawn = palette_of(axes), some_of(np.arange(len(values)), _EPOCHS_OF_ONE)
    over = axes.inset_axes((0, 0, 1, 1), sharex=axes, zorder=0.5)
    over.patch.set_visible(False)
    line = over.plot(epochs[drawn], np.asarray(values)[drawn], color=colours.grey, linewidth=1, linestyle=LINES[2])[0]
    logarithmic_where_wide(over, values, name)
    over.yaxis.set_label_position("right")
    over.yaxis.tick_right()
    over.tick_params(labelbottom=False, bottom=False, colors=colours.grey)
    over.yaxis.label.set_color(colours.grey)
    over.spines[:].set_visible(False)
    axes.plot([], [], color=line.get_color(), linewidth=1, linestyle=LINES[2], label=f"{name}, right")


def _drawable(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the same, none larger than can be drawn."""
    return np.clip(values, -LARGEST, LARGEST)


def plot_histories(histories: Histories, *, highlight: npt.ArrayLike | None = None, axes: Axes | None = None) -> Axes:
    """Draw the losses of many networks over the epochs, with their median and the best.

    They are the validation losses where there was validation.

    Parameters
    ----------
    histories : Histories
        As `Networks.train` returns it; with at least one epoch.
    highlight : array_like of bool, (count,), or numbers, optional
        Networks to be drawn in another colour: those that fail, say.
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

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from nineline import Networks
    >>> from nineline.view import plot_histories
    >>> X, y = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], [[0], [1], [1], [0]]
    >>> history = Networks(100, 3, 6, 1, rng=0).train(X, y, 1000, report_every=0)
    >>> plot_histories(history, highlight=history.loss[-1] > 0.1, axes=Figure().subplots()).get_xlabel()
    'epoch'
    """
    return draw_histories(histories, highlight, axes, _EPOCHS_DRAWN, _NETWORKS_DRAWN)


def draw_histories(
    histories: Histories,
    highlight: npt.ArrayLike | None,
    axes: Axes | None,
    most_epochs: int,
    most_networks: int,
) -> Axes:
    """Do what `plot_histories` does, with lines of at most so many epochs, of at most so many networks a colour."""
    table = histories.watched
    if not np.isfinite(table).any():
        raise ValueError("histories have no finished epoch; nothing to draw")
    axes = new_axes(7, 4) if axes is None else axes
    colours = palette_of(axes)
    marked = np.zeros(histories.count, bool)
    if highlight is not None:
        marked[np.asarray(highlight)] = True
    epochs = some_of(np.arange(len(table)), most_epochs)
    some = _drawable(np.where(np.isfinite(table[epochs]), table[epochs], np.nan))
    faint = max(0.05, min(0.6, 12 / min(histories.count, most_networks)))
    for numbers, colour, alpha, label in (
        (np.flatnonzero(~marked), colours.grey, faint, "each network"),
        (np.flatnonzero(marked), colours.orange, min(1, 3 * faint), "highlighted"),
    ):
        if len(numbers):
            drawn = some_of(numbers, most_networks)
            lines = axes.plot(epochs + 1, some[:, drawn], color=colour, linewidth=0.8, alpha=alpha, zorder=1)
            some_only = f"{len(drawn):,} of " if len(drawn) < len(numbers) else ""
            lines[0].set_label(f"{label} ({some_only}{len(numbers):,})")
    there = np.isfinite(some).any(axis=1)
    axes.plot(
        epochs[there] + 1,
        np.nanmedian(some[there], axis=1),
        color=colours.ink,
        linewidth=2,
        linestyle=LINES[1],
        label="median",
        zorder=3,
    )
    best = int(np.nanargmin(histories.kept))
    axes.plot(epochs + 1, some[:, best], color=colours.blue, linewidth=2, label=f"best, network {best:,}", zorder=4)
    what = "validation loss" if len(histories.validation_loss) else "loss"
    first = table[0][np.isfinite(table[0])]
    start = float(np.median(first)) if len(first) else None
    said = [logarithmic_where_wide(axes, some[np.isfinite(some)], what, start)]
    diverged = int(histories.diverged.sum())
    said += [f"{diverged:,} of {histories.count:,} networks diverged"] if diverged else []
    count_along_x(axes)
    axes.set_xlabel("\n".join(["epoch", *filter(None, said)]))
    grid(axes, colours)
    legend = axes.legend(
        loc="upper right", framealpha=0.85, facecolor=colours.paper, edgecolor="none"
    )  # "best" would look at every line
    for text in legend.get_texts():
        text.set_color(colours.ink)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)
    return axes
