"""Network: layers over one flat vector, how they are joined, and how they stay joined."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

from nineline import Dropout, Layer, Network

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
y = np.array([[0], [1], [1], [0]])


def make(dtype="float64"):
    return Network(Layer(3, 4, "tanh", bias=True), Dropout(0.25), Layer(4, 2, "sigmoid"), rng=3, dtype=dtype)


def assert_linked(network):
    """Every learned array is a view into the vector, from both sides, and the views cover it once."""
    seen = np.zeros(network.parameters.size, int)
    for block in network.blocks:
        number, kind = block.name.split(".")
        assert kind == block.kind
        array = getattr(network.layers[int(number)], kind)
        assert array.shape == block.shape
        assert np.shares_memory(array, network.parameters)
        np.testing.assert_array_equal(network.parameters[block.place].reshape(block.shape), array)
        seen[block.place] += 1
        array += 1.0
        np.testing.assert_array_equal(network.parameters[block.place].reshape(block.shape), array)
        network.parameters[block.place] -= 1.0
        np.testing.assert_array_equal(array.ravel(), network.parameters[block.place])
    np.testing.assert_array_equal(seen, 1)


# The answers


def test_run_by_hand():
    """Two inputs, two hidden nodes, one output: sigmoid(log 3) = 3/4, sigmoid(-log 3) = 1/4, sigmoid(0) = 1/2."""
    network = Network(2, 2, 1)
    network.layers[0].weights = [[math.log(3), 0], [0, -math.log(3)]]
    network.layers[1].weights = [[4 * math.log(3)], [-8 * math.log(3)]]
    # hidden (3/4, 1/4) → 3 log 3 - 2 log 3 = log 3 → 3/4; hidden (1/2, 1/2) → -2 log 3 → 1/10
    np.testing.assert_allclose(network.run([[1, 1], [0, 0]]), [[3 / 4], [1 / 10]], rtol=1e-14)


def test_one_row_gives_one_row_of_answers():
    network = make()
    rows = network.run(X)
    assert rows.shape == (4, 2)
    one = network.run(X[1])
    assert one.shape == (2,)
    np.testing.assert_allclose(one, rows[1], rtol=1e-15)


def test_a_vector_for_a_network_of_one_input_is_rows():
    network = Network(1, 2)
    np.testing.assert_array_equal(network.run([1, 2, 3]), network.run([[1], [2], [3]]))


def test_a_vector_of_targets_for_a_network_of_one_output_is_rows():
    one, two = Network(3, 6, 1, rng=0), Network(3, 6, 1, rng=0)
    one.train(X, y.ravel(), 3, report_every=0)
    two.train(X, y, 3, report_every=0)
    np.testing.assert_array_equal(one.parameters, two.parameters)


def test_run_drops_nothing_and_changes_nothing():
    network = make()
    before = network.parameters.copy()
    np.testing.assert_array_equal(network.run(X), network.run(X))
    np.testing.assert_array_equal(network.parameters, before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_answers_have_the_networks_dtype(dtype):
    assert make(dtype).run(X).dtype == dtype
    assert make(dtype).train_once(X, np.ones((4, 2))).dtype == dtype


def test_train_once_moves_every_layer_by_its_own_learning_rate():
    network = Network(Layer(3, 4, rng=0), Dropout(0.5), Layer(4, 1, rng=1, learning_rate=0.0))
    first, _, last = (layer.blocks().get("weights", np.zeros(0)).copy() for layer in network.layers)
    network.train_once(X, y)
    assert (network.layers[0].weights != first).any()
    np.testing.assert_array_equal(network.layers[2].weights, last)


# The vector and its views

WAYS = {
    "numbers": lambda: Network(3, 4, 2, bias=True, rng=3),
    "layers": make,
    "float32": lambda: make("float32"),
    "trained": lambda: _after(make(), lambda n: n.train(X, np.ones((4, 2)), 3, report_every=0)),
    "trained once": lambda: _after(make(), lambda n: n.train_once(X, np.ones((4, 2)))),
    "weights assigned": lambda: _after(make(), lambda n: setattr(n.layers[0], "weights", np.ones((3, 4)))),
    "weights moved": lambda: _after(make(), lambda n: n.layers[0].weights.__iadd__(1)),
    "bias assigned": lambda: _after(make(), lambda n: setattr(n.layers[0], "bias", [1, 2, 3, 4])),
    "parameters assigned": lambda: _after(make(), lambda n: setattr(n, "parameters", np.arange(24))),
}


def _after(network, change):
    change(network)
    return network


@pytest.mark.parametrize("way", WAYS)
def test_layers_arrays_are_views_into_the_vector(way):
    assert_linked(WAYS[way]())


def test_a_step_written_in_one_line_keeps_the_views():
    network = make()
    network.layers[0].weights += 1
    network.layers[0].bias -= 1
    network.parameters *= 2
    network.parameters = network.parameters + 1
    assert_linked(network)


COPIES = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda network: pickle.loads(pickle.dumps(network)),
    "float64": lambda network: network.astype("float64"),
    "float32": lambda network: network.astype("float32"),
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_has_a_vector_of_its_own_and_leaves_the_original_linked(way):
    network = make()
    network.train(X, np.ones((4, 2)), 3, report_every=0)
    before, answers = network.parameters.copy(), network.run(X)
    twin = COPIES[way](network)
    np.testing.assert_allclose(twin.parameters, before, rtol=1e-7)
    np.testing.assert_allclose(twin.run(X), answers, rtol=1e-5)
    assert repr(twin).replace(", dtype=float32", "") == repr(network)
    assert_linked(twin)
    twin.parameters += 1
    np.testing.assert_array_equal(network.parameters, before)
    np.testing.assert_array_equal(network.run(X), answers)
    assert_linked(network)


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copy_goes_on_as_the_original_would(way):
    network = make()
    how = {"epochs": 3, "batch_size": 2}
    network.train(X, np.ones((4, 2)), **how)
    twin = COPIES[way](network)
    network.train(X, np.ones((4, 2)), **how)
    twin.train(X, np.ones((4, 2)), **how)
    np.testing.assert_array_equal(twin.parameters, network.parameters)


def test_a_pickle_holds_the_network_and_not_the_data_it_has_seen():
    network = make()
    before = len(pickle.dumps(network))
    network.run(np.ones((10_000, 3)))
    assert len(pickle.dumps(network)) < before + 1000


def test_astype_there_and_back_keeps_float32_values():
    network = make("float32")
    wide = network.astype("float64")
    assert wide.dtype == np.float64
    assert {layer.dtype for layer in wide.layers} == {np.dtype("float64")}
    np.testing.assert_array_equal(wide.parameters, network.parameters)
    np.testing.assert_array_equal(wide.astype("float32").parameters, network.parameters)


def test_blocks_name_what_is_where():
    assert [(block.name, block.kind, block.place, block.shape) for block in make().blocks] == [
        ("0.weights", "weights", slice(0, 12), (3, 4)),
        ("0.bias", "bias", slice(12, 16), (4,)),
        ("2.weights", "weights", slice(16, 24), (4, 2)),
    ]


def test_views_of_another_vector():
    network = make()
    gradient = np.arange(24.0)
    views = network.views(gradient, 0)
    np.testing.assert_array_equal(views["bias"], [12, 13, 14, 15])
    views["weights"][0, 0] = -1
    assert gradient[0] == -1
    assert network.views(gradient, 1) == {}


def test_views_of_layer_1_are_not_those_of_layer_11():
    network = Network(*[2] * 13)
    assert [view.size for view in network.views(network.parameters, 1).values()] == [4]


# Made of layers


def test_a_network_takes_layers_over_with_their_values():
    layers = [Layer(3, 4, "relu", bias=True, rng=0), Layer(4, 2, rng=1)]
    weights = [layer.weights.copy() for layer in layers]
    network = Network(*layers)
    assert list(network.layers) == layers
    for layer, before in zip(layers, weights, strict=True):
        np.testing.assert_array_equal(layer.weights, before)
        assert layer.adopted
    assert_linked(network)


def test_rng_draws_given_layers_anew():
    numbers = Network(3, 4, 2, rng=0)
    layers = Network(Layer(3, 4, rng=8), Layer(4, 2, rng=9), rng=0)
    np.testing.assert_array_equal(layers.parameters, numbers.parameters)


def test_a_copied_layer_may_join_another_network():
    network = make()
    other = Network(copy.deepcopy(network.layers[0]), Layer(4, 1))
    other.parameters += 1
    assert_linked(network)
    assert_linked(other)


@pytest.mark.parametrize(
    ("nodes", "error", "message"),
    [
        (lambda: [make().layers[0]], ValueError, "already belongs to a network; give each network layers of its own"),
        (lambda: [Layer(2, 2)] * 2, ValueError, "the same object twice"),
        (
            lambda: [Layer(3, 4), Layer(5, 1)],
            ValueError,
            "layer 1 (Layer(5, 1, 'sigmoid')) takes 5 inputs, the layer before it gives 4",
        ),
        (
            lambda: [Layer(3, 4), Dropout(0.5), Layer(5, 1)],
            ValueError,
            "layer 2 (Layer(5, 1, 'sigmoid')) takes 5 inputs",
        ),
        (lambda: [Layer(3, 4), Dropout(0.5)], ValueError, "end the network with a Layer"),
        (lambda: [Dropout(0.5)], ValueError, "end the network with a Layer"),
        (lambda: [3, Layer(3, 1)], TypeError, "nodes mix numbers and layers"),
        (
            lambda: [Layer(3, 4), Layer(4, 1, dtype="float32")],
            ValueError,
            "layers have dtypes float64 and float32; give Network a dtype for all",
        ),
    ],
)
def test_layers_that_do_not_fit_are_refused_and_left_alone(nodes, error, message):
    layers = nodes()
    states = [(getattr(layer, "adopted", None), getattr(layer, "dtype", None)) for layer in layers]
    with pytest.raises(error) as caught:
        Network(*layers)
    assert message in str(caught.value)
    assert [(getattr(layer, "adopted", None), getattr(layer, "dtype", None)) for layer in layers] == states


@pytest.mark.parametrize(
    "options",
    [{"activation": "relu"}, {"output": "relu"}, {"bias": True}, {"bias": False}, {"initializer": "zeros"}],
    ids=str,
)
def test_keywords_for_layers_are_refused_beside_layers(options):
    (name,) = options
    with pytest.raises(TypeError, match=f"{name} is .*; with layers given as objects, set it on each layer"):
        Network(Layer(3, 1), **options)


def test_one_dtype_for_mixed_layers():
    network = Network(Layer(3, 4), Layer(4, 1, dtype="float32"), dtype="float32")
    assert network.dtype == np.float32
    assert {layer.dtype for layer in network.layers} == {np.dtype("float32")}


# Made of numbers


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (lambda: Network(3, 1), "Network(Layer(3, 1, 'sigmoid'))"),
        (lambda: Network(3, 6, 1), "Network(Layer(3, 6, 'sigmoid'), Layer(6, 1, 'sigmoid'))"),
        (lambda: Network(3, 6, 1, activation="relu"), "Network(Layer(3, 6, 'relu'), Layer(6, 1, 'relu'))"),
        (
            lambda: Network(3, 6, 1, activation="relu", output="identity"),
            "Network(Layer(3, 6, 'relu'), Layer(6, 1, 'identity'))",
        ),
        (lambda: Network(3, 6, 1, output="tanh"), "Network(Layer(3, 6, 'sigmoid'), Layer(6, 1, 'tanh'))"),
        (lambda: Network(3, 1, bias=True), "Network(Layer(3, 1, 'sigmoid', bias=True))"),
        (lambda: Network(3, 1, dtype="float32"), "Network(Layer(3, 1, 'sigmoid'), dtype=float32)"),
        (make, "Network(Layer(3, 4, 'tanh', bias=True), Dropout(0.25), Layer(4, 2, 'sigmoid'))"),
    ],
)
def test_repr_shows_what_the_keywords_made(network, text):
    assert repr(network()) == text
    assert repr(eval(text, {**globals(), "float32": np.float32})) == text


def test_the_initializer_is_for_every_layer():
    assert not Network(3, 4, 1, initializer="zeros").parameters.any()


@pytest.mark.parametrize("kind", ["seed", "generator", "numpy's global state"])
def test_the_same_randomness_makes_the_same_network(kind):
    def one():
        if kind == "numpy's global state":
            np.random.seed(4)
            return Network(3, 6, 1)
        return Network(3, 6, 1, rng=4 if kind == "seed" else np.random.default_rng(4))

    np.testing.assert_array_equal(one().parameters, one().parameters)
    assert (Network(3, 6, 1, rng=5).parameters != one().parameters).any()


def test_a_networks_rng_goes_on_into_its_training():
    """The seed of a network rules its shuffling too; a seed of train's own rules instead."""

    def weights(network_seed, **how):
        network = Network(3, 6, 1, rng=network_seed)
        network.parameters = Network(3, 6, 1, rng=0).parameters
        network.train(X, y, epochs=5, batch_size=1, **how)
        return network.parameters

    np.testing.assert_array_equal(weights(1), weights(1))
    assert (weights(1) != weights(2)).any()
    np.testing.assert_array_equal(weights(1, rng=7), weights(2, rng=7))


def test_str_shows_biases_and_dropout():
    network = make()
    first, _, last = network.layers
    assert str(network) == (
        f"Layer 0:\n{first.weights}\nbias {first.bias}\n\nLayer 1:\nDropout(0.25)\n\nLayer 2:\n{last.weights}"
    )
