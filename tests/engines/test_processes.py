"""Forks, signals, and the end of a process, while another thread is inside a network: each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from nineline.engines import native

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="here processes do not fork")

BEGIN = """
    import os, signal, sys, threading, time
    import numpy as np
    from nineline import Activation, Layer, Network, Trainer

    class Sine(Activation):
        def value(self, z):
            return np.sin(z)
        def derivative(self, z, outputs):
            return np.cos(z)

    def ends(child, seconds=20):
        '''Return the exit status of a child, or end it.'''
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "hangs"

    kind = sys.argv[1]
    activation = {"native": "tanh", "reference": Sine()}[kind]
    network = Network(20, 300, 300, 3, activation=activation, output="identity", bias=True, rng=0)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(4000, 20)), rng.normal(size=(4000, 3))
    truth = network.run(X[:5])

    def always(work):
        def loop():
            while True:
                work()
        threading.Thread(target=loop, daemon=True).start()
        time.sleep(0.1)
"""


def run(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(BEGIN) + textwrap.dedent(code), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return done.stdout.split()


NATIVE = pytest.mark.skipif(native._native is None, reason="the native engine was not built")
ENGINES = pytest.mark.parametrize("engine", [pytest.param("native", marks=NATIVE), "reference"])


@ENGINES
def test_a_child_answers_that_was_forked_while_another_thread_runs(engine):
    code = """
        always(lambda: network.run(X))
        for _ in range(10):
            child = os.fork()
            if child == 0:
                right = np.array_equal(network.run(X[:5]), truth) and network.run(X).shape == (4000, 3)
                os._exit(0 if right else 1)
            print(ends(child))
        os._exit(0)
    """
    assert run(code, engine) == ["0"] * 10


@ENGINES
def test_a_child_trains_that_was_forked_while_another_thread_trains(engine):
    """And what it begins with is what a whole step left: its parameters are those that a record of all steps has."""
    code = """
        small = Network(20, 60, 3, activation=activation, output="identity", bias=True, rng=0)
        trainer, seen = Trainer(small, optimizer="adam"), []
        def step():
            trainer.step(X[:600], Y[:600])
            seen.append(hash(small.parameters.tobytes()))
        always(step)
        for _ in range(10):
            before = len(seen)
            child = os.fork()
            if child == 0:
                here = hash(small.parameters.tobytes())
                twin = small.copy()
                loss = trainer.step(X[:600], Y[:600])
                small.train(X, Y, 1, loss="squared_error", report_every=0)
                with os.fdopen(int(sys.argv[2]) if len(sys.argv) > 2 else 1, "w") as out:
                    print(here, file=out)
                os._exit(0)
            print(ends(child))
            time.sleep(0.02)
        sys.stdout.flush()
        print("steps", *seen)
        sys.stdout.flush()
        os._exit(0)
    """
    words = run(code, engine)
    steps = set(words[words.index("steps") + 1 :])
    found = words[: words.index("steps")]
    assert found.count("0") == 10
    hashes = [word for word in found if word != "0"]
    assert len(hashes) == 10
    assert set(hashes) <= steps


@ENGINES
def test_a_handler_of_signals_may_run_the_network_that_it_interrupted(engine):
    code = """
        answers = []
        def handler(*_):
            answers.append(np.array_equal(network.run(X[:5]), truth))
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        whole, until = network.compute(X), time.monotonic() + 1.5
        large = np.tile(X, (20, 1))
        while time.monotonic() < until or len(answers) < 5:
            assert np.allclose(network.run(large)[:4000], whole, rtol=1e-9)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(all(answers))
    """
    assert run(code, engine) == ["True"]


@ENGINES
def test_ctrl_c_leaves_no_network_closed_to_other_threads(engine):
    code = """
        trainer = Trainer(Network(6, 4, 1, activation=activation, rng=0))
        rows, targets, heard = X[:2, :6].copy(), Y[:2, :1].copy(), 0
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-4 * (1 + heard % 7))
                while True:
                    trainer.step(rows, targets)
            except KeyboardInterrupt:
                heard += 1
        thread = threading.Thread(target=trainer.step, args=(rows, targets), daemon=True)
        thread.start()
        thread.join(10)
        print(heard > 100, thread.is_alive())
        sys.stdout.flush()
        os._exit(0)
    """
    begin = "signal.signal(signal.SIGALRM, signal.default_int_handler)"
    assert run(code.replace("trainer =", begin + "\n        trainer =", 1), engine) == ["True", "False"]


@NATIVE
@pytest.mark.parametrize(
    "work",
    ["network.run(X)", "network.train(X, Y, epochs=3, batch_size=50)", "trainer.step(X[:900], Y[:900])"],
)
def test_a_process_ends_quietly_while_a_daemon_thread_is_inside(work):
    """Inside the native engine. Inside NumPy it is up to NumPy, whose linear algebra ends before such a thread does."""
    code = f"""
        trainer = Trainer(Network(20, 300, 3, activation=activation, output="identity", rng=0))
        for _ in range(3):
            always(lambda: {work})
        print("over")
    """
    for _ in range(3):
        assert run(code, "native") == ["over"]


@ENGINES
def test_running_in_one_thread_leaves_training_in_another_as_it_is(engine):
    code = """
        def trained(also):
            twin = network.copy()
            over = threading.Event()
            def answer():
                while not over.is_set():
                    also(twin)
            thread = threading.Thread(target=answer)
            thread.start()
            twin.train(X[:300], Y[:300], epochs=12, batch_size=30, loss="squared_error", rng=1, optimizer="adam")
            over.set()
            thread.join()
            return twin.parameters
        alone = trained(lambda twin: time.sleep(0.001))
        for also in (
            lambda twin: twin.run(X[:7]),
            lambda twin: twin.run(X[:7].tolist()),
            lambda twin: Trainer(twin, engine="reference").evaluate(X[:7], Y[:7]),
        ):
            print(np.array_equal(trained(also), alone))
    """
    assert run(code, engine) == ["True"] * 3


@NATIVE
def test_memory_of_a_wide_layer_follows_rows_times_width():
    """A million outputs of 4 rows are 16 MB, and the parameters 8: no more than a few times that is taken."""
    code = """
        import resource
        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        wide = Network(Layer(2, 10**6, "identity", dtype="float32", rng=0))
        X, Y = np.ones((4, 2), "f4"), np.ones((4, 10**6), "f4")
        before = peak()
        wide.run(X)
        ran = peak()
        Trainer(wide).step(X, Y)
        print(int(ran - before), int(peak() - ran))
    """
    ran, stepped = map(int, run(code, "native"))
    assert ran < 150
    assert stepped < 400
