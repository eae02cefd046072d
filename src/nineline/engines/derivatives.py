"""Derivatives of a network's outputs by its inputs, in NumPy: the definition, meant to be read.

The Jacobian is backpropagation with an error of 1 at one output after another. The Hessian of one output adds up what
each layer bends, along the directions of the inputs carried forward, weighed by the errors carried back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.layers import compute_chain, curvature_of_chain
from nineline.rows import dense

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nineline._typing import Array
    from nineline.network import Network
    from nineline.rows import Inputs

_NUMBERS_AT_ONCE: Final = 2**20  # of a layer's directions


def jacobian(network: Network, inputs: Inputs, into: Array) -> None:
    """Write d outputs / d inputs of checked rows into an array, (rows, n_outputs, n_inputs)."""
    for piece, seen in _pieces(network, inputs, network.n_outputs):
        for output in range(network.n_outputs):
            into[piece, output] = _slopes(network, seen, output)


def hessian(network: Network, inputs: Inputs, output: int, into: Array) -> None:
    """Write the second derivatives of one output by the inputs of checked rows into (rows, n_inputs, n_inputs)."""
    for piece, seen in _pieces(network, inputs, network.n_inputs):
        rows = len(into[piece])
        straight = np.broadcast_to(np.eye(network.n_inputs, dtype=into.dtype), into[piece].shape)
        errors = _one_hot(network, rows, output)
        into[piece] = curvature_of_chain(network.layers, seen, straight, errors)


def _pieces(network: Network, inputs: Inputs, directions: int) -> Iterator[tuple[slice, list[Any]]]:
    """Run rows forward a piece at a time, and yield which they are and what each layer saw."""
    widest = max([network.n_inputs, *(layer.n_outputs or 0 for layer in network.layers)])
    step = max(1, _NUMBERS_AT_ONCE // (widest * directions))
    for start in range(0, inputs.shape[0], step):
        piece = slice(start, min(start + step, inputs.shape[0]))
        yield piece, compute_chain(network.layers, dense(inputs, piece))[1]


def _slopes(network: Network, seen: list[Any], output: int) -> Array:
    """Return d one output / d inputs, (rows, n_inputs)."""
    errors = _one_hot(network, len(seen[-1].outputs), output)
    for layer, saw in zip(reversed(network.layers), reversed(seen), strict=True):
        errors, _ = layer.backprop(saw, errors)
    return errors


def _one_hot(network: Network, rows: int, output: int) -> Array:
    errors: Array = np.zeros((rows, network.n_outputs), network.dtype)
    errors[:, output] = 1
    return errors
