"""Residual connections: what goes in is added to what comes out, and the errors take both ways."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from nineline import Adam, Dropout, GradientDescent, Layer, LayerNorm, Network, Residual, Trainer, gradient_check

RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 4))
Y = RNG.normal(size=(9, 2))


def block():
    inner = Residual(Layer(6, 3, "tanh", rng=3), LayerNorm(), Layer(3, 6, "identity", bias=True, rng=4))
    return Residual(Layer(4, 6, "tanh", bias=True, rng=1), inner, Layer(6, 4, "sigmoid", rng=2))


def test_what_goes_in_is_added():
    layer = Layer(4, 4, "tanh", rng=0)
    residual = Residual(copy.deepcopy(layer))
    np.testing.assert_array_equal(residual.forward(X), X + layer.forward(X))
    errors = RNG.normal(size=X.shape)
    np.testing.assert_array_equal(residual.backward(errors), errors + layer.backward(errors))
    np.testing.assert_array_equal(residual.layers[0].weights, layer.weights)  # both have learned the same


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_its_derivative_is_right(dtype):
    assert gradient_check(Network(block(), Layer(4, 2), rng=0, dtype=dtype), X, Y)
    assert gradient_check(Network(Layer(4, 4), block(), Residual(Dropout(0.3)), Layer(4, 2), dtype=dtype), X, Y)


def test_blocks_are_named_by_place():
    network = Network(block(), Layer(4, 2), rng=0)
    assert [each.name for each in network.blocks] == [
        "0.0.weights",
        "0.0.bias",
        "0.1.0.weights",
        "0.1.1.gain",
        "0.1.1.bias",
        "0.1.2.weights",
        "0.1.2.bias",
        "0.2.weights",
        "1.weights",
    ]
    assert [each.kind for each in network.blocks[2:4]] == ["weights", "gain"]
    assert [each.penalised for each in network.blocks[:4]] == [True, False, True, False]
    inner = network.layers[0].layers[1].layers[0]
    inner.weights = np.ones((6, 3))
    assert (network.parameters[network.blocks[2].place] == 1).all()


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_a_layer_inside_may_be_frozen(engine):
    residual = block()
    residual.layers[0].trainable = False
    network = Network(residual, Layer(4, 2), rng=0)
    before = network.parameters.copy()
    network.train(X, Y, 3, engine=engine, report_every=0)
    frozen = [each.name for each in network.blocks if (network.parameters == before)[each.place].all()]
    assert frozen == ["0.0.weights", "0.0.bias"]
    residual.trainable = False
    before = network.parameters.copy()
    network.train_once(X, Y)
    network.train(X, Y, 3, engine=engine, report_every=0)
    assert [each.name for each in network.blocks if (network.parameters != before)[each.place].any()] == ["1.weights"]


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_factors_find_a_block_inside_by_name_and_kind(engine):
    network = Network(block(), Layer(4, 2), rng=0)
    before = network.parameters.copy()
    factors = {"weights": 0.0, "gain": 0.0, "0.1.0.weights": 1.0}
    network.train(X, Y, 3, optimizer=GradientDescent(0.1, factors=factors), engine=engine, report_every=0)
    moved = [each.name for each in network.blocks if (network.parameters != before)[each.place].any()]
    assert moved == ["0.0.bias", "0.1.0.weights", "0.1.1.bias", "0.1.2.bias"]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (Residual, ValueError, "layers is empty"),
        (lambda: Residual(3), TypeError, "layers has a int; expected layers"),
        (lambda: Residual(Layer(4, 3)), ValueError, "take 4 numbers and give 3; expected as many"),
        (lambda: Residual(Layer(4, 3), Layer(2, 4)), ValueError, r"layer 1 of Residual \(.*\) takes 2 inputs"),
        (lambda: Network(Layer(4, 3), Residual(Layer(4, 4)), Layer(4, 1)), ValueError, "layer 1 .* takes 4 inputs"),
        (lambda: Residual(*Network(Layer(4, 4)).layers), ValueError, "already belongs to a network"),
        (lambda: Network(Layer(4, 4), Residual(Layer(4, 4))), ValueError, "the last layer is not a dense one"),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_one_object_in_two_places_is_refused():
    layer = Layer(4, 4)
    with pytest.raises(ValueError, match="layers hold the same object twice"):
        Network(Residual(layer), Residual(layer), Layer(4, 2))
    with pytest.raises(ValueError, match="layers hold the same object twice"):
        Network(Residual(layer), layer)


def test_a_layer_of_another_network_is_refused_wherever_it_lies():
    layer = Layer(4, 4)
    first, second = Residual(layer), Residual(layer)
    Network(first, Layer(4, 1))
    for other in (second, layer):
        with pytest.raises(ValueError, match="already belongs to a network"):
            Network(other, Layer(4, 1))


def test_a_frozen_one_is_frozen_within_another():
    inner = Residual(Layer(4, 4, rng=0), trainable=False)
    assert repr(inner) == "Residual(Layer(4, 4, 'sigmoid'), trainable=False)"
    network = Network(Residual(inner), Layer(4, 2, rng=1))
    assert network.trainable() == [False, True]
    before = inner.layers[0].weights.copy()
    network.train_once(X, Y)
    for engine in ("auto", "reference"):
        network.train(X, Y, 3, engine=engine, report_every=0)
    np.testing.assert_array_equal(inner.layers[0].weights, before)


def test_its_dtype_is_that_of_its_layers():
    single = Residual(LayerNorm(), Layer(4, 4, dtype="float32"))
    assert single.forward(X).dtype == np.float32
    assert Network(single, Layer(4, 1, dtype="float32")).dtype == np.float32
    for alone in (Residual(Dropout()), Residual(LayerNorm()), Residual(Residual(LayerNorm()))):
        assert alone.forward(X.astype(np.float32)).dtype == np.float32
    assert Residual(LayerNorm()).forward(X).shape == X.shape


def test_too_deep_is_refused():
    layer = Layer(2, 2)
    for _ in range(15):
        layer = Residual(layer)
    with pytest.raises(ValueError, match="layers are nested 17 deep; expected 16 at most"):
        Residual(Residual(layer))


def test_copies_have_layers_of_their_own():
    network = Network(block(), Layer(4, 2), rng=0)
    for twin in (copy.deepcopy(network), network.copy(), pickle.loads(pickle.dumps(network))):
        np.testing.assert_array_equal(twin.run(X), network.run(X))
        twin.train_once(X, Y)
        assert np.shares_memory(twin.layers[0].layers[1].layers[0].weights, twin.parameters)
        assert (twin.run(X) != network.run(X)).all()
    single = network.astype("float32")
    assert single.layers[0].layers[1].layers[1].gain.dtype == np.float32


def test_dropout_inside_draws_for_itself():
    """Two of the same rate draw otherwise, wherever they stand, and the same again with the same seed."""
    network = Network(Residual(Dropout(0.5)), Dropout(0.5), Residual(Residual(Dropout(0.5))), Layer(4, 2), rng=0)
    from nineline.draws import Draw

    places = [Draw(1, 2).of_layer(0).inside(0), Draw(1, 2).of_layer(1), Draw(1, 2).of_layer(2).inside(0).inside(0)]
    masks = [place.uniform(40, 4) for place in places]
    assert len({mask.tobytes() for mask in masks}) == 3
    level = [Draw(1, 2).of_layer(layer) for layer in range(40)]
    deep = [*level]
    for _ in range(16):
        level = [each.inside(place) for each in level[:40] for place in range(3)]
        deep += level
    assert len({each.layer for each in deep}) == len(deep) == 40 + 16 * 120
    losses = [Trainer(network.copy(), rng=5, optimizer=Adam(0.0 + 1e-9)).step(X, Y) for _ in range(2)]
    assert losses[0] == losses[1]


def test_it_prints_every_layer_inside():
    network = Network(block(), Layer(4, 2), rng=0)
    heads = [line for line in str(network).splitlines() if line.startswith("Layer")]
    assert heads == ["Layer 0.0:", "Layer 0.1.0:", "Layer 0.1.1:", "Layer 0.1.2:", "Layer 0.2:", "Layer 1:"]
