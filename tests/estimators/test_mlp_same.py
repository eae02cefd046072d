"""The MLPs beside scikit-learn's: from the same random_state the same weights, losses, scores and answers."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network as theirs
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import nineline.estimators as ours
from nineline.engines import native

NO_NATIVE = pytest.mark.skipif(
    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
    reason="the native engine was not built, or is turned off",
)
ENGINE = pytest.mark.parametrize("engine", ["reference", pytest.param("native", marks=NO_NATIVE)])
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),
]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(230, 7))
WEIGHT = RNG.uniform(0.1, 3, size=230)
BINARY = np.where(X[:, 0] + X[:, 1] ** 2 > 1, "yes", "no")
TARGETS = {
    "binary": ("MLPClassifier", BINARY),
    "multiclass": ("MLPClassifier", 3 * (X[:, 0] > 0) + 2 * (X[:, 1] > 0.3)),
    "multilabel": ("MLPClassifier", (X[:, :3] > 0.2).astype(int)),
    "regression": ("MLPRegressor", X[:, 0] ** 2 - X[:, 1]),
    "outputs": ("MLPRegressor", np.column_stack([X[:, 0] ** 2, 3 * X[:, 1], X[:, 2]])),
    "counts": ("MLPRegressor", np.floor(np.exp(X[:, 0]))),
}
LEARNING_RATES = ["constant", "invscaling", "adaptive"]

# What to learn, the settings, and whether the rows have weights.
CASES = {
    **{
        f"{target} {solver} {activation}": (target, {"solver": solver, "activation": activation}, False)
        for target in list(TARGETS)[:-1]
        for solver in ("sgd", "adam")
        for activation in ("identity", "logistic", "tanh", "relu")
    },
    **{f"{target} weights": (target, {"alpha": 0.5}, True) for target in list(TARGETS)[:-1]},
    **{
        f"sgd {rate} momentum {momentum} nesterov {nesterov}": (
            "multiclass",
            {
                "solver": "sgd",
                "learning_rate": rate,
                "momentum": momentum,
                "nesterovs_momentum": nesterov,
                "learning_rate_init": 0.05,
                "tol": 1e-2,
                "n_iter_no_change": 1,
                "power_t": 0.3,
            },
            False,
        )
        for rate in LEARNING_RATES
        for momentum in (0, 0.6)
        for nesterov in (True, False)
    },
    "momentum of 1": ("regression", {"solver": "sgd", "momentum": 1.0, "learning_rate_init": 1e-4}, False),
    "alpha": ("regression", {"alpha": 3.0}, False),
    "alpha, many outputs": ("outputs", {"alpha": 3.0}, True),
    "poisson": ("counts", {"loss": "poisson"}, False),
    "poisson sgd weights": ("counts", {"loss": "poisson", "solver": "sgd", "learning_rate_init": 1e-3}, True),
    "betas and epsilon": ("binary", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1}, False),
    "batches of one row": ("regression", {"batch_size": 1, "max_iter": 2}, False),
    "batches of 64": ("multiclass", {"batch_size": 64}, True),
    "three layers": ("binary", {"hidden_layer_sizes": (7, 5, 3)}, False),
    "no hidden layer": ("multiclass", {"hidden_layer_sizes": ()}, False),
    "a number": ("regression", {"hidden_layer_sizes": 4}, False),
    "stops by itself": ("binary", {"tol": 0.05, "n_iter_no_change": 3, "max_iter": 200}, False),
    "early stopping": (
        "multiclass",
        {"early_stopping": True, "n_iter_no_change": 2, "validation_fraction": 0.2},
        False,
    ),
    "early stopping weights": ("regression", {"early_stopping": True, "tol": 0.01, "n_iter_no_change": 1}, True),
    "early stopping labels": ("multilabel", {"early_stopping": True, "solver": "sgd"}, False),
    "early stopping adaptive": (
        "binary",
        {"early_stopping": True, "solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1},
        False,
    ),
}
FITTED = ["n_iter_", "n_layers_", "n_outputs_", "out_activation_", "t_", "n_features_in_"]
CLOSE = ["loss_", "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"]


def both(target, settings, engine="auto", **changes):
    """Return scikit-learn's estimator and ours, and what they are to learn."""
    kind, y = TARGETS[target]
    settings = {"max_iter": 20, "random_state": 3, "hidden_layer_sizes": (11,), **settings, **changes}
    return getattr(theirs, kind)(**settings), getattr(ours, kind)(**settings, engine=engine), y


def assert_same(their, our, rtol=0.0, atol=1e-6):
    for name in ("coefs_", "intercepts_"):
        assert len(getattr(their, name)) == len(getattr(our, name))
        for a, b in zip(getattr(their, name), getattr(our, name), strict=True):
            np.testing.assert_allclose(b, a, rtol=rtol, atol=atol)
    for name in FITTED:
        assert getattr(our, name) == getattr(their, name), name
    for name in CLOSE:
        expected, found = getattr(their, name, None), getattr(our, name, None)
        assert (expected is None) == (found is None), name
        if expected is not None:
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=atol, err_msg=name)


@ENGINE
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_twenty_epochs(case, shuffle, engine):
    target, settings, weighted = CASES[case]
    their, our, y = both(target, settings, engine, shuffle=shuffle)
    weight = WEIGHT if weighted else None
    their.fit(X, y, sample_weight=weight)
    our.fit(X, y, sample_weight=weight)
    assert our.history_.engine == engine
    assert_same(their, our)
    np.testing.assert_array_equal(getattr(our, "classes_", None), getattr(their, "classes_", None))
    if hasattr(their, "predict_proba"):
        np.testing.assert_array_equal(our.predict(X), their.predict(X))
        np.testing.assert_allclose(our.predict_proba(X), their.predict_proba(X), atol=1e-6)
        np.testing.assert_allclose(our.predict_log_proba(X), their.predict_log_proba(X), atol=1e-4)
    else:
        np.testing.assert_allclose(our.predict(X), their.predict(X), rtol=1e-6, atol=1e-5)
    assert our.score(X, y) == pytest.approx(their.score(X, y), rel=1e-6)


@ENGINE
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel", "regression", "counts"])
def test_lbfgs(target, activation, engine):
    loss = {"loss": "poisson"} if target == "counts" else {}
    their, our, y = both(target, {"solver": "lbfgs", "activation": activation, "alpha": 0.1, **loss}, engine)
    their.fit(X, y, sample_weight=WEIGHT)
    our.fit(X, y, sample_weight=WEIGHT)
    assert_same(their, our, atol=1e-4)  # twenty line searches enlarge a difference of rounding


@ENGINE
@pytest.mark.parametrize("settings", [{}, {"solver": "sgd", "learning_rate": "invscaling"}])
@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel", "outputs"])
def test_warm_start_then_partial_fit(target, settings, engine):
    their, our, y = both(target, settings, engine, warm_start=True, max_iter=4, batch_size=50)
    for model in (their, our):
        model.fit(X, y)
        model.fit(X, y)
        model.partial_fit(X, y)
        model.partial_fit(X, y, sample_weight=WEIGHT)
    assert_same(their, our)
    assert len(our.loss_curve_) == 10


@ENGINE
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_from_the_start(solver, engine):
    their, our, y = both("multiclass", {"solver": solver}, engine)
    for model in (their, our):
        for part in range(0, 230, 40):
            model.partial_fit(X[part : part + 40], y[part : part + 40], classes=np.unique(y))
    assert_same(their, our)


@ENGINE
@pytest.mark.parametrize("container", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
@pytest.mark.parametrize("settings", [{}, {"solver": "lbfgs"}, {"early_stopping": True}, {"batch_size": 30}])
def test_sparse_rows(settings, container, engine):
    rows = np.where(np.abs(X) > 0.7, X, 0)
    their, our, y = both("multiclass", settings, engine)
    their.fit(container(rows), y)
    our.fit(container(rows), y)
    assert_same(their, our, atol=1e-4 if "solver" in settings else 1e-6)
    np.testing.assert_allclose(our.predict_proba(container(rows)), our.predict_proba(rows), rtol=1e-12)


@ENGINE
@pytest.mark.parametrize("target", ["multiclass", "regression"])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_float32_is_kept(target, solver, engine):
    their, our, y = both(target, {"solver": solver}, engine)
    single = X.astype(np.float32)
    y = y.astype(np.float32) if target == "regression" else y
    their.fit(single, y)
    our.fit(single, y)
    assert {array.dtype for array in (*our.coefs_, *our.intercepts_)} == {np.dtype(np.float32)}
    for a, b in zip(their.coefs_, our.coefs_, strict=True):
        np.testing.assert_allclose(b, a, atol=2e-3 if solver == "lbfgs" else 1e-4)
    answers = our.predict_proba(single) if target == "multiclass" else our.predict(single)
    assert answers.dtype == np.float32


def test_every_parameter_of_theirs_has_its_name_default_and_place():
    import inspect

    for kind in ("MLPClassifier", "MLPRegressor"):
        their = inspect.signature(getattr(theirs, kind)).parameters
        our = inspect.signature(getattr(ours, kind)).parameters
        assert list(our)[: len(their)] == list(their)
        for name, parameter in their.items():
            assert our[name].default == parameter.default
            assert our[name].kind == parameter.kind
        assert all(parameter.kind == parameter.KEYWORD_ONLY for parameter in list(our.values())[len(their) :])


def test_what_verbose_prints(capsys):
    printed = []
    settings = {"verbose": True, "early_stopping": True, "n_iter_no_change": 2}
    for model, y in zip(both("binary", settings)[:2], [BINARY, BINARY], strict=True):
        model.fit(X, y)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel", "regression", "outputs"])
def test_pickle_and_clone(target):
    _, our, y = both(target, {"early_stopping": True})
    our.fit(X, y)
    again = pickle.loads(pickle.dumps(our))
    np.testing.assert_array_equal(again.predict(X), our.predict(X))
    assert all(np.shares_memory(coef, again.network_.parameters) for coef in again.coefs_)
    for model in (our, again):
        model.set_params(early_stopping=False)
        model.partial_fit(X, y)
    np.testing.assert_array_equal(again.coefs_[0], our.coefs_[0])
    assert again.loss_curve_ == our.loss_curve_
    np.testing.assert_array_equal(clone(our).set_params(max_iter=3).fit(X, y).n_iter_, 3)


def test_weights_put_there_by_hand_are_what_predicts():
    their, our, y = both("multiclass", {})
    for model in (their.fit(X, y), our.fit(X, y)):
        model.coefs_[0] = model.coefs_[0] * 2  # another array
        model.intercepts_[1][:] = 0.5  # the same one
        model.predict(X)
        model.coefs_[1] *= 3
    np.testing.assert_allclose(our.predict_proba(X), their.predict_proba(X), atol=1e-6)
    our.coefs_ = [np.zeros((7, 2)), np.zeros((2, our.n_outputs_))]
    our.intercepts_ = [np.zeros(2), np.zeros(our.n_outputs_)]
    np.testing.assert_allclose(our.predict_proba(X), 1 / our.n_outputs_)


def test_a_random_state_is_drawn_from_as_theirs_is():
    drawn = []
    for model, y in zip(both("binary", {"early_stopping": True})[:2], [BINARY, BINARY], strict=True):
        state = np.random.RandomState(7)
        model.set_params(random_state=state).fit(X, y)
        drawn.append(state.random_sample(3))
    np.testing.assert_array_equal(*drawn)


def test_the_warning_at_max_iter():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        both("binary", {}, max_iter=2)[1].fit(X, BINARY)
