"""``python -m benchmarks.ablation``: what each part of the tabular recipe gains, and what it costs in seconds.

Everything happens inside the training parts of `tabular_sets`: a fifth of each is held out to judge by, so that no test
row has a say in the defaults. Each line changes one thing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
import warnings
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import numpy as np

from benchmarks.tabular_sets import SETS

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

RESULTS: Final = Path("build/ablation.jsonl")
_TABULAR: Final = "nineline.estimators.tabular"
_TOO_FEW: Final = ("hypothyroid", "credit_g")  # errors, and rows in the held-out fifth
_BASE: Final[dict[str, Any]] = {"n_members": 4, "random_state": 0}


def _schedule(text: str) -> AbstractContextManager[Any]:
    from nineline.schedules import Constant, Cosine

    kinds = {"constant": Constant, "cosine": Cosine}
    return patch("nineline.estimators.tabular.member.WarmupStableDecay", kinds[text])


def _adamw(**settings: float) -> AbstractContextManager[Any]:
    from nineline.optimizers import AdamW

    def made(learning_rate: float, **given: float) -> AdamW:
        return AdamW(learning_rate, **(given | settings))

    return patch("nineline.estimators.tabular.member.AdamW", made)


def _intervals(count: int) -> AbstractContextManager[Any]:
    return patch("nineline.estimators.tabular.fitting.INTERVALS", count)


def _portfolio(name: str, value: object) -> AbstractContextManager[Any]:
    return patch(f"{_TABULAR}.portfolio.{name}", value)


def _plain_quantiles() -> AbstractContextManager[Any]:
    def nothing(shares: Any, intervals: int) -> tuple[Any, int, Any]:
        return np.zeros(len(shares), bool), intervals, np.ones(len(shares), bool)

    return patch("nineline.tables.kinds._heavy", nothing)


VARIANTS: Final[dict[str, tuple[dict[str, Any], Any]]] = {
    "the defaults, with four members": ({}, None),
    "one way to see numbers for all members": ({}, lambda: _portfolio("_BETTER", 0.0)),
    "no waves": ({}, lambda: _portfolio("_WAVES_AT_MOST", 0)),
    "numbers as they are at the rate of the others": ({}, lambda: patch(f"{_TABULAR}.recipe._PLAIN", 1.0)),
    "one member": ({"n_members": 1}, None),
    "eight members": ({"n_members": 8}, None),
    "no intervals: numbers scaled and bent alone": ({}, lambda: _intervals(0)),
    "16 intervals": ({}, lambda: _intervals(16)),
    "64 intervals": ({}, lambda: _intervals(64)),
    "plain quantiles, frequent values without edges of their own": ({}, _plain_quantiles),
    "relu": ({"activation": "relu"}, None),
    "two hidden layers, 256 and 128": ({"hidden_layer_sizes": (256, 128)}, None),
    "a constant rate": ({}, lambda: _schedule("constant")),
    "cosine from the start": ({}, lambda: _schedule("cosine")),
    "beta_2 = 0.999": ({}, lambda: _adamw(beta_2=0.999)),
    "learning rate 1e-3": ({"learning_rate": 1e-3}, None),
    "weight decay 0.01": ({"weight_decay": 0.01}, None),
    "no dropout": ({"dropout": 0.0}, None),
    "nothing held out, no early stopping": ({"validation_fraction": 0.0}, None),
}


def main() -> None:
    """Fit every variant on every set, keep the results in a file, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="what was found already, and is not fitted again")
    parser.add_argument(
        "--variants", default="*", help="patterns of their names, such as 'no *,one member'; the first is always there"
    )
    arguments = parser.parse_args()
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[str, str], tuple[float, float]] = {}
    if arguments.results.exists():
        for line in arguments.results.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            found[entry["variant"], entry["set"]] = entry["error"], entry["seconds"]
    names = [name for name in SETS if name not in _TOO_FEW]
    base, *others = VARIANTS
    wanted = [v for v in others if any(fnmatchcase(v, pattern) for pattern in arguments.variants.split(","))]
    for variant in [base, *wanted]:
        for name in names:
            if (variant, name) not in found:
                found[variant, name] = error, seconds = judge(variant, name)
                with arguments.results.open("a", encoding="utf-8") as file:
                    entry = {"variant": variant, "set": name, "error": error, "seconds": seconds}
                    file.write(json.dumps(entry) + "\n")
        print(in_a_line(variant, names, found), flush=True)


def judge(variant: str, name: str) -> tuple[float, float]:
    """Return the error on the held-out fifth of a training part, and the seconds of the fit."""
    from nineline.estimators import TabularClassifier, TabularRegressor

    warnings.simplefilter("ignore")
    settings, change = VARIANTS[variant]
    table = SETS[name]
    frame = table.load()
    known, _ = next(table.parts(frame))
    frame = frame.iloc[known].reset_index(drop=True)
    order = np.random.default_rng(123).permutation(len(frame))
    train, test = order[: round(0.8 * len(order))], order[round(0.8 * len(order)) :]
    X, y = table.features(frame), frame[table.target]
    model = (TabularClassifier if table.classes else TabularRegressor)(**(_BASE | settings))
    with change() if change is not None else contextlib.nullcontext():
        began = time.perf_counter()
        model.fit(X.iloc[train], y.iloc[train])
        seconds = time.perf_counter() - began
        answers, truth = np.asarray(model.predict(X.iloc[test])), y.iloc[test].to_numpy()
    wrong = answers != truth if table.classes else (answers - truth) ** 2
    return float(np.mean(wrong) if table.classes else np.sqrt(np.mean(wrong))), seconds


def in_a_line(variant: str, names: list[str], found: dict[tuple[str, str], tuple[float, float]]) -> str:
    """Return a variant's errors and seconds over those of the defaults: geometric mean of ratios, and sum."""
    base = next(iter(VARIANTS))
    ratios = [found[variant, name][0] / found[base, name][0] for name in names]
    seconds = sum(found[variant, name][1] for name in names)
    each = ", ".join(f"{name} {ratio:.3f}" for name, ratio in zip(names, ratios, strict=True))
    return f"| {variant} | {np.exp(np.mean(np.log(ratios))):.3f} | {seconds:.0f} s | {each} |"


if __name__ == "__main__":
    main()
