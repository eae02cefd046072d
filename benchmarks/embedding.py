"""``python -m benchmarks.embedding``: steps of a network with an embedding of many levels, beside PyTorch; one thread.

Each row has one level and 8 numbers; the network is Embedding(levels, 16)-64-1, relu, batches of 128 rows, Adam, whose
moments are lazy on both sides (PyTorch: sparse gradients and SparseAdam for the vectors). Sides take turns; medians.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.machine import describe, in_a_line
from nineline import Adam, Embedding, Layer, Network, Trainer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROWS: Final = 64_000
_BATCH: Final = 128
_LEVELS: Final = (1_000, 100_000, 1_000_000)


def _network(levels: int) -> Network:
    layers = Layer(24, 64, "relu", bias=True), Layer(64, 1, "identity", bias=True)
    return Network(Embedding(levels, 16, numbers=8), *layers, rng=0, dtype="float32")


def _rows(levels: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    inputs = np.column_stack([rng.integers(levels, size=_ROWS), rng.normal(size=(_ROWS, 8))])
    return inputs.astype(np.float32), rng.normal(size=(_ROWS, 1)).astype(np.float32)


def _ours(levels: int) -> Callable[[], int]:
    inputs, targets = _rows(levels)
    trainer = Trainer(_network(levels), loss="squared_error", optimizer=Adam(1e-3), threads=1)

    def run() -> int:
        trainer.steps(inputs, targets, batch_size=_BATCH, epochs=1)
        return _ROWS // _BATCH

    return run


def _pytorch(levels: int) -> Callable[[], int]:
    import torch

    torch.set_num_threads(1)
    inputs, targets = (torch.from_numpy(each) for each in _rows(levels))
    module = _network(levels).to_torch().train()
    for column in module[0].columns:
        column.sparse = True
    vectors = list(module[0].columns.parameters())
    others = [each for each in module.parameters() if all(each is not vector for vector in vectors)]
    optimizers = [torch.optim.Adam(others, 1e-3), torch.optim.SparseAdam(vectors, 1e-3)]

    def batches() -> Iterator[slice]:
        for start in range(0, 100 * _BATCH, _BATCH):
            yield slice(start, start + _BATCH)

    def run() -> int:
        for rows in batches():
            for each in optimizers:
                each.zero_grad()
            torch.nn.functional.mse_loss(module(inputs[rows]), targets[rows]).backward()
            for each in optimizers:
                each.step()
        return 100

    return run


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    sides = {"nineline": _ours}
    if importlib.util.find_spec("torch") is not None:
        sides["PyTorch"] = _pytorch
    print(in_a_line(describe()), "\n")
    print(f"| levels | {' | '.join(f'{side}, us a step' for side in sides)} |\n|---|{'---|' * len(sides)}")
    for levels in _LEVELS:
        ready = {side: make(levels) for side, make in sides.items()}
        times: dict[str, list[float]] = {side: [] for side in sides}
        for number in range(rounds + 1):
            for side, run in ready.items():
                began = time.perf_counter()
                steps = run()
                times[side] += [(time.perf_counter() - began) / steps] * (number > 0)  # the first warms up
        print(f"| {levels:,} | {' | '.join(f'{statistics.median(each) * 1e6:.0f}' for each in times.values())} |")


if __name__ == "__main__":
    main()
