"""``python -m benchmarks.stepping``: one step a call from Python, beside the peers; one thread.

A step of so small a network is over in a few microseconds. What is asked here is how much the way from Python into it
and back adds, for a loop of one's own that hands over a batch, or a row, at a time.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.__main__ import choose, tell, warn_where_busy
from benchmarks.machine import describe, in_a_line
from benchmarks.measure import Result, measure
from benchmarks.peers import STEPPERS
from benchmarks.table import disagreeing, duration
from benchmarks.workloads import STEPPING

if TYPE_CHECKING:
    from collections.abc import Callable

_ARITHMETIC: Final = "trainer.steps"
_STEP: Final = "trainer.step"

Seconds = dict[tuple[str, str], float]
"""A step, by workload and form."""


@dataclass(frozen=True)
class Bound:
    """What is promised of a figure.

    Attributes
    ----------
    what : str
    needs : tuple of (workload, form)
        The figures that it is made of.
    figure : function of them
    limit : float
        Seconds at most, or times at least.
    is_time : bool
    """

    what: str
    needs: tuple[tuple[str, str], ...]
    figure: Callable[..., float]
    limit: float
    is_time: bool

    def line(self, seconds: Seconds) -> str:
        """Return a line of the table of bounds."""
        if any(need not in seconds for need in self.needs):
            return f"| {self.what} | {self._limit} | not measured | |"
        came = self.figure(*(seconds[need] for need in self.needs))
        kept = came <= self.limit if self.is_time else came >= self.limit
        shown = _time(came) if self.is_time else f"{came:.1f} ×"
        return f"| {self.what} | {self._limit} | {shown} | {'yes' if kept else '**no**'} |"

    @property
    def _limit(self) -> str:
        return f"≤ {self.limit * 1e6:g} µs" if self.is_time else f"≥ {self.limit:g} ×"


def _alone(a: float) -> float:
    return a


def _difference(a: float, b: float) -> float:
    return a - b


def _ratio(a: float, b: float) -> float:
    return a / b


_OURS: Final = ("step", _STEP)
BOUNDS: Final = (
    Bound("`trainer.step`", (_OURS,), _alone, 8e-6, True),
    Bound("the same without its arithmetic", (_OURS, ("step", _ARITHMETIC)), _difference, 3e-6, True),
    Bound("JAX's jitted step over it", (("step", "jax"), _OURS), _ratio, 12, False),
    Bound("PyTorch's step over it", (("step", "torch"), _OURS), _ratio, 50, False),
    Bound("`network.train(X, y, 1, ...)`", (("train-1", "network.train, 1"),), _alone, 60e-6, True),
    Bound(
        "scikit-learn's `partial_fit` over ours",
        (("partial-fit", "sklearn's partial_fit"), ("partial-fit", "nineline's partial_fit")),
        _ratio,
        5,
        False,
    ),
)
"""What a step from Python is to take: 10-10-1, 32 rows."""


def main() -> None:
    """Measure and print two tables: every form, and what was promised."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stepping", description=__doc__)
    parser.add_argument("--workloads", default="", help=f"of {', '.join(STEPPING)}; by default all")
    parser.add_argument("--rounds", type=int, default=7, help="of each (%(default)s)")
    parser.add_argument("--json", type=Path, help="write every figure to this file, too")
    arguments = parser.parse_args()
    peers = dict(STEPPERS)
    for name, peer in STEPPERS.items():
        if missing := peer.missing():
            print(f"{name} is left out: {missing} is not here", file=sys.stderr)
            del peers[name]
    warn_where_busy()
    machine = describe()
    print(in_a_line(machine) + "\n")
    print("| workload | network | rows a call | form | a step | without arithmetic | × trainer.step | loss |")
    print("|---|---|---:|---|---:|---:|---:|---:|")
    results: list[Result] = []
    for name in choose("workload", arguments.workloads, STEPPING):
        able = [peer for peer in peers.values() if peer.takes(STEPPING[name])]
        some = measure(STEPPING[name], able, [1], rounds=arguments.rounds, cold=1, tell=tell)
        tell("")
        print("\n".join(_lines(some)), flush=True)
        results += some
    print("\n| 10-10-1, 32 rows | bound | came | kept |\n|---|---:|---:|---|")
    for bound in BOUNDS:
        print(bound.line(_seconds(results)))
    if arguments.json:
        content = {"machine": machine, "results": [result.to_dict() for result in results]}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


def _lines(results: list[Result]) -> list[str]:
    """Return the lines of one workload."""
    seconds, wrong = _seconds(results), disagreeing(results)
    lines = []
    for result in results:
        name, form = result.workload, result.peer
        workload = STEPPING[name]
        took, arithmetic, step = (seconds.get((name, which)) for which in (form, _ARITHMETIC, _STEP))
        beside = ratio = ""
        if took and step:
            ratio = f"{took / step:.2g}"
        if took and arithmetic and form != _ARITHMETIC and STEPPERS[form].package == "nineline":
            beside = _time(took - arithmetic)
        loss = "" if result.loss is None else f"{result.loss:.5g}"
        if result.error:
            loss = f"FAILED: {result.error}"
        elif (name, form) in wrong:
            loss = f"LOSS DIFFERS: {loss}"
        network = f"{'-'.join(map(str, workload.sizes))} {workload.activation}"
        lines.append(
            f"| {name} | {network} | {workload.batch_rows} | {form} | {duration(took)} | {beside} | {ratio} | {loss} |"
        )
    return lines


def _seconds(results: list[Result]) -> Seconds:
    return {(result.workload, result.peer): result.seconds for result in results if result.seconds is not None}


def _time(seconds: float) -> str:
    """Return a time that may be a difference below zero, within the noise."""
    return duration(seconds) if seconds >= 0 else f"−{duration(-seconds)}"


if __name__ == "__main__":
    main()
