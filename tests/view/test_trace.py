"""A trace is what the reference engine computes, to the same bits; what it writes out can be checked by hand."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from nineline import Dropout, Embedding, Layer, LayerNorm, Network, Residual, Trainer, sigmoid, sigmoid_prime
from nineline.activations import ACTIVATIONS, Activation
from nineline.layers import AbstractLayer
from nineline.losses import LOSSES, Huber, Loss, Quantile, SquaredError
from nineline.optimizers import LBFGS, Adam, AdamW, GradientDescent, Optimizer, RMSprop
from nineline.training.errors import DivergenceError
from nineline.view.trace import numbers

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y = np.array([[0], [1], [1], [0]])
PYTHON = {
    **{name: getattr(math, name) for name in ("exp", "log", "tanh", "erf", "sqrt", "pi")},
    "max": max,
    "min": min,
    "abs": abs,
    "sign": np.sign,
}
FITTING = {"binary_cross_entropy": "sigmoid", "cross_entropy": "softmax", "poisson": "softplus"}


class Cubic(Activation):
    """An activation of one's own."""

    def value(self, z):
        return z + z**3 / 3

    def derivative(self, z, outputs):
        return 1 + z**2


class Turned(Activation):
    """One whose outputs hang on each other."""

    def value(self, z):
        return z[:, ::-1] * 2

    def backward(self, errors, z, outputs):
        return errors[:, ::-1] * 2


class Quartic(Loss):
    """A loss of one's own."""

    def value(self, outputs, targets):
        return ((outputs - targets) ** 4).sum(axis=-1)

    def gradient(self, outputs, targets):
        return 4 * (outputs - targets) ** 3


class Signs(Optimizer):
    """A rule of one's own."""

    memory = ("seen",)

    def step(self, parameters, gradient, rate, state):
        state.vectors["seen"] += 1
        parameters -= rate * np.sign(gradient)


class Halved(AbstractLayer):
    """A layer of one's own: of two numbers the mean."""

    n_inputs, n_outputs = 4, 2

    def compute(self, inputs, draw=None):
        return (inputs[:, :2] + inputs[:, 2:]) / 2, None

    def backprop(self, seen, output_errors):
        return np.hstack([output_errors, output_errors]) / 2, {}


def small(activation="tanh", output="sigmoid", **options):
    return Network(3, 4, 2, activation=activation, output=output, bias=True, rng=5, **options)


def rows_for(network, loss="squared_error", rows=3):
    rng = np.random.default_rng(2)
    inputs = rng.uniform(-1, 1, (rows, network.n_inputs))
    targets = rng.integers(0, 2, (rows, network.n_outputs)).astype(float)
    if loss == "cross_entropy":
        targets = np.eye(network.n_outputs)[rng.integers(0, network.n_outputs, rows)]
    return inputs, targets


def check_against_the_trainer(network, inputs, targets, **options):
    """Hold every number of a trace to the reference engine's, and every expression to its number; return the trace."""
    before = network.parameters.copy()
    trace = network.trace(inputs, targets, **options)
    assert np.array_equal(network.parameters, before)

    twin = network.copy()
    trainer = Trainer(twin, engine="reference", **options)
    _, gradient = trainer.gradient(inputs, targets)
    assert trainer.step(inputs, targets) == trace.loss
    symbols = [step.symbol for step in trace]
    assert len(set(symbols)) == len(symbols)
    for block in network.blocks:
        name = block.name
        if isinstance(network.layers[block.layer], Layer):
            name = f"{'W' if block.kind == 'weights' else 'b'}{block.layer}"
        if f"∇{name}" not in symbols:  # it does not learn
            assert np.array_equal(twin.parameters[block.place], before[block.place])
            continue
        assert np.array_equal(trace[f"∇{name}"].values, gradient[block.place].reshape(block.shape))
        assert np.array_equal(trace[f"{name}′"].values, twin.parameters[block.place].reshape(block.shape))
        for step in trace:
            if step.kind in ("velocity", "mean square", "first moment", "second moment"):
                vector = {"velocity": "velocity", "first moment": "mean"}.get(step.kind, "square")
                if step.symbol.endswith(f"({name})"):
                    kept = trainer.engine.state.vectors[vector][block.place].reshape(block.shape)
                    assert np.array_equal(step.values, kept)
    check_expressions(trace, 1e-12 if network.dtype == np.float64 else 1e-5)
    return trace


def check_expressions(trace, within=1e-12):
    """Compute everything that is written out as Python would, and compare."""
    for step in trace:
        for place in np.ndindex(step.shape):
            expression = step.expression(*place, decimals=17)
            if expression and not re.search("Cubic|Turned|Quartic", expression):
                value = eval(expression, {"__builtins__": {}}, dict(PYTHON))
                assert value == pytest.approx(float(step.values[place]), rel=within, abs=within), step.named(place)


# What the numbers are


def test_it_is_the_nine_lines():
    network = Network(3, 6, 1, rng=1)
    syn0, syn1 = (layer.weights.copy() for layer in network.layers)
    trace = network.trace(X, Y)
    l1 = sigmoid(X @ syn0)
    l2 = sigmoid(l1 @ syn1)
    l2_delta = (Y - l2) * sigmoid_prime(l2)
    l1_delta = l2_delta.dot(syn1.T) * sigmoid_prime(l1)
    by_hand = {"X": X, "W0": syn0, "Z0": X @ syn0, "A0": l1, "W1": syn1, "Z1": l1 @ syn1, "A1": l2, "Y": Y}
    by_hand |= {"L": (Y - l2) ** 2 / 2, "E1": Y - l2, "D1": l2_delta, "E0": l2_delta.dot(syn1.T), "D0": l1_delta}
    by_hand |= {"∇W1": -l1.T.dot(l2_delta), "∇W0": -X.T.dot(l1_delta)}
    by_hand |= {"W1′": syn1 + l1.T.dot(l2_delta), "W0′": syn0 + X.T.dot(l1_delta)}
    assert [step.symbol for step in trace] == list(by_hand)
    for symbol, values in by_hand.items():
        np.testing.assert_allclose(trace[symbol].values, values, rtol=0, atol=1e-14)
    network.train_once(X, Y)
    np.testing.assert_allclose(trace["W0′"].values, network.layers[0].weights, rtol=0, atol=1e-14)


def test_the_steps_say_what_they_are():
    trace = Network(3, 6, 1, rng=1).trace(X, Y)
    assert [step.kind for step in trace if step.layer == 0] == [
        "weights",
        "weighted sums",
        "outputs",
        "errors",
        "deltas",
        "gradients",
        "new weights",
    ]
    step = trace["Z0"]
    assert (step.title, step.formula, step.shapes) == (
        "weighted sums of layer 0",
        "Z0 = X · W0",
        "(4, 3) · (3, 6) = (4, 6)",
    )
    assert trace["E0"].shapes == "(4, 1) · (1, 6) = (4, 6)"
    assert step.origin(1, 0, decimals=3) == "0*0.024 + 1*0.655 + 1*(-0.341) = 0.315"
    assert trace["X"].origin(0, 2) == "1"
    assert trace["W0'"] is trace["W0′"]
    with pytest.raises(KeyError, match="'Z2' is no symbol of this trace; there are X, W0"):
        trace["Z2"]
    with pytest.raises(IndexError, match="Z0 has shape"):
        step.origin(0)
    with pytest.raises(IndexError):
        step.origin(9, 9)


@pytest.mark.parametrize("activation", [*sorted(ACTIVATIONS), Cubic(), Turned()])
@pytest.mark.parametrize("where", ["hidden", "output"])
def test_every_activation(activation, where):
    network = small(activation) if where == "hidden" else small(output=activation)
    check_against_the_trainer(network, *rows_for(network), loss="squared_error")


@pytest.mark.parametrize(
    "loss", [*sorted(LOSSES), Huber(delta=0.3), Quantile(level=(0.2, 0.9)), Quartic(), SquaredError(reduction="sum")]
)
@pytest.mark.parametrize("optimizer", ["gradient_descent", "adam"])
def test_every_loss(loss, optimizer):
    network = small(output=FITTING.get(loss if isinstance(loss, str) else "", "identity"))
    trace = check_against_the_trainer(network, *rows_for(network, loss), loss=loss, optimizer=optimizer)
    joined = loss in ("binary_cross_entropy", "cross_entropy")
    assert any(step.symbol == "E1" for step in trace) != joined
    assert ("closed form" in trace["D1"].note) == joined


@pytest.mark.parametrize(
    "optimizer",
    [
        None,
        GradientDescent(0.1, momentum=0.9),
        GradientDescent(0.1, momentum=0.9, nesterov=True),
        RMSprop(0.01),
        Adam(0.01),
        Adam(0.01, epsilon_hat=True),
        AdamW(0.01, weight_decay=0.1),
        Adam(0.01, factors={"0.weights": 0.5, "bias": 0.0}),
        Signs(0.1),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_optimizer(optimizer, dtype):
    network = small(dtype=dtype)
    trace = check_against_the_trainer(network, *rows_for(network), loss="huber", optimizer=optimizer)
    if isinstance(optimizer, (Adam, AdamW)):
        assert {"M(W0)", "S(W0)"} <= {step.symbol for step in trace}


def test_the_first_step_of_every_optimizer_says_what_it_does():
    network = Network(1, 1, rng=0)
    assert network.trace([[1]], [[1]], optimizer=Adam(0.01))["W0′"].formula == (
        "W0′ = W0 − 0.01 · M(W0) / (1 − 0.9) / (√(S(W0) / (1 − 0.999)) + 1e-08)"
    )
    assert (
        network.trace([[1]], [[1]], optimizer=RMSprop(0.1))["S(W0)"].formula == "S(W0) = 0.99 · 0 + (1 − 0.99) · ∇W0²"
    )


# Kinds of layers


@pytest.mark.parametrize(
    "layers",
    [
        [Layer(3, 4), Dropout(0.4), Layer(4, 2)],
        [LayerNorm(), Layer(3, 4, bias=True), LayerNorm(), Layer(4, 2)],
        [Layer(3, 4), Residual(LayerNorm(), Layer(4, 4, "relu"), Dropout(0.5)), Layer(4, 2)],
        [Layer(3, 4), Halved(), Layer(2, 2)],
        [Dropout(0.3), Layer(3, 2)],
        [Layer(3, 4, trainable=False), Layer(4, 2)],
        [Layer(3, 4), Layer(4, 4, trainable=False), Layer(4, 2)],
    ],
    ids=lambda layers: " ".join(type(layer).__name__ for layer in layers),
)
def test_every_kind_of_layer(layers):
    network = Network(*layers, rng=3)
    trace = check_against_the_trainer(network, *rows_for(network, rows=4), loss="squared_error", optimizer="adam")
    for show in (str, type(trace).to_html, type(trace).to_latex):
        assert show(trace)


def test_an_embedding_moves_what_was_read():
    network = Network(Embedding([3, 5], [2, 2], numbers=1), Layer(5, 2), rng=3)
    inputs = [[0, 4, 0.5], [2, 4, 0.25], [0, 1, -1]]
    trace = check_against_the_trainer(network, inputs, np.eye(2)[[0, 1, 1]], optimizer="adam")
    unread = network.layers[0].vectors[0][1]
    assert np.array_equal(trace["0.0.vectors′"].values[1], unread)
    assert trace["0.0.vectors′"].expression(1, 0) == numbers.factor()(unread[0])
    assert not np.array_equal(trace["0.0.vectors′"].values[0], network.layers[0].vectors[0][0])


def test_dropout_draws_as_the_next_trainer_does_and_leaves_the_generator_alone():
    network = Network(Layer(3, 20), Dropout(0.5), Layer(20, 1), rng=4)
    masks = [network.trace(X, Y)["M1"].values for _ in range(2)]
    assert np.array_equal(*masks)
    assert 0 < (masks[0] == 0).mean() < 1
    trace = network.trace(X, Y)
    Trainer(network, engine="reference").step(X, Y)
    assert np.array_equal(trace["W0′"].values, network.layers[0].weights)

    np.random.seed(7)
    network = Network(Layer(3, 20), Dropout(0.5), Layer(20, 1))  # of NumPy's global state
    before = np.random.get_state()[2]
    network.trace(X, Y)
    assert np.random.get_state()[2] == before


def test_a_network_without_a_hidden_layer():
    trace = check_against_the_trainer(Network(3, 1, rng=0), X, Y)
    assert [step.symbol for step in trace] == ["X", "W0", "Z0", "A0", "Y", "L", "E0", "D0", "∇W0", "W0′"]


def test_one_row_and_classes():
    network = Network(3, 4, 2, output="softmax", rng=0)
    one = network.trace([0, 1, 1], 1, loss="cross_entropy")
    rows = network.trace([[0, 1, 1]], [[0, 1]], loss="cross_entropy")
    assert str(one) == str(rows)
    assert one["Y"].values.tolist() == [[0, 1]]
    assert network.trace([0, 1, 1], [1, 0])["Y"].values.tolist() == [[1, 0]]
    assert Network(1, 2, rng=0).trace([[1], [2]], [[1, 0], [0, 1]])["X"].shape == (2, 1)


def test_the_network_is_left_as_it_was():
    network = Network(3, 6, 1, rng=1)
    answers, remembered = network.run(X), network.layers[0].outputs
    given = X.astype(float)
    trace = network.trace(given, Y)
    given[...] = 9
    assert np.array_equal(trace["X"].values, X)
    weights = trace["W0"].values.copy()
    network.train(X, Y, 5, report_every=0)
    assert remembered is None
    assert np.array_equal(trace["W0"].values, weights)  # nor does the trace follow the network
    assert not np.array_equal(network.run(X), answers)


# How they are shown


def test_the_text_is_narrow_and_can_be_checked_by_hand():
    trace = Network(3, 6, 1, rng=1).trace(X, Y)
    text = str(trace)
    assert max(map(len, text.splitlines())) <= 100
    assert " 3. weighted sums of layer 0   Z0 = X · W0   (4, 3) · (3, 6) = (4, 6)\n" in text
    assert "\n    Z0[0, 0] = 0*0.023643 + 0*0.655405 + 1*(-0.340537) = -0.340537\n" in text
    halves = [text.index(word) for word in ("\nForward\n", "\nBackward\n", "\nUpdate\n")]
    assert halves == sorted(halves)
    for row in trace["A0"].values:
        assert "  ".join(f"{number:.6f}" for number in row) in text
    assert max(map(len, trace.to_text(width=60).splitlines())) <= 60
    assert "columns 0 to" in trace.to_text(width=60)
    assert len(trace) == len(list(trace)) == len(trace.steps)
    assert "17 steps" in repr(trace)


def test_many_rows_are_cut_and_long_sums_end_in_one_number():
    network = Network(2, 3, 1, rng=1)
    rng = np.random.default_rng(0)
    trace = check_against_the_trainer(network, rng.normal(size=(100, 2)), rng.normal(size=(100, 1)))
    assert trace["Z0"].shape == (100, 3)
    assert trace["∇W0"].expression(0, 0).count("*") == 12
    assert "… and 80 more rows" in str(trace)
    assert "… and 80 more rows" in trace.to_html()
    assert "80 more rows" in trace.to_latex()
    assert len(trace.to_html()) < 500_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (3, "3"),
        (-0.5, "-0.500000"),
        (1e-9, "1.000000e-09"),
        (2.5e7, "2.500000e+07"),
        (1e300, "1.000000e+300"),
    ],
)
def test_numbers(value, text):
    assert numbers.plain(value) == text
    assert float(text) == value


class Parser(HTMLParser):
    """Checks that tags are closed in order, and keeps what cells say."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.sums, self.tags, self.text = [], [], set(), []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        given = dict(attrs)
        assert set(given) <= {"class", "data-sum", "tabindex", "colspan"}
        if "data-sum" in given:
            self.sums.append(given["data-sum"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parsed(page):
    parser = Parser()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert parser.tags <= {"div", "style", "p", "b", "code", "span", "table", "caption", "tbody", "tr", "td"}
    return parser


def test_the_html_is_one_div_whose_numbers_say_where_they_came_from():
    trace = Network(3, 6, 1, rng=1).trace(X, Y)
    page = trace._repr_html_()
    assert page == trace.to_html()
    assert len(page) < 100_000
    assert page.startswith('<div class="nineline-trace">')
    assert page.endswith("</div>")
    assert not re.search(r"<script|http|url\(|@import|\son\w+=", page)
    found = parsed(page)
    assert trace["Z0"].named((0, 3)) + " = " + trace["Z0"].origin(0, 3) in found.sums
    assert len(found.sums) == sum(step.values.size for step in trace if step.expression(0, 0))
    assert ".nlt-step:has(.nlt-out .r3:is(:hover,:focus)) .nlt-left .r3" in page


def test_a_name_cannot_break_the_page_or_the_sheet():
    evil = "</style><script>alert(1)</script>&\"'{0}{z}\\end{align*}%$\x1b[31m"

    class Own(Cubic):
        pass

    class Rule(Signs):
        memory = (evil,)

        def step(self, parameters, gradient, rate, state):
            parameters -= rate * gradient

    class OwnLayer(Halved):
        def __repr__(self):
            return evil

    Own.__name__ = Own.__qualname__ = Rule.__name__ = OwnLayer.__name__ = evil
    trace = Network(Layer(3, 4, Own(), bias=True), OwnLayer(), Layer(2, 1, Own()), rng=0).trace(
        X, Y, loss=Quartic(), optimizer=Rule(0.1)
    )
    found = parsed(trace.to_html())
    assert "script" not in found.tags
    assert "<script>" in "".join(found.text)
    assert "\x1b" not in str(trace) + trace.to_html() + trace.to_latex()
    check_sheet(trace.to_latex())


def check_sheet(sheet):
    """Check that braces, environments, \\left and \\right, and dollars are balanced."""
    lines = [line for line in sheet.splitlines() if not line.startswith("%")]
    plain = re.sub(r"\\[\\{}$%&#_]", "", "\n".join(lines))
    depth = 0
    for character in plain:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0
    assert plain.count("$") % 2 == 0
    assert "%" not in plain
    assert not re.search(r"[<>|]", re.sub(r"\$[^$]*\$|(?s:align\*\}.*?align\*\})", "", plain))  # OT1 has others there
    assert "#" not in plain
    assert plain.count(r"\left") - plain.count(r"\leftarrow") == plain.count(r"\right")
    open_ = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+\*?)\}", plain):
        if kind == "begin":
            open_.append(name)
        else:
            assert open_.pop() == name
    assert open_ == []
    assert set(re.findall(r"\\begin\{(\w+\*?)\}", plain)) == {"align*", "bmatrix"}
    assert not re.search(r"\n\s*\n[^\\]*\\end\{align\*\}", plain)  # an empty line ends a formula


@pytest.mark.parametrize("optimizer", [None, GradientDescent(0.1, momentum=0.9, nesterov=True), "rmsprop", "adamw"])
@pytest.mark.parametrize("activation", ["sigmoid", "leaky_relu", "softmax"])
def test_the_sheet(optimizer, activation):
    network = small(activation, "identity")
    sheet = network.trace(*rows_for(network), loss="squared_error", optimizer=optimizer).to_latex()
    check_sheet(sheet)
    assert r"Z_{0} &= X \, W_{0} + b_{0} \\" in sheet
    assert r"\begin{bmatrix}" in sheet
    assert not re.search(r"\de[+-]\d", "".join(re.findall(r"(?s)\\begin\{align\*\}.*?\\end\{align\*\}", sheet)))


def test_wide_matrices_in_a_sheet():
    assert r"\setcounter{MaxMatrixCols}{12}" in Network(2, 12, 1, rng=0).trace([0, 1], [1]).to_latex()


# One path


def test_a_large_network_shows_one_path():
    network = Network(
        Layer(20, 30, "relu", bias=True),
        Dropout(0.2),
        LayerNorm(),
        Layer(30, 30, "tanh"),
        Layer(30, 4, "softmax"),
        rng=2,
    )
    inputs, targets = rows_for(network, "cross_entropy", rows=1)
    trace = network.trace(inputs[0], targets[0], loss="cross_entropy", path=(7, 2))
    whole = Trainer(network, loss="cross_entropy", engine="reference")
    whole.step(inputs, targets)
    first, _, _, hidden = trace.path[1:5]
    assert trace.path == (7, first, first, first, hidden, 2)
    assert trace["W0′"].values.tolist() == [[network.layers[0].weights[7, first]]]
    assert trace["W3′"].values.tolist() == [[network.layers[3].weights[first, hidden]]]
    assert trace["Z3"].expression(0, 0).count("*") == 1
    assert trace["Z3"].named((0, 0)) == f"Z3[0, {hidden}]"
    assert trace["W3"].title == f"weights of layer 3, node {first} to {hidden}"
    check_expressions(trace)
    assert "one number of (1, 30)" in str(trace)
    assert len(str(trace).splitlines()) < 150
    assert f"7 → {first}" in str(trace)
    parsed(trace.to_html())
    check_sheet(trace.to_latex())


def test_the_path_goes_where_the_weights_are_largest_or_where_it_is_told():
    weights = np.zeros((2, 3)), np.zeros((3, 3)), np.zeros((3, 2))
    weights[0][1, 2], weights[1][2, 0], weights[2][0, 1] = -3, 2, -1
    weights[0][1, 0], weights[2][1, 1] = 1, 1.5
    network = Network(*(Layer.of(each) for each in weights))
    assert network.trace([1, 1], [0, 1], path=(1, 1)).path == (1, 2, 0, 1)
    assert network.trace([1, 1], [0, 1], path=(1, 0, 1, 1)).path == (1, 0, 1, 1)
    assert network.trace([1, 1], [0, 1], path=(0, 0)).path[0] == 0
    embedded = Network(Embedding([4, 4], [2, 3]), Layer(5, 1), rng=0)
    assert embedded.trace([1, 3], [1], path=(1, 0)).path[1] in (2, 3, 4)
    assert embedded.trace([1, 3], [1], path=(0, 0)).path[1] in (0, 1)


# What is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": (0, 0)}, r"inputs has 4 rows and path is of one row"),
        (
            {"inputs": [0, 1, 1], "outputs": [1], "path": (3, 0)},
            r"path is \(3, 0\); there is no 3 among 3 inputs, from 0",
        ),
        ({"inputs": [0, 1, 1], "outputs": [1], "path": (0, -1)}, r"there is no -1 among 1 outputs"),
        ({"inputs": [0, 1, 1], "outputs": [1], "path": (0, 9, 0)}, r"there is no 9 among 6 nodes there"),
        ({"inputs": [0, 1, 1], "outputs": [1], "path": (0,)}, r"path has 1 numbers; expected 2, .* or 3"),
        ({"inputs": [0, 1, 1], "outputs": [1], "path": 3}, r"path is 3; expected whole numbers"),
        ({"inputs": [0, 1, 1], "outputs": [1], "path": (0.5, 0)}, r"path is \(0.5, 0\); expected whole numbers"),
        ({"inputs": X[:, :2]}, r"inputs has 2 columns, the network takes 3"),
        ({"outputs": Y[:3]}, r"outputs"),
        ({"inputs": X * np.nan}, r"inputs has nan at \(0, 0\), expected finite numbers"),
        ({"loss": "cross_entropy"}, r"does not fit the output activation"),
        ({"loss": "squared"}, r"loss is 'squared', which is not known; did you mean 'squared_error'"),
        ({"optimizer": LBFGS()}, r"optimizer is 'lbfgs', which searches for its step"),
        ({"optimizer": Adam(factors={"2.weights": 1})}, r"which is no block of this network"),
    ],
)
def test_what_is_of_no_use_is_said(change, message):
    given = {"inputs": X, "outputs": Y} | change
    with pytest.raises((ValueError, TypeError), match=message):
        Network(3, 6, 1, rng=1).trace(given.pop("inputs"), given.pop("outputs"), **given)


def test_a_network_that_is_too_large_says_so():
    network = Network(20, 10, 1, rng=0)
    with pytest.raises(ValueError, match=r"has 210 parameters; .* 200 at most. Give path=\(input, output\)"):
        network.trace(np.zeros((1, 20)), [[1]])
    assert network.trace(np.zeros((1, 20)), [[1]], path=(0, 0))


def test_a_loss_that_is_not_finite():
    network = Network(1, 1, activation="exponential", rng=0)
    network.parameters = [1000.0]
    with pytest.raises(DivergenceError):
        network.trace([[1]], [[1]])
    assert network.parameters.tolist() == [1000.0]


@pytest.mark.parametrize(("option", "value"), [("decimals", 0), ("decimals", 18), ("width", 20)])
def test_how_it_is_shown_is_checked(option, value):
    with pytest.raises(ValueError, match=f"{option} is {value}"):
        Network(1, 1, rng=0).trace([[1]], [[1]]).to_text(**{option: value})
