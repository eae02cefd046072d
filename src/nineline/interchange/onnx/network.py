"""A network in ONNX: Gemm and activations, the columns of a table before them, and an estimator's answer behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.activations import Identity
from nineline.interchange.onnx.activations import add_activation
from nineline.interchange.onnx.columns import add_columns
from nineline.interchange.onnx.graph import Graph
from nineline.layers import AbstractLayer, Dropout, Embedding, Layer, LayerNorm, Residual

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx

    from nineline.interchange.model import Placed, Target, TrainedModel
    from nineline.tables.targets import TargetScaling


def model_of(trained: TrainedModel, name: str) -> onnx.ModelProto:
    """Return a model of float32 as ONNX."""
    graph = Graph() if trained.columns is None else Graph(column.name for column in trained.columns.used)
    if trained.columns is None:
        inputs = graph.input("inputs", "float32", trained.network.n_inputs)
    else:
        inputs = add_columns(graph, trained.columns)
    answers = [_add_network(graph, layers, inputs, _last_name(trained)) for layers in trained.networks]
    outputs = answers[0]
    if len(answers) > 1:
        outputs = graph.op("Div", graph.op("Sum", *answers), graph.constant(len(answers), "float32"))
        outputs = graph.op("Identity", outputs, name="outputs") if trained.target is None else outputs
    if trained.target is None:
        graph.output("outputs", "float32", trained.network.n_outputs)
    else:
        _add_answer(graph, trained.target, outputs)
    return graph.model(name, _metadata(trained))


def _metadata(model: TrainedModel) -> dict[str, str]:
    about = {"network": repr(model.network)}
    if model.target is not None:
        about["target"] = model.target.name
        if model.target.classes is not None:
            about["classes"] = json.dumps(model.target.classes, ensure_ascii=False)
    return about


def _last_name(model: TrainedModel) -> str | None:
    """Return what the last layer's output is called, where it is the graph's."""
    return "outputs" if model.target is None and len(model.networks) == 1 else None


def _add_network(graph: Graph, layers: list[Placed[AbstractLayer]], x: str, name: str | None) -> str:
    for placed in layers:
        x = _LAYERS[type(placed.layer)](graph, placed, x, name if placed is layers[-1] else None)
    return x


def _dense(graph: Graph, placed: Placed[Layer], x: str, name: str | None) -> str:
    layer, n = placed.layer, placed.number
    operands = [graph.constant(layer.weights, "float32", f"{n}.weights")]
    if layer.bias is not None:
        operands.append(graph.constant(layer.bias, "float32", f"{n}.bias"))
    plain = name if isinstance(layer.activation, Identity) else None
    z = graph.op("Gemm", x, *operands, name=plain)
    return add_activation(graph, layer.activation, z, name)


def _dropout(graph: Graph, placed: Placed[Dropout], x: str, name: str | None) -> str:
    return x


def _embedding(graph: Graph, placed: Placed[Embedding], x: str, name: str | None) -> str:
    layer, n = placed.layer, placed.number
    parts = []
    for column, vectors in enumerate(layer.vectors):
        level = graph.op("Gather", x, graph.constant(column, "int64"), attributes={"axis": 1})
        table = graph.constant(vectors, "float32", f"{n}.{column}.vectors")
        parts.append(graph.op("Gather", table, graph.cast(level, "int64")))
    if layer.numbers:
        places = graph.constant(np.arange(len(layer.levels), layer.n_inputs), "int64")
        parts.append(graph.op("Gather", x, places, attributes={"axis": 1}))
    return graph.op("Concat", *parts, name=name, attributes={"axis": 1})


def _layer_norm(graph: Graph, placed: Placed[LayerNorm], x: str, name: str | None) -> str:
    layer, n = placed.layer, placed.number
    gain, bias = graph.constant(layer.gain, "float32", f"{n}.gain"), graph.constant(layer.bias, "float32", f"{n}.bias")
    attributes = {"axis": -1, "epsilon": layer.epsilon}
    return graph.op("LayerNormalization", x, gain, bias, name=name, attributes=attributes)


def _residual(graph: Graph, placed: Placed[Residual], x: str, name: str | None) -> str:
    return graph.op("Add", x, _add_network(graph, placed.inner, x, None), name=name)


_LAYERS: Final[dict[type[AbstractLayer], Callable[[Graph, Any, str, str | None], str]]] = {
    Layer: _dense,
    Dropout: _dropout,
    Embedding: _embedding,
    LayerNorm: _layer_norm,
    Residual: _residual,
}
"""Adds a layer behind x, whose outputs may be given their name, and returns that."""


def _add_number(graph: Graph, scaling: TargetScaling, outputs: str) -> str:
    scale, mean, low, high = (
        graph.constant(value, "float64") for value in (scaling.scale, scaling.mean, scaling.low, scaling.high)
    )
    known = graph.op("Add", graph.op("Mul", graph.cast(outputs, "float64"), scale), mean)
    return graph.op("Clip", graph.op("Exp", known) if scaling.log else known, low, high, name="prediction")


def _add_answer(graph: Graph, target: Target, outputs: str) -> None:
    if target.classes is None:
        graph.output(_add_number(graph, target.scaling, outputs), "float64", 1)
        return
    if len(target.classes) == 2:  # the one output is the probability of the second
        other = graph.op("Sub", graph.constant(1.0, "float32"), outputs)
        probabilities = graph.op("Concat", other, outputs, name="probabilities", attributes={"axis": 1})
    else:
        probabilities = graph.op("Identity", outputs, name="probabilities")
    place = graph.op("ArgMax", probabilities, attributes={"axis": 1, "keepdims": 0})
    classes = list(target.classes)
    if all(isinstance(value, (bool, int)) for value in classes):
        kind, dtype = "values_int64s", "int64"
        classes = [int(value) for value in classes]
    elif all(isinstance(value, float) for value in classes):
        kind, dtype = "values_floats", "float32"
    else:
        kind, dtype = "values_strings", "object"
        classes = [str(value) for value in classes]
    keys = {"keys_int64s": list(range(len(classes))), kind: classes}
    graph.output(graph.op("LabelEncoder", place, name="label", domain="ai.onnx.ml", attributes=keys), dtype)
    graph.output(probabilities, "float32", len(classes))
