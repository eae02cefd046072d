"""`MLPRegressor.partial_fit`, scikit-learn's and ours: one step on all rows, the same draws, so the same weights."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from benchmarks.data import Data
from benchmarks.peers.contract import Trainer
from benchmarks.peers.sklearn import targets

if TYPE_CHECKING:
    from benchmarks.data import Parameters


class _PartialFit(Trainer):
    """Default settings but for the workload's; both begin at the weights that `random_state` draws."""

    def load(self, data: Data) -> None:
        y = targets(self.workload, data)
        self.batches = Data(data.inputs, y, []).batches(self.workload.batch_rows)
        self.kind = self.find()

    def train(self, epochs: int, *, shuffle: bool) -> Parameters:
        workload = self.workload
        model = self.kind(
            hidden_layer_sizes=workload.sizes[1:-1],
            activation=workload.activation,
            learning_rate_init=workload.learning_rate,
            random_state=0,
        )
        for _ in range(epochs):
            for X, y in self.batches:
                model.partial_fit(X, y)
        return list(zip(model.coefs_, model.intercepts_, strict=True))

    @abstractmethod
    def find(self) -> Any:
        """Return the class."""


class Theirs(_PartialFit):
    """scikit-learn's."""

    def find(self) -> Any:
        from sklearn.neural_network import MLPRegressor

        return MLPRegressor


class Ours(_PartialFit):
    """nineline's."""

    def find(self) -> Any:
        from nineline.estimators import MLPRegressor

        return MLPRegressor
