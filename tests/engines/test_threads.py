"""Threads: the same bits for any number of them, in any company, and Ctrl-C is heard.

The batches here are big enough to be in several parts (`partition` in native/batches.hpp).
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from nineline import Adam, Dropout, GradientDescent, Layer, Network, engines
from nineline.engines import native
from nineline.engines.contract import Rule
from nineline.losses import CrossEntropy
from nineline.rows import Rows

pytestmark = pytest.mark.skipif(
    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
    reason="the native engine was not built, or is turned off",
)

ROWS = 1100
THREADS = [1, 2, 3, 8]

rng = np.random.default_rng(0)
X = rng.normal(size=(ROWS, 20))
Y = np.eye(3)[rng.integers(3, size=ROWS)]
WEIGHT = rng.uniform(0, 2, ROWS)


def network_of(kind, dtype, seed=1):
    layers = {
        "plain": lambda: [Layer(20, 64, "tanh", bias=True), Layer(64, 64, "relu"), Layer(64, 3, "softmax", bias=True)],
        "dropout": lambda: [
            Dropout(0.1),
            Layer(20, 70, "silu", bias=True),
            Dropout(0.3),
            Layer(70, 33, "elu", bias=True),
            Layer(33, 3, "softmax"),
        ],
        # more than 32,768 parameters: the optimizer's step is shared too
        "wide": lambda: [
            Layer(20, 200, "relu", bias=True),
            Layer(200, 190, "tanh", bias=True),
            Layer(190, 3, "softmax"),
        ],
    }[kind]()
    return Network(*layers, rng=seed, dtype=dtype)


def bits_of_training(kind, dtype, threads, batch_size, seed=1, **how):
    """Return everything that a training leaves behind, as bits."""
    network = network_of(kind, dtype, seed)
    options = {
        "epochs": 12 if batch_size is None else 4,
        "loss": "cross_entropy",
        "optimizer": Adam(0.01),
        "validation": 0.3,
        "sample_weight": WEIGHT,
        **how,
    }
    history = network.train(X, Y, batch_size=batch_size, engine="native", threads=threads, rng=seed, **options)
    return network.parameters.tobytes(), tuple(history.loss), tuple(history.validation_loss)


# The same bits


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [None, 300])
@pytest.mark.parametrize("kind", ["plain", "dropout", "wide"])
def test_training_is_the_same_bits_for_any_number_of_threads(kind, batch_size, dtype):
    expected = bits_of_training(kind, dtype, 1, batch_size)
    for threads in [*THREADS, 2, None]:
        assert bits_of_training(kind, dtype, threads, batch_size) == expected, threads


@pytest.mark.parametrize(
    "how",
    [
        {"clip_norm": 0.1},
        {"l1": 1e-3, "l2": 1e-2},
        {"optimizer": GradientDescent(0.1)},
        {"optimizer": Adam(0.01, factors={"bias": 0.5, "0.weights": 0.0})},
        {"loss": CrossEntropy(reduction="sum"), "optimizer": GradientDescent(1e-4, momentum=0.9)},
        {"validation": None, "stop": 3, "optimizer": Adam(0.3)},
    ],
    ids=str,
)
def test_that_holds_for_whatever_a_step_does(how):
    expected = bits_of_training("wide", "float32", 1, 400, **how)
    for threads in THREADS[1:]:
        assert bits_of_training("wide", "float32", threads, 400, **how) == expected, threads


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 63, 64, 65, 128, 129, 1000, 1100])
def test_measuring_and_answering_are_the_same_bits_for_any_number_of_threads(rows, dtype):
    network = network_of("wide", dtype)
    x, y = X[:rows].astype(dtype), Y[:rows].astype(dtype)
    rows = Rows(x, y)
    losses, answers = set(), set()
    for threads in [*THREADS, *THREADS]:
        engine = engines.choose("native", network, Rule("cross_entropy"), threads)
        losses.add(engine.evaluate(rows))
        runner = native._native.Runner(native._layout(network), network.parameters, np.empty, threads)
        answers.add(runner(x).tobytes())
    assert len(losses) == 1
    assert answers == {network.run(x).tobytes()}


@pytest.mark.parametrize("threads", [100, 5_000, 2**70])
def test_at_most_so_many_threads_may_be_more_than_anybody_has_cores(threads):
    expected = bits_of_training("plain", "float32", 1, None, epochs=3)
    assert bits_of_training("plain", "float32", threads, None, epochs=3) == expected


def test_many_calls_at_the_same_time_come_to_an_end():
    """A team of threads lives as long as a call; with more of them than cores, any may be held up at any point."""
    told = told_by_a_child("""
network = Network(20, 64, 64, 1, activation="tanh", output="identity", rng=0, dtype="float32")
x = np.random.default_rng(0).normal(size=(512, 20)).astype("float32")
expected, right = network.run(x), []
from nineline.engines import native
def work():
    runner = native._native.Runner(native._new_layout(network), network.parameters, np.empty, 3)
    outputs = np.empty((512, 1), "float32")
    for _ in range(300):
        runner(x, outputs)
    right.append(np.array_equal(outputs, expected))
workers = [threading.Thread(target=work, daemon=True) for _ in range(4)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join(5)
print(right)
""")
    assert told == [str([True] * 4)]


# In company


def at_the_same_time(work, count):
    """Call work(i) for every i below count, each in a thread of its own."""
    workers = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not any(worker.is_alive() for worker in workers)


@pytest.mark.parametrize("batch_size", [None, 100])
def test_networks_trained_at_the_same_time_are_the_same_bits_as_one_after_the_other(batch_size):
    cases = [
        ("wide", "float32", 2, batch_size, 1),
        ("dropout", "float64", 2, batch_size, 2),
        ("plain", "float32", 1, 7, 3),
    ]
    expected = [bits_of_training(*case) for case in cases]
    found, together = [None] * len(cases), threading.Barrier(len(cases))

    def work(number):
        together.wait()
        found[number] = bits_of_training(*cases[number])

    at_the_same_time(work, len(cases))
    assert found == expected


def test_one_network_answers_many_threads_at_once():
    """While rows are many the engine lets others in, and few rows are answered without it."""
    network = network_of("wide", "float32")
    batches = [X[:rows].astype("float32") for rows in (1, 2, 64, 500, 1100)]
    expected = [network_of("wide", "float32").run(batch) for batch in batches]
    wrong, together = [], threading.Barrier(4)

    def ask(seed):
        together.wait()
        numbers = np.random.default_rng(seed).integers(len(batches), size=100)
        wrong.extend(i for i in numbers if network.run(batches[i]).tobytes() != expected[i].tobytes())

    at_the_same_time(ask, 4)
    assert wrong == []


def test_a_network_answers_while_it_trains():
    """As a picture that follows a training asks it to."""
    network, twin = network_of("plain", "float32"), network_of("plain", "float32")
    how = {
        "epochs": 30,
        "batch_size": 100,
        "loss": "cross_entropy",
        "optimizer": Adam(0.01),
        "engine": "native",
        "rng": 0,
    }
    twin.train(X, Y, **how)
    trainer = threading.Thread(target=lambda: network.train(X, Y, **how), daemon=True)
    trainer.start()
    answers = []
    while trainer.is_alive():
        answers.append(network.run(X[:100].astype("float32")))
    trainer.join()
    assert np.isfinite(answers).all()
    np.testing.assert_array_equal(network.parameters, twin.parameters)


@pytest.mark.parametrize("call", ["steps", "evaluate", "run"])
def test_other_python_threads_go_on_while_the_engine_computes(call):
    """One call of about a third of a second: a ticking thread never waits for all of it."""
    rows = 60_000
    network = Network(20, 128, 128, 1, activation="tanh", rng=0, dtype="float32")
    x, y = np.ones((rows, 20), "float32"), np.ones((rows, 1), "float32")
    data = Rows(x, y)
    engine = engines.choose("native", network, Rule("squared_error"), 1)
    runner = native._native.Runner(native._layout(network), network.parameters, np.empty, 1)
    calls = {
        "steps": lambda: engine.steps(data, None, rows, np.full(4, 1e-6)),
        "evaluate": lambda: engine.evaluate(data),
        "run": lambda: runner(x),
    }
    ticks, over = [], threading.Event()

    def tick():
        while not over.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    try:
        began = time.perf_counter()
        calls[call]()
        ended = time.perf_counter()
    finally:
        over.set()
        ticker.join()
    inside = [began, *(now for now in ticks if began <= now <= ended), ended]
    assert np.diff(inside).max() < (ended - began) / 2, f"{ended - began:.3f} s, {len(inside)} ticks"


# Ctrl-C

BEGINNING = """
import os, signal, sys, threading, time
import numpy as np
from nineline import Adam, Network

sent = []

def interrupt(after):
    def send():
        time.sleep(after)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=send, daemon=True).start()

def waited():
    return time.perf_counter() - sent[0]
"""


def told_by_a_child(code):
    """Run code in another process, for a signal goes to a whole one, and return what it printed."""
    command = [sys.executable, "-c", BEGINNING + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return [each.strip() for each in done.stdout.split("|")]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch_size", [None, 50, 1000])
def test_ctrl_c_ends_a_long_training(batch_size, threads):
    told = told_by_a_child(f"""
network = Network(20, 64, 64, 1, activation="tanh", output="identity", rng=0, dtype="float32")
x = np.random.default_rng(0).normal(size=(1000, 20))
how = dict(batch_size={batch_size}, loss="squared_error", optimizer=Adam(1e-3), threads={threads}, engine="native")
interrupt(0.3)
history = network.train(x, x[:, :1], epochs=10**9, progress=False, **how)
print(waited(), history.stopped, history.steps, np.isfinite(network.parameters).all(), sep="|")
print("", history.loss[-1] < history.loss[0], len(history.loss) == len(history.seconds), sep="|")
print("", network.train(x, x[:, :1], epochs=2, **how).epochs, np.isfinite(network.run(x)).all(), sep="|")
""")
    waited, stopped, steps, finite, better, table, epochs, answers = told
    assert float(waited) < 0.3
    assert stopped.startswith("interrupted in epoch ")
    assert int(steps) > 5
    assert (finite, better, table, epochs, answers) == ("True", "True", "True", "2", "True")


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_one_very_long_step(threads):
    """Six million rows at once; the step is given up, and the network stays where it was."""
    told = told_by_a_child(f"""
network = Network(8, 128, 128, 1, activation="tanh", output="identity", rng=0, dtype="float32")
before = network.parameters.copy()
rows = 6_000_000
x = np.ones((rows, 8), "float32")
interrupt(0.6)
history = network.train(x, x[:, :1], epochs=5, progress=False, threads={threads}, loss="squared_error", engine="native")
print(waited(), history.stopped, history.steps, np.array_equal(network.parameters, before), sep="|")
""")
    waited, stopped, steps, unchanged = told
    assert float(waited) < 0.3
    assert (stopped, steps, unchanged) == ("interrupted in epoch 1", "0", "True")


def test_ctrl_c_ends_a_very_long_validation():
    told = told_by_a_child("""
network = Network(8, 128, 128, 1, activation="tanh", output="identity", rng=0, dtype="float32")
x = np.ones((5_000_000, 8), "float32")
how = dict(epochs=5, progress=False, threads=1, loss="squared_error", engine="native")
interrupt(0.5)
history = network.train(x[:10], x[:10, :1], validation=(x, x[:, :1]), **how)
print(waited(), history.stopped, history.steps, history.epochs, len(history.validation_loss), sep="|")
""")
    waited, stopped, steps, epochs, measured = told
    assert float(waited) < 0.3
    assert (stopped, steps, epochs, measured) == ("interrupted in epoch 1", "1", "0", "0")


def test_ctrl_c_ends_a_very_long_run():
    """There is no History to return, so it is a KeyboardInterrupt as anywhere; afterwards the network answers."""
    told = told_by_a_child("""
network = Network(8, 256, 256, 1, activation="tanh", output="identity", rng=0, dtype="float32")
x = np.ones((2_000_000, 8), "float32")
network.run(x[:3])
interrupt(0.4)
try:
    network.run(x)
except KeyboardInterrupt:
    print(waited(), network.run(x[:2]).shape, sep="|")
""")
    waited, shape = told
    assert float(waited) < 0.3
    assert shape == "(2, 1)"


def test_a_signal_that_somebody_handles_changes_nothing():
    told = told_by_a_child("""
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(1))
x = np.random.default_rng(0).normal(size=(500, 20))
def train():
    network = Network(20, 64, 64, 1, activation="tanh", output="identity", rng=0)
    network.train(x, x[:, :1], epochs=200, progress=False, loss="squared_error", optimizer=Adam(1e-3), engine="native")
    return network.parameters
undisturbed = train()
for i in range(5):
    interrupt(0.02 * i)
disturbed = train()
time.sleep(0.2)
print(len(heard) > 0, np.array_equal(disturbed, undisturbed), sep="|")
""")
    assert told == ["True", "True"]


# Callbacks


@pytest.mark.parametrize("batch_size", [None, 64])
def test_on_epoch_is_called_after_every_epoch(batch_size):
    seen = []
    network = network_of("plain", "float32")

    def look(epoch):
        seen.append((epoch.number, epoch.loss, epoch.network.parameters.tobytes()))
        return epoch.number == 7

    history = network.train(
        X,
        Y,
        epochs=20,
        batch_size=batch_size,
        loss="cross_entropy",
        optimizer=Adam(0.01),
        on_epoch=look,
        engine="native",
    )
    assert [number for number, _, _ in seen] == [1, 2, 3, 4, 5, 6, 7]
    assert [loss for _, loss, _ in seen] == history.loss
    assert len({parameters for _, _, parameters in seen}) == 7
    assert history.stopped == "on_epoch asked to, after epoch 7"


def test_what_on_epoch_raises_comes_out():
    def fail(epoch):
        if epoch.number == 3:
            raise LookupError("enough")

    network = network_of("plain", "float32")
    with pytest.raises(LookupError, match="enough"):
        network.train(X, Y, epochs=5, loss="cross_entropy", on_epoch=fail, engine="native")
    assert np.isfinite(network.parameters).all()


def test_on_epoch_may_change_the_network():
    """It hands over parameters between calls, so what a callback writes is what training goes on from."""
    ends = {}
    for engine in ("native", "reference"):
        network = network_of("plain", "float64")

        def halve(epoch):
            epoch.network.parameters *= 0.5

        network.train(X, Y, epochs=5, loss="cross_entropy", on_epoch=halve, engine=engine)
        ends[engine] = network.parameters
    np.testing.assert_allclose(ends["native"], ends["reference"], rtol=1e-9, atol=1e-12)
