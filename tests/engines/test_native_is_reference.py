"""One mathematics: the native engine's training is the reference's, for everything in the public lists.

Both engines begin at the same weights with the same draws. After some fifty steps the parameters, the losses and
the answers agree to rounding. What is new enters by standing in ACTIVATIONS, LOSSES or OPTIMIZERS.
"""

from __future__ import annotations

import copy
import functools
import itertools
import math
import os
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from nineline import (
    Adam,
    AdamW,
    DivergenceError,
    Dropout,
    EarlyStopping,
    Embedding,
    GradientDescent,
    Layer,
    LayerNorm,
    Network,
    Residual,
    RMSprop,
)
from nineline.activations import ACTIVATIONS, Activation, Elu, Exponential, Identity, LeakyRelu, Softmax, Tanh
from nineline.engines import native
from nineline.engines.contract import Rule
from nineline.layers import LAYERS, AbstractLayer
from nineline.losses import LOSSES, CrossEntropy, Loss, Quantile, SquaredError
from nineline.optimizers import OPTIMIZERS, Optimizer, WholeBatchOptimizer
from nineline.rows import Compact, Encoding, LevelPart, NumberPart, Rows

pytestmark = pytest.mark.skipif(
    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
    reason="the native engine was not built, or is turned off",
)

STEPS = 50
DTYPES = ["float32", "float64"]
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}
"""Of the largest magnitude among what is compared."""


# The features. Each list begins with the plainest, and holds all there is of its kind.

HIDDEN = [*(kind() for kind in ACTIVATIONS.values()), LeakyRelu(0.2), LeakyRelu(-0.1), Elu(0.5)]
SETTINGS = {  # of losses that have one
    "huber": [{}, {"delta": 0.25}],
    "quantile": [{}, {"level": 0.9}, {"level": (0.1, 0.5, 0.8)}],  # of each output in turn
}
STEPWISE = [kind for kind in OPTIMIZERS.values() if not issubclass(kind, WholeBatchOptimizer)]  # see test_second_order
OPTIMIZERS_TRIED = [
    *(kind(0.01) for kind in STEPWISE),
    GradientDescent(0.01, momentum=0.9),
    GradientDescent(0.01, momentum=0.8, nesterov=True),
    RMSprop(0.002, decay=0.9, epsilon=1e-4),
    Adam(0.005, beta_1=0.8, beta_2=0.99, epsilon=1e-4),
    AdamW(0.005, weight_decay=0.1),
    Adam(0.005, epsilon=1e-3, epsilon_hat=True),
]
FACTORS = {
    "one rate": {},
    "by kind": {"weights": 0.5, "bias": 2.0},
    "by block": {"first": 0.0, "weights": 1.5},  # the first block, whichever it is
    "only the last": {"weights": 0.0, "bias": 0.0, "last": 1.0},
}
SIZES = [3, 1, 2, 5, 7, 15, 16, 17, 33, 100]
BATCH_SIZES = [None, 1, 3, 4, 15, 16, 17, 64]
ROWS = [100, 70, 83, 129, 200]
DROPOUT = ["none", "between", "on the inputs", "two in a row", "everywhere"]
BIAS = ["all", "none", "first", "last"]
KINDS = {
    "dense": [Layer],
    "normed": [LayerNorm],
    "normed inputs": [LayerNorm],
    "residual": [Residual],
    "residual inputs": [Residual, Dropout],
    "residual of residuals": [Residual, LayerNorm, Dropout],
    "embedding": [Embedding],
    "embeddings": [Embedding],
    "embedding and all": [Embedding, LayerNorm, Residual],
}
"""What stands beside the dense layers."""
LEVELS = 4  # of each embedding
LAYOUTS = ["dense", "sparse", "compact"]
TARGETS = ["rows", "classes"]
WEIGHTS = ["none", "positive", "some zeros", "mostly zeros"]
PENALTIES = [{}, {"l1": 0.01}, {"l2": 0.02}, {"l1": 0.005, "l2": 0.01}]
CLIPPING = [None, 0.05, 1.0, 1e6]
SCHEDULES = [None, "cosine", "one_cycle", lambda epoch: 1 / (1 + epoch)]
VALIDATION = ["none", "share", "pair", "weighted pair"]
REDUCTIONS = ["mean", "sum"]
THREADS = [None, 1, 2, 3]


TANH, REGRESSION, PLAIN = Tanh(), (SquaredError(), Identity()), GradientDescent(0.01)


@dataclass(frozen=True)
class Case:
    """A training, as said in words."""

    hidden: Activation = TANH
    goal: tuple[Loss, Activation] = REGRESSION  # what the last layer is there for
    optimizer: Optimizer = PLAIN
    factors: str = "one rate"
    dtype: str = "float64"
    inputs: int = 3
    width: int = 5
    second_width: int | None = None
    outputs: int = 2
    batch_size: int | None = 16
    rows: int = 70
    dropout: str = "none"
    kinds: str = "dense"
    bias: str = "all"
    weights: str = "none"
    penalty: tuple[tuple[str, float], ...] = ()
    clip_norm: float | None = None
    schedule: object = None
    validation: str = "none"
    reduction: str = "mean"
    threads: int | None = None
    layout: str = "dense"
    targets: str = "rows"


def with_settings(instance: object, **settings: object):
    """Return the same kind of object with some of its settings changed."""
    return type(instance)(**{**vars(instance), **settings})


# Losses and the outputs they fit


def possible_targets(rng, rows, outputs):
    """Yield kinds of targets, from the most general."""
    yield rng.normal(size=(rows, outputs))
    yield rng.poisson(1.5, size=(rows, outputs)).astype(float)
    yield rng.integers(2, size=(rows, outputs)).astype(float)
    yield np.eye(outputs)[rng.integers(outputs, size=rows)]


def targets_for(loss, activation, rng, rows, outputs):
    """Return the most general targets that fit, or None where the activation does not fit the loss."""
    for targets in possible_targets(rng, rows, outputs):
        try:
            loss.check(activation, targets)
        except ValueError:
            continue
        return targets
    return None


def losses():
    """Return every loss, with its settings where it has any."""
    return [kind(**settings) for name, kind in LOSSES.items() for settings in SETTINGS.get(name, [{}])]


def has_levels(loss):
    """Return whether each output has a level of its own."""
    return isinstance(getattr(loss, "level", None), tuple)


def goals():
    """Return every loss with every output activation that fits it."""
    rng = np.random.default_rng(0)
    pairs = itertools.product(losses(), HIDDEN)
    return [(loss, output) for loss, output in pairs if targets_for(loss, output, rng, 9, 3) is not None]


def main_goals():
    """Return every loss with a few outputs: a linear one, a softmax, and what it fits alone."""
    return [
        (loss, output)
        for loss, output in goals()
        if type(output) in (Identity, Softmax) or not any(other == (loss, Identity()) for other in goals())
    ]


# A case as a network, its data, and two trainings


def layers_of(case):
    embedded = columns_of_levels(case)
    widths = [case.inputs, case.width]
    if embedded:
        vectors = [2 + 3 * column for column in range(embedded)]
        yield Embedding([LEVELS] * embedded, vectors, numbers=case.inputs - embedded)
        widths[0] += sum(vectors) - embedded
    if case.second_width is not None:
        widths.append(case.second_width)
    widths.append(case.outputs)
    last = len(widths) - 2
    drop = {
        "none": lambda i: [],
        "between": lambda i: [Dropout(0.25)] if i > 0 else [],
        "on the inputs": lambda i: [Dropout(0.1)] if i == 0 else [],
        "two in a row": lambda i: [Dropout(0.1), Dropout(0.2)] if i == 1 else [],
        "everywhere": lambda i: [Dropout(0.2)] if i != 1 else [Dropout(0.0), Dropout(0.3)],
    }[case.dropout]
    for i in range(last + 1):
        yield from beside(case.kinds, i, widths[i], case.hidden)
        yield from drop(i)
        bias = {"all": True, "none": False, "first": i == 0, "last": i == last}[case.bias]
        yield Layer(widths[i], widths[i + 1], case.goal[1] if i == last else case.hidden, bias=bias)


def columns_of_levels(case):
    return {"embedding": 1, "embedding and all": 1, "embeddings": min(3, case.inputs)}.get(case.kinds, 0)


def beside(kinds, place, width, hidden):
    """Yield what stands in front of the dense layer at a place.

    Of a few numbers that are close together a norm makes their rounding, where its epsilon is small: here it is large.
    """
    first = place == 0
    if (kinds == "normed" and not first) or (kinds == "normed inputs" and first):
        yield LayerNorm(0.1)
    elif kinds == "residual" and not first:
        yield Residual(Layer(width, 7, hidden, bias=True), Layer(7, width, "identity"))
    elif kinds == "residual inputs" and first:
        yield Residual(Dropout(0.2), Layer(width, width, "tanh"))
        yield Residual(Dropout(0.2))
    elif kinds == "residual of residuals" and not first:
        within = Residual(LayerNorm(1), Layer(8, 3, "tanh", bias=True), Dropout(0.25), Layer(3, 8, "identity"))
        yield Residual(Layer(width, 8, "tanh"), within, LayerNorm(1), Layer(8, width, "identity", bias=True))
    elif kinds == "embedding and all" and place == 1:
        yield Residual(LayerNorm(0.1), Layer(width, width, hidden, bias=True))


def network_of(case):
    """Return a network whose biases are not zero and whose gains are not one, for these hide what is done with them."""
    network = Network(*layers_of(case), rng=1, dtype=case.dtype)
    rng = np.random.default_rng(2)
    for block in network.blocks:
        values = network.parameters[block.place]
        if block.kind == "weights" and isinstance(case.hidden, Exponential):
            values *= 0.2  # or an exponential of exponentials leaves what float32 can hold
        if block.kind in ("bias", "gain"):
            values[...] = rng.uniform(-0.3, 0.3, values.shape) + (block.kind == "gain")
    return network


def data_of(case, rng, rows):
    loss, activation = case.goal
    if has_levels(loss):
        loss = with_settings(loss, level=0.5)
    targets = targets_for(loss, activation, rng, rows, case.outputs)
    assert targets is not None, f"possible_targets has none that fit {case.goal}"
    weights = {
        "none": None,
        "positive": rng.uniform(0.2, 3, rows),
        "some zeros": rng.integers(0, 3, rows).astype(float),
        "mostly zeros": np.where(np.arange(rows) % 20 == 7, 2.0, 0.0),  # many a batch counts for nothing
    }[case.weights]
    inputs = rng.normal(size=(rows, case.inputs))
    for column in range(columns_of_levels(case)):
        inputs[:, column] = rng.integers(LEVELS, size=rows)
    return inputs, targets, weights


SET = 6  # levels of which a row has several


def parts_of(width):
    """Yield parts of compact rows, of all kinds, that are so many inputs wide together."""
    wide = [
        NumberPart(0, edges=(-0.75, -0.5, 0.25, 1.5), bent=True, missing=True),
        LevelPart(0, levels=4),
        NumberPart(0, bent=True),
        NumberPart(0, edges=(-1.0, 0.0, 0.5)),
        NumberPart(0, missing=True),
        LevelPart(0, levels=SET),
    ]
    place = 0
    for part in itertools.cycle([*wide, NumberPart(0)]):
        if place + part.width <= width:
            for _ in range(3 if part == LevelPart(0, levels=SET) else 1):
                yield part._replace(place=place)
            place += part.width
        if place == width:
            return


def compact_of(case, inputs, rng):
    """Return rows of so many inputs that lie compact; levels that an embedding reads stay as they are."""
    raw, rows = columns_of_levels(case), len(inputs)
    parts = [part._replace(place=raw + part.place) for part in parts_of(case.inputs - raw)] if case.inputs > raw else []
    numbers = tuple(part for part in parts if isinstance(part, NumberPart))
    levels = tuple(part for part in parts if isinstance(part, LevelPart))
    values = np.where(rng.random((rows, len(numbers))) < 0.1, np.nan, rng.normal(size=(rows, len(numbers))))
    values[::7] = np.round(2 * values[::7]) / 2  # on edges
    places = rng.integers(-1, 5, (rows, len(levels)))
    for level in range(1, len(levels)):
        if levels[level].place == levels[level - 1].place:  # of a set levels ascend
            before = places[:, level - 1]
            places[:, level] = np.where((before >= 0) & (places[:, level] > before), places[:, level], -1)
    return Compact(
        values.astype(rng.choice([np.float32, np.float64])),
        np.hstack([inputs[:, :raw], places]).astype(np.int32),
        Encoding(numbers, (*(LevelPart(place, LEVELS, one_hot=False) for place in range(raw)), *levels), case.inputs),
        np.dtype(case.dtype),
    )


def spread_out(inputs):
    if isinstance(inputs, np.ndarray):
        return inputs
    return inputs.dense() if isinstance(inputs, Compact) else inputs.toarray()


def known_names(network):
    """Return what a factor may be given for."""
    return {block.name for block in network.blocks} | {block.kind for block in network.blocks}


def options_of(case, network):
    """Return data and how to train on it, as `Network.train` takes them."""
    rng = np.random.default_rng(3)
    inputs, targets, weights = data_of(case, rng, case.rows)
    validation = {
        "none": None,
        "share": 0.2,
        "pair": data_of(case, rng, 37)[:2],
        "weighted pair": (*data_of(case, rng, 21)[:2], rng.uniform(0, 2, 21)),
    }[case.validation]
    names = {"first": network.blocks[0].name, "last": network.blocks[-1].name}
    factors = {names.get(name, name): value for name, value in FACTORS[case.factors].items()}
    factors = {name: factor for name, factor in factors.items() if name in known_names(network)}
    size = case.rows if case.batch_size is None else min(case.batch_size, case.rows)
    rate = case.optimizer.learning_rate
    if isinstance(case.optimizer, GradientDescent) and case.reduction == "sum":
        rate /= size
    if not isinstance(case.optimizer, GradientDescent) and case.dtype == "float32" and "l1" in dict(case.penalty):
        rate /= 300  # weights that hover about 0, where |w| has its kink, are told apart by their last bit
    loss = with_settings(case.goal[0], reduction=case.reduction)
    if has_levels(loss):
        loss = with_settings(loss, level=np.resize(loss.level, case.outputs))
    if case.layout == "sparse" and not columns_of_levels(case):
        inputs = csr_array(np.where(np.abs(inputs) > 0.7, inputs, 0))
    if case.layout == "compact":
        inputs = compact_of(case, inputs, np.random.default_rng(5))
    if case.targets == "classes" and loss.takes_classes and case.outputs > 1:
        targets = targets.argmax(axis=1)
    return (inputs, targets), {
        "epochs": max(2, math.ceil(STEPS / math.ceil(case.rows / size))),
        "batch_size": case.batch_size,
        "loss": loss,
        "optimizer": with_settings(case.optimizer, learning_rate=rate, factors=factors),
        "schedule": case.schedule,
        "validation": validation,
        "sample_weight": weights,
        "clip_norm": case.clip_norm,
        "threads": case.threads,
        **dict(case.penalty),
    }


def distance(ours, theirs, before=()):
    """Return the largest difference, as a share of the largest magnitude (there, or `before` training)."""
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    assert ours.shape == theirs.shape
    assert np.isfinite(theirs).all()
    assert np.isfinite(ours).all()
    largest = max((np.abs(values).max() for values in (theirs, before) if len(values)), default=0)
    return float(np.abs(ours - theirs).max(initial=0) / (largest or 1))


def trained(network, data, options, engine):
    """Return a copy of the network after training, the History and the state of the generator."""
    twin, rng = copy.deepcopy(network), np.random.default_rng(4)
    history = twin.train(*data, engine=engine, rng=rng, **options)
    assert history.engine == engine
    return twin, history, rng.bit_generator.state


def distances(case):
    """Train on both engines; hold what must be equal, and return how far apart the rest is."""
    network = network_of(case)
    data, options = options_of(case, network)
    try:
        reference, expected, state = trained(network, data, options, "reference")
    except DivergenceError:
        with pytest.raises(DivergenceError):
            trained(network, data, options, "native")
        return {}
    ours, history, our_state = trained(network, data, options, "native")

    assert our_state == state
    assert (history.steps, history.stopped) == (expected.steps, expected.stopped)
    assert history.learning_rate == expected.learning_rate
    return {
        "parameters": distance(ours.parameters, reference.parameters, network.parameters),
        "loss": distance(history.loss, expected.loss),
        "validation_loss": distance(history.validation_loss, expected.validation_loss),
        "answers": distance(ours.run(data[0]), ours.forward(spread_out(data[0]))),
    }


def rounding_of(case):
    """Return how far apart the reference is from itself where every parameter begins one rounding higher."""
    network = network_of(case)
    data, options = options_of(case, network)
    plain, _, _ = trained(network, data, options, "reference")
    network.parameters = np.nextafter(network.parameters, np.inf)
    nudged, _, _ = trained(network, data, options, "reference")
    return distance(nudged.parameters, plain.parameters)


def agree(case):
    """Hold the engines together: to a tolerance, or where a case makes much of a rounding, to what it makes of one."""
    found = distances(case)
    tolerance = TOLERANCE[case.dtype]
    if not max(found.values(), default=0) <= tolerance:
        tolerance = max(tolerance, 10 * rounding_of(case))
    assert {name: value for name, value in found.items() if not value <= tolerance} == {}, case


# Full tables of one feature × dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", HIDDEN, ids=repr)
@pytest.mark.parametrize("width", [5, 16, 40])
def test_every_activation_of_a_hidden_layer(hidden, width, dtype):
    agree(Case(hidden=hidden, width=width, second_width=7, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("goal", goals(), ids=lambda goal: f"{goal[0]}-{goal[1]}")
@pytest.mark.parametrize("outputs", [1, 3, 33])
def test_every_loss_with_every_output_that_fits_it(goal, outputs, dtype):
    agree(Case(goal=goal, width=16, outputs=outputs, weights="some zeros", validation="weighted pair", dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("goal", main_goals(), ids=lambda goal: f"{goal[0]}-{goal[1]}")
@pytest.mark.parametrize("extra", [{"clip_norm": 0.05}, *({"penalty": tuple(each.items())} for each in PENALTIES)])
def test_every_loss_with_clipping_and_penalties(extra, goal, dtype):
    """They look at all parameters at once, so at whatever the engine keeps beside them too."""
    agree(Case(goal=goal, second_width=17, **extra, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS_TRIED, ids=repr)
@pytest.mark.parametrize("factors", FACTORS)
def test_every_optimizer(optimizer, factors, dtype):
    agree(Case(optimizer=optimizer, factors=factors, second_width=17, dtype=dtype))


TINY = [
    (3, 6, None, 1),
    (6, 16, None, 1),
    (1, 1, None, 1),
    (2, 3, 4, 3),
    (10, 4, 4, 10),
    (17, 9, 20, 2),
    (10, 10, 16, 1),
]
"""Inputs, hidden nodes and outputs of networks that the native engine takes a way of its own for (native/tiny.hpp)."""


def tiny_cases():
    """Yield a table of them with batches of few rows, around which everything else takes turns."""
    turns = {
        "hidden": HIDDEN,
        "goal": main_goals(),
        "optimizer": OPTIMIZERS_TRIED,
        "weights": [*WEIGHTS, "none", "none"],
        "penalty": [(), *(tuple(penalty.items()) for penalty in PENALTIES)],
        "clip_norm": [None, None, *CLIPPING],
        "factors": list(FACTORS),
        "bias": BIAS,
        "reduction": REDUCTIONS,
        "layout": ["dense", "dense", "sparse"],
        "targets": TARGETS,
    }
    turns = {name: itertools.cycle(values) for name, values in turns.items()}
    for sizes, batch_size, dtype in itertools.product(TINY, [1, 2, 3, 4, 5, 8, 16, 64, 65], DTYPES):
        inputs, width, second_width, outputs = sizes
        for _ in range(3):
            case = Case(inputs=inputs, width=width, second_width=second_width, outputs=outputs)
            case = replace(case, batch_size=batch_size, rows=2 * batch_size + 1 if batch_size > 8 else 19, dtype=dtype)
            yield replace(case, **{name: next(values) for name, values in turns.items()})


@pytest.mark.parametrize("case", list(tiny_cases()), ids=lambda case: f"{case.hidden}-{case.goal[0]}-{case.batch_size}")
def test_every_tiny_network(case):
    agree(case)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", ["inputs", "width", "second_width", "outputs"])
def test_every_size(place, size, dtype):
    agree(Case(**{"second_width": 16, place: size}, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
@pytest.mark.parametrize("dropout", DROPOUT)
def test_every_batch_size(batch_size, dropout, dtype):
    agree(Case(batch_size=batch_size, dropout=dropout, rows=70, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129, 1000])
def test_every_number_of_rows(rows, dtype):
    agree(Case(batch_size=None, rows=rows, width=33, dropout="between", dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS_TRIED, ids=repr)
def test_every_kind_of_layer(optimizer, kinds, dtype):
    agree(Case(kinds=kinds, optimizer=optimizer, width=9, second_width=17, dtype=dtype, clip_norm=1.0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", ["inputs", "width"])
def test_every_kind_of_layer_at_every_size(place, size, kinds, dtype):
    agree(Case(**{"width": 16, "second_width": 5, place: size}, kinds=kinds, dropout="between", dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("batch_size", [None, 1, 600])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_kind_of_layer_with_long_and_short_batches(layout, batch_size, kinds, dtype):
    agree(Case(kinds=kinds, batch_size=batch_size, rows=1400, inputs=35, layout=layout, threads=2, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch_size", [None, 1, 16, 600])
@pytest.mark.parametrize("dropout", ["none", "on the inputs"])
def test_every_layout_of_rows(dropout, batch_size, layout, targets, dtype):
    goal = CrossEntropy(), Softmax()
    case = Case(goal=goal, dropout=dropout, batch_size=batch_size, inputs=33, outputs=5, rows=700, dtype=dtype)
    agree(replace(case, layout=layout, targets=targets))


# What would only be slow


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2])
def test_training_takes_denormal_numbers_for_zeros_and_leaves_pythons_alone(dtype, threads):
    """A parameter that no longer learns: 0.9 times the smallest number rounds to itself, so its mean would stay."""
    network = Network(8, 128, 8, activation="relu", bias=True, dtype=dtype, rng=0)
    network.layers[0].bias = np.full(128, -1e6)  # no unit answers any more
    smallest = np.finfo(dtype).smallest_subnormal
    rows = Rows(np.ones((640, 8), dtype), np.zeros((640, 8), dtype))
    engine = native.Native(network, Rule(SquaredError(), Adam(0.01)), threads)
    state = engine.state
    state.vectors["mean"][:1024] = 3 * smallest
    engine.restore(state, network.parameters)
    np.testing.assert_array_equal(engine.state.vectors["mean"][:1024], 3 * smallest)
    engine.steps(rows, None, 640, np.full(3, 0.01))
    np.testing.assert_array_equal(engine.state.vectors["mean"][:1024], 0)
    assert smallest * np.ones(1, dtype) > 0


# Every pair of features


FEATURES = {
    "hidden": HIDDEN,
    "goal": [goal for goal in main_goals() if not has_levels(goal[0])],  # see test_levels_with_every_feature
    "optimizer": OPTIMIZERS_TRIED,
    "factors": list(FACTORS),
    "dtype": DTYPES,
    "inputs": SIZES,
    "width": SIZES,
    "second_width": [None, *SIZES],
    "outputs": SIZES,
    "batch_size": BATCH_SIZES,
    "rows": ROWS,
    "dropout": DROPOUT,
    "kinds": list(KINDS),
    "bias": BIAS,
    "weights": WEIGHTS,
    "penalty": [tuple(penalty.items()) for penalty in PENALTIES],
    "clip_norm": CLIPPING,
    "schedule": SCHEDULES,
    "validation": VALIDATION,
    "reduction": REDUCTIONS,
    "threads": THREADS,
    "layout": LAYOUTS,
    "targets": TARGETS,
}


@functools.cache
def table_of_pairs():
    """Return cases in which every pair of values of two features occurs, greedily few.

    A case begins with a pair that is still missing; the other features follow in a random order, each with the
    value that stands in most missing pairs with what is there already.
    """
    rng = np.random.default_rng(6)
    sizes = [len(values) for values in FEATURES.values()]
    starts = np.cumsum([0, *sizes])
    missing = np.ones((starts[-1], starts[-1]), bool)  # of values numbered through all features
    for start, end in itertools.pairwise(starts):
        missing[start:end, start:end] = False
    cases = []
    while missing.any():
        first = int(rng.choice(np.flatnonzero(missing.any(axis=1))))
        second = int(rng.choice(np.flatnonzero(missing[first])))
        chosen = {int(np.searchsorted(starts, value, "right")) - 1: value for value in (first, second)}
        for feature in rng.permutation(len(sizes)).tolist():
            if feature not in chosen:
                gains = missing[starts[feature] : starts[feature + 1], list(chosen.values())].sum(axis=1)
                best = np.flatnonzero(gains == gains.max())
                chosen[feature] = int(starts[feature] + rng.choice(best))
        values = list(chosen.values())
        missing[np.ix_(values, values)] = False
        cases.append(Case(**{name: FEATURES[name][chosen[i] - starts[i]] for i, name in enumerate(FEATURES)}))
    return cases


@pytest.mark.parametrize("case", table_of_pairs(), ids=lambda case: f"{case.hidden}-{case.goal[0]}-{case.dtype}")
def test_every_pair_of_features(case):
    agree(case)


@pytest.mark.parametrize(
    ("feature", "number"),
    [(name, number) for name, values in FEATURES.items() if name != "goal" for number in range(len(values))],
)
def test_levels_with_every_feature(feature, number):
    goal = Quantile(level=SETTINGS["quantile"][-1]["level"]), Identity()
    agree(replace(Case(goal=goal, outputs=3), **{feature: FEATURES[feature][number]}))


def test_the_table_has_every_pair():
    rows = [[FEATURES[name].index(getattr(case, name)) for name in FEATURES] for case in table_of_pairs()]
    columns = np.array(rows).T
    for (i, a), (j, b) in itertools.combinations(enumerate(FEATURES.values()), 2):
        pairs = set(zip(columns[i].tolist(), columns[j].tolist(), strict=True))
        assert len(pairs) == len(a) * len(b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kinds", ["dense", "embeddings", "residual inputs"])
@pytest.mark.parametrize("batch_size", [None, 64, 600])
def test_compact_rows_give_the_same_bits_with_any_number_of_threads(batch_size, kinds, dtype):
    case = Case(kinds=kinds, batch_size=batch_size, rows=1400, inputs=60, width=300, layout="compact", dtype=dtype)
    network = network_of(case)
    found = []
    for threads in (1, 2, 3):
        data, options = options_of(replace(case, threads=threads), network)
        ours, history, _ = trained(network, data, options | {"epochs": 3}, "native")
        found.append((ours.parameters, history.loss))
    for parameters, losses in found[1:]:
        np.testing.assert_array_equal(parameters, found[0][0])
        assert losses == found[0][1]


# Nothing is forgotten


def test_every_kind_of_layer_is_in_these_tables():
    """A new kind belongs into `beside` above, and into the native engine."""
    tried = {Layer, Dropout, *itertools.chain.from_iterable(KINDS.values())}
    assert {kind for kind in LAYERS.values() if kind.__module__.startswith("nineline.")} == tried


@pytest.mark.parametrize(
    "network",
    [
        *(Network(2, 2, activation=kind(), output="identity", rng=0) for kind in ACTIVATIONS.values()),
        Network(Layer(2, 3, "tanh"), Dropout(0.2), Layer(3, 2), rng=0),
        Network(LayerNorm(), Residual(Dropout(0.2), Layer(2, 2)), Layer(2, 2), rng=0),
        Network(Embedding([1, 2], 3), Layer(6, 2), rng=0),
    ],
    ids=str,
)
@pytest.mark.parametrize("optimizer", [kind(0.01) for kind in STEPWISE], ids=repr)
def test_auto_is_native_for_everything_built_in(network, optimizer):
    history = network.train([[0, 1]], [[0, 1]], epochs=1, loss="squared_error", optimizer=optimizer)
    assert history.engine == "native"


class Sine(Activation):
    def value(self, z):
        return np.sin(z)

    def derivative(self, z, outputs):
        return np.cos(z)


class Gaussian(type(Identity())):  # a subclass of a built-in one is another function
    def value(self, z):
        return np.exp(-(z**2))

    def derivative(self, z, outputs):
        return -2 * z * outputs


class FourthPower(Loss):
    def value(self, outputs, targets):
        return ((outputs - targets) ** 4).sum(axis=1)

    def gradient(self, outputs, targets):
        return 4 * (outputs - targets) ** 3


class SignDescent(Optimizer):
    def step(self, parameters, gradient, rate, state):
        parameters -= rate * np.sign(gradient)


class Doubling(AbstractLayer):
    dtype = np.dtype("float64")

    def connect(self, width):
        return width

    def compute(self, inputs, draw=None):
        return 2 * inputs, None

    def backprop(self, seen, output_errors):
        return 2 * output_errors, {}


def plain_network():
    return Network(2, 3, 1, rng=0)


OF_ONES_OWN = {
    "Sine": (lambda: Network(2, 3, 1, activation=Sine(), rng=0), {}),
    "Gaussian": (lambda: Network(2, 3, 1, activation=Gaussian(), rng=0), {}),
    "FourthPower": (plain_network, {"loss": FourthPower()}),
    "SignDescent": (plain_network, {"optimizer": SignDescent(0.1)}),
    "Doubling": (lambda: Network(Layer(2, 3), Doubling(), Layer(3, 1), rng=0), {}),
}


@pytest.mark.parametrize("name", OF_ONES_OWN)
def test_auto_is_reference_for_something_of_ones_own(name):
    make, how = OF_ONES_OWN[name]
    network, twin = make(), make()
    data = [[0.5, -1], [1, 1]], [[0], [1]]
    assert network.train(*data, epochs=3, **how).engine == "reference"
    assert twin.train(*data, epochs=3, engine="reference", **how).engine == "reference"
    np.testing.assert_array_equal(network.parameters, twin.parameters)
    np.testing.assert_allclose(network.run(data[0]), network.forward(data[0]), rtol=1e-14)


@pytest.mark.parametrize("name", OF_ONES_OWN)
def test_native_refuses_something_of_ones_own_and_names_it(name):
    """Nothing has been changed: neither the network nor the randomness."""
    make, how = OF_ONES_OWN[name]
    network, rng = make(), np.random.default_rng(0)
    before, state = network.parameters.copy(), rng.bit_generator.state
    called = []
    with pytest.raises(ValueError, match=f"engine is 'native', but .*{name}.* native engine"):
        network.train(
            np.eye(2), [[0], [1]], epochs=3, engine="native", rng=rng, validation=0.5, on_epoch=called.append, **how
        )
    np.testing.assert_array_equal(network.parameters, before)
    assert rng.bit_generator.state == state
    assert called == []


# How training ends


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("validation", [None, 0.3])
def test_stopping_goes_back_to_the_same_point(validation, batch_size, dtype):
    """On the whole batch without validation the best point is the one before the last step, which is undone."""
    case = Case(dtype=dtype, batch_size=batch_size, optimizer=GradientDescent(0.3, momentum=0.95), second_width=17)
    network = network_of(case)
    data, options = options_of(case, network)
    options = {**options, "epochs": 60, "stop": EarlyStopping(3), "validation": validation}
    reference, expected, _ = trained(network, data, options, "reference")
    ours, history, _ = trained(network, data, options, "native")
    assert history.restored
    assert (history.best_epoch, history.epochs) == (expected.best_epoch, expected.epochs)
    assert history.epochs < 60
    assert distance(ours.parameters, reference.parameters) <= TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("optimizer", [GradientDescent(30.0), GradientDescent(3.0, momentum=0.9)], ids=repr)
def test_divergence_takes_the_same_way(optimizer, batch_size, dtype):
    """Which sum is the first to overflow may differ, so the last few steps may."""
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    losses = {}
    for engine in ("reference", "native"):
        network = Network(3, 2, output="identity", bias=True, rng=0, dtype=dtype)
        how = {"epochs": 2000, "batch_size": batch_size, "loss": "squared_error", "optimizer": optimizer}
        with pytest.raises(DivergenceError, match="the loss became (inf|nan)") as caught:
            network.train(inputs, targets, engine=engine, rng=0, **how)
        losses[engine] = caught.value.history.loss
        assert np.isfinite(network.parameters).all()
    together = min(map(len, losses.values()))
    assert max(map(len, losses.values())) <= together + 3
    np.testing.assert_allclose(losses["native"][:together], losses["reference"][:together], rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_training_goes_on_from_where_the_network_is(dtype):
    """Twice on the native engine is twice on the reference: nothing is left over from the first time."""
    case = Case(dtype=dtype, optimizer=Adam(0.01), dropout="between", second_width=17)
    network = network_of(case)
    data, options = options_of(case, network)
    twins = {}
    for engine in ("reference", "native"):
        twins[engine], rng = copy.deepcopy(network), np.random.default_rng(0)
        for _ in range(2):
            twins[engine].train(*data, engine=engine, rng=rng, **options)
    assert distance(twins["native"].parameters, twins["reference"].parameters) <= TOLERANCE[dtype]


def test_one_engine_takes_up_where_the_other_left():
    case = Case(second_width=17)
    network = network_of(case)
    data, options = options_of(case, network)
    ends = []
    for engines in itertools.product(("reference", "native"), repeat=2):
        twin = copy.deepcopy(network)
        for engine in engines:
            twin.train(*data, engine=engine, rng=0, **options)
        ends.append(twin.parameters)
    for end in ends[1:]:
        assert distance(end, ends[0]) <= TOLERANCE["float64"]


def test_exponential_outputs_that_overflow_end_training_alike():
    """An infinite loss is found before the step is taken."""
    network = Network(1, 1, output=Exponential(), rng=0, initializer="zeros")
    for engine in ("reference", "native"):
        twin = copy.deepcopy(network)
        twin.parameters = [500.0]
        with pytest.raises(DivergenceError, match="epoch 1: the loss became inf"):
            twin.train([[1.0]], [[0.0]], epochs=5, loss="squared_error", engine=engine)
        np.testing.assert_array_equal(twin.parameters, [500.0])
