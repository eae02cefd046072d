"""XGBoost's collective, with real processes: the same bits everywhere, and an error soon where one of them is gone."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from nineline import Adam, Network

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("xgboost") is None, reason='xgboost is not installed (pip install "nineline[dask]")'
)

LONGEST = 30  # seconds until all processes have ended

# What a process does, and the end of its line: what it has found.
BEGIN = """
import json, os, signal, sys, time
from pathlib import Path
import numpy as np
from nineline import Adam, Network
from nineline.parallel import ParallelError, XGBoostCollective, XGBoostTracker

folder = Path(sys.argv[1])
rank, size, started, timeout = map(int, sys.argv[2:6])
if rank == 0:
    tracker = XGBoostTracker(size, "127.0.0.1")
    (folder / "tracker.json").write_text(json.dumps(tracker.arguments))
(folder / f"{rank}.here").touch()
while len(list(folder.glob("*.here"))) < started:
    time.sleep(0.01)
draws = np.random.default_rng(0)
X = draws.normal(size=(48, 3))
Y = np.tanh(X @ [[1.0], [-2.0], [0.5]])
mine = slice(rank, None, size)

def small():
    return Network(3, 4, 1, activation="tanh", output="identity", bias=True, rng=rank)

def tell(**found):
    print(json.dumps({"rank": rank, **found}), flush=True)

try:
    collective = XGBoostCollective(json.loads((folder / "tracker.json").read_text()), rank, size, timeout)
except ParallelError as error:
    tell(error=str(error))
    sys.exit()
"""


@pytest.fixture
def processes(tmp_path):
    """Return a function that runs a script on so many processes, and returns what each told, and how each ended."""

    def run(size, script, *arguments, timeout=20, start=None):
        (tmp_path / "script.py").write_text(BEGIN + script)
        began, running, found = time.perf_counter(), [], []
        started = size if start is None else start
        for rank in range(started):
            given = [tmp_path, rank, size, started, timeout, *arguments]
            with (tmp_path / f"{rank}.out").open("w") as out, (tmp_path / f"{rank}.err").open("w") as err:
                command = [sys.executable, str(tmp_path / "script.py"), *map(str, given)]
                running.append(subprocess.Popen(command, stdout=out, stderr=err))
        try:
            codes = [process.wait(timeout=60) for process in running]
        finally:
            for process in running:
                process.kill()
                process.wait()
        for rank, code in enumerate(codes):
            found += map(json.loads, re.findall(r"^{.*}$", (tmp_path / f"{rank}.out").read_text(), re.MULTILINE))
            assert code in (0, -9), (tmp_path / f"{rank}.err").read_text()
        run.seconds = time.perf_counter() - began
        return found, codes

    return run


SUMS = """
for length in (1, 3, 5, 5003):
    for dtype in ("float32", "float64"):
        given = np.random.default_rng([rank, length]).normal(size=length).astype(dtype)
        collective.allreduce(given)
        tell(case=f"{length} {dtype}", bits=given.tobytes().hex())
assert collective.maximum(rank) == size - 1
assert collective.broadcast(b"first" if rank == 0 else b"") == b"first"
assert collective.broadcast(b"") == b""
assert collective.broadcast(np.full(3, float(rank)), root=size - 1).tolist() == [size - 1] * 3
collective.barrier()
for name, how in {
    "descent": {"epochs": 3, "batch_size": 12, "shuffle": False, "optimizer": "gradient_descent"},
    "adam": {"epochs": 3, "batch_size": 12, "shuffle": False, "optimizer": Adam(0.01), "l2": 0.01},
    "lbfgs": {"epochs": 8, "optimizer": "lbfgs"},
}.items():
    network = small()
    network.train(X[mine], Y[mine], loss="squared_error", rng=rank, parallel=collective, **how)
    tell(case=name, bits=network.parameters.tobytes().hex())
"""


def along_a_ring(arrays):
    """Return the sum of arrays, one a process, in the order that is promised."""
    size, length = len(arrays), len(arrays[0])
    total = np.empty_like(arrays[0])
    for first in range(size):
        piece = slice(first * (length // size), (first + 1) * (length // size) if first < size - 1 else length)
        ranks = [(first + step) % size for step in range(size)] if length >= size else range(size)
        total[piece] = 0
        for rank in ranks:
            total[piece] += arrays[rank][piece]
    return total


@pytest.mark.parametrize("size", [2, 3, 4])
def test_sums_have_one_order_and_steps_are_those_of_one(size, processes):
    found, _ = processes(size, SUMS)
    by_case = {}
    for each in found:
        by_case.setdefault(each["case"], []).append(each["bits"])
    assert all(len(bits) == size and len(set(bits)) == 1 for bits in by_case.values())
    for length in (1, 3, 5, 5003):
        for dtype in ("float32", "float64"):
            arrays = [np.random.default_rng([rank, length]).normal(size=length).astype(dtype) for rank in range(size)]
            assert by_case[f"{length} {dtype}"][0] == along_a_ring(arrays).tobytes().hex()
    draws = np.random.default_rng(0)
    X = draws.normal(size=(48, 3))
    Y = np.tanh(X @ [[1.0], [-2.0], [0.5]])
    for case, how in {
        "descent": {"epochs": 3, "batch_size": 12, "shuffle": False, "optimizer": "gradient_descent"},
        "adam": {"epochs": 3, "batch_size": 12, "shuffle": False, "optimizer": Adam(0.01), "l2": 0.01},
        "lbfgs": {"epochs": 8, "optimizer": "lbfgs"},
    }.items():
        one = Network(3, 4, 1, activation="tanh", output="identity", bias=True, rng=0)
        one.train(X, Y, loss="squared_error", rng=0, **how)
        parameters = np.frombuffer(bytes.fromhex(by_case[case][0]))
        np.testing.assert_allclose(parameters, one.parameters, rtol=1e-9, atol=1e-9)


ENDS = """
what = sys.argv[6]

def on_epoch(epoch):
    if epoch.number == 20 and rank == 1:
        {"kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
         "sleep": lambda: time.sleep(10),
         "abort": lambda: collective.abort("enough"),
         "raise": lambda: json.loads("no")}[what]()

try:
    began = time.perf_counter()
    small().train(X[mine], Y[mine], epochs=10**9, batch_size=12, loss="squared_error", parallel=collective,
                  on_epoch=on_epoch, rng=0)
except Exception as error:
    tell(error=f"{type(error).__name__}: {error}", seconds=time.perf_counter() - began)
"""


@pytest.mark.parametrize("what", ["kill", "sleep", "abort", "raise"])
def test_who_is_gone_is_an_error_of_all(what, processes):
    found, codes = processes(3, ENDS, what, timeout=4)
    assert processes.seconds < LONGEST
    errors = {each["rank"]: each["error"] for each in found}
    assert codes == [0, -9 if what == "kill" else 0, 0]
    assert ("JSONDecodeError" in errors[1]) if what == "raise" else (1 not in errors or "ParallelError" in errors[1])
    for rank in (0, 2):
        expected = "process 1 of 3 cannot go on: JSONDecodeError" if what == "raise" else "cannot reach the others"
        assert errors[rank].startswith("ParallelError: ")
        assert expected in errors[rank]


def test_who_does_not_come_is_an_error(processes):
    found, _ = processes(3, "", start=2, timeout=2)
    assert processes.seconds < LONGEST
    assert [each["error"].partition(": ")[0] for each in found] == [
        f"process {rank} of 3 cannot reach the others" for rank in range(2)
    ]
