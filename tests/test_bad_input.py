"""Bad input: every error names the argument, what came, what was expected and the way out, and changes nothing.

A case is a call, the type of error, and words of its message. An error here is a ValueError or a TypeError that
nineline wrote: nobody has to read a traceback out of NumPy.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from nineline import Adam, Dropout, EarlyStopping, GradientDescent, Layer, Network, gradient_check
from nineline.activations import Relu
from nineline.initializers import Uniform
from nineline.losses import SquaredError
from nineline.schedules import Cosine

X = np.array([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])


def make(dtype="float64", output="sigmoid"):
    return Network(3, 4, 3, output=output, rng=0, dtype=dtype)


def assert_refused(call, error, words, network):
    before = network.parameters.copy()
    with pytest.raises(error) as caught:
        call(network)
    assert type(caught.value) is error
    for each in words:
        assert each in str(caught.value)
    np.testing.assert_array_equal(network.parameters, before)


def named(cases):
    """Return the cases with their first words as names."""
    return [pytest.param(*case, id=case[2][0][:60]) for case in cases]


# Data, through every door


def with_value(value, where=(1, 2), dtype=float):
    data = X.astype(dtype)
    data[where] = value
    return data


DATA = {
    "nan": (with_value(np.nan), ValueError, ["{name} has nan at (1, 2)", "drop or fill such rows first"]),
    "inf": (with_value(np.inf), ValueError, ["{name} has inf at (1, 2)", "expected finite numbers"]),
    "-inf": (with_value(-np.inf), ValueError, ["{name} has -inf at (1, 2)"]),
    "None": ([[None, 1, 2]] * 4, ValueError, ["{name} has nan at (0, 0)", "drop or fill such rows first"]),
    "too few columns": (X[:, :2], ValueError, ["{name} has 2 columns, {taker} takes 3"]),
    "too many columns": (np.ones((4, 7)), ValueError, ["{name} has 7 columns, {taker} takes 3"]),
    "one column": (X[:, :1], ValueError, ["{name} has 1 column, {taker} takes 3"]),
    "three dimensions": (X.reshape(2, 2, 3), ValueError, ["{name} has shape (2, 2, 3); {taker} takes (rows, 3)"]),
    "a number": (5.0, ValueError, ["{name} has shape (); {taker} takes (rows, 3)"]),
    "a vector": (np.ones(4), ValueError, ["{name} has shape (4,); {taker} takes (rows, 3)"]),
    "no rows": (np.empty((0, 3)), ValueError, ["{name} is empty (0 rows); expected at least one row"]),
    "an empty list": ([], ValueError, ["{name} has shape (0,); {taker} takes (rows, 3)"]),
    "ragged": ([[1, 2, 3], [1, 2]], ValueError, ["{name} has rows of different lengths; expected a rectangular"]),
    "complex": (X * 1j, TypeError, ["{name} holds complex numbers; expected real ones"]),
    "sparse text": (sparse.csr_matrix(X).astype(complex), TypeError, ["{name} is a sparse matrix"]),
    "text": (np.array([["a", "b", "c"]]), TypeError, ["{name} holds", "expected numbers", "TabularClassifier"]),
    "new text": (np.array([["a", "b", "c"]], np.dtypes.StringDType()), TypeError, ["{name} holds", "expected numbers"]),
    "bytes": (np.array([[b"a", b"b", b"c"]]), TypeError, ["{name} holds", "expected numbers"]),
    "one text": (with_value("red", dtype=object), TypeError, ["{name} holds the value 'red' (str); expected numbers"]),
    "a string": ("data.csv", TypeError, ["{name} holds", "expected numbers"]),
    "dates": (np.full((4, 3), np.datetime64("2026-01-01")), TypeError, ["{name} holds", "datetime64", "dates"]),
    "a dict": ({"a": 1}, TypeError, ["{name} holds the value {{'a': 1}} (dict); expected numbers"]),
    "a generator": ((row for row in X), TypeError, ["{name} holds the value <generator", "expected numbers"]),
    "missing in pandas": (pd.DataFrame(X, dtype="Int64").replace(0, pd.NA), TypeError, ["{name} holds the value <NA>"]),
    "a huge whole number": ([[10**400, 0, 0]] * 4, ValueError, ["{name}"]),
    "masked": (np.ma.masked_equal(X, 0), ValueError, ["{name}", "mask"]),
}

NETWORK, LAST = "the network", "the network's last layer"
DOORS = {
    "run": ("inputs", NETWORK, lambda n, data: n.run(data)),
    "train inputs": ("inputs", NETWORK, lambda n, data: n.train(data, Y)),
    "train outputs": ("outputs", LAST, lambda n, data: n.train(X, data)),
    "train_once inputs": ("inputs", NETWORK, lambda n, data: n.train_once(data, Y)),
    "train_once outputs": ("outputs", LAST, lambda n, data: n.train_once(X, data)),
    "validation inputs": ("validation inputs", NETWORK, lambda n, data: n.train(X, Y, validation=(data, Y))),
    "validation outputs": ("validation outputs", LAST, lambda n, data: n.train(X, Y, validation=(X, data))),
    "gradient_check inputs": ("inputs", NETWORK, lambda n, data: gradient_check(n, data, Y)),
    "gradient_check outputs": ("outputs", LAST, lambda n, data: gradient_check(n, X, data)),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", DATA)
def test_data_that_cannot_be_learned_from(kind, door):
    data, error, words = DATA[kind]
    name, taker, call = DOORS[door]
    words = [each.format(name=name, taker=taker) for each in words]
    assert_refused(lambda network: call(network, data), error, words, make())


@pytest.mark.parametrize("door", DOORS)
def test_values_that_float32_cannot_hold(door):
    name, _, call = DOORS[door]
    words = [f"{name} has 1e+300 at (1, 2), which float32 cannot hold; scale the data or use dtype=float64"]
    assert_refused(lambda network: call(network, with_value(1e300)), ValueError, words, make("float32"))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda n: n.train(X, Y[:3]), ["inputs has 4 rows and outputs has 3; expected as many of each"]),
        (lambda n: n.train_once(X[:2], Y), ["inputs has 2 rows and outputs has 4"]),
        (
            lambda n: n.train(X, Y, validation=(X[:1], Y)),
            ["validation inputs has 1 row", "validation outputs has 4"],
        ),
        (lambda n: gradient_check(n, X, Y[:1]), ["inputs has 4 rows and outputs has 1"]),
    ],
)
def test_as_many_inputs_as_outputs(call, words):
    assert_refused(call, ValueError, words, make())


def test_the_layers_of_a_network_are_fixed():
    """One put in its place would learn apart from `parameters`, and `run` would answer for the one before."""
    network = Network(3, 2, rng=0)
    with pytest.raises(TypeError, match=r"layers\[0\] of a network is fixed .* Network\(\*copy.deepcopy"):
        network.layers[0] = Layer(3, 2)
    with pytest.raises(AttributeError):
        network.layers = [Layer(3, 2)]
    other = Network(*copy.deepcopy(network.layers)[:-1], Layer(3, 5))
    assert other.run(X).shape == (4, 5)


# A layer alone

LAYER = [
    (lambda layer: layer.forward(X[:, :2]), ValueError, ["inputs has 2 columns, the layer takes 3"]),
    (lambda layer: layer.forward(X[0]), ValueError, ["inputs has shape (3,); the layer takes (rows, 3)"]),
    (lambda layer: layer.forward("text"), TypeError, ["inputs holds"]),
    (lambda layer: layer.forward(with_value(np.nan)), ValueError, ["inputs has nan at (1, 2)"]),
    (lambda layer: layer.forward(with_value(np.nan).tolist()), ValueError, ["inputs has nan at (1, 2)"]),
    (lambda layer: layer.forward(X) is layer.backward(Y), ValueError, ["output_errors has 3 columns, the layer"]),
    (
        lambda layer: layer.forward(X) is layer.backward(Y[:3, :2]),
        ValueError,
        ["output_errors has 3 rows, the last forward pass had 4", "call forward(inputs) on the same rows first"],
    ),
    (
        lambda layer: layer.forward(X) is layer.backward(np.full((4, 2), np.nan)),
        ValueError,
        ["output_errors has nan at (0, 0)"],
    ),
    (lambda layer: layer.backward(Y[:, :2]), RuntimeError, ["backward needs a forward pass before it"]),
    (lambda layer: setattr(layer, "weights", X), ValueError, ["weights has shape (4, 3); this layer's is (3, 2)"]),
    (lambda layer: setattr(layer, "weights", np.full((3, 2), np.nan)), ValueError, ["weights has nan at (0, 0)"]),
    (lambda layer: setattr(layer, "bias", [1, 2]), ValueError, ["this layer has no bias", "Layer(..., bias=True)"]),
]


@pytest.mark.parametrize(("call", "error", "words"), named(LAYER))
def test_a_layer_alone(call, error, words):
    layer = Layer(3, 2, rng=0)
    before = layer.weights.copy()
    with pytest.raises(error) as caught:
        call(layer)
    assert all(each in str(caught.value) for each in words)
    np.testing.assert_array_equal(layer.weights, before)


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        (np.ones(3), ValueError, ["parameters has shape (3,); this network's is (24,)"]),
        (np.full(24, np.inf), ValueError, ["parameters has inf at (0,)"]),
        ("text", TypeError, ["parameters holds"]),
    ],
)
def test_parameters(values, error, words):
    assert_refused(lambda network: setattr(network, "parameters", values), error, words, make())


# Arguments of train

WHOLE = "expected a whole number, {least} or more"


def counts(name, least=1):
    """Return the cases of an argument that counts something."""
    expected = WHOLE.format(least=least)
    return [
        ({name: least - 1}, ValueError, [f"{name} is {least - 1}; {expected}"]),
        ({name: -7}, ValueError, [f"{name} is -7; {expected}"]),
        ({name: 2.0}, TypeError, [f"{name} is 2.0 (float); {expected}"]),
        ({name: True}, TypeError, [f"{name} is True (bool); {expected}"]),
        ({name: "10"}, TypeError, [f"{name} is '10' (str); {expected}"]),
    ]


def amounts(name, wrong):
    """Return the cases of an argument that is a number."""
    return [
        *[({name: value}, ValueError, [f"{name} is {value}; expected a finite number in"]) for value in wrong],
        ({name: True}, TypeError, [f"{name} is True (bool); expected a number"]),
        ({name: "1"}, TypeError, [f"{name} is '1' (str); expected a number"]),
    ]


TRAIN = [
    *counts("iterations"),
    *[({"epochs": 2, **how}, error, words) for how, error, words in counts("epochs")],
    *[({"epochs": 2, **how}, error, words) for how, error, words in counts("batch_size")],
    *counts("stop"),
    *counts("report_every", least=0),
    *amounts("l1", [-0.1, math.nan, math.inf]),
    *amounts("l2", [-1, math.nan, math.inf]),
    *amounts("clip_norm", [0, -1, math.nan, math.inf]),
    *amounts("validation", [0, 1, -0.5, 3.5, math.nan]),
    ({"batch_size": 2}, ValueError, ["batch_size is 2 and epochs is not given", "train(..., epochs=10, batch_size="]),
    # loss
    ({"loss": "crossentropy"}, ValueError, ["loss is 'crossentropy', which is not known; did you mean 'cross_entropy"]),
    ({"loss": "nonsense"}, ValueError, ["loss is 'nonsense'", "known names are absolute_error, binary_cross_entropy"]),
    ({"loss": ""}, ValueError, ["loss is ''", "known names are"]),
    ({"loss": SquaredError}, TypeError, ["loss is the class SquaredError; pass an instance: SquaredError()"]),
    ({"loss": 3}, TypeError, ["loss is 3 (int); expected a Loss or one of the names absolute_error"]),
    (
        {"loss": "cross_entropy"},
        ValueError,
        ["loss CrossEntropy does not fit the output activation Sigmoid", "give the last layer 'softmax'"],
    ),
    (
        {"loss": "poisson"},
        ValueError,
        ["Poisson does not fit the output activation Sigmoid", "'softplus' or 'exponential'"],
    ),
    # optimizer
    ({"optimizer": "adm"}, ValueError, ["optimizer is 'adm', which is not known; did you mean 'adam'"]),
    ({"optimizer": "sgd"}, ValueError, ["known names are adam, adamw, gradient_descent, lbfgs, levenberg_marquardt"]),
    ({"optimizer": Adam}, TypeError, ["optimizer is the class Adam; pass an instance: Adam()"]),
    ({"optimizer": 0.1}, TypeError, ["optimizer is 0.1 (float); expected a Optimizer or one of the names adam"]),
    (
        {"optimizer": Adam(factors={"0.weigts": 0.0})},
        ValueError,
        ["factors has '0.weigts', which is no block of this network; did you mean '0.weights'"],
    ),
    ({"optimizer": Adam(factors={"bias": 0.0})}, ValueError, ["factors has 'bias', which is no block of this network"]),
    # schedule
    ({"schedule": "cosin"}, ValueError, ["schedule is 'cosin', which is not known; did you mean 'cosine'"]),
    ({"schedule": Cosine}, TypeError, ["schedule is the class Cosine; pass an instance: Cosine()"]),
    ({"schedule": 0.5}, TypeError, ["schedule is 0.5 (float); expected a Schedule or one of the names constant"]),
    ({"schedule": lambda epoch: -1.0}, ValueError, ["schedule at epoch 0 is -1.0; expected a finite number in [0"]),
    ({"schedule": lambda epoch: "high"}, TypeError, ["schedule at epoch 0 is 'high' (str); expected a number"]),
    # validation
    ({"validation": (X,)}, ValueError, ["validation has 1 parts; expected (inputs, outputs) or (inputs, outputs, sam"]),
    ({"validation": (X, Y, [1] * 4, 5)}, ValueError, ["validation has 4 parts"]),
    ({"validation": 0.01}, ValueError, ["validation is 0.01 of 4 rows, which leaves 0 for validation and 4"]),
    ({"validation": 0.99}, ValueError, ["validation is 0.99 of 4 rows", "0 for training; give more rows or (inputs"]),
    ({"validation": (X, Y, [1, 2])}, ValueError, ["validation sample_weight has shape (2,)", "(4,)"]),
    ({"validation": "auto"}, TypeError, ["validation is 'auto' (str); expected a number"]),
    # sample_weight
    ({"sample_weight": [1, 2, 3]}, ValueError, ["sample_weight has shape (3,); expected one weight per row: (4,)"]),
    ({"sample_weight": np.ones((4, 1))}, ValueError, ["sample_weight has shape (4, 1)"]),
    ({"sample_weight": [1, 2, 3, -0.5]}, ValueError, ["sample_weight has -0.5; expected weights of 0 or more"]),
    (
        {"sample_weight": [0, 0, 0, 0]},
        ValueError,
        ["sample_weight is", "for every row; expected at least one positive weight"],
    ),
    ({"sample_weight": [1, 2, 3, math.nan]}, ValueError, ["sample_weight has nan at (3,)"]),
    (
        {"sample_weight": [1, 1, 1, 1e-310]},
        ValueError,
        ["sample_weight has 1e-310", "out of the range of normal float64 numbers; multiply all weights by the same"],
    ),
    ({"sample_weight": [1e308] * 4}, ValueError, ["sample_weight sums to inf", "multiply all weights by the same"]),
    ({"sample_weight": ["a"] * 4}, TypeError, ["sample_weight holds"]),
    ({"sample_weight": 2.0}, ValueError, ["sample_weight has shape ()"]),
    # the rest
    ({"stop": EarlyStopping}, TypeError, ["stop is <class 'nineline.training.watch.EarlyStopping'>"]),
    ({"on_epoch": 3}, TypeError, ["on_epoch is 3; expected a function of an Epoch, or a list of them"]),
    ({"on_epoch": [print, "x"]}, TypeError, ["on_epoch is 'x'; expected a function"]),
    ({"engine": "refrence"}, ValueError, ["engine is 'refrence', which is not known; did you mean 'reference'"]),
    ({"engine": "cuda"}, ValueError, ["engine is 'cuda', which is not known; known names are auto"]),
    ({"engine": None}, ValueError, ["engine is None, which is not known"]),
    ({"rng": -1}, ValueError, ["rng is -1; a seed is a whole number, 0 or more"]),
    ({"rng": 1.5}, TypeError, ["rng is 1.5 (float); expected a seed, a numpy.random.Generator or None"]),
    ({"rng": True}, TypeError, ["rng is True (bool); expected a seed"]),
    ({"rng": np.random.RandomState(0)}, TypeError, ["rng is RandomState", "expected a seed"]),
    ({"shuffle": "no"}, TypeError, ["shuffle is 'no'", "expected True or False"]),
    ({"progress": "no"}, TypeError, ["progress is 'no'", "expected True"]),
]


@pytest.mark.parametrize(("how", "error", "words"), named(TRAIN))
def test_arguments_of_train(how, error, words):
    assert_refused(lambda network: network.train(X, Y, **how), error, words, make())


@pytest.mark.parametrize(
    ("output", "loss", "targets", "words"),
    [
        (
            "softmax",
            "cross_entropy",
            Y + 1,
            ["the target row [2.0, 1.0, 1.0] (row 0)", "or the numbers of classes, (rows,)"],
        ),
        ("softmax", "cross_entropy", Y * 0, ["the target row [0.0, 0.0, 0.0] (row 0)", "one-hot rows"]),
        ("softmax", "cross_entropy", [[1, 0, 0], [2, -1, 0]] * 2, ["the target row [2.0, -1.0, 0.0] (row 1)"]),
        ("sigmoid", "binary_cross_entropy", Y * 2, ["outputs has the target 2; binary_cross_entropy takes 0, 1 or"]),
        ("sigmoid", "binary_cross_entropy", -Y, ["outputs has the target -1"]),
        ("exponential", "poisson", Y - 2, ["outputs has the target -2; the poisson loss takes counts, 0 or more"]),
    ],
)
def test_targets_that_do_not_fit_the_loss(output, loss, targets, words):
    assert_refused(lambda network: network.train(X, targets, loss=loss), ValueError, words, make(output=output))
    good = np.abs(Y)
    assert_refused(
        lambda network: network.train(X, good, loss=loss, validation=(X, targets)),
        ValueError,
        words,
        make(output=output),
    )


@pytest.mark.parametrize("factors", [{0: 0.0}, None, ["bias"], {"0.weights": "none"}, {"0.weights": True}], ids=repr)
def test_factors_of_another_type(factors):
    with pytest.raises(TypeError, match="factors"):
        make().train(X, Y, 1, optimizer=GradientDescent(factors=factors), report_every=0)


# Making networks and layers

BUILD = [
    (Network, ValueError, ["nodes has 0 numbers; expected at least inputs and outputs: Network(3, 1)"]),
    (lambda: Network(3), ValueError, ["nodes has 1 number"]),
    (lambda: Network(3, 0), ValueError, ["nodes[1] is 0; expected a whole number, 1 or more"]),
    (lambda: Network(-3, 1), ValueError, ["nodes[0] is -3; expected a whole number, 1 or more"]),
    (lambda: Network(3, 2.0), TypeError, ["nodes[1] is 2.0 (float); expected a whole number"]),
    (lambda: Network(3, True), TypeError, ["nodes[1] is True (bool); expected a whole number"]),
    (lambda: Network("3", 1), TypeError, ["nodes[0] is '3' (str)"]),
    (lambda: Network([3, 6, 1]), TypeError, ["nodes is one list; give the numbers themselves: Network(*[3, 6, 1])"]),
    (lambda: Network(3, Layer(3, 1)), TypeError, ["nodes mix numbers and layers; give either: Network(3, 6, 1)"]),
    (lambda: Network(3, 1, activation="rleu"), ValueError, ["activation is 'rleu'", "did you mean 'relu'"]),
    (lambda: Network(3, 1, activation="ReLU"), ValueError, ["activation is 'ReLU'", "did you mean 'relu'"]),
    (lambda: Network(3, 1, activation=Relu), TypeError, ["activation is the class Relu; pass an instance: Relu()"]),
    (lambda: Network(3, 1, output="sofmax"), ValueError, ["is 'sofmax', which is not known; did you mean 'softmax'"]),
    (lambda: Network(3, 1, activation="zzz"), ValueError, ["known names are elu, exponential, gelu, identity"]),
    (lambda: Network(3, 1, initializer="glorot"), ValueError, ["initializer is 'glorot'", "'glorot_normal'"]),
    (lambda: Network(3, 1, initializer=Uniform), TypeError, ["initializer is the class Uniform; pass an instance"]),
    (lambda: Network(3, 1, dtype="float16"), ValueError, ["dtype is 'float16'; expected float32 or float64"]),
    (lambda: Network(3, 1, dtype=int), ValueError, ["dtype is <class 'int'>; expected float32 or float64"]),
    (lambda: Network(3, 1, dtype="double-ish"), ValueError, ["dtype is 'double-ish'; expected float32 or float64"]),
    (lambda: Network(3, 1, rng=-1), ValueError, ["rng is -1; a seed is a whole number, 0 or more"]),
    (lambda: Network(3, 1, rng="1"), TypeError, ["rng is '1' (str); expected a seed"]),
    (lambda: Network(3, 1, bias="no"), TypeError, ["bias is 'no'", "expected True or False"]),
    (lambda: Network(3, 1).astype("int32"), ValueError, ["dtype is 'int32'; expected float32 or float64"]),
    (lambda: Layer(0, 1), ValueError, ["inputs is 0; expected a whole number, 1 or more"]),
    (lambda: Layer(3, -1), ValueError, ["outputs is -1; expected a whole number, 1 or more"]),
    (lambda: Layer(3, 2.5), TypeError, ["outputs is 2.5 (float)"]),
    (lambda: Layer(True, 2), TypeError, ["inputs is True (bool)"]),
    (lambda: Layer(3, 1, "rleu"), ValueError, ["activation is 'rleu', which is not known; did you mean 'relu'"]),
    (lambda: Layer(3, 1, 2), TypeError, ["activation is 2 (int); expected a Activation or one of the names"]),
    (lambda: Layer(3, 1, 0), TypeError, ["activation is 0 (int)"]),
    (lambda: Layer(3, 1, ""), ValueError, ["activation is '', which is not known"]),
    (lambda: Layer(3, 1, "relu", sigmoid=True), TypeError, ["activation is 'relu' and sigmoid is True; give one"]),
    (lambda: Layer(3, 1, sigmoid="no"), TypeError, ["sigmoid is 'no'", "expected True or False"]),
    (lambda: Layer(3, 1, bias=0.5), TypeError, ["bias is 0.5; expected True or False", "layer.bias = ..."]),
    (lambda: Layer(3, 1, learning_rate=-1), ValueError, ["learning_rate is -1; expected a finite number in [0, inf)"]),
    (lambda: Layer(3, 1, learning_rate="1"), TypeError, ["learning_rate is '1' (str); expected a number"]),
    (lambda: Layer(3, 1, dtype="complex64"), ValueError, ["dtype is 'complex64'; expected float32 or float64"]),
    (lambda: Layer(3, 1, initializer=0), TypeError, ["initializer is 0 (int); expected a Initializer or one of"]),
    (lambda: Dropout(1), ValueError, ["rate is 1; expected a finite number in [0, 1)"]),
    (lambda: Dropout(-0.1), ValueError, ["rate is -0.1"]),
    (lambda: Dropout(math.nan), ValueError, ["rate is nan"]),
    (lambda: Dropout(True), TypeError, ["rate is True (bool); expected a number"]),
    (lambda: GradientDescent("fast"), TypeError, ["learning_rate is 'fast' (str); expected a number"]),
]


@pytest.mark.parametrize(("build", "error", "words"), named(BUILD))
def test_making_networks_and_layers(build, error, words):
    with pytest.raises(error) as caught:
        build()
    assert type(caught.value) is error
    for each in words:
        assert each in str(caught.value)


# Enough of the other side: what looks odd and is right


@pytest.mark.parametrize(
    "call",
    [
        lambda n: n.train(X, Y, np.int64(2), report_every=0),
        lambda n: n.train(X, Y, epochs=1, batch_size=np.uint8(3)),
        lambda n: n.train(X, Y, epochs=1, optimizer=GradientDescent(np.float32(0.5))),
        lambda n: n.train(X, Y, epochs=1, validation=[X, Y]),
        lambda n: n.train(X, Y, epochs=1, validation=(X, Y, None)),
        lambda n: n.train(pd.DataFrame(X), pd.DataFrame(Y), 1, report_every=0),
        lambda n: n.train(X, Y, 1, on_epoch=[], report_every=0),
        lambda n: n.train(X, Y, 1, rng=np.int64(3), report_every=0),
        lambda n: n.train(X[::2], Y[::2], 1, report_every=0),
        lambda n: n.run(np.asfortranarray(X)),
        lambda n: n.run(X.astype(object)),
        lambda n: n.run(np.ma.masked_array(X)),
    ],
)
def test_what_is_like_the_right_thing_is_taken(call):
    call(make())


# Intervals


@pytest.fixture(scope="module")
def answering():
    from nineline.estimators import TabularRegressor

    return TabularRegressor(random_state=0, n_members=1, max_epochs=1, hidden_layer_sizes=(2,)).fit(X, Y[:, 0])


MORE = "give more rows to fit, a larger validation_fraction, or a lower coverage"


@pytest.mark.parametrize(
    ("held_out", "coverage", "needed", "at_most", "way_out"),
    [
        (0, 0.9, 20, None, "give more rows to fit, or a larger validation_fraction"),
        (1, 0.5, 3, None, "give more rows to fit, or a larger validation_fraction"),
        (2, 0.5, 3, 0.3333, MORE),
        (20, 0.95, 39, 0.9047, MORE),
        (100, 0.99, 199, 0.9801, MORE),
        (1000, 0.999, 1999, 0.998, "no more than 1,000 count; expected at most 0.998: give a lower coverage"),
    ],
)
def test_too_few_rows_held_out_for_an_interval(answering, held_out, coverage, needed, at_most, way_out):
    answering.residuals_ = np.linspace(-1, 1, held_out)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        answering.predict_interval(X, coverage)
    said = str(caught.value)
    assert said.startswith(f"coverage is {coverage}, and training held out {held_out} rows, where it needs {needed:,}")
    assert said.endswith(way_out)
    assert ("expected at most" in said) == (at_most is not None)
    if at_most is not None:  # and the way out is one
        assert f"expected at most {at_most}:" in said
        answering.predict_interval(X, at_most)
    answering.residuals_ = np.linspace(-1, 1, needed)
    answering.predict_interval(X, coverage)
