"""Measuring: workers side by side, of which one computes at a time."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from benchmarks import data

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from benchmarks.peers import Peer
    from benchmarks.workloads import Workload

_PAUSE: Final = 0.15
"""Seconds before a round: as long as the pools of threads of the one before may spin before they sleep."""
_QUIET: Final = {"JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore", "TF_CPP_MIN_LOG_LEVEL": "3"}
_POOLS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass
class Result:
    """What one peer took for one workload with a number of threads.

    Attributes
    ----------
    workload, peer : str
    threads : int
    flops : int
        A step, by the count of `Workload.flops`.
    steps : int
        In each round.
    rounds : list of float
        Seconds a step, of each round.
    cold : list of float
        Seconds from starting a process to the end of its training.
    loss : float or None
        After the check that all peers compute alike.
    note : str
        Where the data is from.
    error : str
        Why there are no figures.
    """

    workload: str
    peer: str
    threads: int
    flops: int
    steps: int = 0
    rounds: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    loss: float | None = None
    note: str = ""
    error: str = ""

    @property
    def seconds(self) -> float | None:
        """A warm step: the median of the rounds."""
        return statistics.median(self.rounds) if self.rounds else None

    @property
    def cold_seconds(self) -> float | None:
        """A cold start: the median."""
        return statistics.median(self.cold) if self.cold else None

    @property
    def gflops(self) -> float | None:
        """Billions of operations a second, of a warm step."""
        return None if self.seconds is None else self.flops / self.seconds / 1e9

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, measured and derived, for JSON."""
        derived = {"seconds": self.seconds, "cold_seconds": self.cold_seconds, "gflops": self.gflops}
        return asdict(self) | derived


class WorkerError(RuntimeError):
    """A worker ended before its time; the message is the last that it said."""


class Worker:
    """The parent's end of a worker process."""

    def __init__(self, peer: Peer, workload: Workload, threads: int, folder: Path) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the worker
        self.cache = tempfile.TemporaryDirectory()
        environment = os.environ | _QUIET
        # Whoever compiles does it anew in each process, as on the first time that anybody runs a program.
        environment |= {"TORCHINDUCTOR_CACHE_DIR": self.cache.name, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        environment |= dict.fromkeys(_POOLS, str(threads))
        if threads == 1:
            environment["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", peer.name, workload.name, str(threads), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment,
            cwd=Path(__file__).parents[1],
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.stdin is not None and self.process.stdout is not None:
            self.process.stdin.close()
            self.process.stdout.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()
        self.cache.cleanup()

    def order(self, word: str) -> None:
        """Tell the worker what to do."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(self._last_words()) from None

    def reply(self) -> dict[str, Any]:
        """Wait for the worker's next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise WorkerError(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        self.process.wait()
        self.errors.seek(0)
        said = [line.strip() for line in self.errors if line.strip()]
        return said[-1] if said else f"ended with status {self.process.returncode}"


def measure(
    workload: Workload,
    peers: Sequence[Peer],
    threads: Sequence[int],
    *,
    rounds: int,
    cold: int,
    tell: Callable[[str], None],
) -> list[Result]:
    """Return a result for each number of threads and each peer.

    Parameters
    ----------
    workload : Workload
    peers : sequence of Peer
    threads : sequence of int
    rounds : int
        Of each peer, warm: one of the first, one of the second, …, and again.
    cold : int
        New processes of each peer, at least 1: the losses come from there.
    tell : function of a line of text
        Called with what is being done.
    """
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        note = _write_data(workload, folder)
        for number in threads:
            some = [Result(workload.name, peer.name, number, workload.flops, note=note) for peer in peers]
            for turn in range(1 if workload.sweep else cold):
                for peer, result in zip(peers, some, strict=True):
                    if not result.error:
                        tell(f"{workload.name}, {number} thread(s): cold start {turn + 1}, {peer.name}")
                        _start_cold(workload, peer, folder, result)
            _take_rounds(workload, peers, folder, some, rounds, tell)
            results += some
    return results


def _write_data(workload: Workload, folder: Path) -> str:
    made = data.make(workload)
    made.save(folder / "data.npz")
    order = data.batches_in_order(workload)
    if order is not None:
        made = data.Data(made.inputs[order.ravel()], made.targets[order.ravel()], made.parameters, made.note)
    made.save(folder / "check.npz")
    return made.note


def _start_cold(workload: Workload, peer: Peer, folder: Path, result: Result) -> None:
    """Time a new process from its start until it says that it has trained."""
    began = time.perf_counter()
    with Worker(peer, workload, result.threads, folder) as worker:
        try:
            worker.order("cold")
            worker.reply()
            result.cold.append(time.perf_counter() - began)
            result.loss = worker.reply()["loss"]
        except WorkerError as error:
            result.error = str(error)


def _take_rounds(
    workload: Workload,
    peers: Sequence[Peer],
    folder: Path,
    results: Sequence[Result],
    rounds: int,
    tell: Callable[[str], None],
) -> None:
    """Let warm workers take turns, so that whatever else the machine does falls on all of them alike."""
    with ExitStack() as stack:
        workers: list[tuple[Worker, Result]] = []
        for peer, result in zip(peers, results, strict=True):
            if result.error:
                continue
            tell(f"{workload.name}, {result.threads} thread(s): warming up, {peer.name}")
            worker = stack.enter_context(Worker(peer, workload, result.threads, folder))
            try:
                worker.order("prepare")
                result.steps = worker.reply()["steps"]
                workers.append((worker, result))
            except WorkerError as error:
                result.error = str(error)
        for turn in range(rounds):
            tell(f"{workload.name}: round {turn + 1} of {rounds}")
            for worker, result in workers:
                if result.error:
                    continue
                time.sleep(_PAUSE)
                try:
                    worker.order("round")
                    result.rounds.append(worker.reply()["seconds"] / result.steps)
                except WorkerError as error:
                    result.error = str(error)
