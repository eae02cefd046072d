"""Networks so small that the native engine takes a way of its own: what a call promises holds there, too.

That they agree with the reference is in test_native_is_reference.py. Batches of more than 64 rows go the general way,
so that a last short one may be the only one that does not.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

from nineline import Adam, GradientDescent, Layer, Network, RMSprop
from nineline.engines.contract import Rule
from nineline.engines.reference import Reference
from nineline.losses import SquaredError
from nineline.rows import Rows

pytest.importorskip("nineline.engines._native")
from nineline.engines.native import Native

DTYPES = ["float32", "float64"]
SHAPES = {
    "3-6-1": lambda dtype: Network(3, 6, 1, rng=1, dtype=dtype),
    "3-16-1": lambda dtype: Network(3, 16, 1, activation="tanh", output="identity", bias=True, rng=1, dtype=dtype),
    "3-4-4-2": lambda dtype: Network(3, 4, 4, 2, activation="elu", output="identity", bias=True, rng=1, dtype=dtype),
}
OPTIMIZERS = [GradientDescent(0.1), GradientDescent(0.1, momentum=0.9), RMSprop(0.01), Adam(0.01)]


def data_for(network, rows=30, weights=False):
    rng = np.random.default_rng(0)
    dtype, outputs = network.dtype, network.layers[-1].weights.shape[1]
    given = (rng.normal(size=(rows, 3)), rng.random((rows, outputs)), rng.uniform(0.5, 2, rows) if weights else None)
    return Rows(*(None if each is None else each.astype(dtype) for each in given))


def batches(order, batch_size):
    return [order[at : at + batch_size] for at in range(0, len(order), batch_size)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("batch_size", [1, 2, 4, 7, 70])
@pytest.mark.parametrize("weights", [False, True])
def test_one_call_of_many_steps_is_many_calls_of_one(weights, batch_size, optimizer, shape, dtype):
    """The order has rows more than once, and its last batch is short."""
    together, single = SHAPES[shape](dtype), SHAPES[shape](dtype)
    rows, rule = data_for(together, weights=weights), Rule(SquaredError(), optimizer)
    order = np.random.default_rng(1).integers(0, 30, 150)
    parts = batches(order, batch_size)
    rates = np.linspace(0.01, 0.001, len(parts))
    losses = Native(together, rule, 3).steps(rows, order, batch_size, rates)
    engine = Native(single, rule, 1)
    found = [engine.steps(rows, part, batch_size, rates[i : i + 1])[0] for i, part in enumerate(parts)]
    assert found == losses.tolist()
    np.testing.assert_array_equal(single.parameters, together.parameters)

    reference = SHAPES[shape](dtype)
    expected = Reference(reference, rule).steps(rows, order, batch_size, rates)
    np.testing.assert_allclose(losses, expected, rtol=1e-9 if dtype == "float64" else 1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("rows", [1, 4, 6, 64, 65])
def test_a_gradient_and_a_move_are_a_step(rows, optimizer, shape, dtype):
    whole, parts = SHAPES[shape](dtype), SHAPES[shape](dtype)
    rule = Rule(SquaredError(), optimizer, l2=0.01, clip_norm=0.1)
    data, engines = data_for(whole, rows), [Native(whole, rule, 1), Native(parts, rule, 1)]
    gradient = np.empty_like(parts.parameters)
    for _ in range(3):
        loss = engines[0].steps(data, None, rows, np.array([0.1]))[0]
        assert engines[1].gradient(data, gradient) == loss
        engines[1].move(gradient, 0.1)
        np.testing.assert_array_equal(parts.parameters, whole.parameters)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("at", [0, 1, 5])
def test_a_loss_that_is_not_finite_ends_a_call_before_its_step(at, batch_size, optimizer, dtype):
    layers = Layer(1, 3, "tanh", bias=True, rng=0, dtype=dtype), Layer(3, 1, "identity", rng=1, dtype=dtype)
    network, rule = Network(*layers), Rule(SquaredError(), optimizer)
    rows = Rows(np.ones((3, 1), dtype), np.array([[0.1], [0.2], [np.finfo(dtype).max]], dtype))
    order = np.tile([0, 1], 20)
    order[at * batch_size] = 2  # its error's square is more than the type can hold
    twin, once = copy.deepcopy(network), copy.deepcopy(network)
    engine = Native(network, rule, 1)
    losses = engine.steps(rows, order, batch_size, np.full(10, 0.01))
    assert len(losses) == at + 1
    assert not math.isfinite(losses[-1])
    assert np.isfinite(losses[:-1]).all()
    assert engine.steps_taken == at
    if at > 0:
        Native(twin, rule, 1).steps(rows, order, batch_size, np.full(at, 0.01))
    np.testing.assert_array_equal(network.parameters, twin.parameters)
    if at > 1:
        Native(once, rule, 1).steps(rows, order, batch_size, np.full(at - 1, 0.01))
    np.testing.assert_array_equal(engine.before(), once.parameters)
    if at > 0:
        engine.undo()
        np.testing.assert_array_equal(network.parameters, once.parameters)
        again = engine.steps(rows, order[(at - 1) * batch_size :], batch_size, np.array([0.01]))
        assert again == losses[at - 1]  # what the optimizer remembers was taken back, too
        np.testing.assert_array_equal(network.parameters, twin.parameters)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_parameters_may_be_changed_between_calls(optimizer, shape, dtype):
    """By the caller, and by a batch that is too long to be taken this way."""
    network, reference = SHAPES[shape](dtype), SHAPES[shape](dtype)
    rule = Rule(SquaredError(), optimizer)
    engines = [Native(network, rule, 1), Reference(reference, rule)]
    short, long = data_for(network, 5), data_for(network, 200)
    for rows in (short, long, short, replace_targets(short), long):
        for engine, each in zip(engines, (network, reference), strict=True):
            engine.steps(rows, None, len(rows), np.full(2, 0.05))
            each.parameters[::3] *= 0.5
        rtol = 1e-9 if dtype == "float64" else 1e-3
        np.testing.assert_allclose(network.parameters, reference.parameters, rtol=rtol, atol=rtol / 10)


def replace_targets(rows):
    return Rows(rows.inputs, 1 - rows.targets)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_does_not_learn_stays_and_has_no_gradient(dtype):
    network = Network(3, 5, 2, activation="tanh", output="identity", bias=True, rng=0, dtype=dtype)
    rule = Rule(SquaredError(), GradientDescent(0.1, factors={network.blocks[0].name: 0, network.blocks[3].name: 0}))
    before, gradient = network.parameters.copy(), np.full_like(network.parameters, np.nan)
    engine, rows = Native(network, rule, 1), data_for(network, 5)
    engine.gradient(rows, gradient)
    engine.steps(rows, None, 5, np.full(3, 0.1))
    moved = network.parameters != before
    still = np.r_[np.ones(15), np.zeros(5), np.zeros(10), np.ones(2)].astype(bool)
    np.testing.assert_array_equal(moved, ~still)
    np.testing.assert_array_equal(gradient != 0, ~still)
    engine.undo()
    assert (network.parameters == before)[still].all()
