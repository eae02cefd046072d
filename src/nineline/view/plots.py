"""Plots: how the loss went over the epochs, and what each node answers."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from nineline._typing import Array
    from nineline.network import Network
    from nineline.training.histories import Histories
    from nineline.training.history import History

# Okabe and Ito's blue and vermilion: apart for every kind of colour blindness, and dark enough for white paper.
BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREY: Final = "#666666"
INK: Final = "#222222"

_SCALE: Final = ("#FFE4BF", "#F3B77A", "#B9AFA6", "#6F9CC0", "#0072B2", "#053A66")
_EPOCHS_DRAWN: Final = 1000  # of a line for each of many networks
_NETWORKS_DRAWN: Final = 1000
_ROWS_AT_MOST: Final = 32  # of a heat map, while its labels can be read
_NODES_AT_MOST: Final = 16  # of one picture
_LINES: Final = ("solid", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure of `width` × `height` inches.

    Raises
    ------
    ImportError
        Matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError('pictures need matplotlib; install it with: pip install "nineline[plot]"') from error
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def plot_history(history: History, *, axes: Axes | None = None) -> Axes:
    """Draw the losses of a training over its epochs, and mark the best epoch.

    The scale is logarithmic where the losses span more than a factor of ten.

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
    epochs = np.arange(1, history.epochs + 1)
    marker = "o" if history.epochs == 1 else ""
    axes.plot(epochs, history.loss, color=BLUE, linewidth=1.8, linestyle="solid", marker=marker, label="training")
    if history.validation_loss:
        axes.plot(
            epochs[: len(history.validation_loss)],
            history.validation_loss,
            color=ORANGE,
            linewidth=1.8,
            linestyle=_LINES[1],
            marker=marker,
            label="validation",
        )
    values = [*history.loss, *history.validation_loss]
    logarithmic = min(values) > 0 and max(values) > 10 * min(values)
    axes.set_yscale("log" if logarithmic else "linear")
    _count_along_x(axes)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss (logarithmic scale)" if logarithmic else "loss")
    if history.best_epoch is not None:
        watched = history.validation_loss or history.loss
        best = watched[history.best_epoch - 1]
        axes.axvline(history.best_epoch, color=GREY, linewidth=0.9, linestyle=_LINES[2], zorder=1)
        axes.plot(
            [history.best_epoch],
            [best],
            linestyle="none",
            marker="o",
            markersize=8,
            markerfacecolor="white",
            markeredgecolor=INK,
            markeredgewidth=1.5,
            label=f"best: {best:.4g} after epoch {history.best_epoch:,}",
        )
    _grid(axes)
    axes.legend(frameon=False)
    return axes


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
    table = histories.watched
    if not np.isfinite(table).any():
        raise ValueError("histories have no finished epoch; nothing to draw")
    axes = new_axes(7, 4) if axes is None else axes
    marked = np.zeros(histories.count, bool)
    if highlight is not None:
        marked[np.asarray(highlight)] = True
    epochs = _some_of(np.arange(len(table)), _EPOCHS_DRAWN)
    some = table[epochs]
    faint = max(0.05, min(0.6, 12 / histories.count))
    for numbers, colour, alpha, label in (
        (np.flatnonzero(~marked), GREY, faint, "each network"),
        (np.flatnonzero(marked), ORANGE, min(1, 3 * faint), "highlighted"),
    ):
        if len(numbers):
            drawn = _some_of(numbers, _NETWORKS_DRAWN)
            lines = axes.plot(epochs + 1, some[:, drawn], color=colour, linewidth=0.8, alpha=alpha, zorder=1)
            lines[0].set_label(f"{label} ({len(numbers):,})")
    there = np.isfinite(some).any(axis=1)
    axes.plot(
        epochs[there] + 1,
        np.nanmedian(some[there], axis=1),
        color=INK,
        linewidth=2,
        linestyle=_LINES[1],
        label="median",
        zorder=3,
    )
    best = int(np.nanargmin(histories.kept))
    axes.plot(epochs + 1, some[:, best], color=BLUE, linewidth=2, label=f"best, network {best:,}", zorder=4)
    finite = some[np.isfinite(some)]
    logarithmic = finite.min() > 0 and finite.max() > 10 * finite.min()
    axes.set_yscale("log" if logarithmic else "linear")
    _count_along_x(axes)
    what = "validation loss" if len(histories.validation_loss) else "loss"
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"{what} (logarithmic scale)" if logarithmic else what)
    _grid(axes)
    legend = axes.legend(loc="upper right", framealpha=0.85, edgecolor="none")  # "best" would look at every line
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)
    return axes


def _some_of(numbers: npt.NDArray[Any], most: int) -> npt.NDArray[Any]:
    """Return numbers, or of too many some, evenly spaced from the first to the last."""
    return numbers[np.unique(np.linspace(0, len(numbers) - 1, most).round().astype(int))]


def _grid(axes: Axes) -> None:
    """Put a light grid behind what is drawn, and take the frame away above and to the right."""
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _count_along_x(axes: Axes) -> None:
    """Let the x axis count: whole numbers, and commas between thousands."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def plot_hidden(
    network: Network, inputs: npt.ArrayLike | None = None, *, layer: int = 0, axes: Axes | None = None
) -> Axes:
    """Draw what each node of a hidden layer answers.

    One input gives a curve for each node, two give a plane for each node, more give a table: a row for each
    row of inputs, a column for each node. The network is left as it was.

    Parameters
    ----------
    network : Network
    inputs : array_like, (rows, n_inputs), optional
        The rows to answer; for curves and planes, the range to draw. By default every row of 0 and 1.
    layer : int
        Which layer's nodes: 0 is the first, -1 the network's answers.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Planes lie inside it, as its ``child_axes``.

    Raises
    ------
    ImportError
        Matplotlib is not installed.
    ValueError
        There are too many inputs to list every row of 0 and 1, too many rows, or no such layer.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from nineline import Network
    >>> from nineline.view import plot_hidden
    >>> axes = plot_hidden(Network(3, 6, 1, rng=1), axes=Figure().subplots())
    >>> axes.get_xlabel()
    'hidden node'
    >>> [label.get_text() for label in axes.get_yticklabels()][:3]
    ['0 0 0', '0 0 1', '0 1 0']
    """
    number = _layer_number(network, layer)
    rows = _rows(network, inputs)
    name = "output node" if number == len(network.layers) - 1 else "hidden node"
    if network.n_inputs == 1:
        return _curves(network, rows, number, name, axes)
    if network.n_inputs == 2:
        return _planes(network, rows, number, name, axes)
    return _table(network, rows, number, name, axes)


def outputs_of(network: Network, rows: Array, layer: int) -> Array:
    """Return what layer `layer` gives for `rows`, (rows, units), without touching the network's memory."""
    outputs = rows
    for each in network.layers[: layer + 1]:
        outputs, _ = each.compute(outputs)
    return outputs


def _table(network: Network, rows: Array, layer: int, name: str, axes: Axes | None) -> Axes:
    """Rows of inputs downwards, nodes to the right, the answer as colour and as number."""
    if len(rows) > _ROWS_AT_MOST:
        raise ValueError(f"inputs has {len(rows)} rows; at most {_ROWS_AT_MOST} can be read: inputs[:{_ROWS_AT_MOST}]")
    values, left_out = _few(outputs_of(network, rows, layer))
    units = values.shape[1]
    labels = _row_labels(rows)
    longest = max(map(len, labels))
    axes = new_axes(1.0 + 0.09 * longest + 0.66 * max(units, 2), 1.2 + 0.38 * len(rows)) if axes is None else axes
    image = axes.imshow(values, aspect="auto", **_colours(values))
    dark = np.asarray(image.norm(values)) > 0.6
    for (row, unit), value in np.ndenumerate(values):
        ink = "white" if dark[row, unit] else INK
        axes.text(unit, row, short_number(float(value)), ha="center", va="center", color=ink, fontsize=9)
    axes.set_xticks(range(units), [str(unit + 1) for unit in range(units)])
    axes.set_yticks(range(len(rows)), labels, fontfamily="monospace")
    axes.set_title("answers", fontsize=10)
    axes.set_xlabel(name + left_out)
    axes.set_ylabel("inputs")
    axes.hlines(np.arange(1, len(rows)) - 0.5, -0.5, units - 0.5, color="white", linewidth=1.5)
    axes.vlines(np.arange(1, units) - 0.5, -0.5, len(rows) - 0.5, color="white", linewidth=1.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return axes


def _planes(network: Network, rows: Array, layer: int, name: str, axes: Axes | None) -> Axes:
    """A small plane for each node, side by side, with the rows as points."""
    low, high = rows.min(axis=0), rows.max(axis=0)
    margin = 0.15 * np.where(high > low, high - low, 1.0)
    (left, bottom), (right, top) = low - margin, high + margin
    x, y = np.meshgrid(np.linspace(left, right, 101), np.linspace(bottom, top, 101))
    grid = np.column_stack([x.ravel(), y.ravel()]).astype(network.dtype)
    values, left_out = _few(outputs_of(network, grid, layer))
    units = values.shape[1]
    across = min(units, 4)
    down = math.ceil(units / across)
    axes = new_axes(1.2 + 1.9 * across, 0.9 + 2.0 * down) if axes is None else axes
    colours = _colours(values)
    for unit in range(units):
        row, column = divmod(unit, across)
        place = ((column + 0.04) / across, 1 - (row + 0.92) / down, 0.92 / across, 0.8 / down)
        plane = axes.inset_axes(place)
        plane.set_title(f"{name} {unit + 1}", fontsize=10, pad=4)
        image = plane.imshow(
            values[:, unit].reshape(x.shape),
            origin="lower",
            extent=(float(left), float(right), float(bottom), float(top)),
            aspect="auto",
            **colours,
        )
        if len(rows) <= 500:
            plane.plot(*rows.T, "o", markersize=4, color=INK, markeredgecolor="white", markeredgewidth=0.6)
        plane.tick_params(labelsize=8, labelleft=column == 0, labelbottom=unit + across >= units)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_xlabel("input 1" + left_out, labelpad=16)
    axes.set_ylabel("input 2", labelpad=24)
    _colour_bar(axes, image)
    return axes


def _curves(network: Network, rows: Array, layer: int, name: str, axes: Axes | None) -> Axes:
    """A curve for each node."""
    axes = new_axes(7, 4) if axes is None else axes
    x = np.linspace(rows.min(), rows.max(), 401, dtype=network.dtype).reshape(-1, 1)
    values, left_out = _few(outputs_of(network, x, layer))
    colours = [BLUE, ORANGE, INK, "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#999999"]
    for unit, curve in enumerate(values.T):
        style = _LINES[(unit + unit // len(colours)) % len(_LINES)]
        axes.plot(x[:, 0], curve, color=colours[unit % len(colours)], linestyle=style, label=f"{name} {unit + 1}")
    axes.set_xlabel("input")
    axes.set_ylabel(f"answer{left_out}")
    _grid(axes)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return axes


def _layer_number(network: Network, layer: int) -> int:
    count = len(network.layers)
    if not -count <= layer < count:
        raise ValueError(f"layer is {layer}; the network has {count} layers, 0 to {count - 1}")
    return layer % count


def _rows(network: Network, inputs: npt.ArrayLike | None) -> Array:
    width = network.n_inputs
    if inputs is not None:
        return _checks.matrix("inputs", inputs, width, "the network", network.dtype)
    if 2**width > _ROWS_AT_MOST:
        raise ValueError(
            f"the network takes {width} inputs, too many to list every row of 0 and 1; "
            f"say which rows to show: plot_hidden(network, inputs[:20])"
        )
    return np.array(list(itertools.product([0, 1], repeat=width)), dtype=network.dtype)


def _few(values: Array) -> tuple[Array, str]:
    """Return at most as many nodes as can be read, and the words that say what was left out."""
    units = values.shape[1]
    if units <= _NODES_AT_MOST:
        return values, ""
    return values[:, :_NODES_AT_MOST], f" (the first {_NODES_AT_MOST} of {units})"


def _row_labels(rows: Array) -> list[str]:
    """Return the rows as text, ``0 0 1``; long rows by their number."""
    if rows.shape[1] > 8:
        return [f"row {number + 1}" for number in range(len(rows))]
    texts = [[short_number(float(value)) for value in row] for row in rows]
    width = max(len(text) for row in texts for text in row)
    return [" ".join(text.rjust(width) for text in row) for row in texts]


def short_number(value: float) -> str:
    """Return a number in about four characters: ``1``, ``0.07``, ``-3.20``."""
    if value == round(value) or abs(value) >= 99.5:
        return f"{value + 0.0:.3g}"  # no "-0"
    return f"{value:.2f}".replace("-0.00", "0.00")


def _colours(values: Array) -> dict[str, Any]:
    """Return a scale from pale orange (low) to dark blue (high), ever darker, so that it can be read in grey."""
    from matplotlib.colors import LinearSegmentedColormap

    largest = float(np.abs(values).max()) or 1.0
    low, high = (0.0, 1.0) if largest <= 1 else (0.0, largest)
    if values.min() < 0:
        low = -high
    colours = LinearSegmentedColormap.from_list("nineline", _SCALE)
    return {"cmap": colours, "vmin": low, "vmax": high, "interpolation": "nearest"}


def _colour_bar(axes: Axes, image: AxesImage) -> None:
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02, aspect=30)
    bar.set_label("answer")
    bar.outline.set_visible(False)
