"""``python -m benchmarks.many``: many networks of one shape, side by side; beside JAX's ``vmap`` of a jitted ``scan``.

A figure is the time of a step of one network: of a whole training over the networks and the steps in it, the way from
Python included. JAX has seen the call before, so its compilation is left out. Peers take turns, and the median of the
rounds counts. ``--ways`` asks instead from which size on networks are faster one by one than in the lanes of vectors.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.__main__ import choose, tell, warn_where_busy
from benchmarks.machine import cores, describe, in_a_line
from benchmarks.table import duration

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Run = Callable[[], npt.NDArray[Any]]

_PAUSE: Final = 0.3  # seconds between two peers, for threads to go to sleep
_OURS: Final = "Networks"


@dataclass(frozen=True)
class Case:
    """Networks to be trained.

    Attributes
    ----------
    name : str
    count : int
    nodes : tuple of int
    activation, output : str
    bias : bool
    dtype : str
    optimizer : {"gradient_descent", "adam"}
        At learning rates of 1 and 0.001.
    rows, batch_size : int
        As many rows a step as there are is the whole batch.
    epochs : int
    bound : float
        How many times our time JAX's is to be at least.
    """

    name: str
    count: int
    nodes: tuple[int, ...]
    activation: str
    output: str
    bias: bool
    dtype: str
    optimizer: str
    rows: int
    batch_size: int
    epochs: int
    bound: float

    @property
    def steps(self) -> int:
        """How many each network takes."""
        return self.epochs * -(-self.rows // self.batch_size)

    @property
    def multiply_adds(self) -> int:
        """How many a step of one network has: forward, gradient, and errors but those of the data."""
        layers = [a * b for a, b in zip(self.nodes, self.nodes[1:], strict=False)]
        return self.batch_size * (3 * sum(layers) - layers[0])

    @property
    def activations(self) -> int:
        """How many sigmoids or hyperbolic tangents a step of one network has."""
        hidden = sum(self.nodes[1:-1]) if self.activation != "relu" else 0
        return self.batch_size * (hidden + (self.nodes[-1] if self.output != "identity" else 0))

    def data(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return inputs and targets."""
        if self.rows == 4:
            x, y = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], [[0], [1], [1], [0]]
            return np.array(x, self.dtype), np.array(y, self.dtype)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(self.rows, self.nodes[0]))
        return x.astype(self.dtype), np.sin(x[:, :3].sum(axis=1, keepdims=True)).astype(self.dtype)

    def networks(self) -> Any:
        """Return them as they begin."""
        from nineline import Networks

        names = {"activation": self.activation, "output": self.output, "bias": self.bias}
        return Networks(self.count, *self.nodes, **names, rng=0, dtype=self.dtype)

    def settings(self) -> dict[str, Any]:
        """Return what a training is told, but the epochs."""
        from nineline import Adam, GradientDescent

        size = None if self.batch_size == self.rows else self.batch_size
        settings: dict[str, Any] = {"batch_size": size, "progress": False, "rng": 1}
        if self.optimizer == "adam":
            return {"optimizer": Adam(0.001), "loss": "squared_error", **settings}
        return {"optimizer": GradientDescent(1.0), **settings}

    def orders(self) -> npt.NDArray[np.int64] | None:
        """Return the rows of each step, (steps, batch_size); None for the whole batch. They are what ours draws."""
        if self.batch_size == self.rows:
            return None
        from nineline.draws import seed

        rng = np.random.default_rng(1)
        seed(rng)
        return np.concatenate([rng.permutation(self.rows) for _ in range(self.epochs)]).reshape(-1, self.batch_size)


def _tutorial(count: int, dtype: str, bound: float) -> Case:
    name = f"{count} × 3-6-1 {dtype}"
    return Case(name, count, (3, 6, 1), "sigmoid", "sigmoid", False, dtype, "gradient_descent", 4, 4, 10_000, bound)


CASES: Final = {
    case.name: case
    for case in (
        _tutorial(1000, "float32", 8),
        _tutorial(1000, "float64", 8),
        _tutorial(100, "float32", 5),
        _tutorial(100, "float64", 5),
        Case("200 × 8-32-32-1", 200, (8, 32, 32, 1), "tanh", "identity", True, "float32", "adam", 1280, 64, 5, 2),
        Case("64 × 20-64-64-1", 64, (20, 64, 64, 1), "relu", "identity", True, "float32", "adam", 1280, 128, 5, 1.3),
    )
}


def main() -> None:
    """Measure what is asked for, and print a table."""
    arguments = _arguments()
    warn_where_busy()
    machine = describe()
    print(in_a_line(machine) + "\n")
    if arguments.ways:
        _print_ways()
        return
    limits = _limits()
    results = []
    print("| networks | peer | a step of a network | × ours | bound | at this machine's limit |")
    print("|---|---|---:|---:|---:|---:|")
    for name in choose("case", arguments.cases, CASES):
        case = CASES[name]
        seconds, ended = _measure(case, choose("peer", arguments.peers, PEERS), arguments.rounds)
        ours = seconds.get(_OURS)
        for peer, took in seconds.items():
            times = "" if ours is None or peer == _OURS else f"{took / ours:.1f} ×"
            limit = f"{duration(limits(case))}" if peer == _OURS else ""
            bound = ""
            if peer == "jax" and ours is not None:
                bound = f"{case.bound:g} ×, {'kept' if took / ours >= case.bound else 'missed'}"
            apart = _apart(ended, peer)
            mark = " (other results!)" if apart > 0.02 else ""
            cells = [case.name, peer + mark, duration(took), times, bound, limit]
            print(f"| {' | '.join(f'**{cell}**' if peer == _OURS and cell else cell for cell in cells)} |", flush=True)
            results.append({"case": case.name, "peer": peer, "seconds": took, "limit": limits(case), "apart": apart})
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")


# Peers: each returns what trains all networks from where they begin, and gives their parameters


def _ours(case: Case) -> Run:
    x, y = case.data()
    start = case.networks()
    settings = case.settings()

    def run() -> npt.NDArray[Any]:
        networks = start.copy()
        networks.train(x, y, epochs=case.epochs, **settings)
        return networks.parameters

    return run


def _one_after_the_other(case: Case) -> Run:
    """Train an eighth of the networks, one after the other; their time is taken eight times."""
    x, y = case.data()
    start = [network.copy() for network in case.networks()[: max(1, case.count // 8)]]
    settings = case.settings()

    def run() -> npt.NDArray[Any]:
        networks = [network.copy() for network in start]
        for network in networks:
            network.train(x, y, epochs=case.epochs, **settings)
        return np.stack([network.parameters for network in networks])

    return run


def _numpy(case: Case) -> Run:
    """Train by the reference engine: NumPy over stacked matrices, a tenth of the steps."""
    x, y = case.data()
    start = case.networks()
    settings = case.settings()
    epochs = max(1, case.epochs // 10)

    def run() -> npt.NDArray[Any]:
        networks = start.copy()
        networks.train(x, y, epochs=epochs, engine="reference", **settings)
        return networks.parameters

    return run


def _jax(case: Case) -> Run:
    """Train by a jitted ``vmap`` over the networks of a ``scan`` over the steps, optax's rule in it."""
    import jax
    import jax.numpy as jnp
    import optax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)
    x, y = map(jnp.asarray, case.data())
    orders = case.orders()
    shapes = list(zip(case.nodes, case.nodes[1:], strict=False))
    rule = optax.adam(0.001) if case.optimizer == "adam" else optax.sgd(1.0)
    functions = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu, "identity": lambda z: z}

    def loss(parameters: Any, some: Any, targets: Any) -> Any:
        outputs = some
        for number, (weights, bias) in enumerate(parameters):
            z = outputs @ weights if bias is None else outputs @ weights + bias
            outputs = functions[case.output if number == len(shapes) - 1 else case.activation](z)
        total = 0.5 * jnp.sum((outputs - targets) ** 2)
        return total / len(some) if case.optimizer == "adam" else total

    def train(parameters: Any) -> Any:
        def step(carry: Any, rows: Any) -> Any:
            parameters, state = carry
            some = (x, y) if rows is None else (x[rows], y[rows])
            value, gradient = jax.value_and_grad(loss)(parameters, *some)
            change, state = rule.update(gradient, state, parameters)
            return (optax.apply_updates(parameters, change), state), value

        steps = None if orders is None else jnp.asarray(orders)
        (parameters, _), values = jax.lax.scan(step, (parameters, rule.init(parameters)), steps, case.steps)
        return parameters, values

    many = jax.jit(jax.vmap(train))
    networks = case.networks()
    blocks = [networks.parameters[:, block.place].reshape(-1, *block.shape) for block in networks.one.blocks]
    each = [(jnp.asarray(blocks.pop(0)), jnp.asarray(blocks.pop(0)) if case.bias else None) for _ in shapes]
    compiled = many.lower(each).compile()

    def run() -> npt.NDArray[Any]:
        parameters, values = jax.block_until_ready(compiled(each))
        np.asarray(values)
        parts = [np.asarray(part).reshape(case.count, -1) for layer in parameters for part in layer if part is not None]
        return np.concatenate(parts, axis=1)

    return run


PEERS: Final[dict[str, tuple[Callable[[Case], Run], float]]] = {
    _OURS: (_ours, 1.0),
    "Network, one after the other": (_one_after_the_other, 1 / 8),
    "numpy": (_numpy, 1 / 10),
    "jax": (_jax, 1.0),
}
"""How a peer trains, and what share of the steps it takes."""


def _measure(case: Case, peers: list[str], rounds: int) -> tuple[dict[str, float], dict[str, npt.NDArray[Any]]]:
    """Return the seconds of a step of a network by peer, and the parameters that networks ended with."""
    runs, ended = {}, {}
    for peer in peers:
        tell(f"{case.name}: getting ready, {peer}")
        try:
            runs[peer] = PEERS[peer][0](case)
        except ImportError as error:
            print(f"{peer} is left out: {error.name} is not here", file=sys.stderr)
            continue
        ended[peer] = runs[peer]()
    took: dict[str, list[float]] = {peer: [] for peer in runs}
    for number in range(rounds):
        for peer, run in runs.items():
            tell(f"{case.name}: round {number + 1} of {rounds}, {peer}")
            time.sleep(_PAUSE)
            began = time.perf_counter()
            run()
            took[peer].append(time.perf_counter() - began)
    tell("")
    of = {peer: statistics.median(each) / (case.count * case.steps * PEERS[peer][1]) for peer, each in took.items()}
    return of, ended


def _apart(ended: dict[str, npt.NDArray[Any]], peer: str) -> float:
    """Return how far a peer's parameters are from ours, relatively: the median of the networks."""
    if peer not in ended or _OURS not in ended or PEERS[peer][1] == 1 / 10:
        return 0.0
    theirs = ended[peer]
    ours = ended[_OURS][: len(theirs)]
    return float(np.median(np.abs(theirs - ours).max(axis=1) / np.abs(ours).max(axis=1)))


# Limits


def _limits() -> Callable[[Case], float]:
    """Return what a step of a network would take at least: its multiply-adds and its activations, on every core."""
    from benchmarks.limits import figures

    found = figures()

    def limit(case: Case) -> float:
        if found is None:
            return float("nan")
        rate = found[1][f"multiply-adds {case.dtype}"][0] * 1e9
        per = _seconds_of(case.activation if case.activation != "relu" else "tanh", case.dtype) / cores()
        return 2 * case.multiply_adds / rate + case.activations * per

    return limit


def _seconds_of(function: str, dtype: str) -> float:
    """Return how long one value of an activation takes on one core, of many in the first cache."""
    from nineline.engines import _native

    values = np.linspace(-5, 5, 1024).astype(dtype)
    level = _native.levels()[-1]
    repeat = np.tile(values, 64)  # calls from Python are dear
    best = min(_timed(lambda: _native.apply(function, repeat, level)) for _ in range(30))
    return best / len(repeat)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# Ways


_WAYS: Final = (
    *((8, hidden, 1) for hidden in (4, 8, 12, 16, 24, 32)),
    *((8, hidden, hidden, 1) for hidden in (4, 8, 12, 16)),
    (20, 8, 1),
    (20, 16, 1),
)


def _print_ways() -> None:
    """Print, by size, how long a step of a network takes in lanes and one by one."""
    from nineline.engines.contract import Rule
    from nineline.engines.many import ManyRule
    from nineline.engines.native_many import NativeMany
    from nineline.rows import Rows

    print("| networks | parameters | in lanes | one by one |\n|---|---:|---:|---:|")
    for dtype in ("float32", "float64"):
        for nodes in _WAYS:
            for count, rows, size in ((256, 4, 4), (256, 640, 64), (4, 640, 64)):
                case = Case("", count, nodes, "tanh", "identity", True, dtype, "adam", rows, size, 1, 0)
                networks = case.networks()
                x = np.random.default_rng(0).normal(size=(rows, nodes[0])).astype(dtype)
                nothing = np.zeros(count)
                seeds = np.zeros(count, np.uint64)
                many = ManyRule(Rule("squared_error", "adam"), nothing + 1e-3, nothing, nothing, seeds)
                order = None if rows == size else np.random.default_rng(0).permutation(rows)
                cells = []
                for in_lanes in (True, False):
                    engine = NativeMany(networks.one, networks.parameters.copy(), many, cores(), in_lanes)
                    steps = np.ones(100 if order is None else rows // size)
                    losses = np.empty((count, len(steps)))
                    given = np.arange(count), Rows(x, x[:, :1].copy()), order, size, steps, losses
                    cells.append(min(_timed(partial(engine.steps, *given)) for _ in range(5)) / losses.size)
                name = f"{count} × {'-'.join(map(str, nodes))}, {dtype}, {size} rows"
                better = ["**" if cell == min(cells) else "" for cell in cells]
                shown = " | ".join(f"{mark}{duration(cell)}{mark}" for cell, mark in zip(cells, better, strict=True))
                print(f"| {name} | {networks.parameters.shape[1]:,} | {shown} |", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many", description=__doc__)
    parser.add_argument("--cases", default="", help="names of cases, with commas between them; all by default")
    parser.add_argument("--peers", default="", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--ways", action="store_true", help="ask from which size on networks are faster one by one")
    parser.add_argument("--json", type=Path, help="write every figure to this file, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
