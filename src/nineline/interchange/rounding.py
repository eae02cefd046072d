"""Rounding weights to eight bits: a quarter of the room, and a measured loss of accuracy.

Every unit has a scale of its own: ``weights[:, j] ~ scale[j] * whole[:, j]`` with whole numbers from -127 to 127 and
``scale[j] = max |weights[:, j]| / 127``, so that no weight is off by more than half a scale. Biases stay as they are,
and so do the vectors of an embedding, the gain and the bias of a layer normalisation.
"""

from __future__ import annotations

import itertools
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.interchange.model import Placed, TrainedModel, placed_layers
from nineline.interchange.samples import encode, sample_inputs, sample_rows
from nineline.layers import AbstractLayer, Dropout, Embedding, Layer, LayerNorm, Residual

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.ensemble import Ensemble
    from nineline.network import Network


_ROWS: Final = 1000


@dataclass(frozen=True)
class Rounded:
    """One layer's weights in eight bits.

    Attributes
    ----------
    whole : array of int8, (inputs, outputs)
    scale : array, (outputs,)
    """

    whole: npt.NDArray[np.int8]
    scale: Array


def to_int8(weights: Array) -> Rounded:
    """Round a matrix of weights, (inputs, outputs).

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.interchange.rounding import to_int8
    >>> to_int8(np.array([[0.5], [-1.27]])).whole.ravel()
    array([  50, -127], dtype=int8)
    """
    scale = np.abs(weights).max(axis=0) / 127
    scale = np.where(scale > 0, scale, 1).astype(weights.dtype)  # where it is 0, or below what dtype can say
    return Rounded(np.clip(np.rint(weights / scale), -127, 127).astype(np.int8), scale)


def round_network(network: Network | Ensemble) -> tuple[Network | Ensemble, dict[str, Rounded]]:
    """Return a twin whose weights are the rounded ones, and those by the layer's number, as `Placed` has it.

    The twin answers as the exported network will, so what rounding costs can be measured on it.

    Raises
    ------
    ValueError
        A layer or an activation is your own.
    """
    twin = network.astype(network.dtype)
    rounded: dict[str, Rounded] = {}
    for placed in itertools.chain(*placed_layers(twin)):
        _LAYERS[type(placed.layer)](placed, rounded)
    return twin, rounded


def _round(placed: Placed[Layer], rounded: dict[str, Rounded]) -> None:
    layer = placed.layer
    rounded[placed.number] = to_int8(layer.weights)
    layer.weights = rounded[placed.number].whole * rounded[placed.number].scale


def _leave(placed: Placed[AbstractLayer], rounded: dict[str, Rounded]) -> None:
    pass


def _round_inner(placed: Placed[Residual], rounded: dict[str, Rounded]) -> None:
    for each in placed.inner:
        _LAYERS[type(each.layer)](each, rounded)


_LAYERS: Final[dict[type[AbstractLayer], Callable[[Any, dict[str, Rounded]], None]]] = {
    Layer: _round,
    Dropout: _leave,
    Embedding: _leave,
    LayerNorm: _leave,
    Residual: _round_inner,
}
"""Rounds a layer's weights, and notes them by its number."""


def cost(model: object, table: Any = None, truth: Any = None) -> list[str]:
    """Say in sentences what rounding a model's weights to eight bits costs.

    Parameters
    ----------
    model : Network or estimator of nineline's
    table, truth : DataFrame and array_like, optional
        Rows to judge an estimator by, as its `score` takes them. Without, outputs are compared on made-up rows.

    Examples
    --------
    >>> from nineline import Network
    >>> from nineline.interchange.rounding import cost
    >>> cost(Network(3, 6, 1, rng=0))
    ['outputs move by 0.0007 at most, 0.00026 on average, over 1,000 made-up rows']
    """
    trained = TrainedModel.of(model)
    twin, _ = round_network(trained.network)
    columns = trained.columns
    inputs = sample_inputs(_ROWS, twin) if columns is None else encode(sample_rows(_ROWS, columns), columns)
    before, after = trained.network.run(inputs), twin.run(inputs)
    gap = np.abs(before - after)
    said = f"outputs move by {gap.max():.2g} at most, {gap.mean():.2g} on average, over {_ROWS:,} made-up rows"
    if before.shape[1] > 1:
        said += f"; another one is the largest in {np.mean(before.argmax(axis=1) != after.argmax(axis=1)):.1%} of them"
    sentences = [said]
    if table is not None:
        if columns is None:
            raise TypeError(f"table is for a model of a table, and model is a {type(model).__name__}")
        estimator: Any = model
        rounded = copy(estimator)
        rounded.network_ = twin
        measure = "accuracy" if hasattr(estimator, "classes_") else "R²"
        scores = f"{estimator.score(table, truth):.4f}, rounded {rounded.score(table, truth):.4f}"
        sentences.append(f"{measure} on {len(truth):,} rows: {scores}")
    return sentences
