"""Spilled rows: the compact rows of a table in a temporary file, dealt out at random, where memory is too small."""

from __future__ import annotations

import hashlib
import tempfile
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from nineline.rows import Compact

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline.rows import Encoding

    Numbers = npt.NDArray[np.float64]


_ROWS_AT_ONCE: Final = 65_536  # are copied in their new order


class SpilledPart(NamedTuple):
    """Some rows, read back.

    Attributes
    ----------
    inputs : Compact
    targets : array of float64, (rows,)
    weights : array of float32, (rows,), or None
    """

    inputs: Compact
    targets: Numbers
    weights: npt.NDArray[np.float32] | None


class SpilledRows:
    """The rows of a table on a disk, in parts; to which part a row goes is drawn for each, so that each is a sample.

    The file has no name: the system removes it when it is closed, and when the process ends, whatever ends it.

    Parameters
    ----------
    encoding : Encoding
        Of the rows.
    shares : sequence of float
        The share of the rows that each part is to have; their sum is 1.
    seed : int, or a sequence of int
    weighted : bool
        Whether rows have weights.
    memory : int
        Bytes of rows that are dealt out at once, so that a part does not lie in too many places.
    folder : path, optional
        Where to; by default where temporary files are (``TMPDIR``).

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.rows import Compact, Encoding, NumberPart
    >>> encoding = Encoding((NumberPart(0),), (), width=1)
    >>> with SpilledRows(encoding, [0.25, 0.75], seed=0) as spilled:
    ...     numbers = np.arange(100, dtype=np.float32)[:, np.newaxis]
    ...     spilled.add(Compact(numbers, np.empty((100, 0), np.int32), encoding), np.arange(100) % 2)
    ...     spilled.finish()
    ...     [len(spilled.read(part).targets) for part in (0, 1)], spilled.counts
    ([22, 78], [22, 78])
    """

    def __init__(
        self,
        encoding: Encoding,
        shares: Sequence[float],
        seed: int | Sequence[int],
        *,
        weighted: bool = False,
        memory: int = 2**26,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self.encoding, self.weighted = encoding, weighted
        self.counts = [0] * len(shares)
        """How many rows each part has."""
        self._ends = np.cumsum(shares)[:-1]
        self._rng = np.random.default_rng(seed)
        self._digest = hashlib.blake2b(digest_size=16)
        self._dtype = self.dtype_of(encoding, weighted=weighted)
        self._waiting: list[tuple[npt.NDArray[Any], Numbers]] = []  # rows, and the draw by which each goes to a part
        self._room = self._at_once = max(1, memory // self._dtype.itemsize)
        self._places: list[list[tuple[int, int]]] = [[] for _ in shares]  # of each part: first row in the file, count
        self._lock = Lock()
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed by `close`)

    @staticmethod
    def dtype_of(encoding: Encoding, *, weighted: bool) -> np.dtype[Any]:
        """Return how a row lies in a file; its ``itemsize`` is what it takes there."""
        fields: list[Any] = [("target", np.float64), ("numbers", np.float32, len(encoding.numbers))]
        fields.append(("levels", np.int32, len(encoding.levels)))
        return np.dtype([*fields, ("weight", np.float32)] if weighted else fields)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def add(
        self,
        inputs: Compact,
        targets: npt.NDArray[Any],
        weights: npt.NDArray[Any] | None = None,
        draws: Numbers | None = None,
    ) -> None:
        """Take some rows.

        Parameters
        ----------
        inputs : Compact
        targets : array, (rows,)
        weights : array, (rows,), optional
        draws : array, (rows,), optional
            In [0, 1): a row goes to the part that has this place where the parts lie side by side, as long as their
            shares. By default they are drawn.

        Raises
        ------
        OSError
            The disk is full.
        """
        rows = np.empty(len(targets), self._dtype)
        rows["target"], rows["numbers"], rows["levels"] = targets, inputs.numbers, inputs.levels
        if self.weighted:
            rows["weight"] = 1.0 if weights is None else weights
        self._digest.update(rows.view(np.uint8).data)
        draws = self._rng.random(len(rows)) if draws is None else draws
        while len(rows):
            some, rows = (rows[: self._room], draws[: self._room]), rows[self._room :]
            draws = draws[self._room :]
            self._waiting.append(some)
            self._room -= len(some[0])
            if not self._room:
                self._deal()

    def finish(self) -> None:
        """Deal out what is left; then parts can be read."""
        if self._waiting:
            self._deal()

    def _deal(self) -> None:
        rows, draws = (np.concatenate(each) for each in zip(*self._waiting, strict=True))
        self._waiting, self._room = [], self._at_once
        part = np.searchsorted(self._ends, draws, side="right")
        order = np.argsort(part, kind="stable")
        start = sum(self.counts)
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            self._file.write(rows[order[first : first + _ROWS_AT_ONCE]].view(np.uint8).data)
        for number, count in enumerate(np.bincount(part, minlength=len(self.counts)).tolist()):
            if count:
                self._places[number].append((start, count))
                self.counts[number] += count
                start += count

    def read(self, part: int) -> SpilledPart:
        """Return the rows of a part."""
        rows = np.empty(self.counts[part], self._dtype)
        first = 0
        with self._lock:
            for place, count in self._places[part]:
                self._file.seek(place * self._dtype.itemsize)
                self._file.readinto(rows[first : first + count].view(np.uint8).data)
                first += count
        inputs = Compact(np.ascontiguousarray(rows["numbers"]), np.ascontiguousarray(rows["levels"]), self.encoding)
        weights = np.ascontiguousarray(rows["weight"]) if self.weighted else None
        return SpilledPart(inputs, np.ascontiguousarray(rows["target"]), weights)

    def none(self) -> SpilledPart:
        """Return no row."""
        inputs = Compact(
            np.empty((0, len(self.encoding.numbers)), np.float32),
            np.empty((0, len(self.encoding.levels)), np.int32),
            self.encoding,
        )
        return SpilledPart(inputs, np.empty(0), np.empty(0, np.float32) if self.weighted else None)

    def fingerprint(self) -> str:
        """Return a digest of the rows that were added."""
        return f"{sum(self.counts):,} rows, {self._digest.hexdigest()}"
