"""What diverged, or is of an unusual shape, gives a picture too: what is not finite is left out, and that is said."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from nineline import DivergenceError, Embedding, GradientDescent, Histories, History, Layer, Network, Networks
from nineline.training.history import sparkline
from nineline.view import draw_network, plot_hidden, plot_histories, plot_history

NAN, INF = np.nan, np.inf
X = np.random.default_rng(0).normal(size=(40, 2))
Y = 2 * X[:, :1]


def draws(axes):
    axes.figure.canvas.draw()
    return axes


def broken(*widths):
    network = Network(*widths, bias=True, rng=0)
    network.layers[0].weights[0, :2] = NAN, INF
    return network


class TestHistory:
    def test_losses_that_are_not_finite_are_left_out_and_said(self):
        axes = draws(plot_history(History(loss=[1.0, NAN, 0.5, INF], validation_loss=[0.5] * 4, best_epoch=1)))
        training = axes.get_lines()[0]
        assert (training.get_xdata().tolist(), training.get_ydata().tolist()) == ([1, 3], [1, 0.5])
        assert axes.get_xlabel() == "epoch\nnot finite: 2 losses"

    @pytest.mark.parametrize("loss", [[NAN, NAN], [INF], [NAN, 3.0], [1e305, -1e308, 1e308], [1.0, 1e308]])
    def test_nothing_warns(self, loss):
        history = History(loss=loss, seconds=[1.0] * len(loss), learning_rate=[0.1] * len(loss), best_epoch=1)
        draws(plot_history(history))
        assert ("<svg" in history._repr_html_()) == bool(np.isfinite(loss).any())

    def test_a_loss_that_grew_without_bounds_leaves_the_rest_to_be_seen(self):
        axes = draws(plot_history(History(loss=[1.0, 0.1, 0.5, 1e200])))
        assert axes.get_ylim()[1] < 1e7
        assert "loss up to 1e+200, cut off" in axes.get_xlabel()

    def test_a_training_that_diverged(self):
        network = Network(2, 4, 1, activation="relu", output="identity", rng=0)
        with pytest.raises(DivergenceError) as failed:
            network.train(X, Y, epochs=300, loss="squared_error", optimizer=GradientDescent(30.0))
        draws(plot_history(failed.value.history))

    def test_the_line_of_characters(self):
        assert sparkline([8, NAN, 4, INF, 1]) == "█ ▄ ▁"
        assert sparkline([NAN]) == " "
        assert sparkline([-1e308, 1e308]) == "▁█"

    def test_powers_of_ten_are_plain_numbers(self):
        axes = draws(plot_history(History(loss=[1.0, 0.1, 1e-3])))
        assert "0.01" in [label.get_text() for label in axes.get_yticklabels()]


class TestHistories:
    def test_networks_that_diverged_are_said(self):
        networks = Networks(60, 2, 4, 1, activation="relu", output="identity", rng=0)
        histories = networks.train(X, Y, epochs=200, loss="squared_error", learning_rate=np.geomspace(0.01, 50, 60))
        assert histories.diverged.any()
        axes = draws(plot_histories(histories))
        assert f"{histories.diverged.sum()} of 60 networks diverged" in axes.get_xlabel()
        assert axes.get_ylim()[1] < 1e8
        assert "<svg" in histories._repr_html_()

    def test_without_an_epoch_the_text_is_shown(self):
        assert "no epoch finished" in Histories(3, np.ones(3))._repr_html_()


class TestHidden:
    def test_answers_that_are_not_finite(self):
        table = draws(plot_hidden(broken(3, 4, 1)))
        assert np.ma.getmaskarray(table.images[0].get_array()).sum() == 12
        assert table.get_xlabel() == "hidden node (12 not finite)"
        plane = draws(plot_hidden(broken(2, 4, 1)))
        assert "not finite" in plane.get_xlabel()
        curve = draws(plot_hidden(broken(1, 4, 1)))
        assert "not finite" in curve.get_ylabel()

    def test_levels_have_nothing_in_between(self):
        network = Network(Embedding([3, 4], 2), Layer(4, 3), rng=0)
        axes = draws(plot_hidden(network, layer=-1))
        rows = [[0, 0], [0, 1], [1, 0], [1, 1]]
        np.testing.assert_array_equal(axes.images[0].get_array(), network.compute(np.array(rows, float)))

    @pytest.mark.parametrize("width", [1, 2, 3])
    def test_drawing_again_piles_nothing_up(self, width):
        axes = Figure().subplots()
        for _ in range(3):
            plot_hidden(Network(width, 4, 1, rng=1), axes=axes)
        assert [len(axes.lines), len(axes.child_axes), len(axes.images)][width - 1] == [4, 4, 1][width - 1]

    def test_no_hidden_layer_and_a_wide_one(self):
        draws(plot_hidden(Network(2, 1, rng=0)))
        axes = draws(plot_hidden(Network(2, 1000, 1, rng=0)))
        assert "the first 16 of 1000" in axes.get_xlabel()


class TestDiagram:
    def test_weights_that_are_not_finite_are_left_out_and_said(self):
        axes = draws(draw_network(broken(3, 4, 1)))
        assert axes.get_legend().get_texts()[2].get_text().endswith("(2 not finite)")

    def test_all_are_0_or_none_is_finite(self):
        network = Network(2, 2, rng=0)
        for value in (0.0, NAN, 1e308):
            network.parameters[...] = value
            draws(draw_network(network))


def test_settings_are_left_alone():
    before = plt.rcParams.copy()
    plot_history(History(loss=[1.0, NAN]))
    plot_hidden(broken(3, 4, 1))
    assert plt.rcParams == before
