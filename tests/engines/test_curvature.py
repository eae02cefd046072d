"""The loss to second order: by differences, and one mathematics on both engines."""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy.sparse import csr_array

from nineline import Dropout, Embedding, Layer, LayerNorm, Network, Residual
from nineline.activations import ACTIVATIONS, Sigmoid
from nineline.engines import native
from nineline.engines.contract import Rule
from nineline.engines.curvature import ReferenceCurvature
from nineline.engines.native import Native
from nineline.engines.reference import Reference
from nineline.losses import BinaryCrossEntropy, CrossEntropy, Poisson, SquaredError
from nineline.rows import Compact, Encoding, LevelPart, NumberPart, Rows

needs_native = pytest.mark.skipif(
    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
    reason="the native engine was not built, or is turned off",
)


def dense(*sizes, activation="tanh", output="identity", bias=True):
    return Network(*sizes, activation=activation, output=output, bias=bias, rng=3)


def complicated():
    within = Residual(Layer(6, 3, "gelu"), LayerNorm(0.1), Residual(Layer(3, 3, "silu")), Layer(3, 6, "sigmoid"))
    return Network(Layer(4, 6, "tanh", bias=True), LayerNorm(), Dropout(0.0), within, Layer(6, 3, "softmax"), rng=2)


def frozen():
    return Network(Layer(4, 6, "tanh", bias=True, trainable=False), Layer(6, 5, "elu"), Layer(5, 3, "softmax"), rng=2)


def embedding():
    return Network(Embedding([4, 3], 2, numbers=2), Layer(6, 6, "tanh", bias=True), Layer(6, 3, "softmax"), rng=2)


def targets_for(loss, rng, rows, outputs):
    if isinstance(loss, CrossEntropy):
        return rng.integers(outputs, size=rows)
    if isinstance(loss, BinaryCrossEntropy):
        return rng.integers(2, size=(rows, outputs)).astype(float)
    return (
        rng.poisson(2.0, (rows, outputs)).astype(float)
        if isinstance(loss, Poisson)
        else rng.normal(size=(rows, outputs))
    )


def rows_for(network, loss, count, weights="none", seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, network.n_inputs))
    for column, levels in enumerate(getattr(network.layers[0], "levels", ())):
        inputs[:, column] = rng.integers(levels, size=count)
    weight = {"none": None, "some zeros": np.arange(count) % 3.0}[weights]
    return Rows(inputs, targets_for(loss, rng, count, network.n_outputs), weight)


def joined(loss, *sizes):
    return dense(*sizes, activation="silu", output=loss.joins.name)


# Against differences


def reference_of(network, rule, rows):
    """Return the reference's curvature of a network as it is now."""
    return Reference(network, rule).curvature(rows)


def jacobian_by_differences(network, loss, rows, h=1e-6):
    """Return d residuals / d parameters of squared errors, with the roots of what each row counts in them."""
    factors = np.sqrt(np.broadcast_to(loss.row_factors(len(rows), rows.sample_weight), len(rows)))[:, np.newaxis]
    here, columns = network.parameters.copy(), []
    for i in range(len(here)):
        both = []
        for sign in (1, -1):
            network.parameters[i] = here[i] + sign * h
            both.append(factors * network.run(rows.inputs))
            network.parameters[i] = here[i]
        columns.append(((both[0] - both[1]) / (2 * h)).ravel())
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("weights", ["none", "some zeros"])
@pytest.mark.parametrize("output", ["identity", "sigmoid", "softmax"])
def test_jtj_of_squared_errors(output, weights):
    loss, network = SquaredError(), dense(3, 4, 2, output=output)
    rows = rows_for(network, loss, 40, weights)
    curvature = reference_of(network, Rule(loss), rows)
    measured = curvature.measure(0.0)
    j = jacobian_by_differences(network, loss, rows)
    np.testing.assert_allclose(curvature._matrix, j.T @ j, atol=1e-8)
    gradient = np.empty_like(network.parameters)
    value = Reference(network, Rule(loss)).gradient(rows, gradient)
    np.testing.assert_allclose(curvature._gradient, gradient, atol=1e-14)
    assert measured.loss == pytest.approx(value, rel=1e-14)
    assert measured.steepest == pytest.approx(np.abs(gradient).max())
    np.testing.assert_allclose(curvature.scaling, (j**2).sum(axis=0), atol=1e-8)


@pytest.mark.parametrize("loss", [CrossEntropy(), BinaryCrossEntropy(), Poisson()], ids=repr)
def test_the_hessian_of_a_joined_loss_is_whole_where_the_network_is_linear(loss):
    """Behind one layer the weighted sums are linear in the parameters, so J'J is the Hessian itself."""
    network = Network(Layer(3, 2, loss.joins(), bias=True), rng=1)
    rows = rows_for(network, loss, 30)
    curvature = reference_of(network, Rule(loss), rows)
    curvature.measure(0.0)
    engine, here, columns = Reference(network, Rule(loss)), network.parameters.copy(), []
    for i in range(len(here)):
        both = [np.empty_like(here), np.empty_like(here)]
        for sign, gradient in zip((1, -1), both, strict=True):
            network.parameters[i] = here[i] + sign * 1e-6
            engine.gradient(rows, gradient)
        network.parameters[i] = here[i]
        columns.append((both[0] - both[1]) / 2e-6)
    np.testing.assert_allclose(curvature._matrix, np.array(columns), atol=1e-8)
    gradient = np.empty_like(here)
    engine.gradient(rows, gradient)
    np.testing.assert_allclose(curvature._gradient, gradient, atol=1e-12)


@pytest.mark.parametrize("loss", [SquaredError(), CrossEntropy(), BinaryCrossEntropy(), Poisson()], ids=repr)
def test_residuals_give_gradient_and_hessian_at_the_ends_of_the_numbers(loss):
    """Where an output is 0 or 1 to rounding, residuals are finite, and R'c is what the loss says."""
    activation = loss.joins() if hasattr(loss, "joins") else Sigmoid()
    z = np.array([[0.0, 1.0], [-40.0, 40.0], [300.0, -300.0], [-745.0, 3.0]])
    outputs = activation.value(z)
    targets = np.eye(2)[[0, 1, 1, 0]]
    residuals, roots = loss.residuals(activation, z, outputs, targets)
    assert np.isfinite(roots).all()
    assert np.isfinite(residuals).all()
    gradient = (residuals[:, np.newaxis] @ roots)[:, 0]
    np.testing.assert_allclose(gradient, loss.delta_at(activation, z, outputs, targets), atol=1e-12)


# One mathematics


def assert_alike(a, b, tolerance=1e-9):
    a, b = np.asarray(a), np.asarray(b)
    assert np.abs(a - b).max(initial=0) <= tolerance * max(1e-9, np.abs(a).max(initial=0))


def compare(network, loss, rows, *, l2=0.0, by_rows=False, threads=1):
    """Walk through measuring, stepping, going back, on both engines."""
    a, b = network.copy(), network.copy()
    rule = Rule(loss, l2=l2, penalty_by_rows=by_rows)
    reference, fast = reference_of(a, rule, rows), Native(b, rule, threads).curvature(rows)
    assert not isinstance(fast, ReferenceCurvature)
    assert reference.size == fast.size
    for decay in (0.0, 0.01, 0.1):
        here, there = reference.measure(decay), fast.measure(decay)
        assert_alike([here.loss, here.squares, here.steepest], [there.loss, there.squares, there.steepest])
        assert_alike(reference.scaling, fast.scaling)
        if decay > 0:
            effective = reference.effective_parameters(decay)
            assert abs(effective - fast.effective_parameters(decay)) < 1e-9 * reference.size
        one, other = reference.step(0.1, decay), fast.step(0.1, decay)
        assert_alike([one.foreseen, one.loss, one.squares], [other.foreseen, other.loss, other.squares])
        assert_alike(a.parameters, b.parameters)
        if decay == 0.01:
            reference.back()
            fast.back()
        b.parameters = a.parameters  # so that rounding does not add up


SIZES = [(1, 5, 1), (3, 10, 10, 1), (8, 15, 15, 2), (20, 33, 1), (5, 3), (2, 60, 40, 4)]


@needs_native
@pytest.mark.parametrize("rows", [1, 4, 41, 200, 900])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_native_is_reference_by_size(sizes, rows):
    network, loss = dense(*sizes), SquaredError()
    compare(network, loss, rows_for(network, loss, rows))


@needs_native
@pytest.mark.parametrize("weights", ["none", "some zeros"])
@pytest.mark.parametrize(
    "loss", [SquaredError(reduction="sum"), SquaredError(), CrossEntropy(), BinaryCrossEntropy(), Poisson()], ids=repr
)
@pytest.mark.parametrize("rows", [4, 150])
def test_native_is_reference_by_loss(loss, weights, rows):
    network = joined(loss, 5, 9, 3) if hasattr(loss, "joins") else dense(5, 9, 3, output="softmax")
    for l2, by_rows in [(0.0, False), (0.05, False), (0.05, True)]:
        compare(network, loss, rows_for(network, loss, rows, weights), l2=l2, by_rows=by_rows, threads=2)


@needs_native
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_native_is_reference_by_activation(activation):
    network, loss = dense(4, 7, 7, 2, activation=activation, output="tanh"), SquaredError()
    network.parameters *= 0.5
    compare(network, loss, rows_for(network, loss, 60))


@needs_native
@pytest.mark.parametrize("make", [complicated, frozen, embedding])
@pytest.mark.parametrize("rows", [5, 120])
def test_native_is_reference_by_kind(make, rows):
    compare(make(), CrossEntropy(), rows_for(make(), CrossEntropy(), rows), l2=0.1)


@needs_native
@pytest.mark.parametrize("rows", [5, 120])
def test_sparse_and_compact_rows(rows):
    network, loss, rng = dense(6, 7, 2), SquaredError(), np.random.default_rng(0)
    dense_rows = rows_for(network, loss, rows)
    sparse = network.check_rows(csr_array(np.where(dense_rows.inputs > 0, dense_rows.inputs, 0)), dense_rows.targets)
    compare(network, loss, sparse)
    encoding = Encoding((NumberPart(0, edges=(-1.0, 0.0, 1.0)),), (LevelPart(3, levels=3),), 6)
    compact = Compact(
        rng.normal(size=(rows, 1)), rng.integers(-1, 3, (rows, 1), np.int32), encoding, np.dtype(np.float64)
    )
    compare(network, loss, Rows(compact, dense_rows.targets))


@needs_native
@pytest.mark.parametrize("rows", [41, 700])
@pytest.mark.parametrize("sizes", [(1, 5, 1), (8, 30, 20, 3)], ids=str)
def test_the_same_bits_for_any_number_of_threads(sizes, rows):
    ends = []
    for threads in (1, 2, 3):
        network, loss = dense(*sizes), SquaredError()
        curvature = Native(network, Rule(loss), threads).curvature(rows_for(network, loss, rows))
        for _ in range(3):
            measured = curvature.measure(0.01)
            trial = curvature.step(0.1, 0.01)
        ends.append(
            [measured.loss, measured.steepest, trial.loss, curvature.effective_parameters(0.01), *network.parameters]
        )
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[0], ends[2])


@pytest.mark.parametrize(
    "engine", [Reference, pytest.param(lambda n, r: Native(n, r, 1), marks=needs_native, id="Native")]
)
def test_a_matrix_that_is_not_positive_definite_moves_nothing(engine):
    """Two equal columns, a dead relu, and no damping to speak of."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(50, 3))
    inputs[:, 1] = inputs[:, 0]
    network = dense(3, 4, 1, activation="relu")
    network.layers[0].bias[0] = -1e3
    rows = Rows(inputs, rng.normal(size=(50, 1)))
    before = network.parameters.copy()
    curvature = engine(network, Rule("squared_error")).curvature(rows)
    curvature.measure(0.0)
    assert curvature.step(0.0, 0.0) is None
    np.testing.assert_array_equal(network.parameters, before)
    assert curvature.step(1e-3, 0.0) is not None
    assert np.isfinite(network.parameters).all()
    curvature.back()
    np.testing.assert_array_equal(network.parameters, before)


@needs_native
def test_what_does_not_fit_is_refused_by_the_engine():
    network, module = dense(3, 4, 1), native._module()
    said = native._layout(network), native._loss(SquaredError()), native._rule(Rule()), network.parameters, 1, []
    inputs, targets = np.zeros((5, 3)), np.zeros((5, 1))
    curvature = module.Curvature(*said, inputs, targets, None)
    for call in (lambda: curvature.step(0.1, 0.0), lambda: curvature.effective_parameters(0.1)):
        with pytest.raises(RuntimeError, match="nothing has been measured yet"):
            call()
    curvature.back()  # there is nothing to put back
    for wrong in [(np.zeros((5, 2)), targets, None), (inputs, np.zeros((4, 1)), None), (inputs, targets, np.zeros(4))]:
        with pytest.raises(ValueError, match="shape"):
            module.Curvature(*said, *wrong)
    single = network.astype(np.float32)
    with pytest.raises((TypeError, ValueError)):
        module.Curvature(native._layout(single), *said[1:3], single.parameters, 1, [], inputs, targets, None)
    with pytest.raises(ValueError, match="factors"):
        module.Curvature(*said[:5], [1.0], inputs, targets, None)
    for wrong in (np.zeros((3, 3), "int64"), None, "rows"):
        assert network.quick_answer().jacobian(wrong) is None
    with pytest.raises(IndexError):
        network.quick_answer().hessian(inputs, 1)
