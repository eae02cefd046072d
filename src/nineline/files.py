"""Files: one file a model, safe to open.

The container is safetensors: a JSON header and raw arrays, nothing that runs. Under its metadata key
``nineline`` lies a JSON text with a format version, a digest and what the arrays belong to. The digest is the
SHA-256 of the whole file with the digest's own 64 characters taken as zeros, so that a change of any byte is
found. A file is written under another name beside its place, synced to disk, and then renamed over it: at
every moment there is either the old file or the new one. docs/format.md describes the format.

A file may come from a stranger. Its header is bounded and read first; what it says about sizes is held against the
file before memory is taken, every name and number is checked, and whatever is wrong comes out as a `FileError`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from nineline.activations import ACTIVATIONS, Activation
from nineline.initializers import Initializer, Normal, Scaled, Uniform, Zeros
from nineline.layers import Dropout, Layer, summary
from nineline.network import Network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nineline._typing import Array
    from nineline.layers import AbstractLayer

FORMAT_VERSION: Final = 3
TRAINER: Final = "trainer"
"""The kind of file that `Trainer.save` writes."""
_KEY: Final = "nineline"
_NO_DIGEST: Final = "0" * 64
_INITIALIZERS: Final[dict[str, type[Initializer]]] = {kind.__name__: kind for kind in (Normal, Scaled, Uniform, Zeros)}
_TEMPORARY: Final = ".nineline-"
_ITEM_SIZES: Final = {"F32": 4, "F64": 8, "I64": 8}
_HEADER_AT_MOST: Final = 2**24  # bytes; a table of a thousand columns takes a hundredth of it
_LAYERS_AT_MOST: Final = 1000


class FileError(ValueError):
    """A file is not a model that this version of nineline can read; the message names the file and the reason."""


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
    if len(network.layers) > _LAYERS_AT_MOST:
        raise ValueError(f"the network has {len(network.layers):,} layers; a file takes {_LAYERS_AT_MOST:,} at most")
    return {"dtype": str(network.dtype), "layers": [_describe_layer(layer) for layer in network.layers]}


def tensors(network: Network, prefix: str = "") -> dict[str, Array]:
    """Return a network's learned arrays by the names they have in a file."""
    for block in network.blocks:
        values = network.parameters[block.place]
        if not np.isfinite(values).all():
            bad = values[~np.isfinite(values)][0]
            raise ValueError(f"{block.name} of the network holds {bad}; a file takes finite parameters only")
    return {prefix + b.name: network.parameters[b.place].reshape(b.shape) for b in network.blocks}


def rebuild(path: str | os.PathLike[str], described: object, arrays: Mapping[str, Array], prefix: str = "") -> Network:
    """Return the network that `describe` and `tensors` were made from."""
    try:
        if not isinstance(described, dict):
            raise TypeError("no architecture")
        if described["dtype"] not in ("float32", "float64"):
            raise ValueError(f"dtype {described['dtype']!r}")
        if len(described["layers"]) > _LAYERS_AT_MOST:
            raise ValueError(f"{len(described['layers']):,} layers")
        for number, layer in enumerate(described["layers"]):  # before memory is taken for it
            if layer["kind"] == "dense":
                size = layer["inputs"], layer["outputs"]
                if arrays[f"{prefix}{number}.weights"].shape != size:
                    raise ValueError(f"array {number}.weights does not fit")
        network = Network(*[_rebuild_layer(layer) for layer in described["layers"]], dtype=described["dtype"])
        for block in network.blocks:
            array = arrays[prefix + block.name]
            if array.dtype != network.dtype or array.shape != block.shape or not np.isfinite(array).all():
                raise ValueError(f"array {block.name} does not fit")
            network.parameters[block.place] = array.ravel()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FileError(f"{os.fspath(path)} holds no valid network: {error}") from error
    return network


def write(path: str | os.PathLike[str], kind: str, content: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write arrays and a description to a file: all of it, or nothing."""
    from safetensors.numpy import save as to_bytes

    header = {"format_version": FORMAT_VERSION, "digest": _NO_DIGEST, "kind": kind, **content}
    text = json.dumps(header, allow_nan=False)
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    data = to_bytes(plain, metadata={_KEY: text})
    write_bytes(path, data.replace(_NO_DIGEST.encode(), hashlib.sha256(data).hexdigest().encode(), 1))


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Put `data` in the place of a file: all of it, or nothing."""
    target = Path(path)
    handle, name = tempfile.mkstemp(prefix=_prefix(target), dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)  # as open() would have made it; mkstemp's own is private
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def sweep(path: str | os.PathLike[str]) -> None:
    """Remove what a process left beside a file that was killed while it wrote it."""
    target = Path(path)
    for left in target.parent.glob(_prefix(target) + "*"):
        left.unlink(missing_ok=True)


def _prefix(target: Path) -> str:
    """Return what the temporary names of a file begin with; its own name may be too long for that."""
    return f"{_TEMPORARY}{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]}-"


def read(path: str | os.PathLike[str], *kinds: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return a file's description and arrays, after making sure that it is whole and of one of `kinds`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    name = os.fspath(path)
    with Path(path).open("rb") as file:
        header, start = _header(name, file)
        data = start + file.read()
    digest = header.get("digest")
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise FileError(f"{name} holds no digest; it has been altered")
    before, _, after = data.partition(digest.encode())
    found = hashlib.sha256(before + _NO_DIGEST.encode())
    found.update(after)
    if found.hexdigest() != digest:
        raise FileError(f"{name} has been altered or damaged: its digest does not match; take a whole copy")
    if header.get("kind") not in kinds:
        raise FileError(f"{name} holds a {header.get('kind')} model, expected {' or '.join(kinds)}")
    try:
        return header, from_bytes(data)
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise FileError(f"{name} holds no valid arrays: {error}") from error


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a file's description without loading its arrays; nothing is checked against the digest."""
    with Path(path).open("rb") as file:
        return _header(os.fspath(path), file)[0]


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise OSError now if a file could not be written there later."""
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; name a file in it, such as {target / 'model.nineline'}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {target.parent} does not exist; make it first, or write elsewhere")
    try:
        handle, name = tempfile.mkstemp(prefix=_prefix(target), dir=target.parent)
        os.close(handle)
        Path(name).unlink()
    except OSError as error:
        raise PermissionError(f"{target} cannot be written ({error.strerror}); write elsewhere") from error
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(f"{target} exists and is read-only; write elsewhere, or make it writable")


def _header(name: str, file: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """Return the JSON description inside the container's own header, and the bytes that were read for it."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 0 < length <= size - 8:
        raise FileError(f"{name} is no nineline file, or is cut off ({size:,} bytes)")
    if length > _HEADER_AT_MOST:
        raise FileError(f"{name} is no nineline file: its header of {length:,} bytes is longer than any of ours")
    start += file.read(length)
    try:
        container = json.loads(start[8:])
        header = json.loads(container["__metadata__"][_KEY])
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise FileError(f"{name} is no nineline file: its header is not one") from None
    if not isinstance(header, dict) or not isinstance(header.get("format_version"), int):
        raise FileError(f"{name} is no nineline file: it has no format version")
    if header["format_version"] > FORMAT_VERSION:
        raise FileError(
            f"{name} has format version {header['format_version']}, this nineline reads up to {FORMAT_VERSION}; "
            "install a newer nineline: pip install --upgrade nineline"
        )
    try:
        ends = [_end(entry) for key, entry in container.items() if key != "__metadata__"]
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"{name} holds no valid arrays: {error}") from None
    if max(ends, default=0) != size - len(start):
        raise FileError(f"{name} is cut off or altered: its {size:,} bytes are not as many as its header says")
    return header, start


def _end(entry: dict[str, Any]) -> int:
    """Return where an array ends in a file, after making sure that its shape is as large as its bytes."""
    begin, end = entry["data_offsets"]
    sizes = begin, end, *entry["shape"]
    if any(type(size) is not int or size < 0 for size in sizes) or entry["dtype"] not in _ITEM_SIZES:
        raise ValueError("their sizes or types are none")
    if math.prod(entry["shape"]) * _ITEM_SIZES[entry["dtype"]] != end - begin:
        raise ValueError("a shape does not fit its bytes")
    return int(end)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened for this
        return
    with contextlib.suppress(OSError):  # the file itself is synced; some file systems know no more
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _describe_layer(layer: AbstractLayer) -> dict[str, Any]:
    if isinstance(layer, Dropout):
        return {"kind": "dropout", "rate": layer.rate}
    if isinstance(layer, Layer):
        return {
            "kind": "dense",
            "inputs": layer.n_inputs,
            "outputs": layer.n_outputs,
            "activation": describe_activation(layer.activation),
            "bias": layer.bias is not None,
            "learning_rate": layer.learning_rate,
            "initializer": _describe_initializer(layer.initializer),
            **({} if layer.trainable else {"trainable": False}),
        }
    raise ValueError(f"{layer!r} is a layer of your own, and a file holds no code; save network.parameters yourself")


def _rebuild_layer(described: dict[str, Any]) -> AbstractLayer:
    if described["kind"] == "dropout":
        return Dropout(described["rate"])
    if described["kind"] != "dense":
        raise ValueError(f"unknown kind of layer {described['kind']!r}")
    activation = rebuild_activation(described["activation"])
    bias, rate = described["bias"], described["learning_rate"]
    settings = dict(described["initializer"])
    zeros = Zeros()  # nothing is drawn for weights that come from the file
    layer = Layer(
        described["inputs"],
        described["outputs"],
        activation,
        bias=bias,
        initializer=zeros,
        rng=0,
        learning_rate=rate,
        trainable=described.get("trainable", True),
    )
    if settings:
        layer.initializer = _INITIALIZERS[settings.pop("kind")](**settings)
    else:  # it was somebody's own, so it is the customary one from now on
        layer.initializer = Layer(1, 1, activation, bias=bias, rng=0).initializer
    return layer


def in_words(described: Mapping[str, Any]) -> tuple[list[str], int]:
    """Return the layers of a described architecture as they print, and the number of its parameters."""
    words, parameters = [], 0
    if len(described["layers"]) > _LAYERS_AT_MOST:
        raise ValueError(f"{len(described['layers']):,} layers")
    for layer in described["layers"]:
        if layer["kind"] == "dropout":
            words.append(repr(Dropout(layer["rate"])))
            continue
        inputs, outputs, bias = layer["inputs"], layer["outputs"], layer["bias"]
        if any(type(width) is not int for width in (inputs, outputs)):
            raise TypeError("a width is no whole number")
        parameters += (inputs + bool(bias)) * outputs
        activation, trainable = rebuild_activation(layer["activation"]), layer.get("trainable", True) is not False
        words.append(summary(inputs, outputs, activation, bool(bias), trainable))
    return words, parameters


def _describe_initializer(initializer: Initializer) -> dict[str, Any]:
    kind = type(initializer).__name__
    return {"kind": kind, **vars(initializer)} if _INITIALIZERS.get(kind) is type(initializer) else {}


def rebuild_activation(described: dict[str, Any]) -> Activation:
    """Return the activation that `describe_activation` described."""
    settings = dict(described)
    return ACTIVATIONS[settings.pop("name")](**settings)


def describe_activation(activation: Activation) -> dict[str, Any]:
    """Return an activation of nineline's own as JSON can hold it; raise ValueError for any other."""
    for name, kind in ACTIVATIONS.items():
        if type(activation) is kind:
            return {"name": name, **vars(activation)}
    raise ValueError(
        f"activation {activation!r} is your own, and a file holds no code; save network.parameters yourself "
        "(numpy.save) and build the network in Python before you put them back"
    )
