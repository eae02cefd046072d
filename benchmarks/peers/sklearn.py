"""scikit-learn's MLPRegressor and MLPClassifier, through `fit`.

Its squared loss is reported as a mean over outputs, but what it descends is half the sum over outputs, mean over
rows: nineline's. Initial weights are set through `warm_start`, which keeps `coefs_` as it finds them.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

from benchmarks.peers.contract import Runner, Trainer

if TYPE_CHECKING:
    from benchmarks.data import Array, Data, Parameters
    from benchmarks.workloads import Workload


def _model(workload: Workload, data: Data) -> Any:
    """Return an unfitted model that knows its shape and will begin at the data's weights."""
    classes = workload.loss == "cross_entropy"
    settings: dict[str, Any] = {
        "hidden_layer_sizes": workload.sizes[1:-1],
        "activation": workload.activation,
        "solver": "adam",
        "alpha": 0.0,
        "learning_rate_init": workload.learning_rate,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
    }
    model: Any = (MLPClassifier if classes else MLPRegressor)(**settings)
    first = data.inputs[:1], targets(workload, data)[:1]
    if classes:
        model.partial_fit(*first, classes=np.arange(workload.sizes[-1]))
    else:
        model.partial_fit(*first)
    model.set_params(batch_size=workload.batch_rows, warm_start=True)
    return model


def _begin(model: Any, parameters: Parameters) -> None:
    model.coefs_ = [weights.copy() for weights, _ in parameters]
    model.intercepts_ = [bias.copy() for _, bias in parameters if bias is not None]


def targets(workload: Workload, data: Data) -> Array:
    """Return the targets as scikit-learn takes them: class numbers, one column flat."""
    if workload.loss == "cross_entropy":
        return data.targets.argmax(axis=1)
    return data.targets.ravel() if data.targets.shape[1] == 1 else data.targets


class Sklearn(Trainer):
    """`fit` for so many epochs, from the common initial weights."""

    def load(self, data: Data) -> None:
        self.data = data
        self.y = targets(self.workload, data)
        self.model = _model(self.workload, data)

    def train(self, epochs: int, *, shuffle: bool) -> Parameters:
        _begin(self.model, self.data.parameters)
        self.model.set_params(max_iter=epochs, shuffle=shuffle)
        with warnings.catch_warnings(), threadpool_limits(self.threads):
            warnings.simplefilter("ignore")  # "not converged": it was told when to stop
            self.model.fit(self.data.inputs, self.y)
        return list(zip(self.model.coefs_, self.model.intercepts_, strict=True))


class SklearnRow(Runner):
    """`predict` on one row."""

    def load(self, data: Data) -> None:
        self.row = data.inputs[:1]
        self.model = _model(self.workload, data)
        _begin(self.model, data.parameters)

    def run(self, calls: int) -> Array:
        predict, row = self.model.predict, self.row
        for _ in range(calls):
            outputs = predict(row)
        return outputs
