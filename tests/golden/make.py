"""Write the golden files of the current format: ``python tests/golden/make.py``, once, when a format is released.

They stay in the repository as they are: whoever reads the format later has to read these, and answer as is written in
``answers.json`` beside them. What they were trained on is made up below.
"""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import numpy as np
import polars as pl

from nineline import Adam, Dropout, Embedding, Layer, LayerNorm, Network, Networks, Residual, Trainer
from nineline.activations import Elu
from nineline.estimators import TabularClassifier, TabularRegressor
from nineline.estimators.tabular.portfolio import ways_of
from nineline.files import FORMAT_VERSION


def table() -> pl.DataFrame:
    """Return a table of every kind of column."""
    i = np.arange(60)
    return pl.DataFrame(
        {
            "number": np.where(i % 7 == 3, np.nan, np.sin(i)),
            "category": [["red", "green", None][n % 3] for n in i],
            "two": [["north", "south"][n % 2] for n in i],
            "flag": i % 5 < 2,
            "day": [f"2024-{1 + n % 12:02d}-{1 + n % 28:02d} {n % 24:02d}:30:00" for n in i],
            "same": ["always"] * 60,
        }
    )


def notes() -> pl.DataFrame:
    """Return a table of free text."""
    colours, things = ["red", "blue", "yellow", "green"], ["Chair", "chairs", "lamp,", "Tisch äöü", "shelf"]
    texts = [f"A {colours[i % 4]} {things[i % 5]} no. {i}" if i % 9 else None for i in range(60)]
    return pl.DataFrame({"note": texts})


def swinging() -> pl.DataFrame:
    """Return a table of numbers, to be seen by waves."""
    return pl.DataFrame({"x": np.linspace(-3, 3, 400), "y": np.sin(np.arange(400.0) ** 2)})


def levels() -> np.ndarray:
    """Return rows of two levels and a number."""
    return np.column_stack([[0, 1, 1, 0], [4, 0, 2, 2], np.linspace(-1, 1, 4)])


def many(folder: Path) -> dict[str, list[float]]:
    """Train three networks, write them and their checkpoint, and return what they answer."""
    inputs = np.linspace(-1, 1, 12).reshape(4, 3)
    networks = Networks(3, 3, 4, 1, activation="silu", output="identity", bias=True, rng=6)
    how = {"epochs": 4, "batch_size": 2, "loss": "squared_error", "optimizer": Adam(0.01), "stop": 3, "rng": 7}
    how |= {"validation": 0.25, "engine": "reference", "checkpoint": folder / "checkpoint of networks.nineline"}
    networks.train(inputs, inputs[:, :1], learning_rate=[0.01, 0.02, 0.03], **how)
    networks.save(folder / "networks.nineline")
    answers = networks.run(inputs).tolist()
    return {"networks": answers, "checkpoint of networks": answers}


def main() -> None:
    """Train small models, and write them and what they answer."""
    folder = Path(__file__).parent / str(FORMAT_VERSION)
    folder.mkdir(exist_ok=True)
    inputs = np.linspace(-1, 1, 12).reshape(4, 3)
    layers = Layer(3, 4, "tanh", bias=True), Dropout(0.25), Layer(4, 4, Elu(0.5)), Layer(4, 2, "softmax", bias=True)
    network = Network(*layers, rng=1)
    network.save(folder / "network.nineline")
    residual = Residual(LayerNorm(0.01), Layer(6, 3, "relu", bias=True), Residual(Dropout(0.1)), Layer(3, 6, "tanh"))
    deep = Network(Embedding([2, 5], [2, 3], numbers=1), residual, LayerNorm(), Layer(6, 2, "softmax"), rng=1)
    deep.train(levels(), np.eye(2)[[0, 1, 1, 0]], 3, report_every=0)
    deep.save(folder / "layers.nineline")
    trained = Network(3, 4, 1, activation="silu", output="identity", bias=True, rng=2, dtype="float32")
    how = {"epochs": 4, "batch_size": 2, "loss": "squared_error", "optimizer": Adam(0.01), "stop": 3, "rng": 3}
    how |= {"validation": 0.25, "engine": "reference", "checkpoint": folder / "checkpoint.nineline"}
    trained.train(inputs, inputs[:, :1], **how)
    lived = Network(Layer(3, 4, "tanh", bias=True, trainable=False), Layer(4, 2, "softmax", bias=True), rng=4)
    trainer = Trainer(lived, loss="cross_entropy", optimizer=Adam(0.01), l2=0.1, rng=5, engine="reference")
    trainer.steps(inputs, [0, 1, 1, 0], batch_size=3, epochs=2)
    trainer.save(folder / "trainer.nineline")
    frame = table()
    settings = {"hidden_layer_sizes": (5,), "max_epochs": 3, "random_state": 0, "engine": "reference", "n_members": 2}
    classifier = TabularClassifier(**settings).fit(frame, np.array(["lo", "mid", "hi"])[np.arange(60) % 3])
    classifier.save(folder / "classifier.nineline")
    regressor = TabularRegressor(**settings).fit(frame, np.arange(60) * 10.0)
    regressor.evaluation_ = {"test rows": 0.0}
    regressor.save(folder / "regressor.nineline")
    i = np.arange(60)
    outputs = TabularRegressor(**settings).fit(frame, pl.DataFrame({"one": i * 10.0, "other": np.cos(i)}))
    outputs.save(folder / "outputs.nineline")
    labels = TabularClassifier(**settings).fit(frame, np.column_stack([i % 2, i % 3 == 0, i < 40]).astype(int))
    labels.save(folder / "labels.nineline")
    quantiles = TabularRegressor(quantiles=(0.1, 0.5, 0.9), **settings).fit(frame, i * 10.0)
    quantiles.save(folder / "quantiles.nineline")
    of_text = TabularClassifier(**settings).fit(notes(), np.arange(60) % 4 == 0)
    of_text.save(folder / "text.nineline")
    x, y = swinging()
    with patch("nineline.estimators.tabular.fitting.ways_of", lambda *given: ways_of(*given)[2:]):  # by waves alone
        waves = TabularRegressor(**{**settings, "n_members": 4}).fit(swinging(), np.sin(x) + y)
    waves.save(folder / "waves.nineline")
    answers = {
        "network": network.run(inputs).tolist(),
        "layers": deep.run(levels()).tolist(),
        "checkpoint": trained.run(inputs).tolist(),
        "trainer": lived.run(inputs).tolist(),
        "classifier": classifier.predict_proba(frame[:8]).tolist(),
        "regressor": regressor.predict(frame[:8]).tolist(),
        "outputs": outputs.predict(frame[:8]).tolist(),
        "labels": labels.predict_proba(frame[:8]).tolist(),
        "quantiles": quantiles.predict(frame[:8]).tolist(),
        "waves": waves.predict(swinging()[:12]).tolist(),
        "text": of_text.predict_proba(notes()[:12]).tolist(),
        **many(folder),
    }
    (folder / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()
