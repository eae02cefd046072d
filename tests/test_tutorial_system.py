"""The tutorial, whole: the nine lines, two layers by hand, and `Network`, held against each other.

The nine lines are those of Trask, "A neural network in 11 lines of Python" (2015), with the sigmoid written out.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

from nineline import Layer, Network, sigmoid, sigmoid_prime

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
y = np.array([[0], [1], [1], [0]])


def begin(seed, hidden):
    np.random.seed(seed)
    syn0 = 2 * np.random.random((3, hidden)) - 1
    syn1 = 2 * np.random.random((hidden, 1)) - 1
    return syn0, syn1


def nine_lines(seed, hidden=6, iterations=10_000):
    syn0, syn1 = begin(seed, hidden)
    for _ in range(iterations):
        l1 = 1 / (1 + np.exp(-(X.dot(syn0))))
        l2 = 1 / (1 + np.exp(-(l1.dot(syn1))))
        l2_delta = (y - l2) * (l2 * (1 - l2))
        l1_delta = l2_delta.dot(syn1.T) * (l1 * (1 - l1))
        syn1 += l1.T.dot(l2_delta)
        syn0 += X.T.dot(l1_delta)
    return [syn0, syn1]


def nine_lines_of_many(seeds, hidden, iterations=10_000):
    """The same lines over a stack of starts at once, because two hundred one by one take a minute."""
    syn0, syn1 = map(np.array, zip(*(begin(seed, hidden) for seed in seeds), strict=True))
    for _ in range(iterations):
        l1 = 1 / (1 + np.exp(-(X @ syn0)))
        l2 = 1 / (1 + np.exp(-(l1 @ syn1)))
        l2_delta = (y - l2) * (l2 * (1 - l2))
        l1_delta = (l2_delta @ syn1.swapaxes(1, 2)) * (l1 * (1 - l1))
        syn1 += l1.swapaxes(1, 2) @ l2_delta
        syn0 += X.T @ l1_delta
    return 1 / (1 + np.exp(-(1 / (1 + np.exp(-(X @ syn0))) @ syn1)))


def two_layers(seed, iterations=10_000):
    np.random.seed(seed)
    layer1, layer2 = Layer(3, 6), Layer(6, 1)
    for _ in range(iterations):
        errors = y - layer2.forward(layer1.forward(X))
        layer1.backward(layer2.backward(errors))
    return [layer1.weights, layer2.weights]


def train(seed, iterations=10_000):
    np.random.seed(seed)
    network = Network(3, 6, 1)
    network.train(X, y, iterations, report_every=0)
    return [layer.weights for layer in network.layers]


def train_once(seed, iterations=10_000):
    np.random.seed(seed)
    network = Network(3, 6, 1)
    for _ in range(iterations):
        network.train_once(X, y)
    return [layer.weights for layer in network.layers]


WAYS = pytest.mark.parametrize("way", [two_layers, train, train_once])


# The same mathematics


@pytest.mark.parametrize("seed", [1, 20150712])
def test_seeding_numpy_gives_everyone_the_same_start(seed):
    np.random.seed(seed)
    layers = [Layer(3, 6), Layer(6, 1)]
    np.random.seed(seed)
    network = Network(3, 6, 1)
    for own, of_network, by_hand in zip(layers, network.layers, begin(seed, 6), strict=True):
        np.testing.assert_array_equal(own.weights, by_hand)
        np.testing.assert_array_equal(of_network.weights, by_hand)


def test_drawing_weights_moves_numpys_global_state_on():
    """What is drawn after a network is what would be drawn after the nine lines' own two matrices."""
    begin(1, 6)
    expected = np.random.random()
    np.random.seed(1)
    Network(3, 6, 1)
    assert np.random.random() == expected


@WAYS
def test_after_one_iteration_the_weights_are_those_of_the_nine_lines(way):
    for ours, theirs in zip(way(1, 1), nine_lines(1, iterations=1), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-14)


@WAYS
def test_after_10000_iterations_the_weights_are_those_of_the_nine_lines(way):
    for ours, theirs in zip(way(1), nine_lines(1), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8)


# Two hundred starts in chunks, so that they spread over cores. From six hidden nodes every start learns; from
# three about one in nine is caught in a bad valley, and it has to be the same ones.
CHUNKS = [(6, first) for first in range(0, 150, 25)] + [(3, first) for first in range(150, 200, 25)]


@pytest.mark.parametrize(("hidden", "first"), CHUNKS)
def test_the_share_of_starts_that_learn_is_the_nine_lines_own(hidden, first):
    seeds = range(first, first + 25)
    theirs = np.abs(nine_lines_of_many(seeds, hidden) - y).max(axis=(1, 2)) < 0.1
    ours = []
    for seed in seeds:
        np.random.seed(seed)
        network = Network(3, hidden, 1)
        network.train(X, y, report_every=0)
        ours.append(bool(np.abs(network.run(X) - y).max() < 0.1))
    assert ours == theirs.tolist()
    assert theirs.all() == (hidden == 6)


# The notebook's names


@pytest.mark.parametrize(
    ("layer", "squashes"),
    [
        (lambda: Layer(3, 6), True),
        (lambda: Layer(3, 6, True), True),
        (lambda: Layer(3, 6, False), False),
        (lambda: Layer(3, 6, sigmoid=True), True),
        (lambda: Layer(3, 6, sigmoid=False), False),
        (lambda: Layer(3, 6, np.True_), True),
        (lambda: Layer(3, 6, np.False_), False),
    ],
    ids=["default", "True", "False", "sigmoid=True", "sigmoid=False", "numpy.True_", "numpy.False_"],
)
def test_layer_n_m_sigmoid(layer, squashes):
    np.random.seed(1)
    made = layer()
    np.testing.assert_array_equal(made.weights, begin(1, 6)[0])
    z = X.dot(made.weights)
    np.testing.assert_allclose(made.forward(X), 1 / (1 + np.exp(-z)) if squashes else z, rtol=1e-15)


def test_forward_remembers_inputs_and_outputs():
    layer = Layer(3, 6)
    assert layer.inputs is None
    assert layer.outputs is None
    outputs = layer.forward(X)
    np.testing.assert_array_equal(layer.inputs, X)
    np.testing.assert_array_equal(layer.outputs, outputs)
    assert outputs.shape == (4, 6)


@pytest.mark.parametrize("squash", [True, False])
def test_backward_returns_input_errors_of_the_old_weights_and_moves_the_weights(squash):
    layer = Layer(3, 2, squash)
    before = layer.weights.copy()
    outputs = layer.forward(X)
    errors = np.arange(8.0).reshape(4, 2) / 10
    delta = errors * (outputs * (1 - outputs)) if squash else errors
    input_errors = layer.backward(errors)
    np.testing.assert_allclose(input_errors, delta.dot(before.T), rtol=1e-14)
    assert input_errors.shape == (4, 3)
    np.testing.assert_allclose(layer.weights, before + X.T.dot(delta), rtol=1e-14)


def test_sigmoid_and_its_slope_from_its_value():
    assert sigmoid(0) == 0.5
    assert sigmoid(1.0) == pytest.approx(0.7310585786300049, rel=1e-15)  # 1 / (1 + 1/e)
    assert sigmoid_prime(0.5) == 0.25
    np.testing.assert_allclose(sigmoid_prime(sigmoid(np.array([-1.0, 1.0]))), 0.19661193324148185, rtol=1e-14)


def test_train_once_returns_the_errors_before_the_step():
    network = Network(3, 6, 1, rng=0)
    before = y - network.forward(X)
    np.testing.assert_array_equal(network.train_once(X, y), before)
    assert np.abs(y - network.run(X) - before).max() > 0


def test_train_prints_the_errors_every_1000_iterations_from_iteration_0(capsys):
    twin = Network(3, 6, 1, rng=0)
    expected = []
    for iteration in range(10_000):
        errors = twin.train_once(X, y)
        if iteration % 1000 == 0:
            expected.append((iteration, errors))

    network = Network(3, 6, 1, rng=0)
    untrained = y - network.run(X)
    network.train(X, y)
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines()[0] == "Iteration 0, errors:"
    parts = re.split(r"^Iteration ([\d,]+), errors:\n", printed.out, flags=re.MULTILINE)[1:]
    heads, bodies = parts[::2], parts[1::2]
    assert heads == [f"{iteration:,}" for iteration, _ in expected]
    assert bodies[0].rstrip("\n") == str(untrained)
    for body, (_, errors) in zip(bodies, expected, strict=True):
        shown = np.array([float(number) for number in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", body)])
        np.testing.assert_allclose(shown, errors.ravel(), atol=1e-8)  # NumPy prints eight digits


def test_train_prints_the_loss_where_the_errors_do_not_fit_on_a_screen(capsys):
    many = np.tile(X, (20, 1))
    Network(3, 6, 1, rng=0).train(many, np.tile(y, (20, 1)), 1)
    errors = np.tile(y, (20, 1)) - Network(3, 6, 1, rng=0).run(many)
    assert capsys.readouterr().out == f"Iteration 0, loss {(errors**2).sum() / 2:.6g}\n"


def test_nothing_but_the_report_is_printed(capsys):
    network = Network(3, 6, 1)
    network.train(X, y, 50, report_every=0)
    network.train_once(X, y)
    network.run(X)
    network.train(X, y, epochs=3, batch_size=2)
    assert capsys.readouterr() == ("", "")


def test_str_shows_every_layer_and_its_weights():
    network = Network(3, 6, 1)
    first, second = (str(layer.weights) for layer in network.layers)
    assert str(network) == f"Layer 0:\n{first}\n\nLayer 1:\n{second}"


def test_a_network_is_a_list_of_layers():
    network = Network(3, 4, 5, 2)
    assert [layer.weights.shape for layer in network.layers] == [(3, 4), (4, 5), (5, 2)]
    assert all(isinstance(layer, Layer) for layer in network.layers)


@pytest.mark.parametrize(
    "convert",
    [lambda a: a, lambda a: a.tolist(), lambda a: a.astype(float), lambda a: a.astype(bool), lambda a: a.astype("u1")],
    ids=["integers", "lists", "floats", "bools", "bytes"],
)
def test_data_come_as_lists_or_arrays_of_any_number_type(convert):
    expected = Network(3, 6, 1, rng=0)
    for _ in range(5):
        expected.train_once(X.astype(float), y.astype(float))
    network = Network(3, 6, 1, rng=0)
    network.train(convert(X), convert(y), 5, report_every=0)
    np.testing.assert_allclose(network.parameters, expected.parameters, rtol=1e-13)
    np.testing.assert_array_equal(network.run(convert(X)), network.run(X))
