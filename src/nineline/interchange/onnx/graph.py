"""An ONNX graph while it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline._extras import need

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx

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
        """Declare an input, (rows, width), and return its name: "unnamed" for a column that has none."""
        name = name or self.free("unnamed")
        self.inputs.append(self.helper.make_tensor_value_info(name, self.type_of(dtype), [_ROWS, width], about))
        return name

    def output(self, name: str, dtype: str, *width: int) -> None:
        """Declare an output, (rows, width) or (rows,)."""
        self.outputs.append(self.helper.make_tensor_value_info(name, self.type_of(dtype), [_ROWS, *width]))

    def model(self, name: str, metadata: dict[str, str]) -> onnx.ModelProto:
        """Return the graph, done, in a model that says what wrote it."""
        made = self.helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.constants)
        opsets = [self.helper.make_opsetid("", OPSET), self.helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        proto = self.helper.make_model(made, producer_name="nineline", opset_imports=opsets, ir_version=_IR_VERSION)
        self.helper.set_model_props(proto, metadata)
        return proto
