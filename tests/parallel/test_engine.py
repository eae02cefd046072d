"""What processes ask of an engine: the gradient of some rows, and steps by gradients that others add to."""

from __future__ import annotations

import os

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
