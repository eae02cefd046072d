"""A drawing of a network: nodes as circles, weights as lines."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from nineline import _checks
from nineline.layers import AbstractLayer, Dropout, Embedding, Layer, LayerNorm, Residual
from nineline.view.axes import new_axes, not_finite, short_number, start_over
from nineline.view.palette import LARGEST, largest_of, palette_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
class _Stage:
    """What one column of nodes is made from: a layer, or the sum at the end of a residual connection."""

    heading: str
    units: int
    links: tuple[tuple[int, int], ...] | None = None
    """Nodes of the column before and of this one that are joined without a weight; None: all are, by weights."""
    layer: AbstractLayer | None = None
    added: int | None = None
    """The number of the column whose outputs are added, where some are."""


@dataclass(frozen=True)
class _Column:
    """One column of nodes: the inputs, or a stage's."""

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
    square that always says 1. Grey lines have no weight: they lead from a level to the numbers of its vector, through a
    normalisation, and as arcs around the layers of a residual connection to its sum. A layer too wide for the picture
    is cut in the middle, and the picture says so. The network is left as it was.

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
    stages = _stages(network)
    columns = _columns(network, stages, max_nodes)
    places = [column.places() for column in columns]
    left, right, low, high = _extent(columns, places, stages)
    if axes is None:
        axes = new_axes(*_inches(left, right, low, high))
    start_over(axes)
    axes.set(xlim=(left, right), ylim=(low, high), aspect="equal")
    axes.axis("off")
    colours = palette_of(axes)
    weighted = [stage.layer for stage in stages if isinstance(stage.layer, Layer)]
    learned = np.concatenate([block.ravel() for layer in weighted for block in layer.blocks().values()])
    largest = largest_of(learned)
    busiest = max(len(a) * len(b) for a, b in itertools.pairwise(places))
    thickest = _THICKEST * min(1.0, math.sqrt(40 / busiest))
    for i, stage in enumerate(stages):
        if isinstance(stage.layer, Layer):
            _draw_weights(axes, stage.layer, places[i], places[i + 1], thickest / largest)
        else:
            _draw_links(axes, stage.links, places[i], places[i + 1])
        if stage.added is not None:
            _draw_arcs(axes, places[stage.added], places[i + 1])
    for i, column in enumerate(columns):
        _draw_nodes(axes, places[i], None if values is None else values[i])
        if column.dots is not None:
            axes.text(*column.dots, "⋮", ha="center", va="center", fontsize=18, color=colours.ink, gid="dots")
        axes.text(column.x, high - 0.1, column.heading, ha="center", va="top", fontsize=10, color=colours.ink)
    _draw_key(axes, f"thickest: {largest if learned.any() else 0:.3g}{not_finite(learned)}", thickest)
    return axes


def size_of_drawing(network: Network, max_nodes: int) -> tuple[float, float]:
    """Return how many inches wide and high the drawing of a network is."""
    stages = _stages(network)
    columns = _columns(network, stages, max_nodes)
    return _inches(*_extent(columns, [column.places() for column in columns], stages))


def _extent(
    columns: Sequence[_Column], places: Sequence[_Places], stages: Sequence[_Stage]
) -> tuple[float, float, float, float]:
    """Return how far a drawing goes, its headings included: left, right, low, high."""
    lines = max(1 + column.heading.count("\n") for column in columns)
    x = [x for column in places for x, _ in column.values()]
    y = [y for column in places for _, y in column.values()]
    return min(x) - 1.6, max(x) + 1.6, min(y) - 1.5, max(y + _tops_of_arcs(places, stages)) + 0.7 + 0.5 * lines


def _inches(left: float, right: float, low: float, high: float) -> tuple[float, float]:
    inch = min(0.65, 12 / (right - left), 8 / (high - low))
    return inch * (right - left), inch * (high - low)


def _stages(network: Network) -> list[_Stage]:
    """Return the stages behind the inputs, in their order."""
    stages: list[_Stage] = []
    for layer in network.layers:
        _add(stages, layer, stages[-1].units if stages else network.n_inputs)
    dense = [stage for stage in stages if isinstance(stage.layer, Layer)]
    hidden = ["hidden layer"] if len(dense) == 2 else [f"hidden layer {i + 1}" for i in range(len(dense) - 1)]
    names = iter([*hidden, "outputs"])
    return [
        replace(stage, heading=f"{next(names)}\n{stage.heading}") if isinstance(stage.layer, Layer) else stage
        for stage in stages
    ]


def _add(stages: list[_Stage], layer: AbstractLayer, units: int) -> None:
    _KINDS.get(type(layer), _add_other)(stages, layer, units)


def _add_dense(stages: list[_Stage], layer: Layer, units: int) -> None:
    stages.append(_Stage(_activation_name(layer), layer.n_outputs, layer=layer))


def _add_nothing(stages: list[_Stage], layer: Dropout, units: int) -> None:
    """Add nothing: when the network runs, dropout is not there."""


def _add_embedding(stages: list[_Stage], layer: Embedding, units: int) -> None:
    starts = list(itertools.accumulate(layer.widths, initial=0))
    links = [(column, node) for column, (a, b) in enumerate(itertools.pairwise(starts)) for node in range(a, b)]
    links += [(len(layer.levels) + number, starts[-1] + number) for number in range(layer.numbers)]
    stages.append(_Stage("embedding", layer.n_outputs, tuple(links), layer))


def _add_norm(stages: list[_Stage], layer: LayerNorm, units: int) -> None:
    stages.append(_Stage("normalised", units, _straight(units), layer))


def _add_residual(stages: list[_Stage], layer: Residual, units: int) -> None:
    before = len(stages)
    given = units
    for each in layer.layers:
        _add(stages, each, given)
        given = each.connect(given)
    stages.append(_Stage("sum", units, _straight(units), layer, before))


def _add_other(stages: list[_Stage], layer: AbstractLayer, units: int) -> None:
    after = layer.connect(units)
    links = _straight(units) if after == units else tuple(itertools.product(range(units), range(after)))
    stages.append(_Stage(type(layer).__name__, after, links, layer))


_KINDS: Final[dict[type[AbstractLayer], Callable[[list[_Stage], Any, int], None]]] = {
    Layer: _add_dense,
    Dropout: _add_nothing,
    Embedding: _add_embedding,
    LayerNorm: _add_norm,
    Residual: _add_residual,
}
"""Adds the stages of a layer that is given so many numbers."""


def _straight(units: int) -> tuple[tuple[int, int], ...]:
    return tuple((node, node) for node in range(units))


def _columns(network: Network, stages: Sequence[_Stage], max_nodes: int) -> list[_Column]:
    """Return the inputs' column and one for each stage, evenly apart."""
    widths = [network.n_inputs, *(stage.units for stage in stages)]
    apart = max(2.8, 0.45 * min(max_nodes, max(widths)))
    columns = []
    for i, width in enumerate(widths):
        shown = tuple(range(width))
        if width > max_nodes:
            above = (max_nodes + 1) // 2
            shown = (*range(above), *range(width - (max_nodes - above), width))
        lines = ["inputs" if i == 0 else stages[i - 1].heading]
        if width > max_nodes:
            lines.append(f"{max_nodes} of {width} drawn")
        behind = stages[i].layer if i < len(stages) else None
        bias = isinstance(behind, Layer) and behind.bias is not None
        columns.append(_Column(i * apart, width, shown, bias, "\n".join(lines)))
    return columns


def _answers(network: Network, example: npt.ArrayLike) -> list[Array]:
    """Return the example and every stage's answer to it, each (units,)."""
    row = _checks.as_float("example", example, network.dtype)
    if row.size != network.n_inputs or row.ndim not in (1, 2):
        raise ValueError(f"example has shape {row.shape}; expected one row of inputs, ({network.n_inputs},)")
    outputs = [row.reshape(1, -1)]
    network.layers[0].check_values("example", outputs[0])
    for stage in _stages(network):
        if stage.added is not None:
            outputs.append(outputs[stage.added] + outputs[-1])
        else:
            assert stage.layer is not None
            outputs.append(stage.layer.compute(outputs[-1])[0])
    return [each[0] for each in outputs]


def _draw_links(axes: Axes, links: tuple[tuple[int, int], ...] | None, source: _Places, target: _Places) -> None:
    """Draw a grey line for each link between nodes that are drawn."""
    from matplotlib.collections import LineCollection

    colours = palette_of(axes)
    lines = [(source[start], target[stop]) for start, stop in links or () if start in source and stop in target]
    axes.add_collection(LineCollection(lines, colors=[colours.grey], linewidths=[0.8], zorder=1, gid="links"))


def _draw_arcs(axes: Axes, source: _Places, target: _Places) -> None:
    """Draw a grey arc over what lies between, from each node that is drawn to the one that it is added to."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    colours = palette_of(axes)
    for node, (x, y) in source.items():
        if node != _BIAS and node in target:
            end, rise = target[node], _rise(target[node][0] - x)
            corners = [(x, y), (x, y + rise), (end[0], end[1] + rise), end]
            path = Path(corners, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
            axes.add_patch(PathPatch(path, fill=False, edgecolor=colours.grey, linewidth=0.8, zorder=0.5, gid="arc"))


def _rise(length: float) -> float:
    """Return how far an arc's handles lie above its ends."""
    return 0.22 * length


def _tops_of_arcs(places: Sequence[_Places], stages: Sequence[_Stage]) -> list[float]:
    """Return how high the arcs of each residual connection go."""
    tops = []
    for number, stage in enumerate(stages, 1):
        if stage.added is not None:
            x, y = max(places[stage.added].values(), key=lambda place: place[1])
            tops.append(y + 0.75 * _rise(places[number][0][0] - x))
    return tops


def _draw_weights(axes: Axes, layer: Layer, source: _Places, target: _Places, width: float) -> None:
    """Draw one line for each weight between nodes that are drawn, the thinnest at the bottom."""
    from matplotlib.collections import LineCollection

    lines = []
    colours = palette_of(axes)
    for start, begin in source.items():
        for stop, end in target.items():
            if stop != _BIAS:
                weight = float(layer.weights[start, stop] if start != _BIAS else _biases(layer)[stop])
                if math.isfinite(weight):
                    lines.append((min(abs(weight), LARGEST), weight < 0, (begin, end)))
    lines.sort(key=lambda line: line[0])
    axes.add_collection(
        LineCollection(
            [ends for _, _, ends in lines],
            colors=[colours.orange if below else colours.blue for _, below, _ in lines],
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

    colours = palette_of(axes)
    for node, (x, y) in places.items():
        if node == _BIAS:
            side = 1.7 * _RADIUS
            corner = (x - side / 2, y - side / 2)
            axes.add_patch(
                Rectangle(corner, side, side, facecolor=colours.shade, edgecolor=colours.ink, zorder=2, gid="bias")
            )
            axes.text(x, y, "1", ha="center", va="center", fontsize=9, color=colours.ink, zorder=3)
            axes.text(x, y - 0.38, "bias", ha="center", va="top", fontsize=8, color=colours.grey, zorder=3)
            continue
        axes.add_patch(
            Circle((x, y), _RADIUS, facecolor=colours.paper, edgecolor=colours.ink, linewidth=1.2, zorder=2, gid="node")
        )
        text = f"{node + 1}" if values is None else short_number(float(values[node]))
        ink = colours.grey if values is None else colours.ink
        axes.text(x, y, text, ha="center", va="center", fontsize=8, color=ink, zorder=3, gid="label")


def _draw_key(axes: Axes, label: str, thickest: float) -> None:
    """Say below the drawing what the lines mean."""
    from matplotlib.lines import Line2D

    colours = palette_of(axes)
    handles = [
        Line2D([], [], color=colours.blue, linewidth=2.5, label="weight above 0"),
        Line2D([], [], color=colours.orange, linewidth=2.5, linestyle=_DASHED, label="below 0"),
        Line2D([], [], color=colours.grey, linewidth=thickest, label=label),
    ]
    axes.legend(
        handles=handles,
        loc="lower center",
        ncols=3,
        frameon=False,
        fontsize=9,
        borderaxespad=0.0,
        labelcolor=colours.ink,
    )


def _biases(layer: Layer) -> Array:
    assert layer.bias is not None
    return layer.bias


def _activation_name(layer: Layer) -> str:
    """Return "sigmoid" of ``Sigmoid()``, "leaky relu" of ``LeakyRelu(0.1)``."""
    name = type(layer.activation).__name__
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
