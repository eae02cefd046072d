"""Layers: every derivative against differences, then what a dense layer and dropout each promise."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

from nineline import Activation, Dropout, Embedding, Layer, LayerNorm, Loss, Network, Residual, gradient_check
from nineline.activations import ACTIVATIONS, Elu, LeakyRelu
from nineline.draws import Draw
from nineline.engines.reference import loss_and_gradients
from nineline.layers import LAYERS, AbstractLayer
from nineline.losses import LOSSES, Huber, Quantile, SquaredError
from nineline.rows import Rows

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


class Square(Activation):
    """An activation of one's own."""

    def value(self, z):
        return z**2 / 2 + z

    def derivative(self, z, outputs):
        return z + 1


class Shares(Activation):
    """One whose units depend on each other, ``z_j**2 / sum_k z_k**2``: it overrides `backward` instead."""

    def value(self, z):
        return z**2 / (z**2).sum(axis=1, keepdims=True)

    def backward(self, errors, z, outputs):
        return 2 * z / (z**2).sum(axis=1, keepdims=True) * (errors - (errors * outputs).sum(axis=1, keepdims=True))


class LogCosh(Loss):
    """A loss of one's own: ``log(cosh(r))``."""

    def value(self, outputs, targets):
        return np.log(np.cosh(outputs - targets)).sum(axis=1)

    def gradient(self, outputs, targets):
        return np.tanh(outputs - targets)


rng = np.random.default_rng(17)
INPUTS = rng.normal(size=(5, 3))
TARGETS = rng.uniform(0.1, 0.9, (5, 2))
TARGETS /= TARGETS.sum(axis=1, keepdims=True)  # so that cross-entropy takes them too
WEIGHTS = np.array([1.0, 0.5, 2.0, 0.0, 3.0])

OUTPUTS = {**{name: kind() for name, kind in ACTIVATIONS.items()}, "own": Square()}
OBJECTIVES = {**{name: kind() for name, kind in LOSSES.items()}, "own": LogCosh()}


def fits(activation, loss):
    try:
        loss.check(activation, TARGETS)
    except ValueError:
        return False
    return True


PAIRS = [(output, loss) for output in OUTPUTS for loss in OBJECTIVES if fits(OUTPUTS[output], OBJECTIVES[loss])]


def stack(hidden, output, dtype, bias, kind):
    between = {"dense": [], "dropout": [Dropout(0.3)]}[kind]
    layers = [Layer(3, 4, hidden, bias=bias, rng=1), *between, Layer(4, 2, output, bias=bias, rng=2)]
    network = Network(*layers, dtype=dtype)
    if bias:  # biases begin at 0, where a wrong one could hide
        for layer in (layers[0], layers[-1]):
            layer.bias = np.linspace(-0.4, 0.5, layer.n_outputs)
    return network


def test_the_pairs_are_those_that_training_accepts():
    assert len(PAIRS) == 5 * len(OUTPUTS) + 4  # poisson takes two outputs, the cross-entropies one each


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
@DTYPES
@pytest.mark.parametrize("kind", ["dense", "dropout"])
@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_every_output_and_loss_passes_the_gradient_check(output, loss, kind, dtype, bias):
    network = stack("tanh", OUTPUTS[output], dtype, bias, kind)
    assert gradient_check(network, INPUTS, TARGETS, loss=OBJECTIVES[loss])


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
@DTYPES
@pytest.mark.parametrize("kind", ["dense", "dropout"])
@pytest.mark.parametrize("hidden", OUTPUTS)
def test_every_hidden_activation_passes_the_gradient_check(hidden, kind, dtype, bias):
    assert gradient_check(stack(OUTPUTS[hidden], "identity", dtype, bias, kind), INPUTS, TARGETS)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("output", "loss"), [pair for pair in PAIRS if pair[0] in ("softmax", "sigmoid", "softplus")])
def test_sample_weights_pass_the_gradient_check(output, loss, reduction):
    objective = type(OBJECTIVES[loss])(reduction=reduction)
    network = stack("tanh", OUTPUTS[output], "float64", True, "dropout")
    assert gradient_check(network, INPUTS, TARGETS, loss=objective, sample_weight=WEIGHTS)


@pytest.mark.parametrize(
    ("hidden", "loss"),
    [(LeakyRelu(0.3), Huber(delta=0.2)), (Elu(1.7), Quantile(level=0.9)), (Square(), LogCosh(reduction="sum"))],
    ids=lambda v: repr(v)[:20],
)
def test_parameters_of_activations_and_losses_pass_the_gradient_check(hidden, loss):
    assert gradient_check(stack(hidden, "identity", "float64", True, "dense"), INPUTS, TARGETS, loss=loss)


@pytest.mark.parametrize("place", ["hidden", "output"])
def test_an_own_activation_over_a_whole_row_passes_the_gradient_check(place):
    """`Activation` says: a subclass gives value and derivative, or overrides backward instead."""
    activations = {"hidden": [Shares(), "identity"], "output": ["tanh", Shares()]}[place]
    assert gradient_check(stack(*activations, "float64", True, "dense"), INPUTS, TARGETS)


def test_dropout_in_front_and_twice_passes_the_gradient_check():
    network = Network(
        Dropout(0.2), Layer(3, 6, "tanh", bias=True), Dropout(0.5), Dropout(0.1), Layer(6, 2, "sigmoid"), rng=0
    )
    assert gradient_check(network, INPUTS, TARGETS)


# The dense layer


def test_forward_and_backward_by_hand():
    """One row through identity(x @ W + b), with numbers that fit in the head."""
    layer = Layer(2, 2, "identity", bias=True, learning_rate=0.5)
    layer.weights = [[1, 2], [3, 4]]
    layer.bias = [10, 20]
    np.testing.assert_array_equal(layer.forward([[1, 2]]), [[17, 30]])
    np.testing.assert_array_equal(layer.weighted_sums, [[17, 30]])
    np.testing.assert_array_equal(layer.backward([[1, -1]]), [[1 - 2, 3 - 4]])
    np.testing.assert_array_equal(layer.weights, [[1.5, 1.5], [4, 3]])
    np.testing.assert_array_equal(layer.bias, [10.5, 19.5])


def test_the_bias_learns_from_every_row():
    layer = Layer(1, 1, "identity", bias=True, learning_rate=1.0)
    layer.forward([[0.0], [0.0], [0.0]])
    layer.backward([[1.0], [2.0], [3.0]])
    np.testing.assert_array_equal(layer.bias, [6])


def test_learning_rate_0_leaves_a_layer_as_it_is():
    layer = Layer(3, 2, learning_rate=0.0)
    before = layer.weights.copy()
    layer.forward(INPUTS)
    layer.backward(np.ones((5, 2)))
    np.testing.assert_array_equal(layer.weights, before)


@pytest.mark.parametrize(
    ("make", "bound"),
    [
        # Bounds of the uniform distributions, by the papers: He sqrt(6 / in), Glorot sqrt(6 / (in + out)).
        (lambda: Layer(200, 100, rng=0), 1),
        (lambda: Layer(200, 100, False, rng=0), 1),
        (lambda: Layer(200, 100, "sigmoid", rng=0), 1),
        (lambda: Layer(200, 100, "sigmoid", bias=True, rng=0), np.sqrt(6 / 300)),
        (lambda: Layer(200, 100, "identity", rng=0), np.sqrt(6 / 300)),
        (lambda: Layer(200, 100, "tanh", rng=0), np.sqrt(6 / 300)),
        (lambda: Layer(200, 100, "relu", rng=0), np.sqrt(6 / 200)),
        (lambda: Layer(200, 100, "relu", initializer="glorot_uniform", rng=0), np.sqrt(6 / 300)),
    ],
)
def test_weights_begin_as_is_customary_and_biases_at_0(make, bound):
    layer = make()
    assert np.abs(layer.weights).max() == pytest.approx(bound, rel=1e-3)
    assert np.abs(layer.weights).max() <= bound
    assert layer.bias is None or not layer.bias.any()


@DTYPES
@pytest.mark.parametrize("activation", [*sorted(ACTIVATIONS), LeakyRelu(np.float64(0.2))], ids=str)
def test_forward_and_backward_keep_the_dtype(activation, dtype):
    layer = Layer(3, 2, activation, bias=True, rng=0, dtype=dtype)
    arrays = [layer.weights, layer.bias, layer.forward(INPUTS), layer.inputs, layer.outputs, layer.weighted_sums]
    arrays.append(layer.backward(np.ones((5, 2))))
    arrays += [layer.weights, layer.bias]
    assert {str(array.dtype) for array in arrays} == {dtype}


def test_a_seed_a_generator_or_numpys_global_state():
    same = Layer(3, 4, rng=5).weights
    np.testing.assert_array_equal(Layer(3, 4, rng=np.random.default_rng(5)).weights, same)
    shared = np.random.default_rng(5)
    np.testing.assert_array_equal(Layer(3, 4, rng=shared).weights, same)
    assert (Layer(3, 4, rng=shared).weights != same).any()
    np.random.seed(5)
    first = Layer(3, 4).weights
    np.random.seed(5)
    np.testing.assert_array_equal(Layer(3, 4).weights, first)


def test_assigning_copies_values_into_the_same_arrays():
    layer = Layer(2, 2, bias=True)
    weights, bias = layer.weights, layer.bias
    values = np.ones((2, 2))
    layer.weights = values
    layer.bias = [3, 4]
    layer.weights += 1
    values[:] = 100
    assert layer.weights is weights
    assert layer.bias is bias
    np.testing.assert_array_equal(weights, 2)
    np.testing.assert_array_equal(bias, [3, 4])


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, copy.copy, lambda layer: pickle.loads(pickle.dumps(layer))],
    ids=["deepcopy", "copy", "pickle"],
)
def test_a_copy_has_arrays_of_its_own(duplicate):
    layer = Layer(3, 2, "tanh", bias=True, rng=0, learning_rate=0.25)
    twin = duplicate(layer)
    np.testing.assert_array_equal(twin.forward(INPUTS), layer.forward(INPUTS))
    assert repr(twin) == repr(layer)
    assert twin.learning_rate == 0.25
    twin.weights += 1
    assert (twin.weights != layer.weights).all()


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Layer(3, 6), "Layer(3, 6, 'sigmoid')"),
        (Layer(3, 6, False), "Layer(3, 6, 'identity')"),
        (Layer(3, 6, "leaky_relu", bias=True), "Layer(3, 6, 'leaky_relu', bias=True)"),
        (Layer(3, 6, LeakyRelu(0.2)), "Layer(3, 6, LeakyRelu(slope=0.2))"),
        (Dropout(0.25), "Dropout(0.25)"),
    ],
    ids=repr,
)
def test_repr_is_what_one_would_write(layer, text):
    assert repr(layer) == text
    assert repr(eval(text)) == text


def test_str_is_the_weights():
    plain, biased = Layer(2, 1, rng=0), Layer(2, 1, bias=True, rng=0)
    assert str(plain) == str(plain.weights)
    assert str(biased) == f"{biased.weights}\nbias {biased.bias}"
    assert str(Dropout(0.5)) == "Dropout(0.5)"


# Dropout


@DTYPES
def test_dropout_passes_everything_on_when_the_network_runs(dtype):
    layer, rows = Dropout(0.9), INPUTS.astype(dtype)
    np.testing.assert_array_equal(layer.forward(rows), rows)
    assert layer.forward(rows).dtype == dtype
    np.testing.assert_array_equal(layer.backward(rows), rows)


@DTYPES
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.8])
def test_dropout_in_training_drops_its_share_and_scales_the_rest(rate, dtype):
    rows = np.full((400, 100), 3, dtype)
    layer = Dropout(rate)
    outputs, seen = layer.compute(rows, Draw(seed=1, step=2))
    assert outputs.dtype == dtype
    kept = outputs != 0
    np.testing.assert_allclose(outputs[kept], 3 / (1 - rate), rtol=1e-6)
    # A binomial share of 40,000: four standard errors.
    assert kept.mean() == pytest.approx(1 - rate, abs=4 * np.sqrt(rate * (1 - rate) / rows.size) + 1e-12)
    errors = np.ones_like(rows)
    np.testing.assert_allclose(layer.backprop(seen, errors)[0], kept / (1 - rate), rtol=1e-6)


def test_dropout_draws_by_seed_step_and_layer():
    def kept(*place):
        return Dropout(0.5).compute(np.ones((20, 20)), Draw(*place))[0] != 0

    np.testing.assert_array_equal(kept(1, 2, 3), kept(1, 2, 3))
    for other in [(2, 2, 3), (1, 3, 3), (1, 2, 4)]:
        assert 0.3 < (kept(1, 2, 3) == kept(*other)).mean() < 0.7


def test_two_dropouts_of_one_network_drop_differently():
    masks = []

    class Noted(Draw):
        def uniform(self, rows, units):
            masks.append(super().uniform(rows, units) >= 0.5)
            return super().uniform(rows, units)

        def of_layer(self, layer):
            return Noted(self.seed, self.step, layer)

    network = Network(Layer(2, 50, "identity", rng=0), Dropout(0.5), Dropout(0.5), Layer(50, 1, "identity", rng=0))
    batch = Rows(np.ones((30, 2)), np.zeros((30, 1))).spread(1)
    gradients = [network.views(np.zeros_like(network.parameters), i) for i in range(4)]
    loss_and_gradients(network, SquaredError(), batch, Noted(0, 0), gradients)
    assert 0.4 < (masks[0] == masks[1]).mean() < 0.6


def test_after_a_run_dropout_drops_nothing_on_the_way_back():
    layer = Dropout(0.5)
    layer.compute(np.ones((3, 3)), Draw(0, 0))
    layer.forward(np.ones((3, 3)))
    np.testing.assert_array_equal(layer.backward(np.ones((3, 3))), 1)


def test_the_activation_is_fixed():
    with pytest.raises(AttributeError):
        Layer(2, 3, "tanh").activation = "relu"


# Layers in general


class Doubled(AbstractLayer):
    """Each input twice: it changes the width."""

    def __init__(self, width):
        self.n_inputs, self.n_outputs = width, 2 * width

    def compute(self, inputs, draw=None):
        return np.repeat(inputs, 2, axis=1), None

    def backprop(self, seen, output_errors):
        return output_errors.reshape(len(output_errors), -1, 2).sum(axis=2), {}


class Shift(AbstractLayer):
    """A learned number is added."""

    def __init__(self):
        self.shift = np.zeros(1)

    def compute(self, inputs, draw=None):
        return inputs + self.shift, None

    def backprop(self, seen, output_errors):
        return output_errors, {"shift": output_errors.sum(keepdims=True).reshape(1)}

    def blocks(self):
        return {"shift": self.shift}

    def adopt(self, views):
        views["shift"][...] = self.shift
        self.shift = views["shift"]


def test_a_layer_in_front_may_change_the_width():
    network = Network(Doubled(3), Layer(6, 2, "tanh", rng=0), rng=1)
    assert (network.n_inputs, network.n_outputs) == (3, 2)
    rows, targets = np.ones((4, 3)), np.zeros((4, 2))
    assert gradient_check(network, rows, targets)
    assert network.train(rows, targets, 3, report_every=0).engine == "reference"
    with pytest.raises(
        ValueError, match=r"layer 1 \(Layer\(5, 2, 'tanh'\)\) takes 5 inputs, the layer before it gives 6"
    ):
        Network(Doubled(3), Layer(5, 2, "tanh", rng=0))
    behind = Network(Dropout(0.5), Doubled(3), Layer(6, 2, rng=0))  # a layer of any width takes that of the next
    assert behind.n_inputs == 3


def test_a_layer_of_ones_own_learns_in_every_way():
    rows, targets = np.array([[0.5], [1.0]]), np.array([[2.0], [2.5]])

    def make():
        return Network(Shift(), Layer.of([[1.0]], activation="identity", trainable=False))

    once, trained = make(), make()
    errors = once.train_once(rows, targets)
    np.testing.assert_array_equal(errors, [[1.5], [1.5]])
    assert once.layers[0].shift == 3.0
    trained.train(rows, targets, 1, report_every=0)
    np.testing.assert_array_equal(trained.parameters, once.parameters)
    once.layers[0].trainable = False
    once.train_once(rows, targets)
    assert once.layers[0].shift == 3.0


def test_the_last_layer_is_a_dense_one():
    for last in (Dropout(0.5), Shift(), Doubled(2)):
        with pytest.raises(ValueError, match="the last layer is not a dense one; end the network with a Layer"):
            Network(Layer(2, 2, rng=0), last)


def test_a_layer_of_given_weights_draws_nothing():
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    weights = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    layer = Layer.of(weights, [0.5, 0, 0], "relu", learning_rate=0.1)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert (layer.n_inputs, layer.n_outputs, layer.dtype, layer.learning_rate) == (2, 3, np.float32, 0.1)
    np.testing.assert_array_equal(layer.forward([[1, -1]]), [[0, 0, 0]])
    np.testing.assert_array_equal(layer.forward([[1, 0]]), [[1.5, 2, 3]])
    weights[...] = 0  # they are its own
    np.testing.assert_array_equal(layer.weights, [[1, 2, 3], [4, 5, 6]])
    assert Layer.of([[1], [2]]).dtype == np.float64
    assert repr(Layer.of([[1.0]])) == "Layer(1, 1, 'sigmoid')"
    assert layer.initializer == Layer(2, 3, "relu", bias=True).initializer  # for whoever draws it anew


@pytest.mark.parametrize(
    ("weights", "bias", "words"),
    [
        ([1, 2], None, r"weights has shape \(2,\); expected \(inputs, outputs\)"),
        (np.empty((0, 2)), None, r"weights has shape \(0, 2\)"),
        ([[1, np.nan]], None, "weights has nan"),
        ([[1, 2]], [1], r"bias has shape \(1,\); weights \(1, 2\) take one of \(2,\)"),
    ],
)
def test_given_weights_that_are_none_are_refused(weights, bias, words):
    with pytest.raises(ValueError, match=words):
        Layer.of(weights, bias)


EXAMPLES = {
    "dense": Layer(2, 3, LeakyRelu(0.2), bias=True, rng=0),
    "dropout": Dropout(0.25),
    "embedding": Embedding([3, 7], [2, 1], numbers=2, initializer="normal", rng=0, learning_rate=0.5, trainable=False),
    "layer_norm": LayerNorm(0.1, learning_rate=0.5, trainable=False),
    "residual": Residual(
        Layer(4, 2, "tanh", rng=0), Residual(LayerNorm(), Dropout(0.1)), Layer(2, 4, bias=True, rng=0)
    ),
}
EXAMPLES["layer_norm"].build(5)


@DTYPES
@pytest.mark.parametrize("kind", list(LAYERS))
def test_every_kind_of_layer_has_the_right_derivative(kind, dtype):
    layer = copy.deepcopy(EXAMPLES[kind])
    inputs = np.random.default_rng(0).uniform(0.1, 2, (6, layer.n_inputs or 4))
    if layer.reads_data:
        inputs[:, : len(layer.levels)] = np.random.default_rng(1).integers(layer.levels, size=(6, len(layer.levels)))
    network = Network(layer, Layer(layer.connect(inputs.shape[1]), 2, "tanh", bias=True), rng=1, dtype=dtype)
    assert gradient_check(network, inputs, np.random.default_rng(2).normal(size=(6, 2)))


@pytest.mark.parametrize("kind", list(LAYERS))
def test_every_kind_of_layer_describes_and_rebuilds_itself(kind):
    kind = LAYERS[kind]
    layer = EXAMPLES[kind.kind]
    described = json.loads(json.dumps(layer.describe()))
    again = kind.rebuild(described, lambda name, shape: layer.blocks()[name].reshape(shape).copy())
    assert repr(again) == repr(layer) == kind.in_words(described)[0]
    assert {name: block.tobytes() for name, block in again.blocks().items()} == {
        name: block.tobytes() for name, block in layer.blocks().items()
    }
    assert kind.in_words(described)[1] == sum(block.size for block in layer.blocks().values())
