"""ONNX Runtime, with the network as an ONNX graph: it only runs networks, and does it well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.peers.contract import Runner

if TYPE_CHECKING:
    from benchmarks.data import Array, Data
    from benchmarks.workloads import Workload

_OPERATORS = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid"}


def _graph(workload: Workload, data: Data) -> bytes:
    """Return the network as a model: Gemm and activation, layer by layer."""
    nodes, weights, name = [], [], "x"
    for number, (matrix, bias) in enumerate(data.parameters):
        last = number == len(data.parameters) - 1
        activation = workload.output if last else workload.activation
        weights += [numpy_helper.from_array(matrix, f"W{number}"), numpy_helper.from_array(bias, f"b{number}")]
        sums = "y" if last and activation == "identity" else f"z{number}"
        nodes.append(helper.make_node("Gemm", [name, f"W{number}", f"b{number}"], [sums]))
        name = sums
        if activation != "identity":
            name = "y" if last else f"a{number}"
            nodes.append(helper.make_node(_OPERATORS[activation], [sums], [name]))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, workload.sizes[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, workload.sizes[-1]])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


class OnnxruntimeRow(Runner):
    """A session on one thread, whatever the machine has: a second one makes no difference to a row."""

    def load(self, data: Data) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        model = _graph(self.workload, data)
        self.session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.feed = {"x": data.inputs[:1]}

    def run(self, calls: int) -> Array:
        run, feed, wanted = self.session.run, self.feed, ["y"]
        for _ in range(calls):
            (outputs,) = run(wanted, feed)
        return outputs
