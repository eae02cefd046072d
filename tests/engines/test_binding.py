"""The door to C++: whatever comes through it, there is an error or a right answer, and never a crash."""

from __future__ import annotations

import copy
import gc
import os
import pickle

import numpy as np
import pytest
import scipy.sparse

from nineline import Adam, Dropout, Layer, Network
from nineline.activations import ACTIVATIONS
from nineline.engines import native
from nineline.losses import Quantile
from nineline.rows import Compact, Encoding, NumberPart, Sparse

pytestmark = pytest.mark.skipif(
    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
    reason="the native engine was not built, or is turned off",
)

module = native._native
DTYPES = ["float32", "float64"]
LARGE = 2**63 - 1  # the largest whole number that C++ is handed


def network_of(dtype="float64", sizes=(3, 4, 2), activation="tanh", output="identity"):
    return Network(*sizes, activation=activation, output=output, bias=True, rng=0, dtype=dtype)


def spec_of(optimizer="adam", **settings):
    averages = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8} if optimizer == "adam" else {}
    return module.rule(optimizer, **averages, **settings)


def training_of(network, loss="squared_error", optimizer="adam", threads=1, parameters=None, **settings):
    """Return a training of the network's parameters, or of a vector of its own."""
    parameters = network.parameters if parameters is None else parameters
    layout, rule = native._new_layout(network), spec_of(optimizer, **settings)
    return module.Training(layout, module.loss(loss), rule, parameters, threads)


def runner_of(network, threads=1):
    return module.Runner(native._new_layout(network), network.parameters, np.empty, threads)


def swapped(array):
    """Return the same numbers in the other order of bytes."""
    return array.astype(array.dtype.newbyteorder())


def strided(array):
    """Return the same numbers in a view that leaves out every other one."""
    return np.repeat(array, 2, axis=-1)[..., ::2]


def frozen(array):
    array = array.copy()
    array.setflags(write=False)
    return array


# One call of each kind that is right; the cases below spoil one argument.

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(10, 3)), rng.normal(size=(10, 2))
N = 3 * 4 + 4 + 4 * 2 + 2


def arguments_of(call):
    """Return new arguments by name, as they are right."""
    data = {"inputs": X.copy(), "targets": Y.copy(), "weights": np.linspace(0, 2, 10)}
    steps = {
        "order": np.arange(10)[::-1].copy(),
        "batch_size": 4,
        "rates": np.full(3, 0.01),
        "losses": np.full(3, -1.0),
    }
    moments = [np.zeros(N), np.zeros(N)]
    return {
        "steps": {**data, **steps},
        "gradient": {**data, "into": np.full(N, -1.0)},
        "move": {"gradient": np.ones(N), "rate": 0.1},
        "evaluate": data,
        "before": {"into": np.full(N, -1.0)},
        "read": {"moments": moments},
        "write": {"moments": moments, "before": np.ones(N), "steps_taken": 3},
    }[call]


def sparse_of(rows):
    """Return rows as the engine takes sparse ones."""
    return tuple(Sparse.of("inputs", scipy.sparse.csr_array(rows), rows.dtype))


WRONG_VECTORS = {
    "too short": (lambda v: v[:-1].copy(), ValueError),
    "too long": (lambda v: np.append(v, 0), ValueError),
    "empty": (lambda v: v[:0].copy(), ValueError),
    "a matrix": (lambda v: v[np.newaxis].copy(), ValueError),
    "strided": (strided, ValueError),
    "backward": (lambda v: v[::-1], ValueError),
    "float32": (lambda v: v.astype("float32"), TypeError),
    "float16": (lambda v: v.astype("float16"), TypeError),
    "whole numbers": (lambda v: v.astype("int64"), TypeError),
    "complex": (lambda v: v.astype(complex), TypeError),
    "objects": (lambda v: v.astype(object), TypeError),
    "swapped bytes": (swapped, TypeError),
    "a list": (lambda v: v.tolist(), TypeError),
    "None": (lambda v: None, TypeError),
    "text": (lambda v: "text", TypeError),
}
WRONG_MATRICES = {
    "one column less": (lambda m: m[:, :-1].copy(), ValueError),
    "one column more": (lambda m: np.hstack([m, m[:, :1]]), ValueError),
    "one row less": (lambda m: m[:-1].copy(), ValueError),
    "no rows": (lambda m: m[:0].copy(), ValueError),
    "a vector": (lambda m: m.ravel(), ValueError),
    "three dimensions": (lambda m: m[np.newaxis].copy(), ValueError),
    "columns first": (np.asfortranarray, ValueError),
    "strided": (strided, ValueError),
    "every other row": (lambda m: np.repeat(m, 2, axis=0)[::2], ValueError),
    "one row for all": (lambda m: np.broadcast_to(m[0], m.shape), (TypeError, ValueError)),  # and it is read-only
    **{name: WRONG_VECTORS[name] for name in ("float32", "whole numbers", "complex", "objects", "swapped bytes")},
    **{name: WRONG_VECTORS[name] for name in ("a list", "None", "text")},
}
READ_ONLY = {"read-only": (frozen, TypeError)}


def for_all(argument, changes):
    return {f"{argument}: {name}": (argument, *change) for name, change in changes.items()}


def without(changes, *names):
    return {name: change for name, change in changes.items() if name not in names}


def to(value):
    return lambda _: value


BEYOND = {"beyond C++": (to(2**70), TypeError), "None": (to(None), TypeError), "half": (to(0.5), TypeError)}
PARTS = {
    "data": (0, without(WRONG_VECTORS, "None", "empty", "backward")),
    "indices": (
        1,
        {"64 bits": (lambda v: v.astype("int64"), TypeError), "one less": (lambda v: v[:-1].copy(), ValueError)},
    ),
    "indptr": (
        2,
        {"32 bits": (lambda v: v.astype("int32"), TypeError), "empty": (lambda v: v[:0].copy(), ValueError)},
    ),
    "columns": (3, {"another": (to(4), ValueError), "None": (to(None), TypeError)}),
}
CONTENTS = {
    "a column too far": (1, lambda v: np.where(np.arange(len(v)) == 2, 3, v)),
    "a column below": (1, lambda v: np.where(np.arange(len(v)) == 0, -1, v)),
    "a column twice": (1, lambda v: np.where(np.arange(len(v)) == 1, v[0], v)),
    "columns out of order": (1, lambda v: v[[1, 0, *range(2, len(v))]]),
    "rows that go back": (2, lambda v: np.where(np.arange(len(v)) == 3, v[2] - 1, v)),
    "rows beyond the end": (2, lambda v: np.where(np.arange(len(v)) == len(v) - 1, v[-1] + 1, v)),
    "rows far beyond the end": (2, lambda v: np.where(np.arange(len(v)) == len(v) - 1, LARGE, v)),
    "rows before the beginning": (2, lambda v: np.where(np.arange(len(v)) == 0, -1, v)),
}


def with_part(number, change, parts_of=sparse_of):
    def changed(inputs):
        parts = list(parts_of(inputs))
        parts[number] = change(parts[number])
        return tuple(parts)

    return changed


def encoding_of(*parts, width=3):
    """Return an encoding whose parts are levels, a whole number each, or a tuple of what `add_number` takes."""
    encoding, place, numbers, levels = module.Encoding(width), 0, 0, 0
    for part in parts:
        if isinstance(part, tuple):
            edges, missing = part
            encoding.add_number(numbers, place, edges, False, missing)
            numbers += 1
            place += max(1, len(edges)) + missing
        else:
            encoding.add_level(levels, place, part)
            levels += 1
            place += max(1, part)
    return encoding


def compact_of(rows, parts=(((), False), 2), width=3):
    """Return the ten rows as a number and one of two levels."""
    numbers, levels = rows[:, :1].astype("float32"), (np.arange(len(rows))[:, np.newaxis] % 2).astype("int32")
    return numbers, levels, encoding_of(*parts, width=width)


def with_compact_part(number, change):
    return with_part(number, change, compact_of)


COMPACT = {
    "numbers of float16": (with_compact_part(0, lambda m: m.astype("float16")), TypeError),
    "another number": (with_compact_part(0, lambda m: np.hstack([m, m])), ValueError),
    "a vector of numbers": (with_compact_part(0, lambda m: m.ravel()), ValueError),
    "no numbers": (with_compact_part(0, to(None)), TypeError),
    "strided numbers": (with_compact_part(0, lambda m: np.repeat(m, 2, axis=0)[::2]), ValueError),
    "levels of 64 bits": (with_compact_part(1, lambda m: m.astype("int64")), TypeError),
    "fewer levels": (with_compact_part(1, lambda m: m[:-1].copy()), ValueError),
    "no encoding": (with_compact_part(2, to(None)), TypeError),
    "another encoding": (with_compact_part(2, to(3)), TypeError),
    "too narrow an encoding": (lambda m: compact_of(m, (((), False), 1), width=2), ValueError),
    "an encoding that is not full": (lambda m: compact_of(m, (((), False), 1)), ValueError),
    "levels for an embedding": (lambda m: compact_of(m, (0, ((), True))), ValueError),
}
SPARSE = {
    **{f"compact: {name}": change for name, change in COMPACT.items()},
    "five parts": (lambda m: (*sparse_of(m), 3), ValueError),
    "no parts": (to(()), ValueError),
    **{
        f"{part}: {name}": (with_part(number, change), error)
        for part, (number, changes) in PARTS.items()
        for name, (change, error) in changes.items()
    },
    **{name: (with_part(number, change), (ValueError, TypeError)) for name, (number, change) in CONTENTS.items()},
}
CLASSES = {
    "classes of a loss that takes none": (lambda m: np.zeros(len(m), np.int64), ValueError),
}
DATA = {
    **for_all("inputs", WRONG_MATRICES | SPARSE),
    **for_all("targets", WRONG_MATRICES | CLASSES),
    **for_all("weights", without(WRONG_VECTORS, "None")),
}
MOMENTS = {
    "none": (to([]), ValueError),
    "one": (lambda m: m[:1], ValueError),
    "three": (lambda m: [*m, np.zeros(N)], ValueError),
    "None": (to(None), TypeError),
}


def second(changes):
    return {
        f"second {name}": (lambda m, change=change: [m[0], change(m[1])], error)
        for name, (change, error) in changes.items()
    }


WRONG = {
    "steps": {
        **DATA,
        **for_all("order", without(WRONG_VECTORS, "None", "too short", "too long", "whole numbers")),
        **for_all(
            "order",
            {
                "a row too far": (lambda v: np.where(v == 3, 10, v), IndexError),
                "a row before the first": (lambda v: np.where(v == 3, -1, v), IndexError),
                "a row far beyond": (lambda v: np.where(v == 3, LARGE, v), IndexError),
                "a row that nobody asks for": (lambda v: np.append(v, 99), IndexError),
                "32 bits": (lambda v: v.astype("int32"), TypeError),
                "unsigned": (lambda v: v.astype("uint64"), TypeError),
                "too few for the rates": (lambda v: v[:8].copy(), ValueError),
            },
        ),
        **for_all(
            "batch_size",
            {
                "0": (to(0), ValueError),
                "-1": (to(-1), ValueError),
                "the lowest": (to(-LARGE - 1), ValueError),
                "too many rates": (to(5), ValueError),
                "far too many rates": (to(LARGE), ValueError),
                **BEYOND,
            },
        ),
        **for_all("rates", without(WRONG_VECTORS, "too short", "empty")),
        **for_all("losses", WRONG_VECTORS | READ_ONLY),
    },
    "gradient": {
        **DATA,
        **for_all("into", WRONG_VECTORS | READ_ONLY),
        **for_all("loss", {"another thing": (to(3), TypeError)}),
    },
    "move": {
        **for_all("gradient", WRONG_VECTORS),
        **for_all("rate", {"text": (to("a"), TypeError), "None": (to(None), TypeError)}),
    },
    "evaluate": DATA,
    "before": for_all("into", WRONG_VECTORS | READ_ONLY),
    "read": for_all("moments", MOMENTS | second(WRONG_VECTORS | READ_ONLY)),
    "write": {
        **for_all("moments", MOMENTS | second(WRONG_VECTORS)),
        **for_all("before", WRONG_VECTORS),
        **for_all("steps_taken", {"-1": (to(-1), TypeError), **BEYOND, "2**64": (to(2**64), TypeError)}),
    },
}


@pytest.mark.parametrize(("call", "name"), [(call, name) for call, cases in WRONG.items() for name in cases])
def test_what_does_not_fit_is_refused_and_nothing_is_written(call, name):
    argument, change, error = WRONG[call][name]
    arguments, network = arguments_of(call), network_of()
    arguments[argument] = change(arguments.get(argument))
    given = arguments[argument] if isinstance(arguments[argument], tuple) else ()
    kept = {id(part): part for part in given if isinstance(part, module.Encoding)}  # of which there is no copy
    before, parameters, training = copy.deepcopy(arguments, kept), network.parameters.copy(), training_of(network)
    with pytest.raises(error):
        getattr(training, call)(**arguments)
    assert training.steps_taken == 0
    np.testing.assert_array_equal(network.parameters, parameters)
    for key in ("losses", "into"):
        if isinstance(before.get(key), np.ndarray):
            np.testing.assert_array_equal(arguments[key], before[key])
    for vector, as_before in zip(arguments.get("moments") or [], before.get("moments") or [], strict=True):
        np.testing.assert_array_equal(vector, as_before)


WRONG_TRAININGS = {
    **for_all("parameters", WRONG_VECTORS | READ_ONLY),
    **for_all(
        "threads", {"0": (to(0), ValueError), "-1": (to(-1), ValueError), "too many": (to(1025), ValueError), **BEYOND}
    ),
    **for_all(
        "factors",
        {
            "too few": (to([1.0]), ValueError),
            "too many": (to([1.0] * 5), ValueError),
            "None": (to(None), TypeError),
            "text": (to(["a"] * 4), TypeError),
        },
    ),
    **for_all("layout", {"None": (to(None), TypeError), "a loss": (lambda _: module.loss("huber"), TypeError)}),
    **for_all("loss", {"None": (to(None), TypeError), "unfit": (lambda _: module.loss("cross_entropy"), ValueError)}),
    **for_all("rule", {"None": (to(None), TypeError), "a loss": (lambda _: module.loss("huber"), TypeError)}),
}


@pytest.mark.parametrize("name", WRONG_TRAININGS)
def test_trainings_that_make_no_sense(name):
    argument, change, error = WRONG_TRAININGS[name]
    network = network_of()
    arguments = {
        "layout": native._new_layout(network),
        "loss": module.loss("squared_error"),
        "rule": spec_of(),
        "parameters": network.parameters.copy(),
        "threads": 1,
        "factors": [1.0] * 4,
    }
    module.Training(**arguments)
    arguments[argument] = change(arguments[argument])
    with pytest.raises(error):
        module.Training(**arguments)


def test_the_number_of_threads_is_checked_later_too():
    training = training_of(network_of())
    for wrong, error in ((0, ValueError), (1025, ValueError), ("a", TypeError)):
        with pytest.raises(error):
            training.threads = wrong
    training.threads = 3
    assert training.threads == 3


# The quick way: what does not fit is no error there, and nothing happens


QUICK = {**for_all("inputs", WRONG_MATRICES), **for_all("targets", WRONG_MATRICES)}


@pytest.mark.parametrize("name", QUICK)
def test_the_quick_step_takes_no_step_where_it_has_to_look_twice(name):
    argument, change, _ = QUICK[name]
    arguments, network = {"inputs": X.copy(), "targets": Y.copy()}, network_of()
    arguments[argument] = change(arguments[argument])
    training, parameters = training_of(network), network.parameters.copy()
    assert training.step(**arguments, rate=0.1) is None
    assert training.steps_taken == 0
    np.testing.assert_array_equal(network.parameters, parameters)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["inputs", "targets"])
def test_the_quick_step_finds_what_is_not_finite_wherever_it_is(where, value, dtype):
    network = network_of(dtype)
    training = training_of(network)
    plain = {"inputs": X.astype(dtype), "targets": Y.astype(dtype)}
    for place in range(plain[where].size):
        arrays = {name: array.copy() for name, array in plain.items()}
        arrays[where].flat[place] = value
        assert training.step(**arrays, rate=0.1) is None
    assert training.steps_taken == 0
    assert training.step(**plain, rate=0.1) > 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("loss", "output", "right", "wrong"),
    [
        ("binary_cross_entropy", "sigmoid", [[0.0, 1.0], [0.5, 1.0]], [[[0, 1.1], [0, 0]], [[0, 1], [-0.1, 0]]]),
        ("poisson", "exponential", [[0.0, 100.0], [1, 2]], [[[0, 1], [-1, 0]]]),
        ("cross_entropy", "softmax", [[0.25, 0.75], [1, 0]], [[[1, 1], [1, 0]], [[1, 0], [0, 0]], [[2, -1], [1, 0]]]),
        ("squared_error", "identity", [[-5.0, 100.0], [1, 2]], []),
    ],
)
def test_the_quick_step_takes_targets_that_fit_the_loss(loss, output, right, wrong, dtype):
    network = network_of(dtype, output=output)
    training, inputs = training_of(network, loss), X[:2].astype(dtype)
    assert np.isfinite(training.step(inputs, np.array(right, dtype), 0.01))
    for targets in wrong:
        assert training.step(inputs, np.array(targets, dtype), 0.01) is None
    assert training.steps_taken == 1


def test_the_quick_step_takes_class_numbers_where_they_are_meant():
    inputs = X[:3].copy()
    for classes, loss, output, taken in [
        ([0, 1, 1], "cross_entropy", "softmax", True),
        ([0, 2, 1], "cross_entropy", "softmax", False),
        ([0, -1, 1], "cross_entropy", "softmax", False),
        ([0, LARGE, 1], "cross_entropy", "softmax", False),
        ([0, 1, 1], "squared_error", "softmax", False),
    ]:
        training = training_of(network_of(output=output), loss)
        assert (training.step(inputs, np.array(classes), 0.1) is not None) == taken
        assert training.step(inputs, np.array(classes).astype(np.int32), 0.1) is None
    training = training_of(network_of(output="softmax"), "cross_entropy")
    for wrong in ([0, 2, 1], [0, -1, 1], [0, LARGE, 1]):
        with pytest.raises(ValueError, match="targets has the class"):
            training.evaluate(inputs, np.array(wrong), None)


def test_a_trainings_parameters_live_as_long_as_it():
    training = training_of(network_of(), parameters=np.ones(N))
    gc.collect()
    assert training.step(X, Y, 0.1) > 0
    assert training.undo() is True
    assert training.undo() is False


@pytest.mark.parametrize(
    ("call", "change"),
    [
        ("steps", lambda a: {"inputs": frozen(a["inputs"]), "targets": frozen(a["targets"])}),
        (
            "steps",
            lambda a: {"order": frozen(a["order"]), "rates": frozen(a["rates"]), "weights": frozen(a["weights"])},
        ),
        ("evaluate", lambda a: {name: frozen(a[name]) for name in ("inputs", "targets", "weights")}),
        ("move", lambda a: {"gradient": frozen(a["gradient"])}),
        ("write", lambda a: {"moments": tuple(map(frozen, a["moments"])), "before": frozen(a["before"])}),
    ],
)
def test_what_is_only_read_may_be_read_only(call, change):
    answers = []
    for spoil in (lambda _: {}, change):
        arguments, network = arguments_of(call), network_of()
        arguments |= spoil(arguments)
        answer = getattr(training_of(network), call)(**arguments)
        answers.append([answer, network.parameters.tolist()])
    assert answers[0] == answers[1]


def taken(rates=3, **changes):
    """Take steps and return their losses and the parameters after them."""
    arguments = arguments_of("steps") | {"rates": np.full(rates, 0.01), "losses": np.full(rates, -1.0)} | changes
    network = network_of()
    done = training_of(network).steps(**arguments)
    assert done == rates
    return arguments["losses"].tolist(), network.parameters.tolist()


def test_rows_without_a_category_may_come_from_another_process():
    """A pickle gives an array of no columns other strides."""
    rows = Compact(np.ones((3, 1), np.float32), np.empty((3, 0), np.int32), Encoding((NumberPart(0),), (), 1))
    network = Network(1, 1, dtype=np.float32)
    np.testing.assert_array_equal(network.run(pickle.loads(pickle.dumps(rows))), network.run(rows))


def test_no_rates_are_no_steps():
    assert taken(0) == ([], network_of().parameters.tolist())


def test_fewer_rates_than_batches_are_the_first_steps():
    assert taken(2)[0] == taken(3)[0][:2]


def test_a_batch_may_be_larger_than_the_data():
    assert taken(1, batch_size=10) == taken(1, batch_size=11) == taken(1, batch_size=2**62)


def test_without_an_order_the_size_of_a_batch_says_nothing():
    expected = taken(2, order=None, batch_size=10)
    assert expected == taken(2, order=None, batch_size=0) == taken(2, order=None, batch_size=-LARGE)


def test_rows_may_be_taken_more_than_once():
    """Row 7 twice is row 7 with twice the weight."""
    once = taken(1, order=np.array([7, 2]), weights=np.where(np.arange(10) == 7, 2.0, 1.0))
    twice = taken(1, order=np.array([7, 2, 7]), weights=None)
    np.testing.assert_allclose(once[0], twice[0], rtol=1e-12)
    np.testing.assert_allclose(once[1], twice[1], rtol=1e-12)


def test_rows_of_no_weight_at_all_have_no_loss():
    assert taken(1, weights=np.zeros(10))[0] == [0]


def test_any_seed_and_any_number_of_steps_before():
    network = Network(Dropout(0.5), Layer(3, 2), rng=0)
    for seed, first in [(2**64 - 1, 0), (0, 2**64 - 4), (2**63, 2**63)]:
        arguments = arguments_of("steps")
        training = training_of(network, optimizer="gradient_descent", seed=seed)
        training.write([], network.parameters, first)
        assert training.steps(**arguments) == 3
        assert np.isfinite(arguments["losses"]).all()
        assert training.steps_taken == first + 3
    for wrong in (lambda: module.rule("gradient_descent", seed=2**64), lambda: setattr(training, "seed", 2**64)):
        with pytest.raises(TypeError):
            wrong()


# Specs


def dense(inputs=3, outputs=2, **settings):
    return module.dense(inputs, outputs, True, settings.pop("activation", "tanh"), **settings)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: dense(activation="sine"), ValueError, "activation is 'sine'"),
        (lambda: dense(activation=""), ValueError, "activation is ''"),
        (lambda: dense(activation=None), TypeError, None),
        (lambda: module.loss("hinge"), ValueError, "loss is 'hinge'"),
        (lambda: module.rule("lion"), ValueError, "optimizer is 'lion'"),
        (lambda: dense(inputs=2**70), TypeError, None),
        (lambda: dense(inputs=1.5), TypeError, None),
        (lambda: module.dropout("3", 0.5), TypeError, None),
    ],
)
def test_specs_that_make_no_sense(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"level": "sse9"}, ValueError, "level is 'sse9'; .* have (baseline|neon)"),
        ({"level": ""}, ValueError, "level is ''"),
        ({"dtype": "float16"}, ValueError, "dtype is 'float16'; expected float32 or float64"),
        ({"layers": list}, ValueError, "last layer"),
        ({"layers": lambda: [module.dropout(3, 0.5)]}, ValueError, "last layer"),
        ({"layers": lambda: [dense(), module.dropout(2, 0.5)]}, ValueError, "last layer"),
        ({"layers": lambda: [dense(3, 2), dense(3, 2)]}, ValueError, "layer 1 does not take"),
        ({"layers": lambda: [dense(3, 2), module.dropout(3, 0.5), dense(2, 1)]}, ValueError, "layer 1 does not take"),
        ({"layers": lambda: [module.layer_norm(3, 0.1)]}, ValueError, "last layer"),
        ({"layers": lambda: [module.layer_norm(2, 0.1), dense(3, 2)]}, ValueError, "layer 1 does not take"),
        ({"layers": lambda: [dense(3, 2), module.shortcut(2, 0), dense(2, 1)]}, ValueError, "layer 1 adds what does"),
        ({"layers": lambda: [dense(3, 2), module.shortcut(2, -2), dense(2, 1)]}, ValueError, "layer 1 adds what does"),
        ({"layers": lambda: [dense(3, 2), module.shortcut(2, -1), dense(2, 1)]}, ValueError, "layer 1 adds what is"),
        ({"layers": lambda: [dense(3, 2), module.embedding(2, [3], [1]), dense(2, 1)]}, ValueError, "layer 1 is an em"),
        ({"layers": lambda: [module.embedding(2, [], []), dense(2, 1)]}, ValueError, "layer 0 has other numbers"),
        ({"layers": lambda: [module.embedding(2, [3], [1, 1]), dense(3, 1)]}, ValueError, "layer 0 has other numbers"),
        ({"layers": lambda: [module.embedding(1, [3, 3], [1, 1]), dense(2, 1)]}, ValueError, "layer 0 has other num"),
        ({"layers": lambda: [module.embedding(1, [0], [1]), dense(1, 1)]}, ValueError, "levels or a width"),
        ({"layers": lambda: [module.embedding(1, [3], [-1]), dense(1, 1)]}, ValueError, "levels or a width"),
        ({"layers": lambda: [module.embedding(1, [2**25], [1]), dense(1, 1)]}, ValueError, "levels or a width"),
        ({"layers": lambda: [module.embedding(2, [2**24, 2**24], [2**24, 1]), dense(1, 1)]}, ValueError, "layer 1|par"),
        ({"layers": lambda: [dense(0, 2)]}, ValueError, "width"),
        ({"layers": lambda: [dense(3, 0)]}, ValueError, "width"),
        ({"layers": lambda: [dense(-3, 2)]}, ValueError, "width"),
        ({"layers": lambda: [dense(3, -LARGE - 1)]}, ValueError, "width"),
        ({"layers": lambda: [dense(LARGE, LARGE)]}, ValueError, "width"),
        ({"layers": lambda: [dense(2**31, 2**31)]}, ValueError, "parameters"),
        ({"layers": lambda: [None]}, TypeError, None),
        ({"layers": dense}, TypeError, None),
        ({"layers": lambda: [module.loss("huber")]}, TypeError, None),
    ],
)
def test_layouts_that_make_no_sense(changes, error, words):
    arguments = {"level": native.level(), "dtype": "float64", "layers": [dense()]}
    arguments |= {name: value() if callable(value) else value for name, value in changes.items()}
    with pytest.raises(error, match=words):
        module.Layout(**arguments)


def test_a_gradient_by_a_loss_that_does_not_fit_the_output():
    with pytest.raises(ValueError, match="the loss does not fit"):
        training_of(network_of()).gradient(X, Y, None, np.empty(N), module.loss("cross_entropy"))


@pytest.mark.parametrize(("loss", "output"), [("cross_entropy", "tanh"), ("binary_cross_entropy", "softmax")])
def test_a_loss_that_does_not_fit_the_output(loss, output):
    layout = module.Layout(native.level(), "float64", [dense(activation=output)])
    with pytest.raises(ValueError, match="the loss does not fit"):
        module.Training(layout, module.loss(loss), module.rule("rmsprop"), np.ones(8), 1)


def test_a_loss_with_settings_for_other_outputs():
    layout = module.Layout(native.level(), "float64", [dense(activation="identity")])
    loss = module.loss("quantile", settings=[0.1, 0.5, 0.9])
    with pytest.raises(ValueError, match="settings for another number of outputs"):
        module.Training(layout, loss, module.rule("rmsprop"), np.ones(8), 1)
    with pytest.raises(ValueError, match="huber has no setting for each output"):
        module.loss("huber", settings=[0.1, 0.5])


def test_a_training_keeps_the_settings_of_its_loss():
    network = network_of(sizes=(3, 2))
    layout, loss = native._new_layout(network), module.loss("quantile", settings=[0.1, 0.9])
    training = module.Training(layout, loss, module.rule("rmsprop"), network.parameters, 1)
    del loss
    gc.collect()
    expected = Quantile(level=(0.1, 0.9)).value(network.run(X), Y).mean()
    assert training.evaluate(X, Y, None) == pytest.approx(expected)


@pytest.mark.parametrize("rate", [0.0, 1.0, 2.0, -1.0, np.nan, np.inf])
def test_any_rate_of_dropout_is_survived(rate):
    """Network lets through what is in [0, 1)."""
    layout = module.Layout(native.level(), "float64", [module.dropout(3, rate), dense(3, 2)])
    rule = module.rule("gradient_descent")
    module.Training(layout, module.loss("huber", 1.0), rule, np.ones(8), 1).steps(**arguments_of("steps"))


def test_a_runner_of_something_else():
    layout, parameters = native._new_layout(network_of()), network_of().parameters
    for wrong in [(None, parameters, np.empty, 1), (layout, None, np.empty, 1), (layout, parameters, np.empty, None)]:
        with pytest.raises((TypeError, ValueError, AttributeError, RuntimeError)):
            module.Runner(*wrong)
    for change, error in (WRONG_VECTORS).values():
        with pytest.raises((error, AttributeError, RuntimeError)):
            module.Runner(layout, change(parameters), np.empty, 1)


WRONG_INPUTS = {name: change for name, change in WRONG_MATRICES.items() if name != "one row less"}


@pytest.mark.parametrize("name", [*WRONG_INPUTS, *SPARSE])
def test_a_runner_answers_none_or_raises_for_what_does_not_fit(name):
    runner = runner_of(network_of())
    if name in SPARSE:
        change, error = SPARSE[name]
        with pytest.raises(error):
            runner.rows(change(X))
    else:
        assert runner(WRONG_INPUTS[name][0](X)) is None
    assert runner(X).shape == runner.rows(sparse_of(X)).shape == (10, 2)


def test_a_runner_answers_for_compact_rows():
    numbers, levels, encoding = compact_of(X)
    dense = np.hstack([numbers, levels == 0, levels == 1]).astype(float)
    runner = runner_of(network_of())
    np.testing.assert_array_equal(runner.rows((numbers, levels, encoding)), runner(dense))


@pytest.mark.parametrize(
    ("parts", "width"),
    [
        ((4,), 3),  # wider than all
        ((-1,), 3),
        ((((0.0,), False),), 3),  # one edge
        ((((0.0, 0.0), False),), 3),
        ((((1.0, 0.0), False),), 3),
        ((((0.0, np.inf), False),), 3),
        ((((0.0, np.nan), False),), 3),
        ((((0.0, 1.0, 2.0), True),), 3),
    ],
)
def test_encodings_that_make_no_sense(parts, width):
    with pytest.raises((ValueError, TypeError)):
        encoding_of(*parts, width=width)


def test_parts_of_an_encoding_lie_side_by_side():
    for place, column in ((1, 0), (-1, 0), (2**60, 0), (0, -1), (0, 2**60)):
        with pytest.raises((ValueError, TypeError)):
            module.Encoding(3).add_level(column, place, 2)


def test_levels_next_to_each_other_may_be_a_set():
    """They share their inputs, as many of each; nothing else does."""
    encoding = module.Encoding(3)
    for column in range(3):
        encoding.add_level(column, 0, 3)
    levels = np.array([[0, 2, -1], [1, -1, -1], [0, 1, 2], [-1, -1, -1]], "int32")
    dense = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0]], float)
    runner = runner_of(network_of())
    np.testing.assert_array_equal(runner.rows((np.empty((4, 0), "float32"), levels, encoding)), runner(dense))
    for place, others in ((0, 2), (1, 3), (0, 0)):
        with pytest.raises(ValueError, match="side by side"):
            encoding.add_level(3, place, others)
    for begun in (lambda made: made.add_number(0, 0, [], False, False), lambda made: made.add_level(0, 0, 0)):
        made = module.Encoding(3)
        begun(made)
        with pytest.raises(ValueError, match="side by side"):
            made.add_level(1, 0, 1)


@pytest.mark.parametrize("name", [*WRONG_MATRICES, "read-only"])
def test_a_runner_writes_into_nothing_else(name):
    out = np.full((10, 2), -1.0)
    change, _ = (WRONG_MATRICES | READ_ONLY)[name]
    wrong = change(out)
    before, runner = copy.deepcopy(wrong), runner_of(network_of())
    if name == "None":
        assert runner(X, wrong).shape == (10, 2)
        return
    assert runner(X, wrong) is None
    if isinstance(before, np.ndarray):
        np.testing.assert_array_equal(wrong, before)
    assert runner(X, out) is out


def test_networks_can_be_made_and_forgotten():
    for _ in range(300):
        network = network_of(sizes=(30, 40, 20))
        network.train(np.ones((2, 30)), np.ones((2, 20)), 1, report_every=0)
        network.run(np.ones((2, 30)))
    answer = network.run(np.ones((2, 30)))
    expected = answer.copy()
    del network
    gc.collect()
    np.testing.assert_array_equal(answer, expected)  # it has its own memory


# What is not a number


SIZES_OF_NETWORKS = [(3, 4, 2), (3, 16, 1), (3, 17, 33, 2), (17, 16, 16)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", SIZES_OF_NETWORKS, ids=str)
def test_nan_spoils_the_answers_of_its_own_row_alone(sizes, activation, dtype):
    network = network_of(dtype, sizes, activation)
    inputs = np.random.default_rng(1).normal(size=(70, sizes[0])).astype(dtype)
    expected = network.run(inputs)
    inputs[[5, 69]] = np.nan
    sparse = scipy.sparse.csr_array(inputs)  # whose entries nobody looks at again
    outputs = runner_of(network).rows((sparse.data, sparse.indices, sparse.indptr.astype(np.int64), sizes[0]))
    assert np.isnan(outputs[[5, 69]]).all()
    kept = np.delete(np.arange(70), [5, 69])
    np.testing.assert_array_equal(outputs[kept], expected[kept])


GOALS = [
    ("squared_error", "identity"),
    ("squared_error", "softmax"),
    ("absolute_error", "identity"),
    ("huber", "tanh"),
    ("quantile", "relu"),
    ("poisson", "exponential"),
    ("poisson", "softplus"),
    ("binary_cross_entropy", "sigmoid"),
    ("cross_entropy", "softmax"),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("where", ["inputs", "targets", "weights", "parameters"])
@pytest.mark.parametrize("goal", GOALS, ids="-".join)
@pytest.mark.parametrize("sizes", SIZES_OF_NETWORKS, ids=str)
def test_nan_anywhere_makes_a_loss_of_nan_and_no_step(sizes, goal, where, dtype):
    network = network_of(dtype, sizes, "relu", goal[1])
    rng = np.random.default_rng(1)
    arrays = {
        "parameters": network.parameters,
        "inputs": rng.normal(size=(70, sizes[0])).astype(dtype),
        "targets": rng.uniform(0.1, 0.9, size=(70, sizes[-1])).astype(dtype),
        "weights": np.ones(70, dtype),
    }
    arrays[where][-1] = np.nan
    before = network.parameters.copy()
    training = training_of(network, goal[0])
    parameters = arrays.pop("parameters")
    moments, losses = [np.ones_like(before), np.ones_like(before)], np.empty(4)
    done = training.steps(**arrays, order=None, batch_size=70, rates=np.full(4, 0.1), losses=losses)
    assert done == 1
    assert np.isnan(losses[0])
    assert np.isnan(training.evaluate(**arrays))
    np.testing.assert_array_equal(parameters, before)
    training.read(moments)
    assert not any(vector.any() for vector in moments)
    assert training.steps_taken == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("begun", [False, True])
def test_before_the_first_step_there_is_nothing_to_undo(begun, dtype):
    """Training undoes when the loss of the very first batch is not finite."""
    network = network_of(dtype)
    before, into = network.parameters.copy(), np.empty_like(network.parameters)
    training = training_of(network, optimizer="gradient_descent")
    if begun:
        data = np.full((10, 3), np.nan, dtype), Y.astype(dtype), None
        assert training.steps(*data, None, 10, np.ones(1), np.empty(1)) == 1
    assert training.undo() is False
    training.before(into)
    np.testing.assert_array_equal(into, before)
    np.testing.assert_array_equal(network.parameters, before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spoiled", [1, 3])
def test_after_a_loss_of_nan_undo_goes_back_one_step(spoiled, dtype):
    """That is the step before it: the one whose parameters had a finite loss."""
    network = network_of(dtype)
    x, y, into = X.astype(dtype), Y.astype(dtype), np.empty_like(network.parameters)
    training = training_of(network)
    losses = np.empty(3)

    def steps(data, count):
        return training.steps(data, y, None, None, 10, np.full(count, 0.1), losses[:count])

    assert steps(x, 2) == 2
    after_two = network.parameters.copy()
    assert steps(x, 1) == 1
    after_three = network.parameters.copy()
    assert steps(np.full_like(x, np.nan), spoiled) == 1
    np.testing.assert_array_equal(network.parameters, after_three)
    training.before(into)
    np.testing.assert_array_equal(into, after_two)
    assert training.undo() is True
    np.testing.assert_array_equal(network.parameters, after_two)
    assert training.steps_taken == 2


# Nothing beyond the arrays

SURROUNDED = [
    [Layer(3, 4, "tanh", bias=True), Layer(4, 2, "softmax")],
    [Layer(100, 1, "sigmoid", bias=True)],
    [Layer(5, 17, "relu"), Layer(17, 1, "identity", bias=True)],
    [Layer(17, 33, "silu", bias=True), Dropout(0.2), Layer(33, 2, "identity")],
    [Layer(16, 16, "elu", bias=True), Layer(16, 16, "exponential")],
    [Dropout(0.1), Layer(100, 1, "sigmoid", bias=True)],
    [Dropout(0.1), Dropout(0.1), Layer(35, 2, "tanh"), Dropout(0.1), Layer(2, 3, "softmax", bias=True)],
]


def surrounded(array):
    """Return the array as a part of a longer one that is NaN otherwise, and what lies around it there."""
    whole = np.full(array.size + 128, np.nan if array.dtype.kind == "f" else 10**9, array.dtype)
    part = whole[64:-64].reshape(array.shape)
    part[...] = array
    return part, (whole[:64], whole[-64:])


def untouched(beside):
    return np.isnan(beside).all() if beside.dtype.kind == "f" else (beside == 10**9).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 3, 64, 130, 700])
@pytest.mark.parametrize("layers", SURROUNDED, ids=str)
def test_nothing_beyond_the_arrays_is_read_or_written(layers, rows, dtype):
    """What is read there may be NaN, and nothing that it is multiplied by helps then."""
    network = Network(*copy.deepcopy(layers), rng=0, dtype=dtype)
    rng = np.random.default_rng(0)
    plain = {
        "parameters": network.parameters,
        "inputs": rng.normal(size=(rows, network.n_inputs)).astype(dtype),
        "targets": rng.uniform(size=(rows, network.n_outputs)).astype(dtype),
        "weights": rng.uniform(0.5, 1, rows).astype(dtype),
        "moment 0": np.zeros_like(network.parameters),
        "moment 1": np.zeros_like(network.parameters),
        "gradient": np.zeros_like(network.parameters),
        "before": np.zeros_like(network.parameters),
        "rates": np.full(3, 0.01),
        "losses": np.zeros(3),
        "outputs": np.zeros((rows, network.n_outputs), dtype),
    }
    sparse = sparse_of(plain["inputs"] * (rng.random(plain["inputs"].shape) > 0.5))
    plain |= {"values": sparse[0], "indices": sparse[1], "indptr": sparse[2]}
    ends = []
    for lay_out in (lambda array: (array.copy(), ()), surrounded):
        arrays, around = {}, []
        for name, array in plain.items():
            arrays[name], beside = lay_out(array)
            around.extend(beside)
        training = training_of(network, parameters=arrays["parameters"], threads=2, seed=1)
        data = [arrays[name] for name in ("inputs", "targets", "weights")]
        thin = [(arrays["values"], arrays["indices"], arrays["indptr"], network.n_inputs), *data[1:]]
        loss = [training.evaluate(*data), training.evaluate(*thin)]
        for some in (data, thin):
            loss.append(training.gradient(*some, arrays["gradient"]))
            training.steps(*some, None, rows, arrays["rates"], arrays["losses"])
            training.move(arrays["gradient"], 0.1)
        if rows > 1:
            loss.append(training.step(arrays["inputs"], arrays["targets"], 0.1))
        training.read([arrays["moment 0"], arrays["moment 1"]])
        training.before(arrays["before"])
        runner = module.Runner(native._new_layout(network), arrays["parameters"], np.empty, 2)
        assert runner(arrays["inputs"], arrays["outputs"]) is arrays["outputs"]
        assert all(untouched(beside) for beside in around)
        ends.append([loss, *(array.tolist() for array in arrays.values())])
    assert ends[0] == ends[1]
    np.testing.assert_array_equal(network.run(surrounded(plain["inputs"])[0]), network.run(plain["inputs"]))


# Network.run with every kind of array


def masked(array):
    return np.ma.masked_array(array, mask=np.zeros(array.shape, bool))


KINDS = {
    "its own kind": lambda x: x,
    "a list": lambda x: x.tolist(),
    "a tuple of arrays": tuple,
    "another float": lambda x: x.astype("float32" if x.dtype == "float64" else "float64"),
    "float16": lambda x: x.astype("float16"),
    "long double": lambda x: x.astype("longdouble"),
    "int64": lambda x: x.astype("int64"),
    "int8": lambda x: x.astype("int8"),
    "uint16": lambda x: x.astype("uint16"),
    "bool": lambda x: x.astype(bool),
    "objects": lambda x: x.astype(object),
    "columns first": np.asfortranarray,
    "every other column": strided,
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backward": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "a part": lambda x: np.pad(x, 2)[2:-2, 2:-2],
    "one row for all": lambda x: np.broadcast_to(x[0], x.shape),
    "swapped bytes": swapped,
    "read-only": frozen,
    "not aligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
    "one row": lambda x: x[:1],
    "one column of rows": lambda x: x[0],
    "a list of numbers": lambda x: x[0].tolist(),
    "a matrix": np.matrix,
    "masked, nothing hidden": masked,
    "a memory view": memoryview,
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inputs", [1, 2, 3, 16])
def test_run_takes_every_kind_of_array(inputs, kind, dtype):
    network = network_of(dtype, (inputs, 17, 2))
    rows = np.arange(5 * inputs).reshape(5, inputs) % 7
    given = KINDS[kind](rows.astype(dtype))
    plain = np.array(given, dtype=dtype)
    expected = network.forward(plain.reshape(-1, inputs))
    if plain.ndim == 1 and inputs > 1:
        expected = expected[0]
    answer = network.run(given)
    assert type(answer) is np.ndarray
    assert (answer.dtype, answer.shape) == (dtype, expected.shape)
    assert answer.flags.writeable
    assert answer.flags.c_contiguous
    np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-5 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.empty((0, 3)), "inputs is empty"),
        (np.empty((0, 4)), "4 columns"),
        (np.empty((4, 0)), "0 columns"),
        (np.empty(0), "shape"),
        (np.float64(1), "shape"),
        (np.array(1.0), "shape"),
        (np.ones(4), "shape"),
        (np.ones((2, 4)), "4 columns"),
        (np.ones((2, 2)), "2 columns"),
        (np.ones((1, 2, 3)), "shape"),
        (np.ma.masked_equal(np.eye(3), 0), "masked"),
        (np.ones((2, 3)) * 1j, "complex"),
        (np.zeros(2, dtype=[("a", "f8"), ("b", "f8"), ("c", "f8")]), "numbers"),
        (np.ones((2, 3)).astype("S3"), "numbers"),
        (None, "expected finite numbers"),
        (Ellipsis, "numbers"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_run_refuses_what_the_reference_refuses(given, words, dtype):
    network = network_of(dtype)
    if isinstance(given, np.ndarray) and given.dtype == "float64" and type(given) is np.ndarray:
        given = given.astype(dtype)
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        network.run(given)
    if not (isinstance(given, np.ndarray) and given.ndim == 1):  # forward has no word for one row
        with pytest.raises(type(caught.value)) as expected:
            network.forward(given)
        assert str(caught.value) == str(expected.value)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -np.nan])
@pytest.mark.parametrize("columns", [3, 8, 11])
def test_run_finds_what_is_not_finite_wherever_it_is(columns, value, dtype):
    network = network_of(dtype, (columns, 4, 2))
    for row in range(4):
        for column in range(columns):
            inputs = np.ones((4, columns), dtype)
            inputs[row, column] = value
            with pytest.raises(
                ValueError, match=rf"inputs has -?(nan|inf) at \({row}, {column}\), expected finite numbers"
            ):
                network.run(inputs)
    with pytest.raises(ValueError, match="expected finite numbers"):
        network.run(np.full(columns, value, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_run_takes_the_largest_and_the_smallest_numbers(dtype):
    network = network_of(dtype, (3, 4, 2), "sigmoid")
    limits = np.finfo(dtype)
    inputs = np.array(
        [[limits.max] * 3, [limits.min] * 3, [limits.tiny] * 3, [limits.smallest_subnormal] * 3, [-0.0] * 3]
    )
    network.parameters = np.abs(network.parameters)
    with np.errstate(over="ignore"):
        expected = network.forward(inputs)
    np.testing.assert_allclose(network.run(inputs), expected, rtol=1e-5)


# Network.run after something has changed


def assert_right(network, inputs=X):
    expected = network.forward(inputs)
    np.testing.assert_allclose(network.run(inputs.astype(network.dtype)), expected, rtol=0, atol=1e-5)


CHANGES = {
    "parameters[:] = ...": lambda n: n.parameters.__setitem__(slice(None), 0.3),
    "parameters = ...": lambda n: setattr(n, "parameters", np.linspace(-1, 1, n.parameters.size)),
    "parameters *= 2": lambda n: n.parameters.__imul__(2),
    "layer.weights = ...": lambda n: setattr(n.layers[0], "weights", np.eye(*n.layers[0].weights.shape)),
    "layer.weights[...] = ...": lambda n: n.layers[1].weights.__setitem__((2, 1), 5.0),
    "layer.bias = ...": lambda n: setattr(n.layers[1], "bias", [3.0, -3.0]),
    "layer.initialize": lambda n: n.layers[0].initialize(np.random.default_rng(9)),
    "train": lambda n: n.train(X, Y, epochs=3, loss="squared_error"),
    "train on the reference": lambda n: n.train(X, Y, epochs=3, loss="squared_error", engine="reference"),
    "train_once": lambda n: n.train_once(X, Y),
    "backward": lambda n: (n.forward(X), n.layers[-1].backward(np.ones((10, 2)))),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("sizes", [(3, 4, 2), (3, 16, 2)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_run_sees_what_has_changed(dtype, sizes, change):
    network = network_of(dtype, sizes)
    before = network.run(X.astype(dtype))
    CHANGES[change](network)
    assert (network.run(X.astype(dtype)) != before).any()
    assert_right(network)
    assert_right(network, X[:1])


@pytest.mark.parametrize(
    "way", [copy.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n)), lambda n: n.astype("float32")]
)
@pytest.mark.parametrize("ran_before", [False, True])
def test_copies_run_on_their_own(way, ran_before):
    network = network_of()
    if ran_before:
        network.run(X)
    twin = way(network)
    expected = network.run(X)
    np.testing.assert_allclose(twin.run(X), expected, rtol=0, atol=1e-6)
    twin.parameters *= 0.5
    assert_right(twin)
    np.testing.assert_array_equal(network.run(X), expected)
    del network
    gc.collect()
    assert_right(twin)


def test_a_network_that_has_run_is_freed_without_the_collector():
    """Nothing that C++ holds leads back to the network."""
    import weakref

    network = network_of()
    network.run(X)
    network.train(X, Y, 2, report_every=0)
    ghost = weakref.ref(network)
    gc.disable()
    try:
        del network
        assert ghost() is None
    finally:
        gc.enable()


def test_a_saved_network_runs(tmp_path):
    network = network_of()
    network.run(X)
    network.save(tmp_path / "network.nineline")
    np.testing.assert_array_equal(Network.load(tmp_path / "network.nineline").run(X), network.run(X))


@pytest.mark.parametrize("kind", ["columns first", "every other column", "swapped bytes", "read-only", "float16"])
def test_training_takes_every_kind_of_array(kind):
    """Data are brought into order once, before the first step."""
    ends = []
    for change in (lambda x: x, KINDS[kind]):
        network = network_of()
        weight = np.arange(10.0)
        network.train(
            change(X.astype("float16").astype(float)),
            change(np.round(Y)),
            epochs=3,
            batch_size=4,
            loss="squared_error",
            optimizer=Adam(0.01),
            sample_weight=change(weight[np.newaxis])[0] if kind != "columns first" else weight,
            validation=(change(np.round(X)), change(np.round(Y))),
            engine="native",
            rng=0,
        )
        ends.append(network.parameters)
    np.testing.assert_array_equal(*ends)
