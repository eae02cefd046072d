"""Learn from a stream, one row at a time, while what is to be learned changes.

Each row is answered before it is learned from, so the error is that of rows never seen: "test, then train". In the
middle of the stream other columns take over what the first ones did: the concept drifts.

What is seen: the error falls, jumps at the drift, and falls again, since the network never stops learning.

    python examples/stream.py [ROWS]

The rows are Friedman's function with an abrupt drift, after Ikonomovska, Gama and Džeroski (2011), Learning model trees
from evolving data streams.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from nineline import Adam, Network, Trainer


class Learner:
    """What answers one row and learns from one row: nothing is kept but the network and what Adam remembers."""

    def __init__(self, inputs: int) -> None:
        self.network = Network(inputs, 10, 1, activation="tanh", output="identity", bias=True, dtype="float32", rng=0)
        self.trainer = Trainer(self.network, loss="squared_error", optimizer=Adam(0.005))

    def predict_one(self, x: np.ndarray, out: np.ndarray) -> np.ndarray:
        return self.network.run(x, out=out)

    def learn_one(self, x: np.ndarray, y: np.ndarray) -> None:
        self.trainer.step(x, y)


def make_rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a stream; from the middle on, other columns do what the first ones did."""
    rng = np.random.default_rng(0)
    X = rng.random((count, 10))
    before, after = (0, 1, 2, 3, 4), (3, 4, 1, 0, 2)
    columns = np.where(np.arange(count)[:, None] < count // 2, before, after)
    a, b, c, d, e = np.take_along_axis(X, columns, axis=1).T
    y = 10 * np.sin(np.pi * a * b) + 20 * (c - 0.5) ** 2 + 10 * d + 5 * e + rng.normal(size=count)
    return 4 * X - 2, (y - 14) / 5


def main(count: int = 100_000) -> np.ndarray:
    """Learn, print how it went, and return the error of each row in units of the noise."""
    X, y = make_rows(count)
    # Arrays of one row each, as the network reads them: of its dtype, (1, columns), none of them copied.
    inputs = np.ascontiguousarray(X, np.float32).reshape(count, 1, -1)
    outputs = np.ascontiguousarray(y, np.float32).reshape(count, 1, 1)
    answers = np.empty_like(outputs)

    learner = Learner(inputs.shape[2])
    began = time.perf_counter()
    for x, wanted, answer in zip(inputs, outputs, answers, strict=True):
        learner.predict_one(x, answer)
        learner.learn_one(x, wanted)
    seconds = time.perf_counter() - began

    errors = 5 * (answers - outputs).ravel()
    middle, some = count // 2, max(1, count // 200)
    starts = {"at first": 0, "before the drift": middle - some, "just after it": middle, "at the end": count - some}
    for what, start in starts.items():
        error = np.sqrt(np.mean(errors[start : start + some] ** 2))
        print(f"{what:<16} rows {start + 1:>7,} to {start + some:>7,}: error {error:.2f}")
    print("Nobody can do better than 1.00: that is the noise.")
    print(f"{count:,} rows answered and learned from in {seconds:.2f} s, {seconds / count * 1e6:.1f} µs a row")
    return errors


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
