"""Workloads: what is trained. The table of all of them is at the end."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A network, its data and its rule; every peer computes exactly this.

    Attributes
    ----------
    name : str
    sizes : tuple of int
        Inputs, hidden nodes, outputs.
    rows : int
        Of data; a multiple of the batch, so that every step is as long.
    batch : int or None
        Rows a step, in a new order each epoch; None takes all of them, in their own order.
    data : str
        What the rows are; see `data.py`.
    activation, output : str
        Of the hidden layers and of the last one.
    loss : str
        "squared_error": half the sum over outputs, mean over rows. "squared_error_sum": summed over rows
        too. "cross_entropy": with softmax, mean over rows.
    optimizer : str
        "adam" (0.9, 0.999, 1e-8) or "gradient_descent".
    learning_rate : float
    bias : bool
    dtype : str
    steps : int or None
        Of one training, where that is part of the story. A timed round then repeats whole trainings.
    trains : bool
        Otherwise a step is one call with one row, from Python, and there is no training.
    sweep : bool
        One of many along an axis: cold starts are measured once each.
    """

    name: str
    sizes: tuple[int, ...]
    rows: int
    batch: int | None = None
    data: str = "smooth"
    activation: str = "tanh"
    output: str = "identity"
    loss: str = "squared_error"
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    bias: bool = True
    dtype: str = "float32"
    steps: int | None = None
    trains: bool = True
    sweep: bool = False

    @property
    def batch_rows(self) -> int:
        """Rows a step."""
        return self.rows if self.batch is None else self.batch

    @property
    def steps_an_epoch(self) -> int:
        """How many batches the data is."""
        return self.rows // self.batch_rows

    @property
    def flops(self) -> int:
        """Floating-point operations a step, by the count that the table uses.

        Two for each multiply-add of the matrix products: forward, gradients of the weights, and errors of the
        inputs of all layers but the first. Activations, bias, loss and optimizer are not counted.
        """
        products = [inputs * outputs for inputs, outputs in pairwise(self.sizes)]
        forward = sum(products)
        backward = sum(products) + sum(products[1:]) if self.trains else 0
        return 2 * self.batch_rows * (forward + backward)

    @property
    def check_steps(self) -> int:
        """Steps from the same start after which the losses of all peers are compared; also a cold start's.

        `steps` where a training has its own length, else 200, fewer (at least 20) where steps are long.
        """
        if not self.trains:
            return 1
        return self.steps or max(20, min(200, int(2e10 / self.flops)))


def _in_batches(rows: int, batch: int) -> int:
    """Return at least `rows` rows, in whole batches."""
    return math.ceil(rows / batch) * batch


_SEED: Final = Workload(
    name="seed",
    sizes=(3, 6, 1),
    rows=4,
    data="tutorial",
    activation="sigmoid",
    output="sigmoid",
    loss="squared_error_sum",
    optimizer="gradient_descent",
    learning_rate=1.0,
    bias=False,
    dtype="float64",
    steps=10_000,
)
_EXPM: Final = Workload(name="expm", sizes=(4, 32, 16, 4), rows=10_000, data="expm")
_MINI: Final = Workload(name="mini-8-32", sizes=(8, 32, 32, 1), rows=_in_batches(10_000, 64), batch=64)
_RELU: Final = Workload(
    name="mini-20-64", sizes=(20, 64, 64, 1), rows=_in_batches(10_000, 128), batch=128, activation="relu"
)
_MNIST: Final = Workload(
    name="mnist",
    sizes=(784, 128, 10),
    rows=60_000 // 128 * 128,
    batch=128,
    data="mnist",
    activation="relu",
    output="softmax",
    loss="cross_entropy",
)
_DEEP: Final = Workload(name="deep-300", sizes=(28, *5 * [300], 1), rows=10_000, batch=100)
_ROW: Final = Workload(name="one-row", sizes=(4, 32, 16, 4), rows=1, data="expm", trains=False)

WIDTHS: Final = (4, 8, 16, 32, 45, 46, 64, 128, 256, 512)
BATCHES: Final = (1, 2, 4, 8, 16, 64, 256, 1024, 4096, 65536)

WORKLOADS: Final[dict[str, Workload]] = {
    workload.name: workload
    for workload in (
        _SEED,
        _EXPM,
        _MINI,
        _RELU,
        _MNIST,
        _DEEP,
        *(replace(_RELU, name=f"width-{width}", sizes=(10, width, width, 10), sweep=True) for width in WIDTHS),
        *(
            replace(
                _MINI,
                name=f"batch-{batch}",
                rows=_in_batches(10_000, batch),
                batch=batch if batch < 10_000 else None,  # all of them: nothing to draw
                sweep=True,
            )
            for batch in BATCHES
        ),
        _ROW,
    )
}
"""Every workload by name, in the order of the table."""

_STEP: Final = Workload(name="step", sizes=(10, 10, 1), rows=_in_batches(10_000, 32), batch=32)
_STEP_ROW: Final = replace(_STEP, name="step-row", rows=10_000, batch=1)
_SMALL_ROW: Final = replace(_STEP_ROW, name="step-row-6-16", sizes=(6, 16, 1))

STEPPING: Final[dict[str, Workload]] = {
    workload.name: workload
    for workload in (
        _STEP,
        replace(_STEP, name="train-1"),
        replace(_STEP, name="partial-fit"),
        _STEP_ROW,
        _SMALL_ROW,
        replace(_STEP_ROW, name="run-row", rows=1, batch=None, trains=False),
        replace(_SMALL_ROW, name="run-row-6-16", rows=1, batch=None, trains=False),
    )
}
"""One step, or one answer, a call from Python: what `stepping.py` measures. Batches are taken in their own order."""
