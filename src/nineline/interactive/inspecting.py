"""Inspecting: the numbers of one node or one weight, and where they came from, by the trace of one row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks
from nineline.interactive.views import dense_places
from nineline.layers import Layer
from nineline.network import Network
from nineline.optimizers import GradientDescent
from nineline.training.layer_statistics import dense_outputs
from nineline.view.trace.tracing import whole_trace

if TYPE_CHECKING:
    from nineline._typing import Array
    from nineline.interactive.run import Run
    from nineline.view.trace import Trace

DECIMALS: Final = 4
_WEIGHTS_AT_MOST: Final = 129
_COLUMNS: Final = 12


class Look:
    """What a person looks at: a node or an edge of the diagram, and a row that goes through the network.

    Parameters
    ----------
    node : (int, int), optional
        The number of a dense layer, -1 for the inputs, and of a node in it.
    edge : (int, int, int), optional
        The number of a dense layer, and the nodes that the edge comes from and goes to.
    row : int, optional
        The number of a row of the data; by default the first.
    """

    def __init__(
        self, node: tuple[int, int] | None = None, edge: tuple[int, int, int] | None = None, row: int | None = None
    ) -> None:
        self.node, self.edge, self.row = node, edge, row

    def check(self, run: Run) -> None:
        """Raise ValueError where there is no such node, edge or row."""
        places = dense_places(run.network)
        widths = [run.network.n_inputs, *(place.layer.weights.shape[1] for place in places)]
        if self.node is not None:
            layer, node = self.node
            if not -1 <= layer < len(places) or not 0 <= node < widths[layer + 1]:
                raise ValueError(f"node is {list(self.node)}; there is none such in a network of {widths} nodes")
        if self.edge is not None:
            layer, start, end = self.edge
            there = 0 <= layer < len(places) and 0 <= start < widths[layer] and 0 <= end < widths[layer + 1]
            if not there:
                raise ValueError(f"edge is {list(self.edge)}; there is none such in a network of {widths} nodes")
        if self.row is not None and not 0 <= self.row < len(run.data.inputs):
            raise ValueError(f"row is {self.row}; expected one of 0 to {len(run.data.inputs) - 1:,}")

    def way(self, run: Run) -> Array | None:
        """Return what each node answers to the row, inputs first; None where no row is looked at."""
        if self.row is None:
            return None
        inputs = run.data.inputs[self.row][np.newaxis]
        return np.concatenate([inputs, *dense_outputs(run.network, inputs).values()], axis=1)[0]

    def describe(self, run: Run) -> dict[str, Any] | None:
        """Return what is to be said of it, or None where nothing is looked at."""
        if self.node is None and self.edge is None and self.row is None:
            return None
        row = 0 if self.row is None else self.row
        data = run.data
        traced = _trace(run, row)
        if self.edge is not None:
            said = _edge(traced, run, self.edge)
        elif self.node is not None and self.node[0] >= 0:
            said = _node(traced, run, *self.node)
        elif self.node is not None:
            value = float(data.inputs[row, self.node[1]])
            said = {"title": f"Input {data.input_names[self.node[1]]}", "lines": [_line("value", f"{value:.6g}")]}
        else:
            said = _row(traced, run, row)
        held = "held out" if data.test[row] else "learned from"
        truth = data.classes[int(data.truth[row])] if data.classes else f"{data.known_truth[row]:.6g}"
        return {"weights": [], "row": row, "row_title": f"row {row} ({held}), truth {truth}", **said}


def _trace(run: Run, row: int) -> Trace:
    """Return the trace of one row through the network as it runs: nothing is dropped, and no penalties."""
    network = run.network
    plain = Network(
        *(Layer.of(layer.weights, layer.bias, layer.activation) for layer in network.layers if isinstance(layer, Layer))
    )
    settings, data = run.settings, run.data
    rule = GradientDescent(settings.learning_rate)
    return whole_trace(plain, data.inputs[[row]], data.targets[[row]], loss=settings.make_loss(), optimizer=rule)


def _line(name: str, text: str) -> dict[str, str]:
    return {"name": name, "text": _checks.printable(text, 4000)}


def _traced(traced: Trace, name: str, symbol: str, *place: int) -> dict[str, str]:
    """Return a number of the trace, its formula and what it was computed from."""
    step = traced[symbol]
    called = step.named(place)
    formula = f"{step.formula}; " if step.formula else ""
    return _line(name, f"{formula}{called} = {step.origin(*place, decimals=DECIMALS)}")


def _node(traced: Trace, run: Run, layer: int, node: int) -> dict[str, Any]:
    place = dense_places(run.network)[layer]
    output = layer == len(dense_places(run.network)) - 1
    named = run.data.output_names[node] if output else f"{node + 1} of layer {layer + 1}"
    lines = [
        _traced(traced, "weighted sum", f"Z{layer}", 0, node),
        _traced(traced, "output", f"A{layer}", 0, node),
    ]
    symbols = {step.symbol for step in traced}
    lines += [
        _traced(traced, name, symbol, 0, node)
        for name, symbol in (("error", f"E{layer}"), ("delta", f"D{layer}"))
        if symbol in symbols
    ]
    before = run.data.input_names if layer == 0 else [f"node {n + 1}" for n in range(len(place.layer.weights))]
    gradient = traced[f"∇W{layer}"].values
    weights = [
        {
            "from": before[start],
            "place": [layer, "weights", start, node],
            "value": float(place.layer.weights[start, node]),
            "gradient": float(gradient[start, node]),
        }
        for start in range(min(len(place.layer.weights), _WEIGHTS_AT_MOST))
    ]
    if place.layer.bias is not None:
        weights.append(
            {
                "from": "bias",
                "place": [layer, "bias", node],
                "value": float(place.layer.bias[node]),
                "gradient": float(traced[f"∇b{layer}"].values[node]),
            }
        )
    title = f"Node {named}" if not output else "Output" if named == "output" else f"Output {named}"
    return {"title": title, "lines": lines, "weights": weights}


def _edge(traced: Trace, run: Run, edge: tuple[int, int, int]) -> dict[str, Any]:
    layer, start, end = edge
    weight = float(dense_places(run.network)[layer].layer.weights[start, end])
    gradient = float(traced[f"∇W{layer}"].values[start, end])
    source = run.data.input_names[start] if layer == 0 else f"node {start + 1} of layer {layer}"
    return {
        "title": f"Weight from {source} to node {end + 1} of layer {layer + 1}",
        "lines": [
            _line("weight", f"W{layer}[{start}, {end}] = {weight:.6g}"),
            _traced(traced, "gradient, of this row", f"∇W{layer}", start, end),
            _traced(traced, "after a step of gradient descent on this row", f"W{layer}′", start, end),
        ],
        "weights": [{"from": source, "place": [layer, "weights", start, end], "value": weight, "gradient": gradient}],
    }


def _row(traced: Trace, run: Run, row: int) -> dict[str, Any]:
    last = len(dense_places(run.network)) - 1
    columns = ", ".join(f"{column.name} {column.said(row)}" for column in run.data.columns[:_COLUMNS])
    if len(run.data.columns) > _COLUMNS:
        columns += f", and {len(run.data.columns) - _COLUMNS} more"
    answers, loss = traced[f"A{last}"].values[0], traced["L"]
    single = loss.values.size == 1
    written = f"L = {loss.origin(*(0,) * loss.values.ndim, decimals=DECIMALS)}" if single else f"L = {traced.loss:.4f}"
    known = run.data.unscale(answers) if run.data.task == "number" else answers
    said = ", ".join(f"{name} {value:.4f}" for name, value in zip(run.data.output_names, known.ravel(), strict=True))
    return {
        "title": f"Row {row}",
        "lines": [
            _line("inputs", columns),
            _line("answer", said),
            _line("loss, of this row", f"{loss.formula}; {written}"),
        ],
    }
