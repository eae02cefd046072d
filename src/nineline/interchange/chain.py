"""A chain: how readers of other libraries' networks put together what they find, piece by piece.

Theirs are linear maps and activations side by side; ours are dense layers, each with its activation. So a linear map
waits until the next piece says which activation it has, or that it has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nineline.activations import Identity
from nineline.layers import Dropout, Layer
from nineline.network import Network

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline.activations import Activation


class Chain:
    """Linear maps, activations and dropout in the order in which they come.

    Parameters
    ----------
    source : str
        What is read, for messages: "the Sequential".
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._layers: list[tuple[npt.NDArray[Any], npt.NDArray[Any] | None, Activation] | float] = []
        self._open = False

    def linear(self, weights: npt.NDArray[Any], bias: npt.NDArray[Any] | None) -> None:
        """Add ``x @ weights + bias``, weights of (inputs, outputs)."""
        for name, array in (("weights", weights), ("bias", bias)):
            if array is not None and array.dtype not in (np.float32, np.float64):
                raise ValueError(
                    f"{self.source} has {name} of {array.dtype}; expected float32 or float64: convert it first"
                )
        self._layers.append((weights, bias, Identity()))
        self._open = True

    def activation(self, activation: Activation, name: str) -> None:
        """Give the linear map before it an activation."""
        if not self._open or isinstance(self._layers[-1], float):
            raise ValueError(
                f"{self.source} has {name} where no linear map stands before it; a layer of nineline's is a linear "
                "map and one activation"
            )
        weights, bias, _ = self._layers[-1]
        self._layers[-1] = weights, bias, activation
        self._open = False

    def dropout(self, rate: float) -> None:
        """Add dropout, which acts in training alone."""
        self._layers.append(float(rate))
        self._open = False

    def network(self) -> Network:
        """Return the network.

        Raises
        ------
        ValueError
            There is no linear map, or dropout at the end, or widths that do not fit.
        """
        arrays = [entry for entry in self._layers if not isinstance(entry, float)]
        if not arrays:
            raise ValueError(f"{self.source} has no linear map; there is nothing to make a network of")
        kinds = {array.dtype for weights, bias, _ in arrays for array in (weights, bias) if array is not None}
        if len(kinds) > 1:
            raise ValueError(f"{self.source} mixes float32 and float64; convert it to one of them first")
        return Network(*(Dropout(entry) if isinstance(entry, float) else Layer.of(*entry) for entry in self._layers))
