"""From a table to a judged model: the task, the parts, the scores."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
import pytest

from nineline.estimators.session import decide_task, train_on_table

FAST: dict[str, Any] = {"max_epochs": 5, "hidden_layer_sizes": (8,)}


def table(rows: int = 200, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    return pl.DataFrame(
        {"a": x[:, 0], "b": x[:, 1], "c": np.where(x[:, 2] > 0, "up", "down"), "number": x[:, 0] - x[:, 1] + 5}
    ).with_columns(grade=pl.when(pl.col("number") > 5).then(pl.lit("good")).otherwise(pl.lit("poor")))


TASKS = {
    "text": (["a", "b"] * 20, "classification"),
    "booleans": ([True, False] * 20, "classification"),
    "zero and one": ([0, 1] * 20, "classification"),
    "floats that are codes": ([1.0, 2.0, 3.0, 4.0] * 10, "classification"),
    "counts": (list(range(40)), "regression"),
    "fractions": ([0.5, 1.5] * 20, "regression"),
    "ten different of twelve": ([*range(10), 1, 2], "regression"),
}


@pytest.mark.parametrize("case", TASKS)
def test_decide_task(case: str) -> None:
    values, task = TASKS[case]
    decided, reason = decide_task(nw.from_native(pl.Series("t", values), series_only=True))
    assert decided == task
    assert reason.startswith("because the target holds")


def test_the_task_can_be_said() -> None:
    codes = nw.from_native(pl.Series("t", [1, 2, 3] * 10), series_only=True)
    assert decide_task(codes, "regression") == ("regression", "as asked")
    with pytest.raises(ValueError, match="'t' holds 'a'; regression needs numbers"):
        decide_task(nw.from_native(pl.Series("t", ["a", "b"]), series_only=True), "regression")
    with pytest.raises(ValueError, match="did you mean 'regression'"):
        decide_task(codes, "regresion")


def test_classification_is_judged_beside_baselines() -> None:
    session = train_on_table(table(400), "grade", max_epochs=40, hidden_layer_sizes=(16,))
    assert (session.train, session.test) == (320, 80)
    assert set(session.scores) == {"network", "linear model", "majority class"}
    # "number" is a column of the table and tells the grade exactly
    assert session.scores["network"]["accuracy"] > 0.9 > 0.7 > session.scores["majority class"]["accuracy"]
    assert session.confusion is not None
    assert session.confusion.sum() == 80
    accuracy = np.trace(session.confusion) / 80
    assert session.scores["network"]["accuracy"] == pytest.approx(accuracy)


def test_regression_is_judged_beside_baselines() -> None:
    session = train_on_table(table(400).drop("grade"), "number", max_epochs=60)
    scores = session.scores
    assert scores["network"]["RMSE"] < 0.5 < scores["mean"]["RMSE"]
    assert scores["mean"]["R²"] == pytest.approx(0, abs=0.1)
    assert session.residuals is not None
    assert np.all(np.diff(session.residuals) > 0)


def test_a_test_table_or_a_split_column_is_what_it_is_judged_by() -> None:
    whole = table(300)
    by_table = train_on_table(whole[:200], "number", test=whole[200:], **FAST)
    marked = whole.with_columns(part=pl.Series(["train"] * 200 + ["TEST"] * 100))
    by_column = train_on_table(marked, "number", split="part", **FAST)
    assert by_table.test == by_column.test == 100
    assert "part" not in by_column.model.feature_names_in_
    assert by_table.scores == by_column.scores


def test_missing_targets_are_left_out_and_said() -> None:
    holes = table().with_columns(pl.when(pl.int_range(200) < 30).then(None).otherwise(pl.col("number")).alias("number"))
    session = train_on_table(holes, "number", **FAST)
    assert session.train + session.test == 170
    assert session.notes == ["30 rows without a target were left out"]


def test_whole_numbers_are_classes_as_whole_numbers() -> None:
    codes = table().with_columns(code=(pl.col("grade") == "good").cast(pl.Float64)).drop("grade")
    session = train_on_table(codes, "code", **FAST)
    assert session.model.classes_.tolist() == [0, 1]  # type: ignore[union-attr]
    assert session.model.classes_.dtype == np.int64  # type: ignore[union-attr]


def test_no_test_part_no_scores() -> None:
    assert train_on_table(table(), "number", test_size=0, **FAST).scores == {}


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no such target": ({"target": "numbr"}, "target is 'numbr', .* did you mean 'number'"),
    "no such split": ({"target": "number", "split": "fold"}, "split is 'fold'"),
    "split says nothing": ({"target": "number", "split": "c"}, "holds 'down', 'up'; expected 'test' in some rows"),
    "split is the target": ({"target": "c", "split": "c"}, "split and target are both 'c'"),
    "test and split": ({"target": "number", "split": "c", "test": table()}, "both given"),
    "test lacks a column": ({"target": "number", "test": table().drop("b")}, "test part lacks the column 'b'"),
    "test lacks the target": ({"target": "number", "test": table().drop("number")}, "lacks the column 'number'"),
    "new class": ({"target": "c2", "split": "sideways"}, "the class 'sideways'"),
    "share": ({"target": "number", "test_size": 1.5}, "test_size is 1.5"),
    "all missing": ({"target": "empty"}, "'empty' is missing in every row"),
    "one value": ({"target": "one"}, "one value only, 'x'"),
    "free text": ({"target": "text"}, "200 different values in 200 rows"),
    "dates": ({"target": "day"}, "holds dates"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    arguments, says = BAD[case]
    data = table().with_columns(
        empty=pl.lit(None, pl.String),
        one=pl.lit("x"),
        text=pl.format("remark {}", pl.int_range(200)),
        day=pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 7, 18)),
        sideways=pl.Series(["train"] * 199 + ["test"]),
        c2=pl.Series(["up", "down"] * 99 + ["up", "sideways"]),
    )
    with pytest.raises(ValueError, match=says):
        train_on_table(data, **arguments, **FAST)


def test_a_decimal_target_is_a_number() -> None:
    decimal = table().with_columns(pl.col("number").cast(pl.Decimal(10, 2))).drop("grade")
    session = train_on_table(decimal, "number", **FAST)
    assert session.task == "regression"
    assert session.scores["network"]["RMSE"] > 0


def test_split_values_that_are_neither_are_said() -> None:
    marked = table().with_columns(part=pl.Series(["train"] * 100 + ["validation"] * 50 + ["test "] * 50))
    session = train_on_table(marked, "number", split="part", **FAST)
    assert (session.train, session.test) == (150, 50)
    assert session.notes == ["rows whose 'part' says 'train', 'validation' are trained on"]


def test_nothing_besides_the_target() -> None:
    with pytest.raises(ValueError, match="no column besides the target 'number'"):
        train_on_table(table().select("number"), "number", **FAST)
