"""A network beside the lists of arrays that scikit-learn's users know it by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nineline import engines
from nineline.layers import AbstractLayer, Dropout, Layer
from nineline.network import Network
from nineline.rows import ROWS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.activations import Activation


@dataclass(frozen=True)
class Architecture:
    """What stands between the inputs and the outputs.

    Attributes
    ----------
    sizes : tuple of int
        Units of each hidden layer.
    activations : tuple of Activation
        Of each hidden layer.
    dropout : tuple of float
        Behind each hidden layer; 0 is none.
    output : Activation
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    dropout: tuple[float, ...]
    output: Activation


class LayeredNetwork:
    """A network, and its weights and biases as scikit-learn's `coefs_` and `intercepts_`: views into it.

    Parameters
    ----------
    coefs, intercepts : sequence of array
        (inputs, outputs) and (outputs,) of each layer; they are copied.
    architecture : Architecture
    engine : str
        "reference" answers in NumPy, anything else natively where that is possible.
    """

    def __init__(
        self, coefs: Sequence[Array], intercepts: Sequence[Array], architecture: Architecture, engine: str
    ) -> None:
        kind = np.result_type(np.float32, *coefs, *intercepts)
        dtype = np.float32 if kind == np.float32 else np.float64
        nowhere = np.random.default_rng(0)  # nothing is drawn from it
        layers: list[AbstractLayer] = []
        for number, coef in enumerate(coefs):
            inputs, outputs = np.shape(coef)
            activation = architecture.output if number == len(coefs) - 1 else architecture.activations[number]
            layers.append(Layer(inputs, outputs, activation, bias=True, initializer="zeros", rng=nowhere, dtype=dtype))
            if number < len(architecture.dropout) and architecture.dropout[number] > 0:
                layers.append(Dropout(architecture.dropout[number]))
        network = Network(*layers)
        dense = [layer for layer in network.layers if isinstance(layer, Layer)]
        for layer, coef, intercept in zip(dense, coefs, intercepts, strict=True):
            layer.weights[...] = coef
            assert layer.bias is not None
            layer.bias[...] = intercept
        self._take_over(network, architecture, engine)

    def _take_over(self, network: Network, architecture: Architecture, engine: str) -> None:
        self.network, self.architecture, self.engine = network, architecture, engine
        dense = [layer for layer in network.layers if isinstance(layer, Layer)]
        self.coefs: list[Array] = [layer.weights for layer in dense]
        self.intercepts: list[Any] = [layer.bias for layer in dense]
        self._arrays = (*self.coefs, *self.intercepts)
        self.answer: Callable[..., Array | None] = (
            (lambda _inputs, _out=None: None) if engine == "reference" else engines.choose_answerer(network)
        )

    def is_shown_by(self, coefs: Sequence[Array], intercepts: Sequence[Array]) -> bool:
        """Return whether these are still its arrays: somebody may have put others into the lists."""
        arrays = self._arrays
        if len(coefs) + len(intercepts) != len(arrays):
            return False
        number = 0
        for shown in (coefs, intercepts):
            for array in shown:
                if array is not arrays[number]:
                    return False
                number += 1
        return True

    def run(self, rows: Any) -> Array:
        """Return the outputs for checked rows, dense or sparse, (rows, inputs) → (rows, outputs)."""
        if isinstance(rows, np.ndarray):
            outputs = self.answer(rows)
            if outputs is not None:
                return outputs
        pieces = [self._run_piece(rows[at : at + ROWS_AT_ONCE]) for at in range(0, rows.shape[0], ROWS_AT_ONCE)]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _run_piece(self, rows: Any) -> Array:
        piece = dense_rows(rows, self.network.dtype)
        outputs = self.answer(piece)
        return self.network.compute(piece) if outputs is None else outputs

    def input_gradient(self, rows: Any, units: Sequence[int]) -> Array:
        """Return d of some output units / d inputs, by backpropagation, (rows, units, inputs)."""
        network = self.network
        gradients = np.empty((rows.shape[0], len(units), network.n_inputs), network.dtype)
        for at in range(0, rows.shape[0], ROWS_AT_ONCE):
            outputs, seen = dense_rows(rows[at : at + ROWS_AT_ONCE], network.dtype), []
            for layer in network.layers:
                outputs, saw = layer.compute(outputs)
                seen.append(saw)
            for place, unit in enumerate(units):
                errors = np.zeros_like(outputs)
                errors[:, unit] = 1
                for layer, saw in zip(reversed(network.layers), reversed(seen), strict=True):
                    errors, _ = layer.backprop(saw, errors)
                gradients[at : at + len(outputs), place] = errors
        return gradients

    def __getstate__(self) -> dict[str, Any]:
        return {"network": self.network, "architecture": self.architecture, "engine": self.engine}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._take_over(**state)


def dense_rows(rows: Any, dtype: npt.DTypeLike) -> Array:
    """Return rows, dense or sparse, as a C-contiguous array of a dtype."""
    return np.ascontiguousarray(rows if isinstance(rows, np.ndarray) else rows.toarray(), dtype)
