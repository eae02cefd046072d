"""``python -m tests.soak``: threads, forks and signals at random over a few networks, until something is wrong.

What a test of one thing does not find, many at once may: threads train, answer, save and load, the process forks,
and handlers of signals answer, each with what must come out. A watchdog ends it where nothing moves, and memory may not
grow. `make soak` runs it for an hour, `.ci/run` for a minute.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import gc
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np

from nineline import Activation, Adam, Network, Trainer
from nineline.estimators import MLPClassifier, TabularRegressor
from nineline.files import FileError

HANGS = 90.0
"""Seconds without a finished action of a thread that count as a hang."""
GROWTH = 60.0
"""MB that the process may grow in the second half."""


class Sine(Activation):
    """Known to the reference engine alone."""

    def value(self, z):
        return np.sin(z)

    def derivative(self, z, outputs):
        return np.cos(z)


def parameters_after_training(network, threads):
    twin = network.copy()
    twin.train(X, Y, epochs=2, batch_size=32, loss="squared_error", optimizer=Adam(0.01), rng=3, threads=threads)
    return twin.parameters


RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(400, 6)), RNG.normal(size=(400, 2))
NETWORKS = [
    Network(6, 16, 2, activation="tanh", output="identity", bias=True, rng=0),
    Network(6, 200, 200, 2, activation="relu", output="identity", bias=True, rng=1),
    Network(6, 16, 2, activation=Sine(), output="identity", bias=True, rng=2),
]
TINY = X[:1], Y[:1]


class Soak:
    """Everything that goes on, and what came of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.over = threading.Event()
        self.counts: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []
        self.alive: dict[str, float] = {}
        self.answers = [network.run(X) for network in NETWORKS]
        self.trained = [parameters_after_training(network, 1) for network in NETWORKS]
        self.shared = Trainer(Network(6, 32, 2, activation="tanh", output="identity", rng=5), optimizer="adam")
        self.steps = 0
        self.wanted, self.interrupt_after = threading.Event(), 0.0
        self.counting = threading.Lock()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few epochs are meant
            self.classifier = MLPClassifier((8,), max_iter=5, random_state=0).fit(X, Y[:, 0] > 0)
            self.table = TabularRegressor(max_epochs=3, n_members=1, random_state=0).fit(X, Y[:, 0])
        self.classes, self.numbers = self.classifier.predict_proba(X), self.table.predict(X)
        for number, network in enumerate(NETWORKS[:2]):
            network.save(self.folder / f"{number}.nineline")

    # What is done; each raises AssertionError where it is wrong.

    def answer(self, rng: random.Random) -> None:
        which, rows = rng.randrange(3), rng.choice([1, 7, 400])
        same(NETWORKS[which].run(X[:rows]), self.answers[which][:rows], 1e-12)

    def train(self, rng: random.Random) -> None:
        which = rng.randrange(3)
        same(parameters_after_training(NETWORKS[which], rng.choice([1, 2, 3])), self.trained[which])

    def step_together(self, rng: random.Random) -> None:
        rows = rng.sample(range(400), 40)
        assert np.isfinite(self.shared.step(X[rows], Y[rows])), "a shared step's loss is not finite"
        with self.counting:
            self.steps += 1

    def save_and_load(self, rng: random.Random) -> None:
        path = self.folder / f"both-{rng.randrange(2)}.nineline"
        NETWORKS[rng.randrange(2)].save(path)
        found = Network.load(path).parameters
        assert any(np.array_equal(found, network.parameters) for network in NETWORKS[:2]), (
            "a file holds neither network"
        )

    def damaged(self, rng: random.Random) -> None:
        data = bytearray((self.folder / "0.nineline").read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path = self.folder / f"damaged-{threading.get_ident()}.nineline"
        path.write_bytes(data)
        try:
            Network.load(path)
        except FileError:
            return
        raise AssertionError("a damaged file was loaded")

    def predict(self, rng: random.Random) -> None:
        same(self.classifier.predict_proba(X), self.classes)
        if rng.random() < 0.3:
            same(self.table.predict(X), self.numbers)

    def fit(self, rng: random.Random) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            twin = MLPClassifier((8,), max_iter=5, random_state=0).fit(X, Y[:, 0] > 0)
        same(twin.predict_proba(X), self.classes)

    def fork(self, rng: random.Random) -> None:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
                for which in range(3):
                    same(NETWORKS[which].run(X), self.answers[which], 1e-12)
                    same(parameters_after_training(NETWORKS[which], 2), self.trained[which])
                self.shared.step(X[:40], Y[:40])
                status = 0
            finally:
                os._exit(status)
        until = time.monotonic() + HANGS / 2
        while time.monotonic() < until:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                assert status == 0, f"a child ended with {os.waitstatus_to_exitcode(status)}"
                return
            time.sleep(0.005)
        os.kill(child, signal.SIGABRT)
        os.waitpid(child, 0)
        raise AssertionError("a child hangs")

    # Threads

    def interrupt(self) -> None:
        """Press Ctrl-C, as often as it is wanted."""
        while True:
            self.wanted.wait()
            self.wanted.clear()
            time.sleep(self.interrupt_after)
            os.kill(os.getpid(), signal.SIGINT)

    def work(self, name: str, actions: list[str]) -> None:
        rng = random.Random(f"{self.seed} {name}")
        while not self.over.is_set():
            action = rng.choice(actions)
            try:
                getattr(self, action)(rng)
            except KeyboardInterrupt:
                self.counts["heard by polars"] += 1  # it answers Ctrl-C in whatever thread it works
            except Exception as error:
                self.failures.append(f"{action}: {type(error).__name__}: {error}")
                self.over.set()
            self.counts[action] += 1
            self.alive[name] = time.monotonic()

    def main_thread(self, until: float) -> list[float]:
        """Train, interrupted by signals, as only the main thread can be; return the memory over time."""
        rng, memory = random.Random(f"{self.seed} main"), []

        def handler(*_: object) -> None:
            self.answer(rng)
            self.counts["answer in a handler"] += 1

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.03)
        while time.monotonic() < until and not self.over.is_set():
            self.train(rng)
            network = NETWORKS[rng.randrange(3)].copy()
            try:
                self.interrupt_after = rng.uniform(0.005, 0.05)
                self.wanted.set()
                history = network.train(X, Y, 10**7, loss="squared_error", optimizer="adam", report_every=0)
                assert history.stopped.startswith("interrupted"), history.stopped
                self.counts["interrupted"] += 1
            except KeyboardInterrupt:  # before the first step, or after the last
                self.counts["interrupted outside"] += 1
            assert np.isfinite(network.parameters).all(), "an interrupted network is not finite"
            self.counts["main"] += 1
            gc.collect()
            memory.append(resident())
            silent = [name for name, when in self.alive.items() if time.monotonic() - when > HANGS]
            assert not silent, f"{silent} hang"
            faulthandler.dump_traceback_later(2 * HANGS, exit=True)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return memory


def same(found, expected, rtol: float = 0.0) -> None:
    assert np.allclose(found, expected, rtol=rtol, atol=rtol), "an answer is another"


def resident() -> float:
    """Return the memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0, help="how long (%(default)g)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    faulthandler.enable()
    faulthandler.dump_traceback_later(2 * HANGS, exit=True)
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), arguments.seed)
        threads = [
            threading.Thread(target=soak.work, args=(name, actions), daemon=True)
            for name, actions in {
                "answers": ["answer", "predict"],
                "trains": ["train", "step_together", "step_together"],
                "also": ["step_together", "answer", "fit"],
                "files": ["save_and_load", "damaged"],
                "more files": ["save_and_load", "answer"],
                "forks": ["fork", "answer"],
            }.items()
        ]
        for thread in threads:
            thread.start()
        threading.Thread(target=soak.interrupt, daemon=True).start()
        try:
            memory = soak.main_thread(time.monotonic() + arguments.seconds)
        except AssertionError as error:
            soak.failures.append(f"main: {error}")
            memory = []
        soak.over.set()
        for thread in threads:
            thread.join(HANGS)
            if thread.is_alive():
                soak.failures.append("a thread hangs")
                faulthandler.dump_traceback()
        if soak.shared.steps_taken != soak.steps:
            soak.failures.append(f"{soak.steps:,} shared steps were asked for, {soak.shared.steps_taken:,} taken")
    half = len(memory) // 2
    if half > 20 and (grown := np.median(memory[-10:]) - np.median(memory[half : half + 10])) > GROWTH:
        soak.failures.append(f"memory grew by {grown:.0f} MB in the second half")
    print(", ".join(f"{count:,} × {action}" for action, count in sorted(soak.counts.items())))
    if memory:
        print(f"memory {memory[0]:.0f} MB at first, {memory[half]:.0f} half-way, {memory[-1]:.0f} in the end")
    for failure in soak.failures:
        print(f"FAILED  {failure}", file=sys.stderr)
    return 1 if soak.failures else 0


if __name__ == "__main__":
    sys.exit(main())
