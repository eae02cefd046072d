"""What processes that train together tell each other besides gradients: errors, Ctrl-C, what the first one has."""

from __future__ import annotations

import contextlib
import pickle
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import numpy as np

from nineline.parallel import Alone, ParallelError, collective_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    import numpy.typing as npt

    from nineline.parallel import Collective

Value = TypeVar("Value")

MARGIN: Final = 1
"""How many places a vector that is added up needs behind its own: there word of Ctrl-C travels."""


def together_of(parallel: object) -> Together:
    """Return the processes that a user means by `parallel`; None is this one alone."""
    if isinstance(parallel, Together):
        return parallel
    return Together(Alone() if parallel is None else collective_of(parallel))


class Together:
    """The processes of one training, as one of them sees them.

    What is decided from numbers that were added up is decided alike by all. An error that all have (`raise_for_all`,
    `alike`) is an ordinary one; any other leaves processes that wait for this one, and so ends the work of all.
    """

    def __init__(self, collective: Collective) -> None:
        self.collective, self.rank, self.size = collective, collective.rank, collective.size
        self.is_first = self.rank == 0
        self.interrupted = False
        """Whether Ctrl-C has come to this process, and the others do not know yet."""
        self._shared: BaseException | None = None

    # Numbers

    def add_up(self, vector: npt.NDArray[np.floating[Any]]) -> None:
        """Add up a vector over all processes, in place; its last `MARGIN` place is not the caller's.

        Raises
        ------
        KeyboardInterrupt
            On all processes, where Ctrl-C has come to one.
        """
        vector[-1] = self.interrupted
        self.collective.allreduce(vector)
        if vector[-1] > 0:
            self.interrupted = False
            self._shared = KeyboardInterrupt()
            raise self._shared

    def sums(self, *numbers: float) -> list[float]:
        """Return the sums of some numbers over all processes, in float64."""
        return self.sum_of(np.array(numbers, np.float64)).tolist()

    def sum_of(self, array: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the sum of an array over all processes, whatever its shape."""
        summed = np.append(array.ravel(), 0.0)
        self.add_up(summed)
        return summed[:-MARGIN].reshape(array.shape)

    def of_each(self, number: int) -> list[int]:
        """Return the number of each process, in the order of ranks."""
        numbers = np.zeros(self.size)
        numbers[self.rank] = number
        self.collective.allreduce(numbers)
        return [int(each) for each in numbers]

    def first(self, value: Value) -> Value:
        """Return what the first process has given."""
        sent = self.collective.broadcast(pickle.dumps(value) if self.is_first else b"")
        return value if self.is_first else pickle.loads(sent)

    def each_of(self, value: Value) -> Iterator[Value]:
        """Yield what each process has given, in the order of ranks."""
        for rank in range(self.size):
            if rank == self.rank:
                if self.size > 1:
                    self.collective.broadcast(pickle.dumps(value), rank)
                yield value
            else:
                yield pickle.loads(self.collective.broadcast(b"", rank))

    # Errors

    @contextlib.contextmanager
    def alike(self, what: str = "cannot begin") -> Iterator[None]:
        """Make an error of one process that of all: it raises its own, the others ParallelError.

        Nothing is asked of the collective within.
        """
        error: Exception | None = None
        try:
            yield
        except Exception as raised:
            error = raised
        failing = int(self.collective.maximum(0.0 if error is None else float(self.size - self.rank)))
        if failing == 0:
            return
        who = self.size - failing
        said = f"{type(error).__name__}: {error}".encode() if self.rank == who else b""
        said = self.collective.broadcast(said, who)
        if error is None:
            error = ParallelError(f"process {who} of {self.size} {what}: {said.decode()}")
        self.raise_for_all(error)

    def raise_for_all(self, error: Exception) -> NoReturn:
        """Raise an error that all processes raise at this place."""
        self._shared = error
        raise error

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """End the work of all processes where this one leaves with an error that the others do not have."""
        try:
            yield
        except BaseException as error:
            if error is not self._shared and self.size > 1:
                traceback.print_exc(file=sys.stderr)
                self.collective.abort(f"{type(error).__name__}: {error}")
                self._shared = error  # it need not be told again
            raise

    # Ctrl-C

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take Ctrl-C down, to be told to all with the next sum; a second one ends this process's work at once."""
        usual = self.size > 1 and threading.current_thread() is threading.main_thread()
        if not usual or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return

        def take_down(number: int, frame: FrameType | None) -> None:
            if self.interrupted:
                signal.default_int_handler(number, frame)
            self.interrupted = True

        signal.signal(signal.SIGINT, take_down)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.interrupted:  # it came behind the last sum: this training is over, and what follows it hears of it
            raise KeyboardInterrupt
