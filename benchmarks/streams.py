"""``python -m benchmarks.streams``: a table ten times as large as the memory it may take, beside the same in memory.

The table is the made-up one of `benchmarks.tables` (8 numbers, a day, texts of 5, 50, 400 and 2,000 levels), in Parquet
files that are written first. In memory is ``read_tables`` and ``fit``; read piece by piece is ``fit(files, target,
memory)`` with a tenth of what the table takes as a DataFrame. The system does not let that process have more than that
and 500 MB beside what it has before, of which threads reserve a good part and never touch it. Times are of both from
the files on.

What shuffling costs is shown with a network on arrays: in memory, from a source in random order, and from one that is
sorted by its target. Predictions are of telco_churn's columns, from Parquet to Parquet, as ../shared/data has them;
left out where it has not.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import resource
import shutil
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from benchmarks.machine import describe, in_a_line
from benchmarks.tables import made_up

if TYPE_CHECKING:
    from collections.abc import Callable

_FILES: Final = 10
_TEST: Final = 100_000
_TELCO: Final = Path("../shared/data/tabular/telco_churn.csv")
_BESIDE: Final = 500_000_000  # bytes


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000, help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="of each, in turn (%(default)s)")
    parser.add_argument("--what", default="fit,shuffle,predict", help="(%(default)s)")
    arguments = parser.parse_args()
    print(in_a_line(describe()), "\n")
    folder = Path(tempfile.mkdtemp(prefix="nineline-streams-"))
    try:
        if "fit" in arguments.what:
            _fits(folder, arguments.rows, arguments.rounds)
        if "shuffle" in arguments.what:
            _shuffles()
        if "predict" in arguments.what and _TELCO.exists():
            print("predict, Parquet to Parquet\n\n| networks | computed in | rows a second | MB at most |")
            print(f"|---|---|{'---:|' * 2}")
            for members, dtype in itertools.product((4, 1), ("float64", "float32")):
                rows, seconds, most = _apart(predict, folder, members, dtype)
                print(f"| {members} | {dtype} | {rows / seconds:,.0f} | {most / 1e6:.0f} |", flush=True)
    finally:
        shutil.rmtree(folder)


def _fits(folder: Path, rows: int, rounds: int) -> None:
    size = _apart(write, folder, rows)
    memory = size // 10
    print(f"{rows:,} rows, {size / 1e6:,.0f} MB as a DataFrame; memory={memory / 1e6:,.0f} MB\n")
    print(f"| | seconds | rows a second | MB beside the process | RMSE |\n|---|{'---:|' * 4}")
    for _ in range(rounds):
        for name, given in (("in memory", None), ("piece by piece", memory)):
            seconds, most, error = _apart(fit, folder, given)
            print(f"| {name} | {seconds:.1f} | {rows / seconds:,.0f} | {most / 1e6:,.0f} | {error:.4f} |", flush=True)
    print()


def write(folder: Path, rows: int) -> int:
    """Write a table to some files, and another to judge by; return how many bytes it takes as a DataFrame."""
    size = 0
    for number in range(_FILES):
        frame, target = made_up(rows // _FILES, number)
        size += int(frame.estimated_size()) + target.nbytes
        frame.with_columns(target=target).write_parquet(folder / f"{number}.parquet")
    frame, target = made_up(_TEST, _FILES)
    frame.with_columns(target=target).write_parquet(folder / "test")
    return size


def fit(folder: Path, memory: int | None) -> tuple[float, float, float]:
    """Return the seconds of a fit from the files on, what it held at most, and its error on other rows."""
    from nineline.estimators import TabularRegressor
    from nineline.tables import read_tables

    files, model = sorted(map(str, folder.glob("*.parquet"))), TabularRegressor(random_state=0)
    before = _at_most()
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (_data() + memory + _BESIDE,) * 2)
    began = time.perf_counter()
    if memory is None:
        frame = read_tables(files)
        model.fit(frame.drop("target"), frame["target"])
    else:
        model.fit(files, target="target", memory=memory)
    seconds, most = time.perf_counter() - began, _at_most() - before
    test = pl.read_parquet(folder / "test")
    gaps = model.predict(test.drop("target")) - test["target"].to_numpy()
    return seconds, most, float(np.sqrt(np.mean(gaps**2)))


def predict(folder: Path, members: int, dtype: str) -> tuple[int, float, float]:
    """Return how many rows were predicted, in how many seconds, and what was held at most."""
    from nineline.estimators import TabularClassifier
    from nineline.tables import read_table

    table = read_table(_TELCO)
    name = "churn" if "churn" in table.columns else table.columns[-1]
    model = TabularClassifier(random_state=0, max_epochs=2, n_members=members).fit(table.drop(name), table[name])
    copies = 200
    pl.concat([table.drop(name)] * copies).write_parquet(folder / "telco.parquet")
    before, began = _at_most(), time.perf_counter()
    model.predict_to(folder / "telco.parquet", folder / "answers.parquet", proba=True, dtype=dtype)
    return copies * table.height, time.perf_counter() - began, _at_most() - before


def _shuffles() -> None:
    """Print the error of a network by how its rows are mixed."""
    from nineline import Adam, ArraySource, IteratorSource, Network

    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (200_000, 8)).astype(np.float32)
    y = (np.sin(3 * X[:, :1]) * X[:, 1:2] + X[:, 2:3] ** 2 + 0.1 * rng.normal(size=(len(X), 1))).astype(np.float32)
    X_test, y_test = X[:20_000], np.sin(3 * X[:20_000, :1]) * X[:20_000, 1:2] + X[:20_000, 2:3] ** 2
    X, y = X[20_000:], y[20_000:]
    order = np.argsort(y[:, 0])
    memory = 4 * (X.nbytes + y.nbytes) // 10  # a window is a tenth of the rows

    def pieces(some: Any) -> Callable[[], Any]:
        return lambda: ((X[part], y[part]) for part in np.array_split(some, max(1, len(some) // 1000)))

    ways = {
        "in memory": (X, y),
        "a source, in random order": (IteratorSource(pieces(np.arange(len(X))), memory=memory), None),
        "sorted arrays": (ArraySource(X[order], y[order], memory=memory), None),
        "sorted, in 64 streams": (
            IteratorSource([pieces(part) for part in np.array_split(order, 64)], memory=memory),
            None,
        ),
        "sorted, in one stream": (IteratorSource(pieces(order), memory=memory), None),
    }
    print(f"| 180,000 rows, windows of a tenth | RMSE | warned |\n|---|{'---:|' * 2}")
    for name, (inputs, outputs) in ways.items():
        network = Network(8, 64, 64, 1, activation="tanh", output="identity", bias=True, dtype="float32", rng=0)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            network.train(
                inputs,
                outputs,
                epochs=10,
                batch_size=128,
                loss="squared_error",
                optimizer=Adam(2e-3),
                schedule="cosine",
                progress=False,
            )
        error = float(np.sqrt(np.mean((network.run(X_test) - y_test) ** 2)))
        print(f"| {name} | {error:.4f} | {'yes' if said else 'no'} |", flush=True)
    print()


def _apart(work: Callable[..., Any], *given: Any) -> Any:
    """Return what a function returns in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, given)


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def _at_most() -> int:
    """Return what this process has held in memory at most, in bytes."""
    return _status("VmHWM")


def _data() -> int:
    return _status("VmData")


if __name__ == "__main__":
    main()
