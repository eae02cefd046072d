"""Data sets: shapes, balance and geometry; the same rows for a seed, forever; a small network learns each."""

from __future__ import annotations

import math
import re
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nineline import Network
from nineline.datasets import DATASETS, circles, curve, gaussians, moons, spirals, step, tutorial, wave, xor
from nineline.expressions import Expression
from nineline.optimizers import Adam

DRAWN = [dataset for dataset in DATASETS.values() if dataset.options]
CLASSES = [dataset for dataset in DRAWN if dataset.task == "classes"]
MAKERS = [xor, circles, moons, spirals, gaussians, curve, wave, step]

# The first and the last of 12 rows with noise 0.1 from seed 7: inputs, then outputs.
GOLDEN = {
    "xor": ([[-0.73319501, -0.61907073], [0.22850364, -0.73470293]], [[0], [1]]),
    "circles": ([[0.71968025, 0.17926167], [0.09553229, 0.23367643]], [[0], [1]]),
    "moons": ([[0.21188206, 0.44914803], [-0.40454824, 0.12432556]], [[0], [1]]),
    "spirals": ([[-0.48893698, -0.03406276], [0.03332685, -0.19097849]], [[0], [1]]),
    "gaussians": ([[0.52357134, 0.29194102], [-0.26277586, -0.68057024]], [[0], [1]]),
    "curve": ([[-0.86122102, -0.95645426], [-0.76441073, 1.15223138]], [[0], [1]]),
    "spirals3": ([[-0.24557038, 0.41330272], [-0.12069427, 0.04721998]], [[1, 0, 0], [0, 1, 0]]),
    "gaussians3": ([[0.52357134, 0.29194102], [-0.44578856, 0.00244246]], [[1, 0, 0], [0, 1, 0]]),
    "wave": ([[0.25019093], [-0.44314878]], [[1.01054071], [-0.32253226]]),
    "step": ([[0.25019093], [-0.44314878]], [[1.01054142], [0.02712644]]),
}


def number_of_class(y):
    return y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0].astype(int)


def named(values):
    return pytest.mark.parametrize("dataset", values, ids=lambda dataset: dataset.name)


def test_the_table_lists_them_in_order():
    assert list(DATASETS) == [
        *("tutorial", "xor", "circles", "moons", "spirals", "gaussians", "curve", "spirals3", "gaussians3"),
        *("wave", "step"),
    ]
    for name, dataset in DATASETS.items():
        assert dataset.name == name
        assert dataset.task in ("classes", "number")
        assert dataset.about.endswith(".")
        assert not dataset.title.endswith(".")
    assert len({dataset.title for dataset in DATASETS.values()}) == len(DATASETS)
    assert DATASETS["tutorial"].options == ()
    assert DATASETS["xor"].options == ("rows", "noise", "rng")
    assert DATASETS["curve"].options == ("expression", "rows", "noise", "rng", "extent")


def test_the_tutorials_rows():
    X, y = tutorial()
    assert X.tolist() == [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]
    assert y.tolist() == [[0], [1], [1], [0]]
    assert X.dtype == y.dtype == np.float64
    X[...] = 5
    assert tutorial()[0].max() == 1


@named(DRAWN)
def test_the_same_rows_forever(dataset):
    X, y = dataset.make(rows=12, noise=0.1, rng=7)
    inputs, outputs = GOLDEN[dataset.name]
    np.testing.assert_allclose(X[[0, -1]], inputs, atol=1e-8)
    np.testing.assert_allclose(y[[0, -1]], outputs, atol=1e-8)


@named(DRAWN)
@settings(max_examples=15, deadline=None)
@given(rows=st.integers(6, 300), noise=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_shapes_and_balance(dataset, rows, noise, seed):
    X, y = dataset.make(rows=rows, noise=noise, rng=seed)
    assert X.shape == (rows, dataset.inputs)
    assert y.shape == (rows, dataset.outputs)
    assert X.dtype == y.dtype == np.float64
    assert np.isfinite(X).all()
    assert np.isfinite(y).all()
    if dataset.task == "classes":
        assert set(np.unique(y)) == {0, 1}
        counts = np.bincount(number_of_class(y))
        assert len(counts) == max(2, dataset.outputs)
        assert counts.max() - counts.min() <= 1
        if dataset.outputs > 1:
            assert (y.sum(axis=1) == 1).all()


@named(list(DATASETS.values()))
def test_each_is_made_by_its_defaults(dataset):
    X, y = dataset.make()
    assert X.shape == (200 if dataset.options else 4, dataset.inputs)
    assert y.shape == (len(X), dataset.outputs)
    assert np.abs(X).max() < 2.5


@named(DRAWN)
def test_a_seed_makes_the_same_rows_and_a_generator_goes_on(dataset):
    first, again = dataset.make(rng=3), dataset.make(rng=3)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    generator = np.random.default_rng(3)
    np.testing.assert_array_equal(dataset.make(rng=generator)[0], first[0])
    assert (dataset.make(rng=generator)[0] != first[0]).any()
    assert (dataset.make(rng=4)[0] != first[0]).any()
    np.random.seed(5)
    one = dataset.make()
    np.random.seed(5)
    np.testing.assert_array_equal(one[0], dataset.make()[0])


@named(DRAWN)
def test_noise_moves_the_same_rows_further(dataset):
    (X0, y0), (X1, y1), (X2, y2) = (dataset.make(noise=noise, rng=1) for noise in (0, 0.1, 0.2))
    if dataset.task == "number":
        np.testing.assert_array_equal(X1, X0)
        X0, X1, X2, y0, y1, y2 = y0, y1, y2, X0, X1, X2
    np.testing.assert_array_equal(y1, y0)
    np.testing.assert_array_equal(y2, y0)
    if dataset.name.startswith("gaussians"):  # their own width counts too
        return
    np.testing.assert_allclose(X2 - X0, 2 * (X1 - X0), atol=1e-15)
    assert (X1 - X0).std() == pytest.approx(0.1, rel=0.15)
    assert abs((X1 - X0).mean()) < 0.02


@named(CLASSES)
def test_rows_are_in_a_random_order(dataset):
    labels = number_of_class(dataset.make(rows=3000, rng=1)[1])
    halves = np.bincount(labels[:1500]) / 1500
    np.testing.assert_allclose(halves, 1 / len(halves), atol=0.05)
    runs = (np.diff(labels) != 0).mean()
    assert runs == pytest.approx(1 - 1 / len(halves), abs=0.05)


def test_quadrants():
    X, y = xor(rows=4000, noise=0, rng=1)
    np.testing.assert_array_equal(X[:, 0] * X[:, 1] < 0, y[:, 0] == 1)
    assert np.abs(X).max() <= 1
    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        inside = X[(np.sign(X) == signs).all(axis=1)]
        assert len(inside) == pytest.approx(1000, rel=0.1)
        np.testing.assert_allclose(np.abs(inside).mean(axis=0), 0.5, atol=0.05)


def test_a_disc_in_a_ring():
    X, y = circles(rows=4000, noise=0, rng=1)
    radius, inner = np.hypot(*X.T), y[:, 0] == 1
    assert radius[inner].max() <= 0.45
    assert radius[~inner].min() >= 0.75
    assert radius[~inner].max() <= 1
    # Uniform over the area: half of it within the radius sqrt((a**2 + b**2) / 2).
    assert (radius[inner] < 0.45 * math.sqrt(0.5)).mean() == pytest.approx(0.5, abs=0.05)
    assert (radius[~inner] < math.sqrt((0.75**2 + 1) / 2)).mean() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=0.05)


def test_two_half_circles():
    X, y = moons(rows=1000, noise=0, rng=1)
    upper = y[:, 0] == 0
    np.testing.assert_allclose(np.hypot(*(X[upper] + [0.5, 0.25]).T), 1)
    np.testing.assert_allclose(np.hypot(*(X[~upper] - [0.5, 0.25]).T), 1)
    assert X[upper, 1].min() >= -0.25
    assert X[~upper, 1].max() <= 0.25
    assert (np.abs(X).max(axis=0) <= [1.5, 0.75]).all()


@pytest.mark.parametrize("arms", [2, 3, 5])
def test_arms_of_spirals(arms):
    X, y = spirals(arms=arms, rows=100 * arms, noise=0, rng=1)
    radius, label = np.hypot(*X.T), number_of_class(y)
    assert y.shape == (100 * arms, 1 if arms == 2 else arms)
    assert np.bincount(label).tolist() == [100] * arms
    assert radius.max() <= 1
    angle = 2 * np.pi * (2 * radius + label) / arms
    np.testing.assert_allclose(X, np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), atol=1e-12)
    assert (radius < math.sqrt(0.5)).mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_clouds(classes):
    X, y = gaussians(classes=classes, rows=2000 * classes, noise=0.15, rng=1)
    assert y.shape == (2000 * classes, 1 if classes == 2 else classes)
    for label in range(classes):
        cloud = X[number_of_class(y) == label]
        angle = np.pi / 4 + 2 * np.pi * label / classes
        np.testing.assert_allclose(
            cloud.mean(axis=0), [math.sqrt(0.5) * math.cos(angle), math.sqrt(0.5) * math.sin(angle)], atol=0.02
        )
        np.testing.assert_allclose(np.cov(cloud.T), 0.25**2 * np.eye(2), atol=0.005)  # 0.2**2 + 0.15**2


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("y > sin(3x)", lambda x, y: y > np.sin(3 * x)),
        ("sin(3x)", lambda x, y: y > np.sin(3 * x)),
        ("0.5", lambda x, y: y > 0.5),
        ("x y > 0", lambda x, y: x * y > 0),
        ("x^2 + y^2 < 1", lambda x, y: x**2 + y**2 < 1),
        ("x < 0", lambda x, y: x < 0),
        ("y < log(x)", lambda x, y: y < np.log(np.maximum(x, 1e-300))),
        (Expression("y <= x"), lambda x, y: y <= x),
        (Expression("y < 2x", names=("y", "x", "z")), lambda x, y: y < 2 * x),
    ],
)
def test_the_two_sides_of_a_curve(expression, holds):
    X, y = curve(expression, rows=501, noise=0, rng=1)
    np.testing.assert_array_equal(holds(*X.T), y[:, 0] == 1)
    assert np.bincount(number_of_class(y)).tolist() == [251, 250]
    assert np.abs(X).max() <= 1.5


def test_a_curve_fills_its_square():
    X, y = curve("y > 0", rows=4000, noise=0, rng=1, extent=3)
    assert np.abs(X).max() <= 3
    np.testing.assert_allclose(np.abs(X).mean(axis=0), 1.5, atol=0.1)
    np.testing.assert_allclose(X[y[:, 0] == 1].mean(axis=0), [0, 1.5], atol=0.1)
    np.testing.assert_array_equal(curve(rng=1)[0], curve("y > sin(3*x)", rng=1)[0])


def test_a_small_corner_is_room_enough():
    X, y = curve("y > 1.45", noise=0, rng=1)
    assert y.sum() == 100
    assert X[y[:, 0] == 1, 1].min() > 1.45


def test_a_wave_and_a_step():
    X, y = wave(rows=1000, noise=0, rng=1)
    np.testing.assert_allclose(y, np.sin(2 * np.pi * X), atol=1e-15)
    assert X.min() == pytest.approx(-1, abs=0.02)
    assert X.max() == pytest.approx(1, abs=0.02)
    X, y = step(rows=1000, noise=0, rng=1)
    np.testing.assert_array_equal(y, X >= 0)
    assert y.mean() == pytest.approx(0.5, abs=0.06)


@named(list(DATASETS.values()))
def test_a_small_network_learns_it(dataset):
    noise = 0.05 if dataset.name == "xor" else 0.1  # points that noise moves over an axis cannot be learned
    X, y = dataset.make(rows=200, noise=noise, rng=1) if dataset.options else dataset.make()
    output, loss = "sigmoid", "binary_cross_entropy"
    if dataset.task == "number":
        output, loss = "identity", "squared_error"
    elif dataset.outputs > 1:
        output, loss = "softmax", "cross_entropy"
    network = Network(
        dataset.inputs, 24, 12, dataset.outputs, activation="tanh", output=output, bias=True,
        initializer="glorot_uniform", rng=1,
    )  # fmt: skip
    network.train(X, y, epochs=400, batch_size=50, loss=loss, optimizer=Adam(0.01), report_every=0, rng=1)
    answers = network.run(X)
    if dataset.task == "number":
        assert np.sqrt(((answers - y) ** 2).mean()) < 0.15  # of which noise is 0.1
    else:
        found = answers.argmax(axis=1) if dataset.outputs > 1 else answers[:, 0] > 0.5
        assert (found == number_of_class(y)).mean() >= 0.95


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rows": 1}, ValueError, "rows is 1; expected a whole number, "),
        ({"rows": 2.5}, TypeError, "rows is 2.5 (float); expected a whole number"),
        ({"rows": True}, TypeError, "rows is True"),
        ({"noise": -0.1}, ValueError, "noise is -0.1; expected a finite number in [0, 10]"),
        ({"noise": math.nan}, ValueError, "noise is nan; expected a finite number in [0, 10]"),
        ({"noise": math.inf}, ValueError, "noise is inf"),
        ({"noise": "0.1"}, TypeError, "noise is '0.1' (str); expected a number"),
        ({"rng": -1}, ValueError, "rng is -1; a seed is a whole number, 0 or more"),
        ({"rng": "1"}, TypeError, "rng is '1' (str); expected a seed"),
    ],
)
def test_wrong_arguments_are_refused(make, options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make(**options)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (partial(xor, rows=3), ValueError, "rows is 3; expected a whole number, 4 or more"),
        (partial(spirals, arms=3, rows=5), ValueError, "rows is 5; expected a whole number, 6 or more"),
        (partial(spirals, arms=1), ValueError, "arms is 1; expected a whole number, 2 or more"),
        (partial(gaussians, classes=1), ValueError, "classes is 1; expected a whole number, 2 or more"),
        (partial(gaussians, classes=2.0), TypeError, "classes is 2.0 (float)"),
        (partial(curve, extent=0), ValueError, "extent is 0; expected a finite number in (0, 100]"),
        (partial(curve, "import os"), ValueError, "expression holds 'import'; expected a formula of x, y"),
        (partial(curve, 3), TypeError, "expression is 3 (int); expected a text such as"),
        (
            partial(curve, Expression("t > 0", names=("t",))),
            ValueError,
            "expression is Expression(text='t > 0', names=('t',)); expected a formula of x and y alone",
        ),
        (partial(curve, "x y"), ValueError, "expression 'x y' holds y but no comparison; expected a comparison"),
        (
            partial(curve, "y > 5", rng=1),
            ValueError,
            "expression 'y > 5' holds at 0 of 20000 points with x and y in [-1.5, 1.5], too few for two classes",
        ),
        (partial(curve, "y < 5", rng=1), ValueError, "holds at 20000 of 20000 points with x and y in [-1.5, 1.5], too"),
        (partial(curve, "log(-x^2)", rng=1), ValueError, "holds at 0 of 20000 points"),
    ],
)
def test_wrong_settings_are_refused(make, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make()
