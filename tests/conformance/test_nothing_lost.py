"""A training process killed at random moments, a hundred times, ends with the same bits as one that nothing befell.

One process forks, so that a life costs no start of Python: the child trains and keeps checkpoints as often as it can,
the parent kills it (SIGKILL) after a random while and begins another, which goes on. Where one comes to its end, the
parameters and the History are compared, and the training begins anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nineline.engines import native

KILLS = 34  # of each of three kinds

PROGRAM = """
import json, os, random, signal, sys, time
import numpy as np
from nineline import AdamW, Dropout, Layer, Network
from nineline.training.checkpoints import Checkpoint

folder, engine, threads, kills = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
path = os.path.join(folder, "run.nineline")
rng = np.random.default_rng(0)
X = rng.normal(size=(1500, 8)).astype(np.float32)
Y = np.sin(X @ rng.normal(size=(8, 1))).astype(np.float32)

def train(seed, **how):
    layers = Layer(8, 40, "tanh", bias=True), Dropout(0.2), Layer(40, 1, "identity", bias=True)
    network = Network(*layers, rng=seed, dtype="float32")
    history = network.train(
        X, Y, epochs=6, batch_size=60, loss="squared_error", optimizer=AdamW(0.01), schedule="cosine", validation=0.2,
        stop=4, engine=engine, rng=seed, **how
    )
    return network.parameters.tobytes().hex(), history.loss, history.validation_loss, history.steps, history.stopped

def life(seed):
    # One process: it goes on from whatever lies there, and leaves its end in a file.
    try:
        end = train(seed, checkpoint=path, checkpoint_every=1e-9, resume=True, threads=threads)
        with open(path + ".end", "w") as file:
            json.dump(end, file)
        os._exit(0)
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)

Checkpoint.due = property(lambda self: True)  # at every opportunity
chance, killed, ends, seed = random.Random(1), 0, [], 7
span = 0.02
while killed < kills or not ends:
    child = os.fork()
    if child == 0:
        life(seed)
    time.sleep(chance.uniform(0, span))
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    seed = seed + 1 if os.path.exists(path) else 7  # a later life knows nothing of the first one's seed
    if os.WIFSIGNALED(status):
        killed += 1
        span = min(span * 1.2, 0.3)  # longer lives, so that it comes to an end on a slow machine
        if killed == 5 * kills:
            break
        continue
    assert os.WEXITSTATUS(status) == 0
    with open(path + ".end") as file:
        ends.append(json.load(file))
    os.unlink(path)
    span, seed = 0.05, 7
truth = json.loads(json.dumps(train(7)))
same = [end == truth for end in ends]
print(json.dumps({"killed": killed, "ends": len(ends), "same": same, "left": sorted(os.listdir(folder))}))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize(
    ("engine", "threads"),
    [
        ("reference", 1),
        *[
            pytest.param(
                "native",
                threads,
                marks=pytest.mark.skipif(
                    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
                    reason="the native engine was not built, or is turned off",
                ),
            )
            for threads in (1, 2)
        ],
    ],
)
def test_killed_at_random_moments_it_ends_with_the_same_bits(engine: str, threads: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), engine, str(threads), str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["killed"] >= KILLS
    assert said["ends"] >= 1
    assert all(said["same"])
    left = [name for name in said["left"] if not name.startswith("run.nineline")]
    assert len(left) <= 1  # of the last one killed; each sweeps away what the one before it left
