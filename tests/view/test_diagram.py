"""The drawing has a circle for every node and a line for every weight."""

import sys

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba

from nineline import Dropout, Embedding, Layer, LayerNorm, Network, Residual
from nineline.view import draw_network
from nineline.view.palette import LIGHT


def parts(axes, gid):
    return [artist for artist in axes.get_children() if artist.get_gid() == gid]


def words(axes):
    return [text.get_text() for text in axes.texts]


def draw(*arguments, **options):
    axes = draw_network(*arguments, **options)
    axes.figure.canvas.draw()
    return axes


@pytest.mark.parametrize(
    ("network", "nodes", "biases", "lines"),
    [
        (Network(3, 6, 1), 10, 0, [18, 6]),
        (Network(3, 6, 1, bias=True), 10, 2, [24, 7]),
        (Network(2, 1), 3, 0, [2]),
        (Network(Layer(2, 4, bias=True), Dropout(0.5), Layer(4, 3), Layer(3, 2, bias=True)), 11, 2, [12, 12, 8]),
    ],
)
def test_every_node_and_every_weight_is_drawn(network, nodes, biases, lines):
    axes = draw(network)
    assert len(parts(axes, "node")) == nodes
    assert len(parts(axes, "bias")) == biases
    assert [len(collection.get_segments()) for collection in parts(axes, "weights")] == lines
    assert not parts(axes, "dots")


DEEP = Network(
    Embedding([3, 20], [2, 3], numbers=1, rng=0),
    Layer(6, 4, "tanh", bias=True, rng=1),
    Residual(LayerNorm(), Layer(4, 3, "relu", rng=2), Dropout(0.1), Layer(3, 4, "identity", bias=True, rng=3)),
    LayerNorm(),
    Layer(4, 2, "softmax", rng=4),
)


def test_every_kind_of_layer_is_drawn():
    axes = draw(DEEP)
    # inputs, embedding, hidden, normalised, hidden, hidden, sum, normalised, outputs
    assert len(parts(axes, "node")) == 3 + 6 + 4 + 4 + 3 + 4 + 4 + 4 + 2
    assert len(parts(axes, "bias")) == 2
    assert [len(each.get_segments()) for each in parts(axes, "weights")] == [28, 12, 16, 8]
    assert [len(each.get_segments()) for each in parts(axes, "links")] == [6, 4, 4, 4]
    assert len(parts(axes, "arc")) == 4
    headings = [text.split("\n")[0] for text in words(axes) if text[0].isalpha() and not text.startswith("bias")]
    assert headings == [
        "inputs",
        "embedding",
        "hidden layer 1",
        "normalised",
        "hidden layer 2",
        "hidden layer 3",
        "sum",
        "normalised",
        "outputs",
    ]


def test_its_nodes_show_what_the_network_computes():
    row = [1, 7, 0.5]
    (last,) = DEEP.run([row])
    shown = words(draw(DEEP, row))
    assert [f"{value:.2f}" for value in last] == [text for text in shown if text[0].isdigit() and "." in text][-2:]
    with pytest.raises(ValueError, match="example has 3 in column 0"):
        draw(DEEP, [3, 7, 0.5])


def test_a_residual_within_a_residual_has_arcs_of_its_own():
    inner = Residual(Layer(3, 3, rng=1))
    network = Network(Residual(Layer(3, 3, rng=0), inner), Layer(3, 1, rng=2))
    assert len(parts(draw(network), "arc")) == 6


def test_colour_says_the_sign_and_width_the_size():
    network = Network(2, 1)
    network.layers[0].weights = [[3.0], [-1.5]]
    (lines,) = parts(draw(network), "weights")
    segments, widths, colours = lines.get_segments(), lines.get_linewidths(), lines.get_colors()
    upper, lower = sorted(range(2), key=lambda i: -segments[i][0][1])  # the first input is on top
    assert tuple(colours[upper]) == to_rgba(LIGHT.blue)
    assert tuple(colours[lower]) == to_rgba(LIGHT.orange)
    assert widths[upper] > 1.5 * widths[lower]
    assert len({str(style) for style in lines.get_linestyles()}) == 2  # grey paper tells them apart too


def test_a_wide_layer_is_cut_and_the_picture_says_so():
    axes = draw(Network(64, 32, 10, bias=True, rng=0), max_nodes=7)
    assert len(parts(axes, "node")) == 21
    assert len(parts(axes, "dots")) == 3
    assert [len(collection.get_segments()) for collection in parts(axes, "weights")] == [8 * 7, 8 * 7]
    assert "inputs\n7 of 64 drawn" in words(axes)
    assert {"1", "4", "62", "64"} <= set(words(axes))
    assert "5" not in words(axes)


def test_nodes_do_not_overlap():
    axes = draw(Network(15, 9, 4, bias=True, rng=0), max_nodes=5)
    centres = [circle.get_center() for circle in parts(axes, "node")]
    centres += [square.get_center() for square in parts(axes, "bias")]
    centres += [dots.get_position() for dots in parts(axes, "dots")]
    distances = [np.hypot(*np.subtract(a, b)) for i, a in enumerate(centres) for b in centres[:i]]
    assert min(distances) >= 0.99


def test_an_example_shows_every_node_s_answer():
    network = Network(3, 6, 1, rng=1)
    labels = [text.get_text() for text in parts(draw(network, [0, 1, 1]), "label")]
    hidden = network.layers[0].forward([[0, 1, 1]])
    assert labels == ["0", "1", "1", *(f"{h:.2f}" for h in hidden[0]), f"{network.run([[0, 1, 1]])[0, 0]:.2f}"]


def test_the_headings_name_the_activations():
    axes = draw(Network(Layer(2, 3, "leaky_relu"), Layer(3, 2, "softmax")))
    assert "hidden layer\nleaky relu" in words(axes)
    assert "outputs\nsoftmax" in words(axes)


def test_weights_of_zero_can_be_drawn():
    draw(Network(2, 2, 1, initializer="zeros"))


def test_given_axes_are_used():
    axes = plt.figure().subplots()
    assert draw_network(Network(3, 2, 1), axes=axes) is axes


def test_the_network_is_left_as_it_was():
    network = Network(3, 6, 1, rng=1)
    network.run([[1, 1, 1]])
    parameters, remembered = network.parameters.copy(), network.layers[0].inputs
    draw_network(network, [0, 1, 1])
    np.testing.assert_array_equal(network.parameters, parameters)
    assert network.layers[0].inputs is remembered


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"example has shape \(2,\); expected one row of inputs, \(3,\)"):
        draw_network(Network(3, 6, 1), [0, 1])
    with pytest.raises(ValueError, match="max_nodes is 1"):
        draw_network(Network(3, 6, 1), max_nodes=1)


def test_without_matplotlib_the_error_names_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "nineline\[plot\]"'):
        draw_network(Network(3, 6, 1))
