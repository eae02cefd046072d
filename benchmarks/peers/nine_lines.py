"""The nine lines of NumPy that nineline begins with, with their loop and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.peers.contract import Trainer

if TYPE_CHECKING:
    from benchmarks.data import Data, Parameters


class NineLines(Trainer):
    """Trask's network. As its readers run it."""

    def load(self, data: Data) -> None:
        self.data = data

    def train(self, epochs: int, *, shuffle: bool) -> Parameters:
        X, y = self.data.inputs, self.data.targets
        syn0, syn1 = (weights.copy() for weights, _ in self.data.parameters)
        for _ in range(epochs):
            l1 = 1 / (1 + np.exp(-(np.dot(X, syn0))))
            l2 = 1 / (1 + np.exp(-(np.dot(l1, syn1))))
            l2_delta = (y - l2) * (l2 * (1 - l2))
            l1_delta = l2_delta.dot(syn1.T) * (l1 * (1 - l1))
            syn1 += l1.T.dot(l2_delta)
            syn0 += X.T.dot(l1_delta)
        return [(syn0, None), (syn1, None)]
