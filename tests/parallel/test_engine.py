"""What processes ask of an engine: the gradient of some rows, and steps by gradients that others add to."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse

from nineline import Adam, Dropout, GradientDescent, Layer, Network
from nineline.engines import choose, native
from nineline.engines.contract import Rule
from nineline.losses import CrossEntropy

HAS_NATIVE = native._native is not None and os.environ.get("NINELINE_SIMD") != "none"
NO_NATIVE = pytest.mark.skipif(not HAS_NATIVE, reason="the native engine was not built, or is turned off")
ENGINES = ["reference", pytest.param("native", marks=NO_NATIVE)]

draws = np.random.default_rng(0)
X = draws.normal(size=(60, 5))
CLASSES = draws.integers(3, size=60)
WEIGHTS = draws.uniform(0.5, 2, 60)


def network(width, dtype="float64"):
    layers = Layer(5, width, "relu", bias=True), Dropout(0.3), Layer(width, 3, "softmax", bias=True)
    return Network(*layers, rng=0, dtype=dtype)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("layout", [np.asarray, scipy.sparse.csr_matrix])
@pytest.mark.parametrize("which", [[3], [7, 7, 1], range(59, -1, -2)])
def test_the_gradient_of_some_rows_is_that_of_these_alone(which, layout, engine):
    which = np.array(which)
    rows = network(8).check_rows(layout(X), CLASSES, WEIGHTS, classes=True)
    made = choose(engine, network(8), Rule("cross_entropy", l2=0.1))
    found, expected = np.empty((2, len(network(8).parameters)))
    loss = made.gradient(rows, found, None, which)
    assert loss == made.gradient(rows.part(which), expected)
    assert found.tobytes() == expected.tobytes()


@NO_NATIVE
@pytest.mark.parametrize("width", [4, 200], ids=["tiny", "wide"])
@pytest.mark.parametrize("optimizer", [GradientDescent(0.1, momentum=0.5), Adam(0.01)])
def test_steps_with_nobody_else_are_steps(optimizer, width):
    one, other = network(width), network(width)
    order, rates = draws.permutation(60), np.full(8, 0.01)
    rows = one.check_rows(X, CLASSES, WEIGHTS, classes=True)
    truth = choose("native", one, Rule(CrossEntropy(reduction="sum"), optimizer))
    made = choose("native", other, Rule(CrossEntropy(reduction="sum"), optimizer))
    seen = []
    losses = made.steps_with_others(rows, order, 8, rates, lambda array: seen.append(array[-3:].copy()), False)
    assert losses.tobytes() == truth.steps(rows, order, 8, rates).tobytes()
    assert other.parameters.tobytes() == one.parameters.tobytes()
    assert made.before().tobytes() == truth.before().tobytes()
    weights = [WEIGHTS[order[i : i + 8]].sum() for i in range(0, 60, 8)]
    np.testing.assert_allclose(seen, np.column_stack([losses, weights, np.zeros(8)]), rtol=1e-12)


@NO_NATIVE
def test_what_others_add_moves_the_network():
    """As many rows that are the same leave a mean as it is."""
    one, other = network(8, "float32"), network(8, "float32")
    rows = one.check_rows(X, CLASSES, classes=True)
    choose("native", one, Rule("cross_entropy")).steps(rows, None, 60, np.full(5, 0.1))
    made = choose("native", other, Rule(CrossEntropy(reduction="sum")))

    def double(array):
        array *= 2

    made.steps_with_others(rows, None, 60, np.full(5, 0.1), double, True)
    np.testing.assert_allclose(other.parameters, one.parameters, rtol=1e-5, atol=1e-6)


@NO_NATIVE
def test_an_error_of_who_adds_up_ends_the_call_behind_the_last_step():
    made, truth = (choose("native", network(8), Rule(CrossEntropy(reduction="sum"))) for _ in range(2))
    rows = network(8).check_rows(X, CLASSES, classes=True)
    calls = []

    def fail(array):
        calls.append(array)
        if len(calls) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.steps_with_others(rows, None, 60, np.full(9, 0.01), fail, False)
    truth.steps(rows, None, 60, np.full(3, 0.01))
    assert made.steps_taken == 3
    assert made.network.parameters.tobytes() == truth.network.parameters.tobytes()
    assert made.before().tobytes() == truth.before().tobytes()


@NO_NATIVE
def test_a_loss_that_is_not_finite_ends_the_call():
    made = choose("native", network(8), Rule(CrossEntropy(reduction="sum")))
    rows = network(8).check_rows(X, CLASSES, classes=True)

    def spoil(array):
        if made_up:
            array[-3] = np.nan
        made_up.append(1)

    made_up = []
    losses = made.steps_with_others(rows, None, 60, np.full(9, 0.01), spoil, False)
    assert len(losses) == 2
    assert made.steps_taken == 1
    assert np.isfinite(losses[0])
    assert not np.isfinite(losses[1])


def shares_of_batches(order, size, counts):
    """Return for each of two parties its rows of each batch, and behind them -1 up to so many."""
    parties = []
    for first in (True, False):
        padded = np.full((len(counts), size), -1)
        for i, (batch, count) in enumerate(
            zip(np.split(order, np.cumsum(np.sum(counts, axis=1))[:-1]), counts, strict=True)
        ):
            mine = batch[: count[0]] if first else batch[count[0] :]
            padded[i, : len(mine)] = mine
        parties.append(padded.reshape(-1))
    return parties


@NO_NATIVE
@pytest.mark.parametrize("clip_norm", [None, 0.05])
@pytest.mark.parametrize("embedded", [False, True], ids=["", "embedded"])
@pytest.mark.parametrize("width", [4, 200], ids=["tiny", "wide"])
def test_two_that_add_up_take_the_steps_of_one(width, embedded, clip_norm):
    """With as many rows of a batch as there are, none too, and vectors of levels that the other has not."""
    from nineline import Embedding

    def made():
        first = [Embedding([6], [3], numbers=5)] if embedded else []
        layers = Layer(8 if embedded else 5, width, "tanh", bias=True), Layer(width, 3, "softmax", bias=True)
        return Network(*first, *layers, rng=0)

    inputs = np.column_stack([draws.integers(6, size=60), X]) if embedded else X
    counts = [(6, 6), (0, 12), (12, 0), (1, 11), (7, 5)]
    order, rates = np.arange(60), np.full(5, 0.05)
    rule = CrossEntropy(reduction="sum"), Adam(0.05)
    truth, parties = made(), [made(), made()]
    engine = choose("native", truth, Rule("cross_entropy", Adam(0.05), clip_norm=clip_norm))
    rows = truth.check_rows(inputs, CLASSES, WEIGHTS, classes=True)
    expected = engine.steps(rows, order, 12, rates)
    engines = [choose("native", each, Rule(*rule, clip_norm=clip_norm)) for each in parties]
    meeting, brought = threading.Barrier(2), [None, None]

    def add_up(number):
        def meet(array):
            brought[number] = array.copy()
            meeting.wait(10)
            array[...] = brought[0] + brought[1]
            meeting.wait(10)

        return meet

    def train(number):
        mine = shares_of_batches(order, 12, counts)[number]
        return engines[number].steps_with_others(rows, mine, 12, rates, add_up(number), True)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(train, range(2)))
    assert found[0].tobytes() == found[1].tobytes()
    assert parties[0].parameters.tobytes() == parties[1].parameters.tobytes()
    np.testing.assert_allclose(found[0], expected, rtol=1e-9)
    np.testing.assert_allclose(parties[0].parameters, truth.parameters, rtol=1e-8, atol=1e-10)


@NO_NATIVE
def test_who_has_no_rows_adds_nothing():
    made = choose("native", network(8), Rule(CrossEntropy(reduction="sum"), clip_norm=1.0))
    nothing = network(8).check_rows(X[:1], CLASSES[:1], classes=True).part(slice(0))
    seen = []
    losses = made.steps_with_others(
        nothing, np.full(6, -1), 3, np.full(2, 0.1), lambda array: seen.append(array.copy()), True
    )
    assert losses.tolist() == [0, 0]
    assert not np.any(seen)
    assert made.network.parameters.tobytes() == network(8).parameters.tobytes()
    assert made.steps_with_others(nothing, None, 3, np.full(1, 0.1), lambda _: None, True).tolist() == [0]


@NO_NATIVE
@pytest.mark.parametrize("order", [[0, -1, 1, 2], [-1, 0, 1, 2], [0, 1, -2, 2], [0, 60, 1, 2]])
def test_what_is_no_order_of_a_share(order):
    made = choose("native", network(8), Rule(CrossEntropy(reduction="sum")))
    rows = network(8).check_rows(X, CLASSES, classes=True)
    with pytest.raises(IndexError, match="order has the row"):
        made.steps_with_others(rows, np.array(order), 4, np.full(1, 0.1), lambda _: None, True)
    with pytest.raises(IndexError, match="order has the row -1"):
        made.steps(rows, np.array([0, -1]), 2, np.full(1, 0.1))
