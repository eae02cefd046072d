"""A network as ONNX: Gemm and activations, and before them the columns of a table, as far as it has words for them.

The graph computes in float32, takes any number of rows, and uses opset 17 and version 3 of ai.onnx.ml, which runtimes
have known since 2022. `from_onnx` in `nineline.interchange.onnx_reader` goes the other way.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.activations import Elu, LeakyRelu
from nineline.interchange.extras import need
from nineline.interchange.subject import Dense, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx

    from nineline.interchange.subject import Target
    from nineline.targets import TargetScaling

OPSET: Final = 17
ML_OPSET: Final = 3
_IR_VERSION: Final = 8
_ROWS: Final = "rows"


class Graph:
    """A graph while it grows: every operation returns the name of its output."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self.helper = need("onnx", "onnx").helper
        self.reserved = set(reserved)
        """Names of inputs, which nothing else may have."""
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def op(
        self,
        kind: str,
        *inputs: str,
        name: str | None = None,
        domain: str = "",
        attributes: dict[str, Any] | None = None,
    ) -> str:
        """Add a node of one output; that may be given its name."""
        name = self.free(name if name is not None else f"{kind.lower()}_{len(self.nodes)}")
        self.nodes.append(self.helper.make_node(kind, list(inputs), [name], domain=domain, **(attributes or {})))
        return name

    def constant(self, values: Any, dtype: str, name: str | None = None) -> str:
        """Add an array."""
        from onnx import numpy_helper

        name = self.free(name if name is not None else f"constant_{len(self.constants)}")
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def free(self, name: str) -> str:
        """Return the name, or where an input has it, one like it."""
        while name in self.reserved:
            name += "_"
        return name

    def cast(self, what: str, dtype: str) -> str:
        """Convert to another type."""
        return self.op("Cast", what, attributes={"to": self.type_of(dtype)})

    def type_of(self, dtype: str) -> int:
        """Return ONNX's number for a dtype."""
        return int(self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def input(self, name: str, dtype: str, width: int, about: str = "") -> str:
        """Declare an input, (rows, width)."""
        self.inputs.append(self.helper.make_tensor_value_info(name, self.type_of(dtype), [_ROWS, width], about))
        return name

    def output(self, name: str, dtype: str, *width: int) -> None:
        """Declare an output, (rows, width) or (rows,)."""
        self.outputs.append(self.helper.make_tensor_value_info(name, self.type_of(dtype), [_ROWS, *width]))


def to_onnx(model: object, name: str = "network") -> onnx.ModelProto:
    """Write a network, or a fitted estimator with its columns, as an ONNX model (needs the extra ``onnx``).

    A network takes ``inputs``, (rows, n_inputs) of float32, and gives ``outputs``, (rows, n_outputs). An estimator of a
    table takes an input for each column, (rows, 1): numbers, true and false (1 and 0) and dates (days since 1970-01-01,
    the time of day as a fraction) as float64 with NaN for missing, text as strings, stripped of blanks, with "" for
    missing. A classifier gives ``label``, (rows,), and ``probabilities``, (rows, classes); a regressor ``prediction``,
    (rows, 1).

    Parameters
    ----------
    model : Network or estimator of nineline's
    name : str
        Of the graph.

    Returns
    -------
    onnx.ModelProto
        To be written with ``onnx.save(model, path)``. Its metadata say what wrote it, and the target and its classes.

    Raises
    ------
    ImportError
        onnx is not installed.
    TypeError, ValueError
        The model is none, or holds an activation of your own.

    Examples
    --------
    >>> from nineline import Network
    >>> from nineline.interchange import to_onnx
    >>> [node.op_type for node in to_onnx(Network(3, 6, 1)).graph.node]
    ['Gemm', 'Sigmoid', 'Gemm', 'Sigmoid']
    """
    onnx = need("onnx", "onnx")
    subject = Subject.of(model).astype(np.dtype(np.float32))
    graph = Graph() if subject.columns is None else Graph(column.name for column in subject.columns.used)
    if subject.columns is None:
        inputs = graph.input("inputs", "float32", subject.network.n_inputs)
    else:
        from nineline.interchange.onnx_table import add_columns

        inputs = add_columns(graph, subject.columns)
    answers = [_add_network(graph, layers, inputs, _last_name(subject)) for layers in subject.networks]
    outputs = answers[0]
    if len(answers) > 1:
        outputs = graph.op("Div", graph.op("Sum", *answers), graph.constant(len(answers), "float32"))
        outputs = graph.op("Identity", outputs, name="outputs") if subject.target is None else outputs
    if subject.target is None:
        graph.output("outputs", "float32", subject.network.n_outputs)
    else:
        _add_answer(graph, subject.target, outputs)
    made = graph.helper.make_graph(graph.nodes, name, graph.inputs, graph.outputs, graph.constants)
    opsets = [graph.helper.make_opsetid("", OPSET), graph.helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    proto = graph.helper.make_model(made, producer_name="nineline", opset_imports=opsets, ir_version=_IR_VERSION)
    graph.helper.set_model_props(proto, _metadata(subject))
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _metadata(subject: Subject) -> dict[str, str]:
    about = {"network": repr(subject.network)}
    if subject.target is not None:
        about["target"] = subject.target.name
        if subject.target.classes is not None:
            about["classes"] = json.dumps(subject.target.classes, ensure_ascii=False)
    return about


def _last_name(subject: Subject) -> str | None:
    """Return what the last layer's output is called, where it is the graph's."""
    return "outputs" if subject.target is None and len(subject.networks) == 1 else None


def _add_network(graph: Graph, layers: list[Dense], x: str, name: str | None) -> str:
    for layer in layers:
        x = _add_layer(graph, layer, x, name if layer is layers[-1] else None)
    return x


def _add_layer(graph: Graph, layer: Dense, x: str, name: str | None) -> str:
    n = layer.number
    operands = [graph.constant(layer.weights, "float32", f"{n}.weights")]
    if layer.bias is not None:
        operands.append(graph.constant(layer.bias, "float32", f"{n}.bias"))
    plain = name if layer.activation_name == "identity" else None
    return _add_activation(graph, layer, graph.op("Gemm", x, *operands, name=plain), name)


_PLAIN: Final = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "softplus": "Softplus",
    "exponential": "Exp",
    "selu": "Selu",
}


def _add_activation(graph: Graph, layer: Dense, z: str, name: str | None) -> str:
    kind, activation = layer.activation_name, layer.activation
    if kind == "identity":
        return z
    if kind in _PLAIN:
        return graph.op(_PLAIN[kind], z, name=name)
    if isinstance(activation, LeakyRelu):
        return graph.op("LeakyRelu", z, name=name, attributes={"alpha": activation.slope})
    if isinstance(activation, Elu):
        return graph.op("Elu", z, name=name, attributes={"alpha": activation.alpha})
    if kind == "softmax":
        return graph.op("Softmax", z, name=name, attributes={"axis": -1})
    if kind == "silu":
        return graph.op("Mul", z, graph.op("Sigmoid", z), name=name)
    if kind == "mish":
        return graph.op("Mul", z, graph.op("Tanh", graph.op("Softplus", z)), name=name)
    one, half, root = (graph.constant(value, "float32") for value in (1.0, 0.5, math.sqrt(2)))
    erf = graph.op("Erf", graph.op("Div", z, root))  # gelu: z * (1 + erf(z / sqrt(2))) / 2
    return graph.op("Mul", z, graph.op("Mul", graph.op("Add", erf, one), half), name=name)


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
