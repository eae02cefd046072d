"""Free text in tables: used where it helps on held-out rows, dropped and said where it does not."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from nineline.estimators import TabularClassifier, TabularRegressor, load
from nineline.estimators.tabular.report import FitReport
from nineline.interactive.table import prepared

QUICK: dict[str, Any] = {"random_state": 0, "n_members": 2, "max_epochs": 15, "hidden_layer_sizes": (32, 16)}
COLOURS = ["red", "blue", "yellow", "green", "black", "white"]
THINGS = ["chair", "table", "lamp", "shelf", "stool", "desk", "bench", "sofa"]


def products(rows: int = 600, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray[Any, Any]]:
    """Return titles and weights of products, and prices that the words of a title decide for the most part."""
    rng = np.random.default_rng(seed)
    colour, thing, weight = rng.integers(6, size=rows), rng.integers(8, size=rows), rng.gamma(2, 1, rows)
    titles = [
        f"{COLOURS[c]} {THINGS[t]} no. {n}".title()
        for c, t, n in zip(colour, thing, rng.permutation(rows), strict=True)
    ]
    price = 10 * thing + 5.0 * (colour == 2) + weight + rng.normal(0, 0.3, rows)
    return pl.DataFrame({"title": titles, "weight": weight}), price


def noise(rows: int = 600) -> tuple[pl.DataFrame, np.ndarray[Any, Any]]:
    """Return titles that say nothing, numbers, and what the numbers decide."""
    frame, _ = products(rows)
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, rows))
    return frame.drop("weight").with_columns(a=a, b=b), a + b**2 + rng.normal(0, 0.2, rows)


def tried(report: FitReport) -> dict[str, float]:
    return {trial.name: trial.error for trial in report.trials}


def error(model: Any, frame: pl.DataFrame, y: np.ndarray[Any, Any]) -> float:
    return float(np.sqrt(np.mean((model.predict(frame) - y) ** 2)))


@pytest.fixture(scope="module")
def fitted() -> TabularRegressor:
    frame, price = products()
    return TabularRegressor(**QUICK).fit(frame, price)


def test_words_that_decide_a_price_are_used(fitted: TabularRegressor) -> None:
    frame, price = products(seed=1)
    train, train_price = products()
    without = TabularRegressor(**QUICK).fit(train.drop("title"), train_price)
    assert error(fitted, frame, price) < 0.3 * error(without, frame.drop("title"), price)
    errors = tried(fitted.report_)
    assert errors["with it"] < errors["without the text of 'title'"]
    assert ("title", "text", False) in [line[:3] for line in fitted.columns_.in_words()]
    assert "title   text: 14 words and" in repr(fitted.report_)
    assert "with it" in repr(fitted.report_)


def test_endings_of_names_decide_a_class() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=1200)
    begins = ["".join(rng.choice(list("bdfgklmnprst"), 3)) + rng.choice(list("aeiou")) for _ in y]
    names = [
        f"{begin}{n % 89}{('ina', 'elo')[label]}".title()
        for n, (begin, label) in enumerate(zip(begins, y, strict=True))
    ]
    letters = [name.translate(str.maketrans("0123456789", "abcdefghij")) for name in names]
    frame = pl.DataFrame({"name": letters, "age": rng.normal(size=1200)})
    model = TabularClassifier(**QUICK).fit(frame[:800], y[:800])
    assert model.score(frame[800:], y[800:]) > 0.95


def test_text_that_says_nothing_is_dropped_and_the_report_says_so() -> None:
    frame, y = noise()
    model = TabularRegressor(random_state=0, n_members=1).fit(frame, y)
    assert [column.name for column in model.columns_.used] == ["a", "b"]
    (dropped,) = model.columns_.dropped
    assert (dropped.name, dropped.reason) == ("title", "free text that did not help on held-out rows")
    assert "dropped: free text that did not help on held-out rows" in repr(model.report_)
    errors = tried(model.report_)
    assert errors["with it"] >= errors["without the text of 'title'"]
    assert model.select(frame.drop("title")).columns == frame.columns  # it may be left out


@pytest.mark.parametrize("how", [{"validation_fraction": 0.0}, {}])
def test_without_held_out_rows_it_is_dropped(how: dict[str, Any]) -> None:
    frame, price = products(600 if how else 30)
    model = TabularRegressor(**QUICK | how).fit(frame, price)
    (dropped,) = model.columns_.dropped
    assert dropped.reason == "free text, and no rows are held out that could tell whether it helps"
    assert model.report_.trials == []


def test_text_alone_is_used() -> None:
    frame, price = products()
    model = TabularRegressor(**QUICK).fit(frame.select("title"), price)
    assert [column.kind for column in model.columns_.used] == ["text"]
    assert error(model, frame.select("title"), price) < 5


def test_several_texts_are_tried_together() -> None:
    frame, price = products()
    frame = frame.with_columns(other=pl.Series(noise()[0]["title"]), colour=pl.Series(COLOURS * 100))
    model = TabularRegressor(**QUICK).fit(frame, price)
    assert "without the text of 'title' and 1 more" in tried(model.report_)
    assert [column.name for column in model.columns_.used] == ["weight", "colour", "title", "other"]


def test_both_engines_learn_the_same() -> None:
    frame, price = products(300)
    how = QUICK | {"max_epochs": 4}
    one, other = (TabularRegressor(**how, engine=engine).fit(frame, price) for engine in ("reference", "auto"))
    assert one.columns_ == other.columns_
    np.testing.assert_allclose(one.predict(frame), other.predict(frame), rtol=1e-3)


def test_a_file_a_pickle_and_a_single_row_answer_the_same(fitted: TabularRegressor, tmp_path: Path) -> None:
    frame, _ = products(50, seed=2)
    frame[3, "title"] = None
    expected = fitted.predict(frame)
    fitted.save(tmp_path / "m.nineline")
    for model in (load(tmp_path / "m.nineline"), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(model.predict(frame), expected)
        assert model.columns_ == fitted.columns_
    one = [fitted.predict_one(row) for row in frame.iter_rows(named=True)]
    np.testing.assert_allclose(one, expected, rtol=1e-12)
    np.testing.assert_array_equal(fitted.predict(frame[:1]), expected[:1])
    pandas = pd.DataFrame(frame.to_dict(as_series=False))
    np.testing.assert_array_equal(fitted.predict(pandas), expected)


def test_a_column_of_another_kind_is_refused(fitted: TabularRegressor) -> None:
    with pytest.raises(ValueError, match="column 'title' holds '1'; expected text"):
        fitted.predict(pl.DataFrame({"title": [1, 2], "weight": [1.0, 2.0]}))


def test_importance_explanation_and_pictures(fitted: TabularRegressor, tmp_path: Path) -> None:
    importance = fitted.feature_importance(n_repeats=2)
    assert importance.names == ["weight", "title"]
    assert importance.importances_mean[1] > 5 * abs(importance.importances_mean[0])
    explanation = fitted.explain({"title": "Yellow Sofa", "weight": 1.0})
    assert explanation.names == ["weight", "title"]
    assert explanation.values[1] == "Yellow Sofa"
    assert explanation.contributions[1] > abs(explanation.contributions[0])
    gap = explanation.answer - explanation.baseline - explanation.contributions.sum()
    assert abs(gap) < 1e-9
    pytest.importorskip("matplotlib")
    from nineline.estimators.plots import plot_dependence

    plot_dependence(fitted, "title")
    fitted.report_.to_html(tmp_path / "report.html")
    assert "parts of words" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("helps", [True, False])
def test_a_table_larger_than_the_memory(helps: bool, tmp_path: Path) -> None:
    frame, y = products(3000) if helps else noise(3000)
    frame.with_columns(y=y).write_parquet(tmp_path / "table.parquet", row_group_size=200)
    model = TabularRegressor(**QUICK).fit(tmp_path / "table.parquet", target="y", memory=400_000)
    assert ("title" in [column.name for column in model.columns_.used]) is helps
    assert len(model.report_.trials) >= 2
    again = frame[:300]
    assert error(model, again, y[:300]) < (4 if helps else 0.5)
    model.predict_to(tmp_path / "table.parquet", tmp_path / "out.csv")
    written = pl.read_csv(tmp_path / "out.csv")["y"].to_numpy()
    np.testing.assert_allclose(written, model.predict(frame), rtol=1e-9)


def test_a_training_goes_on_with_its_text(tmp_path: Path) -> None:
    frame, price = products(300)
    how = QUICK | {"max_epochs": 6, "checkpoint": tmp_path / "c"}
    whole = TabularRegressor(**QUICK | {"max_epochs": 6}).fit(frame, price)
    TabularRegressor(**how).fit(frame, price)
    again = TabularRegressor(**how, resume=True).fit(frame, price)
    np.testing.assert_array_equal(again.predict(frame), whole.predict(frame))


def test_the_playground_leaves_text_out(tmp_path: Path) -> None:
    frame, price = products(100)
    frame.with_columns(price=price).write_csv(tmp_path / "products.csv")
    X, *_ = prepared(str(tmp_path / "products.csv"), "price", test=0.25, seed=0)
    assert X.shape[1] == 1
