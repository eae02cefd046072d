"""Many networks of one shape in a file: the first as one network is, and the parameters of all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import numpy as np

from nineline.files.container import FileError, read, within_memory, write
from nineline.files.network import describe, rebuild, tensors
from nineline.networks import Networks

if TYPE_CHECKING:
    from nineline._typing import Array

NETWORKS: Final = "networks"
"""The kind of file that `Networks.save` writes."""
CHECKPOINT_OF_NETWORKS: Final = "checkpoint of networks"
"""And that of a checkpoint of their training."""


def save_networks(networks: Networks, path: str | os.PathLike[str]) -> None:
    """Write many networks to one file.

    Raises
    ------
    ValueError
        They hold an activation or a layer of your own, or a parameter that is not finite.
    OSError
        The file cannot be written; what lay there before is untouched.
    """
    odd = np.flatnonzero(~np.isfinite(networks.parameters).all(axis=1))
    if len(odd):
        raise ValueError(f"network {odd[0]} holds parameters that are not finite; a file takes finite parameters only")
    write(path, NETWORKS, {"network": describe(networks.one), "count": len(networks)}, arrays_of(networks))


def arrays_of(networks: Networks) -> dict[str, Array]:
    """Return the arrays of many networks by the names they have in a file."""
    return {**tensors(networks[0]), "parameters": networks.parameters}


def load_networks(path: str | os.PathLike[str]) -> Networks:
    """Read what `save_networks` wrote, or the networks of a checkpoint.

    Raises
    ------
    FileError
        The file is none of those, or truncated, or altered, or of a newer format.
    OSError
        The file cannot be read.
    """
    header, arrays = read(path, NETWORKS, CHECKPOINT_OF_NETWORKS)
    if header.get("network") is None:
        raise FileError(
            f"{os.fspath(path)} is a checkpoint of networks with layers or activations of your own, and a file holds "
            "no code; build them in Python and go on with train(..., checkpoint=..., resume=True)"
        )
    first = rebuild(path, header["network"], arrays)
    parameters = arrays.get("parameters")
    fits = (
        parameters is not None
        and parameters.ndim == 2
        and len(parameters) > 0
        and parameters.shape[1] == first.parameters.size
        and parameters.dtype == first.dtype
        and np.isfinite(parameters).all()
    )
    if parameters is None or not fits:
        raise FileError(f"{os.fspath(path)} holds no valid networks: array parameters does not fit")
    with within_memory(path):
        return Networks.within(first, parameters)
