"""A chain: how readers of other libraries' networks put together what they find, piece by piece.

Theirs are linear maps and activations side by side; ours are dense layers, each with its activation. So a linear map
waits until the next piece says which activation it has, or that it has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nineline.activations import Identity
from nineline.layers import AbstractLayer, Dropout, Embedding, Layer, LayerNorm, Residual
from nineline.network import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline.activations import Activation


class Chain:
    """Linear maps, activations and other layers in the order in which they come.

    Parameters
    ----------
    source : str
        What is read, for messages: "the Sequential".
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._layers: list[AbstractLayer] = []
        self._around: list[list[AbstractLayer]] = []
        """What came before each residual connection that is not at its end yet."""
        self._open = False

    def linear(self, weights: npt.NDArray[Any], bias: npt.NDArray[Any] | None) -> None:
        """Add ``x @ weights + bias``, weights of (inputs, outputs)."""
        self._check(("weights", weights), ("bias", bias))
        self._add(Layer.of(weights, bias, Identity()))
        self._open = True

    def activation(self, activation: Activation, name: str) -> None:
        """Give the linear map before it an activation."""
        linear = self._layers[-1] if self._open else None
        if not isinstance(linear, Layer):
            raise ValueError(
                f"{self.source} has {name} where no linear map stands before it; a layer of nineline's is a linear "
                "map and one activation"
            )
        self._layers[-1] = Layer.of(linear.weights, linear.bias, activation)
        self._open = False

    def dropout(self, rate: float) -> None:
        """Add dropout, which acts in training alone."""
        self._add(Dropout(float(rate)))

    def layer_norm(self, gain: npt.NDArray[Any], bias: npt.NDArray[Any], epsilon: float) -> None:
        """Add a layer normalisation, gain and bias of (width,)."""
        self._check(("gain", gain), ("bias", bias))
        self._add(LayerNorm.of(gain, bias, epsilon))

    def embedding(self, vectors: Sequence[npt.NDArray[Any]], numbers: int = 0) -> None:
        """Add an embedding, vectors of (levels, width) for each column."""
        self._check(*(("vectors", each) for each in vectors))
        self._add(Embedding.of(vectors, numbers))

    def begin_residual(self) -> None:
        """Begin a residual connection: what comes now is inside."""
        self._around.append(self._layers)
        self._layers, self._open = [], False

    def end_residual(self) -> None:
        """End the last one that was begun."""
        residual = Residual(*self._layers)
        self._layers = self._around.pop()
        self._add(residual)

    def network(self) -> Network:
        """Return the network.

        Raises
        ------
        ValueError
            There is no linear map, or none at the end, or widths that do not fit.
        """
        if not any(isinstance(layer, Layer) for layer in self._layers):
            raise ValueError(f"{self.source} has no linear map; there is nothing to make a network of")
        kinds = {array.dtype for layer in self._layers for array in layer.blocks().values()}
        if len(kinds) > 1:
            raise ValueError(f"{self.source} mixes float32 and float64; convert it to one of them first")
        return Network(*self._layers)

    def _add(self, layer: AbstractLayer) -> None:
        self._layers.append(layer)
        self._open = False

    def _check(self, *arrays: tuple[str, npt.NDArray[Any] | None]) -> None:
        for name, array in arrays:
            if array is not None and array.dtype not in (np.float32, np.float64):
                raise ValueError(
                    f"{self.source} has {name} of {array.dtype}; expected float32 or float64: convert it first"
                )
        if len({array.dtype for _, array in arrays if array is not None}) > 1:
            raise ValueError(f"{self.source} mixes float32 and float64; convert it to one of them first")
