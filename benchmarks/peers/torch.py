"""PyTorch, as it is mostly written: `nn.Sequential`, a fused optimizer, a loop over index tensors."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from benchmarks.peers.contract import Runner, Trainer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.data import Array, Data, Parameters
    from benchmarks.workloads import Workload

_ACTIVATIONS: dict[str, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}


def use_threads(threads: int) -> None:
    """Let PyTorch use so many threads; once, before it has begun."""
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


def build(workload: Workload) -> nn.Sequential:
    """Return the workload's network; without a last softmax, which is part of the loss."""
    layers: list[nn.Module] = []
    dtype = getattr(torch, workload.dtype)
    for number, (inputs, outputs) in enumerate(pairwise(workload.sizes)):
        layers.append(nn.Linear(inputs, outputs, bias=workload.bias, dtype=dtype))
        name = workload.output if number == len(workload.sizes) - 2 else workload.activation
        if name in _ACTIVATIONS:
            layers.append(_ACTIVATIONS[name]())
    return nn.Sequential(*layers)


def linear_layers(network: nn.Sequential) -> list[nn.Linear]:
    """Return the layers with parameters."""
    return [layer for layer in network if isinstance(layer, nn.Linear)]


def assign(network: nn.Sequential, parameters: Parameters) -> None:
    """Copy parameters into the network."""
    with torch.no_grad():
        for layer, (weights, bias) in zip(linear_layers(network), parameters, strict=True):
            layer.weight.copy_(torch.from_numpy(weights.T))
            if bias is not None:
                layer.bias.copy_(torch.from_numpy(bias))


def loss(workload: Workload, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the workload's loss; with cross-entropy `y` are class numbers."""
    if workload.loss == "cross_entropy":
        return nn.functional.cross_entropy(outputs, y)
    total = nn.functional.mse_loss(outputs, y, reduction="sum")
    return total * (0.5 if workload.loss == "squared_error_sum" else 0.5 / len(y))


def tensors(workload: Workload, data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs and targets; class numbers for cross-entropy."""
    y = data.targets.argmax(axis=1) if workload.loss == "cross_entropy" else data.targets
    return torch.from_numpy(data.inputs), torch.from_numpy(y)


class Torch(Trainer):
    """The plain loop, eager. `torch.compile` of the network alone was no faster; of a whole step: torch_compile."""

    def __init__(self, workload: Workload, threads: int) -> None:
        super().__init__(workload, threads)
        use_threads(threads)
        self.network = build(workload)

    def load(self, data: Data) -> None:
        self.data = data
        self.x, self.y = tensors(self.workload, data)

    def train(self, epochs: int, *, shuffle: bool) -> Parameters:
        workload, network = self.workload, self.network
        assign(network, self.data.parameters)
        kind = torch.optim.Adam if workload.optimizer == "adam" else torch.optim.SGD
        optimizer = kind(network.parameters(), lr=workload.learning_rate, fused=True)

        def step(x: torch.Tensor, y: torch.Tensor) -> None:
            optimizer.zero_grad(set_to_none=True)
            loss(workload, network(x), y).backward()
            optimizer.step()

        for _ in range(epochs):
            for batch in self.batches(shuffle):
                step(*batch)
        return [
            (layer.weight.detach().numpy().T, None if layer.bias is None else layer.bias.detach().numpy())
            for layer in linear_layers(network)
        ]

    def batches(self, shuffle: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield an epoch's batches."""
        x, y = self.x, self.y
        if self.workload.batch is None:
            yield x, y
            return
        order = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
        for rows in order.split(self.workload.batch):
            yield x.index_select(0, rows), y.index_select(0, rows)


class TorchStep(Torch):
    """The same step on batches that are tensors already."""

    def load(self, data: Data) -> None:
        self.data = data
        x, y = (tensor.split(self.workload.batch_rows) for tensor in tensors(self.workload, data))
        self.pairs = list(zip(x, y, strict=True))

    def batches(self, shuffle: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        yield from self.pairs


class TorchRow(Runner):
    """The same network in inference mode."""

    def __init__(self, workload: Workload, threads: int) -> None:
        super().__init__(workload, threads)
        use_threads(threads)

    def load(self, data: Data) -> None:
        self.network = build(self.workload).eval()
        assign(self.network, data.parameters)
        self.row = torch.from_numpy(data.inputs[0])

    def run(self, calls: int) -> Array:
        network, row = self.network, self.row
        with torch.inference_mode():
            for _ in range(calls):
                outputs = network(row)
        return np.asarray(outputs)


class TorchScriptRow(TorchRow):
    """The network traced and frozen."""

    def load(self, data: Data) -> None:
        super().load(data)
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, and still its users' fastest call
            self.network = torch.jit.freeze(torch.jit.trace(self.network, self.row))
            for _ in range(3):  # it profiles the first calls, then compiles
                self.network(self.row)
