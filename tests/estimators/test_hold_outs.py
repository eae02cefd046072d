"""Hold-outs of one's own: rows that are given, whole groups, or the latest rows, to stop, try out and judge by."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from nineline.cli import app
from nineline.estimators import TabularClassifier, TabularRegressor
from nineline.estimators.session import train_on_table
from nineline.estimators.streamed_session import train_on_source
from nineline.estimators.tabular.folds import Folds
from nineline.estimators.tabular.grouping import counted, places_of_groups
from nineline.tables.sources import TableSource

EITHER = pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
QUICK: dict[str, Any] = {"random_state": 0, "max_epochs": 12, "hidden_layer_sizes": (32, 16)}
ROWS = 320
GROUPS = 16


def made(rows: int = ROWS, seed: int = 0) -> pl.DataFrame:
    """Return a table with a class, a number, a group and a day."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    z = x[:, 0] + x[:, 1] ** 2 + 0.2 * rng.normal(size=rows)
    return pl.DataFrame({f"x{i}": x[:, i] for i in range(3)}).with_columns(
        kind=pl.Series(np.where(z > 1, "yes", "no")),
        price=pl.Series(z),
        patient=pl.Series([f"p{number}" for number in rng.integers(GROUPS, size=rows)]),
        day=pl.Series([date(2024, 1, 1) + timedelta(days=int(day)) for day in rng.integers(200, size=rows)]),
    )


TABLE = made()
X = TABLE.select("x0", "x1", "x2")
OTHERS = made(120, 1)


def target_of(kind: type) -> str:
    return "kind" if kind is TabularClassifier else "price"


class Seen:
    """What members learn from and hold out, in a fit and in its trials, by the first column of the table."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from nineline.estimators.tabular import members

        self.lessons: list[tuple[set[float], set[float]]] = []
        self.train = members.train_member
        monkeypatch.setattr(members, "train_member", self.train_member)

    def train_member(self, lesson: Any, *more: Any) -> Any:
        given, held = lesson.data[0], lesson.held.inputs.numbers
        if hasattr(given, "open"):  # a source, of a table that is read piece by piece
            learned = [inputs.numbers for stream in range(given.streams) for inputs, *_ in given.open(stream)]
        else:
            learned = [given.numbers[lesson.among]]
        first = next(i for i, part in enumerate(lesson.encoding.numbers) if part.bent)  # behind its waves, if any
        self.lessons.append((set(np.concatenate(learned)[:, first].tolist()), set(held[:, first].tolist())))
        return self.train(lesson, *more)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(monkeypatch)


def by_first(model: Any, frame: pl.DataFrame, column: str) -> dict[float, Any]:
    """Return what a column says of each row, by what became of its first one."""
    rows = model.columns_.compact(model._frame(frame.select("x0", "x1", "x2")))
    first = next(i for i, part in enumerate(rows.encoding.numbers) if part.bent)
    return dict(zip(rows.numbers[:, first].tolist(), frame[column].to_list(), strict=True))


# Rows that are given


@EITHER
def test_all_rows_are_learned_from_where_others_are_given(kind: type, seen: Seen) -> None:
    target = target_of(kind)
    model = kind(**QUICK).fit(X, TABLE[target], validation=(OTHERS[X.columns], OTHERS[target]))
    here, there = by_first(model, TABLE, target), by_first(model, OTHERS, target)
    assert len(seen.lessons) == 8 + 3 * 4  # members, and four short networks in each of three ways
    for learned, held in seen.lessons:
        assert (learned, held) == (set(here), set(there))
    assert model.report_.rows == model.report_.different == ROWS
    assert "held out    120 rows that were given: " in str(model.report_)


def test_scores_are_those_of_the_model_on_the_rows_that_are_given() -> None:
    model = TabularRegressor(**QUICK).fit(X, TABLE["price"], validation=(OTHERS[X.columns], OTHERS["price"]))
    gaps = OTHERS["price"].to_numpy() - model.predict(OTHERS[X.columns])
    assert model.report_.held_out["RMSE"] == pytest.approx(np.sqrt((gaps**2).mean()), rel=1e-6)
    np.testing.assert_allclose(model.residuals_, np.sort(gaps), atol=1e-5)  # rows were judged in float32
    below, above = model.predict_interval(OTHERS[X.columns], 0.8).T
    assert 0.75 <= ((below <= OTHERS["price"].to_numpy()) & (OTHERS["price"].to_numpy() <= above)).mean() <= 0.85
    importance = model.feature_importance()
    assert importance.importances_mean[importance.names.index("x0")] > 0.1


def test_columns_are_learned_from_x_alone() -> None:
    others = OTHERS.with_columns(x0=pl.col("x0") * 1000)
    plain = TabularRegressor(**QUICK).fit(X, TABLE["price"], validation=(OTHERS[X.columns], OTHERS["price"]))
    model = TabularRegressor(**QUICK).fit(X, TABLE["price"], validation=(others[X.columns], others["price"]))
    assert [column.center for column in model.columns_.used] == [column.center for column in plain.columns_.used]
    assert model.scaling_ == plain.scaling_


def test_weights_of_the_rows_that_are_given() -> None:
    """A row of weight 2 is two rows, and one of weight 0 is none, whatever rows are learned from weigh."""
    weights = np.arange(120) % 3
    twice = pl.concat([OTHERS, OTHERS[np.arange(120)]])[np.repeat(np.arange(120), weights)]
    once = TabularClassifier(**QUICK, n_members=2).fit(
        X, TABLE["kind"], validation=(OTHERS[X.columns], OTHERS["kind"], weights)
    )
    same = TabularClassifier(**QUICK, n_members=2).fit(X, TABLE["kind"], validation=(twice[X.columns], twice["kind"]))
    assert once.report_.held_out == pytest.approx(same.report_.held_out)
    np.testing.assert_array_equal(once.predict_proba(X), same.predict_proba(X))
    weighed = TabularClassifier(**QUICK, n_members=2, class_weight="balanced").fit(
        X, TABLE["kind"], np.full(ROWS, 2.0), validation=(OTHERS[X.columns], OTHERS["kind"], weights)
    )
    assert weighed.report_.held_out["accuracy"] > 0.7


@EITHER
def test_a_table_with_the_target_in_a_column(kind: type, tmp_path: Any) -> None:
    target = target_of(kind)
    expected = kind(**QUICK, n_members=2).fit(X, TABLE[target], validation=(OTHERS[X.columns], OTHERS[target]))
    others = OTHERS.select("day", target, "x2", "x1", "x0")
    others.write_parquet(tmp_path / "others.parquet")
    for given in (others, others.to_pandas(), others.lazy(), tmp_path / "others.parquet"):
        model = kind(**QUICK, n_members=2).fit(TABLE.select("x0", "x1", "x2", target), target=target, validation=given)
        np.testing.assert_array_equal(model.predict(X), expected.predict(X))


def test_names_on_one_side_only_go_by_position() -> None:
    expected = TabularRegressor(**QUICK, n_members=1).fit(
        X, TABLE["price"], validation=(OTHERS[X.columns], OTHERS["price"])
    )
    with pytest.warns(UserWarning, match="feature names"):
        model = TabularRegressor(**QUICK, n_members=1).fit(
            X, TABLE["price"], validation=(OTHERS[X.columns].to_numpy(), OTHERS["price"])
        )
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


# Groups


@EITHER
def test_no_group_is_on_both_sides(kind: type, seen: Seen) -> None:
    target = target_of(kind)
    model = kind(**QUICK).fit(X, TABLE[target], groups=TABLE["patient"])
    patients = by_first(model, TABLE, "patient")
    held_by_all: list[str] = []
    for learned, held in seen.lessons:
        inside, outside = {patients[row] for row in learned}, {patients[row] for row in held}
        assert not inside & outside
        assert inside | outside == set(TABLE["patient"])
        held_by_all += outside
    assert len(held_by_all[-GROUPS:]) == len(set(held_by_all[-GROUPS:])) == GROUPS  # eight members hold each out once
    assert f"rows of {GROUPS} of {GROUPS} groups: " in str(model.report_)
    assert len(model._held_out.judged()[0]) == ROWS


def test_groups_of_any_make_are_the_same() -> None:
    numbers = TABLE["patient"].str.slice(1).cast(pl.Int64)
    models = [
        TabularRegressor(**QUICK, n_members=2).fit(X, TABLE["price"], groups=groups)
        for groups in (numbers, numbers.to_numpy(), numbers.to_list(), numbers.to_pandas(), numbers.cast(pl.String))
    ]
    for model in models[1:]:
        np.testing.assert_array_equal(model.predict(X), models[0].predict(X))
    assert (TabularRegressor(**QUICK, n_members=2).fit(X, TABLE["price"]).predict(X) != models[0].predict(X)).any()


def test_a_column_of_groups_is_no_feature() -> None:
    expected = TabularRegressor(**QUICK, n_members=2).fit(X, TABLE["price"], groups=TABLE["patient"])
    table = TABLE.select("x0", "x1", "x2", "price", "patient")
    model = TabularRegressor(**QUICK, n_members=2).fit(table, target="price", groups="patient")
    assert list(model.feature_names_in_) == ["x0", "x1", "x2"]
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


def test_the_order_of_rows_is_none_and_the_seed_says_which_groups() -> None:
    order = np.random.default_rng(0).permutation(ROWS)
    model = TabularRegressor(**QUICK, n_members=2).fit(X, TABLE["price"], groups=TABLE["patient"])
    other = TabularRegressor(**QUICK, n_members=2).fit(X[order], TABLE["price"][order], groups=TABLE["patient"][order])
    np.testing.assert_allclose(other.predict(X), model.predict(X), rtol=1e-6)
    groups = np.repeat(np.arange(40), 5)
    first, second = (Folds(200, 0.125, None, np.random.default_rng(seed), groups).of(0)[1] for seed in (0, 1))
    assert set(groups[first]) != set(groups[second])


def test_the_same_row_in_two_groups_stays_two_rows(seen: Seen) -> None:
    table = pl.DataFrame({"x": [float(i // 2) for i in range(200)]})
    groups = np.where(np.arange(200) % 2, "a", "b")
    model = TabularRegressor(**QUICK, n_members=2).fit(table, np.arange(200) // 2, groups=groups)
    assert (model.report_.rows, model.report_.different) == (200, 200)
    model = TabularRegressor(**QUICK, n_members=2).fit(table, np.arange(200) // 2, groups=np.arange(200) // 20)
    assert (model.report_.rows, model.report_.different) == (200, 100)
    weights = np.ones(200)
    weights[:20] = 0  # no row is left of the first group
    model = TabularRegressor(**QUICK, n_members=2).fit(table, np.arange(200) // 2, weights, groups=np.arange(200) // 20)
    assert model.report_.rows == 180


CLASSES = np.random.default_rng(0).integers(3, size=3000)
SIZES = {
    "all alike": (np.repeat(np.arange(300), 10), 0.125, 1.03),  # 37 or 38 of them
    "of many sizes": (np.random.default_rng(0).geometric(0.02, 3000) % 97, 0.125, 1.1),
    "a tenth": (np.repeat(np.arange(300), 10), 0.1, 1.01),
    "three tenths": (np.repeat(np.arange(300), 10), 0.3, 1.01),
    "more than half": (np.repeat(np.arange(300), 10), 0.6, 1.01),
    "one large": (np.minimum(np.arange(3000) // 10, 200), 0.125, 1000 / 280),
}


@pytest.mark.parametrize("case", SIZES)
def test_groups_are_shared_out_as_equally_as_their_sizes_allow(case: str) -> None:
    sizes, share, apart = SIZES[case]
    groups = np.unique(sizes, return_inverse=True)[1]
    folds = Folds(3000, share, CLASSES, np.random.default_rng(0), groups)
    held = [folds.of(member)[1] for member in range(8)]
    counts = [len(out) for out in held]
    assert folds.share == pytest.approx(share)
    assert max(counts) <= apart * min(counts)
    if apart < 2:
        assert np.mean(counts) == pytest.approx(3000 * share, rel=0.02)
        of_classes = np.array([np.bincount(CLASSES[out], minlength=3) / len(out) for out in held])
        np.testing.assert_allclose(of_classes, np.tile(np.bincount(CLASSES) / 3000, (8, 1)), atol=0.03)


def test_fewer_groups_than_members() -> None:
    folds = Folds(90, 0.125, None, np.random.default_rng(0), np.arange(90) % 3)
    assert [len(folds.of(member)[1]) for member in range(8)] == [30] * 8
    assert folds.in_words(8) == "rows of 3 of 3 groups"


def test_a_group_that_is_needed_is_never_held_out() -> None:
    groups = np.repeat(np.arange(5), 20)
    classes = np.where(groups == 2, 1, 0)  # the second class comes in the third group alone
    places, _ = places_of_groups(*counted(groups, classes), 0.25, np.random.default_rng(0))
    assert np.flatnonzero(np.isnan(places)).tolist() == [2]
    most = np.array([0] * 60 + [1] * 20 + [2] * 20)
    places, share = places_of_groups(*counted(most, None), 0.125, np.random.default_rng(0))
    assert np.flatnonzero(np.isnan(places)).tolist() == [0]
    assert share == 0.5
    with pytest.raises(ValueError, match="no group that can be held out"):
        places_of_groups(*counted(groups, groups), 0.25, np.random.default_rng(0))


# Time


TIMES: dict[str, Any] = {
    "dates": TABLE["day"],
    "moments of pandas": pd.to_datetime(TABLE["day"].to_pandas()),
    "moments of NumPy": TABLE["day"].to_numpy().astype("datetime64[ns]"),
    "objects": [datetime(day.year, day.month, day.day, 12) for day in TABLE["day"]],
    "texts": TABLE["day"].cast(pl.String).to_list(),
    "German texts": TABLE["day"].dt.strftime("%d.%m.%Y").to_list(),
    "numbers": (TABLE["day"] - date(2024, 1, 1)).dt.total_days().to_numpy(),
}


@pytest.mark.parametrize("make", TIMES)
def test_all_members_hold_out_the_latest_rows(make: str, seen: Seen) -> None:
    model = TabularRegressor(**QUICK).fit(X, TABLE["price"], time=TIMES[make])
    days = by_first(model, TABLE, "day")
    for learned, out in seen.lessons:
        assert out == seen.lessons[0][1]
        assert max(days[row] for row in learned) < min(days[row] for row in out)  # no day is on both sides
        assert learned | out == set(days)
        assert abs(len(out) - ROWS / 8) <= 3
    first = min(days[row] for row in seen.lessons[0][1])
    said = {"objects": f"{first} 12:00:00", "numbers": str((first - date(2024, 1, 1)).days)}.get(make, str(first))
    assert f"the latest {len(out)} rows, from {said} on: RMSE " in str(model.report_)
    assert model.report_.rows == ROWS - len(out)
    assert len(model.residuals_) == len(out)


def test_what_is_learned_of_columns_and_target_is_the_earlier_rows() -> None:
    """A table that grows: what is later is not known when the model would have been trained."""
    table = pl.DataFrame({"x": np.arange(400.0) + 0.5})
    model = TabularRegressor(**QUICK, n_members=2).fit(table, np.arange(400) * 2.0, time=np.arange(400))
    assert model.columns_.used[0].center == 174.5
    assert model.predict(table).max() <= 2 * 349


def test_a_column_of_times_stays_a_feature() -> None:
    table = TABLE.select("x0", "x1", "x2", "day", "price")
    model = TabularRegressor(**QUICK, n_members=2).fit(table, target="price", time="day")
    expected = TabularRegressor(**QUICK, n_members=2).fit(table.drop("price"), TABLE["price"], time=TABLE["day"])
    assert list(model.feature_names_in_) == ["x0", "x1", "x2", "day"]
    np.testing.assert_array_equal(model.predict(table.drop("price")), expected.predict(table.drop("price")))


def test_a_share_of_nothing_learns_from_all_rows() -> None:
    """As for a last fit, when it is known how good the model is."""
    model = TabularRegressor(**QUICK, n_members=1, validation_fraction=0).fit(X, TABLE["price"], time=TABLE["day"])
    assert model.report_.rows == ROWS
    assert model.report_.held_out == {}


# With everything else


HOW: dict[str, dict[str, Any]] = {
    "validation": {"validation": (OTHERS[X.columns], OTHERS["kind"])},
    "groups": {"groups": TABLE["patient"]},
    "time": {"time": TABLE["day"]},
}
EACH = pytest.mark.parametrize("how", HOW)


@EACH
def test_a_metric_and_a_sweep(how: str) -> None:
    model = TabularClassifier(**QUICK, n_members=2, eval_metric="roc_auc", learning_rate="sweep")
    model.fit(X, TABLE["kind"], **HOW[how])
    assert model.report_.rates
    assert model.report_.held_out["AUC"] > 0.8


@EACH
def test_a_training_goes_on_from_its_checkpoint(how: str, tmp_path: Any) -> None:
    whole = TabularClassifier(**QUICK, n_members=2).fit(X, TABLE["kind"], **HOW[how])
    path = tmp_path / "training.nineline"
    TabularClassifier(**{**QUICK, "max_epochs": 12}, n_members=2, checkpoint=path).fit(X, TABLE["kind"], **HOW[how])
    again = TabularClassifier(**QUICK, n_members=2, checkpoint=path, resume=True).fit(X, TABLE["kind"], **HOW[how])
    np.testing.assert_array_equal(again.predict_proba(X), whole.predict_proba(X))
    with pytest.raises(ValueError, match="checkpoint"):
        TabularClassifier(**QUICK, n_members=2, checkpoint=path, resume=True).fit(X, TABLE["kind"])


@EACH
def test_a_time_limit_and_a_file(how: str, tmp_path: Any) -> None:
    model = TabularClassifier(random_state=0, time_limit=1.0).fit(X, TABLE["kind"], **HOW[how])
    model.save(tmp_path / "model.nineline")
    again = TabularClassifier.load(tmp_path / "model.nineline")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_the_page_says_what_was_held_out(tmp_path: Any) -> None:
    model = TabularClassifier(**QUICK, n_members=2).fit(X, TABLE["kind"], time=TABLE["day"])
    model.report_.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert model.report_.held_out_rows in page
    assert "each judged by all networks together" in page


# What does not go


NONE = [None, *TABLE["patient"][1:].to_list()]
BAD: dict[str, tuple[type, dict[str, Any], str]] = {
    "two": (ValueError, {"groups": TABLE["patient"], "time": TABLE["day"]}, "groups and time are given.*one of them"),
    "rows and groups": (
        ValueError,
        {"groups": TABLE["patient"], "validation": HOW["validation"]["validation"]},
        "validation and groups are given",
    ),
    "few groups": (ValueError, {"groups": TABLE["patient"][:5]}, "groups has 5 entries and X has 320 rows"),
    "one group": (ValueError, {"groups": ["a"] * ROWS}, "one group only, 'a'; expected at least two"),
    "a group is missing": (ValueError, {"groups": NONE}, "groups is missing .* in 1 of 320 rows, first in row 0"),
    "groups in columns": (ValueError, {"groups": np.zeros((ROWS, 2))}, r"groups has shape \(320, 2\)"),
    "a name and no target": (TypeError, {"groups": "patient"}, "groups is 'patient', and target is not given"),
    "a time is missing": (ValueError, {"time": [np.nan, *range(ROWS - 1)]}, "time is missing .* first in row 0"),
    "no times": (ValueError, {"time": TABLE["patient"]}, "time holds 'p.*'; expected numbers, dates, or texts"),
    "one time": (ValueError, {"time": np.ones(ROWS)}, "time is the same in every row"),
    "a class that is late": (
        ValueError,
        {"time": np.where(np.arange(ROWS) == 0, 1e9, np.arange(ROWS))},
        r"the latest 40 rows, from 281 on\) have the class 'new'",
    ),
    "no rows": (TypeError, {"validation": OTHERS}, r"validation is DataFrame; expected \(X_val, y_val\)"),
    "one entry": (ValueError, {"validation": (OTHERS,)}, "validation has 1 entries; expected"),
    "other columns": (
        ValueError,
        {"validation": (OTHERS[["x0", "x1"]], OTHERS["kind"])},
        "validation does not go with X and y: .*feature names",
    ),
    "other lengths": (
        ValueError,
        {"validation": (OTHERS[X.columns], OTHERS["kind"][:5])},
        "validation does not go with X and y: X has 120 rows and y has 5",
    ),
    "another class": (
        ValueError,
        {"validation": (OTHERS[X.columns], ["maybe"] * 120)},
        r"\(120 rows that were given\) have the class 'maybe', which those that are learned from have not",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    error, given, message = BAD[case]
    y = TABLE["kind"].to_list()
    if case == "a class that is late":
        y[0] = "new"
    with pytest.raises(error, match=message):
        TabularClassifier(**QUICK).fit(X, y, **given)


BAD_NAMES: dict[str, tuple[type, dict[str, Any], str]] = {
    "no such column": (ValueError, {"groups": "pateint"}, "groups is 'pateint', which is no column.*'patient'"),
    "the target": (ValueError, {"time": "kind"}, "time and target are both 'kind'"),
    "an array": (TypeError, {"time": TABLE["day"]}, "target is 'kind' and time is Series; expected a column's name"),
    "a tuple": (TypeError, HOW["validation"], "validation is a tuple; expected a table with that column"),
    "a column lacks": (ValueError, {"validation": OTHERS.drop("x1")}, "validation lacks the column 'x1'"),
    "no target": (ValueError, {"validation": OTHERS.drop("kind")}, "target is 'kind', which is no column"),
}


@pytest.mark.parametrize("case", BAD_NAMES)
def test_bad_names(case: str) -> None:
    error, given, message = BAD_NAMES[case]
    with pytest.raises(error, match=message):
        TabularClassifier(**QUICK).fit(TABLE, target="kind", **given)


# Piece by piece


LARGE = made(4000, 2)
LITTLE = 100_000  # bytes: the table takes more than an eighth of it


@EITHER
def test_no_group_is_on_both_sides_piece_by_piece(kind: type, seen: Seen) -> None:
    target = target_of(kind)
    table = LARGE.select("x0", "x1", "x2", "patient", target)
    model = kind(**QUICK, n_members=3).fit(table.lazy(), target=target, groups="patient", memory=LITTLE)
    assert list(model.feature_names_in_) == ["x0", "x1", "x2"]
    patients = by_first(model, LARGE, "patient")
    assert len(seen.lessons) > 3  # trials, and then members
    for learned, held in seen.lessons:
        assert held
        assert not {patients[row] for row in learned} & {patients[row] for row in held}
    of_members = [{patients[row] for row in held} for _, held in seen.lessons[-3:]]
    assert len(set().union(*of_members)) == sum(map(len, of_members)) == 6  # two of sixteen each
    assert "rows of 6 of 16 groups: " in str(model.report_)
    for learned, held in seen.lessons[-3:]:
        assert learned | held == set(patients)


@EITHER
def test_the_latest_rows_are_held_out_piece_by_piece(kind: type, seen: Seen) -> None:
    target = target_of(kind)
    table = LARGE.select("x0", "x1", "x2", "day", target)
    model = kind(**QUICK, n_members=2).fit(table.lazy(), target=target, time="day", memory=LITTLE)
    small = kind(**QUICK, n_members=2).fit(table, target=target, time="day")
    assert model.columns_ == small.columns_
    assert model.report_.held_out_rows == small.report_.held_out_rows
    assert model.report_.rows == small.report_.rows
    frame = LARGE.select("x0", "x1", "x2", "day")
    first = model.columns_.compact(model._frame(frame)).numbers[:, 0].tolist()
    days = dict(zip(first, LARGE["day"], strict=True))
    for learned, held in seen.lessons:
        assert max(days[row] for row in learned) < min(days[row] for row in held)
    assert len(model._held_out.parts) == 1


@EITHER
def test_rows_are_given_piece_by_piece(kind: type, tmp_path: Any) -> None:
    target = target_of(kind)
    table, others = LARGE.select("x0", "x1", "x2", target), OTHERS.select("x2", "x0", "x1", target, "day")
    others.write_parquet(tmp_path / "others.parquet")
    model = kind(**QUICK, n_members=2)
    model.fit(table.lazy(), target=target, validation=tmp_path / "others.parquet", memory=LITTLE)
    truth, _, _ = model._held_out.judged()
    assert sorted(truth.tolist()) == sorted(OTHERS[target].to_list())
    assert model.report_.held_out_rows == "120 rows that were given"
    assert model.report_.rows == 4000
    assert model.score(OTHERS.select("x0", "x1", "x2"), OTHERS[target]) > 0.8


def test_weights_piece_by_piece() -> None:
    table = LARGE.select("x0", "x1", "x2", "kind", "day", weight=pl.Series(np.arange(4000) % 3, dtype=pl.Float64))
    model = TabularClassifier(**QUICK, n_members=2, class_weight="balanced")
    model.fit(table.lazy(), target="kind", sample_weight="weight", time="day", memory=LITTLE)
    _, _, weights = model._held_out.judged()
    assert len(np.unique(weights)) == 4  # of two classes, weights of 1 and 2
    with pytest.raises(ValueError, match="sample_weight is 'weight', which is no column"):
        model.fit(table.lazy(), target="kind", sample_weight="weight", validation=OTHERS, memory=LITTLE)


def test_a_checkpoint_piece_by_piece(tmp_path: Any) -> None:
    table = LARGE.select("x0", "x1", "x2", "patient", "price").lazy()
    how = {"target": "price", "groups": "patient", "memory": LITTLE}
    path = tmp_path / "training.nineline"
    whole = TabularRegressor(**QUICK, n_members=1, checkpoint=path).fit(table, **how)
    again = TabularRegressor(**QUICK, n_members=1, checkpoint=path, resume=True).fit(table, **how)
    np.testing.assert_array_equal(again.predict(X), whole.predict(X))


BAD_PIECES: dict[str, tuple[dict[str, Any], str]] = {
    "a group is missing": ({"groups": "gone"}, "groups is missing"),
    "a time is missing": ({"time": "gone"}, "time is missing"),
    "texts of another form": ({"time": "german"}, "time holds '.*'; expected numbers, dates"),
    "one time": ({"time": "same"}, "time is the same in every row"),
    "one group": ({"groups": "same"}, "groups has one group only"),
    "a class that is late": ({"time": "at_last"}, "have the class 'new'"),
}


@pytest.mark.parametrize("case", BAD_PIECES)
def test_bad_pieces(case: str) -> None:
    given, message = BAD_PIECES[case]
    table = LARGE.drop("price").with_columns(
        gone=pl.Series([None, *range(3999)]),
        german=pl.col("day").dt.strftime("%d.%m.%Y"),
        same=pl.lit(1),
        at_last=pl.Series(range(4000)),
    )
    if case == "a class that is late":
        table = table.with_columns(kind=pl.Series([*table["kind"][:-1], "new"]))
    with pytest.raises(ValueError, match=message):
        TabularClassifier(**QUICK).fit(table.lazy(), target="kind", memory=LITTLE, **given)


# Sessions


FAST: dict[str, Any] = {"max_epochs": 3, "n_members": 2, "hidden_layer_sizes": (8,)}


def sessions(table: pl.DataFrame, **given: Any) -> list[Any]:
    """Return the session of a table, and that of the same one piece by piece."""
    small = train_on_table(table, "kind", **FAST, **given)
    return [small, train_on_source(TableSource.of(table), "kind", memory=LITTLE, **FAST, **given)]


def test_whole_groups_are_judged_by() -> None:
    table = LARGE.drop("price")
    for session in sessions(table, groups="patient"):
        judged = {row["x0"] for row in session.rows}
        patients = set(table.filter(pl.col("x0").is_in(judged))["patient"])
        rows = table.filter(pl.col("patient").is_in(patients)).height
        assert 1 < len(patients) < 6
        assert session.test == rows
        assert f"judged by {len(patients)} of 16 groups of 'patient'" in session.notes
        assert "patient" not in session.model.names_
        assert session.model.report_.held_out_rows.endswith(f"of {16 - len(patients)} groups")
        assert set(session.scores) == {"network", "linear model", "majority class"}


def test_the_latest_rows_are_judged_by() -> None:
    table = LARGE.drop("price")
    for session in sessions(table, time="day"):
        begin = sorted(table["day"])[-session.test]
        assert abs(session.test - 800) < 30
        assert {row["day"] for row in session.rows} <= set(table.filter(pl.col("day") >= begin)["day"])
        assert f"judged by the rows whose 'day' is {begin} or later" in session.notes
        assert session.model.report_.held_out_rows.startswith("the latest ")
        assert "day" in session.model.names_


def test_rows_that_are_given_are_stopped_by() -> None:
    others = OTHERS.with_columns(kind=pl.Series([None, *OTHERS["kind"][1:]]))
    for session in sessions(LARGE.drop("price"), validation=others):
        assert session.model.report_.held_out_rows == "119 rows that were given"
    with pytest.raises(ValueError, match="the validation part lacks the column 'x1'"):
        train_on_table(LARGE, "kind", validation=OTHERS.drop("x1"), **FAST)


def test_a_test_part_of_nothing() -> None:
    for session in sessions(LARGE.drop("price"), groups="patient", test_size=0):
        assert session.test == 0
        assert session.model.report_.held_out_rows.endswith("of 16 groups")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"groups": "pateint"}, "groups is 'pateint', which is no column of the table; did you mean 'patient'"),
        ({"time": "kind"}, "time and target are both 'kind'"),
        ({"groups": "patient", "time": "day"}, "groups and time are given"),
        ({"groups": "patient", "split": "patient"}, "groups and split are both 'patient'"),
    ],
)
def test_bad_columns_of_a_session(given: dict[str, str], message: str) -> None:
    for train in (train_on_table, lambda table, *more, **how: train_on_source(table, *more, memory=LITTLE, **how)):
        with pytest.raises(ValueError, match=message):
            train(TableSource.of(LARGE) if train is not train_on_table else LARGE, "kind", **given, **FAST)


def test_the_command_line(tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    TABLE.drop("price").write_csv("table.csv")
    OTHERS.drop("price").write_csv("others.csv")
    quick = ["train", "table.csv", "--target", "kind", "--epochs", "2", "--members", "2", "--hidden", "8"]

    def run(*more: str) -> str:
        app([*quick, *more], standalone_mode=False)
        return " ".join(capsys.readouterr().out.split())

    assert "of 16 groups of 'patient'" in run("--groups", "patient")
    said = run("--time", "day")
    assert "judged by the rows whose 'day' is 2024-" in said
    assert "the latest " in said
    assert "120 rows that were given" in run("--validation", "others.csv")
    with pytest.raises(ValueError, match="groups is 'pateint'.*did you mean 'patient'"):
        run("--groups", "pateint")
    with pytest.raises(ValueError, match="validation is -, standard input"):
        run("--validation", "-")
