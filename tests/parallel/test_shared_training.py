"""Processes that train together: K of them take the steps of one, and end together, whatever befalls one of them."""

from __future__ import annotations

import copy
import signal

import numpy as np
import pytest
import scipy.sparse

from nineline import (
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
)
from nineline.losses import SquaredError
from nineline.parallel import ParallelError, collective_of
from nineline.training.shared.share import places

draws = np.random.default_rng(0)
X = draws.normal(size=(50, 3))
Y = np.tanh(X @ [[1.0], [-2.0], [0.5]]) + draws.normal(0, 0.1, (50, 1))
CLASSES = np.digitize(X[:, 0], [-0.5, 0.5])
WEIGHTS = draws.uniform(0.1, 3, 50)


def small(seed=0, outputs=1, output="identity", dtype="float64"):
    return Network(3, 4, outputs, activation="tanh", output=output, bias=True, rng=seed, dtype=dtype)


def dropping(seed=0):
    return Network(Layer(3, 8, "relu", bias=True), Dropout(0.4), Layer(8, 1, "identity", bias=True), rng=seed)


def columns(history):
    """Return a History without the clock."""
    return {name: values for name, values in vars(history).items() if name != "seconds"}


def share(rank, counts, rows):
    """Return a process's share of rows, where all lie as `places` says."""
    return rows[places(counts, rank)]


def even(size, total=50):
    return [len(range(rank, total, size)) for rank in range(size)]


def train_on_each(collective, counts, how, make=small, outputs=Y, weights=None, validation=False):
    """Train what a process has: weights and seed of its own, which the first one's replace."""
    network, rank = make(seed=collective.rank), collective.rank
    mine = [None if rows is None else share(rank, counts, rows) for rows in (X, outputs, weights)]
    judged = {"validation": (mine[0], mine[1])} if validation else {}
    options = {"shuffle": False, "rng": 3 + rank, **judged, **how}
    return network, network.train(*mine[:2], sample_weight=mine[2], parallel=collective, **options)


BATCHES = {"epochs": 4, "batch_size": 12, "loss": "squared_error"}
CASES = {
    "gradient descent": {**BATCHES, "optimizer": GradientDescent(0.1)},
    "momentum, a schedule": {**BATCHES, "optimizer": GradientDescent(0.05, momentum=0.9), "schedule": "cosine"},
    "rmsprop, l1": {**BATCHES, "optimizer": RMSprop(0.01), "l1": 1e-2},
    "adam, penalties, clipped": {**BATCHES, "optimizer": Adam(0.01), "l1": 1e-3, "l2": 1e-2, "clip_norm": 0.1},
    "adamw, one layer frozen": {**BATCHES, "optimizer": AdamW(0.01, factors={"0.weights": 0.0}), "l2": 1e-2},
    "a sum": {**BATCHES, "loss": SquaredError(reduction="sum"), "optimizer": GradientDescent(0.01), "l2": 1e-2},
    "the whole batch": {"iterations": 20, "loss": "huber", "optimizer": GradientDescent(0.1), "report_every": 0},
    "lbfgs": {"epochs": 12, "loss": "squared_error", "optimizer": "lbfgs", "l2": 1e-3},
    "levenberg and marquardt": {"epochs": 6, "loss": "squared_error", "optimizer": "levenberg_marquardt", "l2": 1e-3},
    "bayesian": {"epochs": 6, "loss": "squared_error", "optimizer": LevenbergMarquardt(bayesian=True)},
}


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_processes_take_the_steps_of_one(case, size, weights, together):
    one = small()
    truth = one.train(X, Y, rng=3, shuffle=False, sample_weight=weights, validation=(X, Y), **CASES[case])
    found = together(
        size, lambda each: train_on_each(each, even(size), CASES[case], weights=weights, validation=weights is None)
    )
    for network, history in found:
        assert network.parameters.tobytes() == found[0][0].parameters.tobytes()
        assert vars(history) == vars(found[0][1])
        np.testing.assert_allclose(network.parameters, one.parameters, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(history.loss, truth.loss, rtol=1e-9, atol=1e-12)
        if weights is None:
            np.testing.assert_allclose(history.validation_loss, truth.validation_loss, rtol=1e-9, atol=1e-12)
        assert (history.steps, history.stopped, history.engine) == (truth.steps, truth.stopped, truth.engine)


@pytest.mark.parametrize("counts", [[30, 15, 5], [0, 49, 1], [25, 0, 25], [0, 50], [2, 48], [1, 1, 1, 47]])
@pytest.mark.parametrize("case", ["adam, penalties, clipped", "a sum", "the whole batch", "lbfgs", "bayesian"])
def test_unequal_and_empty_shares_are_ordinary(case, counts, together):
    one = small()
    truth = one.train(X, Y, rng=3, shuffle=False, sample_weight=WEIGHTS, **CASES[case])
    found = together(len(counts), lambda each: train_on_each(each, counts, CASES[case], weights=WEIGHTS))
    for network, history in found:
        assert network.parameters.tobytes() == found[0][0].parameters.tobytes()
        np.testing.assert_allclose(network.parameters, one.parameters, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(history.loss, truth.loss, rtol=1e-9, atol=1e-12)


def test_a_class_that_a_process_never_sees(together):
    order = np.argsort(CLASSES, kind="stable")
    parts = np.array_split(order, 3)
    how = {"epochs": 10, "loss": "cross_entropy", "optimizer": Adam(0.05), "rng": 0}
    one = small(outputs=3, output="softmax")
    one.train(X, CLASSES, **how)

    def train(each):
        network = small(outputs=3, output="softmax")
        mine = parts[each.rank]
        network.train(X[mine], CLASSES[mine], parallel=each, **how)
        return network.parameters

    for parameters in together(3, train):
        np.testing.assert_allclose(parameters, one.parameters, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("engine", ["auto", "reference"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_either_engine_and_dtype_and_sparse_rows(engine, dtype, together):
    one = small(dtype=dtype)
    how = {**CASES["adam, penalties, clipped"], "engine": engine}
    one.train(X, Y, shuffle=False, rng=0, **how)

    def train(each):
        network = small(dtype=dtype)
        mine = places([25, 25], each.rank)
        inputs = scipy.sparse.csr_matrix(X[mine]) if each.rank else X[mine]
        network.train(inputs, Y[mine], shuffle=False, rng=0, parallel=each, **how)
        return network.parameters

    tolerance = 1e-9 if dtype == "float64" else 1e-4
    for parameters in together(2, train):
        np.testing.assert_allclose(parameters, one.parameters, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", [2, 3])
def test_twice_to_the_same_bits(size, together):
    how = {**BATCHES, "optimizer": "adam", "shuffle": True, "validation": 0.2, "stop": 3}
    found = []
    for _ in range(2):
        found += together(size, lambda each: train_on_each(each, even(size), how, make=dropping))
    assert len({network.parameters.tobytes() for network, _ in found}) == 1
    assert all(columns(history) == columns(found[0][1]) for _, history in found)


def test_masks_of_dropout_are_each_process_s_own(together):
    """With the same rows everywhere, and the same masks, two processes would take the step of one."""
    how = {"iterations": 1, "report_every": 0, "loss": "squared_error", "rng": 0}
    one = dropping()
    one.train(X, Y, **how)
    network, _ = together(2, lambda each: _train_all(each, dropping(), how))[0]
    assert np.abs(network.parameters - one.parameters).max() > 1e-6


def _train_all(each, network, how):
    return network, network.train(X, Y, parallel=each, **how)


# Ends


def test_stopping_early_is_decided_together(together):
    how = {**BATCHES, "epochs": 200, "optimizer": Adam(0.1), "stop": 3}
    one = small()
    truth = one.train(X, Y, rng=3, shuffle=False, validation=(X, Y), **how)
    assert truth.restored
    assert "no improvement" in truth.stopped
    for network, history in together(3, lambda each: train_on_each(each, even(3), how, validation=True)):
        assert (history.stopped, history.best_epoch, history.restored) == (truth.stopped, truth.best_epoch, True)
        np.testing.assert_allclose(network.parameters, one.parameters, rtol=1e-6)


def test_a_score_is_the_first_process_s(together):
    def train(each):
        scores = iter([1.0, 2.0, 2.0, 2.0] if each.rank == 0 else [9.0, 8.0, 7.0, 6.0])
        how = {**BATCHES, "epochs": 50, "stop": EarlyStopping(2, score=lambda _: next(scores))}
        return train_on_each(each, [25, 25], how)

    found = together(2, train)
    assert [history.epochs for _, history in found] == [4, 4]
    assert [history.best_epoch for _, history in found] == [2, 2]
    assert found[0][0].parameters.tobytes() == found[1][0].parameters.tobytes()


def test_on_epoch_of_any_process_ends_all(together):
    def train(each):
        return train_on_each(
            each, even(3), {**BATCHES, "on_epoch": lambda epoch: epoch.number == 5 - 3 * (each.rank == 1)}
        )

    assert {history.stopped for _, history in together(3, train)} == {"on_epoch asked to, after epoch 2"}


def test_divergence_is_an_ordinary_error_of_all(outcomes):
    networks = {}

    def train(each):
        networks[each.rank] = small(seed=each.rank)
        networks[each.rank].train(
            share(each.rank, [25, 25], X), share(each.rank, [25, 25], Y), epochs=500, batch_size=10, parallel=each,
            loss="squared_error", optimizer=GradientDescent(1e8), rng=0,
        )  # fmt: skip

    errors = outcomes(2, train)
    assert [type(error) for error in errors] == [DivergenceError, DivergenceError]
    assert columns(errors[0].history) == columns(errors[1].history)
    assert np.isfinite(networks[0].parameters).all()
    assert networks[0].parameters.tobytes() == networks[1].parameters.tobytes()


def test_what_is_wrong_on_one_process_is_told_to_the_others(outcomes):
    def train(each):
        inputs = X.copy()
        if each.rank == 1:
            inputs[3, 0] = np.nan
        small().train(inputs, Y, epochs=2, parallel=each, rng=0)

    first, second, third = outcomes(3, train)
    assert isinstance(second, ValueError)
    assert "nan" in str(second).lower()
    for error in (first, third):
        assert isinstance(error, ParallelError)
        assert str(error).startswith("process 1 of 3 cannot begin: ValueError: inputs")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("batch_size", (10, 20)),
        ("loss", ("squared_error", "huber")),
        ("optimizer", (Adam(0.1), Adam(0.2))),
        ("l2", (0.0, 0.1)),
        ("stop", (None, 3)),
        ("on_epoch", ([], print)),
        ("local_steps", (1, 2)),
        ("validation", (None, 0.5)),
        ("engine", ("auto", "reference")),
    ],
)
def test_arguments_have_to_be_the_same_on_all(name, values, outcomes):
    if name == "engine" and small().train(X, Y, 1, report_every=0).engine == "reference":
        pytest.skip("there is no native engine")

    def train(each):
        small().train(X, Y, epochs=2, parallel=each, rng=0, **{"loss": "squared_error", name: values[each.rank]})

    first, second = outcomes(2, train)
    assert isinstance(second, ValueError)
    assert f"{name} is " in str(second)
    assert isinstance(first, ParallelError)
    assert "process 1 of 2 cannot begin" in str(first)


def test_an_error_of_on_epoch_is_told_to_the_others(outcomes):
    def fail(epoch):
        raise KeyError("mine")

    def train(each):
        small().train(X, Y, epochs=2, parallel=each, rng=0, on_epoch=fail if each.rank == 0 else lambda _: None)

    first, second = outcomes(2, train)
    assert isinstance(first, KeyError)
    assert isinstance(second, ParallelError)
    assert "process 0 of 2 cannot go on: KeyError: 'mine'" in str(second)


def test_who_leaves_in_the_midst_ends_the_work_of_all(outcomes, capsys):
    from nineline.training.progress import Progress

    class Failing(Progress):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def update(self, epochs, rows, history):
            raise MemoryError("no room")

    def train(each):
        small().train(
            X, Y, epochs=50, batch_size=10, parallel=each, rng=0, progress=Failing() if each.rank == 0 else None
        )

    first, second = outcomes(2, train)
    assert isinstance(first, MemoryError)
    assert isinstance(second, ParallelError)
    assert str(second) == "process 0 has left: MemoryError: no room"
    assert "no room" in capsys.readouterr().err


@pytest.mark.parametrize("shares", [([], []), (X[:2], Y[:2], [0, 0])], ids=["no rows", "no weight"])
def test_rows_there_must_be_somewhere(shares, outcomes):
    inputs, outputs, *weight = shares
    how = {"sample_weight": weight[0] if weight else None, "rng": 0}
    for error in outcomes(2, lambda each: small().train(inputs, outputs, 3, parallel=each, **how)):
        assert isinstance(error, ValueError)
        assert "no rows that count" in str(error)


def test_reports_are_the_first_process_s(together, capsys):
    together(2, lambda each: train_on_each(each, [25, 25], {"iterations": 3, "report_every": 1}))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(", loss")[0] for line in lines] == ["Iteration 0", "Iteration 1", "Iteration 2"]


def test_a_share_of_each_process_s_rows_for_validation(together):
    found = together(3, lambda each: train_on_each(each, [40, 9, 1], {**BATCHES, "validation": 0.3}))
    assert all(columns(history) == columns(found[0][1]) for _, history in found)
    assert len(found[0][1].validation_loss) == 4


@pytest.mark.parametrize("optimizer", ["lbfgs", "levenberg_marquardt"])
def test_methods_on_all_rows_refuse_batches_on_all(optimizer, outcomes):
    def train(each):
        small().train(X, Y, epochs=2, batch_size=10, loss="squared_error", optimizer=optimizer, parallel=each, rng=0)

    assert all(isinstance(error, ValueError) and "batch_size" in str(error) for error in outcomes(2, train))


def test_what_connects_processes():
    with pytest.raises(TypeError, match=r"parallel is 2 \(int\); expected a communicator of mpi4py, such as MPI"):
        small().train(X, Y, 1, parallel=2)
    with pytest.raises(TypeError, match="Collective"):
        collective_of(object())


def test_ctrl_c_behind_the_last_sum_is_heard_behind_the_training():
    from nineline.training.shared.together import Together

    class Two:
        rank, size = 0, 2

    together = Together(Two())
    with pytest.raises(KeyboardInterrupt), together.listening():
        signal.raise_signal(signal.SIGINT)
    assert together.interrupted
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# Steps alone


def test_one_process_alone_is_a_training_alone(together):
    one = small()
    how = {**CASES["adam, penalties, clipped"], "shuffle": False}
    truth = one.train(X, Y, rng=3, **how)
    ((network, history),) = together(1, lambda each: train_on_each(each, [50], {**how, "local_steps": 3}))
    assert network.parameters.tobytes() == one.parameters.tobytes()
    np.testing.assert_allclose(history.loss, truth.loss, rtol=1e-12)


def test_steps_alone_are_averaged_as_rows_weigh(together):
    how = {"epochs": 2, "loss": "squared_error", "optimizer": GradientDescent(0.1), "local_steps": 2}
    alone = []
    for rank in range(2):
        network = small()
        network.train(share(rank, [40, 10], X), share(rank, [40, 10], Y), rng=0, **{**how, "local_steps": 1})
        alone.append(network.parameters)
    for network, _ in together(2, lambda each: train_on_each(each, [40, 10], how)):
        np.testing.assert_allclose(network.parameters, 0.8 * alone[0] + 0.2 * alone[1], rtol=1e-12)


@pytest.mark.parametrize("counts", [[25, 25], [45, 5, 0], [49, 1]])
def test_steps_alone_end_alike_everywhere(counts, together):
    how = {**BATCHES, "epochs": 30, "optimizer": Adam(0.01), "local_steps": 4, "shuffle": True}
    found = together(len(counts), lambda each: train_on_each(each, counts, how, weights=WEIGHTS, validation=True))
    assert len({network.parameters.tobytes() for network, _ in found}) == 1
    assert all(vars(history) == vars(found[0][1]) for _, history in found)
    losses = found[0][1].loss
    assert losses[-1] < losses[0] / 2


def test_steps_alone_that_diverge_are_an_error_of_all(outcomes):
    networks = {}

    def train(each):
        networks[each.rank] = small()
        how = {"loss": "squared_error", "optimizer": GradientDescent(1e8), "local_steps": 4, "parallel": each}
        networks[each.rank].train(X, Y, epochs=300, batch_size=10, rng=0, **how)

    assert all(isinstance(error, DivergenceError) for error in outcomes(2, train))
    assert np.isfinite(networks[0].parameters).all()
    assert networks[0].parameters.tobytes() == networks[1].parameters.tobytes()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"loss": "squared_error", "optimizer": "lbfgs"}, "local_steps is 2 and optimizer is LBFGS"),
        ({}, "local_steps is 2 and loss is SquaredError"),
    ],
)
def test_what_cannot_go_alone(how, message, outcomes):
    for error in outcomes(2, lambda each: small().train(X, Y, 2, local_steps=2, parallel=each, rng=0, **how)):
        assert isinstance(error, ValueError)
        assert message in str(error)


def test_nobody_goes_alone_where_there_is_one():
    with pytest.raises(ValueError, match="local_steps is 4 and parallel is not given"):
        small().train(X, Y, 2, local_steps=4)


# Checkpoints


class CutOffError(Exception):
    pass


def cut_off(path, size, how, after, monkeypatch, outcomes, make=dropping):
    """Let a training end right behind so many checkpoints of the first process."""
    from nineline.training.checkpoints import Checkpoint

    written, write = [], Checkpoint.write

    def counting(self, network, snapshot):
        write(self, network, snapshot)
        written.append(snapshot)
        if len(written) == after:
            raise CutOffError

    keeping = {"checkpoint": path, "checkpoint_every": 0}
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", counting)
        patch.setattr("nineline.training.trainer.CALL_SECONDS", 0.0)  # a call as short as can be, and a write behind it
        first, *others = outcomes(size, lambda each: train_on_each(each, even(size), {**how, **keeping}, make=make))
    assert isinstance(first, CutOffError)
    assert all(isinstance(error, ParallelError) for error in others)
    return written[-1]


@pytest.mark.parametrize(("after", "local_steps"), [(1, 1), (2, 1), (6, 1), (13, 1), (2, 2), (7, 2)])
def test_cut_off_it_ends_with_the_same_bits(after, local_steps, tmp_path, monkeypatch, together, outcomes):
    how = {**BATCHES, "optimizer": "adam", "shuffle": True, "validation": 0.2, "stop": 3, "local_steps": local_steps}
    truth, expected = together(2, lambda each: train_on_each(each, [25, 25], how, make=dropping))[0]
    path = tmp_path / "run.nineline"
    cut_off(path, 2, how, after, monkeypatch, outcomes)
    again = {**how, "checkpoint": path, "resume": True}
    for network, history in together(2, lambda each: train_on_each(each, [25, 25], again, make=dropping)):
        assert network.parameters.tobytes() == truth.parameters.tobytes()
        assert columns(history) == columns(expected)
        assert history.seconds == sorted(history.seconds)


@pytest.mark.parametrize("case", ["adam, penalties, clipped", "the whole batch", "lbfgs"])
@pytest.mark.parametrize("size", [1, 3])
def test_another_number_of_processes_goes_on(case, size, tmp_path, monkeypatch, together, outcomes):
    """Where batches hold the same rows, which they do where the shares of each number lie in turn."""
    how = CASES[case]
    one = small()
    one.train(X, Y, rng=3, shuffle=False, **how)
    path = tmp_path / "run.nineline"
    cut_off(path, 2, how, 3, monkeypatch, outcomes, make=small)
    again = {**how, "checkpoint": path, "resume": True}
    for network, _ in together(size, lambda each: train_on_each(each, even(size), again)):
        np.testing.assert_allclose(network.parameters, one.parameters, rtol=1e-9, atol=1e-9)


def test_what_a_checkpoint_does_not_go_on_with(tmp_path, together, outcomes):
    path = tmp_path / "run.nineline"
    how = {**BATCHES, "checkpoint": path}
    together(2, lambda each: train_on_each(each, [25, 25], how))
    again = {**how, "resume": True}
    finished = together(2, lambda each: train_on_each(each, [25, 25], again))
    assert finished[0][1].stopped == "all 4 epochs done"
    for changed, counts, name in [
        ({"optimizer": "adam"}, [25, 25], "optimizer"),
        ({"local_steps": 2}, [25, 25], "local_steps"),
        ({}, [26, 24], "shares"),
    ]:
        first, second = outcomes(2, lambda each: train_on_each(each, counts, {**again, **changed}))  # noqa: B023
        assert isinstance(first, ValueError)
        assert str(first).startswith(f"{name} is ")
        assert isinstance(second, ParallelError)
    with pytest.raises(ValueError, match="is a checkpoint of a training with parallel=..., and this one is without"):
        small().train(X, Y, shuffle=False, rng=3, **again)


def test_the_network_is_unchanged_where_nothing_begins(outcomes):
    network = small()
    before = copy.deepcopy(network.parameters)
    outcomes(2, lambda each: (network if each.rank == 0 else small(1)).train(X, Y[: 50 - each.rank], 1, parallel=each))
    assert network.parameters.tobytes() == before.tobytes()
