"""Networks from ONNX files: chains of Gemm, or MatMul and Add, and activations, whichever program wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks
from nineline._extras import need
from nineline.files import FileError
from nineline.interchange.chain import Chain
from nineline.interchange.onnx.activations import OPERATORS, PRODUCTS
from nineline.layers import LAYERS_AT_MOST

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

    from nineline.network import Network

_NOTHING: Final = frozenset(("Identity", "Dropout", "Flatten"))
_KNOWN: Final = (
    f"Gemm, MatMul, Add of a bias, {', '.join(OPERATORS)}, the products that make silu, mish and gelu, "
    "LayerNormalization, Add at the end of a residual connection, Identity, Dropout and Flatten"
)
_LONGEST_PRODUCT: Final = max(map(len, PRODUCTS))
_TIMES_TAKEN: Final = 16  # that layers may name the same weights, on average


def from_onnx(path: str | os.PathLike[str], *, external_data: bool = False) -> Network:
    """Make a network of an ONNX file (needs the extra ``onnx``).

    The graph has to be a chain: one input of (rows, features), linear maps (Gemm; MatMul, and Add of a bias), the
    activations that nineline knows, as it and PyTorch write them, LayerNormalization, and residual connections. Dropout
    is taken for what it is when a network runs: nothing. An embedding is not read back.

    Parameters
    ----------
    path : path
    external_data : bool
        Whether arrays may be read that the file keeps in others, which have to lie in its own folder or below it.

    Raises
    ------
    ImportError
        onnx is not installed.
    nineline.files.FileError
        The file is no ONNX model, or another graph; the message names the node. Or it keeps arrays in other files.
    OSError
        The file cannot be read.
    """
    onnx = need("onnx", "onnx")
    folder = Path(path).parent if _checks.boolean("external_data", external_data) else None
    data = Path(path).read_bytes()
    try:
        graph = onnx.load_model_from_string(data).graph
        return _Reader(graph, _Arrays(folder)).network()
    except Exception as error:  # protobuf's own errors have no common class
        raise FileError(f"{path} does not read as a network: {error}") from error


class _Arrays:
    """What makes arrays of a file's tensors.

    Parameters
    ----------
    folder : Path or None
        Where other files may lie that a tensor is in; None where it may be in none.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = None if folder is None else folder.resolve()
        self.taken: dict[Path, int] = {}
        """How many bytes were read of each other file; no array shares them with another."""

    def of(self, tensor: Any) -> npt.NDArray[Any]:
        """Return a tensor as an array."""
        from onnx import TensorProto, numpy_helper

        if tensor.data_location == TensorProto.EXTERNAL:
            tensor.raw_data = self.external(tensor)
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
        return numpy_helper.to_array(tensor)

    def external(self, tensor: Any) -> bytes:
        """Return the bytes of a tensor that lies in another file."""
        said = {each.key: each.value for each in tensor.external_data}
        lies = f"{tensor.name!r} lies in another file, {said['location']!r}"
        if self.folder is None:
            raise ValueError(f"{lies}; pass external_data=True to read it, where you trust who made this one")
        place = (self.folder / said["location"]).resolve()
        if not place.is_relative_to(self.folder) or not place.is_file():
            raise ValueError(f"{lies}, which is none in the folder of this one")
        offset, size = int(said.get("offset", 0)), place.stat().st_size
        length = int(said.get("length", size - offset))
        self.taken[place] = self.taken.get(place, 0) + length
        if offset < 0 or not 0 <= length <= size - offset or self.taken[place] > size:
            raise ValueError(f"{lies}, which has {size:,} bytes, too few for what is said to be in it")
        with place.open("rb") as file:
            file.seek(offset)
            return file.read(length)


class _Reader:
    def __init__(self, graph: Any, arrays: _Arrays) -> None:
        self.arrays = {each.name: arrays.of(each) for each in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                self.arrays[node.output[0]] = arrays.of(_attributes(node)["value"])
        self.users: dict[str, list[Any]] = {}
        """The nodes that take each name, constants aside."""
        for node in graph.node:
            for name in dict.fromkeys(node.input if node.op_type != "Constant" else ()):
                self.users.setdefault(name, []).append(node)
        inputs = [each.name for each in graph.input if each.name not in self.arrays]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise ValueError(f"it has {len(inputs)} inputs and {len(graph.output)} outputs; expected one of each")
        self.now, self.end = inputs[0], graph.output[0].name
        self.ends: list[Any] = []
        """Of each residual connection that has begun, the Add at its end."""
        self.chain = Chain("the graph")
        self.layers = 0
        self.left = _TIMES_TAKEN * sum(array.nbytes for array in self.arrays.values())
        """How many bytes of weights may still come: a small file may name the same ones in every layer."""

    def network(self) -> Network:
        """Walk from the input to the output."""
        seen = set()
        while self.now != self.end:
            users = self.users.get(self.now, [])
            if not users or self.now in seen:
                back = "leads back to itself" if users else "leads nowhere"
                raise ValueError(f"{self.now!r} {back}; expected a chain from the input to the output")
            seen.add(self.now)
            if self.ends and users[-1] is self.ends[-1] and len(users) == 1:
                self.chain.end_residual()
                self.now = self.ends.pop().output[0]
                continue
            users = self.begin_residuals(users)
            if len(users) == 1:
                self.single(users[0])
            else:
                self.product(users)
        if self.ends:
            raise ValueError(f"{_name(self.ends[-1])} is not on the way to the output; expected a chain")
        return self.chain.network()

    def begin_residuals(self, users: list[Any]) -> list[Any]:
        """Begin the residual connections that go in here, and return the other nodes that use what goes in."""
        others = []
        for node in reversed(users):  # the one that ends last begins first
            plain = node.op_type == "Add" and len(set(node.input)) == 2 and not self.arrays.keys() & set(node.input)
            if plain and all(node is not end for end in self.ends):
                self.ends.append(node)
                self.chain.begin_residual()
            else:
                others.append(node)
        return others[::-1]

    def single(self, node: Any) -> None:
        """Take a node that is the only one to use what it takes."""
        kind, settings = node.op_type, _attributes(node)
        if kind in ("Gemm", "MatMul"):
            self.linear(node, settings)
            return
        if kind == "LayerNormalization":
            self.layer_norm(node, settings)
            return
        row = OPERATORS.get(kind)
        activation = None if row is None else row.ours(settings)
        if activation is not None:
            self.chain.activation(activation, _name(node))
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
        users = self.users.get(self.now, [])
        if node.op_type == "MatMul" and len(users) == 1 and users[0].op_type == "Add":
            other = next((name for name in users[0].input if name != self.now), "")
            if other in self.arrays:
                bias, self.now = self.arrays[other], users[0].output[0]
        if bias is not None:
            bias = np.broadcast_to(bias.reshape(-1), (weights.shape[1],))
        self.count(weights)
        self.chain.linear(weights, bias)

    def layer_norm(self, node: Any, settings: dict[str, Any]) -> None:
        """Take a LayerNormalization over the features of a row."""
        gain = self.arrays.get(node.input[1])
        bias = self.arrays.get(node.input[2]) if len(node.input) > 2 else None if gain is None else np.zeros_like(gain)
        if node.input[0] != self.now or gain is None or bias is None or settings.get("axis", -1) not in (1, -1):
            raise ValueError(
                f"{_name(node)} is no normalisation of rows; expected constant scale and bias, and axis -1"
            )
        self.count(gain)
        self.chain.layer_norm(gain, bias, settings.get("epsilon", 1e-5))
        self.now = node.output[0]

    def count(self, weights: npt.NDArray[Any]) -> None:
        """Raise ValueError where there are more layers, or weights, than a network has."""
        self.layers += 1
        if self.layers > LAYERS_AT_MOST:
            raise ValueError(
                f"it has more than {LAYERS_AT_MOST:,} linear maps; a network in a file has so many at most"
            )
        self.left -= weights.nbytes
        if self.left < 0:
            raise ValueError(
                f"its layers take more than {_TIMES_TAKEN} times the weights that it holds; expected its own "
                "for each of them"
            )

    def product(self, users: list[Any]) -> None:
        """Take z * f(z): silu, mish or gelu written out."""
        product = next((node for node in users if node.op_type == "Mul"), None)
        path: list[str] = []
        place: Any = next((node for node in users if node is not product), None)
        while place is not None and place is not product and len(path) < _LONGEST_PRODUCT:
            path.append(self.in_words(place))
            place = next(iter(self.users.get(place.output[0], [])), None)
        found = PRODUCTS.get(tuple(path))
        if found is None or product is None or place is not product or len(users) != 2:
            raise ValueError(
                f"{self.now!r} goes into {', '.join(map(_name, users[:5]))}, which is no activation known here"
            )
        scaled, kind = found
        self.chain.activation(kind(), _name(product))
        self.now = product.output[0]
        if scaled:  # the half comes after the product
            halves = self.users.get(self.now, [])
            if [self.in_words(node) for node in halves] != ["Mul 0.5"]:
                raise ValueError(f"{self.now!r} is not halved, which gelu is; this is no activation known here")
            self.now = halves[0].output[0]

    def in_words(self, node: Any) -> str:
        """Return what a node does, with its constants."""
        constants = [float(a) for name in node.input if (a := self.arrays.get(name)) is not None and a.ndim == 0]
        return " ".join([node.op_type, *(f"{value:.4g}" for value in constants)])


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    return {name: _decimal(value) if isinstance(value, float) else value for name, value in given.items()}


def _name(node: Any) -> str:
    return f"{node.op_type} {node.name or node.output[0]!r}"


def _decimal(value: float) -> float:
    """Return the shortest number that is this one in float32, which attributes are kept in: 0.01, not 0.00999999978."""
    return float(str(np.float32(value)))
