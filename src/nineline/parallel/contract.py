"""What processes that train one network ask of whatever connects them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Given = TypeVar("Given", "bytes", "npt.NDArray[Any]")


class ParallelError(RuntimeError):
    """The processes cannot go on together: one of them is gone, or cannot do its part; the message says which."""


class Collective(ABC):
    """A number of processes that all ask for the same at the same time. Subclass it to connect them your own way.

    Every method is called by all processes, in the same order, with arrays of the same shape and dtype: contiguous,
    one-dimensional, of float32 or float64. Each raises ParallelError where another process is gone.

    Attributes
    ----------
    rank : int
        The number of this process, from 0.
    size : int
        How many there are.

    """

    rank: int
    size: int

    @abstractmethod
    def allreduce(self, array: npt.NDArray[np.floating[Any]]) -> None:
        """Add up the arrays of all processes, in place: each has the sums afterwards, with the same bits.

        The order in which a number is added up depends on the number of processes and its place in the array alone.
        """

    @abstractmethod
    def maximum(self, number: float) -> float:
        """Return the largest of all processes' numbers."""

    @abstractmethod
    def broadcast(self, given: Given, root: int = 0) -> Given:
        """Return what process `root` has given: bytes of any length, or an array, which is written in place."""

    @abstractmethod
    def barrier(self) -> None:
        """Wait until all processes are here."""

    @abstractmethod
    def abort(self, reason: str) -> None:
        """End the work of all processes, wherever they are: this one cannot go on. It need not return."""


class Alone(Collective):
    """One process, which has nobody to ask.

    Examples
    --------
    >>> from nineline import Network
    >>> from nineline.parallel import Alone
    >>> network = Network(3, 6, 1, rng=0)
    >>> network.train([[0, 1, 1]], [[1]], 10, report_every=0, parallel=Alone()).stopped
    'all 10 epochs done'
    """

    rank, size = 0, 1

    def allreduce(self, array: npt.NDArray[np.floating[Any]]) -> None:
        return None

    def maximum(self, number: float) -> float:
        return number

    def broadcast(self, given: Given, root: int = 0) -> Given:
        return given

    def barrier(self) -> None:
        return None

    def abort(self, reason: str) -> None:
        return None
