"""Checkpoints: a training that is cut off anywhere, and goes on, ends with the same bits."""

from __future__ import annotations

import os
import pickle
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from nineline import (
    LBFGS,
    Activation,
    Adam,
    AdamW,
    DivergenceError,
    Dropout,
    EarlyStopping,
    GradientDescent,
    Layer,
    LevenbergMarquardt,
    Network,
    RMSprop,
    files,
    writing,
)
from nineline.engines import native
from nineline.estimators import TabularClassifier, TabularRegressor
from nineline.files import FileError
from nineline.losses import SquaredError
from nineline.schedules import Cosine, OneCycle
from nineline.training.checkpoints import Checkpoint
from nineline.training.errors import CheckpointError

NO_NATIVE = pytest.mark.skipif(
    native._native is None or os.environ.get("NINELINE_SIMD") == "none",
    reason="the native engine was not built, or is turned off",
)
ENGINES = ["reference", pytest.param("native", marks=NO_NATIVE)]

draws = np.random.default_rng(0)
X = draws.normal(size=(40, 3))
Y = np.tanh(X @ [[1.0], [-2.0], [0.5]]) + draws.normal(0, 0.1, (40, 1))


def small(dtype="float64", seed=0):
    return Network(3, 4, 1, activation="tanh", output="identity", bias=True, rng=seed, dtype=dtype)


def dropping(dtype="float64", seed=0):
    layers = Dropout(0.1), Layer(3, 8, "silu", bias=True), Dropout(0.4), Layer(8, 1, "identity", bias=True)
    return Network(*layers, rng=seed, dtype=dtype)


BATCHES = {"epochs": 5, "batch_size": 7, "loss": "squared_error", "optimizer": Adam(0.01)}
CASES = {
    "the tutorial's rule": (small, {"iterations": 30, "report_every": 0, "optimizer": GradientDescent(0.01)}),
    "momentum": (small, {**BATCHES, "optimizer": GradientDescent(0.05, momentum=0.9, nesterov=True)}),
    "rmsprop and a schedule": (small, {**BATCHES, "optimizer": RMSprop(0.01), "schedule": OneCycle()}),
    "adam, dropout and validation": (dropping, {**BATCHES, "optimizer": Adam(0.01), "validation": 0.25}),
    "a best point": (dropping, {**BATCHES, "optimizer": AdamW(0.03), "validation": 0.25, "stop": 2, "epochs": 12}),
    "stopping early, watched by the training loss": (
        small,
        {"iterations": 40, "report_every": 0, "optimizer": Adam(0.4), "stop": EarlyStopping(3, 1e-3)},
    ),
    "weights, penalties and clipping": (
        small,
        {**BATCHES, "sample_weight": np.arange(40.0), "l1": 1e-3, "l2": 1e-2, "clip_norm": 0.1, "schedule": "cosine"},
    ),
    "one batch an epoch": (dropping, {**BATCHES, "batch_size": 100, "optimizer": "adam", "validation": (X, Y)}),
    "rows in their order": (small, {**BATCHES, "shuffle": False, "optimizer": "adam"}),
    "a plain function as schedule": (small, {**BATCHES, "optimizer": Adam(0.01), "schedule": lambda e: 0.9**e}),
    "lbfgs": (small, {"epochs": 14, "loss": "huber", "optimizer": LBFGS(3), "l2": 1e-3, "validation": 0.25, "stop": 5}),
    "levenberg and marquardt": (
        small,
        {"epochs": 9, "loss": "squared_error", "optimizer": LevenbergMarquardt(), "validation": 0.25},
    ),
    "bayesian regularisation": (
        small,
        {"epochs": 12, "loss": "squared_error", "optimizer": LevenbergMarquardt(bayesian=True), "validation": (X, Y)},
    ),
    "a sum": (small, {**BATCHES, "loss": SquaredError(reduction="sum"), "optimizer": GradientDescent(0.002)}),
}


class CutOffError(Exception):
    pass


def cut_off_after(writes, monkeypatch):
    """Let a process end right behind so many checkpoints."""
    written, write = [], Checkpoint.write

    def counting(self, network, snapshot):
        write(self, network, snapshot)
        written.append(snapshot)
        if len(written) == writes:
            raise CutOffError

    monkeypatch.setattr(Checkpoint, "write", counting)
    return written


def assert_same_end(ours, truth):
    (network, history), (other, expected) = ours, truth
    assert network.parameters.tobytes() == other.parameters.tobytes()
    for name in ("loss", "validation_loss", "learning_rate", "steps", "stopped", "best_epoch", "restored", "engine"):
        assert getattr(history, name) == getattr(expected, name), name
    assert len(history.seconds) == len(expected.seconds)
    assert history.seconds == sorted(history.seconds)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_cut_off_behind_every_checkpoint_it_ends_with_the_same_bits(case, dtype, engine, tmp_path, monkeypatch):
    """Each process takes two checkpoints further, under another number of threads, from another seed of its own."""
    make, how = CASES[case]
    how = {**how, "engine": engine}
    truth = make(dtype)
    truth = truth, truth.train(X, Y, rng=3, **how)
    path = tmp_path / "run.nineline"
    cuts = 0
    while True:
        network = make(dtype, seed=cuts)  # the file knows the weights, not this process
        with monkeypatch.context() as patch:
            cut_off_after(2, patch)
            try:
                again = {"checkpoint": path, "checkpoint_every": 0, "resume": cuts > 0}
                history = network.train(X, Y, rng=3 + cuts, threads=1 + cuts % 3, **again, **how)
                break
            except CutOffError:
                cuts += 1
    assert cuts > 2
    assert_same_end((network, history), truth)


@pytest.mark.parametrize("engine", ENGINES)
def test_keeping_changes_nothing(engine, tmp_path):
    plain, kept = dropping(), dropping()
    how = {**BATCHES, "optimizer": Adam(0.01), "validation": 0.25, "stop": 3, "engine": engine}
    truth = plain.train(X, Y, rng=3, **how)
    history = kept.train(X, Y, rng=3, checkpoint=tmp_path / "run.nineline", checkpoint_every=0, **how)
    assert_same_end((kept, history), (plain, truth))
    assert kept.rng.bit_generator.state == plain.rng.bit_generator.state


def test_the_generator_stands_where_it_would(tmp_path, monkeypatch):
    """What is drawn after a training that went on is what would have been drawn."""
    truth = np.random.default_rng(5)
    dropping().train(X, Y, rng=truth, **BATCHES)
    with monkeypatch.context() as patch:
        cut_off_after(4, patch)
        rng = np.random.default_rng(5)
        with pytest.raises(CutOffError):
            dropping().train(X, Y, rng=rng, checkpoint=tmp_path / "run", checkpoint_every=0, **BATCHES)
    rng = np.random.default_rng(77)
    dropping().train(X, Y, rng=rng, checkpoint=tmp_path / "run", resume=True, **BATCHES)
    assert rng.random() == truth.random()


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_every_generator_of_numpy_is_kept(bits, tmp_path, monkeypatch):
    truth = dropping()
    truth = truth, truth.train(X, Y, rng=np.random.Generator(bits(5)), **BATCHES)
    with monkeypatch.context() as patch:
        cut_off_after(4, patch)
        with pytest.raises(CutOffError):
            dropping().train(
                X, Y, rng=np.random.Generator(bits(5)), checkpoint=tmp_path / "run", checkpoint_every=0, **BATCHES
            )
    network = dropping(seed=9)
    rng = np.random.Generator(bits(6))
    assert_same_end((network, network.train(X, Y, rng=rng, checkpoint=tmp_path / "run", resume=True, **BATCHES)), truth)


def test_a_finished_training_gives_its_end_again(tmp_path):
    network, path = small(), tmp_path / "run.nineline"
    history = network.train(X, Y, checkpoint=path, stop=2, **{**BATCHES, "epochs": 200})
    before, again = path.read_bytes(), small(seed=4)
    assert_same_end(
        (again, again.train(X, Y, checkpoint=path, resume=True, stop=2, **{**BATCHES, "epochs": 200})),
        (network, history),
    )
    assert path.read_bytes() == before


def test_resume_without_a_file_begins(tmp_path):
    network, truth = small(), small()
    history = network.train(X, Y, rng=1, checkpoint=tmp_path / "run", resume=True, **BATCHES)
    assert_same_end((network, history), (truth, truth.train(X, Y, rng=1, **BATCHES)))


def test_ctrl_c_leaves_the_last_checkpoint(tmp_path):
    path = tmp_path / "run.nineline"

    def interrupt(epoch):
        if epoch.number == 3:
            raise KeyboardInterrupt

    network, truth = dropping(), dropping()
    truth = truth, truth.train(X, Y, rng=1, **BATCHES)
    history = network.train(X, Y, rng=1, checkpoint=path, checkpoint_every=0, on_epoch=interrupt, **BATCHES)
    assert history.stopped == "interrupted in epoch 4"
    network = dropping(seed=2)
    history = network.train(X, Y, rng=8, checkpoint=path, resume=True, **BATCHES)
    assert_same_end((network, history), truth)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_training_that_diverges_goes_back_as_far_as_it_would_have(engine, tmp_path, monkeypatch):
    how = {"iterations": 1000, "optimizer": GradientDescent(0.5), "report_every": 0, "engine": engine}
    wild, truth = Y * 50, small()
    with pytest.raises(DivergenceError) as expected:
        truth.train(X, wild, rng=1, **how)
    steps = expected.value.history.steps
    assert steps > 4
    for cut in range(2, 9):
        path = tmp_path / f"run {cut}"
        with monkeypatch.context() as patch:
            cut_off_after(cut, patch)
            with pytest.raises((CutOffError, DivergenceError)):
                small().train(X, wild, rng=1, checkpoint=path, checkpoint_every=0, **how)
        network = small(seed=5)
        with pytest.raises(DivergenceError) as caught:
            network.train(X, wild, rng=5, checkpoint=path, resume=True, **how)
        assert caught.value.history.steps == steps
        assert network.parameters.tobytes() == truth.parameters.tobytes()


class Own(Activation):
    def __init__(self):
        self.function = np.tanh

    def value(self, z):
        return self.function(z)

    def derivative(self, z, outputs):
        return 1 - outputs**2


def test_a_network_with_your_own_activation_goes_on_but_is_no_model_file(tmp_path, monkeypatch):
    def make(seed=0):
        return Network(Layer(3, 4, Own()), Layer(4, 1, "identity"), rng=seed)

    truth = make()
    truth = truth, truth.train(X, Y, rng=3, **BATCHES)
    with monkeypatch.context() as patch:
        cut_off_after(3, patch)
        with pytest.raises(CutOffError):
            make().train(X, Y, rng=3, checkpoint=tmp_path / "run", checkpoint_every=0, **BATCHES)
    network = make(1)
    assert_same_end((network, network.train(X, Y, checkpoint=tmp_path / "run", resume=True, **BATCHES)), truth)
    with pytest.raises(FileError, match="a file holds no code; build the network in Python and go on with train"):
        Network.load(tmp_path / "run")


def test_load_reads_the_network_out_of_a_checkpoint(tmp_path, monkeypatch):
    written = cut_off_after(3, monkeypatch)
    with pytest.raises(CutOffError):
        dropping().train(X, Y, checkpoint=tmp_path / "run", checkpoint_every=0, **BATCHES)
    network = Network.load(tmp_path / "run")
    assert repr(network) == repr(dropping())
    np.testing.assert_array_equal(network.parameters, written[-1].trainer.parameters)


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_an_estimator_that_is_cut_off_goes_on_to_the_same_model(kind, tmp_path, monkeypatch):
    y = (Y[:, 0] > 0) * 1
    how = {"random_state": 4, "max_epochs": 8, "hidden_layer_sizes": (6,)}
    truth, path = kind(**how).fit(X, y), tmp_path / "run"
    with monkeypatch.context() as patch:
        cut_off_after(4, patch)
        patch.setattr(Checkpoint, "due", True)
        with pytest.raises(CutOffError):
            kind(checkpoint=path, **how).fit(X, y)
    model = kind(checkpoint=path, resume=True, **how).fit(X, y)
    assert model.network_.parameters.tobytes() == truth.network_.parameters.tobytes()
    assert model.history_.loss == truth.history_.loss
    model.save(tmp_path / "model")
    truth.save(tmp_path / "truth")
    assert (tmp_path / "model").read_bytes() == (tmp_path / "truth").read_bytes()
    with pytest.raises(ValueError, match="checkpoint is given and random_state is None"):
        kind(checkpoint=path).fit(X, y)


# How often


def test_checkpoints_are_as_many_as_time_allows(tmp_path, monkeypatch):
    now, path = [0.0], tmp_path / "run"
    monkeypatch.setattr("nineline.training.checkpoints.time.perf_counter", lambda: now[0])
    keeper = Checkpoint(path, 10.0, False)
    assert keeper.due
    keeper.last, keeper.cost = 0.0, 0.1
    for seconds, due in ((9.9, False), (10.0, True)):
        now[0] = seconds
        assert keeper.due is due
    keeper.cost = 3.0  # a slow disk: a twentieth of the time is less often
    for seconds, due in ((59.9, False), (60.0, True)):
        now[0] = seconds
        assert keeper.due is due
    keeper.every = 0.0
    now[0] = 0.0
    assert keeper.due


def test_by_default_a_short_training_writes_its_beginning_and_its_end(tmp_path, monkeypatch):
    written = cut_off_after(0, monkeypatch)
    small().train(X, Y, checkpoint=tmp_path / "run", **BATCHES)
    assert [(one.history.epochs, one.finished) for one in written] == [(5, False), (5, True)]  # one History
    assert [snapshot.trainer.state.steps for snapshot in written] == [0, 30]


# What does not fit


CHANGES = {
    "inputs": ({}, {"inputs": X + 1}, "inputs is 40 × 3 of float64, "),
    "outputs": ({}, {"outputs": -Y}, "outputs is 40 × 1 of float64, "),
    "sample_weight": ({}, {"sample_weight": np.ones(40)}, "sample_weight is 40 of float64, "),
    "validation": ({}, {"validation": 0.5}, "validation is 0.5, "),
    "validation data": ({"validation": (X, Y)}, {"validation": (X, -Y)}, "validation is 40 × 3 of float64, "),
    "epochs": ({}, {"epochs": 6}, "epochs is 6, .* is a checkpoint of a training whose epochs was 5; go on with"),
    "batch_size": ({}, {"batch_size": 8}, "batch_size is 8, "),
    "shuffle": ({}, {"shuffle": False}, "shuffle is False, "),
    "loss": ({}, {"loss": "huber"}, r"loss is Huber\("),
    "optimizer": ({}, {"optimizer": Adam(0.02)}, r"optimizer is Adam\(learning_rate=0.02"),
    "schedule": ({}, {"schedule": Cosine()}, r"schedule is Cosine\("),
    "stop": ({"stop": 3}, {"stop": 4}, r"stop is EarlyStopping\(patience=4"),
    "l1": ({}, {"l1": 0.1}, "l1 is 0.1, "),
    "l2": ({}, {"l2": 0.1}, "l2 is 0.1, "),
    "clip_norm": ({}, {"clip_norm": 1.0}, "clip_norm is 1.0, "),
    "rng": ({}, {"rng": np.random.Generator(np.random.MT19937(0))}, "rng is MT19937, .* whose rng was PCG64"),
    "network": ({}, {"network": Network(3, 5, 1, rng=0)}, r"network is Network\(Layer\(3, 5"),
    "dtype": ({}, {"network": small("float32")}, "inputs is 40 × 3 of float32"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_training_goes_on_with_what_it_began_with(name, tmp_path):
    before, changes, message = CHANGES[name]
    how = {"inputs": X, "outputs": Y, "rng": 1, "optimizer": Adam(0.01), **BATCHES, **before}
    path = tmp_path / "run"
    small().train(checkpoint=path, **how)
    changes = dict(changes)
    network = changes.pop("network", small(seed=3))
    kept, parameters = path.read_bytes(), network.parameters.copy()
    with pytest.raises(ValueError, match=message):
        network.train(checkpoint=path, resume=True, **{**how, **changes})
    np.testing.assert_array_equal(network.parameters, parameters)
    assert path.read_bytes() == kept


def test_the_number_of_threads_and_what_is_shown_may_change(tmp_path):
    small().train(X, Y, rng=1, checkpoint=tmp_path / "run", threads=1, **BATCHES)
    again = small().train(X, Y, rng=2, checkpoint=tmp_path / "run", resume=True, threads=4, progress=False, **BATCHES)
    assert again.epochs == 5


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"resume": True}, ValueError, "resume is True and checkpoint is not given"),
        ({"checkpoint": "there", "checkpoint_every": -1}, ValueError, "checkpoint_every is -1"),
        ({"checkpoint": "there", "resume": "yes"}, TypeError, "resume is 'yes'; expected True or False"),
        ({"checkpoint": "."}, IsADirectoryError, "is a folder; name a file in it"),
        ({"checkpoint": "nowhere/run"}, FileNotFoundError, "nowhere does not exist; make it first"),
        ({"checkpoint": "model.nineline"}, ValueError, "exists and is no checkpoint, and would be overwritten"),
        ({"checkpoint": "notes.txt"}, ValueError, "exists and is no checkpoint, and would be overwritten"),
        ({"checkpoint": "model.nineline", "resume": True}, FileError, "holds a network model, expected checkpoint"),
        ({"checkpoint": "notes.txt", "resume": True}, FileError, "is no nineline file"),
    ],
)
def test_a_wrong_argument_is_an_error_before_any_work(how, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("my notes, which are long enough to look like a file")
    small().save("model.nineline")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    network = small()
    parameters = network.parameters.copy()
    with pytest.raises(error, match=re.escape(message)):
        network.train(X, Y, **BATCHES, **how)
    np.testing.assert_array_equal(network.parameters, parameters)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# Disks


def test_a_checkpoint_cut_off_at_any_byte_is_refused(tmp_path):
    path = tmp_path / "run"
    network = Network(1, 1, rng=0)
    how = {"iterations": 2, "report_every": 0, "rng": 0}
    network.train([[1.0]], [[0.5]], checkpoint=path, **how)
    whole = path.read_bytes()
    before = network.parameters.copy()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(FileError):
            network.train([[1.0]], [[0.5]], checkpoint=path, resume=True, **how)
    np.testing.assert_array_equal(network.parameters, before)
    path.write_bytes(whole)
    assert network.train([[1.0]], [[0.5]], checkpoint=path, resume=True, **how).epochs == 2


def test_what_a_killed_process_left_is_swept_away_and_nothing_else(tmp_path):
    path = tmp_path / "run.nineline"
    small().train(X, Y, checkpoint=path, **BATCHES)
    left = tmp_path / f"{writing.prefix(path)}abc"
    others = [tmp_path / f"{writing.prefix(tmp_path / 'other')}abc", tmp_path / ".nineline-mine"]
    for each in (left, *others):
        each.write_bytes(b"half")
    small().train(X, Y, checkpoint=path, resume=True, **BATCHES)
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])


FULL = """
import resource, sys
import numpy as np
from nineline import Network
from nineline.training.errors import CheckpointError
path = sys.argv[1]
X = np.random.default_rng(0).normal(size=(40, 3))
network = Network(3, 200, 1, rng=0)
def fill(epoch):
    if epoch.number == 4:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, resource.RLIM_INFINITY))  # the disk is full from here on
        global kept, kept_parameters
        kept = open(path, "rb").read()
try:
    network.train(X, X[:, :1], 10, report_every=0, rng=1, checkpoint=path, checkpoint_every=0, on_epoch=fill)
except CheckpointError as error:
    assert open(path, "rb").read() == kept
    assert error.history.epochs == 4, error.history.epochs
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
network.train(X, X[:, :1], 10, report_every=0, checkpoint=path, resume=True)
truth = Network(3, 200, 1, rng=0)
truth.train(X, X[:, :1], 10, report_every=0, rng=1)
print(network.parameters.tobytes() == truth.parameters.tobytes())
"""


def test_a_disk_that_fills_up_is_said_and_the_checkpoint_before_is_intact(tmp_path):
    path = tmp_path / "run"
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    message, same = done.stdout.splitlines()
    assert f"the checkpoint after epoch 4 could not be written to {path} (File too large)" in message
    assert "the one before it is intact. Make room, and train on with resume=True" in message
    assert same == "True"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="permission bits are POSIX's")
def test_a_folder_that_is_read_only_is_said_before_any_work():
    folder = Path(tempfile.mkdtemp())  # not pytest's, which another user may not enter
    folder.chmod(0o555)
    network, user = small(), os.geteuid()
    try:
        if user == 0:  # whom permission bits do not bind
            os.seteuid(65534)
        with pytest.raises(PermissionError, match=r"run cannot be written \(Permission denied\); write elsewhere"):
            network.train(X, Y, checkpoint=folder / "run", **BATCHES)
    finally:
        os.seteuid(user)
        folder.rmdir()
    np.testing.assert_array_equal(network.parameters, small().parameters)


def test_the_error_can_be_pickled(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(CheckpointError, match="No space left on device") as caught:
        small().train(X, Y, checkpoint=tmp_path / "run", **BATCHES)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.history.epochs == 0
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
