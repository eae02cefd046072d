"""PyTorch, compiled: forward, gradients and update in one function for `torch.compile`.

It needs a C++ compiler, and its users have to leave `nn.Module`, autograd's `backward` and `torch.optim` for
`torch.func` and an update written out: compiling only the network leaves most of a step's time in the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from benchmarks.peers.contract import Trainer
from benchmarks.peers.torch import build, loss, tensors, use_threads

if TYPE_CHECKING:
    from benchmarks.data import Data, Parameters
    from benchmarks.workloads import Workload


class TorchCompile(Trainer):
    """A loop in Python over one compiled step, which gathers its batch and changes the parameters in place."""

    def __init__(self, workload: Workload, threads: int) -> None:
        super().__init__(workload, threads)
        use_threads(threads)
        network = build(workload)
        self.names = [name for name, _ in network.named_parameters()]

        def batch_loss(parameters: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return loss(workload, torch.func.functional_call(network, parameters, (x,)), y)

        def step(
            parameters: dict[str, torch.Tensor],
            means: dict[str, torch.Tensor],
            squares: dict[str, torch.Tensor],
            count: torch.Tensor,
            x: torch.Tensor,
            y: torch.Tensor,
            rows: torch.Tensor | None,
        ) -> None:
            batch = (x, y) if rows is None else (x[rows], y[rows])
            gradients = torch.func.grad(batch_loss)(parameters, *batch)
            count.add_(1)
            for name, p in parameters.items():
                g = gradients[name]
                if workload.optimizer == "gradient_descent":
                    p.sub_(g, alpha=workload.learning_rate)
                    continue
                m, s = means[name], squares[name]
                m.mul_(0.9).add_(g, alpha=0.1)
                s.mul_(0.999).addcmul_(g, g, value=0.001)
                p.sub_(workload.learning_rate * (m / (1 - 0.9**count)) / ((s / (1 - 0.999**count)).sqrt() + 1e-8))

        self.step = torch.compile(step, dynamic=False)

    def load(self, data: Data) -> None:
        self.data = data
        self.x, self.y = tensors(self.workload, data)

    def start(self) -> dict[str, torch.Tensor]:
        """Return the initial parameters by PyTorch's names, (outputs, inputs)."""
        arrays = [array.T for layer in self.data.parameters for array in layer if array is not None]
        return {name: torch.tensor(array) for name, array in zip(self.names, arrays, strict=True)}

    def train(self, epochs: int, *, shuffle: bool) -> Parameters:
        workload, step, x, y = self.workload, self.step, self.x, self.y
        parameters = self.start()
        means, squares = ({name: torch.zeros_like(p) for name, p in parameters.items()} for _ in range(2))
        count = torch.zeros((), dtype=getattr(torch, workload.dtype))
        with torch.no_grad():
            for _ in range(epochs):
                if workload.batch is None:
                    step(parameters, means, squares, count, x, y, None)
                    continue
                order = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
                for rows in order.split(workload.batch):
                    step(parameters, means, squares, count, x, y, rows)
        learned = iter(parameters.values())
        return [
            (next(learned).numpy().T, next(learned).numpy() if bias is not None else None)
            for _, bias in self.data.parameters
        ]
