"""What every peer does, so that a worker can ask it to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.data import Array, Data, Parameters
    from benchmarks.workloads import Workload


class Trainer(ABC):
    """Trains a workload's network; each call of `train` begins at the initial weights.

    Parameters
    ----------
    workload : Workload
    threads : int
        At most so many.
    """

    def __init__(self, workload: Workload, threads: int) -> None:
        self.workload = workload
        self.threads = threads

    @abstractmethod
    def load(self, data: Data) -> None:
        """Put the data where this peer wants it. Never timed, except in a cold start."""

    @abstractmethod
    def train(self, epochs: int, *, shuffle: bool) -> Parameters:
        """Train from the initial weights and return the learned ones; a new order each epoch with `shuffle`."""


class Runner(ABC):
    """Answers one row, call by call from Python."""

    def __init__(self, workload: Workload, threads: int) -> None:
        self.workload = workload
        self.threads = threads

    @abstractmethod
    def load(self, data: Data) -> None:
        """Build the network with the data's weights."""

    @abstractmethod
    def run(self, calls: int) -> Array:
        """Answer the data's row so many times, and return the answer, (1, outputs) or (outputs,)."""
