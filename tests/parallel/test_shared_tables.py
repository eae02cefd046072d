"""Several processes fit one model to a table of which each has a share: the same model on all, as good as one's."""

from __future__ import annotations

import itertools
import re

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss

from nineline.estimators import TabularClassifier, TabularRegressor
from nineline.parallel import ParallelError
from nineline.tables import TableError
from nineline.tables.columns import ColumnsLearner
from nineline.tables.sources import TableSource
from nineline.tables.summaries import ClassSummary, NumberSummary

MEMORY = 600_000
QUICK = {"n_members": 2, "max_epochs": 3, "hidden_layer_sizes": (16,), "random_state": 0}


def made(rows, seed=0):
    rng = np.random.default_rng(seed)
    size, place = rng.uniform(20, 200, rows), rng.integers(3, size=rows)
    price = size * (1 + 0.3 * place) * rng.lognormal(0, 0.1, rows)
    return pl.DataFrame(
        {
            "size": pl.Series(size).set(pl.Series(rng.random(rows) < 0.1), None),
            "place": np.array(["hill", "harbour", "park"])[place],
            "weight": rng.uniform(0.5, 2, rows),
            "price": price,
            "kind": np.where(price > 200, "dear", np.where(price > 80, "fair", "cheap")),
        }
    )


TABLE = made(3000)
TEST = made(1000, seed=1)


def fit(collective, given, target, kind=TabularClassifier, **more):
    how = {name: more.pop(name) for name in ("sample_weight", "memory") if name in more}
    model = kind(**{**QUICK, **more})
    return model.fit(given, target=target, parallel=collective, **{"memory": MEMORY, **how})


def answers(model, table=TEST):
    rows = model.select(table)
    return model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)


def agree(models):
    for model in models:
        assert answers(model).tobytes() == answers(models[0]).tobytes()
        assert model.columns_ == models[0].columns_
        assert [h.loss for h in model.histories_] == [h.loss for h in models[0].histories_]
    return models[0]


def shares_of(table, counts):
    ends = np.cumsum([0, *counts])
    return [table[int(a) : int(b)] for a, b in itertools.pairwise(ends)]


@pytest.fixture
def folder(tmp_path):
    for number, part in enumerate(shares_of(TABLE.sort("price"), [250] * 12)):  # each of a few classes alone
        part.write_parquet(tmp_path / f"{number:02}.parquet")
    return tmp_path


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("drop", [["price", "weight"], ["price"]], ids=["", "weighted"])
def test_of_files_each_process_reads_its_share(size, drop, folder, together):
    weight = None if "weight" in drop else "weight"
    source = TableSource.of(f"{folder}/*.parquet")
    source = source.select([name for name in source.schema if name not in drop])
    alone = fit(None, source, "kind", sample_weight=weight)
    model = agree(together(size, lambda each: fit(each, source, "kind", sample_weight=weight)))
    assert model.report_.rows == 3000
    assert {column.name: column.kind for column in model.columns_.used} == {"size": "number", "place": "category"}
    expected = log_loss(TEST["kind"], answers(alone))
    assert abs(log_loss(TEST["kind"], answers(model)) - expected) < 0.1 * expected + 0.02
    [history] = {len(each.loss) for each in model.histories_}
    assert history == 3


def test_columns_are_learned_as_by_one(folder, together):
    source = TableSource.of(f"{folder}/*.parquet").select(["size", "place", "price"])
    alone = TabularRegressor(**QUICK).fit(source, target="price", memory=10**9)
    model = agree(together(3, lambda each: fit(each, source, "price", TabularRegressor)))
    assert {column.name for column in model.columns_.used} == {column.name for column in alone.columns_.used}
    for one, other in zip(model.columns_.used, alone.columns_.used, strict=True):
        assert type(one) is type(other)
        if one.name == "size":
            assert (one.center, one.scale, one.missing) == (other.center, other.scale, other.missing)
    gaps = [np.sqrt(np.mean((answers(each) - TEST["price"].to_numpy()) ** 2)) for each in (model, alone)]
    assert gaps[0] < 1.3 * gaps[1]


@pytest.mark.parametrize("helps", [True, False])
def test_free_text_is_tried_by_all_alike(helps, together):
    things = ["chair", "table", "lamp"]
    table = TABLE.select("size", "kind").with_columns(
        note=pl.Series(
            [f"{things[place]} of {n}" for n, place in enumerate(np.random.default_rng(0).integers(3, size=3000))]
        )
    )
    if helps:
        table = table.with_columns(kind=pl.col("note").str.slice(0, 5))
    shares = shares_of(table, [1700, 1300])
    how = {"n_members": 2, "hidden_layer_sizes": (16,), "random_state": 0, "max_epochs": 12}
    fitting = {"target": "kind", "memory": MEMORY}
    models = together(
        2, lambda each: TabularClassifier(**how).fit(lambda: [shares[each.rank]], parallel=each, **fitting)
    )
    for model in models:
        assert [column.name for column in model.columns_.used] == (["size", "note"] if helps else ["size"])
        assert model.columns_ == models[0].columns_
        rows = model.select(table[:200])
        assert model.predict_proba(rows).tobytes() == models[0].predict_proba(rows).tobytes()


@pytest.mark.parametrize("counts", [[1500, 1500], [2900, 60, 40], [0, 3000], [3000, 0, 0], [1, 2998, 1]])
def test_shares_of_any_size(counts, together):
    shares = shares_of(TABLE.select("size", "place", "kind").sort("kind"), counts)

    def train(each):
        return fit(each, (lambda: [shares[each.rank]]) if each.rank else shares[0], "kind")

    model = agree(together(len(counts), train))
    assert model.classes_.tolist() == ["cheap", "dear", "fair"]
    alone = fit(None, TABLE.select("size", "place", "kind").sort("kind"), "kind")
    expected = log_loss(TEST["kind"], answers(alone))
    assert abs(log_loss(TEST["kind"], answers(model)) - expected) < 0.15 * expected


def test_the_same_processes_give_the_same_model_twice(together):
    shares = shares_of(TABLE.select("size", "place", "kind"), [2000, 1000])
    first, again = (agree(together(2, lambda each: fit(each, shares[each.rank], "kind"))) for _ in range(2))
    assert answers(first).tobytes() == answers(again).tobytes()


def test_shares_with_the_same_rows_are_shares_nonetheless(together):
    share = TABLE.select("size", "place", "kind")[:1000]
    model = agree(together(2, lambda each: fit(each, share, "kind")))
    assert model.report_.rows == 2000
    assert model.histories_[0].steps > 3 * 1500 / model.report_.recipe.batch_size


def test_a_column_that_is_empty_on_one_process_has_the_type_of_the_others(together):
    shares = shares_of(TABLE.select("size", "place", "kind"), [1500, 1500])
    shares[1] = shares[1].with_columns(pl.lit(None).alias("place"))
    shares[0] = shares[0].with_columns(pl.col("size").cast(pl.Float32))
    model = agree(together(2, lambda each: fit(each, shares[each.rank], "kind")))
    assert {column.name: column.kind for column in model.columns_.used} == {"size": "number", "place": "category"}


def test_settings_that_go_with_it(together, folder):
    """Balanced classes, a metric, rows without a target."""
    table = TABLE.select("size", "place", "kind").with_columns(
        pl.when(pl.int_range(pl.len()) % 10 == 0).then(None).otherwise("kind").alias("kind")
    )
    shares = shares_of(table, [1500, 1500])
    how = {"class_weight": "balanced", "eval_metric": "accuracy", "learning_rate": "sweep"}

    def train(each):
        if each.rank:
            return fit(each, shares[1], "kind", **how)
        with pytest.warns(UserWarning, match="300 rows without a 'kind' were left out"):
            return fit(each, shares[0], "kind", **how)

    assert agree(together(2, train)).report_.rows == 2700


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"target": "king"}, "target is 'king', which is no column of .* did you mean 'kind'"),
        ({"time_limit": 3.0}, "time_limit is 3, and parallel 2 processes, whose clocks differ"),
        ({"n_members": -1}, "n_members is -1"),
        ({"memory": "lots"}, "memory is 'lots'"),
    ],
)
def test_what_is_wrong_is_an_error_of_all(more, message, outcomes, capsys):
    shares = shares_of(TABLE.select("size", "place", "kind"), [1500, 1500])
    more = {"target": "kind", **more}
    target = more.pop("target")
    found = outcomes(2, lambda each: fit(each, shares[each.rank], target, **more))
    for each in found:
        with pytest.raises(ValueError, match=message):
            raise each
    assert "Traceback" not in capsys.readouterr().err


def test_a_table_without_a_target_cannot_be_shared():
    from nineline.parallel import Alone

    class Pair(Alone):
        size = 2

    with pytest.raises(ValueError, match="parallel is 2 processes, and target is not given"):
        TabularClassifier().fit(TABLE.drop("kind"), TABLE["kind"], parallel=Pair())
    with pytest.raises(TypeError, match="parallel is 'mpi'"):
        TabularClassifier().fit(TABLE, target="kind", parallel="mpi")


def test_shares_have_the_same_columns(outcomes):
    shares = shares_of(TABLE.select("size", "place", "kind"), [1500, 1500])
    shares[1] = shares[1].with_columns(pl.lit(1.0).alias("place"))
    for each in outcomes(2, lambda each: fit(each, shares[each.rank], "kind")):
        with pytest.raises(
            TableError, match="process 1 holds Float64 in the column 'place', and process 0 holds String"
        ):
            raise each
    shares[1] = shares[1].drop("place")
    for each in outcomes(2, lambda each: fit(each, shares[each.rank], "kind")):
        with pytest.raises(TableError, match="the table of process 1 has no column 'place'"):
            raise each


def test_a_damaged_file_is_named_on_all(folder, outcomes):
    source = TableSource.of(f"{folder}/*.parquet")
    data = (folder / "03.parquet").read_bytes()
    (folder / "03.parquet").write_bytes(data[: len(data) // 2])
    found = outcomes(2, lambda each: fit(each, source, "kind"))
    assert any(isinstance(each, TableError) for each in found)
    assert all(isinstance(each, (TableError, ParallelError)) and "03.parquet" in str(each) for each in found)


class CutOffError(Exception):
    pass


def test_cut_off_it_goes_on_to_the_same_bits(folder, tmp_path, monkeypatch, together, outcomes):
    from nineline.training.checkpoints import Checkpoint

    path = tmp_path / "run"
    source = TableSource.of(f"{folder}/*.parquet").select(["size", "place", "kind"])
    truth = agree(together(2, lambda each: fit(each, source, "kind")))
    written, write = [], Checkpoint.write

    def counting(self, network, snapshot):
        write(self, network, snapshot)
        written.append(self.path)
        if len(written) == 3:
            raise CutOffError

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", counting)
        first, other = outcomes(2, lambda each: fit(each, source, "kind", checkpoint=path))
    assert isinstance(first, CutOffError)
    assert isinstance(other, ParallelError)
    again = agree(together(2, lambda each: fit(each, source, "kind", checkpoint=path, resume=True)))
    assert answers(again).tobytes() == answers(truth).tobytes()


# What is merged


def test_shares_of_a_source_are_its_rows():
    frame = pl.DataFrame({"n": range(1000)})
    for size in (1, 2, 3):
        found = [pl.concat(TableSource.of(frame).share(rank, size).pieces(rows_at_once=64)) for rank in range(size)]
        assert sorted(pl.concat(found)["n"].to_list()) == list(range(1000))
        assert max(map(len, found)) - min(map(len, found)) <= 1
    with pytest.raises(ValueError, match="this is a share already"):
        TableSource.of(frame).share(0, 2).share(0, 2)


@pytest.mark.parametrize("at_most", [10**6, 300])
def test_summaries_of_shares_are_those_of_all(at_most):
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=4000).round(2 if at_most > 300 else 6), rng.uniform(0.5, 2, 4000)
    values[rng.random(4000) < 0.1] = np.nan
    whole = NumberSummary(at_most)
    whole.see(values, weights)
    merged, parts = NumberSummary(at_most), np.array_split(np.arange(4000), 5)
    for part in [*parts, parts[0][:0]]:
        one = NumberSummary(at_most)
        one.see(values[part], weights[part])
        merged.merge(one)
    assert (merged.rows, merged.missing, merged.exact) == (4000, whole.missing, whole.exact)
    np.testing.assert_allclose(merged.deviation(), whole.deviation())
    np.testing.assert_allclose(merged.shares.sum(), whole.shares.sum())
    if whole.exact:
        assert merged.values.tolist() == whole.values.tolist()
        np.testing.assert_allclose(merged.shares, whole.shares)
        assert merged.different == whole.different
    at = [0.1, 0.5, 0.9]
    np.testing.assert_allclose(merged.quantiles(at), np.nanquantile(values, at), atol=0.1)
    classes = ClassSummary()
    for part in parts:
        one = ClassSummary()
        one.see(np.array(["b", "a", "c"])[part % 3])
        classes.merge(one)
    classes.merge(ClassSummary())
    assert classes.values.tolist() == ["a", "b", "c"]
    assert classes.shares.tolist() == [1333, 1334, 1333]


def test_columns_of_shares_are_those_of_all():
    import narwhals as nw

    def learned(frames):
        learner = ColumnsLearner()
        for frame in frames:
            learner.see(nw.from_native(frame.drop("kind")))
        return learner

    merged = ColumnsLearner()
    for part in shares_of(TABLE, [1000, 0, 2000]):
        merged.merge(learned([part] if part.height else []))
    whole = learned([TABLE])
    assert merged.finish() == whole.finish()
    assert merged.divided(merged.finish(), 8) == whole.divided(whole.finish(), 8)
    with pytest.raises(ValueError, match="these rows have the columns"):
        merged.merge(learned([TABLE.drop("place")]))


# Hold-outs of one's own


def grouped():
    rng = np.random.default_rng(0)
    return TABLE.drop("weight", "kind").with_columns(
        house=pl.Series([f"h{number}" for number in rng.integers(20, size=3000)]),
        year=pl.Series(rng.integers(1990, 2020, 3000)),
    )


GROUPED_TEST = TEST.with_columns(year=pl.lit(2000))
HOLD_OUTS = {
    "groups": ({"groups": "house"}, r"rows of \d of 20 groups"),
    "time": ({"time": "year"}, r"the latest \d\d\d rows, from 201\d on"),
    "validation": ({"validation": GROUPED_TEST}, "1,000 rows that were given"),
}


@pytest.mark.parametrize("how", HOLD_OUTS)
@pytest.mark.parametrize("counts", [[1500, 1500, 0], [100, 2000, 900]])
def test_what_is_held_out_is_the_same_for_all(how, counts, together):
    given, words = HOLD_OUTS[how]
    table = grouped().drop("year" if how == "groups" else "house")
    shares = [share.lazy() for share in shares_of(table, counts)]

    def work(each):
        model = TabularRegressor(**QUICK)
        return model.fit(shares[each.rank], target="price", parallel=each, memory=MEMORY, **given)

    models = together(3, work)
    for model in models:
        assert re.fullmatch(words, model.report_.held_out_rows)
        assert model.report_.held_out == models[0].report_.held_out
        assert answers(model, GROUPED_TEST).tobytes() == answers(models[0], GROUPED_TEST).tobytes()
    held = len(models[0]._held_out.judged()[0])
    if how == "time":
        years = np.sort(table["year"].to_numpy())
        assert abs(held - 375) < 60
        assert years[-held] != years[-held - 1]
    if how == "validation":
        assert held == 1000
