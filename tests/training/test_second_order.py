"""LBFGS and LevenbergMarquardt: known bottoms, other libraries' fits, what broke others, and what is refused."""

from __future__ import annotations

import copy
import os
import pickle
import re
import signal
import threading

import numpy as np
import pytest
from scipy.optimize import least_squares, minimize

from nineline import (
    LBFGS,
    Adam,
    DivergenceError,
    Dropout,
    EarlyStopping,
    Embedding,
    Layer,
    LevenbergMarquardt,
    Network,
    Residual,
    Trainer,
    files,
)
from nineline.activations import Identity
from nineline.engines import native
from nineline.engines.contract import Measured, Rule, Trial
from nineline.training.lbfgs import LBFGSEngine, Pair, Point, multiply_by_inverse_hessian, wolfe_search
from nineline.training.levenberg_marquardt import LevenbergMarquardtEngine

NO_NATIVE = pytest.mark.skipif(
    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
    reason="the native engine was not built, or is turned off",
)
ENGINES = ["reference", pytest.param("native", marks=NO_NATIVE)]
METHODS = [LBFGS(), LevenbergMarquardt(), LevenbergMarquardt(bayesian=True)]

x = np.linspace(-1, 1, 41).reshape(-1, 1)
SINE = x, np.sin(np.pi * x)
XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float), np.array([[0], [1], [1], [0]], float)


def tanh(*sizes, rng=0, dtype="float64", output="identity"):
    return Network(*sizes, activation="tanh", output=output, bias=True, rng=rng, dtype=dtype)


def train(network, X, y, optimizer, epochs=200, loss="squared_error", **options):
    return network.train(X, y, epochs=epochs, loss=loss, optimizer=optimizer, **options)


# Bottoms that are known: functions of two numbers, in the place of an engine


class Function:
    """An engine whose loss is a function of the parameters: half the squares of residuals, and their derivatives."""

    name, seed = "reference", 0

    def __init__(self, network, residuals):
        self.network, self.residuals = network, residuals
        self.scaling = np.zeros(2)
        self.size = 2

    def _at(self, p):
        residuals, jacobian = self.residuals(p.astype(float))
        return float(residuals @ residuals) / 2, jacobian.T @ residuals, jacobian.T @ jacobian

    def gradient(self, rows, into, loss=None):
        value, into[...], _ = self._at(self.network.parameters)
        return value

    def curvature(self, rows):
        return self

    def measure(self, decay):
        self.point = self.network.parameters.copy()
        loss, self.slope, self.matrix = self._at(self.point)
        np.maximum(self.scaling, self.matrix.diagonal(), out=self.scaling)
        return Measured(loss, float(self.point @ self.point), float(np.abs(self.slope).max()))

    def step(self, damping, decay):
        damped = damping * np.maximum(self.scaling, self.scaling.mean())
        step = np.linalg.solve(self.matrix + np.diag(damped), -self.slope)
        self.network.parameters[...] = self.point + step
        foreseen = float(step @ (damped * step - self.slope)) / 2
        return Trial(foreseen, self._at(self.network.parameters)[0], 0.0)

    def back(self):
        self.network.parameters[...] = self.point


def parabola(p):
    return np.array([p[0] - 3, 2 * (p[1] + 1)]), np.array([[1.0, 0], [0, 2]])


def rosenbrock(p):
    return np.array([1 - p[0], 10 * (p[1] - p[0] ** 2)]), np.array([[-1.0, 0], [-20 * p[0], 10]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("optimizer", "residuals", "start", "bottom", "steps"),
    [
        (LBFGS(), parabola, [-2, 2], [3, -1], 20),
        (LBFGS(), rosenbrock, [-1.2, 1], [1, 1], 60),
        (LBFGS(1), rosenbrock, [-1.2, 1], [1, 1], 100),
        (LevenbergMarquardt(), parabola, [-2, 2], [3, -1], 8),
        (LevenbergMarquardt(), rosenbrock, [-1.2, 1], [1, 1], 40),
        (LevenbergMarquardt(damping=100.0), rosenbrock, [-1.2, 1], [1, 1], 60),
    ],
    ids=lambda each: getattr(each, "__name__", repr(each)),
)
def test_finds_the_bottom(optimizer, residuals, start, bottom, steps, dtype):
    if dtype == "float32" and isinstance(optimizer, LevenbergMarquardt):
        dtype = "float64"  # in which it computes, whatever the network's
    network = Network(2, 1, dtype=dtype)
    network.parameters = start
    engine, rule = Function(network, residuals), Rule("squared_error", optimizer)
    if isinstance(optimizer, LBFGS):
        method = LBFGSEngine(engine, network, rule)
    else:
        method = LevenbergMarquardtEngine(lambda _: engine, network, rule)
    rows = network.check_rows([[0, 0]], [[0]])
    losses = method.steps(rows, None, 1, np.ones(steps))
    np.testing.assert_allclose(network.parameters, bottom, atol=1e-3 if dtype == "float32" else 1e-6)
    assert (np.diff(losses) <= 0).all()
    assert method.converged or len(losses) == steps


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_linear_network_is_least_squares_in_a_step_or_two(weighted, engine):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 4)), rng.normal(size=(60, 3))
    weights = rng.integers(0, 4, 60).astype(float) if weighted else None
    network = Network(Layer(4, 3, "identity", bias=True), rng=1)
    history = train(network, X, Y, LevenbergMarquardt(1e-12), epochs=3, sample_weight=weights, engine=engine)
    root = np.sqrt(np.ones(60) if weights is None else weights)[:, np.newaxis]
    truth = np.linalg.lstsq(root * np.hstack([X, np.ones((60, 1))]), root * Y, rcond=None)[0]
    np.testing.assert_allclose(network.layers[0].weights, truth[:4], atol=1e-10)
    np.testing.assert_allclose(network.layers[0].bias, truth[4], atol=1e-10)
    assert history.epochs <= 3


@pytest.mark.parametrize("engine", ENGINES)
def test_ridge_regression_by_l2(engine):
    """``mean((y - Xw)**2) / 2 + l2 / 2 * w'w`` has a solution that can be written down."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 4)), rng.normal(size=(50, 1))
    truth = np.linalg.solve(X.T @ X / 50 + 0.3 * np.eye(4), X.T @ y / 50)
    for optimizer, epochs in [(LevenbergMarquardt(1e-12), 3), (LBFGS(tolerance=1e-12), 100)]:
        network = Network(4, 1, output="identity", rng=1)
        train(network, X, y, optimizer, epochs=epochs, l2=0.3, engine=engine)
        np.testing.assert_allclose(network.layers[0].weights, truth, atol=1e-9)


def test_the_two_sweeps_multiply_by_the_inverse_hessian():
    """Of a quadratic of n dimensions, after n steps along conjugate directions, it is the inverse itself."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    hessian = root @ root.T + np.eye(5)
    values, vectors = np.linalg.eigh(hessian)
    pairs = [Pair.of(vector, hessian @ vector) for vector in vectors.T]
    gradient = rng.normal(size=5)
    np.testing.assert_allclose(
        multiply_by_inverse_hessian(pairs, gradient), np.linalg.solve(hessian, gradient), rtol=1e-10
    )
    assert values.min() > 0


@pytest.mark.parametrize("first", [1e-6, 0.1, 1.0, 30.0, 1e6])
@pytest.mark.parametrize(
    ("value", "slope"),
    [
        (lambda t: -t / (t * t + 2), lambda t: (t * t - 2) / (t * t + 2) ** 2),  # Moré and Thuente's first
        (lambda t: (t - 3) ** 2, lambda t: 2 * (t - 3)),
        (lambda t: np.log1p((t - 2) ** 2) if t < 1e3 else np.nan, lambda t: 2 * (t - 2) / (1 + (t - 2) ** 2)),
    ],
)
def test_the_search_keeps_wolfes_strong_conditions(value, slope, first):
    def look(length):
        return Point(length, float(value(length)), float(slope(length)), np.zeros(1))

    start = look(0.0)
    found = wolfe_search(look, start, first)
    assert found is not None
    assert found.loss <= start.loss + 1e-4 * found.length * start.slope
    assert abs(found.slope) <= 0.9 * abs(start.slope)


def test_where_the_looks_run_out_a_lower_point_will_do():
    """Moré and Thuente's second function: hardly any slope at the start, a steep valley far away."""

    def look(length):
        t = length + 0.004
        return Point(length, t**5 - 2 * t**4, 5 * t**4 - 8 * t**3, np.zeros(1))

    found = wolfe_search(look, look(0.0), 1e-6)
    assert found is not None
    assert found.loss < -2.5  # the lowest is -2.62


def test_a_search_uphill_finds_nothing():
    assert (
        wolfe_search(lambda t: Point(t, t + 1e-9 * t, 1.0, np.zeros(1)), Point(0.0, 0.0, -1.0, np.zeros(1)), 1.0)
        is None
    )


# Other libraries' fits, from the same start


def fits():
    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, (80, 2))
    plane = rng.uniform(-2, 2, (60, 3))
    both = np.hstack([np.tanh(plane @ [[1.0], [-1], [0.5]]), plane[:, :1] * plane[:, 1:2]])
    return {
        "sine": ((1, 5, 1), *SINE),
        "parity": ((2, 6, 1), *XOR),
        "bowl": ((2, 6, 1), X, (X**2).sum(axis=1, keepdims=True)),
        "noisy wave": ((2, 8, 1), X, np.sin(3 * X[:, :1]) * X[:, 1:] + rng.normal(0, 0.05, (80, 1))),
        "two outputs": ((3, 5, 2), plane, both + rng.normal(0, 0.05, (60, 2))),
    }


def exact_jacobian(network, X):
    """Return a function from the parameters of an n-h-m network to d outputs / d parameters, written out."""
    first, second = network.layers

    def jacobian(parameters):
        network.parameters = parameters
        hidden, columns = np.tanh(X @ first.weights + first.bias), []
        for output in range(network.n_outputs):
            delta = (1 - hidden**2) * second.weights[:, output]
            weights = np.zeros((len(X), *second.weights.shape))
            weights[:, :, output] = hidden
            bias = np.tile(np.eye(network.n_outputs)[output], (len(X), 1))
            outer = (X[:, :, np.newaxis] * delta[:, np.newaxis]).reshape(len(X), -1)
            columns.append(np.hstack([outer, delta, weights.reshape(len(X), -1), bias]))
        return np.stack(columns, axis=1).reshape(len(X) * network.n_outputs, -1)

    return jacobian


@pytest.mark.parametrize("name", fits())
def test_beside_scipys_levenberg_marquardt(name):
    """In the median of 20 starts, the loss after 500 iterations is SciPy's within 1 % or lower."""
    sizes, X, Y = fits()[name]
    ours, theirs = [], []
    for seed in range(20):
        network = tanh(*sizes, rng=seed)
        other = network.copy()

        def residuals(parameters, other=other):
            other.parameters = parameters
            return (other.run(X) - Y).ravel()

        method = "lm" if len(network.parameters) <= Y.size else "trf"  # "lm" takes no fewer residuals than parameters
        ends = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15, "max_nfev": 500}
        start = network.parameters.copy()
        theirs.append(least_squares(residuals, start, exact_jacobian(other, X), method=method, **ends).cost / len(X))
        train(network, X, Y, LevenbergMarquardt(min_gradient=0), epochs=500)
        ours.append(Trainer(network, loss="squared_error").evaluate(X, Y))
    assert np.median(ours) <= 1.01 * np.median(theirs) + 1e-12


@pytest.mark.parametrize("name", ["bowl", "noisy wave"])
def test_beside_scipys_lbfgs(name):
    sizes, X, Y = fits()[name]
    ours, theirs = [], []
    for seed in range(10):
        network = tanh(*sizes, rng=seed)
        trainer = Trainer(network.copy(), loss="squared_error")

        def loss_and_gradient(parameters, trainer=trainer):
            trainer.network.parameters = parameters
            return trainer.gradient(X, Y)

        found = minimize(
            loss_and_gradient, network.parameters.copy(), jac=True, method="L-BFGS-B", options={"maxiter": 150}
        )
        theirs.append(found.fun)
        history = train(network, X, Y, LBFGS(tolerance=0), epochs=150)
        ours.append(history.loss[-1])
    assert np.median(ours) <= 1.2 * np.median(theirs)


# One mathematics


@pytest.mark.parametrize(
    "optimizer", [LBFGS(), LBFGS(3), LevenbergMarquardt(), LevenbergMarquardt(bayesian=True)], ids=repr
)
@pytest.mark.parametrize(("loss", "output"), [("squared_error", "identity"), ("cross_entropy", "softmax")])
@NO_NATIVE
def test_both_engines_go_the_same_way(loss, output, optimizer):
    """For some iterations: later on rounding decides between one damping and the next."""
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(60, 3)), rng.integers(2, size=60)
    Y = np.eye(2)[labels] if loss == "squared_error" else labels
    ends = {}
    for engine in ("reference", "native"):
        network = tanh(3, 6, 2, output=output)
        history = train(network, X, Y, optimizer, epochs=6, loss=loss, engine=engine)
        assert history.engine == engine
        ends[engine] = network.parameters, history.loss, history.damping, history.effective_parameters
    for a, b in zip(*ends.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


@NO_NATIVE
@pytest.mark.parametrize("optimizer", METHODS, ids=repr)
def test_the_same_bits_for_any_number_of_threads(optimizer):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(600, 8)), rng.normal(size=(600, 2))
    ends = []
    for threads in (1, 2, 3):
        network = tanh(8, 12, 2)
        train(network, X, Y, optimizer, epochs=6, threads=threads)
        ends.append(network.parameters)
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[0], ends[2])


# What a training has


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", [LBFGS(goal=1e-3), LevenbergMarquardt(goal=1e-3)], ids=repr)
def test_a_goal_and_a_name(optimizer, dtype):
    network = tanh(1, 5, 1, dtype=dtype)
    history = train(network, *SINE, optimizer)
    assert history.stopped == "the goal of 0.001 is reached"
    assert history.loss[-1] <= 1e-3 < history.loss[-2]
    assert history.epochs == history.steps == len(history.learning_rate) == len(history.seconds) < 200
    assert Trainer(network, loss="squared_error").evaluate(*SINE) == pytest.approx(history.loss[-1], rel=1e-4)
    assert network.dtype == dtype
    by_name = train(tanh(1, 5, 1), *SINE, optimizer.name, epochs=30)
    assert by_name.loss[-1] < 0.1 * by_name.loss[0]


def test_every_end_is_said():
    said = {
        "no entry of the gradient is larger than 0.5": LevenbergMarquardt(min_gradient=0.5),
        "all 3 epochs done": LevenbergMarquardt(),
    }
    for text, optimizer in said.items():
        epochs = 3 if text.startswith("all") else 3000
        assert train(tanh(2, 2, 1), *XOR, optimizer, epochs=epochs).stopped == text
    rng = np.random.default_rng(0)
    line, points = Network(3, 1, output="identity", bias=True, rng=0), (rng.normal(size=(20, 3)), rng.normal(size=20))
    history = train(
        line, *points, LevenbergMarquardt(max_damping=1.0, min_gradient=0)
    )  # at the bottom but for rounding
    assert history.stopped == "no damping up to 1 has a step that lowers the loss"
    assert train(tanh(1, 5, 1), *SINE, LBFGS(tolerance=0.01)).stopped == "no entry of the gradient is larger than 0.01"
    history = train(Network(1, 1, output="identity", bias=True, rng=0), *SINE, LBFGS(tolerance=0), epochs=500)
    assert history.stopped == "no step along the gradient lowers the loss any more"
    noisy = SINE[1] + np.random.default_rng(0).normal(0, 0.1, SINE[1].shape)
    history = train(tanh(1, 5, 1), x, noisy, LevenbergMarquardt(bayesian=True), epochs=1000)
    assert re.fullmatch(r"the effective number of parameters has settled at [\d.]+", history.stopped)


def test_the_history_has_the_damping():
    history = train(tanh(1, 5, 1), *SINE, LevenbergMarquardt(), epochs=20)
    assert len(history.damping) == 20
    assert all(0 < each < 1e3 for each in history.damping)
    assert history.effective_parameters == history.l2 == []
    assert "damping" in history.columns
    assert "damping" in repr(history)
    assert history.to_frame()["damping"].to_list() == history.damping
    assert "damping" not in train(tanh(1, 5, 1), *SINE, Adam(), epochs=3).columns


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_validation_stopping_and_the_best_point(method):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (30, 1))
    Y = np.sin(3 * X) + rng.normal(0, 0.4, (30, 1))
    held = rng.uniform(-1, 1, (200, 1))
    network = tanh(1, 20, 1)
    validation = held, np.sin(3 * held)
    history = train(network, X, Y, method, validation=validation, stop=EarlyStopping(6), epochs=400)
    assert len(history.validation_loss) == history.epochs
    assert history.restored
    assert Trainer(network, loss="squared_error").evaluate(*validation) == pytest.approx(history.best_validation_loss)


def test_the_best_training_loss_is_that_of_the_network():
    network = tanh(1, 5, 1)
    history = train(network, *SINE, LevenbergMarquardt(goal=1e-3), stop=5)
    assert history.restored
    assert Trainer(network, loss="squared_error").evaluate(*SINE) == pytest.approx(min(history.loss))


def test_callbacks_and_reports(capsys):
    seen = []
    history = train(
        tanh(1, 5, 1), *SINE, "lbfgs", report_every=2, on_epoch=lambda epoch: seen.append(epoch.loss) or len(seen) == 5
    )
    assert history.epochs == 5
    assert seen == history.loss
    assert capsys.readouterr().out.count("Epoch") == 3


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_ctrl_c_keeps_the_network_where_it_was(method, engine):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(3000, 10)), rng.normal(size=(3000, 1))
    network = tanh(10, 30, 1)
    first = Trainer(network, loss="squared_error").evaluate(X, Y)
    timer = threading.Timer(0.4, lambda: signal.raise_signal(signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may ignore it
    try:
        timer.start()
        history = train(network, X, Y, method, epochs=1_000_000, engine=engine)
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)
    assert history.stopped.startswith("interrupted") or history.stopped.startswith(("the effective", "no "))
    assert np.isfinite(network.parameters).all()
    assert Trainer(network, loss="squared_error").evaluate(X, Y) <= first


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_trainer_steps_undoes_saves_and_goes_on(method, tmp_path):
    trainer = Trainer(tanh(1, 5, 1), loss="squared_error", optimizer=method)
    first = [trainer.step(*SINE) for _ in range(4)]
    assert first[-1] < first[0]
    here, parameters = trainer.snapshot(), trainer.network.parameters.copy()
    trainer.save(tmp_path / "run.nineline")
    pickled = pickle.dumps(trainer)
    copied = copy.deepcopy(trainer)
    again = [trainer.step(*SINE) for _ in range(3)]
    trainer.undo()
    assert trainer.steps_taken == 6
    assert trainer.step(*SINE) == again[-1]
    trainer.undo()
    with pytest.raises(RuntimeError, match="there is no step to take back"):
        trainer.undo()
    trainer.restore(here)
    np.testing.assert_array_equal(trainer.network.parameters, parameters)
    for other in (trainer, Trainer.load(tmp_path / "run.nineline"), pickle.loads(pickled), copied):
        assert other.rule.optimizer == method
        assert [other.step(*SINE) for _ in range(3)] == again


def test_a_step_begins_where_the_network_is():
    """Whoever has changed the parameters in between."""
    for method in METHODS:
        trainer = Trainer(tanh(1, 5, 1), loss="squared_error", optimizer=method)
        first = trainer.step(*SINE)
        trainer.network.parameters = tanh(1, 5, 1).parameters
        assert trainer.step(*SINE) == pytest.approx(first)


def test_a_truncated_memory_in_a_file_is_refused(tmp_path):
    trainer = Trainer(tanh(1, 5, 1), loss="squared_error", optimizer=LevenbergMarquardt())
    trainer.step(*SINE)
    trainer.save(tmp_path / "run.nineline")
    header, arrays = files.read(tmp_path / "run.nineline", files.TRAINER)
    content = {name: header[name] for name in ("network", "rule", "training")}
    for wrong in (
        {},
        {**content["training"]["numbers"], "damping": "much"},
        {**content["training"]["numbers"], "l2": None},
    ):
        content["training"] = {**content["training"], "numbers": wrong}
        files.write(tmp_path / "other.nineline", files.TRAINER, content, arrays)
        with pytest.raises(files.FileError, match="holds no valid training"):
            Trainer.load(tmp_path / "other.nineline")


# Bayesian regularisation


def test_effective_parameters_settle_far_below_all_of_them():
    """A straight line with noise needs few of the parameters of 1-20-1, and is not followed through its noise."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (60, 1))
    Y = 0.8 * X + rng.normal(0, 0.1, (60, 1))
    network, free = tanh(1, 20, 1), tanh(1, 20, 1)
    history = train(network, X, Y, LevenbergMarquardt(bayesian=True), epochs=500)
    train(free, X, Y, LevenbergMarquardt(), epochs=500)
    assert history.effective_parameters[-1] < 8 < 61 == len(network.parameters)
    assert len(history.effective_parameters) == len(history.l2) == history.epochs
    held = rng.uniform(-1, 1, (500, 1))
    error, overfitted = (np.sqrt(((each.run(held) - 0.8 * held) ** 2).mean()) for each in (network, free))
    assert error < 0.04 < overfitted
    sigma = np.sqrt(2 * history.loss[-1] * 60 / (60 - history.effective_parameters[-1]))
    assert sigma == pytest.approx(0.1, rel=0.2)  # the noise that it finds


def test_bayesian_regularisation_is_ridge_by_its_own_evidence():
    """For a linear network the fixed point is MacKay's: l2 = g / (m - g) * 2 * loss / w'w, at the ridge solution."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6))
    y = X @ [[1.0], [-0.5], [0.3], [0.1], [0], [0]] + rng.normal(size=(40, 1))
    network = Network(6, 1, output="identity", rng=1)
    history = train(network, X, y, LevenbergMarquardt(bayesian=True), epochs=2000)
    l2, effective = history.l2[-1], history.effective_parameters[-1]
    matrix = X.T @ X / 40
    w = np.linalg.solve(matrix + l2 * np.eye(6), X.T @ y / 40)
    np.testing.assert_allclose(network.layers[0].weights, w, rtol=2e-2, atol=1e-3)
    values = np.linalg.eigvalsh(matrix)
    assert effective == pytest.approx((values / (values + l2)).sum(), rel=0.02)
    loss = ((X @ w - y) ** 2).mean() / 2
    assert l2 == pytest.approx(effective / (40 - effective) * 2 * loss / (w**2).sum(), rel=0.05)


def test_bayesian_with_more_parameters_than_rows_and_with_classes():
    history = train(tanh(2, 12, 1), *XOR, LevenbergMarquardt(bayesian=True), epochs=100)
    assert all(0 < each <= 4 for each in history.effective_parameters)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    labels = (X[:, 0] * X[:, 1] > 0).astype(int)
    network = tanh(2, 8, 2, output="softmax")
    history = train(network, X, labels, LevenbergMarquardt(bayesian=True), epochs=200, loss="cross_entropy")
    assert (network.run(X).argmax(axis=1) == labels).mean() > 0.95
    assert 0 < history.effective_parameters[-1] < len(network.parameters)


# What broke others


@pytest.mark.parametrize("engine", ENGINES)
def test_xor_with_more_weights_than_rows(engine):
    learned = 0
    for seed in range(10):
        network = tanh(2, 5, 1, rng=seed)
        history = train(network, *XOR, LevenbergMarquardt(goal=1e-6), engine=engine)
        assert np.isfinite(network.parameters).all()
        learned += history.loss[-1] <= 1e-6
    assert learned >= 9


@pytest.mark.parametrize("method", [LBFGS(), LevenbergMarquardt()], ids=repr)
def test_constant_and_equal_columns_and_dead_relus(method):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6543, 19))
    X[:, 3], X[:, 7] = 2.5, X[:, 6]
    Y = X[:, :1] * X[:, 1:2] + np.abs(X[:, 2:3])
    network = Network(19, 12, 1, activation="relu", output="identity", bias=True, rng=0)
    network.layers[0].bias[:3] = -1e3
    dead = network.layers[0].weights[:, :3].copy()
    history = train(network, X, Y, method, epochs=15)
    assert np.isfinite(network.parameters).all()
    assert history.loss[-1] < 0.5 * history.loss[0]
    np.testing.assert_array_equal(network.layers[0].weights[:, :3], dead)


@pytest.mark.parametrize("method", [LBFGS(), LevenbergMarquardt(), LevenbergMarquardt(bayesian=True)], ids=repr)
@pytest.mark.parametrize("output", ["sigmoid", "identity"])
def test_inputs_and_targets_that_are_not_scaled(output, method):
    """x = 0 ... 9,999 and y = x², behind a sigmoid, which cannot reach it, and behind none."""
    inputs = np.arange(10_000.0).reshape(-1, 1)
    network = tanh(1, 6, 1, output=output)
    history = train(network, inputs, inputs**2, method, epochs=20)
    assert np.isfinite(network.parameters).all()
    assert history.loss[-1] <= history.loss[0]
    assert history.stopped


def test_millions_of_weights_are_refused_with_what_they_would_take():
    network = Network(784, 5000, 1500, 10, activation="tanh", output="identity", rng=0, dtype="float32")
    count = len(network.parameters)
    text = (
        f"{count:,} parameters, whose matrix J'J would take {8 * count**2:,} bytes; it is for 5,000 parameters at most"
    )
    before = network.parameters[:5].copy()
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        train(network, np.zeros((4, 784)), np.zeros((4, 10)), LevenbergMarquardt())
    assert "optimizer='lbfgs'" in str(caught.value)
    np.testing.assert_array_equal(network.parameters[:5], before)


@pytest.mark.parametrize("scale", [10.0, 1e3])
def test_outputs_of_different_scale(scale):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (200, 2))
    Y = np.hstack([np.sin(3 * X[:, :1]) / scale, scale * X[:, 1:] ** 2])
    network = tanh(2, 12, 2)
    history = train(network, X, Y, LevenbergMarquardt(min_gradient=0), epochs=300)
    unexplained = ((network.run(X) - Y) ** 2).mean(axis=0) / Y.var(axis=0)
    assert np.isfinite(unexplained).all()
    assert history.loss[-1] < history.loss[0]
    if scale == 10:
        assert (unexplained < 1e-2).all()


@pytest.mark.parametrize("method", [LBFGS(), LevenbergMarquardt()], ids=repr)
def test_weights_are_repetitions_and_0_is_none(method):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 2)), rng.normal(size=(40, 1))
    times = rng.integers(0, 4, 40)
    weighted, repeated = tanh(2, 4, 1), tanh(2, 4, 1)
    a = train(weighted, X, Y, method, epochs=5, sample_weight=times)
    b = train(repeated, np.repeat(X, times, axis=0), np.repeat(Y, times, axis=0), method, epochs=5)
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-9)
    np.testing.assert_allclose(weighted.parameters, repeated.parameters, rtol=1e-6)
    Y[times == 0] = 1e9  # what counts nothing is not looked at
    c = train(tanh(2, 4, 1), X, Y, method, epochs=5, sample_weight=times)
    np.testing.assert_allclose(a.loss, c.loss, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_frozen_layers_hold_still(method):
    network = Network(Layer(2, 4, "tanh", bias=True, trainable=False), Layer(4, 1, "identity", bias=True), rng=0)
    before = network.layers[0].weights.copy()
    history = train(network, *XOR, method, epochs=20)
    np.testing.assert_array_equal(network.layers[0].weights, before)
    assert history.loss[-1] < history.loss[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_learns_is_taken_note_of_when_a_trainer_is_made(engine):
    network = Network(Layer(2, 4, "tanh", bias=True), Layer(4, 1, "identity", bias=True), rng=0)
    trainer = Trainer(network, loss="squared_error", optimizer=LevenbergMarquardt(), engine=engine)
    network.layers[0].trainable = False
    before = network.layers[0].weights.copy()
    assert trainer.step(*XOR) > trainer.step(*XOR)
    assert not np.array_equal(network.layers[0].weights, before)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_loss_that_is_not_finite(method):
    network = Network(2, 3, 1, activation="exponential", output="identity", rng=0)
    before = network.parameters.copy()
    with pytest.raises(DivergenceError, match="the loss became"):
        train(network, np.full((3, 2), 1e5), np.zeros((3, 1)), method)
    np.testing.assert_array_equal(network.parameters, before)


def test_any_loss_by_lbfgs():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    Y = np.abs(X[:, :1])
    for loss in ("absolute_error", "huber", "quantile"):
        history = train(tanh(3, 8, 1), X, Y, "lbfgs", loss=loss, epochs=60)
        assert history.loss[-1] < 0.5 * history.loss[0]
    counts = Network(3, 8, 1, activation="tanh", output="softplus", bias=True, rng=0)
    history = train(counts, X, np.round(Y), "lbfgs", loss="poisson", epochs=60)
    assert history.loss[-1] < history.loss[0]


@pytest.mark.parametrize("method", [LBFGS(), LevenbergMarquardt()], ids=repr)
def test_a_loss_below_0_is_no_goal(method):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    Y = rng.poisson(np.exp(2 + X[:, :1]))
    network = Network(2, 4, 1, activation="tanh", output="exponential", bias=True, rng=0)
    history = train(network, X, Y, method, loss="poisson", epochs=500)
    assert history.epochs > 10
    assert np.corrcoef(network.run(X)[:, 0], np.exp(2 + X[:, 0]))[0, 1] > 0.95


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bad_batch_leaves_the_method_as_it_was(engine):
    network = Network(1, 3, 1, activation="tanh", output="exponential", bias=True, rng=0)
    trainer = Trainer(network, loss="squared_error", optimizer=LevenbergMarquardt(), engine=engine)
    first = trainer.step(x, np.abs(x))
    with pytest.raises(DivergenceError) as caught:
        trainer.step(x, 1e300 * x)
    assert "learning rate" not in str(caught.value)
    assert trainer.step(x, np.abs(x)) < first
    assert trainer.step(x, np.abs(x)) < first


def test_levels_that_change_under_a_training_are_found():
    X = np.random.default_rng(0).integers(3, size=(50, 1)).astype(float)
    network = Network(Embedding(3, 2), Layer(2, 1, "identity"), rng=0)
    trainer = Trainer(network, loss="squared_error", optimizer=LevenbergMarquardt())
    rows = trainer.check(X, X)
    trainer.engine.steps(rows, None, 50, np.ones(1))
    rows.inputs[...] = 1e6
    with pytest.raises((ValueError, IndexError)):
        trainer.engine.steps(rows, None, 50, np.ones(1))


# What is refused, before anything has changed


@pytest.mark.parametrize("method", [LBFGS(), LevenbergMarquardt()], ids=repr)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 10}, "batch_size is 10 and optimizer is {name}, which takes all rows at each step; leave"),
        (
            {"schedule": "cosine"},
            "schedule is Cosine(final=0.0) and optimizer is {name}, which has no learning rate; leave",
        ),
        ({"clip_norm": 1.0}, "clip_norm is 1 and optimizer is {name}, which finds the length of a step itself"),
    ],
)
def test_what_has_no_meaning_is_refused(options, message, method):
    network = tanh(1, 5, 1)
    before = network.parameters.copy()
    with pytest.raises(ValueError, match=re.escape(message.format(name=type(method).__name__))):
        train(network, *SINE, method, **options)
    np.testing.assert_array_equal(network.parameters, before)
    assert train(network, *SINE, method, epochs=3, batch_size=41).epochs == 3  # that is all rows


def test_batches_are_refused_by_a_trainer_too():
    trainer = Trainer(tanh(1, 5, 1), loss="squared_error", optimizer="lbfgs")
    with pytest.raises(ValueError, match="batch_size is 10 and optimizer is LBFGS"):
        trainer.steps(*SINE, batch_size=10)
    loss, gradient = trainer.gradient(*SINE)
    assert loss > 0
    for call in (lambda: trainer.move(gradient), lambda: trainer.step_from(x, -x)):
        with pytest.raises(TypeError, match="optimizer is LBFGS, which needs the rows for a step"):
            call()
    with pytest.raises(TypeError, match="LBFGS needs the rows for a step"):
        LBFGS().step(gradient, gradient, 1.0, None)


@pytest.mark.parametrize("method", [LBFGS(), LevenbergMarquardt()], ids=repr)
def test_dropout_is_refused(method):
    for layers in [(Dropout(0.2),), (Residual(Dropout(0.1), Layer(3, 3)),)]:
        network = Network(*layers, Layer(3, 1, Identity()), rng=0)
        with pytest.raises(ValueError, match="the network has Dropout.*the loss may not change"):
            Trainer(network, loss="squared_error", optimizer=method)
    Trainer(Network(Dropout(0.0), Layer(3, 1, Identity())), loss="squared_error", optimizer=method)  # which is none


def test_what_levenberg_marquardt_cannot_do_is_refused():
    for loss, output in [("huber", "identity"), ("poisson", "softplus"), ("absolute_error", "tanh")]:
        with pytest.raises(ValueError, match=r"has no residuals for LevenbergMarquardt.*optimizer='lbfgs'"):
            train(tanh(1, 2, 1, output=output), x, np.abs(x), LevenbergMarquardt(), loss=loss)
    with pytest.raises(ValueError, match=r"l1 is 0.1 and optimizer is LevenbergMarquardt"):
        train(tanh(1, 2, 1), *SINE, LevenbergMarquardt(), l1=0.1)
    frozen = Network(Layer(2, 80, trainable=False), Layer(80, 60, trainable=False), Layer(60, 1, "identity"), rng=0)
    train(frozen, *XOR, LevenbergMarquardt(), epochs=2)  # of 5,000 parameters and more 60 learn
    for layer in frozen.layers:
        layer.trainable = False
    with pytest.raises(ValueError, match="no layer of the network is trainable"):
        train(frozen, *XOR, LevenbergMarquardt())
    for call in (Trainer.step, Trainer.steps):
        with pytest.raises(ValueError, match="learning_rate is 0.1 and optimizer is LBFGS, which has no learning rate"):
            call(Trainer(tanh(1, 2, 1), optimizer="lbfgs"), *SINE, learning_rate=0.1)
    with pytest.raises(ValueError, match="l2 is 0.1 and bayesian is True"):
        train(tanh(1, 2, 1), *SINE, LevenbergMarquardt(bayesian=True), l2=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LBFGS(0), "memory is 0"),
        (lambda: LBFGS(tolerance=-1), "tolerance is -1"),
        (lambda: LBFGS(goal=float("nan")), "goal is nan"),
        (lambda: LevenbergMarquardt(0), "damping is 0"),
        (lambda: LevenbergMarquardt(min_gradient=-1), "min_gradient is -1"),
        (lambda: LevenbergMarquardt(1.0, max_damping=0.5), "max_damping is 0.5; expected a finite number in [1, inf)"),
    ],
)
def test_wrong_constants_are_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_settings_are_values():
    assert LBFGS(5) == LBFGS(5) != LBFGS(6)
    assert repr(LBFGS()) == "LBFGS(memory=10, tolerance=1e-06, goal=None)"
    assert eval(repr(LevenbergMarquardt(bayesian=True))) == LevenbergMarquardt(bayesian=True)
    assert LBFGS().learning_rate == 1.0
    with pytest.raises(AttributeError):
        LBFGS().memory = 3
    assert pickle.loads(pickle.dumps(LBFGS(7))) == LBFGS(7)
