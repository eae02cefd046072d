"""What the translations are tried on: generated networks, tables of every kind of column, a C compiler."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest

from nineline import Dropout, Embedding, Layer, LayerNorm, Network, Residual
from nineline.activations import ACTIVATIONS, Elu, LeakyRelu
from nineline.estimators import TabularClassifier, TabularRegressor
from nineline.estimators.tabular.portfolio import Chosen, Portfolio

if TYPE_CHECKING:
    from collections.abc import Callable

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


@pytest.fixture(scope="session")
def cc() -> Callable[..., Path]:
    """Return a function that compiles C strictly, with the undefined-behaviour sanitizer, into a program."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler on this machine")

    def compile_(folder: Path, *sources: str, options: tuple[str, ...] = (), libm: bool = True) -> Path:
        sanitize = ["-fsanitize=undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
        command = [compiler, *STRICT, *sanitize, "-O1", *options, "-o", "program", *sources, *(["-lm"] if libm else [])]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return folder / "program"

    return compile_


def generated(dtype: str, *, without: tuple[str, ...] = ()) -> dict[str, Network]:
    """Return networks over all activations, as hidden layers and as outputs, of many shapes."""
    every: list[Any] = [LeakyRelu(0.3), LeakyRelu(-0.2), Elu(0.4), *(kind() for kind in ACTIVATIONS.values())]
    networks = {}
    for number, kind in enumerate(every):
        if kind.name in without:
            continue
        rng = np.random.default_rng([7, number])  # so that a kind that is added changes none of the others
        kinds = [each for each in every[: number + 1] if each.name not in without]
        widths = [int(w) for w in rng.choice([1, 2, 3, 4, 5, 7, 8, 16, 33], size=rng.integers(2, 5))]
        widths[0] += 1
        layers: list[Any] = []
        for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            last = i + 2 == len(widths)
            inner = kinds[int(rng.integers(len(kinds)))] if rng.random() < 0.5 and not last else kind
            layers.append(Layer(inputs, outputs, inner, bias=bool(rng.random() < 0.7), rng=rng))
            if not last and rng.random() < 0.3:
                layers.append(Dropout(0.2))
        network = Network(*layers, dtype=dtype)
        network.parameters = network.parameters + rng.normal(0, 0.1, network.parameters.size).astype(dtype)
        networks[f"net_{number}"] = network
    for number, (name, layers) in enumerate(kinds_of_layers().items()):
        rng = np.random.default_rng([6, number])
        network = Network(*layers, rng=rng, dtype=dtype)
        network.parameters = network.parameters + rng.normal(0, 0.1, network.parameters.size).astype(dtype)
        networks[name] = network
    return networks


def kinds_of_layers() -> dict[str, list[Any]]:
    """Return layers of the other kinds, by a name: none reads levels, which not every row holds."""
    inner = Residual(Layer(7, 5, "tanh", bias=True), LayerNorm(0.01), Layer(5, 7, "relu"))
    return {
        "normed": [LayerNorm(), Layer(6, 9, "tanh", bias=True), LayerNorm(0.1), Layer(9, 3, "sigmoid")],
        "residual": [Residual(Layer(5, 8, "elu", bias=True), Layer(8, 5, "identity")), Layer(5, 2, "softplus")],
        "nested": [Layer(4, 7, "relu"), Residual(LayerNorm(), inner, Layer(7, 7, "softmax")), Layer(7, 1, "identity")],
    }


def embeddings(dtype: str) -> dict[str, Network]:
    """Return networks that read levels; `samples.sample_inputs` makes rows for them."""
    rng = np.random.default_rng(6)
    front = Embedding([3, 200, 1], [2, 5, 1], numbers=2)
    return {
        "embedded": Network(Embedding(40, 3), Layer(3, 2, "tanh", bias=True), rng=rng, dtype=dtype),
        "columns": Network(front, Residual(LayerNorm(), Layer(10, 10, "tanh")), Layer(10, 3), rng=rng, dtype=dtype),
    }


@pytest.fixture(scope="session")
def make_embeddings() -> Callable[..., dict[str, Network]]:
    """Return the function that makes networks which read levels."""
    return embeddings


@pytest.fixture(scope="session")
def make_networks() -> Callable[..., dict[str, Network]]:
    """Return the function that generates networks."""
    return generated


@pytest.fixture(scope="session")
def table() -> pl.DataFrame:
    """Return a table of every kind of column, with missing cells, rare levels and awkward names."""
    rng = np.random.default_rng(0)
    rows = 400

    def holes(values: pl.Series) -> pl.Series:
        return values.set(pl.Series(rng.random(rows) < 0.1), None)

    moments = [dt.datetime(2020, 2, 27) + dt.timedelta(seconds=int(s)) for s in rng.integers(0, 10**8, rows)]
    return pl.DataFrame(
        {
            "size (cm)": holes(pl.Series(rng.normal(1000, 3, rows))),
            "size [cm]": rng.normal(size=rows),
            "class": rng.choice(["a", "b"], rows),
            'say "*/ ??/ $x\\': holes(pl.Series(rng.choice(["ä", "two words", '"%d\\n$y?"'], rows))),
            "many": [f"level {int(i)}" for i in np.minimum(rng.geometric(0.03, rows), 90)],
            "ok": holes(pl.Series(rng.random(rows) < 0.5)),
            "yes/no": rng.choice(["yes", "no"], rows),
            "day": holes(pl.Series([moment.date() for moment in moments])),
            "when": moments,
        }
    )


@pytest.fixture(scope="session")
def present() -> TabularRegressor:
    """Return an estimator of a column that only tells whether it is there, and of one more."""
    rng = np.random.default_rng(2)
    there = rng.random(200) < 0.6
    frame = pl.DataFrame({"once": pl.Series([7.25] * 200).set(pl.Series(~there), None), "x": rng.normal(size=200)})
    return TabularRegressor(max_epochs=3, hidden_layer_sizes=(8,), n_members=1, random_state=0).fit(frame, there * 5.0)


@pytest.fixture(scope="session")
def waved() -> TabularRegressor:
    """Return an estimator that sees numbers by waves, of which some are missing, and by intervals, in turns."""
    rng = np.random.default_rng(3)
    x, hole = rng.normal(size=300), pl.Series(rng.random(300) < 0.2)
    frame = pl.DataFrame({"x": x, "z": pl.Series(rng.normal(size=300)).set(hole, None), "flag": rng.random(300) < 0.5})

    def both(ways: Any, folds: Any, settings: Any, budget: Any, *_: object) -> Chosen:
        return Chosen(Portfolio.of([ways[2], ways[0]]), [], [], budget)

    with patch("nineline.estimators.tabular.choosing.choose", both):
        return TabularRegressor((8,), max_epochs=3, n_members=4, random_state=0).fit(frame, np.sin(2 * x))


@pytest.fixture(scope="session")
def many_levels() -> pl.DataFrame:
    """Return a table of a category of 600 levels, some rare, some missing, some with letters beyond ASCII."""
    rng = np.random.default_rng(3)
    names = [f"{'äzé'[i % 3]} {i}" for i in range(600)]
    levels = pl.Series([*(names * 11), "rare one", "another"])
    rows = len(levels)
    return pl.DataFrame({"x": rng.normal(size=rows), "level": levels.set(pl.Series(rng.random(rows) < 0.02), None)})


@pytest.fixture(scope="session")
def embedded(many_levels: pl.DataFrame) -> TabularRegressor:
    """Return an estimator that has learned a vector for each of those levels."""
    number = many_levels["level"].str.len_chars().fill_null(0).to_numpy() + many_levels["x"].to_numpy()
    how: dict[str, Any] = {"max_epochs": 2, "hidden_layer_sizes": (8,), "n_members": 2, "random_state": 0}
    return TabularRegressor(**how).fit(many_levels, number)


@pytest.fixture(scope="session")
def worded() -> TabularRegressor:
    """Return an estimator of free text that may be missing, and of nothing else."""
    things = ["Chair", "chairs", "lamp,", "Tisch äöü", "it's", "Straße"]
    titles = [f"{things[i % 6]} {things[i % 5]} no. {i}" if i % 9 else None for i in range(120)]
    how: dict[str, Any] = {"max_epochs": 3, "hidden_layer_sizes": (8,), "n_members": 2, "random_state": 0}
    return TabularRegressor(**how).fit(pl.DataFrame({"title": titles}), [float(i % 6) for i in range(120)])


@pytest.fixture(scope="session")
def models(table: pl.DataFrame) -> dict[str, TabularClassifier | TabularRegressor]:
    """Return estimators of that table: of three classes, of two, of a number, and of one by its logarithm."""
    rng = np.random.default_rng(1)
    number = table["size [cm]"].to_numpy() * 3 + (table["class"] == "a").to_numpy() + rng.normal(0, 0.1, len(table))
    how: dict[str, Any] = {"max_epochs": 3, "hidden_layer_sizes": (12, 5), "random_state": 0}
    return {
        "three": TabularClassifier(**how, n_members=3).fit(
            table, np.array(["low", "mid", "high"])[np.digitize(number, [-1, 2])]
        ),
        "two": TabularClassifier(**how, activation="tanh", n_members=1).fit(table, number > 0),
        "number": TabularRegressor(**how, activation="silu", n_members=2).fit(table, number * 1e4 + 5e4),
        "skewed": TabularRegressor(**how, n_members=1).fit(table, np.exp(number)),
    }
