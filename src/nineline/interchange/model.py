"""A trained model as exporters take it: a network, and of a table the columns before it and the target behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.activations import ACTIVATIONS, Activation, Softmax
from nineline.ensemble import Ensemble
from nineline.layers import Dropout, Layer
from nineline.network import Network
from nineline.targets import TargetScaling

if TYPE_CHECKING:
    from nineline._typing import Array
    from nineline.columns import Columns


@dataclass(frozen=True)
class Dense:
    """One dense layer, ``activation(inputs @ weights + bias)``, as exporters write it down."""

    number: int
    """Of the layer in its network, dropout counted; in an ensemble, counted on from one network to the next."""
    weights: Array
    bias: Array | None
    activation: Activation
    activation_name: str

    @property
    def n_inputs(self) -> int:
        """How many numbers it takes."""
        return int(self.weights.shape[0])

    @property
    def n_outputs(self) -> int:
        """How many numbers it gives."""
        return int(self.weights.shape[1])

    def __str__(self) -> str:
        bias = "" if self.bias is not None else ", no bias"
        return f"layer {self.number}: {self.n_inputs} to {self.n_outputs}, {self.activation_name}{bias}"


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
        """Take a `Network`, or a fitted estimator of `nineline.estimators`, apart.

        Raises
        ------
        TypeError
            It is neither.
        ValueError
            An estimator that was not fitted, or an activation of your own, which no other program knows.
        """
        if isinstance(model, Network):
            trained = cls(model)
        elif isinstance(network := getattr(model, "network_", None), (Network, Ensemble)):
            trained = cls(network, getattr(model, "columns_", None), _target(model, network))
        elif hasattr(model, "fit"):
            raise ValueError(f"the {type(model).__name__} is not fitted; call fit before it is exported")
        else:
            raise TypeError(f"model is a {type(model).__name__}; expected a Network or an estimator of nineline's")
        _ = trained.layers  # refuses what cannot be sent, now
        return trained

    @property
    def layers(self) -> list[Dense]:
        """The layers that compute, of all networks; dropout only learns."""
        return [layer for network in self.networks for layer in network]

    @property
    def networks(self) -> list[list[Dense]]:
        """The layers of each network; the answer is the mean of theirs."""
        found, first = [], 0
        for network in networks_of(self.network):
            found.append(_dense_layers(network, first))
            first += len(network.layers)
        return found

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


def networks_of(network: Network | Ensemble) -> tuple[Network, ...]:
    """Return an ensemble's networks, or a network as the only one."""
    return network.networks if isinstance(network, Ensemble) else (network,)


def _dense_layers(network: Network, first: int) -> list[Dense]:
    names = {kind: name for name, kind in ACTIVATIONS.items()}
    found = []
    for number, layer in enumerate(network.layers, first):
        if isinstance(layer, Dropout):
            continue
        if not isinstance(layer, Layer) or type(layer.activation) not in names:
            own = layer.activation if isinstance(layer, Layer) else layer
            raise ValueError(
                f"layer {number} has {own!r}, which is your own and cannot be written for another program; use one "
                f"of nineline's: {', '.join(ACTIVATIONS)}"
            )
        name = names[type(layer.activation)]
        found.append(Dense(number, layer.weights, layer.bias, layer.activation, name))
    return found


def _target(model: object, network: Network | Ensemble) -> Target | None:
    """Return what an estimator predicts; None for several labels or numbers at once, which the outputs are."""
    name = getattr(model, "target_name_", "target")
    if (classes := getattr(model, "classes_", None)) is not None:
        outputs = 1 if len(classes) == 2 else len(classes)
        one = outputs == 1 or isinstance(network.output_layer.activation, Softmax)
        return Target(name, classes=tuple(classes.tolist())) if one and network.n_outputs == outputs else None
    scaling = getattr(model, "scaling_", None)
    return Target(name, scaling=scaling) if isinstance(scaling, TargetScaling) else None
