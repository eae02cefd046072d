"""Sources: rows of a training piece by piece, where they are more than the memory holds, or nowhere until asked for."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast, final

import numpy as np

from nineline import _checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Piece: TypeAlias = tuple[Any, Any] | tuple[Any, Any, Any]

_BLOCK: Final = 2**18  # bytes of an array that are read at once: a disk takes longer to find them than to read them
_STREAMS_EACH: Final = 4  # so that shares of several processes are about the same
_LOOKED_AT: Final = 32  # blocks of an array, by which it is known again


def streams_of_share(streams: int, share: tuple[int, int]) -> tuple[range, tuple[int, int]]:
    """Return which streams one of several processes reads, and from which of their rows on each so manieth one.

    Each so manieth stream, all of it, where there are four or more for each process; else every stream, and of it each
    so manieth row.

    Parameters
    ----------
    streams : int
    share : (int, int)
        The number of the process, from 0, and how many they are.

    Examples
    --------
    >>> streams_of_share(9, (1, 2)), streams_of_share(3, (1, 2)), streams_of_share(3, (0, 1))
    ((range(1, 9, 2), (0, 1)), (range(0, 3), (1, 2)), (range(0, 3), (0, 1)))
    """
    rank, size = share
    if streams >= _STREAMS_EACH * size:
        return range(rank, streams, size), (0, 1)
    return range(streams), share


class Source(ABC):
    """Rows piece by piece, as often as they are asked for.

    A source can be read from several places, its streams, each from its beginning to its end. `Network.train` fills
    windows of bounded size from several of them at once, and mixes the rows of a window.

    Parameters
    ----------
    memory : int or str
        Bytes that the rows which are in memory at a time may take: what is learned from, and what is being read beside
        it. A number, or such as "500MB" or "2GB" (a GB is 10**9 bytes, a GiB 2**30).

    Attributes
    ----------
    memory : int
        In bytes.
    rows : int or None
        How many rows there are, where that is known without reading them.
    streams : int
        How many places there are to read from, 1 or more.
    """

    rows: int | None = None
    streams: int = 1

    def __init__(self, memory: int | str = "1GB") -> None:
        self.memory = _checks.memory("memory", memory)

    @abstractmethod
    def open(self, stream: int) -> Iterator[Piece]:
        """Yield the rows of a stream in pieces, ``(inputs, outputs)`` or ``(inputs, outputs, sample_weight)``.

        Each is as `Network.train` takes it. The same stream yields the same pieces every time.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Return in words what source this is: a checkpoint goes on with one of the same words."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fingerprint()})"


@final
class ArraySource(Source):
    """Rows of arrays that lie in memory or on a disk, block by block.

    Parameters
    ----------
    inputs : array, (rows, n_inputs)
        A NumPy array, a memory map (``numpy.load(path, mmap_mode="r")``), or anything with a shape of which a slice of
        rows is an array, such as a dataset of h5py or zarr.
    outputs : array, (rows, n_outputs), or class numbers, (rows,)
    sample_weight : array, (rows,), optional
    memory : int or str
        See `Source`.

    Raises
    ------
    ValueError, TypeError
        They are no arrays of as many rows each.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from nineline import Adam, ArraySource, Network
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "inputs.npy"
    ...     np.save(path, rng.uniform(-1, 1, (5000, 2)).astype(np.float32))
    ...     X = np.load(path, mmap_mode="r")
    ...     network = Network(2, 16, 1, activation="tanh", output="identity", bias=True, dtype="float32", rng=0)
    ...     source = ArraySource(X, X[:, :1] * X[:, 1:], memory="200kB")
    ...     history = network.train(source, epochs=20, batch_size=50, loss="squared_error", optimizer=Adam(0.01))
    ...     del X, source
    >>> history.loss[-1] < 1e-3
    True
    """

    def __init__(self, inputs: Any, outputs: Any, sample_weight: Any = None, *, memory: int | str = "1GB") -> None:
        super().__init__(memory)
        given = {"inputs": inputs, "outputs": outputs, "sample_weight": sample_weight}
        self.arrays = {name: _sliced(name, array) for name, array in given.items() if array is not None}
        counts = {name: int(array.shape[0]) for name, array in self.arrays.items()}
        if len(set(counts.values())) > 1:
            said = " and ".join(f"{name} has {count:,} rows" for name, count in counts.items())
            raise ValueError(f"{said}; expected as many of each")
        self.rows = counts["inputs"]
        if self.rows == 0:
            raise ValueError("inputs has 0 rows; expected at least one")
        bytes_of_a_row = sum(math.prod(array.shape[1:]) * array.dtype.itemsize for array in self.arrays.values())
        most = min(_BLOCK, max(self.memory // 1024, 1))  # so that a window has rows from many places
        self.block = max(1, most // max(bytes_of_a_row, 1))
        self.streams = math.ceil(self.rows / self.block)

    def open(self, stream: int) -> Iterator[Piece]:
        some = slice(stream * self.block, (stream + 1) * self.block)
        yield cast("Piece", tuple(np.asarray(array[some]) for array in self.arrays.values()))

    def fingerprint(self) -> str:
        """Return shapes, dtypes, and a digest of a few blocks."""
        digest = hashlib.blake2b(digest_size=16)
        for stream in np.unique(np.linspace(0, self.streams - 1, _LOOKED_AT).astype(int)).tolist():
            for part in next(self.open(stream)):
                digest.update(np.ascontiguousarray(part).data)
        shapes = [f"{' × '.join(map(str, array.shape))} of {array.dtype}" for array in self.arrays.values()]
        return f"{', '.join(shapes)}, {digest.hexdigest()}"


@final
class IteratorSource(Source):
    """Rows that functions of your own make or read.

    Parameters
    ----------
    pieces : function, or sequence of functions
        Each returns an iterable of pieces, ``(inputs, outputs)`` or ``(inputs, outputs, sample_weight)``, anew each
        time it is called, and is a stream of its own: where there are several, windows are filled from many of them.
        They are called, and their pieces made, in a thread beside the training.
    rows : int, optional
        How many there are in all; a schedule of the learning rate wants to know. Without it, it is the one of an
        epoch's beginning through the first, and known from then on.
    name : str
        What a checkpoint knows the source by, and several processes: they are each one's own where names differ.
    memory : int or str
        See `Source`. A single piece should take much less.

    Raises
    ------
    TypeError
        `pieces` is no function: an iterator, which can be gone through only once.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline import IteratorSource, Network
    >>> def simulated():
    ...     rng = np.random.default_rng(0)
    ...     for _ in range(10):
    ...         X = rng.uniform(-1, 1, (100, 3))
    ...         yield X, X.sum(axis=1, keepdims=True)
    >>> network = Network(3, 1, output="identity", rng=0)
    >>> history = network.train(IteratorSource(simulated), epochs=5, batch_size=10, loss="squared_error",
    ...                         optimizer="adam")
    >>> history.steps
    500
    """

    NAMELESS: Final = "an iterator"

    def __init__(
        self,
        pieces: Callable[[], Iterable[Piece]] | Sequence[Callable[[], Iterable[Piece]]],
        *,
        rows: int | None = None,
        name: str = NAMELESS,
        memory: int | str = "1GB",
    ) -> None:
        super().__init__(memory)
        given: list[Any] = list(pieces) if isinstance(pieces, list | tuple) and pieces else [pieces]
        for function in given:
            if not callable(function):
                raise TypeError(
                    f"pieces is {_checks.quoted(function)}; expected a function that returns an iterator, for a source "
                    "is gone through once an epoch: pieces=lambda: read(path)"
                )
        self.functions: list[Callable[[], Iterable[Piece]]] = given
        self.rows = None if rows is None else _checks.positive_integer("rows", rows)
        self.name = name
        self.streams = len(self.functions)

    def open(self, stream: int) -> Iterator[Piece]:
        yield from self.functions[stream]()

    def fingerprint(self) -> str:
        """Return its name, and how many functions and rows there are."""
        return f"{self.name}, {self.streams} functions, {self.rows} rows"


def _sliced(name: str, given: Any) -> Any:
    """Return what has a shape as it is, and anything else as an array."""
    array = given if hasattr(given, "shape") and hasattr(given, "dtype") else np.asarray(given)
    if not array.shape:
        raise ValueError(f"{name} is {_checks.quoted(given)}; expected an array of rows")
    return array
