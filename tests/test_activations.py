"""Activations: values against formulas written with `math`, derivatives against differences and hand numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nineline import sigmoid, sigmoid_prime
from nineline.activations import ACTIVATIONS, Elu, Gelu, LeakyRelu, Mish, Relu, Selu, Sigmoid, Softmax

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])

# Each once more, one number at a time, in the form that loses no digits. The constants of selu are those of
# Klambauer et al. (2017), equation 14.
SCALE, ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
FORMULAS = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": math.tanh,
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else math.expm1(z),
    "selu": lambda z: SCALE * (z if z > 0 else ALPHA * math.expm1(z)),
    "softplus": lambda z: math.log1p(math.exp(z)),
    "exponential": math.exp,
    "silu": lambda z: z / (1 + math.exp(-z)),
    "mish": lambda z: z * math.tanh(math.log1p(math.exp(z))),
    "gelu": lambda z: z * math.erfc(-z / math.sqrt(2)) / 2,
}
# The values far out, at -1000 and 1000: limits, by hand.
LIMITS = {
    "identity": (-1000, 1000),
    "sigmoid": (0, 1),
    "tanh": (-1, 1),
    "relu": (0, 1000),
    "leaky_relu": (-10, 1000),
    "elu": (-1, 1000),
    "selu": (-SCALE * ALPHA, 1000 * SCALE),
    "softplus": (0, 1000),
    "silu": (0, 1000),
    "mish": (0, 1000),
    "gelu": (0, 1000),
}
SLOPES_FAR_OUT = {
    "identity": (1, 1),
    "sigmoid": (0, 0),
    "tanh": (0, 0),
    "relu": (0, 1),
    "leaky_relu": (0.01, 1),
    "elu": (0, 1),
    "selu": (0, SCALE),
    "softplus": (0, 1),
    "silu": (0, 1),
    "mish": (0, 1),
    "gelu": (0, 1),
}
# Values at minus and plus infinity, where the formula has no 0 * inf.
AT_INFINITY = {
    "identity": (-math.inf, math.inf),
    "sigmoid": (0, 1),
    "tanh": (-1, 1),
    "relu": (0, math.inf),
    "leaky_relu": (-math.inf, math.inf),
    "elu": (-1, math.inf),
    "selu": (-SCALE * ALPHA, math.inf),
    "softplus": (0, math.inf),
    "exponential": (0, math.inf),
}
ELEMENTWISE = sorted(FORMULAS)
Z = np.array([-30.0, -4.0, -1.5, -0.5, -1e-3, 1e-3, 0.3, 1.0, 2.5, 7.0, 30.0])


def test_the_tables_here_know_every_activation():
    assert {*FORMULAS, "softmax"} == set(ACTIVATIONS)
    assert {*LIMITS, "exponential", "softmax"} == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ELEMENTWISE)
@DTYPES
def test_values_are_the_formulas(name, dtype):
    z = Z.astype(dtype).reshape(-1, 1)
    expected = [[FORMULAS[name](float(each))] for each in z.ravel()]
    floor = np.finfo(dtype).tiny  # gelu(-30) is 0 in float32
    rounding = {np.float32: 3e-6, np.float64: 1e-12}[dtype]
    np.testing.assert_allclose(ACTIVATIONS[name]().value(z), expected, rtol=rounding, atol=floor)


@pytest.mark.parametrize(
    ("activation", "z", "value"),
    [
        # By hand: erf(1/sqrt(2)) is the probability of one standard deviation, 0.6826894921370859.
        (Gelu(), 1.0, (1 + 0.6826894921370859) / 2),
        (Gelu(), -1.0, -(1 - 0.6826894921370859) / 2),
        (Mish(), math.log(2), math.log(2) * 4 / 5),  # tanh(log 3) = (3 - 1/3) / (3 + 1/3)
        (Sigmoid(), math.log(3), 0.75),
        (LeakyRelu(0.2), -5.0, -1.0),
        (Elu(2.0), -math.log(2), -1.0),
        (Selu(), -math.log(2), -SCALE * ALPHA / 2),
    ],
)
def test_values_by_hand(activation, z, value):
    np.testing.assert_allclose(activation.value(np.array([[z]])), [[value]], rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "slope"),
    [
        ("identity", 1),
        ("sigmoid", 1 / 4),
        ("tanh", 1),
        ("relu", 0),  # a convention: f' = 1 where the output is positive, else 0
        ("leaky_relu", 0.01),
        ("elu", 1),
        ("selu", SCALE * ALPHA),
        ("softplus", 1 / 2),
        ("exponential", 1),
        ("silu", 1 / 2),
        ("mish", 3 / 5),  # tanh(log 2) = (2 - 1/2) / (2 + 1/2)
        ("gelu", 1 / 2),
    ],
)
def test_slopes_at_zero_by_hand(name, slope):
    activation, z = ACTIVATIONS[name](), np.zeros((1, 1))
    np.testing.assert_allclose(activation.derivative(z, activation.value(z)), [[slope]], rtol=1e-15)


@pytest.mark.parametrize(
    "activation",
    [ACTIVATIONS[name]() for name in ELEMENTWISE] + [LeakyRelu(0.3), LeakyRelu(0.0), Elu(0.5), Elu(2.0)],
    ids=repr,
)
def test_derivatives_are_limits_of_differences(activation):
    z = Z[1:-1].reshape(-1, 1)  # none within h of the kinks at 0
    h = 1e-6
    numeric = (activation.value(z + h) - activation.value(z - h)) / (2 * h)
    np.testing.assert_allclose(activation.derivative(z, activation.value(z)), numeric, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_backward_is_errors_times_derivative(name):
    activation, z = ACTIVATIONS[name](), Z.reshape(1, -1)
    errors, outputs = np.linspace(-1, 1, Z.size).reshape(1, -1), activation.value(z)
    expected = errors * activation.derivative(z, outputs)
    np.testing.assert_array_equal(activation.backward(errors, z, outputs), expected)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@DTYPES
def test_dtype_and_shape_are_kept_and_nothing_given_is_written_into(name, dtype):
    activation = ACTIVATIONS[name]()
    z = np.linspace(-3, 3, 12).reshape(4, 3).astype(dtype)
    before = z.copy()
    outputs = activation.value(z)
    kept = outputs.copy()
    errors = np.ones_like(z)
    results = [outputs, activation.backward(errors, z, outputs)]
    if name != "softmax":
        results.append(activation.derivative(z, outputs))
    for result in results:
        assert result.dtype == dtype
        assert result.shape == (4, 3)
    np.testing.assert_array_equal(z, before)
    np.testing.assert_array_equal(outputs, kept)
    np.testing.assert_array_equal(errors, 1)


@pytest.mark.parametrize("make", [LeakyRelu, Elu])
def test_a_parameter_that_is_a_numpy_number_does_not_widen_float32(make):
    """A slope out of numpy.linspace is a float64 scalar, which NumPy lets widen arrays."""
    activation, z = make(np.float64(0.2)), np.float32([[-1, 1]])
    assert activation.value(z).dtype == np.float32
    assert activation.derivative(z, activation.value(z)).dtype == np.float32


@pytest.mark.parametrize("name", sorted(LIMITS))
@DTYPES
def test_a_thousand_is_not_too_far_out(name, dtype):
    activation, z = ACTIVATIONS[name](), np.array([[-1e3, 1e3]], dtype)
    outputs = activation.value(z)
    np.testing.assert_allclose(outputs, [LIMITS[name]], rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(activation.derivative(z, outputs), [SLOPES_FAR_OUT[name]], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", sorted(AT_INFINITY))
@DTYPES
def test_infinity_has_its_limit(name, dtype):
    found = ACTIVATIONS[name]().value(np.array([[-np.inf, np.inf]], dtype))
    np.testing.assert_allclose(found, [AT_INFINITY[name]], rtol=1e-6)


def test_the_exponential_reaches_as_far_as_the_numbers_do():
    for dtype, most in [(np.float32, 88), (np.float64, 709)]:
        found = ACTIVATIONS["exponential"]().value(np.array([[-1e3, most]], dtype))
        assert found[0, 0] == 0
        np.testing.assert_allclose(found[0, 1], math.exp(most), rtol=1e-5)


# Softmax


def test_softmax_by_hand():
    """e**log(k) = k, so the shares of log 1, log 2, log 5 are 1/8, 2/8, 5/8."""
    np.testing.assert_allclose(Softmax().value(np.log([[1.0, 2.0, 5.0]])), [[1 / 8, 2 / 8, 5 / 8]], rtol=1e-15)


@DTYPES
def test_softmax_rows_sum_to_one_whatever_is_added_to_a_row(dtype):
    z = np.random.default_rng(0).normal(0, 3, (50, 7)).astype(dtype)
    outputs = Softmax().value(z)
    rounding = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=rounding)
    assert (outputs > 0).all()
    for shift in (-1000, 100, 1000):
        rows = Softmax().value(z.astype(np.float64) + shift)
        np.testing.assert_allclose(rows, outputs, rtol=max(rounding, 1e-11))


@DTYPES
def test_softmax_of_far_apart_sums_is_one_and_zeros(dtype):
    np.testing.assert_array_equal(Softmax().value(np.array([[-1e3, 1e3, 0], [1e3, 1e3, -1e3]], dtype))[0], [0, 1, 0])
    np.testing.assert_array_equal(Softmax().value(np.array([[1e3, 1e3, -1e3]], dtype)), [[0.5, 0.5, 0]])


def test_softmax_backward_is_its_jacobian():
    rng = np.random.default_rng(1)
    z, errors, h = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), 1e-6
    expected = np.empty_like(z)
    for k in range(4):
        shift = h * np.eye(4)[k]
        column = (Softmax().value(z + shift) - Softmax().value(z - shift)) / (2 * h)  # d outputs / d z_k
        expected[:, k] = (errors * column).sum(axis=1)
    np.testing.assert_allclose(Softmax().backward(errors, z, Softmax().value(z)), expected, atol=1e-9)


def test_softmax_has_no_derivative_element_by_element():
    with pytest.raises(TypeError, match="element by element"):
        Softmax().derivative(np.zeros((1, 2)), np.zeros((1, 2)))


# The tutorial's two functions


@pytest.mark.parametrize("given", [3, 3.0, [0, 3], np.array([[0, 3]]), np.float32([0, 3]), np.float32(3)])
def test_sigmoid_takes_anything_like_an_array(given):
    found = sigmoid(given)
    assert np.shape(found) == np.shape(given)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-np.asarray(given, float))), rtol=1e-6)
    np.testing.assert_allclose(sigmoid_prime(found), found * (1 - found), rtol=1e-12)
    if getattr(given, "dtype", None) == np.float32:
        assert found.dtype == np.float32


@DTYPES
def test_sigmoid_stays_between_0_and_1_without_a_warning(dtype):
    x = np.array([-np.inf, -1e3, -100, 100, 1e3, np.inf], dtype)
    np.testing.assert_allclose(sigmoid(x), [0, 0, 0, 1, 1, 1], atol=1e-40)


# The customary beginnings


@pytest.mark.parametrize(
    ("name", "initializer"),
    [("tanh", "glorot_uniform"), ("softmax", "glorot_uniform"), ("relu", "he_uniform"), ("selu", "lecun_normal")],
)
def test_each_activation_names_its_customary_initializer(name, initializer):
    assert ACTIVATIONS[name]().initializer == initializer


def test_activations_are_values():
    assert Relu() == Relu()
    assert LeakyRelu(0.1) != LeakyRelu(0.2)
    assert len({Elu(1.0), Elu(1.0), Elu(2.0)}) == 2
