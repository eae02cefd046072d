"""Tables that are read piece by piece: fitted in bounded memory, and predicted from file to file."""

import subprocess
import sys
import tempfile
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from nineline.estimators import TabularClassifier, TabularRegressor
from nineline.estimators.session import train_on_table
from nineline.estimators.streamed_session import train_on_source
from nineline.rows import Compact, Encoding, LevelPart, NumberPart
from nineline.tables import TableError, read_table
from nineline.tables.sources import TableSource
from nineline.tables.spilled import SpilledRows
from nineline.training.source_loop import SourceLoop

ROWS = 6000


def made(rows: int = ROWS, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    x, level = rng.normal(size=(rows, 3)), rng.integers(4, size=rows)
    z = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + (level == 2) + 0.2 * rng.normal(size=rows)
    frame = pl.DataFrame({f"x{i}": x[:, i] for i in range(3)} | {"level": np.array(list("abcd"))[level]})
    return frame.with_columns(
        x0=pl.when(pl.Series(rng.random(rows) > 0.1)).then(pl.col("x0")),
        kind=pl.Series(np.where(z > 0.4, "yes", "no")),
        price=pl.Series(np.exp(np.clip(z, -2, 2))),
        weight=pl.Series(rng.integers(0, 3, rows).astype(float)),
    )


TABLE = made()
TEST = made(4000, 1)
LITTLE = 300_000  # bytes: the table takes more than an eighth of it
QUICK = {"random_state": 0, "max_epochs": 12, "n_members": 2, "hidden_layer_sizes": (32, 16)}


@pytest.fixture
def files(tmp_path):
    """The table sorted by its target, the worst there is, in several files of several row groups."""
    by_kind = TABLE.sort("kind", "price")
    for number in range(4):
        part = by_kind[number * ROWS // 4 : (number + 1) * ROWS // 4]
        part.write_parquet(tmp_path / f"{number}.parquet", row_group_size=300)
    return tmp_path


def features(frame):
    return frame.drop("kind", "price", "weight")


def only(source, *columns):
    return TableSource.of(source).select([*features(TABLE).columns, *columns])


def accuracy(model):
    return float((model.predict(features(TEST)) == TEST["kind"].to_numpy()).mean())


# In memory after all


def test_a_small_table_is_fitted_as_a_frame_is(files):
    frame = pl.concat([read_table(files / f"{number}.parquet") for number in range(4)])
    expected = TabularClassifier(**QUICK).fit(features(frame), frame["kind"], frame["weight"])
    for given in (only(f"{files}/*.parquet", "kind", "weight"), frame.drop("price"), frame.drop("price").lazy()):
        model = TabularClassifier(**QUICK).fit(given, target="kind", sample_weight="weight")
        np.testing.assert_array_equal(model.predict_proba(features(TEST)), expected.predict_proba(features(TEST)))
        assert model.target_name_ == "kind"
    assert list(model.feature_names_in_) == list(expected.feature_names_in_)


# In less memory than the table


def test_a_classifier_learns_as_well_from_little_memory(files, tmp_path, monkeypatch):
    (tmp_path / "spilled").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spilled"))
    whole = TabularClassifier(**QUICK).fit(features(TABLE), TABLE["kind"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # sorted as it is, nothing of that is left
        model = TabularClassifier(**QUICK).fit(only(f"{files}/*.parquet", "kind"), target="kind", memory=LITTLE)
    assert accuracy(model) > accuracy(whole) - 0.015
    assert accuracy(whole) > 0.9
    assert model.report_.rows == ROWS
    assert model.report_.held_out["accuracy"] == pytest.approx(accuracy(model), abs=0.03)
    assert [column.name for column in model.columns_.used] == features(TABLE).columns
    assert set(model.feature_importance()["names"]) == set(features(TABLE).columns)
    again = TabularClassifier(**QUICK).fit(only(f"{files}/*.parquet", "kind"), target="kind", memory=LITTLE)
    np.testing.assert_array_equal(again.predict_proba(features(TEST)), model.predict_proba(features(TEST)))
    assert not list((tmp_path / "spilled").iterdir())


def test_a_regressor_tries_the_logarithm_and_answers_within_all_targets(files):
    model = TabularRegressor(**QUICK).fit(only(f"{files}/*.parquet", "price"), target="price", memory=LITTLE)
    assert model.scaling_.log
    assert (model.scaling_.low, model.scaling_.high) == (TABLE["price"].min(), TABLE["price"].max())
    truth = TEST["price"].to_numpy()
    error = np.sqrt(np.mean((model.predict(features(TEST)) - truth) ** 2))
    assert error < 0.45 * truth.std()
    bounds = model.predict_interval(features(TEST), 0.8)
    assert 0.7 < np.mean((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])) < 0.9


def test_weights_count_and_classes_may_be_balanced(files):
    rare = TABLE.filter((pl.col("kind") == "no") | (pl.int_range(pl.len()) % 10 == 0)).drop("price")
    doubled = pl.concat([rare, rare.filter(pl.col("weight") == 2)]).filter(pl.col("weight") > 0).drop("weight")
    names = features(TABLE).columns
    weighted = TabularClassifier(**QUICK).fit(rare.lazy(), target="kind", sample_weight="weight", memory=LITTLE // 4)
    twice = TabularClassifier(**QUICK).fit(doubled.lazy(), target="kind", memory=LITTLE // 4)
    assert weighted.report_.rows == rare.filter(pl.col("weight") > 0).height
    numbers = [column for column in weighted.columns_.used if column.kind == "number"]
    same = [column for column in twice.columns_.used if column.kind == "number"]
    for one, other in zip(numbers, same, strict=True):
        assert one.center == other.center
        assert one.scale == pytest.approx(other.scale)
    balanced = TabularClassifier(**QUICK, class_weight="balanced")
    balanced.fit(rare.drop("weight").lazy(), target="kind", memory=LITTLE // 4)
    yes = (balanced.predict(TEST.select(names)) == "yes").mean()
    assert yes > (twice.predict(TEST.select(names)) == "yes").mean() + 0.05


def test_rows_without_a_target_are_left_out_with_a_word(files):
    some = TABLE.drop("price", "weight").with_columns(
        kind=pl.when(pl.int_range(pl.len()) % 100 > 0).then(pl.col("kind"))
    )
    for memory in ("1GB", LITTLE):
        with pytest.warns(UserWarning, match="60 rows without a 'kind' were left out"):
            model = TabularClassifier(**QUICK).fit(some.lazy(), target="kind", memory=memory)
        assert model.report_.rows == ROWS - 60


def test_a_function_makes_the_table():
    def simulated():
        for seed in range(10):
            yield made(600, seed).drop("price", "weight")

    model = TabularClassifier(**QUICK).fit(simulated, target="kind", memory=LITTLE)
    assert accuracy(model) > 0.88


def test_however_little_the_memory_it_is_learned():
    model = TabularClassifier(**QUICK | {"max_epochs": 1}).fit(made(300).lazy(), target="kind", memory=1)
    assert model.report_.rows == 300


def test_it_goes_on_from_a_checkpoint_to_the_same_bits(files, tmp_path, monkeypatch):
    how = {"target": "kind", "memory": LITTLE}
    source = only(f"{files}/*.parquet", "kind")
    whole = TabularClassifier(**QUICK).fit(source, **how)

    class StoppedError(RuntimeError):
        pass

    kept = {"checkpoint": tmp_path / "run", "resume": True}
    look, count = SourceLoop.look, 0

    def broken(self):
        nonlocal count
        count += 1
        if count == 5:
            raise StoppedError
        return look(self)

    with monkeypatch.context() as patch:
        patch.setattr(SourceLoop, "look", broken)
        with pytest.raises(StoppedError):
            TabularClassifier(**QUICK, n_jobs=1, **kept).fit(source, **how)
    model = TabularClassifier(**QUICK, **kept).fit(source, **how)
    np.testing.assert_array_equal(model.predict_proba(features(TEST)), whole.predict_proba(features(TEST)))


KILLED = """
import os, sys
from pathlib import Path
from nineline.estimators import TabularClassifier
from nineline.tables.sources import TableSource
from nineline.training.checkpoints import Checkpoint
from nineline.training.source_loop import SourceLoop

Checkpoint.due = property(lambda self: True)
look, count = SourceLoop.look, 0

def killed(self):
    global count
    count += 1
    if count == 5:
        os._exit(9)  # nothing is cleaned up
    return look(self)

SourceLoop.look = killed
settings, names = eval(sys.argv[2])
source = TableSource.of(f"{sys.argv[1]}/*.parquet").select(names)
TabularClassifier(**settings, n_jobs=1, checkpoint=Path(sys.argv[1]) / "run").fit(source, target="kind", memory=300_000)
"""


def test_a_file_that_is_damaged_in_between_costs_no_checkpoint(files):
    names = [*features(TABLE).columns, "kind"]
    command = [sys.executable, "-c", KILLED, str(files), repr((QUICK, names))]
    assert subprocess.run(command, check=False, timeout=120).returncode == 9
    kept = {path: path.read_bytes() for path in files.glob("run*")}
    assert kept
    part = files / "2.parquet"
    whole = part.read_bytes()
    model = TabularClassifier(**QUICK, checkpoint=files / "run", resume=True)
    part.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TableError, match=r"2\.parquet"):
        model.fit(only(f"{files}/*.parquet", "kind"), target="kind", memory=LITTLE)
    assert {path: path.read_bytes() for path in files.glob("run*")} == kept
    part.write_bytes(whole)
    model.fit(only(f"{files}/*.parquet", "kind"), target="kind", memory=LITTLE)
    expected = TabularClassifier(**QUICK).fit(only(f"{files}/*.parquet", "kind"), target="kind", memory=LITTLE)
    np.testing.assert_array_equal(model.predict_proba(features(TEST)), expected.predict_proba(features(TEST)))


# What is of no use


def test_a_file_that_is_damaged_in_the_middle_is_named(files):
    data = (files / "2.parquet").read_bytes()
    (files / "2.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(TableError, match=r"2\.parquet"):
        TabularClassifier(**QUICK).fit(f"{files}/*.parquet", target="kind", memory=LITTLE)


def test_a_resume_that_is_refused_writes_nothing(files):
    source, path = only(files / "*.parquet", "kind"), files / "run"
    how = {**QUICK, "n_members": 3, "max_epochs": 3, "random_state": 1}  # with one network, too, numbers are seen alike
    TabularClassifier(**{**how, "n_members": 1}, checkpoint=path).fit(source, target="kind", memory=LITTLE)
    before, first = path.read_bytes(), files / "0.parquet"
    kept = first.read_bytes()
    pl.read_parquet(first)[:-5].write_parquet(first)
    with pytest.raises(ValueError, match="go on with what it began with"):
        TabularClassifier(**how, checkpoint=path, resume=True).fit(
            only(files / "*.parquet", "kind"), target="kind", memory=LITTLE
        )
    assert sorted(file.name for file in files.glob("run*")) == ["run"]
    assert path.read_bytes() == before
    first.write_bytes(kept)
    TabularClassifier(**how, checkpoint=path, resume=True).fit(
        only(files / "*.parquet", "kind"), target="kind", memory=LITTLE
    )
    assert sorted(file.name for file in files.glob("run*")) == ["run", "run.1", "run.2"]


def test_what_does_not_fit_is_said(files):
    given, fit = f"{files}/*.parquet", TabularClassifier(**QUICK).fit
    with pytest.raises(ValueError, match=r"is read piece by piece, and target is not given; .* fit\(X, target="):
        fit(given)
    with pytest.raises(ValueError, match="target is 'kinds', which is no column of .*did you mean 'kind'"):
        fit(given, target="kinds")
    with pytest.raises(ValueError, match="sample_weight is 'mass', which is no column"):
        fit(given, target="kind", sample_weight="mass")
    with pytest.raises(TypeError, match="expected a column's name"):
        fit(given, target="kind", sample_weight=[1.0])
    with pytest.raises(ValueError, match="target is 'kind' and y is given"):
        fit(TABLE, TABLE["kind"], target="kind")
    with pytest.raises(ValueError, match="memory is 'much'; expected a number of bytes"):
        fit(given, target="kind", memory="much")
    with pytest.raises(ValueError, match="one class only, 'yes'"):
        fit(TABLE.filter(pl.col("kind") == "yes").lazy(), target="kind", memory=LITTLE // 8)
    with pytest.raises(ValueError, match="no column besides 'kind'"):
        fit(TABLE.select("kind").lazy(), target="kind")
    with pytest.raises(ValueError, match="has no row with a target 'kind'"):
        fit(TABLE.with_columns(kind=pl.lit(None, pl.String)).lazy(), target="kind")


# From file to file


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.jsonl", "out.csv.gz", "out.arrow"])
@pytest.mark.parametrize("proba", [False, True])
def test_predictions_from_file_to_file_are_those_of_predict(name, proba, tmp_path):
    model = TabularClassifier(**QUICK | {"max_epochs": 2}).fit(features(TABLE), TABLE["kind"].alias("answer"))
    TEST.write_parquet(tmp_path / "test.parquet", row_group_size=700)
    model.predict_to(tmp_path / "test.parquet", tmp_path / name, proba=proba)
    found = read_table(tmp_path / name)
    assert found["answer"].to_list() == model.predict(features(TEST)).tolist()
    assert found.columns == ["answer", *["probability of no", "probability of yes"] * proba]
    if proba:
        expected = model.predict_proba(features(TEST))
        np.testing.assert_allclose(found.drop("answer").to_numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
@pytest.mark.parametrize("members", [1, 2])
def test_predictions_in_float32_are_near(kind, members, tmp_path):
    target = "kind" if kind is TabularClassifier else "price"
    model = kind(**QUICK | {"max_epochs": 2, "n_members": members}).fit(features(TABLE), TABLE[target])
    proba = kind is TabularClassifier
    exact = model.predict_proba(features(TEST)) if proba else model.predict(features(TEST))
    model.predict_to(TEST.lazy(), tmp_path / "near.parquet", proba=proba, dtype="float32")
    near = read_table(tmp_path / "near.parquet").drop([target] * proba).to_numpy().reshape(exact.shape)
    assert not np.array_equal(near, exact)
    np.testing.assert_allclose(near, exact, rtol=1e-4, atol=1e-5)
    assert np.array_equal(model.predict_proba(features(TEST)) if proba else model.predict(features(TEST)), exact)
    with pytest.raises(ValueError, match="dtype is int64; expected float64 or float32"):
        model.predict_to(TEST.lazy(), tmp_path / "none.csv", dtype=int)


def test_what_cannot_be_predicted_leaves_no_file(tmp_path):
    model = TabularRegressor(**QUICK | {"max_epochs": 2}).fit(features(TABLE), TABLE["price"])
    TEST.drop("x1").write_parquet(tmp_path / "test.parquet")
    with pytest.raises(ValueError, match="column 'x1', which the model was trained with, is not in the table"):
        model.predict_to(tmp_path / "test.parquet", tmp_path / "out.csv")
    with pytest.raises(ValueError, match="proba is True, and the target 'price' is a number"):
        model.predict_to(tmp_path / "test.parquet", tmp_path / "out.csv", proba=True)
    assert not (tmp_path / "out.csv").exists()


# Sessions


@pytest.mark.parametrize("target", ["kind", "price"])
def test_a_session_decides_and_judges_as_one_in_memory_does(target, files):
    other = ({"kind", "price"} - {target}).pop()
    settings = {**QUICK}
    del settings["random_state"]
    frame = TABLE.drop(other, "weight")
    expected = train_on_table(frame, target, **settings)
    source = TableSource.of(f"{files}/*.parquet").select(frame.columns)
    found = train_on_source(source, target, memory=LITTLE, compare=True, **settings)
    assert (found.task, found.reason) == (expected.task, expected.reason)
    assert found.train + found.test == ROWS
    assert abs(found.test - 0.2 * ROWS) < 150
    measure = "accuracy" if target == "kind" else "R²"
    assert found.scores["network"][measure] > expected.scores["network"][measure] - 0.05
    assert set(found.scores) == {*expected.scores, "boosted trees"}
    assert "the table is read piece by piece" in found.notes


def test_a_session_takes_rows_that_say_test(files):
    frame = TABLE.drop("price", "weight").with_columns(part=pl.Series(["train", "train", "test"] * (ROWS // 3)))
    settings = {key: value for key, value in QUICK.items() if key != "random_state"}
    found = train_on_source(TableSource.of(frame), "kind", memory=LITTLE, split="part", **settings)
    assert (found.train, found.test) == (ROWS * 2 // 3, ROWS // 3)
    assert "part" not in found.model.names_
    with pytest.raises(ValueError, match="test_size is 1; expected"):
        train_on_source(TableSource.of(frame), "kind", memory=LITTLE, test_size=1)
    with pytest.raises(ValueError, match="split and target are both 'kind'"):
        train_on_source(TableSource.of(frame), "kind", memory=LITTLE, split="kind")
    with pytest.raises(ValueError, match="says 'test' in 0 of 6,000 rows"):
        train_on_source(TableSource.of(frame.with_columns(part=pl.lit("train"))), "kind", memory=LITTLE, split="part")


# Spilled rows


def test_every_row_is_dealt_out_once_and_parts_are_samples():
    encoding = Encoding((NumberPart(0),), (LevelPart(1, 3),), width=4)
    shares = [0.1, 0.3, 0.6]
    for memory in (100, 5000, 10**6):
        with SpilledRows(encoding, shares, 0, weighted=True, memory=memory) as spilled:
            for piece in np.array_split(np.arange(10_000), 7):
                levels = (piece % 3).astype(np.int32)[:, np.newaxis]
                spilled.add(
                    Compact(piece.astype(np.float32)[:, np.newaxis], levels, encoding), piece, piece.astype(np.float32)
                )
            spilled.finish()
            parts = [spilled.read(part) for part in range(3)]
            for part, share in zip(parts, shares, strict=True):
                assert abs(len(part.targets) / 10_000 - share) < 0.02
                assert abs(part.targets.mean() - 5000) < 300
                np.testing.assert_array_equal(part.inputs.numbers[:, 0], part.targets)
                np.testing.assert_array_equal(part.inputs.levels[:, 0], part.targets % 3)
                np.testing.assert_array_equal(part.weights, part.targets)
            together = np.concatenate([part.targets for part in parts])
            np.testing.assert_array_equal(np.sort(together), np.arange(10_000))


def test_pandas_frames_and_columns_by_numbers():
    frame = pd.DataFrame({0: np.arange(100.0), "kind": ["a", "b"] * 50, "size": np.arange(100) % 7})
    model = TabularClassifier(**QUICK | {"max_epochs": 2}).fit(frame, target="kind")
    assert model.names_ == ["0", "size"]
