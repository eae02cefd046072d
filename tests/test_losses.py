"""Losses: values by hand, gradients against differences, joined deltas, and what weights mean."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from nineline import Network
from nineline.activations import ACTIVATIONS, Exponential, Sigmoid, Softmax, Tanh
from nineline.losses import (
    LOSSES,
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Poisson,
    Quantile,
    SquaredError,
)

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])

BY_HAND = [
    # loss, outputs of a row, targets of a row, value, gradient
    (SquaredError(), [1.0, 3.0], [0.0, 1.0], 2.5, [1, 2]),
    (AbsoluteError(), [1.0, 3.0], [0.0, 5.0], 3, [1, -1]),
    (AbsoluteError(), [1.0], [1.0], 0, [0]),
    (Huber(), [0.5, 3.0], [0.0, 0.0], 0.125 + 2.5, [0.5, 1]),
    (Huber(), [1.0, -1.0], [0.0, 0.0], 1, [1, -1]),  # at |r| = delta both pieces give r**2 / 2
    (Huber(delta=2.0), [-5.0], [0.0], 2 * (5 - 1), [-2]),
    (Quantile(), [1.0, 3.0], [0.0, 5.0], 1.5, [0.5, -0.5]),  # the median's: half the absolute error
    (Quantile(level=0.9), [1.0], [3.0], 0.9 * 2, [-0.9]),
    (Quantile(level=0.9), [3.0], [1.0], 0.1 * 2, [0.1]),
    (Quantile(level=0.9), [1.0], [1.0], 0, [0]),
    (Quantile(level=(0.9, 0.2)), [1.0, 3.0], [3.0, 1.0], 0.9 * 2 + 0.8 * 2, [-0.9, 0.8]),
    (Poisson(), [2.0], [3.0], 2 - 3 * math.log(2), [1 - 3 / 2]),
    (Poisson(), [2.0], [0.0], 2, [1]),
    (BinaryCrossEntropy(), [0.25], [1.0], math.log(4), [-4]),
    (BinaryCrossEntropy(), [0.25, 0.5], [0.0, 1.0], math.log(4 / 3) + math.log(2), [4 / 3, -2]),
    (BinaryCrossEntropy(), [0.25], [0.5], (math.log(4) + math.log(4 / 3)) / 2, [-2 + 2 / 3]),
    (CrossEntropy(), [0.125, 0.25, 0.625], [0.0, 1.0, 0.0], math.log(4), [0, -4, 0]),
    (CrossEntropy(), [0.5, 0.5], [0.5, 0.5], math.log(2), [-1, -1]),
]


def test_the_table_here_knows_every_loss():
    assert {type(loss) for loss, *_ in BY_HAND} == set(LOSSES.values())


@pytest.mark.parametrize(("loss", "outputs", "targets", "value", "gradient"), BY_HAND, ids=lambda v: repr(v)[:40])
@DTYPES
def test_values_and_gradients_by_hand(loss, outputs, targets, value, gradient, dtype):
    outputs, targets = np.array([outputs], dtype), np.array([targets], dtype)
    found, slope = loss.value(outputs, targets), loss.gradient(outputs, targets)
    rounding = 1e-6 if dtype == np.float32 else 1e-14
    np.testing.assert_allclose(found, [value], rtol=rounding, atol=1e-7 if dtype == np.float32 else 1e-15)
    np.testing.assert_allclose(slope, [gradient], rtol=rounding)
    assert found.shape == (1,)
    assert slope.shape == outputs.shape
    assert found.dtype == slope.dtype == dtype


@pytest.mark.parametrize(
    "loss",
    [Huber(delta=np.float64(0.3)), Quantile(level=np.float64(0.3)), Quantile(level=np.array([0.3, 0.6]))],
    ids=repr,
)
def test_a_parameter_that_is_a_numpy_number_does_not_widen_float32(loss):
    outputs, targets = np.float32([[1, 2]]), np.float32([[0, 3]])
    assert loss.value(outputs, targets).dtype == np.float32
    assert loss.gradient(outputs, targets).dtype == np.float32


ALL = [
    SquaredError(),
    AbsoluteError(),
    Huber(delta=0.7),
    Quantile(level=0.8),
    Poisson(),
    BinaryCrossEntropy(),
    CrossEntropy(),
]


@pytest.mark.parametrize("loss", ALL, ids=repr)
def test_gradients_are_limits_of_differences(loss):
    rng = np.random.default_rng(0)
    outputs, targets, h = rng.uniform(0.1, 0.9, (6, 3)), rng.uniform(0, 1, (6, 3)), 1e-6
    for column in range(3):
        shift = h * np.eye(3)[column]
        numeric = (loss.value(outputs + shift, targets) - loss.value(outputs - shift, targets)) / (2 * h)
        np.testing.assert_allclose(loss.gradient(outputs, targets)[:, column], numeric, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("loss", ALL, ids=repr)
def test_nothing_given_is_written_into(loss):
    z = np.log([[0.2, 0.8], [0.5, 0.5]])
    outputs, targets = np.exp(z), np.array([[1.0, 0.0], [0.0, 1.0]])
    copies = [a.copy() for a in (z, outputs, targets)]
    loss.value(outputs, targets)
    loss.gradient(outputs, targets)
    for activation in (Sigmoid(), Softmax(), Exponential()):
        loss.value_at(activation, z, outputs, targets)
        loss.delta_at(activation, z, outputs, targets)
    for now, before in zip((z, outputs, targets), copies, strict=True):
        np.testing.assert_array_equal(now, before)


def test_the_quantile_loss_is_lowest_at_the_quantile():
    data = np.random.default_rng(0).exponential(size=(1001, 1))
    candidates = np.sort(data.ravel())
    for level in (0.1, 0.5, 0.9):
        losses = [Quantile(level=level).value(np.full_like(data, c), data).mean() for c in candidates]
        assert candidates[np.argmin(losses)] == np.quantile(data, level)


def test_a_quantile_of_each_output_is_the_sum_of_single_ones():
    rng, levels = np.random.default_rng(0), (0.1, 0.5, 0.9)
    outputs, targets = rng.normal(size=(2, 20, 3))
    loss = Quantile(level=levels)
    singles = [Quantile(level=level) for level in levels]
    columns = [(outputs[:, [i]], targets[:, [i]]) for i in range(3)]
    values = [single.value(*column) for single, column in zip(singles, columns, strict=True)]
    np.testing.assert_allclose(loss.value(outputs, targets), np.sum(values, axis=0))
    gradients = [single.gradient(*column) for single, column in zip(singles, columns, strict=True)]
    np.testing.assert_array_equal(loss.gradient(outputs, targets), np.hstack(gradients))
    assert loss == Quantile(level=np.array(levels))
    assert loss == eval(repr(loss))
    assert hash(loss) == hash(Quantile(level=list(levels)))


def test_a_quantile_of_each_output_asks_for_as_many_outputs():
    loss, rows = Quantile(level=(0.1, 0.9)), np.ones((4, 3))
    for outputs in (1, 3):
        network = Network(3, 4, outputs, output="identity", rng=0)
        with pytest.raises(ValueError, match=rf"level has 2 numbers, and the network {outputs} outputs; expected one"):
            network.train(rows, rows[:, :outputs], loss=loss, iterations=1)


# Joined with their activations


JOINED = [
    (BinaryCrossEntropy(), Sigmoid(), np.array([[0.0, 1.0, 0.3], [1.0, 0.0, 1.0]])),
    (CrossEntropy(), Softmax(), np.array([[0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])),
    (Poisson(), Exponential(), np.array([[0.0, 4.0, 1.5], [2.0, 0.0, 7.0]])),
]


@pytest.mark.parametrize(("loss", "activation", "targets"), JOINED, ids=lambda v: type(v).__name__)
@DTYPES
def test_a_joined_delta_is_the_product_of_the_two_derivatives(loss, activation, targets, dtype):
    z, targets = np.array([[0.3, -1.2, 2.0], [-0.4, 1.1, 0.0]], dtype), targets.astype(dtype)
    outputs = activation.value(z)
    joined = loss.delta_at(activation, z, outputs, targets)
    product = activation.backward(loss.gradient(outputs, targets), z, outputs)
    rounding = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(joined, product, rtol=rounding, atol=rounding)
    np.testing.assert_array_equal(joined, outputs - targets)
    assert joined.dtype == dtype
    value = loss.value_at(activation, z, outputs, targets)
    np.testing.assert_allclose(value, loss.value(outputs, targets), rtol=rounding)
    assert value.dtype == dtype


@pytest.mark.parametrize("loss", ALL, ids=repr)
def test_elsewhere_the_delta_is_the_chain_rule(loss):
    z, targets = np.array([[0.3, 0.2], [1.1, 0.4]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    outputs = Tanh().value(z)
    expected = loss.gradient(outputs, targets) * (1 - outputs**2)
    np.testing.assert_allclose(loss.delta_at(Tanh(), z, outputs, targets), expected, rtol=1e-15)
    np.testing.assert_array_equal(loss.value_at(Tanh(), z, outputs, targets), loss.value(outputs, targets))


@pytest.mark.parametrize(
    ("loss", "activation", "z", "target", "value"),
    [
        # At logits this large p is 0 or 1 to the last bit; the losses are |z|, by hand.
        (BinaryCrossEntropy(), Sigmoid(), [-1000.0], [1.0], 1000),
        (BinaryCrossEntropy(), Sigmoid(), [1000.0], [0.0], 1000),
        (BinaryCrossEntropy(), Sigmoid(), [1000.0], [1.0], 0),
        (BinaryCrossEntropy(), Sigmoid(), [-1000.0], [0.0], 0),
        (CrossEntropy(), Softmax(), [1000.0, -1000.0], [0.0, 1.0], 2000),
        (CrossEntropy(), Softmax(), [1000.0, -1000.0], [1.0, 0.0], 0),
        (CrossEntropy(), Softmax(), [1000.0, 1000.0], [1.0, 0.0], math.log(2)),
    ],
    ids=lambda v: repr(v)[:30],
)
@DTYPES
def test_cross_entropies_are_exact_where_outputs_saturate(loss, activation, z, target, value, dtype):
    z, target = np.array([z], dtype), np.array([target], dtype)
    outputs = activation.value(z)
    np.testing.assert_allclose(loss.value_at(activation, z, outputs, target), [value], rtol=1e-6)
    delta = loss.delta_at(activation, z, outputs, target)
    np.testing.assert_array_equal(delta, outputs - target)


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), CrossEntropy(), Poisson()], ids=repr)
@DTYPES
def test_values_of_outputs_that_are_exactly_0_or_1_are_finite(loss, dtype):
    outputs, targets = np.array([[0, 1], [1, 0]], dtype), np.array([[1, 0], [1, 0]], dtype)
    values, gradients = loss.value(outputs, targets), loss.gradient(outputs, targets)
    assert np.isfinite(values).all()
    assert np.isfinite(gradients).all()
    assert values[0] > 80  # -log of the smallest number


# Which outputs and targets fit


FITTING = {
    "squared_error": set(ACTIVATIONS),
    "absolute_error": set(ACTIVATIONS),
    "huber": set(ACTIVATIONS),
    "quantile": set(ACTIVATIONS),
    "poisson": {"exponential", "softplus"},
    "binary_cross_entropy": {"sigmoid"},
    "cross_entropy": {"softmax"},
}


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_check_lets_fitting_outputs_through_and_names_them_otherwise(name):
    targets = np.array([[1.0, 0.0]])
    for activation, kind in ACTIVATIONS.items():
        if activation in FITTING[name]:
            LOSSES[name]().check(kind(), targets)
        else:
            with pytest.raises(ValueError, match="does not fit the output activation") as caught:
                LOSSES[name]().check(kind(), targets)
            assert all(repr(fitting) in str(caught.value) for fitting in FITTING[name])


@pytest.mark.parametrize(
    ("loss", "activation", "targets", "message"),
    [
        (Poisson(), Exponential(), [[1.0, -2.0]], "outputs has the target -2"),
        (BinaryCrossEntropy(), Sigmoid(), [[0.0, 1.5]], "outputs has the target 1.5"),
        (BinaryCrossEntropy(), Sigmoid(), [[-1.0, 1.0]], "outputs has the target -1"),
        (CrossEntropy(), Softmax(), [[1.0, 0.0], [1.0, 1.0]], "the target row [1.0, 1.0] (row 1)"),
        (CrossEntropy(), Softmax(), [[0.0, 0.0]], "or the numbers of classes, (rows,)"),
        (CrossEntropy(), Softmax(), [[2.0, -1.0]], "the target row [2.0, -1.0] (row 0)"),
    ],
    ids=lambda v: repr(v)[:40],
)
def test_check_refuses_targets_that_do_not_fit(loss, activation, targets, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        loss.check(activation, np.array(targets))


# Reduction and weights


def test_row_factors_by_hand():
    weight = np.array([1.0, 2.0, 1.0])
    assert SquaredError().row_factors(4, None) == 0.25
    assert SquaredError(reduction="sum").row_factors(4, None) == 1
    np.testing.assert_array_equal(SquaredError().row_factors(3, weight), [0.25, 0.5, 0.25])
    np.testing.assert_array_equal(SquaredError(reduction="sum").row_factors(3, weight), weight)
    np.testing.assert_array_equal(SquaredError().row_factors(2, np.zeros(2)), [0, 0])  # a batch of weightless rows


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", sorted(LOSSES))
@DTYPES
def test_a_row_of_weight_2_counts_as_two_rows(name, reduction, dtype):
    """One step on the whole batch, once with the weight and once with the row written twice."""
    output = {"poisson": "exponential", "binary_cross_entropy": "sigmoid"}.get(name, "softmax")
    X, Y = np.array([[0.5, 1.0], [-1.0, 0.3], [0.2, -0.7]]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    twice = [0, 1, 1, 2]
    weighted, doubled = (Network(2, 3, 2, output=output, rng=4, dtype=dtype) for _ in range(2))
    how = {"iterations": 3, "loss": LOSSES[name](reduction=reduction), "report_every": 0}
    one = weighted.train(X, Y, sample_weight=[1, 2, 1], **how)
    two = doubled.train(X[twice], Y[twice], **how)
    rounding = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(one.loss, two.loss, rtol=rounding)
    np.testing.assert_allclose(weighted.parameters, doubled.parameters, rtol=rounding, atol=rounding)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SquaredError(reduction="none"), "reduction is 'none'; expected 'mean' or 'sum'"),
        (lambda: Huber(delta=0), "delta is 0; expected a finite number in (0, inf)"),
        (lambda: Huber(delta=1, reduction="avg"), "reduction is 'avg'"),
        (lambda: Quantile(level=1), "level is 1; expected a finite number in (0, 1)"),
        (lambda: Quantile(level=math.nan), "level is nan"),
        (lambda: Quantile(level=(0.5, 1.0)), "level of output 1 is 1.0; expected a finite number in (0, 1)"),
        (lambda: Quantile(level=()), "level is empty; expected a number in (0, 1), or one for each output"),
    ],
)
def test_wrong_constants_are_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
