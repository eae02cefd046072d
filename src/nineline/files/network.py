"""A network in a file: its architecture as JSON can hold it, and its learned arrays by their names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.files.container import FileError, read, within_memory, write
from nineline.layers import LAYERS_AT_MOST, kind_of
from nineline.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nineline._typing import Array

TRAINER: Final = "trainer"
"""The kind of file that `Trainer.save` writes."""


def save(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network to one file.

    Parameters
    ----------
    network : Network
        Built of nineline's own layers and activations: a file holds no code, so yours cannot be in it.
    path : path
        Where a file already lies there, it is replaced at the last moment.

    Raises
    ------
    ValueError
        The network holds an activation of your own.
    OSError
        The file cannot be written; what lay there before is untouched.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from nineline import Network
    >>> network = Network(3, 6, 1, rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "tutorial.nineline"
    ...     network.save(path)
    ...     same = Network.load(path)
    >>> bool((same.parameters == network.parameters).all())
    True
    """
    write(path, "network", {"network": describe(network)}, tensors(network))


def load(path: str | os.PathLike[str]) -> Network:
    """Read a network that `save` wrote, with the same parameters to the last bit; or the one in a training's file.

    Raises
    ------
    FileError
        The file is no nineline network, or truncated, or altered, or of a newer format.
    OSError
        The file cannot be read.
    """
    header, arrays = read(path, "network", "checkpoint", TRAINER)
    if header["kind"] == "checkpoint" and header.get("network") is None:
        raise FileError(
            f"{os.fspath(path)} is a checkpoint of a network with layers or activations of your own, and a file holds "
            "no code; build the network in Python and go on with train(..., checkpoint=..., resume=True)"
        )
    return rebuild(path, header.get("network"), arrays)


def describe(network: Network) -> dict[str, Any]:
    """Return a network's architecture as JSON can hold it."""
    if len(network.layers) > LAYERS_AT_MOST:
        raise ValueError(f"the network has {len(network.layers):,} layers; a file takes {LAYERS_AT_MOST:,} at most")
    return {"dtype": str(network.dtype), "layers": [layer.describe() for layer in network.layers]}


def tensors(network: Network, prefix: str = "") -> dict[str, Array]:
    """Return a network's learned arrays by the names they have in a file."""
    for block in network.blocks:
        values = network.parameters[block.place]
        if not np.isfinite(values).all():
            bad = values[~np.isfinite(values)][0]
            raise ValueError(f"{block.name} of the network holds {bad}; a file takes finite parameters only")
    return {prefix + b.name: network.parameters[b.place].reshape(b.shape) for b in network.blocks}


def rebuild(
    path: str | os.PathLike[str],
    described: object,
    arrays: Mapping[str, Array],
    prefix: str = "",
    dtype: str | None = None,
) -> Network:
    """Return the network that `describe` and `tensors` were made from, in its own dtype or another."""
    with within_memory(path):
        try:
            if not isinstance(described, dict):
                raise TypeError("no architecture")
            if described["dtype"] not in ("float32", "float64"):
                raise ValueError(f"dtype {described['dtype']!r}")
            if len(described["layers"]) > LAYERS_AT_MOST:
                raise ValueError(f"{len(described['layers']):,} layers")
            layers = [
                kind_of(layer).rebuild(layer, _blocks(arrays, described["dtype"], f"{prefix}{number}."))
                for number, layer in enumerate(described["layers"])
            ]
            return Network(*layers, dtype=dtype or described["dtype"])
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise FileError(f"{os.fspath(path)} holds no valid network: {error}") from error


def _blocks(arrays: Mapping[str, Array], dtype: str, prefix: str) -> Callable[[str, tuple[int, ...]], Array]:
    """Return what gives a layer its blocks, by name and shape."""

    def block(name: str, shape: tuple[int, ...]) -> Array:
        array = arrays[prefix + name]
        if array.dtype != dtype or array.shape != shape or not np.isfinite(array).all():
            raise ValueError(f"array {prefix}{name} does not fit")
        return array

    return block


def in_words(described: Mapping[str, Any]) -> tuple[list[str], int]:
    """Return the layers of a described architecture as they print, and the number of its parameters."""
    words, parameters = [], 0
    if len(described["layers"]) > LAYERS_AT_MOST:
        raise ValueError(f"{len(described['layers']):,} layers")
    try:
        for layer in described["layers"]:
            text, count = kind_of(layer).in_words(layer)
            words.append(text)
            parameters += count
    except RecursionError:
        raise ValueError("layers within layers within layers, and so on") from None
    return words, parameters
