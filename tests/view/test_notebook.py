"""What shows itself in a notebook: whole HTML, without a script, in the notebook's own colours, text elsewhere."""

from __future__ import annotations

import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import sklearn

from nineline import Adam, Embedding, Histories, History, Layer, Network, Networks, Residual, Trainer
from nineline.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor

X, Y = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]), np.array([[0], [1], [1], [0]])
TABLE = {"a": np.arange(60.0), "<b>": ["<script>alert(1)</script>", "$x$"] * 30}


class Whole(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(html)
        assert self.open == []
        assert "script" not in self.tags

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)
        assert not any(name.startswith("on") or name == "src" for name, _ in attrs)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


NAMES = [
    "network",
    "kinds",
    "large",
    "no hidden layer",
    "history",
    "history of nothing",
    "history that diverged",
    "untrained networks",
    "histories",
    "networks",
    "histories of nothing",
    "trainer",
    "mlp",
    "mlp, not fitted",
    "tabular",
    "tabular of numbers",
    "tabular, not fitted",
]


@pytest.fixture(scope="module")
def things():
    network = Network(3, 6, 1, rng=1)
    history = network.train(X, Y, 100, report_every=0)
    networks = Networks(10, 3, 6, 1, rng=0)
    trainer = Trainer(network, optimizer=Adam(0.01))
    trainer.step(X, Y)
    table = pd.DataFrame(TABLE)
    quick = {"max_epochs": 2, "n_members": 2, "random_state": 0, "hidden_layer_sizes": (4,)}
    classifier = TabularClassifier(**quick).fit(table, table["a"] > 30)
    return {
        "network": network,
        "kinds": Network(Embedding(3, 2, 1), Residual(Layer(3, 3, bias=True)), Layer(3, 1)),
        "large": Network(1000, 1000, 1000, 2),
        "no hidden layer": Network(2, 1),
        "history": history,
        "history of nothing": History(),
        "history that diverged": History(loss=[float("nan")], seconds=[1.0], learning_rate=[1.0]),
        "untrained networks": Networks(10, 3, 6, 1),
        "histories": networks.train(X, Y, 50, report_every=0),
        "networks": networks,
        "histories of nothing": Histories(3, np.ones(3)),
        "trainer": trainer,
        "mlp": MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", max_iter=5, random_state=0, tol=1.0).fit(
            X, Y.ravel()
        ),
        "mlp, not fitted": MLPClassifier(),
        "tabular": classifier,
        "tabular of numbers": TabularRegressor(**quick).fit(table, table["a"]),
        "tabular, not fitted": TabularClassifier(),
    }


def test_everything_is_named(things):
    assert list(things) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_everything_shows_itself(name, things):
    thing = things[name]
    html = thing._repr_html_()
    Whole(html)
    assert "<script>alert" not in html
    assert "var(--jp-content-font-color1" in html
    assert thing._repr_html_() == html  # and nothing was drawn at random


@pytest.mark.parametrize("name", ["network", "kinds", "history", "histories", "trainer", "mlp", "tabular"])
def test_with_a_picture(name, things):
    assert "svg" in Whole(things[name]._repr_html_()).tags


def test_a_large_network_is_a_table_of_its_layers(things):
    html = things["large"]._repr_html_()
    assert "svg" not in Whole(html).tags
    assert "1,000,000" in html


@pytest.mark.parametrize("name", NAMES)
def test_without_matplotlib_there_is_the_text(name, things, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    html = things[name]._repr_html_()
    assert "svg" not in Whole(html).tags
    assert "<pre>" in html


def test_a_model_from_a_file(things, tmp_path):
    model = things["tabular"]
    model.save(tmp_path / "model.nineline")
    Whole(TabularClassifier.load(tmp_path / "model.nineline")._repr_html_())


def test_text_where_scikit_learn_is_told_so(things):
    model = things["tabular"]
    assert set(model._repr_mimebundle_()) == {"text/plain", "text/html"}
    with sklearn.config_context(display="text"):
        assert model._repr_mimebundle_() == {"text/plain": repr(model)}
        assert model._repr_html_() is None


def test_many_long_trainings_are_a_small_output():
    histories = Networks(1000, 3, 6, 1, rng=0).train(X, Y, 2000, report_every=0)
    assert len(histories._repr_html_()) < 400_000
