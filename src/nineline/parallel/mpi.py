"""MPI: a collective over a communicator of mpi4py, which comes with every batch system.

MPI leaves to the library in which order it adds, and MPICH, for one, goes by the number of processes, the length of the
array and where the processes run. Two numbers have one sum; of more, each process adds up a piece of the array in the
order of ranks here, and they exchange the pieces: each number crosses as often as when MPI adds, and is copied more
often (`python -m benchmarks.machines`).
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.parallel.contract import Collective, ParallelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from nineline.parallel.contract import Given

_HEARD: Final = 0.2
"""Seconds that a launcher has to pass on what was printed: it drops that of a job which is aborted at once."""
_LOOKS_EVERY: Final = 1.0
"""Seconds after which it is seen whether the launcher is still there."""
_SIZES: Final = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
"""Where Open MPI, and MPICH and its like, say how many processes they started."""
_SLEEPS: Final = 0.001
"""Seconds between two looks whether the others are there, where one may be long before another."""
_SHORT: Final = 4096
"""Numbers, of all processes together, that are sent whole: then a message costs more than what is in it."""


class MPICollective(Collective):
    """The processes of an mpi4py communicator.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        Such as ``MPI.COMM_WORLD``. Nobody else may use it while it is in use here.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        if comm == MPI.COMM_NULL or comm.Is_inter():
            raise ValueError("parallel is a communicator without a group of its own; expected one such as COMM_WORLD")
        self._mpi, self.comm = MPI, comm
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        if self.size > 1:
            _end_with_launcher()

    def allreduce(self, array: npt.NDArray[np.floating[Any]]) -> None:
        with self._told():
            if self.size <= 2:
                self.comm.Allreduce(self._mpi.IN_PLACE, array)
            else:
                self.add_in_order(array)

    def add_in_order(self, array: npt.NDArray[np.floating[Any]]) -> None:
        """Add up in place in the order of ranks."""
        if self.size * len(array) <= _SHORT:
            given = np.empty((self.size, len(array)), array.dtype)
            self.comm.Allgather(array, given)
            array[...] = _sum_in_order(given)
        else:
            piece = -(-len(array) // self.size)
            padded, given = np.zeros((2, self.size, piece), array.dtype)
            padded.reshape(-1)[: len(array)] = array
            self.comm.Alltoall(padded, given)
            self.comm.Allgather(_sum_in_order(given), padded)
            array[...] = padded.reshape(-1)[: len(array)]

    def maximum(self, number: float) -> float:
        with self._told():
            self._wait()
            return float(self.comm.allreduce(number, self._mpi.MAX))

    def broadcast(self, given: Given, root: int = 0) -> Given:
        with self._told():
            if isinstance(given, bytes):
                self._wait()
                return self.comm.bcast(given, root)
            self.comm.Bcast(given, root)
            return given

    def barrier(self) -> None:
        with self._told():
            self.comm.Barrier()

    def abort(self, reason: str) -> None:
        print(f"process {self.rank} of {self.size} ends the job: {reason}", file=sys.stderr, flush=True)
        time.sleep(_HEARD)
        self.comm.Abort(1)

    def _wait(self) -> None:
        """Wait for all processes asleep: MPI itself would take a core for it."""
        request = self.comm.Ibarrier()
        while not request.Test():
            time.sleep(_SLEEPS)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._mpi.Exception as error:
            raise ParallelError(
                f"process {self.rank} of {self.size} cannot reach the others: {error}; one of them is gone, and its "
                "own last words say why"
            ) from error


@functools.cache
def _end_with_launcher() -> None:
    """End this process soon after the one that started it: a launcher that goes at the wrong moment leaves some behind.

    They would wait for each other for ever, and take a core each.
    """
    launcher = os.getppid()

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(_LOOKS_EVERY)
        with contextlib.suppress(OSError, ValueError):  # whoever read that is gone, too
            print(f"process {os.getpid()} ends: its launcher, process {launcher}, is gone", file=sys.stderr, flush=True)
        os._exit(1)

    threading.Thread(target=watch, name="nineline launcher", daemon=True).start()


def _sum_in_order(given: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Return the sum of rows, the first first."""
    total = given[0].copy()
    for row in given[1:]:
        total += row
    return total


def launched() -> Any:
    """Return the communicator of the processes that mpiexec started, this one among them; None where it is alone.

    Raises
    ------
    ParallelError
        There are several, and mpi4py is not installed, or belongs to another MPI than mpiexec.
    """
    said = next((os.environ[name] for name in _SIZES if os.environ.get(name, "").isdigit()), "1")
    if int(said) < 2:
        return None
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ParallelError(
            f"this is one of {said} processes that mpiexec started, and mpi4py, by which they reach each other, does "
            f'not work here ({error}); pip install "nineline[mpi]"'
        ) from error
    if MPI.COMM_WORLD.Get_size() != int(said):
        raise ParallelError(
            f"mpiexec started {said} processes, and mpi4py knows of {MPI.COMM_WORLD.Get_size()}; it belongs to another "
            "MPI: take the mpiexec of the same, as by `python -m pip install mpich`"
        )
    return MPI.COMM_WORLD


def collective_of(parallel: object) -> Collective:
    """Return the collective that a user means: an mpi4py communicator, or a Collective as it is.

    Raises
    ------
    TypeError
        It is neither.
    """
    if isinstance(parallel, Collective):
        return parallel
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is not None and isinstance(parallel, mpi.Comm):
        return MPICollective(parallel)
    raise TypeError(
        f"parallel is {parallel!r} ({type(parallel).__name__}); expected a communicator of mpi4py, such as "
        "MPI.COMM_WORLD after `from mpi4py import MPI`, or a nineline.parallel.Collective"
    )
