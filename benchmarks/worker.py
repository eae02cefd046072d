"""A worker: one peer, one workload and a number of threads in a process of its own.

``python -m benchmarks.worker PEER WORKLOAD THREADS FOLDER`` reads orders, one word a line, and answers each with
lines of JSON. FOLDER holds the data that `measure.py` has written.

=========  ==========================================================================================
cold       train the common check from nothing: ``{"trained": true}``, then ``{"loss": 0.123}``
prepare    load, compile, warm up, find out how many steps fill a round: ``{"steps": 1234}``
round      take that many steps: ``{"seconds": 0.3}``
=========  ==========================================================================================
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:  # everything else is imported once the process is where it belongs
    from collections.abc import Callable

    from benchmarks.data import Data
    from benchmarks.peers.contract import Runner, Trainer
    from benchmarks.workloads import Workload

ROUND_SECONDS: Final = 0.3
_LOSS_ROWS: Final = 10_000


def main() -> None:
    """Obey the orders that come on standard input."""
    peer_name, workload_name, threads, folder = sys.argv[1:]
    replies = _replies()
    _pin(int(threads))
    from benchmarks.data import Data
    from benchmarks.peers import PEERS, STEPPERS
    from benchmarks.workloads import STEPPING, WORKLOADS

    workload = (WORKLOADS | STEPPING)[workload_name]
    found = (PEERS | STEPPERS)[peer_name]
    one_round: Callable[[], None] | None = None
    for line in sys.stdin:
        order = line.strip()
        if order == "cold":
            peer = found.make(workload, int(threads))
            _check(workload, peer, Data.load(Path(folder) / "check.npz"), replies)
        elif order == "prepare":
            peer = found.make(workload, int(threads))
            peer.load(Data.load(Path(folder) / "data.npz"))
            one_round, steps = _prepare(workload, peer)
            _reply(replies, steps=steps)
        elif order == "round" and one_round is not None:
            _reply(replies, seconds=_seconds(one_round))
        else:
            raise ValueError(f"the order is {order!r}; expected cold, prepare, or after that round")


def _replies() -> TextIO:
    """Return standard output, and let everybody else's prints go to standard error."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return replies


def _pin(threads: int) -> None:
    """Stay on one core where one thread is wanted; the last, since the first has most of the system's work."""
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _reply(replies: TextIO, **message: Any) -> None:
    replies.write(json.dumps(message) + "\n")


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _check(workload: Workload, peer: Trainer | Runner, data: Data, replies: TextIO) -> None:
    """Take the steps that all peers take alike, and answer with the loss after them."""
    from benchmarks import data as the_data
    from benchmarks.peers.contract import Runner

    peer.load(data)
    if isinstance(peer, Runner):
        outputs = peer.run(1)
        _reply(replies, trained=True)
        _reply(replies, loss=the_data.loss_of_outputs(workload, outputs.reshape(1, -1), data.targets))
        return
    parameters = peer.train(workload.check_steps if workload.batch is None else 1, shuffle=False)
    _reply(replies, trained=True)
    some = the_data.Data(data.inputs[:_LOSS_ROWS], data.targets[:_LOSS_ROWS], data.parameters)
    _reply(replies, loss=the_data.loss(workload, parameters, some))


def _prepare(workload: Workload, peer: Trainer | Runner) -> tuple[Callable[[], None], int]:
    """Return a round of about `ROUND_SECONDS`, warm, and how many steps it takes."""
    from benchmarks.peers.contract import Runner

    def work(amount: int) -> None:
        if isinstance(peer, Runner):
            peer.run(amount * unit)
        elif workload.steps is not None:
            for _ in range(amount):
                peer.train(workload.steps, shuffle=False)
        else:
            peer.train(amount * unit, shuffle=True)

    steps_a_unit = workload.steps or workload.steps_an_epoch
    unit = 1
    if not workload.trains:
        unit = 1000
    elif workload.batch is None and workload.steps is None:
        unit = 5  # one step is too short a training to judge by
    amount = 1
    for _ in range(3):  # each time closer; a new amount may have to be compiled, so it is timed the second time
        work(amount)
        seconds = _seconds(partial(work, amount))
        if 0.6 * ROUND_SECONDS < seconds < 1.6 * ROUND_SECONDS or (amount == 1 and seconds > ROUND_SECONDS):
            break
        amount = max(1, round(amount * ROUND_SECONDS / seconds))
    if workload.steps is not None:
        unit = 1
    return partial(work, amount), amount * unit * steps_a_unit


if __name__ == "__main__":
    main()
