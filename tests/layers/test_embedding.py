"""Embedding: what it computes, what it refuses, and that training reads and moves what it touches alone."""

from __future__ import annotations

import copy
import os

import numpy as np
import pytest

from nineline import (
    Adam,
    AdamW,
    Dropout,
    Embedding,
    GradientDescent,
    Layer,
    Network,
    Residual,
    RMSprop,
    Trainer,
    gradient_check,
)
from nineline.engines import native
from nineline.layers import AbstractLayer

NO_NATIVE = pytest.mark.skipif(
    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
    reason="the native engine was not built, or is turned off",
)
ENGINES = pytest.mark.parametrize("engine", ["reference", pytest.param("native", marks=NO_NATIVE)])
OPTIMIZERS = [
    GradientDescent(0.1),
    GradientDescent(0.1, momentum=0.9),
    GradientDescent(0.1, momentum=0.9, nesterov=True),
    RMSprop(0.01),
    Adam(0.01),
    AdamW(0.01),
]
LEVELS = [5, 40]


def rows_of(rng, rows=30, levels=LEVELS, numbers=2):
    columns = [rng.integers(count, size=rows) for count in levels]
    return np.column_stack([*columns, rng.normal(size=(rows, numbers))]), rng.normal(size=(rows, 2))


def new_network(dtype="float64", **settings):
    embedding = Embedding(LEVELS, [2, 3], numbers=2, **settings)
    return Network(embedding, Layer(7, 9, "tanh", bias=True), Layer(9, 2, "identity", bias=True), rng=1, dtype=dtype)


X, Y = rows_of(np.random.default_rng(0))


def test_it_is_the_same_as_ones_and_zeros_times_weights():
    layer = Embedding(4, 3, rng=0)
    ones = np.eye(4)[[2, 0, 2]]
    np.testing.assert_array_equal(layer.forward([[2], [0], [2]]), ones @ layer.vectors[0])
    errors = np.arange(9.0).reshape(3, 3)
    before = layer.vectors[0].copy()
    np.testing.assert_array_equal(layer.backward(errors), np.zeros((3, 1)))
    np.testing.assert_allclose(layer.vectors[0], before + ones.T @ errors)


def test_columns_lie_side_by_side_and_numbers_pass():
    layer = Embedding([2, 3], [1, 2], numbers=1)
    layer.vectors[0][...] = [[10], [11]]
    layer.vectors[1][...] = [[20, 21], [22, 23], [24, 25]]
    np.testing.assert_array_equal(layer.forward([[1, 2, 0.5], [0, 0, -7]]), [[11, 24, 25, 0.5], [10, 20, 21, -7]])
    np.testing.assert_array_equal(layer.backward([[1, 2, 3, 4], [0, 0, 0, 0]]), [[0, 0, 4], [0, 0, 0]])
    assert (layer.n_inputs, layer.n_outputs, layer.levels, layer.widths) == (3, 4, (2, 3), (1, 2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_its_derivative_is_right(dtype):
    assert gradient_check(new_network(dtype), X[:8], Y[:8])


def test_it_begins_within_the_inverse_root_of_its_width():
    vectors = Embedding(1000, 16, rng=0).vectors[0]
    assert 0.24 < np.abs(vectors).max() <= 0.25
    assert abs(vectors.mean()) < 0.01
    np.testing.assert_array_equal(Embedding(3, 2, initializer="zeros").vectors[0], 0)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Embedding(0, 2), ValueError, "levels is 0; expected a whole number, 1 or more"),
        (lambda: Embedding([3, 2.5], 2), TypeError, r"levels\[1\] is 2.5"),
        (lambda: Embedding(3, [2, 2]), ValueError, "width has 2 numbers for 1 columns of levels"),
        (lambda: Embedding([], 2), ValueError, "width has 0 numbers for 0 columns"),
        (lambda: Embedding(3, 2, numbers=-1), ValueError, "numbers is -1"),
        (lambda: Embedding(2**24 + 1, 2), ValueError, "levels has 16,777,217; expected 16,777,216 at most"),
        (lambda: Network(Dropout(0.1), Embedding(3, 2), Layer(2, 1)), ValueError, "layer 1 .* reads the data"),
        (lambda: Residual(Embedding(3, 1)), ValueError, "reads the data; it has to be a network's first layer"),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


@ENGINES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("wrong", [-1, 5, 0.5, 1e20])
def test_what_is_no_level_is_refused_by_whoever_reads_it(wrong, dtype, engine):
    network = new_network(dtype)
    inputs, targets = X.astype(dtype), Y.astype(dtype)
    inputs[7, 0] = wrong
    words = r"inputs has .* in column 0 \(row 7\); the embedding has 5 levels there; expected whole numbers from 0 to 4"
    before, trainer = network.parameters.copy(), Trainer(network, engine=engine)
    for call in (
        lambda: network.run(inputs),
        lambda: network.forward(inputs),
        lambda: network.train_once(inputs, targets),
        lambda: network.train(inputs, targets, 3, engine=engine),
        lambda: network.train(X, Y, 3, engine=engine, validation=(inputs, targets)),
        lambda: trainer.step(inputs, targets),
        lambda: trainer.evaluate(inputs, targets),
        lambda: trainer.step_from(inputs, targets),
        lambda: trainer.gradient(inputs, targets),
        lambda: gradient_check(network, inputs, targets),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    np.testing.assert_array_equal(network.parameters, before)


def test_a_lazy_layer_of_ones_own_reads_the_data():
    class Lazy(AbstractLayer):
        lazy = frozenset({"weights"})

        def compute(self, inputs, draw=None):
            return inputs, None

        def backprop(self, seen, output_errors):
            return output_errors, {}

        def blocks(self):
            return {"weights": np.ones((2, 2))}

    with pytest.raises(ValueError, match="has lazy blocks; that is for a first layer, which reads_data"):
        Network(Lazy(), Layer(2, 1))


def test_sparse_rows_are_refused():
    sparse = pytest.importorskip("scipy.sparse").csr_array(X)
    for call in (
        lambda: new_network().run(sparse),
        lambda: new_network().train(sparse, Y, 1),
        lambda: Trainer(new_network()).step_from(sparse, Y),
    ):
        with pytest.raises(ValueError, match=r"inputs is sparse; Embedding\(.*\) takes dense rows: inputs.toarray\(\)"):
            call()


@ENGINES
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_step_moves_what_it_touches_alone(optimizer, engine):
    """And so does what the optimizer remembers: only the vectors of these rows."""
    network = new_network()
    trainer = Trainer(network, loss="squared_error", optimizer=optimizer, engine=engine)
    for _ in range(3):
        trainer.step(X, Y)
    parameters, state = network.parameters.copy(), trainer.engine.state
    some = X[:4]
    trainer.step(some, Y[:4])
    for column, block in enumerate(network.blocks[:2]):
        moved = (network.parameters != parameters)[block.place].reshape(block.shape).any(axis=1)
        np.testing.assert_array_equal(np.flatnonzero(moved), np.unique(some[:, column]))
        for name, vector in trainer.engine.state.vectors.items():
            changed = (vector != state.vectors[name])[block.place].reshape(block.shape).any(axis=1)
            np.testing.assert_array_equal(changed, moved)


@ENGINES
def test_rows_that_count_nothing_touch_nothing(engine):
    network = new_network()
    trainer = Trainer(network, loss="squared_error", optimizer=GradientDescent(0.1, momentum=0.9), engine=engine)
    trainer.step(X, Y)
    before = network.layers[0].vectors[1].copy()
    trainer.step(X, Y, np.where(np.arange(30) == 3, 1.0, 0.0))
    moved = (network.layers[0].vectors[1] != before).any(axis=1)
    assert np.flatnonzero(moved).tolist() == [X[3, 1]]


@ENGINES
def test_momentum_goes_on_when_a_level_comes_again(engine):
    """By hand: v = 0.5 v - r g in the steps in which the level is there, and nothing in between."""
    network = Network(Embedding(2, 1), Layer(1, 1, "identity"), rng=0)
    network.parameters = [1.0, 2.0, 1.0]
    optimizer = GradientDescent(0.1, momentum=0.5, factors={"weights": 0.0})
    trainer = Trainer(network, loss="squared_error", optimizer=optimizer, engine=engine)
    expected, velocity = [1.0, 2.0], [0.0, 0.0]
    for level in (0, 1, 1, 0, 1, 0, 0):
        trainer.step([[level]], [[0.0]])
        velocity[level] = 0.5 * velocity[level] - 0.1 * expected[level]
        expected[level] += velocity[level]
        np.testing.assert_allclose(network.layers[0].vectors[0].ravel(), expected, rtol=1e-14)


@ENGINES
def test_penalties_do_not_count_vectors(engine):
    network = new_network()
    trainer = Trainer(network, loss="squared_error", l1=0.1, l2=0.1, engine=engine)
    plain = Trainer(network.copy(), loss="squared_error", engine=engine)
    weights = np.concatenate([layer.weights.ravel() for layer in network.layers[1:]])
    penalty = 0.1 * np.abs(weights).sum() + 0.05 * (weights**2).sum()
    assert trainer.step(X, Y) == pytest.approx(plain.step(X, Y) + penalty)
    np.testing.assert_allclose(network.layers[0].vectors[0], plain.network.layers[0].vectors[0], rtol=1e-13)


@ENGINES
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_undo_and_handing_over(optimizer, engine):
    """A step is taken back, and another engine goes on with the same bits."""
    network = new_network()
    trainer = Trainer(network, loss="squared_error", optimizer=optimizer, engine=engine)
    trainer.step(X, Y)
    before, state = network.parameters.copy(), trainer.engine.state
    trainer.step(X[:5], Y[:5])
    after = network.parameters.copy()
    np.testing.assert_array_equal(trainer.engine.before(), before)
    trainer.undo()
    np.testing.assert_array_equal(network.parameters, before)
    for name, vector in trainer.engine.state.vectors.items():
        np.testing.assert_array_equal(vector, state.vectors[name])
    trainer.step(X[:5], Y[:5])
    np.testing.assert_array_equal(network.parameters, after)

    twin = Trainer(network.copy(), loss="squared_error", optimizer=optimizer, engine=engine)
    twin.engine.restore(trainer.engine.state, trainer.engine.before())
    np.testing.assert_array_equal(twin.engine.before(), before)
    np.testing.assert_array_equal(twin.engine.parameters(), after)
    for each in (trainer, twin):
        each.step(X[10:], Y[10:])
    np.testing.assert_array_equal(twin.network.parameters, network.parameters)


@ENGINES
def test_undo_takes_back_the_vectors_that_the_step_moved_alone(engine):
    """What was written by hand into others since stays; dense weights are put back, whoever changed them."""
    network = new_network()
    trainer = Trainer(network, optimizer=Adam(0.01, factors={"0.0.vectors": 0.0}), engine=engine)
    np.testing.assert_array_equal(trainer.engine.before(), network.parameters)
    network.parameters[0] = 5
    np.testing.assert_array_equal(trainer.engine.before(), network.parameters)  # as they are, before any step
    before = network.parameters.copy()
    level = int(X[0, 1])
    trainer.step(X[:1], Y[:1])
    frozen, vectors = network.layers[0].vectors
    frozen[0], vectors[level], vectors[level - 1] = 7, 8, 9
    network.layers[1].weights[0, 0] = 10
    trainer.undo()
    expected = new_network()
    expected.parameters = before
    expected.layers[0].vectors[0][0], expected.layers[0].vectors[1][level - 1] = 7, 9
    np.testing.assert_array_equal(network.parameters, expected.parameters)
    with pytest.raises(RuntimeError, match="no step to take back"):
        trainer.engine.undo()


@ENGINES
def test_a_gradient_and_its_move_are_a_step(engine):
    ends = []
    for way in ("step", "move"):
        network = new_network()
        trainer = Trainer(
            network, loss="squared_error", optimizer=GradientDescent(0.1, momentum=0.9), clip_norm=0.5, engine=engine
        )
        for rows in (slice(0, 5), slice(5, 9), slice(2, 30)):
            if way == "step":
                trainer.step(X[rows], Y[rows])
            else:
                _, gradient = trainer.gradient(X[rows], Y[rows])
                trainer.move(gradient)
        ends.append(network.parameters)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-13)


@ENGINES
@pytest.mark.parametrize("batch_size", [None, 7, 600])
def test_a_call_that_ends_early_ends_where_its_steps_did(batch_size, engine, tmp_path):
    """A training that is broken off at an epoch and goes on has the bits of one that was not, and the step before."""
    rng = np.random.default_rng(1)
    inputs, targets = rows_of(rng, rows=1300)
    how = {
        "epochs": 8,
        "batch_size": batch_size,
        "loss": "squared_error",
        "optimizer": Adam(0.01),
        "stop": 5,
        "engine": engine,
        "report_every": 0,
    }
    whole, broken = new_network(), new_network()
    expected = whole.train(inputs, targets, rng=3, **how)
    file = tmp_path / "training"
    broken.train(inputs, targets, rng=3, checkpoint=file, on_epoch=lambda epoch: epoch.number == 3, **how)
    resumed = new_network()
    found = resumed.train(inputs, targets, rng=3, checkpoint=file, resume=True, **how)
    assert found.loss[:3] == expected.loss[:3]
    np.testing.assert_array_equal(broken.parameters, resumed.parameters)  # it had ended: the History again


@ENGINES
@pytest.mark.parametrize("batch_size", [16, 600])
def test_a_loss_that_is_not_finite_leaves_what_the_steps_before_it_left(batch_size, engine):
    """The native engine replays such a call from its beginning, vectors and all that is remembered of them."""
    inputs, targets = rows_of(np.random.default_rng(2), rows=7 * batch_size)
    order, rates = np.arange(7 * batch_size), np.array([0.01, 0.02, 0.01, 0.03, 1e200, 0.01, 0.01])
    how = {"loss": "squared_error", "optimizer": GradientDescent(0.1, momentum=0.5), "engine": engine}
    trainer, twin = Trainer(new_network(), **how), Trainer(new_network(), **how)
    rows = trainer.check(inputs, targets)
    losses = trainer.engine.steps(rows, order, batch_size, rates)
    assert len(losses) == 6
    assert not np.isfinite(losses[-1])
    for step in range(5):
        twin.engine.steps(rows, order[step * batch_size :], batch_size, rates[step : step + 1])
    np.testing.assert_array_equal(trainer.network.parameters, twin.network.parameters)
    np.testing.assert_array_equal(trainer.engine.before(), twin.engine.before())
    np.testing.assert_array_equal(trainer.engine.state.vectors["velocity"], twin.engine.state.vectors["velocity"])
    trainer.engine.undo()
    np.testing.assert_array_equal(trainer.network.parameters, twin.engine.before())


@NO_NATIVE
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_are_the_same_for_any_number_of_threads(dtype):
    rng = np.random.default_rng(3)
    inputs, targets = rows_of(rng, rows=3000)
    ends = []
    for threads in (1, 2, 3):
        network = Network(
            Embedding(LEVELS, [2, 3], numbers=2), Layer(7, 80, "relu"), Layer(80, 2, "identity"), rng=1, dtype=dtype
        )
        network.train(
            inputs, targets, epochs=4, batch_size=1000, loss="squared_error", optimizer="adam", threads=threads, rng=0
        )
        ends.append(network.parameters)
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[0], ends[2])


@NO_NATIVE
def test_a_hundred_thousand_levels():
    rng = np.random.default_rng(4)
    inputs = rng.integers(100_000, size=(2000, 1)).astype(np.float32)
    truth = rng.normal(size=(100_000, 1)).astype(np.float32)
    targets = truth[inputs.astype(int).ravel()]
    network = Network(Embedding(100_000, 8), Layer(8, 1, "identity"), rng=0, dtype="float32")
    before = network.layers[0].vectors[0].copy()
    history = network.train(
        inputs, targets, epochs=30, batch_size=50, loss="squared_error", optimizer=Adam(0.02), progress=False
    )
    assert history.engine == "native"
    assert history.loss[-1] < 0.02 * history.loss[0]
    moved = (network.layers[0].vectors[0] != before).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(moved), np.unique(inputs))


@ENGINES
def test_a_column_that_is_frozen_stays(engine):
    network = new_network()
    optimizer = Adam(0.01, factors={"0.0.vectors": 0.0, "0.1.vectors": 2.0})
    first, second = (vectors.copy() for vectors in network.layers[0].vectors)
    network.train(X, Y, 5, loss="squared_error", optimizer=optimizer, engine=engine, report_every=0)
    np.testing.assert_array_equal(network.layers[0].vectors[0], first)
    assert (network.layers[0].vectors[1] != second).any()
    frozen = new_network(trainable=False)
    frozen.train(X, Y, 5, engine=engine, report_every=0)
    np.testing.assert_array_equal(frozen.layers[0].vectors[0], first)


@ENGINES
def test_vectors_that_are_written_between_steps_are_the_ones_that_go_on(engine):
    network, twin = new_network(), new_network()
    trainer = Trainer(network, loss="squared_error", optimizer=Adam(0.01), engine=engine)
    trainer.step(X, Y)
    twin.parameters = network.parameters
    for each in (network, twin):
        each.layers[0].vectors[0][...] = 0.5
    trainer.step(X, Y)
    other = Trainer(twin, loss="squared_error", optimizer=Adam(0.01), engine=engine)
    other.engine.restore(*_after_one_step(engine))
    other.step(X, Y)
    np.testing.assert_array_equal(network.parameters, twin.parameters)


def _after_one_step(engine):
    trainer = Trainer(new_network(), loss="squared_error", optimizer=Adam(0.01), engine=engine)
    trainer.step(X, Y)
    return trainer.engine.state, trainer.engine.before()


def test_a_file_and_copies_have_the_same_vectors(tmp_path):
    network = new_network("float32")
    network.save(tmp_path / "model")
    for same in (Network.load(tmp_path / "model"), copy.deepcopy(network), network.copy()):
        np.testing.assert_array_equal(same.run(X), network.run(X))
        assert repr(same) == repr(network)
        assert np.shares_memory(same.layers[0].vectors[1], same.parameters)
    assert network.astype("float64").layers[0].vectors[0].dtype == np.float64
