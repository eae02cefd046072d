"""Data, initial weights and orders of batches: made once by NumPy from a seed, and the same for every peer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from benchmarks.workloads import Workload

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Parameters: TypeAlias = list[tuple[Array, Array | None]]
"""Weights (inputs, outputs) and bias (outputs,) or None of each layer."""

SEED: Final = 0
MNIST: Final = Path(__file__).parents[2] / "shared" / "data" / "mnist.npz"
"""Handwritten digits, where they are: arrays x_train (60000, 28, 28) of bytes and y_train."""


@dataclass(frozen=True)
class Data:
    """What a peer is given.

    Attributes
    ----------
    inputs : array, (rows, inputs)
    targets : array, (rows, outputs)
        One-hot for cross-entropy.
    parameters : Parameters
        Where every training begins.
    note : str
        Where the rows are from, if that is worth saying.
    """

    inputs: Array
    targets: Array
    parameters: Parameters
    note: str = ""

    def save(self, path: Path) -> None:
        """Write it to a file, which worker processes load."""
        arrays = {"inputs": self.inputs, "targets": self.targets, "note": np.array(self.note)}
        for number, (weights, bias) in enumerate(self.parameters):
            arrays[f"{number}.weights"] = weights
            if bias is not None:
                arrays[f"{number}.bias"] = bias
        np.savez(path, **arrays)

    def batches(self, rows: int) -> list[tuple[Array, Array]]:
        """Return inputs and targets in batches, in their own order; nothing is copied."""
        starts = range(0, len(self.inputs), rows)
        return [(self.inputs[start : start + rows], self.targets[start : start + rows]) for start in starts]

    @classmethod
    def load(cls, path: Path) -> Data:
        """Read what `save` wrote."""
        with np.load(path) as file:
            layers = sum(name.endswith(".weights") for name in file)
            parameters: Parameters = [(file[f"{i}.weights"], file.get(f"{i}.bias")) for i in range(layers)]
            return cls(file["inputs"], file["targets"], parameters, str(file["note"]))


def make(workload: Workload) -> Data:
    """Return the workload's rows and initial weights."""
    rng = np.random.default_rng(SEED)
    note = ""
    if workload.data == "tutorial":
        inputs, targets = _tutorial()
    elif workload.data == "expm":
        inputs, targets = _matrix_exponentials(workload, rng)
    elif workload.data == "mnist":
        inputs, targets, note = _digits(workload, rng)
    else:
        inputs, targets = _smooth(workload, rng)
    return Data(inputs.astype(workload.dtype), targets.astype(workload.dtype), _parameters(workload, rng), note)


def batches_in_order(workload: Workload) -> Array | None:
    """Return which rows each of the check's steps takes, (steps, batch); None where that is all of them."""
    if workload.batch is None:
        return None
    rng = np.random.default_rng(SEED + 1)
    epochs = -(-workload.check_steps // workload.steps_an_epoch)
    order = np.concatenate([rng.permutation(workload.rows) for _ in range(epochs)])
    return order[: workload.check_steps * workload.batch].reshape(-1, workload.batch)


def loss(workload: Workload, parameters: Parameters, data: Data) -> float:
    """Return the workload's loss of a network with these parameters, in float64, by plain NumPy."""
    outputs = data.inputs.astype(np.float64)
    for number, (weights, bias) in enumerate(parameters):
        outputs = outputs @ weights.astype(np.float64) + (0 if bias is None else bias)
        last = number == len(parameters) - 1
        outputs = _activate(workload.output if last else workload.activation, outputs)
    return loss_of_outputs(workload, outputs, data.targets)


def loss_of_outputs(workload: Workload, outputs: Array, targets: Array) -> float:
    """Return the workload's loss of these outputs."""
    if workload.loss == "cross_entropy":
        return float(-(targets * np.log(np.maximum(outputs, np.finfo(np.float64).tiny))).sum(axis=1).mean())
    by_row = ((outputs - targets) ** 2).sum(axis=1) / 2
    return float(by_row.sum() if workload.loss == "squared_error_sum" else by_row.mean())


def _activate(name: str, z: Array) -> Array:
    if name == "softmax":
        powers = np.exp(z - z.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    functions = {
        "identity": lambda z: z,
        "relu": lambda z: np.maximum(z, 0),
        "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
        "tanh": np.tanh,
    }
    return functions[name](z)


def _parameters(workload: Workload, rng: np.random.Generator) -> Parameters:
    parameters: Parameters = []
    for inputs, outputs in pairwise(workload.sizes):
        bound = 1.0 if workload.data == "tutorial" else np.sqrt(6 / (inputs + outputs))  # Trask's, Glorot's
        weights = rng.uniform(-bound, bound, (inputs, outputs)).astype(workload.dtype)
        parameters.append((weights, np.zeros(outputs, workload.dtype) if workload.bias else None))
    return parameters


def _tutorial() -> tuple[Array, Array]:
    return np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]), np.array([[0], [1], [1], [0]])


def _matrix_exponentials(workload: Workload, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return 2×2 matrices of normal numbers and their exponentials, the example of SimpleChains.jl's documentation."""
    from scipy.linalg import expm

    inputs = rng.normal(size=(workload.rows, 4))
    return inputs, expm(inputs.reshape(-1, 2, 2)).reshape(-1, 4)


def _smooth(workload: Workload, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return normal inputs and sums of a few sines of them."""
    inputs = rng.normal(size=(workload.rows, workload.sizes[0]))
    directions = rng.normal(size=(workload.sizes[0], workload.sizes[-1])) / np.sqrt(workload.sizes[0])
    phases = inputs @ directions
    return inputs, np.sin(2 * phases) + phases / 2


def _digits(workload: Workload, rng: np.random.Generator) -> tuple[Array, Array, str]:
    if MNIST.exists():
        with np.load(MNIST) as file:
            inputs = file["x_train"][: workload.rows].reshape(workload.rows, -1).astype(np.float32) / 255
            labels, note = file["y_train"][: workload.rows], "the handwritten digits of MNIST"
    else:
        inputs = rng.random((workload.rows, workload.sizes[0]), np.float32)
        labels, note = rng.integers(workload.sizes[-1], size=workload.rows), "random numbers in the shape of MNIST"
    return inputs, np.eye(workload.sizes[-1])[labels], note
