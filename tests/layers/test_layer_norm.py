"""Layer normalisation: by hand, against differences, and where it finds its width."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from nineline import Layer, LayerNorm, Network, Residual, Trainer, gradient_check

RNG = np.random.default_rng(0)
X = RNG.normal(2, 3, (9, 5))
Y = RNG.normal(size=(9, 2))


def test_by_hand():
    layer = LayerNorm(epsilon=0.25)
    outputs = layer.forward([[1.0, 3.0, 5.0, 7.0], [2.0, 2.0, 2.0, 2.0]])
    root = np.sqrt(5.25)  # the variance of 1, 3, 5, 7 is 5
    np.testing.assert_allclose(outputs, [[-3 / root, -1 / root, 1 / root, 3 / root], [0, 0, 0, 0]], rtol=1e-15)
    layer.gain[...], layer.bias[...] = [1, 2, 3, 4], [0.5, 0, 0, -0.5]
    scaled = layer.forward([[1.0, 3.0, 5.0, 7.0]])
    np.testing.assert_allclose(scaled, [[-3 / root + 0.5, -2 / root, 3 / root, 12 / root - 0.5]], rtol=1e-15)


def test_rows_come_out_at_mean_0_and_deviation_1():
    outputs = LayerNorm().forward(X)
    np.testing.assert_allclose(outputs.mean(axis=1), 0, atol=1e-15)
    np.testing.assert_allclose(outputs.std(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 2, 5, 16, 17])
def test_its_derivative_is_right(width, dtype):
    network = Network(LayerNorm(0.1), Layer(5, width, "tanh"), LayerNorm(0.1), Layer(width, 2), rng=1, dtype=dtype)
    for number in (0, 2):
        network.layers[number].gain[...] = RNG.uniform(0.5, 1.5, network.layers[number].gain.shape)
    assert gradient_check(network, X, Y)


def test_it_learns_by_itself_as_the_tutorials_layer_does():
    layer, twin = LayerNorm(learning_rate=0.5), LayerNorm(trainable=False)
    outputs = layer.forward(X)
    np.testing.assert_array_equal(twin.forward(X), outputs)
    errors = RNG.normal(size=X.shape)
    np.testing.assert_array_equal(layer.backward(errors), twin.backward(errors))
    np.testing.assert_allclose(layer.gain, 1 + 0.5 * (errors * outputs).sum(axis=0))
    np.testing.assert_allclose(layer.bias, 0.5 * errors.sum(axis=0))
    np.testing.assert_array_equal(twin.gain, 1)


def test_its_width_is_that_of_what_comes_in():
    network = Network(LayerNorm(), Layer(5, 3), LayerNorm(), Layer(3, 2), rng=0)
    assert [layer.n_inputs for layer in network.layers] == [5, 5, 3, 3]
    assert network.n_inputs == 5
    used = LayerNorm()
    used.forward(X)
    with pytest.raises(ValueError, match="layer 1 .* takes 5 inputs, the layer before it gives 4"):
        Network(Layer(5, 4), used, Layer(4, 2))
    with pytest.raises(ValueError, match="inputs has 4 columns, the layer takes 5"):
        used.forward(X[:, :4])
    for epsilon in (0, 1e-50):  # which float32 has no number for
        with pytest.raises(ValueError, match="epsilon is"):
            LayerNorm(epsilon)
    with pytest.raises(AttributeError):
        used.epsilon = 0.1  # a network has laid itself out by it


@pytest.mark.parametrize("inputs", [np.zeros((0, 4)), [1.0, 2.0], 3.0, np.zeros((2, 0))])
def test_inputs_of_no_use_leave_it_without_a_width(inputs):
    layer = LayerNorm()
    with pytest.raises(ValueError, match=r"inputs has shape .*; the layer takes \(rows, width\), each 1 or more"):
        layer.forward(inputs)
    assert layer.n_inputs is None
    assert layer.forward(X).shape == X.shape


def test_a_network_that_does_not_come_about_leaves_it_without_a_width():
    norm, residual = LayerNorm(), Residual(LayerNorm())
    for layer in (norm, residual):
        with pytest.raises(ValueError, match="takes 5 inputs"):
            Network(Layer(3, 4), layer, Layer(5, 1))
        assert layer.n_inputs is None
    Network(Layer(3, 6), norm, residual, Layer(6, 1))


def test_gain_and_bias_may_be_assigned_and_changed_in_place():
    network = Network(LayerNorm(), Layer(5, 2), rng=0)
    norm = network.layers[0]
    norm.gain *= 2
    norm.bias = [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(network.parameters[:10], [2, 2, 2, 2, 2, 1, 2, 3, 4, 5])
    with pytest.raises(ValueError, match=r"gain has shape \(2,\); this layer's is \(5,\)"):
        norm.gain = [1, 2]


def test_its_dtype_is_the_networks():
    network = Network(Layer(5, 3, dtype="float32"), LayerNorm(), Layer(3, 2, dtype="float32"), rng=0)
    assert network.layers[1].gain.dtype == network.dtype == np.float32
    assert LayerNorm().forward(X.astype(np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match="layers have dtypes float32 and float64"):
        Network(Layer(5, 3, dtype="float32"), LayerNorm(), Layer(3, 2))


def test_penalties_do_not_count_it_and_factors_find_it():
    network = Network(LayerNorm(), Layer(5, 2, "identity"), rng=0)
    rate_zero = Trainer(network, loss="squared_error", l2=1.0)
    loss = rate_zero.step(X, Y)
    weights = Network(LayerNorm(), Layer(5, 2, "identity"), rng=0).layers[1].weights
    bare = Trainer(Network(LayerNorm(), Layer(5, 2, "identity"), rng=0), loss="squared_error").step(X, Y)
    assert loss == pytest.approx(bare + (weights**2).sum() / 2)
    frozen = Network(LayerNorm(), Layer(5, 2, "identity"), rng=0)
    from nineline import Adam

    frozen.train(X, Y, 3, loss="squared_error", optimizer=Adam(factors={"gain": 0.0}), report_every=0)
    np.testing.assert_array_equal(frozen.layers[0].gain, 1)
    assert (frozen.layers[0].bias != 0).all()


def test_drawing_anew_puts_it_back():
    layer = LayerNorm()
    layer.forward(X)
    layer.gain[...] = 7
    twin = copy.deepcopy(layer)
    layer.initialize(np.random.default_rng(0))
    np.testing.assert_array_equal(layer.gain, 1)
    np.testing.assert_array_equal(twin.gain, 7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_comes_back_from_a_row_of_one_number(dtype):
    """It is always 0, and so are the errors of what made it: Adam would take full steps on their rounding."""
    ends = []
    for engine in ("auto", "reference"):
        network = Network(Layer(5, 1, "identity"), LayerNorm(), Layer(1, 2, "identity"), rng=0, dtype=dtype)
        before = network.layers[0].weights.copy()
        network.train(X, Y, 20, loss="squared_error", optimizer="adam", engine=engine, report_every=0)
        np.testing.assert_array_equal(network.layers[0].weights, before)
        ends.append(network.parameters)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-4 if dtype == "float32" else 1e-9)
