"""Training: what the loop counts, reports, stops for and puts back, held against steps written out by hand."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

from nineline import Adam, DivergenceError, Dropout, EarlyStopping, GradientDescent, Layer, Loss, Network
from nineline.losses import SquaredError
from nineline.training.loop import Loop

rng = np.random.default_rng(0)
X = rng.normal(size=(10, 3))
Y = X @ [[1.0], [-2.0], [0.5]] + 0.3


def linear(dtype="float64", seed=0):
    return Network(3, 1, output="identity", bias=True, rng=seed, dtype=dtype)


def deep(seed=0):
    return Network(Layer(3, 8, "tanh", bias=True), Dropout(0.3), Layer(8, 1, "identity", bias=True), rng=seed)


class Spy(Loss):
    """The mean squared error, which remembers the targets of every batch that is learned from or measured."""

    def __init__(self):
        super().__init__()
        self.learned, self.measured = [], []

    def value(self, outputs, targets):
        self.measured.append(targets.ravel().tolist())
        return ((outputs - targets) ** 2).sum(axis=1) / 2

    def gradient(self, outputs, targets):
        self.learned.append(targets.ravel().tolist())
        return outputs - targets


def loss_of(network, inputs=X, targets=Y):
    return float(((network.run(inputs) - targets) ** 2).mean() / 2)


class Trail:
    """Remembers the parameters after every epoch."""

    def __init__(self):
        self.parameters = []

    def __call__(self, epoch):
        self.parameters.append(epoch.network.parameters.copy())


# Steps by hand


def by_hand(w, b, rows, rate=0.1, l1=0.0, l2=0.0, clip=None):
    """Return loss, weights and bias of one step of gradient descent on half the mean squared error."""
    x, errors = X[rows], X[rows] @ w + b - Y[rows]
    loss = (errors**2).mean() / 2 + l1 * np.abs(w).sum() + l2 / 2 * (w**2).sum()
    gradient_w = x.T @ errors / len(x) + l1 * np.sign(w) + l2 * w
    gradient_b = errors.mean(axis=0)
    if clip is not None:
        norm = np.sqrt((gradient_w**2).sum() + (gradient_b**2).sum())
        if norm > clip:
            gradient_w, gradient_b = gradient_w * clip / norm, gradient_b * clip / norm
    return loss, w - rate * gradient_w, b - rate * gradient_b


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"l1": 0.2},
        {"l2": 0.3},
        {"l1": 0.1, "l2": 0.1},
        {"clip_norm": 0.01},
        {"clip_norm": 1e6},
        {"clip_norm": 0.5, "l1": 3.0, "l2": 4.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("batch_size", [10, 4, 1])
def test_epochs_are_the_steps_by_hand(batch_size, extra):
    network = linear()
    network.layers[0].bias = [0.7]
    w, b = network.layers[0].weights.copy(), network.layers[0].bias.copy()
    options = {"l1": extra.get("l1", 0.0), "l2": extra.get("l2", 0.0), "clip": extra.get("clip_norm")}
    epoch_losses = []
    for _ in range(3):
        losses, sizes = [], []
        for start in range(0, 10, batch_size):
            rows = slice(start, start + batch_size)
            loss, w, b = by_hand(w, b, rows, **options)
            losses.append(loss)
            sizes.append(len(X[rows]))
        epoch_losses.append(np.average(losses, weights=sizes))

    how = {"epochs": 3, "batch_size": batch_size, "shuffle": False, "loss": "squared_error"}
    history = network.train(X, Y, optimizer=GradientDescent(0.1), **how, **extra)
    np.testing.assert_allclose(network.layers[0].weights, w, rtol=1e-12)
    np.testing.assert_allclose(network.layers[0].bias, b, rtol=1e-12)
    np.testing.assert_allclose(history.loss, epoch_losses, rtol=1e-12)


def test_penalties_spare_the_bias():
    network = linear()
    network.layers[0].bias = [0.7]
    before = network.parameters.copy()
    zeros = np.zeros((2, 3))
    network.train(zeros, [[0.7], [0.7]], 1, l1=0.1, l2=0.2, optimizer=GradientDescent(1.0), report_every=0)
    w = before[:3]
    np.testing.assert_allclose(network.parameters[:3], w - 0.1 * np.sign(w) - 0.2 * w, rtol=1e-14)
    assert network.parameters[3] == 0.7


def test_clip_norm_shortens_a_gradient_whose_square_is_beyond_float32():
    network = Network(1, 1, output="identity", initializer="zeros", dtype="float32")
    # The loss is 1 and its gradient -1e20; shortened to norm 1 the step is +0.5. Its square is infinite in float32.
    network.train(
        [[1e20]], [[1]], 1, loss="absolute_error", clip_norm=1, optimizer=GradientDescent(0.5), report_every=0
    )
    np.testing.assert_allclose(network.parameters, [0.5], rtol=1e-6)


# Batches and epochs


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(None, [10]), (10, [10]), (1000, [10]), (5, [5, 5]), (4, [4, 4, 2]), (9, [9, 1]), (1, [1] * 10)],
)
def test_every_epoch_takes_every_row_once(batch_size, sizes):
    spy = Spy()
    history = linear().train(X, Y, epochs=3, batch_size=batch_size, loss=spy, optimizer="adam")
    assert [len(batch) for batch in spy.learned] == sizes * 3
    orders = np.concatenate(spy.learned).reshape(3, 10)
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.sort(Y.ravel()), (3, 1)))
    assert (history.epochs, history.steps) == (3, 3 * len(sizes))
    if len(sizes) > 1:
        assert len({tuple(order) for order in orders.tolist()}) == 3
    assert [len(column) for column in history.columns.values()] == [3] * len(history.columns)


def test_without_shuffle_rows_come_in_their_order():
    spy = Spy()
    linear().train(X, Y, epochs=2, batch_size=3, shuffle=False, loss=spy)
    np.testing.assert_array_equal(np.concatenate(spy.learned), np.tile(Y.ravel(), 2))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weight", [None, [1, 0, 2, 3, 0, 0, 0, 0, 1, 5]], ids=["plain", "weighted"])
def test_an_epochs_loss_is_that_of_all_rows_whatever_the_batches(reduction, weight):
    """At a learning rate of almost nothing: the last short batch and batches of little weight count for less."""
    how = {"loss": SquaredError(reduction=reduction), "optimizer": GradientDescent(1e-300), "sample_weight": weight}
    whole = linear().train(X, Y, epochs=1, **how)
    for batch_size in (1, 4, 7):
        parts = linear().train(X, Y, epochs=1, batch_size=batch_size, **how)
        assert parts.loss == pytest.approx(whole.loss, rel=1e-12)
    factors = np.ones(10) if weight is None else np.array(weight, float)
    errors = ((linear().run(X) - Y) ** 2).ravel() / 2
    expected = (factors * errors).sum() / (factors.sum() if reduction == "mean" else 1)
    assert whole.loss[0] == pytest.approx(expected, rel=1e-12)


def test_rows_without_weight_teach_nothing():
    weight = np.array([1.0] * 5 + [0.0] * 5)
    with_them, without = linear(), linear()
    how = {"epochs": 4, "shuffle": False, "batch_size": 5, "loss": "squared_error"}
    with_them.train(X, Y, sample_weight=weight, **how)
    without.train(X[:5], Y[:5], **how)
    np.testing.assert_allclose(with_them.parameters, without.parameters, rtol=1e-14)


def test_iterations_are_steps_on_the_whole_batch():
    spy = Spy()
    history = linear().train(X, Y, 7, loss=spy, report_every=0)
    assert spy.learned == [Y.ravel().tolist()] * 7
    assert (history.epochs, history.steps) == (7, 7)


def test_the_default_is_the_tutorials_rule():
    by_default, spelled_out = linear(), linear()
    small = X / 10, Y / 10
    by_default.train(*small, 50, report_every=0, engine="reference")
    spelled_out.train(
        *small, epochs=50, loss=SquaredError(reduction="sum"), optimizer=GradientDescent(1.0), engine="reference"
    )
    np.testing.assert_array_equal(by_default.parameters, spelled_out.parameters)


def test_training_goes_on_from_where_the_network_is():
    once, twice = linear(), linear()
    how = {"loss": "squared_error", "report_every": 0}
    once.train(X, Y, 20, **how)
    for _ in range(2):
        twice.train(X, Y, 10, **how)
    np.testing.assert_array_equal(once.parameters, twice.parameters)


# Randomness


def run_of(network, **how):
    options = {"epochs": 6, "batch_size": 3, "loss": "squared_error", "optimizer": Adam(0.05), **how}
    return network.train(X, Y, **options).loss, network.parameters.copy()


@pytest.mark.parametrize("validation", [None, 0.3], ids=["", "validation"])
def test_a_seed_makes_a_run_again(validation):
    losses, parameters = run_of(deep(), rng=1, validation=validation)
    again, parameters_again = run_of(deep(), rng=1, validation=validation)
    other, _ = run_of(deep(), rng=2, validation=validation)
    assert losses == again
    np.testing.assert_array_equal(parameters, parameters_again)
    assert losses != other


def test_numpys_global_seed_rules_where_no_other_is_given():
    def run():
        np.random.seed(11)
        return run_of(deep(seed=None))[0]

    assert run() == run()


def test_dropout_draws_anew_in_every_step_and_every_training():
    network = deep()
    frozen = {"optimizer": GradientDescent(1e-300), "batch_size": 10, "epochs": 3}
    first, _ = run_of(network, **frozen)
    second, _ = run_of(network, **frozen)
    assert len({*first, *second}) == 6


@pytest.mark.parametrize("make", [linear, deep])
@pytest.mark.parametrize(
    "how",
    [
        {"epochs": 5, "batch_size": 3},
        {"iterations": 300, "report_every": 0},
        {"epochs": 60, "validation": 0.2, "stop": 3},
        {"epochs": 4, "batch_size": 1, "schedule": "one_cycle", "l2": 0.01, "clip_norm": 0.5},
    ],
    ids=str,
)
def test_a_run_does_not_depend_on_how_many_steps_a_call_takes(make, how, monkeypatch):
    runs = []
    for seconds in (1e-12, 0.05, 1e9):
        monkeypatch.setattr("nineline.training.trainer.CALL_SECONDS", seconds)
        network = make()
        history = network.train(X, Y, loss="squared_error", optimizer=GradientDescent(0.05, momentum=0.9), rng=3, **how)
        columns = {name: column for name, column in history.columns.items() if name != "seconds"}
        runs.append((network.parameters.tobytes(), columns, history.steps, history.stopped))
    assert runs[0] == runs[1] == runs[2]


# Schedule


def test_a_schedule_reaches_the_optimizer_and_the_history():
    by_schedule, by_hand_ = linear(), linear()
    how = {"loss": "squared_error", "report_every": 0}
    history = by_schedule.train(X, Y, 4, optimizer=GradientDescent(0.2), schedule=lambda epoch: 0.5**epoch, **how)
    for rate in (0.2, 0.1, 0.05, 0.025):
        by_hand_.train(X, Y, 1, optimizer=GradientDescent(rate), **how)
    np.testing.assert_allclose(by_schedule.parameters, by_hand_.parameters, rtol=1e-14)
    assert history.learning_rate == pytest.approx([0.2, 0.1, 0.05, 0.025])


def test_a_schedule_is_asked_within_an_epoch():
    asked = []
    history = linear().train(X, Y, epochs=2, batch_size=3, schedule=lambda epoch: asked.append(epoch) or 1e-3)
    assert asked == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75]
    assert history.learning_rate == [1e-3, 1e-3]


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_a_named_schedule_spans_the_epochs_of_this_training(schedule):
    history = linear().train(X, Y, epochs=100, loss="squared_error", schedule=schedule)
    assert max(history.learning_rate) == pytest.approx(1, abs=1e-3)
    assert history.learning_rate[-1] < 1e-3


def test_a_long_training_does_not_plan_all_its_steps_before_the_first():
    """A million iterations must start, and heed Ctrl-C, as soon as a thousand."""
    asked = []

    class Interrupting(Spy):
        def gradient(self, outputs, targets):
            raise KeyboardInterrupt

    history = linear().train(
        X, Y, 300_000, loss=Interrupting(), schedule=lambda epoch: asked.append(epoch) or 1.0, report_every=0
    )
    assert "interrupted" in history.stopped
    assert len(asked) <= 10_000


# Validation


def test_validation_given_is_measured_after_every_epoch():
    trail, network = Trail(), linear()
    inputs, targets = rng.normal(size=(6, 3)), rng.normal(size=(6, 1))
    how = {"loss": "squared_error", "optimizer": GradientDescent(0.1), "on_epoch": trail}
    history = network.train(X, Y, epochs=5, batch_size=4, validation=(inputs, targets), **how)
    expected = []
    for parameters in trail.parameters:
        network.parameters = parameters
        expected.append(loss_of(network, inputs, targets))
    assert history.validation_loss == pytest.approx(expected, rel=1e-12)
    assert history.best_epoch == np.argmin(expected) + 1
    assert history.best_validation_loss == min(history.validation_loss)
    assert not history.restored


def test_validation_has_weights_and_neither_penalties_nor_dropout():
    network = deep()
    weight = np.arange(10.0)
    how = {"epochs": 1, "loss": "squared_error", "optimizer": GradientDescent(1e-300), "l1": 1.0, "l2": 1.0}
    history = network.train(X, Y, validation=(X, Y, weight), **how)
    errors = ((network.run(X) - Y) ** 2).ravel() / 2
    assert history.validation_loss[0] == pytest.approx((weight * errors).sum() / weight.sum(), rel=1e-12)
    assert history.loss[0] > history.validation_loss[0] + 1


def test_validation_in_several_pieces_is_the_same_number(monkeypatch):
    from nineline.engines import reference

    how = {"epochs": 2, "loss": "squared_error", "validation": (X, Y)}
    whole = linear().train(X, Y, **how).validation_loss
    monkeypatch.setattr(reference, "ROWS_AT_ONCE", 3)
    assert linear().train(X, Y, **how).validation_loss == pytest.approx(whole, rel=1e-14)


@pytest.mark.parametrize(("share", "held"), [(0.1, 1), (0.25, 2), (0.5, 5), (0.9, 9)])
def test_a_share_of_the_rows_is_kept_out_of_training(share, held):
    spy = Spy()
    linear().train(X, Y, epochs=3, validation=share, loss=spy, rng=0)
    learned = {target for batch in spy.learned for target in batch}
    measured = {target for batch in spy.measured for target in batch}
    assert len(learned) == 10 - held
    assert measured == set(Y.ravel().tolist())
    # In each epoch the values measured are those of the training rows, then those held out, the same each time.
    assert {frozenset(batch) for batch in spy.measured} == {frozenset(learned), frozenset(measured - learned)}


def test_sample_weights_go_with_their_rows_into_the_held_out_share():
    weight = np.where(Y.ravel() > 0, 1e-9, 1.0)  # rows above 0 hardly count, on either side of the split
    targets = np.where(Y > 0, 1e3, 0.0)
    history = Network(3, 1, output="identity", initializer="zeros").train(
        X, targets, epochs=1, validation=0.5, sample_weight=weight, loss="absolute_error", rng=5
    )
    assert history.loss[0] < 1
    assert history.validation_loss[0] < 10


# Early stopping


def restless(network, **how):
    """Train at a learning rate so large that losses go up and down."""
    options = {"epochs": 300, "loss": "squared_error", "optimizer": GradientDescent(0.2, momentum=0.97), **how}
    trail = Trail()
    history = network.train(X, Y, on_epoch=trail, **options)
    return history, trail


@pytest.mark.parametrize("batch_size", [None, 3])
def test_early_stopping_returns_to_the_best_point_to_the_last_bit(batch_size):
    network = linear()
    history, trail = restless(network, validation=(X[:4], Y[:4]), stop=20, batch_size=batch_size, rng=0)
    best = int(np.argmin(history.validation_loss))
    assert history.best_epoch == best + 1
    assert history.restored
    assert history.epochs == best + 1 + 20
    assert history.stopped == "no improvement of the validation loss for 20 epochs"
    np.testing.assert_array_equal(network.parameters, trail.parameters[best])
    assert loss_of(network, X[:4], Y[:4]) == pytest.approx(history.best_validation_loss, rel=1e-12)


def test_the_best_point_is_returned_to_where_all_epochs_were_done_too():
    network = linear()
    history, trail = restless(network, validation=(X[:4], Y[:4]), stop=1000, epochs=30)
    best = int(np.argmin(history.validation_loss))
    assert best < 29
    assert history.stopped == "all 30 epochs done"
    assert history.restored
    np.testing.assert_array_equal(network.parameters, trail.parameters[best])


def test_without_validation_the_training_loss_is_watched():
    """The loss of an epoch is measured before its step, so the best point is the one that loss was measured at."""
    network = linear()
    history, _ = restless(network, stop=20)
    assert history.stopped == "no improvement of the training loss for 20 epochs"
    assert history.loss.index(min(history.loss)) < history.epochs - 1
    assert loss_of(network) <= min(history.loss) * (1 + 1e-12)


def test_an_improvement_has_to_be_large_enough():
    network = linear()
    history, trail = restless(network, validation=(X, Y), stop=EarlyStopping(5, min_improvement=1e6))
    assert history.stopped == "no improvement of the validation loss by more than 1e+06 for 5 epochs"
    assert (history.epochs, history.best_epoch) == (6, 1)
    np.testing.assert_array_equal(network.parameters, trail.parameters[0])


# Callbacks


def test_on_epoch_is_told_what_happened():
    told, network = [], linear()

    def note(epoch):
        assert epoch.network is network
        assert epoch.history.epochs == epoch.number
        assert epoch.loss == epoch.history.loss[-1]
        assert epoch.validation_loss == epoch.history.validation_loss[-1]
        told.append((epoch.number, epoch.epochs, epoch.history))

    history = network.train(X, Y, epochs=3, batch_size=4, loss="squared_error", validation=(X, Y), on_epoch=note)
    assert [entry[:2] for entry in told] == [(1, 3), (2, 3), (3, 3)]
    assert all(entry[2] is history for entry in told)


def test_on_epoch_without_validation_and_with_iterations():
    told = []
    linear().train(X, Y, 3, loss="squared_error", on_epoch=told.append, report_every=0)
    assert [(epoch.number, epoch.epochs, epoch.validation_loss) for epoch in told] == [(n, 3, None) for n in (1, 2, 3)]


@pytest.mark.parametrize("true", [True, np.True_], ids=["True", "numpy.True_"])
def test_on_epoch_ends_training_by_returning_true(true):
    """A condition over arrays, such as ``(abs(errors) < 0.1).all()``, is NumPy's True and not Python's."""
    history = linear().train(X, Y, epochs=9, loss="squared_error", on_epoch=lambda e: true if e.number == 4 else False)
    assert history.epochs == 4
    assert history.stopped == "on_epoch asked to, after epoch 4"


@pytest.mark.parametrize("answer", [None, False, np.False_, 1, "stop", [True]], ids=repr)
def test_any_other_answer_goes_on(answer):
    assert linear().train(X, Y, epochs=3, loss="squared_error", on_epoch=lambda epoch: answer).epochs == 3


def test_several_functions_are_all_called_even_when_one_stops():
    calls = []
    functions = [lambda e: calls.append("a") or True, lambda e: calls.append("b")]
    linear().train(X, Y, epochs=3, loss="squared_error", on_epoch=functions)
    assert calls == ["a", "b"]


def test_an_error_in_on_epoch_comes_out_and_the_network_stays():
    network, twin = linear(), linear()

    def fail(epoch):
        if epoch.number == 3:
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        network.train(X, Y, epochs=9, loss="squared_error", on_epoch=fail)
    twin.train(X, Y, epochs=3, loss="squared_error")
    np.testing.assert_array_equal(network.parameters, twin.parameters)


# Ctrl-C


@pytest.mark.parametrize("batch_size", [None, 3])
def test_ctrl_c_keeps_what_was_learned_and_returns_the_history(batch_size):
    network, twin = linear(), linear()

    def interrupt(epoch):
        if epoch.number == 5:
            raise KeyboardInterrupt

    how = {"batch_size": batch_size, "loss": "squared_error", "rng": 0}
    history = network.train(X, Y, epochs=100, on_epoch=interrupt, **how)
    twin.train(X, Y, epochs=5, **how)
    assert history.epochs == 5
    assert history.stopped.startswith("interrupted")
    np.testing.assert_array_equal(network.parameters, twin.parameters)


def test_ctrl_c_while_validation_is_measured_leaves_a_history_that_is_a_table():
    """Where the validation rows are many, it is there that most interrupts fall."""

    class Interrupting(Spy):
        def value(self, outputs, targets):
            if len(targets) == 4 and len(self.learned) == 3:
                raise KeyboardInterrupt
            return super().value(outputs, targets)

    history = linear().train(X, Y, epochs=9, loss=Interrupting(), validation=(X[:4], Y[:4]))
    assert history.stopped.startswith("interrupted")
    assert {len(column) for column in history.columns.values()} == {history.epochs}
    assert history.to_frame().height == history.epochs


@pytest.mark.parametrize(
    "how",
    [{"epochs": 4}, {"epochs": 2, "batch_size": 4}, {"epochs": 3, "validation": (X[:4], Y[:4]), "stop": 1}],
    ids=["whole batch", "batches", "validation and stop"],
)
def test_ctrl_c_before_any_line_of_the_loop_leaves_everything_in_order(how):
    """A signal may come anywhere: the trace function raises it at one line of `Loop` after the other."""
    loop = {function.__code__ for function in vars(Loop).values() if hasattr(function, "__code__")}
    loop -= {each.__code__ for each in (Loop.__init__, Loop.divide, Loop.run)}  # before and after the loop it comes out
    lines_left = 0

    def trace(frame, event, _):
        nonlocal lines_left
        if frame.f_code not in loop:
            return None
        if event == "line":
            lines_left -= 1
            if lines_left == 0:
                raise KeyboardInterrupt
        return trace

    for line in range(1, 10_000):
        lines_left, network = line, linear()
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            history = network.train(X, Y, loss="squared_error", rng=0, **how)
        finally:
            sys.settrace(before)
        assert {len(column) for column in history.columns.values()} <= {history.epochs}, line
        assert np.isfinite(network.parameters).all()
        if not history.stopped.startswith("interrupted"):
            assert line > 20
            return
    raise AssertionError("the loop never came to its end")


SCRIPT = """
import numpy as np
from nineline import Network
network = Network(3, 6, 1, rng=0)
before = network.parameters.copy()
X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
def tell(epoch):
    if epoch.number == 10:
        print("training", flush=True)
history = network.train(X, [[0], [1], [1], [0]], {how}, on_epoch=tell)
print(history.stopped)
print(history.epochs >= 10)
print(np.isfinite(network.parameters).all(), (network.parameters != before).any())
print(network.run(X).shape)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("how", ["iterations=2_000_000_000", "epochs=2_000_000_000, batch_size=2"])
def test_a_real_ctrl_c_ends_training_in_good_order(how):
    command = [sys.executable, "-c", SCRIPT.format(how=how)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        lines = iter(process.stdout.readline, "")
        assert "training\n" in lines
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().splitlines()
        errors = process.stderr.read()
        assert process.wait(timeout=30) == 0, errors
    rest = rest[next(i for i, line in enumerate(rest) if line.startswith("interrupted in epoch")) + 1 :]
    assert rest == ["True", "True True", "(4, 1)"]
    assert errors == ""


# Divergence


def diverging(network, targets=Y, iterations=2000, **how):
    options = {"optimizer": GradientDescent(3.0), "loss": "squared_error", "report_every": 0, **how}
    with pytest.raises(DivergenceError) as caught:
        network.train(X, targets, iterations, **options)
    return caught.value


def test_divergence_puts_the_network_back_to_a_state_it_had():
    network = linear()
    states = [network.parameters.copy()]
    how = {"on_epoch": lambda epoch: states.append(epoch.network.parameters.copy())}
    diverging(linear(), **how)
    error = diverging(network)
    assert np.isfinite(network.parameters).all()
    assert any((network.parameters == state).all() for state in states)
    assert np.isfinite(error.history.loss).all()
    assert {len(column) for column in error.history.columns.values()} == {error.history.epochs}
    assert error.history.stopped.startswith("diverged in epoch")
    assert isinstance(error, ArithmeticError)


def test_divergence_is_the_same_however_many_steps_a_call_takes(monkeypatch):
    """What is kept, and the epoch that the message names, must not hang on the speed of the machine."""
    runs = []
    for seconds in (1e-12, 1e9):
        monkeypatch.setattr("nineline.training.trainer.CALL_SECONDS", seconds)
        network = linear()
        error = diverging(network)
        runs.append((str(error), error.history.loss, network.parameters.tolist()))
    assert runs[0] == runs[1]


def test_divergence_in_the_validation_keeps_a_history_that_is_a_table():
    """The weight goes 10, 19, 27.1 ... towards 100; above 18.4 the validation loss's (1e18 w)**2 leaves float32."""
    network = Network(1, 1, output="identity", initializer="zeros", dtype="float32")
    with pytest.raises(DivergenceError) as caught:
        network.train(
            [[1]],
            [[100]],
            epochs=50,
            loss="squared_error",
            optimizer=GradientDescent(0.1),
            validation=([[1e18]], [[0]]),
        )
    history = caught.value.history
    assert network.parameters[0] == pytest.approx(10) or network.parameters[0] == pytest.approx(19)
    assert {len(column) for column in history.columns.values()} == {history.epochs}
    assert history.to_frame().height == history.epochs
    assert "diverged in epoch 2" in str(caught.value)


@pytest.mark.parametrize(
    ("scale", "how", "named", "not_named"),
    [
        ((1, 1), {}, ["a smaller learning rate (it is 3)", "clip_norm=1.0"], ["inputs scaled", "targets", "mean"]),
        ((100, 1), {}, ["inputs scaled to about -1..1 (the largest is"], ["targets"]),
        ((1, 100), {}, ["targets scaled likewise (the largest is"], ["inputs scaled"]),
        ((1, 1), {"loss": SquaredError(reduction="sum")}, ["a loss that is a mean over rows, by its name"], []),
        # The gradient never gets as long as 1e300, but its square is infinite long before: no reason to stand still.
        ((100, 1), {"clip_norm": 1e300}, ["a smaller learning rate"], ["clip_norm=1.0"]),
    ],
)
def test_divergence_names_ways_out(scale, how, named, not_named):
    options = {"optimizer": GradientDescent(3.0), "loss": "squared_error", "report_every": 0, **how}
    with pytest.raises(DivergenceError) as caught:
        linear().train(X * scale[0], Y * scale[1], 5000, **options)
    assert all(words in str(caught.value) for words in named)
    assert not any(words in str(caught.value) for words in not_named)
    assert "last finite state" in str(caught.value)


def test_divergence_can_be_sent_between_processes():
    """Joblib and multiprocessing pickle an error to bring it home."""
    error = diverging(linear())
    twin = pickle.loads(pickle.dumps(error))
    assert str(twin) == str(error)
    assert twin.history.loss == error.history.loss


@pytest.mark.parametrize("output", ["identity", "exponential"])
@pytest.mark.parametrize("report_every", [0, 1])
def test_divergence_is_told_once_and_not_by_numpys_warnings_before(output, report_every, capsys):
    network = Network(3, 1, output=output, rng=0)
    with pytest.raises(DivergenceError):
        network.train(X * 100, np.abs(Y), 2000, loss="squared_error", report_every=report_every)


# Reports


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"iterations": 2500}, [0, 1000, 2000]),
        ({"iterations": 5, "report_every": 2}, [0, 2, 4]),
        ({"epochs": 5, "report_every": 2}, [0, 2, 4]),
        ({"epochs": 4, "batch_size": 3, "report_every": 1}, [0, 1, 2, 3]),
        ({"epochs": 2000}, []),
        ({"iterations": 5000, "report_every": 0}, []),
    ],
    ids=str,
)
def test_errors_are_reported_every_so_many_epochs(how, expected, capsys):
    linear().train(X, Y, loss="squared_error", optimizer=GradientDescent(1e-3), **how)
    printed = capsys.readouterr()
    unit = "Epoch" if "epochs" in how else "Iteration"
    heads = [line for line in printed.out.splitlines() if line.endswith("errors:")]
    assert heads == [f"{unit} {number:,}, errors:" for number in expected]
    assert printed.err == ""


def test_reports_do_not_change_the_run(capsys):
    quiet, loud = deep(), deep()
    how = {"iterations": 50, "loss": "squared_error", "rng": 0}
    quiet.train(X, Y, report_every=0, **how)
    loud.train(X, Y, report_every=7, **how)
    np.testing.assert_array_equal(quiet.parameters, loud.parameters)


def test_forty_values_fit_on_a_screen_and_forty_one_do_not(capsys):
    for rows, line in [(40, "Iteration 0, errors:"), (41, "Iteration 0, loss ")]:
        Network(1, 1, rng=0).train(np.zeros((rows, 1)), np.zeros((rows, 1)), 1)
        assert capsys.readouterr().out.startswith(line)


# The History of a run


def test_a_history_says_how_the_run_went():
    history = linear().train(X, Y, epochs=12, batch_size=4, loss="squared_error")
    assert history.stopped == "all 12 epochs done"
    assert history.engine in ("native", "reference")  # which of the two: tests/engines
    assert history.steps == 36
    assert (np.diff(history.seconds) >= 0).all()
    assert history.seconds[0] > 0
    assert history.best_epoch is None
    assert not history.restored


def test_one_epoch_is_one_epoch():
    assert linear().train(X, Y, epochs=1).stopped == "the one epoch done"


# After a refusal


@pytest.mark.parametrize(
    "wrong",
    [{"engine": "natve"}, {"l1": -1}, {"batch_size": 0}, {"stop": 0}, {"schedule": "cosin"}, {"on_epoch": 3}],
    ids=str,
)
def test_a_refused_training_leaves_the_randomness_as_it_was(wrong):
    """Nothing has been changed: the corrected call gives what it would have given at once."""
    network, twin = deep(), deep()
    right = {"epochs": 2, "batch_size": 3, "validation": 0.2}
    with pytest.raises((TypeError, ValueError)):
        network.train(X, Y, **{**right, **wrong})
    network.train(X, Y, **right)
    twin.train(X, Y, **right)
    np.testing.assert_array_equal(network.parameters, twin.parameters)
