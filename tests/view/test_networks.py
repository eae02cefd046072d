"""Pictures of networks show their own numbers: weights, surfaces, landscapes, and what goes through the layers."""

from __future__ import annotations

import time

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from nineline import (
    Adam,
    Dropout,
    Embedding,
    Layer,
    LayerNorm,
    LayerStatistics,
    Network,
    Residual,
)
from nineline.training.layer_statistics import dead_and_saturated
from nineline.view import (
    draw_network,
    loss_landscape,
    plot_decision,
    plot_hidden,
    plot_landscape,
    plot_statistics,
    plot_weights,
)
from nineline.view.palette import DARK, LIGHT

XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])
KINDS = Network(
    Embedding([3, 40], [2, 8], numbers=2),
    LayerNorm(),
    Residual(Layer(12, 12, "relu", bias=True)),
    Dropout(0.1),
    Layer(12, 1, "sigmoid", bias=True),
    rng=0,
)


def drawn(axes):
    """Render the picture; matplotlib finds many mistakes only here."""
    axes.figure.canvas.draw()
    return axes


def axes():
    return Figure(layout="constrained").subplots()


class TestWeights:
    def test_heat_maps_hold_the_weights_and_biases_apart(self):
        network = Network(3, 6, 1, bias=True, rng=1)
        network.parameters = np.arange(31)
        first, second = drawn(plot_weights(network)).child_axes
        shown = np.asarray(first.images[0].get_array().filled(np.nan))
        np.testing.assert_array_equal(shown[:3], network.layers[0].weights)
        assert np.isnan(shown[3]).all()
        np.testing.assert_array_equal(shown[4], network.layers[0].bias)
        assert [label.get_text() for label in first.get_yticklabels()] == ["1", "2", "3", "", "bias"]
        assert "nan" not in {text.get_text() for text in first.texts}
        assert first.images[0].get_clim() == second.images[0].get_clim() == (-30, 30)

    def test_every_kind_of_layer(self):
        titles = [matrix.get_title() for matrix in drawn(plot_weights(KINDS)).child_axes]
        assert titles == [
            "layer 0.0: 3 levels",
            "layer 0.1: 40 levels",
            "layer 1",
            "layer 2.0: 12 → 12",
            "layer 4: 12 → 1",
        ]

    def test_a_thousand_nodes_a_layer_and_none_hidden(self):
        began = time.perf_counter()
        wide = drawn(plot_weights(Network(1000, 1000, 10, rng=0, bias=True)))
        assert time.perf_counter() - began < 20  # half a second where nothing else is done
        assert len(wide.child_axes[0].texts) == 0
        assert [label.get_text() for label in wide.child_axes[0].get_yticklabels()] == ["1", "1,000"]
        drawn(plot_weights(Network(2, 1)))

    def test_weights_of_zero(self):
        network = Network(2, 2, 1)
        network.parameters = np.zeros(6)
        drawn(plot_weights(network))


class TestDecision:
    def test_shades_are_the_answers(self):
        network = Network(2, 4, 1, rng=3)
        picture = drawn(plot_decision(network, *XOR))
        (image,) = picture.images
        left, right, bottom, top = image.get_extent()
        x, y = np.meshgrid(np.linspace(left, right, 121), np.linspace(bottom, top, 121))
        answers = network.run(np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
        np.testing.assert_allclose(np.asarray(image.get_array()), answers)
        points = next(each for each in picture.collections if len(each.get_offsets()) == 4)
        np.testing.assert_array_equal(points.get_array(), XOR[1].ravel())

    def test_regions_of_several_classes(self):
        network = Network(Layer(2, 3, "softmax", bias=True), rng=0)
        for targets in ([0, 1, 2, 2], np.eye(3)[[0, 1, 2, 2]]):
            picture = drawn(plot_decision(network, XOR[0], targets))
            assert [text.get_text() for text in picture.get_legend().get_texts()] == ["class 0", "class 1", "class 2"]
        with plt.style.context("dark_background"):
            picture = drawn(plot_decision(network, XOR[0], [0, 1, 2, 2]))
        assert picture.get_lines()[0].get_color() == DARK.blue
        drawn(plot_decision(network, XOR[0], [0, 1, 2, 2], output=1))

    def test_a_quantity_has_its_own_scale_and_no_border(self):
        network = Network(2, 3, 1, activation="tanh", output="identity", bias=True, rng=0)
        picture = drawn(plot_decision(network, XOR[0], [100.0, 200, 300, 400]))
        low, high = picture.images[0].get_clim()
        assert low < 100
        assert high == pytest.approx(400)
        assert not any("contour" in type(each).__name__.lower() for each in picture.collections)

    def test_a_million_rows(self):
        rows = np.random.default_rng(0).uniform(size=(10**6, 2))
        picture = drawn(plot_decision(Network(2, 4, 1, rng=3), rows))
        assert len(picture.get_lines()[0].get_xdata()) == 1000
        assert picture.get_xlabel() == "input 1 (1,000 of 1,000,000 rows drawn)"

    def test_two_of_many_inputs(self):
        network = Network(5, 4, 1, rng=3)
        rows = np.random.default_rng(0).normal(size=(30, 5))
        held = rows.mean(axis=0)
        (image,) = plot_decision(network, rows, columns=(3, 1), axes=axes()).images
        left, _, bottom, _ = image.get_extent()
        held[[3, 1]] = left, bottom
        assert np.asarray(image.get_array())[0, 0] == pytest.approx(network.run(held)[0])

    def test_answers_that_are_not_finite_are_said(self):
        for widths in ((2, 4, 1), (2, 4, 3)):
            network = Network(*widths, output="identity", activation="relu", rng=0)
            network.layers[0].weights[...] = np.array([[1e200, 0, 0, 0], [0, 1, 1, 1]])
            network.layers[1].weights[0] = 1e200
            assert "not finite" in drawn(plot_decision(network, *XOR[:1])).get_xlabel()
            network.parameters[...] = np.nan
            with pytest.raises(ValueError, match="no answer of the network over the plane is finite"):
                plot_decision(network, *XOR[:1])

    @pytest.mark.parametrize(
        ("network", "given", "match"),
        [
            (Network(3, 1), {}, r"takes 3 inputs; a plane needs two: say which: columns=\(0, 1\)"),
            (Network(1, 1), {}, r"plot_hidden\(network, layer=-1\) draws it"),
            (Network(3, 1), {"columns": (0, 3)}, "expected two different numbers from 0 to 2"),
            (Network(2, 1), {"output": 1}, "output is 1; the network has 1, 0 to 0"),
            (Network(2, 1), {"targets": [1]}, "targets is given and inputs is not"),
            (Network(2, 1), {"inputs": [[0, 1]], "targets": [1, 2]}, r"expected \(1, 1\), or \(1,\)"),
            (Network(2, 3), {"inputs": [[0, 1]], "targets": [3]}, "none of the 3 classes, 0 to 2"),
            (Network(3, 1), {"columns": (0, 1), "at": [1, 2]}, r"expected one row of inputs, \(3,\)"),
        ],
    )
    def test_refusals(self, network, given, match):
        with pytest.raises(ValueError, match=match):
            plot_decision(network, **given)


class TestLandscape:
    def test_directions_are_filter_normalised(self):
        network = Network(Layer(2, 4, "tanh", bias=True), Layer(4, 1, "sigmoid", bias=True), rng=0)
        landscape = loss_landscape(network, *XOR, points=3)
        for direction in landscape.directions:
            for block in network.blocks:
                mine, own = (vector[block.place].reshape(block.shape) for vector in (direction, network.parameters))
                if block.kind == "bias":
                    assert (mine == 0).all()
                else:
                    np.testing.assert_allclose(np.linalg.norm(mine, axis=0), np.linalg.norm(own, axis=0))

    def test_losses_are_those_of_networks_there(self):
        network = Network(2, 4, 1, rng=0)
        before = network.parameters.copy()
        landscape = loss_landscape(network, *XOR, loss="binary_cross_entropy", span=0.5, points=5)
        np.testing.assert_array_equal(network.parameters, before)
        for i, j in ((0, 4), (2, 2), (3, 1)):
            moved = (
                before + landscape.offsets[j] * landscape.directions[0] + landscape.offsets[i] * landscape.directions[1]
            )
            outputs = network.within(moved).run(XOR[0])
            expected = -np.mean(XOR[1] * np.log(outputs) + (1 - XOR[1]) * np.log(1 - outputs))
            assert landscape.losses[i, j] == pytest.approx(expected)
        assert landscape.loss == landscape.losses[2, 2]

    def test_every_kind_of_layer_and_one_place_at_a_time(self, monkeypatch):
        rows = np.column_stack([np.arange(6) % 3, np.arange(6), np.ones(6), np.zeros(6)])
        whole = loss_landscape(KINDS, rows, np.ones((6, 1)), points=3)
        monkeypatch.setattr("nineline.view.landscape._AT_ONCE", 1)
        np.testing.assert_array_equal(loss_landscape(KINDS, rows, np.ones((6, 1)), points=3).losses, whole.losses)

    def test_a_loss_that_is_not_finite_is_left_out_and_said(self):
        network = Network(2, 2, 1, activation="identity", output="identity", rng=0)
        network.parameters = np.full(6, 1e40)
        picture = drawn(plot_landscape(network, *XOR, points=5, span=1e40))
        assert "not finite in 24 of 25 places" in picture.get_title()
        network.parameters = np.full(6, 1e200)
        with pytest.raises(ValueError, match="the loss is finite nowhere"):
            plot_landscape(network, *XOR, points=3)

    def test_of_a_million_rows_a_thousand_are_taken(self):
        rows = np.random.default_rng(0).integers(0, 2, (10**6, 2)).astype(float)
        truth = rows[:, :1]
        network = Network(2, 4, 1, rng=0)
        whole = np.mean((network.run(rows) - truth) ** 2) / 2
        assert loss_landscape(network, rows, truth, loss="squared_error", points=5).loss == pytest.approx(
            whole, rel=0.1
        )

    def test_a_flat_one(self):
        network = Network(2, 1)
        network.parameters = np.zeros(2)
        with np.errstate(invalid="ignore"):
            drawn(plot_landscape(Network(2, 1, rng=0), np.zeros((4, 2)), XOR[1], points=3))

    @pytest.mark.parametrize(
        ("given", "match"), [({"points": 4}, "expected an odd number"), ({"span": 0}, "span is 0")]
    )
    def test_refusals(self, given, match):
        with pytest.raises(ValueError, match=match):
            loss_landscape(Network(2, 1), *XOR, **given)


class TestLayerStatistics:
    def test_they_are_those_of_the_reference(self):
        x = np.linspace(-1, 1, 30).reshape(-1, 1)
        network = Network(1, 5, 1, activation="tanh", output="identity", bias=True, rng=0)
        statistics = LayerStatistics(x, x**2, loss="squared_error")
        statistics.note(7, network)
        hidden = np.tanh(x @ network.layers[0].weights + network.layers[0].bias)
        answers = hidden @ network.layers[1].weights + network.layers[1].bias
        gradient = hidden.T @ (answers - x**2) / len(x)
        assert statistics.epochs == [7]
        np.testing.assert_allclose(statistics.outputs[0, 0], np.quantile(hidden, [0.05, 0.25, 0.5, 0.75, 0.95]))
        np.testing.assert_allclose(statistics.outputs[0, 1, 2], np.median(answers))
        assert statistics.gradients[0, 1] == pytest.approx(np.sqrt(np.mean(gradient**2)))

    def test_a_training_is_the_same_with_and_without(self):
        ends = []
        for on_epoch in ((), LayerStatistics(*XOR)):
            network = Network(Layer(2, 4, "relu", bias=True), Dropout(0.5), Layer(4, 1), rng=0)
            network.train(*XOR, epochs=20, batch_size=2, optimizer="adam", on_epoch=on_epoch, report_every=0)
            ends.append(network.parameters.copy())
        np.testing.assert_array_equal(*ends)

    def test_of_many_epochs_some_are_kept_evenly(self):
        statistics = LayerStatistics(*XOR)
        Network(2, 3, 1, rng=0).train(*XOR, epochs=1000, on_epoch=statistics, report_every=0)
        assert 64 <= len(statistics.epochs) < 128
        assert set(np.diff(statistics.epochs)) == {8}
        assert statistics.epochs[-1] == 1000

    def test_dead_and_saturated_nodes(self):
        hidden = Layer.of([[1.0, -1.0, 0.0]], activation="relu")
        network = Network(hidden, Layer.of([[9.0, 0.1], [0, 0], [0, 0]], activation="tanh"), Layer.of([[1.0], [1.0]]))
        assert dead_and_saturated(network, [[1.0], [2.0]]) == {0: (2 / 3, 0.0), 1: (0.0, 0.5), 2: (0.0, 0.0)}

    def test_of_many_rows_some_are_looked_at(self):
        import scipy.sparse

        rows = scipy.sparse.random(5000, 2, 0.5, format="csr", random_state=0)
        classes = np.arange(5000) % 3
        for inputs in (rows, rows.toarray()):
            statistics = LayerStatistics(inputs, classes, loss="cross_entropy")
            for epoch in (1, 2):
                statistics.note(epoch, Network(Layer(2, 3, "softmax"), rng=0))
            np.testing.assert_array_equal(*statistics.outputs)

    def test_pictures_in_light_and_dark(self):
        statistics = LayerStatistics(*XOR)
        network = Network(Layer(2, 4, "relu", bias=True), Layer(4, 4), Layer(4, 1), rng=0)
        network.train(*XOR, epochs=5, optimizer=Adam(0.1), on_epoch=statistics, report_every=0)
        picture = drawn(plot_statistics(statistics))
        assert len(picture.child_axes) == 9
        np.testing.assert_allclose(picture.child_axes[3].get_lines()[0].get_ydata(), statistics.gradients[:, 0])
        np.testing.assert_allclose(picture.child_axes[6].get_lines()[0].get_ydata(), 100 * statistics.dead[:, 0])
        with plt.style.context("dark_background"):
            assert drawn(statistics.plot()).child_axes[0].get_lines()[0].get_color() == DARK.blue
        assert "layer 2" in repr(statistics)

    def test_another_training_begins_anew(self):
        statistics = LayerStatistics(*XOR)
        for network in (Network(2, 3, 1, rng=0), Network(2, 4, 4, 1, rng=0)):
            network.train(*XOR, epochs=5, on_epoch=statistics, report_every=0)
            assert statistics.epochs == [1, 2, 3, 4, 5]
            assert statistics.outputs.shape[1] == len(network.layers)

    def test_one_epoch_and_none(self):
        statistics = LayerStatistics(*XOR)
        with pytest.raises(ValueError, match="has noted no epoch"):
            plot_statistics(statistics)
        statistics.note(1, Network(2, 1, rng=0))
        drawn(plot_statistics(statistics))

    def test_numbers_beyond_the_range(self):
        network = Network(2, 2, 1, activation="identity", output="identity", rng=0)
        network.parameters = np.full(6, 1e200)
        statistics = LayerStatistics(*XOR)
        statistics.note(1, network)
        drawn(plot_statistics(statistics))
        assert np.isnan(statistics.gradients).any()


PICTURES = {
    "weights": plot_weights,
    "decision": lambda network, axes: plot_decision(network, *XOR, axes=axes),
    "landscape": lambda network, axes: plot_landscape(network, *XOR, points=3, axes=axes),
    "hidden": plot_hidden,
    "diagram": draw_network,
}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_pictures_are_drawn_where_they_are_told_twice_and_change_nothing(picture):
    network = Network(2, 4, 1, rng=0, bias=True)
    before, settings = network.parameters.copy(), plt.rcParams.copy()
    given = axes()
    counts = []
    for clear in (True, True, False):
        if clear:
            given.clear()
        assert drawn(picture(network, axes=given)) is given
        counts.append((len(given.figure.axes), len(given.child_axes)))
    assert counts[0] == counts[1] == counts[2]
    np.testing.assert_array_equal(network.parameters, before)
    assert plt.rcParams == settings


def luminance(colour):
    """Of sRGB, as WCAG 2 has it."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("palette", "page"), [(LIGHT, "white"), (DARK, "black"), (DARK, DARK.paper)])
def test_what_is_drawn_stands_out_from_the_page(palette, page):
    for name in ("ink", "blue", "orange", "grey"):
        lights = sorted([luminance(getattr(palette, name)), luminance(page)])
        assert (lights[1] + 0.05) / (lights[0] + 0.05) > 3, name  # WCAG 2.1, 1.4.11
