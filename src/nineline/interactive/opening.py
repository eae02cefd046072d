"""Opening: what a playground begins with, from a table, a model, an example, or a network and arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import Network, _checks
from nineline.activations import ACTIVATIONS
from nineline.interactive.building import fitted, like_the_tutorial
from nineline.interactive.data import Data, check_size, given_data
from nineline.interactive.session import Opened
from nineline.interactive.settings import (
    HIDDEN_ACTIVATIONS,
    LAYERS_AT_MOST,
    NODES_AT_MOST,
    OUTPUT_ACTIVATIONS,
    DataSettings,
    HiddenLayer,
    Settings,
)
from nineline.interactive.table import Table
from nineline.layers import Dropout, Layer

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

_ROWS: Final = 200
"""Of a network that is opened without rows."""


def open_example(name: str) -> Opened:
    """Return a playground of one of `nineline.datasets.DATASETS`; "spiral" is as good as "spirals".

    Raises
    ------
    ValueError
        There is no such example.
    """
    from nineline.datasets import DATASETS

    if f"{name}s" in DATASETS:
        name = f"{name}s"
    if name not in DATASETS:
        raise ValueError(f"example is {_checks.quoted(name)}{_checks.nearest(name, DATASETS)}")
    settings = Settings(data=DataSettings(name=name))
    return Opened(like_the_tutorial(settings) if name == "tutorial" else settings)


def open_table(path: str | os.PathLike[str], target: str) -> Opened:
    """Return a playground of a table.

    Raises
    ------
    ValueError, nineline.tables.TableError, OSError
        It is none, or has no such column.
    """
    table = Table.read(path)
    settings = Settings(data=DataSettings(kind="table", name=table.name, target=target))
    return Opened(fitted(settings, table.data(settings.data)), table)


def open_network(network: Network, X: Any = None, y: Any = None, **rule: Any) -> Opened:
    """Return a playground of a network and its rows.

    Parameters
    ----------
    network : Network
        Dense layers and dropout, of which a page can draw the nodes. It is left as it was.
    X, y : array_like, (rows, n_inputs) and (rows, n_outputs), optional
        As `Network.train` takes them. Without them there are 200 points at random, and the network's own answers.
    **rule
        Of `Settings`: loss, optimizer, learning_rate, batch_size, l1, l2.

    Raises
    ------
    ValueError, TypeError
        The network has layers that are not drawn, or the rows do not fit it.
    """
    if not isinstance(network, Network):
        raise TypeError(f"network is {_checks.quoted(network)} ({type(network).__name__}); expected a Network")
    check_size(network.n_inputs, network.n_outputs)
    base = _described(network)
    if X is None:
        X = np.random.default_rng(0).uniform(-1, 1, (_ROWS, network.n_inputs))
        y = network.run(X)
    elif y is None:
        raise TypeError("y is missing; expected what the network should answer to X")
    rows = network.check_rows(X, y, None, classes=rule.get("loss") == "cross_entropy" or base.loss == "cross_entropy")
    inputs = np.asarray(rows.inputs, np.float64)
    targets = np.asarray(rows.targets)
    if rows.are_classes:
        targets = np.eye(network.n_outputs)[targets.astype(np.intp)]
    settings = Settings.of(rule, replace(base, data=DataSettings(kind="given", name="given", test=0.0)))
    data = given_data(inputs, targets.astype(np.float64), settings.data, _task(targets))
    if "loss" not in rule:
        settings = replace(settings, loss=_loss(network, data))
    return Opened(settings, data=data, parameters=network.parameters.astype(np.float64))


def open_model(path: str | os.PathLike[str]) -> Opened:
    """Return a playground of a network in a file, or of the first network of a model of a table.

    Raises
    ------
    ValueError
        It has layers that are not drawn.
    nineline.files.FileError, OSError
        It is no model, or cannot be read.
    """
    from nineline import Ensemble, estimators, files
    from nineline.tables.several_targets import SeveralAnswers

    if files.read_header(path).get("kind") != "tabular":
        return open_network(Network.load(path))
    model = estimators.load(path)
    if isinstance(model.target_, SeveralAnswers):
        raise ValueError(
            f"{path} predicts {model.target_.in_words()}, and a playground has one target; open the table that it was "
            "trained on with one of them: TABLE --target COLUMN"
        )
    whole = model.network_
    try:
        return open_network(whole.networks[0] if isinstance(whole, Ensemble) else whole)
    except ValueError as error:
        raise ValueError(f"{error}. Open the table that {path} was trained on: TABLE --target COLUMN") from None


def open_path(path: str, target: str | None) -> Opened:
    """Return a playground of what a path leads to: a model, where it ends in .nineline, or a table."""
    if Path(path).suffix == ".nineline":
        if target is not None:
            raise ValueError(f"--target names a column, and {path} is a model; leave one of them out")
        return open_model(path)
    if target is None:
        raise ValueError(f"{path} is a table; say which column is to be predicted: --target COLUMN")
    return open_table(path, target)


def _described(network: Network) -> Settings:
    """Return settings that make a network such as this one, with its own weights."""
    hidden: list[HiddenLayer] = []
    for layer in network.layers:
        if isinstance(layer, Dropout) and hidden:
            hidden[-1] = replace(hidden[-1], dropout=layer.rate)
        elif isinstance(layer, Layer):
            hidden.append(HiddenLayer(layer.weights.shape[1], _name(layer)))
        else:
            raise ValueError(f"network has {layer!r}; the playground draws dense layers, and dropout behind them")
    dense = [layer for layer in network.layers if isinstance(layer, Layer)]
    output = hidden.pop().activation
    biases = {layer.bias is not None for layer in dense}
    widest = max((layer.nodes for layer in hidden), default=0)
    strange = {layer.activation for layer in hidden} - set(HIDDEN_ACTIVATIONS) | ({output} - set(OUTPUT_ACTIVATIONS))
    if len(biases) > 1:
        raise ValueError("some layers of network have a bias and some have none; the playground has one for all")
    if len(hidden) > LAYERS_AT_MOST or widest > NODES_AT_MOST:
        raise ValueError(
            f"network has {len(hidden)} hidden layers of up to {widest} nodes; the playground draws {LAYERS_AT_MOST} "
            f"of {NODES_AT_MOST} at most"
        )
    if strange:
        raise ValueError(f"network has the activation {strange.pop()!r} in a place that the playground has not")
    loss = {"sigmoid": "binary_cross_entropy", "softmax": "cross_entropy"}.get(output, "squared_error")
    return Settings(layers=tuple(hidden), output=output, bias=biases.pop(), start=None, loss=loss, batch_size=32)


def _name(layer: Layer) -> str:
    name = layer.activation.name
    if name not in ACTIVATIONS or layer.activation != ACTIVATIONS[name]():
        raise ValueError(
            f"network has the activation {layer.activation!r}; the playground has those of ACTIVATIONS alone"
        )
    return name


def _task(targets: npt.NDArray[Any]) -> str:
    """Return whether the targets are classes, as a page draws them."""
    return "classes" if set(np.unique(targets[:10_000]).tolist()) <= {0.0, 1.0} else "number"


def _loss(network: Network, data: Data) -> str:
    """Return the mean loss that fits the network's output and the targets."""
    name = network.output_layer.activation.name
    between = bool((data.targets >= 0).all() and (data.targets <= 1).all())
    if name == "softmax" and data.task == "classes":
        return "cross_entropy"
    return "binary_cross_entropy" if name == "sigmoid" and between else "squared_error"
