"""``python -m benchmarks.scaling``: nineline from a thousand rows to ten million, and beside a busy neighbour."""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import data
from benchmarks.machine import cores, describe, in_a_line
from benchmarks.measure import Worker, WorkerError
from benchmarks.peers import PEERS
from benchmarks.table import duration
from benchmarks.workloads import WORKLOADS

_SIZES: Final = (8, 32, 32, 1)
_WAYS: Final = {"full batch": None, "batch 256": 256}
_SECONDS: Final = 0.5
_NEIGHBOURS: Final = ("expm", "mini-8-32", "width-256", "mnist")
_ROUNDS: Final = 7


def main() -> None:
    """Measure both and print them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="at most so many (%(default)s)")
    parser.add_argument("--json", type=Path, help="write every figure to this file, too")
    parser.add_argument("--child", nargs=3, metavar=("WAY", "ROWS", "THREADS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        way, rows, threads = arguments.child
        print(json.dumps(_train(_WAYS[way], int(rows), int(threads))))
        return
    machine = describe()
    print(in_a_line(machine) + "\n")
    found = {"machine": machine, "rows": _show_rows(arguments.rows), "neighbour": _show_neighbour()}
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


def _show_rows(most: int) -> list[dict[str, Any]]:
    """Print the time a row and the memory of training over numbers of rows; each in a process of its own."""
    print(f"{'-'.join(map(str, _SIZES))} tanh, Adam, float32; memory is what training adds to its data\n")
    print("| rows | data | threads | " + " | ".join(f"{way}: a row | memory" for way in _WAYS) + " |")
    print("|---:|---:|---:|" + "---:|---:|" * len(_WAYS))
    found = []
    rows = 1000
    while rows <= most:
        for threads in sorted({1, cores()}):
            cells = []
            for way in _WAYS:
                command = [sys.executable, "-m", "benchmarks.scaling", "--child", way, str(rows), str(threads)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                measured = {"way": way, "rows": rows, "threads": threads, **json.loads(done.stdout)}
                found.append(measured)
                cells += [duration(measured["seconds_a_row"]), _size(measured["bytes_added"])]
            print(f"| {rows:,} | {_size(measured['bytes_of_data'])} | {threads} | {' | '.join(cells)} |", flush=True)
        rows *= 10
    return found


def _train(batch: int | None, rows: int, threads: int) -> dict[str, Any]:
    """Train in this process and return the time of a row of an epoch, and the memory that training added."""
    from nineline import Adam, Network

    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rng = np.random.default_rng(data.SEED)
    inputs = rng.standard_normal((rows, _SIZES[0]), np.float32)
    targets = inputs[:, :1].copy()
    np.sin(targets, out=targets)  # in place: a temporary copy would hide memory that training takes later
    network = Network(*_SIZES, activation="tanh", output="identity", bias=True, dtype="float32", rng=0)

    def train(epochs: int, some: slice) -> float:
        began = time.perf_counter()
        arguments: Any = {"loss": "squared_error", "optimizer": Adam(1e-3), "progress": False, "threads": threads}
        network.train(inputs[some], targets[some], epochs=epochs, batch_size=batch, **arguments)
        return time.perf_counter() - began

    train(1, slice(500))  # load all code before memory is looked at
    before = _peak_bytes()
    seconds = train(1, slice(None))
    epochs = max(1, round(_SECONDS / seconds))
    seconds = statistics.median(train(epochs, slice(None)) for _ in range(3))
    return {
        "seconds_a_row": seconds / epochs / rows,
        "bytes_of_data": inputs.nbytes + targets.nbytes,
        "bytes_added": _peak_bytes() - before,
    }


def _peak_bytes() -> int:
    """Return the most memory that this process has ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _show_neighbour() -> list[dict[str, Any]]:
    """Print how long a training takes with all cores while another process keeps one of them busy."""
    print("\nA step, in units of its time with 1 thread and nobody beside it; one core busy with another process\n")
    print(f"| workload | 1 thread | {cores()} threads | 1 thread, one core busy | {cores()} threads, one core busy |")
    print("|---|---:|---:|---:|---:|")
    found = []
    for name in _NEIGHBOURS:
        workload = WORKLOADS[name]
        with tempfile.TemporaryDirectory() as folder:
            data.make(workload).save(Path(folder) / "data.npz")
            alone = [_seconds_a_step(name, threads, Path(folder)) for threads in (1, cores())]
            with _Busy():
                beside = [_seconds_a_step(name, threads, Path(folder)) for threads in (1, cores())]
        times = [*alone, *beside]
        found.append({"workload": name, "seconds_a_step": times})
        print(f"| {name} | {duration(times[0])} | {' | '.join(f'{t / times[0]:.2f}' for t in times[1:])} |", flush=True)
    return found


def _seconds_a_step(name: str, threads: int, folder: Path) -> float:
    with Worker(PEERS["nineline"], WORKLOADS[name], threads, folder) as worker:
        worker.order("prepare")
        steps = worker.reply()["steps"]
        times = []
        for _ in range(_ROUNDS):
            worker.order("round")
            times.append(worker.reply()["seconds"])
    return statistics.median(times) / steps


class _Busy:
    """A process that keeps the first core busy: the one on which single threads are not pinned."""

    def __enter__(self) -> None:
        pin = (
            "import os\nif hasattr(os, 'sched_setaffinity'): os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        )
        self.process = subprocess.Popen([sys.executable, "-c", pin + "while True: pass"])

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


if __name__ == "__main__":
    try:
        main()
    except WorkerError as error:
        sys.exit(str(error))
