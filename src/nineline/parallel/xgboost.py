"""XGBoost's collective, which connects processes that nobody started together, such as Dask's workers.

A sum over two of Dask's workers on one machine takes 0.5 ms for 100 numbers of float32, 0.6 for 10,000, 1.4 for 100,000
and 4.6 for 500,000 (half to three quarters of that between processes by themselves), where MPI takes 3, 18, 84 and
258 µs (`python -m benchmarks.machines`). But MPI connects what `mpiexec` started: MPICH 5 refuses to connect two
processes that began by themselves (Connect and Accept, or Join), and ends all of a job with one of them, which a worker
has to outlive. XGBoost's needs an address, tells every process within milliseconds that another is gone, and leaves
them alive.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from nineline import _checks
from nineline.parallel.contract import Collective, ParallelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    import numpy.typing as npt

    from nineline.parallel.contract import Given

    T = TypeVar("T")

TIMEOUT: Final = 300.0
"""Seconds that processes wait for each other by default."""
_TRACKER: Final = """
import json, os, sys
from xgboost.tracker import RabitTracker
tracker = RabitTracker(n_workers=int(sys.argv[1]), host_ip=sys.argv[2], sortby="task")
tracker.start()
print(json.dumps(tracker.worker_args()), flush=True)
sys.stdin.read()
os._exit(0)
"""


class XGBoostTracker:
    """Where processes ask for each other: XGBoost's tracker.

    It runs in a process of its own, which ends with this one: in C++, it ends whatever process it is in where one that
    it has heard of is gone before all are there.

    Parameters
    ----------
    size : int
        How many processes there will be.
    host : str
        The address of this machine, as the others reach it.

    Attributes
    ----------
    arguments : dict
        What each process is to know of it.

    Raises
    ------
    ParallelError
        It does not start: XGBoost is not installed, or this machine has no such address.
    """

    def __init__(self, size: int, host: str) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", _TRACKER, str(size), host]
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        said = self._process.stdout.readline() if self._process.stdout else ""
        if not said:
            _, errors = self._process.communicate()
            why = [line for line in errors.splitlines() if line.strip()][-1:]
            raise ParallelError(f"XGBoost's tracker does not start at {host!r}: {''.join(why)}")
        self.arguments: dict[str, Any] = json.loads(said)

    def close(self) -> None:
        """End it: who still waits there for the others gets an error, and who has found them is left alone."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class XGBoostCollective(Collective):
    """Processes that a tracker of XGBoost brings together.

    XGBoost adds along a ring: of n numbers, those from ``i * (n // size)`` on are added up in the order of ranks from i
    on, and round. So the order depends on the number of processes and the place in the array, and on nothing else.
    It is to be used in the thread that makes it, for there alone XGBoost knows the others.

    Parameters
    ----------
    tracker : dict
        The `arguments` of an `XGBoostTracker`.
    rank : int
    size : int
    timeout : float
        Seconds after which it is an error that another process has not come to where this one is. One that is gone is
        noticed at once, unless its machine is.

    Raises
    ------
    ParallelError
        The others did not come, or the tracker cannot be reached.
    ImportError
        XGBoost is not installed.

    Examples
    --------
    One process alone:

    >>> import numpy as np
    >>> from nineline.parallel import XGBoostCollective, XGBoostTracker
    >>> with XGBoostTracker(1, "127.0.0.1") as tracker:  # doctest: +SKIP
    ...     with XGBoostCollective(tracker.arguments, rank=0, size=1) as collective:
    ...         collective.maximum(3)
    3.0
    """

    def __init__(self, tracker: Mapping[str, Any], rank: int, size: int, timeout: float = TIMEOUT) -> None:
        from xgboost import collective
        from xgboost.core import XGBoostError

        self.rank, self.size = rank, size
        seconds = max(1, round(_checks.number("timeout", timeout, low=0, low_open=True)))
        self._xgboost, self._error = collective, XGBoostError
        self._thread, self._joined, self._ended = threading.get_ident(), True, ""
        # One try: who leaves behind a tracker that is gone would otherwise keep the others waiting for seconds.
        named = {"dmlc_task_id": f"{rank:09}", "dmlc_timeout": seconds, "dmlc_retry": 1}
        self._call(collective.init, **tracker, **named)
        atexit.register(self._leave)  # what is left to the end of the process ends it with an error of C++

    def allreduce(self, array: npt.NDArray[np.floating[Any]]) -> None:
        array[...] = self._call(self._xgboost.allreduce, array, self._xgboost.Op.SUM)

    def maximum(self, number: float) -> float:
        return float(self._call(self._xgboost.allreduce, np.array([float(number)]), self._xgboost.Op.MAX)[0])

    def broadcast(self, given: Given, root: int = 0) -> Given:
        sent: Given = self._call(self._xgboost.broadcast, given, root)
        if isinstance(given, bytes):
            return sent
        given[...] = sent
        return given

    def barrier(self) -> None:
        self.maximum(0.0)

    def abort(self, reason: str) -> None:
        """See `Collective.abort`: others hear of it with what they do next, and may go on with other work.

        It may be called from any thread; in another than its own it waits for what that does next.
        """
        self._ended = self._ended or f"its part has ended: {reason}"
        self._leave()

    def close(self) -> None:
        """Leave the others; nothing more is to be asked of them."""
        self._ended = self._ended or "it has left"
        self._leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _leave(self) -> None:
        """Let go of the others, who notice it."""
        if self._joined and threading.get_ident() == self._thread:
            self._joined = False
            atexit.unregister(self._leave)
            with contextlib.suppress(self._error):  # they, or the tracker, were gone before
                self._xgboost.finalize()

    def _call(self, function: Callable[..., T], *args: Any, **named: Any) -> T:
        who = f"process {self.rank} of {self.size}"
        if threading.get_ident() != self._thread:
            raise RuntimeError(f"{who} is asked in another thread than its own, in which XGBoost does not know it")
        if self._ended:
            self._leave()
            raise ParallelError(f"{who} cannot reach the others: {self._ended}")
        try:
            return function(*args, **named)
        except self._error as error:
            raise ParallelError(
                f"{who} cannot reach the others: {_reason(error)}; one of them is gone, and its own last words say why"
            ) from error


def _reason(error: Exception) -> str:
    """Return what happened, of an error of XGBoost's, which has a line for each place that it passed."""
    said = str(error).partition("Stack trace:")[0].strip()
    lines = re.findall(r"^- \[.*?\]:? *(.+)$", said, re.MULTILINE)
    return (lines or [said])[-1].strip().rstrip(".")
