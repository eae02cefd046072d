"""Views: what a page shows of a run at one moment, as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from nineline.interactive.data import Plane
from nineline.layers import Layer
from nineline.rows import sampled
from nineline.training.layer_statistics import dead_and_saturated, dense_outputs

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.interactive.data import Data
    from nineline.interactive.run import Run
    from nineline.network import Network

    Numbers = npt.NDArray[np.float64]

POINTS: Final = 48
"""Of the surface along each axis."""
POINTS_ON_A_LINE: Final = 200
ROWS_OF_STATISTICS: Final = 400
_BINS: Final = 24
_RANGES: Final = {"sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "tanh": (-1.0, 1.0)}


class Place(NamedTuple):
    """Where a dense layer's numbers lie in the flat vector of parameters."""

    layer: Layer
    weights: slice
    bias: slice | None


class Views:
    """What there is to be seen of a run, over a plane through its data.

    Parameters
    ----------
    data : Data
    plane : Plane, optional
        By default that of the first two columns.
    """

    def __init__(self, data: Data, plane: Plane | None = None) -> None:
        self.data = data
        self.plane = Plane.of(data) if plane is None else plane
        self.shape, self.grid = self.plane.grid(data, POINTS, POINTS_ON_A_LINE)
        some = sampled(len(data.train[0]), ROWS_OF_STATISTICS)
        self._some = data.train[0][some], data.train[1][some]

    def answers(self, network: Network) -> dict[str, Any]:
        """Return what each node answers over the plane, as bytes between two numbers, and what the network does."""
        nodes = [self.grid, *dense_outputs(network, self.grid).values()]
        kinds = ["identity", *(place.layer.activation.name for place in dense_places(network))]
        ranges: list[tuple[float, float]] = []
        images = np.empty((sum(each.shape[1] for each in nodes), len(self.grid)), np.uint8)
        row = 0
        for outputs, kind in zip(nodes, kinds, strict=True):
            low, high = _ranges(outputs, kind)
            scaled = (outputs - low) * (255.0 / (high - low))
            images[row : row + outputs.shape[1]] = np.nan_to_num(np.clip(scaled, 0, 255)).astype(np.uint8).T
            ranges += zip(low.tolist(), high.tolist(), strict=True)
            row += outputs.shape[1]
        known = nodes[-1] if self.data.task == "classes" else self.data.unscale(nodes[-1]).reshape(nodes[-1].shape)
        surface = np.ascontiguousarray(known.T, np.float32)
        return {"ranges": ranges, "nodes": images, "answers": surface}

    def histograms(self, run: Run) -> list[dict[str, Any]]:
        """Return of each dense layer how its weights, their gradients, and its outputs are spread."""
        network = run.network
        _, gradient = run.trainer.gradient(*self._some)
        outputs = list(dense_outputs(network, self._some[0]).values())
        stuck = list(dead_and_saturated(network, self._some[0]).values())
        return [
            {
                "layer": number,
                "weights": _histogram(network.parameters[place.weights]),
                "gradients": _histogram(gradient[place.weights]),
                "outputs": _histogram(outputs[number]),
                "dead": stuck[number][0],
                "saturated": stuck[number][1],
            }
            for number, place in enumerate(dense_places(network))
        ]

    def scores(self, network: Network) -> tuple[float | None, float | None]:
        """Return which shares of the rows to learn from and of those held out are answered rightly; None: no classes.

        Of some thousands of rows at most.
        """
        if self.data.task != "classes":
            return None, None
        rows = [self.data.train, self.data.held_out]
        train, held_out = (None if part is None else _accuracy(network, *part) for part in rows)
        return train, held_out

    def points(self) -> dict[str, Any]:
        """Return the rows that are drawn: where they lie on the plane, and what is true of them."""
        data, plane = self.data, self.plane
        shown = data.shown
        y = data.known_truth if plane.y is None else data.columns[plane.y].values
        return {
            "x": data.columns[plane.x].values[shown].astype(np.float32),
            "y": y[shown].astype(np.float32),
            "target": data.known_truth[shown].astype(np.float32),
            "test": data.test[shown].astype(np.uint8),
        }

    def describe(self) -> dict[str, Any]:
        """Return what a page has to know of the data and the plane."""
        data, plane = self.data, self.plane
        held = plane.at(data)
        low, high = float(data.known_truth.min()), float(data.known_truth.max())
        margin = 0.1 * (high - low) or 1.0
        return {
            "columns": [column.describe(float(at)) for column, at in zip(data.columns, held, strict=True)],
            "x": plane.x,
            "y": plane.y,
            "x_range": data.columns[plane.x].range,
            "y_range": (low - margin, high + margin) if plane.y is None else data.columns[plane.y].range,
            "target_range": (low, high),
            "rows": len(data.inputs),
            "shown": len(data.shown),
            "train": len(data.train[0]),
            "test": int(data.test.sum()),
            "notes": list(data.notes),
        }


def dense_places(network: Network) -> list[Place]:
    """Return the dense layers, and where their numbers lie."""
    found = []
    for number, layer in enumerate(network.layers):
        if isinstance(layer, Layer):
            blocks = {block.kind: block.place for block in network.blocks if block.layer == number}
            found.append(Place(layer, blocks["weights"], blocks.get("bias")))
    return found


def place_of(network: Network, layer: int, kind: str, at: tuple[int, ...]) -> int:
    """Return where a weight or a bias of a dense layer lies in the flat vector.

    Raises
    ------
    ValueError
        There is none such.
    """
    places = dense_places(network)
    if not 0 <= layer < len(places):
        raise ValueError(f"place names layer {layer}; expected one of 0 to {len(places) - 1}")
    place = places[layer]
    where, shape = (
        (place.weights, place.layer.weights.shape)
        if kind == "weights"
        else (place.bias, (place.layer.weights.shape[1],))
    )
    if where is None:
        raise ValueError(f"place names a bias of layer {layer}, which has none; turn bias on first")
    if len(at) != len(shape) or not all(0 <= index < size for index, size in zip(at, shape, strict=True)):
        raise ValueError(f"place names {list(at)} of the {kind} of layer {layer}; expected indices within {shape}")
    return where.start + int(np.ravel_multi_index(at, shape))


def share_right(answers: Array, truth: Array) -> float:
    """Return which share of the rows is answered rightly: above a half where it is 1, or the largest of the outputs."""
    if truth.shape[1] == 1:
        return float(((answers > 0.5) == (truth > 0.5)).mean())
    return float((answers.argmax(axis=1) == truth.argmax(axis=1)).mean())


def _accuracy(network: Network, inputs: Array, targets: Array) -> float:
    some = sampled(len(inputs), 2000)
    return share_right(network.run(inputs[some]), targets[some])


def _ranges(outputs: Array, kind: str) -> tuple[Numbers, Numbers]:
    """Return between which two numbers each node's answers are drawn: around 0, where its activation has no bounds."""
    if kind in _RANGES:
        low, high = _RANGES[kind]
        return np.full(outputs.shape[1], low), np.full(outputs.shape[1], high)
    largest = np.nan_to_num(np.abs(outputs).max(axis=0), nan=1.0, posinf=1.0)
    largest = np.where(largest > 0, largest, 1.0)
    return -largest, largest


def _histogram(values: Array) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return {"low": 0.0, "high": 0.0, "counts": []}
    low, high = float(finite.min()), float(finite.max())
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return {"low": low, "high": high, "counts": [int(finite.size)]}
    counts, _ = np.histogram(finite, bins=_BINS, range=(low, high))
    return {"low": low, "high": high, "counts": counts.tolist()}
