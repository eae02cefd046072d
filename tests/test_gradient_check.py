"""The gradient check: that it finds what is wrong, names it, and changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from nineline import Activation, Dropout, Embedding, GradientCheck, Layer, Loss, Network, Trainer, gradient_check

rng = np.random.default_rng(3)
X, Y = rng.normal(size=(4, 3)), rng.uniform(0.1, 0.9, (4, 2))


class Slanted(Activation):
    """tanh, with a derivative that is wrong by a factor."""

    def __init__(self, factor):
        self.factor = factor

    def value(self, z):
        return np.tanh(z)

    def derivative(self, z, outputs):
        return self.factor * (1 - outputs**2)


class Forgetful(Activation):
    """tanh, with a derivative that is wrong in one unit alone."""

    def value(self, z):
        return np.tanh(z)

    def derivative(self, z, outputs):
        slope = 1 - outputs**2
        slope[:, 0] = 1
        return slope


class Slope(Loss):
    """The squared error without its half, with the gradient of the half."""

    def value(self, outputs, targets):
        return ((outputs - targets) ** 2).sum(axis=1)

    def gradient(self, outputs, targets):
        return outputs - targets


def network(hidden="tanh", output="identity", dtype="float64"):
    return Network(Layer(3, 4, hidden, bias=True), Layer(4, 2, output, bias=True), rng=1, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factor", [1.01, 0.5, -1.0, 0.0])
def test_a_wrong_derivative_of_an_activation_is_found_where_it_is(factor, dtype):
    outcome = gradient_check(network(Slanted(factor), dtype=dtype), X, Y)
    assert not outcome
    assert outcome.worst in ("0.weights", "0.bias")
    assert "FAILED, worst in 0." in repr(outcome)
    assert gradient_check(network(Slanted(1.0), dtype=dtype), X, Y)


def test_a_derivative_that_is_wrong_in_one_unit_is_found():
    assert not gradient_check(network(Forgetful()), X, Y)


def test_a_wrong_gradient_of_a_loss_is_found():
    """The analytic gradient is half the numeric one, so the error is 1/2 of the larger."""
    outcome = gradient_check(network(), X, Y, loss=Slope())
    assert not outcome
    assert outcome.error == pytest.approx(0.5, rel=1e-6)


def test_both_gradients_are_those_of_a_hand_calculation():
    """Half the mean squared error of x @ w: gradient x.T @ (x @ w - y) / rows."""
    linear = Network(3, 2, output="identity", rng=0)
    expected = X.T @ (X @ linear.layers[0].weights - Y) / 4
    outcome = gradient_check(linear, X, Y)
    np.testing.assert_allclose(outcome.analytic, expected.ravel(), rtol=1e-12)
    np.testing.assert_allclose(outcome.numeric, expected.ravel(), rtol=1e-7)
    assert outcome.worst == "0.weights"
    assert outcome.error == pytest.approx(
        np.abs(outcome.analytic - outcome.numeric).max()
        / max(np.abs(outcome.analytic).max(), np.abs(outcome.numeric).max())
    )


def test_sample_weights_weigh():
    linear = Network(3, 2, output="identity", rng=0)
    weight = np.array([1.0, 0.0, 2.0, 5.0])
    errors = (X @ linear.layers[0].weights - Y) * weight[:, np.newaxis] / weight.sum()
    outcome = gradient_check(linear, X, Y, sample_weight=weight)
    np.testing.assert_allclose(outcome.analytic, (X.T @ errors).ravel(), rtol=1e-12)
    assert outcome


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_is_changed(dtype):
    checked = Network(Layer(3, 4, "tanh", bias=True), Dropout(0.5), Layer(4, 2), rng=1, dtype=dtype)
    answers = checked.forward(X)
    before, state = checked.parameters.copy(), checked.rng.bit_generator.state
    inputs, targets = X.copy(), Y.copy()
    gradient_check(checked, inputs, targets)
    np.testing.assert_array_equal(checked.parameters, before)
    np.testing.assert_array_equal(checked.layers[-1].outputs, answers)
    np.testing.assert_array_equal(inputs, X)
    np.testing.assert_array_equal(targets, Y)
    assert checked.rng.bit_generator.state == state
    assert checked.dtype == dtype


def test_the_tolerance_decides():
    strict, lenient = (gradient_check(network(), X, Y, tolerance=tolerance) for tolerance in (1e-30, 1.0))
    assert (bool(strict), bool(lenient)) == (False, True)
    assert gradient_check(network(), X, Y).tolerance == 1e-6
    assert gradient_check(network(dtype="float32"), X, Y).tolerance == 1e-4


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (2e-9, "GradientCheck: passed; relative error 2e-09, tolerance 1e-06"),
        (0.25, "GradientCheck: FAILED, worst in 1.bias; relative error 0.25, tolerance 1e-06"),
        (float("nan"), "GradientCheck: FAILED, worst in 1.bias; relative error nan, tolerance 1e-06"),
    ],
)
def test_repr_says_how_it_went(error, text):
    outcome = GradientCheck(error, 1e-6, "1.bias", np.zeros(2), np.zeros(2))
    assert repr(outcome) == text


def test_a_gradient_of_zero_passes():
    flat = Network(3, 2, output="identity", initializer="zeros")
    assert gradient_check(flat, X, np.zeros((4, 2)))


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"loss": "crossentropy"}, ValueError, "did you mean 'cross_entropy'"),
        ({"loss": "cross_entropy"}, ValueError, "does not fit the output activation Identity"),
        ({"sample_weight": [1, 2]}, ValueError, "sample_weight has shape (2,)"),
        ({"inputs": X[:, :2]}, ValueError, "inputs has 2 columns, the network takes 3"),
        ({"outputs": Y[:2]}, ValueError, "inputs has 4 rows and outputs has 2"),
    ],
)
def test_wrong_arguments_are_refused(how, error, message):
    with pytest.raises(error) as caught:
        gradient_check(network(), **{"inputs": X, "outputs": Y, **how})
    assert message in str(caught.value)


@pytest.mark.parametrize("of", ["jacobian", "hessian"])
def test_derivatives_by_the_inputs(of):
    class Bent(Slanted):
        def second_derivative(self, z, outputs):
            return -2 * outputs * (1 - outputs**2)  # of tanh, whatever the factor

    for dtype in ("float32", "float64"):
        assert gradient_check(network("gelu", "softmax", dtype), X, of=of)
        assert gradient_check(network(Bent(1.0), dtype=dtype), X, of=of)
        outcome = gradient_check(network(Bent(1.01), dtype=dtype), X, of=of)
        assert not outcome
        assert outcome.worst in ("output 0", "output 1")
        assert outcome.analytic.shape == outcome.numeric.shape
    embedding = Network(Embedding(3, 2, numbers=2), Layer(4, 2, "tanh"), rng=0)
    assert gradient_check(embedding, np.hstack([[[0], [1], [2]], X[:3, :2]]), of=of)


def test_what_does_not_fit_is_said():
    with pytest.raises(ValueError, match="of is 'jacobi', which is not known; did you mean 'jacobian'"):
        gradient_check(network(), X, of="jacobi")
    with pytest.raises(ValueError, match="outputs is None; the gradient of a loss needs"):
        gradient_check(network(), X)


def test_the_gradient_of_a_network_is_the_trainers():
    net = network()
    state = net.rng.bit_generator.state
    loss, gradient = net.gradient(X, Y, loss="huber")
    assert net.rng.bit_generator.state == state  # nothing was drawn
    truth, same = Trainer(net, loss="huber").gradient(X, Y)
    assert loss == truth
    np.testing.assert_array_equal(gradient, same)
    outcome = gradient_check(net, X, Y, loss="huber")
    np.testing.assert_allclose(gradient, outcome.numeric, atol=1e-8)
    weighted, _ = net.gradient(X, Y, [1, 0, 0, 0])
    assert weighted == pytest.approx(Trainer(net).gradient(X[:1], Y[:1])[0])
