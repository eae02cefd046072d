"""What each node of a layer answers."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks
from nineline.view.axes import (
    colour_bar,
    finite_of,
    grid,
    in_ink,
    inches,
    new_axes,
    not_finite,
    short_number,
    small_multiples,
    start_over,
    write_matrix,
)
from nineline.view.palette import LIGHT, LINES, answers_scale, palette_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from nineline._typing import Array
    from nineline.network import Network

_ROWS_AT_MOST: Final = 32  # of a heat map, while its labels can be read
_NODES_AT_MOST: Final = 16  # of one picture


def plot_hidden(
    network: Network, inputs: npt.ArrayLike | None = None, *, layer: int = 0, axes: Axes | None = None
) -> Axes:
    """Draw what each node of a hidden layer answers.

    One input gives a curve for each node, two give a plane for each node, more give a table, and so do levels of an
    embedding: a row for each row of inputs, a column for each node. Answers that are not finite are left out, which is
    said. The network is left as it was.

    Parameters
    ----------
    network : Network
    inputs : array_like, (rows, n_inputs), optional
        The rows to answer; for curves and planes, the range to draw. By default every row of 0 and 1.
    layer : int
        Which layer's nodes: 0 is the first, -1 the network's answers.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure. What was drawn there before is taken away.

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
    if network.layers[0].reads_data:  # levels, with nothing in between
        return _table(network, rows, number, name, axes)
    if network.n_inputs == 1:
        return _curves(network, rows, number, name, axes)
    if network.n_inputs == 2:
        return _planes(network, rows, number, name, axes)
    return _table(network, rows, number, name, axes)


def outputs_of(network: Network, rows: Array, layer: int) -> Array:
    """Return what layer `layer` gives for `rows`, (rows, units), without touching the network's memory."""
    outputs = rows
    with np.errstate(all="ignore"):  # what is not finite is left out, and said
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
    start_over(axes)
    write_matrix(axes, values, answers_scale(values))
    axes.set_xticks(range(units), [str(unit + 1) for unit in range(units)])
    axes.set_yticks(range(len(rows)), labels, fontfamily="monospace")
    axes.set_title("answers", fontsize=10)
    axes.set_xlabel(name + left_out)
    axes.set_ylabel("inputs")
    in_ink(axes)
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
    start_over(axes)
    colours, scale = palette_of(axes), answers_scale(values)
    for unit, plane in enumerate(small_multiples(axes, units, across)):
        column = unit % across
        plane.set_title(
            f"{name} {unit + 1}" if inches(plane) > 1.1 else f"{unit + 1}", fontsize=10, pad=4, color=colours.ink
        )
        image = plane.imshow(
            finite_of(values[:, unit].reshape(x.shape)),
            origin="lower",
            extent=(float(left), float(right), float(bottom), float(top)),
            aspect="auto",
            **scale,
        )
        if len(rows) <= 500:
            plane.plot(*rows.T, "o", markersize=4, color=LIGHT.ink, markeredgecolor="white", markeredgewidth=0.6)
        in_ink(plane)
        plane.tick_params(labelsize=8, labelleft=column == 0, labelbottom=unit + across >= units)
    axes.set_xlabel("input 1" + left_out, labelpad=16)
    axes.set_ylabel("input 2", labelpad=24)
    in_ink(axes)
    colour_bar(axes, image, "answer")
    return axes


def _curves(network: Network, rows: Array, layer: int, name: str, axes: Axes | None) -> Axes:
    """A curve for each node."""
    beside = axes is None
    axes = new_axes(7, 4) if axes is None else axes
    x = np.linspace(rows.min(), rows.max(), 401, dtype=network.dtype).reshape(-1, 1)
    values, left_out = _few(outputs_of(network, x, layer))
    start_over(axes)
    axes.set_yscale("linear")
    colours = palette_of(axes)
    for unit, curve in enumerate(values.T):
        style = LINES[(unit + unit // len(colours.curves)) % len(LINES)]
        axes.plot(
            x[:, 0],
            finite_of(curve),
            color=colours.curves[unit % len(colours.curves)],
            linestyle=style,
            label=f"{name} {unit + 1}",
        )
    axes.set_xlabel("input")
    axes.set_ylabel(f"answer{left_out}")
    grid(axes, colours)
    place: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if beside else {"loc": "best"}
    axes.legend(frameon=False, labelcolor=colours.ink, **place)
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
    units, shown = values.shape[1], values[:, :_NODES_AT_MOST]
    said = f" (the first {_NODES_AT_MOST} of {units})" if units > _NODES_AT_MOST else ""
    return shown, said + not_finite(shown)


def _row_labels(rows: Array) -> list[str]:
    """Return the rows as text, ``0 0 1``; long rows by their number."""
    if rows.shape[1] > 8:
        return [f"row {number + 1}" for number in range(len(rows))]
    texts = [[short_number(float(value)) for value in row] for row in rows]
    width = max(len(text) for row in texts for text in row)
    return [" ".join(text.rjust(width) for text in row) for row in texts]
