"""From settings to a network and a trainer: what a playground, and the Python code that it hands out, both do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from nineline import Dropout, Layer, Network, Networks, Trainer
from nineline.interactive.settings import (
    DEFAULT_INITIALIZER,
    SUM_OF_SQUARES,
    HiddenLayer,
    Settings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt

    from nineline._typing import Array, RandomSource
    from nineline.interactive.data import Data
    from nineline.layers import AbstractLayer


PARAMETERS_OF_LEVENBERG_MARQUARDT: Final = 1000

_OUTPUTS: Final = {"binary_cross_entropy": "sigmoid", "cross_entropy": "softmax"}
"""The output that a loss needs."""


def make_layers(settings: Settings, inputs: int, outputs: int) -> list[AbstractLayer]:
    """Return the layers that the settings describe, between so many inputs and outputs."""
    how: dict[str, Any] = {"bias": settings.bias}
    if settings.initializer != DEFAULT_INITIALIZER:
        how["initializer"] = settings.initializer
    layers: list[AbstractLayer] = []
    width = inputs
    for hidden in settings.layers:
        layers.append(Layer(width, hidden.nodes, hidden.activation, **how))
        if hidden.dropout:
            layers.append(Dropout(hidden.dropout))
        width = hidden.nodes
    return [*layers, Layer(width, outputs, settings.output, **how)]


def make_network(settings: Settings, data: Data, parameters: Array | None = None) -> Network:
    """Return the network that the settings describe, with its initial weights, or with other parameters."""
    layers = make_layers(settings, data.inputs.shape[1], data.targets.shape[1])
    if parameters is not None:
        network = Network(*layers)
        network.parameters = parameters
    elif settings.start:
        network = Networks(settings.start + 1, *layers, rng=settings.seed)[settings.start]
    else:
        network = Network(*layers, rng=settings.seed)
    return network


def make_trainer(settings: Settings, network: Network, rng: RandomSource = None) -> Trainer:
    """Return a trainer of the network by the settings' rule, which remembers nothing yet.

    What it draws comes from `rng`, else from the settings' seed.

    Raises
    ------
    ValueError
        The loss does not fit the output, or a step would take too long to be steered.
    """
    parameters = network.parameters.size
    if settings.optimizer == "levenberg_marquardt" and parameters > PARAMETERS_OF_LEVENBERG_MARQUARDT:
        raise ValueError(
            f"the network has {parameters:,} parameters; on this page levenberg_marquardt takes "
            f"{PARAMETERS_OF_LEVENBERG_MARQUARDT:,} at most, so that a step is soon over. Take fewer nodes, or lbfgs"
        )
    return Trainer(
        network,
        loss=settings.make_loss(),
        optimizer=settings.make_optimizer(),
        l1=settings.l1,
        l2=settings.l2,
        rng=settings.seed if rng is None else rng,
    )


class Batches:
    """Which rows each step takes: an endless row of epochs, each in a new order.

    Parameters
    ----------
    rows : int
    size : int or None
        Rows a step; None, or no fewer than there are: all of them, as they lie.
    rng : numpy.random.Generator
        Draws the order of an epoch when its first batch is asked for.
    """

    def __init__(self, rows: int, size: int | None, rng: np.random.Generator) -> None:
        self.rows = rows
        self.size = rows if size is None else min(size, rows)
        self.rng = rng
        self.taken = 0
        """Batches that were taken of this epoch."""
        self._order: npt.NDArray[np.intp] | None = None
        self._before: Any = rng.bit_generator.state

    @property
    def an_epoch(self) -> int:
        """How many batches there are in an epoch."""
        return -(-self.rows // self.size)

    @property
    def left(self) -> int:
        """How many batches this epoch still has."""
        return self.an_epoch - self.taken

    def order(self) -> npt.NDArray[np.intp] | None:
        """Return the order of this epoch's rows; None: as they lie."""
        if self.an_epoch == 1:
            return None
        if self._order is None:
            self._before = self.rng.bit_generator.state
            self._order = self.rng.permutation(self.rows)
        return self._order

    def take(self, batches: int) -> None:
        """Go on by some of the batches that are left."""
        self.taken += batches
        if self.taken == self.an_epoch:
            self.taken, self._order = 0, None

    @property
    def state(self) -> tuple[Any, int]:
        """Where this stands, for `restore`."""
        begun = self.taken > 0 and self._order is not None
        return (self._before if begun else self.rng.bit_generator.state), self.taken

    def restore(self, state: tuple[Any, int]) -> None:
        """Go to where `state` was read."""
        self.rng.bit_generator.state, self.taken = state
        self._order = None
        if self.taken:
            self.order()  # so that the generator stands behind it, as it did

    def __iter__(self) -> Iterator[Any]:
        """Yield which rows each step takes, for ever."""
        while True:
            order, start = self.order(), self.taken * self.size
            which: Any = slice(None) if order is None else order[start : start + self.size]
            self.take(1)
            yield which


def batches(rows: int, size: int | None, rng: np.random.Generator) -> Iterator[Any]:
    """Yield which rows each step of a playground takes, for ever: each epoch takes all of them in a new order.

    Parameters
    ----------
    rows : int
    size : int or None
        Rows a step; None: all of them, as they lie.
    rng : numpy.random.Generator
        Draws the orders.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.interactive.building import batches
    >>> feed = batches(5, 2, np.random.default_rng(0))
    >>> [sorted(next(feed).tolist()) for _ in range(3)]
    [[2, 4], [0, 3], [1]]
    """
    return iter(Batches(rows, size, rng))


def fitted(settings: Settings, data: Data) -> Settings:
    """Return the settings with an output and a loss that fit the data, where theirs do not."""
    outputs = data.targets.shape[1]
    if data.task == "number":
        fits = settings.output not in ("sigmoid", "softmax") and not settings.loss.endswith("cross_entropy")
        return settings if fits else replace(settings, output="identity", loss="squared_error")
    one = outputs == 1
    wrong_output = settings.output == "softmax" if one else settings.output != "softmax"
    wrong_loss = settings.loss == ("cross_entropy" if one else "binary_cross_entropy")
    if not wrong_output and not wrong_loss and settings.output in ("sigmoid", "softmax"):
        return settings
    if one:
        return replace(settings, output="sigmoid", loss="binary_cross_entropy")
    return replace(settings, output="softmax", loss="cross_entropy")


def reconciled(settings: Settings, before: Settings, data: Data) -> tuple[Settings, str]:
    """Return settings whose output and loss go together, where one of them was changed, and what has to be said.

    Raises
    ------
    ValueError
        They cannot, with these data.
    """
    several = data.targets.shape[1] > 1
    if not several and "softmax" in (settings.output, _OUTPUTS.get(settings.loss)):
        raise ValueError("softmax and cross entropy share out among several outputs, and here is one; take sigmoid")
    if settings.optimizer == "levenberg_marquardt" and settings.loss not in ("squared_error", SUM_OF_SQUARES):
        if before.optimizer == settings.optimizer:
            raise ValueError("levenberg_marquardt descends squared errors alone; take another optimizer first")
        settings = replace(settings, loss="squared_error")
        return settings, "The loss is squared error now, which levenberg marquardt descends."
    needed = _OUTPUTS.get(settings.loss)
    if needed is None or needed == settings.output:
        return settings, ""
    if settings.output != before.output:
        loss = next((loss for loss, output in _OUTPUTS.items() if output == settings.output), "squared_error")
        return replace(settings, loss=loss), f"The loss is {loss.replace('_', ' ')} now, which goes with this output."
    if data.task != "classes":
        raise ValueError(f"{settings.loss.replace('_', ' ')} is for classes, and these data are numbers")
    return replace(settings, output=needed), f"The output is {needed} now, which this loss goes with."


def like_the_tutorial(settings: Settings) -> Settings:
    """Return the settings of the tutorial: its network, its rule, and its four rows, all of which are learned from."""
    return replace(
        settings,
        data=replace(settings.data, test=0.0),
        layers=(HiddenLayer(6, "sigmoid"),),
        output="sigmoid",
        bias=False,
        initializer=DEFAULT_INITIALIZER,
        loss=SUM_OF_SQUARES,
        optimizer="gradient_descent",
        learning_rate=1.0,
        batch_size=None,
        l1=0.0,
        l2=0.0,
        start=0,
        seed=1,
    )
