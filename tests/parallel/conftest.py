"""Processes for tests: threads that stand for them, which is fast, and real ones under mpiexec."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nineline.parallel import Collective, ParallelError

PATIENCE = 30  # seconds that a process may be waited for


class Meeting:
    """Where threads meet."""

    def __init__(self, size):
        self.barrier, self.brought, self.reason = threading.Barrier(size), [None] * size, None


class Thread(Collective):
    """A process, played by a thread."""

    def __init__(self, rank, size, meeting):
        self.rank, self.size, self.meeting = rank, size, meeting

    def exchange(self, given):
        meeting = self.meeting
        try:
            meeting.brought[self.rank] = given
            meeting.barrier.wait(PATIENCE)
            everything = list(meeting.brought)
            meeting.barrier.wait(PATIENCE)
        except threading.BrokenBarrierError:
            raise ParallelError(meeting.reason or "a process did not come") from None
        return everything

    def allreduce(self, array):
        first, *others = self.exchange(array.copy())
        assert all(other.shape == first.shape and other.dtype == first.dtype for other in others)
        array[...] = first
        for other in others:
            array += other

    def maximum(self, number):
        return max(self.exchange(number))

    def broadcast(self, given, root=0):
        sent = self.exchange(given)[root]
        if isinstance(given, bytes):
            return sent
        given[...] = sent
        return given

    def barrier(self):
        self.exchange(None)

    def abort(self, reason):
        self.meeting.reason = self.meeting.reason or f"process {self.rank} has left: {reason}"
        self.meeting.barrier.abort()


def play(size, function):
    """Call a function of a collective on so many threads, and return what each returned or raised."""
    meeting, found = Meeting(size), [None] * size

    def run(rank):
        try:
            found[rank] = function(Thread(rank, size, meeting))
        except BaseException as error:
            found[rank] = error

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE + 5)
        assert not thread.is_alive(), "a process hangs"
    return found


@pytest.fixture
def together():
    """Return a function that plays so many processes; what one raises is raised."""

    def results(size, function):
        found = play(size, function)
        for each in found:
            if isinstance(each, BaseException):
                raise each
        return found

    return results


@pytest.fixture
def outcomes():
    """Return a function that plays so many processes, and returns errors too."""
    return play


def launcher():
    beside = Path(sys.executable).parent / "mpiexec"
    return str(beside) if beside.exists() else shutil.which("mpiexec")


@pytest.fixture(scope="session")
def mpiexec(tmp_path_factory):
    """Return a function that runs a script on so many processes under MPI, and returns what came of it."""
    command = launcher()
    if importlib.util.find_spec("mpi4py") is None or command is None:
        pytest.skip('mpi4py or mpiexec is not installed (pip install "nineline[mpi]" mpich)')

    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}  # where tests run as root
    crowded = {"PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "HYDRA_IFACE": "lo"}

    def run(size, script, *arguments):
        file = tmp_path_factory.mktemp("script") / "script.py"
        file.write_text(script)
        began = time.perf_counter()
        done = subprocess.run(
            [command, "-n", str(size), sys.executable, str(file), *map(str, arguments)],
            capture_output=True,
            text=True,
            env=run.env,
            check=False,
            timeout=120,
        )
        done.seconds = time.perf_counter() - began
        return done

    run.command, run.env = command, {**os.environ, **allowed, **crowded}
    return run
