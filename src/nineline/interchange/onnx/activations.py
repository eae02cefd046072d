"""Activations in ONNX: operators, each with its settings, and products of a few of them, in both directions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from nineline.activations import (
    SELU_ALPHA,
    SELU_SCALE,
    Activation,
    Elu,
    Exponential,
    Gelu,
    Identity,
    LeakyRelu,
    Mish,
    Relu,
    Selu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Tanh,
)
from nineline.interchange.counterpart import Counterpart
from nineline.interchange.onnx.graph import Graph

_Writer = Callable[[Graph, Any, str, str | None], str]

_ROWS: Final = (
    Counterpart("Sigmoid", Sigmoid),
    Counterpart("Tanh", Tanh),
    Counterpart("Relu", Relu),
    Counterpart("LeakyRelu", LeakyRelu, {"alpha": "slope"}),
    Counterpart("Elu", Elu, {"alpha": "alpha"}),
    Counterpart("Selu", Selu, needed={"alpha": (SELU_ALPHA,), "gamma": (SELU_SCALE,)}),
    Counterpart("Softplus", Softplus),
    Counterpart("Exp", Exponential),
    Counterpart("Softmax", Softmax, written={"axis": -1}, needed={"axis": (1, -1)}),
)
_LATER: Final = (
    Counterpart("Gelu", Gelu, needed={"approximate": (b"none",)}),
    Counterpart("Mish", Mish),
)
"""Operators of later opsets than the one that is written."""
OPERATORS: Final = {row.name: row for row in (*_ROWS, *_LATER)}
"""Every operator that is an activation, by its name."""

_GATES: Final[dict[type[Activation], tuple[str, ...]]] = {Silu: ("Sigmoid",), Mish: ("Softplus", "Tanh")}
"""What is done to z, step by step, before z is multiplied by it."""
PRODUCTS: Final[dict[tuple[str, ...], tuple[bool, type[Activation]]]] = {
    **{gate: (False, kind) for kind, gate in _GATES.items()},
    ("Div 1.414", "Erf", "Add 1", "Mul 0.5"): (False, Gelu),
    ("Div 1.414", "Erf", "Add 1"): (True, Gelu),  # as PyTorch writes it
}
"""What lies between z and the product, with its constants; and whether the product is halved afterwards."""


def add_activation(graph: Graph, activation: Activation, z: str, name: str | None) -> str:
    """Add what turns weighted sums into outputs, which may be given their name, and return that."""
    return _ACTIVATIONS[type(activation)](graph, activation, z, name)


def _operator(row: Counterpart) -> _Writer:
    def write(graph: Graph, activation: Any, z: str, name: str | None) -> str:
        return graph.op(row.name, z, name=name, attributes=row.theirs(activation))

    return write


def _identity(graph: Graph, activation: Any, z: str, name: str | None) -> str:
    return z


def _gated(graph: Graph, activation: Any, z: str, name: str | None) -> str:
    gate = z
    for step in _GATES[type(activation)]:
        gate = graph.op(step, gate)
    return graph.op("Mul", z, gate, name=name)


def _gelu(graph: Graph, activation: Any, z: str, name: str | None) -> str:
    """Write ``z * (1 + erf(z / sqrt(2))) / 2``."""
    one, half, root = (graph.constant(value, "float32") for value in (1.0, 0.5, math.sqrt(2)))
    erf = graph.op("Erf", graph.op("Div", z, root))
    return graph.op("Mul", z, graph.op("Mul", graph.op("Add", erf, one), half), name=name)


_ACTIVATIONS: Final[dict[type[Activation], _Writer]] = {
    Identity: _identity,
    Gelu: _gelu,
    **dict.fromkeys(_GATES, _gated),
    **{row.activation: _operator(row) for row in _ROWS},
}
