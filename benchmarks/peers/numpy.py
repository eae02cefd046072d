"""NumPy, written by hand: one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.peers.contract import Runner

if TYPE_CHECKING:
    from benchmarks.data import Array, Data


class NumpyRow(Runner):
    """Three products and two tanh."""

    def load(self, data: Data) -> None:
        self.row, self.parameters = data.inputs[0], data.parameters

    def run(self, calls: int) -> Array:
        (W1, b1), (W2, b2), (W3, b3) = self.parameters
        x = self.row
        for _ in range(calls):
            outputs = np.tanh(np.tanh(x @ W1 + b1) @ W2 + b2) @ W3 + b3
        return outputs
