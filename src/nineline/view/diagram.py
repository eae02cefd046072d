"""A drawing of a network: nodes as circles, weights as lines."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from nineline import _checks
from nineline.layers import Layer
from nineline.view.plots import BLUE, GREY, INK, ORANGE, new_axes, outputs_of, short_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes

    from nineline._typing import Array
    from nineline.network import Network

_RADIUS: Final = 0.3
_THICKEST: Final = 4.5  # points
_DASHED: Final = (0, (2.5, 0.8))
_BIAS: Final = -1  # the node number of a column's bias


_Places: TypeAlias = dict[int, tuple[float, float]]
"""Where a column's nodes are, by number; the bias is number `_BIAS`."""


@dataclass(frozen=True)
class _Column:
    """One column of nodes: the inputs, or a dense layer's."""

    x: float
    units: int
    shown: tuple[int, ...]
    bias: bool
    """Whether the layer behind it adds a bias, which is drawn as a node below this column."""
    heading: str

    def places(self) -> _Places:
        """Return where each node's centre is; the first on top, one apart, a gap where nodes are left out."""
        height = len(self.shown) - 1 + (self.dots is not None)
        slots = [slot + (self.dots is not None and slot >= self._above) for slot in range(len(self.shown))]
        places = {node: (self.x, height / 2 - slot) for node, slot in zip(self.shown, slots, strict=True)}
        if self.bias:
            places[_BIAS] = (self.x, -height / 2 - 1.1)
        return places

    @property
    def dots(self) -> tuple[float, float] | None:
        """The place of the dots that stand for the nodes left out, where there are any."""
        if len(self.shown) == self.units:
            return None
        return self.x, len(self.shown) / 2 - self._above

    @property
    def _above(self) -> int:
        return (len(self.shown) + 1) // 2


def draw_network(
    network: Network,
    example: npt.ArrayLike | None = None,
    *,
    max_nodes: int = 10,
    axes: Axes | None = None,
) -> Axes:
    """Draw the network: nodes as circles in columns, weights as lines.

    Blue solid lines are weights above 0, orange dashed ones below 0; the thicker, the larger. A bias is a
    square that always says 1. A layer too wide for the picture is cut in the middle, and the picture says so.
    The network is left as it was.

    Parameters
    ----------
    network : Network
    example : array_like, (n_inputs,), optional
        One row of inputs; each node then shows its answer to it.
    max_nodes : int
        How many nodes of a column are drawn at most; 2 or more.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        Matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from nineline import Network
    >>> from nineline.view import draw_network
    >>> axes = draw_network(Network(3, 6, 1, rng=1), [0, 1, 1], axes=Figure().subplots())
    """
    max_nodes = _checks.positive_integer("max_nodes", max_nodes, minimum=2)
    values = None if example is None else _answers(network, example)
    layers = [layer for layer in network.layers if isinstance(layer, Layer)]
    columns = _columns(network, layers, max_nodes)
    places = [column.places() for column in columns]
    left, right = columns[0].x - 1.6, columns[-1].x + 1.6
    low = min(y for column in places for _, y in column.values()) - 1.5
    high = max(y for column in places for _, y in column.values()) + 1.7
    if axes is None:
        inch = min(0.65, 12 / (right - left), 8 / (high - low))
        axes = new_axes(inch * (right - left), inch * (high - low))
    axes.set(xlim=(left, right), ylim=(low, high), aspect="equal")
    axes.axis("off")
    largest = max(float(np.abs(block).max()) for layer in layers for block in layer.blocks().values())
    busiest = max(len(a) * len(b) for a, b in itertools.pairwise(places))
    thickest = _THICKEST * min(1.0, math.sqrt(40 / busiest))
    for i, layer in enumerate(layers):
        _draw_weights(axes, layer, places[i], places[i + 1], thickest / (largest or 1.0))
    for i, column in enumerate(columns):
        _draw_nodes(axes, places[i], None if values is None else values[i])
        if column.dots is not None:
            axes.text(*column.dots, "⋮", ha="center", va="center", fontsize=18, color=INK, gid="dots")
        axes.text(column.x, high - 0.1, column.heading, ha="center", va="top", fontsize=10, color=INK)
    _draw_key(axes, largest, thickest)
    return axes


def _columns(network: Network, layers: Sequence[Layer], max_nodes: int) -> list[_Column]:
    """Return the inputs' column and one for each dense layer, evenly apart."""
    widths = [network.n_inputs, *(layer.n_outputs for layer in layers)]
    apart = max(2.8, 0.45 * min(max_nodes, max(widths)))
    names = ["inputs", *(f"hidden layer {i + 1}" for i in range(len(layers) - 1)), "outputs"]
    if len(layers) == 2:
        names[1] = "hidden layer"
    columns = []
    for i, width in enumerate(widths):
        shown = tuple(range(width))
        if width > max_nodes:
            above = (max_nodes + 1) // 2
            shown = (*range(above), *range(width - (max_nodes - above), width))
        lines = [names[i]]
        if i > 0:
            lines.append(_activation_name(layers[i - 1]))
        if width > max_nodes:
            lines.append(f"{max_nodes} of {width} drawn")
        bias = i < len(layers) and layers[i].bias is not None
        columns.append(_Column(i * apart, width, shown, bias, "\n".join(lines)))
    return columns


def _answers(network: Network, example: npt.ArrayLike) -> list[Array]:
    """Return the example and every dense layer's answer to it, each (units,)."""
    row = _checks.as_float("example", example, network.dtype)
    if row.size != network.n_inputs or row.ndim not in (1, 2):
        raise ValueError(f"example has shape {row.shape}; expected one row of inputs, ({network.n_inputs},)")
    row = row.reshape(1, -1)
    dense = [number for number, layer in enumerate(network.layers) if isinstance(layer, Layer)]
    return [row[0], *(outputs_of(network, row, number)[0] for number in dense)]


def _draw_weights(axes: Axes, layer: Layer, source: _Places, target: _Places, width: float) -> None:
    """Draw one line for each weight between nodes that are drawn, the thinnest at the bottom."""
    from matplotlib.collections import LineCollection

    lines = []
    for start, begin in source.items():
        for stop, end in target.items():
            if stop != _BIAS:
                weight = float(layer.weights[start, stop] if start != _BIAS else _biases(layer)[stop])
                lines.append((abs(weight), weight < 0, (begin, end)))
    lines.sort(key=lambda line: line[0])
    axes.add_collection(
        LineCollection(
            [ends for _, _, ends in lines],
            colors=[ORANGE if below else BLUE for _, below, _ in lines],
            linestyles=[_DASHED if below else "solid" for _, below, _ in lines],
            linewidths=[0.3 + width * size for size, _, _ in lines],
            capstyle="butt",
            zorder=1,
            gid="weights",
        )
    )


def _draw_nodes(axes: Axes, places: _Places, values: Array | None) -> None:
    """Draw a circle for each node, with its answer inside where there is one, and the bias as a square."""
    from matplotlib.patches import Circle, Rectangle

    for node, (x, y) in places.items():
        if node == _BIAS:
            side = 1.7 * _RADIUS
            corner = (x - side / 2, y - side / 2)
            axes.add_patch(Rectangle(corner, side, side, facecolor="#eeeeee", edgecolor=INK, zorder=2, gid="bias"))
            axes.text(x, y, "1", ha="center", va="center", fontsize=9, color=INK, zorder=3)
            axes.text(x, y - 0.38, "bias", ha="center", va="top", fontsize=8, color=GREY, zorder=3)
            continue
        axes.add_patch(Circle((x, y), _RADIUS, facecolor="white", edgecolor=INK, linewidth=1.2, zorder=2, gid="node"))
        text = f"{node + 1}" if values is None else short_number(float(values[node]))
        colour = GREY if values is None else INK
        axes.text(x, y, text, ha="center", va="center", fontsize=8, color=colour, zorder=3, gid="label")


def _draw_key(axes: Axes, largest: float, thickest: float) -> None:
    """Say below the drawing what the lines mean."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=BLUE, linewidth=2.5, label="weight above 0"),
        Line2D([], [], color=ORANGE, linewidth=2.5, linestyle=_DASHED, label="below 0"),
        Line2D([], [], color=GREY, linewidth=thickest, label=f"thickest: {largest:.3g}"),
    ]
    axes.legend(
        handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=9, borderaxespad=0.0, labelcolor=INK
    )


def _biases(layer: Layer) -> Array:
    assert layer.bias is not None
    return layer.bias


def _activation_name(layer: Layer) -> str:
    """Return "sigmoid" of ``Sigmoid()``, "leaky relu" of ``LeakyRelu(0.1)``."""
    name = type(layer.activation).__name__
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
