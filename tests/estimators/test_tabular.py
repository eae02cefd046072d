"""TabularClassifier and TabularRegressor as scikit-learn estimators, and as files."""

from __future__ import annotations

import os
import pickle
import time
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_diabetes, load_wine, make_classification, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from nineline.engines import native
from nineline.estimators import TabularClassifier, TabularRegressor, load
from nineline.files import FileError

EITHER = pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])


@parametrize_with_checks([TabularClassifier(max_epochs=30), TabularRegressor(max_epochs=30)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_estimator(estimator: Any, check: Any) -> None:
    check(estimator)


def mixed(rows: int = 300, seed: int = 0) -> tuple[pl.DataFrame, pl.Series, pl.Series]:
    """Return a table of every kind of column with missing cells, a class of three, and a number."""
    rng = np.random.default_rng(seed)
    size, color = rng.normal(size=rows), rng.choice(["red", "green", "blue"], rows)
    ok, day = rng.random(rows) < 0.5, rng.integers(0, 700, rows)
    number = 2 * size + 3 * (color == "red") - ok + day / 350 + rng.normal(0, 0.1, rows)
    days = pl.Series([f"2023-{1 + d // 60:02d}-{1 + d % 28:02d}" for d in day]).str.to_date()
    frame = pl.DataFrame({"size": size, "color": color, "ok": ok, "day": days}).with_columns(
        pl.when(pl.Series(rng.random(rows) < 0.1)).then(None).otherwise(pl.col("size")).alias("size"),
        pl.when(pl.Series(rng.random(rows) < 0.1)).then(None).otherwise(pl.col("color")).alias("color"),
    )
    classes = np.array(["low", "mid", "high"])[np.digitize(number, [0.5, 2.5])]
    return frame, pl.Series("grade", classes), pl.Series("price", number * 1000)


@EITHER
def test_learns_a_table_of_every_kind_of_column(kind: type) -> None:
    frame, classes, numbers = mixed(600)
    y = classes if kind is TabularClassifier else numbers
    model = kind(random_state=0).fit(frame[:450], y[:450])
    assert model.score(frame[450:], y[450:]) > 0.75
    assert model.target_name_ == y.name


def test_a_linear_target_of_any_size_is_no_trap() -> None:
    """scikit-learn's default MLPRegressor has a score of about 0 here, for want of scaling."""
    X, y = make_regression(200, 5, noise=1.0, random_state=0)
    assert cross_val_score(TabularRegressor(random_state=0), X, 1000 * y, cv=3).mean() > 0.95


@EITHER
def test_the_same_seed_is_the_same_model(kind: type) -> None:
    frame, classes, numbers = mixed()
    y = classes if kind is TabularClassifier else numbers
    one, same, other = (kind(random_state=seed, max_epochs=3).fit(frame, y) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.network_.parameters, same.network_.parameters)
    assert not np.array_equal(one.network_.parameters, other.network_.parameters)


def test_dataframes_of_any_make_are_the_same() -> None:
    frame, classes, _ = mixed(120)
    model = TabularClassifier(random_state=0, max_epochs=3).fit(frame, classes)
    twin = TabularClassifier(random_state=0, max_epochs=3).fit(pd.DataFrame(frame.to_dict()), classes.to_numpy())
    np.testing.assert_array_equal(model.predict_proba(frame), twin.predict_proba(pd.DataFrame(frame.to_dict())))


def test_probabilities_and_labels_of_every_type() -> None:
    X, codes = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
    for labels in (np.array([10, 20, 30]), np.array(["a", "b", "c"]), np.array([0.5, 1.5, 2.0])[[0, 2, 1]] // 0.5):
        y = labels[codes]
        model = TabularClassifier(random_state=0, max_epochs=20).fit(X, y)
        assert model.classes_.dtype == labels.dtype
        proba = model.predict_proba(X)
        np.testing.assert_allclose(proba.sum(axis=1), 1)
        np.testing.assert_array_equal(model.predict(X), model.classes_[proba.argmax(axis=1)])
        assert model.score(X, y) > 0.6
    booleans = TabularClassifier(random_state=0, max_epochs=20).fit(X, codes > 0)
    assert booleans.predict(X).dtype == bool


def test_sample_weight_turns_the_decision() -> None:
    X = np.zeros((200, 1)) + np.arange(200).reshape(-1, 1) % 2  # says nothing about y
    y = np.arange(200) // 2 % 2
    model = TabularClassifier(random_state=0, max_epochs=10).fit(X, y, sample_weight=np.where(y == 1, 9.0, 1.0))
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], 0.9, atol=0.05)


def test_validation_rows_are_used_and_the_best_point_is_kept() -> None:
    X, y = load_wine(return_X_y=True)
    model = TabularClassifier(random_state=0).fit(X, y)
    assert model.history_.restored
    assert len(model.history_.validation_loss) == model.history_.epochs
    without = TabularClassifier(random_state=0, validation_fraction=0, max_epochs=4).fit(X, y)
    assert without.history_.epochs == 4
    assert not without.history_.validation_loss


@EITHER
def test_file_round_trip(kind: type, tmp_path: Path) -> None:
    frame, classes, numbers = mixed(120)
    y = classes if kind is TabularClassifier else numbers
    model = kind(random_state=0, max_epochs=3, hidden_layer_sizes=(8, 4)).fit(frame, y)
    model.save(tmp_path / "m.nineline")
    for same in (kind.load(tmp_path / "m.nineline"), load(tmp_path / "m.nineline")):
        assert type(same) is kind
        np.testing.assert_array_equal(same.predict(frame), model.predict(frame))
        assert same.columns_ == model.columns_
        assert same.get_params()["max_epochs"] == 3
        assert list(same.feature_names_in_) == frame.columns
        assert same.target_name_ == y.name
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(frame), model.predict(frame))


@pytest.mark.parametrize("labels", [["a", "b"], [3, 7], [True, False], [0.0, 1.0]])
def test_classes_of_every_type_survive_a_file(labels: list[Any], tmp_path: Path) -> None:
    X = np.arange(40.0).reshape(-1, 1) % 7
    y = np.array(labels)[np.arange(40) % 2]
    model = TabularClassifier(random_state=0, max_epochs=1).fit(X, y)
    model.save(tmp_path / "m.nineline")
    same = TabularClassifier.load(tmp_path / "m.nineline")
    assert same.classes_.tolist() == model.classes_.tolist()
    assert type(same.predict(X)[0].item()) is type(labels[0])


def test_files_of_another_kind_and_damaged_ones(tmp_path: Path) -> None:
    from nineline import Network

    X, y = load_diabetes(return_X_y=True)
    path = tmp_path / "m.nineline"
    TabularRegressor(max_epochs=1).fit(X, y).save(path)
    with pytest.raises(FileError, match="TabularRegressor, expected a TabularClassifier"):
        TabularClassifier.load(path)
    with pytest.raises(FileError, match="tabular model, expected network"):
        Network.load(path)
    whole = path.read_bytes()
    for end in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(FileError):
            load(path)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(FileError, match="altered"):
        load(path)
    with pytest.raises(NotFittedError):
        TabularClassifier().save(path)


BAD = {
    "one class": (TabularClassifier, {}, [[1.0], [2.0]], ["a", "a"], "one class only, .*'a'"),
    "missing label": (TabularClassifier, {}, [[1.0], [2.0]], ["a", None], r"missing .* in 1 of 2 rows, first in row 1"),
    "missing number": (TabularRegressor, {}, [[1.0], [2.0]], [1.0, np.nan], "missing .* first in row 1"),
    "text for a number": (TabularRegressor, {}, [[1.0], [2.0]], ["a", "b"], "TabularClassifier"),
    "fractions as classes": (TabularClassifier, {}, [[1.0], [2.0]], [0.5, 0.7], "continuous"),
    "lengths": (TabularRegressor, {}, [[1.0], [2.0]], [1.0], "X has 2 rows and y has 1"),
    "no rows": (TabularRegressor, {}, np.empty((0, 2)), [], "0 sample"),
    "no columns": (TabularRegressor, {}, np.empty((2, 0)), [1, 2], "0 feature"),
    "one row": (TabularRegressor, {}, [[1.0]], [1.0], "1 sample"),
    "nothing varies": (TabularRegressor, {}, [[1.0], [1.0]], [1.0, 2.0], "'x0' is constant"),
    "infinity": (TabularRegressor, {}, [[1.0], [np.inf]], [1.0, 2.0], "'x0' holds inf"),
    "no epochs": (TabularRegressor, {"max_epochs": 0}, [[1.0], [2.0]], [1.0, 2.0], "max_epochs is 0"),
    "no width": (TabularRegressor, {"hidden_layer_sizes": (0,)}, [[1.0], [2.0]], [1.0, 2.0], "hidden_layer_sizes is 0"),
    "no word": (TabularRegressor, {"hidden_layer_sizes": "big"}, [[1.0], [2.0]], [1.0, 2.0], "'big'; expected 'auto'"),
    "activation": (TabularRegressor, {"activation": "rleu"}, [[1.0], [2.0]], [1.0, 2.0], "did you mean 'relu'"),
    "share": (TabularRegressor, {"validation_fraction": 1.0}, [[1.0], [2.0]], [1.0, 2.0], "validation_fraction is 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    kind, settings, X, y, says = BAD[case]
    with pytest.raises((ValueError, TypeError), match=says):
        kind(**settings).fit(X, y)


def test_select_takes_what_fit_saw_and_no_more() -> None:
    frame, classes, _ = mixed(60)
    model = TabularClassifier(max_epochs=1).fit(frame.with_columns(pl.lit(1).alias("same")), classes)
    shuffled = frame.select("day", "ok", "color", "size", pl.lit("?").alias("more"))
    selected = model.select(shuffled)
    assert selected.columns == [*frame.columns, "same"]
    np.testing.assert_array_equal(model.predict(selected), model.predict(frame.with_columns(pl.lit(1).alias("same"))))
    with pytest.raises(ValueError, match="column 'color'.* is not in the table"):
        model.select(frame.drop("color"))


def test_a_row_of_weight_zero_is_no_row() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1))
    y, weight = X[:, 0] + 0.1 * rng.normal(size=200), np.ones(200)
    X[0], y[0], weight[0] = 1e9, 1e6, 0
    assert TabularRegressor(random_state=0).fit(X, y, weight).score(X[1:], y[1:]) > 0.9


@pytest.mark.parametrize("place", range(0, 60, 6))
def test_one_row_of_weight_is_enough_or_said(place: int) -> None:
    X = np.arange(60.0).reshape(-1, 1)
    with pytest.raises(ValueError, match="no column is of use"):
        TabularRegressor(max_epochs=1).fit(X, X[:, 0], np.eye(60)[place])


@pytest.mark.parametrize("seed", range(8))
def test_a_validation_part_of_nothing_is_none(seed: int) -> None:
    X = np.arange(60.0).reshape(-1, 1) % 7
    TabularRegressor(validation_fraction=0.01, max_epochs=1, random_state=seed).fit(X, X[:, 0])


def test_dates_in_an_array_are_dates() -> None:
    days = np.array(["2020-01-01", "NaT", "2021-05-01", "2022-02-01"] * 15, "datetime64[D]").reshape(-1, 1)
    model = TabularClassifier(max_epochs=1, random_state=0).fit(days, np.arange(60) % 2)
    assert [column.kind for column in model.columns_.used] == ["date"]
    assert model.columns_.used[0].missing
    with pytest.raises(TypeError, match="durations"):
        TabularClassifier().fit(days - days[0], np.arange(60) % 2)


def test_missing_in_every_spelling() -> None:
    X = np.array([["a"], [None], [np.nan], [pd.NA]] * 15, dtype=object)
    model = TabularClassifier(max_epochs=1, random_state=0).fit(X, np.arange(60) % 2)
    assert model.columns_.used[0].levels == ("a",)
    with pytest.raises(ValueError, match="missing .* first in row 1"):
        TabularClassifier().fit(X, pd.Series(["x", pd.NA] * 30, dtype="string"))


@pytest.mark.filterwarnings("ignore:X (has|does not have) .*feature names:UserWarning")
def test_names_on_one_side_only_go_by_position() -> None:
    frame = pd.DataFrame({"a": np.arange(60) % 5, "b": np.arange(60) % 7})
    y = np.arange(60) % 2
    named = TabularClassifier(max_epochs=1, random_state=0).fit(frame, y)
    np.testing.assert_array_equal(named.predict_proba(frame.to_numpy()), named.predict_proba(frame))
    plain = TabularClassifier(max_epochs=1, random_state=0).fit(frame.to_numpy(), y)
    np.testing.assert_array_equal(plain.predict_proba(pd.DataFrame(frame.to_numpy())), plain.predict_proba(frame))
    assert plain.select(pd.DataFrame(frame.to_numpy()).rename(columns={0: "x0", 1: "x1"})).shape == (60, 2)


def test_a_fit_that_fails_leaves_the_model_before() -> None:
    X = np.arange(60.0).reshape(-1, 1) % 7
    model = TabularClassifier(max_epochs=1, random_state=0).fit(X, np.arange(60) % 2)
    with pytest.raises(ValueError, match="constant"):
        model.fit(np.zeros((60, 1)), np.arange(60) % 3)
    assert model.classes_.tolist() == [0, 1]
    assert model.predict_proba(X).shape == (60, 2)
    regressor = TabularRegressor(max_epochs=1, random_state=0).fit(X, X[:, 0])
    answers = regressor.predict(X)
    with pytest.raises(ArithmeticError, match="diverged"):  # after the new target was learned
        regressor.set_params(learning_rate=1e30, activation="identity", max_epochs=10).fit(X, 100 + X[:, 0])
    np.testing.assert_array_equal(regressor.predict(X), answers)


def test_settings_survive_a_file(tmp_path: Path) -> None:
    from nineline.activations import LeakyRelu

    X = np.arange(60.0).reshape(-1, 1) % 7
    settings = {"activation": LeakyRelu(0.2), "hidden_layer_sizes": (3, 2), "max_epochs": 1, "random_state": 0}
    TabularClassifier(**settings).fit(X, (np.arange(60) % 2).astype(np.int8)).save(tmp_path / "m.nineline")
    same = load(tmp_path / "m.nineline")
    assert {name: same.get_params()[name] for name in settings} == settings
    assert same.classes_.dtype == np.int8  # type: ignore[union-attr]


def test_targets_that_could_not_be_saved_are_refused_at_once() -> None:
    days = np.array(["2020-01-01", "2021-01-01"] * 30, "datetime64[D]")
    with pytest.raises(TypeError, match="datetime64"):
        TabularClassifier().fit(np.arange(60.0).reshape(-1, 1) % 7, days)
    with pytest.raises(TypeError, match="hidden_layer_sizes is 5"):
        TabularClassifier(5).fit(np.arange(60.0).reshape(-1, 1) % 7, np.arange(60) % 2)


@EITHER
def test_a_row_of_weight_two_is_two_rows_and_their_order_is_none(kind: type) -> None:
    frame, classes, numbers = mixed(120)
    y = classes if kind is TabularClassifier else numbers
    how: dict[str, Any] = {"random_state": 0, "max_epochs": 3, "n_members": 2}
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(120), 1 + np.arange(120) % 3)).tolist()
    weighted = kind(**how).fit(frame, y, sample_weight=1 + np.arange(120) % 3)
    repeated = kind(**how).fit(frame[order], y[order])
    np.testing.assert_array_equal(weighted.network_.parameters, repeated.network_.parameters)
    assert repeated.report_.rows == len(order)
    assert repeated.report_.different == 120


def test_a_member_is_the_same_whatever_runs_beside_it() -> None:
    frame, classes, _ = mixed(200)
    how: dict[str, Any] = {"random_state": 0, "max_epochs": 3}
    three = TabularClassifier(**how, n_members=3, n_jobs=1).fit(frame, classes)
    two = TabularClassifier(**how, n_members=2, n_jobs=2).fit(frame, classes)
    assert len(three.members_) == 3
    for one, same in zip(two.members_, three.members_, strict=False):
        np.testing.assert_array_equal(one.parameters, same.parameters)
    assert not np.array_equal(three.members_[0].parameters, three.members_[1].parameters)
    mean = np.mean([member.run(three.columns_.encode(nw.from_native(frame))) for member in three.members_], axis=0)
    np.testing.assert_allclose(three.predict_proba(frame), mean / mean.sum(axis=1, keepdims=True), rtol=1e-12)


def test_every_row_is_held_out_once_by_eight_members() -> None:
    from nineline.estimators.tabular.folds import Folds

    classes = np.array([0] * 60 + [1] * 39 + [2])
    folds = Folds(100, 0.125, classes, np.random.default_rng(0))
    times = np.zeros(100, int)
    for member in range(8):
        kept, out = folds.of(member)
        times[out] += 1
        assert len(kept) + len(out) == 100
        assert 5 <= (classes[out] == 0).sum() <= 10
        assert 3 <= (classes[out] == 1).sum() <= 7
    assert (times[:99] == 1).all()
    assert times[99] == 0  # a class's only row


def test_class_weight_is_sample_weight_by_class() -> None:
    X, y = make_classification(300, 5, weights=[0.9], random_state=0)
    how: dict[str, Any] = {"random_state": 0, "max_epochs": 5, "n_members": 8}  # of one it is a matter of luck
    balanced = TabularClassifier(**how, class_weight="balanced").fit(X, y)
    share = balanced.predict_proba(X)[:, 1].mean()
    assert share > 1.5 * TabularClassifier(**how).fit(X, y).predict_proba(X)[:, 1].mean()
    by_hand = TabularClassifier(**how).fit(X, y, sample_weight=np.where(y == 1, 4.0, 1.0))
    named = TabularClassifier(**how, class_weight={1: 4.0}).fit(X, y)
    np.testing.assert_allclose(named.predict_proba(X), by_hand.predict_proba(X), atol=1e-4)
    for wrong, says in (
        ("even", "'balanced'"),
        ({7: 1.0}, "the class 7"),
        ({1: 0.0}, "class_weight of 1"),
        (3, "is 3"),
    ):
        with pytest.raises((ValueError, TypeError), match=says):
            TabularClassifier(class_weight=wrong).fit(X, y)


def test_the_metric_watched_is_the_one_asked_for() -> None:
    X, y = make_classification(400, 6, flip_y=0.3, random_state=0)
    how: dict[str, Any] = {"random_state": 0, "n_members": 1, "max_epochs": 30, "patience": 30}
    by_area = TabularClassifier(**how, eval_metric="roc_auc").fit(X, y)
    by_loss = TabularClassifier(**how).fit(X, y)
    assert by_area.history_.restored
    assert by_area.report_.held_out["AUC"] >= by_loss.report_.held_out["AUC"]
    assert by_area.report_.held_out["log-loss"] >= by_loss.report_.held_out["log-loss"]

    def worst_case(estimator: Any, X: Any, y: Any) -> float:
        return -float(np.abs(estimator.predict(X) - y).max())

    regressor = TabularRegressor(**how, eval_metric=worst_case).fit(X, X[:, 0])
    assert regressor.history_.best_epoch is not None
    with pytest.raises(ValueError, match="eval_metric is 'aucc'; expected 'loss', the name of a scorer"):
        TabularClassifier(eval_metric="aucc").fit(X, y)
    with pytest.raises(
        ValueError, match="eval_metric 'neg_log_loss' cannot judge .* held-out rows.*validation_fraction"
    ):
        TabularClassifier(**how, eval_metric="neg_log_loss").fit(X[:60], np.r_[np.zeros(57), 1, 1, 2])
    with pytest.raises(ValueError, match="eval_metric is a function, and a file holds no code"):
        regressor.save("nowhere.nineline")


def test_intervals_are_taken_where_a_trial_says_so() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    steps = np.floor(3 * X[:, 0]) % 2 + rng.normal(0, 0.1, 600)
    wave = np.sin(X[:, 0] + X[:, 1] + X[:, 2])
    for y, taken in ((steps, True), (wave, False)):
        model = TabularRegressor(random_state=0, n_members=1).fit(X, y)
        inside, outside = model.report_.trials
        assert (inside.error <= outside.error) is taken
        assert (model.columns_.width > 4) is taken
        assert f"{outside.error:.5g}" in repr(model.report_)
    nothing_held_out = TabularRegressor(random_state=0, n_members=1, validation_fraction=0.0, max_epochs=2).fit(X, wave)
    assert nothing_held_out.report_.trials == []
    assert nothing_held_out.columns_.width > 4


def test_time_limit_cuts_off_an_epoch_that_takes_long() -> None:
    X = np.random.default_rng(0).normal(size=(200_000, 4))  # an epoch of this takes many seconds
    model = TabularRegressor([700, 700], time_limit=2.0, n_members=1, random_state=0).fit(X, X[:, 0] + X[:, 1] ** 2)
    assert model.history_.stopped == "out of time in epoch 1"
    assert 0 < model.history_.steps < 175_000 / 256
    assert model.score(X[:2000], X[:2000, 0] + X[:2000, 1] ** 2) > 0.2  # the rate has fallen by then


@EITHER
def test_time_limit_ends_with_a_model(kind: type) -> None:
    X, y = make_classification(3000, 10, random_state=0)
    began = time.perf_counter()
    model = kind(time_limit=1.0, max_epochs=100_000, patience=100_000, random_state=0).fit(X, y)
    assert time.perf_counter() - began < 30  # a busy machine's; without a limit it would take hours
    assert model.score(X, y) > 0.2
    hardly = kind(time_limit=1e-9, random_state=0).fit(X, y)
    assert len(hardly.members_) == 1
    assert hardly.history_.epochs == 1
    with pytest.raises(ValueError, match="time_limit is 0"):
        kind(time_limit=0).fit(X, y)
    with pytest.raises(ValueError, match="checkpoint is given, and eval_metric or time_limit"):
        kind(time_limit=1, checkpoint="x", random_state=0).fit(X, y)


def test_intervals_cover_what_they_say() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 3))
    y = X[:, 0] + np.abs(X[:, 1]) * rng.exponential(1.0, 2000)
    model = TabularRegressor(random_state=0, max_epochs=20).fit(X[:800], y[:800])
    widths = []
    for coverage in (0.5, 0.8, 0.95):
        bounds = model.predict_interval(X[800:], coverage)
        covered = np.mean((bounds[:, 0] <= y[800:]) & (y[800:] <= bounds[:, 1]))
        assert coverage - 0.05 < covered < coverage + 0.07  # 1,200 rows: a standard deviation is 0.014
        widths.append(bounds[0, 1] - bounds[0, 0])
    assert widths == sorted(widths)
    with pytest.raises(ValueError, match="coverage is 0.999, and training held out 800 rows.* expected at most 0.997"):
        model.predict_interval(X, 0.999)
    none = TabularRegressor(validation_fraction=0, max_epochs=1).fit(X[:50], y[:50])
    with pytest.raises(ValueError, match="held out 0 rows"):
        none.predict_interval(X)


def test_a_skewed_target_is_learned_by_its_logarithm_where_that_is_better() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2400, 3))  # of fewer rows one held-out outlier may decide
    by_factors = np.exp(X @ [0.8, 0.8, 0.4] + rng.normal(0, 0.1, 2400))
    hard_near_zero = 10 * np.maximum(X[:, 0], 0) ** 2 + 0.01 * np.abs(rng.normal(size=2400)) ** 3
    how: dict[str, Any] = {"n_members": 2, "max_epochs": 40, "random_state": 0}
    model = TabularRegressor(**how).fit(X, by_factors)
    assert model.scaling_.log
    assert "by its logarithm" in model.report_.target
    assert model.predict(X).mean() == pytest.approx(by_factors.mean(), rel=0.1)
    assert not TabularRegressor(**how).fit(X, hard_near_zero).scaling_.log
    assert not TabularRegressor(**how).fit(X, by_factors - 1).scaling_.log  # not positive
    assert not TabularRegressor(**how).fit(X, np.log(by_factors) + 99).scaling_.log  # not skewed
    limited = TabularRegressor(**how, time_limit=0.5).fit(X, by_factors)
    assert limited.histories_


def test_no_answer_leaves_the_range_of_the_target() -> None:
    X, y = load_diabetes(return_X_y=True)
    answers = TabularRegressor(max_epochs=5, n_members=1, random_state=0).fit(X, y).predict(100 * X)
    assert answers.min() >= y.min()
    assert answers.max() <= y.max()


@EITHER
def test_importance_finds_the_columns_that_matter(kind: type, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"noise": rng.normal(size=400), "much": rng.normal(size=400), "some": rng.normal(size=400)})
    number = 3 * frame["much"] + frame["some"]
    y = (number > 0).to_numpy() if kind is TabularClassifier else number.to_numpy()
    model = kind(random_state=0, max_epochs=30).fit(frame, y)
    for found in (model.feature_importance(), model.feature_importance(frame, y)):
        assert found.names == ["noise", "much", "some"]
        assert found.importances.shape == (3, 5)
        noise, much, some = found.importances_mean
        assert much > 2 * some > 0
        assert noise < some / 2
    model.save(tmp_path / "m.nineline")
    with pytest.raises(ValueError, match="give X and y"):
        load(tmp_path / "m.nineline").feature_importance()
    with pytest.raises(ValueError, match="one of X and y"):
        model.feature_importance(frame)


def test_the_report_says_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    frame, classes, _ = mixed(200)
    table = frame.with_columns(pl.lit(1).alias("same"), number=pl.int_range(200))
    model = TabularClassifier(random_state=0, max_epochs=4, n_members=2, verbose=True).fit(table, classes)
    page = str(model.report_)
    for said in ("200 rows", "dropped: constant", "identifier-like", "category, missing in some", "member 2", "AUC"):
        assert (said in page) != (said == "AUC")  # of three classes there is none
    assert set(model.report_.held_out) == {"accuracy", "log-loss"}
    assert model.report_.to_frame()["kind"].to_list() == ["number", "category", "boolean", "date", "dropped", "dropped"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["member", "epoch", "loss", "held", "out", "rate", "seconds"]
    assert len(lines) == 1 + 2 * 4


def test_a_diverging_member_is_an_error() -> None:
    from nineline import DivergenceError

    X, y = make_regression(200, 3, random_state=0)
    with pytest.raises(DivergenceError):
        TabularRegressor(learning_rate=1e30, random_state=0, activation="identity").fit(X, y)


# One row


def every_kind(rows: int = 900) -> pl.DataFrame:
    """Return a table of all kinds of columns, each with missing cells."""
    rng = np.random.default_rng(4)
    days = [datetime(2021, 1, 1) + timedelta(hours=int(h)) for h in rng.integers(0, 20_000, rows)]
    table = pl.DataFrame(
        {
            "number": rng.normal(size=rows),
            "whole": rng.integers(0, 9, rows),
            "as text": [f" {number:.2f}" for number in rng.normal(size=rows)],
            "once": [3.5] * rows,
            "two": rng.choice(["a", "b"], rows),
            "three": rng.choice(["a", "b c", "ä"], rows),
            "of numbers": rng.choice(["1", "2", "x"], rows),
            "said": rng.choice(["yes", "no"], rows),
            "ok": rng.random(rows) < 0.5,
            "day": [day.date() for day in days],
            "when": days,
            "written": [day.strftime("%d.%m.%Y %H:%M") for day in days],
        }
    )
    return table.select(
        pl.when(pl.Series(rng.random(rows) < 0.1)).then(None).otherwise(pl.col(name)).alias(name)
        for name in table.columns
    )


@pytest.fixture(scope="module")
def model_of_every_kind() -> TabularClassifier:
    table = every_kind()
    grades = np.array(["low", "mid", "high"])[table["whole"].fill_null(0).to_numpy() // 3]
    return TabularClassifier(max_epochs=3, n_members=2, random_state=0).fit(table, grades)


def same_answers(ours: Any, theirs: Any) -> None:
    """Hold answers of one row and of a table equal, to the bit but where BLAS adds up rows as they come together."""
    if native._native is None or os.environ.get("NINELINE_SIMD") == "none":
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)
    else:
        np.testing.assert_array_equal(ours, theirs)


def test_a_row_alone_is_answered_as_among_others(model_of_every_kind: TabularClassifier) -> None:
    model, table = model_of_every_kind, every_kind()[:60]
    expected = model.predict_proba(table)
    frame = table.to_pandas()
    for number, row in enumerate(table.iter_rows(named=True)):
        shares = model.predict_proba_one(row)
        assert list(shares) == model.classes_.tolist()
        same_answers([*shares.values()], expected[number])
        assert model.predict_one(row) == model.classes_[expected[number].argmax()]
        same_answers(model.predict_proba(table[number : number + 1])[0], expected[number])
        same_answers(model.predict_proba(frame[number : number + 1])[0], expected[number])


ODD = {
    "number": [np.nan, "0.5", " ", 3, True, np.float32(0.25), np.int64(2), 1e300, None],
    "as text": [0.5, "  1.25 ", "-3e2", None],
    "once": [None, 3.5, 9.0, "4"],
    "two": ["b ", "c", "", None, np.nan],
    "three": ["  ä", "never", None],
    "of numbers": [1, 2.0, "2", "x", 7],
    "said": [True, "YES", "f", 0, None],
    "ok": [False, "t", "no", 1, None],
    "day": [date(2021, 5, 6), datetime(2021, 5, 6, 12), "2021-05-06", None, ""],
    "when": [datetime(2021, 5, 6, 12, tzinfo=timezone(timedelta(hours=3))), "2021-05-06 07:08", None],
    "written": ["06.05.2021 07:08", date(2021, 5, 6), None],
}


@pytest.mark.parametrize("name", ODD)
def test_a_row_of_odd_values_is_answered_as_a_table_is(name: str, model_of_every_kind: TabularClassifier) -> None:
    model, row = model_of_every_kind, every_kind().row(5, named=True)
    (column,) = [column for column in model.columns_.used if column.name == name]
    for value in ODD[name]:
        expected = column.values(nw.new_series(name, [value, value], backend="polars"))
        alone = column.one(value)
        if alone is not None:
            np.testing.assert_array_equal(alone, [each[0] for each in expected], err_msg=repr(value))
        assert model.predict_one({**row, name: value}) in model.classes_


def test_a_row_that_does_not_fit(model_of_every_kind: TabularClassifier) -> None:
    model, row = model_of_every_kind, every_kind().row(5, named=True)
    assert model.predict_one({**row, "more": 3}) in model.classes_
    short = {name: value for name, value in row.items() if name != "three"}
    with pytest.raises(ValueError, match="column 'three', which the model was trained with, is not in the table"):
        model.predict_one(short)
    for name, value in {"number": "much", "ok": "perhaps", "day": "some day", "once": "x"}.items():
        with pytest.raises(ValueError, match=f"column '{name}' holds '{value}'; expected"):
            model.predict_one({**row, name: value})
    with pytest.raises(ValueError, match="column 'number' holds inf"):
        model.predict_one({**row, "number": np.inf})
    with pytest.raises(TypeError, match="row is a list; expected a dict"):
        model.predict_one([1, 2])
    with pytest.raises(NotFittedError):
        TabularRegressor().predict_one(row)


def test_a_number_of_one_row() -> None:
    frame, _, numbers = mixed()
    model = TabularRegressor(max_epochs=3, n_members=2, random_state=0).fit(frame, numbers)
    expected = model.predict(frame[:5])
    same_answers([model.predict_one(row) for row in frame[:5].iter_rows(named=True)], expected)


def test_a_row_of_nothing_but_levels() -> None:
    table = pl.DataFrame({"color": ["red", "green", "blue"] * 30, "ok": [True, False] * 45})
    for frame in (table, table.select("color")):
        model = TabularClassifier(max_epochs=2, n_members=1, random_state=0).fit(frame, table["color"] == "red")
        row = frame.row(0, named=True)
        same_answers([*model.predict_proba_one(row).values()], model.predict_proba(frame)[0])


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_a_sweep_takes_the_best_learning_rate(kind: type) -> None:
    table, colour, number = mixed()
    target = colour if kind is TabularClassifier else number
    model = kind([16], learning_rate="sweep", n_members=2, max_epochs=20, random_state=0).fit(table, target)
    rates = model.report_.rates
    assert len(rates) == 7
    assert model.report_.recipe.learning_rate == pytest.approx(
        float(min(rates, key=lambda one: one.error).name), rel=1e-2
    )
    again = kind([16], learning_rate="sweep", n_members=2, max_epochs=20, random_state=0, n_jobs=1).fit(table, target)
    assert [one.error for one in again.report_.rates] == [one.error for one in rates]
    assert (again.network_.parameters == model.network_.parameters).all()
    few = kind([16], learning_rate="sweep", max_epochs=3, random_state=0).fit(table[:30], target[:30])
    assert few.report_.rates == []  # no rows are held out
    with pytest.raises(ValueError, match="learning_rate is 'fast'; expected 'auto' or 'sweep', or a number"):
        kind(learning_rate="fast").fit(table, target)
