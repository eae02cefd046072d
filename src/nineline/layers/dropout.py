"""Dropout: a layer that draws at random in training, and passes everything on when the network runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

from nineline import _checks
from nineline.layers.contract import AbstractLayer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nineline._typing import Array
    from nineline.draws import Draw


@final
class Dropout(AbstractLayer):
    """In training, sets each input to 0 with probability `rate` and multiplies the rest by ``1 / (1 - rate)``.

    When the network runs, it passes everything on unchanged.

    Parameters
    ----------
    rate : float
        In [0, 1).

    Examples
    --------
    >>> from nineline import Dropout, Layer, Network
    >>> network = Network(Layer(8, 32, "relu", bias=True), Dropout(0.2), Layer(32, 1, "sigmoid", bias=True), rng=0)

    References
    ----------
    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting, section 4.
    """

    kind = "dropout"
    stacks = True

    def __init__(self, rate: float = 0.5) -> None:
        self._rate = _checks.number("rate", rate, low=0, high=1, high_open=True)

    @property
    def rate(self) -> float:
        """How probable it is that an input becomes 0. To change it, make a new layer."""
        return self._rate

    def compute(self, inputs: Array, draw: Draw | None = None) -> tuple[Array, Array | None]:
        """Return the inputs, in training times a mask of 0 and ``1 / (1 - rate)``, and the mask."""
        if draw is None:
            return inputs, None
        keep = draw.uniform(*inputs.shape[-2:]) >= np.float32(self.rate)
        mask = keep.astype(inputs.dtype) * inputs.dtype.type(1 / (1 - self.rate))
        return inputs * mask, mask

    def backprop(self, seen: Array | None, output_errors: Array) -> tuple[Array, dict[str, Array]]:
        return output_errors if seen is None else output_errors * seen, {}

    def row_updates(self, seen: Array | None, output_errors: Array) -> dict[str, Array]:
        return {}

    def push_forward(self, seen: Array | None, tangents: Array) -> Array:
        return tangents if seen is None else tangents * seen[:, np.newaxis]

    def curvature(self, seen: Array | None, tangents: Array, output_errors: Array) -> Array:
        return self.straight(tangents)

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "rate": self.rate}

    @classmethod
    def rebuild(cls, described: Mapping[str, Any], blocks: Callable[[str, tuple[int, ...]], Array]) -> Self:
        return cls(described["rate"])

    @classmethod
    def in_words(cls, described: Mapping[str, Any]) -> tuple[str, int]:
        return repr(cls(described["rate"])), 0

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"
