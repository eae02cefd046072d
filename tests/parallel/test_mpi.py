"""MPI, with real processes: the same steps and bits as elsewhere, and an end of all whatever befalls one of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from nineline import Adam, GradientDescent, Network
from nineline.estimators import TabularRegressor

LONGEST = 30  # seconds until all processes have ended

# What a rank does, and the end of its line: what it has found.
BEGIN = """
import json, os, signal, sys
import numpy as np
from mpi4py import MPI
from nineline import Adam, Dropout, GradientDescent, Layer, Network
from nineline.parallel import collective_of

comm = MPI.COMM_WORLD
draws = np.random.default_rng(0)
X = draws.normal(size=(48, 3))
Y = np.tanh(X @ [[1.0], [-2.0], [0.5]])
mine = slice(comm.rank, None, comm.size)

def small():
    return Network(3, 4, 1, activation="tanh", output="identity", bias=True, rng=comm.rank)

def tell(**found):  # one write a line, or those of several processes mix
    os.write(1, (json.dumps({"rank": comm.rank, **found}) + "\\n").encode())
"""

draws = np.random.default_rng(0)
X = draws.normal(size=(48, 3))
Y = np.tanh(X @ [[1.0], [-2.0], [0.5]])


def told(done):
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return sorted(found, key=lambda each: each["rank"])


STEPS = (
    BEGIN
    + """
for name, how in {
    "descent": {"epochs": 3, "batch_size": 12, "shuffle": False, "optimizer": GradientDescent(0.1)},
    "adam": {"epochs": 3, "batch_size": 12, "shuffle": False, "optimizer": Adam(0.01), "l2": 0.01, "clip_norm": 0.1},
    "lbfgs": {"epochs": 8, "optimizer": "lbfgs"},
    "shuffled": {"epochs": 3, "batch_size": 12, "optimizer": "adam", "validation": 0.25},
    "alone": {"epochs": 3, "batch_size": 12, "optimizer": "adam", "local_steps": 2},
}.items():
    network = small()
    history = network.train(X[mine], Y[mine], loss="squared_error", rng=comm.rank, parallel=comm, **how)
    tell(case=name, bits=network.parameters.tobytes().hex(), loss=history.loss)

collective = collective_of(comm)
for length in (5, 5000):  # whole, and in pieces
    for dtype in ("float32", "float64"):
        arrays = [np.random.default_rng(rank).normal(size=length).astype(dtype) for rank in range(comm.size)]
        expected = arrays[0].copy()
        for array in arrays[1:]:
            expected += array
        given = arrays[comm.rank]
        collective.allreduce(given)
        assert given.tobytes() == expected.tobytes() or (comm.size == 2 and np.array_equal(given, expected))
assert collective.maximum(comm.rank) == comm.size - 1
assert collective.broadcast(b"first" if comm.rank == 0 else b"") == b"first"
assert collective.broadcast(np.full(3, float(comm.rank)), root=1).tolist() == [1, 1, 1]
collective.barrier()
"""
)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_processes_take_the_steps_of_one_with_the_same_bits_twice(size, mpiexec):
    found, again = told(mpiexec(size, STEPS)), told(mpiexec(size, STEPS)) if size < 4 else None
    assert again is None or found == again
    by_case = {}
    for each in found:
        by_case.setdefault(each["case"], []).append(each)
    assert {len(each) for each in by_case.values()} == {size}
    assert all(len({(each["bits"], str(each["loss"])) for each in cases}) == 1 for cases in by_case.values())
    for case, how in {
        "descent": {"epochs": 3, "batch_size": 12, "shuffle": False, "optimizer": GradientDescent(0.1)},
        "adam": {
            "epochs": 3,
            "batch_size": 12,
            "shuffle": False,
            "optimizer": Adam(0.01),
            "l2": 0.01,
            "clip_norm": 0.1,
        },
        "lbfgs": {"epochs": 8, "optimizer": "lbfgs"},
    }.items():
        one = Network(3, 4, 1, activation="tanh", output="identity", bias=True, rng=0)
        one.train(X, Y, loss="squared_error", rng=0, **how)
        parameters = np.frombuffer(bytes.fromhex(by_case[case][0]["bits"]))
        np.testing.assert_allclose(parameters, one.parameters, rtol=1e-9, atol=1e-9)


ENDS = (
    BEGIN
    + """
who, what = int(sys.argv[1]), sys.argv[2]

def on_epoch(epoch):
    if epoch.number == 20 and comm.rank == who:
        {"kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
         "exit": lambda: sys.exit(0),
         "interrupt": lambda: os.kill(os.getpid(), signal.SIGINT),
         "raise": lambda: json.loads("no")}[what]()

try:
    history = small().train(X[mine], Y[mine], epochs=10**9, batch_size=12, loss="squared_error", optimizer="adam",
                            parallel=comm, on_epoch=on_epoch, rng=0)
    tell(stopped=history.stopped, epochs=history.epochs)
except Exception as error:
    tell(error=f"{type(error).__name__}: {error}")
"""
)


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("what", ["kill", "exit"])
def test_who_is_gone_ends_all(who, what, mpiexec):
    done = mpiexec(3, ENDS, who, what)
    assert done.returncode != 0
    assert done.seconds < LONGEST
    said = done.stdout + done.stderr
    assert ("Killed" in said or "signal 9" in said) if what == "kill" else f"process {who} of 3 ends the job" in said


LONG = (
    BEGIN
    + """

def on_epoch(epoch):
    if epoch.number == 1:
        tell(process=os.getpid(), launcher=os.getppid())

small().train(X[mine], Y[mine], epochs=10**9, batch_size=12, loss="squared_error", parallel=comm, on_epoch=on_epoch)
"""
)


def is_there(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or ") Z " not in state.read_text()  # ended, and nobody has asked how


@pytest.mark.skipif(not hasattr(os, "getppid") or sys.platform == "win32", reason="signals of POSIX")
def test_processes_end_with_their_launcher(mpiexec, tmp_path):
    """A launcher that is killed, or ends the job at the wrong moment, may leave processes that wait for each other."""
    (tmp_path / "script.py").write_text(LONG)
    command = [mpiexec.command, "-n", "2", sys.executable, str(tmp_path / "script.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=mpiexec.env) as launched:
        told = [json.loads(launched.stdout.readline()) for _ in range(2)]
        for process in [launched.pid, *{each["launcher"] for each in told}]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    began, left = time.perf_counter(), [each["process"] for each in told]
    try:
        while any(map(is_there, left)) and time.perf_counter() - began < LONGEST:
            time.sleep(0.1)
        assert not any(map(is_there, left))
    finally:
        for process in filter(is_there, left):
            os.kill(process, signal.SIGKILL)


def test_an_error_of_one_is_an_error_of_all(mpiexec):
    first, second = told(mpiexec(2, ENDS, 1, "raise"))
    assert first["error"].startswith("ParallelError: process 1 of 2 cannot go on: JSONDecodeError")
    assert second["error"].startswith("JSONDecodeError")


@pytest.mark.parametrize("who", [0, 1])
def test_ctrl_c_on_one_process_stops_all(who, mpiexec):
    found = told(mpiexec(2, ENDS, who, "interrupt"))
    assert [each["stopped"] for each in found] == ["interrupted in epoch 21"] * 2
    assert [each["epochs"] for each in found] == [20] * 2


GOES_ON = (
    BEGIN
    + """
kill, path = int(sys.argv[1]), sys.argv[2]

def on_epoch(epoch):
    if comm.rank == 1 and epoch.number == kill:
        os.kill(os.getpid(), signal.SIGKILL)

network = small()
keeping = {"checkpoint": path, "checkpoint_every": 0, "resume": True} if path != "none" else {}
history = network.train(X[mine], Y[mine], epochs=12, batch_size=12, loss="squared_error", optimizer="adam",
                        parallel=comm, validation=0.25, on_epoch=on_epoch, rng=0, **keeping)
tell(bits=network.parameters.tobytes().hex(), loss=history.loss, stopped=history.stopped)
"""
)


def test_a_run_that_was_killed_goes_on_to_the_same_bits(mpiexec, tmp_path):
    truth = told(mpiexec(2, GOES_ON, 0, "none"))
    path = tmp_path / "run.nineline"
    done = mpiexec(2, GOES_ON, 7, path)
    assert done.returncode != 0
    assert path.exists()
    assert told(mpiexec(2, GOES_ON, 0, path)) == truth
    assert {each["stopped"] for each in told(mpiexec(3, GOES_ON, 0, path))} == {"all 12 epochs done"}


def test_communicators_that_are_none(mpiexec):
    script = """
try:
    small().train(X, Y, 1, parallel=MPI.COMM_NULL)
except ValueError as error:
    tell(error=str(error))
"""
    (found,) = told(mpiexec(1, BEGIN + script))
    assert "expected one such as COMM_WORLD" in found["error"]


# The command line

COMMAND = """
import os, signal, sys, threading, time
from pathlib import Path
from nineline.__main__ import main

kill = os.environ.get("KILL_BEHIND")  # ends the second process as soon as a file is there
if kill and os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK")) == "1":
    def watch():
        while not Path(kill).exists():
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=watch, daemon=True).start()
main()
"""


@pytest.fixture
def rents(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(9):
        size, place = rng.uniform(20, 200, 300), rng.integers(3, size=300)
        rent = 12 * size * (1 + 0.1 * place) * rng.lognormal(0, 0.1, 300)
        table = pl.DataFrame({"size": size, "place": np.array(["hill", "harbour", "park"])[place], "rent": rent})
        table.sort("rent").write_parquet(tmp_path / f"rents-{number}.parquet")
    return tmp_path


def parameters(path):
    return np.concatenate([member.parameters for member in TabularRegressor.load(path).members_])


def test_the_command_line_trains_on_several_processes(rents, mpiexec):
    how = ["--target", "rent", "--members", 2, "--epochs", 4, "--hidden", 16, "--out", rents / "model.nineline"]
    done = mpiexec(2, COMMAND, "train", rents / "*.parquet", *how)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 processes train together") == 1
    model = TabularRegressor.load(rents / "model.nineline")
    assert model.evaluation_["test rows"] > 400
    wrong = mpiexec(2, COMMAND, "train", rents / "*.parquet", "--target", "rant")
    assert wrong.returncode == 2
    assert wrong.stderr.strip() == "nineline: target is 'rant', which is no column of the table; did you mean 'rent'?"
    damaged = rents / "rents-8.parquet"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    broken = mpiexec(2, COMMAND, "train", rents / "*.parquet", "--target", "rent")
    assert broken.returncode == 2
    assert broken.stderr.count("nineline:") == 1
    assert "rents-8.parquet" in broken.stderr


def test_the_command_line_goes_on_behind_a_kill(rents, mpiexec, monkeypatch):
    how = ["--target", "rent", "--members", 2, "--epochs", 400, "--hidden", "64,64", "--out", rents / "model.nineline"]
    how += ["--checkpoint", rents / "run"]
    monkeypatch.setitem(mpiexec.env, "KILL_BEHIND", str(rents / "run"))
    killed = mpiexec(2, COMMAND, "train", rents / "*.parquet", *how)
    assert killed.returncode != 0
    assert killed.seconds < LONGEST
    assert not (rents / "model.nineline").exists()
    monkeypatch.delitem(mpiexec.env, "KILL_BEHIND")
    found = []
    for options in ([*how, "--resume"], how[:-2]):
        done = mpiexec(2, COMMAND, "train", rents / "*.parquet", *options)
        assert done.returncode == 0, done.stderr
        found.append(parameters(rents / "model.nineline"))
    assert found[0].tobytes() == found[1].tobytes()
