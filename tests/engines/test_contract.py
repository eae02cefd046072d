"""What training asks of an engine (engines/contract.py), of both engines alike."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from nineline import Adam, AdamW, Dropout, GradientDescent, Layer, Network, Optimizer, RMSprop, engines
from nineline.engines import native
from nineline.engines.contract import Rule
from nineline.rows import Rows

NO_NATIVE = pytest.mark.skipif(
    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
    reason="the native engine was not built, or is turned off",
)
ENGINES = ["reference", pytest.param("native", marks=NO_NATIVE)]


RNG = np.random.default_rng(0)
ROWS = Rows(RNG.normal(size=(40, 5)), np.eye(3)[RNG.integers(3, size=40)])
WEIGHTED = replace(ROWS, sample_weight=np.arange(40.0))


def new_network():
    return Network(Layer(5, 17, "tanh", bias=True), Layer(17, 3, "softmax", bias=True), rng=1)


def new_rule(loss="cross_entropy", optimizer=None, **settings):
    return Rule(loss, optimizer or GradientDescent(0.1), seed=7, **settings)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("rows", "settings"),
    [
        (ROWS, {}),
        (WEIGHTED, {}),
        (ROWS, {"l1": 0.01, "l2": 0.1}),
        (ROWS, {"l1": 0.1, "l2": 1.0, "penalty_by_rows": True}),
        (WEIGHTED, {"l2": 1.0, "penalty_by_rows": True}),
    ],
)
def test_gradient_is_the_derivative_of_the_loss_that_it_returns(name, rows, settings):
    network, rule = new_network(), new_rule(**settings)
    engine = engines.choose(name, network, rule)
    before = network.parameters.copy()
    gradient, scratch = np.empty_like(before), np.empty_like(before)
    loss = engine.gradient(rows, gradient)

    for place in range(0, network.parameters.size, 7):
        ends = []
        for step in (1e-5, -1e-5):
            network.parameters[...] = before
            network.parameters[place] += step
            ends.append(engine.gradient(rows, scratch))
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-9)
    network.parameters[...] = before
    penalty = sum(
        rule.l1 * np.abs(layer.weights).sum() + rule.l2 / 2 * (layer.weights**2).sum() for layer in network.layers
    )
    if rule.penalty_by_rows:
        penalty /= 40 if rows.sample_weight is None else rows.sample_weight.sum()
    assert loss == pytest.approx(engine.evaluate(rows) + penalty, rel=1e-12)
    assert engine.state.steps == engine.steps_taken == 0


@pytest.mark.parametrize("name", ENGINES)
def test_a_step_goes_down_that_gradient(name):
    network = new_network()
    engine = engines.choose(name, network, new_rule(l2=1.0, penalty_by_rows=True))
    before, gradient = network.parameters.copy(), np.empty_like(network.parameters)
    loss = engine.gradient(ROWS, gradient)
    assert engine.steps(ROWS, None, 40, np.array([0.1])) == pytest.approx([loss], rel=1e-14)
    np.testing.assert_allclose(network.parameters, before - 0.1 * gradient, rtol=1e-13)
    assert engine.parameters() is network.parameters


@pytest.mark.parametrize("name", ENGINES)
def test_penalties_by_rows_follow_each_batch(name):
    """scikit-learn divides its alpha by the rows of the batch, so a smaller last batch is pulled harder."""
    network = new_network()
    rows = replace(ROWS, targets=np.zeros((40, 3)))
    for layer in network.layers:
        layer.weights[...] = 0
    network.layers[0].weights[...] = 1.0  # reaches no output, so its only gradient is the penalty's
    rule = new_rule("squared_error", l2=1.0, penalty_by_rows=True)
    engines.choose(name, network, rule).steps(rows, np.arange(40), 30, np.array([1.0, 1.0]))
    np.testing.assert_allclose(network.layers[0].weights, (1 - 1 / 30) * (1 - 1 / 10), rtol=1e-14)


def test_an_engine_refuses_what_it_does_not_know_when_it_is_chosen():
    class Own(Optimizer):
        def step(self, parameters, gradient, rate, state):
            parameters -= rate * gradient

    with pytest.raises(ValueError, match="engine is 'native', but"):
        engines.choose("native", new_network(), new_rule(optimizer=Own()))
    assert engines.choose("auto", new_network(), new_rule(optimizer=Own())).name == "reference"
    with pytest.raises(ValueError, match="engine is 'cuda', which is not known"):
        engines.choose("cuda", new_network(), new_rule())


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("optimizer", [Adam(0.01), AdamW(0.01), RMSprop(0.01), GradientDescent(0.1, momentum=0.9)])
def test_an_engine_that_is_given_the_state_goes_on_as_if_nothing_had_happened(name, optimizer):
    orders, rates = np.arange(80) % 40, np.full(8, 0.01)

    def train(handing_over):
        network = Network(
            Layer(5, 17, "tanh", bias=True), Dropout(0.3), Layer(17, 3, "softmax", bias=True), rng=1
        )  # dropout draws by the number of the step
        rule = new_rule(optimizer=optimizer)
        engine = engines.choose(name, network, rule)
        engine.steps(ROWS, orders[:40], 10, rates[:4])
        if handing_over:
            state, before = engine.state, engine.before()
            engine = engines.choose(name, network, rule)
            engine.restore(state, before)
            np.testing.assert_array_equal(engine.before(), before)
            assert engine.steps_taken == 4
        engine.steps(ROWS, orders[40:], 10, rates[4:])
        return network.parameters

    np.testing.assert_array_equal(train(handing_over=True), train(handing_over=False))


@pytest.mark.parametrize("name", ENGINES)
def test_another_seed_draws_otherwise(name):
    ends = []
    for seed in (7, 8, 7):
        network = Network(Dropout(0.5), Layer(5, 3, "softmax"), rng=1)
        engine = engines.choose(name, network, new_rule())
        engine.reseed(seed)
        assert engine.seed == seed
        engine.steps(ROWS, None, 40, np.full(3, 0.1))
        ends.append(network.parameters.tolist())
    assert ends[0] == ends[2] != ends[1]
