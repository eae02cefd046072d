"""The engine is compiled once per instruction set; each that this processor has computes what the reference does."""

from __future__ import annotations

import copy
import os
import subprocess
import sys

import numpy as np
import pytest

from nineline import Dropout, Layer, Network
from nineline.activations import ACTIVATIONS
from nineline.engines import native
from nineline.losses import LOSSES
from nineline.optimizers import OPTIMIZERS, WholeBatchOptimizer

pytestmark = pytest.mark.skipif(
    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
    reason="the native engine was not built, or is turned off",
)

LEVELS = native._native.levels() if native._native is not None else [""]
DTYPES = ["float32", "float64"]
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}

rng = np.random.default_rng(0)


@pytest.fixture(params=LEVELS)
def level(request, monkeypatch):
    """Choose an instruction set: the environment is read whenever a model is made."""
    monkeypatch.setenv("NINELINE_SIMD", request.param)
    assert native.level() == request.param
    return request.param


def assert_near(ours, theirs, dtype, scale=None):
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    largest = np.abs(theirs if scale is None else scale).max()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE[dtype] * max(largest, 1e-30))


def assert_reference(network, inputs, targets, **how):
    """Train a copy on either engine and hold all that comes out against each other."""
    options = {"epochs": 6, "batch_size": 16, "loss": "squared_error", "optimizer": "adam", **how}
    twins, histories = {}, {}
    for engine in ("native", "reference"):
        twins[engine] = copy.deepcopy(network)
        histories[engine] = twins[engine].train(inputs, targets, engine=engine, rng=0, **options)
        assert histories[engine].engine == engine
    dtype = network.dtype.name
    assert_near(twins["native"].parameters, twins["reference"].parameters, dtype)
    assert_near(histories["native"].loss, histories["reference"].loss, dtype)
    if "validation" in how:
        assert_near(histories["native"].validation_loss, histories["reference"].validation_loss, dtype)
    for rows in (1, 2, 17, len(inputs)):
        assert_near(twins["native"].run(inputs[:rows]), twins["native"].forward(inputs[:rows]), dtype)


def data(rows, inputs, outputs):
    return rng.normal(size=(rows, inputs)), rng.normal(size=(rows, outputs))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "sizes", [(1, 1), (3, 5, 2), (7, 16, 17, 3), (33, 100, 15, 1), (17, 2, 33), (5, 4, 3, 2), (16, 8, 64, 4)], ids=str
)
def test_odd_sizes(level, sizes, dtype):
    network = Network(*sizes, activation="silu", output="identity", bias=True, rng=1, dtype=dtype)
    assert_reference(network, *data(83, sizes[0], sizes[-1]), batch_size=19)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(level, activation, dtype):
    if activation == "exponential":
        network = Network(
            3, 6, 2, activation=activation, output="identity", initializer="zeros", bias=True, dtype=dtype
        )
        network.parameters = rng.uniform(-0.5, 0.5, network.parameters.size)
    else:
        network = Network(3, 6, 9, 2, activation=activation, output="identity", bias=True, rng=1, dtype=dtype)
    assert_reference(network, *data(40, 3, 2))


TARGETS = {
    "cross_entropy": ("softmax", np.eye(3)),
    "binary_cross_entropy": ("sigmoid", np.eye(3)),
    "poisson": ("softplus", 2 * np.eye(3)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(level, loss, dtype):
    output, kinds = TARGETS.get(loss, ("identity", rng.normal(size=(3, 3))))
    network = Network(4, 17, 3, activation="tanh", output=output, bias=True, rng=1, dtype=dtype)
    how = {"sample_weight": rng.uniform(0, 2, 50), "clip_norm": 0.1, "validation": 0.2}
    assert_reference(network, rng.normal(size=(50, 4)), kinds[rng.integers(3, size=50)], loss=loss, **how)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "optimizer", [each for each in OPTIMIZERS.values() if not issubclass(each, WholeBatchOptimizer)]
)
def test_every_optimizer_with_dropout_and_penalties(level, optimizer, dtype):
    layers = Dropout(0.1), Layer(9, 20, "elu", bias=True), Dropout(0.4), Layer(20, 2, "tanh", bias=True)
    rule = optimizer(0.001, factors={"1.weights": 0.5, "bias": 2.0})
    how = {"optimizer": rule, "schedule": "cosine", "l2": 0.01, "validation": 0.2, "threads": 3}
    assert_reference(Network(*layers, rng=1, dtype=dtype), *data(90, 9, 2), **how)


def test_threads_share_a_batch_at_every_level(level):
    network = Network(20, 64, 64, 1, activation="tanh", output="identity", rng=1)
    assert_reference(network, *data(600, 20, 1), batch_size=None, threads=2)


# Which one runs


def test_the_plainest_is_always_there_and_the_best_is_taken(monkeypatch):
    monkeypatch.delenv("NINELINE_SIMD", raising=False)
    assert LEVELS[0] in {"baseline", "neon"}
    assert native.level() == LEVELS[-1]
    monkeypatch.setenv("NINELINE_SIMD", "")
    assert native.level() == LEVELS[-1]


@pytest.mark.parametrize("level", [*LEVELS, "sse9"])
def test_the_environment_of_a_process_chooses(level):
    code = """
from nineline import Network
from nineline.engines import native
network = Network(3, 5, 1, rng=0)
try:
    print(native.level(), network.train([[0, 0, 1]], [[1]], epochs=2).engine, network.run([[1, 0, 1]]).shape)
except ValueError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NINELINE_SIMD": level},
        capture_output=True,
        text=True,
        check=True,
    )
    known = f"NINELINE_SIMD is 'sse9'; expected one of {', '.join(LEVELS)}, or none"
    assert done.stdout.strip() == (known if level == "sse9" else f"{level} native (1, 1)")


@pytest.mark.parametrize(
    "call",
    [
        lambda n, rng: n.train([[0, 0, 1]], [[1]], epochs=2, rng=rng),
        lambda n, rng: n.train([[0, 0, 1]], [[1]], epochs=2, engine="native", rng=rng),
        lambda n, rng: n.run([[0, 0, 1]]),
    ],
    ids=["train", "train natively", "run"],
)
@pytest.mark.parametrize("unknown", ["AVX2", "avx", "None", " "])
def test_an_unknown_level_is_an_error_that_says_which_there_are(call, unknown, monkeypatch):
    monkeypatch.setenv("NINELINE_SIMD", unknown)
    network, rng = Network(3, 5, 1, rng=0), np.random.default_rng(0)
    before, state = network.parameters.copy(), rng.bit_generator.state
    with pytest.raises(ValueError, match=f"NINELINE_SIMD is '{unknown}'; expected one of {LEVELS[0]}"):
        call(network, rng)
    np.testing.assert_array_equal(network.parameters, before)
    assert rng.bit_generator.state == state
    assert network.train([[0, 0, 1]], [[1]], epochs=2, engine="reference").engine == "reference"


def test_none_turns_the_engine_off(monkeypatch):
    network = Network(3, 5, 1, rng=0)
    monkeypatch.setenv("NINELINE_SIMD", "none")
    np.testing.assert_array_equal(network.run([[0, 0, 1]]), network.forward([[0, 0, 1]]))
    assert network.train([[0, 0, 1]], [[1]], epochs=2).engine == "reference"
    with pytest.raises(ValueError, match="engine is 'native', but NINELINE_SIMD is 'none'"):
        network.train([[0, 0, 1]], [[1]], epochs=2, engine="native")
