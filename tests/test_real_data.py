"""Real tables and real digits, from a folder beside the checkout; skipped where it is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nineline import Adam, Layer, Network
from nineline.estimators import load
from nineline.estimators.session import train_on_table
from nineline.schedules import Cosine
from nineline.tables import read_table


def test_adult_on_its_official_split(real_data: Path) -> None:
    session = train_on_table(read_table(real_data / "tabular" / "adult.csv"), "income", split="split")
    assert session.test == 16281
    assert session.scores["network"]["accuracy"] >= 0.85
    assert session.scores["network"]["log-loss"] < session.scores["linear model"]["log-loss"]


def test_california_housing(real_data: Path) -> None:
    session = train_on_table(read_table(real_data / "tabular" / "california_housing.csv"), "median_house_value")
    assert session.test == 4128
    assert session.scores["network"]["RMSE"] <= 56_000


@pytest.mark.parametrize(
    ("name", "target", "dropped"),
    [("hypothyroid", "Class", {"TBG", "TBG measured"}), ("telco_churn", "churn", set())],
)
def test_from_csv_to_predictions(name: str, target: str, dropped: set[str], real_data: Path, tmp_path: Path) -> None:
    frame = read_table(real_data / "tabular" / f"{name}.csv")
    session = train_on_table(frame, target)
    assert {column.name for column in session.model.columns_.dropped} == dropped
    scores = session.scores
    assert scores["network"]["accuracy"] > scores["majority class"]["accuracy"] + 0.03
    session.model.save(tmp_path / "m.nineline")
    model = load(tmp_path / "m.nineline")
    rows = model.select(read_table(real_data / "tabular" / f"{name}.csv").drop(target))
    np.testing.assert_array_equal(model.predict(rows), session.model.predict(rows))
    assert len(model.predict(rows)) == frame.height


def test_mnist_with_one_hidden_layer_of_128(real_data: Path) -> None:
    with np.load(real_data / "mnist.npz") as digits:
        x, y = digits["x_train"].reshape(-1, 784), digits["y_train"]
        x_test, y_test = digits["x_test"].reshape(-1, 784), digits["y_test"]
    x, x_test = x.astype(np.float32) / 255, x_test.astype(np.float32) / 255
    network = Network(Layer(784, 128, "relu", bias=True), Layer(128, 10, "softmax", bias=True), rng=0, dtype=np.float32)
    network.train(
        x, np.eye(10)[y], epochs=10, batch_size=128, loss="cross_entropy", optimizer=Adam(2e-3), schedule=Cosine()
    )
    assert np.mean(network.run(x_test).argmax(axis=1) == y_test) >= 0.975
