"""What training asks of an engine (engines/contract.py), of both engines alike."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from nineline import Adam, AdamW, Dropout, GradientDescent, Layer, Network, RMSprop, engines
from nineline.engines import native
from nineline.engines.contract import Task
from nineline.losses import CrossEntropy, SquaredError

NO_NATIVE = pytest.mark.skipif(
    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
    reason="the native engine was not built, or is turned off",
)
ENGINES = ["reference", pytest.param("native", marks=NO_NATIVE)]


def network_and_task(**changes):
    rng = np.random.default_rng(0)
    task = Task(
        inputs=rng.normal(size=(40, 5)),
        targets=np.eye(3)[rng.integers(3, size=40)],
        sample_weight=None,
        loss=CrossEntropy(),
        optimizer=GradientDescent(0.1),
        l1=0.0,
        l2=0.0,
        clip_norm=None,
        seed=7,
    )
    network = Network(Layer(5, 17, "tanh", bias=True), Layer(17, 3, "softmax", bias=True), rng=1)
    return network, replace(task, **changes)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sample_weight": np.arange(40.0)},
        {"l1": 0.01, "l2": 0.1},
        {"l1": 0.1, "l2": 1.0, "penalty_by_rows": True},
        {"l2": 1.0, "penalty_by_rows": True, "sample_weight": np.arange(40.0)},
    ],
)
def test_gradient_is_the_derivative_of_the_loss_that_it_returns(name, changes):
    network, task = network_and_task(**changes)
    engine = engines.choose(name, network, task, 1)
    before = network.parameters.copy()
    gradient, scratch = np.empty_like(before), np.empty_like(before)
    loss = engine.gradient(gradient)

    for place in range(0, network.parameters.size, 7):
        ends = []
        for step in (1e-5, -1e-5):
            network.parameters[...] = before
            network.parameters[place] += step
            ends.append(engine.gradient(scratch))
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-9)
    network.parameters[...] = before
    penalty = sum(
        task.l1 * np.abs(layer.weights).sum() + task.l2 / 2 * (layer.weights**2).sum() for layer in network.layers
    )
    if task.penalty_by_rows:
        penalty /= 40 if task.sample_weight is None else task.sample_weight.sum()
    assert loss == pytest.approx(engine.evaluate(task.inputs, task.targets, task.sample_weight) + penalty, rel=1e-12)
    assert engine.state.steps == 0


@pytest.mark.parametrize("name", ENGINES)
def test_a_step_goes_down_that_gradient(name):
    network, task = network_and_task(l2=1.0, penalty_by_rows=True)
    engine = engines.choose(name, network, task, 1)
    before, gradient = network.parameters.copy(), np.empty_like(network.parameters)
    loss = engine.gradient(gradient)
    assert engine.steps(None, 40, np.array([0.1])) == pytest.approx([loss], rel=1e-14)
    np.testing.assert_allclose(network.parameters, before - 0.1 * gradient, rtol=1e-13)


@pytest.mark.parametrize("name", ENGINES)
def test_penalties_by_rows_follow_each_batch(name):
    """scikit-learn divides its alpha by the rows of the batch, so a smaller last batch is pulled harder."""
    network, task = network_and_task(l2=1.0, penalty_by_rows=True, loss=SquaredError())
    task.targets[...] = 0
    for layer in network.layers:
        layer.weights[...] = 0
    network.layers[0].weights[...] = 1.0  # reaches no output, so its only gradient is the penalty's
    engines.choose(name, network, task, 1).steps(np.arange(40), 30, np.array([1.0, 1.0]))
    np.testing.assert_allclose(network.layers[0].weights, (1 - 1 / 30) * (1 - 1 / 10), rtol=1e-14)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("optimizer", [Adam(0.01), AdamW(0.01), RMSprop(0.01), GradientDescent(0.1, momentum=0.9)])
def test_an_engine_that_is_given_the_state_goes_on_as_if_nothing_had_happened(name, optimizer):
    orders, rates = np.arange(80) % 40, np.full(8, 0.01)

    def train(handing_over):
        network, task = network_and_task(optimizer=optimizer)
        network = Network(
            Layer(5, 17, "tanh", bias=True), Dropout(0.3), Layer(17, 3, "softmax", bias=True), rng=1
        )  # dropout draws by the number of the step
        engine = engines.choose(name, network, task, 1)
        engine.steps(orders[:40], 10, rates[:4])
        if handing_over:
            engine = engines.choose(name, network, task, 1, engine.state)
        engine.steps(orders[40:], 10, rates[4:])
        return network.parameters

    np.testing.assert_array_equal(train(handing_over=True), train(handing_over=False))
