"""The plots show the numbers they are given, and change nothing."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from nineline import Adam, Dropout, Histories, History, Layer, LevenbergMarquardt, Network, Networks, sigmoid
from nineline.view import plot_hidden, plot_histories, plot_history
from nineline.view.palette import DARK, LIGHT, palette_of
from nineline.view.svg import to_svg

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
y = np.array([[0], [1], [1], [0]])


def curves(axes):
    return {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}


def draws(axes):
    """Render the picture; matplotlib finds many mistakes only here."""
    axes.figure.canvas.draw()
    return axes


def trained(**options):
    x = np.linspace(-1, 1, 40).reshape(-1, 1)
    network = Network(1, 4, 1, activation="tanh", output="identity", bias=True, rng=0)
    return network.train(x, x**2, epochs=30, batch_size=8, loss="squared_error", optimizer=Adam(0.05), **options)


class TestPlotHistory:
    def test_without_validation_one_curve_is_the_loss(self):
        history = trained()
        axes = draws(plot_history(history))
        lines = curves(axes)
        assert list(lines) == ["training"]
        np.testing.assert_array_equal(lines["training"].get_xdata(), np.arange(1, 31))
        np.testing.assert_array_equal(lines["training"].get_ydata(), history.loss)
        assert axes.get_xlabel() == "epoch"

    def test_validation_and_the_best_epoch(self):
        history = trained(validation=0.2, stop=30)
        lines = curves(draws(plot_history(history)))
        np.testing.assert_array_equal(lines["validation"].get_ydata(), history.validation_loss)
        (best,) = (line for label, line in lines.items() if label.startswith("best"))
        assert best.get_xdata() == [history.best_epoch]
        assert best.get_ydata() == [history.best_validation_loss]
        assert f"epoch {history.best_epoch}" in best.get_label()

    def test_the_best_epoch_of_the_training_loss_where_that_was_watched(self):
        history = trained(stop=30)
        lines = curves(plot_history(history))
        (best,) = (line for label, line in lines.items() if label.startswith("best"))
        assert best.get_ydata() == [min(history.loss)]

    @pytest.mark.parametrize(
        ("loss", "scale"),
        [([1.0, 0.5, 0.2], "linear"), ([1.0, 0.1, 0.01], "log"), ([1.0, 0.0], "linear"), ([3.0], "linear")],
    )
    def test_the_scale_is_logarithmic_over_more_than_a_decade(self, loss, scale):
        axes = draws(plot_history(History(loss=loss)))
        assert axes.get_yscale() == scale
        assert ("logarithmic" in axes.get_ylabel()) is (scale == "log")

    def test_one_epoch_is_a_visible_point(self):
        assert curves(plot_history(History(loss=[3.0])))["training"].get_marker() == "o"

    def test_history_plot_draws_into_given_axes(self):
        axes = plt.figure().subplots()
        assert History(loss=[2.0, 1.0]).plot(axes=axes) is axes
        assert len(plt.get_fignums()) == 1

    def test_no_epoch_is_an_error(self):
        with pytest.raises(ValueError, match="history has no finished epoch .*interrupted"):
            plot_history(History(stopped="interrupted in epoch 1"))


class TestPlotHidden:
    def test_a_table_of_the_given_rows(self):
        network = Network(3, 6, 1, rng=1)
        axes = draws(plot_hidden(network, X))
        (image,) = axes.get_images()
        np.testing.assert_array_equal(image.get_array(), sigmoid(X @ network.layers[0].weights))
        assert [label.get_text() for label in axes.get_yticklabels()] == ["0 0 1", "0 1 1", "1 0 1", "1 1 1"]
        assert [label.get_text() for label in axes.get_xticklabels()] == list("123456")
        numbers = [float(text.get_text()) for text in axes.texts]
        np.testing.assert_allclose(numbers, np.asarray(image.get_array()).ravel(), atol=0.005)

    def test_by_default_every_row_of_0_and_1(self):
        (image,) = plot_hidden(Network(3, 6, 1, rng=1)).get_images()
        assert image.get_array().shape == (8, 6)

    def test_the_last_layer_is_the_network_s_answer(self):
        network = Network(3, 6, 1, rng=1)
        axes = plot_hidden(network, X, layer=-1)
        np.testing.assert_array_equal(axes.get_images()[0].get_array(), network.forward(X))
        assert axes.get_xlabel() == "output node"

    def test_two_inputs_give_a_plane_for_each_node(self):
        network = Network(2, 5, 1, bias=True, rng=1)
        axes = draws(plot_hidden(network))
        assert len(axes.child_axes) == 5
        (image,) = axes.child_axes[3].get_images()
        left, _, bottom, _ = image.get_extent()
        corner = network.layers[0].forward([[left, bottom]])
        np.testing.assert_allclose(np.asarray(image.get_array())[0, 0], corner[0, 3])

    def test_one_input_gives_a_curve_for_each_node_over_the_given_range(self):
        network = Network(1, 3, 1, activation="tanh", bias=True, rng=1)
        lines = curves(draws(plot_hidden(network, [[-2], [3]])))
        assert list(lines) == ["hidden node 1", "hidden node 2", "hidden node 3"]
        x, answers = lines["hidden node 2"].get_data()
        assert (x[0], x[-1]) == (-2, 3)
        np.testing.assert_array_equal(answers, network.layers[0].forward(x.reshape(-1, 1))[:, 1])

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("activation", ["relu", "tanh", "identity", "softmax"])
    def test_every_range_of_answers_can_be_drawn(self, activation, dtype):
        network = Network(Layer(3, 4, activation), Dropout(0.5), Layer(4, 2), rng=0, dtype=dtype)
        for layer in range(3):
            draws(plot_hidden(network, layer=layer))

    def test_what_is_left_out_is_said(self):
        axes = draws(plot_hidden(Network(3, 40, 1, rng=0)))
        assert axes.get_images()[0].get_array().shape == (8, 16)
        assert "first 16 of 40" in axes.get_xlabel()

    @pytest.mark.parametrize("width", [1, 2, 3])
    def test_the_network_is_left_as_it_was(self, width):
        network = Network(width, 4, 1, rng=1)
        network.run(np.ones((5, width)))
        parameters = network.parameters.copy()
        remembered = network.layers[0].inputs, network.layers[0].outputs
        plot_hidden(network)
        np.testing.assert_array_equal(network.parameters, parameters)
        assert network.layers[0].inputs is remembered[0]
        assert network.layers[0].outputs is remembered[1]

    @pytest.mark.parametrize(
        ("network", "arguments", "message"),
        [
            (Network(30, 4, 1), {}, r"30 inputs, too many .* plot_hidden\(network, inputs\[:20\]\)"),
            (Network(3, 4, 1), {"layer": 2}, "layer is 2; the network has 2 layers, 0 to 1"),
            (Network(3, 4, 1), {"inputs": np.ones((99, 3))}, "inputs has 99 rows; at most 32"),
            (Network(3, 4, 1), {"inputs": np.ones((9, 2))}, "inputs has 2 columns, the network takes 3"),
        ],
    )
    def test_errors_name_the_argument(self, network, arguments, message):
        with pytest.raises(ValueError, match=message):
            plot_hidden(network, **arguments)


def test_settings_of_matplotlib_are_neither_needed_nor_changed():
    with plt.rc_context(
        {"axes.prop_cycle": plt.cycler(color=["#ff0000"]), "image.cmap": "jet", "lines.linestyle": ":"}
    ):
        before = plt.rcParams.copy()
        axes = plot_history(trained())
        plot_hidden(Network(3, 6, 1, rng=1))
        assert plt.rcParams == before
    line = curves(axes)["training"]
    assert (line.get_color(), line.get_linestyle()) == ("#0072B2", "-")


def test_without_matplotlib_the_error_names_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (
        lambda: plot_history(History(loss=[1.0])),
        lambda: History(loss=[1.0]).plot(),
        lambda: plot_hidden(Network(1, 2, 1)),
        lambda: plot_hidden(Network(2, 2, 1)),
        lambda: plot_hidden(Network(3, 2, 1)),
    ):
        with pytest.raises(ImportError, match=r'pip install "nineline\[plot\]"'):
            draw()


def test_importing_the_pictures_does_not_load_matplotlib():
    import subprocess

    code = "import sys, nineline.view; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parent).returncode == 0


class TestPlotHistories:
    def trained(self, **options):
        networks = Networks(30, 3, 4, 1, rng=0)
        return networks.train(X, y, epochs=40, **options)

    def test_all_losses_their_median_and_the_best(self):
        histories = self.trained()
        axes = draws(plot_histories(histories))
        lines = curves(axes)
        assert list(lines) == ["each network (30)", "median", f"best, network {np.argmin(histories.kept)}"]
        np.testing.assert_array_equal(lines["median"].get_ydata(), np.median(histories.loss, axis=1))
        np.testing.assert_array_equal(axes.get_lines()[3].get_ydata(), histories.loss[:, 3])
        assert axes.get_ylabel().startswith("loss")

    @pytest.mark.parametrize("chosen", [np.arange(30) < 4, [0, 1, 2, 3]])
    def test_some_in_another_colour(self, chosen):
        lines = curves(draws(self.trained().plot(highlight=chosen)))
        assert {"each network (26)", "highlighted (4)"} <= lines.keys()

    def test_validation_and_networks_that_stopped(self):
        histories = self.trained(validation=(X, y), stop=3, learning_rate=np.geomspace(0.1, 50, 30))
        axes = draws(plot_histories(histories, axes=plt.figure().subplots()))
        assert axes.get_ylabel().startswith("validation loss")

    def test_long_trainings_of_many_are_thinned(self):
        histories = Networks(1500, 3, 1, rng=0).train(X, y, 3000, report_every=0)
        axes = plot_histories(histories)
        assert len(axes.get_lines()) == 1002
        assert {len(line.get_xdata()) for line in axes.get_lines()} == {1000}

    def test_no_epoch_is_an_error(self):
        with pytest.raises(ValueError, match="no finished epoch"):
            plot_histories(Histories(3, np.ones(3)))


class TestStepLengths:
    def test_a_rate_that_changes_is_drawn_on_a_scale_to_the_right(self):
        history = trained(schedule="cosine")
        axes = draws(plot_history(history))
        (over,) = axes.child_axes
        np.testing.assert_array_equal(over.lines[0].get_ydata(), history.learning_rate)
        assert over.get_ylabel().startswith("learning rate")
        assert "learning rate, right" in curves(axes)

    def test_one_that_does_not_is_not(self):
        assert plot_history(trained()).child_axes == []

    def test_damping_of_levenberg_marquardt(self):
        x = np.linspace(-1, 1, 30).reshape(-1, 1)
        network = Network(1, 4, 1, activation="tanh", output="identity", bias=True, rng=0)
        history = network.train(x, x**2, epochs=20, optimizer=LevenbergMarquardt(), report_every=0)
        (over,) = draws(plot_history(history)).child_axes
        np.testing.assert_array_equal(over.lines[0].get_ydata(), history.damping)
        assert over.get_ylabel() == "damping (logarithmic scale)"

    def test_drawing_again_piles_nothing_up(self):
        history, axes = trained(schedule="cosine"), Figure().subplots()
        for _ in range(3):
            axes.clear()
            plot_history(history, axes=axes)
        assert len(axes.child_axes) == 1
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        for _ in range(3):
            plot_hidden(Network(2, 3, 1, rng=1), axes=axes)
        assert len(axes.child_axes) == 3
        assert len(figure.axes) == 2  # and the scale


class TestDark:
    """On a dark page everything that is drawn in ink is light."""

    def test_the_colours_follow_what_lies_behind(self):
        figure = Figure()
        assert palette_of(figure.subplots()) == LIGHT
        with plt.style.context("dark_background"):
            assert palette_of(Figure().subplots()) == DARK
            figure = Figure()
            figure.patch.set_alpha(0)
            axes = figure.subplots()
            axes.patch.set_alpha(0)
            assert palette_of(axes) == DARK  # by the colour of text

    def test_what_stands_beside_white_axes_on_a_dark_figure(self):
        axes = plot_history(trained(), axes=Figure(facecolor="#111111").subplots())
        assert axes.xaxis.label.get_color() == DARK.ink
        assert curves(axes)["training"].get_color() == LIGHT.blue
        inside = Figure(facecolor="#111111").subfigures(1, 2)[0].subplots()
        inside.patch.set_alpha(0)
        assert palette_of(inside) == DARK

    def test_what_is_drawn(self):
        with plt.style.context("dark_background"):
            axes = plot_history(trained(validation=0.2))
        assert curves(axes)["training"].get_color() == DARK.blue


class TestSvg:
    def test_a_picture_stands_in_a_page(self):
        svg = to_svg(lambda axes: plot_history(trained(), axes=axes), 7, 4, "the <losses> & more")
        root = ET.fromstring(svg)
        assert root.tag.endswith("svg")
        assert "the &lt;losses&gt; &amp; more" in svg
        assert "var(--nineline-blue, #0072B2)" in svg
        assert "epoch</text>" in svg  # text is text
        assert to_svg(lambda axes: plot_history(trained(), axes=axes), 7, 4, "the <losses> & more") == svg

    def test_two_pictures_share_no_names(self):
        networks = [Network(2, 3, 1, rng=rng) for rng in (1, 2)]
        one, other = (to_svg(lambda axes, each=each: plot_hidden(each, axes=axes), 7, 4, "") for each in networks)
        names = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (one, other)]
        assert names[0]
        assert not names[0] & names[1]
        for svg, own in zip((one, other), names, strict=True):
            assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg)) <= own
