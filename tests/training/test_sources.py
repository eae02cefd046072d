"""Sources: rows piece by piece, in windows of bounded size."""

import math
import os
import threading
import time
import warnings

import numpy as np
import pytest
import scipy.sparse

from nineline import Adam, ArraySource, DivergenceError, EarlyStopping, IteratorSource, LevenbergMarquardt, Network
from nineline.engines import native
from nineline.rows import Rows
from nineline.schedules import Cosine
from nineline.training.windows import Cut, Windows

NO_NATIVE = pytest.mark.skipif(
    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
    reason="the native engine was not built, or is turned off",
)
ENGINES = ["reference", pytest.param("native", marks=NO_NATIVE)]

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (1000, 3))
Y = np.column_stack([X[:, 0] * X[:, 1], X.sum(axis=1)])
W = rng.uniform(0, 2, len(X))


def network(dtype="float64", **how):
    return Network(
        3, 8, 2, **{"activation": "tanh", "output": "identity", "bias": True, "rng": 0, "dtype": dtype, **how}
    )


def rows_of(windows):
    return np.concatenate([rows.inputs for rows in windows])


def check(inputs, outputs, sample_weight=None, *, of_piece=""):
    return Rows(inputs, outputs, sample_weight)


def pieces(count, x=X, y=Y, w=None):
    """Return a function that yields the rows in so many pieces."""

    def of():
        for some in np.array_split(np.arange(len(x)), count):
            yield (x[some], y[some]) if w is None else (x[some], y[some], w[some])

    return of


SMALL = 4 * 200 * (X.nbytes + Y.nbytes) // len(X)  # a window has 200 rows


# Windows


@pytest.mark.parametrize("memory", [SMALL, "1GB"])
@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000, 5000])
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_takes_every_row_once_in_whole_batches(memory, batch_size, shuffle):
    windows = Windows(ArraySource(X, Y, memory=memory), check, seed=3)
    for epoch in range(2):
        taken, sizes = [], []
        for rows, order in windows.of_epoch(epoch, Cut(batch_size), shuffle=shuffle):
            assert len(np.unique(order)) == len(order)
            taken.append(rows.inputs[order])
            sizes.append(len(order))
        assert all(size % batch_size == 0 for size in sizes[:-1])
        together = np.concatenate(taken)
        np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(X, axis=0))
        assert np.array_equal(together, X) != shuffle
    assert windows.rows == len(X)


def test_windows_are_no_larger_than_a_quarter_of_the_memory():
    windows = Windows(ArraySource(X, Y, memory=SMALL), check)
    sizes = [rows.nbytes for rows in windows.in_order()]
    assert len(sizes) >= 5
    assert max(sizes) <= SMALL / 4
    np.testing.assert_array_equal(rows_of(windows.in_order()), X)


def test_the_order_follows_from_seed_and_epoch_alone():
    def taken(epoch, seed, already=()):
        windows = Windows(ArraySource(X, Y, memory=SMALL), check, seed)
        for each in already:
            list(windows.of_epoch(each, Cut(10), shuffle=True))
        return np.concatenate([rows.inputs[order] for rows, order in windows.of_epoch(epoch, Cut(10), shuffle=True)])

    np.testing.assert_array_equal(taken(4, 1), taken(4, 1, already=[0, 1]))
    assert not np.array_equal(taken(4, 1), taken(5, 1))
    assert not np.array_equal(taken(4, 1), taken(4, 2))


def test_rows_that_fit_one_window_are_read_once():
    reads = []

    def read():
        reads.append(1)
        yield from pieces(4)()

    windows = Windows(IteratorSource(read), check)
    first = [rows.inputs[order] for rows, order in windows.of_epoch(2, Cut(100), shuffle=True)]
    again = [rows.inputs[order] for rows, order in windows.of_epoch(2, Cut(100), shuffle=True)]
    assert len(reads) == 1
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(again))
    np.testing.assert_array_equal(rows_of(windows.in_order()), X)


def test_a_window_is_filled_from_many_streams():
    """A window out of one file is no shuffle."""
    streams = [pieces(20, X[part], Y[part]) for part in np.array_split(np.arange(len(X)), 10)]
    windows = Windows(IteratorSource(streams, memory=SMALL), check)
    number = {tuple(row): place for place, row in enumerate(X.tolist())}
    rows, order = next(windows.of_epoch(0, Cut(10), shuffle=True))
    from_streams = {number[tuple(row)] // 100 for row in rows.inputs[order].tolist()}
    assert len(from_streams) >= 8


@pytest.mark.filterwarnings("default")
def test_sorted_rows_are_said():
    order = np.argsort(Y[:, 1])
    by_target = IteratorSource(pieces(50, X[order], Y[order]), memory=SMALL)
    with pytest.warns(UserWarning, match=r"are sorted: \d\d% of the variance of their targets is between windows"):
        network().train(by_target, epochs=1, batch_size=10, loss="squared_error")
    for source in [ArraySource(X[order], Y[order], memory=SMALL), IteratorSource(pieces(50), memory=SMALL)]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            network().train(source, epochs=1, batch_size=10, loss="squared_error")


def test_the_next_window_is_read_while_this_one_is_learned_from():
    made = []

    def read():
        for piece in pieces(5)():
            made.append(threading.current_thread().name)
            yield piece

    windows = Windows(IteratorSource(read, memory=SMALL), check).in_order()
    next(windows)
    for _ in range(200):
        if len(made) >= 3:
            break
        time.sleep(0.01)
    assert len(made) >= 3  # the second window is there, and the piece seen that is too much for it
    assert all(name.startswith("nineline-source") for name in made)
    windows.close()


# Training


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batch_size", [50, 1000])
def test_without_shuffling_it_is_the_training_in_memory(engine, batch_size):
    how = {"epochs": 3, "shuffle": False, "loss": "squared_error", "engine": engine, "batch_size": batch_size}
    one, other = network(), network()
    expected = one.train(X, Y, optimizer=Adam(0.01), sample_weight=W, rng=1, **how)
    source = ArraySource(X, Y, W, memory=4 * SMALL // 3)
    found = other.train(source, optimizer=Adam(0.01), rng=1, **how)
    np.testing.assert_array_equal(one.parameters, other.parameters)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-12)
    assert (found.steps, found.learning_rate, found.engine) == (expected.steps, expected.learning_rate, engine)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_step_on_all_rows_adds_up_the_windows(optimizer, reduction):
    from nineline import LBFGS, GradientDescent
    from nineline.losses import SquaredError

    rule = {
        "optimizer": {"sgd": GradientDescent(1e-3), "adam": Adam(0.01), "lbfgs": LBFGS()}[optimizer],
        "loss": SquaredError(reduction=reduction),
        "l1": 1e-3,
        "l2": 1e-2,
    }
    one, other = network(), network()
    expected = one.train(X, Y, 20, sample_weight=W, report_every=0, **rule)
    found = other.train(ArraySource(X, Y, W, memory=SMALL), iterations=20, report_every=0, **rule)
    np.testing.assert_allclose(other.parameters, one.parameters, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-9)


def test_it_learns_as_well_as_in_memory():
    how = {"epochs": 30, "batch_size": 20, "loss": "squared_error", "optimizer": Adam(0.01), "schedule": "cosine"}
    one, other = network(), network()
    expected = one.train(X, Y, **how)
    found = other.train(ArraySource(X, Y, memory=SMALL), **how)
    assert found.loss[-1] < 1.3 * expected.loss[-1]
    assert found.steps == expected.steps
    assert found.learning_rate == expected.learning_rate


def test_validation_may_be_a_source():
    how = {"epochs": 5, "batch_size": 20, "loss": "squared_error", "shuffle": False}
    one, other, third = network(), network(), network()
    expected = one.train(X[200:], Y[200:], validation=(X[:200], Y[:200]), **how)
    held_out = ArraySource(X[:200], Y[:200], memory=SMALL // 4)
    found = other.train(ArraySource(X[200:], Y[200:], memory=SMALL), validation=held_out, **how)
    np.testing.assert_allclose(found.validation_loss, expected.validation_loss, rtol=1e-12)
    found = third.train(X[200:], Y[200:], validation=held_out, **how)
    np.testing.assert_allclose(found.validation_loss, expected.validation_loss, rtol=1e-12)


def test_classes_sparse_rows_and_pieces_without_weights():
    labels = (X[:, 0] > 0).astype(int)
    sparse = scipy.sparse.csr_matrix(np.where(np.abs(X) > 0.5, X, 0))

    def read():
        for place, some in enumerate(np.array_split(np.arange(len(X)), 20)):
            piece = sparse[some], labels[some]
            yield (*piece, np.full(len(some), 2.0)) if place % 2 else piece

    made = Network(3, 8, 2, activation="tanh", output="softmax", bias=True, rng=0)
    same = Network(3, 8, 2, activation="tanh", output="softmax", bias=True, rng=0)
    how = {"epochs": 2, "batch_size": 10, "loss": "cross_entropy", "shuffle": False}
    made.train(IteratorSource(read, memory=4000), **how)
    weights = np.concatenate([np.full(50, 1.0 + place % 2) for place in range(20)])
    same.train(sparse, labels, sample_weight=weights, **how)
    np.testing.assert_array_equal(made.parameters, same.parameters)


def test_a_schedule_without_the_number_of_rows_knows_it_after_the_first_epoch():
    seen = []

    class Spy(Cosine):
        def factors(self, epochs, count):
            seen.append(np.array(epochs))
            return super().factors(epochs, count)

    source = IteratorSource(pieces(10), memory=SMALL)
    network().train(source, epochs=2, batch_size=100, loss="squared_error", schedule=Spy())
    places = np.concatenate(seen)
    assert (places[places < 1] == 0).all()
    np.testing.assert_allclose(places[places >= 1], 1 + np.arange(10) / 10)


@pytest.mark.parametrize("how", [{"epochs": 4, "batch_size": 10}, {"iterations": 40, "report_every": 0}])
@pytest.mark.parametrize("stopped_at", [3, 170])
def test_it_goes_on_with_the_same_bits(how, stopped_at, tmp_path):
    def source(breaks_after=math.inf):
        count = 0

        def read():
            nonlocal count
            for piece in pieces(10, w=W)():
                count += 1
                if count > breaks_after:
                    raise OSError("the disk is gone")
                yield piece

        return IteratorSource(read, rows=len(X), memory=SMALL)

    rule = {"loss": "squared_error", "optimizer": Adam(0.01), "rng": 5, "stop": EarlyStopping(50), **how}
    whole, broken = network(), network()
    expected = whole.train(source(), **rule)
    kept = {"checkpoint": tmp_path / "run", "checkpoint_every": 0, "resume": True}
    with pytest.raises(OSError, match="the disk is gone"):
        broken.train(source(2 + stopped_at % 30), **rule, **kept)
    other = network()
    found = other.train(source(), **rule, **kept)
    np.testing.assert_array_equal(other.parameters, whole.parameters)
    assert found.loss == expected.loss
    with pytest.raises(ValueError, match="memory is 123456, and .*run is a checkpoint of a training whose memory was"):
        network().train(IteratorSource(pieces(10), rows=len(X), memory=123456), **rule, **kept)


def test_it_goes_on_behind_the_last_batch_of_an_epoch(tmp_path):
    class LeftError(Exception):
        pass

    def leave(epoch):
        if epoch.number == 2:
            raise LeftError

    rule = {"loss": "squared_error", "optimizer": Adam(0.01), "rng": 5, "epochs": 4, "batch_size": 10}
    kept = {"checkpoint": tmp_path / "run", "checkpoint_every": 0, "resume": True}
    whole, broken = network(), network()
    expected = whole.train(ArraySource(X, Y, memory=SMALL), **rule)
    with pytest.raises(LeftError):  # the last that was written holds all batches of the second epoch, and no epoch more
        broken.train(ArraySource(X, Y, memory=SMALL), on_epoch=leave, **rule, **kept)
    other = network()
    found = other.train(ArraySource(X, Y, memory=SMALL), **rule, **kept)
    np.testing.assert_array_equal(other.parameters, whole.parameters)
    assert found.loss == expected.loss


def test_ctrl_c_ends_training_and_reading():
    def interrupt(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    before = threading.active_count()
    source = ArraySource(X, Y, memory=SMALL)
    history = network().train(source, epochs=9, batch_size=10, loss="squared_error", on_epoch=interrupt)
    assert history.stopped.startswith("interrupted")
    assert history.epochs == 2
    assert threading.active_count() == before


def test_divergence_is_said_with_what_is_at_hand():
    with pytest.raises(DivergenceError, match="inputs scaled to about -1..1"), np.errstate(all="ignore"):
        network().train(ArraySource(1e200 * X, 1e200 * Y, memory=SMALL), epochs=3, batch_size=10, loss="squared_error")


# What is of no use


def test_a_source_that_can_be_gone_through_once_is_refused():
    with pytest.raises(TypeError, match="expected a function that returns an iterator"):
        IteratorSource(pieces(3)())
    iterator = pieces(10)()
    source = IteratorSource(lambda: iterator, memory=SMALL)
    with pytest.raises(ValueError, match="the source yielded no rows, and had 1,000 before; .* only once"):
        network().train(source, epochs=3, batch_size=10, loss="squared_error")
    with pytest.raises(ValueError, match="the source yielded no rows, and an epoch needs one"):
        network().train(IteratorSource(lambda: iter([])), epochs=1, batch_size=10)


@pytest.mark.parametrize(
    ("given", "how", "error", "message"),
    [
        (
            ArraySource(X, Y),
            {"outputs": Y},
            ValueError,
            "inputs is a ArraySource and outputs is given; a source yields",
        ),
        (ArraySource(X, Y), {"sample_weight": W}, ValueError, "sample_weight is given"),
        (ArraySource(X, Y), {"validation": 0.1}, ValueError, "of which no share is drawn"),
        (ArraySource(X, Y), {"optimizer": LevenbergMarquardt()}, ValueError, "solves for all rows at once"),
        (ArraySource(X, Y), {"optimizer": "lbfgs", "epochs": 2, "batch_size": 9}, ValueError, "batch_size"),
        (ArraySource(X[:, :2], Y), {}, ValueError, "piece 0 of stream 0: inputs has 2 columns"),
        (ArraySource(np.where(X > 0.99, np.nan, X), Y), {}, ValueError, "piece 0 of stream 0: inputs has nan"),
        (IteratorSource(lambda: iter([X])), {}, TypeError, "piece 0 of stream 0 of the source is ndarray; expected"),
        (X, {}, ValueError, "outputs"),
    ],
)
def test_what_does_not_fit_is_said(given, how, error, message):
    made = network()
    before = made.parameters.copy()
    with pytest.raises(error, match=message):
        made.train(given, **{"loss": "squared_error", "report_every": 0, **how})
    np.testing.assert_array_equal(made.parameters, before)


def test_arrays_that_are_none():
    with pytest.raises(ValueError, match="inputs has 1,000 rows and outputs has 10 rows; expected as many of each"):
        ArraySource(X, Y[:10])
    with pytest.raises(ValueError, match="inputs has 0 rows"):
        ArraySource(X[:0], Y[:0])
    with pytest.raises(ValueError, match="expected an array of rows"):
        ArraySource(3, Y)


@pytest.mark.parametrize(
    ("memory", "size"),
    [(5, 5), ("7", 7), ("2GB", 2 * 10**9), ("1.5 GiB", 3 * 2**29), ("500mb", 5 * 10**8), ("3kib", 3072)],
)
def test_memory_in_words(memory, size):
    assert ArraySource(X, Y, memory=memory).memory == size


@pytest.mark.parametrize("memory", [0, -3, "", "much", "2 GX", "GB", None, 1.5, True, "1.2.3GB"])
def test_memory_that_is_none(memory):
    with pytest.raises((ValueError, TypeError), match="memory is .*expected a number of bytes, or a text such as"):
        ArraySource(X, Y, memory=memory)
