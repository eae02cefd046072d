"""nineline, a step a call from Python: every way that a `nineline.Trainer` has, and `Network.train` called for one."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.peers.contract import Runner, Trainer
from benchmarks.peers.nineline import assign, build
from nineline import Adam
from nineline import Trainer as OurTrainer

if TYPE_CHECKING:
    from benchmarks.data import Array, Data, Parameters
    from benchmarks.workloads import Workload


class _Stepping(Trainer):
    """Takes steps from the initial weights by a trainer that is made for them; batches are views made beforehand."""

    def load(self, data: Data) -> None:
        self.data = data
        self.batches = data.batches(self.workload.batch_rows)
        self.network = build(self.workload, data.parameters)

    def train(self, epochs: int, *, shuffle: bool) -> Parameters:
        assign(self.network, self.data.parameters)
        rate = self.workload.learning_rate
        trainer = OurTrainer(self.network, loss=self.workload.loss, optimizer=Adam(rate), threads=self.threads)
        for _ in range(epochs):
            self.take_epoch(trainer)
        return [(layer.weights, layer.bias) for layer in self.network.layers]

    @abstractmethod
    def take_epoch(self, trainer: OurTrainer) -> None:
        """Take a step on each batch."""


class Steps(_Stepping):
    """An epoch a call: a step's arithmetic, with next to no Python."""

    def take_epoch(self, trainer: OurTrainer) -> None:
        trainer.steps(self.data.inputs, self.data.targets, batch_size=self.workload.batch, shuffle=False)


class Step(_Stepping):
    """`Trainer.step`, as in a loop of one's own."""

    def take_epoch(self, trainer: OurTrainer) -> None:
        for X, y in self.batches:
            trainer.step(X, y)


class GradientMove(_Stepping):
    """The same step in its two halves."""

    def take_epoch(self, trainer: OurTrainer) -> None:
        for X, y in self.batches:
            trainer.move(trainer.gradient(X, y)[1])


class RunStepFrom(_Stepping):
    """The same step with its loss written out: the answers, and errors made of them in NumPy."""

    def take_epoch(self, trainer: OurTrainer) -> None:
        run, out = self.network.run, np.empty_like(self.batches[0][1])
        rows = out.dtype.type(len(out))
        for X, y in self.batches:
            trainer.step_from(X, (y - run(X, out=out)) / rows)


class TrainOne(_Stepping):
    """`Network.train` for one step, again and again; each call begins with an optimizer that remembers nothing."""

    def take_epoch(self, trainer: OurTrainer) -> None:
        for X, y in self.batches:
            self.network.train(X, y, 1, optimizer="adam", report_every=0)


class RunOut(Runner):
    """`Network.run` on one row, into an array that is there."""

    def __init__(self, workload: Workload, threads: int) -> None:
        super().__init__(workload, threads)
        self.out = np.empty(workload.sizes[-1], workload.dtype)

    def load(self, data: Data) -> None:
        self.row = data.inputs[0]
        self.network = build(self.workload, data.parameters)

    def run(self, calls: int) -> Array:
        network, row, out = self.network, self.row, self.out
        for _ in range(calls):
            network.run(row, out=out)
        return out
