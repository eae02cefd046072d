"""``python -m benchmarks.second_order``: Levenberg-Marquardt and L-BFGS beside gradients, SciPy and JAX.

MATLAB's documentation compares its training functions by the seconds until an error on problems of its own ("Choose a
Multilayer Neural Network Training Function"); four of them can be had here too. Every method begins with the same
weights, those of `Network(..., rng=start)`, in float64, and sees all rows at once.

- sin 1-5-1: ``sin(pi x)`` at 41 points from -1 to 1, to a mean squared error of .002.
- parity 3-10-10-1: 3 bits of -1 and 1, to .001. cancer 9-5-5-2 to .012 and diabetes 8-15-15-2 to .05: all rows of
  PROBEN1's first permutations as they are, inputs from 0 to 1 and targets 0 and 1 (MATLAB has them from -1 to 1).
- energy and concrete 8-10-1: all rows, standardised, to the loss at which our Levenberg-Marquardt is after 100
  iterations from the same start.

Hidden nodes are tanh and outputs are not squashed, in all of them. Methods take turns start by start. A start that is
over in a few hundredths of a second is taken three times, and its median counts. What is made beforehand is not timed:
our trainers, SciPy's functions, JAX's compiled loop. Of Adam and
gradient descent with three learning rates, SciPy with two scalings and JAX with two Jacobians the one counts that takes
the least seconds for each start that arrives, failures counted until they are given up. SciPy and JAX take part where a
bound names them, or --peers does. On parity, with fewer residuals than parameters, SciPy's "lm" refuses; there it is
"trf".

--threads 1 is one core for all: the process stays on it, and every pool is set to 1 before anything is imported.

--loop: 1,000 starts of sin, a network made and trained each, one after the other in Python on one core.
--derivatives: the derivatives of the outputs of 8-32-32-4 tanh by its inputs, of one row and of 1,000, beside JAX's.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.machine import cores, describe, in_a_line
from benchmarks.table import duration

if TYPE_CHECKING:  # everything else is imported once the process is where it belongs
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.second_order_peers import Ended, Limits, Method, Problem, Run

_SHORT: Final = 0.03  # seconds: what takes less is taken more than once
_REPEATS: Final = 3
_PAUSE: Final = 0.15  # until a pool of threads that spins after its work has gone to sleep
_LOOP: Final = 1000, 100  # starts, iterations at most
_SIZES: Final = 8, 32, 32, 4  # of the network whose derivatives are asked for
_ROWS: Final = 1000
_ROUNDS: Final = 7, 0.02  # of the derivatives; seconds of each
_POOLS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

BOUNDED: Final = ("sin", "parity", "energy", "concrete")
BOUNDS: Final = (("adam", "Adam", 10.0), ("scipy", "SciPy's least_squares", 10.0), ("jax", "the same in JAX", 5.0))
"""How many times our Levenberg-Marquardt's time each is to take at least, on each of `BOUNDED`."""
LOOP_BOUND: Final = 2.0
"""Seconds for the loop at most."""


def main() -> None:
    """Measure what is asked for, and print tables."""
    arguments = _arguments()
    confine(arguments.threads)
    from benchmarks.__main__ import choose, warn_where_busy
    from benchmarks.second_order_peers import METHODS, OTHERS, PROBLEMS, Limits

    warn_where_busy()
    machine = describe()
    print(in_a_line(machine) + "\n")
    everything = not (arguments.loop or arguments.derivatives)
    tallies: list[Tally] = []
    loop = None
    if everything:
        peers = choose("peer", arguments.peers, dict.fromkeys(method.peer for method in METHODS))
        limits = Limits(arguments.threads, arguments.iterations, arguments.epochs)
        methods = [method for method in METHODS if method.peer in peers]
        for missing in sorted({method.missing() for method in methods} - {""}):
            print(f"left out, {missing} is not here", file=sys.stderr)
        methods = [method for method in methods if not method.missing()]
        _print_header()
        for name in choose("problem", arguments.problems, PROBLEMS):
            able = [each for each in methods if arguments.peers or name in BOUNDED or each.peer not in OTHERS]
            tallies += _problem(name, able, limits, arguments.starts)
    if everything or arguments.loop:
        loop = _loop()
    if everything:
        _print_bounds(tallies, loop)
    if everything or arguments.derivatives:
        _print_derivatives(arguments.threads)
    if arguments.json:
        results = [{**tally.to_dict(), "starts": [each._asdict() for each in tally.ended]} for tally in tallies]
        arguments.json.write_text(json.dumps({"machine": machine, "results": results, "loop": loop}, indent=1) + "\n")


def confine(threads: int) -> None:
    """Give every pool of threads its size; stay on one core where that is one. Nothing may have been imported yet."""
    os.environ |= dict.fromkeys(_POOLS, str(threads)) | {"JAX_PLATFORMS": "cpu"}
    if threads == 1:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


# Problems


@dataclass
class Tally:
    """How all starts of a method went on a problem.

    Attributes
    ----------
    problem : Problem
    method : Method
    ended : list of Ended
    goals : list of float
    """

    problem: Problem
    method: Method
    ended: list[Ended] = field(default_factory=list)
    goals: list[float] = field(default_factory=list)

    @property
    def arrived(self) -> list[Ended]:
        """The starts that came to their goal."""
        from benchmarks.second_order_peers import ROUNDING

        return [each for each, goal in zip(self.ended, self.goals, strict=True) if each.loss <= goal * ROUNDING]

    @property
    def seconds(self) -> float | None:
        """Of those, the median."""
        return statistics.median(each.seconds for each in self.arrived) if self.arrived else None

    @property
    def rank(self) -> tuple[float, float]:
        """Seconds of all starts for each that arrives: to arrive by beginning anew. Then how far it came."""
        seconds = sum(each.seconds for each in self.ended)
        loss = statistics.median(each.loss for each in self.ended)
        return (seconds / len(self.arrived) if self.arrived else math.inf), loss

    @property
    def at_least(self) -> tuple[float, bool]:
        """The median, and whether it is a lower limit: where fewer than half arrive, that of all until given up."""
        if self.seconds is not None and 2 * len(self.arrived) >= len(self.ended):
            return self.seconds, False
        return statistics.median(each.seconds for each in self.ended), True

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        names = {"problem": self.problem.name, "peer": self.method.peer, "method": self.method.label}
        return names | {"arrived": len(self.arrived), "seconds": self.seconds, "goals": self.goals}

    def line(self, ours: Tally | None) -> str:
        """Return a line of the table."""
        problem, arrived = self.problem, self.arrived
        goal = f"mse {problem.error:g}" if problem.error else f"loss {statistics.median(self.goals):.3g}"
        steps = f"{statistics.median(each.iterations for each in arrived):,.0f}" if arrived else ""
        cells = [
            f"{problem.name} {'-'.join(map(str, problem.sizes))}",
            goal,
            self.method.label,
            f"{len(arrived)} of {len(self.ended)}",
            duration(self.seconds),
            steps,
            "" if ours is None else _times(self, ours),
        ]
        return f"| {' | '.join(f'**{cell}**' if self is ours and cell else cell for cell in cells)} |"


def _problem(name: str, methods: Sequence[Method], limits: Limits, starts: int) -> list[Tally]:
    """Take all starts of a problem, print who came how far, and return the best of each peer."""
    from benchmarks.__main__ import tell
    from benchmarks.second_order_peers import OURS, PROBLEMS

    try:
        problem = PROBLEMS[name]()
    except FileNotFoundError as error:
        print(f"{name} is left out: {error.filename} is not here", file=sys.stderr)
        return []
    if problem.goal is None and not any(method.peer == OURS for method in methods):
        print(f"{name} is left out: its goal is where LevenbergMarquardt comes to, which is not asked", file=sys.stderr)
        return []
    tallies: list[tuple[Tally, Run]] = []
    for method in methods:
        tell(f"{name}: getting ready, {method.label}")
        tallies.append((Tally(problem, method), method.make(problem, limits)))
    for start in range(starts):
        goal = problem.goal
        for tally, run in tallies:  # ours is the first
            tell(f"{name}: start {start + 1} of {starts}, {tally.method.label}")
            if limits.threads > 1:
                time.sleep(_PAUSE)
            ended = _median(partial(run, start, 0.0 if goal is None else goal))
            goal = ended.loss if goal is None else goal
            tally.ended.append(ended)
            tally.goals.append(goal)
    tell("")
    best: dict[str, Tally] = {}
    for tally, _ in tallies:
        peer = tally.method.peer
        if peer not in best or tally.rank < best[peer].rank:
            best[peer] = tally
    for tally in best.values():
        print(tally.line(best.get(OURS)), flush=True)
    return list(best.values())


def _median(take: Callable[[], Ended]) -> Ended:
    """Return a start as it usually goes."""
    ended = [take()]
    while len(ended) < _REPEATS and ended[-1].seconds < _SHORT:
        ended.append(take())
    return sorted(ended, key=lambda each: each.seconds)[len(ended) // 2]


def _times(tally: Tally, ours: Tally) -> str:
    """Return how many times our time a method takes."""
    if tally is ours or ours.seconds is None:
        return ""
    seconds, is_limit = tally.at_least
    return f"{'≥ ' if is_limit else ''}{seconds / ours.seconds:.2g} ×"


def _print_header() -> None:
    print("| problem | goal | method | starts that arrive | their seconds, median | iterations | × ours |")
    print(f"|---|---|---|{'---:|' * 4}", flush=True)


def _print_bounds(tallies: Sequence[Tally], loop: float | None) -> None:
    from benchmarks.second_order_peers import OURS

    table = {(tally.problem.name, tally.method.peer): tally for tally in tallies}
    print("\n| of our Levenberg–Marquardt's time | bound | came | kept |\n|---|---:|---:|---|")
    for problem in BOUNDED:
        ours = table.get((problem, OURS))
        for peer, what, limit in BOUNDS:
            theirs = table.get((problem, peer))
            if ours is None or ours.seconds is None or theirs is None:
                continue
            kept = theirs.at_least[0] / ours.seconds >= limit
            verdict = "yes" if kept else "open: given up too early" if theirs.at_least[1] else "**no**"
            print(f"| {problem}: {what} | ≥ {limit:g} × | {_times(theirs, ours)} | {verdict} |")
    if loop is not None:
        kept = loop <= LOOP_BOUND
        print(f"| {_LOOP[0]:,} starts of sin | ≤ {LOOP_BOUND:g} s | {loop:.2f} s | {'yes' if kept else '**no**'} |")


# A loop of starts


def _loop() -> float | None:
    """Train one network after the other; say how long that takes, and return it."""
    import nineline
    from benchmarks.second_order_peers import METHODS, OURS, sin

    ours = next(method for method in METHODS if method.peer == OURS)
    if ours.missing():
        print(f"the loop is left out, {ours.missing()} is not here", file=sys.stderr)
        return None
    problem, (starts, iterations) = sin(), _LOOP
    goal = problem.goal
    assert goal is not None
    optimizer = nineline.LevenbergMarquardt(goal=goal)

    def begin(start: int) -> bool:
        history = problem.network(start).train(
            problem.inputs,
            problem.targets,
            epochs=iterations,
            loss="squared_error",
            optimizer=optimizer,
            threads=1,
            progress=False,
        )
        return history.loss[-1] <= goal

    with _on_one_core():
        begin(0)
        began = time.perf_counter()
        arrived = sum(begin(start) for start in range(starts))
        seconds = time.perf_counter() - began
    print(f"\n{starts:,} starts of sin, at most {iterations} iterations each: {seconds:.2f} s, {arrived:,} arrive")
    return seconds


@contextlib.contextmanager
def _on_one_core() -> Iterator[None]:
    """Keep this thread on one core for a while."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# Derivatives by the inputs


def _print_derivatives(threads: int) -> None:
    import importlib.util

    from nineline import Network

    has_jax = importlib.util.find_spec("jax") is not None
    name = "-".join(map(str, _SIZES))
    print(f"\n| d outputs / d inputs of {name} tanh | | one row | {_ROWS:,} rows | × ours, one | × ours, {_ROWS:,} |")
    print(f"|---|---|{'---:|' * 4}")
    for dtype in ("float32", "float64"):
        network, inputs = _network_and_rows(dtype)
        forms: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {}
        if hasattr(Network, "jacobian"):
            one, many = partial(network.jacobian, inputs[0]), partial(network.jacobian, inputs)
            forms["network.jacobian"] = one, many
        if has_jax:
            from benchmarks.second_order_jax import jacobians

            forms["JAX, jitted vmap(jacrev)"] = jacobians(_SIZES, network.parameters, inputs)
        _check_alike(forms)
        times = _rounds(forms, threads)
        ours = times.get("network.jacobian")
        for who, (one_row, rows) in times.items():
            ratios = ("", "") if ours in (None, (one_row, rows)) else (one_row / ours[0], rows / ours[1])
            shown = " | ".join(f"{each:.2g} ×" if each else "" for each in ratios)
            print(f"| {dtype} | {who} | {duration(one_row)} | {duration(rows)} | {shown} |", flush=True)


def _network_and_rows(dtype: str) -> tuple[Any, Any]:
    import numpy as np

    from nineline import Network

    network = Network(*_SIZES, activation="tanh", output="identity", bias=True, rng=0, dtype=dtype)
    return network, np.random.default_rng(0).normal(size=(_ROWS, _SIZES[0])).astype(dtype)


def _check_alike(forms: dict[str, tuple[Callable[[], Any], Callable[[], Any]]]) -> None:
    """Compute each once, which compiles what is to be compiled, and raise where they differ."""
    import numpy as np

    for which in range(2):
        answers = [np.asarray(form[which]()) for form in forms.values()]
        for answer in answers:
            np.testing.assert_allclose(answer, answers[0], rtol=1e-3, atol=1e-5)


def _rounds(
    forms: dict[str, tuple[Callable[[], Any], Callable[[], Any]]], threads: int
) -> dict[str, tuple[float, float]]:
    """Return the seconds of a call of each form, medians over rounds in which they take turns."""
    rounds, seconds = _ROUNDS
    taken: dict[str, tuple[list[float], list[float]]] = {who: ([], []) for who in forms}
    for _ in range(rounds):
        for who, form in forms.items():
            for call, times in zip(form, taken[who], strict=True):
                if threads > 1:
                    time.sleep(_PAUSE)
                calls, began = 0, time.perf_counter()
                while (passed := time.perf_counter() - began) < seconds:
                    for _ in range(10):
                        call()
                    calls += 10
                times.append(passed / calls)
    return {who: (statistics.median(one), statistics.median(many)) for who, (one, many) in taken.items()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.second_order",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--problems", default="", help="such as sin,parity; by default all")
    parser.add_argument("--peers", default="", help="of lm, lbfgs, adam, momentum, scipy, jax; by default all")
    parser.add_argument("--starts", type=int, default=30, help="of each problem (%(default)s)")
    parser.add_argument("--iterations", type=int, default=1000, help="of a Levenberg-Marquardt at most (%(default)s)")
    parser.add_argument("--epochs", type=int, default=20_000, help="of all others at most (%(default)s)")
    parser.add_argument("--threads", type=int, default=cores(), help="by default all cores (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="3 starts, 200 iterations, 2,000 epochs")
    parser.add_argument("--loop", action="store_true", help="the loop of starts alone")
    parser.add_argument("--derivatives", action="store_true", help="the derivatives by the inputs alone")
    parser.add_argument("--json", type=Path, help="write every start to this file, too")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.starts, arguments.iterations, arguments.epochs = 3, 200, 2000
    if min(arguments.starts, arguments.iterations, arguments.epochs) < 1:
        parser.error("starts, iterations and epochs are counts, at least 1")
    if not 1 <= arguments.threads <= cores():
        parser.error(f"threads are from 1 to {cores()}, the cores of this machine")
    return arguments


if __name__ == "__main__":
    main()
