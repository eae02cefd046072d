"""Where there was no C++ compiler, everything works on the reference."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

from nineline import Adam, Dropout, Layer, Network
from nineline.activations import ACTIVATIONS
from nineline.engines import native
from nineline.losses import LOSSES
from nineline.optimizers import OPTIMIZERS

X = np.array([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y = np.array([[0.0], [1], [1], [0]])


@pytest.fixture(autouse=True)
def without_native(monkeypatch):
    """Take the engine away, as it is where it was not built."""
    monkeypatch.setattr(native, "_native", None)


def network_of(dtype="float64"):
    return Network(Layer(3, 6, "tanh", bias=True), Dropout(0.2), Layer(6, 1, "sigmoid"), rng=0, dtype=dtype)


def test_auto_is_the_reference():
    ends = []
    for engine in ("auto", "reference"):
        network = network_of()
        history = network.train(X, Y, epochs=20, batch_size=3, validation=(X, Y), engine=engine, rng=0)
        assert history.engine == "reference"
        ends.append([network.parameters.tolist(), history.loss, history.validation_loss])
    assert ends[0] == ends[1]


def test_native_is_refused_with_the_way_out():
    network, rng = network_of(), np.random.default_rng(0)
    before, state = network.parameters.copy(), rng.bit_generator.state
    with pytest.raises(ValueError, match=r"engine is 'native', but the native engine was not built; .*C\+\+ compiler"):
        network.train(X, Y, epochs=2, engine="native", rng=rng, validation=0.5)
    np.testing.assert_array_equal(network.parameters, before)
    assert rng.bit_generator.state == state


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_the_number_of_threads_says_nothing(threads):
    assert network_of().train(X, Y, epochs=2, threads=threads).engine == "reference"


@pytest.mark.parametrize("level", ["", "baseline", "unheard of"])
def test_nor_does_the_instruction_set(level, monkeypatch):
    monkeypatch.setenv("NINELINE_SIMD", level)
    network = network_of()
    assert network.train(X, Y, epochs=2).engine == "reference"
    np.testing.assert_array_equal(network.run(X), network.forward(X))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_run_is_forward(dtype):
    network = network_of(dtype)
    inputs = X.astype(dtype)
    np.testing.assert_array_equal(network.run(inputs), network.forward(inputs))
    np.testing.assert_array_equal(network.run(X.tolist()), network.forward(inputs))
    np.testing.assert_array_equal(network.run(inputs[1]), network.forward(inputs[1:2])[0])
    network.parameters *= 2
    np.testing.assert_array_equal(network.run(inputs), network.forward(inputs))
    for bad in (np.full((2, 3), np.nan, dtype), np.ones((2, 4), dtype), np.ones((0, 3), dtype), None):
        with pytest.raises(ValueError, match="inputs"):
            network.run(bad)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_trains_and_runs(activation):
    network = Network(3, 2, 1, activation=activation, output="identity", rng=0)
    assert network.train(X, Y, epochs=3, loss="squared_error").engine == "reference"
    assert np.isfinite(network.run(X)).all()


def test_every_loss_and_optimizer_trains():
    outputs = {"binary_cross_entropy": "sigmoid", "cross_entropy": "softmax", "poisson": "exponential"}
    for loss in LOSSES:
        for optimizer in OPTIMIZERS:
            if optimizer == "levenberg_marquardt" and loss not in outputs and loss != "squared_error":
                continue  # it has no residuals
            network = Network(3, 2, output=outputs.get(loss, "identity"), rng=0)
            targets = np.hstack([Y, 1 - Y])
            history = network.train(X, targets, epochs=20, loss=loss, optimizer=optimizer)
            assert history.engine == "reference"
            assert history.loss[-1] < history.loss[0]


def test_copies_and_files(tmp_path):
    network = network_of()
    network.train(X, Y, epochs=3, optimizer=Adam(0.1))
    expected = network.run(X)
    network.save(tmp_path / "network.nineline")
    for twin in (
        copy.deepcopy(network),
        pickle.loads(pickle.dumps(network)),
        Network.load(tmp_path / "network.nineline"),
    ):
        np.testing.assert_array_equal(twin.run(X), expected)


def test_a_network_goes_over_to_the_reference_and_back(monkeypatch):
    """A pickle from a machine with the engine runs on one without, and the other way round."""
    network = network_of()
    expected = network.run(X)
    carried = pickle.dumps(network)
    monkeypatch.undo()
    if native._native is None:
        pytest.skip("the native engine was not built")
    with_engine = pickle.loads(carried)
    np.testing.assert_allclose(with_engine.run(X), expected, rtol=1e-13)
    carried = pickle.dumps(with_engine)
    monkeypatch.setattr(native, "_native", None)
    np.testing.assert_array_equal(pickle.loads(carried).run(X), expected)


def test_importing_without_the_module():
    """Not only taken away afterwards: never there."""
    code = """
import sys
sys.modules["nineline.engines._native"] = None  # makes importing it an ImportError
from nineline import Network
from nineline.engines import native
network = Network(3, 6, 1, rng=1)
history = network.train([[0, 0, 1], [0, 1, 1]], [[0], [1]], 50, report_every=0)
print(native._native, history.engine, network.run([[0, 0, 1]]).shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None reference (1, 1)"
    assert done.stderr == ""
