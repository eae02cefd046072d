"""Ctrl-C while an estimator is fitted: heard at once, and what is there is kept. Real processes, real signals."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")

BEGINNING = """
import os, signal, sys, threading, time, warnings
import numpy as np
import polars  # whose handler of SIGINT restarts system calls
from nineline.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
from nineline.estimators.tabular import choosing, fitting, members, trials

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
sent = []

def interrupt(after=0.0, times=1):
    def send():
        time.sleep(after)
        for _ in range(times):
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.15)
    threading.Thread(target=send, daemon=True).start()

def fit(model, X, y):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            model.fit(X, y)
            end, what = time.perf_counter(), "kept"
        except KeyboardInterrupt:
            end, what = time.perf_counter(), "nothing"
    print(what, end - sent[0], sum("interrupted" in str(w.message) for w in said), sep="|")
    return model

X = rng.normal(size=(4000, 12))
y = X[:, 0] + X[:, 1] ** 2
FOREVER = dict(random_state=0, max_epochs=1_000_000, patience=1_000_000, n_jobs=2)
"""
WITHIN = 1.5  # seconds: half of one, and the patience that a busy machine needs


def told_by_a_child(code: str) -> list[list[str]]:
    command = [sys.executable, "-W", "ignore", "-c", BEGINNING + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split("|") for line in done.stdout.splitlines()]


def is_kept(line: list[str]) -> None:
    what, waited, said = line
    assert what == "kept"
    assert float(waited) < WITHIN
    assert said == "1"


@pytest.mark.parametrize("after", [0.3, 1.0, 2.0])
def test_the_members_that_are_there_are_kept(after: float) -> None:
    """Text alone needs no trial: the first members are being trained."""
    line, score = told_by_a_child(f"""
X = rng.choice(["red", "green", "blue"], (3000, 6))
train = members.train_member
begun = []
def begin(*given):
    begun.append(1)
    if len(begun) == 1:
        interrupt({after})
    return train(*given)
members.train_member = begin
model = fit(TabularClassifier(**FOREVER), X, X[:, 0] == X[:, 1])
print(model.score(X, X[:, 0] == X[:, 1]), len(model.members_) <= 2, "interrupted" in str(model.report_), sep="|")
""")
    is_kept(line)
    assert float(score[0]) > 0.55
    assert score[1:] == ["True", "True"]


@pytest.mark.parametrize("after", [0.1, 0.5, 1.5])
@pytest.mark.parametrize("skewed", [False, True])
def test_a_trial_is_kept(after: float, skewed: bool) -> None:
    line, about = told_by_a_child(f"""
choose, begun = choosing.choose, []
def begin(*given):
    begun.append(1)
    if len(begun) == 1:
        interrupt({after})
    return choose(*given)
choosing.choose = begin
model = fit(TabularRegressor(**FOREVER), X, np.exp(y) if {skewed} else y)
print(len(begun), len(model.members_) >= 1, np.isfinite(model.predict(X)).all(), str(model.report_) != "", sep="|")
""")
    is_kept(line)
    assert about == ["1", "True", "True", "True"]


def test_a_second_trial_is_kept() -> None:
    line, about = told_by_a_child("""
from nineline.estimators.tabular import regressor
try_out = trials.try_out
def begin(*given):
    interrupt(0.3)
    return try_out(*given)
regressor.try_out = begin
choose = choosing.choose
choosing.choose = lambda ways, folds, settings, *more: (
    choose(ways, folds, trials.replace(settings, recipe=trials.replace(settings.recipe, epochs=8)), *more))
model = fit(TabularRegressor(**FOREVER), X, np.exp(y))
print(len(model.report_.trials), np.isfinite(model.predict(X)).all(), sep="|")
""")
    is_kept(line)
    assert about == ["6", "True"]


def test_it_is_heard_within_an_epoch() -> None:
    """An epoch of this takes many seconds."""
    line, about = told_by_a_child("""
X = rng.choice(["red", "green", "blue"], (150_000, 6))
train = members.train_member
begun = []
def begin(*given):
    begun.append(1)
    if len(begun) == 1:
        interrupt(1.0)
    return train(*given)
members.train_member = begin
fitting.merge = lambda inputs, labels, weights, groups: (np.arange(len(inputs)), None)
model = fit(TabularClassifier([700, 700], **FOREVER), X, X[:, 0] == X[:, 1])
print([history.epochs for history in model.histories_][0], str(model.report_) != "", sep="|")
""")
    is_kept(line)
    assert about == ["0", "True"]


def test_one_that_comes_late_loses_nothing() -> None:
    """While the members are judged, Ctrl-C has nothing left to end."""
    line, about = told_by_a_child("""
judge = fitting.Fitting._judge
def late(self, *given):
    interrupt()
    time.sleep(0.3)
    return judge(self, *given)
fitting.Fitting._judge = late
model = fit(TabularClassifier(random_state=0, max_epochs=4, n_members=3), X, X[:, 0] > 0)
print(len(model.members_))
""")
    is_kept(line)
    assert about == ["3"]


def test_where_nothing_is_there_it_is_an_interrupt_and_the_model_is_as_before() -> None:
    first, second = told_by_a_child("""
divided = fitting.ColumnsLearner.divided
def slow(*given):
    interrupt()
    time.sleep(30)
fitting.ColumnsLearner.divided = slow
model = fit(TabularClassifier(**FOREVER), X, X[:, 0] > 0)
print(hasattr(model, "n_features_in_"))
""")
    assert first[0] == "nothing"
    assert float(first[1]) < WITHIN
    assert second == ["False"]


def test_a_second_ctrl_c_ends_it_at_once() -> None:
    first, second = told_by_a_child("""
judge = fitting.Fitting._judge
def late(self, *given):
    interrupt(times=2)
    time.sleep(5)
    return judge(self, *given)
fitting.Fitting._judge = late
model = fit(TabularClassifier(random_state=0, max_epochs=4, n_members=3), X, X[:, 0] > 0)
print(hasattr(model, "members_"))
""")
    assert first[0] == "nothing"
    assert float(first[1]) < WITHIN
    assert second == ["False"]


@pytest.mark.parametrize("after", [0.2, 1.0])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_scikit_learns_mlps_keep_what_was_learned(kind: str, solver: str, after: float) -> None:
    line, about = told_by_a_child(f"""
rows = rng.normal(size=(20_000, 30))
target = rows[:, 0] * rows[:, 1] + rng.normal(size=20_000)
model = {kind}(hidden_layer_sizes=(200, 200), solver="{solver}", max_iter=100_000, tol=0, n_iter_no_change=10**6,
               random_state=0)
{kind}(hidden_layer_sizes=(4,), max_iter=1).fit(rows[:50], target[:50] > 0)
interrupt({after} + 1.0)
model = fit(model, rows, target > 0 if "{kind}" == "MLPClassifier" else target)
print(np.isfinite(model.predict(rows[:5])).all(), len(model.history_.loss) == model.n_iter_, sep="|")
""")
    is_kept(line)
    assert about == ["True", "True"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_model_is_there_where_warnings_are_errors(jobs: int) -> None:
    (line,) = told_by_a_child(f"""
warnings.simplefilter("error")
model = TabularRegressor(**{{**FOREVER, "n_jobs": {jobs}}})
interrupt(1.5)
try:
    model.fit(X, y)
except UserWarning as said:
    waited = time.perf_counter() - sent[0]
    print(str(said)[:15], waited, np.isfinite(model.predict(X)).all(), sep="|")
""")
    assert (line[0], line[2]) == ("fit was interru", "True")
    assert float(line[1]) < WITHIN
