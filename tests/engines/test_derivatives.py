"""Network.jacobian and Network.hessian: against central differences, and one mathematics on both engines."""

from __future__ import annotations

import itertools
import os
import threading

import numpy as np
import pytest
from scipy.sparse import csr_array

from nineline import Activation, Dropout, Embedding, Layer, LayerNorm, Network, Residual
from nineline.activations import ACTIVATIONS, Elu, LeakyRelu
from nineline.engines import derivatives, native
from nineline.layers import AbstractLayer

ACTIVATIONS_TRIED = [*(kind() for kind in ACTIVATIONS.values()), LeakyRelu(0.2), LeakyRelu(-0.1), Elu(0.5)]
is_native = native._native is not None and os.environ.get("NINELINE_SIMD") != "none"


def dense(*sizes, activation, dtype="float64"):
    pairs = list(itertools.pairwise(sizes))
    layers = [Layer(a, b, activation, bias=True, initializer="glorot_normal", dtype=dtype) for a, b in pairs]
    return Network(*layers, rng=1)


def normed():
    return Network(LayerNorm(), Layer(4, 6, "tanh", bias=True), LayerNorm(0.1), Layer(6, 2, "softmax"), rng=2)


def residuals():
    within = Residual(LayerNorm(0.1), Layer(3, 3, "silu"))
    outer = Residual(Layer(6, 3, "gelu"), LayerNorm(0.1), within, Layer(3, 6, "sigmoid", bias=True))
    return Network(Layer(4, 6, "tanh", bias=True), Dropout(0.5), outer, Layer(6, 2, "softplus"), rng=2)


def residual_of_the_data():
    first = Residual(Dropout(0.2), Layer(4, 4, "tanh"), Dropout(0.2))
    return Network(first, Residual(Dropout(0.3)), Layer(4, 6, "mish", bias=True), Dropout(0.2), Layer(6, 3), rng=2)


def dropout_alone_in_front():
    return Network(Dropout(0.2), Residual(Dropout(0.3)), Layer(4, 70, "tanh", bias=True), Layer(70, 1), rng=2)


def dropout_between():
    return Network(Dropout(0.3), Layer(4, 9, "elu", bias=True), Dropout(0.2), Layer(9, 2, "softmax"), rng=2)


def embedding():
    return Network(Embedding(3, 2, numbers=3), Layer(5, 6, "tanh", bias=True), Layer(6, 2, "softmax"), rng=2)


KINDS = [normed, residuals, residual_of_the_data, dropout_alone_in_front, dropout_between, embedding]


def rows_for(network, count, seed=0):
    rng = np.random.default_rng(seed)
    inputs = 0.5 * rng.normal(size=(count, network.n_inputs))
    for column, levels in enumerate(getattr(network.layers[0], "levels", ())):
        inputs[:, column] = rng.integers(levels, size=count)
    return inputs.astype(network.dtype)


def differences(function, inputs, columns, h=1e-5):
    """Return central differences by each of some columns, as the last axis."""
    steps = h * np.eye(inputs.shape[1])[columns]
    return np.stack([(function(inputs + step) - function(inputs - step)) / (2 * h) for step in steps], axis=-1)


def assert_close(found, truth, tolerance):
    scale = max(1e-3, float(np.abs(truth).max(initial=0)))
    assert np.abs(found - truth).max() <= tolerance * scale


def numbers_of(network):
    """Return the columns of inputs that are no levels."""
    return list(range(len(getattr(network.layers[0], "levels", ())), network.n_inputs))


def check_jacobian(network, inputs):
    columns = numbers_of(network)
    found = network.jacobian(inputs)
    assert found.shape == (len(inputs), network.n_outputs, network.n_inputs)
    assert_close(found[:, :, columns], differences(network.run, inputs, columns), 1e-8)
    others = [column for column in range(network.n_inputs) if column not in columns]
    assert (found[:, :, others] == 0).all()  # levels have no derivative


def check_hessian(network, inputs):
    columns = numbers_of(network)
    for output in range(network.n_outputs):
        found = network.hessian(inputs, output)
        assert found.shape == (len(inputs), network.n_inputs, network.n_inputs)
        assert_close(found, found.swapaxes(1, 2), 1e-14)
        truth = differences(lambda rows, output=output: network.jacobian(rows)[:, output], inputs, columns)
        assert_close(found[:, :, columns], truth, 1e-7)


@pytest.mark.parametrize("activation", ACTIVATIONS_TRIED, ids=repr)
def test_every_activation(activation):
    network = dense(4, 6, 5, 3, activation=activation)
    check_jacobian(network, rows_for(network, 5))
    check_hessian(network, rows_for(network, 5))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer(kind):
    check_jacobian(kind(), rows_for(kind(), 5))
    check_hessian(kind(), rows_for(kind(), 5))


def by_reference(network, inputs, output):
    found = np.empty((len(inputs), network.n_outputs, network.n_inputs), network.dtype)
    bent = np.empty((len(inputs), network.n_inputs, network.n_inputs), network.dtype)
    derivatives.jacobian(network, inputs, found)
    derivatives.hessian(network, inputs, output, bent)
    return found, bent


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(4, 6, 5, 3), (1, 3, 1), (2, 40, 33, 2), (20, 17, 64, 1), (3, 16, 16, 9), (5, 3)])
@pytest.mark.parametrize("rows", [1, 7, 300])
@pytest.mark.parametrize("activation", ["tanh", "gelu", "softmax", "relu"])
def test_native_is_reference(activation, rows, sizes, dtype):
    network = dense(*sizes, activation=activation, dtype=dtype)
    inputs, output = rows_for(network, rows), network.n_outputs - 1
    found, bent = by_reference(network, inputs, output)
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    assert_close(network.jacobian(inputs), found, tolerance)
    assert_close(network.hessian(inputs, output), bent, tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_native_is_reference_for_every_kind(kind):
    network = kind()
    inputs = rows_for(network, 300)
    found, bent = by_reference(network, inputs, 0)
    assert_close(network.jacobian(inputs), found, 1e-12)
    assert_close(network.hessian(inputs), bent, 1e-12)


@pytest.mark.skipif(not is_native, reason="the native engine was not built, or is turned off")
def test_what_the_native_engine_does_by_itself():
    """It has derivatives of all but embeddings, and second ones of dense layers."""
    for network, jacobian, hessian in [
        (dense(4, 6, 3, activation="gelu"), True, True),
        (dropout_between(), True, True),
        (residuals(), True, False),
        (embedding(), False, False),
    ]:
        answer, inputs = network.quick_answer(), rows_for(network, 3)
        assert (answer.jacobian(inputs) is not None, answer.hessian(inputs, 0) is not None) == (jacobian, hessian)


def test_one_row_and_rows_of_any_layout():
    network = dense(3, 5, 2, activation="tanh")
    inputs = np.array([[0, 0.5, 0], [1, 0, 0], [0, 0, 2]])
    all_rows, bent = network.jacobian(inputs), network.hessian(inputs, 1)
    assert network.jacobian(inputs[0]).shape == (2, 3)
    np.testing.assert_allclose(network.jacobian(inputs[0]), all_rows[0], rtol=1e-14)
    np.testing.assert_allclose(network.hessian(inputs[0].tolist(), 1), bent[0], rtol=1e-14)
    for other in (inputs.tolist(), csr_array(inputs), np.asfortranarray(inputs), inputs.astype(np.float32)):
        np.testing.assert_allclose(network.jacobian(other), all_rows, rtol=1e-14)
        np.testing.assert_allclose(network.hessian(other, 1), bent, rtol=1e-14)


def test_dropout_is_not_there():
    inputs = rows_for(dropout_between(), 4)
    np.testing.assert_array_equal(dropout_between().jacobian(inputs), dropout_between().jacobian(inputs))


def test_parameters_that_change_are_seen():
    network = dense(3, 5, 2, activation="tanh")
    before = network.jacobian([1, 2, 3])
    network.parameters *= 0.5
    assert not np.allclose(before, network.jacobian([1, 2, 3]))
    check_jacobian(network, rows_for(network, 4))


def test_from_many_threads_at_once():
    network = dense(6, 30, 30, 3, activation="tanh")
    inputs = rows_for(network, 400)
    truth, failures = network.jacobian(inputs), []

    def ask():
        answers = [network.jacobian(inputs) for _ in range(20)]
        failures.extend(answer for answer in answers if not np.array_equal(answer, truth))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


class Cube(Activation):
    def value(self, z):
        return z**3

    def derivative(self, z, outputs):
        return 3 * z**2


class BentCube(Cube):
    def second_derivative(self, z, outputs):
        return 6 * z


class Doubling(AbstractLayer):
    def compute(self, inputs, draw=None):
        return 2 * inputs, None

    def backprop(self, seen, output_errors):
        return 2 * output_errors, {}


def test_an_activation_of_your_own():
    network = Network(Layer(3, 4, BentCube(), bias=True), Layer(4, 2, "identity"), rng=0)
    check_jacobian(network, rows_for(network, 4))
    check_hessian(network, rows_for(network, 4))
    flat = Network(Layer(3, 4, Cube(), bias=True), Layer(4, 2, "identity"), rng=0)
    check_jacobian(flat, rows_for(flat, 4))
    with pytest.raises(TypeError, match="Cube has no second derivative.*write second_derivative"):
        flat.hessian([1, 2, 3])


def test_a_layer_of_your_own():
    network = Network(Doubling(), Layer(3, 2, "tanh"), rng=0)
    check_jacobian(network, rows_for(network, 4))
    straight = Network(Layer(3, 3, "tanh"), Doubling(), Layer(3, 2, "tanh"), rng=0)
    with pytest.raises(TypeError, match="Doubling.*has no push_forward, which Network.hessian asks of a layer"):
        straight.hessian([1, 2, 3])


def test_what_does_not_fit_is_said():
    network = dense(3, 5, 2, activation="tanh")
    with pytest.raises(ValueError, match="output is 2; the network has 2 outputs, numbered from 0"):
        network.hessian([1, 2, 3], 2)
    with pytest.raises(ValueError, match="output is -1"):
        network.hessian([1, 2, 3], -1)
    with pytest.raises(ValueError, match="inputs has 2 columns, the network takes 3"):
        network.jacobian([[1, 2]])
    with pytest.raises(ValueError, match="inputs"):
        network.jacobian([[1, 2, np.nan]])
