"""Optimizers: each finds two bottoms in both dtypes, and walks ten steps beside torch's."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from nineline import Adam, AdamW, GradientDescent, Layer, Network, Optimizer, RMSprop
from nineline.optimizers import OPTIMIZERS

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
y = np.array([[0], [1], [1], [0]])


def walk(optimizer, gradient, start, steps, dtype="float64"):
    """Return where each of so many steps leads."""
    parameters = np.array(start, dtype)
    state = optimizer.start(parameters)
    trail = []
    for _ in range(steps):
        state.steps += 1
        optimizer.step(parameters, gradient(parameters), optimizer.learning_rate, state)
        trail.append(parameters.copy())
    return np.array(trail)


def parabola(p):
    """Gradient of ``(x - 3)**2 / 2 + 2 * (y + 1)**2``, lowest at (3, -1)."""
    return np.array([p[0] - 3, 4 * (p[1] + 1)], p.dtype)


def rosenbrock(p):
    """Gradient of ``(1 - x)**2 + 100 * (y - x**2)**2``, lowest at (1, 1); it starts, by custom, at (-1.2, 1)."""
    x, y = p
    return np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)], p.dtype)


# Two bottoms


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("optimizer", "steps"),
    [
        (GradientDescent(0.1), 300),
        (GradientDescent(0.05, momentum=0.9), 400),
        (GradientDescent(0.05, momentum=0.9, nesterov=True), 400),
        (RMSprop(0.005), 2000),
        (Adam(0.05), 2000),
        (AdamW(0.05, weight_decay=1e-4), 2000),
    ],
    ids=repr,
)
def test_finds_the_bottom_of_a_parabola(optimizer, steps, dtype):
    trail = walk(optimizer, parabola, [-2, 2], steps, dtype)
    np.testing.assert_allclose(trail[-1], [3, -1], atol=0.01)
    assert trail.dtype == dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("optimizer", "steps"),
    [
        (GradientDescent(0.001), 15_000),
        (GradientDescent(2e-4, momentum=0.95), 5000),
        (GradientDescent(2e-4, momentum=0.95, nesterov=True), 5000),
        (RMSprop(0.001), 6000),
        (Adam(0.02), 4000),
        (AdamW(0.02, weight_decay=1e-6), 4000),
    ],
    ids=repr,
)
def test_finds_the_bottom_of_rosenbrocks_valley(optimizer, steps, dtype):
    trail = walk(optimizer, rosenbrock, [-1.2, 1], steps, dtype)
    np.testing.assert_allclose(trail[-1], [1, 1], atol=0.02)
    assert trail.dtype == dtype


# Beside torch

# torch 2.13.0, in float64: for each, p = torch.tensor([-1.2, 1.0]); o = cls([p], **options); ten times
# p.grad = rosenbrock(p); o.step(). The options are in the comment; p after steps 1, 2, 5 and 10.
TORCH = [
    (  # torch.optim.SGD(lr=1e-3)
        GradientDescent(1e-3),
        [
            [-0.9843999999999999, 1.088],
            [-1.0272715665664, 1.0642086720000001],
            [-1.0253114876941536, 1.0592414284989586],
            [-1.0214113342697504, 1.0512622673760386],
        ],
    ),
    (  # torch.optim.SGD(lr=2e-4, momentum=0.9)
        GradientDescent(2e-4, momentum=0.9),
        [
            [-1.15688, 1.0176],
            [-1.0875217326927462, 1.0462708533760001],
            [-0.9052173246269907, 1.1188149518387571],
            [-1.009621188671798, 1.023606905119523],
        ],
    ),
    (  # torch.optim.SGD(lr=2e-4, momentum=0.9, nesterov=True)
        GradientDescent(2e-4, momentum=0.9, nesterov=True),
        [
            [-1.118072, 1.03344],
            [-1.0447169100756906, 1.0641610197859839],
            [-0.9488532161024389, 1.0970541815358974],
            [-1.0277415274898867, 1.030327597010856],
        ],
    ),
    (  # torch.optim.RMSprop(lr=0.02, alpha=0.9, eps=1e-6)
        RMSprop(0.02, decay=0.9, epsilon=1e-6),
        [
            [-1.1367544477242761, 1.0632455509306404],
            [-1.1071411783978606, 1.0936618981268242],
            [-1.0722694713599503, 1.1282411862747508],
            [-1.061506424182929, 1.1321749277608826],
        ],
    ),
    (  # torch.optim.Adam(lr=0.1, betas=(0.8, 0.95), eps=1e-6)
        Adam(0.1, beta_1=0.8, beta_2=0.95, epsilon=1e-6),
        [
            [-1.100000000463822, 1.0999999988636364],
            [-1.0193925547165037, 1.1809536756239374],
            [-1.001225702294825, 1.1711021014071368],
            [-1.0695676937764507, 1.0540816504225232],
        ],
    ),
    (  # torch.optim.AdamW(lr=0.1, weight_decay=0.05)
        AdamW(0.1, weight_decay=0.05),
        [
            [-1.0940000000046382, 1.0949999999886364],
            [-1.0067558892097102, 1.171590674513764],
            [-0.9548584682934763, 1.1614647356156893],
            [-1.0610440716355134, 0.9465752297471766],
        ],
    ),
]


@pytest.mark.parametrize(("optimizer", "steps"), TORCH, ids=lambda v: repr(v)[:60])
def test_ten_steps_are_those_of_torch(optimizer, steps):
    trail = walk(optimizer, rosenbrock, [-1.2, 1.0], 10)
    np.testing.assert_allclose(trail[[0, 1, 4, 9]], steps, rtol=1e-12)


# By hand


def test_adam_with_epsilon_hat_is_scikit_learns():
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer

    start = np.array([0.3, -0.2, 1.0])
    theirs, their_trail = [start.copy()], []
    rule = AdamOptimizer(theirs, learning_rate_init=0.01, beta_2=0.99, epsilon=1e-3)
    gradient = lambda p: np.array([1e-4, 1e-2, 1.0]) * np.sin(p)  # noqa: E731 - small ones feel epsilon
    for _ in range(10):
        rule.update_params(theirs, [gradient(theirs[0])])
        their_trail.append(theirs[0].copy())
    ours = walk(Adam(0.01, beta_2=0.99, epsilon=1e-3, epsilon_hat=True), gradient, start, 10)
    np.testing.assert_allclose(ours, their_trail, rtol=1e-14)
    assert abs(walk(Adam(0.01, beta_2=0.99, epsilon=1e-3), gradient, start, 10) - ours).max() > 1e-3


def test_momentum_by_hand():
    """v = 0.5 v - g; p += v, and with Nesterov p += 0.5 v - g, for the gradient 1 three times."""
    one = np.ones_like
    plain = walk(GradientDescent(1.0, momentum=0.5), one, [0.0], 3)
    np.testing.assert_array_equal(plain.ravel(), [-1, -2.5, -4.25])  # v = -1, -1.5, -1.75
    ahead = walk(GradientDescent(1.0, momentum=0.5, nesterov=True), one, [0.0], 3)
    np.testing.assert_array_equal(ahead.ravel(), [-1.5, -3.25, -5.125])  # steps -1.5, -1.75, -1.875


def test_adams_first_step_is_the_learning_rate_whatever_the_gradient():
    """Both averages are corrected for having begun at zero: m / sqrt(s) is the gradient's sign."""
    trail = walk(Adam(0.1), lambda p: np.array([1e-3, -5.0, 1e3]), [0.0, 0.0, 0.0], 1)
    np.testing.assert_allclose(trail[0], [-0.1, 0.1, -0.1], rtol=1e-4)


def test_rmsprops_first_step_by_hand():
    """s = 0.01 g**2, so the step is r / 0.1 = 10 r."""
    np.testing.assert_allclose(walk(RMSprop(0.1), lambda p: np.array([4.0]), [0.0], 1)[0], [-1], rtol=1e-6)


def test_adamw_without_a_gradient_shrinks_by_the_decay():
    trail = walk(AdamW(0.5, weight_decay=0.1), np.zeros_like, [8.0], 3)
    np.testing.assert_allclose(trail.ravel(), [8 * 0.95, 8 * 0.95**2, 8 * 0.95**3], rtol=1e-15)


RULES = [
    GradientDescent(0.1),
    GradientDescent(0.1, momentum=0.9),
    GradientDescent(0.1, momentum=0.9, nesterov=True),
    RMSprop(0.1),
    Adam(0.1),
    AdamW(0.1),
]


@pytest.mark.parametrize("optimizer", RULES, ids=repr)
def test_a_rate_for_each_parameter(optimizer):
    """Rates (r, 2 r, 0) move the parameters as three optimizers would, and 0 not at all."""
    gradient, start = np.array([1.0, 1.0, 1.0]), np.array([2.0, 2.0, 2.0])
    apart = [
        walk(dataclasses.replace(optimizer, learning_rate=rate), lambda p: gradient[:1], start[:1], 4)[-1, 0]
        for rate in (0.1, 0.2)
    ]
    together, state = start.copy(), optimizer.start(start)
    for _ in range(4):
        state.steps += 1
        optimizer.step(together, gradient, np.array([0.1, 0.2, 0.0]), state)
    np.testing.assert_allclose(together, [*apart, 2.0], rtol=1e-15)


@pytest.mark.parametrize("optimizer", RULES, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_state_starts_at_zero_in_the_parameters_dtype_and_no_gradient_is_written_into(optimizer, dtype):
    parameters, gradient = np.ones(3, dtype), np.full(3, 0.5, dtype)
    state = optimizer.start(parameters)
    assert state.steps == 0
    assert all(not vector.any() and vector.dtype == dtype for vector in state.vectors.values())
    state.steps = 1
    optimizer.step(parameters, gradient, 0.1, state)
    np.testing.assert_array_equal(gradient, 0.5)
    assert parameters.dtype == dtype
    assert all(vector.dtype == dtype for vector in state.vectors.values())


# In training


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_name_is_the_object_with_its_defaults(name):
    by_name, by_object = Network(3, 6, 1, rng=0), Network(3, 6, 1, rng=0)
    by_name.train(X, y, 20, optimizer=name, report_every=0)
    by_object.train(X, y, 20, optimizer=OPTIMIZERS[name](), report_every=0)
    np.testing.assert_array_equal(by_name.parameters, by_object.parameters)


@pytest.mark.parametrize("optimizer", RULES, ids=repr)
def test_one_object_serves_many_networks(optimizer):
    """Its memory is not shared: trained in turn, each network goes where it would have gone alone."""
    first, second, alone = (Network(3, 6, 1, rng=0) for _ in range(3))
    first.train(X, y, 30, optimizer=optimizer, report_every=0)
    second.train(X, y, 30, optimizer=optimizer, report_every=0)
    alone.train(X, y, 30, optimizer=dataclasses.replace(optimizer), report_every=0)
    np.testing.assert_array_equal(first.parameters, second.parameters)
    np.testing.assert_array_equal(first.parameters, alone.parameters)


FACTORS = [
    # factors, the factor each block gets: 0.weights, 0.bias, 1.weights, 1.bias
    ({}, [1, 1, 1, 1]),
    ({"0.weights": 0.0}, [0, 1, 1, 1]),
    ({"weights": 0.0}, [0, 1, 0, 1]),
    ({"bias": 0.5}, [1, 0.5, 1, 0.5]),
    ({"weights": 0.0, "1.weights": 2.0}, [0, 1, 2, 1]),  # a block's name goes before its kind
    ({"1.bias": 3.0, "bias": 0.0}, [1, 0, 1, 3]),
]


@pytest.mark.parametrize(("factors", "expected"), FACTORS, ids=str)
def test_factors_scale_the_steps_of_blocks(factors, expected):
    plain, scaled = (Network(Layer(3, 4, bias=True), Layer(4, 1, bias=True), rng=0) for _ in range(2))
    before = plain.parameters.copy()
    plain.train(X, y, 1, optimizer=GradientDescent(0.5), report_every=0)
    scaled.train(X, y, 1, optimizer=GradientDescent(0.5, factors=factors), report_every=0)
    for block, factor in zip(plain.blocks, expected, strict=True):
        step = plain.parameters[block.place] - before[block.place]
        assert np.abs(step).min() > 0
        np.testing.assert_allclose(scaled.parameters[block.place] - before[block.place], factor * step, atol=1e-15)


@pytest.mark.parametrize("optimizer", RULES, ids=repr)
def test_a_frozen_block_stays_to_the_last_bit(optimizer):
    network = Network(Layer(3, 4, bias=True), Layer(4, 1, bias=True), rng=0)
    before = [block.copy() for layer in network.layers for block in layer.blocks().values()]
    frozen = dataclasses.replace(optimizer, factors={"0.weights": 0.0, "bias": 0.0})
    network.train(X, y, 20, optimizer=frozen, l2=0.1, report_every=0)
    after = [block for layer in network.layers for block in layer.blocks().values()]
    for i in (0, 1, 3):
        np.testing.assert_array_equal(after[i], before[i])
    assert (after[2] != before[2]).all()


def test_one_of_your_own_is_one_method():
    class SignDescent(Optimizer):
        def step(self, parameters, gradient, rate, state):
            parameters -= rate * np.sign(gradient)

    network = Network(3, 1, rng=0)
    before = network.parameters.copy()
    network.train(X, y, 1, optimizer=SignDescent(0.125), report_every=0)
    np.testing.assert_allclose(np.abs(network.parameters - before), 0.125)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GradientDescent(0), "learning_rate is 0; expected a finite number in (0, inf)"),
        (lambda: GradientDescent(0.1, momentum=1.0), "momentum is 1.0; expected a finite number in [0, 1)"),
        (lambda: GradientDescent(0.1, nesterov=True), "Nesterov's step needs a momentum, such as 0.9"),
        (lambda: RMSprop(decay=1), "decay is 1"),
        (lambda: RMSprop(epsilon=0), "epsilon is 0"),
        (lambda: Adam(-1), "learning_rate is -1"),
        (lambda: Adam(beta_1=1), "beta_1 is 1"),
        (lambda: Adam(beta_2=-0.1), "beta_2 is -0.1"),
        (lambda: Adam(epsilon=float("nan")), "epsilon is nan"),
        (lambda: AdamW(weight_decay=-1), "weight_decay is -1"),
        (lambda: Adam(factors={"bias": -1}), "factors['bias'] is -1"),
    ],
)
def test_wrong_constants_are_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_constants_are_fixed_once_made():
    with pytest.raises(AttributeError):
        Adam().learning_rate = 1.0
