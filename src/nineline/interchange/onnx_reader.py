"""Networks from ONNX files: chains of Gemm, or MatMul and Add, and activations, whichever program wrote them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.activations import (
    Activation,
    Elu,
    Exponential,
    Gelu,
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
from nineline.files import FileError
from nineline.interchange.chain import Chain
from nineline.interchange.extras import need

if TYPE_CHECKING:
    import os

    from nineline.network import Network

_PLAIN: Final[dict[str, type[Activation]]] = {
    "Sigmoid": Sigmoid,
    "Tanh": Tanh,
    "Relu": Relu,
    "Softplus": Softplus,
    "Exp": Exponential,
    "Mish": Mish,
}
_NOTHING: Final = frozenset(("Identity", "Dropout", "Flatten"))
_SELU: Final = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}
_KNOWN: Final = (
    "Gemm, MatMul, Add of a bias, Sigmoid, Tanh, Relu, LeakyRelu, Elu, Selu, Softplus, Exp, Softmax, Gelu, Mish, the "
    "products that make silu, mish and gelu, Identity, Dropout and Flatten"
)


def from_onnx(path: str | os.PathLike[str]) -> Network:
    """Make a network of an ONNX file (needs the extra ``onnx``).

    The graph has to be a chain: one input of (rows, features), linear maps (Gemm; MatMul, and Add of a bias) and the
    activations that nineline knows, as it and PyTorch write them. Dropout is taken for what it is when a network runs:
    nothing.

    Parameters
    ----------
    path : path

    Raises
    ------
    ImportError
        onnx is not installed.
    nineline.files.FileError
        The file is no ONNX model, or another graph; the message names the node.
    OSError
        The file cannot be read.
    """
    from pathlib import Path

    onnx = need("onnx", "onnx")
    data = Path(path).read_bytes()
    try:
        graph = onnx.load_model_from_string(data).graph
        return _Reader(graph).network()
    except Exception as error:  # protobuf's own errors have no common class
        raise FileError(f"{path} does not read as a network: {error}") from error


class _Reader:
    def __init__(self, graph: Any) -> None:
        from onnx import numpy_helper

        self.arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                self.arrays[node.output[0]] = numpy_helper.to_array(_attributes(node)["value"])
        self.nodes = [node for node in graph.node if node.op_type != "Constant"]
        inputs = [each.name for each in graph.input if each.name not in self.arrays]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise ValueError(f"it has {len(inputs)} inputs and {len(graph.output)} outputs; expected one of each")
        self.now, self.end = inputs[0], graph.output[0].name
        self.chain = Chain("the graph")

    def network(self) -> Network:
        """Walk from the input to the output."""
        left = len(self.nodes)
        while self.now != self.end:
            users = [node for node in self.nodes if self.now in node.input]
            if not users or left <= 0:
                raise ValueError(f"nothing leads on from {self.now!r}; expected a chain from the input to the output")
            left -= len(users)
            if len(users) == 1:
                self.single(users[0])
            else:
                self.product(users)
        return self.chain.network()

    def single(self, node: Any) -> None:
        """Take a node that is the only one to use what it takes."""
        kind, settings = node.op_type, _attributes(node)
        if kind in ("Gemm", "MatMul"):
            self.linear(node, settings)
            return
        if kind in _PLAIN:
            self.chain.activation(_PLAIN[kind](), _name(node))
        elif kind == "LeakyRelu":
            self.chain.activation(LeakyRelu(_decimal(settings.get("alpha", 0.01))), _name(node))
        elif kind == "Elu":
            self.chain.activation(Elu(_decimal(settings.get("alpha", 1.0))), _name(node))
        elif kind == "Selu" and all(math.isclose(settings.get(k, v), v, rel_tol=1e-6) for k, v in _SELU.items()):
            self.chain.activation(Selu(), _name(node))
        elif kind == "Softmax" and settings.get("axis", -1) in (1, -1):
            self.chain.activation(Softmax(), _name(node))
        elif kind == "Gelu" and settings.get("approximate", b"none") == b"none":
            self.chain.activation(Gelu(), _name(node))
        elif kind not in _NOTHING or settings.get("axis", 1) != 1:
            raise ValueError(f"{_name(node)} is not known here; known are {_KNOWN}")
        self.now = node.output[0]

    def linear(self, node: Any, settings: dict[str, Any]) -> None:
        """Take a Gemm, or a MatMul and the Add behind it."""
        weights = self.arrays.get(node.input[1])
        plain = settings.get("alpha", 1.0) == 1 and settings.get("beta", 1.0) == 1 and not settings.get("transA", 0)
        if node.input[0] != self.now or weights is None or weights.ndim != 2 or not plain:
            raise ValueError(f"{_name(node)} is no x @ weights + bias; expected constant weights and no factors")
        bias = self.arrays[node.input[2]] if len(node.input) > 2 else None
        if settings.get("transB", 0):
            weights = weights.T
        self.now = node.output[0]
        users = [each for each in self.nodes if self.now in each.input]
        if node.op_type == "MatMul" and len(users) == 1 and users[0].op_type == "Add":
            other = next(name for name in users[0].input if name != self.now)
            if other in self.arrays:
                bias, self.now = self.arrays[other], users[0].output[0]
        if bias is not None:
            bias = np.broadcast_to(bias.reshape(-1), (weights.shape[1],))
        self.chain.linear(weights, bias)

    def product(self, users: list[Any]) -> None:
        """Take z * f(z): silu, mish or gelu written out."""
        product = next((node for node in users if node.op_type == "Mul"), None)
        path: list[str] = []
        place = next((node for node in users if node is not product), None)
        while place is not None and place is not product:
            constants = [float(self.arrays[name]) for name in place.input if name in self.arrays]
            path.append(" ".join([place.op_type, *(f"{value:.4g}" for value in constants)]))
            place = next((node for node in self.nodes if place.output[0] in node.input), None)
        found = _PRODUCTS.get(tuple(path))
        if found is None or product is None or len(users) != 2:
            raise ValueError(
                f"{self.now!r} goes into {', '.join(map(_name, users))}, which is no activation known here"
            )
        scaled, kind = found
        self.chain.activation(kind(), _name(product))
        self.now = product.output[0]
        if scaled:  # the half comes after the product
            self.now = next(node.output[0] for node in self.nodes if self.now in node.input)


# What lies between z and the product, with its constants; and whether the product is halved afterwards.
_PRODUCTS: Final[dict[tuple[str, ...], tuple[bool, type[Activation]]]] = {
    ("Sigmoid",): (False, Silu),
    ("Softplus", "Tanh"): (False, Mish),
    ("Div 1.414", "Erf", "Add 1", "Mul 0.5"): (False, Gelu),
    ("Div 1.414", "Erf", "Add 1"): (True, Gelu),  # as PyTorch writes it
}


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _name(node: Any) -> str:
    return f"{node.op_type} {node.name or node.output[0]!r}"


def _decimal(value: float) -> float:
    """Return the shortest number that is this one in float32, which attributes are kept in: 0.01, not 0.00999999978."""
    return float(str(np.float32(value)))
