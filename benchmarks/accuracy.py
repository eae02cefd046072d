"""``python -m benchmarks.accuracy``: errors and seconds of fit on tables, nineline's beside the peers', at defaults."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
import warnings
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.tabular_sets import LEFT_OUT, SETS

RESULTS: Final = Path("build/accuracy.jsonl")


def main() -> None:
    """Fit what has not been fitted yet, keep each result in a file, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--sets", default="*", help="such as adult,letter; by default all")
    parser.add_argument("--peers", default="*", help="such as nineline,lightgbm; by default all")
    parser.add_argument("--seeds", type=int, default=3, help="of each (%(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="what was found already, and is not fitted again")
    parser.add_argument("--again", default="", help="peers whose results in that file are forgotten first")
    arguments = parser.parse_args()
    from benchmarks.tabular_peers import PEERS

    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    found = _read(arguments.results, arguments.again)
    sets = [name for name in SETS if _wanted(name, arguments.sets)]
    peers = [name for name in PEERS if _wanted(name, arguments.peers)]
    for name in sets:
        for seed in range(arguments.seeds):
            for peer in peers:  # in turns, so that what else the machine does meets all of them
                if (name, peer, seed) not in found:
                    result = _in_a_process(name, peer, seed)
                    found[name, peer, seed] = result
                    with arguments.results.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(result) + "\n")
                    print(f"{name:<20} {peer:<24} seed {seed}  {_in_a_line(result)}", flush=True)
    print_tables(found, sets, peers, arguments.seeds)


def fit_and_judge(name: str, peer: str, seed: int) -> dict[str, Any]:
    """Return what came of one peer on one set: the error, the log-loss of classes, and the seconds of a fit."""
    from sklearn.metrics import log_loss

    from benchmarks.tabular_peers import PEERS

    warnings.simplefilter("ignore")  # such as scikit-learn's of iterations that ran out, at its defaults
    table = SETS[name]
    frame = table.load()
    X, y = table.features(frame), frame[table.target]
    errors, losses, seconds = [], [], []
    for train, test in table.parts(frame):
        model = PEERS[peer](table.classes, seed, X.iloc[train])
        began = time.perf_counter()
        model.fit(X.iloc[train], y.iloc[train])
        seconds.append(time.perf_counter() - began)
        truth = y.iloc[test].to_numpy()
        predicted = np.asarray(model.predict(X.iloc[test])).ravel()
        if table.classes:
            errors.append(float(np.mean(predicted != truth)))
            shares = np.clip(model.predict_proba(X.iloc[test]).astype(float), 1e-7, 1)
            shares /= shares.sum(axis=1, keepdims=True)
            losses.append(float(log_loss(truth, shares, labels=model.classes_)))
        else:
            errors.append(float(np.sqrt(np.mean((predicted - truth) ** 2))))
    result = {"set": name, "peer": peer, "seed": seed, "error": np.mean(errors), "seconds": np.mean(seconds)}
    return result | ({"log-loss": np.mean(losses)} if losses else {})


def print_tables(found: dict[Any, Any], sets: list[str], peers: list[str], seeds: int) -> None:
    """Print errors, log-losses and seconds by set and peer, and how nineline's stand to each peer's."""
    for measure, title in (("error", "Error"), ("log-loss", "Log-loss"), ("seconds", "Seconds of a fit")):
        rows = [name for name in sets if measure != "log-loss" or SETS[name].classes]
        print(f"\n### {title}\n\n| set | {' | '.join(peers)} |\n|---|{'---:|' * len(peers)}")
        means = {}
        for name in rows:
            cells = []
            for peer in peers:
                values = [found[name, peer, seed][measure] for seed in range(seeds) if (name, peer, seed) in found]
                if not values:
                    cells.append("")
                    continue
                means[name, peer] = float(np.mean(values))
                spread = f" ± {np.std(values, ddof=1):.2g}" if len(values) > 1 and measure != "seconds" else ""
                cells.append(f"{means[name, peer]:.4g}{spread}")
            print(f"| {name} | {' | '.join(cells)} |")
        cells = []
        for peer in peers:
            both = [n for n in rows if n not in LEFT_OUT and (n, peer) in means and (n, "nineline") in means]
            ratios = [means[name, "nineline"] / means[name, peer] for name in both]
            some = "" if len(both) == len([n for n in rows if n not in LEFT_OUT]) else f" ({len(both)} sets)"
            cells.append(f"{np.exp(np.mean(np.log(ratios))):.3f}{some}" if ratios else "")
        print(f"| nineline's over it, geometric mean without {', '.join(LEFT_OUT)} | {' | '.join(cells)} |")


def _in_a_process(name: str, peer: str, seed: int) -> dict[str, Any]:
    """Return what `fit_and_judge` does, from a process of its own: no peer meets another's threads."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(fit_and_judge, (name, peer, seed))


def _in_a_line(result: dict[str, Any]) -> str:
    loss = f"  log-loss {result['log-loss']:.4g}" if "log-loss" in result else ""
    return f"error {result['error']:.4g}{loss}  {result['seconds']:.2f} s"


def _wanted(name: str, patterns: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns.split(","))


def _read(path: Path, again: str) -> dict[Any, Any]:
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if not (again and _wanted(line["peer"], again))]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return {(line["set"], line["peer"], line["seed"]): line for line in lines}


if __name__ == "__main__":
    main()
