"""``python -m benchmarks.machines``: one network on several processes of one thread; it starts them by itself.

Two processes beside one: 784-128-10 relu, batches of 512, Adam, on mnist's digits (or random numbers in their shape).
They take turns on the same two cores: while one process trains alone, the other sleeps. Then what a sum over processes
costs, by MPI's own order and by that of the ranks, and what `local_steps` does to the error on a small table. Then a
table in Parquet files, the made-up one of `benchmarks.tables`, from the files to a model: by one process on one core,
and by two on two (``--rows 10000000`` for ten millions of it). Then the network, and sums, on a Dask cluster of two
workers, whose processes XGBoost's collective connects.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.data import MNIST
from benchmarks.machine import describe, in_a_line
from benchmarks.streams import write
from nineline import Adam, Layer, Network
from nineline.parallel import Collective, MPICollective, XGBoostCollective, XGBoostTracker

if TYPE_CHECKING:
    from collections.abc import Callable

_BATCH: Final = 512
_EPOCHS: Final = 10  # a round
_LENGTHS: Final = (100, 10_000, 101_773, 500_000)
_LOCAL: Final = (1, 4, 16, 64)
_SEEDS: Final = 10


class _Timed(Collective):
    """Takes down how long the sums of another took, waiting for the others included."""

    def __init__(self, inner: Collective) -> None:
        self.inner, self.rank, self.size, self.seconds = inner, inner.rank, inner.size, 0.0

    def allreduce(self, array: Any) -> None:
        began = time.perf_counter()
        self.inner.allreduce(array)
        self.seconds += time.perf_counter() - began

    def maximum(self, number: float) -> float:
        return self.inner.maximum(number)

    def broadcast(self, given: Any, root: int = 0) -> Any:
        return self.inner.broadcast(given, root)

    def barrier(self) -> None:
        self.inner.barrier()

    def abort(self, reason: str) -> None:
        self.inner.abort(reason)


def _digits() -> tuple[Any, Any, str]:
    if MNIST.exists():
        with np.load(MNIST) as file:
            inputs = file["x_train"].reshape(len(file["x_train"]), -1).astype(np.float32) / 255
            return inputs[:59_904], file["y_train"].astype(np.int64)[:59_904], "mnist"
    rng = np.random.default_rng(0)
    return rng.random((59_904, 784), np.float32), rng.integers(10, size=59_904), "random numbers in mnist's shape"


def _network(*sizes: int, rng: int = 0) -> Network:
    layers = [
        Layer(n, m, "softmax" if i == len(sizes) - 2 else "relu", bias=True)
        for i, (n, m) in enumerate(itertools.pairwise(sizes))
    ]
    return Network(*layers, rng=rng, dtype="float32")


def _speed(others: Collective, first: Callable[[Callable[[], object]], None], rounds: int) -> None:
    """Measure; `first` lets the first process do something while the others sleep."""
    inputs, targets, data = _digits()
    mine = slice(others.rank, None, others.size)
    share, their = np.ascontiguousarray(inputs[mine]), targets[mine]
    how: dict[str, Any] = {
        "epochs": _EPOCHS,
        "batch_size": _BATCH,
        "loss": "cross_entropy",
        "optimizer": Adam(1e-3),
        "rng": 0,
    }
    collective = _Timed(others)
    steps = _EPOCHS * -(-len(inputs) // _BATCH)
    alone: list[float] = []
    together: list[float] = []
    summing: list[float] = []

    def one() -> None:
        began = time.perf_counter()
        _network(784, 128, 10).train(inputs, targets, threads=1, **how)
        alone.append(time.perf_counter() - began)

    for number in range(rounds + 1):
        first(one)
        collective.barrier()
        collective.seconds, began = 0.0, time.perf_counter()
        _network(784, 128, 10).train(share, their, parallel=collective, **how)
        collective.barrier()
        together.append(time.perf_counter() - began)
        summing.append(collective.seconds)
        if number == 0:  # which warms up
            for each in (alone, together, summing):
                each.clear()
    if others.rank == 0:
        a, b, c = (statistics.median(each) / steps * 1e6 for each in (alone, together, summing))
        ratios = sorted(x / y for x, y in zip(alone, together, strict=True))
        print(f"\n784-128-10, batches of {_BATCH}, {data}; microseconds a step, medians of {rounds} rounds\n")
        head = f"{others.size} processes | times as fast (lowest to highest) | of that in sums"
        print(f"| one process | {head} |\n|---|---|---|---|")
        spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"| {a:.0f} | {b:.0f} | {spread} | {c:.0f}, {c / b:.0%} |", flush=True)


def _sleep_until(comm: Any, work: Callable[[], object]) -> None:
    """Let the first process work, and the others sleep, which in MPI wait by spinning."""
    if comm.rank == 0:
        work()
        for other in range(1, comm.size):
            comm.send(None, other)
    else:
        while not comm.iprobe(source=0):
            time.sleep(0.002)
        comm.recv(source=0)


def _sums(collective: Collective, ways: dict[str, Callable[[Any], object]], rounds: int) -> None:
    if collective.rank == 0:
        print(f"\nA sum over {collective.size} processes; microseconds, medians\n")
        print(f"| float32 | {' | '.join(ways)} |\n|---|{'---|' * len(ways)}")
    for length in _LENGTHS:
        array = np.zeros(length, np.float32)
        repeats = max(10, min(1000, 10_000_000 // (length + 10_000)))
        times: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(rounds + 1):
            for way, add in ways.items():
                collective.barrier()
                began = time.perf_counter()
                for _ in range(repeats):
                    add(array)
                times[way] += [(time.perf_counter() - began) / repeats] * (number > 0)
        if collective.rank == 0:
            medians = " | ".join(f"{statistics.median(each) * 1e6:.0f}" for each in times.values())
            print(f"| {length:,} | {medians} |", flush=True)


def _local(comm: Any) -> None:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    X, y = load_digits(return_X_y=True)
    how: dict[str, Any] = {"epochs": 40, "batch_size": 16, "loss": "cross_entropy", "optimizer": Adam(1e-3)}
    if comm.rank == 0:
        print(
            f"\n64-32-10, scikit-learn's digits, batches of 16 on {comm.size} processes, 40 epochs, {_SEEDS} splits\n"
        )
        print("| local_steps | wrong on held-out rows, and its error | training loss |\n|---|---|---|")
    for local_steps in _LOCAL:
        wrong, losses = [], []
        for seed in range(_SEEDS):
            train, test, targets, right = train_test_split(X / 16, y, random_state=seed, stratify=y)
            network = _network(64, 32, 10, rng=seed)
            mine = slice(comm.rank, None, comm.size)
            options = {**how, "rng": seed, "parallel": comm, "local_steps": local_steps}
            history = network.train(train[mine], targets[mine], **options)
            wrong.append(float((network.run(test).argmax(axis=1) != right).mean()))
            losses.append(history.loss[-1])
        if comm.rank == 0:
            error = statistics.stdev(wrong) / len(wrong) ** 0.5
            said = f"{statistics.mean(wrong):.2%} ± {error:.2%} | {statistics.mean(losses):.4f}"
            print(f"| {local_steps} | {said} |", flush=True)


def _table(comm: Any, folder: Path) -> None:
    import polars as pl

    from nineline.estimators import TabularRegressor

    source = f"{folder}/*.parquet"
    rows = sum(pl.scan_parquet(source).select(pl.len()).collect().to_series())
    comm.Barrier()
    began = time.perf_counter()
    model = TabularRegressor(random_state=0, n_jobs=1).fit(source, target="target", memory=rows * 25, parallel=comm)
    seconds = time.perf_counter() - began
    if comm.rank == 0:
        test = pl.read_parquet(folder / "test")
        gaps = model.predict(test.drop("target")) - test["target"].to_numpy()
        steps = sum(history.steps for history in model.histories_)
        trained = sum(history.seconds[-1] for history in model.histories_)
        error = float(np.sqrt(np.mean(gaps**2)))
        said = f"{seconds:.1f} | {trained:.1f} | {trained / steps * 1e6:.0f}"
        print(f"| {comm.size} | {said} | {error:.4f} |", flush=True)


def _work(part: str, rounds: int, folder: Path) -> None:
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[comm.rank % len(cores)]})
    collective = MPICollective(comm)
    if part == "speed":
        _speed(collective, lambda work: _sleep_until(comm, work), rounds)
    elif part == "sums":

        def by_mpi(array: Any) -> None:
            comm.Allreduce(MPI.IN_PLACE, array)

        _sums(collective, {"MPI's order": by_mpi, "the order of ranks": collective.add_in_order}, rounds)
    elif part == "table":
        _table(comm, folder)
    else:
        _local(comm)


def _work_on_dask(tracker: dict[str, Any], rank: int, rounds: int) -> None:
    with XGBoostCollective(tracker, rank, 2) as collective:

        def first(work: Callable[[], object]) -> None:
            if rank == 0:
                work()
            collective.barrier()  # where XGBoost sleeps

        _speed(collective, first, rounds)
        _sums(collective, {"XGBoost's order": collective.allreduce}, rounds)


def _on_dask(rounds: int) -> None:
    from distributed import Client, LocalCluster

    print("\nOn a Dask cluster, connected by XGBoost's collective:", flush=True)
    how: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": ":0"}
    with LocalCluster(**how) as cluster, Client(cluster) as client, XGBoostTracker(2, "127.0.0.1") as tracker:
        tasks = [
            client.submit(_work_on_dask, tracker.arguments, rank, rounds, workers=[worker], pure=False)
            for rank, worker in enumerate(client.nthreads())
        ]
        client.gather(tasks)


def main() -> None:
    """Start the processes, and let the first of them print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--part", choices=("speed", "sums", "local", "table", "dask"), help="by default all")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table (%(default)s)")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        _work(given.part, given.rounds, given.folder)
        return
    print(in_a_line(describe()), flush=True)
    ours = [sys.executable, "-m", "benchmarks.machines", "--worker", "--rounds", str(given.rounds)]
    for part, size in (("speed", 2), ("sums", 2), ("local", 4)):
        if given.part in (None, part):
            subprocess.run([_launcher(), "-n", str(size), *ours, "--part", part], check=True)
    if given.part in (None, "table"):
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), given.rows)
            print(f"\nA table of {given.rows:,} rows\n")
            print("| processes | seconds | of them steps | microseconds a step | RMSE |")
            print("|---|---|---|---|---|", flush=True)
            for size in (1, 2):
                subprocess.run([_launcher(), "-n", str(size), *ours, "--part", "table", "--folder", folder], check=True)
    if given.part in (None, "dask"):
        _on_dask(given.rounds)


def _launcher() -> str:
    """Return mpiexec's path."""
    beside = Path(sys.executable).parent / "mpiexec"
    command = str(beside) if beside.exists() else shutil.which("mpiexec")
    if command is None:
        sys.exit('there is no mpiexec; pip install "nineline[mpi]" mpich')
    return command


if __name__ == "__main__":
    main()
