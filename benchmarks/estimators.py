"""``python -m benchmarks.estimators``: the MLPs beside scikit-learn's, same settings, same epochs, all cores."""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import sklearn.neural_network as theirs

from benchmarks import data
from benchmarks.machine import describe, in_a_line
from benchmarks.table import duration
from nineline import estimators as ours

if TYPE_CHECKING:
    from collections.abc import Callable

CALIFORNIA: Final = data.MNIST.parent / "tabular" / "california_housing.csv"
_PAUSE: Final = 0.3  # until a pool of threads that spins after its work has gone to sleep
_ROUND_SECONDS: Final = 0.2
_BOTH: Final = ("scikit-learn", "nineline")


@dataclass
class Row:
    """A line of the table.

    Attributes
    ----------
    name, what : str
    bound : float
        How many times as fast as scikit-learn it is to be.
    work : dict of str to function
        What is timed, by whose it is.
    same : function
        Returns how far their results lie apart, once the work is done.
    seconds : dict of str to list of float
        A round each.
    """

    name: str
    what: str
    bound: float
    work: dict[str, Callable[[], object]]
    same: Callable[[], float]
    seconds: dict[str, list[float]] = field(default_factory=lambda: {whose: [] for whose in _BOTH})

    @property
    def ratio(self) -> float:
        """How many times as fast it is, by the medians."""
        return statistics.median(self.seconds[_BOTH[0]]) / statistics.median(self.seconds[_BOTH[1]])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators", description=__doc__)
    parser.add_argument("--rows", default="*", help="such as mlp-*,predict-1; by default all")
    parser.add_argument("--rounds", type=int, default=5, help="of each (%(default)s)")
    parser.add_argument("--json", type=Path, help="write every figure to this file, too")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # three epochs do not converge
    machine = describe()
    print(in_a_line(machine) + "\n")
    print(
        "| row | | scikit-learn | nineline | times as fast | at least | differ by |\n|---|---|---:|---:|---:|---:|---:|"
    )
    found = []
    for make in (_digits_rows, _houses_rows):
        for row in make():
            if not any(fnmatchcase(row.name, pattern) for pattern in arguments.rows.split(",")):
                continue
            _measure(row, arguments.rounds)
            times = " | ".join(duration(statistics.median(row.seconds[whose])) for whose in _BOTH)
            bound = f"{row.bound:g}" if row.bound else ""
            print(f"| {row.name} | {row.what} | {times} | {row.ratio:.1f} | {bound} | {row.same():.0e} |", flush=True)
            found.append({"row": row.name, "what": row.what, "seconds": row.seconds})
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "rows": found}, indent=1) + "\n")


def _measure(row: Row, rounds: int) -> None:
    """Take turns; a short piece of work is repeated until a round is long enough to time."""
    repeats = {}
    for whose, work in row.work.items():
        work()
        began = time.perf_counter()
        work()
        repeats[whose] = max(1, round(_ROUND_SECONDS / (time.perf_counter() - began)))
    for _ in range(rounds):
        for whose, work in row.work.items():
            time.sleep(_PAUSE)
            began = time.perf_counter()
            for _ in range(repeats[whose]):
                work()
            row.seconds[whose].append((time.perf_counter() - began) / repeats[whose])


def _digits_rows() -> list[Row]:
    rng = np.random.default_rng(data.SEED)
    if data.MNIST.exists():
        with np.load(data.MNIST) as file:
            X, y, note = file["x_train"].reshape(60_000, -1) / 255, file["y_train"], "MNIST"
    else:
        X, y, note = rng.random((60_000, 784)), rng.integers(10, size=60_000), "random numbers in MNIST's shape"
    models, others = (
        {
            whose: module.MLPClassifier(random_state=0, max_iter=3)
            for whose, module in zip(_BOTH, (theirs, ours), strict=True)
        }
        for _ in range(2)
    )
    full = rng.random(X.shape)
    return [
        _fit("mlp-mnist", f"fit: MLPClassifier, 784-100-10, 3 epochs, {note}", 3, models, X, y),
        _fit("mlp-no-zeros", "fit: the same of random numbers, none of them 0", 0, others, full, y),
        _predict("predict-1-mnist", "predict: one row, 784-100-10", 0, models, X[:1]),
        _predict("predict-60000-mnist", "predict: 60,000 rows, 784-100-10", 0, models, X),
    ]


def _houses_rows() -> list[Row]:
    rng = np.random.default_rng(data.SEED)
    if CALIFORNIA.exists():
        import polars as pl

        table = pl.read_csv(CALIFORNIA).select(pl.col(pl.Int64, pl.Float64)).drop_nulls().to_numpy().astype(float)
        note = "California housing, the rows without gaps"
    else:
        table, note = rng.normal(size=(20_433, 9)), "random numbers in the shape of California housing"
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    X, y = np.ascontiguousarray(table[:, :-1]), table[:, -1].copy()
    pair = {"random_state": 0, "max_iter": 50, "n_iter_no_change": 50}
    models = {_BOTH[0]: theirs.MLPRegressor(**pair), _BOTH[1]: ours.MLPRegressor(**pair)}
    return [
        _fit("mlp-california", f"fit: MLPRegressor, 8-100-1, 50 epochs, {note}", 8, models, X, y),
        _predict("predict-1", "predict: one row, 8-100-1", 15, models, X[:1]),
        _predict("predict-100000", "predict: 100,000 rows, 8-100-1", 2, models, rng.normal(size=(100_000, 8))),
    ]


def _fit(name: str, what: str, bound: float, models: dict[str, Any], X: data.Array, y: data.Array) -> Row:
    def same() -> float:
        their, our = (models[whose] for whose in _BOTH)
        if our.n_iter_ != their.n_iter_:
            raise SystemExit(f"{name}: {our.n_iter_} epochs here and {their.n_iter_} there is not the same work")
        return float(max(np.abs(a - b).max() for a, b in zip(our.coefs_, their.coefs_, strict=True)))

    for model in models.values():
        model.fit(X[:300], y[:300])  # for the rows that only predict, should this one be left out
    return Row(name, what, bound, {whose: _bound(model.fit, X, y) for whose, model in models.items()}, same)


def _predict(name: str, what: str, bound: float, models: dict[str, Any], X: data.Array) -> Row:
    def same() -> float:
        their, our = (models[whose].predict(X) for whose in _BOTH)
        return float(np.mean(our != their)) if our.dtype.kind in "iu" else float(np.abs(our - their).max())

    return Row(name, what, bound, {whose: _bound(model.predict, X) for whose, model in models.items()}, same)


def _bound(function: Callable[..., object], *arguments: Any) -> Callable[[], object]:
    return lambda: function(*arguments)


if __name__ == "__main__":
    main()
