"""A Trainer: steps on rows that are handed to it, as `Network.train` takes them; and all that may happen in between."""

from __future__ import annotations

import copy
import math
import os
import pickle
import signal
import threading

import numpy as np
import pytest
from scipy import sparse

from nineline import (
    Activation,
    Adam,
    AdamW,
    DivergenceError,
    Dropout,
    GradientDescent,
    Layer,
    Loss,
    Network,
    RMSprop,
    Trainer,
)
from nineline.engines import native
from nineline.files import FileError
from nineline.losses import Quantile

NO_NATIVE = pytest.mark.skipif(
    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
    reason="the native engine was not built, or is turned off",
)
ENGINE = pytest.mark.parametrize("engine", ["reference", pytest.param("native", marks=NO_NATIVE)])

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 5))
CLASSES = rng.integers(3, size=60)
Y = np.eye(3)[CLASSES]
WEIGHT = rng.uniform(0.5, 2, 60)


def network(seed=0, dtype=np.float64, dropout=0.0, **last):
    drop = [Dropout(dropout)] if dropout else []
    first = Layer(5, 16, "tanh", bias=True)
    return Network(first, *drop, Layer(16, 3, "softmax", bias=True, **last), rng=seed, dtype=dtype)


def bits(of):
    return of.parameters.tobytes()


# The same as train

HOWS = {
    "plain": {},
    "adam": {"optimizer": Adam(0.01)},
    "rmsprop": {"optimizer": RMSprop(0.01)},
    "adamw, penalties, clipped": {"optimizer": AdamW(0.01), "l1": 1e-3, "l2": 1e-2, "clip_norm": 0.1},
    "momentum": {"optimizer": GradientDescent(0.05, momentum=0.9, nesterov=True)},
}


@ENGINE
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
@pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)
def test_the_same_rows_in_the_same_order_end_with_the_same_bits(how, weight, dropout, engine):
    one, two, three = (network(dropout=dropout) for _ in range(3))
    how = {"loss": "cross_entropy", **how, "engine": engine}
    history = one.train(X, Y, epochs=4, batch_size=16, sample_weight=weight, rng=5, **how)

    trainer = Trainer(two, rng=5, **how)
    losses = trainer.steps(X, Y, weight, batch_size=16, epochs=4)
    assert bits(two) == bits(one)
    assert (len(losses), trainer.steps_taken) == (16, history.steps)

    trainer, order = Trainer(three, rng=5, **how), trainer.rng.__class__(np.random.PCG64(5))
    order.bytes(8)  # the seed
    single = []
    for _ in range(4):
        rows = order.permutation(60)
        for at in range(0, 60, 16):
            some = rows[at : at + 16]
            single.append(trainer.step(X[some], Y[some], None if weight is None else weight[some]))
    assert bits(three) == bits(one)
    assert single == losses.tolist()


@ENGINE
def test_by_default_it_is_the_tutorials_rule(engine):
    one, two, three = (Network(3, 6, 1, rng=1) for _ in range(3))
    inputs, outputs = np.array([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]), np.array([[0.0], [1], [1], [0]])
    one.train(inputs, outputs, 100, report_every=0, engine=engine)
    trainer = Trainer(two, engine=engine)
    for _ in range(100):
        trainer.step(inputs, outputs)
        three.train_once(inputs, outputs)
    assert bits(one) == bits(two)
    np.testing.assert_allclose(three.parameters, two.parameters, rtol=1e-12)


@ENGINE
def test_whole_batches_by_steps(engine):
    one, two = network(), network()
    one.train(X, Y, 30, loss="cross_entropy", optimizer="adam", report_every=0, engine=engine)
    losses = Trainer(two, loss="cross_entropy", optimizer="adam", engine=engine).steps(X, Y, epochs=30)
    assert bits(one) == bits(two)
    assert len(losses) == 30


@ENGINE
def test_the_learning_rate_of_one_call(engine):
    one, two = network(), network()
    first, second = (
        Trainer(each, loss="cross_entropy", optimizer=GradientDescent(rate), engine=engine)
        for each, rate in ((one, 0.5), (two, 0.1))
    )
    first.step(X, Y)
    second.step(X, Y, learning_rate=0.5)
    assert bits(one) == bits(two)
    before = bits(one)
    first.step(X, Y, learning_rate=0.0)
    assert bits(one) == before


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.SFC64, np.random.Philox])
@pytest.mark.parametrize("drawn_before", [0, 1, 2])
def test_the_seed_is_the_next_eight_bytes_of_any_generator(kind, drawn_before):
    """Trainings of earlier versions drew it so, and go on from their checkpoints."""
    one, two = (np.random.Generator(kind(3)) for _ in range(2))
    for each in (one, two):
        each.integers(5, size=drawn_before, dtype=np.uint32)
    assert Trainer(network(), loss="cross_entropy", rng=one).engine.seed == int.from_bytes(two.bytes(8), "little")
    assert one.permutation(9).tolist() == two.permutation(9).tolist()


# Rows as people have them


@ENGINE
@pytest.mark.parametrize(
    "form",
    [
        lambda a: a.tolist(),
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        lambda a: a.astype(np.longdouble),
        lambda a: a[::-1][::-1],
    ],
    ids=["lists", "Fortran order", "strides", "another dtype", "turned twice"],
)
def test_any_form_of_the_same_numbers_takes_the_same_step(form, engine):
    one, two = network(), network()
    loss = Trainer(one, loss="cross_entropy", engine=engine).step(X, Y)
    assert Trainer(two, loss="cross_entropy", engine=engine).step(form(X), form(Y)) == loss
    assert bits(one) == bits(two)


@ENGINE
@pytest.mark.parametrize("numbers", [CLASSES, CLASSES.astype(np.int8), CLASSES.tolist(), CLASSES.astype(np.uint64)])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
def test_class_numbers_are_one_hot_rows(numbers, weight, engine):
    runs = []
    for targets in (Y, numbers):
        each = network()
        trainer = Trainer(each, loss="cross_entropy", optimizer="adam", rng=0, engine=engine)
        said = [
            trainer.step(X, targets, weight),
            *trainer.steps(X, targets, weight, batch_size=7, epochs=2),
            trainer.gradient(X, targets, weight)[0],
            trainer.evaluate(X, targets, weight),
        ]
        each.train(X, targets, epochs=2, batch_size=9, loss="cross_entropy", validation=0.3, engine=engine, rng=1)
        runs.append((said, bits(each)))
    assert runs[0] == runs[1]


@ENGINE
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.csr_matrix])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
def test_sparse_rows_are_the_same_rows(kind, weight, engine):
    thin = np.where(np.abs(X) > 1, X, 0)
    thin[7] = 0
    runs = []
    for inputs in (thin, kind(thin)):
        each = network()
        trainer = Trainer(each, loss="cross_entropy", optimizer="adam", rng=0, engine=engine)
        said = [
            trainer.step(inputs, Y, weight),
            *trainer.steps(inputs, Y, weight, batch_size=7, epochs=2),
            trainer.gradient(inputs, Y, weight)[0],
            trainer.evaluate(inputs, Y, weight),
        ]
        trainer.step_from(inputs, Y - each.run(thin))
        each.train(inputs, Y, epochs=2, batch_size=9, loss="cross_entropy", validation=0.3, engine=engine, rng=1)
        runs.append((said, bits(each), each.run(inputs).tobytes()))
    assert runs[0] == runs[1]


def test_sparse_rows_that_hold_a_place_twice_or_out_of_order():
    values, columns, starts = [1.0, 2.0, 3.0, 4.0], [3, 0, 3, 1], [0, 3, 4]
    odd = sparse.csr_array((values, columns, starts), shape=(2, 5))
    one, two = network(), network()
    Trainer(one, loss="cross_entropy").step(odd, Y[:2])
    Trainer(two, loss="cross_entropy").step(odd.toarray(), Y[:2])
    assert bits(one) == bits(two)
    assert odd.indices.tolist() == columns  # the caller's is left alone


@ENGINE
def test_one_row(engine):
    each = Network(2, 4, 1, rng=0)
    trainer = Trainer(each, engine=engine)
    for inputs, outputs in (([[1.0, 2]], [[1.0]]), ([[1.0, 2]], [1.0])):
        before = bits(each)
        trainer.step(np.array(inputs), np.array(outputs))
        assert bits(each) != before


# Gradient, move, chain rule


@ENGINE
@pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_is_a_gradient_and_a_move(how, dtype, engine):
    one, two = network(dtype=dtype, dropout=0.2), network(dtype=dtype, dropout=0.2)
    how = {"loss": "cross_entropy", **how, "engine": engine, "rng": 3}
    whole, parts = Trainer(one, **how), Trainer(two, **how)
    for _ in range(5):
        loss, gradient = parts.gradient(X, Y)
        kept = gradient.copy()
        assert parts.gradient(X, Y)[0] == loss  # nothing was moved
        parts.move(gradient)
        np.testing.assert_array_equal(gradient, kept)  # nor overwritten
        assert whole.step(X, Y) == loss
    assert bits(one) == bits(two)
    assert whole.steps_taken == parts.steps_taken == 5


@ENGINE
def test_a_move_takes_numbers_from_anywhere(engine):
    one = network(dtype=np.float32)
    trainer = Trainer(one, optimizer=GradientDescent(1.0), engine=engine)
    before = one.parameters.copy()
    gradient = np.arange(before.size) / 64
    trainer.move(gradient.tolist(), learning_rate=0.5)
    np.testing.assert_array_equal(one.parameters, before - np.float32(0.5) * gradient.astype(np.float32))
    for wrong, words in (
        (gradient[:-1], "gradient has shape"),
        (np.full(before.size, np.nan), "gradient has nan at"),
        (["a"] * before.size, "gradient holds"),
    ):
        with pytest.raises((ValueError, TypeError), match=words):
            trainer.move(wrong)
    assert trainer.steps_taken == 1


@ENGINE
@pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh", "softmax", "gelu", "exponential"])
def test_the_chain_rule_from_errors_is_the_gradient_of_minus_their_product(activation, engine):
    each = Network(Layer(5, 7, "tanh", bias=True), Layer(7, 3, activation, bias=True), rng=0)
    errors = rng.normal(size=(60, 3))
    before = each.parameters.copy()
    trainer = Trainer(each, optimizer=GradientDescent(1.0), engine=engine)
    trainer.step_from(X, errors)
    moved = each.parameters - before
    for i in range(0, before.size, 5):
        ends = []
        for h in (1e-6, -1e-6):
            each.parameters = before
            each.parameters[i] += h
            ends.append(float((errors * each.run(X)).sum()))
        assert moved[i] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-6)


@ENGINE
def test_a_loss_of_ones_own_by_the_chain_rule(engine):
    """The mean of (outputs - targets)**4 / 4: its errors are minus its derivative by the outputs."""

    class Quartic(Loss):
        def value(self, outputs, targets):
            return ((outputs - targets) ** 4).sum(axis=1) / 4

        def gradient(self, outputs, targets):
            return (outputs - targets) ** 3

    one, two = Network(5, 8, 3, rng=0), Network(5, 8, 3, rng=0)
    own, chain = Trainer(one, loss=Quartic(), optimizer="adam"), Trainer(two, optimizer="adam", engine=engine)
    assert own.engine.name == "reference"
    for _ in range(10):
        own.step(X, Y)
        chain.step_from(X, (Y - two.run(X)) ** 3 / len(X))
    np.testing.assert_allclose(one.parameters, two.parameters, rtol=1e-9)


# Undo, snapshots, files


@ENGINE
@pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)
def test_undo_takes_back_all_of_a_step(how, engine):
    each = network(dropout=0.2)
    trainer = Trainer(each, loss="cross_entropy", rng=0, engine=engine, **how)
    with pytest.raises(RuntimeError, match="no step to take back"):
        trainer.undo()
    trainer.steps(X, Y, batch_size=7, epochs=2)
    here, state, taken = bits(each), trainer.engine.state, trainer.steps_taken
    ways = (
        lambda: trainer.step(X, Y),
        lambda: trainer.step(X, Y, WEIGHT),
        lambda: trainer.step_from(X, Y),
        lambda: trainer.move(np.ones_like(each.parameters)),
        lambda: trainer.steps(X, Y),
    )
    for way in ways:
        way()
        after = bits(each)
        trainer.undo()
        assert (bits(each), trainer.steps_taken) == (here, taken)
        for name, vector in trainer.engine.state.vectors.items():
            np.testing.assert_array_equal(vector, state.vectors[name])
        way()
        assert bits(each) == after
        trainer.undo()
    with pytest.raises(RuntimeError, match="no step to take back"):
        trainer.undo()
    trainer.step(X, Y)
    assert trainer.steps_taken == taken + 1


@ENGINE
def test_undo_takes_back_what_was_changed_by_hand_after_the_step(engine):
    each = network()
    trainer = Trainer(each, loss="cross_entropy", engine=engine)
    here = bits(each)
    trainer.step(X, Y)
    each.parameters[:] = 7
    trainer.undo()
    assert bits(each) == here


@ENGINE
@pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)
def test_a_snapshot_a_file_a_pickle_and_a_copy_go_on_to_the_same_bits(how, engine, tmp_path):
    trainer = Trainer(network(dropout=0.2), loss="cross_entropy", rng=4, engine=engine, **how)
    trainer.steps(X, Y, batch_size=7)
    trainer.save(tmp_path / "run.nineline")
    others = [
        Trainer.load(tmp_path / "run.nineline", engine=engine),
        pickle.loads(pickle.dumps(trainer)),
        copy.deepcopy(trainer),
    ]
    there = trainer.snapshot()
    truth = trainer.steps(X, Y, batch_size=9, epochs=3).tolist(), bits(trainer.network)
    for other in others:
        assert other.steps_taken == 9
        assert (other.steps(X, Y, batch_size=9, epochs=3).tolist(), bits(other.network)) == truth
    trainer.steps(X, Y)
    trainer.restore(there)
    assert (trainer.steps(X, Y, batch_size=9, epochs=3).tolist(), bits(trainer.network)) == truth
    assert bits(Network.load(tmp_path / "run.nineline")) == there.parameters.tobytes()


def test_a_file_holds_a_quantile_for_each_output(tmp_path):
    loss = Quantile(level=(0.1, 0.5, 0.9))
    trainer = Trainer(Network(4, 5, 3, output="identity", rng=0), loss=loss, rng=0)
    trainer.save(tmp_path / "run.nineline")
    again = Trainer.load(tmp_path / "run.nineline")
    assert again.rule.loss == loss
    rows, targets = np.ones((6, 4)), np.ones((6, 3))
    assert again.step(rows, targets) == trainer.step(rows, targets)


def test_what_cannot_be_written_says_so_and_writes_nothing(tmp_path):
    class Own(Loss):
        def value(self, outputs, targets):
            return (outputs - targets).sum(axis=1)

        def gradient(self, outputs, targets):
            return np.ones_like(outputs)

    with pytest.raises(ValueError, match=r"loss Own.* is your own, and a file holds no code"):
        Trainer(network(), loss=Own()).save(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    network().save(tmp_path / "network")
    with pytest.raises(FileError, match="holds a network model, expected trainer"):
        Trainer.load(tmp_path / "network")


# Parameters changed by hand


CHANGES = {
    "in place": lambda n: n.parameters.__imul__(0.5),
    "one number": lambda n: n.parameters.__setitem__(17, 3.0),
    "assigned": lambda n: setattr(n, "parameters", np.linspace(-1, 1, n.parameters.size)),
    "a layer's weights": lambda n: n.layers[0].weights.__setitem__((2, 3), -1.5),
    "a layer's bias, assigned": lambda n: setattr(n.layers[1], "bias", [0.1, 0.2, 0.3]),
    "a view held before": lambda n: n.kept_view.__setitem__(slice(None), 0.25),
    "minus zero": lambda n: n.parameters.__setitem__(slice(0, 40), -0.0),
    "another trainer": lambda n: Trainer(n, loss="cross_entropy", optimizer="adam").step(X, Y),
    "train": lambda n: n.train(X, Y, 3, report_every=0),
    "train_once": lambda n: n.train_once(X, Y),
}


@ENGINE
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_step_begins_with_the_parameters_as_they_are(change, engine):
    each = network()
    each.kept_view = each.layers[0].weights[:, 2]
    trainer = Trainer(each, loss="cross_entropy", optimizer=GradientDescent(0.1), engine=engine)
    trainer.step(X, Y)
    change(each)
    twin = each.copy()
    fresh = Trainer(twin, loss="cross_entropy", optimizer=GradientDescent(0.1), engine=engine)
    assert trainer.evaluate(X, Y) == fresh.evaluate(X, Y)
    assert trainer.gradient(X, Y)[0] == fresh.gradient(X, Y)[0]
    assert trainer.step(X, Y) == fresh.step(X, Y)
    assert bits(each) == bits(twin)
    np.testing.assert_array_equal(each.run(X), twin.run(X))


# Divergence


@ENGINE
@pytest.mark.parametrize("way", ["step", "steps", "step_from"])
def test_a_step_that_diverges_says_so_and_leaves_the_last_finite_network(way, engine):
    each = Network(Layer(5, 8, "identity"), Layer(8, 3, "identity"), rng=0)
    trainer = Trainer(each, loss="squared_error", optimizer=GradientDescent(1e30), engine=engine)
    call = {
        "step": lambda: trainer.step(X, Y),
        "steps": lambda: trainer.steps(X, Y, epochs=3),
        "step_from": lambda: trainer.step_from(X, Y - each.run(X)),
    }[way]

    def go_on():
        for _ in range(50):
            call()

    with pytest.raises(
        DivergenceError, match=r"training diverged after \d+ steps: (the loss|a gradient) became .*learning rate"
    ):
        go_on()
    assert np.isfinite(each.parameters).all()
    assert math.isfinite(trainer.evaluate(X, Y)) or way == "step_from"


@ENGINE
def test_one_row_that_is_too_much_costs_no_step_before_it(engine):
    each = Network(Layer(5, 8, "tanh"), Layer(8, 3, "identity"), rng=0)
    trainer = Trainer(each, loss="squared_error", optimizer="adam", engine=engine)
    for _ in range(3):
        trainer.step(X, Y)
    here = bits(each)
    with pytest.raises(DivergenceError, match="diverged after 3 steps: the loss became inf"):
        trainer.step(X, Y * 1e200)
    assert (bits(each), trainer.steps_taken) == (here, 3)
    trainer.step(X, Y)


def test_a_snapshot_of_another_training_is_refused():
    one = Trainer(network(), loss="cross_entropy", optimizer="adam")
    for other in (Trainer(network(), loss="cross_entropy"), Trainer(Network(3, 2), optimizer="adam")):
        before = bits(other.network)
        with pytest.raises(
            ValueError, match="snapshot is of a training of 147 parameters whose optimizer remembers mean, sq"
        ):
            other.restore(one.snapshot())
        assert bits(other.network) == before
    with pytest.raises(TypeError, match=r"network is 5 \(int\); expected a Network"):
        Trainer(5)


# Freezing


@ENGINE
@pytest.mark.parametrize("optimizer", [GradientDescent(0.1, momentum=0.5), AdamW(0.01)])
def test_a_layer_that_is_not_trainable_stays(optimizer, engine):
    frozen = Network(
        Layer(5, 8, "tanh", bias=True, trainable=False),
        Layer(8, 8, "tanh", bias=True),
        Layer(8, 3, "softmax", bias=True, trainable=False),
        rng=0,
    )
    before = frozen.parameters.copy()
    trainer = Trainer(frozen, loss="cross_entropy", optimizer=optimizer, clip_norm=0.5, l2=0.1, engine=engine)
    _, gradient = trainer.gradient(X, Y)
    trainer.steps(X, Y, batch_size=7, epochs=2)
    for block in frozen.blocks:
        same = (frozen.parameters[block.place] == before[block.place]).all()
        assert same == (block.name[0] != "1")
        assert (gradient[block.place] == 0).all() == (block.name[0] != "1")
    assert "trainable=False" in repr(frozen)
    frozen.train_once(X, Y)
    assert (frozen.layers[0].weights.ravel() == before[frozen.blocks[0].place]).all()


@ENGINE
@pytest.mark.parametrize("factors", [{"0.weights": 0}, {"bias": 0}, {"weights": 0}, {"0.weights": 0, "0.bias": 0}])
def test_a_factor_of_zero_freezes_a_block(factors, engine):
    each = network()
    before = each.parameters.copy()
    trainer = Trainer(each, loss="cross_entropy", optimizer=Adam(0.01, factors=factors), engine=engine)
    trainer.steps(X, Y, batch_size=7)
    for block in each.blocks:
        frozen = factors.get(block.name, factors.get(block.kind, 1)) == 0
        assert (each.parameters[block.place] == before[block.place]).all() == frozen


def test_freezing_is_kept_in_files_and_copies(tmp_path):
    each = network(trainable=False)
    each.save(tmp_path / "n")
    for other in (Network.load(tmp_path / "n"), each.copy(), pickle.loads(pickle.dumps(each)), each.astype("float32")):
        assert [layer.trainable for layer in other.layers] == [True, False]


# Threads and handlers of signals


@ENGINE
def test_one_trainer_in_several_threads_takes_every_step(engine):
    each = network()
    trainer = Trainer(each, loss="cross_entropy", optimizer=Adam(1e-3), engine=engine)
    errors = []

    def work():
        try:
            for _ in range(100):
                trainer.step(X, Y)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (errors, trainer.steps_taken) == ([], 400)
    alone = network()
    Trainer(alone, loss="cross_entropy", optimizer=Adam(1e-3), engine=engine).steps(X, Y, epochs=400)
    assert bits(each) == bits(alone)


@ENGINE
def test_two_trainers_of_one_network_in_two_threads(engine):
    """Gradient descent on linear outputs with a constant gradient: no step of either may be lost."""
    each = Network(Layer(1, 1, "identity", initializer="zeros"))
    trainers = [Trainer(each, optimizer=GradientDescent(1.0), engine=engine) for _ in range(2)]

    def work(trainer):
        for _ in range(500):
            trainer.step_from(np.array([[1.0]]), np.array([[1.0]]))

    threads = [threading.Thread(target=work, args=(trainer,)) for trainer in trainers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert each.parameters.tolist() == [1000.0]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
@ENGINE
def test_a_step_within_a_step_is_refused(engine):
    """A handler of signals runs in the midst of a long call; it must neither hang nor mix the two."""
    each = Network(200, 400, 400, 1, rng=0)
    trainer = Trainer(each, optimizer=GradientDescent(1e-6), engine=engine)
    inputs, targets = np.ones((2000, 200)), np.ones((2000, 1))
    caught = []

    def handler(*_):
        try:
            trainer.step(inputs[:1], targets[:1])
        except RuntimeError as error:
            caught.append(str(error))

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.15)
        for _ in range(200):
            trainer.steps(inputs, targets, epochs=3)
            if caught or signal.getitimer(signal.ITIMER_REAL)[0] == 0:
                break
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert all("in the midst of a step" in said for said in caught)
    trainer.step(inputs, targets)  # and it goes on


# run(out=), blend, copy


@ENGINE
@pytest.mark.parametrize("rows", [slice(None), slice(0, 1)])
def test_answers_into_memory_of_ones_own(rows, engine):
    each = network() if engine == "native" else Network(Layer(5, 3, Doubling()))
    out = np.empty((len(X[rows]), 3))
    assert each.run(X[rows], out=out) is out
    np.testing.assert_array_equal(out, each.run(X[rows]))
    out[:] = 0
    assert each.run(X[rows].tolist(), out) is out
    np.testing.assert_array_equal(out, each.run(X[rows]))
    one = np.empty(3)
    assert each.run(X[0], out=one) is one
    np.testing.assert_array_equal(one, each.run(X[0]))


class Doubling(Activation):
    def value(self, z):
        return 2 * z

    def derivative(self, z, outputs):
        return np.full_like(z, 2)


@pytest.mark.parametrize("given", [X, X.tolist()], ids=["array", "lists"])
@pytest.mark.parametrize(
    ("out", "words"),
    [
        (np.empty((59, 3)), r"out is a float64 array of shape \(59, 3\); expected one of float64, \(60, 3\)"),
        (np.empty((60, 3), np.float32), "out is a float32 array"),
        ([[0.0] * 3] * 60, "out is list"),
        (np.empty((3, 60)).T, "out is not C-contiguous"),
        (np.broadcast_to(np.zeros(3), (60, 3)), "out is"),
    ],
)
def test_memory_that_does_not_fit_is_refused(out, words, given):
    with pytest.raises((ValueError, TypeError), match=words):
        network().run(given, out=out)


def test_blend():
    one, two = network(0), network(1)
    start, other = one.parameters.copy(), two.parameters.copy()
    one.blend(two, 0.25)
    np.testing.assert_allclose(one.parameters, 0.75 * start + 0.25 * other, rtol=1e-14)
    one.blend(two, 0)
    np.testing.assert_allclose(one.parameters, 0.75 * start + 0.25 * other, rtol=1e-14)
    one.blend(two, 1)
    assert bits(one) == bits(two)
    np.testing.assert_array_equal(two.parameters, other)
    for share in (-0.1, 1.1, np.nan, "a"):
        with pytest.raises((ValueError, TypeError), match="share is"):
            one.blend(two, share)
    with pytest.raises(ValueError, match="expected one of the same shape"):
        one.blend(Network(5, 16, 3), 0.5)
    with pytest.raises(ValueError, match="dtype"):
        one.blend(network(dtype=np.float32), 0.5)
    with pytest.raises(TypeError, match="other is a list"):
        one.blend([1.0], 0.5)


def test_a_copy_has_a_life_of_its_own():
    one = network()
    other = one.copy()
    assert bits(one) == bits(other)
    Trainer(other, loss="cross_entropy").step(X, Y)
    assert bits(one) != bits(other)
    assert not np.shares_memory(one.parameters, other.parameters)


# Wrong arguments


MAKES = {
    "a loss that does not fit": ({"loss": "binary_cross_entropy"}, "does not fit the output activation Softmax"),
    "a loss that is none": ({"loss": "mse"}, "loss is 'mse', which is not known"),
    "an optimizer that is none": ({"optimizer": "sgd"}, "optimizer is 'sgd', which is not known"),
    "l2": ({"l2": -1}, "l2 is -1"),
    "clip_norm": ({"clip_norm": 0}, "clip_norm is 0"),
    "engine": ({"engine": "cuda"}, "engine is 'cuda', which is not known"),
    "threads": ({"threads": 0}, "threads is 0"),
    "rng": ({"rng": "seed"}, "rng is 'seed'"),
    "factors": ({"optimizer": Adam(factors={"2.weights": 0.0})}, "factors has '2.weights'"),
}


@pytest.mark.parametrize(("how", "words"), MAKES.values(), ids=MAKES)
def test_wrong_arguments_are_refused(how, words):
    with pytest.raises((ValueError, TypeError), match=words):
        Trainer(network(), **how)


CALLS = {
    "too few columns": (lambda t: t.step(X[:, :4], Y), "inputs has 4 columns, the network takes 5"),
    "swapped": (lambda t: t.step(X.T, Y), "if rows and columns are swapped, use inputs.T"),
    "rows": (lambda t: t.step(X[:9], Y), "inputs has 9 rows and outputs has 60"),
    "nan": (lambda t: t.step(np.where(X > 1, np.nan, X), Y), "inputs has nan at"),
    "inf in the targets": (lambda t: t.step(X, np.full((60, 3), np.inf)), "outputs has inf at"),
    "no rows": (lambda t: t.step(X[:0], Y[:0]), "inputs is empty"),
    "targets that do not sum to 1": (lambda t: t.step(X, Y * 2), "outputs has the target row"),
    "a class too many": (lambda t: t.step(X, CLASSES + 1), r"outputs has the class 3 \(row \d+\); the network has 3"),
    "a class below": (lambda t: t.step(X, -CLASSES), r"outputs has the class -"),
    "classes in a column": (lambda t: t.step(X, CLASSES[:, None]), r"whole numbers.*outputs.ravel\(\).astype\(int\)"),
    "classes that are no whole numbers": (lambda t: t.step(X, CLASSES * 1.0), r"whole numbers.*astype\(int\)"),
    "weights": (lambda t: t.step(X, Y, -WEIGHT), "sample_weight has -"),
    "weights of another number": (lambda t: t.step(X, Y, WEIGHT[:5]), r"sample_weight has shape \(5,\)"),
    "learning_rate": (lambda t: t.step(X, Y, learning_rate=-1), "learning_rate is -1"),
    "learning_rate of move": (lambda t: t.move(np.zeros(131), learning_rate=np.nan), "learning_rate is nan"),
    "batch_size": (lambda t: t.steps(X, Y, batch_size=0), "batch_size is 0"),
    "epochs": (lambda t: t.steps(X, Y, epochs=1.5), "epochs is 1.5"),
    "errors": (lambda t: t.step_from(X, Y[:, :2]), "output_errors has 2 columns"),
    "rows of errors": (lambda t: t.step_from(X, Y[:5]), "inputs has 60 rows and output_errors has 5"),
}


@ENGINE
@pytest.mark.parametrize(("call", "words"), CALLS.values(), ids=CALLS)
def test_wrong_rows_are_refused_and_nothing_is_changed(call, words, engine):
    each = network()
    trainer = Trainer(each, loss="cross_entropy", engine=engine)
    trainer.step(X, Y)
    here = bits(each)
    with pytest.raises((ValueError, TypeError), match=words):
        call(trainer)
    assert (bits(each), trainer.steps_taken) == (here, 1)


def test_class_numbers_want_cross_entropy():
    with pytest.raises(ValueError, match=r"numbers of classes, 0 to 2, .* with loss='cross_entropy'"):
        Trainer(network()).step(X, CLASSES)
    Trainer(Network(5, 1, rng=0)).step(X, CLASSES % 2)  # for one output, (rows,) is a column


def test_iterations_and_epochs_are_one_thing_or_the_other():
    with pytest.raises(ValueError, match="iterations is 5 and epochs is 3; give one of the two"):
        network().train(X, Y, 5, epochs=3)
