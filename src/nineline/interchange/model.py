"""A trained model as exporters take it: a network, and of a table the columns before it and the target behind it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import numpy as np

from nineline.activations import ACTIVATIONS, Softmax
from nineline.ensemble import Ensemble
from nineline.layers import AbstractLayer, Dropout, Embedding, Layer, LayerNorm, Residual
from nineline.network import Network
from nineline.tables.several_targets import SeveralAnswers
from nineline.tables.targets import TargetScaling

if TYPE_CHECKING:
    from collections.abc import Callable

    from nineline.tables.columns import Columns
    from nineline.tables.text import Text


Kind = TypeVar("Kind", bound=AbstractLayer)


@dataclass(frozen=True)
class Placed(Generic[Kind]):
    """A layer and its place.

    Attributes
    ----------
    number : str
        Of the layer in its network, "3"; of one that lies inside another, "3_0". In an ensemble it is counted on from
        one network to the next.
    layer : AbstractLayer
    """

    number: str
    layer: Kind

    @property
    def inner(self) -> list[Placed[AbstractLayer]]:
        """The layers that this one holds."""
        return [Placed(f"{self.number}_{place}", layer) for place, layer in enumerate(self.layer.layers)]

    def __str__(self) -> str:
        return f"layer {self.number}: {_LAYERS[type(self.layer)](self.layer)}"


_AS_IT_IS: Final = TargetScaling(mean=0.0, scale=1.0)


@dataclass(frozen=True)
class Target:
    """What an estimator predicts: one of `classes`, or a number, which `scaling` makes of the outputs."""

    name: str
    classes: tuple[Any, ...] | None = None
    scaling: TargetScaling = _AS_IT_IS


@dataclass(frozen=True)
class TrainedModel:
    """A trained model, taken apart for an exporter.

    Attributes
    ----------
    network : Network or Ensemble
    columns : Columns or None
        What turns a row of the table into the network's inputs; None where the model takes numbers as they are.
    target : Target or None
    """

    network: Network | Ensemble
    columns: Columns | None = None
    target: Target | None = None

    @classmethod
    def of(cls, model: object) -> TrainedModel:
        """Take a `Network` or an `Ensemble`, or a fitted estimator of `nineline.estimators`, apart.

        Raises
        ------
        TypeError
            It is neither.
        ValueError
            An estimator that was not fitted, or an activation of your own, which no other program knows.
        """
        if isinstance(model, Ensemble):
            if model.weights is not None:
                raise ValueError("the networks of the ensemble count differently; other programs are sent a plain mean")
            trained = cls(model)
        elif isinstance(model, Network):
            trained = cls(model)
        elif isinstance(network := getattr(model, "network_", None), (Network, Ensemble)):
            trained = cls(network, getattr(model, "columns_", None), _target(model, network))
        elif hasattr(model, "fit"):
            raise ValueError(f"the {type(model).__name__} is not fitted; call fit before it is exported")
        else:
            raise TypeError(
                f"model is a {type(model).__name__}; expected a Network or an estimator of nineline's, or an Ensemble"
            )
        _ = trained.layers  # refuses what cannot be sent, now
        return trained

    @property
    def layers(self) -> list[Placed[AbstractLayer]]:
        """The layers of all networks."""
        return [placed for network in self.networks for placed in network]

    @property
    def networks(self) -> list[list[Placed[AbstractLayer]]]:
        """The layers of each network; the answer is the mean of theirs."""
        return placed_layers(self.network)

    def astype(self, dtype: np.dtype[np.floating[Any]]) -> TrainedModel:
        """Return the same with parameters of another dtype.

        Raises
        ------
        ValueError
            A parameter is too large for it.
        """
        with np.errstate(over="ignore"):
            network = self.network.astype(dtype)
        if not np.isfinite(network.parameters).all():
            raise ValueError(f"a parameter of the network is too large for {dtype}; export as float64 (double)")
        return replace(self, network=network)


def no_text(column: Text, language: str) -> ValueError:
    """Return the error for a column of free text, whose words a program in another language cannot find."""
    return ValueError(
        f"column {column.name!r} is free text, which cannot be written as {language}: small letters, and where a word "
        "ends, take tables of all Unicode; fit without this column, or export to Python (to_python)"
    )


def placed_layers(network: Network | Ensemble) -> list[list[Placed[AbstractLayer]]]:
    """Return the layers of a network, or of each of an ensemble's, with their places.

    Raises
    ------
    ValueError
        A layer or an activation is your own.
    """
    networks = network.networks if isinstance(network, Ensemble) else (network,)
    numbers = itertools.count()
    found = [[Placed(str(next(numbers)), layer) for layer in one.layers] for one in networks]
    for placed in itertools.chain(*found):
        _refuse_own(placed)
    return found


def _refuse_own(placed: Placed[AbstractLayer]) -> None:
    layer = placed.layer
    activation = getattr(layer, "activation", None)
    own_activation = activation is not None and type(activation) not in ACTIVATIONS.values()
    own = layer if type(layer) not in _LAYERS else activation if own_activation else None
    if own is not None:
        raise ValueError(
            f"layer {placed.number} has {own!r}, which is your own and cannot be written for another program; use one "
            f"of nineline's: {', '.join(ACTIVATIONS)}"
        )
    for each in placed.inner:
        _refuse_own(each)


def _dense(layer: Layer) -> str:
    bias = ", no bias" if layer.bias is None else ""
    return f"{layer.n_inputs} to {layer.n_outputs}, {layer.activation.name}{bias}"


def _embedding(layer: Embedding) -> str:
    columns = ", ".join(f"{levels} to {width}" for levels, width in zip(layer.levels, layer.widths, strict=True))
    return f"vectors of levels, {columns}" + (f", and {layer.numbers} numbers" if layer.numbers else "")


def _layer_norm(layer: LayerNorm) -> str:
    return f"{layer.n_inputs} normalised"


def _residual(layer: Residual) -> str:
    return f"{layer.n_inputs}, added to what the layers inside make of them"


_LAYERS: Final[dict[type[AbstractLayer], Callable[[Any], str]]] = {
    Layer: _dense,
    Dropout: repr,
    Embedding: _embedding,
    LayerNorm: _layer_norm,
    Residual: _residual,
}
"""Says in a few words what a layer is. Who adds a kind here adds it to the table of every writer."""


def _target(model: object, network: Network | Ensemble) -> Target | None:
    """Return what an estimator predicts; None for several labels or numbers at once, which the outputs are."""
    learned = getattr(model, "target_", None)
    if isinstance(learned, SeveralAnswers):
        raise ValueError(
            f"model predicts {learned.in_words()}, and what is exported of a model of a table has one target; fit a "
            "model for each, or export a network of it, whose outputs are scaled: model.members_[0].to_onnx(path)"
        )
    name = getattr(model, "target_name_", "target")
    if (classes := getattr(model, "classes_", None)) is not None:
        outputs = 1 if len(classes) == 2 else len(classes)
        one = outputs == 1 or isinstance(network.output_layer.activation, Softmax)
        return Target(name, classes=tuple(classes.tolist())) if one and network.n_outputs == outputs else None
    scaling = getattr(model, "scaling_", None)
    return Target(name, scaling=scaling) if isinstance(scaling, TargetScaling) else None
