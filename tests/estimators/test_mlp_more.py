"""What the MLPs have and scikit-learn's do not; each part is shown at work."""

from __future__ import annotations

import copy
import os
import re

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network as theirs
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import accuracy_score, log_loss, make_scorer, mean_absolute_error, r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.utils.class_weight import compute_sample_weight

from nineline.activations import Elu
from nineline.engines import native
from nineline.estimators import MLPClassifier, MLPRegressor
from nineline.layers import Dropout
from nineline.losses import Huber, Quantile, SquaredError
from nineline.training.loop import Loop

NO_NATIVE = pytest.mark.skipif(
    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
    reason="the native engine was not built, or is turned off",
)
ENGINE = pytest.mark.parametrize("engine", ["reference", pytest.param("native", marks=NO_NATIVE)])
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 5))
CLASSES = np.where(X[:, 0] + X[:, 1] ** 2 > 1, 2, 0) + (X[:, 2] > 0)
BINARY = np.where(X[:, 0] > 0.4, "yes", "no")
LABELS = (X[:, :3] > 0.3).astype(int)
NUMBERS = X[:, 0] ** 2 - X[:, 1]
SEVERAL = np.column_stack([NUMBERS, X[:, 2]])
UNSEEN = RNG.normal(size=(90, 5))
UNSEEN_CLASSES = np.where(UNSEEN[:, 0] + UNSEEN[:, 1] ** 2 > 1, 2, 0) + (UNSEEN[:, 2] > 0)
SMALL = {"hidden_layer_sizes": (8,), "random_state": 0, "max_iter": 12, "learning_rate_init": 0.01}


# An activation for each layer


@ENGINE
def test_an_activation_for_each_layer(engine):
    mixed = MLPClassifier((6, 5, 4), ["gelu", "tanh", Elu(0.5)], random_state=0, max_iter=5, engine=engine)
    mixed.fit(X, CLASSES)
    activations = [layer.activation for layer in mixed.network_.layers]
    assert [type(each).__name__ for each in activations] == ["Gelu", "Tanh", "Elu", "Softmax"]
    assert activations[2] == Elu(0.5)
    alike = MLPClassifier((6, 5), ["logistic", "logistic"], random_state=0, max_iter=5, engine=engine).fit(X, CLASSES)
    one = theirs.MLPClassifier((6, 5), "logistic", random_state=0, max_iter=5).fit(X, CLASSES)
    np.testing.assert_allclose(alike.coefs_[0], one.coefs_[0], atol=1e-9)


def test_initial_weights_follow_each_layer():
    """Glorot's bound, as scikit-learn has it: sqrt(2 / ...) in front of a sigmoid, sqrt(6 / ...) of anything else."""
    model = MLPRegressor(
        "huber", (400, 400), ["logistic", "relu"], learning_rate_init=1e-12, max_iter=1, random_state=0
    )
    model.fit(X, NUMBERS)
    bounds = [np.sqrt(2 / 405), np.sqrt(6 / 800), np.sqrt(6 / 401)]
    for coef, bound in zip(model.coefs_, bounds, strict=True):
        assert bound * 0.95 < np.abs(coef).max() < bound


# Dropout


@ENGINE
def test_dropout_leaves_out_in_training_and_nothing_afterwards(engine):
    plain = MLPRegressor(**SMALL, engine=engine).fit(X, NUMBERS)
    dropping = MLPRegressor(**SMALL, dropout=0.5, engine=engine).fit(X, NUMBERS)
    assert [layer.rate for layer in dropping.network_.layers if isinstance(layer, Dropout)] == [0.5]
    assert np.mean(dropping.loss_curve_[-3:]) > 1.2 * np.mean(plain.loss_curve_[-3:])
    by_hand = np.maximum(X @ dropping.coefs_[0] + dropping.intercepts_[0], 0) @ dropping.coefs_[1]
    np.testing.assert_allclose(dropping.predict(X), by_hand[:, 0] + dropping.intercepts_[1], rtol=1e-9, atol=1e-12)
    again = clone(dropping).fit(X, NUMBERS)
    np.testing.assert_array_equal(again.coefs_[0], dropping.coefs_[0])
    other = clone(dropping).set_params(random_state=1).fit(X, NUMBERS)
    assert not np.allclose(other.coefs_[0], dropping.coefs_[0])


@NO_NATIVE
def test_dropout_is_the_same_in_both_engines():
    models = [
        MLPClassifier((8, 6), dropout=[0.2, 0.4], random_state=0, max_iter=12, engine=engine)
        for engine in ("reference", "native")
    ]
    np.testing.assert_allclose(*(model.fit(X, CLASSES).coefs_[0] for model in models), rtol=1e-9, atol=1e-12)


def test_dropout_goes_on_in_partial_fit():
    """Each step draws anew, though an integer random_state begins anew in each call."""
    settings = {"activation": "identity", "alpha": 0, "solver": "sgd", "momentum": 0}
    model = MLPRegressor(**SMALL, **settings, dropout=0.5)
    model.partial_fit(X[:1], NUMBERS[:1])
    left_out = set()
    for _ in range(5):
        before = model.coefs_[0].copy()
        model.partial_fit(X[:1], NUMBERS[:1])
        left_out.add(tuple((model.coefs_[0] == before).all(axis=0)))
    assert len(left_out) == 5


# Weights of classes


@pytest.mark.parametrize("sample_weight", [None, RNG.uniform(0.2, 2, size=200)])
@pytest.mark.parametrize(
    ("class_weight", "y"),
    [
        ("balanced", CLASSES),
        ("balanced", BINARY),
        ({0: 1.0, 1: 5.0, 2: 0.5, 3: 1.0}, CLASSES),
        ({"yes": 4.0, "no": 1.0}, BINARY),
        ([{0: 1, 1: 3}, {0: 1, 1: 1}, {0: 2, 1: 1}], LABELS),
    ],
)
def test_class_weight_is_scikit_learns_weight_of_rows(class_weight, y, sample_weight):
    weight = compute_sample_weight(class_weight, y)
    weight = weight if sample_weight is None else weight * sample_weight
    their = theirs.MLPClassifier(**SMALL).fit(X, y, sample_weight=weight)
    our = MLPClassifier(**SMALL, class_weight=class_weight).fit(X, y, sample_weight=sample_weight)
    np.testing.assert_allclose(our.coefs_[0], their.coefs_[0], atol=1e-8)


# Validation data of one's own, and what is watched


def scores_of_theirs(score, epochs, kind=theirs.MLPClassifier, y=CLASSES):
    """Return the scores of scikit-learn's estimator after each epoch; without shuffling partial_fit is an epoch."""
    model = kind(**SMALL, shuffle=False)
    more = {"classes": np.unique(y)} if kind is theirs.MLPClassifier else {}
    return [score(model.partial_fit(X, y, **more)) for _ in range(epochs)]


SCORINGS = {
    "accuracy": (None, lambda m: accuracy_score(UNSEEN_CLASSES, m.predict(UNSEEN))),
    "loss": ("loss", lambda m: -log_loss(UNSEEN_CLASSES, m.predict_proba(UNSEEN))),
    "a scorer's name": (
        "roc_auc_ovr",
        lambda m: roc_auc_score(UNSEEN_CLASSES, m.predict_proba(UNSEEN), multi_class="ovr"),
    ),
    "a scorer": (
        make_scorer(mean_absolute_error, greater_is_better=False),
        lambda m: -mean_absolute_error(UNSEEN_CLASSES, m.predict(UNSEEN)),
    ),
    "a function": (
        lambda m, X, y: m.predict_proba(X)[:, 1].mean() - y.mean(),
        lambda m: m.predict_proba(UNSEEN)[:, 1].mean() - UNSEEN_CLASSES.mean(),
    ),
}


@ENGINE
@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("case", SCORINGS)
def test_validation_data_and_what_is_watched(case, early_stopping, engine):
    scoring, score = SCORINGS[case]
    settings = {**SMALL, "n_iter_no_change": 2} if early_stopping else SMALL
    model = MLPClassifier(**settings, scoring=scoring, early_stopping=early_stopping, shuffle=False, engine=engine)
    model.fit(X, CLASSES, validation=(UNSEEN, UNSEEN_CLASSES))
    np.testing.assert_allclose(model.validation_scores_, scores_of_theirs(score, model.n_iter_), atol=1e-9)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.t_ == 200 * model.n_iter_  # all rows are learned from
    assert score(model) == pytest.approx(
        model.validation_scores_[model.history_.best_epoch - 1 if early_stopping else -1]
    )
    losses = scores_of_theirs(SCORINGS["loss"][1], model.n_iter_)
    np.testing.assert_allclose(model.history_.validation_loss, np.negative(losses), atol=1e-9)
    assert (model.best_loss_ is None) == early_stopping


@pytest.mark.parametrize(("y", "targets"), [(NUMBERS, UNSEEN[:, 0]), (SEVERAL, UNSEEN[:, :2])])
def test_validation_of_a_regressor(y, targets):
    weight = RNG.uniform(size=90)
    model = MLPRegressor(**SMALL, shuffle=False).fit(X, y, validation=(UNSEEN, targets, weight))
    scores = scores_of_theirs(
        lambda m: r2_score(targets, m.predict(UNSEEN), sample_weight=weight), model.n_iter_, theirs.MLPRegressor, y
    )
    np.testing.assert_allclose(model.validation_scores_, scores, atol=1e-9)
    by_hand = np.average(((model.predict(UNSEEN) - targets) ** 2).reshape(90, -1), axis=0, weights=weight).mean() / 2
    assert model.history_.validation_loss[-1] == pytest.approx(by_hand, rel=1e-9)


def test_early_stopping_ends_after_so_many_epochs_without_improvement():
    model = MLPClassifier(**{**SMALL, "max_iter": 500}, early_stopping=True, n_iter_no_change=5, scoring="loss")
    model.fit(X, CLASSES, validation=(UNSEEN, UNSEEN_CLASSES))
    assert model.stopped_early_
    assert model.n_iter_ < 500
    assert "Validation score did not improve" in model.history_.stopped
    assert -log_loss(UNSEEN_CLASSES, model.predict_proba(UNSEEN)) == pytest.approx(max(model.validation_scores_))


def test_a_scorer_sees_a_table_without_warnings():
    import pandas as pd

    table = pd.DataFrame(X, columns=list("abcde"))
    model = MLPClassifier(**SMALL, early_stopping=True, scoring="neg_log_loss")
    model.fit(table, CLASSES, validation=(pd.DataFrame(UNSEEN, columns=list("abcde")), UNSEEN_CLASSES))
    assert list(model.feature_names_in_) == list("abcde")
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


@ENGINE
def test_partial_fit_with_early_stopping(engine):
    model = MLPClassifier(
        **SMALL, early_stopping=True, n_iter_no_change=3, scoring="loss", solver="sgd", batch_size=20, engine=engine
    )
    model.set_params(learning_rate_init=0.5)
    calls = 0
    while calls < 300 and not getattr(model, "stopped_early_", False):
        model.partial_fit(X, CLASSES, classes=np.unique(CLASSES), validation=(UNSEEN, UNSEEN_CLASSES))
        calls += 1
    assert len(model.validation_scores_) == calls < 300
    best = int(np.argmax(model.validation_scores_))
    assert model.history_.best_epoch == best + 1 < calls
    assert -log_loss(UNSEEN_CLASSES, model.predict_proba(UNSEEN)) == pytest.approx(model.validation_scores_[best])


# Warm start


@ENGINE
@pytest.mark.parametrize("settings", [{}, {"solver": "sgd"}, {"solver": "sgd", "learning_rate": "invscaling"}])
def test_warm_start_that_keeps_the_optimizer(settings, engine):
    """Two fits of six epochs are one of twelve; without the optimizer they are not."""
    settings = {**SMALL, **settings, "shuffle": False, "engine": engine}
    at_once = MLPRegressor(**settings).fit(X, NUMBERS)
    halves = MLPRegressor(**{**settings, "max_iter": 6}, warm_start=True, keep_optimizer=True)
    halves.fit(X, NUMBERS).fit(X, NUMBERS)
    np.testing.assert_array_equal(halves.coefs_[0], at_once.coefs_[0])
    assert halves.loss_curve_ == at_once.loss_curve_
    forgetful = MLPRegressor(**{**settings, "max_iter": 6}, warm_start=True).fit(X, NUMBERS).fit(X, NUMBERS)
    assert not np.allclose(forgetful.coefs_[0], at_once.coefs_[0])


QUICK = {
    "adam": (MLPRegressor, {}),
    "sgd, rate that falls": (MLPRegressor, {"solver": "sgd", "learning_rate": "invscaling"}),
    "sgd, adaptive": (MLPRegressor, {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 1.0}),
    "as they lie": (MLPRegressor, {"shuffle": False}),
    "batches": (MLPRegressor, {"batch_size": 7}),
    "huber": (MLPRegressor, {"loss": "huber", "huber_delta": 0.3}),
    "poisson": (MLPRegressor, {"loss": "poisson"}),
    "classes": (MLPClassifier, {}),
    "two classes": (MLPClassifier, {"alpha": 0.0}),
    "dropout": (MLPRegressor, {"dropout": 0.2}),
    "any order": (MLPRegressor, {"random_state": np.random.RandomState(3)}),
}


def counting(function, answers):
    def counted(*given):
        answers.append(function(*given))
        return answers[-1]

    return counted


@ENGINE
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", QUICK)
def test_the_quick_way_through_partial_fit_is_the_long_one(name, dtype, engine):
    kind, settings = QUICK[name]
    runs = []
    for form in (lambda a: a, lambda a: a.tolist() if a.ndim == 1 else np.asfortranarray(a)):
        model = kind(**{"hidden_layer_sizes": (9,), "random_state": 1, **copy.deepcopy(settings), "engine": engine})
        rows = X.astype(dtype)
        y = CLASSES % (2 if name == "two classes" else 3) if kind is MLPClassifier else np.abs(rows[:, 0] + rows[:, 1])
        how = {"classes": np.unique(y)} if kind is MLPClassifier else {}
        quick = []
        for part in range(12):
            here = slice(16 * (part % 5), 16 * (part % 5) + 16)
            if part == 5:
                model.set_params(learning_rate_init=0.01)
            if part == 8:
                model.set_params(alpha=0.01, epsilon=1e-6)
            if part == 10:
                model.coefs_[0] = model.coefs_[0] * 0.5
            model._quick_partial_fit = counting(model._quick_partial_fit, quick)
            model.partial_fit(form(rows[here]), form(y[here]), **how)
            del model._quick_partial_fit
            how = {}
        history = model.history_
        said = model.loss_curve_, history.loss, history.learning_rate, history.steps, history.stopped, history.epochs
        counts = model.n_iter_, model.t_, model.best_loss_, model._no_improvement_count, model.stopped_early_
        weights = [coef.tobytes() for coef in (*model.coefs_, *model.intercepts_)]
        runs.append(((said, counts, weights), sum(quick)))
    assert runs[0][0] == runs[1][0]
    assert runs[1][1] == 0
    assert runs[0][1] == (0 if name in ("dropout", "poisson") else 8)  # not the first, nor after each change


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        (np.full((4, 5), np.nan), np.arange(4) % 2, "Input X contains NaN"),
        (np.ones((4, 3)), np.arange(4) % 2, "X has 3 features"),
        (np.ones((4, 5)), np.arange(5) % 2, "inconsistent numbers of samples"),
        (np.ones((4, 5)), np.array([0, 1, 2, 9]), "`y` has classes not in"),
        (np.ones((0, 5)), np.arange(0), "Found array with 0 sample"),
    ],
)
def test_the_quick_way_lets_nothing_wrong_through(X, y, words):
    model = MLPClassifier(**SMALL)
    for _ in range(2):
        model.partial_fit(UNSEEN, UNSEEN_CLASSES, classes=np.unique(UNSEEN_CLASSES))
    before = [coef.copy() for coef in model.coefs_]
    with pytest.raises(ValueError, match=words):
        model.partial_fit(X, y)
    assert all((a == b).all() for a, b in zip(before, model.coefs_, strict=True))


def test_a_new_learning_rate_counts_in_the_next_call():
    model = MLPRegressor(**SMALL, solver="sgd", momentum=0).partial_fit(X, NUMBERS)
    before = model.coefs_[0].copy()
    model.set_params(learning_rate_init=1e-15).partial_fit(X, NUMBERS)
    np.testing.assert_allclose(model.coefs_[0], before, atol=1e-12)
    assert model.history_.learning_rate == [0.01, 1e-15]


# Losses


@ENGINE
@pytest.mark.parametrize(
    ("settings", "lowest"),
    [
        ({"loss": "absolute_error"}, np.median),
        ({"loss": "quantile", "quantile": 0.9}, lambda y: np.quantile(y, 0.9)),
        ({"loss": Quantile(level=0.2)}, lambda y: np.quantile(y, 0.2)),
        ({"loss": "squared_error"}, np.mean),
        ({"loss": "huber", "huber_delta": 1e-3}, np.median),
        ({"loss": "huber", "huber_delta": 1e3}, np.mean),
        ({"loss": Huber(delta=1e3)}, np.mean),
        ({"loss": "poisson"}, np.mean),
    ],
)
def test_where_each_loss_is_lowest(settings, lowest, engine):
    """Of inputs that say nothing, the best answer is a number that statistics names."""
    y = np.random.default_rng(1).exponential(size=401)
    model = MLPRegressor(
        **settings, hidden_layer_sizes=(), alpha=0, tol=0, n_iter_no_change=2000, max_iter=2000, batch_size=401,
        solver="adam", learning_rate_init=0.003, random_state=0, engine=engine,
    )  # fmt: skip
    model.fit(np.zeros((401, 1)), y)
    assert model.predict([[0.0]])[0] == pytest.approx(lowest(y), abs=0.02)


# Callbacks


def recorder(stop_after=None):
    class Recorder:
        def __init__(self):
            self.begun, self.ended, self.losses, self.calls = 0, 0, [], []

        def setup(self, estimator, context):
            self.calls.append("setup")

        def teardown(self, estimator, context):
            self.calls.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            self.begun += 1

        def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
            self.ended += 1
            if context.parent is not None:
                self.losses.append(log_loss(y, fitted_estimator.predict_proba(X)))
                return stop_after == len(self.losses)
            return None

    return Recorder()


CALLBACKS = pytest.mark.skipif(not hasattr(MLPClassifier, "set_callbacks"), reason="scikit-learn 1.9 has callbacks")


@CALLBACKS
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_callbacks_hear_of_every_iteration(solver):
    callback = recorder()
    model = MLPClassifier(**SMALL, solver=solver).set_callbacks(callback).fit(X, CLASSES)
    assert callback.calls == ["setup", "teardown"]
    assert callback.begun == callback.ended
    assert model.n_iter_ == 12
    assert callback.losses[11] == pytest.approx(log_loss(CLASSES, model.predict_proba(X)))
    assert callback.losses[0] > callback.losses[11]


@CALLBACKS
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_a_callback_may_end_training(solver):
    model = MLPClassifier(**SMALL, solver=solver).set_callbacks(recorder(stop_after=3)).fit(X, CLASSES)
    assert model.n_iter_ == 3
    assert len(model.history_.loss) == 3


@CALLBACKS
def test_scikit_learns_own_callbacks(capsys):
    from sklearn.callback import ProgressBar, ScoringMonitor

    monitor = ScoringMonitor(scoring="accuracy")
    model = MLPClassifier(**SMALL).set_callbacks(ProgressBar(), monitor).fit(X, CLASSES)
    assert "100%" in capsys.readouterr().out
    scores = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    assert scores[-1] == model.score(X, CLASSES)
    assert len(scores) == 12


# Gradients of the outputs by the inputs


@ENGINE
@pytest.mark.parametrize("activation", ["logistic", "tanh", "softplus", ["gelu", "silu"]])
@pytest.mark.parametrize(
    "y",
    [BINARY, CLASSES, LABELS, NUMBERS, SEVERAL, "counts"],
    ids=["binary", "multiclass", "multilabel", "regression", "outputs", "counts"],
)
def test_input_gradient_is_the_slope(y, activation, engine):
    rate = {} if isinstance(y, np.ndarray) else {"loss": "poisson"}
    y = np.floor(np.exp(X[:, 0])) if rate else y
    kind = MLPRegressor if y.dtype == float else MLPClassifier
    layers = (7, 6) if isinstance(activation, list) else (7,)
    model = kind(**rate, hidden_layer_sizes=layers, activation=activation, max_iter=5, random_state=0, engine=engine)
    answer = model.fit(X, y).predict_proba if kind is MLPClassifier else model.fit(X, y).predict

    rows = UNSEEN[:4]
    gradient = model.input_gradient(rows)
    outputs = answer(rows).reshape(4, -1).shape[1]
    assert gradient.shape == (4, outputs, 5)
    for feature in range(5):
        step = np.eye(5)[feature] * 1e-5
        slope = (answer(rows + step) - answer(rows - step)).reshape(4, outputs) / 2e-5
        np.testing.assert_allclose(gradient[:, :, feature], slope, rtol=1e-5, atol=1e-9)
    for output in range(outputs):
        np.testing.assert_array_equal(model.input_gradient(rows, output=output), gradient[:, output])
    np.testing.assert_allclose(model.input_gradient(scipy.sparse.csr_array(rows)), gradient)
    with pytest.raises(ValueError, match=f"output is {outputs}; expected a whole number from 0 to {outputs - 1}"):
        model.input_gradient(rows, output=outputs)


# The same weights everywhere


@NO_NATIVE
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_the_same_bits_for_any_number_of_threads(solver):
    fitted = [
        MLPClassifier((64,), solver=solver, random_state=0, max_iter=5, engine="native", threads=threads)
        .fit(X, CLASSES)
        .network_.parameters
        for threads in (1, 2, 5, None)
    ]
    for parameters in fitted[1:]:
        np.testing.assert_array_equal(parameters, fitted[0])


@NO_NATIVE
def test_the_same_weights_on_every_processor(monkeypatch):
    """What an instruction set changes is the rounding of sums."""
    reference = MLPClassifier((64,), random_state=0, max_iter=20, engine="reference").fit(X, CLASSES)
    for level in native._native.levels():
        monkeypatch.setenv("NINELINE_SIMD", level)
        model = MLPClassifier((64,), random_state=0, max_iter=20, engine="native").fit(X, CLASSES)
        np.testing.assert_allclose(model.network_.parameters, reference.network_.parameters, rtol=1e-9, atol=1e-12)


# Records


def test_the_history():
    model = MLPClassifier(**SMALL, engine="reference").fit(X, CLASSES)
    assert model.history_.loss == model.loss_curve_
    assert model.history_.engine == "reference"
    assert model.history_.stopped == "all 12 iterations done"
    assert model.history_.to_frame().shape == (12, 4)
    model.partial_fit(X, CLASSES, validation=(UNSEEN, UNSEEN_CLASSES))
    assert model.history_.to_frame().shape == (13, 5)
    assert len(MLPClassifier(**SMALL, solver="lbfgs").fit(X, CLASSES).history_.loss) == 12


def test_settings_can_be_searched():
    search = GridSearchCV(
        MLPRegressor(**SMALL), {"loss": ["huber", "absolute_error"], "activation": [["silu"], "tanh"]}, cv=2
    ).fit(X, NUMBERS)
    assert search.best_estimator_.score(X, NUMBERS) > 0


# What ends badly


@ENGINE
def test_a_loss_that_diverges_is_an_error_and_the_weights_are_finite(engine):
    model = MLPRegressor(solver="sgd", learning_rate_init=1e3, activation="identity", random_state=0, engine=engine)
    with pytest.raises(ValueError, match="non-finite parameter weights.*in iteration"):
        model.fit(X, NUMBERS)
    assert np.isfinite(model.network_.parameters).all()
    model.set_params(early_stopping=True)
    with pytest.warns(ConvergenceWarning, match="Training diverged"):
        model.fit(X, NUMBERS)
    assert np.isfinite(model.predict(X)).all()
    assert np.isnan(model.validation_scores_[-1])


def test_ctrl_c_keeps_what_was_learned(monkeypatch):
    epoch, begun = Loop.mini_batch_epoch, []

    def interrupted_in_the_third(loop):
        begun.append(loop)
        if len(begun) == 3:
            raise KeyboardInterrupt
        epoch(loop)

    monkeypatch.setattr(Loop, "mini_batch_epoch", interrupted_in_the_third)
    model = MLPClassifier(**SMALL)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, CLASSES)
    assert len(model.loss_curve_) == model.n_iter_ == model.history_.epochs == 2
    assert model.history_.stopped == "interrupted in iteration 3"
    assert model.predict(X).shape == (200,)


BAD = {
    "a parameter": ({"alpha": -1}, {}, "The 'alpha' parameter of MLPClassifier must be a float in the range"),
    "an activation": ({"activation": "rleu"}, {}, "The 'activation' parameter of MLPClassifier must be"),
    "one of several activations": ({"activation": ["rleu"]}, {}, "activation is 'rleu'.*did you mean 'relu'"),
    "as many activations": ({"activation": ["relu"] * 3}, {}, "activation has 3 entries; expected one for each of 1"),
    "as many rates": ({"dropout": [0.1, 0.1]}, {}, "dropout has 2 entries; expected one for each of 1"),
    "a rate": ({"dropout": [1.0]}, {}, "dropout is 1.0"),
    "dropout, lbfgs": ({"dropout": 0.1, "solver": "lbfgs"}, {}, "dropout is 0.1 and solver is 'lbfgs'"),
    "validation, lbfgs": (
        {"solver": "lbfgs"},
        {"validation": (UNSEEN, UNSEEN_CLASSES)},
        "validation is given and solver is 'lbfgs'",
    ),
    "a scorer": ({"scoring": "acuracy", "early_stopping": True}, {}, "'acuracy' is not a valid scoring value"),
    "a width": ({"hidden_layer_sizes": (3, 0)}, {}, r"hidden_layer_sizes must be > 0, got \[3, 0\]"),
    "a whole width": (
        {"hidden_layer_sizes": (2.5,)},
        {},
        r"hidden_layer_sizes\[0\] is 2.5 \(float\); expected a whole",
    ),
    "a pair": ({}, {"validation": 0.2}, r"validation is a float; expected \(X, y\) or \(X, y, sample_weight\)"),
    "columns of it": (
        {},
        {"validation": (UNSEEN[:, :3], UNSEEN_CLASSES)},
        "validation: X has 3 features, but MLPClassifier is expecting 5 features",
    ),
    "classes of it": ({}, {"validation": (UNSEEN, UNSEEN_CLASSES + 1)}, "validation: y has the class 4, which is not"),
    "rows of it": ({}, {"validation": (UNSEEN, UNSEEN_CLASSES[1:])}, "validation: .*inconsistent numbers of samples"),
    "NaN": ({}, {"X": np.full((200, 5), np.nan)}, "Input X contains NaN"),
    "lengths": ({}, {"y": CLASSES[1:]}, "inconsistent numbers of samples"),
    "numbers as classes": ({}, {"y": NUMBERS}, "Unknown label type"),
    "weights": ({}, {"sample_weight": np.ones(3)}, r"sample_weight.shape == \(3,\), expected \(200,\)"),
    "class weights": ({"class_weight": "fair"}, {}, "The 'class_weight' parameter of MLPClassifier must be"),
    "an engine": ({"engine": "gpu"}, {}, "The 'engine' parameter of MLPClassifier must be a str among"),
    "threads": ({"threads": 0}, {}, "The 'threads' parameter of MLPClassifier must be an int in the range"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    settings, data, says = BAD[case]
    with pytest.raises((ValueError, TypeError), match=says):
        MLPClassifier(**{**SMALL, **settings}).fit(**{"X": X, "y": CLASSES, **data})


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_what_has_not_been_fitted_says_so(kind):
    for ask in (lambda m: m.predict(X), lambda m: m.input_gradient(X), lambda m: m.network_, lambda m: m.score(X, X)):
        with pytest.raises(NotFittedError, match=f"This {kind.__name__} instance is not fitted yet"):
            ask(kind())


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_warnings_point_at_the_line_that_fits(solver):
    with pytest.warns(ConvergenceWarning) as caught:
        MLPClassifier(**{**SMALL, "max_iter": 1}, solver=solver).fit(X, CLASSES)
    assert [warning.filename for warning in caught] == [__file__]


def test_more_bad_input():
    fitted = MLPRegressor(**SMALL).fit(X, NUMBERS)
    with pytest.raises(ValueError, match="X has 3 features, but MLPRegressor is expecting 5"):
        fitted.predict(X[:, :3])
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        fitted.predict(X[0])
    with pytest.raises(ValueError, match="Input X contains infinity"):
        fitted.predict(np.full((1, 5), np.inf))
    with pytest.raises(ValueError, match=re.escape("a network of the sizes [5, 8, 2], and the one to go on with")):
        fitted.partial_fit(X, SEVERAL)
    with pytest.raises(ValueError, match="fit anew with warm_start=False"):
        fitted.set_params(warm_start=True, hidden_layer_sizes=(3,)).fit(X, NUMBERS)
    with pytest.raises(ValueError, match=r"partial_fit\(..., validation=\(X, y\)\)"):
        MLPRegressor(early_stopping=True).partial_fit(X, NUMBERS)
    with pytest.raises(ValueError, match="y does not fit the loss: .*the poisson loss takes counts, 0 or more"):
        MLPRegressor(loss="poisson").fit(X, NUMBERS)
    with pytest.raises(ValueError, match="class_weight is 'balanced', which partial_fit cannot know"):
        MLPClassifier(class_weight="balanced").partial_fit(X, CLASSES, classes=np.unique(CLASSES))
    with pytest.raises(ValueError, match=r"expected one with reduction='mean'"):
        MLPRegressor(loss=SquaredError(reduction="sum")).fit(X, NUMBERS)


# Levenberg and Marquardt's method, which scikit-learn does not have


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lm_fits_a_regression_in_a_few_steps(dtype):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (200, 2)).astype(dtype)
    y = np.sin(3 * X[:, 0]) * X[:, 1]
    how = {"hidden_layer_sizes": (10,), "activation": "tanh", "alpha": 1e-6, "random_state": 0}
    model = MLPRegressor(solver="lm", max_iter=100, tol=0, **how)
    with pytest.warns(ConvergenceWarning, match=r"lm failed to converge after 100 iteration\(s\). Increase max_iter"):
        model.fit(X, y)
    assert model.score(X, y) > 0.99
    assert model.n_iter_ == len(model.history_.loss) == len(model.history_.damping) == 100
    assert model.loss_ <= model.history_.loss[-1] < model.history_.loss[0]
    assert model.predict(X).dtype == dtype
    adam = MLPRegressor(max_iter=100, **how)
    with pytest.warns(ConvergenceWarning):
        adam.fit(X, y)
    assert ((model.predict(X) - y) ** 2).mean() < 0.1 * ((adam.predict(X) - y) ** 2).mean()


def test_lm_arrives_with_its_penalty_and_weights():
    """The penalty is alpha / 2 * w'w over the rows' weight, as everywhere: ridge regression where all is linear."""
    rng = np.random.default_rng(0)
    X, y, weight = rng.normal(size=(50, 3)), rng.normal(size=50), rng.integers(1, 4, 50).astype(float)
    model = MLPRegressor(hidden_layer_sizes=(), solver="lm", alpha=3.0, tol=1e-10, random_state=0).fit(X, y, weight)
    centred = X - np.average(X, axis=0, weights=weight)
    right = centred.T @ (weight * (y - np.average(y, weights=weight)))
    truth = np.linalg.solve((centred.T * weight) @ centred + 3 * np.eye(3), right)
    np.testing.assert_allclose(model.coefs_[0][:, 0], truth, atol=1e-8)
    assert model.n_iter_ < 20


@pytest.mark.parametrize("solver", ["lm", "lbfgs"])
def test_the_loss_at_the_end_is_scikit_learns_of_the_weights_that_are_there(solver):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.normal(size=(60, 2))
    model = MLPRegressor(
        hidden_layer_sizes=(4,), activation="tanh", solver=solver, alpha=0.5, max_iter=4, random_state=0
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    penalty = 0.5 / 2 * sum((weights**2).sum() for weights in model.coefs_) / 60
    assert model.loss_ == pytest.approx(((model.predict(X) - y) ** 2).mean() / 2 + penalty)


def test_lm_classifies_and_goes_on():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2))
    for labels in (np.where(X[:, 0] * X[:, 1] > 0, "same", "other"), np.digitize(X[:, 0] ** 2 + X[:, 1] ** 2, [1, 3])):
        model = MLPClassifier((8,), activation="tanh", solver="lm", alpha=1e-2, random_state=0, max_iter=50).fit(
            X, labels
        )
        assert model.score(X, labels) > 0.95
    model = MLPClassifier((8,), activation="tanh", solver="lm", warm_start=True, max_iter=3, random_state=0)
    with pytest.warns(ConvergenceWarning):
        first = model.fit(X, labels).loss_
    with pytest.warns(ConvergenceWarning):
        assert model.fit(X, labels).loss_ < first
    assert model.n_iter_ == 3


def test_what_lm_cannot_do_is_said():
    X, y = np.zeros((10, 2)), np.arange(10.0)
    with pytest.raises(ValueError, match="solver is 'lm': loss Huber behind Identity has no residuals"):
        MLPRegressor("huber", solver="lm").fit(X, y)
    with pytest.raises(ValueError, match="solver is 'lm': .*for 5,000 parameters at most"):
        MLPRegressor(hidden_layer_sizes=(100, 100), solver="lm").fit(X, y)
    with pytest.raises(ValueError, match="dropout is 0.5 and solver is 'lm'"):
        MLPRegressor(dropout=0.5, solver="lm").fit(X, y)
    with pytest.raises(ValueError, match="validation is given and solver is 'lm'"):
        MLPRegressor(solver="lm").fit(X, y, validation=(X, y))
    with pytest.raises(AttributeError, match="partial_fit"):
        MLPRegressor(solver="lm").partial_fit  # noqa: B018
