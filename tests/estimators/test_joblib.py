"""Trainings over machines through joblib: Dask's workers train the same networks to the same bits."""

from __future__ import annotations

import _thread
import logging
import os
import signal
import threading
import time

import joblib
import numpy as np
import polars as pl
import pytest
from sklearn.datasets import make_classification
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score

from nineline.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
from nineline.estimators.tabular import member, members
from nineline.estimators.tabular.spreading import Spreading

X, y = make_classification(600, 8, random_state=0)
WORDS = pl.DataFrame(np.random.default_rng(0).choice(["red", "green", "blue"], (600, 4)))  # need no trial
SAME = (WORDS["column_0"] == WORDS["column_1"]).to_numpy()
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
QUICK = {"random_state": 0, "max_epochs": 4, "n_members": 4, "hidden_layer_sizes": (16, 8)}


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed", reason="distributed is not installed (extra dask)")
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with (
        distributed.LocalCluster(host="127.0.0.1", silence_logs=logging.CRITICAL, **settings) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def dask(client):
    client.wait_for_workers(2)
    with joblib.parallel_config(backend="dask"):
        yield client


@pytest.fixture
def here_alone(monkeypatch):
    """Nothing may be trained elsewhere."""
    monkeypatch.setattr(members, "_spread", None)


def answers(model, rows=X):
    return model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)


def when_members_are_trained(client, action):
    """Do something from another thread as soon as members are trained by workers."""

    def wait():
        while not any("_numbered" in str(key) for keys in client.processing().values() for key in keys):
            time.sleep(0.02)
        time.sleep(0.3)
        action()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def slow():
    """Return a metric that makes an epoch last; made here, it goes along to a worker, which has no such module."""

    def accuracy(estimator, X, y):
        time.sleep(0.04)
        return float((estimator.predict(X) == y).mean())

    return accuracy


@pytest.fixture
def ctrl_c():
    """Python's own handler, also where the tests run in the background of a shell, which ignores SIGINT there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Elsewhere(joblib.parallel.ThreadingBackend):
    """Another backend, derived from one of joblib's own as Ray's is, that hands over no results as they come."""

    supports_return_generator = False


# Members


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
@pytest.mark.parametrize("more", [{}, {"learning_rate": "sweep"}])
def test_members_are_the_same_bits(kind, more, dask):
    model = kind(**QUICK, **more).fit(X, y)
    with joblib.parallel_config(backend="threading"):
        expected = kind(**QUICK, **more).fit(X, y)
    np.testing.assert_array_equal(answers(model), answers(expected))
    assert [history.loss for history in model.histories_] == [history.loss for history in expected.histories_]
    assert model.report_.held_out == expected.report_.held_out


def test_a_metric_of_ones_own_goes_along(dask):
    def metric(estimator, X, y):
        return float((estimator.predict(X) == y).mean())

    model = TabularClassifier(**QUICK, eval_metric=metric).fit(X, y)
    with joblib.parallel_config(backend="threading"):
        expected = TabularClassifier(**QUICK, eval_metric=metric).fit(X, y)
    np.testing.assert_array_equal(answers(model), answers(expected))


def test_rows_leave_this_machine_once(dask, monkeypatch):
    sent = []
    monkeypatch.setattr(
        member.Lessons, "__reduce_ex__", lambda self, form: sent.append(self) or object.__reduce_ex__(self, form)
    )
    TabularClassifier(**QUICK).fit(X, y)
    assert len(sent) == 1


def test_all_workers_train(dask, tmp_path):
    def signed(estimator, X, y):
        (tmp_path / str(os.getpid())).touch()
        return float((estimator.predict(X) == y).mean())

    TabularClassifier(**QUICK, eval_metric=signed).fit(WORDS, SAME)
    assert {int(path.name) for path in tmp_path.iterdir()} == set(dask.run(os.getpid).values())


def test_a_time_limit_holds(dask):
    TabularClassifier(**QUICK).fit(WORDS, SAME)  # workers that are new load everything first
    model = TabularClassifier(**QUICK | {"max_epochs": 10**6, "patience": 10**6}, time_limit=2.0)
    began = time.perf_counter()
    model.fit(WORDS, SAME)
    assert time.perf_counter() - began < 4
    assert len(model.members_) == 4


def test_every_member_is_shown_when_it_is_done(dask, capsys):
    TabularClassifier(**QUICK, verbose=True).fit(WORDS, SAME)
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[:2] for line in lines[1:]) == [[str(member), "4"] for member in range(1, 5)]


def test_a_checkpoint_is_refused(dask, tmp_path, here_alone):
    model = TabularClassifier(**QUICK, checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match=r"joblib's backend is DaskDistributedBackend, .* leave checkpoint out, or"):
        model.fit(X, y)
    model.set_params(n_jobs=1).fit(X, y)
    assert (tmp_path / "run").exists()


def test_a_table_larger_than_the_memory_stays_here(dask, here_alone):
    table = pl.DataFrame(X).with_columns(kind=pl.Series(y).cast(pl.String))
    model = TabularClassifier(**QUICK).fit(table.lazy(), target="kind", memory=10_000)
    with joblib.parallel_config(backend="threading"):
        expected = TabularClassifier(**QUICK).fit(table.lazy(), target="kind", memory=10_000)
    np.testing.assert_array_equal(answers(model, table.drop("kind")), answers(expected, table.drop("kind")))


@pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing", "sequential"])
def test_no_backend_of_joblibs_own_changes_anything(backend, here_alone):
    expected = TabularClassifier(**QUICK).fit(X, y)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        model = TabularClassifier(**QUICK).fit(X, y)
    np.testing.assert_array_equal(answers(model), answers(expected))


def test_any_other_backend_is_taken():
    expected = TabularClassifier(**QUICK).fit(X, y)
    with joblib.parallel_config(backend=Elsewhere(), n_jobs=2):
        assert Spreading.chosen(None, None).at_once() == 2
        assert Spreading.chosen(3, None).at_once() == 3
        assert Spreading.chosen(1, None) is None
        model = TabularClassifier(**QUICK).fit(X, y)
    np.testing.assert_array_equal(answers(model), answers(expected))


# Cross-validation and searches


@pytest.mark.parametrize(
    "model",
    [
        TabularClassifier(**QUICK),  # whose members are tasks of a task
        TabularRegressor(**QUICK, n_jobs=1),
        MLPClassifier(hidden_layer_sizes=(8,), max_iter=20, tol=1.0, random_state=0),
        MLPRegressor(hidden_layer_sizes=(8,), max_iter=20, tol=1.0, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_cross_validation_has_the_same_scores(model, dask):
    scores = cross_val_score(model, X, y, cv=5, n_jobs=-1)
    with joblib.parallel_config(backend="threading"):
        np.testing.assert_array_equal(scores, cross_val_score(model, X, y, cv=5))


@pytest.mark.parametrize("kind", [GridSearchCV, HalvingGridSearchCV])
@pytest.mark.parametrize(
    "model", [TabularClassifier(**QUICK), MLPClassifier(hidden_layer_sizes=(8,), max_iter=20, tol=1.0)]
)
def test_searches_find_the_same(kind, model, dask):
    rate = {"learning_rate" if isinstance(model, TabularClassifier) else "learning_rate_init": [1e-4, 1e-2]}
    how = {"cv": 3} | ({"random_state": 0} if kind is HalvingGridSearchCV else {})
    model.set_params(random_state=0)
    search = kind(model, rate, n_jobs=-1, **how).fit(X, y)
    with joblib.parallel_config(backend="threading"):
        expected = kind(model, rate, **how).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])
    assert search.best_params_ == expected.best_params_
    np.testing.assert_array_equal(answers(search.best_estimator_), answers(expected.best_estimator_))


def test_more_fits_than_workers_wait_for_their_members_and_end(dask):
    model = TabularClassifier(**QUICK | {"max_epochs": 2, "n_members": 6})
    scores = cross_val_score(model, WORDS, SAME, cv=10, n_jobs=-1)
    with joblib.parallel_config(backend="threading"):
        np.testing.assert_array_equal(scores, cross_val_score(model, WORDS, SAME, cv=10))


# What may happen


def test_a_worker_may_be_killed(dask):
    settings = QUICK | {"max_epochs": 15, "patience": 15}
    victim = min(dask.run(os.getpid).values())
    thread = when_members_are_trained(dask, lambda: os.kill(victim, KILL))
    model = TabularClassifier(**settings, eval_metric=slow()).fit(WORDS, SAME)
    thread.join(10)
    assert victim not in dask.run(os.getpid).values()
    with joblib.parallel_config(backend="threading"):
        expected = TabularClassifier(**settings, eval_metric=slow()).fit(WORDS, SAME)
    np.testing.assert_array_equal(answers(model, WORDS), answers(expected, WORDS))


def test_ctrl_c_ends_it_and_the_model_is_as_before(dask, ctrl_c):
    model = TabularClassifier(**QUICK).fit(X, y)
    before = dict(model.__dict__)
    thread = when_members_are_trained(dask, _thread.interrupt_main)
    changed = {"max_epochs": 40, "patience": 40, "eval_metric": slow()}
    with pytest.raises(KeyboardInterrupt):
        model.set_params(**changed).fit(WORDS, SAME)
    thread.join(10)
    assert model.__dict__ == {**before, **changed}
