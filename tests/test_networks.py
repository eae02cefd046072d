"""Networks: many of one shape side by side, each as if it were alone."""

import pickle
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nineline import (
    LBFGS,
    Adam,
    DivergenceError,
    Dropout,
    EarlyStopping,
    Embedding,
    Ensemble,
    GradientDescent,
    Layer,
    LayerNorm,
    LevenbergMarquardt,
    Network,
    Networks,
    Residual,
)
from nineline.activations import Activation
from nineline.engines.contract import Rule
from nineline.engines.many import ManyRule
from nineline.engines.native import NotNativeError, level
from nineline.engines.native_many import NativeMany
from nineline.engines.one_by_one import OneByOne
from nineline.engines.reference import Reference
from nineline.engines.stacked import Stacked
from nineline.files import FileError, read, write
from nineline.losses import Quantile
from nineline.rows import Rows


def _is_native():
    try:
        return bool(level())
    except NotNativeError:
        return False


native = pytest.mark.skipif(not _is_native(), reason="the native engine was not built, or is turned off")
X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], float)
Y = np.array([[0], [1], [1], [0]], float)
TABLE = np.random.default_rng(0).normal(size=(60, 5))
ANSWERS = np.sin(TABLE[:, :2].sum(axis=1, keepdims=True))
CLASSES = (TABLE[:, 0] > 0).astype(int) + (TABLE[:, 1] > 0.5)


def smooth(dtype=np.float64, rng=None):
    return [
        Layer(5, 8, "tanh", bias=True, rng=rng, dtype=dtype),
        LayerNorm(),
        Residual(Layer(8, 8, "gelu", bias=True, rng=rng, dtype=dtype), Dropout(0.2)),
        Layer(8, 3, "softmax", bias=True, rng=rng, dtype=dtype),
    ]


def close(a, b, tolerance=1e-9):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


ALONE_CASES = {
    "the tutorial": (lambda: [3, 6, 1], X, Y, {"iterations": 300}),
    "batches": (
        lambda: [5, 8, 1],
        TABLE,
        ANSWERS,
        {"epochs": 5, "batch_size": 16, "loss": "squared_error", "optimizer": "adam"},
    ),
    "everything": (
        smooth,
        TABLE,
        CLASSES,
        {
            "epochs": 6,
            "batch_size": 25,
            "loss": "cross_entropy",
            "optimizer": Adam(0.01),
            "schedule": "cosine",
            "validation": 0.25,
            "stop": 3,
            "clip_norm": 0.5,
            "sample_weight": np.linspace(0.5, 2, 60),
            "l1": 1e-3,
        },
    ),
    "the best point of the whole batch": (
        lambda: [5, 4, 1],
        TABLE,
        ANSWERS,
        {"epochs": 60, "loss": "huber", "optimizer": "adam", "stop": EarlyStopping(4, min_improvement=1e-4)},
    ),
}


@pytest.mark.parametrize("engine", ["reference", "auto"])
@pytest.mark.parametrize("case", ALONE_CASES)
def test_each_is_as_if_it_were_alone(case, engine):
    nodes, inputs, outputs, settings = ALONE_CASES[case]
    count, rates = 5, np.array([0.5, 0.1, 0.05, 0.02, 0.01])
    networks = Networks(count, *nodes(), rng=3)
    alone = [network.copy() for network in networks]
    l2 = np.linspace(0, 0.1, count)
    history = networks.train(
        inputs, outputs, learning_rate=rates, l2=l2, rng=list(range(count)), report_every=0, engine=engine, **settings
    )
    for number, network in enumerate(alone):
        optimizer = settings.get("optimizer", "gradient_descent")
        optimizer = Rule(None, optimizer).optimizer
        mine = type(optimizer)(learning_rate=float(rates[number]))
        given = {**settings, "optimizer": mine, "l2": float(l2[number]), "rng": number}
        its = network.train(inputs, outputs, report_every=0, engine=engine, **given)
        same = history[number]
        assert (same.epochs, same.steps, same.stopped) == (its.epochs, its.steps, its.stopped)
        assert (same.best_epoch, same.restored) == (its.best_epoch, its.restored)
        close(same.loss, its.loss)
        close(same.validation_loss, its.validation_loss)
        close(same.learning_rate, its.learning_rate)
        close(networks.parameters[number], network.parameters)


def test_with_one_rng_they_take_the_rows_in_one_order():
    networks = Networks(4, 5, 6, 1, rng=1)
    alone = networks[2].copy()
    networks.train(TABLE, ANSWERS, epochs=3, batch_size=16, rng=7)
    alone.train(TABLE, ANSWERS, epochs=3, batch_size=16, rng=7)
    close(networks.parameters[2], alone.parameters)


def test_dropout_draws_for_each_by_itself():
    networks = Networks([Network(Dropout(0.5), Layer(5, 1, rng=0))] * 3)
    networks.train(TABLE, ANSWERS, epochs=1, rng=0)
    assert len(np.unique(networks.parameters, axis=0)) == 3


KINDS = {
    "dense": lambda: [Layer(5, 7, "tanh", bias=True), Layer(7, 3, "identity", bias=True)],
    "dropout": lambda: [Dropout(0.3), Layer(5, 4, "elu"), Dropout(0.5), Layer(4, 3, "softplus", bias=True)],
    "layer_norm": lambda: [LayerNorm(), Layer(5, 4, "relu", bias=True), LayerNorm(), Layer(4, 3, "sigmoid")],
    "residual": lambda: [
        Residual(Layer(5, 5, "silu", bias=True), Residual(Layer(5, 5, "mish"), Dropout(0.2))),
        Layer(5, 3, "softmax", bias=True),
    ],
    "frozen": lambda: [Layer(5, 4, "selu", bias=True, trainable=False), Layer(4, 3, "leaky_relu", bias=True)],
    "one row": lambda: [Layer(5, 1, "gelu"), Layer(1, 3, "exponential", bias=True)],
}


def engines_of(make, rule, count, rows, seed=0):
    """Return every engine of many networks over the same numbers."""
    start = np.stack([network.parameters for network in make])
    rng = np.random.default_rng(seed)
    rates, l2 = rng.uniform(1e-3, 1e-2, count), rng.uniform(0, 0.1, count)
    many = ManyRule(rule, rates, l2 / 2, l2, rng.integers(2**63, size=count).astype(np.uint64))
    one = make[0].copy()
    found = {}
    parameters = start.copy()
    found["one by one"] = OneByOne([one.within(row) for row in parameters], parameters, many, Reference)
    found["stacked"] = Stacked(one, start.copy(), many)
    for name, in_lanes in (("lanes", True), ("threads", False)):
        found[name] = NativeMany(one, start.copy(), many, 2, in_lanes=in_lanes)
    return found


@native
@pytest.mark.parametrize("batch", ["whole", "shuffled", "own", "own, of other lengths", "own, whole"])
@pytest.mark.parametrize("optimizer", ["gradient_descent", "adam"])
@pytest.mark.parametrize("loss", ["squared_error", Quantile(level=(0.1, 0.5, 0.8))], ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_engines_agree(kind, loss, optimizer, batch):
    count, rng = 11, np.random.default_rng(3)
    networks = Networks(count, *KINDS[kind](), rng=0)
    rows = Rows(TABLE, rng.uniform(size=(60, 3)), None if optimizer == "adam" else rng.uniform(size=60))
    rule = Rule(loss, optimizer, clip_norm=0.4)
    results = {}
    for name, engine in engines_of(list(networks), rule, count, rows).items():
        draws, losses = np.random.default_rng(1), []
        members = np.array([0, 2, 3, 4, 5, 6, 7, 8, 10])
        for _ in range(3):
            size, steps, orders = None, 4, None
            if batch == "shuffled":
                orders, size = draws.permutation(60), 17
            elif batch.startswith("own"):
                short = 3 if "lengths" in batch else 1
                orders = [draws.permutation(60)[: 58 - k % short] for k in range(len(members))]
                size = None if "whole" in batch else 17
            found = np.empty((len(members), steps))
            done = engine.steps(members, rows, orders, size, np.linspace(1, 0.5, steps), found)
            assert (done == steps).all()
            losses.append(found)
        losses.append(engine.evaluate(members, rows, orders)[:, np.newaxis])
        engine.memory()
        results[name] = np.hstack(losses), engine.parameters, engine.before, engine.steps_taken[members]
    for name, found in results.items():
        for mine, others in zip(found, results["one by one"], strict=True):
            np.testing.assert_allclose(mine, others, rtol=1e-9, atol=1e-11, err_msg=name)
    untouched = [1, 9]
    assert (results["lanes"][1][untouched] == networks.parameters[untouched]).all()


@pytest.mark.parametrize("engine", ["reference", "auto"])
def test_one_that_diverges_leaves_the_others_alone(engine):
    rates = np.tile([1.0, 1e200, 1.0, 1e308, 0.5], 8)
    networks = Networks(40, 3, 6, 1, output="identity", rng=0)
    quiet = Networks(list(networks))
    history = networks.train(X, Y, 200, learning_rate=rates, report_every=0, engine=engine)
    assert not history.diverged[rates < 3].any()
    assert (history.diverged == np.isnan(networks.losses)).all()
    assert np.isfinite(networks.parameters).all()
    assert history.stopped[1].startswith("diverged in epoch")
    others = quiet[rates < 3]
    others.train(X, Y, 200, learning_rate=rates[rates < 3], report_every=0, engine=engine)
    assert (others.parameters == networks.parameters[rates < 3]).all()
    for number in np.flatnonzero(rates > 3).tolist():
        alone, diverged = quiet[number].copy(), False
        try:
            optimizer = GradientDescent(float(rates[number]))
            its = alone.train(X, Y, 200, optimizer=optimizer, report_every=0, engine=engine)
        except DivergenceError as error:
            its, diverged = error.history, True
        assert history.diverged[number] == diverged
        assert history[number].epochs == its.epochs
        close(networks.parameters[number], alone.parameters)
    assert history.diverged.sum() > 8


def test_where_all_diverge_there_is_an_error():
    networks = Networks(3, 3, 6, 1, output="identity", rng=0)
    with pytest.raises(DivergenceError, match="of 3 networks none has a finite loss") as error:
        networks.train(X, Y, 100, learning_rate=1e300, report_every=0)
    assert error.value.history.diverged.all()
    assert np.isfinite(networks.parameters).all()


def test_one_that_has_stopped_costs_nothing_and_keeps_its_best_point():
    networks = Networks(40, 5, 8, 1, output="identity", activation="tanh", bias=True, rng=0)
    counted = []
    history = networks.train(
        TABLE[:40],
        ANSWERS[:40],
        epochs=150,
        batch_size=10,
        loss="squared_error",
        learning_rate=np.geomspace(0.001, 0.9, 40),
        validation=(TABLE[40:], ANSWERS[40:]),
        stop=5,
        on_epoch=lambda epoch: counted.append(int(np.isfinite(epoch.losses).sum())),
        rng=0,
    )
    assert counted[0] == 40
    assert counted[-1] < 40
    assert sorted(counted, reverse=True) == counted
    assert history.steps.sum() == 4 * np.isfinite(history.loss).sum()
    assert history.restored[~history.diverged].all()
    found = networks.evaluate(TABLE[40:], ANSWERS[40:], loss="squared_error")
    close(found, networks.losses)
    close(networks.losses, np.nanmin(history.validation_loss, axis=0))
    assert networks.best().parameters.tolist() == networks.parameters[np.argmin(networks.losses)].tolist()


# Data of their own


def test_folds_by_row_numbers():
    folds = np.array_split(np.arange(60), 7)  # of 8 and 9 rows
    rows = [np.setdiff1d(np.arange(60), fold) for fold in folds]
    networks = Networks(7, 5, 4, 1, rng=0)
    alone = [network.copy() for network in networks]
    networks.train(TABLE, ANSWERS, epochs=4, batch_size=26, rows=rows, optimizer="adam", rng=list(range(7)))
    for number, network in enumerate(alone):
        network.train(TABLE[rows[number]], ANSWERS[rows[number]], epochs=4, batch_size=26, optimizer="adam", rng=number)
        close(networks.parameters[number], network.parameters)


def test_masks_are_row_numbers_too():
    masks = [np.arange(60) < 30, np.arange(60) >= 30]
    networks = Networks(2, 5, 4, 1, rng=0)
    other = networks.copy()
    networks.train(TABLE, ANSWERS, 20, rows=masks, report_every=0)
    other.train(TABLE, ANSWERS, 20, rows=[np.arange(30), np.arange(30, 60)], report_every=0)
    assert (networks.parameters == other.parameters).all()


@pytest.mark.parametrize("engine", ["reference", "auto"])
@pytest.mark.parametrize("size", [None, 8])
def test_a_set_of_rows_for_each(size, engine):
    rng = np.random.default_rng(1)
    inputs, outputs = rng.normal(size=(6, 20, 2)), rng.normal(size=(6, 20))
    weights = rng.uniform(size=(6, 20))
    networks = Networks(6, 2, 5, 1, output="identity", rng=0)
    alone = [network.copy() for network in networks]
    settings = {"epochs": 5, "batch_size": size, "loss": "squared_error", "optimizer": "adam", "engine": engine}
    networks.train(inputs, outputs, sample_weight=weights, rng=list(range(6)), **settings)
    for number, network in enumerate(alone):
        network.train(inputs[number], outputs[number], sample_weight=weights[number], rng=number, **settings)
        close(networks.parameters[number], network.parameters)
    answers = networks.run(inputs)
    assert answers.shape == (6, 20, 1)
    close(answers[3], networks[3].run(inputs[3]))


def test_rows_for_all_and_targets_for_each():
    outputs = np.random.default_rng(1).uniform(size=(4, 60, 1))
    networks = Networks(4, 5, 3, 1, rng=0)
    alone = networks[2].copy()
    networks.train(TABLE, outputs, 30, report_every=0)
    alone.train(TABLE, outputs[2], 30, report_every=0)
    close(networks.parameters[2], alone.parameters)


# What other methods, layers and formulas there are


@pytest.mark.parametrize("optimizer", [LBFGS(), LevenbergMarquardt()])
def test_methods_that_look_at_all_rows(optimizer):
    networks = Networks(4, 5, 4, 1, activation="tanh", output="identity", bias=True, rng=0)
    alone = networks[1].copy()
    history = networks.train(TABLE, ANSWERS, epochs=15, loss="squared_error", optimizer=optimizer)
    its = alone.train(TABLE, ANSWERS, epochs=15, loss="squared_error", optimizer=optimizer)
    close(networks.parameters[1], alone.parameters, 1e-6)
    assert history[1].stopped == its.stopped
    with pytest.raises(ValueError, match="learning_rate"):
        networks.train(TABLE, ANSWERS, epochs=2, loss="squared_error", optimizer=optimizer, learning_rate=0.1)


class Cube(Activation):
    name = "cube"

    def value(self, z):
        return z**3

    def derivative(self, z, outputs):
        return 3 * z**2


def test_what_no_engine_knows_is_trained_one_by_one():
    networks = Networks(3, Layer(5, 4, Cube()), Layer(4, 1), rng=0)
    alone = networks[2].copy()
    history = networks.train(TABLE, ANSWERS, epochs=3, batch_size=20, optimizer="adam", rng=1)
    alone.train(TABLE, ANSWERS, epochs=3, batch_size=20, optimizer="adam", rng=1)
    close(networks.parameters[2], alone.parameters)
    assert history.engine == "reference"


@pytest.mark.parametrize("engine", ["reference", "auto"])
def test_embeddings(engine):
    rng = np.random.default_rng(0)
    inputs = np.hstack([rng.integers(4, size=(40, 1)), rng.normal(size=(40, 2))])
    networks = Networks(5, Embedding(4, 3, numbers=2), Layer(5, 1, bias=True), rng=0)
    alone = networks[4].copy()
    networks.train(inputs, rng.uniform(size=(40, 1)), epochs=3, batch_size=7, optimizer="adam", rng=1, engine=engine)
    rng = np.random.default_rng(0)
    rng.integers(4, size=(40, 1)), rng.normal(size=(40, 2))
    alone.train(inputs, rng.uniform(size=(40, 1)), epochs=3, batch_size=7, optimizer="adam", rng=1, engine=engine)
    close(networks.parameters[4], alone.parameters)


def test_sparse_rows():
    sparse = pytest.importorskip("scipy.sparse")
    rows = np.where(TABLE > 0.8, TABLE, 0)
    networks = Networks(3, 5, 4, 1, rng=0)
    other = networks.copy()
    networks.train(sparse.csr_matrix(rows), ANSWERS, epochs=3, batch_size=16, rng=1)
    other.train(rows, ANSWERS, epochs=3, batch_size=16, rng=1)
    close(networks.parameters, other.parameters)
    close(networks.run(sparse.csr_matrix(rows)), networks.run(rows))


# Whatever the threads


@native
@pytest.mark.parametrize("nodes", [(5, 6, 1), (5, 40, 40, 1)])
def test_the_same_bits_for_any_number_of_threads(nodes):
    found = []
    for threads in (1, 2, 5):
        networks = Networks(50, *nodes, rng=0, dtype=np.float32)
        history = networks.train(TABLE, ANSWERS, epochs=4, batch_size=16, optimizer="adam", rng=1, threads=threads)
        found.append((networks.parameters.copy(), history.loss))
    for parameters, losses in found[1:]:
        assert (parameters == found[0][0]).all()
        assert (losses == found[0][1]).all()


@native
def test_the_same_bits_whichever_lie_beside_it():
    networks = Networks(23, 5, 6, 1, rng=0)
    some = networks[9:17]
    networks.train(TABLE, ANSWERS, 50, report_every=0)
    some.train(TABLE, ANSWERS, 50, report_every=0)
    assert (networks.parameters[9:17] == some.parameters).all()


# Checkpoints, Ctrl-C


SETTINGS = {
    "whole": {"iterations": 400, "report_every": 0},
    "batches": {"epochs": 30, "batch_size": 16, "optimizer": "adam", "validation": 0.2, "stop": 8},
    "lm": {"epochs": 12, "loss": "squared_error", "optimizer": "levenberg_marquardt"},
}


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("engine", ["reference", "auto"])
@pytest.mark.parametrize("case", SETTINGS)
def test_resume_ends_with_the_same_bits(case, engine, own, tmp_path):
    settings = {**SETTINGS[case], "engine": engine, "rng": list(range(6)) if own else 5}
    if case == "whole" and not own:
        settings["rows"] = [np.arange(50), *[np.arange(k, 60) for k in range(5)]]

    def fresh():
        return Networks(6, Layer(5, 4, "tanh", bias=True), Layer(4, 1, "identity", bias=True), rng=0)

    if case != "lm":
        settings["learning_rate"] = np.array([0.001, 0.002, 0.003, 0.004, 0.005, 100.0])
    straight = fresh()
    whole = straight.train(TABLE, ANSWERS, **settings)
    file = tmp_path / "run.nineline"

    class StopError(Exception):
        pass

    def at(epoch):
        if epoch.number == 7:
            raise StopError

    networks = fresh()
    with pytest.raises(StopError):
        networks.train(TABLE, ANSWERS, checkpoint=file, checkpoint_every=0, on_epoch=at, **settings)
    assert Networks.load(file).parameters.shape == networks.parameters.shape
    again = fresh()
    history = again.train(TABLE, ANSWERS, checkpoint=file, checkpoint_every=0, resume=True, **settings)
    assert (again.parameters == straight.parameters).all()
    assert history.stopped == whole.stopped
    np.testing.assert_array_equal(history.loss, whole.loss)
    np.testing.assert_array_equal(history.validation_loss, whole.validation_loss)
    np.testing.assert_array_equal(again.losses, straight.losses)
    finished = fresh()
    ended = finished.train(TABLE, ANSWERS, checkpoint=file, resume=True, **settings)
    assert (finished.parameters == straight.parameters).all()
    assert ended.stopped == whole.stopped
    with pytest.raises(ValueError, match="learning_rate|epochs"):
        fresh().train(TABLE, ANSWERS, checkpoint=file, resume=True, **{**settings, "epochs": 31, "iterations": None})


def test_ctrl_c_leaves_all_as_far_as_they_came(monkeypatch):
    networks = Networks(6, 5, 4, 1, rng=0)

    def at(epoch):
        if epoch.number == 4:
            raise KeyboardInterrupt

    history = networks.train(TABLE, ANSWERS, epochs=10, batch_size=16, on_epoch=at)
    assert set(history.stopped) == {"interrupted in epoch 5"}
    assert history.epochs == 4
    assert np.isfinite(networks.losses).all()


def test_on_epoch_ends_those_that_it_names():
    networks = Networks(4, 5, 4, 1, rng=0)
    history = networks.train(
        TABLE, ANSWERS, epochs=10, on_epoch=lambda epoch: np.arange(4) == epoch.number - 3 if epoch.number > 2 else None
    )
    assert [history[k].epochs for k in range(4)] == [3, 4, 5, 6]


# As an object


def test_the_first_is_the_network_of_that_seed():
    networks = Networks(3, 3, 6, 1, rng=1)
    assert (networks[0].parameters == Network(3, 6, 1, rng=1).parameters).all()
    assert len({row.tobytes() for row in networks.parameters}) == 3


def test_views_and_copies():
    networks = Networks(3, 3, 6, 1, rng=1)
    view, copy = networks[-1], networks[2].copy()
    view.train(X, Y, 10, report_every=0)
    assert (networks.parameters[2] == view.parameters).all()
    assert (networks.parameters[2] != copy.parameters).any()
    view.layers[0].weights[...] = 0
    assert (networks.parameters[2][:18] == 0).all()
    assert [len(networks[which]) for which in (slice(2), [0, 2], np.array([True, False, True]))] == [2, 2, 2]
    with pytest.raises(IndexError):
        networks[3]
    with pytest.raises(IndexError):
        networks[[]]
    twin = pickle.loads(pickle.dumps(networks))
    assert (twin.parameters == networks.parameters).all()
    assert twin.parameters is not networks.parameters


def test_run_is_what_each_answers():
    for nodes in ((3, 6, 1), (3, 60, 60, 2)):
        networks = Networks(20, *nodes, rng=0, dtype=np.float32)
        answers = networks.run(X)
        assert answers.shape == (20, 4, nodes[-1])
        assert answers.dtype == np.float32
        for number, network in enumerate(networks):
            close(answers[number], network.run(X), 1e-6)


def test_ensembles_answer_the_mean():
    networks = Networks(5, 3, 6, 1, rng=0)
    close(networks.ensemble().run(X), networks.run(X).mean(axis=0))
    weights = np.array([1, 0, 2, 0, 1])
    ensemble = networks.ensemble(weights)
    assert isinstance(ensemble, Ensemble)
    assert len(ensemble.networks) == 3
    close(ensemble.run(X), np.average(networks.run(X), axis=0, weights=weights))
    close(ensemble.astype(np.float32).run(X), ensemble.run(X), 1e-6)
    networks.parameters[...] = 0
    assert ensemble.run(X).std() > 0
    for wrong in ([1, 2], [-1, 0, 0, 0, 2], [0, 0, 0, 0, 0], [np.nan, 1, 1, 1, 1]):
        with pytest.raises(ValueError, match="weights"):
            networks.ensemble(wrong)


def test_save_and_load(tmp_path):
    networks = Networks(4, *smooth(np.float32), rng=0)
    networks.save(tmp_path / "many.nineline")
    same = Networks.load(tmp_path / "many.nineline")
    assert (same.parameters == networks.parameters).all()
    assert repr(same) == repr(networks)
    with pytest.raises(FileError, match="networks"):
        Network.load(tmp_path / "many.nineline")
    networks[0].save(tmp_path / "one.nineline")
    with pytest.raises(FileError, match="network"):
        Networks.load(tmp_path / "one.nineline")


def test_the_history_is_a_table(capsys):
    networks = Networks(3, 3, 6, 1, rng=0)
    history = networks.train(X, Y, 1500)
    assert capsys.readouterr().out.count("losses of 3 networks") == 2
    assert history.loss.shape == history.learning_rate.shape == (1500, 3)
    assert history.to_frame().shape == (1500, 5)
    assert len(history) == 3
    assert "1,500 epochs" in repr(history)
    assert "all 1,500 epochs done" in repr(history)


# What is wrong


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learning_rate": [0.1, 0.2]}, r"learning_rate has shape \(2,\); expected one number, or one for each of 3"),
        ({"learning_rate": [0.1, -0.2, 0.3]}, r"learning_rate\[1\]"),
        ({"learning_rate": 0}, "learning_rate has a 0"),
        ({"l2": [0.1, np.nan, 0.3]}, r"l2\[1\]"),
        ({"rng": [1, 2]}, "rng has 2 entries"),
        ({"rng": [np.random.default_rng(0)] * 3}, "a Generator twice"),
        ({"rows": [[0], [1]]}, "rows has 2 lists"),
        ({"rows": [[0], [1], [99]]}, r"rows\[2\] names row 99"),
        ({"rows": [[0], [], [1]]}, r"rows\[1\]"),
        ({"sample_weight": np.ones((3, 4))}, "sample_weight has shape"),
        ({"engine": "fast"}, "engine is 'fast'"),
        ({"resume": True}, "checkpoint is not given"),
    ],
)
def test_wrong_arguments(given, message):
    networks = Networks(3, 3, 6, 1, rng=0)
    before = networks.parameters.copy()
    with pytest.raises(ValueError, match=message):
        networks.train(X, Y, 10, report_every=0, **given)
    assert (networks.parameters == before).all()


def test_wrong_networks():
    with pytest.raises(ValueError, match="count"):
        Networks(0, 3, 6, 1)
    with pytest.raises(ValueError, match="expected the shape of the first"):
        Networks([Network(3, 6, 1), Network(3, 5, 1)])
    with pytest.raises(TypeError, match="count"):
        Networks("three", 3, 6, 1)
    with pytest.raises(TypeError, match="expected a Network"):
        Networks([1, 2])
    with pytest.raises(TypeError, match="bias is given"):
        Networks([Network(3, 1)], bias=True)
    with pytest.raises(ValueError, match="train the networks first"):
        Networks(3, 3, 1).best()
    networks = Networks(3, 3, 1, rng=0)
    with pytest.raises(ValueError, match="parameters has shape"):
        networks.parameters = np.zeros((2, 3))
    with pytest.raises(ValueError, match="expected 3 sets of rows"):
        networks.train(np.zeros((2, 4, 3)), np.zeros((2, 4, 1)))
    with pytest.raises(ValueError, match="inputs"):
        networks.run(np.zeros((2, 4, 3)))


def test_what_a_strange_file_holds_is_refused(tmp_path):
    networks = Networks(3, 3, 2, 1, rng=0)
    networks.save(tmp_path / "many.nineline")
    header, arrays = read(tmp_path / "many.nineline", "networks")
    content = {"network": header["network"], "count": 3}
    for wrong in (
        networks.parameters[:, :-1],
        networks.parameters[0],
        networks.parameters[:0],
        networks.parameters.astype(np.float32),
        np.full_like(networks.parameters, np.nan),
    ):
        write(tmp_path / "odd.nineline", "networks", content, {**arrays, "parameters": wrong})
        with pytest.raises(FileError, match="array parameters does not fit"):
            Networks.load(tmp_path / "odd.nineline")


def test_a_checkpoint_that_was_altered_is_refused(tmp_path):
    settings = {"epochs": 3, "batch_size": 16, "rng": 0, "validation": 0.2, "stop": 2}
    file, odd = tmp_path / "run.nineline", tmp_path / "odd.nineline"
    Networks(3, 5, 2, 1, rng=0).train(TABLE, ANSWERS, checkpoint=file, checkpoint_every=0, **settings)
    header, arrays = read(file, "checkpoint of networks")
    content = {"network": header["network"], "training": header["training"]}
    changes = [
        {"active": np.array([7])},
        {"active": np.array([[0]])},
        {"history.loss": arrays["history.loss"][:1]},
        {"history.loss": arrays["history.loss"][:, :2]},
        {"history.best_epoch": np.array([9, 9, 9])},
        {"watch.best": arrays["watch.best"][:2]},
        {"watch.points": arrays["watch.points"][:2]},
        {"optimizer.before": arrays["optimizer.before"].astype(np.float32)},
        {"optimizer.steps_taken": arrays["optimizer.steps_taken"].astype(np.float64)},
        {"parameters": arrays["parameters"][:2]},
    ]
    for change in changes:
        write(odd, "checkpoint of networks", content, {**arrays, **change})
        with pytest.raises(FileError, match="holds no valid checkpoint"):
            Networks(3, 5, 2, 1, rng=0).train(TABLE, ANSWERS, checkpoint=odd, resume=True, **settings)
    for wrong in ({"stopped": ["x"]}, {"random": []}, {"random_at_start": [{}]}, {"settings": 7}):
        write(odd, "checkpoint of networks", {**content, "training": {**content["training"], **wrong}}, arrays)
        with pytest.raises(FileError, match="holds no valid checkpoint"):
            Networks(3, 5, 2, 1, rng=0).train(TABLE, ANSWERS, checkpoint=odd, resume=True, **settings)


def test_threads_train_one_after_the_other():
    networks = Networks(40, 5, 6, 1, rng=0)
    with ThreadPoolExecutor(4) as pool:
        futures = [
            pool.submit(networks.train, TABLE, ANSWERS, epochs=20, batch_size=16, optimizer="adam", rng=seed)
            for seed in range(4)
        ]
        histories = [future.result() for future in futures]
    assert all(np.isfinite(history.loss).all() for history in histories)
    assert np.isfinite(networks.parameters).all()
    with networks.stepping(), pytest.raises(RuntimeError, match="in the midst of a step"):
        networks.train(TABLE, ANSWERS, epochs=1)


@native
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_ctrl_c_in_the_midst_of_a_call():
    networks = Networks(64, 5, 30, 30, 1, rng=0)
    inputs = np.random.default_rng(0).normal(size=(20_000, 5))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        began = time.perf_counter()
        history = networks.train(inputs, inputs[:, :1], 10_000, report_every=0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert time.perf_counter() - began < 20
    assert all(reason.startswith("interrupted in epoch") for reason in history.stopped)
    assert np.isfinite(networks.parameters).all()
