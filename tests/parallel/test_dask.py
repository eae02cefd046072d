"""Estimators on a Dask cluster: one of three processes on this machine, of which some come to harm."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import threading
import time
import warnings

import numpy as np
import pytest
from sklearn.base import clone

import nineline.dask
from nineline.estimators import TabularClassifier, load
from nineline.parallel import ParallelError

HOW = 'pip install "nineline[dask]"'
distributed = pytest.importorskip("distributed", reason=f"distributed is not installed ({HOW})")
dd = pytest.importorskip("dask.dataframe", reason=f"dask.dataframe is not installed ({HOW})")
pd = pytest.importorskip("pandas", reason=f"pandas is not installed ({HOW})")
pytest.importorskip("xgboost", reason=f"xgboost is not installed ({HOW})")

LONGEST = 30  # seconds until a fit has ended, whatever befell it
QUICK = {"n_members": 2, "max_epochs": 3, "hidden_layer_sizes": (16,), "random_state": 0}
MEMORY = 600_000


def made(rows, seed=0):
    rng = np.random.default_rng(seed)
    size, place = rng.uniform(20, 200, rows), rng.integers(3, size=rows)
    price = size * (1 + 0.3 * place) * rng.lognormal(0, 0.1, rows)
    return pd.DataFrame(
        {
            "size": np.where(rng.random(rows) < 0.1, np.nan, size),
            "place": np.array(["hill", "harbour", "park"])[place],
            "weight": rng.uniform(0.5, 2, rows),
            "price": price,
            "kind": np.where(price > 200, "dear", np.where(price > 80, "fair", "cheap")),
        }
    )


TABLE = made(1500)
NAMES = ["size", "place"]


@pytest.fixture(scope="module")
def client():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dask's own, of ports and sockets
        options = {"n_workers": 3, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": ":0"}
        with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
            yield client


def lying(client, parts):
    """Return a Dask DataFrame of parts, each computed on the worker of that number, and what keeps them there."""
    workers = sorted(client.nthreads())
    kept = [client.scatter(part, workers=[workers[number]], hash=False) for number, part in parts]
    return dd.from_delayed(kept, meta=parts[0][1].iloc[:0], verify_meta=False), kept


def parts_of(table, *counts):
    """Return a table in parts of so many rows each."""
    ends = np.cumsum([0, *counts])
    return [table.iloc[a:b] for a, b in itertools.pairwise(ends)]


def test_a_fit_is_that_of_processes_with_the_same_shares(client, together, tmp_path):
    shares = parts_of(TABLE[[*NAMES, "kind"]], 700, 800)

    def fit(each):
        model = TabularClassifier(**QUICK)
        return model.fit(lambda: [shares[each.rank]], target="kind", memory=MEMORY, parallel=each)

    expected = together(2, fit)[0].predict_proba(TABLE[NAMES])
    halves = [(number, half) for number, share in enumerate(shares) for half in parts_of(share, 300, len(share) - 300)]
    X, _kept = lying(client, halves)
    model = nineline.dask.TabularClassifier(client=client, **QUICK).fit(X, target="kind", memory=MEMORY)
    assert model.predict_proba(TABLE[NAMES]).tobytes() == expected.tobytes()
    assert model.report_.rows == 1500
    assert model.target_name_ == "kind"
    dealt = nineline.dask.TabularClassifier(client=client, checkpoint=tmp_path / "run.nineline", **QUICK)
    Y, _kept = lying(client, [(1, shares[0]), (1, shares[1])])  # on one worker, and dealt out
    dealt.fit(Y, target="kind", memory=MEMORY)
    assert dealt.predict_proba(TABLE[NAMES]).tobytes() == expected.tobytes()


SHARES = {
    "one partition": [(1, 1500)],
    "empty partitions": [(0, 0), (0, 700), (1, 0), (2, 800), (2, 0)],
    "a worker without rows": [(0, 1500), (1, 0)],
    "unequal": [(0, 1400), (1, 90), (2, 10)],
}


@pytest.mark.parametrize("case", SHARES)
@pytest.mark.parametrize("order", ["as they come", "each class by itself"])
def test_shares_of_any_size(case, order, client):
    table = TABLE if order == "as they come" else TABLE.sort_values("kind")
    counts = SHARES[case]
    parts = parts_of(table, *[count for _, count in counts])
    X, _kept = lying(client, [(number, part) for (number, _), part in zip(counts, parts, strict=True)])
    model = nineline.dask.TabularClassifier(client=client, **QUICK)
    model.fit(X[NAMES], X["kind"], X["weight"], memory=MEMORY)
    assert model.classes_.tolist() == ["cheap", "dear", "fair"]
    assert model.score(TABLE[NAMES], TABLE["kind"]) > 0.65
    answers, shares = model.predict(X), model.predict_proba(X)
    assert answers.name == model.target_name_ == "kind"
    assert list(shares.columns) == ["cheap", "dear", "fair"]
    assert answers.compute().tolist() == model.predict(table[NAMES]).tolist()
    assert answers.compute().index.equals(table.index)
    assert shares.compute().to_numpy().tobytes() == model.predict_proba(table[NAMES]).tobytes()


def test_a_regressor(client):
    X = dd.from_pandas(TABLE, npartitions=4)
    model = nineline.dask.TabularRegressor(client=client, **QUICK).fit(X, target="price", sample_weight="weight")
    assert model.names_ == ["size", "place", "kind"]
    found = model.predict(X)
    assert found.dtype == np.float64
    columns = TABLE[model.names_]
    np.testing.assert_array_equal(found.compute(), model.predict(columns))
    bounds = model.predict_interval(X, 0.8)
    assert list(bounds.columns) == ["lower", "upper"]
    np.testing.assert_array_equal(bounds.compute(), model.predict_interval(columns, 0.8))


def test_quantiles(client):
    X = dd.from_pandas(TABLE, npartitions=4)
    model = nineline.dask.TabularRegressor(client=client, quantiles=(0.1, 0.9), **QUICK).fit(X, target="price")
    found = model.predict(X)
    assert list(found.columns) == ["price_0.1", "price_0.9"]
    np.testing.assert_array_equal(found.compute(), model.predict(TABLE[model.names_]))


def test_what_is_kept_is_without_the_cluster(client, tmp_path):
    model = nineline.dask.TabularClassifier(client=client, **{**QUICK, "n_members": 1})
    assert model.get_params()["client"] is client
    assert clone(model).client is client
    assert clone(model).get_params() == model.get_params()
    model.fit(dd.from_pandas(TABLE[[*NAMES, "kind"]], npartitions=2), target="kind")
    expected = model.predict_proba(TABLE[NAMES])
    again = pickle.loads(pickle.dumps(model))
    assert again.client is None
    model.save(tmp_path / "model.nineline")
    for each in (again, load(tmp_path / "model.nineline"), type(model).load(tmp_path / "model.nineline")):
        assert each.predict_proba(TABLE[NAMES]).tobytes() == expected.tobytes()
    model.predict_to(TABLE[NAMES], tmp_path / "answers.csv")
    assert pd.read_csv(tmp_path / "answers.csv")["kind"].tolist() == model.predict(TABLE[NAMES]).tolist()


def test_a_fit_begins_with_the_last_one_and_goes_on_here(client):
    table = dd.from_pandas(TABLE, npartitions=3)
    model = nineline.dask.TabularRegressor(client=client, **QUICK, warm_start=True)
    first = model.fit(table[NAMES], table["price"]).history_.loss[0]
    columns = model.columns_
    again = model.fit(table[NAMES], table["price"]).history_.loss[0]
    assert again < 0.7 * first
    assert model.columns_ == columns
    before = model.network_.parameters
    assert not np.array_equal(model.partial_fit(TABLE[NAMES], TABLE["price"]).network_.parameters, before)
    assert model.explain(TABLE[NAMES][:1]).names == NAMES


def test_what_cannot_be_fitted(client):
    X = dd.from_pandas(TABLE, npartitions=3)
    model = nineline.dask.TabularClassifier(client=client, **QUICK)
    for given, how, error, message in [
        (TABLE, {"target": "kind"}, TypeError, "X is DataFrame; expected a Dask DataFrame"),
        (X, {}, ValueError, "neither y nor target is given"),
        (X, {"target": "kind", "y": X["kind"]}, ValueError, "target is 'kind' and y is given"),
        (X, {"target": "kinds"}, ValueError, "target is 'kinds', which is no column of X; did you mean 'kind'"),
        (X, {"target": "kind", "sample_weight": X["weight"]}, TypeError, "sample_weight is Series; expected a column"),
        (X, {"y": TABLE["kind"]}, TypeError, "y is Series; expected a Dask Series"),
        (
            X,
            {"y": X[["kind", "place"]]},
            TypeError,
            "y is a Dask DataFrame; expected a Dask Series: on a cluster a model",
        ),
        (X, {"target": "kind", "memory": "much"}, ValueError, "memory"),
    ]:
        with pytest.raises(error, match=message):
            model.fit(given, **how)
    with pytest.raises(TypeError, match="client is 'localhost'; expected a distributed.Client"):
        nineline.dask.TabularClassifier(client="localhost").fit(X, target="kind")
    with pytest.raises(TypeError, match="members"):
        nineline.dask.TabularClassifier(client=client, members=3)


def test_an_error_of_one_worker_is_the_error(client):
    good, bad = parts_of(TABLE[[*NAMES, "price"]], 750, 750)
    bad = bad.assign(price=np.inf)
    X, _kept = lying(client, [(0, good), (1, bad), (2, good)])
    began = time.perf_counter()
    with pytest.raises(ValueError, match="infinity|inf"):
        nineline.dask.TabularRegressor(client=client, **QUICK).fit(X, target="price")
    assert time.perf_counter() - began < LONGEST
    with pytest.raises(ValueError, match="time_limit is 5, and parallel 3 processes"):
        nineline.dask.TabularRegressor(client=client, time_limit=5, **QUICK).fit(X, target="price")


def ranks(client):
    """Return the ranks that each worker has in fits that go on."""

    def here():  # within, for workers need not find this file
        from nineline.estimators.dask import fitting

        return [rank for _, rank in fitting._running]

    return client.run(here)


def test_ctrl_c_ends_the_part_of_every_worker(client):
    X, _kept = lying(client, list(enumerate(parts_of(TABLE[[*NAMES, "kind"]], 700, 800))))
    model = nineline.dask.TabularClassifier(client=client, **{**QUICK, "max_epochs": 2000, "patience": 2000})

    def interrupt():
        while not any(ranks(client).values()):
            time.sleep(0.1)
        signal.raise_signal(signal.SIGINT)  # which the main thread hears

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, target="kind", memory=MEMORY)
    assert not hasattr(model, "network_")
    until = time.monotonic() + LONGEST
    while any(ranks(client).values()):
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_is_killed_ends_the_fit_and_it_goes_on(rank, client, tmp_path):
    path = tmp_path / "run.nineline"
    how = {"client": client, **QUICK, "max_epochs": 40, "patience": 40}
    X = dd.from_pandas(TABLE[[*NAMES, "kind"]], npartitions=3)
    truth = nineline.dask.TabularClassifier(**how, checkpoint=tmp_path / "other.nineline")
    truth.fit(X, target="kind", memory=MEMORY)
    killed = []

    def kill():
        while not path.exists():  # the first member is done
            time.sleep(0.01)
        processes = client.run(os.getpid)
        [worker] = [each for each, found in ranks(client).items() if rank in found]
        killed.append((worker, time.perf_counter()))
        os.kill(processes[worker], signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    with pytest.raises(ParallelError, match=r"Dask's worker tcp://127.0.0.1:\d+ is gone: it was killed") as raised:
        nineline.dask.TabularClassifier(**how, checkpoint=path).fit(X, target="kind", memory=MEMORY)
    thread.join()
    [(worker, when)] = killed
    assert time.perf_counter() - when < LONGEST
    assert worker in str(raised.value)
    client.wait_for_workers(3, timeout=60)
    again = nineline.dask.TabularClassifier(**how, checkpoint=path, resume=True)
    again.fit(X, target="kind", memory=MEMORY)
    assert again.predict_proba(TABLE[NAMES]).tobytes() == truth.predict_proba(TABLE[NAMES]).tobytes()


def test_groups_and_rows_that_are_given(client):
    table = TABLE.assign(house=np.random.default_rng(0).integers(12, size=len(TABLE)))
    X = dd.from_pandas(table, npartitions=4)
    model = nineline.dask.TabularRegressor(client=client, **QUICK).fit(
        X[[*NAMES, "price", "house"]], target="price", groups="house"
    )
    assert model.names_ == NAMES
    assert "of 12 groups" in str(model.report_)
    given = nineline.dask.TabularRegressor(client=client, **QUICK)
    given.fit(X[[*NAMES, "price"]], target="price", validation=TABLE[:100])
    assert given.report_.held_out_rows == "100 rows that were given"
    with pytest.raises(ValueError, match="groups is given and target is not"):
        given.fit(X[NAMES], X["price"], groups="house")
