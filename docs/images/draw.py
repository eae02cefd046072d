"""Draw the pictures of the README and of docs/guide/seeing.md: python docs/images/draw.py [FOLDER]."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nineline import Adam, Layer, LayerStatistics, Network
from nineline.estimators import TabularRegressor
from nineline.estimators.plots import (
    plot_dependence,
    plot_explanation,
    plot_importance,
    plot_prediction_error,
)
from nineline.view import draw_network, plot_decision, plot_hidden, plot_landscape, plot_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y = np.array([[0], [1], [1], [0]])


def spirals(rows: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Return points on three spirals, (3 * rows, 2), and which one each is on."""
    rng = np.random.default_rng(0)
    turn = np.tile(np.linspace(0.4, 3.6, rows), 3)
    which = np.repeat([0, 1, 2], rows)
    angle = turn + 2 * np.pi * which / 3
    points = np.column_stack([turn * np.cos(angle), turn * np.sin(angle)]) / 3.6
    return points + rng.normal(0, 0.03, points.shape), which


def flats(rows: int = 900) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return a table of flats to let, and their rents."""
    rng = np.random.default_rng(0)
    area = 15 + rng.gamma(2, 28, rows).round()
    district = rng.choice(["harbour", "old town", "hill", "station"], rows, p=[0.2, 0.3, 0.2, 0.3])
    built = rng.integers(1890, 2020, rows)
    balcony = rng.random(rows) < 0.4
    worth = {"harbour": 13.0, "old town": 16.0, "hill": 14.0, "station": 10.0}
    rent = area**0.85 * np.array([worth[name] for name in district]) * (1 + 0.08 * balcony + 0.1 * (built > 1990))
    rent *= np.exp(rng.normal(0, 0.08, rows))
    return {"area": area, "district": district, "built": built, "balcony": balcony}, rent


def learning(figure: Figure) -> None:
    """The tutorial's network: what it has learned, how its error fell, and what its hidden nodes answer."""
    network = Network(3, 6, 1, rng=1)
    history = network.train(X, Y, report_every=0)
    left, right = figure.subfigures(1, 2, width_ratios=[1.15, 1])
    draw_network(network, [0, 1, 1], axes=left.subplots())
    above, below = right.subplots(2, 1)
    history.plot(axes=above)
    plot_hidden(network, X, axes=below)


def surface(figure: Figure) -> None:
    """What a network answers over the plane, and its loss around where it stands."""
    points, which = spirals()
    network = Network(2, 24, 24, 3, activation="tanh", output="softmax", bias=True, rng=0)
    network.train(points, which, epochs=200, batch_size=32, loss="cross_entropy", optimizer=Adam(0.01), report_every=0)
    left, right = figure.subplots(1, 2)
    plot_decision(network, points, which, axes=left)
    plot_landscape(network, points, which, loss="cross_entropy", span=0.6, points=31, axes=right)


def layers(figure: Figure) -> None:
    """A rate that is too high: relus die and sigmoids saturate."""
    points, which = spirals()
    parts = Layer(2, 24, "relu", bias=True), Layer(24, 24, bias=True), Layer(24, 3, "softmax", bias=True)
    network = Network(*parts, rng=0)
    statistics = LayerStatistics(points, which, loss="cross_entropy")
    network.train(
        points,
        which,
        epochs=60,
        batch_size=32,
        loss="cross_entropy",
        optimizer=Adam(0.5),
        on_epoch=statistics,
        report_every=0,
    )
    statistics.plot(axes=figure.subplots())


def weights(figure: Figure) -> None:
    """The weights of the tutorial's network as they print, in colour."""
    network = Network(3, 6, 1, rng=1)
    network.train(X, Y, report_every=0)
    plot_weights(network, axes=figure.subplots())


def table(figure: Figure) -> None:
    """A model of a table: how good it is, which columns decide and how, and one row explained."""
    import polars as pl

    columns, rent = flats()
    rows = pl.DataFrame(columns)
    model = TabularRegressor(random_state=0).fit(rows, pl.Series("rent", rent))
    (error, importance), (dependence, explanation) = figure.subplots(2, 2)
    plot_prediction_error(model, axes=error)
    plot_importance(model, axes=importance)
    plot_dependence(model, "district", axes=dependence)
    plot_explanation(model.explain(rows[3]), axes=explanation)


PICTURES: dict[Callable[[Figure], None], tuple[float, float]] = {
    learning: (11, 5),
    surface: (11, 4.4),
    layers: (11, 6),
    weights: (8, 3.2),
    table: (11, 7),
}
"""Each with its size in inches."""


def main(folder: Path) -> None:
    """Draw all pictures into a folder."""
    from matplotlib.figure import Figure

    for draw, size in PICTURES.items():
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        draw(figure)
        figure.savefig(folder / f"{draw.__name__}.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
