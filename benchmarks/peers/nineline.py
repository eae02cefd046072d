"""nineline, with both of its engines."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from benchmarks.peers.contract import Runner, Trainer
from nineline import Adam, Network

if TYPE_CHECKING:
    from benchmarks.data import Array, Data, Parameters
    from benchmarks.workloads import Workload

_HAS_THREADS: Final = "threads" in inspect.signature(Network.train).parameters


def build(workload: Workload, parameters: Parameters) -> Network:
    """Return the workload's network, with these weights."""
    network = Network(
        *workload.sizes,
        activation=workload.activation,
        output=workload.output,
        bias=workload.bias,
        dtype=workload.dtype,
        rng=0,
    )
    assign(network, parameters)
    return network


def assign(network: Network, parameters: Parameters) -> None:
    """Copy parameters into the network."""
    layers: list[Any] = network.layers
    for layer, (weights, bias) in zip(layers, parameters, strict=True):
        layer.weights[...] = weights
        if bias is not None:
            layer.bias[...] = bias


class Nineline(Trainer):
    """`Network.train`, told no more than it has to be."""

    engine = "auto"

    def __init__(self, workload: Workload, threads: int) -> None:
        super().__init__(workload, threads)
        self.arguments: dict[str, Any] = {"engine": self.engine} | ({"threads": threads} if _HAS_THREADS else {})
        if workload.optimizer == "adam":
            self.arguments |= {"optimizer": Adam(workload.learning_rate), "loss": workload.loss, "progress": False}
            self.arguments |= {"batch_size": workload.batch}

    def load(self, data: Data) -> None:
        self.data = data
        self.network = build(self.workload, data.parameters)

    def train(self, epochs: int, *, shuffle: bool) -> Parameters:
        assign(self.network, self.data.parameters)
        X, y = self.data.inputs, self.data.targets
        if self.workload.optimizer == "adam":
            self.network.train(X, y, epochs=epochs, shuffle=shuffle, **self.arguments)
        else:  # the tutorial's rule
            self.network.train(X, y, epochs, report_every=0, **self.arguments)
        layers: list[Any] = self.network.layers
        return [(layer.weights, layer.bias) for layer in layers]


class NinelineReference(Nineline):
    """The same in NumPy: nineline's definition of itself."""

    engine = "reference"


class NinelineRow(Runner):
    """`Network.run`."""

    def load(self, data: Data) -> None:
        self.row = data.inputs[0]
        self.network = build(self.workload, data.parameters)

    def run(self, calls: int) -> Array:
        network, row = self.network, self.row
        for _ in range(calls):
            outputs = network.run(row)
        return outputs
