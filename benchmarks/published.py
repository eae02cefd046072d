"""``python -m benchmarks.published``: nineline's errors beside those that papers report, on the papers' own splits.

Four regressions of Gal and Ghahramani (2016), Dropout as a Bayesian approximation, twenty splits each; and three
problems of Prechelt (1994), PROBEN1, three permutations each.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

DATA: Final = Path(__file__).parents[2] / "shared" / "data"
UCI: Final = ("concrete", "energy", "kin8nm", "power-plant")
PROBEN1: Final = ("cancer", "diabetes", "thyroid")


def main() -> None:
    """Fit, and print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published", description=__doc__)
    parser.add_argument("--splits", type=int, default=20, help="of each of the four regressions (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="of each of PROBEN1's permutations (%(default)s)")
    arguments = parser.parse_args()
    print("| set | published, plain network | published, MC dropout | one network of 50 | TabularRegressor | s a fit |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in UCI:
        print(uci(name, arguments.splits), flush=True)
    print("\n| set | squared error, %, published | ours | classification error, %, published | ours | s a fit |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in PROBEN1:
        for permutation in (1, 2, 3):
            print(proben1(f"{name}{permutation}", arguments.seeds), flush=True)


def uci(name: str, splits: int) -> str:
    """Return a line of root mean squared errors, the mean and its standard error over splits."""
    from nineline.estimators import TabularRegressor

    with np.load(DATA / "uci_splits" / f"{name}.npz") as data:
        published = [np.asarray(data[key], float) for key in ("published_test_rmse", "published_test_mc_rmse")]
        X, y = data["X"], data["y"].ravel()
        parts = [(data[f"train_{split}"], data[f"test_{split}"]) for split in range(splits)]
    settings: list[dict[str, Any]] = [{"hidden_layer_sizes": (50,), "n_members": 1}, {}]
    errors, seconds = np.empty((splits, 2)), []
    for split, (train, test) in enumerate(parts):
        for place, setting in enumerate(settings):
            began = time.perf_counter()
            model = TabularRegressor(**setting, random_state=split).fit(X[train], y[train])
            seconds += [time.perf_counter() - began] if place else []
            errors[split, place] = np.sqrt(np.mean((model.predict(X[test]) - y[test]) ** 2))
    cells = [_mean(values, np.sqrt(len(values))) for values in (*published, *errors.T)]
    return f"| {name} | {' | '.join(cells)} | {np.mean(seconds):.1f} |"


def proben1(name: str, seeds: int) -> str:
    """Return a line: training and validation rows to learn from, the test rows to judge by."""
    from nineline.estimators import TabularClassifier

    with np.load(DATA / "proben1" / f"{name}.npz") as data:
        X, Y = data["X"], data["Y"]
        known = int(data["n_train"] + data["n_valid"])
    y = Y.argmax(axis=1)
    errors, seconds = np.empty((seeds, 2)), []
    for seed in range(seeds):
        began = time.perf_counter()
        model = TabularClassifier(random_state=seed).fit(X[:known], y[:known])
        seconds.append(time.perf_counter() - began)
        shares = model.predict_proba(X[known:])
        errors[seed] = np.mean((shares - Y[known:]) ** 2), np.mean(shares.argmax(axis=1) != y[known:])
    ours = [_mean(100 * values, 1) for values in errors.T]
    theirs = _published(name)
    return f"| {name} | {theirs[0]} | {ours[0]} | {theirs[1]} | {ours[1]} | {np.mean(seconds):.1f} |"


def _published(name: str) -> tuple[str, str]:
    """Return the squared-error percentage and the classification error of the report's table 10, without shortcuts."""
    with (DATA / "proben1" / "PUBLISHED_tables.csv").open(encoding="utf-8", newline="") as file:
        (line,) = [line for line in csv.DictReader(file) if line["problem"] == name and line["table"] == "10"]
    return f"{line['test_err']} ± {line['test_sd']}", f"{line['test_class_err']} ± {line['test_class_sd']}"


def _mean(values: np.ndarray[Any, Any], root: float) -> str:
    spread = np.std(values, ddof=1) / root if len(values) > 1 else 0.0
    return f"{np.mean(values):.4g} ± {spread:.2g}"


if __name__ == "__main__":
    main()
